/* SPDX-License-Identifier: PostgreSQL */
#include "scram/client.h"

#include "base/base64.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/equal.h"
#include "crypto/sha256.h"

/* All three parts of the AuthMessage. */
#define AUTH_MESSAGE_MOST ((size_t)3 * SCRAM_MESSAGE_MOST)

void scram_client_init(struct scram_client *client, const struct scram_client_options *options)
{
    *client = (struct scram_client){
        .flag = options->flag,
        .chosen_nonce = options->nonce,
        .auth_message = BUF_LIMIT(AUTH_MESSAGE_MOST),
        .nonce = BUF_LIMIT(2 * SCRAM_NONCE_MOST),
    };
    if (options->flag == SCRAM_BOUND && options->hash.len <= SCRAM_BINDING_MOST) {
        client->hash_len = (uint8_t)options->hash.len;
        memcpy(client->hash, options->hash.p, options->hash.len);
    }
}

void scram_client_fini(struct scram_client *client)
{
    buf_fini(&client->auth_message);
    buf_fini(&client->nonce);
    secret_wipe(client, sizeof *client);
}

const char *scram_client_mechanism(const struct scram_client *client)
{
    return client->flag == SCRAM_BOUND ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
}

static enum fail memory_of(const struct buf *buf, struct failure *why)
{
    return buf_ok(buf) ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");
}

enum fail scram_client_first(struct scram_client *client, struct buf *out, struct failure *why)
{
    enum fail rc = FAIL_NONE;

    if (client->chosen_nonce != NULL)
        buf_put(&client->nonce, bytes_of_string(client->chosen_nonce));
    else
        rc = scram_put_nonce(&client->nonce, why);
    if (rc != FAIL_NONE)
        return rc;
    client->nonce_len = client->nonce.len;
    /* no name: PostgreSQL takes that of the startup packet */
    buf_put(&client->auth_message, BYTES("n=,r="));
    buf_put(&client->auth_message, buf_bytes(&client->nonce));
    buf_put(out, bytes_of_string(scram_gs2_header(client->flag)));
    buf_put(out, buf_bytes(&client->auth_message));
    if (!buf_ok(&client->nonce) || !buf_ok(&client->auth_message))
        return fail(why, FAIL_MEMORY, "out of memory");
    return memory_of(out, why);
}

static enum fail broken(struct failure *why, const char *what)
{
    return fail(why, FAIL_PROTOCOL, "the server broke SCRAM: %s", what);
}

/* The server's nonce begins with ours; what goes on there must be a nonce, too. */
static bool continues(const struct scram_client *client, struct bytes nonce)
{
    struct bytes ours = buf_bytes(&client->nonce);

    return nonce.len >= ours.len && bytes_equal(bytes_first(nonce, ours.len), ours);
}

enum fail scram_client_read_first(struct scram_client *client, struct bytes message,
                                  struct failure *why)
{
    struct bytes rest = message, nonce, salt, iterations, own;

    if (message.len > SCRAM_MESSAGE_MOST)
        return broken(why, "its first message is too long");
    if (!scram_take(&nonce, &rest, 'r') || !scram_take(&salt, &rest, 's') ||
        !scram_take(&iterations, &rest, 'i'))
        return broken(why, "its first message is malformed");
    if (!continues(client, nonce))
        return broken(why, "its nonce is not ours with more behind it");
    own = nonce;
    bytes_skip(&own, client->nonce_len);
    if (!scram_is_nonce(own))
        return broken(why, "its nonce holds what none may");
    if (!scram_stretch_read(&client->stretch, salt, iterations))
        return broken(why, "its salt or iteration count is out of bounds");
    buf_put(&client->nonce, own);
    buf_put_u8(&client->auth_message, ',');
    buf_put(&client->auth_message, message);
    return memory_of(&client->nonce, why);
}

/* Signs what both have said, both ways. */
static enum fail sign(struct scram_client *client, const struct scram_keys *keys,
                      uint8_t proof[SCRAM_KEY_LEN], struct failure *why)
{
    uint8_t   stored[SCRAM_KEY_LEN];
    enum fail rc = sha256(stored, bytes_of(keys->client_key, SCRAM_KEY_LEN), why);

    if (rc == FAIL_NONE)
        rc = scram_apply_proof(proof, keys->client_key, stored, &client->auth_message, why);
    if (rc == FAIL_NONE)
        rc = scram_sign(client->server_signature, keys->server_key, &client->auth_message, why);
    secret_wipe(stored, sizeof stored);
    return rc;
}

enum fail scram_client_final(struct scram_client *client, const struct scram_keys *keys,
                             struct buf *out, struct failure *why)
{
    struct buf final = BUF_LIMIT(SCRAM_MESSAGE_MOST); /* without the proof */
    uint8_t    proof[SCRAM_KEY_LEN];
    enum fail  rc;

    buf_put(&final, BYTES("c="));
    scram_put_binding(&final, client->flag, bytes_of(client->hash, client->hash_len));
    buf_put(&final, BYTES(",r="));
    buf_put(&final, buf_bytes(&client->nonce));
    buf_put_u8(&client->auth_message, ',');
    buf_put(&client->auth_message, buf_bytes(&final));
    rc = memory_of(&final, why);
    if (rc == FAIL_NONE)
        rc = sign(client, keys, proof, why);
    if (rc == FAIL_NONE) {
        buf_put(out, buf_bytes(&final));
        buf_put(out, BYTES(",p="));
        base64_put(out, bytes_of(proof, sizeof proof));
        rc = memory_of(out, why);
    }
    buf_fini(&final);
    return rc;
}

enum fail scram_client_read_final(struct scram_client *client, struct bytes message,
                                  struct failure *why)
{
    struct bytes rest = message, value;
    uint8_t      signature[SCRAM_KEY_LEN];
    char         text[64];
    size_t       len = 0;

    if (message.len > SCRAM_MESSAGE_MOST)
        return broken(why, "its final message is too long");
    if (scram_take(&value, &rest, 'e')) {
        text_escape(text, sizeof text, value);
        return fail(why, FAIL_REFUSED, "the server refused SCRAM: %s", text);
    }
    if (!scram_take(&value, &rest, 'v') ||
        !base64_read(signature, sizeof signature, &len, value) || len != sizeof signature)
        return broken(why, "its final message is malformed");
    if (equal_in_constant_time(bytes_of(signature, len),
                               bytes_of(client->server_signature, SCRAM_KEY_LEN)))
        return FAIL_NONE;
    fail_hint(why, "somebody who does not know the password's verifier answers in its place");
    return fail(why, FAIL_REFUSED, "the server could not prove that it knows the user");
}
