/* SPDX-License-Identifier: PostgreSQL */
#include "tls/parameters.h"

#include "base/text.h"
#include "tls/aeads.h"
#include "tls/engine_parts.h"
#include "x509/pem_file.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

/* TLS 1.2: forward secrecy and AEAD only.  TLS 1.3's suites are all of that kind. */
#define CIPHERS_1_2  "ECDHE+AESGCM:ECDHE+CHACHA20"
#define SMALLEST_DH  2048
#define LONGEST_WORD 128u
#define TLS_1_3_IDS  0x1300u
#define COUNT(table) (sizeof(table) / sizeof *(table))

/* ---- lists of words ---- */

/* The next word before one of `separators`; false at the end. */
static bool next_word(const char **list, const char *separators, char word[LONGEST_WORD])
{
    size_t len;

    *list += strspn(*list, separators);
    len = strcspn(*list, separators);
    if (len == 0)
        return false;
    text_escape(word, LONGEST_WORD, bytes_of(*list, len));
    *list += len;
    return true;
}

static SSL_CTX *new_scratch(void)
{
    return SSL_CTX_new(TLS_method());
}

/* ---- protocol range ---- */

static enum fail read_version(const char *text, const char *setting, int *version,
                              struct failure *why)
{
    static const struct {
        const char *name;
        int         version;
    } versions[] = { { "TLSv1.2", TLS1_2_VERSION }, { "TLSv1.3", TLS1_3_VERSION } };
    char shown[LONGEST_WORD];

    for (size_t i = 0; i < COUNT(versions); i++) {
        if (strcmp(text, versions[i].name) == 0) {
            *version = versions[i].version;
            return FAIL_NONE;
        }
    }
    text_escape(shown, sizeof shown, bytes_of_string(text));
    if (strcmp(text, "TLSv1") == 0 || strcmp(text, "TLSv1.1") == 0)
        fail_hint(why, "TLS 1.0 and 1.1 are broken (RFC 8996); \"TLSv1.2\" is the least");
    else
        fail_hint(why, "write \"TLSv1.2\" or \"TLSv1.3\"");
    return fail(why, FAIL_CONFIG, "%s: \"%s\" is not spoken here", setting, shown);
}

static enum fail set_range(SSL_CTX *library, const struct tls_policy_options *options,
                           struct failure *why)
{
    int       min = (int)SSL_CTX_get_min_proto_version(library);
    int       max = (int)SSL_CTX_get_max_proto_version(library);
    enum fail rc = FAIL_NONE;

    /* openssl.cnf may ask for more than TLS 1.2, not for less */
    if (min < TLS1_2_VERSION)
        min = TLS1_2_VERSION;
    if (options->record_layer == TLS_RECORDS_OWN)
        min = TLS1_3_VERSION;
    if (options->min_protocol != NULL)
        rc = read_version(options->min_protocol, "min_protocol_version", &min, why);
    if (rc == FAIL_NONE && options->max_protocol != NULL)
        rc = read_version(options->max_protocol, "max_protocol_version", &max, why);
    if (rc != FAIL_NONE)
        return rc;
    if (max != 0 && max < min) {
        if (options->min_protocol == NULL || options->max_protocol == NULL)
            fail_hint(why, "openssl.cnf sets the other end of the range");
        return fail(why, FAIL_CONFIG,
                    "min_protocol_version is above max_protocol_version: nothing is left");
    }
    if (SSL_CTX_set_min_proto_version(library, min) == 1 &&
        SSL_CTX_set_max_proto_version(library, max) == 1)
        return FAIL_NONE;
    return fail(why, FAIL_TLS, "the range of protocol versions cannot be set: %s",
                tls_library_error_text(tls_library_error()));
}

/* ---- ciphers ---- */

static const SSL_CIPHER *find_cipher(SSL_CTX *library, const char *name)
{
    struct stack_st_SSL_CIPHER *all = SSL_CTX_get_ciphers(library);

    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
        const char       *standard = SSL_CIPHER_standard_name(cipher);

        if (strcmp(SSL_CIPHER_get_name(cipher), name) == 0 ||
            (standard != NULL && strcmp(standard, name) == 0))
            return cipher;
    }
    return NULL;
}

static bool is_for_1_3(const SSL_CIPHER *cipher)
{
    return (SSL_CIPHER_get_protocol_id(cipher) & 0xff00u) == TLS_1_3_IDS;
}

/* OpenSSL skips names that it does not know.  What looks like one whole name must be one;
 * words for classes may well be empty in one build. */
static enum fail check_cipher_words(const char *list, struct failure *why)
{
    char      word[LONGEST_WORD];
    SSL_CTX  *scratch = new_scratch();
    enum fail rc = scratch != NULL ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");

    while (rc == FAIL_NONE && next_word(&list, ":, ;", word)) {
        if (strncmp(word, "TLS_AES_", 8) == 0 || strncmp(word, "TLS_CHACHA20_", 13) == 0) {
            fail_hint(why, "suites of TLS 1.3 are set by ciphersuites");
            rc = fail(why, FAIL_CONFIG, "ciphers: %s is not of TLS 1.2", word);
        } else if (strchr("!-+@", word[0]) == NULL && strchr(word, '-') != NULL &&
                   strchr(word, '+') == NULL && SSL_CTX_set_cipher_list(scratch, word) != 1) {
            fail_hint(why, "openssl ciphers -v ALL:eNULL lists those that there are");
            rc = fail(why, FAIL_CONFIG, "ciphers: \"%s\" is unknown", word);
        }
    }
    SSL_CTX_free(scratch);
    return rc;
}

static enum fail check_no_null(SSL_CTX *library, struct failure *why)
{
    struct stack_st_SSL_CIPHER *all = SSL_CTX_get_ciphers(library);

    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
        bool              is_clear = SSL_CIPHER_get_cipher_nid(cipher) == NID_undef;

        if (!is_clear && SSL_CIPHER_get_auth_nid(cipher) != NID_auth_null)
            continue;
        fail_hint(why, "add :!aNULL:!eNULL");
        return fail(why, FAIL_CONFIG, "ciphers: %s is let in, which %s",
                    SSL_CIPHER_get_name(cipher),
                    is_clear ? "encrypts nothing" : "authenticates nobody");
    }
    return FAIL_NONE;
}

static enum fail set_ciphers(SSL_CTX *library, const struct tls_policy_options *options,
                             struct failure *why)
{
    const char *list = options->ciphers != NULL ? options->ciphers : CIPHERS_1_2;
    enum fail   rc;

    if (options->ciphers != NULL && SSL_CTX_get_min_proto_version(library) >= TLS1_3_VERSION)
        return fail(why, FAIL_CONFIG,
                    "ciphers are of TLS 1.2, which min_protocol_version excludes");
    if ((rc = check_cipher_words(list, why)) != FAIL_NONE)
        return rc;
    if (list[strspn(list, ":, ;")] == '\0' || SSL_CTX_set_cipher_list(library, list) != 1)
        return fail(why, FAIL_CONFIG, "ciphers: no cipher is selected");
    return check_no_null(library, why);
}

/* OpenSSL refuses or skips what it does not know, by version, and names nothing. */
static enum fail check_suites(const char *list, struct failure *why)
{
    SSL_CTX  *scratch = new_scratch();
    char      word[LONGEST_WORD];
    enum fail rc = scratch != NULL ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");

    while (rc == FAIL_NONE && next_word(&list, ":", word)) {
        const SSL_CIPHER *suite =
            SSL_CTX_set_ciphersuites(scratch, word) == 1 ? find_cipher(scratch, word) : NULL;

        if (suite != NULL && is_for_1_3(suite))
            continue;
        fail_hint(why, "openssl ciphers -s -tls1_3 lists those that there are");
        rc = fail(why, FAIL_CONFIG, "ciphersuites: \"%s\" is unknown", word);
    }
    SSL_CTX_free(scratch);
    return rc;
}

/* Known now, and not at the handshake that would choose it. */
static enum fail check_own_suites(SSL_CTX *library, struct failure *why)
{
    struct stack_st_SSL_CIPHER *all = SSL_CTX_get_ciphers(library);

    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *suite = sk_SSL_CIPHER_value(all, i);

        if (!is_for_1_3(suite) ||
            tls_suite_find(SSL_CIPHER_get_protocol_id(suite)) != TLS_SUITE_NONE)
            continue;
        fail_hint(why, "leave it out of ciphersuites, or let record_layer be \"auto\"");
        return fail(why, FAIL_CONFIG, "ciphersuites: record_layer \"record\" does not have %s",
                    SSL_CIPHER_get_name(suite));
    }
    return FAIL_NONE;
}

static enum fail set_suites(SSL_CTX *library, const struct tls_policy_options *options,
                            struct failure *why)
{
    const char *list = options->ciphersuites;
    int         max = (int)SSL_CTX_get_max_proto_version(library);
    enum fail   rc;

    if (list == NULL)
        return FAIL_NONE;
    if (max != 0 && max < TLS1_3_VERSION)
        return fail(why, FAIL_CONFIG,
                    "ciphersuites are of TLS 1.3, which max_protocol_version excludes");
    if (list[strspn(list, ":")] == '\0')
        return fail(why, FAIL_CONFIG, "ciphersuites: no suite is selected");
    if ((rc = check_suites(list, why)) != FAIL_NONE)
        return rc;
    if (SSL_CTX_set_ciphersuites(library, list) == 1)
        return FAIL_NONE;
    return fail(why, FAIL_CONFIG, "ciphersuites: the list cannot be read");
}

/* ---- groups ---- */

/* OpenSSL refuses the whole list and does not say for which word. */
static enum fail name_bad_group(const char *list, struct failure *why)
{
    SSL_CTX *scratch = new_scratch();
    char     word[LONGEST_WORD];

    while (scratch != NULL && next_word(&list, ":/", word)) {
        const char *name = word + strspn(word, "*?-");

        if (SSL_CTX_set1_groups_list(scratch, name) == 1)
            continue;
        fail_hint(why, "this is %.40s; \"X25519:P-256\" is known to all",
                  OpenSSL_version(OPENSSL_VERSION));
        fail(why, FAIL_CONFIG, "groups: \"%s\" is unknown", name);
        break;
    }
    SSL_CTX_free(scratch);
    return fail(why, FAIL_CONFIG, "groups: the list cannot be read");
}

static enum fail set_groups(SSL_CTX *library, const struct tls_policy_options *options,
                            struct failure *why)
{
    if (options->groups == NULL)
        return FAIL_NONE;
    if (options->groups[strspn(options->groups, ":/")] == '\0')
        return fail(why, FAIL_CONFIG, "groups: no group is selected");
    if (SSL_CTX_set1_groups_list(library, options->groups) == 1)
        return FAIL_NONE;
    return name_bad_group(options->groups, why);
}

/* ---- Diffie-Hellman of old ---- */

static EVP_PKEY *read_dh(struct bytes text)
{
    BIO      *bio = BIO_new_mem_buf(text.p, (int)text.len);
    EVP_PKEY *dh = bio != NULL ? PEM_read_bio_Parameters(bio, NULL) : NULL;

    BIO_free(bio);
    return dh;
}

static enum fail check_dh(EVP_PKEY *dh, const char *file, struct failure *why)
{
    EVP_PKEY_CTX *check;
    bool          good;

    if (dh == NULL || (!EVP_PKEY_is_a(dh, "DH") && !EVP_PKEY_is_a(dh, "DHX"))) {
        fail_hint(why, "make some: openssl dhparam -out NEW 2048");
        return fail(why, FAIL_CONFIG, "no DH parameters in %s", file);
    }
    if (EVP_PKEY_get_bits(dh) < SMALLEST_DH) {
        fail_hint(why, "leave the setting out: OpenSSL knows good ones");
        return fail(why, FAIL_CONFIG, "the DH parameters in %s have %d bits, less than %d",
                    file, EVP_PKEY_get_bits(dh), SMALLEST_DH);
    }
    check = EVP_PKEY_CTX_new_from_pkey(NULL, dh, NULL);
    good = check != NULL && EVP_PKEY_param_check(check) == 1;
    EVP_PKEY_CTX_free(check);
    return good ? FAIL_NONE
                : fail(why, FAIL_CONFIG, "the DH parameters in %s are not safe", file);
}

EVP_PKEY *tls_parameters_load_dh(const char *file, struct failure *why)
{
    struct buf text;
    EVP_PKEY  *dh = NULL;
    enum fail  rc = pem_file_read(file, PEM_FILE_CERTIFICATES, &text, why);

    ERR_clear_error();
    if (rc == FAIL_NONE) {
        dh = read_dh(buf_bytes(&text));
        rc = check_dh(dh, file, why);
    }
    pem_file_wipe(&text);
    ERR_clear_error();
    if (rc == FAIL_NONE)
        return dh;
    EVP_PKEY_free(dh);
    return NULL;
}

static bool has_dhe(SSL_CTX *library)
{
    struct stack_st_SSL_CIPHER *all = SSL_CTX_get_ciphers(library);

    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        if (SSL_CIPHER_get_kx_nid(sk_SSL_CIPHER_value(all, i)) == NID_kx_dhe)
            return true;
    }
    return false;
}

static enum fail set_dh(SSL_CTX *library, EVP_PKEY *dh, struct failure *why)
{
    if (dh == NULL) {
        SSL_CTX_set_dh_auto(library, 1);
        return FAIL_NONE;
    }
    if (!has_dhe(library)) {
        fail_hint(why, "leave it out, or add ciphers such as DHE+AESGCM");
        return fail(why, FAIL_CONFIG, "dh_params_file: no cipher uses it");
    }
    if (EVP_PKEY_up_ref(dh) != 1)
        return fail(why, FAIL_MEMORY, "out of memory");
    if (SSL_CTX_set0_tmp_dh_pkey(library, dh) == 1)
        return FAIL_NONE;
    EVP_PKEY_free(dh);
    return fail(why, FAIL_CONFIG, "dh_params_file: %s",
                tls_library_error_text(tls_library_error()));
}

enum fail tls_parameters_apply(SSL_CTX *library, const struct tls_policy_options *options,
                               EVP_PKEY *dh, struct failure *why)
{
    enum fail rc;

    if ((rc = set_range(library, options, why)) != FAIL_NONE ||
        (rc = set_ciphers(library, options, why)) != FAIL_NONE ||
        (rc = set_suites(library, options, why)) != FAIL_NONE ||
        (options->record_layer == TLS_RECORDS_OWN &&
         (rc = check_own_suites(library, why)) != FAIL_NONE) ||
        (rc = set_groups(library, options, why)) != FAIL_NONE)
        return rc;
    if (options->role == TLS_SERVER)
        rc = set_dh(library, dh, why);
    if (options->order == TLS_ORDER_CLIENT)
        SSL_CTX_clear_options(library, SSL_OP_CIPHER_SERVER_PREFERENCE);
    else if (options->order == TLS_ORDER_SERVER)
        SSL_CTX_set_options(library, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return rc;
}
