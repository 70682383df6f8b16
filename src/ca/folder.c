/* SPDX-License-Identifier: PostgreSQL */
#include "ca/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define ATTRIBUTES    "unique_subject = no\n"
#define FIRST_NUMBER  "01\n"
#define LARGEST_BYTES 16u /* of a number */

static bool fill_paths(struct ca_folder *folder, const char *path)
{
    *folder = (struct ca_folder){
        .cert = file_path(path, "ca.crt"),
        .key = file_path(path, "ca.key"),
        .root = file_path(path, "root.crt"),
        .index = file_path(path, "index.txt"),
        .attributes = file_path(path, "index.txt.attr"),
        .number = file_path(path, "crlnumber"),
        .crl = file_path(path, "ca.crl"),
    };
    return folder->cert != NULL && folder->key != NULL && folder->root != NULL &&
           folder->index != NULL && folder->attributes != NULL && folder->number != NULL &&
           folder->crl != NULL;
}

enum fail ca_folder_open(struct ca_folder *folder, const char *path, int64_t now,
                         struct failure *why)
{
    struct stat st;

    if (!fill_paths(folder, path))
        return fail(why, FAIL_MEMORY, "out of memory");
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        fail_hint(why, "it is the folder with ca.crt and ca.key");
        return fail(why, FAIL_CONFIG, "%s is no folder of an authority", path);
    }
    folder->authority = authority_load(folder->cert, folder->root, now, why);
    return folder->authority != NULL ? FAIL_NONE : FAIL_CERT;
}

void ca_folder_close(struct ca_folder *folder)
{
    free(folder->cert);
    free(folder->key);
    free(folder->root);
    free(folder->index);
    free(folder->attributes);
    free(folder->number);
    free(folder->crl);
    authority_free(folder->authority);
    *folder = (struct ca_folder){ 0 };
}

enum fail ca_folder_load_key(struct ca_folder *folder, const struct passphrase_source *source,
                             struct failure *why)
{
    return authority_load_key(folder->authority, folder->key, source, why);
}

enum fail ca_folder_read_index(const struct ca_folder *folder, struct index_file *index,
                               struct failure *why)
{
    struct buf text = BUF_LIMIT(CA_INDEX_BYTES);
    enum fail  rc;

    *index = (struct index_file){ 0 };
    if ((rc = file_read(folder->index, &text, why)) == FAIL_NONE &&
        (rc = index_parse(index, buf_bytes(&text), why)) != FAIL_NONE)
        fail_context(why, "%s", folder->index);
    buf_fini(&text);
    return rc;
}

enum fail ca_folder_write_index(const struct ca_folder *folder, const struct index_file *index,
                                struct file_set *files, struct failure *why)
{
    struct buf text = BUF_LIMIT(CA_INDEX_BYTES);
    enum fail  rc;

    index_write(index, &text);
    if (!buf_ok(&text))
        rc = fail(why, FAIL_MEMORY, "out of memory");
    else
        rc = file_set_add(files,
                          &(struct file_source){ .path = folder->index,
                                                 .may_replace = true,
                                                 .text = buf_bytes(&text) },
                          why);
    buf_fini(&text);
    return rc;
}

/* ---- numbers of lists ---- */

/* One more, in place; false where it would need one digit more. */
static bool count_up(char *hex)
{
    for (size_t i = strlen(hex); i-- > 0;) {
        if (hex[i] == 'F' || hex[i] == 'f')
            hex[i] = '0';
        else {
            hex[i] = hex[i] == '9' ? 'A' : (char)(hex[i] + 1);
            return true;
        }
    }
    return false;
}

static enum fail read_number(const struct ca_folder *folder, char out[static CA_NUMBER_BYTES],
                             struct failure *why)
{
    struct buf text = BUF_LIMIT(8192);
    enum fail  rc = file_read(folder->number, &text, why);
    size_t     digits = 0;

    if (rc == FAIL_NONE && buf_bytes(&text).len == 0)
        buf_put(&text, BYTES(FIRST_NUMBER));
    buf_put_u8(&text, 0);
    if (rc == FAIL_NONE && buf_ok(&text)) {
        digits = strspn((const char *)buf_bytes(&text).p, "0123456789abcdefABCDEF");
        if (digits == 0 || digits > 2 * LARGEST_BYTES) {
            fail_hint(why, "one hexadecimal number of a few digits is expected");
            rc = fail(why, FAIL_CERT, "%s has no number", folder->number);
        } else
            snprintf(out, CA_NUMBER_BYTES, "%.*s", (int)digits,
                     (const char *)buf_bytes(&text).p);
    }
    buf_fini(&text);
    return rc;
}

enum fail ca_folder_take_number(const struct ca_folder *folder,
                                char out[static CA_NUMBER_BYTES], struct file_set *files,
                                struct failure *why)
{
    char      next[CA_NUMBER_BYTES], line[CA_NUMBER_BYTES + 4];
    enum fail rc = read_number(folder, out, why);

    if (rc != FAIL_NONE)
        return rc;
    memcpy(next, out, sizeof next);
    snprintf(line, sizeof line, "%s%s\n", count_up(next) ? "" : "01", next);
    return file_set_add(files,
                        &(struct file_source){ .path = folder->number,
                                               .may_replace = true,
                                               .text = bytes_of_string(line) },
                        why);
}

/* ---- a new authority ---- */

/* Books in which nothing stands yet: a run that was killed has left them behind. */
static bool says_no_more(const char *path, struct bytes text)
{
    struct buf there = BUF_LIMIT(8192);
    bool       is_same =
        file_read(path, &there, NULL) == FAIL_NONE && bytes_equal(buf_bytes(&there), text);

    buf_fini(&there);
    return is_same;
}

static enum fail add(struct file_set *files, const char *path, bool may_replace,
                     struct bytes text, struct failure *why)
{
    struct file_source source = { .path = path,
                                  .may_replace = may_replace || says_no_more(path, text),
                                  .text = text };

    return file_set_add(files, &source, why);
}

enum fail ca_folder_found(const char *path, bool may_replace, struct file_set *files,
                          struct failure *why)
{
    struct ca_folder folder;
    enum fail        rc =
        fill_paths(&folder, path) ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");

    if (rc == FAIL_NONE)
        rc = add(files, folder.index, may_replace, bytes_of_string(""), why);
    if (rc == FAIL_NONE)
        rc = add(files, folder.attributes, may_replace, bytes_of_string(ATTRIBUTES), why);
    if (rc == FAIL_NONE)
        rc = add(files, folder.number, may_replace, bytes_of_string(FIRST_NUMBER), why);
    ca_folder_close(&folder);
    return rc;
}
