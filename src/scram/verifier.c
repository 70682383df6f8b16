/* SPDX-License-Identifier: PostgreSQL */
#include "scram/verifier.h"

#include "base/base64.h"
#include "base/secret.h"
#include "crypto/sha256.h"
#include "scram/saslprep.h"

_Static_assert((int)SCRAM_KEY_LEN == (int)SHA256_LEN, "keys are hashes");

/* ---- how it is stretched ---- */

static bool read_iterations(uint32_t *out, struct bytes digits)
{
    uint32_t n = 0;

    if (digits.len == 0 || digits.p[0] == '0')
        return false;
    for (; digits.len > 0; bytes_skip(&digits, 1)) {
        if (digits.p[0] < '0' || digits.p[0] > '9')
            return false;
        n = n * 10 + digits.p[0] - '0';
        if (n > SCRAM_ITERATIONS_MOST)
            return false;
    }
    *out = n;
    return true;
}

bool scram_stretch_read(struct scram_stretch *out, struct bytes salt, struct bytes iterations)
{
    size_t len = 0;

    *out = (struct scram_stretch){ 0 };
    if (!base64_read(out->salt, sizeof out->salt, &len, salt) || len == 0)
        return false;
    out->salt_len = (uint8_t)len;
    return read_iterations(&out->iterations, iterations);
}

bool scram_stretch_equal(const struct scram_stretch *a, const struct scram_stretch *b)
{
    return a->iterations == b->iterations &&
           bytes_equal(bytes_of(a->salt, a->salt_len), bytes_of(b->salt, b->salt_len));
}

/* ---- the text ---- */

/* What stands before `end`, which is taken off too; false where it does not come. */
static bool take_until(struct bytes *out, struct bytes *text, char end)
{
    const uint8_t *at = text->len > 0 ? memchr(text->p, end, text->len) : NULL;

    if (at == NULL)
        return false;
    *out = bytes_of(text->p, (size_t)(at - text->p));
    bytes_skip(text, out->len + 1);
    return true;
}

static bool read_key(uint8_t out[SCRAM_KEY_LEN], struct bytes text)
{
    size_t len = 0;

    return base64_read(out, SCRAM_KEY_LEN, &len, text) && len == SCRAM_KEY_LEN;
}

static bool read_verifier(struct scram_verifier *out, struct bytes text)
{
    struct bytes scheme, iterations, salt, stored;

    return take_until(&scheme, &text, '$') && take_until(&iterations, &text, ':') &&
           take_until(&salt, &text, '$') && take_until(&stored, &text, ':') &&
           bytes_equal(scheme, BYTES("SCRAM-SHA-256")) &&
           scram_stretch_read(&out->stretch, salt, iterations) &&
           read_key(out->stored_key, stored) && read_key(out->server_key, text);
}

enum fail scram_verifier_read(struct scram_verifier *out, struct bytes text,
                              struct failure *why)
{
    if (text.len <= SCRAM_VERIFIER_MOST && read_verifier(out, text))
        return FAIL_NONE;
    fail_hint(why, "copy it from pg_authid.rolpassword: SCRAM-SHA-256$4096:...");
    return fail(why, FAIL_CONFIG, "not a SCRAM-SHA-256 verifier");
}

void scram_verifier_write(struct buf *out, const struct scram_verifier *verifier)
{
    const struct scram_stretch *stretch = &verifier->stretch;

    buf_put_format(out, "SCRAM-SHA-256$%u:", stretch->iterations);
    base64_put(out, bytes_of(stretch->salt, stretch->salt_len));
    buf_put_u8(out, '$');
    base64_put(out, bytes_of(verifier->stored_key, SCRAM_KEY_LEN));
    buf_put_u8(out, ':');
    base64_put(out, bytes_of(verifier->server_key, SCRAM_KEY_LEN));
}

/* ---- of a password ---- */

static enum fail keys_of_salted(struct scram_keys *out, struct bytes salted,
                                struct failure *why)
{
    enum fail rc = sha256_hmac(out->client_key, salted, BYTES("Client Key"), why);

    return rc != FAIL_NONE ? rc
                           : sha256_hmac(out->server_key, salted, BYTES("Server Key"), why);
}

enum fail scram_keys_make(struct scram_keys *out, struct bytes password,
                          const struct scram_stretch *stretch, struct failure *why)
{
    struct secret prepared = { 0 };
    uint8_t       salted[SHA256_LEN] = { 0 };
    enum fail     rc = saslprep(&prepared, password, why);

    if (rc == FAIL_NONE)
        rc =
            sha256_pbkdf2(salted, secret_bytes(&prepared),
                          bytes_of(stretch->salt, stretch->salt_len), stretch->iterations, why);
    if (rc == FAIL_NONE)
        rc = keys_of_salted(out, bytes_of(salted, sizeof salted), why);
    secret_fini(&prepared);
    secret_wipe(salted, sizeof salted);
    if (rc != FAIL_NONE)
        scram_keys_wipe(out);
    return rc;
}

void scram_keys_wipe(struct scram_keys *keys)
{
    secret_wipe(keys, sizeof *keys);
}

enum fail scram_verifier_make(struct scram_verifier *out, struct bytes password,
                              const struct scram_stretch *stretch, struct failure *why)
{
    struct scram_keys keys;
    enum fail         rc = scram_keys_make(&keys, password, stretch, why);

    if (rc != FAIL_NONE)
        return rc;
    out->stretch = *stretch;
    memcpy(out->server_key, keys.server_key, SCRAM_KEY_LEN);
    rc = sha256(out->stored_key, bytes_of(keys.client_key, SCRAM_KEY_LEN), why);
    scram_keys_wipe(&keys);
    return rc;
}
