/* SPDX-License-Identifier: PostgreSQL */
/*
 * tests/faults/shim.c - system calls that fail, are short or late
 *
 * Preloaded into the program.  Each call asks fate(), whose answers follow from a
 * seed and the number of the call alone.  The file PGTLS_FAULT_FILE is shared with
 * the test that turns the rate up and down and reads what was done:
 *
 *     u32 seed, u32 rate (of a million calls), then u32 injected[CALLS]
 *
 * Nothing is injected that a kernel could not have answered: a connect() that
 * "was interrupted" goes on, what cannot be closed or shut down is.
 */
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct shared {
    uint32_t         seed;
    _Atomic uint32_t rate;
    _Atomic uint32_t injected[CALLS];
};

static struct shared   *shared;
static _Atomic uint64_t calls;

__attribute__((constructor)) static void map_shared(void)
{
    const char *path = getenv("PGTLS_FAULT_FILE");
    int         fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void       *place;

    if (fd < 0)
        return;
    place = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (place != MAP_FAILED)
        shared = place;
}

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t fate(enum call call)
{
    uint64_t number;

    if (shared == NULL || atomic_load(&shared->rate) == 0)
        return 0;
    number = mix(mix(shared->seed) + atomic_fetch_add(&calls, 1));
    if (number % 1000000 >= atomic_load(&shared->rate))
        return 0;
    atomic_fetch_add(&shared->injected[call], 1);
    return (number >> 24) | 1u << 31;
}

int choose(uint64_t number, const int *errors, size_t count)
{
    return errors[(number >> 4) % count];
}

void be_late(uint64_t number)
{
    struct timespec pause = { 0, (long)(number % 3000) * 1000 };

    nanosleep(&pause, NULL);
}

static int fails(int error)
{
    errno = error;
    return -1;
}

void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL)
        abort();
    return found;
}

EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    uint64_t number = fate(CALL_ACCEPT);

    if (number != 0)
        return fails(CHOOSE(number, EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EINTR, EPERM,
                            EPROTO, EAGAIN));
    return REAL(accept4)(fd, address, length, flags);
}

EXPORT int socket(int domain, int type, int protocol)
{
    uint64_t number = fate(CALL_SOCKET);

    if (number != 0)
        return fails(CHOOSE(number, EMFILE, ENFILE, ENOBUFS, ENOMEM));
    return REAL(socket)(domain, type, protocol);
}

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    uint64_t number = fate(CALL_CONNECT);
    int      error = number == 0 ? 0
                                 : CHOOSE(number, ECONNREFUSED, ETIMEDOUT, ENETUNREACH,
                                          EADDRNOTAVAIL, EINTR);

    if (error != 0 && error != EINTR)
        return fails(error);
    if (REAL(connect)(fd, address, length) != 0)
        return -1;
    return error == 0 ? 0 : fails(error);
}

EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    uint64_t number = fate(CALL_GETSOCKOPT);
    int      rc;

    if (number & 2)
        return fails(ENOBUFS);
    rc = REAL(getsockopt)(fd, level, name, value, length);
    if (number != 0 && rc == 0 && level == SOL_SOCKET && name == SO_ERROR)
        *(int *)value = CHOOSE(number, ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH);
    return rc;
}

EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    uint64_t number = fate(CALL_SETSOCKOPT);

    if (number != 0)
        return fails(CHOOSE(number, EINVAL, ENOPROTOOPT, ENOMEM));
    return REAL(setsockopt)(fd, level, name, value, length);
}

/* Half of what happens to bytes ends no connection: short, late, not now. */
static int error_of_transfer(uint64_t number, size_t *size, int last)
{
    switch ((number >> 4) % 8) {
    case 0: return EINTR;
    case 1: return EAGAIN;
    case 2:
    case 3: *size = *size > 1 ? 1 + (number >> 8) % 7 % *size : *size; return 0;
    case 4:
    case 5: be_late(number >> 8); return 0;
    case 6: return number & 1u << 12 ? ENOMEM : ECONNRESET;
    default: return last;
    }
}

EXPORT ssize_t recv(int fd, void *to, size_t size, int flags)
{
    uint64_t number = fate(CALL_RECV);
    int      error = number == 0 ? 0 : error_of_transfer(number, &size, ETIMEDOUT);

    if (error != 0)
        return fails(error);
    return REAL(recv)(fd, to, size, flags);
}

EXPORT ssize_t send(int fd, const void *from, size_t size, int flags)
{
    uint64_t number = fate(CALL_SEND);
    int      error = number == 0 ? 0 : error_of_transfer(number, &size, EPIPE);

    if (error != 0)
        return fails(error);
    return REAL(send)(fd, from, size, flags);
}

EXPORT int shutdown(int fd, int how)
{
    uint64_t number = fate(CALL_SHUTDOWN);
    int      rc = REAL(shutdown)(fd, how);

    return number != 0 ? fails(ENOTCONN) : rc;
}

EXPORT int close(int fd)
{
    uint64_t number = fate(CALL_CLOSE);
    int      rc = REAL(close)(fd);

    return number != 0 && rc == 0 ? fails(CHOOSE(number, EINTR, EIO)) : rc;
}

EXPORT int epoll_ctl(int epoll_fd, int what, int fd, struct epoll_event *event)
{
    uint64_t number = what == EPOLL_CTL_ADD ? fate(CALL_EPOLL_CTL) : 0;

    if (number != 0)
        return fails(CHOOSE(number, ENOMEM, ENOSPC));
    return REAL(epoll_ctl)(epoll_fd, what, fd, event);
}

EXPORT int epoll_wait(int epoll_fd, struct epoll_event *events, int most, int timeout_ms)
{
    uint64_t number = fate(CALL_EPOLL_WAIT);

    switch (number == 0 ? -1 : (int)((number >> 4) % 4)) {
    case 0: return fails(EINTR);
    case 1: return 0; /* early */
    case 2: be_late(number >> 8); break;
    case 3: most = 1; break;
    default: break;
    }
    return REAL(epoll_wait)(epoll_fd, events, most, timeout_ms);
}
