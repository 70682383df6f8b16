/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings.h - the configuration of `pgtls proxy`, read and proved
 *
 * The tables in settings.c are the only place where a setting is declared: the
 * parser, `pgtls help settings`, the manual and the sample are made from them.
 */
#ifndef PGTLS_PROXY_SETTINGS_H
#define PGTLS_PROXY_SETTINGS_H

#include "conf/option.h"
#include "runtime/log.h"

enum sslmode {
    SSLMODE_UNSET, /* before the defaults are worked out; never after settings_load() */
    SSLMODE_DISABLE,
    SSLMODE_REQUIRE,
    SSLMODE_VERIFY_CA,
    SSLMODE_VERIFY_FULL,
};

enum cancel_policy { CANCEL_UNSET, CANCEL_ALLOW, CANCEL_TLS_ONLY };

/* Durations are microseconds, 0 = none.  Strings are owned by the settings. */
struct listener_settings {
    struct conf_strings bind_address; /* as written: "0.0.0.0:6432", "unix:/path" */
    int                 sslmode;      /* enum sslmode; the default is worked out */
    int                 mtls;         /* -1 not said, 0, 1 */
    char               *server_cert;  /* paths are absolute here */
    char               *server_key;
    char               *client_ca;
    int                 cancel; /* enum cancel_policy; the default is worked out */
    uint64_t            max_record_bytes;
    uint64_t            unix_socket_mode;
};

struct backend_settings {
    char *address; /* "host:port", "unix:/path" */
    int   sslmode;
    int   tls_enabled; /* -1 not said, 0, 1 */
    char *root_ca;     /* absolute path, or "system" */
    char *client_cert;
    char *client_key;
    char *verify_name; /* default: host of address */
    char *sni;         /* default: host of address; "" announces none */
};

struct limit_settings {
    uint64_t max_connections;
    uint64_t first_byte_timeout_us;
    uint64_t handshake_timeout_us;
    uint64_t connect_timeout_us;
    uint64_t login_timeout_us;
    uint64_t idle_timeout_us;
    uint64_t drain_timeout_us;
    uint64_t tcp_keepalive_us;
    uint64_t tcp_user_timeout_us;
};

struct route_settings {
    char                    *name;
    int                      line; /* of [[proxy]] in the file */
    struct listener_settings listener;
    struct backend_settings  backend;
    struct limit_settings    limits;
};

struct proxy_settings {
    char                  *file;
    int                    log_level;  /* enum log_level */
    int                    log_format; /* enum log_format */
    uint64_t               workers;    /* 0: one a CPU */
    struct route_settings *routes;
    size_t                 route_count;
};

/*
 * Reads and checks `file`.  NULL if there is any error; `problems` then has all
 * of them, each "FILE:LINE: route "NAME": SETTING: WHAT; HINT".  Warnings are
 * in `problems` with success too.
 */
struct proxy_settings *settings_load(const char *file, struct conf_problems *problems);
void                   settings_free(struct proxy_settings *settings); /* NULL is fine */

#endif
