/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/renewal.h - is it time for a new certificate?
 */
#ifndef PGTLS_X509_RENEWAL_H
#define PGTLS_X509_RENEWAL_H

#include "base/bytes.h"
#include "base/fail.h"

struct authority;
struct stack_st_GENERAL_NAME;
struct X509_name_st;

struct renewal {
    const char                   *cert_file, *key_file;
    const struct authority       *authority; /* that signs; NULL: it signs itself */
    struct X509_name_st          *subject;   /* as it is to be */
    struct stack_st_GENERAL_NAME *names;
    const char                   *key_kind; /* NULL: whatever it is */
    int64_t                       now, before_s;
};

/*
 * Judges the first certificate of the file.  *due becomes why it is to be renewed, in words, or
 * NULL: it ends soon, another authority signs now, the subject, names or kind of key
 * are others, or the key file is not its key.  One that already ends with its authority is not
 * renewed for its date: a new one would not live longer.  A file that cannot be read is
 * a failure.
 */
enum fail renewal_judge(const struct renewal *renewal, const char **due,
                        struct failure *why) WARN_UNUSED;

#endif
