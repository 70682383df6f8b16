/* SPDX-License-Identifier: PostgreSQL */
/*
 * pgtls/version.h - which library this is
 */
#ifndef PGTLS_VERSION_H
#define PGTLS_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* "0.1.0".  Static; never freed. */
const char *pgtls_version(void);

/* The TLS library that runs, for instance "OpenSSL 3.0.19 3 Feb 2026".  Static; never freed. */
const char *pgtls_tls_library(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
