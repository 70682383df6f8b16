/* SPDX-License-Identifier: PostgreSQL */
/* What a conversation needs until ReadyForQuery, and how it ends. */
#include "proxy/conversation_state.h"

#include "base/secret.h"

void approach_free(struct approach *a)
{
    if (a == NULL)
        return;
    login_fini(&a->login);
    bridging_stop(a);
    looking_up_stop(a);
    secret_wipe_buf(&a->pending); /* a password may have come early */
    buf_fini(&a->held);
    secret_wipe(a, sizeof *a);
    slab_give(a);
}
