/* SPDX-License-Identifier: PostgreSQL */
#include "x509/identity.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"
#include "x509/certificate.h"
#include "x509/trust.h"

#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A root, an issuing CA below it, a leaf, and their files. */
struct files {
    struct cert root, issuing, leaf, other;
    char       *dir, *cert, *chain, *key, *other_key;
};

static struct files files;

static int make_files(void **state)
{
    struct files *f = &files;

    f->root = cert_make(&(struct cert_spec){ .common_name = "root", .is_ca = true }, NULL);
    f->issuing =
        cert_make(&(struct cert_spec){ .common_name = "issuing", .is_ca = true }, &f->root);
    f->leaf =
        cert_make(&(struct cert_spec){ .common_name = "db", .names = "DNS:db" }, &f->issuing);
    f->other = cert_make(&(struct cert_spec){ .common_name = "other", .is_rsa = true }, NULL);
    f->dir = certs_dir_new();
    f->cert = certs_write_chain(f->dir, "leaf.crt", (const struct cert *[]){ &f->leaf, NULL });
    f->chain = certs_write_chain(
        f->dir, "chain.crt", (const struct cert *[]){ &f->leaf, &f->issuing, &f->root, NULL });
    f->key = certs_write_key(f->dir, "leaf.key", &f->leaf);
    f->other_key = certs_write_key(f->dir, "other.key", &f->other);
    return 0;
}

static int remove_files(void **state)
{
    struct files *f = &files;

    certs_dir_free(f->dir);
    free(f->cert);
    free(f->chain);
    free(f->key);
    free(f->other_key);
    cert_free(&f->root);
    cert_free(&f->issuing);
    cert_free(&f->leaf);
    cert_free(&f->other);
    return 0;
}

static bool loads(const char *cert, const char *key, struct failure *why)
{
    struct identity *id;

    *why = (struct failure){ 0 };
    id = identity_load(&(struct identity_files){ .cert = cert, .key = key }, why);
    assert_int_equal(id == NULL, failed(why));
    identity_release(id);
    return id != NULL;
}

static void assert_refused(const char *cert, const char *key, const char *text,
                           const char *hint)
{
    struct failure why;

    assert_false(loads(cert, key, &why));
    if (strstr(why.text, text) == NULL || strstr(why.hint, hint) == NULL)
        print_error("\"%s\"; \"%s\"\n", why.text, why.hint);
    assert_non_null(strstr(why.text, text));
    assert_non_null(strstr(why.hint, hint));
}

static void a_chain_and_its_key_are_loaded(void **state)
{
    struct failure   why = { 0 };
    struct identity *id =
        identity_load(&(struct identity_files){ .cert = files.chain, .key = files.key }, &why);

    assert_non_null(id);
    assert_int_equal(identity_chain_length(id), 3);
    assert_string_equal(identity_facts(id)->subject, "CN=db");
    assert_string_equal(identity_facts(id)->issuer, "CN=issuing");
    assert_ptr_equal(identity_chain_facts(id, 0), identity_facts(id));
    assert_string_equal(identity_chain_facts(id, 1)->subject, "CN=issuing");
    assert_string_equal(identity_chain_facts(id, 2)->issuer, "CN=root");
    assert_int_equal(X509_cmp(identity_leaf(id), files.leaf.x509), 0);
    assert_int_equal(identity_leaf_der(id).len, i2d_X509(files.leaf.x509, NULL));
    assert_ptr_equal(identity_hold(id), id);
    identity_release(id);
    identity_release(id);
    identity_release(NULL);
}

static void an_expired_leaf_loads_and_its_facts_tell(void **state)
{
    struct cert old = cert_make(
        &(struct cert_spec){ .common_name = "old", .not_before = 1000, .not_after = 2000 },
        NULL);
    char *cert = certs_write_chain(files.dir, "old.crt", (const struct cert *[]){ &old, NULL });
    char *key = certs_write_key(files.dir, "old.key", &old);
    struct identity *id =
        identity_load(&(struct identity_files){ .cert = cert, .key = key }, NULL);

    assert_non_null(id);
    assert_int_equal(identity_facts(id)->not_after, 2000);
    identity_release(id);
    cert_free(&old);
    free(cert);
    free(key);
}

static char *write_key(const char *name, int (*write)(FILE *, EVP_PKEY *), EVP_PKEY *key)
{
    char *path = certs_write_text(files.dir, name, "", 0);
    FILE *file = fopen(path, "w");

    assert_int_equal(write(file, key), 1);
    fclose(file);
    return path;
}

static int write_traditional(FILE *file, EVP_PKEY *key)
{
    BIO *bio = BIO_new_fp(file, BIO_NOCLOSE);
    int  rc = PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL);

    BIO_free(bio);
    return rc;
}

static int write_encrypted(FILE *file, EVP_PKEY *key)
{
    return PEM_write_PKCS8PrivateKey(file, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL);
}

static int write_der(FILE *file, EVP_PKEY *key)
{
    return i2d_PrivateKey_fp(file, key);
}

static void sec1_and_pkcs1_keys_are_taken(void **state)
{
    struct failure why;
    char          *sec1 = write_key("sec1.key", write_traditional, files.leaf.key);
    char          *pkcs1 = write_key("pkcs1.key", write_traditional, files.other.key);
    char          *rsa =
        certs_write_chain(files.dir, "rsa.crt", (const struct cert *[]){ &files.other, NULL });

    assert_true(loads(files.cert, sec1, &why));
    assert_true(loads(rsa, pkcs1, &why));
    free(sec1);
    free(pkcs1);
    free(rsa);
}

static void a_key_with_a_passphrase_is_refused_without_asking(void **state)
{
    char *path = write_key("encrypted.key", write_encrypted, files.leaf.key);

    assert_refused(files.cert, path, "needs a passphrase", "openssl pkey");
    free(path);
}

/* A source that knows one passphrase, and notes what it was asked for. */
struct known {
    struct passphrase_source source;
    const char              *passphrase; /* NULL: it fails */
    char                     asked_for[256];
    int                      times;
};

static enum fail tell_known(const struct passphrase_source *source, const char *key,
                            struct secret *out, struct failure *why)
{
    struct known *known = (struct known *)(uintptr_t)source;

    known->times++;
    snprintf(known->asked_for, sizeof known->asked_for, "%s", key);
    if (known->passphrase == NULL)
        return fail(why, FAIL_TIMEOUT, "it did not answer");
    if (secret_init(out, strlen(known->passphrase) + 1, why) != FAIL_NONE)
        return FAIL_MEMORY;
    return secret_put(out, bytes_of_string(known->passphrase)) ? FAIL_NONE : FAIL_LIMIT;
}

static int write_encrypted_traditional(FILE *file, EVP_PKEY *key)
{
    BIO *bio = BIO_new_fp(file, BIO_NOCLOSE);
    int  rc = PEM_write_bio_PrivateKey_traditional(
         bio, key, EVP_aes_256_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);

    BIO_free(bio);
    return rc;
}

static bool loads_with(const char *cert, const char *key, struct known *known,
                       struct failure *why)
{
    struct identity_files both = { .cert = cert, .key = key, .passphrase = &known->source };
    struct identity      *id;

    *why = (struct failure){ 0 };
    id = identity_load(&both, why);
    identity_release(id);
    return id != NULL;
}

static void encrypted_keys_of_every_form_open_with_their_passphrase(void **state)
{
    struct failure why;
    struct known   known = { .source.get = tell_known, .passphrase = "secret" };
    char          *rsa =
        certs_write_chain(files.dir, "rsa.crt", (const struct cert *[]){ &files.other, NULL });
    char *keys[] = {
        write_key("e1.key", write_encrypted, files.leaf.key),
        write_key("e2.key", write_encrypted_traditional, files.leaf.key),
        write_key("e3.key", write_encrypted_traditional, files.other.key),
    };

    for (int i = 0; i < 3; i++) {
        assert_true(loads_with(i == 2 ? rsa : files.cert, keys[i], &known, &why));
        assert_int_equal(known.times, i + 1);
        assert_string_equal(known.asked_for, keys[i]);
    }
    for (int i = 0; i < 3; i++)
        free(keys[i]);
    free(rsa);
}

static void a_key_without_a_passphrase_asks_nobody(void **state)
{
    struct failure why;
    struct known   known = { .source.get = tell_known, .passphrase = "secret" };

    assert_true(loads_with(files.cert, files.key, &known, &why));
    assert_int_equal(known.times, 0);
}

static void a_wrong_passphrase_is_told_as_such(void **state)
{
    struct failure why;
    struct known   known = { .source.get = tell_known, .passphrase = "Secret" };
    char          *key = write_key("encrypted.key", write_encrypted, files.leaf.key);

    assert_false(loads_with(files.cert, key, &known, &why));
    assert_int_equal(why.kind, FAIL_CERT);
    assert_non_null(strstr(why.text, key));
    assert_non_null(strstr(why.text, "wrong passphrase"));
    known.passphrase = NULL;
    assert_false(loads_with(files.cert, key, &known, &why));
    assert_int_equal(why.kind, FAIL_TIMEOUT);
    assert_non_null(strstr(why.text, key));
    assert_non_null(strstr(why.text, "did not answer"));
    free(key);
}

static void keys_of_stores_are_told_from_files(void **state)
{
    char *odd = certs_write_text(files.dir, "pk:odd", "", 0);

    assert_true(private_key_is_uri("pkcs11:token=t;object=k"));
    assert_true(private_key_is_uri("tpm2+x:handle"));
    assert_false(private_key_is_uri("/etc/key:1.pem"));
    assert_false(private_key_is_uri("./pkcs11:x"));
    assert_false(private_key_is_uri("k:x"));
    assert_false(private_key_is_uri("server.key"));
    assert_false(private_key_is_uri(":x"));
    assert_int_equal(chdir(files.dir), 0);
    assert_false(private_key_is_uri("pk:odd"));
    assert_int_equal(chdir("/"), 0);
    free(odd);
}

static void a_store_without_its_provider_and_a_file_as_a_store_are_refused(void **state)
{
    assert_refused(files.cert, "nosuch:object=k", "store of nosuch:object=k cannot be opened",
                   "openssl.cnf");
    assert_refused(files.cert, "file:/etc/ssl/private/x.key", "by their path",
                   "write the path alone");
}

static void what_a_certificate_is_good_for_is_told(void **state)
{
    struct cert client = cert_make(
        &(struct cert_spec){ .common_name = "c", .usage = "clientAuth", .is_rsa = true }, NULL);
    char *cert =
        certs_write_chain(files.dir, "c.crt", (const struct cert *[]){ &client, NULL });
    char            *key = certs_write_key(files.dir, "c.key", &client);
    struct identity *a =
        identity_load(&(struct identity_files){ .cert = files.chain, .key = files.key }, NULL);
    struct identity *b =
        identity_load(&(struct identity_files){ .cert = cert, .key = key }, NULL);

    assert_true(identity_covers_name(a, "DB"));
    assert_false(identity_covers_name(a, "other"));
    assert_true(identity_has_server_auth(a) && identity_has_client_auth(a));
    assert_false(identity_has_server_auth(b));
    assert_true(identity_has_client_auth(b));
    assert_true(identity_same_kind(a, a));
    assert_false(identity_same_kind(a, b));
    assert_string_equal(identity_kind(a), "EC");
    assert_string_equal(identity_kind(b), "RSA");
    identity_release(a);
    identity_release(b);
    cert_free(&client);
    free(cert);
    free(key);
}

static void binary_forms_are_named_and_the_command_to_convert_is_told(void **state)
{
    PKCS12 *p12 =
        PKCS12_create("x", NULL, files.leaf.key, files.leaf.x509, NULL, 0, 0, 0, 0, 0);
    char *p12_path = certs_write_text(files.dir, "leaf.p12", "", 0);
    char *der_key = write_key("der.key", write_der, files.leaf.key);
    char *der_cert = certs_write_text(files.dir, "der.crt", "", 0);
    FILE *file = fopen(p12_path, "w");

    assert_int_equal(i2d_PKCS12_fp(file, p12), 1);
    fclose(file);
    file = fopen(der_cert, "w");
    assert_int_equal(i2d_X509_fp(file, files.leaf.x509), 1);
    fclose(file);
    assert_refused(p12_path, files.key, "is PKCS#12, not PEM", "openssl pkcs12");
    assert_refused(der_cert, files.key, "is DER, not PEM", "-inform der");
    assert_refused(files.cert, der_key, "is DER, not PEM", "-inform der");
    PKCS12_free(p12);
    free(p12_path);
    free(der_key);
    free(der_cert);
}

static void a_key_of_another_certificate_is_refused_and_both_files_named(void **state)
{
    assert_refused(files.cert, files.other_key, files.cert, "");
    assert_refused(files.cert, files.other_key, files.other_key, "renew");
}

static void a_chain_in_the_wrong_order_is_refused(void **state)
{
    char *ca_first = certs_write_chain(
        files.dir, "1.crt", (const struct cert *[]){ &files.issuing, &files.leaf, NULL });
    char *gap = certs_write_chain(files.dir, "2.crt",
                                  (const struct cert *[]){ &files.leaf, &files.root, NULL });
    char *twice = certs_write_chain(files.dir, "3.crt",
                                    (const struct cert *[]){ &files.leaf, &files.leaf, NULL });

    assert_refused(ca_first, files.key, "is the key of certificate 2", "first");
    assert_refused(gap, files.key, "certificate 2 in", "leaf first");
    assert_refused(twice, files.key, "certificate 2 in", "leaf first");
    free(ca_first);
    free(gap);
    free(twice);
}

static void a_ca_with_the_right_key_but_another_name_is_no_link(void **state)
{
    struct cert renamed = { X509_dup(files.issuing.x509), files.issuing.key };
    char       *chain;

    EVP_PKEY_up_ref(renamed.key);
    cert_set_raw_common_name(&renamed, "else", 4, &files.root);
    chain = certs_write_chain(files.dir, "4.crt",
                              (const struct cert *[]){ &files.leaf, &renamed, NULL });
    assert_refused(chain, files.key, "certificate 2 in", "leaf first");
    cert_free(&renamed);
    free(chain);
}

static void the_key_file_needs_postgresqls_owner_and_mode(void **state)
{
    static const struct {
        uid_t  uid;
        mode_t mode;
        bool   good;
    } cases[] = {
        { 0, 0600, true },      { 0, 0640, true },      { 0, 0400, true },
        { 0, 0644, false },     { 0, 0660, false },     { 0, 0650, false },
        { 1, 0600, false },     { 12345, 0600, true },  { 12345, 0400, true },
        { 12345, 0640, false }, { 12345, 0604, false },
    };
    bool as_root = geteuid() == 0;

    assert_int_equal(chmod(files.cert, 0644), 0);
    for (size_t i = 0; as_root && i < sizeof cases / sizeof *cases; i++) {
        struct failure why;

        assert_int_equal(chown(files.key, cases[i].uid, 0), 0);
        assert_int_equal(chmod(files.key, cases[i].mode), 0);
        if (cases[i].uid == 12345) {
            assert_int_equal(chmod(files.dir, 0755), 0);
            assert_int_equal(seteuid(12345), 0);
        }
        assert_int_equal(loads(files.cert, files.key, &why), cases[i].good);
        assert_int_equal(seteuid(0), 0);
    }
    if (as_root)
        assert_int_equal(chown(files.key, 0, 0), 0);
    chmod(files.key, 0666);
    assert_refused(files.cert, files.key, "group or world access (mode 0666)", "chmod 0600");
    chmod(files.key, 0600);
    chmod(files.cert, 0600);
}

static void what_is_not_a_regular_file_is_refused_without_waiting(void **state)
{
    char *fifo = certs_write_text(files.dir, "fifo", "", 0);
    char *socket_path = certs_write_text(files.dir, "socket", "", 0);

    unlink(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    unlink(socket_path);
    assert_int_equal(mknod(socket_path, S_IFSOCK | 0600, 0), 0);
    alarm(10);
    assert_refused(files.cert, fifo, "is not a regular file", "");
    assert_refused(fifo, files.key, "is not a regular file", "");
    assert_refused(files.cert, files.dir, "is not a regular file", "");
    assert_refused(files.cert, "/dev/null", "is not a regular file", "");
    assert_refused(files.cert, socket_path, "is not a regular file", "");
    alarm(0);
    free(fifo);
    free(socket_path);
}

static void missing_empty_and_foreign_files_are_told_apart(void **state)
{
    char *empty = certs_write_text(files.dir, "empty", "", 0);
    char *text = certs_write_text(files.dir, "text", "hello hello\n", 12);

    assert_refused("/nonexistent/x.crt", files.key,
                   "could not open /nonexistent/x.crt: No such file", "");
    assert_refused(files.cert, "/nonexistent/x.key", "could not open /nonexistent/x.key", "");
    assert_refused(empty, files.key, "is empty", "");
    assert_refused(text, files.key, "no certificate in", "BEGIN CERTIFICATE");
    assert_refused(files.key, files.key, ", but BEGIN PRIVATE KEY", "BEGIN CERTIFICATE");
    assert_refused(files.cert, text, "no private key", "BEGIN PRIVATE KEY");
    assert_refused(files.cert, files.cert, "no private key", "");
    free(empty);
    free(text);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    char   whole[4096];
    FILE  *file = fopen(files.chain, "r");
    size_t len = fread(whole, 1, sizeof whole, file);
    size_t first_end = (size_t)(strstr(whole, "-----END CERTIFICATE-----\n") - whole) + 25;

    fclose(file);
    for (size_t cut = 0; cut < first_end; cut++) {
        struct failure why;
        char          *path = certs_write_text(files.dir, "cut.crt", whole, cut);

        assert_false(loads(path, files.key, &why));
        free(path);
    }
    assert_true(len > first_end);
}

static void loading_fails_cleanly_when_memory_runs_out(void **state)
{
    struct identity_files both = { .cert = files.chain, .key = files.key };
    unsigned              n;

    for (n = 1; n < 100; n++) {
        struct failure   why = { 0 };
        struct identity *id;

        alloc_fail_at(n);
        id = identity_load(&both, &why);
        if (!alloc_has_failed()) {
            assert_non_null(id);
            identity_release(id);
            break;
        }
        assert_null(id);
        assert_int_equal(why.kind, FAIL_MEMORY);
    }
    assert_true(n > 5 && n < 100);
}

static enum identity_end end_of(const char *cert, const char *key, const char *store)
{
    struct failure   why = { 0 };
    struct identity *id =
        identity_load(&(struct identity_files){ .cert = cert, .key = key }, &why);
    struct trust     *known = trust_load(store, &why);
    enum identity_end end;

    assert_non_null(id);
    assert_non_null(known);
    assert_string_equal(identity_file(id), cert);
    assert_string_equal(trust_source(known), store);
    end = identity_end(id, NULL, known);
    identity_release(id);
    trust_release(known);
    return end;
}

static void a_chain_ends_at_a_root_or_lacks_a_link(void **state)
{
    struct files *f = &files;
    char         *root =
        certs_write_chain(f->dir, "root.crt", (const struct cert *[]){ &f->root, NULL });
    char *both = certs_write_chain(f->dir, "both.crt",
                                   (const struct cert *[]){ &f->root, &f->issuing, NULL });
    char *two = certs_write_chain(f->dir, "two.crt",
                                  (const struct cert *[]){ &f->leaf, &f->issuing, NULL });
    char *own =
        certs_write_chain(f->dir, "own.crt", (const struct cert *[]){ &f->other, NULL });

    assert_int_equal(end_of(f->cert, f->key, root), IDENTITY_ENDS_UNKNOWN);
    assert_int_equal(end_of(f->cert, f->key, both), IDENTITY_LACKS_ITS_LINK);
    assert_int_equal(end_of(two, f->key, root), IDENTITY_ENDS_AT_ROOT);
    assert_int_equal(end_of(two, f->key, own), IDENTITY_ENDS_UNKNOWN);
    assert_int_equal(end_of(f->chain, f->key, own), IDENTITY_ENDS_AT_ROOT);
    assert_int_equal(end_of(own, f->other_key, root), IDENTITY_ENDS_AT_ROOT);
    free(root);
    free(both);
    free(two);
    free(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_and_its_key_are_loaded),
        cmocka_unit_test(an_expired_leaf_loads_and_its_facts_tell),
        cmocka_unit_test(sec1_and_pkcs1_keys_are_taken),
        cmocka_unit_test(a_key_with_a_passphrase_is_refused_without_asking),
        cmocka_unit_test(encrypted_keys_of_every_form_open_with_their_passphrase),
        cmocka_unit_test(a_key_without_a_passphrase_asks_nobody),
        cmocka_unit_test(a_wrong_passphrase_is_told_as_such),
        cmocka_unit_test(keys_of_stores_are_told_from_files),
        cmocka_unit_test(a_store_without_its_provider_and_a_file_as_a_store_are_refused),
        cmocka_unit_test(what_a_certificate_is_good_for_is_told),
        cmocka_unit_test(binary_forms_are_named_and_the_command_to_convert_is_told),
        cmocka_unit_test(a_key_of_another_certificate_is_refused_and_both_files_named),
        cmocka_unit_test(a_chain_in_the_wrong_order_is_refused),
        cmocka_unit_test(a_ca_with_the_right_key_but_another_name_is_no_link),
        cmocka_unit_test(the_key_file_needs_postgresqls_owner_and_mode),
        cmocka_unit_test(what_is_not_a_regular_file_is_refused_without_waiting),
        cmocka_unit_test(missing_empty_and_foreign_files_are_told_apart),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(a_chain_ends_at_a_root_or_lacks_a_link),
        cmocka_unit_test(loading_fails_cleanly_when_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
