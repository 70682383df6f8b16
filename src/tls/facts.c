/* SPDX-License-Identifier: PostgreSQL */
#include "base/text.h"
#include "tls/engine_parts.h"
#include "tls/seen.h"

#include <openssl/objects.h>
#include <stdlib.h>

#define LONGEST_NAME 512u

/* A string that must be copied, and the fact that will point to the copy. */
struct fact {
    const char **to;
    const char  *text; /* NULL: nothing is known */
};

/* Copies all of them into one allocation. */
static enum fail pack(struct tls_engine *engine, const struct fact *facts, size_t count)
{
    size_t size = 1;
    char  *at;

    for (size_t i = 0; i < count; i++)
        size += facts[i].text != NULL ? strlen(facts[i].text) + 1 : 0;
    if ((at = engine->texts = malloc(size)) == NULL)
        return fail(engine->failure, FAIL_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        if (facts[i].text == NULL)
            continue;
        *facts[i].to = strcpy(at, facts[i].text);
        at += strlen(at) + 1;
    }
    return FAIL_NONE;
}

static const char *group_name(SSL *ssl)
{
    int         id = (int)SSL_get_negotiated_group(ssl);
    const char *name = id == NID_undef ? NULL : SSL_group_to_name(ssl, id);

    if (name == NULL && id != NID_undef && (id & TLSEXT_nid_unknown) == 0)
        name = OBJ_nid2sn(id);
    return name;
}

static const char *escaped(char *out, size_t size, struct bytes text)
{
    if (text.len == 0)
        return NULL;
    text_escape(out, size, text);
    return out;
}

/* What a client has announced is known since its hello, also where the rest fails. */
static const char *escaped_sni(char *out, size_t size, const struct tls_engine *engine)
{
    const char *sni = SSL_get_servername(engine->ssl, TLSEXT_NAMETYPE_host_name);

    if (engine_role(engine) == TLS_SERVER)
        return engine->announced;
    return escaped(out, size, sni != NULL ? bytes_of_string(sni) : bytes_of(NULL, 0));
}

static const char *escaped_alpn(char *out, size_t size, const SSL *ssl)
{
    const unsigned char *alpn = NULL;
    unsigned             len = 0;

    SSL_get0_alpn_selected(ssl, &alpn, &len);
    return escaped(out, size, bytes_of(alpn, len));
}

static enum fail collect_texts(struct tls_engine *engine, const struct certificate_facts *peer)
{
    struct tls_facts *facts = &engine->facts;
    char              sni[LONGEST_NAME], alpn[LONGEST_NAME];
    const struct fact texts[] = {
        { &facts->group, group_name(engine->ssl) },
        { &facts->alpn, escaped_alpn(alpn, sizeof alpn, engine->ssl) },
        { &facts->sni, escaped_sni(sni, sizeof sni, engine) },
        { &facts->peer_subject, peer->subject },
        { &facts->peer_issuer, peer->issuer },
        { &facts->peer_serial, peer->serial },
        { &facts->peer_fingerprint, peer->fingerprint },
    };

    facts->version = SSL_get_version(engine->ssl);
    facts->cipher = SSL_get_cipher_name(engine->ssl);
    facts->resumed = SSL_session_reused(engine->ssl) == 1;
    return pack(engine, texts, sizeof texts / sizeof *texts);
}

/* A server's choice depends on what the client can verify. */
static const struct identity *shown_identity(const struct tls_engine *engine)
{
    const struct tls_policy_options *options = engine_policy(engine);
    const X509                      *shown = SSL_get_certificate(engine->ssl);

    for (size_t i = 0; i < TLS_MOST_IDENTITIES - 1; i++) {
        const struct identity *other = options->more_identities[i];

        if (other != NULL && identity_leaf(other) == shown)
            return other;
    }
    return options->identity;
}

/* Kept beyond the certificate itself: SCRAM binds to it later. */
static enum fail collect_endpoint(struct tls_engine *engine, struct tls_seen *seen)
{
    if (engine->peer == NULL || engine_role(engine) == TLS_SERVER)
        return FAIL_NONE;
    if ((engine->endpoint = malloc(sizeof *engine->endpoint)) == NULL)
        return fail(engine->failure, FAIL_MEMORY, "out of memory");
    *engine->endpoint = *tls_seen_endpoint(seen, engine->peer);
    engine->facts.peer_endpoint = engine->endpoint;
    return FAIL_NONE;
}

enum fail tls_facts_collect(struct tls_engine *engine)
{
    static const struct certificate_facts nothing;
    struct tls_seen                      *seen = tls_context_seen(engine->context);
    enum fail                             rc = FAIL_NONE;

    engine->own = shown_identity(engine);
    engine->peer = SSL_get1_peer_certificate(engine->ssl);
    engine->facts.peer_presented = engine->peer != NULL;
    engine->facts.peer_verified = engine->peer != NULL &&
                                  (SSL_get_verify_mode(engine->ssl) & SSL_VERIFY_PEER) != 0 &&
                                  SSL_get_verify_result(engine->ssl) == X509_V_OK;
    if (engine->peer != NULL)
        rc = tls_seen_look(seen, engine->peer, engine->failure);
    if (rc == FAIL_NONE)
        rc = collect_texts(engine, engine->peer != NULL ? &seen->facts : &nothing);
    return rc == FAIL_NONE ? collect_endpoint(engine, seen) : rc;
}

void tls_facts_collect_sni(struct tls_engine *engine)
{
    char        sni[LONGEST_NAME];
    struct fact text = { &engine->facts.sni, NULL };

    if (engine->texts != NULL || engine->ssl == NULL)
        return;
    text.text = escaped_sni(sni, sizeof sni, engine);
    if (text.text != NULL && pack(engine, &text, 1) != FAIL_NONE)
        engine->facts.sni = NULL;
}
