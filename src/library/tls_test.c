/* SPDX-License-Identifier: PostgreSQL */
#include "pgtls/pgtls.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "harness/group_pki.h"

#include <stdlib.h>
#include <string.h>

#define OUT_LIMIT  65536
#define MOST_TURNS 20

static char               *server_cert, *server_key, *client_cert, *client_key, *ca;
static struct pgtls_error *error;

static int make_files(void **state)
{
    group_pki_make(state);
    server_cert = certs_write_chain(
        pki.dir, "server.crt", (const struct cert *[]){ &pki.server_cert, &pki.issuing, NULL });
    server_key = certs_write_key(pki.dir, "server.key", &pki.server_cert);
    client_cert = certs_write_chain(
        pki.dir, "client.crt", (const struct cert *[]){ &pki.client_cert, &pki.issuing, NULL });
    client_key = certs_write_key(pki.dir, "client.key", &pki.client_cert);
    ca = certs_write_chain(pki.dir, "root.crt", (const struct cert *[]){ &pki.root, NULL });
    error = pgtls_error_new();
    return error ? 0 : -1;
}

static int remove_files(void **state)
{
    pgtls_error_free(error);
    free(server_cert);
    free(server_key);
    free(client_cert);
    free(client_key);
    free(ca);
    return group_pki_remove(state);
}

static struct pgtls_tls_policy_options server_options(void)
{
    return (struct pgtls_tls_policy_options){ .size = sizeof(struct pgtls_tls_policy_options),
                                              .role = PGTLS_TLS_SERVER,
                                              .cert_file = server_cert,
                                              .key_file = server_key };
}

static struct pgtls_tls_policy_options client_options(void)
{
    return (struct pgtls_tls_policy_options){ .size = sizeof(struct pgtls_tls_policy_options),
                                              .role = PGTLS_TLS_CLIENT,
                                              .peer_check = PGTLS_TLS_PEER_NAME,
                                              .ca_file = ca };
}

/* NULL, and the error says why, when any of the three cannot be made. */
static struct pgtls_tls_engine *new_engine(const struct pgtls_tls_policy_options *options,
                                           const char                            *name)
{
    const struct pgtls_tls_engine_options engine_options = {
        .size = sizeof engine_options, .verify_name = name, .sni = name, .wall_s = CERTS_NOW
    };
    struct pgtls_tls_policy  *policy = pgtls_tls_policy_new(options, error);
    struct pgtls_tls_context *context = policy ? pgtls_tls_context_new(policy, error) : NULL;
    struct pgtls_tls_engine  *engine =
        context ? pgtls_tls_engine_new(context, &engine_options, error) : NULL;

    pgtls_tls_context_release(context);
    pgtls_tls_policy_release(policy);
    return engine;
}

/* One end of a connection, and what it wants to send. */
struct end {
    struct pgtls_tls_engine *engine;
    struct pgtls_buffer     *out;
    enum pgtls_tls_verdict   verdict;
};

struct pair {
    struct end client, server;
};

static struct pair new_pair(const struct pgtls_tls_policy_options *client,
                            const struct pgtls_tls_policy_options *server, const char *name)
{
    return (struct pair){
        { new_engine(client, name), pgtls_buffer_new(OUT_LIMIT), PGTLS_TLS_WANT_MORE },
        { new_engine(server, NULL), pgtls_buffer_new(OUT_LIMIT), PGTLS_TLS_WANT_MORE },
    };
}

static bool pair_is_whole(const struct pair *pair)
{
    return pair->client.engine && pair->client.out && pair->server.engine && pair->server.out;
}

static void free_pair(struct pair *pair)
{
    pgtls_tls_engine_free(pair->client.engine);
    pgtls_tls_engine_free(pair->server.engine);
    pgtls_buffer_free(pair->client.out);
    pgtls_buffer_free(pair->server.out);
}

/* At most `piece` bytes of what the other end has sent. */
static void shake(struct end *from, struct end *to, size_t piece)
{
    struct pgtls_bytes in = pgtls_buffer_bytes(from->out);
    size_t             given = in.len < piece ? in.len : piece;

    if (to->verdict != PGTLS_TLS_WANT_MORE)
        return;
    in.len = given;
    to->verdict = pgtls_tls_engine_handshake(to->engine, &in, to->out);
    pgtls_buffer_skip(from->out, given - in.len);
}

static void handshake(struct pair *pair, size_t piece)
{
    for (size_t turn = 0; turn < OUT_LIMIT / piece + MOST_TURNS; turn++) {
        shake(&pair->server, &pair->client, piece);
        shake(&pair->client, &pair->server, piece);
    }
}

static struct pair shaken(void)
{
    const struct pgtls_tls_policy_options client = client_options(), server = server_options();
    struct pair                           pair = new_pair(&client, &server, "db.example.com");

    assert_true(pair_is_whole(&pair));
    handshake(&pair, OUT_LIMIT);
    assert_int_equal(pair.client.verdict, PGTLS_TLS_DONE);
    assert_int_equal(pair.server.verdict, PGTLS_TLS_DONE);
    return pair;
}

static enum pgtls_tls_verdict receive(struct end *from, struct end *to, char *plain,
                                      size_t room, size_t *got)
{
    struct pgtls_bytes     in = pgtls_buffer_bytes(from->out);
    size_t                 given = in.len;
    enum pgtls_tls_verdict verdict =
        pgtls_tls_engine_read(to->engine, &in, (uint8_t *)plain, room, got, to->out);

    pgtls_buffer_skip(from->out, given - in.len);
    return verdict;
}

static enum pgtls_error_kind say(struct end *end, const char *text)
{
    const struct pgtls_bytes plain = { (const uint8_t *)text, strlen(text) };

    return pgtls_tls_engine_write(end->engine, plain, end->out);
}

static void expect_refused(const struct pgtls_tls_policy_options *options, const char *text)
{
    assert_null(pgtls_tls_policy_new(options, error));
    assert_int_equal(pgtls_error_kind(error), PGTLS_ERROR_CONFIG);
    assert_string_equal(pgtls_error_text(error), text);
}

static void options_that_contradict_each_other_are_refused_with_a_reason(void **state)
{
    struct pgtls_tls_policy_options options = server_options();

    options.key_file = NULL;
    expect_refused(&options, "cert_file and key_file are needed together");
    options.cert_file = NULL;
    expect_refused(&options, "a server needs cert_file and key_file");

    options = server_options();
    options.peer_check = PGTLS_TLS_PEER_NAME;
    options.ca_file = ca;
    expect_refused(&options, "PGTLS_TLS_PEER_NAME is for clients");

    options = client_options();
    options.peer_check = PGTLS_TLS_PEER_ANY;
    expect_refused(&options, "ca_file has no effect with PGTLS_TLS_PEER_ANY");
    options.peer_check = PGTLS_TLS_PEER_CHAIN;
    options.ca_file = NULL;
    expect_refused(&options, "verifying the peer needs ca_file");
}

static void values_that_no_enum_has_are_refused(void **state)
{
    struct pgtls_tls_policy_options options = server_options();

    options.role = (enum pgtls_tls_role)2;
    expect_refused(&options, "role is neither PGTLS_TLS_SERVER nor PGTLS_TLS_CLIENT");
    options = client_options();
    options.peer_check = (enum pgtls_tls_peer_check)3;
    expect_refused(&options, "peer_check is none of PGTLS_TLS_PEER_ANY, _CHAIN, _NAME");
}

static void options_of_another_size_are_refused(void **state)
{
    struct pgtls_tls_policy_options options = client_options();
    struct pgtls_tls_engine_options none = { .size = 0 };

    options.size = 0;
    assert_null(pgtls_tls_policy_new(&options, error));
    options.size = sizeof options + 8;
    assert_null(pgtls_tls_policy_new(&options, error));
    assert_int_equal(pgtls_error_kind(error), PGTLS_ERROR_CONFIG);
    assert_non_null(strstr(pgtls_error_hint(error), "sizeof"));

    options = client_options();
    struct pgtls_tls_policy  *policy = pgtls_tls_policy_new(&options, error);
    struct pgtls_tls_context *context = pgtls_tls_context_new(policy, error);
    assert_null(pgtls_tls_engine_new(context, &none, error));
    assert_int_equal(pgtls_error_kind(error), PGTLS_ERROR_CONFIG);
    pgtls_tls_context_release(context);
    pgtls_tls_policy_release(policy);
}

static void who_verifies_must_be_told_the_time(void **state)
{
    const struct pgtls_tls_policy_options options = client_options();
    const struct pgtls_tls_engine_options engine = { .size = sizeof engine,
                                                     .verify_name = "x" };
    struct pgtls_tls_policy              *policy = pgtls_tls_policy_new(&options, error);
    struct pgtls_tls_context             *context = pgtls_tls_context_new(policy, error);

    assert_null(pgtls_tls_engine_new(context, &engine, error));
    assert_string_equal(pgtls_error_text(error), "wall_s is missing");
    pgtls_tls_context_release(context);
    pgtls_tls_policy_release(policy);
}

static void a_client_that_compares_names_must_be_told_one(void **state)
{
    const struct pgtls_tls_policy_options options = client_options();

    assert_null(new_engine(&options, NULL));
    assert_string_equal(pgtls_error_text(error), "PGTLS_TLS_PEER_NAME needs verify_name");
    assert_null(new_engine(&options, ""));
}

static void a_file_that_is_missing_or_unfit_is_named(void **state)
{
    struct pgtls_tls_policy_options options = server_options();

    options.cert_file = "/nowhere/server.crt";
    assert_null(pgtls_tls_policy_new(&options, error));
    assert_non_null(strstr(pgtls_error_text(error), "/nowhere/server.crt"));
    options = server_options();
    options.key_file = client_key;
    assert_null(pgtls_tls_policy_new(&options, error));
    assert_int_equal(pgtls_error_kind(error), PGTLS_ERROR_CERT);
    assert_non_null(strstr(pgtls_error_text(error), client_key));
}

static void an_error_is_emptied_by_the_next_call(void **state)
{
    struct pgtls_tls_policy_options options = { 0 };

    assert_null(pgtls_tls_policy_new(&options, error));
    assert_int_not_equal(pgtls_error_kind(error), PGTLS_OK);
    options = client_options();
    struct pgtls_tls_policy *policy = pgtls_tls_policy_new(&options, error);
    assert_non_null(policy);
    assert_int_equal(pgtls_error_kind(error), PGTLS_OK);
    assert_string_equal(pgtls_error_text(error), "");
    assert_string_equal(pgtls_error_hint(error), "");
    pgtls_tls_policy_release(policy);
}

static void a_handshake_is_finished_in_pieces_of_every_size(void **state)
{
    const struct pgtls_tls_policy_options client = client_options(), server = server_options();

    for (size_t piece = 1; piece <= 1024; piece *= 4) {
        struct pair pair = new_pair(&client, &server, "db.example.com");

        handshake(&pair, piece);
        assert_int_equal(pair.client.verdict, PGTLS_TLS_DONE);
        assert_int_equal(pair.server.verdict, PGTLS_TLS_DONE);
        assert_string_equal(pgtls_tls_engine_version(pair.client.engine), "TLSv1.3");
        assert_non_null(pgtls_tls_engine_cipher(pair.server.engine));
        assert_non_null(strstr(pgtls_tls_engine_peer_subject(pair.client.engine), "server"));
        assert_int_equal(pgtls_tls_engine_peer_verified(pair.client.engine), 1);
        assert_null(pgtls_tls_engine_peer_subject(pair.server.engine));
        assert_int_equal(pgtls_tls_engine_peer_verified(pair.server.engine), 0);
        free_pair(&pair);
    }
}

static void a_certificate_for_another_name_fails_the_handshake(void **state)
{
    const struct pgtls_tls_policy_options client = client_options(), server = server_options();
    struct pair pair = new_pair(&client, &server, "other.example.com");

    handshake(&pair, OUT_LIMIT);
    assert_int_equal(pair.client.verdict, PGTLS_TLS_FAILED);
    pgtls_tls_engine_error(pair.client.engine, error);
    assert_int_equal(pgtls_error_kind(error), PGTLS_ERROR_CERT);
    assert_non_null(strstr(pgtls_error_text(error), "other.example.com"));
    assert_int_equal(say(&pair.client, "secret"), PGTLS_ERROR_CLOSED);
    free_pair(&pair);
}

static void a_client_shows_its_certificate_to_a_server_that_verifies(void **state)
{
    struct pgtls_tls_policy_options client = client_options(), server = server_options();

    client.cert_file = client_cert;
    client.key_file = client_key;
    server.peer_check = PGTLS_TLS_PEER_CHAIN;
    server.ca_file = ca;
    struct pair pair = new_pair(&client, &server, "db.example.com");
    handshake(&pair, OUT_LIMIT);
    assert_int_equal(pair.server.verdict, PGTLS_TLS_DONE);
    assert_int_equal(pgtls_tls_engine_peer_verified(pair.server.engine), 1);
    assert_non_null(strstr(pgtls_tls_engine_peer_subject(pair.server.engine), "alice"));
    free_pair(&pair);
}

static void what_does_not_fit_is_refused_and_can_be_said_again(void **state)
{
    struct pair          pair = shaken();
    struct pgtls_buffer *roomy = pair.client.out;
    size_t               got;
    char                 plain[8];

    pair.client.out = pgtls_buffer_new(5);
    assert_int_equal(say(&pair.client, "hello"), PGTLS_ERROR_LIMIT);
    assert_int_equal(pgtls_buffer_bytes(pair.client.out).len, 0);
    assert_int_equal(pgtls_buffer_failed(pair.client.out), 0);
    pgtls_buffer_free(pair.client.out);
    pair.client.out = roomy;
    assert_int_equal(say(&pair.client, "hello"), PGTLS_OK);
    assert_int_equal(receive(&pair.client, &pair.server, plain, sizeof plain, &got),
                     PGTLS_TLS_WANT_MORE);
    assert_int_equal(got, 5);
    assert_memory_equal(plain, "hello", 5);
    free_pair(&pair);
}

static void plaintext_without_room_is_read_by_the_next_call(void **state)
{
    struct pair pair = shaken();
    size_t      got;
    char        plain[3];

    assert_int_equal(say(&pair.client, "hello"), PGTLS_OK);
    assert_int_equal(receive(&pair.client, &pair.server, plain, 3, &got), PGTLS_TLS_DONE);
    assert_int_equal(got, 3);
    assert_int_equal(receive(&pair.client, &pair.server, plain, 3, &got), PGTLS_TLS_WANT_MORE);
    assert_int_equal(got, 2);
    assert_memory_equal(plain, "lo", 2);
    free_pair(&pair);
}

static void a_close_is_clean_and_an_end_without_one_is_not(void **state)
{
    struct pair pair = shaken();
    size_t      got;
    char        plain[8];

    pgtls_tls_engine_close(pair.client.engine, pair.client.out);
    assert_int_equal(receive(&pair.client, &pair.server, plain, sizeof plain, &got),
                     PGTLS_TLS_CLOSED);
    pgtls_tls_engine_error(pair.server.engine, error);
    assert_int_equal(pgtls_error_kind(error), PGTLS_OK);

    pgtls_tls_engine_eof(pair.client.engine);
    pgtls_tls_engine_error(pair.client.engine, error);
    assert_int_not_equal(pgtls_error_kind(error), PGTLS_OK);
    free_pair(&pair);
}

/* From the files to the first bytes; false if any of it was missed. */
static bool whole_connection(void)
{
    const struct pgtls_tls_policy_options client = client_options(), server = server_options();
    struct pair                           pair = new_pair(&client, &server, "db.example.com");
    size_t                                got = 0;
    char                                  plain[8];
    bool                                  good = pair_is_whole(&pair);

    if (good)
        handshake(&pair, OUT_LIMIT);
    good =
        good && pair.client.verdict == PGTLS_TLS_DONE &&
        pair.server.verdict == PGTLS_TLS_DONE && say(&pair.client, "hello") == PGTLS_OK &&
        receive(&pair.client, &pair.server, plain, sizeof plain, &got) == PGTLS_TLS_WANT_MORE &&
        got == 5;
    free_pair(&pair);
    return good;
}

static void a_missing_allocation_anywhere_is_told_and_leaks_nothing(void **state)
{
    unsigned n = 1;

    for (; n < 1000; n++) {
        alloc_fail_at(n);
        bool good = whole_connection();
        if (!alloc_has_failed()) {
            assert_true(good);
            break;
        }
        assert_false(good);
    }
    assert_in_range(n, 10, 999);
}

static void nothing_can_be_freed(void **state)
{
    pgtls_tls_policy_release(NULL);
    pgtls_tls_context_release(NULL);
    pgtls_tls_engine_free(NULL);
    pgtls_buffer_free(NULL);
    pgtls_error_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_contradict_each_other_are_refused_with_a_reason),
        cmocka_unit_test(values_that_no_enum_has_are_refused),
        cmocka_unit_test(options_of_another_size_are_refused),
        cmocka_unit_test(who_verifies_must_be_told_the_time),
        cmocka_unit_test(a_client_that_compares_names_must_be_told_one),
        cmocka_unit_test(a_file_that_is_missing_or_unfit_is_named),
        cmocka_unit_test(an_error_is_emptied_by_the_next_call),
        cmocka_unit_test(a_handshake_is_finished_in_pieces_of_every_size),
        cmocka_unit_test(a_certificate_for_another_name_fails_the_handshake),
        cmocka_unit_test(a_client_shows_its_certificate_to_a_server_that_verifies),
        cmocka_unit_test(what_does_not_fit_is_refused_and_can_be_said_again),
        cmocka_unit_test(plaintext_without_room_is_read_by_the_next_call),
        cmocka_unit_test(a_close_is_clean_and_an_end_without_one_is_not),
        cmocka_unit_test(a_missing_allocation_anywhere_is_told_and_leaks_nothing),
        cmocka_unit_test(nothing_can_be_freed),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
