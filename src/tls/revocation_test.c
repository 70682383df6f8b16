/* SPDX-License-Identifier: PostgreSQL */
/* Revocation lists on both legs: the whole chain, and every way a list can be wrong. */
#include "harness/check.h"
#include "harness/group_pki.h"
#include "tls/engine.h"

#include <stdlib.h>
#include <string.h>

/* The lists that a verifier has; without one of an authority, that is NULL. */
struct lists {
    const struct crl_spec *of_root, *of_issuing;
    const struct cert     *signer_of_issuing; /* NULL: the issuing CA */
};

static const struct crl_spec good = { .next_update = 0 };

static struct trust *trust_with(const struct lists *lists)
{
    char *ca = certs_write_chain(pki.dir, "t.crt", (const struct cert *[]){ &pki.root, NULL });
    char *in = certs_dir_new();
    struct cert    signer = pki.issuing;
    struct trust  *trust;
    struct failure why = { 0 };

    if (lists->signer_of_issuing != NULL)
        signer = *lists->signer_of_issuing;
    if (lists->of_root != NULL)
        free(certs_write_crl(in, "root.crl", lists->of_root, &pki.root));
    if (lists->of_issuing != NULL)
        free(certs_write_crl(in, "issuing.crl", lists->of_issuing, &signer));
    trust = trust_load_files(&(struct trust_files){ .file = ca, .crl_dir = in }, &why);
    if (trust == NULL)
        print_error("%s\n", why.text);
    assert_non_null(trust);
    certs_dir_free(in);
    free(ca);
    return trust;
}

/* A client and a server that both have a certificate; `trust` is the server's or the client's.
 */
static struct tls_pair shaken(struct trust *trust, bool is_servers)
{
    struct tls_policy_options server = { .role = TLS_SERVER,
                                         .peer_check = TLS_PEER_CHAIN,
                                         .identity = pki.server,
                                         .trust = is_servers ? trust : pki.trust };
    struct tls_policy_options client = { .role = TLS_CLIENT,
                                         .peer_check = TLS_PEER_CHAIN,
                                         .identity = pki.client,
                                         .trust = is_servers ? pki.trust : trust };
    struct tls_engine_options now = { .wall_s = CERTS_NOW };
    struct tls_pair           pair;

    tls_pair_init(&pair, tls_pair_engine(&client, &now), tls_pair_engine(&server, &now));
    tls_pair_handshake(&pair, SIZE_MAX);
    return pair;
}

static void assert_passes(const struct lists *lists)
{
    struct trust *trust = trust_with(lists);

    for (int is_servers = 0; is_servers < 2; is_servers++) {
        struct tls_pair pair = shaken(trust, is_servers);

        assert_int_equal(pair.server.verdict, TLS_DONE);
        assert_int_equal(pair.client.verdict, TLS_DONE);
        tls_pair_fini(&pair);
    }
    trust_release(trust);
}

static void assert_refused(const struct lists *lists, int alert, const char *text,
                           const char *hint)
{
    struct trust *trust = trust_with(lists);

    for (int is_servers = 0; is_servers < 2; is_servers++) {
        struct tls_pair       pair = shaken(trust, is_servers);
        struct tls_side      *side = is_servers ? &pair.server : &pair.client;
        const struct failure *why = tls_engine_failure(side->engine);

        assert_int_equal(side->verdict, TLS_FAILED);
        if (strstr(why->text, text) == NULL || strstr(why->hint, hint) == NULL)
            print_error("\"%s\"; \"%s\"\n", why->text, why->hint);
        assert_non_null(strstr(why->text, text));
        assert_non_null(strstr(why->hint, hint));
        assert_non_null(strstr(why->text, "serial "));
        assert_int_equal(tls_engine_alert_sent(side->engine), alert);
        tls_pair_fini(&pair);
    }
    trust_release(trust);
}

static void lists_of_the_whole_chain_let_good_certificates_through(void **state)
{
    const struct crl_spec endless = { .next_update = -1 };

    assert_passes(&(struct lists){ .of_root = &good, .of_issuing = &good });
    assert_passes(&(struct lists){ .of_root = &endless, .of_issuing = &endless });
}

static void a_revoked_leaf_is_refused_with_certificate_revoked(void **state)
{
    const struct cert    *leaves[] = { &pki.server_cert, &pki.client_cert, NULL };
    const struct crl_spec revoked = { .revoked = leaves };

    assert_refused(&(struct lists){ .of_root = &good, .of_issuing = &revoked }, 44,
                   "certificate revoked (depth 0", "taken it back");
}

static void a_revoked_authority_in_the_middle_is_refused(void **state)
{
    const struct cert    *authorities[] = { &pki.issuing, NULL };
    const struct crl_spec revoked = { .revoked = authorities };

    assert_refused(&(struct lists){ .of_root = &revoked, .of_issuing = &good }, 44,
                   "certificate revoked (depth 1", "taken it back");
}

static void an_authority_without_a_list_is_a_refusal(void **state)
{
    assert_refused(&(struct lists){ .of_root = &good }, 48,
                   "unable to get certificate CRL (depth 0", "every authority");
    assert_refused(&(struct lists){ .of_issuing = &good }, 48,
                   "unable to get certificate CRL (depth 1", "every authority");
}

static void a_list_outside_its_dates_is_a_refusal(void **state)
{
    const struct crl_spec old = { .this_update = CERTS_NOW - 1000,
                                  .next_update = CERTS_NOW - 1 };
    const struct crl_spec early = { .this_update = CERTS_NOW + 1000 };

    assert_refused(&(struct lists){ .of_root = &good, .of_issuing = &old }, 45,
                   "CRL has expired", "new revocation list");
    assert_refused(&(struct lists){ .of_root = &old, .of_issuing = &good }, 45,
                   "CRL has expired", "new revocation list");
    assert_refused(&(struct lists){ .of_root = &good, .of_issuing = &early }, 42,
                   "CRL is not yet valid", "from the future");
}

static void a_list_of_another_authority_does_not_count(void **state)
{
    struct cert stranger =
        cert_make(&(struct cert_spec){ .common_name = "stranger", .is_ca = true }, NULL);
    struct cert namesake =
        cert_make(&(struct cert_spec){ .common_name = "issuing", .is_ca = true }, NULL);

    assert_refused(&(struct lists){ .of_root = &good,
                                    .of_issuing = &good,
                                    .signer_of_issuing = &stranger },
                   48, "unable to get certificate CRL (depth 0", "every authority");
    assert_refused(&(struct lists){ .of_root = &good,
                                    .of_issuing = &good,
                                    .signer_of_issuing = &namesake },
                   51, "CRL signature failure", "another key");
    cert_free(&stranger);
    cert_free(&namesake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_the_whole_chain_let_good_certificates_through),
        cmocka_unit_test(a_revoked_leaf_is_refused_with_certificate_revoked),
        cmocka_unit_test(a_revoked_authority_in_the_middle_is_refused),
        cmocka_unit_test(an_authority_without_a_list_is_a_refusal),
        cmocka_unit_test(a_list_outside_its_dates_is_a_refusal),
        cmocka_unit_test(a_list_of_another_authority_does_not_count),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}
