/* SPDX-License-Identifier: PostgreSQL */
#include "sync/talk.h"

#include "harness/check.h"
#include "harness/group_pki.h"
#include "io/socket.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND_US UINT64_C(1000000)

/* A server of one connection, in a thread of its own. */
struct server {
    pthread_t      thread;
    int            listener;
    struct address address;
    void (*serve)(int fd);
};

static void *run(void *arg)
{
    struct server *server = arg;
    struct pollfd  one = { .fd = server->listener, .events = POLLIN };
    int            fd;

    poll(&one, 1, 10000);
    fd = accept(server->listener, NULL, NULL);
    server->serve(fd);
    close(fd);
    return NULL;
}

static void server_start(struct server *server, void (*serve)(int fd))
{
    struct failure why = { 0 };

    server->serve = serve;
    assert_int_equal(address_parse(&server->address, "127.0.0.1:0", &why), FAIL_NONE);
    assert_int_equal(
        socket_listen(&server->listener, &server->address, &(struct socket_options){ 0 }, &why),
        FAIL_NONE);
    assert_int_equal(socket_local_address(server->listener, &server->address, &why), FAIL_NONE);
    pthread_create(&server->thread, NULL, run, server);
}

static void server_stop(struct server *server)
{
    pthread_join(server->thread, NULL);
    close(server->listener);
}

static enum fail open_talk(struct talk *talk, const struct server *server, uint64_t wait_us)
{
    struct failure why = { 0 };

    return talk_open(talk, &server->address, clock_monotonic_us() + wait_us, &why);
}

/* ---- servers ---- */

static void send_buf(int fd, struct buf *out)
{
    struct bytes b = buf_bytes(out);

    if (b.len > 0 && send(fd, b.p, b.len, MSG_NOSIGNAL) < 0)
        abort();
    buf_clear(out);
}

/* Says S, shakes hands, and sends back what it gets; then close_notify. */
static void serve_tls(int fd)
{
    struct tls_policy_options policy = { .role = TLS_SERVER, .identity = pki.server };
    struct tls_engine_options options = { .wall_s = CERTS_NOW };
    struct tls_engine        *engine = tls_pair_engine(&policy, &options);
    struct buf                out = BUF_LIMIT(65536);
    uint8_t                   raw[16384], plain[16384];
    enum tls_verdict          verdict = TLS_WANT_MORE;
    size_t                    got = 0;

    send(fd, "S", 1, MSG_NOSIGNAL);
    while (got == 0) {
        ssize_t      n = recv(fd, raw, sizeof raw, 0);
        struct bytes in = bytes_of(raw, n > 0 ? (size_t)n : 0);

        if (n <= 0)
            break;
        if (verdict != TLS_DONE)
            verdict = tls_engine_handshake(engine, &in, &out);
        if (verdict == TLS_DONE)
            tls_engine_read(engine, &in, plain, sizeof plain, &got, &out);
        send_buf(fd, &out);
    }
    if (got > 0 && tls_engine_write(engine, bytes_of(plain, got), &out) == FAIL_NONE)
        tls_engine_close(engine, &out);
    send_buf(fd, &out);
    tls_engine_free(engine);
    buf_fini(&out);
}

static void serve_words(int fd)
{
    send(fd, "Nothing", 7, MSG_NOSIGNAL);
}

static void serve_silence(int fd)
{
    char byte;

    while (recv(fd, &byte, 1, 0) > 0)
        ;
}

/* ---- tests ---- */

static struct tls_context *client_context(void)
{
    struct tls_policy_options options = { .role = TLS_CLIENT };
    struct failure            why = { 0 };
    struct tls_policy        *policy = tls_policy_new(&options, &why);
    struct tls_context       *context = tls_context_new(policy, &why);

    assert_non_null(context);
    tls_policy_release(policy);
    return context;
}

static void bytes_go_through_tls_and_the_chain_is_kept(void **state)
{
    struct tls_context       *context = client_context();
    struct tls_engine_options options = { .wall_s = CERTS_NOW, .keep_chain = true };
    struct failure            why = { 0 };
    struct server             server;
    struct talk               talk;
    struct chain             *chain;
    uint8_t                   byte = 0;

    server_start(&server, serve_tls);
    assert_int_equal(open_talk(&talk, &server, 10 * SECOND_US), FAIL_NONE);
    assert_int_equal(talk_receive_byte(&talk, &byte, &why), FAIL_NONE);
    assert_int_equal(byte, 'S');
    assert_int_equal(talk_start_tls(&talk, context, &options, &why), FAIL_NONE);
    chain = tls_engine_take_chain(talk_engine(&talk));
    assert_int_equal(chain_length(chain), 2);
    assert_null(tls_engine_take_chain(talk_engine(&talk)));
    assert_false(tls_engine_facts(talk_engine(&talk))->asked_for_certificate);
    assert_true(tls_context_security_level(context) >= 1);
    chain_free(chain);
    assert_int_equal(talk_send(&talk, BYTES("hello"), &why), FAIL_NONE);
    assert_int_equal(talk_receive(&talk, &why), FAIL_NONE);
    assert_buf_is(&talk.plain, BYTES("hello"));
    assert_int_equal(talk_receive(&talk, &why), FAIL_CLOSED);
    assert_int_equal(talk.leg.end, LEG_ENDED);
    talk_close(&talk);
    server_stop(&server);
    tls_context_release(context);
}

static void plaintext_instead_of_tls_is_seen(void **state)
{
    struct tls_context       *context = client_context();
    struct tls_engine_options options = { .wall_s = CERTS_NOW };
    struct failure            why = { 0 };
    struct server             server;
    struct talk               talk;

    server_start(&server, serve_words);
    assert_int_equal(open_talk(&talk, &server, 10 * SECOND_US), FAIL_NONE);
    assert_int_equal(talk_start_tls(&talk, context, &options, &why), FAIL_TLS);
    assert_int_equal(tls_engine_first_byte(talk_engine(&talk)), 'N');
    talk_close(&talk);
    server_stop(&server);
    tls_context_release(context);
}

static void words_in_the_clear_come_until_the_end(void **state)
{
    struct failure why = { 0 };
    struct server  server;
    struct talk    talk;
    uint8_t        byte;

    server_start(&server, serve_words);
    assert_int_equal(open_talk(&talk, &server, 10 * SECOND_US), FAIL_NONE);
    assert_int_equal(talk_receive_byte(&talk, &byte, &why), FAIL_NONE);
    assert_int_equal(byte, 'N');
    assert_true(talk_hears(&talk, 10 * SECOND_US));
    assert_int_equal(talk_receive(&talk, &why), FAIL_NONE);
    assert_buf_is(&talk.plain, BYTES("othing"));
    assert_int_equal(talk_receive(&talk, &why), FAIL_CLOSED);
    talk_close(&talk);
    server_stop(&server);
}

static void a_silent_server_ends_at_the_deadline(void **state)
{
    struct tls_context       *context = client_context();
    struct tls_engine_options options = { .wall_s = CERTS_NOW };
    struct failure            why = { 0 };
    struct server             server;
    struct talk               talk;

    server_start(&server, serve_silence);
    assert_int_equal(open_talk(&talk, &server, SECOND_US / 10), FAIL_NONE);
    assert_false(talk_hears(&talk, 1000));
    assert_int_equal(talk_start_tls(&talk, context, &options, &why), FAIL_TIMEOUT);
    assert_non_null(strstr(why.text, "TLS handshake"));
    talk_close(&talk);
    server_stop(&server);
    tls_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_through_tls_and_the_chain_is_kept),
        cmocka_unit_test(plaintext_instead_of_tls_is_seen),
        cmocka_unit_test(words_in_the_clear_come_until_the_end),
        cmocka_unit_test(a_silent_server_ends_at_the_deadline),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}
