/* SPDX-License-Identifier: PostgreSQL */
/* Checks of a server, each time with the next allocation failing: no crash, and nothing leaks.
 */
#include "doctor/doctor.h"

#include "driver/sources.h"
#include "driver/uri.h"
#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"
#include "pg/opening.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DAY ((int64_t)86400)

static struct cert authority, leaf;
static char       *dir, *root;
static uint16_t    port;
static pid_t       server;

/* ---- a server that lets everybody in, in a process of its own ---- */

struct visit {
    int  fd;
    SSL *ssl; /* NULL: in the clear */
};

static int visit_read(struct visit *visit, void *to, int len)
{
    int got = 0, n = 1;

    for (; got < len && n > 0; got += n > 0 ? n : 0)
        n = visit->ssl != NULL ? SSL_read(visit->ssl, (char *)to + got, len - got)
                               : (int)recv(visit->fd, (char *)to + got, (size_t)(len - got), 0);
    return got;
}

static void visit_write(struct visit *visit, struct bytes b)
{
    if (visit->ssl != NULL)
        SSL_write(visit->ssl, b.p, (int)b.len);
    else
        (void)!send(visit->fd, b.p, b.len, MSG_NOSIGNAL);
}

/* A packet of before the login; 0: none came. */
static uint32_t read_packet(struct visit *visit)
{
    uint8_t head[8], rest[10000];

    if (visit_read(visit, head, 8) < 8 || bytes_u32(head) < 8 || bytes_u32(head) > sizeof rest)
        return 0;
    visit_read(visit, rest, (int)bytes_u32(head) - 8);
    return bytes_u32(head + 4);
}

enum { SSL_REQUEST = 80877103, GSS_REQUEST = 80877104, PROTOCOL_3_0 = 196608 };

/* False at the end, however it comes. */
static bool read_question(struct visit *visit)
{
    uint8_t head[5], rest[10000];

    if (visit_read(visit, head, 5) < 5 || head[0] != 'Q' || bytes_u32(head + 1) > sizeof rest)
        return false;
    return visit_read(visit, rest, (int)bytes_u32(head + 1) - 4) > 0;
}

static void receive_visitor(struct visit *visit, SSL_CTX *context)
{
    uint32_t code = read_packet(visit);

    while (code == SSL_REQUEST || code == GSS_REQUEST) {
        visit_write(visit, code == SSL_REQUEST ? BYTES("S") : BYTES("N"));
        if (code == SSL_REQUEST) {
            visit->ssl = SSL_new(context);
            SSL_set_fd(visit->ssl, visit->fd);
            if (SSL_accept(visit->ssl) != 1)
                return;
        }
        code = read_packet(visit);
    }
    if (code != PROTOCOL_3_0)
        return;
    visit_write(visit, BYTES("R\0\0\0\x08\0\0\0\0Z\0\0\0\5I"));
    while (read_question(visit))
        visit_write(visit, BYTES("C\0\0\0\x0dSELECT 0\0Z\0\0\0\5I"));
}

static void serve(int listener)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    if (SSL_CTX_use_certificate(context, leaf.x509) != 1 ||
        SSL_CTX_use_PrivateKey(context, leaf.key) != 1)
        _exit(1);
    for (;;) {
        struct visit visit = { .fd = accept(listener, NULL, NULL) };

        if (fork() == 0) {
            receive_visitor(&visit, context);
            _exit(0);
        }
        close(visit.fd);
    }
}

static int start_server(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t          size = sizeof at;
    int                listener = socket(AF_INET, SOCK_STREAM, 0);
    int64_t            now = time(NULL);
    struct cert_spec   spec = { .common_name = "authority",
                                .is_ca = true,
                                .not_before = now - DAY,
                                .not_after = now + 90 * DAY };

    authority = cert_make(&spec, NULL);
    spec.common_name = "server";
    spec.is_ca = false;
    spec.names = "IP:127.0.0.1";
    leaf = cert_make(&spec, &authority);
    dir = certs_dir_new();
    root = certs_write_chain(dir, "root.crt", (const struct cert *[]){ &authority, NULL });
    if (bind(listener, (struct sockaddr *)&at, size) != 0 || listen(listener, 100) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &size) != 0)
        return -1;
    port = ntohs(at.sin_port);
    if ((server = fork()) == 0)
        serve(listener);
    close(listener);
    clearenv();
    setenv("HOME", dir, 1);
    return server > 0 ? 0 : -1;
}

static int stop_server(void **state)
{
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    certs_dir_free(dir);
    free(root);
    cert_free(&leaf);
    cert_free(&authority);
    return 0;
}

/* ---- checks ---- */

static struct diagnosis diagnosis;

/* Whether it came to an end, which is in the diagnosis. */
static bool check(const char *uri, struct failure *why)
{
    const struct doctor_options options = { 0 };
    struct parameters           parameters;
    enum fail                   rc;

    diagnosis = (struct diagnosis){ 0 };
    parameters_init(&parameters);
    rc = uri_read(&parameters, uri, why);
    if (rc == FAIL_NONE)
        rc = sources_fill(&parameters, why);
    if (rc == FAIL_NONE)
        rc = doctor_run(&parameters, &options, &diagnosis, why);
    parameters_fini(&parameters);
    return rc == FAIL_NONE;
}

/* It fails for want of memory, or its diagnosis is not good: it never says that all is well. */
static void assert_survives(const char *uri)
{
    bool has_failed = true;

    for (unsigned n = 1; has_failed; n++) {
        struct failure why = { 0 };
        bool           is_over;

        alloc_fail_at(n);
        is_over = check(uri, &why);
        has_failed = alloc_has_failed();
        if (!is_over && why.kind != FAIL_MEMORY)
            print_error("allocation %u: %s\n", n, why.text);
        assert_true(is_over || why.kind == FAIL_MEMORY);
        if (has_failed && is_over && diagnosis_is_good(&diagnosis))
            print_error("allocation %u: %s\n", n, diagnosis.verdict);
        assert_true(diagnosis_is_good(&diagnosis) != has_failed || !is_over);
        assert_in_range(n, 1, 3000);
    }
}

static void a_check_over_tls_survives_without_memory(void **state)
{
    char uri[600];

    snprintf(uri, sizeof uri,
             "postgresql://alice@127.0.0.1:%u/"
             "db?sslmode=verify-full&connect_timeout=60&sslrootcert=%s",
             port, root);
    assert_survives(uri);
}

static void a_check_in_the_clear_survives_without_memory(void **state)
{
    char uri[600];

    snprintf(uri, sizeof uri,
             "host=127.0.0.1 port=%u user=alice dbname=db sslmode=disable connect_timeout=60",
             port);
    assert_survives(uri);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_over_tls_survives_without_memory),
        cmocka_unit_test(a_check_in_the_clear_survives_without_memory),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
