/* SPDX-License-Identifier: PostgreSQL */
/*
 * tests/faults/kernel_tls.c - plays a kernel with kTLS to the program it is preloaded into
 *
 * setsockopt(TCP_ULP, TLS_TX, TLS_RX) are answered here, and what is sent and received on such
 * a socket is sealed and opened, as net/tls of Linux does it.  PGTLS_KTLS says what kind of a
 * kernel it is, in words:
 *
 *     absent       without the module tls         no_receive    TLS_TX only
 *     no_rekey     older than 6.14                no_chacha, no_aes256
 *     short        takes a part of what is sent   again         says EAGAIN now and then
 *     bad_record   the 4th record received of a socket cannot be opened
 *     broken_send  the 4th record of a socket fails with ENOMEM
 *     late_key     takes the first key, and no next one, whatever it said when it was tried
 *     quiet        a connection's keys are refused, whatever it said when it was tried
 *
 * PGTLS_KTLS_FILE is shared with the test, which reads what was done: enum count.
 */
#include "kernel_tls.h"

#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKETS_MOST   65536
#define TYPE_HANDSHAKE 22
#define TYPE_DATA      23
#define KEY_UPDATE     24
#define PROBES         6 /* sockets that only try the ciphers, for both legs */

enum count {
    ATTACHED,
    SEND_KEYS,
    RECEIVE_KEYS,
    SENT_RECORDS,
    RECEIVED_RECORDS,
    LONGEST_SENT,
    NEXT_SEND_KEYS, /* other than the first */
    NEXT_RECEIVE_KEYS,
    CONTROL_SENT,
    CONTROL_RECEIVED,
    COUNTS
};

struct played {
    struct direction send, receive;
    unsigned         sent, received; /* records */
    bool             key_is_due;     /* a KeyUpdate was received */
    size_t           have;           /* of the next record */
    uint8_t          record[RECORD_MOST];
};

static struct played    *sockets[SOCKETS_MOST];
static _Atomic uint32_t *counts;
static const char       *words;

void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL)
        abort();
    return found;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("PGTLS_KTLS_FILE");
    int         fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void       *place =
        fd < 0 ? MAP_FAILED
                     : mmap(NULL, COUNTS * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    words = getenv("PGTLS_KTLS");
    if (place == MAP_FAILED)
        abort(); /* a test that cannot look must fail */
    counts = place;
}

static bool is(const char *word)
{
    return words != NULL && strstr(words, word) != NULL;
}

static int fails(int error)
{
    errno = error;
    return -1;
}

static struct played *played(int fd)
{
    return fd >= 0 && fd < SOCKETS_MOST ? sockets[fd] : NULL;
}

/* ---- keys ---- */

static int attach(int fd)
{
    struct tcp_info info;
    socklen_t       size = sizeof info;

    if (is("absent"))
        return fails(ENOENT);
    if (played(fd) != NULL)
        return fails(EEXIST);
    if (REAL(getsockopt)(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        info.tcpi_state != TCP_ESTABLISHED)
        return fails(ENOTCONN);
    if ((sockets[fd] = calloc(1, sizeof *sockets[fd])) == NULL)
        return fails(ENOMEM);
    atomic_fetch_add(&counts[ATTACHED], 1);
    return 0;
}

static bool is_refused(uint16_t cipher, bool sends)
{
    return (is("no_chacha") && cipher == TLS_CIPHER_CHACHA20_POLY1305) ||
           (is("no_aes256") && cipher == TLS_CIPHER_AES_GCM_256) ||
           (is("no_receive") && !sends) ||
           (is("quiet") && atomic_load(&counts[ATTACHED]) > PROBES);
}

static int set_key(int fd, int name, const void *value, socklen_t length)
{
    struct played *socket = played(fd);
    bool           sends = name == TLS_TX;
    struct direction new;
    struct direction *old = sends ? &socket->send : &socket->receive;

    if (name != TLS_TX && name != TLS_RX)
        return fails(ENOPROTOOPT);
    if (!direction_set(&new, value, length))
        return fails(EINVAL);
    if (is_refused(new.cipher, sends))
        return fails(ENOENT);
    if (old->is_set && (is("no_rekey") || old->cipher != new.cipher ||
                        (is("late_key") && atomic_load(&counts[ATTACHED]) > PROBES)))
        return fails(EBUSY);
    if (old->is_set)
        atomic_fetch_add(&counts[sends ? NEXT_SEND_KEYS : NEXT_RECEIVE_KEYS], 1);
    atomic_fetch_add(&counts[sends ? SEND_KEYS : RECEIVE_KEYS], 1);
    *old = new;
    if (!sends)
        socket->key_is_due = false;
    return 0;
}

EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    if (level == IPPROTO_TCP && name == TCP_ULP)
        return length >= 4 && memcmp(value, "tls", 4) == 0 ? attach(fd) : fails(ENOENT);
    if (level != SOL_TLS)
        return REAL(setsockopt)(fd, level, name, value, length);
    return played(fd) != NULL ? set_key(fd, name, value, length) : fails(ENOPROTOOPT);
}

/* ---- sending ---- */

static bool has_room(int fd)
{
    struct pollfd room = { .fd = fd, .events = POLLOUT };

    return poll(&room, 1, 0) > 0;
}

/* A record is sent whole: the kernel keeps what TCP has no room for, and this waits. */
static int send_whole(int fd, const uint8_t *record, size_t size)
{
    struct pollfd room = { .fd = fd, .events = POLLOUT };

    while (size > 0) {
        ssize_t n = REAL(send)(fd, record, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN)
            return -1;
        if (n < 0) {
            poll(&room, 1, 1000);
            continue;
        }
        record += n;
        size -= (size_t)n;
    }
    return 0;
}

static void note_longest(size_t size)
{
    uint32_t longest = atomic_load(&counts[LONGEST_SENT]);

    while (size > longest &&
           !atomic_compare_exchange_weak(&counts[LONGEST_SENT], &longest, (uint32_t)size))
        ;
}

static ssize_t send_record(int fd, struct played *socket, uint8_t type, const uint8_t *content,
                           size_t size)
{
    uint8_t  record[RECORD_MOST];
    unsigned number = socket->sent++;
    size_t   part = size < CONTENT_MOST ? size : CONTENT_MOST;

    if (!has_room(fd) || (is("again") && number % 3 == 1))
        return fails(EAGAIN);
    if (is("broken_send") && number == 3)
        return fails(ENOMEM);
    if (is("short") && type == TYPE_DATA && part > 1)
        part = 1 + number * 977 % (part < 3000 ? part : 3000);
    if (send_whole(fd, record, record_seal(&socket->send, type, content, part, record)) != 0)
        return -1;
    note_longest(part);
    atomic_fetch_add(&counts[SENT_RECORDS], 1);
    atomic_fetch_add(&counts[CONTROL_SENT], type != TYPE_DATA);
    return (ssize_t)part;
}

EXPORT ssize_t send(int fd, const void *from, size_t size, int flags)
{
    struct played *socket = played(fd);

    if (socket == NULL || !socket->send.is_set)
        return REAL(send)(fd, from, size, flags);
    return send_record(fd, socket, TYPE_DATA, from, size);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct played  *socket = played(fd);
    struct cmsghdr *control;

    if (socket == NULL || !socket->send.is_set)
        return REAL(sendmsg)(fd, message, flags);
    control = CMSG_FIRSTHDR(message);
    if (control == NULL || control->cmsg_level != SOL_TLS ||
        control->cmsg_type != TLS_SET_RECORD_TYPE || control->cmsg_len != CMSG_LEN(1) ||
        message->msg_iovlen != 1)
        return fails(EINVAL);
    return send_record(fd, socket, *CMSG_DATA(control), message->msg_iov[0].iov_base,
                       message->msg_iov[0].iov_len);
}

/* ---- receiving ---- */

static size_t record_size(const uint8_t *header)
{
    return (size_t)HEADER + (size_t)(header[3] << 8 | header[4]);
}

/* 0 where the header is one, or an errno. */
static int check_header(const uint8_t *header)
{
    if (header[1] != 3 || header[2] != 3)
        return EINVAL;
    if (record_size(header) > RECORD_MOST)
        return EMSGSIZE;
    return record_size(header) < HEADER + TAG ? EBADMSG : 0;
}

/* Takes bytes of one record off the socket, never more: its length once it is whole, 0 at the
 * end, -1 and errno. */
static long take_record(int fd, struct played *socket)
{
    size_t want = socket->have < HEADER ? HEADER : record_size(socket->record);

    while (socket->have < want) {
        ssize_t n =
            REAL(recv)(fd, socket->record + socket->have, want - socket->have, MSG_DONTWAIT);

        if (n <= 0)
            return n;
        socket->have += (size_t)n;
        if (socket->have != HEADER)
            continue;
        if (check_header(socket->record) != 0)
            return fails(check_header(socket->record));
        want = record_size(socket->record);
    }
    return (long)want;
}

/* The next one, if it is whole, to the same place; it stays in the socket as well, whose
 * readiness tells of it.  -1: it is not there. */
static long peek_record(int fd, struct played *socket)
{
    size_t whole;

    if (REAL(recv)(fd, socket->record, HEADER, MSG_PEEK | MSG_DONTWAIT) < HEADER ||
        check_header(socket->record) != 0)
        return fails(EAGAIN);
    whole = record_size(socket->record);
    if (REAL(recv)(fd, socket->record, whole, MSG_PEEK | MSG_DONTWAIT) < (ssize_t)whole)
        return fails(EAGAIN);
    return (long)whole;
}

/* Bytes to where the vectors are; room was looked at. */
static void scatter(const struct msghdr *message, size_t at, const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < message->msg_iovlen && size > 0; i++) {
        const struct iovec *vector = &message->msg_iov[i];
        size_t              part;

        if (at >= vector->iov_len) {
            at -= vector->iov_len;
            continue;
        }
        part = vector->iov_len - at < size ? vector->iov_len - at : size;
        memcpy((uint8_t *)vector->iov_base + at, from, part);
        from += part;
        size -= part;
        at = 0;
    }
}

static size_t room_of(const struct msghdr *message)
{
    size_t room = 0;

    for (size_t i = 0; i < message->msg_iovlen; i++)
        room += message->msg_iov[i].iov_len;
    return room;
}

static void put_type(struct msghdr *message, uint8_t type)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);

    control->cmsg_level = SOL_TLS;
    control->cmsg_type = TLS_GET_RECORD_TYPE;
    control->cmsg_len = CMSG_LEN(1);
    *CMSG_DATA(control) = type;
}

/* One more record behind `got` bytes of the type *type; its length, -1 where it must wait. */
static long receive_record(int fd, struct played *socket, struct msghdr *message, size_t got,
                           uint8_t *type)
{
    uint8_t content[RECORD_MOST], found;
    long    size, whole;

    if (socket->key_is_due)
        return fails(EKEYEXPIRED);
    whole = got == 0 ? take_record(fd, socket) : peek_record(fd, socket);
    if (whole <= 0)
        return whole == 0 ? -2 : -1;
    size = record_open(&socket->receive, socket->record, (size_t)whole, content, &found);
    if (size < 0 || (is("bad_record") && socket->received == 3))
        return fails(EBADMSG);
    if ((got > 0 && (found != TYPE_DATA || *type != TYPE_DATA)) ||
        got + (size_t)size > room_of(message))
        return fails(EAGAIN);
    if (got > 0)
        REAL(recv)(fd, socket->record, (size_t)whole, 0);
    socket->have = 0;
    record_taken(&socket->receive);
    socket->received++;
    atomic_fetch_add(&counts[RECEIVED_RECORDS], 1);
    atomic_fetch_add(&counts[CONTROL_RECEIVED], found != TYPE_DATA);
    socket->key_is_due =
        found == TYPE_HANDSHAKE && size > 0 && content[0] == KEY_UPDATE && !is("no_rekey");
    scatter(message, got, content, (size_t)size);
    *type = found;
    return size;
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    struct played *socket = played(fd);
    uint8_t        type = TYPE_DATA;
    size_t         got = 0;
    long           n;

    if (socket == NULL || !socket->receive.is_set)
        return REAL(recvmsg)(fd, message, flags);
    while ((n = receive_record(fd, socket, message, got, &type)) >= 0) {
        got += (size_t)n;
        if (type != TYPE_DATA)
            break;
    }
    if (got > 0 ||
        type != TYPE_DATA) { /* an empty record looks like the end but for its type */
        put_type(message, type);
        return (ssize_t)got;
    }
    message->msg_controllen = 0;
    return n == -2 ? 0 : -1;
}

EXPORT ssize_t recv(int fd, void *to, size_t size, int flags)
{
    if (played(fd) != NULL && played(fd)->receive.is_set)
        abort(); /* types would be lost */
    return REAL(recv)(fd, to, size, flags);
}

EXPORT int close(int fd)
{
    if (played(fd) != NULL)
        explicit_bzero(played(fd), sizeof(struct played));
    free(played(fd));
    if (fd >= 0 && fd < SOCKETS_MOST)
        sockets[fd] = NULL;
    return REAL(close)(fd);
}
