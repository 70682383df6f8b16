/* SPDX-License-Identifier: PostgreSQL */
/*
 * A key that never leaves its token: softhsm behind the pkcs11 provider.  Skipped
 * where these are not installed (Debian 12 has no such provider).  Each question is
 * asked in a child, since OpenSSL reads openssl.cnf once.
 */
#include "harness/certs.h"
#include "harness/check.h"
#include "x509/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODULES "/usr/lib/x86_64-linux-gnu/ossl-modules/pkcs11.so"
#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"

static struct cert leaf;
static char       *dir, *cert_file;

static bool is_installed(void)
{
    return access(MODULES, R_OK) == 0 && access(SOFTHSM, R_OK) == 0;
}

static void shell(const char *format, ...)
{
    char    command[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command) != 0)
        print_error("failed: %s\n", command);
}

static char *write_format(const char *name, const char *format)
{
    char text[2048];
    int  len = snprintf(text, sizeof text, format, dir);

    return certs_write_text(dir, name, text, (size_t)len);
}

static int make_token(void **state)
{
    dir = certs_dir_new();
    leaf = cert_make(&(struct cert_spec){ .common_name = "hsm" }, NULL);
    cert_file = certs_write_chain(dir, "leaf.crt", (const struct cert *[]){ &leaf, NULL });
    free(certs_write_key(dir, "leaf.key", &leaf));
    free(write_format("softhsm2.conf", "directories.tokendir = %s/tokens\n"));
    free(write_format("openssl.cnf", "openssl_conf = init\n[init]\nproviders = providers\n"
                                     "[providers]\ndefault = usual\npkcs11 = token\n"
                                     "[usual]\nactivate = 1\n[token]\nmodule = " MODULES "\n"
                                     "pkcs11-module-path = " SOFTHSM "\n"
                                     "pkcs11-module-quirks = no-deinit\nactivate = 1\n# %s\n"));
    free(certs_write_text(dir, "pin", "4321", 4));
    if (!is_installed())
        return 0;
    shell("mkdir %s/tokens && export SOFTHSM2_CONF=%s/softhsm2.conf && { "
          "softhsm2-util --init-token --free --label t --pin 4321 --so-pin 1234 && "
          "softhsm2-util --import %s/leaf.key --token t --label k --id 01 --pin 4321; "
          "} >/dev/null",
          dir, dir, dir);
    return 0;
}

static int remove_token(void **state)
{
    shell("rm -rf %s/tokens", dir);
    cert_free(&leaf);
    free(cert_file);
    certs_dir_free(dir);
    return 0;
}

/* Loads by that URI in a child; what it printed: "good", or the failure. */
static void ask(const char *uri, const char *pin, char *answer, size_t size)
{
    char   command[2048];
    FILE  *child;
    size_t n;

    snprintf(command, sizeof command,
             "OPENSSL_CONF=%s/openssl.cnf SOFTHSM2_CONF=%s/softhsm2.conf "
             "/proc/%d/exe load %s '%s' %s </dev/null 2>&1",
             dir, dir, (int)getpid(), cert_file, uri, pin != NULL ? pin : "");
    child = popen(command, "r");
    n = fread(answer, 1, size - 1, child);
    answer[n] = '\0';
    pclose(child);
}

static void a_key_in_a_token_signs_with_the_pin_of_the_uri_or_of_a_source(void **state)
{
    char answer[512], uri[256];

    if (!is_installed())
        skip();
    snprintf(uri, sizeof uri, "pkcs11:token=t;object=k;type=private?pin-source=file:%s/pin",
             dir);
    ask(uri, NULL, answer, sizeof answer);
    assert_string_equal(answer, "good");
    ask("pkcs11:token=t;object=k;type=private", "4321", answer, sizeof answer);
    assert_string_equal(answer, "good");
}

static void a_wrong_pin_and_a_wrong_object_are_refused_and_nobody_is_asked(void **state)
{
    char answer[512];

    if (!is_installed())
        skip();
    ask("pkcs11:token=t;object=none;type=private", "4321", answer, sizeof answer);
    assert_non_null(strstr(answer, "no private key at pkcs11:token=t;object=none"));
    ask("pkcs11:token=t;object=k;type=private", NULL, answer, sizeof answer);
    assert_non_null(strstr(answer, "no private key at pkcs11:token=t;object=k"));
    ask("pkcs11:token=t;object=k;type=private", "9999", answer, sizeof answer);
    assert_non_null(strstr(answer, "no private key at pkcs11:token=t;object=k"));
}

struct pin {
    struct passphrase_source source;
    const char              *text;
};

static enum fail tell_pin(const struct passphrase_source *source, const char *key,
                          struct secret *out, struct failure *why)
{
    const char *text = ((const struct pin *)source)->text;

    if (secret_init(out, strlen(text) + 1, why) != FAIL_NONE)
        return FAIL_MEMORY;
    return secret_put(out, bytes_of_string(text)) ? FAIL_NONE : FAIL_LIMIT;
}

/* The child: load CERT URI [PIN]. */
static int load(int argc, char **argv)
{
    struct pin            pin = { { tell_pin }, argc > 4 ? argv[4] : "" };
    struct identity_files both = { .cert = argv[2],
                                   .key = argv[3],
                                   .passphrase = argc > 4 ? &pin.source : NULL };
    struct failure        why = { 0 };
    struct identity      *id = identity_load(&both, &why);

    printf("%s", id != NULL ? "good" : why.text);
    identity_release(id);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_in_a_token_signs_with_the_pin_of_the_uri_or_of_a_source),
        cmocka_unit_test(a_wrong_pin_and_a_wrong_object_are_refused_and_nobody_is_asked),
    };

    if (argc > 1 && strcmp(argv[1], "load") == 0)
        return load(argc, argv);
    return cmocka_run_group_tests(tests, make_token, remove_token);
}
