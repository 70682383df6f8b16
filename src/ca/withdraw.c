/* SPDX-License-Identifier: PostgreSQL */
#include "ca/withdraw.h"

#include "ca/file_set.h"
#include "ca/folder.h"
#include "ca/lock.h"
#include "x509/certificate.h"
#include "x509/crl.h"
#include "x509/issue.h"
#include "x509/pem_write.h"
#include "x509/revoke.h"

#include <stdio.h>
#include <stdlib.h>

#define LISTS_BYTES ((size_t)256 * 1024 * 1024)

/* ---- revocation ---- */

/* A certificate of before the index, or of a lost one, is noted first. */
static enum fail find_row(const struct ca_revocation *revocation, struct index_file *index,
                          const struct revoke_note *note, struct index_row **row,
                          struct failure *why)
{
    const char *serial = note->serial != NULL ? note->serial : revocation->serial;

    *row = index_find(index, serial);
    if (*row != NULL)
        return FAIL_NONE;
    if (note->serial == NULL) {
        fail_hint(why, "index.txt there has the numbers of all that it has signed");
        return fail(why, FAIL_CERT, "%s has signed no certificate with that serial",
                    revocation->ca);
    }
    if (index_add(index, note->serial, note->subject, note->not_after, why) != FAIL_NONE)
        return FAIL_MEMORY;
    *row = &index->rows[index->count - 1];
    return FAIL_NONE;
}

static enum fail revoke(const struct ca_revocation *revocation, const struct ca_folder *folder,
                        const struct revoke_note *note, char *serial, struct failure *why)
{
    struct index_file index;
    struct file_set   files = { 0 };
    struct index_row *row = NULL;
    enum fail         rc = ca_folder_read_index(folder, &index, why);

    if (rc == FAIL_NONE)
        rc = find_row(revocation, &index, note, &row, why);
    if (rc == FAIL_NONE)
        rc = index_revoke(row, revocation->now, revocation->reason, why);
    if (rc == FAIL_NONE)
        rc = ca_folder_write_index(folder, &index, &files, why);
    if (rc == FAIL_NONE)
        rc = file_set_commit(&files, why);
    if (rc == FAIL_NONE)
        snprintf(serial, CA_SERIAL_TEXT, "%s", row->serial);
    file_set_fini(&files);
    index_fini(&index);
    return rc;
}

/* What the certificate says, if it is this authority's. */
static enum fail read_note(const struct ca_revocation *revocation,
                           const struct ca_folder *folder, struct revoke_note *note,
                           struct failure *why)
{
    struct x509_st *certificate =
        authority_load_signed(folder->authority, revocation->cert, why);
    enum fail rc = certificate != NULL ? FAIL_NONE : FAIL_CERT;

    if (rc == FAIL_NONE)
        rc = revoke_note_init(note, certificate, why);
    issue_free(certificate);
    return rc;
}

static bool is_reason(const char *word)
{
    for (const char *const *reason = revoke_reasons(); *reason != NULL; reason++)
        if (strcmp(*reason, word) == 0)
            return true;
    return false;
}

enum fail ca_revoke(const struct ca_revocation *revocation, char serial[static CA_SERIAL_TEXT],
                    struct failure *why)
{
    struct ca_folder   folder;
    struct folder_lock lock = FOLDER_LOCK_NONE;
    struct revoke_note note = { 0 };
    enum fail          rc;

    *serial = '\0';
    if (revocation->reason != NULL && !is_reason(revocation->reason))
        return fail(why, FAIL_CONFIG, "that is no reason for a revocation");
    rc = ca_folder_open(&folder, revocation->ca, revocation->now, why);
    if (rc == FAIL_NONE && revocation->cert != NULL)
        rc = read_note(revocation, &folder, &note, why);
    if (rc == FAIL_NONE)
        rc = folder_lock_take(&lock, revocation->ca, NULL, why);
    if (rc == FAIL_NONE)
        rc = revoke(revocation, &folder, &note, serial, why);
    folder_lock_release(&lock);
    revoke_note_fini(&note);
    ca_folder_close(&folder);
    return rc;
}

/* ---- lists ---- */

struct list_work {
    const struct ca_list_order *order;
    struct ca_list_outcome     *outcome;
    struct failure             *why;
    struct ca_folder            folder;
    struct file_set             files;
    struct index_file           index;
    struct buf                  text;
};

static enum fail write_list(struct list_work *work, const struct revoke_order *order)
{
    struct X509_crl_st *crl = revoke_make_crl(order, work->folder.authority, work->why);
    enum fail rc = crl != NULL ? pem_write_crl(&work->text, crl, work->why) : FAIL_CERT;

    revoke_free_crl(crl);
    return rc;
}

static enum fail make_list(struct list_work *work)
{
    struct revoked     *items = calloc(work->index.count + 1, sizeof *items);
    struct revoke_order order = { .items = items,
                                  .number = work->outcome->number,
                                  .now = work->order->now,
                                  .days = work->order->days };
    enum fail           rc;

    if (items == NULL)
        return fail(work->why, FAIL_MEMORY, "out of memory");
    for (size_t i = 0; i < work->index.count; i++) {
        const struct index_row *row = &work->index.rows[i];

        if (row->status == 'R')
            items[order.count++] = (struct revoked){ .serial = row->serial,
                                                     .at = row->revoked_at,
                                                     .reason = index_reason(row) };
    }
    work->outcome->revoked = order.count;
    rc = write_list(work, &order);
    free(items);
    return rc;
}

static enum fail append_lists(struct list_work *work)
{
    struct crl_list *lists;
    enum fail        rc = FAIL_NONE;

    if (work->order->append == NULL)
        return FAIL_NONE;
    if ((lists = crl_list_load(work->order->append, NULL, work->why)) == NULL)
        return FAIL_CERT;
    for (size_t i = 0; rc == FAIL_NONE && i < crl_list_count(lists); i++)
        rc = pem_write_crl(&work->text, crl_list_get(lists, i), work->why);
    crl_list_free(lists);
    return rc;
}

/* The number first: one that was used twice would hide a revocation, one left out hides none.
 */
static enum fail write_files(struct list_work *work)
{
    const char *file = work->order->out != NULL ? work->order->out : work->folder.crl;
    enum fail   rc = ca_folder_read_index(&work->folder, &work->index, work->why);

    if (rc == FAIL_NONE)
        rc = ca_folder_take_number(&work->folder, work->outcome->number, &work->files,
                                   work->why);
    if (rc == FAIL_NONE)
        rc = make_list(work);
    if (rc == FAIL_NONE)
        rc = append_lists(work);
    if (rc == FAIL_NONE)
        rc = file_set_add(&work->files,
                          &(struct file_source){ .path = file,
                                                 .may_replace = true,
                                                 .text = buf_bytes(&work->text) },
                          work->why);
    if (rc == FAIL_NONE)
        rc = file_set_commit(&work->files, work->why);
    snprintf(work->outcome->file, sizeof work->outcome->file, "%s", file);
    return rc;
}

enum fail ca_write_list(const struct ca_list_order *order, struct ca_list_outcome *outcome,
                        struct failure *why)
{
    struct list_work work = {
        .order = order, .outcome = outcome, .why = why, .text = BUF_LIMIT(LISTS_BYTES)
    };
    struct folder_lock lock = FOLDER_LOCK_NONE;
    enum fail          rc;

    *outcome = (struct ca_list_outcome){ 0 };
    if (order->days == 0 || order->days > ISSUE_MOST_DAYS)
        return fail(why, FAIL_CONFIG, "days must be 1 to %u", ISSUE_MOST_DAYS);
    rc = ca_folder_open(&work.folder, order->ca, order->now, why);
    if (rc == FAIL_NONE)
        rc = ca_folder_load_key(&work.folder, order->passphrase, why);
    if (rc == FAIL_NONE)
        rc = folder_lock_take(&lock, order->ca, NULL, why);
    if (rc == FAIL_NONE)
        rc = write_files(&work);
    file_set_fini(&work.files);
    folder_lock_release(&lock);
    index_fini(&work.index);
    buf_fini(&work.text);
    ca_folder_close(&work.folder);
    return rc;
}
