/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_rows.h - the rows of settings_table.c, a file for each side
 */
#ifndef PGTLS_PROXY_SETTINGS_ROWS_H
#define PGTLS_PROXY_SETTINGS_ROWS_H

#include "proxy/settings_table.h"

#define LONGEST_HOST_NAME 253
#define LONGEST_ADDRESS   300
#define LONGEST_COMMAND   4000
#define LONGEST_LIST      2000
#define LONGEST_QUERY     4000

#define NOT_YET "is not available in this version"

/* Rows that [proxy.listener] and [proxy.backend] both have: each adds its help. */
#define ROW_KEY_PASSPHRASE_COMMAND                                                             \
    .name = "key_passphrase_command", .type = OPTION_STRING,                                   \
    .field = AT(key_passphrase_command), .min = 1, .max = LONGEST_COMMAND,                     \
    .default_text = "none; a key with a passphrase is an error then",                          \
    .sample = "\"/usr/local/bin/passphrase %p\""
#define ROW_MIN_PROTOCOL                                                                       \
    .name = "min_protocol_version", .type = OPTION_CHOICE, .field = AT(tls.min_protocol),      \
    .choices = settings_tls_versions,                                                          \
    .default_text = "`TLSv1.2`, or more where openssl.cnf asks for it",                        \
    .sample = "\"TLSv1.3\""
#define ROW_MAX_PROTOCOL                                                                       \
    .name = "max_protocol_version", .type = OPTION_CHOICE, .field = AT(tls.max_protocol),      \
    .choices = settings_tls_versions, .default_text = "as openssl.cnf says, or the newest",    \
    .sample = "\"TLSv1.3\""
#define ROW_CIPHERS                                                                            \
    .name = "ciphers", .type = OPTION_STRING, .field = AT(tls.ciphers), .min = 1,              \
    .max = LONGEST_LIST, .default_text = "`\"ECDHE+AESGCM:ECDHE+CHACHA20\"`",                  \
    .sample = "\"ECDHE+AESGCM\""
#define ROW_CIPHERSUITES                                                                       \
    .name = "ciphersuites", .type = OPTION_STRING, .field = AT(tls.ciphersuites), .min = 1,    \
    .max = LONGEST_LIST, .default_text = "as openssl.cnf says",                                \
    .sample = "\"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256\""
#define ROW_GROUPS                                                                             \
    .name = "groups", .type = OPTION_STRING, .field = AT(tls.groups), .min = 1,                \
    .max = LONGEST_LIST, .default_text = "as openssl.cnf says", .sample = "\"X25519:P-256\""
#define ROW_RECORD_LAYER                                                                       \
    .name = "record_layer", .type = OPTION_CHOICE, .field = AT(tls.record_layer),              \
    .preset = "auto", .choices = settings_record_layers

/* Each ends with a row without name. */
extern const struct option settings_listener_rows[];
extern const struct option settings_client_tls_rows[]; /* of a listener too, and of a host */
extern const struct option settings_host_rows[];
extern const struct option settings_backend_rows[];
extern const struct option settings_limit_rows[];

extern const struct option_choice settings_sslmodes[];
extern const struct option_choice settings_tls_versions[];
extern const struct option_choice settings_record_layers[];

#endif
