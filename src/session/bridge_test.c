/* SPDX-License-Identifier: PostgreSQL */
#include "session/bridge.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "harness/memory.h"
#include "pg/error_response.h"
#include "pg/sasl.h"

#define PASSWORD   BYTES("pencil")
#define OWN_HASH   BYTES("the hash of the proxy's certificate.")
#define OTHER_HASH BYTES("the hash of the server's certificate")
#define OK         BYTES("R\0\0\0\x08\0\0\0\0")

static const struct scram_stretch stretch = { 10, 9, "some salt" };

/* A client and a server of ours, with the bridge between them. */
struct scene {
    struct bridge         bridge;
    enum bridge_verdict   verdict;
    struct scram_verifier verifier;
    struct scram_client   client;
    struct scram_server   server;
    struct buf            to_client, to_server; /* not looked at yet */
    struct scram_keys     keys;                 /* of the client */
};

struct cast {
    bool                 is_unknown, only_scram;
    bool                 no_own, no_other; /* hashes */
    enum scram_flag      flag;             /* of the client */
    bool                 no_plus;          /* the server offers none */
    bool                 may_be_else;
    struct scram_stretch kept;     /* in the file; none: the server's */
    struct bytes         password; /* of the client; none: the right one */
};

static void scene_init(struct scene *s, const struct cast *cast)
{
    struct scram_verifier       kept;
    const struct bridge_options options = {
        .user = "ann",
        .verifier = cast->is_unknown ? NULL : &kept,
        .own_hash = cast->no_own ? bytes_of(NULL, 0) : OWN_HASH,
        .server_hash = cast->no_other ? bytes_of(NULL, 0) : OTHER_HASH,
        .only_scram = cast->only_scram,
        .may_be_else = cast->may_be_else,
    };

    *s = (struct scene){ .to_client = BUF_LIMIT(100000), .to_server = BUF_LIMIT(100000) };
    assert_int_equal(scram_verifier_make(&s->verifier, PASSWORD, &stretch, NULL), FAIL_NONE);
    kept = s->verifier;
    if (cast->kept.salt_len > 0)
        assert_int_equal(scram_verifier_make(&kept, PASSWORD, &cast->kept, NULL), FAIL_NONE);
    assert_int_equal(scram_keys_make(&s->keys,
                                     cast->password.len > 0 ? cast->password : PASSWORD,
                                     &stretch, NULL),
                     FAIL_NONE);
    bridge_init(&s->bridge, &options);
    scram_client_init(&s->client,
                      &(struct scram_client_options){ .flag = cast->flag, .hash = OWN_HASH });
    scram_server_init(&s->server, &(struct scram_server_options){ .offers_plus = !cast->no_plus,
                                                                  .hash = OTHER_HASH });
}

static void scene_fini(struct scene *s)
{
    static const struct bridge nothing;

    bridge_fini(&s->bridge);
    assert_memory_equal(&s->bridge, &nothing, sizeof nothing); /* its verifier, too */
    scram_client_fini(&s->client);
    scram_server_fini(&s->server);
    buf_fini(&s->to_client);
    buf_fini(&s->to_server);
}

static void server_says(struct scene *s, struct bytes message)
{
    s->verdict = bridge_from_server(&s->bridge, &message, &s->to_client, &s->to_server);
}

static void client_says(struct scene *s, struct bytes message)
{
    s->verdict = bridge_from_client(&s->bridge, message, &s->to_client, &s->to_server);
}

static void server_lists(struct scene *s)
{
    struct buf list = BUF_LIMIT(100);

    alloc_pause(true);
    sasl_write_list(&list, s->server.offers_plus);
    alloc_pause(false);
    server_says(s, buf_bytes(&list));
    buf_fini(&list);
}

/* The one SASL message that waits in `from`; its body. */
static struct bytes body_of(struct buf *from)
{
    struct bytes message = buf_bytes(from);

    assert_true(message.len > 9);
    assert_int_equal(bytes_u32(message.p + 1), message.len - 1);
    return auth_body(message);
}

static void client_begins(struct scene *s)
{
    struct buf first = BUF_LIMIT(1000), message = BUF_LIMIT(1000);

    assert_int_equal(scram_client_first(&s->client, &first, NULL), FAIL_NONE);
    sasl_write_initial(&message, scram_client_mechanism(&s->client), buf_bytes(&first));
    client_says(s, buf_bytes(&message));
    buf_fini(&first);
    buf_fini(&message);
}

/* What the bridge told the server in its first message is answered by one that is real. */
static void server_begins(struct scene *s)
{
    struct buf          first = BUF_LIMIT(1000), message = BUF_LIMIT(1000);
    struct sasl_initial initial;

    assert_true(sasl_read_initial(&initial, buf_bytes(&s->to_server)));
    assert_int_equal(scram_server_read_first(&s->server, initial.mechanism, initial.body),
                     SCRAM_GOES_ON);
    buf_clear(&s->to_server);
    assert_int_equal(scram_server_first(&s->server, &s->verifier.stretch, &first, NULL),
                     FAIL_NONE);
    auth_write(&message, AUTH_SASL_CONTINUE, buf_bytes(&first));
    server_says(s, buf_bytes(&message));
    buf_fini(&first);
    buf_fini(&message);
}

static void client_proves(struct scene *s)
{
    struct buf final = BUF_LIMIT(1000), message = BUF_LIMIT(1000);

    assert_int_equal(scram_client_read_first(&s->client, body_of(&s->to_client), NULL),
                     FAIL_NONE);
    buf_clear(&s->to_client);
    assert_int_equal(scram_client_final(&s->client, &s->keys, &final, NULL), FAIL_NONE);
    sasl_write_response(&message, buf_bytes(&final));
    client_says(s, buf_bytes(&message));
    buf_fini(&final);
    buf_fini(&message);
}

static void server_accepts(struct scene *s)
{
    struct buf   final = BUF_LIMIT(1000), message = BUF_LIMIT(1000);
    struct bytes answer = buf_bytes(&s->to_server);
    uint8_t      key[SCRAM_KEY_LEN];

    bytes_skip(&answer, 5);
    assert_int_equal(scram_server_read_final(&s->server, answer, &s->verifier, key, NULL),
                     SCRAM_GOES_ON);
    buf_clear(&s->to_server);
    assert_int_equal(scram_server_final(&s->server, &s->verifier, &final, NULL), FAIL_NONE);
    auth_write(&message, AUTH_SASL_FINAL, buf_bytes(&final));
    server_says(s, buf_bytes(&message));
    buf_fini(&final);
    buf_fini(&message);
}

static void begin(struct scene *s, const struct cast *cast)
{
    scene_init(s, cast);
    server_lists(s);
    assert_int_equal(s->verdict, BRIDGE_WANT_MORE);
    buf_clear(&s->to_client);
}

static void assert_error(struct scene *s, const char *sqlstate)
{
    struct error_response error = { 0 };

    assert_int_equal(s->verdict, BRIDGE_REFUSED);
    assert_true(error_response_read(&error, buf_bytes(&s->to_client)));
    assert_string_equal(error.code, sqlstate);
    assert_true(failed(&s->bridge.why));
}

static void a_login_is_bridged_with_every_kind_of_binding(void **state)
{
    static const struct cast casts[] = {
        { .flag = SCRAM_BOUND },
        { .flag = SCRAM_BOUND, .may_be_else = true }, /* bound to a certificate, whosever */
        { .flag = SCRAM_UNABLE },
        { .flag = SCRAM_BOUND, .no_plus = true, .no_other = true }, /* a server in plaintext */
        { .flag = SCRAM_BOUND, .no_other = true }, /* its certificate has no hash */
        { .flag = SCRAM_BOUND, .no_plus = true },
        { .flag = SCRAM_UNABLE, .no_own = true }, /* a client in plaintext */
        { .flag = SCRAM_UNOFFERED, .no_own = true },
        { .flag = SCRAM_UNOFFERED, .may_be_else = true, .no_plus = true },
        { .flag = SCRAM_UNOFFERED, .may_be_else = true, .no_other = true },
    };

    for (size_t i = 0; i < 2 * sizeof casts / sizeof casts[0]; i++) {
        struct scene s;

        begin(&s, &casts[i / 2]);
        if (i % 2 == 0) { /* either may be first */
            client_begins(&s);
            server_begins(&s);
        } else {
            server_begins(&s);
            client_begins(&s);
        }
        assert_int_equal(s.bridge.is_bound, !casts[i / 2].no_plus && !casts[i / 2].no_other);
        assert_int_equal(s.verdict, BRIDGE_WANT_MORE);
        client_proves(&s);
        assert_int_equal(s.verdict, BRIDGE_WANT_MORE);
        assert_int_equal(s.to_client.len, 0); /* not before the server has agreed */
        server_accepts(&s);
        assert_int_equal(scram_client_read_final(&s.client, body_of(&s.to_client), NULL),
                         FAIL_NONE);
        buf_clear(&s.to_client);
        server_says(&s, OK);
        assert_int_equal(s.verdict, BRIDGE_PASSES);
        assert_buf_is(&s.to_client, OK);
        scene_fini(&s);
    }
}

static void the_client_is_offered_what_our_certificate_allows(void **state)
{
    static const struct cast casts[] = { { .no_own = true }, { .no_own = false } };

    for (size_t i = 0; i < 2; i++) {
        struct scene s;
        struct buf   list = BUF_LIMIT(100);

        scene_init(&s, &casts[i]);
        server_lists(&s);
        sasl_write_list(&list, i == 1);
        assert_buf_is(&s.to_client, buf_bytes(&list));
        buf_fini(&list);
        scene_fini(&s);
    }
}

/* It could stand between us and the server with a certificate that has no hash, or that offers
 * no PLUS, or in the clear: a client that demands channel binding must learn that there is
 * none. */
static void plus_is_not_offered_where_somebody_could_be_behind_us(void **state)
{
    static const struct {
        struct cast cast;
        bool        offers;
    } cases[] = {
        { { .may_be_else = true }, true },
        { { .may_be_else = true, .no_plus = true }, false },
        { { .may_be_else = true, .no_other = true }, false },
        { { .may_be_else = true, .no_other = true, .no_plus = true }, false },
        { { .no_other = true, .no_plus = true }, true },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scene s;
        struct buf   list = BUF_LIMIT(100), message = BUF_LIMIT(1000);

        scene_init(&s, &cases[i].cast);
        server_lists(&s);
        sasl_write_list(&list, cases[i].offers);
        assert_buf_is(&s.to_client, buf_bytes(&list));
        assert_int_equal(s.bridge.withholds_plus, !cases[i].offers);
        buf_clear(&s.to_client);
        sasl_write_initial(&message, "SCRAM-SHA-256-PLUS",
                           BYTES("p=tls-server-end-point,,n=,r=abc"));
        client_says(&s, buf_bytes(&message));
        if (cases[i].offers)
            assert_int_equal(s.verdict, BRIDGE_WANT_MORE);
        else
            assert_error(&s, "08P01");
        buf_fini(&list);
        buf_fini(&message);
        scene_fini(&s);
    }
}

static const struct {
    const char *message, *mechanism, *sqlstate;
} refused[] = {
    { "y,,n=,r=abc", "SCRAM-SHA-256", "28000" },
    { "n,a=bob,n=,r=abc", "SCRAM-SHA-256", "0A000" },
    { "n,,n=,r=", "SCRAM-SHA-256", "08P01" },
    { "n,,n=,r=abc", "SCRAM-SHA-256-PLUS", "08P01" },
    { "n,,n=,r=abc", "PLAIN", "08P01" },
    { "p=tls-unique,,n=,r=abc", "SCRAM-SHA-256-PLUS", "08P01" },
};

static void bad_first_messages_get_the_code_of_postgresql(void **state)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct buf   message = BUF_LIMIT(1000);
        struct scene s;

        begin(&s, &(struct cast){ .flag = SCRAM_BOUND });
        sasl_write_initial(&message, refused[i].mechanism, bytes_of_string(refused[i].message));
        client_says(&s, buf_bytes(&message));
        assert_error(&s, refused[i].sqlstate);
        buf_fini(&message);
        scene_fini(&s);
    }
}

static void who_has_no_right_password_gets_28P01_and_nothing_else(void **state)
{
    static const struct {
        struct cast cast;
        const char *reason;
    } cases[] = {
        { { .flag = SCRAM_BOUND, .password = BYTES_INIT("pen") }, "password is wrong" },
        { { .flag = SCRAM_BOUND, .is_unknown = true }, "no verifier" },
        { { .flag = SCRAM_BOUND, .kept = { 10, 4, "salt" } }, "not the server's" },
        { { .flag = SCRAM_BOUND, .kept = { 11, 9, "some salt" } }, "not the server's" },
    };
    struct buf first = BUF_LIMIT(1000);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scene s;

        begin(&s, &cases[i].cast);
        client_begins(&s);
        server_begins(&s);
        client_proves(&s);
        assert_error(&s, "28P01");
        assert_non_null(strstr(s.bridge.why.text, cases[i].reason));
        assert_int_equal(s.to_server.len, 0); /* no proof for the server */
        if (first.len == 0)
            buf_put(&first, buf_bytes(&s.to_client));
        assert_buf_is(&s.to_client, buf_bytes(&first));
        scene_fini(&s);
    }
    buf_fini(&first);
}

struct proof {
    struct scene *scene;
    struct bytes  message;
};

static void prove(void *of)
{
    struct proof *proof = of;

    client_says(proof->scene, proof->message);
}

/* Whoever has it can log in; the client's own copy is wiped before it speaks. */
static void client_key_is_nowhere_behind_the_proof(void **state)
{
    struct buf    final = BUF_LIMIT(1000), message = BUF_LIMIT(1000);
    struct turned key;
    struct scene  s;

    if (memory_is_sanitized())
        skip();
    begin(&s, &(struct cast){ .flag = SCRAM_BOUND });
    client_begins(&s);
    server_begins(&s);
    assert_int_equal(scram_client_read_first(&s.client, body_of(&s.to_client), NULL),
                     FAIL_NONE);
    assert_int_equal(scram_client_final(&s.client, &s.keys, &final, NULL), FAIL_NONE);
    sasl_write_response(&message, buf_bytes(&final));
    key = memory_turned(s.keys.client_key, SCRAM_KEY_LEN);
    assert_true(memory_copies(key) >= 1);
    scram_keys_wipe(&s.keys);
    memory_call_below(prove, &(struct proof){ &s, buf_bytes(&message) });
    assert_int_equal(memory_copies(key), 0);
    assert_int_equal(s.verdict, BRIDGE_WANT_MORE);
    server_accepts(&s);
    buf_fini(&final);
    buf_fini(&message);
    scene_fini(&s);
}

static void the_client_is_shown_the_salt_of_the_server(void **state)
{
    static const struct cast casts[] = { { .is_unknown = true },
                                         { .kept = { 10, 4, "salt" } },
                                         { .flag = SCRAM_UNABLE } };

    for (size_t i = 0; i < 3; i++) {
        struct scene s;

        begin(&s, &casts[i]);
        client_begins(&s);
        server_begins(&s);
        assert_int_equal(scram_client_read_first(&s.client, body_of(&s.to_client), NULL),
                         FAIL_NONE);
        assert_true(scram_stretch_equal(&s.client.stretch, &stretch));
        scene_fini(&s);
    }
}

/* In every state before the server's proof. */
static void a_server_that_lets_in_without_proof_is_broken(void **state)
{
    static const struct {
        bool client, server, proof;
    } cases[] = {
        { .client = false },
        { .client = true },
        { .server = true },
        { .client = true, .server = true },
        { .client = true, .server = true, .proof = true },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scene s;

        begin(&s, &(struct cast){ .flag = SCRAM_BOUND });
        if (cases[i].client)
            client_begins(&s);
        if (cases[i].server)
            server_begins(&s);
        if (cases[i].proof)
            client_proves(&s);
        buf_clear(&s.to_client);
        server_says(&s, OK);
        assert_int_equal(s.verdict, BRIDGE_BROKEN);
        assert_int_equal(s.to_client.len, 0);
        scene_fini(&s);
    }
}

static void a_server_that_does_not_know_the_verifier_is_broken(void **state)
{
    struct buf   message = BUF_LIMIT(1000);
    struct scene s;

    begin(&s, &(struct cast){ .flag = SCRAM_BOUND });
    client_begins(&s);
    server_begins(&s);
    client_proves(&s);
    auth_write(&message, AUTH_SASL_FINAL,
               BYTES("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    server_says(&s, buf_bytes(&message));
    assert_int_equal(s.verdict, BRIDGE_BROKEN);
    assert_int_equal(s.to_client.len, 0);
    buf_fini(&message);
    scene_fini(&s);
}

static void what_is_no_part_of_the_exchange_passes_or_breaks_it(void **state)
{
    static const struct bytes passing[] = { BYTES_INIT("N\0\0\0\x0cMhello\0\0"),
                                            BYTES_INIT("v\0\0\0\x0c\0\0\0\0\0\0\0\0") };
    static const struct bytes breaking[] = {
        BYTES_INIT("Z\0\0\0\x05I"), BYTES_INIT("S\0\0\0\x08x\0y\0"),
        BYTES_INIT("R\0\0\0\x04"),  BYTES_INIT("R\0\0\0\x0c\0\0\0\x0av=x\0"),
        BYTES_INIT("N\0\1\0\0"),
    };
    struct scene s;

    for (size_t i = 0; i < 2; i++) {
        begin(&s, &(struct cast){ .flag = SCRAM_BOUND });
        server_says(&s, passing[i]);
        assert_int_equal(s.verdict, BRIDGE_WANT_MORE);
        assert_buf_is(&s.to_client, passing[i]);
        scene_fini(&s);
    }
    for (size_t i = 0; i < sizeof breaking / sizeof breaking[0]; i++) {
        begin(&s, &(struct cast){ .flag = SCRAM_BOUND });
        server_says(&s, breaking[i]);
        assert_int_equal(s.verdict, BRIDGE_BROKEN);
        scene_fini(&s);
    }
}

static void an_error_of_the_server_passes_and_ends_it(void **state)
{
    struct bytes error = BYTES("E\0\0\0\x0d"
                               "C28000\0\0\0");
    struct scene s;

    scene_init(&s, &(struct cast){ .only_scram = true });
    error.len = 14;
    server_says(&s, error);
    assert_int_equal(s.verdict, BRIDGE_PASSES);
    assert_buf_is(&s.to_client, error);
    scene_fini(&s);
}

/* trust or cert, cleartext, md5, a list without SCRAM. */
static const struct bytes weaker[] = {
    BYTES_INIT("R\0\0\0\x08\0\0\0\0"),
    BYTES_INIT("R\0\0\0\x08\0\0\0\3"),
    BYTES_INIT("R\0\0\0\x0c\0\0\0\5salt"),
    BYTES_INIT("R\0\0\0\x15\0\0\0\x0aOAUTHBEARER\0\0"),
};

static void what_is_not_scram_passes_or_is_refused(void **state)
{
    for (size_t i = 0; i < 2 * sizeof weaker / sizeof weaker[0]; i++) {
        struct scene s;

        scene_init(&s, &(struct cast){ .only_scram = i % 2 == 1 });
        server_says(&s, weaker[i / 2]);
        if (i % 2 == 1) {
            assert_error(&s, "28000");
        } else {
            assert_int_equal(s.verdict, BRIDGE_PASSES);
            assert_buf_is(&s.to_client, weaker[i / 2]);
        }
        assert_int_equal(s.to_server.len, 0);
        scene_fini(&s);
    }
}

static void an_empty_challenge_is_given_to_who_wants_one(void **state)
{
    struct buf   first = BUF_LIMIT(1000), message = BUF_LIMIT(1000);
    struct scene s;

    begin(&s, &(struct cast){ .flag = SCRAM_UNABLE });
    client_says(&s, BYTES("p\0\0\0\x16SCRAM-SHA-256\0\xff\xff\xff\xff"));
    assert_int_equal(s.verdict, BRIDGE_WANT_MORE);
    assert_buf_is(&s.to_client, BYTES("R\0\0\0\x08\0\0\0\x0b"));
    buf_clear(&s.to_client);
    assert_int_equal(scram_client_first(&s.client, &first, NULL), FAIL_NONE);
    sasl_write_response(&message, buf_bytes(&first));
    client_says(&s, buf_bytes(&message));
    server_begins(&s);
    client_proves(&s);
    assert_int_equal(s.verdict, BRIDGE_WANT_MORE);
    buf_fini(&first);
    buf_fini(&message);
    scene_fini(&s);
}

static void what_the_client_sends_too_early_waits_and_has_a_limit(void **state)
{
    static const uint8_t much[BRIDGE_CLIENT_MOST + 1];
    struct scene         s;

    scene_init(&s, &(struct cast){ .flag = SCRAM_BOUND });
    client_begins(&s); /* before the server has listed anything */
    assert_int_equal(s.verdict, BRIDGE_WANT_MORE);
    server_lists(&s);
    buf_clear(&s.to_client);
    server_begins(&s);
    client_proves(&s);
    client_says(&s, BYTES("Q\0\0\0\x05\0"));
    server_accepts(&s);
    server_says(&s, OK);
    assert_int_equal(s.verdict, BRIDGE_PASSES);
    assert_true(bytes_equal(bridge_waiting(&s.bridge), BYTES("Q\0\0\0\x05\0")));
    scene_fini(&s);

    scene_init(&s, &(struct cast){ .flag = SCRAM_BOUND });
    client_says(&s, bytes_of(much, sizeof much));
    assert_error(&s, "08P01");
    scene_fini(&s);
}

static const uint8_t *watched;
static size_t         watched_len;
static bool           watched_was_wiped;

static void look_at_freed(void *memory)
{
    if (memory == NULL || memory != watched)
        return;
    watched_was_wiped = true;
    for (size_t i = 0; i < watched_len; i++)
        watched_was_wiped &= watched[i] == 0;
}

static void what_waited_is_wiped(void **state)
{
    struct scene s;

    scene_init(&s, &(struct cast){ .flag = SCRAM_BOUND });
    client_says(&s, BYTES("p\0\0\0\x0bsesame\0"));
    assert_int_equal(bridge_waiting(&s.bridge).len, 12);
    watched = s.bridge.waiting.memory;
    watched_len = s.bridge.waiting.capacity;
    alloc_before_free = look_at_freed;
    scene_fini(&s);
    alloc_before_free = NULL;
    assert_true(watched_was_wiped);
}

static void other_messages_of_the_client_are_refused(void **state)
{
    static const struct bytes bad[] = {
        BYTES_INIT("Q\0\0\0\x05\0"),
        BYTES_INIT("X\0\0\0\4"),
        BYTES_INIT("p\0\0\0\4"),
        BYTES_INIT("p\0\0\0\3"),
        BYTES_INIT("p\0\0\x20\0"),
        BYTES_INIT("p\xff\xff\xff\xff"),
        BYTES_INIT("p\0\0\0\x16SCRAM-SHA-256\0\0\0\0\1"),
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct scene s;

        begin(&s, &(struct cast){ .flag = SCRAM_BOUND });
        client_says(&s, bad[i]);
        assert_error(&s, "08P01");
        scene_fini(&s);
    }
}

/* Both streams come byte by byte. */
static void cuts_change_nothing(void **state)
{
    struct buf   message = BUF_LIMIT(1000), first = BUF_LIMIT(1000);
    struct scene s;

    scene_init(&s, &(struct cast){ .flag = SCRAM_BOUND });
    sasl_write_list(&message, true);
    for (size_t i = 0; i < message.len; i++)
        server_says(&s, bytes_of(buf_bytes(&message).p + i, 1));
    assert_buf_is(&s.to_client, buf_bytes(&message));
    buf_clear(&s.to_client);
    buf_clear(&message);
    assert_int_equal(scram_client_first(&s.client, &first, NULL), FAIL_NONE);
    sasl_write_initial(&message, "SCRAM-SHA-256-PLUS", buf_bytes(&first));
    for (size_t i = 0; i < message.len; i++)
        client_says(&s, bytes_of(buf_bytes(&message).p + i, 1));
    server_begins(&s);
    client_proves(&s);
    server_accepts(&s);
    server_says(&s, OK);
    assert_int_equal(s.verdict, BRIDGE_PASSES);
    buf_fini(&message);
    buf_fini(&first);
    scene_fini(&s);
}

static void without_memory_it_is_broken(void **state)
{
    unsigned n;

    for (n = 1; n < 100; n++) {
        struct scene s;

        scene_init(&s, &(struct cast){ .flag = SCRAM_BOUND });
        alloc_fail_at(n);
        server_lists(&s);
        if (!alloc_has_failed()) {
            assert_int_equal(s.verdict, BRIDGE_WANT_MORE);
            scene_fini(&s);
            break;
        }
        assert_int_equal(s.verdict, BRIDGE_BROKEN);
        scene_fini(&s);
    }
    assert_in_range(n, 2, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_is_bridged_with_every_kind_of_binding),
        cmocka_unit_test(the_client_is_offered_what_our_certificate_allows),
        cmocka_unit_test(plus_is_not_offered_where_somebody_could_be_behind_us),
        cmocka_unit_test(bad_first_messages_get_the_code_of_postgresql),
        cmocka_unit_test(who_has_no_right_password_gets_28P01_and_nothing_else),
        cmocka_unit_test(client_key_is_nowhere_behind_the_proof),
        cmocka_unit_test(the_client_is_shown_the_salt_of_the_server),
        cmocka_unit_test(a_server_that_lets_in_without_proof_is_broken),
        cmocka_unit_test(a_server_that_does_not_know_the_verifier_is_broken),
        cmocka_unit_test(what_is_no_part_of_the_exchange_passes_or_breaks_it),
        cmocka_unit_test(an_error_of_the_server_passes_and_ends_it),
        cmocka_unit_test(what_is_not_scram_passes_or_is_refused),
        cmocka_unit_test(an_empty_challenge_is_given_to_who_wants_one),
        cmocka_unit_test(what_the_client_sends_too_early_waits_and_has_a_limit),
        cmocka_unit_test(what_waited_is_wiped),
        cmocka_unit_test(other_messages_of_the_client_are_refused),
        cmocka_unit_test(cuts_change_nothing),
        cmocka_unit_test(without_memory_it_is_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
