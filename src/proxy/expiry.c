/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/expiry.h"

#include "proxy/inventory.h"
#include "x509/certificate.h"

#include <stdlib.h>
#include <string.h>

#define SECONDS_A_DAY ((int64_t)86400)
#define US_A_SECOND   ((uint64_t)1000000)
#define LONGEST_SLEEP 3600 /* seconds: the date may be set in between */

static const int64_t warnings[] = { 30, 14, 7, 3, 1, 0 }; /* days */
#define WARNINGS (sizeof warnings / sizeof *warnings)

/* One certificate of one file. */
struct ending {
    struct inventory_item item;
    size_t                told; /* how many of the warnings */
};

struct expiry {
    struct loop       *loop;
    struct log        *log;
    struct generation *generation; /* that the texts belong to */
    struct ending     *endings;    /* sorted, each once */
    size_t             count;
    struct loop_timer  timer;
};

/* ---- the list ---- */

static int compare(const void *a, const void *b)
{
    const struct inventory_item *x = &((const struct ending *)a)->item;
    const struct inventory_item *y = &((const struct ending *)b)->item;
    int                          files = strcmp(x->file, y->file);

    return files != 0 ? files : strcmp(x->fingerprint, y->fingerprint);
}

/* The first of those that are the same, in the order of the inventory. */
static int compare_in_order(const void *a, const void *b)
{
    const struct ending *x = a, *y = b;
    int                  same = compare(a, b);

    return same != 0 ? same : (x->told > y->told) - (x->told < y->told);
}

static size_t sort_and_unite(struct ending *endings, size_t count)
{
    size_t kept = 0;

    qsort(endings, count, sizeof *endings, compare_in_order);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare(&endings[kept - 1], &endings[i]) != 0)
            endings[kept++] = endings[i];
    return kept;
}

/* What is the same as before was told before. */
static void remember(const struct expiry *expiry, struct ending *endings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct ending *before = NULL;

        if (expiry->count > 0)
            before =
                bsearch(&endings[i], expiry->endings, expiry->count, sizeof *endings, compare);
        endings[i].told = before != NULL ? before->told : 0;
    }
}

static struct ending *list(const struct inventory *inventory)
{
    struct ending *endings = calloc(inventory->count + 1, sizeof *endings);

    for (size_t i = 0; endings != NULL && i < inventory->count; i++)
        endings[i] = (struct ending){ .item = inventory->items[i], .told = i };
    return endings;
}

/* ---- warning ---- */

static void warn(const struct expiry *expiry, const struct inventory_item *item, int64_t now)
{
    char            date[CERTIFICATE_DATE];
    struct log_line line;

    if (!log_begin(&line, expiry->log, EVENT_CERTIFICATE_EXPIRING))
        return;
    log_text(&line, "route", item->route);
    log_text(&line, "leg", item->leg);
    log_text(&line, "what", item->what);
    log_text(&line, "file", item->file);
    log_text(&line, "subject", item->subject);
    log_text(&line, "serial", item->serial);
    log_text(&line, "not_after", certificate_date(item->not_after, date));
    log_integer(&line, "days", certificate_days_left(item->not_after, now));
    log_end(&line);
}

static size_t due(const struct inventory_item *item, int64_t now)
{
    size_t n = 0;

    while (n < WARNINGS && item->not_after - now <= warnings[n] * SECONDS_A_DAY)
        n++;
    return item->not_after != 0 ? n : 0;
}

/* Seconds until the next warning. */
static int64_t wait_for(const struct inventory_item *item, int64_t now)
{
    size_t n = due(item, now);

    if (item->not_after == 0 || n == WARNINGS)
        return LONGEST_SLEEP;
    return item->not_after - now - warnings[n] * SECONDS_A_DAY;
}

static void look(struct expiry *expiry)
{
    int64_t now = loop_wall_s(expiry->loop);
    int64_t sleep = LONGEST_SLEEP;

    for (size_t i = 0; i < expiry->count; i++) {
        struct ending *ending = &expiry->endings[i];
        size_t         n = due(&ending->item, now);
        int64_t        wait = wait_for(&ending->item, now);

        if (n > ending->told) {
            warn(expiry, &ending->item, now);
            ending->told = n;
        }
        sleep = wait < sleep ? wait : sleep;
    }
    loop_timer_start(expiry->loop, &expiry->timer, (uint64_t)sleep * US_A_SECOND);
}

static void on_timer(struct loop_timer *timer)
{
    look(container_of(timer, struct expiry, timer));
}

/* ---- life ---- */

struct expiry *expiry_new(struct loop *loop, struct log *log)
{
    struct expiry *expiry = calloc(1, sizeof *expiry);

    if (expiry == NULL)
        return NULL;
    expiry->loop = loop;
    expiry->log = log;
    expiry->timer.expired = on_timer;
    return expiry;
}

static void forget(struct expiry *expiry)
{
    free(expiry->endings);
    generation_release(expiry->generation);
}

void expiry_free(struct expiry *expiry)
{
    if (expiry == NULL)
        return;
    loop_timer_stop(expiry->loop, &expiry->timer);
    forget(expiry);
    free(expiry);
}

bool expiry_set(struct expiry *expiry, struct generation *generation)
{
    struct inventory inventory = { 0 };
    struct ending   *endings = NULL;
    size_t           count;

    if (inventory_take(&inventory, generation))
        endings = list(&inventory);
    count = inventory.count;
    inventory_fini(&inventory);
    if (endings == NULL)
        return false;
    count = sort_and_unite(endings, count);
    remember(expiry, endings, count);
    forget(expiry);
    expiry->generation = generation_hold(generation);
    expiry->endings = endings;
    expiry->count = count;
    look(expiry);
    return true;
}
