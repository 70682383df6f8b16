/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/forge.h - records that no TLS library would send
 *
 * The far end of an engine is an OpenSSL that has made the handshake and tells its secrets;
 * from there on records are forged with them.
 */
#ifndef PGTLS_HARNESS_FORGE_H
#define PGTLS_HARNESS_FORGE_H

#include "tls/record_own.h"

struct forge {
    struct tls_engine *engine;
    struct buf         out; /* of the engine */
    SSL_CTX           *library;
    SSL               *peer;
    BIO               *to_peer, *from_peer;
    struct tls_aeads  *aeads;
    struct tls_traffic traffic;   /* towards the engine */
    bool               is_server; /* the engine */
    struct buf         wire;      /* forged */
    uint8_t            alert[2];  /* that the far end was sent last */
};

/* Both have shaken hands, and the engine's records are protected by `layer`. */
void forge_init(struct forge *forge, bool is_server, enum tls_records layer, const char *suite);
void forge_fini(struct forge *forge);

/*
 * What the far end sends, as words:
 *
 *     data=BODY alert=BODY hs=BODY 99=BODY    a record of that inner type, sealed
 *     inner=BODY                              a sealed record with this TLSInnerPlaintext
 *     wire=BODY                               bytes as they are
 *     keys                                    from here on with the next keys
 *     skip                                    a sequence number is lost
 *     again                                   what was sent last, once more
 *     flip-N                                  a bit is turned, N bytes before the end
 *
 * BODY is hexadecimal digits, then perhaps @N: so many bytes 'x'.  Behind it +N is so much
 * padding, and *N that it comes so often.
 */
void forge_words(struct forge *forge, const char *words);

#endif
