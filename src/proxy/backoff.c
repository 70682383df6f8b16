/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/backoff.h"

#define FIRST_US ((uint64_t)1000000)
#define MOST_US  (30 * FIRST_US)

static struct backoff_entry *find(const struct backoff *backoff, const struct address *address)
{
    for (size_t i = 0; i < BACKOFF_MOST; i++) {
        const struct backoff_entry *entry = &backoff->entries[i];

        if (entry->failed_us != 0 && address_equal(&entry->address, address))
            return (struct backoff_entry *)entry;
    }
    return NULL;
}

/* A free entry, or the one whose time is up first. */
static struct backoff_entry *take(struct backoff *backoff)
{
    struct backoff_entry *best = &backoff->entries[0];

    for (size_t i = 1; i < BACKOFF_MOST; i++)
        if (backoff->entries[i].until_us < best->until_us)
            best = &backoff->entries[i];
    return best;
}

bool backoff_holds(const struct backoff *backoff, const struct address *address,
                   uint64_t before_us, uint64_t now_us)
{
    const struct backoff_entry *entry = find(backoff, address);

    return entry != NULL && entry->failed_us < before_us && now_us < entry->until_us;
}

void backoff_failed(struct backoff *backoff, const struct address *address, uint64_t now_us)
{
    struct backoff_entry *entry = find(backoff, address);
    uint64_t              hold;

    if (entry == NULL) {
        entry = take(backoff);
        *entry = (struct backoff_entry){ .address = *address };
    }
    hold = entry->failures < 5 ? FIRST_US << entry->failures : MOST_US;
    entry->failures++;
    entry->failed_us = now_us != 0 ? now_us : 1;
    entry->until_us = now_us + hold;
}

void backoff_worked(struct backoff *backoff, const struct address *address)
{
    struct backoff_entry *entry = find(backoff, address);

    if (entry != NULL)
        *entry = (struct backoff_entry){ 0 };
}
