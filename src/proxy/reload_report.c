/* SPDX-License-Identifier: PostgreSQL */
/* The log lines of reloads. */
#include "proxy/inventory.h"
#include "proxy/server_parts.h"
#include "x509/certificate.h"

#include <stdio.h>
#include <string.h>

static bool has_certificate(const struct inventory *inventory, const char *fingerprint)
{
    for (size_t i = 0; i < inventory->count; i++)
        if (strcmp(inventory->items[i].fingerprint, fingerprint) == 0)
            return true;
    return false;
}

/* "a, b"; what does not fit is left out. */
static void append(char *list, size_t size, const char *word)
{
    size_t used = strlen(list);

    if (used + strlen(word) + 3 <= size)
        snprintf(list + used, size - used, "%s%s", used > 0 ? ", " : "", word);
}

/* Those that are shown since now, and were not before. */
static void put_new_certificates(struct log_line *line, const struct generation *before,
                                 const struct generation *now)
{
    char             serials[1000] = "", ends[1000] = "", date[CERTIFICATE_DATE];
    struct inventory old = { 0 }, new = { 0 };

    if (inventory_take(&old, before) && inventory_take(&new, now))
        for (size_t i = 0; i < new.count; i++) {
            const struct inventory_item *item = &new.items[i];

            if (!inventory_is_own(item) || has_certificate(&old, item->fingerprint) ||
                has_certificate(&(struct inventory){ new.items, i }, item->fingerprint))
                continue;
            append(serials, sizeof serials, item->serial);
            append(ends, sizeof ends, certificate_date(item->not_after, date));
        }
    log_text(line, "serial", serials);
    log_text(line, "not_after", ends);
    inventory_fini(&old);
    inventory_fini(&new);
}

/* Every problem is a line; but where there are errors, warnings are of something that does not
 * serve. */
static void log_problems(struct server *server, enum log_event event, const char *cause,
                         const struct conf_problems *problems)
{
    struct log_line line;

    for (size_t i = 0; i < problems->count; i++)
        if ((problems->error_count == 0 || !problems->items[i].is_warning) &&
            log_begin(&line, server->log, event)) {
            log_text(&line, "cause", cause);
            log_text(&line, "reason", problems->items[i].text);
            if (event == EVENT_RELOAD_FAILED)
                log_number(&line, "failures", server->failed_reloads);
            log_end(&line);
        }
}

void server_log_failed(struct server *server, const char *cause,
                       const struct conf_problems *problems)
{
    server->failed_reloads++;
    log_problems(server, EVENT_RELOAD_FAILED, cause, problems);
}

void server_log_done(struct server *server, const struct generation *before, const char *cause,
                     const struct conf_problems *problems)
{
    struct log_line line;

    log_problems(server, EVENT_RELOAD_WARNING, cause, problems);
    if (!log_begin(&line, server->log, EVENT_RELOAD_OK))
        return;
    log_text(&line, "cause", cause);
    log_number(&line, "generation", server->generation->number);
    log_number(&line, "routes", server->generation->settings->route_count);
    put_new_certificates(&line, before, server->generation);
    log_end(&line);
}
