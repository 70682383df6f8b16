/* SPDX-License-Identifier: PostgreSQL */
#include "io/kernel_tls.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define TYPE_OF_DATA 23 /* RFC 8446 B.1 */

#define FRAME_MOST  (KERNEL_TLS_HEADER + KERNEL_TLS_CONTENT_MOST)
#define FRAMES_MOST 16 /* in one receive */

int kernel_tls_attach(int fd)
{
    /* EEXIST: it was attached before, and refused a key */
    if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0 || errno == EEXIST)
        return 0;
    return errno;
}

int kernel_tls_set_key(int fd, bool sends, struct bytes keys)
{
    int name = sends ? TLS_TX : TLS_RX;

    return setsockopt(fd, SOL_TLS, name, keys.p, (socklen_t)keys.len) == 0 ? 0 : errno;
}

/* ---- sending ---- */

ssize_t kernel_tls_send(int fd, uint8_t type, struct bytes content)
{
    /* the cmsghdr is there for its alignment */
    union {
        struct cmsghdr header;
        char           memory[CMSG_SPACE(sizeof type)];
    } control;
    struct iovec  vector = { .iov_base = (void *)(uintptr_t)content.p, .iov_len = content.len };
    struct msghdr message = { .msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control };

    if (type == TYPE_OF_DATA)
        return send(fd, content.p, content.len, MSG_NOSIGNAL);
    memset(&control, 0, sizeof control);
    control.header.cmsg_level = SOL_TLS;
    control.header.cmsg_type = TLS_SET_RECORD_TYPE;
    control.header.cmsg_len = CMSG_LEN(sizeof type);
    *CMSG_DATA(&control.header) = type;
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* ---- receiving ---- */

static uint8_t type_of(struct msghdr *message)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);

    /* "Note that record_type may be == to application data (23)", or not be there for it */
    if (control == NULL || control->cmsg_level != SOL_TLS ||
        control->cmsg_type != TLS_GET_RECORD_TYPE)
        return TYPE_OF_DATA;
    return *CMSG_DATA(control);
}

static void put_header(uint8_t *to, uint8_t type, size_t length)
{
    to[0] = type;
    to[1] = 3;
    to[2] = 3;
    to[3] = (uint8_t)(length >> 8);
    to[4] = (uint8_t)length;
}

/* Data of several records comes as one: it is cut anew, into frames that are full but for the
 * last.  Each got its place behind that of a header. */
static ssize_t put_headers(uint8_t *to, uint8_t type, size_t got)
{
    size_t at = 0;

    while (got > 0) {
        size_t part = got < KERNEL_TLS_CONTENT_MOST ? got : KERNEL_TLS_CONTENT_MOST;

        put_header(to + at, type, part);
        at += KERNEL_TLS_HEADER + part;
        got -= part;
    }
    return (ssize_t)at;
}

/* The kernel has the socket fail in both directions, until somebody has asked why. */
static ssize_t put_error(int fd, uint8_t *to, int error)
{
    int       ignored;
    socklen_t size = sizeof ignored;

    (void)!getsockopt(fd, SOL_SOCKET, SO_ERROR, &ignored, &size);
    put_header(to, KERNEL_TLS_ERROR, 2);
    to[KERNEL_TLS_HEADER] = (uint8_t)(error >> 8);
    to[KERNEL_TLS_HEADER + 1] = (uint8_t)error;
    return KERNEL_TLS_HEADER + 2;
}

/* What is wrong with records, not with the connection.  EKEYEXPIRED: the record in front was a
 * KeyUpdate, and nobody has set the next key. */
static bool is_about_records(int error)
{
    return error == EBADMSG || error == EMSGSIZE || error == EINVAL || error == EKEYEXPIRED;
}

ssize_t kernel_tls_receive(int fd, uint8_t *to, size_t room)
{
    union {
        struct cmsghdr header;
        char           memory[CMSG_SPACE(sizeof(uint8_t))];
    } control;
    struct iovec  vectors[FRAMES_MOST];
    struct msghdr message = { .msg_iov = vectors,
                              .msg_control = &control,
                              .msg_controllen = sizeof control };
    ssize_t       n;

    while (message.msg_iovlen < FRAMES_MOST && room >= (message.msg_iovlen + 1) * FRAME_MOST) {
        vectors[message.msg_iovlen] =
            (struct iovec){ to + message.msg_iovlen * FRAME_MOST + KERNEL_TLS_HEADER,
                            KERNEL_TLS_CONTENT_MOST };
        message.msg_iovlen++;
    }
    n = recvmsg(fd, &message, 0);
    if (n > 0)
        return put_headers(to, type_of(&message), (size_t)n);
    if (n == 0 && type_of(&message) != TYPE_OF_DATA) { /* an empty record, and not the end */
        put_header(to, type_of(&message), 0);
        return KERNEL_TLS_HEADER;
    }
    if (n < 0 && is_about_records(errno))
        return put_error(fd, to, errno);
    return n;
}
