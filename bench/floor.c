/* SPDX-License-Identifier: PostgreSQL */
/*
 * floor CERTIFICATE KEY GROUP SECONDS: what OpenSSL's own server handshake costs, over memory and
 * with nothing around it.  Prints the CPU microseconds of the server's side of one, SSL object and
 * all: TLS 1.3, no tickets, no session cache.  No proxy that uses OpenSSL can do with less.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static SSL_CTX *context(const SSL_METHOD *method, const char *group)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (SSL_CTX_set1_groups_list(context, group) != 1)
        exit(1);
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

/* One handshake; the seconds of CPU time that the server's side took, or less than none. */
static double handshake(SSL_CTX *client_context, SSL_CTX *server_context)
{
    SSL   *client = SSL_new(client_context), *server;
    BIO   *near_end, *far_end;
    double took, begin;
    int    done = 0;

    BIO_new_bio_pair(&near_end, 1 << 16, &far_end, 1 << 16);
    SSL_set_bio(client, near_end, near_end);
    begin = seconds(CLOCK_THREAD_CPUTIME_ID);
    server = SSL_new(server_context);
    SSL_set_bio(server, far_end, far_end);
    took = seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    for (int i = 0; i < 4 && !done; i++) {
        SSL_connect(client);
        begin = seconds(CLOCK_THREAD_CPUTIME_ID);
        done = SSL_accept(server) == 1;
        took += seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    }
    begin = seconds(CLOCK_THREAD_CPUTIME_ID);
    SSL_free(server);
    took += seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    SSL_free(client);
    return done ? took : -1;
}

int main(int count, char **words)
{
    SSL_CTX *client, *server;
    double   took = 0, end;
    long     done = 0;

    if (count != 5)
        return fprintf(stderr, "floor CERTIFICATE KEY GROUP SECONDS\n"), 2;
    client = context(TLS_client_method(), words[3]);
    server = context(TLS_server_method(), words[3]);
    if (SSL_CTX_use_certificate_file(server, words[1], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(server, words[2], SSL_FILETYPE_PEM) != 1)
        return fprintf(stderr, "%s, %s: not a certificate and its key\n", words[1], words[2]), 1;
    end = seconds(CLOCK_MONOTONIC) + atof(words[4]);
    for (double one; seconds(CLOCK_MONOTONIC) < end; done++, took += one) {
        if ((one = handshake(client, server)) < 0)
            return fprintf(stderr, "no handshake\n"), 1;
    }
    printf("%.1f\n", took * 1e6 / (double)done);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    return 0;
}
