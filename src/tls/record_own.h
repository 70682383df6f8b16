/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/record_own.h - what the files of our record layer share; for tls/ only
 *
 * record_own.c is what we send, record_read.c what we receive, and record_kernel.c both where
 * the kernel has the keys.
 */
#ifndef PGTLS_TLS_RECORD_OWN_H
#define PGTLS_TLS_RECORD_OWN_H

#include "tls/engine_parts.h"

#define TLS_KEY_UPDATE        24 /* RFC 8446 4 */
#define TLS_KEY_UPDATE_RECORD (5u + TLS_RECORD_OVERHEAD)
#define TLS_ALERT_WARNING     1
#define TLS_ALERT_FATAL       2

#define TLS_BAD_RECORD_MAC  20
#define TLS_RECORD_OVERFLOW 22
#define TLS_DECODE_ERROR    50
#define TLS_INTERNAL_ERROR  80

/* Where plaintext goes. */
struct tls_sink {
    uint8_t *at;
    size_t   room;
};

enum tls_step {
    STEP_ON,   /* go on with the next record */
    STEP_MORE, /* all of `in` is taken */
    STEP_FULL, /* the sink has no room for more */
    STEP_CLOSED,
    STEP_FAILED,
};

/* Appends an alert, unless our direction has ended. */
void tls_record_alert(struct tls_engine *engine, int level, int alert);

/* Appends a KeyUpdate and goes on with the next keys.  False after a failure. */
bool tls_record_update(struct tls_engine *engine, bool request);

enum fail tls_record_write(struct tls_engine *engine, struct bytes plain);
size_t    tls_record_sealed_size(const struct tls_engine *engine, size_t plain_bytes);
void      tls_record_close(struct tls_engine *engine);

/* Forgets all keys: no byte goes either way any more. */
void tls_record_wipe(struct tls_engine *engine);

/* record_read.c; the content of one record is looked at, and its data stays where it is */
enum tls_verdict tls_record_read(struct tls_engine *engine, uint8_t *plain, size_t room,
                                 size_t *got);
enum tls_step tls_record_content(struct tls_engine *engine, uint8_t type, struct bytes content);
enum tls_step tls_record_refuse(struct tls_engine *engine, int alert, const char *what);

/* record_kernel.c; the last one says why the connection ends, and is false */
bool          tls_frame_put(struct tls_engine *engine, uint8_t type, struct bytes content);
bool          tls_frame_key(struct tls_engine *engine);
enum tls_step tls_frame_next(struct tls_engine *engine, struct tls_sink *sink);
bool          tls_record_cannot_update(struct tls_engine *engine, const char *what);

#endif
