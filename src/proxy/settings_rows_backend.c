/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_rows.h"

#include "base/name.h"

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

#define SECONDS ((uint64_t)1000 * 1000)
#define HOURS   (3600 * SECONDS)

static const struct option_choice scram_ways[] = {
    { "auto", SCRAM_AUTO, NULL },
    { "passthrough", SCRAM_PASSTHROUGH, NULL },
    { "strip", SCRAM_STRIP, NULL },
    { "bridge", SCRAM_BRIDGE, NULL },
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
              "several carry more than 60,000 connections to one server. One of IPv6 is for "
              "IPv6, one of IPv4 for IPv4: where none is of a server's family, its address is "
              "not tried." },
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
          "certificate that chains to root_ca. verify-full: and that is for verify_name. With "
          "allow and prefer a cancel request goes the way that its session went." },
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
      .choices = platform_store,
      .default_text = "none",
      .sample = "\"backend-ca.crt\"",
      .is_in_sample = true,
      .help =
          "PEM file of the authorities that sign the server's certificate, or \"system\" for "
          "those of the platform, which needs verify-full: anybody gets a certificate from "
          "those." },
    { .name = "crl_file",
      .type = OPTION_PATH,
      .field = AT(crl_file),
      .default_text = "none",
      .sample = "\"backends.crl\"",
      .help = "PEM file of revocation lists for the server's certificate. The whole chain is "
              "checked: every authority in it needs a list that has not expired. Read at each "
              "load." },
    { .name = "crl_dir",
      .type = OPTION_PATH,
      .field = AT(crl_dir),
      .default_text = "none",
      .sample = "\"crls\"",
      .help = "The same from all PEM files of a folder, whatever their names." },
    { .name = "client_cert",
      .type = OPTION_PATH,
      .field = AT(client_cert),
      .default_text = "none",
      .sample = "\"proxy.crt\"",
      .help = "The certificate that the proxy shows to the server, with client_key." },
    { .name = "client_key",
      .type = OPTION_PATH,
      .field = AT(client_key),
      .takes_uri = true,
      .default_text = "none",
      .sample = "\"proxy.key\"",
      .help = "Its private key, by the rules of server_key." },
    { ROW_KEY_PASSPHRASE_COMMAND,
      .help = "Prints the passphrase of client_key, as that of the listener does." },
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
    { ROW_MIN_PROTOCOL, .help = "The oldest version of TLS that is spoken with the server." },
    { ROW_MAX_PROTOCOL, .help = "The newest version of TLS that is spoken with the server." },
    { ROW_CIPHERS,
      .help = "Ciphers of TLS 1.2 that are offered to the server, in OpenSSL's syntax." },
    { ROW_CIPHERSUITES, .help = "Ciphersuites of TLS 1.3 that are offered to the server." },
    { ROW_GROUPS,
      .help = "Groups for the key exchange that are offered to the server, the best first." },
    { ROW_RECORD_LAYER, .help =
                            "Who protects TLS records to the server after the handshake, as in "
                            "[proxy.listener]." },
    { .name = "scram",
      .type = OPTION_CHOICE,
      .field = AT(scram),
      .preset = "auto",
      .choices = scram_ways,
      .help =
          "How a SCRAM login passes. bridge: the proxy ends it and makes one of its own with "
          "the "
          "server, each bound to the certificate of its leg; needs auth_file or auth_query, "
          "and "
          "refuses servers that ask for anything else. passthrough: untouched. strip: without "
          "channel binding. auto: untouched where both legs show one certificate; without "
          "channel "
          "binding for a client without TLS; with TLS on both legs by the bridge where a "
          "verifier "
          "of the user is known, else untouched." },
    { .name = "auth_file",
      .type = OPTION_PATH,
      .field = AT(auth_file),
      .default_text = "none",
      .sample = "\"userlist.txt\"",
      .help = "Verifiers for the bridge, a line a user as PgBouncer has it: \"user\" "
              "\"SCRAM-SHA-256$...\", copied from pg_authid.rolpassword. Owner and mode by the "
              "rules of server_key; read again at each reload." },
    { .name = "auth_query",
      .type = OPTION_STRING,
      .field = AT(auth_query),
      .min = 1,
      .max = LONGEST_QUERY,
      .default_text = "none",
      .sample = "\"SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1 AND "
                "rolcanlogin\"",
      .help =
          "Where auth_file has no verifier of a user: a statement that the server is asked, "
          "with the user's name as its only parameter $1; the last column of its one row is "
          "the verifier. It runs on a connection of its own, on which nothing comes from "
          "clients but that name, and with search_path pg_catalog." },
    { .name = "auth_query_user",
      .type = OPTION_STRING,
      .field = AT(auth_query_user),
      .min = 1,
      .max = PG_LONGEST_NAME,
      .default_text = "none; auth_query needs it",
      .sample = "\"pgtls\"",
      .help = "The role that runs auth_query." },
    { .name = "auth_query_password_file",
      .type = OPTION_PATH,
      .field = AT(auth_query_password_file),
      .default_text = "none: the server lets the role in by certificate or address",
      .sample = "\"auth_query.password\"",
      .help = "Its password, the first line of a file; used with SCRAM only. Owner and mode by "
              "the rules of server_key." },
    { .name = "auth_query_database",
      .type = OPTION_STRING,
      .field = AT(auth_query_database),
      .min = 1,
      .max = PG_LONGEST_NAME,
      .default_text = "`\"postgres\"`",
      .sample = "\"postgres\"",
      .help = "The database that auth_query runs in." },
    { .name = "auth_query_cache",
      .type = OPTION_DURATION,
      .field = AT(auth_query_cache_us),
      .preset = "1min",
      .max = 24 * HOURS,
      .help =
          "How long each worker takes what auth_query found, or did not find, as good. Where "
          "the server's salt shows that a password changed, the next login asks again. 0s: "
          "not at all." },
    { .name = "auth_query_cache_users",
      .type = OPTION_NUMBER,
      .field = AT(auth_query_cache_users),
      .preset = "10000",
      .min = 1,
      .max = 1000000,
      .help = "For how many users each worker remembers that; the oldest of those who are "
              "not known gives way first." },
    { .name = NULL },
};
#undef AT

_Static_assert(sizeof settings_backend_rows / sizeof *settings_backend_rows <= OPTION_LIMIT,
               "section_lines");
