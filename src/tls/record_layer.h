/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/record_layer.h - who protects records after the handshake; for tls/ only
 *
 * The engine checks its state, lends engine->in and engine->out for the call,
 * and then comes here.  The contracts are those of the functions of tls/engine.h
 * with the same names.
 */
#ifndef PGTLS_TLS_RECORD_LAYER_H
#define PGTLS_TLS_RECORD_LAYER_H

#include "tls/engine.h"

struct tls_record_layer {
    const char *name; /* as in the setting record_layer */
    enum tls_verdict (*read)(struct tls_engine *engine, uint8_t *plain, size_t room,
                             size_t *got);
    enum fail (*write)(struct tls_engine *engine, struct bytes plain);
    size_t (*sealed_size)(const struct tls_engine *engine, size_t plain_bytes);
    void (*close)(struct tls_engine *engine);
};

/* SSL_read and SSL_write: every version and cipher. */
extern const struct tls_record_layer tls_record_library;

/* Ours: TLS 1.3, without an SSL object. */
extern const struct tls_record_layer tls_record_own;

/* The same until the kernel has the keys, of one direction or both. */
extern const struct tls_record_layer tls_record_kernel;

#endif
