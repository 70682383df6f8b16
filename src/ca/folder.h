/* SPDX-License-Identifier: PostgreSQL */
/*
 * ca/folder.h - an authority's folder
 *
 *   ca.crt          its certificate, and those of the authorities above it but the root
 *   ca.key          its key
 *   root.crt        the root, where it is not that itself
 *   index.txt       what it has signed (ca/index.h), with index.txt.attr for `openssl ca`
 *   crlnumber       the number of its next revocation list, hexadecimal
 *   ca.crl          its revocation list
 *
 * Who changes it has locked it (ca/lock.h).
 */
#ifndef PGTLS_CA_FOLDER_H
#define PGTLS_CA_FOLDER_H

#include "ca/file_set.h"
#include "ca/index.h"
#include "x509/authority.h"

#define CA_INDEX_BYTES  ((size_t)256 * 1024 * 1024)
#define CA_NUMBER_BYTES 40u

struct ca_folder {
    char             *cert, *key, *root, *index, *attributes, *number, *crl; /* paths */
    struct authority *authority;
};

/* Loads the certificates, not the key.  End with ca_folder_close, whatever was returned. */
enum fail ca_folder_open(struct ca_folder *folder, const char *path, int64_t now,
                         struct failure *why) WARN_UNUSED;
void      ca_folder_close(struct ca_folder *folder);

enum fail ca_folder_load_key(struct ca_folder *folder, const struct passphrase_source *source,
                             struct failure *why) WARN_UNUSED;

/* What the index says now; none is empty.  End with index_fini. */
enum fail ca_folder_read_index(const struct ca_folder *folder, struct index_file *index,
                               struct failure *why) WARN_UNUSED;

/* The new index becomes one of the files that are written together. */
enum fail ca_folder_write_index(const struct ca_folder *folder, const struct index_file *index,
                                struct file_set *files, struct failure *why) WARN_UNUSED;

/* The number for the next list; the one behind it becomes one of the files. */
enum fail ca_folder_take_number(const struct ca_folder *folder,
                                char out[static CA_NUMBER_BYTES], struct file_set *files,
                                struct failure *why) WARN_UNUSED;

/* The books of a new authority: an empty index, and the number 1. */
enum fail ca_folder_found(const char *path, bool may_replace, struct file_set *files,
                          struct failure *why) WARN_UNUSED;

#endif
