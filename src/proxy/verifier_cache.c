/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/verifier_cache.h"

#include "base/secret.h"

#include <stdlib.h>

enum { BUCKETS = 1024 };

struct entry {
    struct entry         *next;          /* of its bucket */
    struct entry         *older, *newer; /* by when it was put in */
    uint64_t              put_us;
    bool                  is_known;
    struct scram_verifier verifier;
    char                  user[];
};

struct verifier_cache {
    size_t        most, count;
    uint64_t      lifetime_us;
    struct entry *oldest, *newest;
    struct entry *buckets[BUCKETS];
};

struct verifier_cache *verifier_cache_new(size_t users, uint64_t lifetime_us)
{
    struct verifier_cache *cache = calloc(1, sizeof *cache);

    if (cache != NULL) {
        cache->most = users;
        cache->lifetime_us = lifetime_us;
    }
    return cache;
}

/* What points to the entry, or to the NULL behind the last one of its bucket. */
static struct entry **place_of(struct verifier_cache *cache, const char *user)
{
    uint32_t       hash = 2166136261u; /* FNV-1a */
    struct entry **place;

    for (const char *c = user; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    place = &cache->buckets[hash % BUCKETS];
    while (*place != NULL && strcmp((*place)->user, user) != 0)
        place = &(*place)->next;
    return place;
}

static void drop(struct verifier_cache *cache, struct entry **place)
{
    struct entry *entry = *place;

    *place = entry->next;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    cache->count--;
    secret_wipe(entry, sizeof *entry);
    free(entry);
}

void verifier_cache_free(struct verifier_cache *cache)
{
    while (cache != NULL && cache->oldest != NULL)
        drop(cache, place_of(cache, cache->oldest->user));
    free(cache);
}

void verifier_cache_forget(struct verifier_cache *cache, const char *user)
{
    struct entry **place = place_of(cache, user);

    if (*place != NULL)
        drop(cache, place);
}

bool verifier_cache_find(const struct verifier_cache *cache, const char *user, uint64_t now_us,
                         const struct scram_verifier **verifier)
{
    const struct entry *entry = *place_of((struct verifier_cache *)cache, user);

    *verifier = NULL;
    if (entry == NULL || now_us - entry->put_us >= cache->lifetime_us)
        return false;
    if (entry->is_known)
        *verifier = &entry->verifier;
    return true;
}

void verifier_cache_put(struct verifier_cache *cache, const char *user, uint64_t now_us,
                        const struct scram_verifier *verifier)
{
    size_t        size = strlen(user) + 1;
    struct entry *entry;

    verifier_cache_forget(cache, user);
    if (cache->count == cache->most)
        drop(cache, place_of(cache, cache->oldest->user));
    entry = calloc(1, sizeof *entry + size);
    if (entry == NULL)
        return;
    memcpy(entry->user, user, size);
    entry->put_us = now_us;
    entry->is_known = verifier != NULL;
    if (verifier != NULL)
        entry->verifier = *verifier;
    entry->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
    *place_of(cache, user) = entry;
    cache->count++;
}
