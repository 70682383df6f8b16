/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_rows.h"

#define HOURS ((uint64_t)3600 * 1000 * 1000)

static const struct option_choice taken_headers[] = {
    { "off", PROXY_PROTOCOL_OFF, NULL },
    { "v1", PROXY_PROTOCOL_V1, NULL },
    { "v2", PROXY_PROTOCOL_V2, NULL },
    { "any", PROXY_PROTOCOL_ANY, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice direct_tls_choices[] = {
    { "allow", DIRECT_TLS_ALLOW, NULL },
    { "require", DIRECT_TLS_REQUIRE, NULL },
    { "refuse", DIRECT_TLS_REFUSE, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice cancel_policies[] = {
    { "allow", CANCEL_ALLOW, NULL },
    { "tls-only", CANCEL_TLS_ONLY, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice unknown_cancels[] = {
    { "refuse", CANCEL_UNKNOWN_REFUSE, NULL },
    { "broadcast", CANCEL_UNKNOWN_BROADCAST, NULL },
    { NULL, 0, NULL },
};

#define AT(field) offsetof(struct listener_settings, field)
const struct option settings_listener_rows[] = {
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
          "them. An IPv6 address takes no IPv4 clients: \"[::]:PORT\" stands beside "
          "\"0.0.0.0:PORT\". A Unix socket takes no TLS, since libpq never asks for it there; "
          "it needs a "
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
    { .name = "allow",
      .type = OPTION_STRING_LIST,
      .field = AT(allow),
      .min = 1,
      .max = 64,
      .default_text = "everybody",
      .sample = "[\"10.0.0.0/8\", \"::1\"]",
      .help =
          "Networks whose clients may connect; others are closed without a word and counted "
          "(limit.reached). Clients of a Unix socket always may." },
    { .name = "deny",
      .type = OPTION_STRING_LIST,
      .field = AT(deny),
      .min = 1,
      .max = 64,
      .default_text = "nobody",
      .sample = "[\"10.6.6.0/24\"]",
      .help = "Networks whose clients are closed without a word and counted, even if allow has "
              "them." },
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
          "and other clients of libpq before 17 send them in plaintext. Where it is not known "
          "whose they are, as with a single server, each client address has a hundred a "
          "second (of an IPv6 network of 64 bits: all together)." },
    { .name = "cancel_unknown",
      .type = OPTION_CHOICE,
      .field = AT(cancel_unknown),
      .preset = "refuse",
      .choices = unknown_cancels,
      .help =
          "Where the hosts of a port have several backends: what becomes of a cancel request "
          "in the clear whose key no session has. refuse passes it on to nobody, broadcast to "
          "the backends of all hosts at once (16 at most), ten times a second at most." },
    { .name = "cert_refresh_interval",
      .type = OPTION_DURATION,
      .field = AT(cert_refresh_interval_us),
      .preset = "1min",
      .max = 24 * HOURS,
      .help =
          "How often the contents of the files that the route names are looked at, besides the "
          "moments when the system tells of a change: certificates, keys, authorities and "
          "lists "
          "of both sides; not the platform's store. What changed is loaded and served, all of "
          "it or nothing, and "
          "sessions "
          "live on; this file itself is read at SIGHUP only. The files of all routes are one "
          "set, looked at by the shortest interval. \"0s\" looks at no file of this route." },
    { .name = NULL },
};
#undef AT
