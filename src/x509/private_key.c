/* SPDX-License-Identifier: PostgreSQL */
#include "x509/private_key.h"

#include "x509/pem_file.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* One attempt to read a key, and what became of the question for its passphrase. */
struct attempt {
    const char                     *key;
    const struct passphrase_source *source;
    struct failure                 *why;
    enum pem_file_kind              kind;
    enum { NOT_ASKED, ASKED, ANSWERED } passphrase;
};

/* Writes the passphrase to `out`; its length, or -1. */
static int answer(struct attempt *a, char *out, int size)
{
    struct secret passphrase = { 0 };
    int           len = -1;

    if (a->passphrase != NOT_ASKED)
        return -1;
    a->passphrase = ASKED;
    if (a->source == NULL || failed(a->why) ||
        a->source->get(a->source, a->key, &passphrase, a->why) != FAIL_NONE)
        return -1;
    if (passphrase.len < (size_t)size) {
        len = (int)passphrase.len;
        memcpy(out, passphrase.memory, passphrase.len);
        a->passphrase = ANSWERED;
    } else
        fail(a->why, FAIL_CERT, "the passphrase for %s is too long", a->key);
    secret_fini(&passphrase);
    return len;
}

static int on_pem_passphrase(char *out, int size, int is_for_writing, void *attempt)
{
    return answer(attempt, out, size);
}

static EVP_PKEY *fail_to_read(struct attempt *a)
{
    if (failed(a->why))
        fail_context(a->why, "private key %s", a->key);
    else if (a->passphrase == ANSWERED) {
        fail_hint(a->why, "try it: openssl pkey -in %s -noout", a->key);
        fail(a->why, FAIL_CERT, "private key %s cannot be decrypted: wrong passphrase", a->key);
    } else if (a->passphrase == ASKED) {
        fail_hint(a->why,
                  "set a command that prints it, or take it off: openssl pkey -in %s -out NEW",
                  a->key);
        fail(a->why, FAIL_CERT, "private key %s needs a passphrase", a->key);
    } else {
        fail_hint(a->why,
                  "PEM text with BEGIN PRIVATE KEY (or RSA, EC PRIVATE KEY) is expected");
        fail(a->why, FAIL_CERT, "no private key can be read from %s", a->key);
    }
    return NULL;
}

static EVP_PKEY *parse(struct attempt *a, struct bytes text)
{
    BIO      *bio = BIO_new_mem_buf(text.p, (int)text.len);
    EVP_PKEY *key = NULL;

    if (bio != NULL)
        key = PEM_read_bio_PrivateKey(bio, NULL, on_pem_passphrase, a);
    BIO_free(bio);
    return key != NULL ? key : fail_to_read(a);
}

static EVP_PKEY *load_file(struct attempt *a)
{
    struct buf text;
    EVP_PKEY  *key = NULL;

    if (pem_file_read(a->key, a->kind, &text, a->why) == FAIL_NONE)
        key = parse(a, buf_bytes(&text));
    pem_file_wipe(&text);
    return key;
}

/* ---- stores ---- */

/* OpenSSL's question: the first one is answered, where there is an answer. */
static int on_ui_read(UI *ui, UI_STRING *question)
{
    char text[1024];
    int  len, rc;

    if (UI_get_string_type(question) != UIT_PROMPT)
        return 1;
    len = answer(UI_get0_user_data(ui), text, sizeof text);
    if (len < 0)
        return 0;
    text[len] = '\0';
    rc = UI_set_result_ex(ui, question, text, len);
    secret_wipe(text, sizeof text);
    return rc == 0 ? 1 : 0;
}

static UI_METHOD *new_silent_ui(void)
{
    UI_METHOD *method = UI_create_method("pgtls");

    if (method != NULL && UI_method_set_reader(method, on_ui_read) == 0)
        return method;
    UI_destroy_method(method);
    return NULL;
}

/* The only private key among what the store has; NULL where there is none, or a second. */
static EVP_PKEY *only_key(OSSL_STORE_CTX *store, size_t *count)
{
    EVP_PKEY *key = NULL;

    while (!OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);

        if (info == NULL && OSSL_STORE_error(store))
            break;
        if (info != NULL && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY) {
            EVP_PKEY_free(key);
            key = OSSL_STORE_INFO_get1_PKEY(info);
            (*count)++;
        }
        OSSL_STORE_INFO_free(info);
    }
    if (*count == 1)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

static EVP_PKEY *fail_in_store(struct attempt *a, bool was_opened, size_t count)
{
    unsigned long error = ERR_peek_last_error();
    const char   *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

    if (failed(a->why))
        fail_context(a->why, "private key %s", a->key);
    else if (count > 1) {
        fail_hint(a->why, "make the URI more precise, by object= or id=");
        fail(a->why, FAIL_CERT, "%s stands for %zu private keys, not for one", a->key, count);
    } else if (!was_opened) {
        fail_hint(a->why, "the provider for this scheme must be loaded by openssl.cnf");
        fail(a->why, FAIL_CERT, "the store of %s cannot be opened: %s", a->key,
             reason != NULL ? reason : "OpenSSL does not say why");
    } else {
        fail_hint(a->why, a->passphrase == ANSWERED
                              ? "is the PIN right, and the name of the object"
                              : "name the PIN by pin-source in the URI or by a command that "
                                "prints it, and the object as the token has it");
        fail(a->why, FAIL_CERT, "no private key at %s%s%s", a->key, reason != NULL ? ": " : "",
             reason != NULL ? reason : "");
    }
    return NULL;
}

static EVP_PKEY *load_uri(struct attempt *a)
{
    UI_METHOD      *silent = new_silent_ui();
    OSSL_STORE_CTX *store = NULL;
    EVP_PKEY       *key = NULL;
    size_t          count = 0;
    bool            was_opened;

    if (silent == NULL) {
        fail(a->why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    /* the pkcs11 provider asks by the default method where ours has no answer */
    UI_set_default_method(UI_null());
    /* the providers of openssl.cnf may not be there yet */
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
    store = OSSL_STORE_open(a->key, silent, a, NULL, NULL);
    was_opened = store != NULL;
    if (was_opened && OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY) == 1)
        key = only_key(store, &count);
    if (key == NULL)
        fail_in_store(a, was_opened, count);
    OSSL_STORE_close(store);
    UI_destroy_method(silent);
    return key;
}

static size_t scheme_length(const char *key)
{
    size_t n = 0;

    while (isalnum((unsigned char)key[n]) ||
           (n > 0 && key[n] != '\0' && strchr("+-.", key[n]) != NULL))
        n++;
    return key[n] == ':' ? n : 0;
}

bool private_key_is_uri(const char *key)
{
    return scheme_length(key) >= 2 && access(key, F_OK) != 0;
}

static EVP_PKEY *load(const char *key, enum pem_file_kind kind,
                      const struct passphrase_source *source, struct failure *why)
{
    struct failure unseen = { 0 };
    struct attempt a = {
        .key = key, .source = source, .why = why != NULL ? why : &unseen, .kind = kind
    };
    EVP_PKEY *loaded = NULL;

    ERR_clear_error();
    if (!private_key_is_uri(key))
        loaded = load_file(&a);
    else if (strncasecmp(key, "file:", 5) == 0) {
        /* a store would not ask who owns the file */
        fail_hint(a.why, "write the path alone");
        fail(a.why, FAIL_CERT, "%s: key files are named by their path, not by a URI", key);
    } else
        loaded = load_uri(&a);
    ERR_clear_error();
    return loaded;
}

void private_key_free(EVP_PKEY *key)
{
    EVP_PKEY_free(key);
}

EVP_PKEY *private_key_load(const char *key, const struct passphrase_source *source,
                           struct failure *why)
{
    return load(key, PEM_FILE_KEY, source, why);
}

EVP_PKEY *private_key_look(const char *key, const struct passphrase_source *source,
                           struct failure *why)
{
    return load(key, PEM_FILE_SERVERS_KEY, source, why);
}
