/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_files.h"

#include "conf/file.h"
#include "io/clock.h"
#include "runtime/command.h"
#include "x509/certificate.h"
#include "x509/crl.h"
#include "x509/pem_file.h"

#include <string.h>

#define LARGEST_MAP ((size_t)1024 * 1024)

/* Where the two sides of a route name their files. */
static const struct side {
    const char *cert, *key, *ca, *crl_file, *crl_dir;
} sides[] = {
    [SECTION_LISTENER] = { "listener.server_cert", "listener.server_key", "listener.client_ca",
                           "listener.client_crl_file", "listener.client_crl_dir" },
    [SECTION_BACKEND] = { "backend.client_cert", "backend.client_key", "backend.root_ca",
                          "backend.crl_file", "backend.crl_dir" },
};

static void tell(const struct route_settings *route, const char *setting, const char *file,
                 struct failure *why, struct conf_problems *problems)
{
    conf_file_explain_denied(file, why);
    settings_problem(problems, false, route, setting, "%s%s%s", why->text,
                     why->hint[0] == '\0' ? "" : "; ", why->hint);
}

static int64_t now_s(void)
{
    return (int64_t)(clock_wall_us() / 1000000);
}

/* ---- certificates and keys ---- */

static size_t identity_count(const struct route_settings *route, enum settings_section side)
{
    if (side == SECTION_BACKEND)
        return route->backend.client_cert != NULL && route->backend.client_key != NULL;
    if (route->listener.server_cert.count != route->listener.server_key.count)
        return 0;
    return route->listener.server_cert.count;
}

static struct identity_files identity_files(const struct route_settings *route,
                                            enum settings_section side, size_t n)
{
    if (side == SECTION_LISTENER)
        return (struct identity_files){ .cert = route->listener.server_cert.items[n],
                                        .key = route->listener.server_key.items[n] };
    return (struct identity_files){ .cert = route->backend.client_cert,
                                    .key = route->backend.client_key };
}

static const char *passphrase_command(const struct route_settings *route,
                                      enum settings_section        side)
{
    return side == SECTION_LISTENER ? route->listener.key_passphrase_command
                                    : route->backend.key_passphrase_command;
}

/* What is wrong with the two together is told at the certificate. */
static bool is_about_key(const struct failure *why, const struct identity_files *files)
{
    return strstr(why->text, files->key) != NULL && strstr(why->text, files->cert) == NULL;
}

/* The clock may be wrong, and a proxy that is down is worse: it is said, and served. */
static void warn_of_dates(const struct route_settings *route, const char *setting,
                          const struct identity *identity, struct conf_problems *problems)
{
    const struct certificate_facts *facts = identity_facts(identity);

    if (now_s() > facts->not_after)
        settings_problem(problems, true, route, setting,
                         "the certificate has expired and peers will refuse it; renew it");
    else if (now_s() < facts->not_before)
        settings_problem(
            problems, true, route, setting,
            "the certificate is not valid yet and peers will refuse it; look at the "
            "clock");
}

static struct identity *load_identity(const struct route_settings *route,
                                      enum settings_section side, size_t n,
                                      struct conf_problems *problems)
{
    struct identity_files     files = identity_files(route, side, n);
    const char               *command = passphrase_command(route, side);
    struct command_passphrase passphrase;
    struct failure            why = { 0 };
    struct identity          *identity;

    if (command != NULL) {
        command_passphrase_init(&passphrase, command);
        files.passphrase = &passphrase.source;
    }
    identity = identity_load(&files, &why);
    if (identity == NULL && is_about_key(&why, &files))
        tell(route, sides[side].key, files.key, &why, problems);
    else if (identity == NULL)
        tell(route, sides[side].cert, files.cert, &why, problems);
    else
        warn_of_dates(route, sides[side].cert, identity, problems);
    return identity;
}

bool settings_load_identities(const struct route_settings *route, enum settings_section side,
                              struct identity      *out[static TLS_MOST_IDENTITIES],
                              struct conf_problems *problems)
{
    size_t count = identity_count(route, side);
    bool   is_good = true;

    for (size_t n = 0; n < TLS_MOST_IDENTITIES; n++) {
        out[n] = n < count ? load_identity(route, side, n, problems) : NULL;
        is_good = is_good && (n >= count || out[n] != NULL);
    }
    if (!is_good)
        settings_release_identities(out);
    return is_good;
}

void settings_release_identities(struct identity *identities[static TLS_MOST_IDENTITIES])
{
    for (size_t n = 0; n < TLS_MOST_IDENTITIES; n++) {
        identity_release(identities[n]);
        identities[n] = NULL;
    }
}

/* ---- authorities ---- */

static struct trust_files trust_files(const struct route_settings *route,
                                      enum settings_section        side)
{
    if (side == SECTION_LISTENER)
        return (struct trust_files){ .file = route->listener.client_ca,
                                     .crl_file = route->listener.client_crl_file,
                                     .crl_dir = route->listener.client_crl_dir };
    return (struct trust_files){ .file = route->backend.root_ca,
                                 .crl_file = route->backend.crl_file,
                                 .crl_dir = route->backend.crl_dir };
}

static bool is_about(const struct failure *why, const char *file)
{
    return file != NULL && strstr(why->text, file) != NULL;
}

static void tell_of_trust(const struct route_settings *route, enum settings_section side,
                          struct failure *why, struct conf_problems *problems)
{
    struct trust_files files = trust_files(route, side);

    if (is_about(why, files.crl_file))
        tell(route, sides[side].crl_file, files.crl_file, why, problems);
    else if (is_about(why, files.crl_dir))
        tell(route, sides[side].crl_dir, files.crl_dir, why, problems);
    else
        tell(route, sides[side].ca, files.file, why, problems);
}

/* Every certificate of that authority will be refused: better known now than by the clients. */
static void warn_of_expired_lists(const struct route_settings *route,
                                  enum settings_section side, const struct trust *trust,
                                  struct conf_problems *problems)
{
    struct trust_files files = trust_files(route, side);

    for (size_t i = 0; i < trust_crl_count(trust); i++) {
        const struct crl_facts *facts = trust_crl_facts(trust, i);
        bool is_of_file = files.crl_file != NULL && strcmp(facts->file, files.crl_file) == 0;

        if (!trust_crl_has_ended(trust, i, now_s()))
            continue;
        settings_problem(problems, true, route,
                         is_of_file ? sides[side].crl_file : sides[side].crl_dir,
                         "the revocation list of %.120s in %.120s has expired, and every "
                         "certificate of that authority will be refused; get a new one",
                         facts->issuer, facts->file);
    }
}

struct trust *settings_load_trust(const struct route_settings *route,
                                  enum settings_section side, struct trust_pool *pool,
                                  struct conf_problems *problems)
{
    struct trust_files files = trust_files(route, side);
    struct failure     why = { 0 };
    struct trust      *trust;

    if (files.file == NULL)
        return NULL;
    trust = trust_pool_load(pool, &files, &why);
    if (trust == NULL)
        tell_of_trust(route, side, &why, problems);
    else
        warn_of_expired_lists(route, side, trust, problems);
    return trust;
}

/* ---- maps ---- */

struct ident_map *settings_load_map(const struct route_settings *route, struct buf *text,
                                    struct conf_problems *problems)
{
    const char       *file = route->listener.ident_file, *name = route->listener.ident_map;
    struct failure    why = { 0 };
    struct ident_map *map = NULL;

    if (file == NULL || name == NULL)
        return NULL;
    buf_init(text, LARGEST_MAP);
    if (conf_file_read(file, text, &why) != FAIL_NONE)
        fail_context(&why, "%s", file);
    else
        map = ident_map_parse(buf_bytes(text), file, name, &why);
    if (map == NULL)
        tell(route, "listener.ident_file", file, &why, problems);
    return map;
}

/* ---- tickets ---- */

struct tls_ticket_keys *settings_load_ticket_keys(const struct route_settings *route,
                                                  struct conf_problems        *problems)
{
    const char             *file = route->listener.ticket_key_file;
    struct failure          why = { 0 };
    struct tls_ticket_keys *keys;

    if (route->listener.session_tickets != 1)
        return NULL;
    keys = file != NULL ? tls_ticket_keys_load(file, &why) : tls_ticket_keys_random(&why);
    if (keys == NULL && file != NULL)
        tell(route, "listener.ticket_key_file", file, &why, problems);
    else if (keys == NULL)
        settings_problem(problems, false, route, "listener.session_tickets", "%s", why.text);
    return keys;
}

/* ---- verifiers ---- */

struct userlist *settings_load_users(const struct route_settings *route,
                                     struct conf_problems        *problems)
{
    const char      *file = route->backend.auth_file;
    struct failure   why = { 0 };
    struct userlist *users = NULL;
    struct buf       text;

    if (file == NULL)
        return NULL;
    if (pem_file_read(file, PEM_FILE_KEY, &text, &why) == FAIL_NONE)
        users = userlist_read(file, buf_bytes(&text), &why);
    pem_file_wipe(&text);
    if (users == NULL)
        tell(route, "backend.auth_file", file, &why, problems);
    return users;
}

static struct bytes first_line(struct bytes text)
{
    size_t len = 0;

    while (len < text.len && text.p[len] != '\n' && text.p[len] != '\r')
        len++;
    return bytes_first(text, len);
}

struct secret settings_load_query_password(const struct route_settings *route,
                                           struct conf_problems        *problems)
{
    const char    *file = route->backend.auth_query_password_file;
    struct failure why = { 0 };
    struct secret  password = { 0 };
    struct bytes   line;
    struct buf     text;

    if (file == NULL)
        return password;
    if (pem_file_read(file, PEM_FILE_KEY, &text, &why) == FAIL_NONE) {
        line = first_line(buf_bytes(&text));
        if (line.len == 0)
            (void)fail(&why, FAIL_CONFIG, "%s: the first line is empty", file);
        else if (secret_init(&password, line.len, &why) == FAIL_NONE)
            (void)!secret_put(&password, line);
    }
    pem_file_wipe(&text);
    if (failed(&why))
        tell(route, "backend.auth_query_password_file", file, &why, problems);
    return password;
}

/* ---- settings with errors ---- */

static void prove_side(const struct route_settings *route, enum settings_section side,
                       struct trust_pool *pool, struct conf_problems *problems)
{
    struct identity *identities[TLS_MOST_IDENTITIES];

    if (passphrase_command(route, side) == NULL &&
        settings_load_identities(route, side, identities, problems))
        settings_release_identities(identities);
    trust_release(settings_load_trust(route, side, pool, problems));
}

static void prove_client_side(const struct route_settings *route, struct trust_pool *pool,
                              struct conf_problems *problems)
{
    struct buf text = BUF_LIMIT(0);

    prove_side(route, SECTION_LISTENER, pool, problems);
    ident_map_free(settings_load_map(route, &text, problems));
    buf_fini(&text);
    tls_ticket_keys_release(settings_load_ticket_keys(route, problems));
}

static void prove_server_side(const struct route_settings *route, struct trust_pool *pool,
                              struct conf_problems *problems)
{
    struct secret password = settings_load_query_password(route, problems);

    prove_side(route, SECTION_BACKEND, pool, problems);
    userlist_free(settings_load_users(route, problems));
    secret_fini(&password);
}

void settings_prove_files(const struct proxy_settings *settings, struct conf_problems *problems)
{
    struct trust_pool *pool = trust_pool_new();

    for (size_t i = 0; i < settings->route_count; i++) {
        const struct route_settings *route = &settings->routes[i];

        if (route->name == NULL)
            continue;
        if (route->host_count == 0)
            prove_client_side(route, pool, problems);
        prove_server_side(route, pool, problems);
        for (size_t n = 0; n < route->host_count; n++) {
            prove_client_side(&route->hosts[n], pool, problems);
            if (route->hosts[n].has_own_backend)
                prove_server_side(&route->hosts[n], pool, problems);
        }
    }
    trust_pool_free(pool);
}
