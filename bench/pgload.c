/* pgload: load generator and null backend for measuring PostgreSQL TLS proxies.
 *
 *   pgload backend PORT                     a PostgreSQL-speaking null backend: any user, any
 * query pgload handshake PORT SECONDS THREADS   SSLRequest + TLS handshake + close, in a loop
 *   pgload connect PORT SECONDS THREADS     the same plus startup until ReadyForQuery
 *   pgload query PORT SECONDS THREADS       one connection a thread, one small query in flight
 *   pgload bulk PORT MEGABYTES THREADS      one query a thread whose answer is MEGABYTES long
 *   pgload upload PORT MEGABYTES THREADS    one long stream to the backend a thread
 *   pgload stall PORT COUNT SECONDS         COUNT connections that ask for 64 MiB and do not read
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
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static SSL_CTX    *ctx;
static int         port, plain, direct, resume, pipe_n = 1;
static double      run_s;
static long        megabytes;
static long        rate;    /* of handshakes a second, all threads; 0: as many as go */
static unsigned   *latency; /* in microseconds; NULL: not wanted */
static atomic_long latencies;

#define LATENCIES_MOST 1000000
static atomic_long ops, errs, resumed;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct conn {
    int           fd;
    SSL          *ssl;
    unsigned char buf[65536];
    size_t        len;
};

static int tcp(int p)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)p),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || connect(fd, (void *)&a, sizeof a)) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}
static int put(struct conn *c, const void *b, size_t n)
{
    const char *p = b;
    while (n) {
        ssize_t r = c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
        if (r <= 0)
            return -1;
        p += r;
        n -= (size_t)r;
    }
    return 0;
}
static ssize_t get(struct conn *c, void *b, size_t n)
{
    return c->ssl ? SSL_read(c->ssl, b, (int)n) : recv(c->fd, b, n, 0);
}
static void drop(struct conn *c)
{
    if (c->ssl) {
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->ssl = 0;
}

static __thread SSL_SESSION *saved;
static int                   new_session(SSL *s, SSL_SESSION *x)
{
    (void)s;
    if (saved)
        SSL_SESSION_free(saved);
    saved = x;
    return 1;
}

static int open_tls(struct conn *c)
{
    c->ssl = 0;
    c->len = 0;
    if ((c->fd = tcp(port)) < 0)
        return -1;
    if (plain)
        return 0;
    if (!direct) {
        unsigned char q[8] = { 0, 0, 0, 8, 4, 210, 22, 47 }, r;
        if (send(c->fd, q, 8, MSG_NOSIGNAL) != 8 || recv(c->fd, &r, 1, 0) != 1 || r != 'S') {
            drop(c);
            return -1;
        }
    }
    c->ssl = SSL_new(ctx);
    SSL_set_fd(c->ssl, c->fd);
    if (resume && saved)
        SSL_set_session(c->ssl, saved);
    if (SSL_connect(c->ssl) != 1) {
        drop(c);
        return -1;
    }
    if (resume && SSL_session_reused(c->ssl))
        resumed++;
    return 0;
}
/* read one message; body in c->buf; returns type or -1 */
static int message(struct conn *c, size_t *body)
{
    for (;;) {
        if (c->len >= 5) {
            uint32_t l;
            memcpy(&l, c->buf + 1, 4);
            l = ntohl(l);
            if (c->len >= l + 1) {
                int t = c->buf[0];
                *body = l - 4;
                memmove(c->buf, c->buf + l + 1, c->len - l - 1);
                c->len -= l + 1;
                return t;
            }
        }
        ssize_t r = get(c, c->buf + c->len, sizeof c->buf - c->len);
        if (r <= 0)
            return -1;
        c->len += (size_t)r;
    }
}
static int startup(struct conn *c)
{
    static const char s[] = "\0\0\0\0\0\3\0\0user\0bench\0database\0bench\0";
    char              b[sizeof s];
    memcpy(b, s, sizeof s);
    uint32_t l = htonl(sizeof s);
    memcpy(b, &l, 4);
    if (put(c, b, sizeof s))
        return -1;
    for (;;) {
        size_t n;
        int    t = message(c, &n);
        if (t < 0 || t == 'E')
            return -1;
        if (t == 'Z')
            return 0;
    }
}
static int query(struct conn *c, const char *sql)
{
    char     b[256];
    size_t   n = strlen(sql) + 1;
    uint32_t l = htonl((uint32_t)(n + 4));
    b[0] = 'Q';
    memcpy(b + 1, &l, 4);
    memcpy(b + 5, sql, n);
    return put(c, b, n + 5);
}
static void sleep_until(double when)
{
    double          left = when - now();
    struct timespec t = { (time_t)left, (long)((left - (double)(time_t)left) * 1e9) };
    if (left > 0)
        nanosleep(&t, 0);
}
static int compare(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return x < y ? -1 : x > y;
}
static void print_latency(void)
{
    long n = latencies < LATENCIES_MOST ? latencies : LATENCIES_MOST;
    if (n == 0)
        return;
    qsort(latency, (size_t)n, sizeof *latency, compare);
    printf("p50 %u p99 %u max %u us\n", latency[n / 2], latency[n * 99 / 100], latency[n - 1]);
}
static void *handshakes(void *arg)
{
    static atomic_long started;
    int                full = *(int *)arg;
    double             begin = now(), end = begin + run_s;
    struct conn       *c = malloc(sizeof *c);
    while (now() < end) {
        if (rate)
            sleep_until(begin + (double)started++ / (double)rate);
        if (open_tls(c)) {
            errs++;
            if (errs > 1000)
                break;
            continue;
        }
        if (full && startup(c)) {
            errs++;
            drop(c);
            continue;
        }
        if (resume) {
            struct timeval tv = { 0, 2000 };
            setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
            char x;
            if (!full)
                get(c, &x, 1);
        }
        ops++;
        if (full)
            put(c, "X\0\0\0\4", 5);
        drop(c);
    }
    return 0;
}
static void *queries(void *arg)
{
    (void)arg;
    struct conn *c = malloc(sizeof *c);
    if (open_tls(c) || startup(c)) {
        errs++;
        return 0;
    }
    double asked = now(), end = asked + run_s;
    for (int i = 0; i < pipe_n; i++)
        if (query(c, "SELECT 1")) {
            errs++;
            return 0;
        }
    while (now() < end) {
        size_t n;
        int    t = message(c, &n);
        if (t < 0) {
            errs++;
            break;
        }
        if (t == 'Z') {
            ops++;
            if (latency) {
                long i = latencies++;
                if (i < LATENCIES_MOST)
                    latency[i] = (unsigned)((now() - asked) * 1e6);
                usleep(1000);
                asked = now();
            }
            if (query(c, "SELECT 1")) {
                errs++;
                break;
            }
        }
    }
    drop(c);
    return 0;
}
static void *bulk(void *arg)
{
    (void)arg;
    struct conn *c = malloc(sizeof *c);
    char         q[64];
    if (open_tls(c) || startup(c)) {
        errs++;
        return 0;
    }
    snprintf(q, sizeof q, "BLAST %ld", megabytes);
    if (query(c, q)) {
        errs++;
        return 0;
    }
    long want = megabytes << 20, got = 0;
    while (got < want) {
        ssize_t r = get(c, c->buf, sizeof c->buf);
        if (r <= 0) {
            errs++;
            break;
        }
        got += r;
    }
    ops += got >> 20;
    drop(c);
    return 0;
}
static void *upload(void *arg)
{
    (void)arg;
    struct conn *c = malloc(sizeof *c);
    char         q[64];
    if (open_tls(c) || startup(c)) {
        errs++;
        return 0;
    }
    snprintf(q, sizeof q, "SINK %ld", megabytes);
    if (query(c, q)) {
        errs++;
        return 0;
    }
    static char d[8192];
    d[0] = 'd';
    uint32_t l = htonl(sizeof d - 1);
    memcpy(d + 1, &l, 4);
    size_t n;
    int    t = message(c, &n);
    if (t != 'G') {
        errs++;
        return 0;
    }
    for (long i = 0; i < megabytes * 128; i++)
        if (put(c, d, sizeof d)) {
            errs++;
            return 0;
        }
    if (put(c, "c\0\0\0\4", 5)) {
        errs++;
        return 0;
    }
    do
        t = message(c, &n);
    while (t >= 0 && t != 'Z');
    if (t < 0)
        errs++;
    else
        ops += megabytes;
    drop(c);
    return 0;
}
/* the null backend: one thread a connection */
static void *serve(void *arg)
{
    int            fd = (int)(long)arg, one = 1;
    unsigned char *b = malloc(1 << 16);
    size_t         len = 0;
    int            started = 0;
    long           sink = -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    static char       blast[1 << 16];
    static atomic_int ready;
    if (!ready) {
        for (int i = 0; i < 8; i++) {
            char *p = blast + i * 8192;
            p[0] = 'd';
            uint32_t l = htonl(8191);
            memcpy(p + 1, &l, 4);
        }
        ready = 1;
    }
    for (;;) {
        ssize_t r = recv(fd, b + len, (1 << 16) - len, 0);
        if (r <= 0)
            break;
        len += (size_t)r;
        size_t at = 0;
        char   out[65536];
        size_t o = 0;
        for (;;) {
            if (!started) {
                if (len - at < 8)
                    break;
                uint32_t l, code;
                memcpy(&l, b + at, 4);
                memcpy(&code, b + at + 4, 4);
                l = ntohl(l);
                code = ntohl(code);
                if (len - at < l)
                    break;
                at += l;
                if (code == 80877103 || code == 80877104) {
                    out[o++] = 'N';
                    continue;
                }
                if (code == 80877102)
                    goto done;
                static const char hello[] = "R\0\0\0\x08\0\0\0\0"
                                            "S\0\0\0\x16server_version\0"
                                            "15\0"
                                            "S\0\0\0\x19"
                                            "client_encoding\0UTF8\0"
                                            "S\0\0\0\x23standard_conforming_strings\0on\0"
                                            "K\0\0\0\x0c\0\0\0\1\0\0\0\2Z\0\0\0\5I";
                /* lengths computed below to be safe */
                char   h[256];
                size_t n = 0;
                (void)hello;
                memcpy(h, "R\0\0\0\x08\0\0\0\0", 9);
                n = 9;
                const char *ps[][2] = { { "server_version", "15.0" },
                                        { "client_encoding", "UTF8" },
                                        { "standard_conforming_strings", "on" },
                                        { "DateStyle", "ISO, MDY" },
                                        { "TimeZone", "UTC" } };
                for (size_t i = 0; i < 5; i++) {
                    size_t   a = strlen(ps[i][0]) + 1, v = strlen(ps[i][1]) + 1;
                    uint32_t L = htonl((uint32_t)(4 + a + v));
                    h[n++] = 'S';
                    memcpy(h + n, &L, 4);
                    n += 4;
                    memcpy(h + n, ps[i][0], a);
                    n += a;
                    memcpy(h + n, ps[i][1], v);
                    n += v;
                }
                memcpy(h + n, "K\0\0\0\x0c\0\0\0\1\0\0\0\2Z\0\0\0\5I", 19);
                n += 19;
                memcpy(out + o, h, n);
                o += n;
                started = 1;
                continue;
            }
            if (len - at < 5)
                break;
            uint32_t l;
            memcpy(&l, b + at + 1, 4);
            l = ntohl(l);
            if (len - at < l + 1)
                break;
            unsigned char t = b[at];
            char         *body = (char *)b + at + 5;
            at += l + 1;
            if (t == 'X')
                goto done;
            if (t == 'd')
                continue;
            if (t == 'c' && sink >= 0) {
                memcpy(out + o,
                       "C\0\0\0\x0b"
                       "COPY 1\0",
                       12);
                o += 12;
                memcpy(out + o, "Z\0\0\0\5I", 6);
                o += 6;
                sink = -1;
                continue;
            }
            if (t == 'Q') {
                long mb;
                if (sscanf(body, "BLAST %ld", &mb) == 1) {
                    static const char h[] = "H\0\0\0\7\0\0\0";
                    send(fd, h, 8, MSG_NOSIGNAL);
                    for (long i = 0; i < mb * 16; i++) {
                        size_t s = 0;
                        while (s < sizeof blast) {
                            ssize_t w = send(fd, blast + s, sizeof blast - s, MSG_NOSIGNAL);
                            if (w <= 0)
                                goto done;
                            s += (size_t)w;
                        }
                    }
                    memcpy(out + o,
                           "c\0\0\0\4C\0\0\0\x0b"
                           "COPY 1\0Z\0\0\0\5I",
                           23);
                    o += 23;
                } else if (sscanf(body, "SINK %ld", &mb) == 1) {
                    sink = mb;
                    memcpy(out + o, "G\0\0\0\7\0\0\0", 8);
                    o += 8;
                } else {
                    static const char row[] =
                        "T\0\0\0\x1a\0\1c\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
                        "D\0\0\0\x0b\0\1\0\0\0\1"
                        "1"
                        "C\0\0\0\x0dSELECT 1\0"
                        "Z\0\0\0\5I";
                    memcpy(out + o, row, sizeof row - 1);
                    o += sizeof row - 1;
                }
            } else if (t == 'S') {
                memcpy(out + o, "Z\0\0\0\5I", 6);
                o += 6;
            }
            if (o > 60000) {
                send(fd, out, o, MSG_NOSIGNAL);
                o = 0;
            }
        }
        if (o && send(fd, out, o, MSG_NOSIGNAL) < 0)
            break;
        memmove(b, b + at, len - at);
        len -= at;
    }
done:
    close(fd);
    free(b);
    return 0;
}
static int backend(int p)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)p),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) {
        perror("bind");
        return 1;
    }
    pthread_attr_t at;
    pthread_attr_init(&at);
    pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&at, 256 << 10);
    for (;;) {
        int fd = accept(l, 0, 0);
        if (fd < 0)
            continue;
        pthread_t t;
        if (pthread_create(&t, &at, serve, (void *)(long)fd))
            close(fd);
    }
}
int main(int n, char **v)
{
    if (n < 3)
        return fprintf(stderr, "see the head of pgload.c\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    struct rlimit rl = { 1 << 18, 1 << 18 };
    setrlimit(RLIMIT_NOFILE, &rl);
    port = atoi(v[2]);
    plain = !!getenv("PLAIN");
    direct = !!getenv("DIRECT");
    resume = !!getenv("RESUME");
    if (getenv("PIPE"))
        pipe_n = atoi(getenv("PIPE"));
    if (!strcmp(v[1], "backend"))
        return backend(port);
    ctx = SSL_CTX_new(TLS_client_method());
    if (getenv("TLS12"))
        SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    if (getenv("GROUP") && SSL_CTX_set1_groups_list(ctx, getenv("GROUP")) != 1)
        return fprintf(stderr, "%s: no such group\n", getenv("GROUP")), 2;
    if (direct)
        SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x0apostgresql", 11);
    if (resume) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, new_session);
    }
    if (getenv("RATE"))
        rate = atol(getenv("RATE"));
    if (getenv("LATENCY"))
        latency = calloc(LATENCIES_MOST, sizeof *latency);
    if (!strcmp(v[1], "idle") || !strcmp(v[1], "half") || !strcmp(v[1], "stall")) {
        int         count = atoi(v[3]), ok = 0;
        double      t0 = now();
        struct conn one;
        for (int i = 0; i < count; i++) {
            if (v[1][0] == 'h') {
                if (tcp(port) >= 0)
                    ok++;
                continue;
            }
            if (open_tls(&one) || startup(&one) ||
                (v[1][0] == 's' && query(&one, "BLAST 64"))) {
                errs++;
                continue;
            }
            ok++;
        }
        printf("%d %.3f %.1f errors %ld\n", ok, now() - t0, ok / (now() - t0), (long)errs);
        fflush(stdout);
        sleep((unsigned)atoi(v[4]));
        return 0;
    }
    int threads = atoi(v[4]), full = !strcmp(v[1], "connect");
    void *(*f)(void *) = !strcmp(v[1], "query")    ? queries
                         : !strcmp(v[1], "bulk")   ? bulk
                         : !strcmp(v[1], "upload") ? upload
                                                   : handshakes;
    if (f == bulk || f == upload)
        megabytes = atol(v[3]);
    else
        run_s = atof(v[3]);
    pthread_t t[1024];
    double    t0 = now();
    for (int i = 0; i < threads; i++)
        pthread_create(&t[i], 0, f, &full);
    for (int i = 0; i < threads; i++)
        pthread_join(t[i], 0);
    double s = now() - t0;
    printf("%ld %.3f %.1f errors %ld resumed %ld\n", (long)ops, s, ops / s, (long)errs,
           (long)resumed);
    if (latency)
        print_latency();
    return errs > ops;
}
