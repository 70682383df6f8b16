/* SPDX-License-Identifier: PostgreSQL */
/*
 * tests/faults/wrong_hash.c - makes one bit of SHA-384 wrong for the program, and not for
 * libcrypto itself
 */
#include "shim.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL)
        abort();
    return found;
}

static int is_of_libcrypto(void *place)
{
    Dl_info found;

    return dladdr(place, &found) != 0 && strstr(found.dli_fname, "libcrypto") != NULL;
}

EXPORT int SHA384_Final(unsigned char *out, void *state);
EXPORT int SHA384_Final(unsigned char *out, void *state)
{
    int rc = REAL(SHA384_Final)(out, state);

    if (!is_of_libcrypto(__builtin_return_address(0)))
        out[0] ^= 1;
    return rc;
}
