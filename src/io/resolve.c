/* SPDX-License-Identifier: PostgreSQL */
#include "io/resolve.h"

#include <ares.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A look-up lives until c-ares has answered it and the answer is told, which a cancelled
 * request does not wait for. */
struct resolve_lookup {
    struct resolver        *resolver;
    struct resolve_request *request; /* NULL: cancelled */
    struct resolve_lookup  *next;
    uint16_t                port;
    size_t                  count;
    struct failure          why;
    struct address          addresses[RESOLVE_MOST];
    char                    host[256];
};

/* A socket of c-ares. */
struct resolver_socket {
    struct loop_watch       watch;
    struct resolver        *resolver;
    struct resolver_socket *next;
};

struct resolver {
    struct loop            *loop;
    ares_channel            channel;
    struct loop_timer       timeout; /* when c-ares wants to be called */
    struct loop_timer       tell;    /* answers are told in a later turn */
    struct resolver_socket *sockets;
    struct resolve_lookup  *answered;
    struct resolve_lookup **answered_end;
    struct resolve_request *starved; /* there was no memory for a look-up */
};

/* ---- answers ---- */

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
    if (status == ARES_EDESTRUCTION)
        free(lookup);
    else
        answer(lookup);
}

/* ---- c-ares on the loop ---- */

static void rearm(struct resolver *resolver)
{
    struct timeval  storage;
    struct timeval *left = ares_timeout(resolver->channel, NULL, &storage);

    if (left == NULL)
        loop_timer_stop(resolver->loop, &resolver->timeout);
    else
        loop_timer_start(resolver->loop, &resolver->timeout,
                         (uint64_t)left->tv_sec * 1000000 + (uint64_t)left->tv_usec);
}

static void on_timeout(struct loop_timer *timer)
{
    struct resolver *resolver = container_of(timer, struct resolver, timeout);

    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    rearm(resolver);
}

static void on_ready(struct loop_watch *watch, unsigned what)
{
    struct resolver *resolver = container_of(watch, struct resolver_socket, watch)->resolver;
    int              fd = watch->fd;

    /* frees `watch` where c-ares closes the socket */
    ares_process_fd(resolver->channel, what & LOOP_READABLE ? fd : ARES_SOCKET_BAD,
                    what & LOOP_WRITABLE ? fd : ARES_SOCKET_BAD);
    rearm(resolver);
}

static struct resolver_socket **find(struct resolver *resolver, int fd)
{
    struct resolver_socket **at = &resolver->sockets;

    while (*at != NULL && (*at)->watch.fd != fd)
        at = &(*at)->next;
    return at;
}

static void forget_socket(struct resolver *resolver, struct resolver_socket **at)
{
    struct resolver_socket *gone = *at;

    *at = gone->next;
    loop_watch_stop(resolver->loop, &gone->watch);
    free(gone);
}

static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver         *resolver = arg;
    struct resolver_socket **at = find(resolver, fd);
    unsigned                 what =
        (readable ? (unsigned)LOOP_READABLE : 0u) | (writable ? (unsigned)LOOP_WRITABLE : 0u);
    struct failure ignored = { 0 };

    if (*at == NULL && what != 0) {
        if ((*at = calloc(1, sizeof **at)) == NULL)
            return; /* this query times out, as after any lost packet */
        (*at)->resolver = resolver;
        (*at)->watch = (struct loop_watch){ .ready = on_ready, .fd = fd };
    }
    if (*at == NULL)
        return;
    if (what == 0 ||
        loop_watch_start(resolver->loop, &(*at)->watch, what, &ignored) != FAIL_NONE)
        forget_socket(resolver, at);
}

static void init_library(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
}

static enum fail open_channel(struct resolver *resolver, struct failure *why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char                  hosts_then_dns[] = "fb";
    struct ares_options   options = { .sock_state_cb = on_socket_state,
                                      .sock_state_cb_data = resolver,
                                      .lookups = hosts_then_dns };
    int                   status;

    pthread_once(&once, init_library);
    status = ares_init_options(&resolver->channel, &options,
                               ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS);
    if (status == ARES_SUCCESS)
        return FAIL_NONE;
    return fail(why, status == ARES_ENOMEM ? FAIL_MEMORY : FAIL_IO,
                "cannot start the resolver: %s", ares_strerror(status));
}

struct resolver *resolver_new(struct loop *loop, struct failure *why)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);

    if (resolver == NULL) {
        fail(why, FAIL_MEMORY, "no memory for the resolver");
        return NULL;
    }
    resolver->loop = loop;
    resolver->timeout.expired = on_timeout;
    resolver->tell.expired = on_tell;
    resolver->answered_end = &resolver->answered;
    if (open_channel(resolver, why) != FAIL_NONE) {
        free(resolver);
        return NULL;
    }
    return resolver;
}

enum fail resolver_use_servers(struct resolver *resolver, const char *servers,
                               struct failure *why)
{
    int status = ares_set_servers_ports_csv(resolver->channel, servers);

    if (status == ARES_SUCCESS)
        return FAIL_NONE;
    return fail(why, FAIL_CONFIG, "\"%s\" is no list of name servers: %s", servers,
                ares_strerror(status));
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    ares_destroy(resolver->channel); /* cancelled look-ups that it still has end here */
    while (resolver->sockets != NULL)
        forget_socket(resolver, &resolver->sockets);
    while (resolver->answered != NULL) {
        struct resolve_lookup *lookup = resolver->answered;

        resolver->answered = lookup->next;
        free(lookup);
    }
    loop_timer_stop(resolver->loop, &resolver->timeout);
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
    ares_getaddrinfo(resolver->channel, lookup->host, NULL, &hints, on_answer, lookup);
    rearm(resolver);
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
