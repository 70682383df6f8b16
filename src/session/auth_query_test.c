/* SPDX-License-Identifier: PostgreSQL */
#include "session/auth_query.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "pg/sasl.h"
#include "scram/server.h"

#define OK    "R\0\0\0\x08\0\0\0\0"
#define READY "Z\0\0\0\x05I"
#define HELLO                                                                                  \
    OK "S\0\0\0\x08x\0y\0"                                                                     \
       "K\0\0\0\x0c\0\0\0\1\0\0\0\2" READY
#define DONE "C\0\0\0\x0dSELECT 1\0" READY
#define VERIFIER                                                                               \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static struct auth_query_keys keys;

static const struct auth_query_options options = {
    .role = "pgtls",
    .database = "postgres",
    .statement = "select f($1)",
    .user = "ann",
    .password = BYTES_INIT("pencil"),
    .server_hash = BYTES_INIT("the hash of the server's certificate"),
    .keys = &keys,
};

static enum auth_query_verdict feed(struct auth_query *query, struct bytes in, struct buf *out)
{
    return auth_query_feed(query, in, out);
}

static void put_row(struct buf *out, const char *const *values, unsigned count)
{
    size_t at = out->len;

    buf_put_u8(out, 'D');
    buf_put_u32(out, 0);
    buf_put_u16(out, (uint16_t)count);
    for (unsigned i = 0; i < count; i++) {
        size_t len = values[i] != NULL ? strlen(values[i]) : 0;

        buf_put_u32(out, values[i] != NULL ? (uint32_t)len : UINT32_MAX);
        buf_put(out, bytes_of(values[i], len));
    }
    buf_patch_u32(out, at + 1, (uint32_t)(out->len - at - 1));
}

static void nothing_of_a_client_but_the_name_is_sent(void **state)
{
    struct auth_query query;
    struct buf        out = BUF_LIMIT(1000);

    auth_query_init(&query, &options);
    auth_query_start(&query, &out);
    assert_buf_is(&out, BYTES("\0\0\0\x74\0\3\0\0user\0pgtls\0database\0postgres\0"
                              "search_path\0pg_catalog\0client_encoding\0UTF8\0"
                              "application_name\0pgtls auth_query\0\0"));
    buf_clear(&out);
    assert_int_equal(feed(&query, BYTES(HELLO), &out), AUTH_QUERY_WANT_MORE);
    assert_buf_is(&out, BYTES("P\0\0\0\x14\0select f($1)\0\0\0"
                              "B\0\0\0\x13\0\0\0\0\0\1\0\0\0\3"
                              "ann\0\0"
                              "E\0\0\0\x09\0\0\0\0\0S\0\0\0\4"));
    auth_query_fini(&query);
    buf_fini(&out);
}

static enum auth_query_verdict ask(struct bytes answer, struct scram_verifier *found,
                                   struct failure *why)
{
    struct auth_query       query;
    struct buf              out = BUF_LIMIT(10000);
    enum auth_query_verdict verdict = AUTH_QUERY_WANT_MORE;

    auth_query_init(&query, &options);
    assert_int_equal(feed(&query,
                          BYTES(HELLO "1\0\0\0\4"
                                      "2\0\0\0\4"),
                          &out),
                     AUTH_QUERY_WANT_MORE);
    for (size_t i = 0; verdict == AUTH_QUERY_WANT_MORE && i < answer.len; i++)
        verdict = feed(&query, bytes_of(answer.p + i, 1), &out);
    if (found != NULL)
        *found = query.verifier;
    if (why != NULL)
        *why = query.why;
    auth_query_fini(&query);
    buf_fini(&out);
    return verdict;
}

static void the_last_column_of_one_row_is_the_verifier(void **state)
{
    static const char *const rows[][2] = { { "ann", VERIFIER }, { VERIFIER, NULL } };
    struct scram_verifier    found;
    struct buf               answer = BUF_LIMIT(1000);

    put_row(&answer, rows[0], 2);
    buf_put(&answer, BYTES(DONE));
    assert_int_equal(ask(buf_bytes(&answer), &found, NULL), AUTH_QUERY_FOUND);
    assert_int_equal(found.stretch.iterations, 4096);
    buf_clear(&answer);
    put_row(&answer, rows[1], 2);
    buf_put(&answer, BYTES(DONE));
    assert_int_equal(ask(buf_bytes(&answer), NULL, NULL), AUTH_QUERY_NOBODY);
    assert_int_equal(ask(BYTES(DONE), NULL, NULL), AUTH_QUERY_NOBODY);
    buf_fini(&answer);
}

/* PostgreSQL gives such a user a mock exchange too. */
static void what_is_no_verifier_makes_nobody_of_the_user_and_is_told(void **state)
{
    static const char *const md5[] = { "md5f6fdffe48c908deb0f4c3bd36c032e72" };
    struct buf               answer = BUF_LIMIT(1000);
    struct failure           why;

    put_row(&answer, md5, 1);
    assert_int_equal(ask(buf_bytes(&answer), NULL, &why), AUTH_QUERY_WANT_MORE);
    buf_put(&answer, BYTES(DONE));
    assert_int_equal(ask(buf_bytes(&answer), NULL, &why), AUTH_QUERY_NOBODY);
    assert_non_null(strstr(why.text, "not a SCRAM-SHA-256 verifier"));
    assert_null(strstr(why.text, "f6fd"));
    buf_fini(&answer);
}

static void other_answers_are_failures(void **state)
{
    static const char *const  good[] = { VERIFIER };
    static const struct bytes broken[] = {
        BYTES_INIT("D\0\0\0\x06\0\0"),
        BYTES_INIT("D\0\0\0\x0a\0\1\0\0\0\1"),
        BYTES_INIT("E\0\0\0\x0f"
                   "C42601\0Mx\0\0"),
        BYTES_INIT("D\x7f\xff\xff\xff"),
        BYTES_INIT("R\0\0\0\x08\0\0\0\0"),
        BYTES_INIT("D\0\0\0\3"),
    };
    struct buf     answer = BUF_LIMIT(1000);
    struct failure why;

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(ask(broken[i], NULL, NULL), AUTH_QUERY_FAILED);
    put_row(&answer, good, 1);
    put_row(&answer, good, 1);
    assert_int_equal(ask(buf_bytes(&answer), NULL, &why), AUTH_QUERY_FAILED);
    assert_non_null(strstr(why.text, "more than one row"));
    buf_fini(&answer);
}

static void weaker_logins_get_no_password(void **state)
{
    static const struct bytes asked[] = {
        BYTES_INIT("R\0\0\0\x08\0\0\0\3"),
        BYTES_INIT("R\0\0\0\x0c\0\0\0\5salt"),
        BYTES_INIT("R\0\0\0\x0c\0\0\0\x0bsalt"),
        BYTES_INIT("R\0\0\0\x15\0\0\0\x0aOAUTHBEARER\0\0"),
    };

    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        struct auth_query query;
        struct buf        out = BUF_LIMIT(1000);

        auth_query_init(&query, &options);
        assert_int_equal(feed(&query, asked[i], &out), AUTH_QUERY_FAILED);
        assert_int_equal(out.len, 0);
        auth_query_fini(&query);
        buf_fini(&out);
    }
}

/* A server of ours, up to its proof; AuthenticationOk comes early where it lies. */
static enum auth_query_verdict login(bool lies)
{
    const struct scram_stretch        stretch = { 10, 4, "salt" };
    const struct scram_server_options its = { .offers_plus = true,
                                              .hash = options.server_hash };
    struct auth_query                 query;
    struct scram_server               server;
    struct scram_verifier             verifier;
    struct sasl_initial               initial;
    struct buf   out = BUF_LIMIT(2000), text = BUF_LIMIT(2000), message = BUF_LIMIT(2000);
    struct bytes body;
    uint8_t      key[SCRAM_KEY_LEN];
    enum auth_query_verdict verdict;

    assert_int_equal(scram_verifier_make(&verifier, options.password, &stretch, NULL),
                     FAIL_NONE);
    scram_server_init(&server, &its);
    auth_query_init(&query, &options);
    sasl_write_list(&message, true);
    assert_int_equal(feed(&query, buf_bytes(&message), &out), AUTH_QUERY_WANT_MORE);
    assert_true(sasl_read_initial(&initial, buf_bytes(&out)));
    assert_string_equal(initial.mechanism, "SCRAM-SHA-256-PLUS");
    assert_int_equal(scram_server_read_first(&server, initial.mechanism, initial.body),
                     SCRAM_GOES_ON);
    buf_clear(&out);
    buf_clear(&message);
    assert_int_equal(scram_server_first(&server, &stretch, &text, NULL), FAIL_NONE);
    auth_write(&message, AUTH_SASL_CONTINUE, buf_bytes(&text));
    assert_int_equal(feed(&query, buf_bytes(&message), &out), AUTH_QUERY_WANT_MORE);
    body = buf_bytes(&out);
    bytes_skip(&body, 5);
    assert_int_equal(scram_server_read_final(&server, body, &verifier, key, NULL),
                     SCRAM_GOES_ON);
    buf_clear(&message);
    buf_clear(&text);
    assert_int_equal(scram_server_final(&server, &verifier, &text, NULL), FAIL_NONE);
    if (!lies)
        auth_write(&message, AUTH_SASL_FINAL, buf_bytes(&text));
    buf_put(&message, BYTES(OK));
    verdict = feed(&query, buf_bytes(&message), &out);
    scram_server_fini(&server);
    auth_query_fini(&query);
    buf_fini(&out);
    buf_fini(&text);
    buf_fini(&message);
    return verdict;
}

static void the_role_logs_in_with_scram_and_the_server_must_prove_itself(void **state)
{
    assert_int_equal(login(false), AUTH_QUERY_WANT_MORE);
    assert_true(keys.are_known);
    assert_int_equal(login(false), AUTH_QUERY_WANT_MORE); /* with the keys of before */
    assert_int_equal(login(true), AUTH_QUERY_FAILED);
}

static void a_login_that_somebody_could_pass_on_is_none(void **state)
{
    for (int i = 0; i < 8; i++) {
        bool                      has_hash = i & 1, has_plus = i & 2, may_be_else = i & 4;
        struct auth_query_options of = options;
        struct auth_query         query;
        struct buf                out = BUF_LIMIT(1000), list = BUF_LIMIT(100);
        enum auth_query_verdict   verdict;

        of.may_be_else = may_be_else;
        if (!has_hash)
            of.server_hash = bytes_of(NULL, 0);
        auth_query_init(&query, &of);
        sasl_write_list(&list, has_plus);
        verdict = feed(&query, buf_bytes(&list), &out);
        if (may_be_else && !(has_hash && has_plus)) {
            assert_int_equal(verdict, AUTH_QUERY_FAILED);
            assert_non_null(strstr(query.why.text, "not verified"));
            assert_int_equal(out.len, 0);
        } else {
            assert_int_equal(verdict, AUTH_QUERY_WANT_MORE);
        }
        auth_query_fini(&query);
        buf_fini(&out);
        buf_fini(&list);
    }
}

/* A count that a verifier may have, and a worker that nobody has proved himself to may not be
 * made to stand still for. */
static void too_many_iterations_are_refused_before_they_are_made(void **state)
{
    const struct scram_stretch stretch = { 100001, 4, "salt" };
    struct auth_query          query;
    struct scram_server        server;
    struct sasl_initial        initial;
    struct buf out = BUF_LIMIT(2000), text = BUF_LIMIT(2000), message = BUF_LIMIT(2000);

    scram_server_init(&server, &(struct scram_server_options){ .offers_plus = true,
                                                               .hash = options.server_hash });
    auth_query_init(&query, &options);
    sasl_write_list(&message, true);
    assert_int_equal(feed(&query, buf_bytes(&message), &out), AUTH_QUERY_WANT_MORE);
    assert_true(sasl_read_initial(&initial, buf_bytes(&out)));
    assert_int_equal(scram_server_read_first(&server, initial.mechanism, initial.body),
                     SCRAM_GOES_ON);
    buf_clear(&message);
    assert_int_equal(scram_server_first(&server, &stretch, &text, NULL), FAIL_NONE);
    auth_write(&message, AUTH_SASL_CONTINUE, buf_bytes(&text));
    assert_int_equal(feed(&query, buf_bytes(&message), &out), AUTH_QUERY_FAILED);
    assert_non_null(strstr(query.why.text, "100000"));
    scram_server_fini(&server);
    auth_query_fini(&query);
    buf_fini(&out);
    buf_fini(&text);
    buf_fini(&message);
}

static void without_memory_it_fails(void **state)
{
    struct auth_query query;
    struct buf        out = BUF_LIMIT(1000);

    auth_query_init(&query, &options);
    alloc_fail_at(1);
    assert_int_equal(feed(&query, BYTES(HELLO), &out), AUTH_QUERY_FAILED);
    assert_true(alloc_has_failed());
    assert_int_equal(query.why.kind, FAIL_MEMORY);
    auth_query_fini(&query);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_of_a_client_but_the_name_is_sent),
        cmocka_unit_test(the_last_column_of_one_row_is_the_verifier),
        cmocka_unit_test(what_is_no_verifier_makes_nobody_of_the_user_and_is_told),
        cmocka_unit_test(other_answers_are_failures),
        cmocka_unit_test(weaker_logins_get_no_password),
        cmocka_unit_test(the_role_logs_in_with_scram_and_the_server_must_prove_itself),
        cmocka_unit_test(a_login_that_somebody_could_pass_on_is_none),
        cmocka_unit_test(too_many_iterations_are_refused_before_they_are_made),
        cmocka_unit_test(without_memory_it_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
