/* SPDX-License-Identifier: PostgreSQL */
#include "x509/trust_pool.h"

#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

struct member {
    struct member     *next;
    struct trust_files files; /* no file: it was not loaded here */
    struct trust      *trust;
    X509_STORE        *store; /* NULL: nobody has asked yet */
};

struct trust_pool {
    struct member *members;
};

struct trust_pool *trust_pool_new(void)
{
    return calloc(1, sizeof(struct trust_pool));
}

void trust_pool_free(struct trust_pool *pool)
{
    while (pool != NULL && pool->members != NULL) {
        struct member *member = pool->members;

        pool->members = member->next;
        trust_release(member->trust);
        X509_STORE_free(member->store);
        free(member);
    }
    free(pool);
}

/* Takes the trust over. */
static struct member *add(struct trust_pool *pool, struct trust *trust, struct failure *why)
{
    struct member *member = calloc(1, sizeof *member);

    if (member == NULL) {
        (void)fail(why, FAIL_MEMORY, "out of memory");
        trust_release(trust);
        return NULL;
    }
    member->trust = trust;
    member->next = pool->members;
    pool->members = member;
    return member;
}

static bool same_name(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static struct member *of_files(struct trust_pool *pool, const struct trust_files *files)
{
    struct member *member = pool->members;

    while (member != NULL && !(same_name(member->files.file, files->file) &&
                               same_name(member->files.crl_file, files->crl_file) &&
                               same_name(member->files.crl_dir, files->crl_dir)))
        member = member->next;
    return member;
}

struct trust *trust_pool_load(struct trust_pool *pool, const struct trust_files *files,
                              struct failure *why)
{
    struct member *member = pool != NULL ? of_files(pool, files) : NULL;
    struct trust  *trust;

    if (member != NULL)
        return trust_hold(member->trust);
    trust = trust_load_files(files, why);
    if (trust == NULL || pool == NULL)
        return trust;
    if ((member = add(pool, trust, why)) == NULL)
        return NULL;
    member->files = *files;
    return trust_hold(trust);
}

static struct member *of_trust(struct trust_pool *pool, struct trust *trust,
                               struct failure *why)
{
    struct member *member = pool->members;

    while (member != NULL && member->trust != trust)
        member = member->next;
    return member != NULL ? member : add(pool, trust_hold(trust), why);
}

X509_STORE *trust_pool_store(struct trust_pool *pool, struct trust *trust, struct failure *why)
{
    struct member *member;

    if (pool == NULL)
        return trust_new_store(trust, why);
    if ((member = of_trust(pool, trust, why)) == NULL)
        return NULL;
    if (member->store == NULL)
        member->store = trust_new_store(trust, why);
    if (member->store == NULL || X509_STORE_up_ref(member->store) != 1)
        return NULL;
    return member->store;
}
