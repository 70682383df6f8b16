/* SPDX-License-Identifier: PostgreSQL */
#include "ca/make.h"

#include "ca/work.h"
#include "x509/key_kind.h"
#include "x509/pem_write.h"
#include "x509/renewal.h"
#include "x509/request.h"
#include "x509/subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REQUEST_BYTES ((size_t)1024 * 1024)
#define SECONDS_A_DAY 86400

/* ---- renewal ---- */

/* *due: write; false where what is there is good for longer.  A key without a certificate may
 * wait for one: that is never replaced unasked. */
static enum fail judge(struct ca_work *work, bool *due)
{
    const struct ca_order *order = work->order;
    const struct renewal   renewal = { .cert_file = work->cert,
                                       .key_file = work->key_file,
                                       .authority = work->folder.authority,
                                       .subject = work->subject,
                                       .names = work->names,
                                       .key_kind = order->key_kind,
                                       .now = order->now,
                                       .before_s = (int64_t)order->renew_days * SECONDS_A_DAY };
    const char            *reason = NULL;
    enum fail              rc;

    *due = true;
    if (order->renew_days == 0 || access(work->cert, F_OK) != 0)
        return FAIL_NONE;
    if ((rc = renewal_judge(&renewal, &reason, work->why)) != FAIL_NONE)
        return rc;
    *due = reason != NULL;
    work->may_replace = true;
    return FAIL_NONE;
}

static enum fail check_files(struct ca_work *work)
{
    enum fail rc = file_set_check(work->cert, work->may_replace, work->why);

    return rc == FAIL_NONE ? file_set_check(work->key_file, work->may_replace, work->why) : rc;
}

/* ---- a key and its certificate ---- */

static enum fail make_key(struct ca_work *work)
{
    const char *kind = work->order->key_kind;

    work->key = key_kind_make(kind != NULL ? kind : KEY_KIND_PRESET, work->why);
    return work->key != NULL ? FAIL_NONE : FAIL_CERT;
}

/* The key before the certificate: who looks between the two renames has a new key and an old
 * certificate, sees that they do not fit, and looks again. */
static enum fail write_pair(struct ca_work *work)
{
    enum fail rc = make_key(work);

    if (rc == FAIL_NONE)
        rc = ca_work_issue(work);
    if (rc == FAIL_NONE && work->order->purpose == ISSUE_AUTHORITY)
        rc = ca_folder_found(work->order->out, work->order->force, &work->files, work->why);
    if (rc == FAIL_NONE)
        rc = ca_work_add_key(work);
    if (rc == FAIL_NONE)
        rc = ca_work_add_chain(work);
    if (rc == FAIL_NONE)
        rc = ca_work_commit(work);
    return rc;
}

/* The authority's key is asked for once it is needed, and before anybody waits for us. */
static enum fail make(struct ca_work *work)
{
    bool      due;
    enum fail rc = judge(work, &due);

    if (rc != FAIL_NONE || !due)
        return rc;
    if ((rc = check_files(work)) != FAIL_NONE)
        return rc;
    if (work->order->ca != NULL &&
        (rc = ca_folder_load_key(&work->folder, work->order->ca_passphrase, work->why)) !=
            FAIL_NONE)
        return rc;
    if ((rc = ca_work_lock(work)) != FAIL_NONE)
        return rc;
    /* another run may have been here meanwhile */
    if ((rc = judge(work, &due)) != FAIL_NONE || !due)
        return rc;
    return write_pair(work);
}

enum fail ca_make(const struct ca_order *order, struct ca_outcome *outcome, struct failure *why)
{
    struct ca_work work;
    enum fail      rc = ca_work_init(&work, order, outcome, why);

    if (rc == FAIL_NONE)
        rc = make(&work);
    private_key_free(work.key);
    ca_work_fini(&work, rc);
    return rc;
}

/* ---- requests ---- */

static enum fail add_request(struct ca_work *work, const char *path)
{
    struct buf          text = BUF_LIMIT(REQUEST_BYTES);
    struct X509_req_st *request =
        request_make(work->subject, work->names, work->key, work->why);
    enum fail rc = request != NULL ? pem_write_request(&text, request, work->why) : FAIL_CERT;

    if (rc == FAIL_NONE)
        rc = file_set_add(&work->files,
                          &(struct file_source){ .path = path,
                                                 .may_replace = work->may_replace,
                                                 .text = buf_bytes(&text) },
                          work->why);
    request_free(request);
    buf_fini(&text);
    return rc;
}

static enum fail write_request(struct ca_work *work, const char *path)
{
    enum fail rc = file_set_check(path, work->may_replace, work->why);

    if (rc == FAIL_NONE)
        rc = file_set_check(work->key_file, work->may_replace, work->why);
    if (rc == FAIL_NONE)
        rc = ca_work_lock(work);
    if (rc == FAIL_NONE)
        rc = make_key(work);
    if (rc == FAIL_NONE)
        rc = ca_work_add_key(work);
    if (rc == FAIL_NONE)
        rc = add_request(work, path);
    if (rc == FAIL_NONE)
        rc = ca_work_commit(work);
    return rc;
}

enum fail ca_make_request(const struct ca_order *order, struct ca_outcome *outcome,
                          struct failure *why)
{
    struct ca_order unsigned_order = *order;
    struct ca_work  work;
    char            name[16];
    char           *path;
    enum fail       rc;

    unsigned_order.ca = NULL;
    unsigned_order.days = 1;
    unsigned_order.renew_days = 0;
    snprintf(name, sizeof name, "%s.csr", ca_base_name(order->purpose));
    path = file_path(order->out, name);
    rc = ca_work_init(&work, &unsigned_order, outcome, why);
    if (rc == FAIL_NONE && path == NULL)
        rc = fail(why, FAIL_MEMORY, "out of memory");
    if (rc == FAIL_NONE)
        rc = write_request(&work, path);
    snprintf(outcome->cert, sizeof outcome->cert, "%s", path != NULL ? path : "");
    free(path);
    private_key_free(work.key);
    ca_work_fini(&work, rc);
    return rc;
}
