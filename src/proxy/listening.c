/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/listening.h"

#include "io/socket.h"
#include "proxy/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTEN_BACKLOG 4096

struct bound {
    unsigned       holders;
    struct address address;
    unsigned       unix_mode;
    char           unix_group[65];
    int           *fds;
    unsigned       fd_count;
    bool           is_shared;
};

static const char *group_of(const struct listener_settings *listener)
{
    return listener->unix_socket_group != NULL ? listener->unix_socket_group : "";
}

static void release(struct bound *bound)
{
    if (--bound->holders > 0)
        return;
    for (unsigned i = 0; i < bound->fd_count; i++) {
        if (address_is_unix(&bound->address))
            socket_close_and_unlink(bound->fds[i], &bound->address);
        else
            socket_close(bound->fds[i]);
    }
    free(bound->fds);
    free(bound);
}

/* What a new socket needs to know beside its address. */
struct wish {
    const struct listener_settings *listener;
    struct stream_options           connections;
    const char                     *user; /* NULL: the one that binds */
    unsigned                        workers;
};

/* With SO_REUSEPORT another process of ours would bind beside us without an error. */
static enum fail check_free(const struct address *address, struct failure *why)
{
    char text[ADDRESS_TEXT];

    if (!socket_address_in_use(address))
        return FAIL_NONE;
    fail_hint(why, "stop what listens there, or choose another port");
    return fail(why, FAIL_IO, "cannot listen on %s: address already in use",
                address_format(address, text));
}

static enum fail bind_sockets(struct bound *bound, const struct wish *wish, struct failure *why)
{
    unsigned                    count = address_is_unix(&bound->address) ? 1 : wish->workers;
    const struct socket_options options = {
        .reuse_port = count > 1,
        .unix_mode = bound->unix_mode,
        .unix_user = wish->user,
        .unix_group = bound->unix_group[0] != '\0' ? bound->unix_group : NULL,
        .backlog = LISTEN_BACKLOG,
        .connections = &wish->connections,
    };
    enum fail rc = count > 1 ? check_free(&bound->address, why) : FAIL_NONE;

    bound->is_shared = wish->workers > count;
    bound->fds = calloc(count, sizeof *bound->fds);
    if (bound->fds == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    while (rc == FAIL_NONE && bound->fd_count < count) {
        rc = socket_listen(&bound->fds[bound->fd_count], &bound->address, &options, why);
        if (rc == FAIL_NONE)
            bound->fd_count++;
    }
    return rc;
}

static struct bound *new_bound(const struct address *address, const struct wish *wish,
                               struct failure *why)
{
    struct bound *bound = calloc(1, sizeof *bound);

    if (bound == NULL) {
        (void)fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    bound->holders = 1;
    bound->address = *address;
    bound->unix_mode = (unsigned)wish->listener->unix_socket_mode;
    snprintf(bound->unix_group, sizeof bound->unix_group, "%s", group_of(wish->listener));
    if (bind_sockets(bound, wish, why) == FAIL_NONE)
        return bound;
    release(bound);
    return NULL;
}

static struct bound *find(const struct listening *before, const struct address *address)
{
    for (size_t i = 0; before != NULL && i < before->count; i++)
        if (address_equal(&before->entries[i].bound->address, address))
            return before->entries[i].bound;
    return NULL;
}

/* A socket that is bound already keeps its file as it is. */
static bool has_same_file(const struct bound *bound, const struct listener_settings *listener)
{
    return !address_is_unix(&bound->address) ||
           (bound->unix_mode == listener->unix_socket_mode &&
            strcmp(bound->unix_group, group_of(listener)) == 0);
}

static struct bound *take(const struct listening *before, const struct address *address,
                          const struct wish *wish, struct failure *why)
{
    struct bound *bound = find(before, address);

    if (bound == NULL)
        return new_bound(address, wish, why);
    if (has_same_file(bound, wish->listener)) {
        bound->holders++;
        return bound;
    }
    (void)fail(why, FAIL_CONFIG,
               "unix_socket_mode and unix_socket_group cannot change while the socket is open");
    fail_hint(why, "restart the proxy, or choose another path");
    return NULL;
}

static void open_address(struct listening *listening, const struct route_settings *route,
                         const char *text, const struct listening *before,
                         const struct wish *wish, struct conf_problems *problems)
{
    struct failure why = { 0 };
    struct address address;
    struct bound  *bound = NULL;

    if (address_parse(&address, text, &why) == FAIL_NONE)
        bound = take(before, &address, wish, &why);
    if (bound != NULL)
        listening->entries[listening->count++] = (struct listening_entry){ route, bound };
    else
        settings_problem(problems, false, route, "listener.bind_address", "%s%s%s", why.text,
                         why.hint[0] != '\0' ? "; " : "", why.hint);
}

static size_t count_addresses(const struct proxy_settings *settings)
{
    size_t count = 0;

    for (size_t i = 0; i < settings->route_count; i++)
        count += settings->routes[i].listener.bind_address.count;
    return count;
}

static struct listening *new_listening(const struct proxy_settings *settings)
{
    struct listening *listening = calloc(1, sizeof *listening);

    if (listening == NULL)
        return NULL;
    listening->entries = calloc(count_addresses(settings), sizeof *listening->entries);
    if (listening->entries != NULL)
        return listening;
    free(listening);
    return NULL;
}

struct listening *listening_open(const struct proxy_settings *settings,
                                 const struct listening *before, unsigned workers,
                                 struct conf_problems *problems)
{
    struct listening *listening = new_listening(settings);
    size_t            errors = problems->error_count;

    if (listening == NULL) {
        conf_problem_add(problems, false, 0, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < settings->route_count; i++) {
        const struct route_settings *route = &settings->routes[i];
        const struct wish            wish = { &route->listener, route_stream_options(route),
                                              settings_user(settings), workers };

        for (size_t n = 0; n < route->listener.bind_address.count; n++)
            open_address(listening, route, route->listener.bind_address.items[n], before, &wish,
                         problems);
    }
    if (problems->error_count == errors)
        return listening;
    listening_close(listening);
    return NULL;
}

void listening_close(struct listening *listening)
{
    if (listening == NULL)
        return;
    while (listening->count > 0)
        release(listening->entries[--listening->count].bound);
    free(listening->entries);
    free(listening);
}

void listening_warn_of_leftovers(const struct listening *listening,
                                 struct conf_problems   *problems)
{
    for (size_t i = 0; i < listening->count; i++) {
        const struct address *address = &listening->entries[i].bound->address;
        char                  text[ADDRESS_TEXT];

        if (address_is_unix(address) && !socket_may_unlink(address))
            settings_problem(problems, true, listening->entries[i].route,
                             "listener.bind_address",
                             "%s stays behind at the end, since the user may not write to its "
                             "folder; give the folder to the user",
                             address_format(address, text));
    }
}

int listening_fd(const struct listening_entry *entry, unsigned worker)
{
    return entry->bound->fds[entry->bound->fd_count > 1 ? worker : 0];
}

bool listening_is_shared(const struct listening_entry *entry)
{
    return entry->bound->is_shared;
}

void listening_address(const struct listening_entry *entry, char out[static ADDRESS_TEXT])
{
    struct address address;
    struct failure ignored = { 0 };

    if (socket_local_address(entry->bound->fds[0], &address, &ignored) != FAIL_NONE)
        address = entry->bound->address;
    address_format(&address, out);
}
