/* SPDX-License-Identifier: PostgreSQL */
#include "x509/inspection.h"

#include "x509/chain.h"
#include "x509/trust.h"
#include "x509/verify_hint.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECURITY_LEVEL 2 /* OpenSSL's on Debian: RSA of 2048 bits, SHA-256 */

struct look {
    const struct inspection_files *files;
    struct inspection             *out;
    struct chain                  *chain;
    struct trust                  *trust; /* NULL: none was given */
    bool                           lacks_memory;
};

const char *inspection_step_name(enum inspection_step step)
{
    static const char *const names[] = {
        [INSPECT_ORDER] = "order",     [INSPECT_KEY] = "key",
        [INSPECT_DATES] = "dates",     [INSPECT_STRENGTH] = "strength",
        [INSPECT_TRUST] = "trust",     [INSPECT_REVOCATION] = "revocation",
        [INSPECT_PURPOSE] = "purpose", [INSPECT_NAME] = "name",
    };

    return names[step];
}

__attribute__((format(printf, 3, 4))) static void say(struct look         *look,
                                                      enum inspection_step step,
                                                      const char          *format, ...)
{
    va_list args;

    if (look->out->steps[step].verdict != INSPECTED_NOT)
        return;
    look->out->steps[step].verdict = INSPECTED_GOOD;
    va_start(args, format);
    vsnprintf(look->out->steps[step].text, sizeof look->out->steps[step].text, format, args);
    va_end(args);
}

/* What is bad stands; the first of several. */
static void blame(struct look *look, enum inspection_step step, const struct failure *why)
{
    look->lacks_memory = look->lacks_memory || why->kind == FAIL_MEMORY;
    if (look->out->steps[step].verdict == INSPECTED_BAD)
        return;
    look->out->steps[step].verdict = INSPECTED_BAD;
    look->out->is_good = false;
    snprintf(look->out->steps[step].text, sizeof look->out->steps[step].text, "%s", why->text);
    snprintf(look->out->steps[step].hint, sizeof look->out->steps[step].hint, "%s", why->hint);
}

static const char *date_text(int64_t at, char out[static 32])
{
    time_t    seconds = (time_t)at;
    struct tm parts = { 0 };

    gmtime_r(&seconds, &parts);
    strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &parts);
    return out;
}

/* ---- order ---- */

/* The first certificate that is no authority's. */
static size_t find_leaf(const struct chain *chain)
{
    for (size_t i = 0; i < chain_length(chain); i++)
        if (!chain_link(chain, i)->is_ca)
            return i;
    return 0;
}

/* "1, 3, 2": the way from the leaf up. */
static void write_way(const struct chain *chain, char *out, size_t size)
{
    size_t at = find_leaf(chain), used = 0;

    for (size_t passed = 0; passed < chain_length(chain) && used + 8 < size; passed++) {
        int above = chain_link(chain, at)->issuer;

        used +=
            (size_t)snprintf(out + used, size - used, "%s%zu", passed > 0 ? ", " : "", at + 1);
        if (above < 0 || above == (int)at)
            break;
        at = (size_t)above;
    }
}

static void blame_order(struct look *look, size_t n)
{
    const struct chain_link *link = chain_link(look->chain, n);
    struct failure           why = { 0 };
    char                     way[100];

    if (link->issuer >= 0 && link->issuer != (int)n) {
        write_way(look->chain, way, sizeof way);
        fail_hint(&why, "the right order is %s", way);
        fail(
            &why, FAIL_CERT,
            "wrong order: certificate %zu (%.80s) was signed by certificate %d, not by the one "
            "behind it",
            n + 1, link->facts.subject, link->issuer + 1);
    } else if (link->issuer == (int)n) {
        fail_hint(&why,
                  "leave out what is behind a self-signed certificate, or put the leaf first");
        fail(&why, FAIL_CERT,
             "wrong order: certificate %zu (%.80s) is self-signed, and others stand behind it",
             n + 1, link->facts.subject);
    } else {
        fail_hint(&why, "put the certificate of %.100s behind it", link->facts.issuer);
        fail(&why, FAIL_CERT,
             "a certificate is missing between certificate %zu (%.60s) and the next: that of "
             "%.60s",
             n + 1, link->facts.subject, link->facts.issuer);
    }
    blame(look, INSPECT_ORDER, &why);
}

static void inspect_order(struct look *look)
{
    size_t         length = chain_length(look->chain);
    struct failure why = { 0 };
    char           way[100];

    if (find_leaf(look->chain) != 0) {
        write_way(look->chain, way, sizeof way);
        fail_hint(&why, "the right order is %s", way);
        fail(&why, FAIL_CERT, "wrong order: the first certificate (%.80s) is an authority's",
             chain_link(look->chain, 0)->facts.subject);
        blame(look, INSPECT_ORDER, &why);
    }
    for (size_t i = 0; i + 1 < length; i++)
        if (chain_link(look->chain, i)->issuer != (int)i + 1)
            blame_order(look, i);
    if (length == 1)
        say(look, INSPECT_ORDER, "one certificate, %.200s",
            chain_link(look->chain, 0)->issuer == 0 ? "self-signed" : "without intermediates");
    else
        say(look, INSPECT_ORDER, "%zu certificates, the leaf first, each signed by the next",
            length);
}

/* ---- key ---- */

static void inspect_key(struct look *look)
{
    struct stack_st_X509 *certificates = chain_certificates(look->chain);
    struct failure        why = { 0 };
    EVP_PKEY             *key;

    if (look->files->key == NULL)
        return;
    if ((key = private_key_look(look->files->key, look->files->passphrase, &why)) == NULL) {
        blame(look, INSPECT_KEY, &why);
        return;
    }
    for (int i = 0; i < sk_X509_num(certificates); i++) {
        if (X509_check_private_key(sk_X509_value(certificates, i), key) != 1)
            continue;
        if (i == 0)
            say(look, INSPECT_KEY, "%.200s fits, and nobody else may read it",
                look->files->key);
        else {
            fail_hint(&why, "that certificate must be the first in the file");
            fail(&why, FAIL_CERT, "%.100s is the key of certificate %d, not of the first",
                 look->files->key, i + 1);
        }
        break;
    }
    if (look->out->steps[INSPECT_KEY].verdict == INSPECTED_NOT && !failed(&why)) {
        fail_hint(&why, "find the key that was made with it, or renew the certificate");
        fail(&why, FAIL_CERT, "%.100s is not the key of %.100s", look->files->key,
             look->files->cert);
    }
    if (failed(&why))
        blame(look, INSPECT_KEY, &why);
    EVP_PKEY_free(key);
    ERR_clear_error();
}

/* ---- what OpenSSL says ---- */

static enum inspection_step step_of(int error)
{
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return INSPECT_DATES;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK: return INSPECT_STRENGTH;
    case X509_V_ERR_CERT_REVOKED:
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN: return INSPECT_REVOCATION;
    case X509_V_ERR_INVALID_PURPOSE: return INSPECT_PURPOSE;
    default: return INSPECT_TRUST;
    }
}

static void describe(int error, const struct certificate_facts *about, struct failure *why)
{
    char date[32];

    if (verify_hint(error) != NULL)
        fail_hint(why, "%s", verify_hint(error));
    if (error == X509_V_ERR_CERT_HAS_EXPIRED)
        fail(why, FAIL_CERT, "%.120s ended on %s", about->subject,
             date_text(about->not_after, date));
    else if (error == X509_V_ERR_CERT_NOT_YET_VALID)
        fail(why, FAIL_CERT, "%.120s begins on %s", about->subject,
             date_text(about->not_before, date));
    else if (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
             error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
             error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)
        fail(why, FAIL_CERT,
             "the certificate of %.80s is missing, which signed %.80s: it is neither in the "
             "file "
             "nor trusted",
             about->issuer, about->subject);
    else
        fail(why, FAIL_CERT, "%.120s: %s", about->subject,
             X509_verify_cert_error_string(error));
}

/* Notes the error and lets OpenSSL go on: one call finds all that is bad. */
static int on_verify(int ok, X509_STORE_CTX *context)
{
    struct look             *look = X509_STORE_CTX_get_app_data(context);
    X509                    *x509 = X509_STORE_CTX_get_current_cert(context);
    int                      error = X509_STORE_CTX_get_error(context);
    enum inspection_step     step = step_of(error);
    struct certificate_facts about = { 0 };
    struct failure           why = { 0 };

    if (ok || (step == INSPECT_TRUST && look->trust == NULL))
        return 1;
    if (x509 != NULL && certificate_facts_init(&about, x509, &why) == FAIL_NONE)
        describe(error, &about, &why);
    else
        fail(&why, FAIL_CERT, "%s", X509_verify_cert_error_string(error));
    blame(look, step, &why);
    certificate_facts_fini(&about);
    return 1;
}

static void say_dates(struct look *look)
{
    const struct certificate_facts *first = &chain_link(look->chain, 0)->facts;
    char                            date[32];

    for (size_t i = 1; i < chain_length(look->chain); i++)
        if (chain_link(look->chain, i)->facts.not_after < first->not_after)
            first = &chain_link(look->chain, i)->facts;
    say(look, INSPECT_DATES, "until %s, %lld days left%s%.100s",
        date_text(first->not_after, date),
        (long long)certificate_days_left(first->not_after, look->files->now),
        first == &chain_link(look->chain, 0)->facts ? "" : ": then ends ",
        first == &chain_link(look->chain, 0)->facts ? "" : first->subject);
}

/* The root that the way leads to; false when out of memory. */
static bool say_trust(struct look *look, X509_STORE_CTX *context)
{
    struct stack_st_X509 *way = X509_STORE_CTX_get0_chain(context);
    X509                 *root = way != NULL ? sk_X509_value(way, sk_X509_num(way) - 1) : NULL;
    char                 *name;

    if (look->trust == NULL || root == NULL)
        return true;
    if ((name = certificate_name_text(X509_get_subject_name(root))) == NULL)
        return false;
    say(look, INSPECT_TRUST, "the chain leads to %.200s", name);
    free(name);
    return true;
}

static bool say_the_rest(struct look *look, X509_STORE_CTX *context)
{
    const struct chain_link *leaf = chain_link(look->chain, 0);

    say_dates(look);
    say(look, INSPECT_STRENGTH, "key %s, signature %s", leaf->key, leaf->signature);
    if (look->files->crl != NULL)
        say(look, INSPECT_REVOCATION, "not revoked; %zu lists", trust_crl_count(look->trust));
    say(look, INSPECT_PURPOSE, "for %s", leaf->use);
    return say_trust(look, context);
}

static bool prepare(X509_STORE_CTX *context, X509_STORE *store, struct look *look)
{
    struct stack_st_X509 *certificates = chain_certificates(look->chain);
    X509_VERIFY_PARAM    *parameters;

    if (X509_STORE_CTX_init(context, store, sk_X509_value(certificates, 0), certificates) !=
            1 ||
        X509_STORE_CTX_set_default(context,
                                   look->files->is_client ? "ssl_client" : "ssl_server") != 1)
        return false;
    parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_auth_level(parameters, SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)look->files->now);
    X509_STORE_CTX_set_verify_cb(context, on_verify);
    return X509_STORE_CTX_set_app_data(context, look) == 1;
}

static enum fail inspect_chain(struct look *look, struct failure *why)
{
    X509_STORE *store =
        look->trust != NULL ? trust_new_store(look->trust, why) : X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    enum fail       rc = FAIL_NONE;

    if (store == NULL || context == NULL || !prepare(context, store, look))
        rc = fail(why, FAIL_MEMORY, "out of memory");
    else {
        (void)X509_verify_cert(context);
        if (!say_the_rest(look, context))
            rc = fail(why, FAIL_MEMORY, "out of memory");
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return rc;
}

/* ---- names ---- */

static void inspect_names(struct look *look)
{
    for (size_t i = 0; i < look->files->name_count; i++) {
        const char    *name = look->files->names[i];
        struct failure why = { 0 };

        if (!look->files->is_client) {
            if (chain_match_name(look->chain, name, &why) == FAIL_NONE)
                continue;
        } else if (!chain_has_common_name(look->chain, name)) {
            fail_hint(&why, "its common name must be exactly the user, or mapped to it by "
                            "pg_ident.conf");
            fail(&why, FAIL_CERT, "the certificate is %.100s's, not user \"%.80s\"'s",
                 chain_link(look->chain, 0)->facts.subject, name);
        }
        if (failed(&why))
            blame(look, INSPECT_NAME, &why);
    }
    if (look->files->name_count > 0)
        say(look, INSPECT_NAME, "%s \"%.200s\"%s", look->files->is_client ? "user" : "for",
            look->files->names[0], look->files->name_count > 1 ? " and the others" : "");
}

enum fail inspection_run(const struct inspection_files *files, struct inspection *out,
                         struct failure *why)
{
    const struct trust_files trusted = { .file = files->ca, .crl_file = files->crl };
    struct look              look = { .files = files, .out = out };
    enum fail                rc = FAIL_NONE;

    *out = (struct inspection){ .is_good = true };
    if ((look.chain = chain_load(files->cert, why)) == NULL ||
        (files->ca != NULL && (look.trust = trust_load_files(&trusted, why)) == NULL))
        rc = FAIL_CERT;
    if (rc == FAIL_NONE)
        rc = inspect_chain(&look, why);
    if (rc == FAIL_NONE) {
        inspect_order(&look);
        inspect_key(&look);
        inspect_names(&look);
    }
    if (rc == FAIL_NONE && look.lacks_memory)
        rc = fail(why, FAIL_MEMORY, "out of memory");
    trust_release(look.trust);
    chain_free(look.chain);
    return rc;
}
