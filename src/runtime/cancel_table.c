/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/cancel_table.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define STRIPES          64u
#define SLOTS_PER_STRIPE 256u

struct cancel_entry {
    struct cancel_entry *next;
    struct cancel_place  place;
    uint16_t             key_len;
    uint8_t              key[];
};

struct stripe {
    pthread_mutex_t      lock;
    struct cancel_entry *slots[SLOTS_PER_STRIPE];
};

struct cancel_table {
    size_t        most;
    atomic_size_t count;
    struct stripe stripes[STRIPES];
};

struct cancel_table *cancel_table_new(size_t most)
{
    struct cancel_table *table = calloc(1, sizeof *table);

    if (table == NULL)
        return NULL;
    table->most = most;
    for (unsigned i = 0; i < STRIPES; i++)
        pthread_mutex_init(&table->stripes[i].lock, NULL);
    return table;
}

/* A cancel key is a secret, also in memory that was given back. */
static void forget(struct cancel_entry *entry)
{
    explicit_bzero(entry->key, entry->key_len);
    free(entry);
}

static void free_chain(struct cancel_entry *entry)
{
    while (entry != NULL) {
        struct cancel_entry *next = entry->next;

        forget(entry);
        entry = next;
    }
}

void cancel_table_free(struct cancel_table *table)
{
    if (table == NULL)
        return;
    for (unsigned i = 0; i < STRIPES; i++) {
        for (unsigned n = 0; n < SLOTS_PER_STRIPE; n++)
            free_chain(table->stripes[i].slots[n]);
        pthread_mutex_destroy(&table->stripes[i].lock);
    }
    free(table);
}

/* Keys are the servers' random numbers: nobody aims at a chain. */
static struct stripe *stripe_of(struct cancel_table *table, struct bytes key,
                                struct cancel_entry ***slot)
{
    uint64_t       h = bytes_hash(BYTES_HASH_START, key);
    struct stripe *stripe = &table->stripes[h % STRIPES];

    *slot = &stripe->slots[h / STRIPES % SLOTS_PER_STRIPE];
    return stripe;
}

static bool has_key(const struct cancel_entry *entry, struct bytes key)
{
    return bytes_equal(bytes_of(entry->key, entry->key_len), key);
}

static struct cancel_entry *new_entry(struct bytes key, const struct cancel_place *place)
{
    struct cancel_entry *entry = malloc(sizeof *entry + key.len);

    if (entry == NULL)
        return NULL;
    entry->place = *place;
    entry->key_len = (uint16_t)key.len;
    memcpy(entry->key, key.p, key.len);
    return entry;
}

struct cancel_entry *cancel_table_enter(struct cancel_table *table, struct bytes key,
                                        const struct cancel_place *place)
{
    struct cancel_entry  *entry;
    struct cancel_entry **slot;
    struct stripe        *stripe;

    if (key.len == 0 || key.len > CANCEL_KEY_MOST)
        return NULL;
    if (atomic_fetch_add(&table->count, 1) >= table->most ||
        (entry = new_entry(key, place)) == NULL) {
        atomic_fetch_sub(&table->count, 1);
        return NULL;
    }
    stripe = stripe_of(table, key, &slot);
    pthread_mutex_lock(&stripe->lock);
    entry->next = *slot;
    *slot = entry;
    pthread_mutex_unlock(&stripe->lock);
    return entry;
}

void cancel_table_leave(struct cancel_table *table, struct cancel_entry *entry)
{
    struct cancel_entry **link;
    struct stripe *stripe = stripe_of(table, bytes_of(entry->key, entry->key_len), &link);

    pthread_mutex_lock(&stripe->lock);
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    pthread_mutex_unlock(&stripe->lock);
    atomic_fetch_sub(&table->count, 1);
    forget(entry);
}

size_t cancel_table_find(struct cancel_table *table, struct bytes key,
                         struct cancel_place *places, size_t most)
{
    struct cancel_entry **slot;
    struct stripe        *stripe = stripe_of(table, key, &slot);
    size_t                count = 0;

    pthread_mutex_lock(&stripe->lock);
    for (const struct cancel_entry *entry = *slot; entry != NULL; entry = entry->next) {
        if (!has_key(entry, key))
            continue;
        if (count < most)
            places[count] = entry->place;
        count++;
    }
    pthread_mutex_unlock(&stripe->lock);
    return count;
}

size_t cancel_table_count(const struct cancel_table *table)
{
    return atomic_load(&table->count);
}
