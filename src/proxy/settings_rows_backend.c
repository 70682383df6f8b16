/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_rows.h"

static const struct option_choice sent_headers[] = {
    { "off", PROXY_PROTOCOL_OFF, NULL },
    { "v1", PROXY_PROTOCOL_V1, NULL },
    { "v2", PROXY_PROTOCOL_V2, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice negotiations[] = {
    { "postgres", NEGOTIATE_POSTGRES, NULL },
    { "direct", NEGOTIATE_DIRECT, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice platform_store[] = {
    { "system", 0, NULL },
    { NULL, 0, NULL },
};

#define AT(field) offsetof(struct backend_settings, field)
const struct option settings_backend_rows[] = {
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
      .choices = settings_sslmodes,
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

_Static_assert(sizeof settings_backend_rows / sizeof *settings_backend_rows <= OPTION_LIMIT,
               "section_lines");
