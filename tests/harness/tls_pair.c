/* SPDX-License-Identifier: PostgreSQL */
#include "harness/tls_pair.h"

#include <stdio.h>
#include <stdlib.h>

#define OUT_LIMIT ((size_t)64 << 20)

static void must(const void *made, const struct failure *why)
{
    if (made == NULL) {
        fprintf(stderr, "harness/tls_pair: %s; %s\n", why->text, why->hint);
        abort();
    }
}

struct identity *tls_pki_identity(const struct tls_pki *pki, const struct cert *const *chain)
{
    struct failure   why = { 0 };
    char            *cert = certs_write_chain(pki->dir, "chain.crt", chain);
    char            *key = certs_write_key(pki->dir, "leaf.key", chain[0]);
    struct identity *id =
        identity_load(&(struct identity_files){ .cert = cert, .key = key }, &why);

    must(id, &why);
    free(cert);
    free(key);
    return id;
}

struct trust *tls_pki_trust(const struct tls_pki *pki, const struct cert *const *authorities)
{
    struct failure why = { 0 };
    char          *file = certs_write_chain(pki->dir, "ca.crt", authorities);
    struct trust  *trust = trust_load(file, &why);

    must(trust, &why);
    free(file);
    return trust;
}

void tls_pki_init(struct tls_pki *pki)
{
    pki->dir = certs_dir_new();
    pki->root = cert_make(&(struct cert_spec){ .common_name = "root", .is_ca = true }, NULL);
    pki->issuing =
        cert_make(&(struct cert_spec){ .common_name = "issuing", .is_ca = true }, &pki->root);
    pki->server_cert = cert_make(&(struct cert_spec){ .common_name = "server",
                                                      .names = "DNS:db.example.com,IP:10.0.0.5",
                                                      .usage = "serverAuth" },
                                 &pki->issuing);
    pki->client_cert = cert_make(
        &(struct cert_spec){ .common_name = "alice", .usage = "clientAuth" }, &pki->issuing);
    pki->trust = tls_pki_trust(pki, (const struct cert *[]){ &pki->root, NULL });
    pki->server = tls_pki_identity(
        pki, (const struct cert *[]){ &pki->server_cert, &pki->issuing, NULL });
    pki->client = tls_pki_identity(
        pki, (const struct cert *[]){ &pki->client_cert, &pki->issuing, NULL });
}

void tls_pki_fini(struct tls_pki *pki)
{
    trust_release(pki->trust);
    identity_release(pki->server);
    identity_release(pki->client);
    cert_free(&pki->root);
    cert_free(&pki->issuing);
    cert_free(&pki->server_cert);
    cert_free(&pki->client_cert);
    certs_dir_free(pki->dir);
}

struct tls_engine *tls_pair_engine(const struct tls_policy_options *options,
                                   const struct tls_engine_options *engine_options)
{
    struct failure      why = { 0 };
    struct tls_policy  *policy = tls_policy_new(options, &why);
    struct tls_context *context;
    struct tls_engine  *engine;

    must(policy, &why);
    context = tls_context_new(policy, &why);
    must(context, &why);
    engine = tls_engine_new(context, engine_options, &why);
    must(engine, &why);
    tls_context_release(context);
    tls_policy_release(policy);
    return engine;
}

void tls_pair_init(struct tls_pair *pair, struct tls_engine *client, struct tls_engine *server)
{
    *pair = (struct tls_pair){
        .client = { client, BUF_LIMIT(OUT_LIMIT), TLS_WANT_MORE },
        .server = { server, BUF_LIMIT(OUT_LIMIT), TLS_WANT_MORE },
    };
}

struct tls_pair tls_pair_open(const struct tls_pki *pki, enum tls_records client,
                              enum tls_records server)
{
    static const struct tls_engine_options now = { .wall_s = CERTS_NOW };
    struct tls_pair                        pair;

    tls_pair_init(
        &pair,
        tls_pair_engine(
            &(struct tls_policy_options){ .role = TLS_CLIENT, .record_layer = client }, &now),
        tls_pair_engine(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                      .record_layer = server,
                                                      .identity = pki->server },
                        &now));
    tls_pair_handshake(&pair, SIZE_MAX);
    if (pair.client.verdict != TLS_DONE)
        must(NULL, tls_engine_failure(pair.client.engine));
    if (pair.server.verdict != TLS_DONE)
        must(NULL, tls_engine_failure(pair.server.engine));
    return pair;
}

void tls_pair_fini(struct tls_pair *pair)
{
    tls_engine_free(pair->client.engine);
    tls_engine_free(pair->server.engine);
    buf_fini(&pair->client.out);
    buf_fini(&pair->server.out);
}

/* Hands one piece to the handshake; true if anything moved. */
static bool step(struct tls_side *from, struct tls_side *to, size_t piece)
{
    struct bytes in = bytes_first(buf_bytes(&from->out), piece);
    size_t       offered = in.len;

    if (to->verdict != TLS_WANT_MORE || offered == 0)
        return false;
    to->verdict = tls_engine_handshake(to->engine, &in, &to->out);
    buf_skip(&from->out, offered - in.len);
    return true;
}

void tls_pair_handshake(struct tls_pair *pair, size_t piece)
{
    struct bytes nothing = { NULL, 0 };
    bool         moved = true;

    pair->client.verdict =
        tls_engine_handshake(pair->client.engine, &nothing, &pair->client.out);
    while (moved) {
        moved = step(&pair->client, &pair->server, piece);
        moved = step(&pair->server, &pair->client, piece) || moved;
    }
}

enum tls_verdict tls_pair_carry(struct tls_side *from, struct tls_side *to, size_t piece,
                                struct buf *plain)
{
    uint8_t room[1000];

    do {
        struct bytes in = bytes_first(buf_bytes(&from->out), piece);
        size_t       offered = in.len, got;

        do {
            to->verdict = tls_engine_read(to->engine, &in, room, sizeof room, &got, &to->out);
            buf_put(plain, bytes_of(room, got));
        } while (to->verdict == TLS_DONE);
        buf_skip(&from->out, offered - in.len);
        if (to->verdict != TLS_WANT_MORE)
            break;
    } while (from->out.len > 0);
    return to->verdict;
}
