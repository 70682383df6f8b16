/* SPDX-License-Identifier: PostgreSQL */
#include "ca/work.h"

#include "x509/key_kind.h"
#include "x509/pem_write.h"
#include "x509/revoke.h"
#include "x509/subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAIN_BYTES   ((size_t)1024 * 1024)
#define SECONDS_A_DAY 86400

static bool fill_paths(struct ca_work *work)
{
    const struct ca_order *order = work->order;
    struct ca_outcome     *outcome = work->outcome;
    char                   name[16];

    snprintf(name, sizeof name, "%s.crt", ca_base_name(order->purpose));
    work->cert = file_path(order->out, name);
    snprintf(name, sizeof name, "%s.key", ca_base_name(order->purpose));
    work->key_file = file_path(order->out, name);
    work->root = file_path(order->out, "root.crt");
    if (work->cert == NULL || work->key_file == NULL || work->root == NULL)
        return false;
    snprintf(outcome->cert, sizeof outcome->cert, "%s", work->cert);
    snprintf(outcome->key, sizeof outcome->key, "%s", work->key_file);
    return true;
}

/* Keys of authorities are nobody's business: neither is their folder. */
static enum fail make_folder(struct ca_work *work)
{
    const char *out = work->order->out;
    mode_t      mode = work->order->purpose == ISSUE_AUTHORITY ? 0700 : 0755;

    if (mkdir(out, mode) == 0) {
        work->made_folder = true;
        return FAIL_NONE;
    }
    if (errno == EEXIST)
        return FAIL_NONE;
    if (errno == ENOENT)
        fail_hint(work->why, "the folder that it is in must be there");
    return fail_errno(work->why, errno, "could not make the folder %s", out);
}

enum fail ca_work_init(struct ca_work *work, const struct ca_order *order,
                       struct ca_outcome *outcome, struct failure *why)
{
    enum fail rc;

    *work = (struct ca_work){ .order = order,
                              .outcome = outcome,
                              .why = why,
                              .lock = FOLDER_LOCK_NONE,
                              .may_replace = order->force };
    *outcome = (struct ca_outcome){ 0 };
    if ((rc = ca_order_check(order, why)) != FAIL_NONE)
        return rc;
    if (!fill_paths(work))
        return fail(why, FAIL_MEMORY, "out of memory");
    if ((rc = ca_order_names(order, &work->subject, &work->names, why)) != FAIL_NONE)
        return rc;
    if (order->ca != NULL &&
        (rc = ca_folder_open(&work->folder, order->ca, order->now, why)) != FAIL_NONE)
        return rc;
    return make_folder(work);
}

void ca_work_fini(struct ca_work *work, enum fail rc)
{
    file_set_fini(&work->files);
    folder_lock_release(&work->lock);
    if (rc != FAIL_NONE && work->made_folder)
        rmdir(work->order->out);
    issue_free(work->certificate);
    ca_folder_close(&work->folder);
    subject_free(work->subject);
    subject_names_free(work->names);
    free(work->cert);
    free(work->key_file);
    free(work->root);
}

enum fail ca_work_lock(struct ca_work *work)
{
    return folder_lock_take(&work->lock, work->order->out, work->order->ca, work->why);
}

/* ---- the certificate ---- */

static enum fail note(struct ca_work *work, const struct revoke_note *note)
{
    struct index_file index;
    enum fail         rc = ca_folder_read_index(&work->folder, &index, work->why);

    if (rc == FAIL_NONE)
        rc = index_add(&index, note->serial, note->subject, note->not_after, work->why);
    if (rc == FAIL_NONE)
        rc = ca_folder_write_index(&work->folder, &index, &work->files, work->why);
    index_fini(&index);
    return rc;
}

static enum fail sign(struct ca_work *work)
{
    const struct ca_order   *order = work->order;
    const struct issue_order issue = { .purpose = order->purpose,
                                       .subject = work->subject,
                                       .names = work->names,
                                       .key = work->key,
                                       .path_length = order->path_length,
                                       .now = order->now,
                                       .days = order->days };

    work->certificate = order->ca != NULL
                            ? issue_signed(&issue, work->folder.authority, work->why)
                            : issue_self_signed(&issue, work->why);
    return work->certificate != NULL ? FAIL_NONE : FAIL_CERT;
}

enum fail ca_work_issue(struct ca_work *work)
{
    const struct ca_order *order = work->order;
    struct revoke_note     about = { 0 };
    enum fail              rc = sign(work);

    if (rc == FAIL_NONE)
        rc = revoke_note_init(&about, work->certificate, work->why);
    /* first in the books, then in the world: what is not in the index cannot be revoked */
    if (rc == FAIL_NONE && order->ca != NULL)
        rc = note(work, &about);
    work->outcome->not_after = about.not_after;
    work->outcome->ends_with_its_authority =
        about.not_after < order->now + (int64_t)order->days * SECONDS_A_DAY;
    revoke_note_fini(&about);
    return rc;
}

/* ---- the files ---- */

static enum fail add_certificate(struct ca_work *work)
{
    struct buf text = BUF_LIMIT(CHAIN_BYTES);
    enum fail  rc = pem_write_certificate(&text, work->certificate, work->why);

    if (rc == FAIL_NONE && work->order->ca != NULL)
        rc = authority_write_chain(work->folder.authority, &text, work->why);
    if (rc == FAIL_NONE)
        rc = file_set_add(&work->files,
                          &(struct file_source){ .path = work->cert,
                                                 .may_replace = work->may_replace,
                                                 .text = buf_bytes(&text) },
                          work->why);
    buf_fini(&text);
    return rc;
}

/* Whether root.crt has the root already, maybe among others. */
static enum fail has_root(struct ca_work *work, struct bytes root, bool *answer)
{
    struct buf text = BUF_LIMIT(CHAIN_BYTES);
    enum fail  rc = file_read(work->root, &text, work->why);

    *answer = rc == FAIL_NONE && text.len > 0 &&
              memmem(buf_bytes(&text).p, text.len, root.p, root.len) != NULL;
    buf_fini(&text);
    return rc;
}

static enum fail add_root(struct ca_work *work)
{
    struct buf text = BUF_LIMIT(CHAIN_BYTES);
    bool       is_there = false;
    enum fail  rc = authority_write_root(work->folder.authority, &text, work->why);

    if (rc == FAIL_NONE)
        rc = has_root(work, buf_bytes(&text), &is_there);
    if (rc == FAIL_NONE && !is_there)
        rc = file_set_add(&work->files,
                          &(struct file_source){ .path = work->root,
                                                 .may_replace = work->order->force,
                                                 .text = buf_bytes(&text) },
                          work->why);
    buf_fini(&text);
    return rc;
}

/* The certificate last: where it is, all that belongs to it is there too. */
enum fail ca_work_add_chain(struct ca_work *work)
{
    enum fail rc = FAIL_NONE;

    if (work->order->ca != NULL) {
        work->outcome->lacks_root = !authority_knows_root(work->folder.authority);
        if (!work->outcome->lacks_root)
            rc = add_root(work);
    }
    return rc == FAIL_NONE ? add_certificate(work) : rc;
}

static enum fail get_passphrase(struct ca_work *work, struct secret *out)
{
    const struct passphrase_source *source = work->order->passphrase;
    enum fail                       rc = source->get(source, work->key_file, out, work->why);

    if (rc == FAIL_NONE && out->len < 4)
        rc = fail(work->why, FAIL_CONFIG, "a passphrase has at least 4 characters");
    return rc;
}

enum fail ca_work_add_key(struct ca_work *work)
{
    struct secret text = { 0 }, passphrase = { 0 };
    bool          has_one = work->order->passphrase != NULL;
    enum fail     rc = has_one ? get_passphrase(work, &passphrase) : FAIL_NONE;

    if (rc == FAIL_NONE)
        rc = key_kind_write(work->key, has_one ? &passphrase : NULL, &text, work->why);
    if (rc == FAIL_NONE)
        rc = file_set_add(&work->files,
                          &(struct file_source){ .path = work->key_file,
                                                 .kind = FILE_PRIVATE,
                                                 .may_replace = work->may_replace,
                                                 .text = secret_bytes(&text) },
                          work->why);
    secret_fini(&text);
    secret_fini(&passphrase);
    return rc;
}

enum fail ca_work_commit(struct ca_work *work)
{
    enum fail rc = file_set_commit(&work->files, work->why);

    work->outcome->was_written = rc == FAIL_NONE;
    return rc;
}
