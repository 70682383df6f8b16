/* SPDX-License-Identifier: PostgreSQL */
#include "session/auth_query.h"

#include "base/reader.h"
#include "base/secret.h"
#include "base/text.h"
#include "pg/error_response.h"
#include "pg/frame.h"
#include "pg/sasl.h"

#define MESSAGE_MOST ((size_t)64 * 1024)
#define PROTOCOL_3_0 196608u

void auth_query_init(struct auth_query *query, const struct auth_query_options *options)
{
    *query = (struct auth_query){ .options = *options };
    collector_init(&query->collector, MESSAGE_MOST);
}

void auth_query_fini(struct auth_query *query)
{
    collector_fini(&query->collector);
    scram_client_fini(&query->scram);
    secret_wipe(query, sizeof *query);
}

/* ---- what we say ---- */

void auth_query_start(const struct auth_query *query, struct buf *out)
{
    const char *const words[] = {
        "user",
        query->options.role,
        "database",
        query->options.database,
        "search_path",
        "pg_catalog",
        "client_encoding",
        "UTF8",
        "application_name",
        "pgtls auth_query",
    };
    size_t at = out->len;

    buf_put_u32(out, 0);
    buf_put_u32(out, PROTOCOL_3_0);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        buf_put_string(out, words[i]);
    buf_put_u8(out, 0);
    if (buf_ok(out))
        buf_patch_u32(out, at, (uint32_t)(out->len - at));
}

static void put_u16_zeroes(struct buf *out, unsigned count)
{
    while (count-- > 0)
        buf_put_u16(out, 0);
}

/* Parse, Bind, Execute, Sync of unnamed things; the parameter's type is the server's guess. */
static void put_statement(const struct auth_query *query, struct buf *out)
{
    size_t statement = strlen(query->options.statement) + 1;
    size_t user = strlen(query->options.user);

    buf_put_u8(out, 'P');
    buf_put_u32(out, (uint32_t)(4 + 1 + statement + 2));
    buf_put_u8(out, 0);
    buf_put_string(out, query->options.statement);
    put_u16_zeroes(out, 1);
    buf_put_u8(out, 'B');
    buf_put_u32(out, (uint32_t)(4 + 1 + 1 + 2 + 2 + 4 + user + 2));
    put_u16_zeroes(out, 2); /* both names, and no formats: text */
    buf_put_u16(out, 1);
    buf_put_u32(out, (uint32_t)user);
    buf_put(out, bytes_of(query->options.user, user));
    put_u16_zeroes(out, 1);
    buf_put(out, BYTES("E\0\0\0\x09\0\0\0\0\0"));
    buf_put(out, BYTES("S\0\0\0\4"));
}

/* ---- the login ---- */

static enum auth_query_verdict fail_to(struct auth_query *query, const char *what)
{
    (void)fail(&query->why, FAIL_PROTOCOL, "auth_query: %s", what);
    return AUTH_QUERY_FAILED;
}

static enum auth_query_verdict go_on(struct auth_query *query, enum auth_query_state next)
{
    query->state = next;
    return AUTH_QUERY_WANT_MORE;
}

static enum auth_query_verdict begin_scram(struct auth_query *query, struct bytes message,
                                           struct buf *out)
{
    bool                        has_plus = sasl_offers(message, "SCRAM-SHA-256-PLUS");
    struct scram_client_options options = { .flag = SCRAM_UNABLE,
                                            .hash = query->options.server_hash };
    struct buf                  first = BUF_LIMIT(SCRAM_MESSAGE_MOST);
    enum fail                   rc;

    if (options.hash.len > 0)
        options.flag = has_plus ? SCRAM_BOUND : SCRAM_UNOFFERED;
    if (options.flag != SCRAM_BOUND && !sasl_offers(message, "SCRAM-SHA-256"))
        return fail_to(query, "the server asks for a login that is not SCRAM-SHA-256");
    if (query->options.password.len == 0)
        return fail_to(query, "the server asks for a password; name a file with it in "
                              "auth_query_password_file");
    if (options.flag != SCRAM_BOUND && query->options.may_be_else)
        return fail_to(query, "the login cannot be bound to the server's certificate, which is "
                              "not verified; set root_ca");
    scram_client_init(&query->scram, &options);
    rc = scram_client_first(&query->scram, &first, &query->why);
    if (rc == FAIL_NONE)
        sasl_write_initial(out, scram_client_mechanism(&query->scram), buf_bytes(&first));
    buf_fini(&first);
    return rc == FAIL_NONE ? go_on(query, AUTH_QUERY_SASL_FIRST) : AUTH_QUERY_FAILED;
}

/* The worker stands still meanwhile, and the server has not proved itself yet. */
enum { ITERATIONS_AT_ONCE = 100000 };

static enum fail need_keys(struct auth_query *query)
{
    struct auth_query_keys *keys = query->options.keys;
    enum fail               rc;

    if (query->scram.stretch.iterations > ITERATIONS_AT_ONCE)
        return fail(&query->why, FAIL_PROTOCOL,
                    "the server asks auth_query_user for more than %d SCRAM iterations",
                    ITERATIONS_AT_ONCE);
    if (keys->are_known && scram_stretch_equal(&keys->stretch, &query->scram.stretch))
        return FAIL_NONE;
    rc = scram_keys_make(&keys->keys, query->options.password, &query->scram.stretch,
                         &query->why);
    keys->are_known = rc == FAIL_NONE;
    keys->stretch = query->scram.stretch;
    return rc;
}

static enum auth_query_verdict prove(struct auth_query *query, struct bytes body,
                                     struct buf *out)
{
    struct buf final = BUF_LIMIT(SCRAM_MESSAGE_MOST);
    enum fail  rc = scram_client_read_first(&query->scram, body, &query->why);

    if (rc == FAIL_NONE)
        rc = need_keys(query);
    if (rc == FAIL_NONE)
        rc = scram_client_final(&query->scram, &query->options.keys->keys, &final, &query->why);
    if (rc == FAIL_NONE)
        sasl_write_response(out, buf_bytes(&final));
    buf_fini(&final);
    return rc == FAIL_NONE ? go_on(query, AUTH_QUERY_SASL_FINAL) : AUTH_QUERY_FAILED;
}

static enum auth_query_verdict on_authentication(struct auth_query *query, struct bytes message,
                                                 struct buf *out)
{
    int64_t               code = auth_code(message);
    enum auth_query_state state = query->state;

    if (code == AUTH_OK && (state == AUTH_QUERY_LOGIN || state == AUTH_QUERY_SASL_DONE))
        return go_on(query, AUTH_QUERY_READY);
    if (code == AUTH_SASL && state == AUTH_QUERY_LOGIN)
        return begin_scram(query, message, out);
    if (code == AUTH_SASL_CONTINUE && state == AUTH_QUERY_SASL_FIRST)
        return prove(query, auth_body(message), out);
    if (code == AUTH_SASL_FINAL && state == AUTH_QUERY_SASL_FINAL)
        return scram_client_read_final(&query->scram, auth_body(message), &query->why) ==
                       FAIL_NONE
                   ? go_on(query, AUTH_QUERY_SASL_DONE)
                   : AUTH_QUERY_FAILED;
    if (state == AUTH_QUERY_LOGIN)
        return fail_to(query,
                       "the server asks for the password in clear or as md5; set scram-sha-256 "
                       "in its pg_hba.conf");
    return fail_to(query, "the server broke the login");
}

/* ---- the rows ---- */

/* The last column; nothing for NULL.  False where the layout is broken. */
static bool read_row(struct bytes *value, struct bytes message)
{
    struct reader r = reader_of(message);
    uint16_t      columns;

    *value = bytes_of(NULL, 0);
    reader_bytes(&r, FRAME_HEADER_LEN);
    columns = reader_u16(&r);
    for (uint16_t i = 0; i < columns; i++) {
        uint32_t len = reader_u32(&r);

        *value = len != UINT32_MAX ? reader_bytes(&r, len) : bytes_of(NULL, 0);
    }
    return reader_ok(&r) && columns > 0;
}

static enum auth_query_verdict on_row(struct auth_query *query, struct bytes message)
{
    struct bytes value;

    if (query->state != AUTH_QUERY_ROWS || !read_row(&value, message))
        return fail_to(query, "the server broke the protocol");
    if (++query->rows > 1)
        return fail_to(query, "the statement returns more than one row");
    if (value.len == 0)
        return AUTH_QUERY_WANT_MORE;
    query->has_verifier =
        scram_verifier_read(&query->verifier, value, &query->why) == FAIL_NONE;
    if (!query->has_verifier)
        fail_context(&query->why, "auth_query");
    return AUTH_QUERY_WANT_MORE;
}

static enum auth_query_verdict on_error(struct auth_query *query, struct bytes message)
{
    struct error_response error = { 0 };
    char                  code[16], text[160];

    error_response_read(&error, message);
    text_escape(code, sizeof code, bytes_of_string(error.code != NULL ? error.code : ""));
    text_escape(text, sizeof text, bytes_of_string(error.message != NULL ? error.message : ""));
    (void)fail(&query->why, FAIL_REFUSED, "auth_query: the server says: %s %s", code, text);
    return AUTH_QUERY_FAILED;
}

static enum auth_query_verdict on_ready(struct auth_query *query, struct buf *out)
{
    if (query->state == AUTH_QUERY_READY) {
        put_statement(query, out);
        return go_on(query, AUTH_QUERY_ROWS);
    }
    if (query->state != AUTH_QUERY_ROWS)
        return fail_to(query, "the server broke the protocol");
    buf_put(out, BYTES("X\0\0\0\4"));
    return query->has_verifier ? AUTH_QUERY_FOUND : AUTH_QUERY_NOBODY;
}

static enum auth_query_verdict on_message(struct auth_query *query, struct bytes message,
                                          struct buf *out)
{
    switch (message.p[0]) {
    case 'R': return on_authentication(query, message, out);
    case 'E': return on_error(query, message);
    case 'D': return on_row(query, message);
    case 'Z': return on_ready(query, out);
    default: return AUTH_QUERY_WANT_MORE; /* parameters, keys, notices, completions */
    }
}

enum auth_query_verdict auth_query_feed(struct auth_query *query, struct bytes in,
                                        struct buf *out)
{
    enum auth_query_verdict verdict = AUTH_QUERY_WANT_MORE;
    struct bytes            message;

    while (verdict == AUTH_QUERY_WANT_MORE) {
        enum collected collected = collector_next(&query->collector, &in, &message);

        if (collected == COLLECTED_NOTHING)
            break;
        verdict = collected == COLLECTED_BROKEN
                      ? fail_to(query, "the server sends messages that are too long")
                      : on_message(query, message, out);
    }
    if (!buf_ok(out)) {
        (void)fail(&query->why, FAIL_MEMORY, "out of memory");
        return AUTH_QUERY_FAILED;
    }
    return verdict;
}
