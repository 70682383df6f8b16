/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_claims.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int                 texts = strcmp(x->text, y->text);

    return texts != 0 ? texts : (x->order > y->order) - (x->order < y->order);
}

void claims_sort(struct claim *claims, size_t count)
{
    qsort(claims, count, sizeof *claims, compare);
}

void claim_put_name(struct claim *claim, const char *name)
{
    size_t len = 0;

    for (; name[len] != '\0' && len + 1 < sizeof claim->text; len++)
        claim->text[len] = (char)tolower((unsigned char)name[len]);
    claim->text[len] = '\0';
}
