/* SPDX-License-Identifier: PostgreSQL */
#include "io/resolve.h"

#include "io/name_channel.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SYSTEM_FILE "/etc/resolv.conf"
#define LOOK_US     1000000u /* how often the file is looked at, at most */

/* A look-up lives until c-ares has answered it and the answer is told, which a cancelled
 * request does not wait for. */
struct resolve_lookup {
    struct resolver        *resolver;
    struct name_channel    *channel; /* that is asked; NULL: none */
    struct resolve_request *request; /* NULL: cancelled */
    struct resolve_lookup  *next;
    uint16_t                port;
    size_t                  count;
    struct failure          why;
    struct address          addresses[RESOLVE_MOST];
    char                    host[256];
};

/* A reading of the file: another one has another of these. */
struct reading {
    struct timespec changed;
    ino_t           inode;
    off_t           size;
};

struct resolver {
    struct loop            *loop;
    const char             *file;    /* NULL: the name servers are what they are */
    struct reading          reading; /* of the file, that `channel` has its servers from */
    uint64_t                looked_us;
    struct name_channel    *channel;
    struct name_channel    *retired; /* still asked for what came before the file changed */
    struct loop_timer       tell;    /* answers are told in a later turn */
    struct resolve_lookup  *answered;
    struct resolve_lookup **answered_end;
    struct resolve_request *starved; /* there was no memory for a look-up */
};

/* ---- answers ---- */

/* Never from within an answer of theirs. */
static void free_retired(struct resolver *resolver)
{
    struct name_channel **at = &resolver->retired;

    while (*at != NULL) {
        struct name_channel *channel = *at;

        if (channel->asked > 0) {
            at = &channel->next;
        } else {
            *at = channel->next;
            name_channel_free(channel);
        }
    }
}

static void tell(struct resolve_lookup *lookup)
{
    struct resolve_request *request = lookup->request;

    if (request != NULL) {
        request->lookup = NULL;
        request->resolver = NULL;
        request->resolved(request, lookup->addresses, lookup->count, &lookup->why);
    }
    free(lookup);
}

static void tell_later(struct resolver *resolver)
{
    if (!loop_timer_is_running(&resolver->tell))
        loop_timer_start(resolver->loop, &resolver->tell, 0);
}

/* One a turn: where memory is short, who is told may well ask again at once. */
static void tell_starved(struct resolver *resolver)
{
    struct resolve_request *request = resolver->starved;
    struct failure          why = { 0 };

    if (request == NULL)
        return;
    resolver->starved = request->next;
    if (resolver->starved != NULL)
        tell_later(resolver);
    fail(&why, FAIL_MEMORY, "no memory to look up a host name");
    request->resolver = NULL;
    request->resolved(request, NULL, 0, &why);
}

static void on_tell(struct loop_timer *timer)
{
    struct resolver *resolver = container_of(timer, struct resolver, tell);

    while (resolver->answered != NULL) {
        struct resolve_lookup *lookup = resolver->answered;

        resolver->answered = lookup->next;
        if (resolver->answered == NULL)
            resolver->answered_end = &resolver->answered;
        tell(lookup);
    }
    tell_starved(resolver);
    free_retired(resolver);
}

static void answer(struct resolve_lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;

    lookup->next = NULL;
    *resolver->answered_end = lookup;
    resolver->answered_end = &lookup->next;
    tell_later(resolver);
}

static void keep_addresses(struct resolve_lookup *lookup, const struct ares_addrinfo *info)
{
    const struct ares_addrinfo_node *node = info->nodes;

    for (; node != NULL && lookup->count < RESOLVE_MOST; node = node->ai_next) {
        struct address *address = &lookup->addresses[lookup->count];

        if (node->ai_family != AF_INET && node->ai_family != AF_INET6)
            continue;
        address_from_system(address, node->ai_addr, (size_t)node->ai_addrlen);
        address_set_port(address, lookup->port);
        lookup->count++;
    }
}

static void explain(struct resolve_lookup *lookup, int status)
{
    struct failure *why = &lookup->why;

    if (status == ARES_SUCCESS)
        status = ARES_ENODATA;
    fail(why, status == ARES_ENOMEM ? FAIL_MEMORY : FAIL_IO, "cannot look up \"%s\": %s",
         lookup->host, ares_strerror(status));
    if (status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED)
        fail_hint(why, "no name server of /etc/resolv.conf answers");
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct resolve_lookup *lookup = arg;

    if (status == ARES_SUCCESS)
        keep_addresses(lookup, info);
    ares_freeaddrinfo(info);
    if (lookup->count == 0)
        explain(lookup, status);
    lookup->channel->asked--;
    if (status == ARES_EDESTRUCTION)
        free(lookup);
    else
        answer(lookup);
}

/* ---- name servers ---- */

static struct reading read_file(const char *file)
{
    struct stat info;

    if (stat(file, &info) != 0)
        return (struct reading){ .size = -1 };
    return (struct reading){ info.st_mtim, info.st_ino, info.st_size };
}

static bool is_same(const struct reading *a, const struct reading *b)
{
    return a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* As the C library does it: a machine may get other name servers at any time.  Where a new
 * channel cannot be had, the old one goes on. */
static void follow_file(struct resolver *resolver)
{
    uint64_t             now = loop_now_us(resolver->loop);
    struct failure       ignored = { 0 };
    struct name_channel *channel;
    struct reading       reading;

    if (resolver->file == NULL || now - resolver->looked_us < LOOK_US)
        return;
    resolver->looked_us = now;
    reading = read_file(resolver->file);
    if (is_same(&reading, &resolver->reading) ||
        (channel = name_channel_new(resolver->loop, resolver->file, &ignored)) == NULL)
        return;
    resolver->reading = reading;
    resolver->channel->next = resolver->retired;
    resolver->retired = resolver->channel;
    resolver->channel = channel;
    free_retired(resolver);
}

/* ---- life ---- */

struct resolver *resolver_new_of(struct loop *loop, const char *file, struct failure *why)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);

    if (resolver == NULL) {
        fail(why, FAIL_MEMORY, "no memory for the resolver");
        return NULL;
    }
    resolver->loop = loop;
    resolver->file = file;
    resolver->looked_us = loop_now_us(loop);
    resolver->reading = read_file(file);
    resolver->tell.expired = on_tell;
    resolver->answered_end = &resolver->answered;
    if ((resolver->channel = name_channel_new(loop, file, why)) == NULL) {
        free(resolver);
        return NULL;
    }
    return resolver;
}

struct resolver *resolver_new(struct loop *loop, struct failure *why)
{
    return resolver_new_of(loop, SYSTEM_FILE, why);
}

enum fail resolver_use_servers(struct resolver *resolver, const char *servers,
                               struct failure *why)
{
    int status = ares_set_servers_ports_csv(resolver->channel->ares, servers);

    resolver->file = NULL;
    if (status == ARES_SUCCESS)
        return FAIL_NONE;
    return fail(why, FAIL_CONFIG, "\"%s\" is no list of name servers: %s", servers,
                ares_strerror(status));
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    resolver->channel->next = resolver->retired;
    while (resolver->channel != NULL) {
        struct name_channel *channel = resolver->channel;

        resolver->channel = channel->next;
        name_channel_free(channel); /* cancelled look-ups that it still has end here */
    }
    while (resolver->answered != NULL) {
        struct resolve_lookup *lookup = resolver->answered;

        resolver->answered = lookup->next;
        free(lookup);
    }
    loop_timer_stop(resolver->loop, &resolver->tell);
    free(resolver);
}

/* ---- requests ---- */

static void look_up(struct resolve_lookup *lookup)
{
    struct resolver           *resolver = lookup->resolver;
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

    if (address_from_numeric(&lookup->addresses[0], lookup->host, lookup->port)) {
        lookup->count = 1;
        answer(lookup);
        return;
    }
    follow_file(resolver);
    lookup->channel = resolver->channel;
    lookup->channel->asked++;
    ares_getaddrinfo(lookup->channel->ares, lookup->host, NULL, &hints, on_answer, lookup);
    name_channel_rearm(resolver->channel);
}

void resolver_start(struct resolver *resolver, struct resolve_request *request,
                    const char *host, uint16_t port)
{
    struct resolve_lookup *lookup = calloc(1, sizeof *lookup);

    request->resolver = resolver;
    request->lookup = lookup;
    if (lookup == NULL) {
        request->next = resolver->starved;
        resolver->starved = request;
        tell_later(resolver);
        return;
    }
    lookup->resolver = resolver;
    lookup->request = request;
    lookup->port = port;
    if (strlen(host) < sizeof lookup->host) {
        memcpy(lookup->host, host, strlen(host) + 1);
        look_up(lookup);
        return;
    }
    fail(&lookup->why, FAIL_CONFIG, "cannot look up \"%.40s...\": the name is too long", host);
    answer(lookup);
}

static void remove_starved(struct resolve_request *request)
{
    struct resolve_request **at = &request->resolver->starved;

    while (*at != NULL && *at != request)
        at = &(*at)->next;
    if (*at != NULL)
        *at = request->next;
}

void resolver_cancel(struct resolve_request *request)
{
    if (request->resolver == NULL)
        return;
    if (request->lookup != NULL)
        request->lookup->request = NULL;
    else
        remove_starved(request);
    request->lookup = NULL;
    request->resolver = NULL;
}
