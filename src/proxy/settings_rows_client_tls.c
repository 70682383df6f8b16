/* SPDX-License-Identifier: PostgreSQL */
/* TLS towards clients: of a listener, and of each host that has its own. */
#include "proxy/settings_rows.h"

static const struct option_choice client_names[] = {
    { "CN", CERTIFICATE_CN, NULL },
    { "DN", CERTIFICATE_DN, NULL },
    { "SAN-DNS", CERTIFICATE_SAN_DNS, NULL },
    { "SAN-URI", CERTIFICATE_SAN_URI, NULL },
    { "SAN-EMAIL", CERTIFICATE_SAN_EMAIL, NULL },
    { NULL, 0, NULL },
};

#define AT(field) offsetof(struct listener_settings, field)
const struct option settings_client_tls_rows[] = {
    { .name = "sslmode",
      .type = OPTION_CHOICE,
      .field = AT(sslmode),
      .choices = settings_sslmodes,
      .default_text =
          "`verify-ca` with client_ca, `require` with server_cert alone, `disable` "
          "without both on a loopback address or a Unix socket; otherwise it must be "
          "written",
      .sample = "\"verify-full\"",
      .is_in_sample = true,
      .help =
          "What clients must do. disable: plaintext only. allow: plaintext or TLS. prefer: the "
          "same, and plaintext clients are logged. require: TLS. verify-ca: TLS and a "
          "certificate that chains to client_ca. verify-full: and that names the user who logs "
          "in (client_name, ident_map). With require and weaker, client_ca makes certificates "
          "optional: one that is presented is verified." },
    { .name = "mtls",
      .type = OPTION_SWITCH,
      .field = AT(mtls),
      .default_text = "as sslmode says",
      .sample = "true",
      .help = "true demands client certificates: sslmode \"verify-ca\" unless the stronger "
              "\"verify-full\" is written. false demands none." },
    { .name = "server_cert",
      .type = OPTION_PATH_LIST,
      .field = AT(server_cert),
      .default_text = "none",
      .sample = "\"server.crt\"",
      .is_in_sample = true,
      .help =
          "The certificate shown to clients: PEM, leaf first, then intermediates, all of which "
          "are sent. A list has one for each kind of key, such as ECDSA and RSA, and each "
          "client "
          "gets the one that it takes. Needed by every sslmode but disable." },
    { .name = "server_key",
      .type = OPTION_PATH_LIST,
      .field = AT(server_key),
      .takes_uri = true,
      .default_text = "none",
      .sample = "\"server.key\"",
      .is_in_sample = true,
      .help = "Its private key, as many as server_cert has, in the same order: PEM (PKCS#8, "
              "PKCS#1, "
              "SEC1), readable by its owner alone (or root's with mode 0640). Or the URI of a "
              "store, "
              "\"pkcs11:...\", where openssl.cnf has a provider for it." },
    { ROW_KEY_PASSPHRASE_COMMAND,
      .help =
          "Prints the passphrase of server_key, or the PIN of its token. Run by /bin/sh for "
          "each "
          "key that asks, at every load, as the user, without a terminal; %p is the key file, "
          "%% a per cent sign. Another exit status than 0, or more than 10 seconds, fail the "
          "load. Other reloads wait meanwhile, sessions and new clients do not." },
    { .name = "client_ca",
      .type = OPTION_PATH,
      .field = AT(client_ca),
      .default_text = "none",
      .sample = "\"clients-ca.crt\"",
      .is_in_sample = true,
      .help =
          "PEM file of the authorities that sign client certificates. A certificate that is "
          "presented is always verified with it. Needed by verify-ca and verify-full." },
    { .name = "client_crl_file",
      .type = OPTION_PATH,
      .field = AT(client_crl_file),
      .default_text = "none",
      .sample = "\"clients.crl\"",
      .help =
          "PEM file of revocation lists for client certificates. The whole chain is checked: "
          "every authority in it needs a list that has not expired. Read at each load." },
    { .name = "client_crl_dir",
      .type = OPTION_PATH,
      .field = AT(client_crl_dir),
      .default_text = "none",
      .sample = "\"crls\"",
      .help =
          "The same from all PEM files of a folder, whatever their names; read at each load, "
          "never during a handshake." },
    { .name = "client_name",
      .type = OPTION_CHOICE,
      .field = AT(client_name),
      .preset = "CN",
      .choices = client_names,
      .help = "What verify-full compares with the user that logs in, byte for byte, without "
              "wildcards: the one common name (CN), the whole subject (DN, as RFC 2253 writes "
              "it), or any of the alternative names of one kind." },
    { .name = "ident_file",
      .type = OPTION_PATH,
      .field = AT(ident_file),
      .default_text = "none",
      .sample = "\"pg_ident.conf\"",
      .help =
          "A file in the syntax of pg_ident.conf, for verify-full: the name in a certificate "
          "and the user who may log in with it. A name that begins with a slash is a regular "
          "expression for the whole name (PCRE2); \\1 in the user is what its first group "
          "found." },
    { .name = "ident_map",
      .type = OPTION_STRING,
      .field = AT(ident_map),
      .min = 1,
      .max = 64,
      .default_text = "none",
      .sample = "\"certs\"",
      .help = "The map in ident_file that counts. With it the name and the user need not be "
              "equal, and equal ones need a line too." },
    { ROW_MIN_PROTOCOL, .help = "The oldest version of TLS that is spoken." },
    { ROW_MAX_PROTOCOL, .help = "The newest version of TLS that is spoken." },
    { ROW_CIPHERS,
      .help =
          "Ciphers of TLS 1.2, in OpenSSL's syntax. A list that lets one without encryption "
          "or without a certificate in is an error." },
    { ROW_CIPHERSUITES, .help = "Ciphersuites of TLS 1.3, with colons between them." },
    { ROW_GROUPS, .help =
                      "Groups for the key exchange, the best first, with colons between them. "
                      "X25519MLKEM768 needs OpenSSL 3.5." },
    { .name = "prefer_server_ciphers",
      .type = OPTION_SWITCH,
      .field = AT(prefer_server_ciphers),
      .default_text = "as openssl.cnf says, or false",
      .sample = "true",
      .help = "Whose order of ciphers counts: true the proxy's, false the client's." },
    { .name = "dh_params_file",
      .type = OPTION_PATH,
      .field = AT(dh_params_file),
      .default_text = "OpenSSL's own, by the size of the key",
      .sample = "\"dh2048.pem\"",
      .help =
          "PEM file of Diffie-Hellman parameters of 2048 bits or more, for ciphers of TLS 1.2 "
          "that use them (DHE); no default cipher does." },
    { .name = "session_tickets",
      .type = OPTION_SWITCH,
      .field = AT(session_tickets),
      .default_text = "false",
      .sample = "true",
      .help =
          "Gives clients tickets to resume their TLS sessions with. A ticket is good for the "
          "same route, host and rules for client certificates only, and a certificate in it "
          "is verified again. Without ticket_key_file keys are random, and new at each "
          "reload." },
    { .name = "ticket_key_file",
      .type = OPTION_PATH,
      .field = AT(ticket_key_file),
      .default_text = "random keys",
      .sample = "\"tickets.keys\"",
      .help =
          "Keys of session tickets, shared by all instances: a line of 160 hexadecimal digits "
          "each (`openssl rand -hex 80`), the newest first; older ones only open what they "
          "sealed. Read at each load; the rules for key files hold." },
    { .name = "max_record_size",
      .type = OPTION_SIZE,
      .field = AT(max_record_bytes),
      .preset = "8KiB",
      .min = 512,
      .max = 16384,
      .help =
          "The largest plaintext in one TLS record towards clients. Larger records than the "
          "default can stall clients that use libpq asynchronously." },
    { ROW_RECORD_LAYER,
      .help =
          "Who protects TLS records after the handshake. auto: pgtls, with TLS 1.3; OpenSSL "
          "otherwise. library: OpenSSL, which costs more memory and processor time. record: "
          "pgtls, and neither TLS 1.2 nor a CCM suite is spoken. kernel: the kernel (kTLS), "
          "from soon after the "
          "handshake on, with TLS 1.3; what the kernel cannot is left as with auto, and the "
          "log "
          "says why (docs/operations.md)." },
    { .name = NULL },
};

const struct option settings_host_rows[] = {
    { .name = "names",
      .type = OPTION_STRING_LIST,
      .field = AT(names),
      .min = 1,
      .max = LONGEST_HOST_NAME,
      .is_required = true,
      .sample = "[\"a.example.com\"]",
      .help = "What clients announce to mean this host (SNI): whole names, without wildcards. "
              "\"*\" stands for every name that no host has, \"/no_sni/\" for clients that "
              "announce none; without them such clients are refused, by the alerts "
              "unrecognized_name and missing_extension." },
    { .name = NULL },
};
#undef AT
