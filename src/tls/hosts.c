/* SPDX-License-Identifier: PostgreSQL */
#include "tls/hosts.h"

#include "base/text.h"
#include "x509/name_match.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LONGEST_NAME 253u
#define MOST_HOSTS   10000u

struct host_name {
    char *name; /* in lower case */
    int   host;
};

struct tls_hosts {
    atomic_uint         holders;
    struct tls_policy **policies;
    size_t              count;
    struct host_name   *names; /* sorted */
    size_t              name_count;
    int                 preset, without_name; /* -1: none */
};

/* ---- loading ---- */

static bool is_host_name(const char *name)
{
    size_t len = strlen(name);
    bool   was_dot = true;

    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '.' && was_dot)
            return false;
        if (*c != '.' && *c != '-' && *c != '_' && !isalnum((unsigned char)*c))
            return false;
        was_dot = *c == '.';
    }
    return !was_dot && len <= LONGEST_NAME && !name_is_address(name);
}

static enum fail fail_host_name(const char *name, const char *what, const char *hint,
                                struct failure *why)
{
    char shown[128];

    text_escape(shown, sizeof shown, bytes_of_string(name));
    fail_hint(why, "%s", hint);
    return fail(why, FAIL_CONFIG, "the host name \"%s\" %s", shown, what);
}

enum fail tls_host_name_check(const char *name, struct failure *why)
{
    if (strcmp(name, TLS_HOST_DEFAULT) == 0 || strcmp(name, TLS_HOST_NO_SNI) == 0 ||
        is_host_name(name))
        return FAIL_NONE;
    return fail_host_name(name, "cannot be announced by a client (SNI)",
                          "write a whole DNS name, \"*\" or \"/no_sni/\"; no wildcards, no "
                          "addresses, no dot at the end",
                          why);
}

static enum fail set_word(int *word, int host, const char *name, struct failure *why)
{
    if (*word >= 0)
        return fail_host_name(name, "is there twice", "each name leads to one host", why);
    *word = host;
    return FAIL_NONE;
}

static char *lower_copy(const char *name)
{
    char *copy = malloc(strlen(name) + 1);
    char *to = copy;

    if (copy != NULL) {
        while ((*to++ = (char)tolower((unsigned char)*name++)) != '\0')
            ;
    }
    return copy;
}

static enum fail add_name(struct tls_hosts *hosts, int host, const char *name,
                          struct failure *why)
{
    struct host_name *at = &hosts->names[hosts->name_count];

    if (strcmp(name, TLS_HOST_DEFAULT) == 0)
        return set_word(&hosts->preset, host, name, why);
    if (strcmp(name, TLS_HOST_NO_SNI) == 0)
        return set_word(&hosts->without_name, host, name, why);
    if (tls_host_name_check(name, why) != FAIL_NONE)
        return FAIL_CONFIG;
    if ((at->name = lower_copy(name)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    at->host = host;
    hosts->name_count++;
    return FAIL_NONE;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct host_name *)a)->name, ((const struct host_name *)b)->name);
}

static enum fail sort_names(struct tls_hosts *hosts, struct failure *why)
{
    qsort(hosts->names, hosts->name_count, sizeof *hosts->names, compare);
    for (size_t i = 1; i < hosts->name_count; i++) {
        if (compare(&hosts->names[i - 1], &hosts->names[i]) == 0)
            return fail_host_name(hosts->names[i].name, "is there twice",
                                  "each name leads to one host", why);
    }
    return FAIL_NONE;
}

static enum fail add_host(struct tls_hosts *hosts, const struct tls_host *host,
                          struct failure *why)
{
    enum fail rc = FAIL_NONE;

    if (host->name_count == 0)
        return fail(why, FAIL_CONFIG, "a host without names is never chosen");
    if (tls_policy_options(host->policy)->role != TLS_SERVER)
        return fail(why, FAIL_CONFIG, "the policy of a host must be a server's");
    for (size_t i = 0; rc == FAIL_NONE && i < host->name_count; i++)
        rc = add_name(hosts, (int)hosts->count, host->names[i], why);
    hosts->policies[hosts->count++] = tls_policy_hold(host->policy);
    return rc;
}

static enum fail fill(struct tls_hosts *hosts, const struct tls_host *from, size_t count,
                      struct failure *why)
{
    size_t    names = 0;
    enum fail rc = FAIL_NONE;

    if (count == 0 || count > MOST_HOSTS)
        return fail(why, FAIL_CONFIG, "there must be 1 to %u hosts", MOST_HOSTS);
    for (size_t i = 0; i < count; i++)
        names += from[i].name_count;
    hosts->policies = calloc(count, sizeof(struct tls_policy *));
    hosts->names = calloc(names + 1, sizeof *hosts->names);
    if (hosts->policies == NULL || hosts->names == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    for (size_t i = 0; rc == FAIL_NONE && i < count; i++)
        rc = add_host(hosts, &from[i], why);
    return rc == FAIL_NONE ? sort_names(hosts, why) : rc;
}

struct tls_hosts *tls_hosts_new(const struct tls_host *hosts, size_t count, struct failure *why)
{
    struct tls_hosts *set = calloc(1, sizeof *set);

    if (set == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    atomic_init(&set->holders, 1);
    set->preset = set->without_name = -1;
    if (fill(set, hosts, count, why) == FAIL_NONE)
        return set;
    tls_hosts_release(set);
    return NULL;
}

struct tls_hosts *tls_hosts_hold(struct tls_hosts *hosts)
{
    atomic_fetch_add_explicit(&hosts->holders, 1, memory_order_relaxed);
    return hosts;
}

void tls_hosts_release(struct tls_hosts *hosts)
{
    if (hosts == NULL || atomic_fetch_sub(&hosts->holders, 1) != 1)
        return;
    for (size_t i = 0; i < hosts->count; i++)
        tls_policy_release(hosts->policies[i]);
    for (size_t i = 0; i < hosts->name_count; i++)
        free(hosts->names[i].name);
    free(hosts->policies);
    free(hosts->names);
    free(hosts);
}

size_t tls_hosts_count(const struct tls_hosts *hosts)
{
    return hosts->count;
}

struct tls_policy *tls_hosts_policy(const struct tls_hosts *hosts, size_t n)
{
    return hosts->policies[n];
}

/* ---- finding ---- */

int tls_hosts_find(const struct tls_hosts *hosts, struct bytes name)
{
    char              lower[LONGEST_NAME + 1];
    struct host_name  key = { .name = lower };
    struct host_name *found = NULL;

    if (name.p == NULL)
        return hosts->without_name;
    /* RFC 6066 3: without a trailing dot; and a name with a NUL is none */
    if (name.len == 0 || name.len > LONGEST_NAME || name.p[name.len - 1] == '.' ||
        memchr(name.p, '\0', name.len) != NULL)
        return -1;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = (char)tolower(name.p[i]);
    lower[name.len] = '\0';
    if (hosts->name_count > 0)
        found = bsearch(&key, hosts->names, hosts->name_count, sizeof key, compare);
    return found != NULL ? found->host : hosts->preset;
}
