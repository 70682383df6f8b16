/* SPDX-License-Identifier: PostgreSQL */
#include "scram/message.h"

#include "base/base64.h"
#include "base/secret.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

const char *scram_gs2_header(enum scram_flag flag)
{
    static const char *const headers[] = { "n,,", "y,,", "p=" SCRAM_BINDING_TYPE ",," };

    return headers[flag];
}

bool scram_take(struct bytes *value, struct bytes *message, char name)
{
    const uint8_t *comma;

    if (message->len < 2 || message->p[0] != (uint8_t)name || message->p[1] != '=')
        return false;
    bytes_skip(message, 2);
    comma = message->len > 0 ? memchr(message->p, ',', message->len) : NULL;
    *value = bytes_first(*message, comma != NULL ? (size_t)(comma - message->p) : SIZE_MAX);
    bytes_skip(message, value->len + 1);
    return true;
}

bool scram_is_nonce(struct bytes nonce)
{
    if (nonce.len == 0 || nonce.len > SCRAM_NONCE_MOST)
        return false;
    for (size_t i = 0; i < nonce.len; i++)
        if (nonce.p[i] < 0x21 || nonce.p[i] > 0x7e || nonce.p[i] == ',')
            return false;
    return true;
}

enum fail scram_put_nonce(struct buf *out, struct failure *why)
{
    uint8_t   raw[SCRAM_NONCE_RAW];
    enum fail rc = random_fill(raw, sizeof raw, why);

    if (rc == FAIL_NONE)
        base64_put(out, bytes_of(raw, sizeof raw));
    return rc;
}

void scram_put_binding(struct buf *out, enum scram_flag flag, struct bytes hash)
{
    struct bytes header = bytes_of_string(scram_gs2_header(flag));
    uint8_t      input[64 + SCRAM_BINDING_MOST];
    size_t       len = header.len;

    memcpy(input, header.p, header.len);
    if (flag == SCRAM_BOUND && hash.len <= SCRAM_BINDING_MOST) {
        memcpy(input + len, hash.p, hash.len);
        len += hash.len;
    }
    base64_put(out, bytes_of(input, len));
}

enum fail scram_sign(uint8_t out[SCRAM_KEY_LEN], const uint8_t key[SCRAM_KEY_LEN],
                     const struct buf *auth_message, struct failure *why)
{
    if (!buf_ok(auth_message))
        return fail(why, FAIL_MEMORY, "out of memory");
    return sha256_hmac(out, bytes_of(key, SCRAM_KEY_LEN), buf_bytes(auth_message), why);
}

enum fail scram_apply_proof(uint8_t out[SCRAM_KEY_LEN], const uint8_t in[SCRAM_KEY_LEN],
                            const uint8_t     stored_key[SCRAM_KEY_LEN],
                            const struct buf *auth_message, struct failure *why)
{
    uint8_t   signature[SCRAM_KEY_LEN];
    enum fail rc = scram_sign(signature, stored_key, auth_message, why);

    for (size_t i = 0; rc == FAIL_NONE && i < SCRAM_KEY_LEN; i++)
        out[i] = in[i] ^ signature[i];
    secret_wipe(signature, sizeof signature);
    return rc;
}
