/* SPDX-License-Identifier: PostgreSQL */
#include "scram/server.h"

#include "base/base64.h"
#include "base/secret.h"
#include "crypto/equal.h"
#include "crypto/sha256.h"

#define AUTH_MESSAGE_MOST ((size_t)3 * SCRAM_MESSAGE_MOST)

static const char malformed[] = "malformed SCRAM message";

void scram_server_init(struct scram_server *server, const struct scram_server_options *options)
{
    *server = (struct scram_server){
        .offers_plus = options->offers_plus,
        .chosen_nonce = options->nonce,
        .auth_message = BUF_LIMIT(AUTH_MESSAGE_MOST),
        .nonce = BUF_LIMIT(2 * SCRAM_NONCE_MOST),
    };
    if (options->offers_plus && options->hash.len <= SCRAM_BINDING_MOST) {
        server->hash_len = (uint8_t)options->hash.len;
        memcpy(server->hash, options->hash.p, options->hash.len);
    }
}

void scram_server_fini(struct scram_server *server)
{
    buf_fini(&server->auth_message);
    buf_fini(&server->nonce);
    *server = (struct scram_server){ 0 };
}

static enum scram_verdict refuse(struct scram_server *server, const char *sqlstate,
                                 const char *message, const char *detail)
{
    server->refusal = (struct scram_refusal){ sqlstate, message, detail };
    return SCRAM_REFUSED;
}

/* ---- client-first-message ---- */

static enum scram_verdict flag_fits(struct scram_server *server, bool is_plus)
{
    if (is_plus && server->flag != SCRAM_BOUND)
        return refuse(server, "08P01", malformed,
                      "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not "
                      "include channel binding data.");
    if (!is_plus && server->flag == SCRAM_BOUND)
        return refuse(server, "08P01", malformed,
                      "The client selected SCRAM-SHA-256 without channel binding, but the "
                      "SCRAM message includes channel binding data.");
    if (server->flag == SCRAM_UNOFFERED && server->offers_plus)
        return refuse(server, "28000", "SCRAM channel binding negotiation error",
                      "The client supports SCRAM channel binding but thinks the server does "
                      "not.  However, this server does support channel binding.");
    return SCRAM_GOES_ON;
}

/* "n", "y" or "p=...", and the comma behind it. */
static enum scram_verdict read_flag(struct scram_server *server, struct bytes *message)
{
    struct bytes type;

    if (scram_take(&type, message, 'p')) {
        server->flag = SCRAM_BOUND;
        return bytes_equal(type, BYTES(SCRAM_BINDING_TYPE))
                   ? SCRAM_GOES_ON
                   : refuse(server, "08P01", "unsupported SCRAM channel-binding type", NULL);
    }
    if (message->len < 2 || message->p[1] != ',' ||
        (message->p[0] != 'n' && message->p[0] != 'y'))
        return refuse(server, "08P01", malformed, "Unexpected channel-binding flag.");
    server->flag = message->p[0] == 'n' ? SCRAM_UNABLE : SCRAM_UNOFFERED;
    bytes_skip(message, 2);
    return SCRAM_GOES_ON;
}

/* The authorization identity, which must be none. */
static enum scram_verdict read_identity(struct scram_server *server, struct bytes *message)
{
    struct bytes identity;

    if (scram_take(&identity, message, 'a'))
        return refuse(server, "0A000",
                      "client uses authorization identity, but it is not supported", NULL);
    if (message->len == 0 || message->p[0] != ',')
        return refuse(server, "08P01", malformed, "Unexpected attribute.");
    bytes_skip(message, 1);
    return SCRAM_GOES_ON;
}

static enum scram_verdict read_bare(struct scram_server *server, struct bytes bare)
{
    struct bytes rest = bare, name, nonce;

    if (scram_take(&name, &rest, 'm'))
        return refuse(server, "0A000", "client requires an unsupported SCRAM extension", NULL);
    /* the name is that of the startup packet, whatever stands here */
    if (!scram_take(&name, &rest, 'n') || !scram_take(&nonce, &rest, 'r'))
        return refuse(server, "08P01", malformed, "Attribute expected, but not found.");
    if (!scram_is_nonce(nonce))
        return refuse(server, "08P01", "non-printable characters in SCRAM nonce",
                      nonce.len > SCRAM_NONCE_MOST ? "The nonce is too long." : NULL);
    buf_put(&server->nonce, nonce);
    buf_put(&server->auth_message, bare);
    return SCRAM_GOES_ON;
}

enum scram_verdict scram_server_read_first(struct scram_server *server, const char *mechanism,
                                           struct bytes message)
{
    bool               is_plus = strcmp(mechanism, "SCRAM-SHA-256-PLUS") == 0;
    enum scram_verdict verdict;

    if ((!is_plus && strcmp(mechanism, "SCRAM-SHA-256") != 0) ||
        (is_plus && !server->offers_plus))
        return refuse(server, "08P01",
                      "client selected an invalid SASL authentication mechanism", NULL);
    if (message.len == 0 || message.len > SCRAM_MESSAGE_MOST)
        return refuse(server, "08P01", malformed,
                      message.len == 0 ? "The message is empty." : "The message is too long.");
    if (memchr(message.p, 0, message.len) != NULL)
        return refuse(server, "08P01", malformed,
                      "Message length does not match input length.");
    verdict = read_flag(server, &message);
    if (verdict == SCRAM_GOES_ON)
        verdict = flag_fits(server, is_plus);
    if (verdict == SCRAM_GOES_ON)
        verdict = read_identity(server, &message);
    return verdict == SCRAM_GOES_ON ? read_bare(server, message) : verdict;
}

enum fail scram_server_first(struct scram_server *server, const struct scram_stretch *stretch,
                             struct buf *out, struct failure *why)
{
    struct buf message = BUF_LIMIT(SCRAM_MESSAGE_MOST);
    enum fail  rc = FAIL_NONE;

    if (server->chosen_nonce != NULL)
        buf_put(&server->nonce, bytes_of_string(server->chosen_nonce));
    else
        rc = scram_put_nonce(&server->nonce, why);
    buf_put(&message, BYTES("r="));
    buf_put(&message, buf_bytes(&server->nonce));
    buf_put(&message, BYTES(",s="));
    base64_put(&message, bytes_of(stretch->salt, stretch->salt_len));
    buf_put_format(&message, ",i=%u", stretch->iterations);
    buf_put_u8(&server->auth_message, ',');
    buf_put(&server->auth_message, buf_bytes(&message));
    buf_put(out, buf_bytes(&message));
    if (rc == FAIL_NONE && (!buf_ok(&message) || !buf_ok(&server->nonce) || !buf_ok(out)))
        rc = fail(why, FAIL_MEMORY, "out of memory");
    buf_fini(&message);
    return rc;
}

/* ---- client-final-message ---- */

struct final {
    struct bytes without_proof;
    uint8_t      proof[SCRAM_KEY_LEN];
};

/* The channel that the client saw is ours: byte for byte what it said in its first message, and
 * the hash of our certificate. */
static enum scram_verdict check_binding(struct scram_server *server, struct bytes binding)
{
    struct buf want = BUF_LIMIT(256);
    bool       fits;

    scram_put_binding(&want, server->flag, bytes_of(server->hash, server->hash_len));
    fits = buf_ok(&want) && equal_in_constant_time(buf_bytes(&want), binding);
    buf_fini(&want);
    if (fits)
        return SCRAM_GOES_ON;
    if (server->flag == SCRAM_BOUND)
        return refuse(server, "28000", "SCRAM channel binding check failed", NULL);
    return refuse(server, "08P01",
                  "unexpected SCRAM channel-binding attribute in client-final-message", NULL);
}

/* Extensions that nobody demands may stand between nonce and proof. */
static bool skip_to_proof(struct bytes *proof, struct bytes *rest, struct bytes message,
                          struct bytes *without_proof)
{
    struct bytes value;

    while (rest->len > 0 && rest->p[0] != 'p') {
        char name = (char)rest->p[0];

        if (((name | 32) < 'a' || (name | 32) > 'z') || !scram_take(&value, rest, name))
            return false;
    }
    if (rest->len == 0)
        return false;
    *without_proof = bytes_first(message, (size_t)(rest->p - message.p) - 1);
    return scram_take(proof, rest, 'p') && rest->len == 0;
}

static enum scram_verdict read_final(struct scram_server *server, struct final *out,
                                     struct bytes message)
{
    struct bytes       rest = message, binding, nonce, proof;
    size_t             len = 0;
    enum scram_verdict verdict;

    if (message.len == 0 || message.len > SCRAM_MESSAGE_MOST ||
        memchr(message.p, 0, message.len) != NULL)
        return refuse(server, "08P01", malformed,
                      message.len > SCRAM_MESSAGE_MOST ? "The message is too long." : NULL);
    if (!scram_take(&binding, &rest, 'c') || !scram_take(&nonce, &rest, 'r'))
        return refuse(server, "08P01", malformed, "Attribute expected, but not found.");
    verdict = check_binding(server, binding);
    if (verdict != SCRAM_GOES_ON)
        return verdict;
    if (!skip_to_proof(&proof, &rest, message, &out->without_proof) ||
        !base64_read(out->proof, sizeof out->proof, &len, proof) || len != sizeof out->proof)
        return refuse(server, "08P01", malformed, "Malformed proof in client-final-message.");
    if (!equal_in_constant_time(nonce, buf_bytes(&server->nonce)))
        return refuse(server, "08P01", "invalid SCRAM response", "Nonce does not match.");
    return SCRAM_GOES_ON;
}

/* RFC 5802 section 3: ClientKey is what the proof hides, and its hash is StoredKey. */
static enum scram_verdict prove(struct scram_server *server, const struct final *final,
                                const struct scram_verifier *verifier,
                                uint8_t client_key[SCRAM_KEY_LEN], struct failure *why)
{
    static const struct scram_verifier nobody;
    const struct scram_verifier       *of = verifier != NULL ? verifier : &nobody;
    uint8_t                            stored[SCRAM_KEY_LEN];
    bool                               fits;

    if (scram_apply_proof(client_key, final->proof, of->stored_key, &server->auth_message,
                          why) != FAIL_NONE ||
        sha256(stored, bytes_of(client_key, SCRAM_KEY_LEN), why) != FAIL_NONE)
        return SCRAM_FAILED;
    fits = equal_in_constant_time(bytes_of(stored, SCRAM_KEY_LEN),
                                  bytes_of(of->stored_key, SCRAM_KEY_LEN));
    return fits && verifier != NULL ? SCRAM_GOES_ON : refuse(server, "28P01", NULL, NULL);
}

enum scram_verdict scram_server_read_final(struct scram_server *server, struct bytes message,
                                           const struct scram_verifier *verifier,
                                           uint8_t         client_key[SCRAM_KEY_LEN],
                                           struct failure *why)
{
    struct final       final;
    enum scram_verdict verdict = read_final(server, &final, message);

    if (verdict == SCRAM_GOES_ON) {
        buf_put_u8(&server->auth_message, ',');
        buf_put(&server->auth_message, final.without_proof);
        verdict = prove(server, &final, verifier, client_key, why);
    }
    if (verdict != SCRAM_GOES_ON)
        secret_wipe(client_key, SCRAM_KEY_LEN);
    return verdict;
}

enum fail scram_server_final(const struct scram_server   *server,
                             const struct scram_verifier *verifier, struct buf *out,
                             struct failure *why)
{
    uint8_t   signature[SCRAM_KEY_LEN];
    enum fail rc = scram_sign(signature, verifier->server_key, &server->auth_message, why);

    if (rc != FAIL_NONE)
        return rc;
    buf_put(out, BYTES("v="));
    base64_put(out, bytes_of(signature, sizeof signature));
    return buf_ok(out) ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");
}
