/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/inspection.h - what is wrong with these files, one thing after another
 *
 * Looks at a certificate as the other side will, and goes on after what is bad: each step has
 * a verdict and says which certificate, date or name it is about.
 */
#ifndef PGTLS_X509_INSPECTION_H
#define PGTLS_X509_INSPECTION_H

#include "base/fail.h"
#include "x509/private_key.h"

#include <stddef.h>
#include <stdint.h>

enum inspection_step {
    INSPECT_ORDER,
    INSPECT_KEY,
    INSPECT_DATES,
    INSPECT_STRENGTH,
    INSPECT_TRUST,
    INSPECT_REVOCATION,
    INSPECT_PURPOSE,
    INSPECT_NAME,
    INSPECT_STEPS
};

enum inspection_verdict { INSPECTED_NOT, INSPECTED_GOOD, INSPECTED_BAD };

struct inspection_files {
    const char                     *cert;       /* with its chain */
    const char                     *key;        /* NULL: not looked at; and so the others */
    const struct passphrase_source *passphrase; /* opens the key; or NULL */
    const char                     *ca;         /* or TRUST_SYSTEM */
    const char                     *crl;        /* with ca only */
    const char *const              *names;      /* hosts that clients connect to, or the user */
    size_t                          name_count;
    bool                            is_client; /* whose certificate it is */
    int64_t                         now;
};

struct inspection {
    struct {
        enum inspection_verdict verdict;
        char                    text[300]; /* what was found */
        char                    hint[192]; /* what to do where it is bad; or "" */
    } steps[INSPECT_STEPS];
    bool is_good; /* nothing is bad */
};

const char *inspection_step_name(enum inspection_step step); /* "order", "key" ... */

/* A failure where the files cannot be looked at at all: the certificate, the CA or the list. */
enum fail inspection_run(const struct inspection_files *files, struct inspection *out,
                         struct failure *why) WARN_UNUSED;

#endif
