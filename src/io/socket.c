/* SPDX-License-Identifier: PostgreSQL */
#include "io/socket.h"

#include "io/stream_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const struct sockaddr *name_of(const struct address *address)
{
    return (const struct sockaddr *)address->storage;
}

static const char *path_of(const struct address *address)
{
    return ((const struct sockaddr_un *)address->storage)->sun_path;
}

/* A socket that may be bound to `address`, or -1. */
static int new_socket(const struct address *address)
{
    int on = 1;
    int fd = socket(name_of(address)->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || address_is_unix(address))
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* [::] beside 0.0.0.0 is what people list; with both families in one they would clash */
    if (name_of(address)->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return fd;
}

/* ---- Unix sockets ---- */

static bool somebody_accepts_at(const struct address *address)
{
    int  fd = new_socket(address);
    bool answer;

    if (fd < 0)
        return false;
    /* a full queue is somebody too */
    answer = connect(fd, name_of(address), address->length) == 0 || errno == EAGAIN;
    close(fd);
    return answer;
}

static enum fail remove_stale(const struct address *address, struct failure *why)
{
    const char *path = path_of(address);
    struct stat info;

    if (lstat(path, &info) != 0)
        return FAIL_NONE; /* there is none; or bind() tells why not */
    if (!S_ISSOCK(info.st_mode)) {
        fail(why, FAIL_CONFIG, "%s exists and is not a socket", path);
        fail_hint(why, "choose another path or remove the file");
        return FAIL_CONFIG;
    }
    if (somebody_accepts_at(address)) {
        fail_errno(why, EADDRINUSE, "cannot listen on unix:%s", path);
        fail_hint(why, "another process accepts connections there; stop it first");
        return FAIL_IO;
    }
    if (unlink(path) != 0 && errno != ENOENT)
        return fail_errno(why, errno, "cannot remove the stale socket %s", path);
    return FAIL_NONE;
}

static int bind_unix(int fd, const struct address *address, unsigned mode)
{
    /* before as well, so that the file is never open to more than it should be */
    if (fchmod(fd, mode) != 0 || bind(fd, name_of(address), address->length) != 0)
        return errno;
    return chmod(path_of(address), mode) == 0 ? 0 : errno;
}

static enum fail give_away(const struct address *address, const struct socket_options *options,
                           struct failure *why)
{
    const char          *user = options->unix_user, *group = options->unix_group;
    const struct passwd *user_entry = user != NULL ? getpwnam(user) : NULL;
    const struct group  *group_entry = group != NULL ? getgrnam(group) : NULL;
    uid_t                uid = user_entry != NULL ? user_entry->pw_uid : (uid_t)-1;
    gid_t                gid = user_entry != NULL ? user_entry->pw_gid : (gid_t)-1;

    if (user != NULL && user_entry == NULL)
        return fail(why, FAIL_CONFIG, "there is no user \"%s\"", user);
    if (group != NULL && group_entry == NULL)
        return fail(why, FAIL_CONFIG, "there is no group \"%s\"", group);
    if (group_entry != NULL)
        gid = group_entry->gr_gid;
    if (chown(path_of(address), uid, gid) == 0)
        return FAIL_NONE;
    fail_hint(why, "only root, or a member of the group, can");
    return fail_errno(why, errno, "cannot give %s to %s%s%s", path_of(address),
                      user != NULL ? user : "", user != NULL && group != NULL ? " and " : "",
                      group != NULL ? group : "");
}

/* ---- listening ---- */

static int bind_internet(int fd, const struct address *address, bool reuse_port)
{
    int on = 1;

    if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        return errno;
    return bind(fd, name_of(address), address->length) == 0 ? 0 : errno;
}

static enum fail explain(const struct address *address, int error, struct failure *why)
{
    char text[ADDRESS_TEXT];

    fail_errno(why, error, "cannot listen on %s", address_format(address, text));
    if (error == EADDRINUSE)
        fail_hint(why, "another process listens there; \"ss -ltnp\" shows which");
    if (error == EADDRNOTAVAIL)
        fail_hint(why, "no interface of this machine has that address");
    if (error == EACCES && !address_is_unix(address))
        fail_hint(why, "ports below 1024 need CAP_NET_BIND_SERVICE");
    if (error == EACCES && address_is_unix(address))
        fail_hint(why, "the user of this process may not write to that directory");
    if (error == ENOENT)
        fail_hint(why, "the directory does not exist");
    return FAIL_IO;
}

enum fail socket_listen(int *fd, const struct address *address,
                        const struct socket_options *options, struct failure *why)
{
    int       error;
    int       opened = -1;
    enum fail rc;

    if (address_is_unix(address) && (rc = remove_stale(address, why)) != FAIL_NONE)
        return rc;
    if ((opened = new_socket(address)) < 0)
        return explain(address, errno, why);
    error = address_is_unix(address) ? bind_unix(opened, address, options->unix_mode)
                                     : bind_internet(opened, address, options->reuse_port);
    if (options->connections != NULL && !address_is_unix(address))
        stream_socket_listens(opened, options->connections);
    if (error == 0 && listen(opened, options->backlog > 0 ? options->backlog : SOMAXCONN) != 0)
        error = errno;
    if (error != 0) {
        close(opened);
        return explain(address, error, why);
    }
    if (address_is_unix(address) &&
        (options->unix_user != NULL || options->unix_group != NULL)) {
        rc = give_away(address, options, why);
        if (rc != FAIL_NONE) {
            socket_close_and_unlink(opened, address);
            return rc;
        }
    }
    *fd = opened;
    return FAIL_NONE;
}

void socket_close(int fd)
{
    close(fd);
}

void socket_close_and_unlink(int fd, const struct address *address)
{
    if (address_is_unix(address))
        unlink(path_of(address));
    close(fd);
}

bool socket_may_unlink(const struct address *address)
{
    const char *slash = strrchr(path_of(address), '/');
    char        folder[sizeof((struct sockaddr_un *)0)->sun_path + 1] = ".";

    if (slash != NULL)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path_of(address)) + 1,
                 path_of(address));
    return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0;
}

bool socket_address_in_use(const struct address *address)
{
    int  fd;
    bool answer;

    if (address_is_unix(address))
        return somebody_accepts_at(address);
    if ((fd = new_socket(address)) < 0)
        return false;
    answer = bind(fd, name_of(address), address->length) != 0 && errno == EADDRINUSE;
    close(fd);
    return answer;
}

enum fail socket_local_address(int fd, struct address *out, struct failure *why)
{
    struct address local = { 0 };
    socklen_t      length = sizeof local.storage;

    if (getsockname(fd, (struct sockaddr *)local.storage, &length) != 0)
        return fail_errno(why, errno, "cannot tell the address of a socket");
    local.length = length;
    *out = local;
    return FAIL_NONE;
}

uint64_t socket_raise_open_files(uint64_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    if (limit.rlim_cur < wanted) {
        struct rlimit raised = limit;

        raised.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}
