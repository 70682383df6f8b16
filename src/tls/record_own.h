/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/record_own.h - what the two halves of our record layer share; for tls/ only
 */
#ifndef PGTLS_TLS_RECORD_OWN_H
#define PGTLS_TLS_RECORD_OWN_H

#include "tls/engine_parts.h"

#define TLS_KEY_UPDATE        24 /* RFC 8446 4 */
#define TLS_KEY_UPDATE_RECORD (5u + TLS_RECORD_OVERHEAD)
#define TLS_ALERT_WARNING     1
#define TLS_ALERT_FATAL       2

/* Appends an alert, unless our direction has ended. */
void tls_record_alert(struct tls_engine *engine, int level, int alert);

/* Appends a KeyUpdate and goes on with the next keys. */
bool tls_record_update(struct tls_engine *engine, bool request);

/* Forgets all keys: no byte goes either way any more. */
void tls_record_wipe(struct tls_engine *engine);

/* record_read.c */
enum tls_verdict tls_record_read(struct tls_engine *engine, uint8_t *plain, size_t room,
                                 size_t *got);

#endif
