/* SPDX-License-Identifier: PostgreSQL */
#include "harness/group_pki.h"

struct tls_pki pki;

int group_pki_make(void **state)
{
    tls_pki_init(&pki);
    return 0;
}

int group_pki_remove(void **state)
{
    tls_pki_fini(&pki);
    return 0;
}
