/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/engine_parts.h - what the files of the engine share; for tls/ only
 *
 * context.c builds SSL_CTX with callbacks that find their engine by
 * engine_of(), hello.c and tickets.c are two of those; wire.c is the BIO between an SSL and the
 * caller's bytes; facts.c and explain.c turn what OpenSSL knows into strings; record_layer.h
 * protects records once the handshake is done; engine.c holds it together.
 */
#ifndef PGTLS_TLS_ENGINE_PARTS_H
#define PGTLS_TLS_ENGINE_PARTS_H

#include "tls/engine.h"
#include "tls/held.h"
#include "tls/session.h"

#include <openssl/ssl.h>

struct tls_record_layer;

/* How long what was told of a direction is, which stands in its struct tls_traffic; 0: it was
 * not told. */
struct tls_told {
    uint8_t secret, key, iv;
};

/* And how much had been written when the client's secret came into being. */
struct tls_handover {
    size_t          mark;
    bool            marked; /* in this call */
    struct tls_told read, written;
    bool            listening; /* the secrets of the handshake itself are past */
};

enum engine_state {
    ENGINE_HANDSHAKE,
    ENGINE_OPEN,
    ENGINE_PEER_CLOSED, /* close_notify received */
    ENGINE_TRUNCATED,   /* the transport ended without one; we may still write */
    ENGINE_FAILED,
};

/* Who has the keys of which direction (tls/kernel.h). */
struct tls_kernel {
    bool     decided; /* whether the kernel protects the records of this connection */
    bool     sends;
    bool     receives;
    bool     needs_key; /* the peer has changed its key */
    uint32_t keys_due;  /* each a FRAME_KEY on its way to the socket */
    uint16_t left;      /* content of the frame that `in` stands in */
    uint16_t blocks;    /* sent, less than a full record's; session.write.sequence has those */
};

struct tls_engine {
    struct tls_context            *context; /* what it was begun with */
    const struct tls_context      *chosen;  /* that, or the one of a host in it */
    const struct tls_record_layer *records;
    SSL                           *ssl; /* NULL once the records are our own */
    struct bytes                  *in;  /* the caller's, during a call */
    struct buf                    *out;
    X509                          *peer;        /* from the end of the handshake */
    struct chain                  *chain;       /* likewise, where it is to be kept */
    const struct identity         *own;         /* that we have shown; of the chosen policy */
    char                          *verify_name; /* these three until then */
    char                          *alpn;
    char                          *announced; /* servers: the client's SNI, escaped */
    int64_t                        wall_s;
    char                          *texts;    /* the memory behind facts */
    struct endpoint_hash          *endpoint; /* the same */
    struct tls_facts               facts;
    enum engine_state              state;
    bool                           closed;         /* our direction */
    int16_t                        first_byte;     /* that the peer sent; -1 before */
    int16_t                        alert_received; /* other than close_notify; -1 before */
    int16_t                        alert_sent;
    int16_t alert_wanted;     /* -1; else goes out in place of OpenSSL's, which
                               * knows no 109 before the version is chosen */
    int16_t             host; /* -1: none, or not known yet */
    bool                alpn_required;
    bool                keep_chain;
    struct tls_handover handover;
    struct tls_kernel   kernel;
    struct tls_held     held;    /* these two: records of our own */
    struct tls_session  session; /* wiped */
    struct failure     *failure; /* during the handshake, and once it has failed */
};

static inline struct tls_engine *engine_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

static inline const struct tls_policy_options *engine_policy(const struct tls_engine *engine)
{
    return tls_policy_options(tls_context_policy(engine->chosen));
}

static inline enum tls_role engine_role(const struct tls_engine *engine)
{
    return engine_policy(engine)->role;
}

/* engine_new.c: an engine of this context that has begun nothing yet; NULL when out of memory.
 */
struct tls_engine *tls_engine_new_raw(struct tls_context *context);

/* engine_new.c: the names that only a handshake needs. */
void tls_engine_forget_names(struct tls_engine *engine);

/* engine.c: makes engine->failure, where there is memory for it: it may stay NULL. */
void tls_engine_need_failure(struct tls_engine *engine);

/* wire.c: reads from engine->in, appends to engine->out, keeps nothing. */
BIO_METHOD *tls_wire_method_new(void);

/* record_library.c: for the info callback, when a step of OpenSSL's state machine begins:
 * behind the handshake some of them are for messages that a peer must pay for. */
void tls_library_steps(struct tls_engine *engine);
/* Such a message has come; also where OpenSSL has declined a new handshake, of TLS 1.2. */
void tls_library_charge(struct tls_engine *engine);

/* hello.c: the callback of every server's SSL_CTX. */
int tls_hello_received(SSL *ssl, int *alert, void *unused);

/* handover.c: a traffic secret of the handshake that goes on; a key or a nonce's start that was
 * derived from some secret; a line of the key log, where the
 * callback of an SSL_CTX is there while an engine needs it, which is to be said before each
 * step of a handshake and at each of its states; goes on with records of our own if nothing
 * speaks against it, without engine->ssl; what the peer lets us put in a record (RFC 6066 4).
 */
void   tls_handover_secret(struct tls_engine *engine, bool of_client, struct bytes secret);
void   tls_handover_key(struct tls_engine *engine, struct bytes from, struct bytes key);
void   tls_handover_iv(struct tls_engine *engine, struct bytes from, struct bytes iv);
void   tls_handover_line(const SSL *ssl, const char *line);
void   tls_handover_listen(struct tls_engine *engine);
void   tls_handover_passes(struct tls_engine *engine, OSSL_HANDSHAKE_STATE state);
bool   tls_handover(struct tls_engine *engine);
size_t tls_fragment_limit(const SSL *ssl);

/* facts.c: fills facts, texts, peer and own from the finished handshake. */
enum fail tls_facts_collect(struct tls_engine *engine);

/* After a handshake that failed: what the client announced, if memory allows. */
void tls_facts_collect_sni(struct tls_engine *engine);

/* explain.c: the engine has failed in a call of OpenSSL; says why in engine->failure. */
enum tls_verdict tls_engine_fail(struct tls_engine *engine);

/* The transport ended without close_notify. */
void tls_explain_eof(struct tls_engine *engine);

/* Records are to end for what the peer sent; tls_engine_fail() comes next. */
void tls_explain_sent(struct tls_engine *engine, const char *what);

/* For the verify callback: notes what is wrong with which certificate. */
void tls_explain_certificate(struct tls_engine *engine, X509_STORE_CTX *store);

/* The first error in OpenSSL's queue that says something, 0 for none; empties the queue. */
unsigned long tls_library_error(void);
const char   *tls_library_error_text(unsigned long error);

#endif
