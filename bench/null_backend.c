/* SPDX-License-Identifier: PostgreSQL */
/*
 * null_backend - speaks just enough PostgreSQL to stand behind a proxy under load
 *
 *   null_backend PORT
 *
 * Any user, no TLS, a thread a connection.  A query gets one row, but for two:
 *   BLAST N   N MiB of CopyData towards the client
 *   SINK N    takes CopyData until CopyDone, however much comes
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SSL_REQUEST    80877103u
#define GSS_REQUEST    80877104u
#define CANCEL_REQUEST 80877102u

#define ROOM  65536u
#define CHUNK 8192u /* of CopyData, with its header */

#define READY "Z\0\0\0\5I"

struct session {
    int           fd;
    bool          has_started; /* its startup packet has come */
    bool          takes_copy;
    bool          is_over;
    size_t        in_len, out_len;
    unsigned char in[ROOM], out[ROOM];
};

static unsigned char copy_data[ROOM];

static uint32_t number_at(const unsigned char *p)
{
    uint32_t number;

    memcpy(&number, p, sizeof number);
    return ntohl(number);
}

static void send_all(struct session *s, const unsigned char *data, size_t len)
{
    while (len > 0 && !s->is_over) {
        ssize_t sent = send(s->fd, data, len, MSG_NOSIGNAL);

        if (sent <= 0) {
            s->is_over = true;
            return;
        }
        data += sent;
        len -= (size_t)sent;
    }
}

static void flush(struct session *s)
{
    send_all(s, s->out, s->out_len);
    s->out_len = 0;
}

static void put(struct session *s, const void *data, size_t len)
{
    if (len > ROOM - s->out_len)
        flush(s);
    memcpy(s->out + s->out_len, data, len);
    s->out_len += len;
}

#define PUT(s, text) put(s, text, sizeof(text) - 1)

/* ---- before the login ---- */

static void put_parameter(struct session *s, const char *name, const char *value)
{
    size_t   name_len = strlen(name) + 1, value_len = strlen(value) + 1;
    uint32_t len = htonl((uint32_t)(sizeof len + name_len + value_len));

    PUT(s, "S");
    put(s, &len, sizeof len);
    put(s, name, name_len);
    put(s, value, value_len);
}

static void let_in(struct session *s)
{
    PUT(s, "R\0\0\0\x08\0\0\0\0");
    put_parameter(s, "server_version", "15.0");
    put_parameter(s, "client_encoding", "UTF8");
    put_parameter(s, "standard_conforming_strings", "on");
    put_parameter(s, "DateStyle", "ISO, MDY");
    put_parameter(s, "TimeZone", "UTC");
    PUT(s, "K\0\0\0\x0c\0\0\0\1\0\0\0\2" READY);
    s->has_started = true;
}

/* How many bytes it was; 0: it is not whole yet. */
static size_t take_packet(struct session *s, const unsigned char *p, size_t len)
{
    if (len < 8 || len < number_at(p))
        return 0;
    switch (number_at(p + 4)) {
    case SSL_REQUEST:
    case GSS_REQUEST: PUT(s, "N"); break;
    case CANCEL_REQUEST: s->is_over = true; break;
    default: let_in(s);
    }
    return number_at(p);
}

/* ---- messages ---- */

static void blast(struct session *s, long megabytes)
{
    PUT(s, "H\0\0\0\7\0\0\0");
    flush(s);
    for (long i = 0; i < megabytes * (1 << 20) / ROOM; i++)
        send_all(s, copy_data, sizeof copy_data);
    PUT(s, "c\0\0\0\4C\0\0\0\x0b"
           "COPY 1\0" READY);
}

static void answer(struct session *s, const char *query)
{
    long megabytes;

    if (sscanf(query, "BLAST %ld", &megabytes) == 1) {
        blast(s, megabytes);
    } else if (strncmp(query, "SINK ", 5) == 0) {
        s->takes_copy = true;
        PUT(s, "G\0\0\0\7\0\0\0");
    } else {
        PUT(s, "T\0\0\0\x1a\0\1c\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
               "D\0\0\0\x0b\0\1\0\0\0\1"
               "1"
               "C\0\0\0\x0dSELECT 1\0" READY);
    }
}

static void end_copy(struct session *s)
{
    if (s->takes_copy)
        PUT(s, "C\0\0\0\x0b"
               "COPY 1\0" READY);
    s->takes_copy = false;
}

/* As take_packet(). */
static size_t take_message(struct session *s, const unsigned char *p, size_t len)
{
    if (len < 5 || len < (size_t)number_at(p + 1) + 1)
        return 0;
    switch (p[0]) {
    case 'Q': answer(s, (const char *)p + 5); break;
    case 'S': PUT(s, READY); break;
    case 'c': end_copy(s); break;
    case 'X': s->is_over = true; break;
    default: break;
    }
    return (size_t)number_at(p + 1) + 1;
}

static void take_all(struct session *s)
{
    size_t at = 0, used;

    do {
        const unsigned char *p = s->in + at;
        size_t               left = s->in_len - at;

        used = s->has_started ? take_message(s, p, left) : take_packet(s, p, left);
        at += used;
    } while (used > 0 && !s->is_over);
    memmove(s->in, s->in + at, s->in_len - at);
    s->in_len -= at;
}

/* ---- connections ---- */

static void *serve(void *arg)
{
    struct session *s = arg;
    ssize_t         got;

    while (!s->is_over && (got = recv(s->fd, s->in + s->in_len, ROOM - s->in_len, 0)) > 0) {
        s->in_len += (size_t)got;
        take_all(s);
        flush(s);
    }
    close(s->fd);
    free(s);
    return NULL;
}

static void start_session(int fd, const pthread_attr_t *detached)
{
    struct session *s = calloc(1, sizeof *s);
    int             one = 1;
    pthread_t       thread;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (s != NULL) {
        s->fd = fd;
        if (pthread_create(&thread, detached, serve, s) == 0)
            return;
    }
    close(fd);
    free(s);
}

static int listen_on(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4096) == 0)
        return fd;
    perror("bind");
    exit(1);
}

int main(int argc, char **argv)
{
    const uint32_t chunk_len = htonl(CHUNK - 1);
    struct rlimit  files = { 1 << 18, 1 << 18 };
    pthread_attr_t detached;
    int            listener;

    if (argc != 2) {
        fprintf(stderr, "usage: null_backend PORT\n");
        return 2;
    }
    for (size_t at = 0; at < ROOM; at += CHUNK) {
        copy_data[at] = 'd';
        memcpy(copy_data + at + 1, &chunk_len, sizeof chunk_len);
    }
    setrlimit(RLIMIT_NOFILE, &files);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, 64 << 10);
    listener = listen_on(atoi(argv[1]));
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            start_session(fd, &detached);
    }
}
