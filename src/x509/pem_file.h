/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/pem_file.h - files with certificates and keys, read whole by one open
 *
 * Only regular files are read: a FIFO or a directory is refused without
 * waiting.  Type, owner and mode are asked of the open descriptor, so that they
 * are those of the bytes that are read.
 */
#ifndef PGTLS_X509_PEM_FILE_H
#define PGTLS_X509_PEM_FILE_H

#include "base/buf.h"
#include "base/fail.h"

struct stack_st_X509;

enum pem_file_kind {
    PEM_FILE_CERTIFICATES,
    PEM_FILE_KEY,         /* PostgreSQL's rule for owner and mode holds */
    PEM_FILE_SERVERS_KEY, /* the same as seen by root: the owner may be whoever the server is */
};

/*
 * Reads the file into `out` in one allocation.  Its text may be a key: end with
 * pem_file_wipe(), which also frees, whatever was returned.  Binary forms (DER,
 * PKCS#12) are failures with a hint.
 */
enum fail pem_file_read(const char *file, enum pem_file_kind kind, struct buf *out,
                        struct failure *why) WARN_UNUSED;
void      pem_file_wipe(struct buf *text);

/* Which of the three the first PEM block of the file is; FAIL_CERT where it is none of them, a
 * key for instance. */
enum pem_content { PEM_CERTIFICATE, PEM_REQUEST, PEM_CRL };
enum fail pem_file_content(const char *file, enum pem_content *out,
                           struct failure *why) WARN_UNUSED;

/* All certificates of the file in their order, at least one; the caller's stack.  NULL on
 * failure. */
struct stack_st_X509 *pem_file_certificates(const char *file, struct failure *why);
void                  pem_file_free_certificates(struct stack_st_X509 *certificates);

#endif
