/* SPDX-License-Identifier: PostgreSQL */
#include "ca/make.h"

#include "ca/work.h"
#include "x509/request.h"
#include "x509/subject.h"

/* What the order leaves open is taken from the request. */
static enum fail take_names(struct ca_work *work, struct X509_req_st *request)
{
    const struct ca_order *order = work->order;

    if (order->subject == NULL && order->user == NULL) {
        subject_free(work->subject);
        work->subject = request_subject_copy(request, work->why);
    }
    if (order->name_count == 0) {
        subject_names_free(work->names);
        work->names = request_names(request, work->why);
    }
    return work->subject != NULL && work->names != NULL ? FAIL_NONE : FAIL_CERT;
}

static enum fail check_names(const struct ca_work *work)
{
    if (work->order->purpose == ISSUE_SERVER && subject_name_count(work->names) == 0) {
        fail_hint(work->why, "give the names by --name");
        return fail(work->why, FAIL_CERT,
                    "the request asks for no names, and a server's "
                    "certificate needs one");
    }
    if (work->order->purpose != ISSUE_SERVER && subject_is_empty(work->subject)) {
        fail_hint(work->why, "give the subject by --subject, or --user");
        return fail(work->why, FAIL_CERT, "the request has an empty subject");
    }
    return FAIL_NONE;
}

static enum fail write_certificate(struct ca_work *work)
{
    enum fail rc = file_set_check(work->cert, work->may_replace, work->why);

    if (rc == FAIL_NONE)
        rc = ca_folder_load_key(&work->folder, work->order->ca_passphrase, work->why);
    if (rc == FAIL_NONE)
        rc = ca_work_lock(work);
    if (rc == FAIL_NONE)
        rc = ca_work_issue(work);
    if (rc == FAIL_NONE)
        rc = ca_work_add_chain(work);
    if (rc == FAIL_NONE)
        rc = ca_work_commit(work);
    return rc;
}

enum fail ca_sign(const struct ca_order *order, const char *request_file,
                  struct ca_outcome *outcome, struct failure *why)
{
    struct X509_req_st *request = request_load(request_file, why);
    struct ca_work      work;
    enum fail           rc = ca_work_init(&work, order, outcome, why);

    if (request == NULL)
        rc = FAIL_CERT;
    else
        work.key = request_key(request);
    if (rc == FAIL_NONE && order->takes_names)
        rc = take_names(&work, request);
    if (rc == FAIL_NONE)
        rc = check_names(&work);
    if (rc == FAIL_NONE)
        rc = write_certificate(&work);
    outcome->key[0] = '\0';
    request_free(request);
    ca_work_fini(&work, rc);
    return rc;
}
