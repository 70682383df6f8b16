/* SPDX-License-Identifier: PostgreSQL */
/*
 * tests/interop/mover.c - a TLS session that changes its process again and again
 *
 *     mover PORT CERT KEY BYTES
 *
 * Prints "port N", takes one client of PostgreSQL, inside TLS, and carries it to the server on
 * PORT, in the clear.  Two processes do it: after every BYTES bytes the one gives both sockets
 * and the TLS session to the other, through a Unix socket, whatever is under way.  Prints
 * "moves N" at the end.
 */
#include "base/secret.h"
#include "harness/tls_pair.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_GIVEN ((size_t)64 * 1024)

struct mover {
    struct tls_context *context;
    struct tls_engine  *engine;
    struct buf          out;                   /* for the client */
    int                 client, server, other; /* sockets */
    uint32_t            moves;
    uint64_t            bytes_a_turn, bytes;
    bool                ended;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void send_all(int fd, struct bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.p, bytes.len, MSG_NOSIGNAL);

        if (n <= 0)
            die("send");
        bytes_skip(&bytes, (size_t)n);
    }
}

static void flush_out(struct mover *m)
{
    send_all(m->client, buf_bytes(&m->out));
    buf_clear(&m->out);
}

/* ---- sockets ---- */

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int accept_one(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t          size = sizeof address;
    int                listener = socket(AF_INET, SOCK_STREAM, 0), client;

    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    client = accept(listener, NULL, NULL);
    close(listener);
    return client;
}

static int connect_to(int port)
{
    struct sockaddr_in address = loopback(port);
    int                fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    return fd;
}

/* ---- the session on its way ---- */

static void give(struct mover *m)
{
    struct buf     given = BUF_LIMIT(MOST_GIVEN);
    struct failure why = { 0 };
    int            fds[2] = { m->client, m->server };
    union {
        struct cmsghdr header;
        uint8_t        space[CMSG_SPACE(sizeof fds)];
    } control = { 0 };
    struct iovec    parts[2] = { { &m->moves, sizeof m->moves } };
    struct msghdr   message = { .msg_iov = parts,
                                .msg_iovlen = 2,
                                .msg_control = control.space,
                                .msg_controllen = sizeof control.space };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    m->moves++;
    if (tls_engine_give(m->engine, &given, &why) != FAIL_NONE)
        die(why.text);
    parts[1] = (struct iovec){ given.memory, given.len };
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(rights), fds, sizeof fds);
    if (sendmsg(m->other, &message, MSG_NOSIGNAL) < 0)
        die("sendmsg");
    secret_wipe(given.memory, given.len);
    buf_fini(&given);
    tls_engine_free(m->engine);
    m->engine = NULL;
    close(m->client);
    close(m->server);
}

/* False: the other process has come to the end. */
static bool take(struct mover *m)
{
    static uint8_t given[MOST_GIVEN];
    int            fds[2];
    union {
        struct cmsghdr header;
        uint8_t        space[CMSG_SPACE(sizeof fds)];
    } control;
    struct iovec   parts[2] = { { &m->moves, sizeof m->moves }, { given, sizeof given } };
    struct msghdr  message = { .msg_iov = parts,
                               .msg_iovlen = 2,
                               .msg_control = control.space,
                               .msg_controllen = sizeof control.space };
    ssize_t        n = recvmsg(m->other, &message, 0);
    struct failure why = { 0 };

    if (n <= 0)
        return false;
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
    m->client = fds[0];
    m->server = fds[1];
    m->engine = tls_engine_take(m->context, bytes_of(given, (size_t)n - sizeof m->moves), &why);
    if (m->engine == NULL)
        die(why.text);
    secret_wipe(given, sizeof given);
    return true;
}

/* ---- the proxy ---- */

static void from_client(struct mover *m)
{
    static uint8_t   wire[5000], plain[5000];
    ssize_t          n = recv(m->client, wire, sizeof wire, 0);
    struct bytes     in = bytes_of(wire, n > 0 ? (size_t)n : 0);
    enum tls_verdict verdict = TLS_WANT_MORE;
    size_t           got;

    m->ended = n <= 0;
    m->bytes += in.len;
    while (in.len > 0 || verdict == TLS_DONE) {
        verdict = tls_engine_read(m->engine, &in, plain, sizeof plain, &got, &m->out);
        send_all(m->server, bytes_of(plain, got));
        if (verdict == TLS_FAILED)
            die(tls_engine_failure(m->engine)->text);
        m->ended = m->ended || verdict == TLS_CLOSED;
    }
    flush_out(m);
}

static void from_server(struct mover *m)
{
    static uint8_t plain[5000];
    ssize_t        n = recv(m->server, plain, sizeof plain, 0);

    if (n <= 0) {
        tls_engine_close(m->engine, &m->out);
        m->ended = true;
    } else if (tls_engine_write(m->engine, bytes_of(plain, (size_t)n), &m->out) != FAIL_NONE) {
        die("write");
    }
    m->bytes += n > 0 ? (size_t)n : 0;
    flush_out(m);
}

/* One turn of BYTES bytes, or to the end. */
static void carry(struct mover *m)
{
    m->bytes = 0;
    while (!m->ended && m->bytes < m->bytes_a_turn) {
        struct pollfd polled[] = { { .fd = m->client, .events = POLLIN },
                                   { .fd = m->server, .events = POLLIN } };

        if (poll(polled, 2, -1) < 0)
            die("poll");
        if (polled[0].revents != 0)
            from_client(m);
        if (polled[1].revents != 0 && !m->ended)
            from_server(m);
    }
}

static void take_turns(struct mover *m)
{
    while (m->engine != NULL || take(m)) {
        carry(m);
        if (!m->ended) {
            give(m);
            continue;
        }
        printf("moves %u\n", m->moves);
        fflush(stdout);
        tls_engine_free(m->engine);
        close(m->client);
        close(m->server);
        break;
    }
    close(m->other);
    tls_context_release(m->context);
    buf_fini(&m->out);
}

/* ---- the beginning ---- */

static struct tls_context *load_context(const char *cert, const char *key)
{
    struct failure   why = { 0 };
    struct identity *identity =
        identity_load(&(struct identity_files){ .cert = cert, .key = key }, &why);
    struct tls_policy *policy =
        identity == NULL ? NULL
                         : tls_policy_new(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                                        .identity = identity },
                                          &why);
    struct tls_context *context = policy != NULL ? tls_context_new(policy, &why) : NULL;

    if (context == NULL)
        die(why.text);
    identity_release(identity);
    tls_policy_release(policy);
    return context;
}

static void shake(struct mover *m)
{
    enum tls_verdict verdict = TLS_WANT_MORE;
    struct failure   why = { 0 };
    uint8_t          wire[5000];

    if (recv(m->client, wire, 8, MSG_WAITALL) != 8) /* SSLRequest */
        die("SSLRequest");
    send_all(m->client, BYTES("S"));
    m->engine = tls_engine_new(
        m->context, &(struct tls_engine_options){ .wall_s = (int64_t)time(NULL) }, &why);
    while (verdict == TLS_WANT_MORE) {
        ssize_t      n = recv(m->client, wire, sizeof wire, 0);
        struct bytes in = bytes_of(wire, n > 0 ? (size_t)n : 0);
        uint8_t      plain[5000];
        size_t       got;

        if (n <= 0 || (verdict = tls_engine_handshake(m->engine, &in, &m->out)) == TLS_FAILED)
            die("handshake");
        flush_out(m);
        if (in.len > 0) {
            tls_engine_read(m->engine, &in, plain, sizeof plain, &got, &m->out);
            send_all(m->server, bytes_of(plain, got));
        }
    }
}

int main(int argc, char **argv)
{
    struct mover m = { .out = BUF_LIMIT((size_t)1 << 20) };
    int          pair[2];
    pid_t        child;

    if (argc != 5 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
        die("usage: mover PORT CERT KEY BYTES");
    m.bytes_a_turn = strtoull(argv[4], NULL, 10);
    child = fork();
    m.other = pair[child == 0];
    close(pair[child != 0]);
    m.context = load_context(argv[2], argv[3]); /* each process its own */
    if (child != 0) {
        m.client = accept_one();
        m.server = connect_to(atoi(argv[1]));
        shake(&m);
    }
    take_turns(&m);
    if (child != 0)
        waitpid(child, NULL, 0);
    return 0;
}
