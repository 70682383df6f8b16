/* SPDX-License-Identifier: PostgreSQL */
#include "cli/cert_words.h"

#include "x509/issue.h"
#include "x509/key_kind.h"
#include "x509/revoke.h"

#include <string.h>

/* ---- options ---- */

#define AT(field) offsetof(struct cert_arguments, field)
#define SWITCH(name, field, help)                                                              \
    {                                                                                          \
        name, NULL, CERT_SWITCH, AT(field), 0, 0, NULL, help                                   \
    }
#define TEXT(name, value, field, help)                                                         \
    {                                                                                          \
        name, value, CERT_TEXT, AT(field), 0, 0, NULL, help                                    \
    }

static const char *const *purposes(void)
{
    static const char *const all[] = { "server", "client", "ca", NULL };

    return all;
}

static const char *const *peer_purposes(void)
{
    static const char *const all[] = { "server", "client", NULL };

    return all;
}

static const char *const *ways(void)
{
    static const char *const all[] = { "sslrequest", "direct", "tls", NULL };

    return all;
}

static const struct cert_option out =
    TEXT("--out", "DIR", out, "the folder for the files; made if it is missing");
static const struct cert_option list_out =
    TEXT("--out", "FILE", out, "where the list is written; DIR/ca.crl otherwise");
static const struct cert_option ca =
    TEXT("--ca", "DIR", ca, "the folder of the authority that signs: ca.crt and ca.key");
static const struct cert_option new_root = TEXT(
    "--new-root", "DIR", new_root,
    "make a root authority there first, if there is none; and where --ca is another folder "
    "without one, an intermediate authority below that root; their keys are encrypted where a "
    "passphrase of the authority is given");
static const struct cert_option subject = TEXT(
    "--subject", "NAME", subject, "who it is for: \"CN=Example Root,O=Example\" (RFC 2253)");
static const struct cert_option user =
    TEXT("--user", "USER", user, "the database user: becomes the common name");
static const struct cert_option names = { "--name",
                                          "NAME",
                                          CERT_TEXTS,
                                          AT(names),
                                          0,
                                          0,
                                          NULL,
                                          "a host name, \"*.example.com\" or an IP address; "
                                          "several times for several; also email:A@B "
                                          "and URI:U" };
static const struct cert_option key_kind = {
    "--key", "KIND", CERT_CHOICE, AT(key_kind), 0, 0, key_kind_names, "the kind of the new key"
};
static const struct cert_option days = {
    "--days",    "N",
    CERT_NUMBER, AT(days),
    1,           ISSUE_MOST_DAYS,
    NULL,        "how long it is valid; not longer than its authority"
};
static const struct cert_option sign_days = {
    "--days",
    "N",
    CERT_NUMBER,
    AT(days),
    1,
    ISSUE_MOST_DAYS,
    NULL,
    "how long it is valid, 90 for servers and clients, 1825 for authorities otherwise; not "
    "longer "
    "than its authority"
};
static const struct cert_option list_days = {
    "--days",    "N",
    CERT_NUMBER, AT(days),
    1,           ISSUE_MOST_DAYS,
    NULL,        "until the next list must be there"
};
static const struct cert_option path_length = {
    "--path-length",
    "N",
    CERT_NUMBER,
    AT(path_length),
    0,
    100,
    NULL,
    "how many authorities may stand below it in a chain"
};
static const struct cert_option force =
    SWITCH("--force", force, "replace files that are there");
static const struct cert_option renew = {
    "--renew-before",
    "DAYS",
    CERT_DAYS,
    AT(renew_days),
    1,
    ISSUE_MOST_DAYS,
    NULL,
    "write only if the certificate that is there ends within so many days (\"30d\"), or is not "
    "what is asked for; prints `renewed` or `unchanged`"
};
static const struct cert_option hook =
    TEXT("--deploy-hook", "COMMAND", hook,
         "a command for the shell that runs once new files are there; PGTLS_CERT and PGTLS_KEY "
         "name them");
static const struct cert_option ca_passphrase_file =
    TEXT("--ca-passphrase-file", "FILE", ca_passphrase_file,
         "its first line opens the authority's key (mode 0600); without it the terminal is "
         "asked");
static const struct cert_option ca_passphrase_command =
    TEXT("--ca-passphrase-command", "COMMAND", ca_passphrase_command,
         "the same, printed by a command; %p is the key file");
static const struct cert_option passphrase =
    SWITCH("--passphrase", asks_passphrase,
           "encrypt the new key; the passphrase is asked on the terminal");
static const struct cert_option passphrase_file =
    TEXT("--passphrase-file", "FILE", passphrase_file,
         "encrypt the new key with the first line of the file (mode 0600)");
static const struct cert_option passphrase_command =
    TEXT("--passphrase-command", "COMMAND", passphrase_command,
         "the same, printed by a command; %p is the key file");
static const struct cert_option purpose = { "--purpose", "PURPOSE",
                                            CERT_CHOICE, AT(purpose),
                                            0,           0,
                                            purposes,    "what the certificate is for" };
static const struct cert_option peer_purpose = {
    "--purpose", "PURPOSE", CERT_CHOICE,   AT(purpose),
    0,           0,         peer_purposes, "what the certificate is for"
};
static const struct cert_option csr_names =
    SWITCH("--csr-names", csr_names,
           "take the subject and names that the request asks for, where none are given here");
static const struct cert_option reason = {
    "--reason", "REASON", CERT_CHOICE, AT(reason), 0, 0, revoke_reasons, "why; the list says it"
};
static const struct cert_option serial =
    TEXT("--serial", "HEX", serial, "its number, where the file is lost; index.txt has it");
static const struct cert_option append =
    TEXT("--append", "FILE", append,
         "lists of the authorities above it, put behind it: who checks wants them all");
static const struct cert_option cert_file =
    TEXT("--cert", "FILE", cert_file, "the certificate, with its chain");
static const struct cert_option key_file =
    TEXT("--key", "FILE", key_file, "its private key: does it fit, and may others read it?");
static const struct cert_option ca_file = TEXT(
    "--ca", "FILE", ca_file,
    "the certificates that the other side trusts, or `system`: does the chain lead there?");
static const struct cert_option crl_file =
    TEXT("--crl", "FILE", crl_file, "revocation lists of all its authorities; needs --ca");
static const struct cert_option key_passphrase_file =
    TEXT("--passphrase-file", "FILE", passphrase_file,
         "its first line opens the key; without it the terminal is asked");
static const struct cert_option key_passphrase_command =
    TEXT("--passphrase-command", "COMMAND", passphrase_command,
         "the same, printed by a command; %p is the key file");
static const struct cert_option one_name = {
    "--name",   "NAME",
    CERT_TEXTS, AT(names),
    0,          0,
    NULL,       "the host that clients connect to, or the user where the purpose is client"
};
static const struct cert_option json = SWITCH("--json", json, "as JSON");
static const struct cert_option via = { "--via",
                                        "WAY",
                                        CERT_CHOICE,
                                        AT(via),
                                        0,
                                        0,
                                        ways,
                                        "how to ask a server: PostgreSQL's SSLRequest, "
                                        "PostgreSQL's direct TLS, or TLS alone (Redis)" };
static const struct cert_option wait = { "--timeout", "SECONDS",
                                         CERT_NUMBER, AT(timeout_s),
                                         1,           600,
                                         NULL,        "how long a server may take" };

#define CA_PASSPHRASE                                                                          \
    { &ca_passphrase_file, false, NULL },                                                      \
    {                                                                                          \
        &ca_passphrase_command, false, NULL                                                    \
    }
#define PASSPHRASE                                                                             \
    { &passphrase, false, NULL }, { &passphrase_file, false, NULL },                           \
    {                                                                                          \
        &passphrase_command, false, NULL                                                       \
    }
#define RENEWAL                                                                                \
    { &renew, false, NULL }, { &hook, false, NULL },                                           \
    {                                                                                          \
        &force, false, NULL                                                                    \
    }
#define KEY                                                                                    \
    {                                                                                          \
        &key_kind, false, KEY_KIND_PRESET                                                      \
    }

/* ---- words ---- */

static const struct cert_word words[] = {
    { "self-signed",
      "a server's certificate that stands for itself",
      NULL,
      "Writes server.crt and server.key. Clients trust it by having server.crt as their root "
      "certificate, and no longer once it is replaced: an authority is better wherever there "
      "is "
      "more than one client.",
      "pgtls cert self-signed --name localhost --name 127.0.0.1 --out certs/",
      { { &names, true, NULL },
        { &out, true, NULL },
        { &subject, false, NULL },
        KEY,
        { &days, false, "90" },
        RENEWAL },
      cert_run_self_signed },
    { "ca",
      "a root authority",
      NULL,
      "Writes ca.crt, ca.key and the authority's books: index.txt and crlnumber, as `openssl "
      "ca` "
      "keeps them.",
      "pgtls cert ca --subject \"CN=Example Root\" --out ca/",
      { { &subject, true, NULL },
        { &out, true, NULL },
        KEY,
        { &days, false, "3650" },
        { &path_length, false, "1" },
        PASSPHRASE,
        { &force, false, NULL } },
      cert_run_ca },
    { "intermediate",
      "an authority below another",
      NULL,
      "Writes ca.crt (its certificate, and those above it but the root), ca.key, root.crt and "
      "books of its own.",
      "pgtls cert intermediate --ca ca/ --subject \"CN=Example Issuing\" --out int/",
      { { &ca, true, NULL },
        { &subject, true, NULL },
        { &out, true, NULL },
        KEY,
        { &days, false, "1825" },
        { &path_length, false, "0" },
        CA_PASSPHRASE,
        PASSPHRASE,
        { &force, false, NULL } },
      cert_run_intermediate },
    { "server",
      "a server's key and certificate",
      NULL,
      "Writes server.crt (the certificate, and the intermediate ones behind it), server.key "
      "and "
      "root.crt. Names go into the subject alternative names; the first is the common name "
      "too.",
      "pgtls cert server --ca int/ --name db.example.com --name 10.0.0.5 --out db/",
      { { &ca, true, NULL },
        { &names, true, NULL },
        { &out, true, NULL },
        { &subject, false, NULL },
        KEY,
        { &days, false, "90" },
        RENEWAL,
        CA_PASSPHRASE,
        { &new_root, false, NULL } },
      cert_run_server },
    { "client",
      "a client's key and certificate",
      NULL,
      "Writes client.crt, client.key and root.crt. The common name is what PostgreSQL's cert "
      "authentication and `sslmode = \"verify-full\"` of pgtls proxy compare with the user.",
      "pgtls cert client --ca int/ --user alice --out alice/",
      { { &ca, true, NULL },
        { &user, false, NULL },
        { &out, true, NULL },
        { &subject, false, NULL },
        { &names, false, NULL },
        KEY,
        { &days, false, "90" },
        RENEWAL,
        CA_PASSPHRASE,
        { &new_root, false, NULL } },
      cert_run_client },
    { "csr",
      "a key and a request, for an authority elsewhere",
      NULL,
      "Writes server.key and server.csr, client.key and client.csr, or ca.key and ca.csr, by "
      "the purpose.",
      "pgtls cert csr --purpose server --name db.example.com --out db/",
      { { &purpose, false, "server" },
        { &names, false, NULL },
        { &user, false, NULL },
        { &subject, false, NULL },
        { &out, true, NULL },
        KEY,
        PASSPHRASE,
        { &force, false, NULL } },
      cert_run_csr },
    { "sign",
      "the certificate for a request",
      "FILE.csr",
      "Writes server.crt, client.crt or ca.crt, and root.crt. Nothing in the certificate but "
      "the public key comes from the request, unless --csr-names is given: look at it first "
      "(`pgtls cert show FILE.csr`).",
      "pgtls cert sign --ca int/ --name db.example.com --out db/ db/server.csr",
      { { &ca, true, NULL },
        { &purpose, false, "server" },
        { &names, false, NULL },
        { &user, false, NULL },
        { &subject, false, NULL },
        { &csr_names, false, NULL },
        { &out, true, NULL },
        { &sign_days, false, NULL },
        { &path_length, false, "0" },
        { &force, false, NULL },
        CA_PASSPHRASE },
      cert_run_sign },
    { "revoke",
      "takes a certificate back",
      "[FILE.crt]",
      "Notes it in the authority's index.txt. It takes effect once the next list (`pgtls cert "
      "crl`) is where certificates are checked.",
      "pgtls cert revoke --ca ca/ --reason keyCompromise alice/client.crt",
      { { &ca, true, NULL }, { &serial, false, NULL }, { &reason, false, NULL } },
      cert_run_revoke },
    { "crl",
      "the list of what was revoked",
      NULL,
      "Writes the authority's list, with the next number. Make one before it ends, even if "
      "nothing was revoked: a list that has ended refuses everybody.",
      "pgtls cert crl --ca ca/ --days 30",
      { { &ca, true, NULL },
        { &list_days, false, "30" },
        { &list_out, false, NULL },
        { &append, false, NULL },
        CA_PASSPHRASE },
      cert_run_crl },
    { "verify",
      "what is wrong with these files?",
      NULL,
      "Looks at the certificate as the other side will, one thing a line: order of the chain, "
      "key, dates, strength, trust, revocation, purpose, name. The exit status is 1 where one "
      "of them is bad.",
      "pgtls cert verify --cert db/server.crt --key db/server.key --ca ca/ca.crt --name "
      "db.example.com",
      { { &cert_file, true, NULL },
        { &key_file, false, NULL },
        { &ca_file, false, NULL },
        { &crl_file, false, NULL },
        { &one_name, false, NULL },
        { &peer_purpose, false, "server" },
        { &key_passphrase_file, false, NULL },
        { &key_passphrase_command, false, NULL } },
      cert_run_verify },
    { "show",
      "what is in a file, or what a server sends",
      "FILE|HOST:PORT",
      "Shows certificates in their order, a request or a revocation list. Whatever a server "
      "sends is shown; nothing is trusted.",
      "pgtls cert show db.example.com:5432",
      { { &via, false, "sslrequest" }, { &wait, false, "10" }, { &json, false, NULL } },
      cert_run_show },
    { NULL, NULL, NULL, NULL, NULL, { { NULL, false, NULL } }, NULL },
};

const struct cert_word *cert_words(void)
{
    return words;
}

const struct cert_word *cert_word_find(const char *word)
{
    for (const struct cert_word *w = words; w->word != NULL; w++)
        if (strcmp(w->word, word) == 0)
            return w;
    return NULL;
}
