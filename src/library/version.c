/* SPDX-License-Identifier: PostgreSQL */
#include "pgtls/version.h"

#include "tls/context.h"

const char *pgtls_version(void)
{
    return PGTLS_VERSION;
}

const char *pgtls_tls_library(void)
{
    return tls_library_version();
}
