/* SPDX-License-Identifier: PostgreSQL */
/* A certificate request of somebody else, in DER: what of it would get into a certificate. */
#include <openssl/err.h>
#include <openssl/x509.h>

#include "fuzz.h"
#include "x509/request.h"
#include "x509/subject.h"

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e)
            return false;
    }
    return true;
}

static void check_facts(X509_REQ *request)
{
    struct request_facts facts;

    if (X509_REQ_get0_pubkey(request) == NULL ||
        request_facts_init(&facts, request, NULL) != FAIL_NONE)
        return;
    MUST(is_printable(facts.subject) && is_printable(facts.names) && is_printable(facts.key));
    MUST(strlen(facts.subject) < 1024 && strlen(facts.names) < 1100);
    request_facts_fini(&facts);
}

static void check_names(X509_REQ *request)
{
    struct failure                why = { 0 };
    struct stack_st_GENERAL_NAME *names = request_names(request, &why);

    MUST((names == NULL) == failed(&why));
    MUST(is_printable(why.text));
    MUST(names == NULL || subject_name_count(names) <= 1000);
    subject_names_free(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned char *p = data;
    struct failure       why = { 0 };
    X509_REQ            *request = d2i_X509_REQ(NULL, &p, (long)size);

    if (request != NULL) {
        check_facts(request);
        check_names(request);
        MUST(ERR_peek_error() == 0);
        X509_REQ_free(request);
    }
    /* as PEM text, it is hardly ever one */
    request = request_read(bytes_of(data, size), "it", &why);
    MUST((request == NULL) == failed(&why));
    request_free(request);
    ERR_clear_error();
    return 0;
}
