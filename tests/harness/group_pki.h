/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/group_pki.h - the authorities and certificates that all tests of a program share
 *
 *     return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
 *
 * A program that needs more of them has a pair of functions of its own, which call these.
 */
#ifndef PGTLS_HARNESS_GROUP_PKI_H
#define PGTLS_HARNESS_GROUP_PKI_H

#include "harness/tls_pair.h"

extern struct tls_pki pki;

int group_pki_make(void **state); /* both 0, as cmocka wants it */
int group_pki_remove(void **state);

#endif
