/* SPDX-License-Identifier: PostgreSQL */
#include "tls/tickets.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "harness/group_pki.h"
#include "harness/raw_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct tls_ticket_keys *keys;
static struct trust           *both; /* root and issuing */

static int make_pki(void **state)
{
    group_pki_make(state);
    keys = tls_ticket_keys_random(NULL);
    both = tls_pki_trust(&pki, (const struct cert *[]){ &pki.root, &pki.issuing, NULL });
    assert_non_null(keys);
    return 0;
}

static int remove_pki(void **state)
{
    trust_release(both);
    tls_ticket_keys_release(keys);
    return group_pki_remove(state);
}

/* One key a line: its 80 bytes are all `digit`. */
static char *write_keys(const char *digits)
{
    char   text[4096];
    size_t len = 0;

    for (; *digits != '\0'; digits++) {
        memset(text + len, *digits, 160);
        text[len + 160] = '\n';
        len += 161;
    }
    return certs_write_text(pki.dir, "tickets", text, len);
}

static struct tls_ticket_keys *load_keys(const char *digits)
{
    char                   *file = write_keys(digits);
    struct tls_ticket_keys *loaded = tls_ticket_keys_load(file, NULL);

    assert_non_null(loaded);
    free(file);
    return loaded;
}

static void assert_refused(const char *text, size_t len, const char *expected)
{
    struct failure why = { 0 };
    char          *file = certs_write_text(pki.dir, "bad", text, len);

    assert_null(tls_ticket_keys_load(file, &why));
    if (strstr(why.text, expected) == NULL)
        print_error("\"%s\"\n", why.text);
    assert_non_null(strstr(why.text, expected));
    free(file);
}

static void key_files_are_read_line_by_line(void **state)
{
    char  line[400];
    char *file;

    struct tls_ticket_keys *three = load_keys("1a3");

    assert_int_equal(tls_ticket_keys_count(three), 3);
    tls_ticket_keys_release(tls_ticket_keys_hold(three));
    tls_ticket_keys_release(three);
    memset(line, 'F', sizeof line);
    memcpy(line, "# new\n\n", 7);
    memcpy(line + 7 + 160, " \r\n", 3);
    file = certs_write_text(pki.dir, "k", line, 7 + 160 + 3);
    three = tls_ticket_keys_load(file, NULL);
    assert_int_equal(tls_ticket_keys_count(three), 1);
    tls_ticket_keys_release(three);
    free(file);
}

static void what_is_no_key_file_is_refused_and_the_line_named(void **state)
{
    char text[17 * 161 + 1];

    assert_refused("# nothing\n\n", 11, "no ticket key in");
    assert_refused("abc\n", 4, "line 1 of");
    memset(text, 'a', sizeof text);
    assert_refused(text, 161, "line 1 of");
    for (size_t cut = 1; cut < 160; cut++)
        assert_refused(text, cut, "line 1 of");
    text[80] = 'g';
    assert_refused(text, 160, "line 1 of");
    text[80] = 'a';
    text[160] = '\n';
    assert_refused(text, 321, "line 2 of");
    for (int i = 0; i < 17; i++) {
        memset(text + i * 161, "0123456789abcdefF"[i], 160);
        text[i * 161] = "0123456789abcdef1"[i];
        text[i * 161 + 160] = '\n';
    }
    assert_refused(text, sizeof text - 1, "more than 16");
}

static void a_key_file_that_others_can_read_is_refused(void **state)
{
    struct failure why = { 0 };
    char          *file = write_keys("1");

    chmod(file, 0644);
    assert_null(tls_ticket_keys_load(file, &why));
    assert_non_null(strstr(why.text, "group or world access"));
    chmod(file, 0600);
    free(file);
}

/* ---- on the wire ---- */

static struct tls_policy_options with_tickets(struct tls_ticket_keys *of, const char *scope)
{
    return (struct tls_policy_options){
        .role = TLS_SERVER,
        .identity = pki.server,
        .ticket_keys = of,
        .ticket_scope = bytes_of_string(scope),
    };
}

static struct tls_policy_options with_clients(struct trust *trust)
{
    struct tls_policy_options options = with_tickets(keys, "route");

    options.peer_check = TLS_PEER_CHAIN;
    options.trust = trust;
    return options;
}

/* What a client brings to its next connection, and what came of that. */
struct visit {
    SSL_SESSION *session; /* from the last one; NULL: a new client */
    int          version; /* 0: any */
    const char  *sni;
    bool         shows;  /* alice's certificate */
    int64_t      wall_s; /* 0: CERTS_NOW */
    bool         was_resumed, was_good, was_verified;
    int          alert;
    unsigned     tickets;
};

static void visit_engine(struct visit *v, struct tls_engine *server)
{
    struct raw_client client;

    raw_client_init(&client);
    if (v->version != 0)
        SSL_set_max_proto_version(client.ssl, v->version);
    if (v->sni != NULL)
        SSL_set_tlsext_host_name(client.ssl, v->sni);
    if (v->shows)
        assert_int_equal(SSL_use_cert_and_key(client.ssl, identity_leaf(pki.client),
                                              identity_key(pki.client),
                                              identity_intermediates(pki.client), 1),
                         1);
    if (v->session != NULL)
        SSL_set_session(client.ssl, v->session);
    raw_client_shake(&client, server, SIZE_MAX);
    v->was_good = client.server == TLS_DONE && client.is_done;
    v->was_resumed = v->was_good && SSL_session_reused(client.ssl);
    v->was_verified = v->was_good && tls_engine_facts(server)->peer_verified;
    v->alert = client.alert;
    v->tickets = client.sessions;
    if (v->was_good) {
        assert_int_equal(tls_engine_facts(server)->resumed, v->was_resumed);
        if (client.session == NULL || !SSL_SESSION_is_resumable(client.session))
            v->tickets = 0;
    }
    if (v->was_good && client.sessions > 0) {
        SSL_SESSION_free(v->session);
        v->session = client.session;
        client.session = NULL;
        if (v->version != TLS1_2_VERSION) /* the hint of TLS 1.2 is none in a resumed session */
            assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(v->session), 7200);
    }
    raw_client_fini(&client);
    tls_engine_free(server);
}

static void visit(struct visit *v, const struct tls_policy_options *options)
{
    visit_engine(
        v, tls_pair_engine(options, &(struct tls_engine_options){
                                        .wall_s = v->wall_s != 0 ? v->wall_s : CERTS_NOW }));
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

#define EACH_VERSION(i) for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)

static void there_are_no_tickets_unless_keys_are_given(void **state)
{
    EACH_VERSION(i)
    {
        struct visit              v = { .version = versions[i] };
        struct tls_policy_options none = { .role = TLS_SERVER, .identity = pki.server };

        visit(&v, &none);
        assert_true(v.was_good);
        assert_int_equal(v.tickets, 0);
        visit(&v, &none);
        assert_true(v.was_good && !v.was_resumed);
        SSL_SESSION_free(v.session);
    }
}

/* Every visit has its own policy and context: a worker, a reload, another process. */
static void a_ticket_is_good_wherever_the_keys_and_the_scope_are_the_same(void **state)
{
    EACH_VERSION(i)
    {
        struct visit              v = { .version = versions[i] };
        struct tls_policy_options options = with_tickets(keys, "route");

        visit(&v, &options);
        assert_true(v.was_good && !v.was_resumed);
        assert_int_equal(v.tickets, 1);
        for (int n = 0; n < 3; n++) {
            visit(&v, &options);
            assert_true(v.was_good && v.was_resumed);
        }
        SSL_SESSION_free(v.session);
    }
}

static void keys_from_a_file_rotate(void **state)
{
    struct tls_ticket_keys *first = load_keys("1"), *second = load_keys("21"),
                           *third = load_keys("32");

    EACH_VERSION(i)
    {
        struct visit              v = { .version = versions[i] };
        struct visit              late = { .version = versions[i] };
        struct tls_policy_options of_first = with_tickets(first, "r");
        struct tls_policy_options of_second = with_tickets(second, "r");
        struct tls_policy_options of_third = with_tickets(third, "r");

        visit(&v, &of_first);
        visit(&v, &of_second);
        assert_true(v.was_resumed);
        assert_int_equal(v.tickets, 1); /* made with the newer key */
        visit(&v, &of_third);
        assert_true(v.was_resumed);
        visit(&late, &of_first);
        visit(&late, &of_third);
        assert_true(late.was_good && !late.was_resumed);
        SSL_SESSION_free(v.session);
        SSL_SESSION_free(late.session);
    }
    tls_ticket_keys_release(first);
    tls_ticket_keys_release(second);
    tls_ticket_keys_release(third);
}

static void a_ticket_of_another_scope_or_key_means_a_full_handshake(void **state)
{
    EACH_VERSION(i)
    {
        struct tls_ticket_keys   *others = tls_ticket_keys_random(NULL);
        struct visit              v = { .version = versions[i] };
        struct tls_policy_options a = with_tickets(keys, "route a");
        struct tls_policy_options b = with_tickets(keys, "route b");
        struct tls_policy_options c = with_tickets(others, "route a");

        visit(&v, &a);
        visit(&v, &b);
        assert_true(v.was_good && !v.was_resumed);
        visit(&v, &a);
        assert_true(v.was_good && !v.was_resumed);
        visit(&v, &c);
        assert_true(v.was_good && !v.was_resumed);
        tls_ticket_keys_release(others);
        SSL_SESSION_free(v.session);
    }
}

static void a_clients_certificate_comes_back_with_its_ticket_and_is_verified_again(void **state)
{
    struct tls_policy_options options = with_clients(pki.trust);

    EACH_VERSION(i)
    {
        struct visit v = { .version = versions[i], .shows = true };

        visit(&v, &options);
        assert_true(v.was_verified && !v.was_resumed);
        visit(&v, &options);
        assert_true(v.was_verified && v.was_resumed);
        visit(&v, &options);
        assert_true(v.was_verified && v.was_resumed);
        SSL_SESSION_free(v.session);
    }
}

static void a_ticket_of_an_expired_certificate_is_no_way_in(void **state)
{
    struct tls_policy_options options = with_clients(pki.trust);

    EACH_VERSION(i)
    {
        struct visit v = { .version = versions[i], .shows = true };

        visit(&v, &options);
        v.wall_s = CERTS_NOW + INT64_C(365) * 24 * 3600;
        visit(&v, &options);
        assert_false(v.was_good);
        assert_int_equal(v.alert, 45);
        /* a client that hides its certificate now is known to have none */
        v.shows = false;
        visit(&v, &options);
        assert_true(v.was_good && !v.was_resumed && !v.was_verified);
        SSL_SESSION_free(v.session);
    }
}

static struct trust *trust_with_crls(const struct cert *const *revoked)
{
    char *ca = certs_write_chain(pki.dir, "t.crt", (const struct cert *[]){ &pki.root, NULL });
    char *in = certs_dir_new();
    char *one = certs_write_crl(in, "1.crl", &(struct crl_spec){ .next_update = 0 }, &pki.root);
    char *two =
        certs_write_crl(in, "2.crl", &(struct crl_spec){ .revoked = revoked }, &pki.issuing);
    struct trust *trust =
        trust_load_files(&(struct trust_files){ .file = ca, .crl_dir = in }, NULL);

    assert_non_null(trust);
    certs_dir_free(in);
    free(ca);
    free(one);
    free(two);
    return trust;
}

static void a_ticket_of_a_revoked_certificate_is_no_way_in(void **state)
{
    const struct cert        *revoked[] = { &pki.client_cert, NULL };
    struct trust             *clean = trust_with_crls(NULL), *with = trust_with_crls(revoked);
    struct tls_policy_options before = with_clients(clean), after = with_clients(with);

    EACH_VERSION(i)
    {
        struct visit v = { .version = versions[i], .shows = true };

        visit(&v, &before);
        visit(&v, &before);
        assert_true(v.was_verified && v.was_resumed);
        visit(&v, &after);
        assert_false(v.was_good);
        assert_int_equal(v.alert, 44);
        SSL_SESSION_free(v.session);
    }
    trust_release(clean);
    trust_release(with);
}

static void a_ticket_from_before_a_change_of_ca_is_not_taken(void **state)
{
    struct cert ca =
        cert_make(&(struct cert_spec){ .common_name = "new", .is_ca = true }, NULL);
    struct trust             *trust = tls_pki_trust(&pki, (const struct cert *[]){ &ca, NULL });
    struct tls_policy_options before = with_clients(pki.trust), after = with_clients(trust);
    struct tls_policy_options wider = with_clients(both);

    EACH_VERSION(i)
    {
        struct visit v = { .version = versions[i], .shows = true };

        visit(&v, &before);
        visit(&v, &wider);
        assert_true(v.was_verified && !v.was_resumed);
        visit(&v, &after);
        assert_false(v.was_good);
        assert_int_equal(v.alert, 48);
        v.shows = false;
        visit(&v, &after);
        assert_true(v.was_good && !v.was_resumed && !v.was_verified);
        SSL_SESSION_free(v.session);
    }
    trust_release(trust);
    cert_free(&ca);
}

/* A policy that asks for no certificate makes no tickets for one that does. */
static void a_ticket_of_a_laxer_mode_is_not_taken(void **state)
{
    struct tls_policy_options lax = with_tickets(keys, "route");
    struct tls_policy_options strict = with_clients(pki.trust);

    EACH_VERSION(i)
    {
        struct visit v = { .version = versions[i] };

        visit(&v, &lax);
        visit(&v, &strict);
        assert_true(v.was_good && !v.was_resumed);
        SSL_SESSION_free(v.session);
    }
}

static struct tls_engine *new_two_hosts(bool has_tickets_at_b)
{
    static const char *const a_name = "a", *const b_name = "b";
    struct tls_policy_options a = with_tickets(keys, "host a"),
                              b = with_tickets(keys, "host b");
    struct tls_host     hosts[2];
    struct tls_hosts   *set;
    struct tls_context *context;
    struct tls_engine  *engine;

    if (!has_tickets_at_b)
        b.ticket_keys = NULL;
    hosts[0] = (struct tls_host){ &a_name, 1, tls_policy_new(&a, NULL) };
    hosts[1] = (struct tls_host){ &b_name, 1, tls_policy_new(&b, NULL) };
    set = tls_hosts_new(hosts, 2, NULL);
    context = tls_context_new_for_hosts(set, NULL, NULL);
    engine = tls_engine_new(context, &(struct tls_engine_options){ .wall_s = CERTS_NOW }, NULL);
    assert_non_null(engine);
    tls_context_release(context);
    tls_hosts_release(set);
    tls_policy_release(hosts[0].policy);
    tls_policy_release(hosts[1].policy);
    return engine;
}

static void a_ticket_of_one_host_is_not_taken_by_another_on_the_same_port(void **state)
{
    EACH_VERSION(i)
    {
        struct visit v = { .version = versions[i], .sni = "a" };

        visit_engine(&v, new_two_hosts(true));
        assert_int_equal(v.tickets, 1);
        visit_engine(&v, new_two_hosts(true));
        assert_true(v.was_resumed);
        v.sni = "b";
        visit_engine(&v, new_two_hosts(true));
        assert_true(v.was_good && !v.was_resumed);
        visit_engine(&v, new_two_hosts(true));
        assert_true(v.was_resumed);
        visit_engine(&v, new_two_hosts(false));
        assert_true(v.was_good && !v.was_resumed);
        SSL_SESSION_free(v.session);
        v = (struct visit){ .version = versions[i], .sni = "b" };
        visit_engine(&v, new_two_hosts(false));
        assert_int_equal(v.tickets, 0);
        SSL_SESSION_free(v.session);
    }
}

static void tickets_without_a_scope_are_refused_at_load(void **state)
{
    struct failure            why = { 0 };
    struct tls_policy_options options = with_tickets(keys, "");

    assert_null(tls_policy_new(&options, &why));
    assert_non_null(strstr(why.text, "need a scope"));
}

static void loading_fails_cleanly_when_memory_runs_out(void **state)
{
    char    *file = write_keys("12");
    unsigned n;

    for (n = 1; n < 20; n++) {
        struct failure          why = { 0 };
        struct tls_ticket_keys *loaded;

        alloc_fail_at(n);
        loaded = tls_ticket_keys_load(file, &why);
        if (!alloc_has_failed()) {
            assert_non_null(loaded);
            tls_ticket_keys_release(loaded);
            break;
        }
        assert_null(loaded);
        assert_int_equal(why.kind, FAIL_MEMORY);
    }
    assert_int_equal(n, 3);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_files_are_read_line_by_line),
        cmocka_unit_test(what_is_no_key_file_is_refused_and_the_line_named),
        cmocka_unit_test(a_key_file_that_others_can_read_is_refused),
        cmocka_unit_test(there_are_no_tickets_unless_keys_are_given),
        cmocka_unit_test(a_ticket_is_good_wherever_the_keys_and_the_scope_are_the_same),
        cmocka_unit_test(keys_from_a_file_rotate),
        cmocka_unit_test(a_ticket_of_another_scope_or_key_means_a_full_handshake),
        cmocka_unit_test(
            a_clients_certificate_comes_back_with_its_ticket_and_is_verified_again),
        cmocka_unit_test(a_ticket_of_an_expired_certificate_is_no_way_in),
        cmocka_unit_test(a_ticket_of_a_revoked_certificate_is_no_way_in),
        cmocka_unit_test(a_ticket_from_before_a_change_of_ca_is_not_taken),
        cmocka_unit_test(a_ticket_of_a_laxer_mode_is_not_taken),
        cmocka_unit_test(a_ticket_of_one_host_is_not_taken_by_another_on_the_same_port),
        cmocka_unit_test(tickets_without_a_scope_are_refused_at_load),
        cmocka_unit_test(loading_fails_cleanly_when_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, make_pki, remove_pki);
}
