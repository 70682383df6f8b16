/* SPDX-License-Identifier: PostgreSQL */
#include "pgtls/tls.h"

#include "library/parts.h"
#include "tls/engine.h"

_Static_assert(PGTLS_TLS_CLIENT == (int)TLS_CLIENT &&
                   PGTLS_TLS_PEER_CHAIN == (int)TLS_PEER_CHAIN &&
                   PGTLS_TLS_PEER_NAME == (int)TLS_PEER_NAME &&
                   PGTLS_TLS_WANT_MORE == (int)TLS_WANT_MORE &&
                   PGTLS_TLS_DONE == (int)TLS_DONE && PGTLS_TLS_CLOSED == (int)TLS_CLOSED &&
                   PGTLS_TLS_FAILED == (int)TLS_FAILED,
               "words of the engine");

/* The public types are never complete: only their pointers exist, and are ours. */
static struct tls_engine *inner(const struct pgtls_tls_engine *engine)
{
    return (struct tls_engine *)(uintptr_t)engine;
}

static bool load_files(const struct pgtls_tls_policy_options *from,
                       struct tls_policy_options *to, struct failure *why)
{
    struct identity_files files = { .cert = from->cert_file, .key = from->key_file };

    if (from->cert_file && !(to->identity = identity_load(&files, why)))
        return false;
    return !from->ca_file || (to->trust = trust_load(from->ca_file, why));
}

static bool demands_make_sense(const struct pgtls_tls_policy_options *options,
                               struct failure                        *why)
{
    if (options->role != PGTLS_TLS_SERVER && options->role != PGTLS_TLS_CLIENT)
        fail(why, FAIL_CONFIG, "role is neither PGTLS_TLS_SERVER nor PGTLS_TLS_CLIENT");
    else if (options->peer_check > PGTLS_TLS_PEER_NAME)
        fail(why, FAIL_CONFIG, "peer_check is none of PGTLS_TLS_PEER_ANY, _CHAIN, _NAME");
    else if (!options->cert_file != !options->key_file)
        fail(why, FAIL_CONFIG, "cert_file and key_file are needed together");
    else if (options->role == PGTLS_TLS_SERVER && !options->cert_file)
        fail(why, FAIL_CONFIG, "a server needs cert_file and key_file");
    else if (options->role == PGTLS_TLS_SERVER && options->peer_check == PGTLS_TLS_PEER_NAME)
        fail(why, FAIL_CONFIG, "PGTLS_TLS_PEER_NAME is for clients");
    else if (options->peer_check != PGTLS_TLS_PEER_ANY && !options->ca_file)
        fail(why, FAIL_CONFIG, "verifying the peer needs ca_file");
    else if (options->peer_check == PGTLS_TLS_PEER_ANY && options->ca_file)
        fail(why, FAIL_CONFIG, "ca_file has no effect with PGTLS_TLS_PEER_ANY");
    return !failed(why);
}

struct pgtls_tls_policy *pgtls_tls_policy_new(const struct pgtls_tls_policy_options *options,
                                              struct pgtls_error                    *error)
{
    struct failure           *why = library_failure(error);
    struct tls_policy_options ours = { 0 };
    struct tls_policy        *policy = NULL;

    if (!library_size_fits(options->size, sizeof *options, why) ||
        !demands_make_sense(options, why))
        return NULL;
    ours.role = (enum tls_role)options->role;
    ours.peer_check = (enum tls_peer_check)options->peer_check;
    ours.min_protocol = options->min_protocol;
    if (load_files(options, &ours, why))
        policy = tls_policy_new(&ours, why);
    identity_release(ours.identity);
    trust_release(ours.trust);
    return (struct pgtls_tls_policy *)policy;
}

void pgtls_tls_policy_release(struct pgtls_tls_policy *policy)
{
    tls_policy_release((struct tls_policy *)policy);
}

struct pgtls_tls_context *pgtls_tls_context_new(struct pgtls_tls_policy *policy,
                                                struct pgtls_error      *error)
{
    return (struct pgtls_tls_context *)tls_context_new((struct tls_policy *)policy,
                                                       library_failure(error));
}

void pgtls_tls_context_release(struct pgtls_tls_context *context)
{
    tls_context_release((struct tls_context *)context);
}

struct pgtls_tls_engine *pgtls_tls_engine_new(struct pgtls_tls_context              *context,
                                              const struct pgtls_tls_engine_options *options,
                                              struct pgtls_error                    *error)
{
    struct failure                  *why = library_failure(error);
    const struct tls_policy_options *policy =
        tls_policy_options(tls_context_policy((struct tls_context *)context));

    if (!library_size_fits(options->size, sizeof *options, why))
        return NULL;
    if (policy->peer_check == TLS_PEER_NAME &&
        !(options->verify_name && *options->verify_name)) {
        fail(why, FAIL_CONFIG, "PGTLS_TLS_PEER_NAME needs verify_name");
        return NULL;
    }
    if (policy->peer_check != TLS_PEER_ANY && !library_time_is_told(options->wall_s, why))
        return NULL;
    struct tls_engine_options ours = { .verify_name = options->verify_name,
                                       .sni = options->sni,
                                       .wall_s = options->wall_s };
    return (struct pgtls_tls_engine *)tls_engine_new((struct tls_context *)context, &ours, why);
}

void pgtls_tls_engine_free(struct pgtls_tls_engine *engine)
{
    tls_engine_free(inner(engine));
}

enum pgtls_tls_verdict pgtls_tls_engine_handshake(struct pgtls_tls_engine *engine,
                                                  struct pgtls_bytes      *in,
                                                  struct pgtls_buffer     *out)
{
    struct bytes     left = bytes_of(in->p, in->len);
    enum tls_verdict verdict = tls_engine_handshake(inner(engine), &left, &out->buf);

    *in = (struct pgtls_bytes){ left.p, left.len };
    return (enum pgtls_tls_verdict)verdict;
}

enum pgtls_tls_verdict pgtls_tls_engine_read(struct pgtls_tls_engine *engine,
                                             struct pgtls_bytes *in, uint8_t *plain,
                                             size_t room, size_t *got, struct pgtls_buffer *out)
{
    struct bytes     left = bytes_of(in->p, in->len);
    enum tls_verdict verdict =
        tls_engine_read(inner(engine), &left, plain, room, got, &out->buf);

    *in = (struct pgtls_bytes){ left.p, left.len };
    return (enum pgtls_tls_verdict)verdict;
}

enum pgtls_error_kind pgtls_tls_engine_write(struct pgtls_tls_engine *engine,
                                             struct pgtls_bytes plain, struct pgtls_buffer *out)
{
    return (enum pgtls_error_kind)tls_engine_write(inner(engine), bytes_of(plain.p, plain.len),
                                                   &out->buf);
}

void pgtls_tls_engine_close(struct pgtls_tls_engine *engine, struct pgtls_buffer *out)
{
    tls_engine_close(inner(engine), &out->buf);
}

void pgtls_tls_engine_eof(struct pgtls_tls_engine *engine)
{
    tls_engine_eof(inner(engine));
}

void pgtls_tls_engine_error(const struct pgtls_tls_engine *engine, struct pgtls_error *error)
{
    library_copy_failure(error, tls_engine_failure(inner(engine)));
}

const char *pgtls_tls_engine_version(const struct pgtls_tls_engine *engine)
{
    return tls_engine_facts(inner(engine))->version;
}

const char *pgtls_tls_engine_cipher(const struct pgtls_tls_engine *engine)
{
    return tls_engine_facts(inner(engine))->cipher;
}

const char *pgtls_tls_engine_peer_subject(const struct pgtls_tls_engine *engine)
{
    return tls_engine_facts(inner(engine))->peer_subject;
}

int pgtls_tls_engine_peer_verified(const struct pgtls_tls_engine *engine)
{
    return tls_engine_facts(inner(engine))->peer_verified;
}
