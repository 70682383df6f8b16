/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/refusals.h"

static const char *const limits[REFUSAL_COUNT] = {
    [REFUSAL_ALLOW] = "allow",
    [REFUSAL_DENY] = "deny",
    [REFUSAL_TRUSTED_PROXIES] = "trusted_proxies",
    [REFUSAL_CANCEL_UNKNOWN] = "cancel_unknown",
    [REFUSAL_CANCELS] = "cancels_per_second",
};

static void tell(struct refusals_kind *kind)
{
    const struct refusals *r = kind->owner;
    struct log_line        line;
    char                   client[ADDRESS_TEXT];

    if (log_begin(&line, r->log, EVENT_LIMIT_REACHED)) {
        log_text(&line, "route", r->route);
        log_text(&line, "limit", limits[kind - r->kinds]);
        log_number(&line, "count", kind->count);
        log_text(&line, "client", address_format(&kind->last, client));
        log_end(&line);
    }
    kind->count = 0;
}

static void on_timer(struct loop_timer *timer)
{
    struct refusals_kind *kind = container_of(timer, struct refusals_kind, timer);

    if (kind->count == 0)
        return;
    tell(kind);
    loop_timer_start(kind->owner->loop, timer, REFUSALS_EVERY_US);
}

void refusals_init(struct refusals *refusals, struct loop *loop, struct log *log,
                   const char *route)
{
    *refusals = (struct refusals){ .loop = loop, .log = log, .route = route };
    for (size_t i = 0; i < REFUSAL_COUNT; i++) {
        refusals->kinds[i].owner = refusals;
        refusals->kinds[i].timer.expired = on_timer;
    }
}

void refusals_fini(struct refusals *refusals)
{
    for (size_t i = 0; i < REFUSAL_COUNT; i++) {
        loop_timer_stop(refusals->loop, &refusals->kinds[i].timer);
        if (refusals->kinds[i].count > 0)
            tell(&refusals->kinds[i]);
    }
}

void refusals_note(struct refusals *refusals, enum refusal which, const struct address *client)
{
    struct refusals_kind *kind = &refusals->kinds[which];

    kind->count++;
    kind->last = *client;
    if (loop_timer_is_running(&kind->timer))
        return;
    tell(kind);
    loop_timer_start(refusals->loop, &kind->timer, REFUSALS_EVERY_US);
}
