/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/verifier_cache.h"

#include "base/secret.h"
#include "io/loop.h"

#include <search.h>
#include <stdlib.h>

/* A worker drops so many in one call: it has others to serve. */
enum { DROPPED_AT_ONCE = 64 };

struct answer {
    struct answer        *older, *newer; /* by when it was put in, among its kind */
    uint64_t              put_us;
    bool                  is_known;
    struct scram_verifier verifier;
    char                  user[]; /* what the tree points to */
};

struct by_age {
    struct answer *oldest, *newest;
};

struct verifier_cache {
    size_t        most, count;
    uint64_t      lifetime_us;
    void         *by_name; /* a tree of search.h */
    struct by_age known, strangers;
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

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static struct answer *answer_of(const struct verifier_cache *cache, const char *user)
{
    char *const *node = tfind(user, &cache->by_name, compare_names);

    return node != NULL ? container_of(*node, struct answer, user) : NULL;
}

static struct by_age *kind_of(struct verifier_cache *cache, const struct answer *answer)
{
    return answer->is_known ? &cache->known : &cache->strangers;
}

static void drop(struct verifier_cache *cache, struct answer *answer)
{
    struct by_age *kind = kind_of(cache, answer);

    tdelete(answer->user, &cache->by_name, compare_names);
    *(answer->older != NULL ? &answer->older->newer : &kind->oldest) = answer->newer;
    *(answer->newer != NULL ? &answer->newer->older : &kind->newest) = answer->older;
    cache->count--;
    secret_wipe(answer, sizeof *answer);
    free(answer);
}

void verifier_cache_free(struct verifier_cache *cache)
{
    while (cache != NULL && cache->known.oldest != NULL)
        drop(cache, cache->known.oldest);
    while (cache != NULL && cache->strangers.oldest != NULL)
        drop(cache, cache->strangers.oldest);
    free(cache);
}

static bool is_over(const struct verifier_cache *cache, const struct answer *answer,
                    uint64_t now_us)
{
    return now_us - answer->put_us >= cache->lifetime_us;
}

static void drop_old(struct verifier_cache *cache, struct by_age *kind, uint64_t now_us)
{
    for (unsigned i = 0; i < DROPPED_AT_ONCE && kind->oldest != NULL; i++) {
        if (!is_over(cache, kind->oldest, now_us))
            break;
        drop(cache, kind->oldest);
    }
}

void verifier_cache_forget(struct verifier_cache *cache, const char *user)
{
    struct answer *answer = answer_of(cache, user);

    if (answer != NULL)
        drop(cache, answer);
}

bool verifier_cache_find(struct verifier_cache *cache, const char *user, uint64_t now_us,
                         const struct scram_verifier **verifier)
{
    const struct answer *answer;

    drop_old(cache, &cache->known, now_us);
    drop_old(cache, &cache->strangers, now_us);
    *verifier = NULL;
    answer = answer_of(cache, user);
    if (answer == NULL || is_over(cache, answer, now_us))
        return false;
    if (answer->is_known)
        *verifier = &answer->verifier;
    return true;
}

/* False where nobody gives way to such an answer. */
static bool make_room(struct verifier_cache *cache, bool is_known)
{
    if (cache->count < cache->most)
        return true;
    if (cache->strangers.oldest != NULL)
        drop(cache, cache->strangers.oldest);
    else if (is_known)
        drop(cache, cache->known.oldest);
    return cache->count < cache->most;
}

static struct answer *answer_new(const char *user, uint64_t now_us,
                                 const struct scram_verifier *verifier)
{
    size_t         size = strlen(user) + 1;
    struct answer *answer = calloc(1, sizeof *answer + size);

    if (answer == NULL)
        return NULL;
    memcpy(answer->user, user, size);
    answer->put_us = now_us;
    answer->is_known = verifier != NULL;
    if (verifier != NULL)
        answer->verifier = *verifier;
    return answer;
}

static void append(struct by_age *kind, struct answer *answer)
{
    answer->older = kind->newest;
    *(kind->newest != NULL ? &kind->newest->newer : &kind->oldest) = answer;
    kind->newest = answer;
}

void verifier_cache_put(struct verifier_cache *cache, const char *user, uint64_t now_us,
                        const struct scram_verifier *verifier)
{
    struct answer *answer;

    verifier_cache_forget(cache, user);
    drop_old(cache, &cache->known, now_us);
    drop_old(cache, &cache->strangers, now_us);
    if (!make_room(cache, verifier != NULL))
        return;
    answer = answer_new(user, now_us, verifier);
    if (answer != NULL && tsearch(answer->user, &cache->by_name, compare_names) != NULL) {
        append(kind_of(cache, answer), answer);
        cache->count++;
    } else if (answer != NULL) {
        secret_wipe(answer, sizeof *answer);
        free(answer);
    }
}
