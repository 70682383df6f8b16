/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_table.h"

#define MS                ((uint64_t)1000)
#define SECONDS           (1000 * MS)
#define HOURS             (3600 * SECONDS)
#define LONGEST_PATH      4095
#define LONGEST_HOST_NAME 253
#define LONGEST_ADDRESS   300

#define NOT_YET "is not available in this version"

static const struct option_choice log_formats[] = {
    { "text", LOG_TEXT, NULL },
    { "json", LOG_JSON, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice protocols[] = {
    { "postgresql", PROTOCOL_POSTGRESQL, NULL },
    { "redis", 0, NOT_YET "; \"postgresql\" is" },
    { NULL, 0, NULL },
};

static const struct option_choice sslmodes[] = {
    { "disable", SSLMODE_DISABLE, NULL },
    { "allow", SSLMODE_ALLOW, NULL },
    { "prefer", SSLMODE_PREFER, NULL },
    { "require", SSLMODE_REQUIRE, NULL },
    { "verify-ca", SSLMODE_VERIFY_CA, NULL },
    { "verify-full", SSLMODE_VERIFY_FULL, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice event_loops[] = {
    { "auto", LOOP_EPOLL, NULL },
    { "epoll", LOOP_EPOLL, NULL },
    { "io_uring", 0, NOT_YET "; \"epoll\" is" },
    { NULL, 0, NULL },
};

static const struct option_choice taken_headers[] = {
    { "off", PROXY_PROTOCOL_OFF, NULL },
    { "v1", PROXY_PROTOCOL_V1, NULL },
    { "v2", PROXY_PROTOCOL_V2, NULL },
    { "any", PROXY_PROTOCOL_ANY, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice sent_headers[] = {
    { "off", PROXY_PROTOCOL_OFF, NULL },
    { "v1", PROXY_PROTOCOL_V1, NULL },
    { "v2", PROXY_PROTOCOL_V2, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice client_names[] = {
    { "CN", CLIENT_NAME_CN, NULL },
    { "DN", 0, NOT_YET "; \"CN\" is" },
    { "SAN-DNS", 0, NOT_YET "; \"CN\" is" },
    { "SAN-URI", 0, NOT_YET "; \"CN\" is" },
    { "SAN-EMAIL", 0, NOT_YET "; \"CN\" is" },
    { NULL, 0, NULL },
};

static const struct option_choice direct_tls_choices[] = {
    { "allow", DIRECT_TLS_ALLOW, NULL },
    { "require", DIRECT_TLS_REQUIRE, NULL },
    { "refuse", DIRECT_TLS_REFUSE, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice negotiations[] = {
    { "postgres", NEGOTIATE_POSTGRES, NULL },
    { "direct", NEGOTIATE_DIRECT, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice cancel_policies[] = {
    { "allow", CANCEL_ALLOW, NULL },
    { "tls-only", CANCEL_TLS_ONLY, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice standard_error[] = {
    { "", 0, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice platform_store[] = {
    { "system", 0, NULL },
    { NULL, 0, NULL },
};

#define AT(field) offsetof(struct proxy_settings, field)
static const struct option top_rows[] = {
    { .name = "log_level",
      .type = OPTION_STRING,
      .field = AT(log_level),
      .min = 1,
      .max = 400,
      .default_text = "`info`",
      .sample = "\"info\"",
      .help =
          "The least important events that are logged: debug, info, warn or error; then, for "
          "parts of the log, others: \"info,tls=debug\". A part is the first word of an "
          "event; `pgtls help events` lists them all. The environment's PGTLS_LOG overrides "
          "it." },
    { .name = "log_format",
      .type = OPTION_CHOICE,
      .field = AT(log_format),
      .preset = "text",
      .choices = log_formats,
      .help = "How a line of the log looks: key=value text, or one JSON object." },
    { .name = "log_file",
      .type = OPTION_PATH,
      .field = AT(log_file),
      .max = LONGEST_PATH,
      .choices = standard_error,
      .default_text = "standard error",
      .sample = "\"/var/log/pgtls.log\"",
      .help = "The log is appended to this file, and the file opened again at SIGHUP; \"\" is "
              "standard error." },
    { .name = "user",
      .type = OPTION_STRING,
      .field = AT(user),
      .max = 64,
      .default_text = "the user that starts the program",
      .sample = "\"pgtls\"",
      .help =
          "Once its addresses are bound, the program becomes this user, with its group and "
          "supplementary groups, and nothing it runs gains rights any more. All that a reload "
          "reads is read as this user from the start on: the file, what it includes, keys, "
          "certificates, log_file. Unix sockets are this user's. A reload cannot change it; "
          "\"\" is the user that starts the program." },
    { .name = "include",
      .type = OPTION_STRING_LIST,
      .field = AT(include),
      .min = 1,
      .max = LONGEST_PATH,
      .default_text = "none",
      .sample = "[\"routes/*.toml\"]",
      .help = "Files with more [[proxy]] sections, and nothing else; patterns (which may match "
              "nothing) "
              "are relative to this file, paths inside an included file to that file." },
    { .name = "workers",
      .type = OPTION_NUMBER,
      .field = AT(workers),
      .preset = "0",
      .max = 1024,
      .help = "Event loops, each a thread; 0 is one a CPU." },
    { .name = "event_loop",
      .type = OPTION_CHOICE,
      .field = AT(event_loop),
      .preset = "auto",
      .choices = event_loops,
      .help = "What waits for sockets." },
    { .name = NULL },
};
#undef AT

#define AT(field) offsetof(struct route_settings, field)
static const struct option proxy_rows[] = {
    { .name = "name",
      .type = OPTION_STRING,
      .field = AT(name),
      .min = 1,
      .max = 64,
      .default_text = "`proxy[0]` for the first route, and so on",
      .sample = "\"orders\"",
      .is_in_sample = true,
      .help = "The name of the route in logs and errors." },
    { .name = "protocol",
      .type = OPTION_CHOICE,
      .field = AT(protocol),
      .preset = "postgresql",
      .choices = protocols,
      .help = "What clients and the backend speak." },
    { .name = NULL },
};
#undef AT

#define AT(field) offsetof(struct listener_settings, field)
static const struct option listener_rows[] = {
    { .name = "bind_address",
      .type = OPTION_ADDRESS_LIST,
      .field = AT(bind_address),
      .min = 1,
      .max = LONGEST_ADDRESS,
      .is_required = true,
      .sample = "\"0.0.0.0:6432\"",
      .is_in_sample = true,
      .help =
          "Where clients connect: \"ADDRESS:PORT\", \"[IPV6]:PORT\", \"unix:/PATH\", or a list "
          "of "
          "them. A Unix socket takes no TLS, since libpq never asks for it there; it needs a "
          "route with sslmode \"disable\"." },
    { .name = "unix_socket_mode",
      .type = OPTION_FILE_MODE,
      .field = AT(unix_socket_mode),
      .preset = "0660",
      .max = 0777,
      .help = "Who may connect to the Unix sockets in bind_address." },
    { .name = "unix_socket_group",
      .type = OPTION_STRING,
      .field = AT(unix_socket_group),
      .min = 1,
      .max = 64,
      .default_text = "the group of the process",
      .sample = "\"postgres\"",
      .help = "The group that the Unix sockets in bind_address belong to." },
    { .name = "proxy_protocol",
      .type = OPTION_CHOICE,
      .field = AT(proxy_protocol),
      .preset = "off",
      .choices = taken_headers,
      .help =
          "The PROXY protocol of HAProxy, demanded in front of every connection: version 1, 2 "
          "or any of them. Needs trusted_proxies. allow, deny and the limits by address are "
          "about the client it names." },
    { .name = "trusted_proxies",
      .type = OPTION_STRING_LIST,
      .field = AT(trusted_proxies),
      .min = 1,
      .max = 64,
      .default_text = "none",
      .sample = "[\"10.0.0.1\"]",
      .help = "Networks of the proxies that proxy_protocol is taken from; a connection from "
              "elsewhere is closed. Unix sockets are trusted." },
    { .name = "sslmode",
      .type = OPTION_CHOICE,
      .field = AT(sslmode),
      .choices = sslmodes,
      .default_text =
          "`verify-ca` with client_ca, `require` with server_cert alone, `disable` "
          "without both on a loopback address or a Unix socket; otherwise it must be "
          "written",
      .sample = "\"verify-full\"",
      .is_in_sample = true,
      .help =
          "What clients must do. disable: plaintext only. allow: plaintext or TLS. prefer: the "
          "same, and plaintext clients are logged. require: TLS. verify-ca: TLS and a "
          "certificate that chains to client_ca. verify-full: and whose common name is the "
          "user that logs in. With require and weaker, client_ca makes certificates optional: "
          "one that is presented is verified." },
    { .name = "mtls",
      .type = OPTION_SWITCH,
      .field = AT(mtls),
      .default_text = "as sslmode says",
      .sample = "true",
      .help = "true demands client certificates: sslmode \"verify-ca\" unless the stronger "
              "\"verify-full\" is written. false demands none." },
    { .name = "server_cert",
      .type = OPTION_PATH,
      .field = AT(server_cert),
      .min = 1,
      .max = LONGEST_PATH,
      .default_text = "none",
      .sample = "\"server.crt\"",
      .is_in_sample = true,
      .help =
          "The certificate shown to clients: PEM, leaf first, then intermediates. Needed by "
          "every sslmode but disable." },
    { .name = "server_key",
      .type = OPTION_PATH,
      .field = AT(server_key),
      .min = 1,
      .max = LONGEST_PATH,
      .default_text = "none",
      .sample = "\"server.key\"",
      .is_in_sample = true,
      .help =
          "Its private key: PEM, without a passphrase, readable by its owner alone (or root's "
          "with mode 0640)." },
    { .name = "client_ca",
      .type = OPTION_PATH,
      .field = AT(client_ca),
      .min = 1,
      .max = LONGEST_PATH,
      .default_text = "none",
      .sample = "\"clients-ca.crt\"",
      .is_in_sample = true,
      .help =
          "PEM file of the authorities that sign client certificates. A certificate that is "
          "presented is always verified with it. Needed by verify-ca and verify-full." },
    { .name = "client_name",
      .type = OPTION_CHOICE,
      .field = AT(client_name),
      .preset = "CN",
      .choices = client_names,
      .help = "What verify-full compares with the user that logs in: CN is the common name of "
              "the certificate, byte for byte, without wildcards." },
    { .name = "allow",
      .type = OPTION_STRING_LIST,
      .field = AT(allow),
      .min = 1,
      .max = 64,
      .default_text = "everybody",
      .sample = "[\"10.0.0.0/8\", \"::1\"]",
      .help =
          "Networks whose clients may connect; others are closed without a word. Clients of "
          "a Unix socket always may." },
    { .name = "deny",
      .type = OPTION_STRING_LIST,
      .field = AT(deny),
      .min = 1,
      .max = 64,
      .default_text = "nobody",
      .sample = "[\"10.6.6.0/24\"]",
      .help = "Networks whose clients are closed without a word, even if allow has them." },
    { .name = "direct_tls",
      .type = OPTION_CHOICE,
      .field = AT(direct_tls),
      .preset = "allow",
      .choices = direct_tls_choices,
      .help =
          "TLS from the first byte (sslnegotiation=direct of libpq 17), beside SSLRequest on "
          "the same port; such clients must offer the ALPN protocol postgresql. require "
          "refuses the others." },
    { .name = "cancel",
      .type = OPTION_CHOICE,
      .field = AT(cancel),
      .choices = cancel_policies,
      .default_text = "`tls-only` with verify-ca and verify-full, otherwise `allow`",
      .sample = "\"tls-only\"",
      .help =
          "Which cancel requests are passed on: all, or only those that come inside TLS. psql "
          "and other clients of libpq before 17 send them in plaintext." },
    { .name = "max_record_size",
      .type = OPTION_SIZE,
      .field = AT(max_record_bytes),
      .preset = "8KiB",
      .min = 512,
      .max = 16384,
      .help =
          "The largest plaintext in one TLS record towards clients. Larger records than the "
          "default can stall clients that use libpq asynchronously." },
    { .name = NULL },
};
#undef AT

#define AT(field) offsetof(struct backend_settings, field)
static const struct option backend_rows[] = {
    { .name = "address",
      .type = OPTION_ADDRESS_LIST,
      .field = AT(addresses),
      .min = 1,
      .max = LONGEST_ADDRESS,
      .is_required = true,
      .sample = "\"db.example.com:5432\"",
      .is_in_sample = true,
      .help = "The PostgreSQL server: \"HOST:PORT\", \"[IPV6]:PORT\" or \"unix:/PATH\" of its "
              "socket; or a list of them, tried in order. A name is resolved for every new "
              "connection and may stand for several addresses. One that failed is tried last "
              "for a while: a second, then twice as long each time, at most half a minute." },
    { .name = "source_address",
      .type = OPTION_STRING_LIST,
      .field = AT(source_address),
      .min = 1,
      .max = 64,
      .default_text = "the system chooses",
      .sample = "[\"10.0.0.7\", \"10.0.0.8\"]",
      .help = "The address, or addresses in turn, that connections to the server come from; "
              "several carry more than 60,000 connections to one server." },
    { .name = "sslmode",
      .type = OPTION_CHOICE,
      .field = AT(sslmode),
      .choices = sslmodes,
      .default_text = "`verify-full` with root_ca, `disable` without it for loopback and Unix "
                      "sockets; otherwise it must be written",
      .sample = "\"verify-full\"",
      .is_in_sample = true,
      .help =
          "disable: plaintext. allow: plaintext, and TLS if the server refuses that. prefer: "
          "TLS, and plaintext if the server has none. require: TLS; the server's certificate "
          "is verified as with "
          "verify-ca if root_ca is set, and not at all if it is not. verify-ca: TLS and a "
          "certificate that chains to root_ca. verify-full: and that is for verify_name." },
    { .name = "proxy_protocol",
      .type = OPTION_CHOICE,
      .field = AT(proxy_protocol),
      .preset = "off",
      .choices = sent_headers,
      .help = "The PROXY protocol of HAProxy, sent in front of every connection to the server; "
              "version 2 tells of the client's TLS too. For a server or proxy that takes it: "
              "PostgreSQL itself does not." },
    { .name = "sslnegotiation",
      .type = OPTION_CHOICE,
      .field = AT(sslnegotiation),
      .preset = "postgres",
      .choices = negotiations,
      .help =
          "How TLS to the server begins: postgres asks for it with SSLRequest; direct starts "
          "at once, which PostgreSQL 17 and later take; only with sslmode require or "
          "stronger." },
    { .name = "tls_enabled",
      .type = OPTION_SWITCH,
      .field = AT(tls_enabled),
      .default_text = "as sslmode says",
      .sample = "true",
      .help =
          "true is sslmode \"verify-full\" and needs root_ca; false is sslmode \"disable\"." },
    { .name = "root_ca",
      .type = OPTION_PATH,
      .field = AT(root_ca),
      .min = 1,
      .max = LONGEST_PATH,
      .choices = platform_store,
      .default_text = "none",
      .sample = "\"backend-ca.crt\"",
      .is_in_sample = true,
      .help =
          "PEM file of the authorities that sign the server's certificate, or \"system\" for "
          "those of the platform." },
    { .name = "client_cert",
      .type = OPTION_PATH,
      .field = AT(client_cert),
      .min = 1,
      .max = LONGEST_PATH,
      .default_text = "none",
      .sample = "\"proxy.crt\"",
      .help = "The certificate that the proxy shows to the server, with client_key." },
    { .name = "client_key",
      .type = OPTION_PATH,
      .field = AT(client_key),
      .min = 1,
      .max = LONGEST_PATH,
      .default_text = "none",
      .sample = "\"proxy.key\"",
      .help = "Its private key, by the rules of server_key." },
    { .name = "verify_name",
      .type = OPTION_STRING,
      .field = AT(verify_name),
      .min = 1,
      .max = LONGEST_HOST_NAME,
      .default_text = "the host of address",
      .sample = "\"db.internal\"",
      .help = "The name that the server's certificate must be for, with sslmode verify-full." },
    { .name = "sni",
      .type = OPTION_STRING,
      .field = AT(sni),
      .max = LONGEST_HOST_NAME,
      .default_text = "the host of address, unless it is an IP address",
      .sample = "\"db.internal\"",
      .help = "The name announced to the server in the TLS handshake; \"\" announces none." },
    { .name = NULL },
};
#undef AT

#define AT(field) offsetof(struct limit_settings, field)
#define DURATION_ROW(row_name, row_preset, row_min, row_max, row_help)                         \
    {                                                                                          \
        .name = #row_name, .type = OPTION_DURATION, .field = AT(row_name##_us),                \
        .preset = (row_preset), .min = (row_min), .max = (row_max), .help = (row_help)         \
    }

static const struct option limit_rows[] = {
    { .name = "max_connections",
      .type = OPTION_NUMBER,
      .field = AT(max_connections),
      .preset = "10000",
      .min = 1,
      .max = 1000000,
      .help =
          "Client connections at one time. One more is refused with a proper error (53300)." },
    { .name = "max_pending_logins",
      .type = OPTION_NUMBER,
      .field = AT(max_pending_logins),
      .preset = "1000",
      .min = 1,
      .max = 1000000,
      .help =
          "Connections that have not logged in yet, counted apart. Beyond it the oldest that "
          "has not finished TLS is closed." },
    { .name = "max_connections_per_ip",
      .type = OPTION_NUMBER,
      .field = AT(max_connections_per_ip),
      .preset = "0",
      .max = 1000000,
      .help = "Connections from one client address; 0 is no limit. One more is refused with a "
              "proper error (53300), or closed where the protocol has none." },
    { .name = "handshakes_per_second",
      .type = OPTION_NUMBER,
      .field = AT(handshakes_per_second),
      .preset = "0",
      .max = 1000000,
      .help =
          "TLS handshakes with clients that are begun in one second; 0 is no limit. One more "
          "is refused (53300)." },
    DURATION_ROW(first_byte_timeout, "10s", MS, HOURS,
                 "From the accept to the client's first byte."),
    DURATION_ROW(handshake_timeout, "10s", MS, HOURS,
                 "From the first TLS byte, or the answer to SSLRequest, to the end of the "
                 "handshake; on each side."),
    DURATION_ROW(connect_timeout, "5s", MS, HOURS,
                 "For one attempt to connect to one address of the backend."),
    DURATION_ROW(login_timeout, "60s", MS, HOURS,
                 "From the accept until the server is ready for the first query, all of the "
                 "above included."),
    DURATION_ROW(idle_timeout, "0s", 0, 720 * HOURS,
                 "A session without a byte in either direction for so long is ended between "
                 "messages; \"0s\" is never."),
    DURATION_ROW(drain_timeout, "30s", MS, 24 * HOURS,
                 "How long sessions may go on after a signal to stop."),
    DURATION_ROW(tcp_keepalive, "60s", 0, 9 * HOURS,
                 "A TCP connection silent for so long is probed, both sides; whole seconds; "
                 "\"0s\" is never."),
    DURATION_ROW(tcp_user_timeout, "0s", 0, 24 * HOURS,
                 "Sent data that stays unacknowledged for so long ends the connection, both "
                 "sides; whole milliseconds; \"0s\" leaves it to the system."),
    { .name = NULL },
};
#undef AT

_Static_assert(sizeof listener_rows / sizeof *listener_rows <= OPTION_LIMIT, "section_lines");
_Static_assert(sizeof backend_rows / sizeof *backend_rows <= OPTION_LIMIT, "section_lines");
_Static_assert(sizeof limit_rows / sizeof *limit_rows <= OPTION_LIMIT, "section_lines");

static const char *const sections_at_the_top[] = { "proxy", "defaults", NULL };
static const char *const sections_of_a_route[] = { "listener", "backend", "limits", NULL };

static const struct conf_table top_table = {
    .header = "",
    .prefix = "",
    .help = "Settings of the whole program.",
    .rows = top_rows,
    .sections = sections_at_the_top,
};

static const struct option no_rows[] = { { .name = NULL } };

static const struct conf_table defaults_table = {
    .header = "[defaults.limits]",
    .title = "[defaults.listener], [defaults.backend], [defaults.limits]",
    .prefix = "defaults.",
    .help =
        "What every route starts from: the settings of [proxy.listener], [proxy.backend] and "
        "[proxy.limits]. What a route says itself wins. A default that has no effect on a "
        "route, such as client_ca on one with sslmode disable, is left out there; what is "
        "said of certificates is no reason for TLS on a Unix socket. An sslmode is never "
        "left out.",
    .rows = no_rows,
};

static const struct conf_table section_tables[SECTION_COUNT] = {
    [SECTION_PROXY] = {
        .header = "[[proxy]]",
        .prefix = "",
        .help = "A route: where clients connect, and the server they get to. A file has one or "
                "more; the sections below belong to the route above them.",
        .rows = proxy_rows,
        .sections = sections_of_a_route,
    },
    [SECTION_LISTENER] = {
        .header = "[proxy.listener]",
        .prefix = "listener.",
        .help = "The side of the clients.",
        .rows = listener_rows,
    },
    [SECTION_BACKEND] = {
        .header = "[proxy.backend]",
        .prefix = "backend.",
        .help = "The side of the PostgreSQL server.",
        .rows = backend_rows,
    },
    [SECTION_LIMITS] = {
        .header = "[proxy.limits]",
        .prefix = "limits.",
        .help = "Limits of one route.",
        .rows = limit_rows,
    },
};

const struct conf_table *settings_top_table(void)
{
    return &top_table;
}

const struct conf_table *settings_section_table(enum settings_section section)
{
    return &section_tables[section];
}

const struct conf_table *const *settings_tables(void)
{
    static const struct conf_table *const all[] = {
        &top_table,
        &defaults_table,
        &section_tables[SECTION_PROXY],
        &section_tables[SECTION_LISTENER],
        &section_tables[SECTION_BACKEND],
        &section_tables[SECTION_LIMITS],
        NULL,
    };

    return all;
}

void *settings_section_of(struct route_settings *route, enum settings_section section)
{
    switch (section) {
    case SECTION_PROXY: return route;
    case SECTION_LISTENER: return &route->listener;
    case SECTION_BACKEND: return &route->backend;
    case SECTION_LIMITS: return &route->limits;
    }
    __builtin_unreachable();
}

const char *sslmode_name(enum sslmode mode)
{
    const struct option_choice *choice = sslmodes;

    while (choice->word != NULL && (choice->refusal != NULL || choice->value != (int)mode))
        choice++;
    return choice->word == NULL ? "unset" : choice->word;
}
