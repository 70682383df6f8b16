/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/ip_counts.h"

#include "io/network.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define STRIPES          64u
#define SLOTS_PER_STRIPE 64u /* chains grow behind each */

struct entry {
    struct entry *next;
    uint8_t       key[16];
    uint64_t      count;
};

struct stripe {
    pthread_mutex_t lock;
    struct entry   *slots[SLOTS_PER_STRIPE];
};

struct ip_counts {
    struct stripe stripes[STRIPES];
};

struct ip_counts *ip_counts_new(void)
{
    struct ip_counts *counts = calloc(1, sizeof *counts);

    for (unsigned i = 0; counts != NULL && i < STRIPES; i++)
        pthread_mutex_init(&counts->stripes[i].lock, NULL);
    return counts;
}

static void free_chain(struct entry *entry)
{
    while (entry != NULL) {
        struct entry *next = entry->next;

        free(entry);
        entry = next;
    }
}

void ip_counts_free(struct ip_counts *counts)
{
    if (counts == NULL)
        return;
    for (unsigned i = 0; i < STRIPES; i++) {
        for (unsigned n = 0; n < SLOTS_PER_STRIPE; n++)
            free_chain(counts->stripes[i].slots[n]);
        pthread_mutex_destroy(&counts->stripes[i].lock);
    }
    free(counts);
}

/* A client that aims at one chain costs only its own stripe. */
static struct stripe *stripe_of(struct ip_counts *counts, const uint8_t key[static 16],
                                struct entry ***slot)
{
    uint64_t       h = bytes_hash(BYTES_HASH_START, bytes_of(key, 16));
    struct stripe *stripe = &counts->stripes[h % STRIPES];

    *slot = &stripe->slots[h / STRIPES % SLOTS_PER_STRIPE];
    return stripe;
}

/* What points at the entry of `key`, or at the end of its chain. */
static struct entry **find(struct entry **slot, const uint8_t key[static 16])
{
    while (*slot != NULL && memcmp((*slot)->key, key, 16) != 0)
        slot = &(*slot)->next;
    return slot;
}

uint64_t ip_counts_add(struct ip_counts *counts, const struct address *address)
{
    uint8_t        key[16];
    struct entry **slot;
    struct stripe *stripe;
    uint64_t       count = 0;

    if (!network_key(address, key))
        return 0;
    stripe = stripe_of(counts, key, &slot);
    pthread_mutex_lock(&stripe->lock);
    slot = find(slot, key);
    if (*slot == NULL && (*slot = calloc(1, sizeof **slot)) != NULL)
        memcpy((*slot)->key, key, sizeof key);
    if (*slot != NULL)
        count = ++(*slot)->count;
    pthread_mutex_unlock(&stripe->lock);
    return count;
}

void ip_counts_remove(struct ip_counts *counts, const struct address *address)
{
    uint8_t        key[16];
    struct entry **slot, *entry;
    struct stripe *stripe;

    if (!network_key(address, key))
        return;
    stripe = stripe_of(counts, key, &slot);
    pthread_mutex_lock(&stripe->lock);
    slot = find(slot, key);
    entry = *slot;
    assert(entry != NULL);
    if (--entry->count == 0) {
        *slot = entry->next;
        free(entry);
    }
    pthread_mutex_unlock(&stripe->lock);
}
