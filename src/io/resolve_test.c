/* SPDX-License-Identifier: PostgreSQL */
#include "io/resolve.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "io/loop_backend.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A name server for db.example; it leaves silent.example without an answer. */
struct server {
    struct loop_watch watch;
    uint16_t          port;
    unsigned          asked;
};

struct query {
    struct resolve_request request;
    unsigned               answered;
    size_t                 count;
    struct address         addresses[RESOLVE_MOST];
    struct failure         why;
};

struct fixture {
    struct loop      *loop;
    struct resolver  *resolver;
    struct server     server;
    struct loop_timer guard;
    bool              gave_up;
};

#define HEADER    12u
#define TYPE_A    1
#define TYPE_AAAA 28

/* ---- the name server ---- */

static void put_answer(struct buf *out, uint16_t type, const char *address)
{
    uint8_t raw[16];

    inet_pton(type == TYPE_A ? AF_INET : AF_INET6, address, raw);
    buf_put_u16(out, 0xc00c); /* the name of the question */
    buf_put_u16(out, type);
    buf_put_u16(out, 1);
    buf_put_u32(out, 60);
    buf_put_u16(out, type == TYPE_A ? 4 : 16);
    buf_put(out, bytes_of(raw, type == TYPE_A ? 4 : 16));
}

static void answer_question(int fd, struct bytes question, const struct sockaddr *to,
                            socklen_t to_length)
{
    struct buf out = BUF_LIMIT(512);
    size_t     name_length = strlen((const char *)question.p + HEADER) + 1;
    bool is_known = name_length == 12 && memcmp(question.p + HEADER, "\2db\7example", 12) == 0;
    uint16_t type = bytes_u16(question.p + HEADER + name_length);
    uint16_t count = !is_known ? 0 : type == TYPE_A ? 2 : 1;

    buf_put(&out, bytes_first(question, 2));
    buf_put_u16(&out, is_known ? 0x8180 : 0x8183);
    buf_put_u16(&out, 1);
    buf_put_u16(&out, count);
    buf_put_u32(&out, 0);
    buf_put(&out, bytes_of(question.p + HEADER, name_length + 4));
    if (is_known && type == TYPE_A) {
        put_answer(&out, TYPE_A, "127.0.0.7");
        put_answer(&out, TYPE_A, "127.0.0.8");
    } else if (is_known) {
        put_answer(&out, TYPE_AAAA, "::1");
    }
    sendto(fd, buf_bytes(&out).p, out.len, 0, to, to_length);
    buf_fini(&out);
}

static void on_question(struct loop_watch *watch, unsigned what)
{
    struct server          *server = container_of(watch, struct server, watch);
    uint8_t                 packet[512];
    struct sockaddr_storage from;
    socklen_t               from_length = sizeof from;
    ssize_t                 n =
        recvfrom(watch->fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &from_length);

    assert_true(n > (ssize_t)HEADER);
    server->asked++;
    if (memcmp(packet + HEADER, "\6silent", 7) != 0)
        answer_question(watch->fd, bytes_of(packet, (size_t)n), (struct sockaddr *)&from,
                        from_length);
}

/* False: it may not have that port. */
static bool server_open_at(struct server *server, struct loop *loop, const char *ip,
                           uint16_t port)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };
    socklen_t          length = sizeof name;
    struct failure     why = { 0 };

    inet_pton(AF_INET, ip, &name.sin_addr);
    server->watch = (struct loop_watch){ .ready = on_question };
    server->watch.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(server->watch.fd, (struct sockaddr *)&name, sizeof name) != 0) {
        close(server->watch.fd);
        return false;
    }
    getsockname(server->watch.fd, (struct sockaddr *)&name, &length);
    server->port = ntohs(name.sin_port);
    server->asked = 0;
    assert_int_equal(loop_watch_start(loop, &server->watch, LOOP_READABLE, &why), FAIL_NONE);
    return true;
}

static void server_close(struct server *server, struct loop *loop)
{
    loop_watch_stop(loop, &server->watch);
    close(server->watch.fd);
}

/* ---- the fixture ---- */

static void on_guard(struct loop_timer *timer)
{
    container_of(timer, struct fixture, guard)->gave_up = true;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct failure  why = { 0 };
    char            servers[64];

    fixture->loop = loop_new(LOOP_EPOLL, &why);
    fixture->resolver = resolver_new(fixture->loop, &why);
    assert_non_null(fixture->resolver);
    assert_true(server_open_at(&fixture->server, fixture->loop, "127.0.0.1", 0));
    snprintf(servers, sizeof servers, "127.0.0.1:%u", fixture->server.port);
    assert_int_equal(resolver_use_servers(fixture->resolver, servers, &why), FAIL_NONE);
    fixture->guard.expired = on_guard;
    loop_timer_start(fixture->loop, &fixture->guard, 20000000);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    server_close(&fixture->server, fixture->loop);
    resolver_free(fixture->resolver);
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static void on_resolved(struct resolve_request *request, const struct address *addresses,
                        size_t count, const struct failure *why)
{
    struct query *query = container_of(request, struct query, request);

    query->answered++;
    query->count = count;
    if (count > 0)
        memcpy(query->addresses, addresses, count * sizeof *addresses);
    query->why = *why;
}

static void ask(struct fixture *fixture, struct query *query, const char *host)
{
    *query = (struct query){ .request.resolved = on_resolved };
    resolver_start(fixture->resolver, &query->request, host, 5432);
    assert_int_equal(query->answered, 0);
}

static void wait_for(struct fixture *fixture, const struct query *query)
{
    while (query->answered == 0) {
        loop_turn(fixture->loop);
        assert_false(fixture->gave_up);
    }
    assert_int_equal(query->answered, 1);
}

static bool has(const struct query *query, const char *expected)
{
    char text[ADDRESS_TEXT];

    for (size_t i = 0; i < query->count; i++)
        if (strcmp(address_format(&query->addresses[i], text), expected) == 0)
            return true;
    return false;
}

/* ---- the tests ---- */

static void a_numeric_address_is_its_own_answer(void **state)
{
    struct fixture *fixture = *state;
    struct query    v4, v6;

    ask(fixture, &v4, "192.0.2.1");
    ask(fixture, &v6, "2001:db8::1");
    wait_for(fixture, &v4);
    wait_for(fixture, &v6);
    assert_int_equal(v4.count, 1);
    assert_true(has(&v4, "192.0.2.1:5432"));
    assert_int_equal(v6.count, 1);
    assert_true(has(&v6, "[2001:db8::1]:5432"));
    assert_int_equal(fixture->server.asked, 0);
}

static void the_hosts_file_counts(void **state)
{
    struct fixture *fixture = *state;
    struct query    query;

    ask(fixture, &query, "localhost");
    wait_for(fixture, &query);
    assert_true(has(&query, "127.0.0.1:5432") || has(&query, "[::1]:5432"));
    assert_int_equal(fixture->server.asked, 0);
}

static void a_name_has_all_its_addresses_of_both_families(void **state)
{
    struct fixture *fixture = *state;
    struct query    query;

    ask(fixture, &query, "db.example");
    wait_for(fixture, &query);
    assert_int_equal(query.count, 3);
    assert_true(has(&query, "127.0.0.7:5432"));
    assert_true(has(&query, "127.0.0.8:5432"));
    assert_true(has(&query, "[::1]:5432"));
    assert_int_equal(query.why.kind, FAIL_NONE);
}

static void a_name_that_does_not_exist_is_named_in_the_failure(void **state)
{
    struct fixture *fixture = *state;
    struct query    query;

    ask(fixture, &query, "nowhere.example.");
    wait_for(fixture, &query);
    assert_int_equal(query.count, 0);
    assert_int_equal(query.why.kind, FAIL_IO);
    assert_non_null(strstr(query.why.text, "\"nowhere.example.\""));
}

static void a_name_that_is_too_long_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct query    query;
    char            host[400] = { 0 };

    memset(host, 'a', sizeof host - 1);
    ask(fixture, &query, host);
    wait_for(fixture, &query);
    assert_int_equal(query.why.kind, FAIL_CONFIG);
    assert_non_null(strstr(query.why.text, "aaaa"));
}

static void a_request_that_is_cancelled_gets_no_answer(void **state)
{
    struct fixture *fixture = *state;
    struct query    numeric, known, silent, last;

    ask(fixture, &numeric, "192.0.2.1");
    ask(fixture, &known, "db.example");
    ask(fixture, &silent, "silent.example");
    resolver_cancel(&numeric.request);
    resolver_cancel(&known.request);
    resolver_cancel(&silent.request);
    resolver_cancel(&silent.request);
    memset(&silent.request, 0xa5, sizeof silent.request);
    memset(&known.request, 0xa5, sizeof known.request);
    while (fixture->server.asked < 4)
        loop_turn(fixture->loop);
    ask(fixture, &last, "db.example");
    wait_for(fixture, &last);
    assert_int_equal(numeric.answered + known.answered + silent.answered, 0);
}

static void without_memory_the_answer_is_a_failure(void **state)
{
    struct fixture *fixture = *state;
    struct query    first, second;
    struct failure  why = { 0 };

    alloc_fail_at(1);
    ask(fixture, &first, "192.0.2.1");
    assert_true(alloc_has_failed());
    alloc_fail_at(1);
    ask(fixture, &second, "192.0.2.1");
    assert_true(alloc_has_failed());
    resolver_cancel(&first.request);
    wait_for(fixture, &second);
    assert_int_equal(second.why.kind, FAIL_MEMORY);
    ask(fixture, &second, "192.0.2.1");
    wait_for(fixture, &second);
    assert_int_equal(first.answered, 0);

    alloc_fail_at(1);
    assert_null(resolver_new(fixture->loop, &why));
    assert_true(alloc_has_failed());
    assert_int_equal(why.kind, FAIL_MEMORY);
}

static void write_server(const char *file, const char *ip)
{
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    fprintf(out, "nameserver %s\n", ip);
    fclose(out);
}

static void other_name_servers_are_asked_once_the_file_has_them(void **state)
{
    struct fixture *fixture = *state;
    struct server   first, second;
    struct failure  why = { 0 };
    struct query    early, late;
    char            file[32];

    snprintf(file, sizeof file, "/tmp/pgtls-resolv-%d", (int)getpid());
    if (!server_open_at(&first, fixture->loop, "127.53.0.1", 53))
        skip(); /* files have no ports, and this one is root's */
    assert_true(server_open_at(&second, fixture->loop, "127.53.0.22", 53));
    write_server(file, "127.53.0.1");
    resolver_free(fixture->resolver);
    fixture->resolver = resolver_new_of(fixture->loop, file, &why);
    assert_non_null(fixture->resolver);
    ask(fixture, &early, "silent.example");
    while (first.asked == 0)
        loop_turn(fixture->loop);
    write_server(file, "127.53.0.22");
    do {
        ask(fixture, &late, "db.example");
        wait_for(fixture, &late);
    } while (second.asked == 0);
    assert_int_equal(late.count, 3);
    assert_int_equal(early.answered, 0); /* it still waits for the first one */
    resolver_cancel(&early.request);
    server_close(&first, fixture->loop);
    server_close(&second, fixture->loop);
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_numeric_address_is_its_own_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_hosts_file_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_has_all_its_addresses_of_both_families, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_does_not_exist_is_named_in_the_failure,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_is_too_long_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_that_is_cancelled_gets_no_answer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_name_servers_are_asked_once_the_file_has_them,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_the_answer_is_a_failure, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
