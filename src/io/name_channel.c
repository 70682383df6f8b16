/* SPDX-License-Identifier: PostgreSQL */
#include "io/name_channel.h"

#include <pthread.h>
#include <stdlib.h>

/* A socket of c-ares. */
struct name_socket {
    struct loop_watch    watch;
    struct name_channel *channel;
    struct name_socket  *next;
};

void name_channel_rearm(struct name_channel *channel)
{
    struct timeval  storage;
    struct timeval *left = ares_timeout(channel->ares, NULL, &storage);

    if (left == NULL)
        loop_timer_stop(channel->loop, &channel->timeout);
    else
        loop_timer_start(channel->loop, &channel->timeout,
                         (uint64_t)left->tv_sec * 1000000 + (uint64_t)left->tv_usec);
}

static void on_timeout(struct loop_timer *timer)
{
    struct name_channel *channel = container_of(timer, struct name_channel, timeout);

    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    name_channel_rearm(channel);
}

static void on_ready(struct loop_watch *watch, unsigned what)
{
    struct name_channel *channel = container_of(watch, struct name_socket, watch)->channel;
    int                  fd = watch->fd;

    /* frees `watch` where c-ares closes the socket */
    ares_process_fd(channel->ares, what & LOOP_READABLE ? fd : ARES_SOCKET_BAD,
                    what & LOOP_WRITABLE ? fd : ARES_SOCKET_BAD);
    name_channel_rearm(channel);
}

static struct name_socket **find(struct name_channel *channel, int fd)
{
    struct name_socket **at = &channel->sockets;

    while (*at != NULL && (*at)->watch.fd != fd)
        at = &(*at)->next;
    return at;
}

static void forget_socket(struct name_channel *channel, struct name_socket **at)
{
    struct name_socket *gone = *at;

    *at = gone->next;
    loop_watch_stop(channel->loop, &gone->watch);
    free(gone);
}

static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct name_channel *channel = arg;
    struct name_socket **at = find(channel, fd);
    unsigned             what =
        (readable ? (unsigned)LOOP_READABLE : 0u) | (writable ? (unsigned)LOOP_WRITABLE : 0u);
    struct failure ignored = { 0 };

    if (*at == NULL && what != 0) {
        if ((*at = calloc(1, sizeof **at)) == NULL)
            return; /* this query times out, as after any lost packet */
        (*at)->channel = channel;
        (*at)->watch = (struct loop_watch){ .ready = on_ready, .fd = fd };
    }
    if (*at == NULL)
        return;
    if (what == 0 ||
        loop_watch_start(channel->loop, &(*at)->watch, what, &ignored) != FAIL_NONE)
        forget_socket(channel, at);
}

static void init_library(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
}

static enum fail start(struct name_channel *channel, const char *file, struct failure *why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char                  hosts_then_dns[] = "fb";
    struct ares_options   options = { .sock_state_cb = on_socket_state,
                                      .sock_state_cb_data = channel,
                                      .lookups = hosts_then_dns,
                                      .resolvconf_path = (char *)file };
    int                   status;

    pthread_once(&once, init_library);
    status = ares_init_options(&channel->ares, &options,
                               ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF);
    if (status == ARES_SUCCESS)
        return FAIL_NONE;
    return fail(why, status == ARES_ENOMEM ? FAIL_MEMORY : FAIL_IO,
                "cannot start the resolver: %s", ares_strerror(status));
}

struct name_channel *name_channel_new(struct loop *loop, const char *file, struct failure *why)
{
    struct name_channel *channel = calloc(1, sizeof *channel);

    if (channel == NULL) {
        (void)fail(why, FAIL_MEMORY, "no memory for the resolver");
        return NULL;
    }
    channel->loop = loop;
    channel->timeout.expired = on_timeout;
    if (start(channel, file, why) == FAIL_NONE)
        return channel;
    free(channel);
    return NULL;
}

void name_channel_free(struct name_channel *channel)
{
    ares_destroy(channel->ares);
    while (channel->sockets != NULL)
        forget_socket(channel, &channel->sockets);
    loop_timer_stop(channel->loop, &channel->timeout);
    free(channel);
}
