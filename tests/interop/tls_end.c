/* SPDX-License-Identifier: PostgreSQL */
/*
 * tests/interop/tls_end.c - one end of a TLS connection, for peers of other TLS libraries
 *
 *     tls_end serve CERT KEY RECORDS SUITE    prints "port N", takes one client, is its echo
 *     tls_end connect PORT RECORDS SUITE      sends standard input, prints what it hears
 *
 * SUITE is the only one that is spoken.  New keys are made, and asked for, every RECORDS
 * records.  At its end it tells on standard error who protected the records, and how often keys
 * were new.
 */
#include "harness/tls_pair.h"
#include "tls/engine_parts.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct end {
    struct tls_engine *engine;
    struct buf         out;
    int                socket;
    bool               echoes, shaken, ended, input_ended;
    unsigned           updates;
    uint64_t           sequences[2]; /* that were seen last */
};

static void die(const char *what, const struct failure *why)
{
    fprintf(stderr, "tls_end: %s: %s; %s\n", what, why != NULL ? why->text : "",
            why != NULL ? why->hint : "");
    exit(1);
}

static void flush_out(struct end *end)
{
    struct bytes out = buf_bytes(&end->out);

    while (out.len > 0) {
        ssize_t n = send(end->socket, out.p, out.len, MSG_NOSIGNAL);

        if (n <= 0) {
            end->ended = true; /* the peer has gone: what it said is what counts */
            break;
        }
        bytes_skip(&out, (size_t)n);
    }
    buf_clear(&end->out);
}

/* A sequence number that is smaller than before belongs to a new key. */
static void count_updates(struct end *end)
{
    const struct tls_session *session = &end->engine->session;
    uint64_t                  now[2] = { session->read.sequence, session->write.sequence };

    for (int i = 0; i < 2; i++) {
        end->updates += now[i] < end->sequences[i];
        end->sequences[i] = now[i];
    }
}

static void say(struct end *end, struct bytes text)
{
    if (tls_engine_write(end->engine, text, &end->out) != FAIL_NONE)
        die("cannot write", tls_engine_failure(end->engine));
    count_updates(end);
}

static void hear(struct end *end, struct bytes *in)
{
    static uint8_t   plain[65536];
    size_t           got;
    enum tls_verdict verdict;

    do {
        verdict = tls_engine_read(end->engine, in, plain, sizeof plain, &got, &end->out);
        count_updates(end);
        if (got > 0 && end->echoes)
            say(end, bytes_of(plain, got));
        else if (got > 0 && fwrite(plain, 1, got, stdout) != got)
            die("cannot print", NULL);
        fflush(stdout);
    } while (verdict == TLS_DONE);
    if (verdict == TLS_FAILED)
        die("cannot read", tls_engine_failure(end->engine));
    if (verdict == TLS_CLOSED) {
        tls_engine_close(end->engine, &end->out);
        end->ended = true;
    }
}

static void shake(struct end *end, struct bytes *in)
{
    enum tls_verdict verdict = tls_engine_handshake(end->engine, in, &end->out);

    if (verdict == TLS_FAILED) {
        flush_out(end);
        die("no handshake", tls_engine_failure(end->engine));
    }
    end->shaken = verdict == TLS_DONE;
}

static void receive(struct end *end)
{
    static uint8_t wire[20000];
    ssize_t        n = recv(end->socket, wire, sizeof wire, 0);
    struct bytes   in = bytes_of(wire, n > 0 ? (size_t)n : 0);

    if (n <= 0) {
        tls_engine_eof(end->engine);
        if (!end->shaken)
            die("no handshake", tls_engine_failure(end->engine));
        tls_engine_close(end->engine, &end->out);
        end->ended = true;
    }
    if (in.len > 0 && !end->shaken)
        shake(end, &in);
    if (in.len > 0 && end->shaken)
        hear(end, &in);
    flush_out(end);
}

static void read_input(struct end *end)
{
    static uint8_t text[4000];
    ssize_t        n = read(STDIN_FILENO, text, sizeof text);

    if (n > 0) {
        say(end, bytes_of(text, (size_t)n));
    } else {
        end->input_ended = true;
        tls_engine_close(end->engine, &end->out);
    }
    flush_out(end);
}

static void run(struct end *end)
{
    struct bytes nothing = { NULL, 0 };

    shake(end, &nothing);
    flush_out(end);
    while (!end->ended) {
        bool          listens = end->shaken && !end->echoes && !end->input_ended;
        struct pollfd polled[] = { { .fd = end->socket, .events = POLLIN },
                                   { .fd = listens ? STDIN_FILENO : -1, .events = POLLIN } };

        if (poll(polled, 2, 20000) <= 0)
            die("nothing happens any more", NULL);
        if (polled[0].revents != 0)
            receive(end);
        else if (polled[1].revents != 0)
            read_input(end);
    }
    fprintf(stderr, "%s %s %u\n", tls_engine_facts(end->engine)->record_layer,
            tls_engine_facts(end->engine)->cipher, end->updates);
}

static int new_socket(struct sockaddr_in *address, int port)
{
    *address = (struct sockaddr_in){ .sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int accept_one(void)
{
    struct sockaddr_in address;
    socklen_t          size = sizeof address;
    int                listener = new_socket(&address, 0);

    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        die("cannot listen", NULL);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return accept(listener, NULL, NULL);
}

static int connect_to(int port)
{
    struct sockaddr_in address;
    int                fd = new_socket(&address, port);

    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect", NULL);
    return fd;
}

static struct identity *load(const char *cert, const char *key)
{
    struct failure   why = { 0 };
    struct identity *identity =
        identity_load(&(struct identity_files){ .cert = cert, .key = key }, &why);

    if (identity == NULL)
        die("no certificate", &why);
    return identity;
}

int main(int argc, char **argv)
{
    bool              serves = argc == 6 && strcmp(argv[1], "serve") == 0;
    struct identity  *identity = serves ? load(argv[2], argv[3]) : NULL;
    struct end        end = { .echoes = serves, .out = BUF_LIMIT((size_t)1 << 20) };
    struct tls_aeads *aeads;

    if (!serves && (argc != 5 || strcmp(argv[1], "connect") != 0))
        die("usage: serve CERT KEY RECORDS SUITE, or connect PORT RECORDS SUITE", NULL);
    end.engine = tls_pair_engine(
        &(struct tls_policy_options){ .role = serves ? TLS_SERVER : TLS_CLIENT,
                                      .identity = identity,
                                      .ciphersuites = argv[argc - 1],
                                      .record_layer = TLS_RECORDS_OWN },
        &(struct tls_engine_options){ .sni = "localhost", .wall_s = (int64_t)time(NULL) });
    aeads = tls_context_aeads(end.engine->context);
    tls_aeads_set_records_per_key(aeads, strtoull(argv[argc - 2], NULL, 10));
    end.socket = serves ? accept_one() : connect_to(atoi(argv[2]));
    run(&end);
    tls_engine_free(end.engine);
    identity_release(identity);
    buf_fini(&end.out);
    close(end.socket);
    return 0;
}
