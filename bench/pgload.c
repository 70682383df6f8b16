/* SPDX-License-Identifier: PostgreSQL */
/*
 * pgload - load for PostgreSQL TLS proxies that stand before null_backend
 *
 *   pgload handshake PORT SECONDS THREADS   SSLRequest + TLS handshake + close, in a loop
 *   pgload connect PORT SECONDS THREADS     the same plus startup until ReadyForQuery
 *   pgload query PORT SECONDS THREADS       one connection a thread, one small query in flight
 *   pgload bulk PORT MEGABYTES THREADS      one query a thread whose answer is MEGABYTES long
 *   pgload upload PORT MEGABYTES THREADS    one long stream to the backend a thread
 *   pgload stall PORT COUNT SECONDS         COUNT connections that ask for 64 MiB, never reading
 *   pgload idle PORT COUNT SECONDS          COUNT connections, ready and idle for SECONDS
 *   pgload half PORT COUNT SECONDS          COUNT connections that never send a byte
 *
 * Environment: LATENCY=1 query also prints "p50 p99 max" in microseconds, pausing 1 ms after
 * each answer, RATE=N handshake makes N a second in all,
 * PLAIN=1 no TLS, DIRECT=1 direct TLS with ALPN, RESUME=1 resume sessions,
 * TLS12=1 TLS 1.2 at most, GROUP=NAME this group only, PIPE=N queries in flight (query).
 * Prints "ops seconds rate" on one line.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MOST_THREADS   1024
#define MOST_LATENCIES 1000000
#define MOST_ERRORS    1000 /* of one thread that shakes hands: then nobody is there */
#define CHUNK          8192 /* of CopyData */

/* What is asked for, by words and environment. */
static struct {
    int       port;
    double    seconds;
    long      megabytes;
    bool      is_plain, is_direct, resumes;
    int       in_flight; /* queries */
    long      rate;      /* of handshakes a second, all threads; 0: as many as go */
    unsigned *latency;   /* in microseconds; NULL: not wanted */
    SSL_CTX  *library;
} load = { .in_flight = 1 };

static atomic_long operations, errors, resumed, latencies;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sleep_until(double when)
{
    double          left = when - now();
    struct timespec t = { (time_t)left, (long)((left - (double)(time_t)left) * 1e9) };

    if (left > 0)
        nanosleep(&t, NULL);
}

/* ---- a connection ---- */

struct connection {
    int           fd;
    SSL          *ssl; /* NULL: in the clear */
    size_t        len;
    unsigned char in[65536];
};

static _Thread_local SSL_SESSION *saved;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(saved);
    saved = session;
    return 1;
}

static int connect_to(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static bool put(struct connection *c, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t sent =
            c->ssl != NULL ? SSL_write(c->ssl, p, (int)len) : send(c->fd, p, len, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        p += sent;
        len -= (size_t)sent;
    }
    return true;
}

static ssize_t get(struct connection *c, void *data, size_t room)
{
    return c->ssl != NULL ? SSL_read(c->ssl, data, (int)room) : recv(c->fd, data, room, 0);
}

static void drop(struct connection *c)
{
    if (c->ssl != NULL) {
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    if (c->fd >= 0)
        close(c->fd);
    c->ssl = NULL;
    c->fd = -1;
}

static bool ask_for_tls(struct connection *c)
{
    static const unsigned char request[8] = { 0, 0, 0, 8, 4, 210, 22, 47 };
    char                       answer;

    return load.is_direct || (send(c->fd, request, sizeof request, MSG_NOSIGNAL) == 8 &&
                              recv(c->fd, &answer, 1, 0) == 1 && answer == 'S');
}

static bool shake_hands(struct connection *c)
{
    if (!ask_for_tls(c))
        return false;
    c->ssl = SSL_new(load.library);
    SSL_set_fd(c->ssl, c->fd);
    if (load.resumes && saved != NULL)
        SSL_set_session(c->ssl, saved);
    if (SSL_connect(c->ssl) != 1)
        return false;
    if (load.resumes && SSL_session_reused(c->ssl))
        resumed++;
    return true;
}

static bool open_connection(struct connection *c)
{
    c->ssl = NULL;
    c->len = 0;
    if ((c->fd = connect_to(load.port)) < 0)
        return false;
    if (load.is_plain || shake_hands(c))
        return true;
    drop(c);
    return false;
}

/* ---- messages ---- */

/* Takes one; its type, or -1 at the end. */
static int message(struct connection *c)
{
    for (;;) {
        uint32_t len;
        ssize_t  got;

        if (c->len >= 5) {
            memcpy(&len, c->in + 1, sizeof len);
            len = ntohl(len) + 1;
            if (c->len >= len) {
                int type = c->in[0];

                memmove(c->in, c->in + len, c->len - len);
                c->len -= len;
                return type;
            }
        }
        if ((got = get(c, c->in + c->len, sizeof c->in - c->len)) <= 0)
            return -1;
        c->len += (size_t)got;
    }
}

static bool wait_for(struct connection *c, int wanted)
{
    int type;

    do
        type = message(c);
    while (type >= 0 && type != wanted && type != 'E');
    return type == wanted;
}

static bool log_in(struct connection *c)
{
    static const char startup[] = "\0\0\0\x23\0\3\0\0user\0bench\0database\0bench\0";

    _Static_assert(sizeof startup == 0x23, "its length");
    return put(c, startup, sizeof startup) && wait_for(c, 'Z');
}

static bool ask(struct connection *c, const char *query)
{
    char     text[256] = "Q";
    size_t   len = strlen(query) + 1;
    uint32_t told = htonl((uint32_t)(len + sizeof told));

    memcpy(text + 1, &told, sizeof told);
    memcpy(text + 5, query, len);
    return put(c, text, len + 5);
}

static bool ask_for(struct connection *c, const char *what)
{
    char query[64];

    snprintf(query, sizeof query, "%s %ld", what, load.megabytes);
    return ask(c, query);
}

/* ---- what threads do; false: it broke off ---- */

static bool take_answers(struct connection *c)
{
    double asked = now(), end = asked + load.seconds;

    for (int i = 0; i < load.in_flight; i++)
        if (!ask(c, "SELECT 1"))
            return false;
    while (now() < end) {
        if (!wait_for(c, 'Z'))
            return false;
        operations++;
        if (load.latency != NULL) {
            long i = latencies++;

            if (i < MOST_LATENCIES)
                load.latency[i] = (unsigned)((now() - asked) * 1e6);
            usleep(1000);
            asked = now();
        }
        if (!ask(c, "SELECT 1"))
            return false;
    }
    return true;
}

static bool download(struct connection *c)
{
    ssize_t more = 1;
    long    got = 0;

    if (!ask_for(c, "BLAST"))
        return false;
    while (got < load.megabytes << 20 && (more = get(c, c->in, sizeof c->in)) > 0)
        got += more;
    operations += got >> 20;
    return more > 0;
}

static bool upload(struct connection *c)
{
    char           chunk[CHUNK] = "d";
    const uint32_t len = htonl(CHUNK - 1);

    memcpy(chunk + 1, &len, sizeof len);
    if (!ask_for(c, "SINK") || !wait_for(c, 'G'))
        return false;
    for (long i = 0; i < load.megabytes * (1 << 20) / CHUNK; i++)
        if (!put(c, chunk, sizeof chunk))
            return false;
    if (!put(c, "c\0\0\0\4", 5) || !wait_for(c, 'Z'))
        return false;
    operations += load.megabytes;
    return true;
}

struct mode {
    const char *name;
    void *(*run)(void *mode); /* a thread of it */
    bool (*in_session)(struct connection *c);
    bool logs_in;
    bool is_in_megabytes;
};

static void *run_session(void *arg)
{
    const struct mode *mode = arg;
    struct connection *c = malloc(sizeof *c);

    if (!open_connection(c)) {
        errors++;
    } else {
        if (!log_in(c) || !mode->in_session(c))
            errors++;
        drop(c);
    }
    free(c);
    return NULL;
}

/* TLS 1.3 sends tickets behind the handshake. */
static void wait_for_ticket(struct connection *c)
{
    struct timeval soon = { 0, 2000 };
    char           byte;

    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    get(c, &byte, 1);
}

static bool shake_once(struct connection *c, bool logs_in)
{
    bool done;

    if (!open_connection(c))
        return false;
    done = !logs_in || log_in(c);
    if (done && logs_in)
        put(c, "X\0\0\0\4", 5);
    else if (done && load.resumes)
        wait_for_ticket(c);
    drop(c);
    return done;
}

/* One connection after the other. */
static void *run_handshakes(void *arg)
{
    static atomic_long started;
    const struct mode *mode = arg;
    double             begin = now();
    struct connection *c = malloc(sizeof *c);

    for (int broken = 0; now() < begin + load.seconds && broken < MOST_ERRORS;) {
        if (load.rate > 0)
            sleep_until(begin + (double)started++ / (double)load.rate);
        if (shake_once(c, mode->logs_in)) {
            operations++;
        } else {
            errors++;
            broken++;
        }
    }
    free(c);
    return NULL;
}

/* ---- modes ---- */

static int compare(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return x < y ? -1 : x > y;
}

static void print_latency(void)
{
    long      n = latencies < MOST_LATENCIES ? latencies : MOST_LATENCIES;
    unsigned *sorted = load.latency;

    if (n == 0)
        return;
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    printf("p50 %u p99 %u max %u us\n", sorted[n / 2], sorted[n * 99 / 100], sorted[n - 1]);
}

static int run_threads(struct mode *mode, int count)
{
    pthread_t threads[MOST_THREADS];
    double    begin = now(), took;

    for (int i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, mode->run, mode);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    took = now() - begin;
    printf("%ld %.3f %.1f errors %ld resumed %ld\n", (long)operations, took,
           (double)operations / took, (long)errors, (long)resumed);
    if (load.latency != NULL)
        print_latency();
    return errors > operations;
}

/* `stall` has asked for more than it reads; of `half` there is nothing but a socket. */
static bool hold_one(const char *mode)
{
    struct connection c;

    if (strcmp(mode, "half") == 0)
        return connect_to(load.port) >= 0;
    return open_connection(&c) && log_in(&c) &&
           (strcmp(mode, "stall") != 0 || ask(&c, "BLAST 64"));
}

static int hold(const char *mode, int count, unsigned seconds)
{
    double begin = now(), took;
    int    held = 0;

    for (int i = 0; i < count; i++)
        held += hold_one(mode);
    took = now() - begin;
    printf("%d %.3f %.1f errors %d\n", held, took, held / took, count - held);
    fflush(stdout);
    sleep(seconds);
    return 0;
}

static struct mode modes[] = {
    { "handshake", .run = run_handshakes },
    { "connect", .run = run_handshakes, .logs_in = true },
    { "query", .run = run_session, .in_session = take_answers },
    { "bulk", .run = run_session, .in_session = download, .is_in_megabytes = true },
    { "upload", .run = run_session, .in_session = upload, .is_in_megabytes = true },
};

/* ---- what is wanted ---- */

static void read_environment(void)
{
    load.is_plain = getenv("PLAIN") != NULL;
    load.is_direct = getenv("DIRECT") != NULL;
    load.resumes = getenv("RESUME") != NULL;
    if (getenv("PIPE") != NULL)
        load.in_flight = atoi(getenv("PIPE"));
    if (getenv("RATE") != NULL)
        load.rate = atol(getenv("RATE"));
    if (getenv("LATENCY") != NULL)
        load.latency = calloc(MOST_LATENCIES, sizeof *load.latency);
}

static bool set_up_library(void)
{
    SSL_CTX *library = load.library = SSL_CTX_new(TLS_client_method());

    if (getenv("TLS12") != NULL)
        SSL_CTX_set_max_proto_version(library, TLS1_2_VERSION);
    if (getenv("GROUP") != NULL && SSL_CTX_set1_groups_list(library, getenv("GROUP")) != 1) {
        fprintf(stderr, "%s: no such group\n", getenv("GROUP"));
        return false;
    }
    if (load.is_direct)
        SSL_CTX_set_alpn_protos(library, (const unsigned char *)"\x0apostgresql", 11);
    if (load.resumes) {
        SSL_CTX_set_session_cache_mode(library,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(library, keep_session);
    }
    return true;
}

static int run_mode(struct mode *mode, const char *how_much, int threads)
{
    if (mode->is_in_megabytes)
        load.megabytes = atol(how_much);
    else
        load.seconds = atof(how_much);
    return run_threads(mode, threads < MOST_THREADS ? threads : MOST_THREADS);
}

static bool is_holding(const char *mode)
{
    return strcmp(mode, "idle") == 0 || strcmp(mode, "half") == 0 || strcmp(mode, "stall") == 0;
}

int main(int argc, char **argv)
{
    struct rlimit files = { 1 << 18, 1 << 18 };

    if (argc != 5) {
        fprintf(stderr,
                "usage: pgload MODE PORT HOW-MUCH THREADS; its source tells the modes\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    setrlimit(RLIMIT_NOFILE, &files);
    load.port = atoi(argv[2]);
    read_environment();
    if (!set_up_library())
        return 2;
    if (is_holding(argv[1]))
        return hold(argv[1], atoi(argv[3]), (unsigned)atoi(argv[4]));
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, argv[1]) == 0)
            return run_mode(&modes[i], argv[3], atoi(argv[4]));
    fprintf(stderr, "%s: no such mode\n", argv[1]);
    return 2;
}
