/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/describe.h"

#include "io/clock.h"
#include "proxy/inventory.h"
#include "x509/certificate.h"

#include <stdio.h>

/* ---- routes ---- */

static void put_store(struct buf *report, const struct tls_policy *policy)
{
    const struct trust *trust = policy != NULL ? tls_policy_options(policy)->trust : NULL;

    if (trust != NULL && trust_is_system(trust))
        buf_put_format(report, ", root_ca is the system's store");
    buf_put_format(report, "\n");
}

static void put_backend(struct buf *report, const struct route *route)
{
    const struct backend_settings *backend = &route->settings->backend;

    for (size_t i = 0; i < route->target_count; i++) {
        buf_put_format(report, "  backend %s, sslmode %s", route->targets[i].text,
                       sslmode_name((enum sslmode)backend->sslmode));
        put_store(report, route->backend_policy);
    }
}

static void put_host(struct buf *report, const struct route *host)
{
    const struct conf_strings *names = &host->settings->listener.names;

    buf_put_format(report, "  host");
    for (size_t i = 0; i < names->count; i++)
        buf_put_format(report, " %s%s", names->items[i], i + 1 < names->count ? "," : "");
    buf_put_format(report, ", sslmode %s\n",
                   sslmode_name((enum sslmode)host->settings->listener.sslmode));
    if (host->settings->has_own_backend)
        put_backend(report, host);
}

static void put_route(struct buf *report, const struct route *route)
{
    const struct listener_settings *listener = &route->settings->listener;

    buf_put_format(report, "route \"%s\"\n", route->settings->name);
    for (size_t i = 0; i < listener->bind_address.count; i++)
        buf_put_format(report, "  listener %s, sslmode %s\n", listener->bind_address.items[i],
                       sslmode_name((enum sslmode)listener->sslmode));
    put_backend(report, route);
    for (size_t i = 0; i < route->host_count; i++)
        put_host(report, route->hosts[i]);
}

/* ---- the table of what was loaded ---- */

enum {
    COLUMN_ROUTE,
    COLUMN_LEG,
    COLUMN_WHAT,
    COLUMN_FILE,
    COLUMN_KEY,
    COLUMN_END,
    COLUMN_DAYS
};
#define COLUMNS 7 /* and the subject with its names, which is as long as it likes */

static const char *const titles[COLUMNS] = {
    "ROUTE", "LEG", "WHAT", "FILE", "KEY", "NOT AFTER", "DAYS",
};

struct row {
    const char *cells[COLUMNS];
    char        end[CERTIFICATE_DATE];
    char        days[24];
};

static void fill_row(struct row *row, const struct inventory_item *item, int64_t now)
{
    bool ends = item->not_after != 0;

    *row = (struct row){ .cells = { item->route, item->leg, item->what, item->file } };
    if (ends)
        snprintf(row->days, sizeof row->days, "%lld",
                 (long long)certificate_days_left(item->not_after, now));
    row->cells[COLUMN_KEY] = item->key != NULL ? item->key : "-";
    row->cells[COLUMN_END] = ends ? certificate_date(item->not_after, row->end) : "never";
    row->cells[COLUMN_DAYS] = ends ? row->days : "-";
}

static void widen(int widths[static COLUMNS], const char *const *cells)
{
    for (size_t i = 0; i < COLUMNS; i++)
        if ((int)strlen(cells[i]) > widths[i])
            widths[i] = (int)strlen(cells[i]);
}

static void put_cells(struct buf *report, const int *widths, const char *const *cells)
{
    for (size_t i = 0; i < COLUMNS; i++)
        buf_put_format(report, i == COLUMN_DAYS ? "%*s  " : "%-*s  ", widths[i], cells[i]);
}

static void put_table(struct buf *report, const struct inventory *inventory, int64_t now)
{
    int        widths[COLUMNS] = { 0 };
    struct row row;

    widen(widths, titles);
    for (size_t i = 0; i < inventory->count; i++) {
        fill_row(&row, &inventory->items[i], now);
        widen(widths, row.cells);
    }
    buf_put_format(report, "\n");
    put_cells(report, widths, titles);
    buf_put_format(report, "SUBJECT AND NAMES\n");
    for (size_t i = 0; i < inventory->count; i++) {
        const struct inventory_item *item = &inventory->items[i];

        fill_row(&row, item, now);
        put_cells(report, widths, row.cells);
        buf_put_format(report, item->names[0] != '\0' ? "%s (%s)\n" : "%s%s\n", item->subject,
                       item->names);
    }
}

bool describe_generation(const struct generation *generation, struct buf *report)
{
    struct inventory inventory;
    bool             is_taken = inventory_take(&inventory, generation);

    for (size_t i = 0; i < generation->settings->route_count; i++)
        put_route(report, generation->routes[i]);
    if (is_taken && inventory.count > 0)
        put_table(report, &inventory, (int64_t)(clock_wall_us() / 1000000));
    inventory_fini(&inventory);
    return is_taken;
}
