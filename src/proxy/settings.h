/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings.h - the configuration of `pgtls proxy`, read and proved
 *
 * The tables in settings_table.c and settings_rows_*.c are the only place where a setting is
 * declared: the parser, `pgtls help settings`, the manual and the sample are made from them.
 */
#ifndef PGTLS_PROXY_SETTINGS_H
#define PGTLS_PROXY_SETTINGS_H

#include "conf/option.h"
#include "io/loop.h"
#include "runtime/log.h"
#include "session/proxy_header.h"
#include "x509/certificate.h"

#include <stdatomic.h>

enum sslmode {
    SSLMODE_UNSET, /* before the defaults are worked out; never after settings_load() */
    SSLMODE_DISABLE,
    SSLMODE_ALLOW,
    SSLMODE_PREFER,
    SSLMODE_REQUIRE,
    SSLMODE_VERIFY_CA,
    SSLMODE_VERIFY_FULL,
};

enum route_protocol { PROTOCOL_POSTGRESQL };

enum direct_tls { DIRECT_TLS_ALLOW, DIRECT_TLS_REQUIRE, DIRECT_TLS_REFUSE };

enum ssl_negotiation { NEGOTIATE_POSTGRES, NEGOTIATE_DIRECT };

/* How a login with SCRAM passes between two legs. */
enum scram_way { SCRAM_AUTO, SCRAM_PASSTHROUGH, SCRAM_STRIP, SCRAM_BRIDGE };

enum cancel_policy { CANCEL_UNSET, CANCEL_ALLOW, CANCEL_TLS_ONLY };

enum protocol_version { VERSION_UNSET, VERSION_TLS_1_2, VERSION_TLS_1_3 };

/* What both legs say of TLS in words; NULL: as openssl.cnf says, see the rows. */
struct tls_settings {
    int   min_protocol; /* enum protocol_version */
    int   max_protocol;
    char *ciphers;
    char *ciphersuites;
    char *groups;
    int   record_layer; /* enum tls_records */
};

enum cancel_unknown { CANCEL_UNKNOWN_REFUSE, CANCEL_UNKNOWN_BROADCAST };

#define MOST_BROADCAST 16 /* backends that an unknown cancel key is sent to */

/* Durations are microseconds, 0 = none.  Strings are owned by the settings. */
struct listener_settings {
    struct conf_strings bind_address; /* as written: "0.0.0.0:6432", "unix:/path" */
    int                 sslmode;      /* enum sslmode; the default is worked out */
    int                 mtls;         /* -1 not said, 0, 1 */
    struct conf_strings names;        /* of a host; none for a port */
    struct conf_strings server_cert;  /* paths are absolute here */
    struct conf_strings server_key;   /* as many: paths, or URIs of stores */
    char               *key_passphrase_command;
    char               *client_ca;
    char               *client_crl_file;
    char               *client_crl_dir;
    int                 client_name; /* enum certificate_name_kind */
    char               *ident_file;
    char               *ident_map;
    struct tls_settings tls;
    int                 prefer_server_ciphers; /* -1 not said, 0, 1 */
    char               *dh_params_file;
    int                 session_tickets; /* -1 not said, 0, 1 */
    char               *ticket_key_file;
    struct conf_strings allow; /* networks; none: everybody */
    struct conf_strings deny;
    int                 direct_tls;     /* enum direct_tls */
    int                 cancel;         /* enum cancel_policy; the default is worked out */
    int                 cancel_unknown; /* enum cancel_unknown */
    uint64_t            max_record_bytes;
    uint64_t            unix_socket_mode;
    char               *unix_socket_group;
    int                 proxy_protocol; /* enum proxy_protocol */
    struct conf_strings trusted_proxies;
    uint64_t            cert_refresh_interval_us; /* 0: at a reload alone */
};

struct backend_settings {
    struct conf_strings addresses; /* "host:port", "unix:/path", in the order to try them */
    struct conf_strings source_address;
    int                 sslmode;
    int                 sslnegotiation; /* enum ssl_negotiation */
    int                 proxy_protocol; /* enum proxy_protocol */
    int                 tls_enabled;    /* -1 not said, 0, 1 */
    char               *root_ca;        /* absolute path, or "system" */
    char               *crl_file;
    char               *crl_dir;
    char               *client_cert;
    char               *client_key; /* a path, or the URI of a store */
    char               *key_passphrase_command;
    struct tls_settings tls;
    char               *verify_name; /* NULL: host of the address */
    char               *sni;         /* NULL: host of the address; "" announces none */
    int                 scram;       /* enum scram_way */
    char               *auth_file;
    char               *auth_query; /* NULL: none */
    char               *auth_query_user;
    char               *auth_query_password_file;
    char               *auth_query_database; /* NULL: postgres */
    uint64_t            auth_query_cache_us; /* how long an answer is good */
    uint64_t            auth_query_cache_users;
};

struct limit_settings {
    uint64_t max_connections;
    uint64_t max_pending_logins;
    uint64_t max_connections_per_ip; /* 0: no limit */
    uint64_t handshakes_per_second;  /* 0: no limit */
    uint64_t first_byte_timeout_us;
    uint64_t handshake_timeout_us;
    uint64_t connect_timeout_us;
    uint64_t login_timeout_us;
    uint64_t idle_timeout_us;
    uint64_t drain_timeout_us;
    uint64_t tcp_keepalive_us;
    uint64_t tcp_user_timeout_us;
};

enum settings_section {
    SECTION_PROXY,
    SECTION_LISTENER,
    SECTION_BACKEND,
    SECTION_LIMITS,
    SECTION_HOST, /* of a host only: fills its listener */
};
#define SECTION_COUNT 4 /* those that every route has */

/* Where the settings of one section are in the file; 0: nowhere. */
struct section_lines {
    int header;
    int rows[OPTION_LIMIT];     /* in the route itself; -1 - n: the n-th --set */
    int defaults[OPTION_LIMIT]; /* in [defaults.*] of the main file; -1 - n: the n-th --set */
};

/*
 * A route, or one of its hosts ([[proxy.host]]), which is a route of its own behind the same
 * port: it starts from the listener, the limits and the backend of the port.
 */
struct route_settings {
    char                    *name;
    int                      protocol; /* enum route_protocol */
    int                      line;     /* of [[proxy]] in the file */
    char                    *file; /* that it is in: the main one, or one that it includes */
    const char              *main_file; /* borrowed from the settings */
    const char *const       *sets;      /* borrowed from the source */
    struct listener_settings listener;
    struct backend_settings  backend;
    struct limit_settings    limits;
    struct section_lines     lines[SECTION_COUNT + 1];
    bool                     is_host;
    bool                     has_own_backend; /* of a host: otherwise that of the port */
    struct route_settings   *hosts;           /* of a port; none: it has one policy for all */
    size_t                   host_count;
};

struct proxy_settings {
    atomic_uint            holders;
    char                  *file;      /* as it was given */
    char                  *log_level; /* log_levels_parse() takes it */
    char                  *log_file;  /* absolute; NULL or "": standard error */
    char                  *user;      /* NULL or "": stay as we are */
    struct conf_strings    include;
    int                    log_format;          /* enum log_format */
    uint64_t               workers;             /* 0: one a CPU */
    int                    event_loop;          /* enum loop_kind */
    int                    lines[OPTION_LIMIT]; /* as those of a section */
    const char *const     *sets;                /* borrowed from the source */
    struct route_settings *routes;
    size_t                 route_count;
};

#define SETTINGS_LARGEST_FILE ((size_t)16 * 1024 * 1024)

/* Where a configuration comes from; borrowed, and read again at every reload. */
struct settings_source {
    const char       *file;
    const struct buf *text;  /* of a pipe, which comes once: `file` is only its name, and
                              * relative  paths start at the working directory.  NULL: a file */
    const char *const *sets; /* of --set: "PATH=VALUE" */
    size_t             set_count;
};

/*
 * Reads and checks `source`, and where that has errors the files it names too.  NULL if there
 * is any error; `problems` then has all of them, each "FILE:LINE: route "NAME": SETTING: WHAT;
 * HINT".  Warnings are in `problems` with success too.
 */
struct proxy_settings *settings_load(const struct settings_source *source,
                                     struct conf_problems         *problems);

/* The same for the text of a file, and no other file is opened, include or not; `file` is its
 * name in problems, and where relative paths start. */
struct proxy_settings *settings_load_text(const char *file, struct bytes text,
                                          struct conf_problems *problems);

struct proxy_settings *settings_hold(struct proxy_settings *settings); /* one more user */
void settings_free(struct proxy_settings *settings); /* the last user's; NULL is fine */

/* Whom the program becomes; NULL: it stays who it is. */
const char *settings_user(const struct proxy_settings *settings);

/* The line of a setting such as "listener.server_cert", or of its section where it is not
 * written, or else of its route. */
int settings_line(const struct route_settings *route, const char *setting);

/* Notes a problem of one setting of a route, found by whoever uses it: FILE, LINE, route and
 * setting are put in front. */
void settings_problem(struct conf_problems *problems, bool is_warning,
                      const struct route_settings *route, const char *setting,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same for a setting of the top of the file, such as "user". */
void settings_top_problem(struct conf_problems *problems, bool is_warning,
                          const struct proxy_settings *settings, const char *setting,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Whether the port itself leads anywhere; where every host has a backend, it need not. */
bool settings_has_backend(const struct route_settings *route);

/* Whether plaintext clients get through: then the port has rules of its own. */
bool settings_takes_plaintext(const struct route_settings *route);

const char *sslmode_name(enum sslmode mode); /* "verify-full" */

/* The tables, from the top of the file down, NULL at the end: for the manual. */
const struct conf_table *const *settings_tables(void);

#endif
