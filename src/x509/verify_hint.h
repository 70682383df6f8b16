/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/verify_hint.h - what to do where a chain of certificates does not verify
 */
#ifndef PGTLS_X509_VERIFY_HINT_H
#define PGTLS_X509_VERIFY_HINT_H

/* For an error of X509_STORE_CTX_get_error(); NULL where there is nothing to say. */
const char *verify_hint(int error);

#endif
