/* SPDX-License-Identifier: PostgreSQL */
/* A peer's certificate, in DER, behind one byte that chooses the host it is compared with. */
#include <openssl/err.h>
#include <openssl/x509.h>

#include "fuzz.h"
#include "x509/certificate.h"
#include "x509/name_match.h"

static const char *const hosts[] = {
    "db", "db.example.com", "10.0.0.5", "127.1", "::1", ".b.c"
};

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e)
            return false;
    }
    return true;
}

static void check_facts(X509 *certificate)
{
    struct certificate_facts facts;

    if (certificate_facts_init(&facts, certificate, NULL) != FAIL_NONE)
        return;
    MUST(is_printable(facts.subject) && is_printable(facts.issuer) &&
         is_printable(facts.names));
    MUST(strlen(facts.subject) < 1024 && strlen(facts.names) < 1100 &&
         strlen(facts.serial) < 130);
    certificate_facts_fini(&facts);
}

static void check_common_name(X509 *certificate)
{
    struct certificate_names names;

    if (certificate_names_read(&names, certificate, CERTIFICATE_CN, NULL) == FAIL_NONE)
        MUST(certificate_names_have(&names, "alice") ==
             certificate_has_common_name(certificate, "alice"));
    certificate_names_fini(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes         der = bytes_of(data, size);
    const char          *host = hosts[fuzz_choice(&der) % (sizeof hosts / sizeof *hosts)];
    const unsigned char *p = der.p;
    struct failure       why = { 0 };
    X509                *certificate = d2i_X509(NULL, &p, (long)der.len);

    if (certificate != NULL) {
        MUST(name_match(certificate, host, &why) == why.kind);
        MUST(is_printable(why.text));
        check_facts(certificate);
        check_common_name(certificate);
        X509_free(certificate);
        MUST(ERR_peek_error() == 0);
    }
    ERR_clear_error();
    return 0;
}
