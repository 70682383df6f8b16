/* SPDX-License-Identifier: PostgreSQL */
#include "pgtls/cert.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY ((int64_t)86400)

static char               *dir;
static struct pgtls_error *error;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void remove_tree(const char *path)
{
    alloc_pause(true);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    alloc_pause(false);
}

static int make_dir(void **state)
{
    /* every file goes down to the disk: in memory that takes no time */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    dir = certs_dir_new();
    error = pgtls_error_new();
    return dir != NULL && error != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    pgtls_error_free(error);
    remove_tree(dir);
    free(dir);
    return 0;
}

/* A path below the directory; the last 64 are good. */
static const char *at(const char *name)
{
    static char     paths[64][512];
    static unsigned next;
    char           *path = paths[next++ % 64];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static const char *const hosts[] = { "db.example.com", "10.0.0.5" };

static struct pgtls_cert_options options_for(enum pgtls_cert_purpose purpose, const char *out)
{
    struct pgtls_cert_options options = { .size = sizeof options,
                                          .purpose = purpose,
                                          .out_dir = out,
                                          .days = 90,
                                          .wall_s = CERTS_NOW };

    if (purpose == PGTLS_CERT_SERVER) {
        options.names = hosts;
        options.name_count = 2;
    } else if (purpose == PGTLS_CERT_CLIENT)
        options.user = "alice";
    else
        options.subject = "CN=Root";
    return options;
}

static bool make_root(const char *out)
{
    struct pgtls_cert_options options = options_for(PGTLS_CERT_AUTHORITY, out);

    options.days = 3650;
    options.path_length = 1;
    return pgtls_cert_make(&options, NULL, error) == PGTLS_OK;
}

static bool make_leaf(enum pgtls_cert_purpose purpose, const char *ca, const char *out)
{
    struct pgtls_cert_options options = options_for(purpose, out);

    options.ca_dir = ca;
    return pgtls_cert_make(&options, NULL, error) == PGTLS_OK;
}

static void assert_error(enum pgtls_error_kind kind, const char *text)
{
    if (strstr(pgtls_error_text(error), text) == NULL)
        print_error("\"%s\"\n", pgtls_error_text(error));
    assert_non_null(strstr(pgtls_error_text(error), text));
    assert_int_equal(pgtls_error_kind(error), kind);
}

/* ---- the tests ---- */

static void a_chain_is_made_and_read(void **state)
{
    struct pgtls_cert_chain *chain;

    assert_true(make_root(at("root")));
    assert_true(make_leaf(PGTLS_CERT_SERVER, at("root"), at("db")));
    chain = pgtls_cert_chain_load(at("db/server.crt"), error);
    assert_non_null(chain);
    assert_int_equal(pgtls_cert_chain_length(chain), 1);
    assert_true(pgtls_cert_chain_is_in_order(chain));
    assert_string_equal(pgtls_cert_chain_subject(chain, 0), "CN=db.example.com");
    assert_string_equal(pgtls_cert_chain_issuer(chain, 0), "CN=Root");
    assert_string_equal(pgtls_cert_chain_names(chain, 0), "DNS:db.example.com, IP:10.0.0.5");
    assert_string_equal(pgtls_cert_chain_key(chain, 0), "EC P-256");
    assert_string_equal(pgtls_cert_chain_subject(chain, 1), "");
    assert_string_equal(pgtls_cert_chain_key(chain, 1), "");
    assert_int_equal(pgtls_cert_chain_not_after(chain, (size_t)-1), 0);
    assert_int_equal(strlen(pgtls_cert_chain_fingerprint(chain, 0)), 64);
    assert_in_range(strlen(pgtls_cert_chain_serial(chain, 0)), 2, 34);
    assert_int_equal(pgtls_cert_chain_not_before(chain, 0), CERTS_NOW - 3600);
    assert_int_equal(pgtls_cert_chain_not_after(chain, 0), CERTS_NOW + 90 * DAY);
    pgtls_cert_chain_free(chain);
    assert_null(pgtls_cert_chain_load(at("none"), error));
    assert_error(PGTLS_ERROR_IO, "could not open");
}

static void a_renewal_is_due_when_it_is_due(void **state)
{
    struct pgtls_cert_options options = options_for(PGTLS_CERT_SERVER, at("renewed"));
    int                       written = 0;

    options.renew_days = 30;
    assert_int_equal(pgtls_cert_make(&options, &written, error), PGTLS_OK);
    assert_int_equal(written, 1);
    options.wall_s += 60 * DAY;
    assert_int_equal(pgtls_cert_make(&options, &written, error), PGTLS_OK);
    assert_int_equal(written, 0);
    options.wall_s += 1;
    assert_int_equal(pgtls_cert_make(&options, &written, error), PGTLS_OK);
    assert_int_equal(written, 1);
    options.renew_days = 0;
    assert_int_equal(pgtls_cert_make(&options, &written, error), PGTLS_ERROR_REFUSED);
    assert_error(PGTLS_ERROR_REFUSED, "is there already");
    assert_int_equal(written, 0);
    options.replaces = 1;
    assert_int_equal(pgtls_cert_make(&options, &written, error), PGTLS_OK);
}

static void a_request_is_signed_for_the_names_of_who_signs(void **state)
{
    struct pgtls_cert_options options = options_for(PGTLS_CERT_SERVER, at("csr"));
    static const char *const  other[] = { "other.example.com" };
    struct pgtls_cert_chain  *chain;

    assert_true(make_root(at("signing")));
    options.days = 0;
    assert_int_equal(pgtls_cert_request(&options, error), PGTLS_OK);
    options.days = 90;
    options.ca_dir = at("signing");
    options.names = other;
    options.name_count = 1;
    assert_int_equal(pgtls_cert_sign(&options, at("csr/server.csr"), 0, error), PGTLS_OK);
    chain = pgtls_cert_chain_load(at("csr/server.crt"), error);
    assert_string_equal(pgtls_cert_chain_names(chain, 0), "DNS:other.example.com");
    pgtls_cert_chain_free(chain);
    options.name_count = 0;
    options.replaces = 1;
    assert_int_equal(pgtls_cert_sign(&options, at("csr/server.csr"), 0, error),
                     PGTLS_ERROR_CONFIG);
    assert_int_equal(pgtls_cert_sign(&options, at("csr/server.csr"), 1, error), PGTLS_OK);
    chain = pgtls_cert_chain_load(at("csr/server.crt"), error);
    assert_string_equal(pgtls_cert_chain_names(chain, 0), "DNS:db.example.com, IP:10.0.0.5");
    pgtls_cert_chain_free(chain);
}

static enum pgtls_error_kind write_list(const char *ca, const char *passphrase)
{
    const struct pgtls_cert_list_options options = { .size = sizeof options,
                                                     .ca_dir = ca,
                                                     .days = 30,
                                                     .ca_passphrase = passphrase,
                                                     .wall_s = CERTS_NOW + DAY };

    return pgtls_cert_write_list(&options, error);
}

static struct pgtls_cert_report *verify(const char *name, int64_t now)
{
    const char *const                      names[] = { name };
    const struct pgtls_cert_verify_options options = {
        .size = sizeof options,
        .purpose = PGTLS_CERT_CLIENT,
        .cert_file = at("alice/client.crt"),
        .key_file = at("alice/client.key"),
        .ca_file = at("lists/ca.crt"),
        .crl_file = at("lists/ca.crl"),
        .names = names,
        .name_count = 1,
        .wall_s = now,
    };

    return pgtls_cert_verify(&options, error);
}

/* The verdicts of all steps, a letter each: g, B, or - for those not looked at. */
static void assert_verdicts(struct pgtls_cert_report *report, const char *expected)
{
    char found[16] = "";

    assert_non_null(report);
    for (size_t i = 0; i < pgtls_cert_report_steps(report); i++)
        found[i] = "-gB"[pgtls_cert_report_verdict(report, i)];
    assert_string_equal(found, expected);
    assert_int_equal(pgtls_cert_report_is_good(report), strchr(expected, 'B') == NULL);
    pgtls_cert_report_free(report);
}

static void what_was_revoked_is_bad_once_the_list_says_so(void **state)
{
    struct pgtls_cert_revocation revocation = { .size = sizeof revocation,
                                                .ca_dir = at("lists"),
                                                .cert_file = at("alice/client.crt"),
                                                .reason = "superseded",
                                                .wall_s = CERTS_NOW };
    struct pgtls_cert_report    *report;

    assert_true(make_root(at("lists")));
    assert_true(make_leaf(PGTLS_CERT_CLIENT, at("lists"), at("alice")));
    assert_int_equal(write_list(at("lists"), NULL), PGTLS_OK);
    assert_verdicts(verify("alice", CERTS_NOW + DAY), "gggggggg");
    assert_verdicts(verify("bob", CERTS_NOW + DAY), "gggggggB");
    assert_int_equal(pgtls_cert_revoke(&revocation, error), PGTLS_OK);
    assert_verdicts(verify("alice", CERTS_NOW + DAY), "gggggggg");
    assert_int_equal(write_list(at("lists"), NULL), PGTLS_OK);
    report = verify("alice", CERTS_NOW + DAY);
    assert_string_equal(pgtls_cert_report_step(report, 5), "revocation");
    assert_string_equal(pgtls_cert_report_step(report, 8), "");
    assert_string_equal(pgtls_cert_report_text(report, 8), "");
    assert_string_equal(pgtls_cert_report_hint(report, (size_t)-1), "");
    assert_int_equal(pgtls_cert_report_verdict(report, 8), PGTLS_CERT_NOT_LOOKED_AT);
    assert_non_null(strstr(pgtls_cert_report_text(report, 5), "CN=alice"));
    assert_non_null(strstr(pgtls_cert_report_hint(report, 5), "taken it back"));
    assert_verdicts(report, "gggggBgg");
    assert_verdicts(verify("alice", CERTS_NOW + 91 * DAY), "ggBggBgg");
    assert_int_equal(pgtls_cert_revoke(&revocation, error), PGTLS_ERROR_REFUSED);
    revocation.reason = "a\tb";
    assert_int_equal(pgtls_cert_revoke(&revocation, error), PGTLS_ERROR_CONFIG);
}

static void an_authority_s_key_may_have_a_passphrase(void **state)
{
    struct pgtls_cert_options options = options_for(PGTLS_CERT_AUTHORITY, at("locked"));

    options.passphrase = "open sesame";
    assert_int_equal(pgtls_cert_make(&options, NULL, error), PGTLS_OK);
    assert_int_equal(write_list(at("locked"), NULL), PGTLS_ERROR_CERT);
    assert_error(PGTLS_ERROR_CONFIG, "a passphrase is needed");
    assert_int_not_equal(write_list(at("locked"), "wrong"), PGTLS_OK);
    assert_int_equal(write_list(at("locked"), "open sesame"), PGTLS_OK);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    struct pgtls_cert_options            options = options_for(PGTLS_CERT_SERVER, at("x"));
    struct pgtls_cert_verify_options     look = { .size = sizeof look, .crl_file = "x" };
    const struct pgtls_cert_revocation   revocation = { .size = sizeof revocation,
                                                        .ca_dir = "x",
                                                        .serial = "1" };
    const struct pgtls_cert_list_options list = { .size = sizeof list,
                                                  .ca_dir = "x",
                                                  .days = 1 };

    assert_int_equal(pgtls_cert_revoke(&revocation, error), PGTLS_ERROR_CONFIG);
    assert_error(PGTLS_ERROR_CONFIG, "wall_s is missing");
    assert_int_equal(pgtls_cert_write_list(&list, error), PGTLS_ERROR_CONFIG);
    assert_error(PGTLS_ERROR_CONFIG, "wall_s is missing");
    assert_null(pgtls_cert_verify(&look, error));
    assert_error(PGTLS_ERROR_CONFIG, "wall_s is missing");
    options.wall_s = 0;
    assert_int_equal(pgtls_cert_make(&options, NULL, error), PGTLS_ERROR_CONFIG);
    assert_error(PGTLS_ERROR_CONFIG, "wall_s is missing");
    options.wall_s = look.wall_s = CERTS_NOW;
    options.size--;
    assert_int_equal(pgtls_cert_make(&options, NULL, error), PGTLS_ERROR_CONFIG);
    options.size++;
    options.days = 0;
    assert_int_equal(pgtls_cert_make(&options, NULL, error), PGTLS_ERROR_CONFIG);
    options.days = 90;
    options.key_kind = "rsa:1024";
    assert_int_equal(pgtls_cert_make(&options, NULL, error), PGTLS_ERROR_CONFIG);
    options.key_kind = NULL;
    options.name_count = 0;
    assert_int_equal(pgtls_cert_make(&options, NULL, error), PGTLS_ERROR_CONFIG);
    options.name_count = 2;
    options.path_length = -2;
    assert_int_equal(pgtls_cert_make(&options, NULL, error), PGTLS_ERROR_CONFIG);
    options.path_length = 0;
    options.purpose = (enum pgtls_cert_purpose)7;
    assert_int_equal(pgtls_cert_make(&options, NULL, error), PGTLS_ERROR_CONFIG);
    options.purpose = PGTLS_CERT_SERVER;
    assert_int_equal(pgtls_cert_request(&options, error), PGTLS_ERROR_CONFIG);
    assert_int_equal(pgtls_cert_sign(&options, "x", 0, error), PGTLS_ERROR_CONFIG);
    options.out_dir = NULL;
    assert_int_equal(pgtls_cert_make(&options, NULL, error), PGTLS_ERROR_CONFIG);
    assert_null(pgtls_cert_verify(&look, error));
    look.cert_file = "x";
    assert_null(pgtls_cert_verify(&look, error));
    assert_error(PGTLS_ERROR_CONFIG, "crl_file needs ca_file");
    assert_int_not_equal(access(at("x"), F_OK), 0);
}

/* Everything once; false if any of it was missed. */
static bool whole_life(void)
{
    const struct pgtls_cert_revocation revocation = { .size = sizeof revocation,
                                                      .ca_dir = at("life/ca"),
                                                      .cert_file = at("life/alice/client.crt"),
                                                      .wall_s = CERTS_NOW };
    struct pgtls_cert_options          request = options_for(PGTLS_CERT_SERVER, at("life/csr"));
    struct pgtls_cert_report          *report = NULL;
    struct pgtls_cert_verify_options   look = { .size = sizeof look,
                                                .cert_file = at("life/csr/server.crt"),
                                                .key_file = at("life/csr/server.key"),
                                                .ca_file = at("life/ca/ca.crt"),
                                                .crl_file = at("life/ca/ca.crl"),
                                                .names = hosts,
                                                .name_count = 2,
                                                .wall_s = CERTS_NOW + DAY };
    bool                               good = make_root(at("life/ca")) &&
                make_leaf(PGTLS_CERT_CLIENT, at("life/ca"), at("life/alice"));

    request.days = 0;
    good = good && pgtls_cert_request(&request, error) == PGTLS_OK;
    request.days = 2;
    request.ca_dir = at("life/ca");
    good = good && pgtls_cert_sign(&request, at("life/csr/server.csr"), 1, error) == PGTLS_OK &&
           pgtls_cert_revoke(&revocation, error) == PGTLS_OK &&
           write_list(at("life/ca"), NULL) == PGTLS_OK;
    if (good)
        good = (report = pgtls_cert_verify(&look, error)) != NULL &&
               pgtls_cert_report_is_good(report);
    pgtls_cert_report_free(report);
    return good;
}

static void a_missing_allocation_anywhere_is_told_and_leaks_nothing(void **state)
{
    unsigned n = 1;

    for (; n < 2000; n++) {
        assert_int_equal(mkdir(at("life"), 0700), 0);
        alloc_fail_at(n);
        bool good = whole_life();
        bool has_failed = alloc_has_failed();
        remove_tree(at("life"));
        if (!has_failed) {
            assert_true(good);
            break;
        }
        assert_false(good);
        assert_int_not_equal(pgtls_error_kind(error), PGTLS_OK);
    }
    assert_in_range(n, 50, 1999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_made_and_read),
        cmocka_unit_test(a_renewal_is_due_when_it_is_due),
        cmocka_unit_test(a_request_is_signed_for_the_names_of_who_signs),
        cmocka_unit_test(what_was_revoked_is_bad_once_the_list_says_so),
        cmocka_unit_test(an_authority_s_key_may_have_a_passphrase),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(a_missing_allocation_anywhere_is_told_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
