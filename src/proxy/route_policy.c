/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/route_policy.h"

#include "conf/file.h"
#include "proxy/kernel_records.h"

#include <stdio.h>

#define LARGEST_SCOPE ((size_t)2 * 1024 * 1024)

static const char *const version_words[] = {
    [VERSION_UNSET] = NULL,
    [VERSION_TLS_1_2] = "TLSv1.2",
    [VERSION_TLS_1_3] = "TLSv1.3",
};

static void set_words(struct tls_policy_options *options, const struct tls_settings *tls)
{
    options->min_protocol = version_words[tls->min_protocol];
    options->max_protocol = version_words[tls->max_protocol];
    options->ciphers = tls->ciphers;
    options->ciphersuites = tls->ciphersuites;
    options->groups = tls->groups;
    options->record_layer = (enum tls_records)tls->record_layer;
}

static bool set_identities(struct tls_policy_options *options, struct identity **identities,
                           const struct route_settings *settings, enum settings_section side,
                           struct conf_problems *problems)
{
    if (!settings_load_identities(settings, side, identities, problems))
        return false;
    options->identity = identities[0];
    for (size_t i = 1; i < TLS_MOST_IDENTITIES; i++)
        options->more_identities[i - 1] = identities[i];
    return true;
}

/* ---- problems ---- */

static bool starts_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* The setting that a policy is not made for: its failures begin with the name. */
static const char *blamed(const struct failure *why, const char *dh_params_file)
{
    static const char *const names[] = { "min_protocol_version",
                                         "max_protocol_version",
                                         "ciphersuites",
                                         "ciphers",
                                         "groups",
                                         "record_layer",
                                         NULL };
    size_t                   i = 0;

    if (dh_params_file != NULL &&
        (starts_with(why->text, "dh_params_file") || strstr(why->text, dh_params_file) != NULL))
        return "dh_params_file";
    while (names[i] != NULL && !starts_with(why->text, names[i]))
        i++;
    return names[i];
}

/* Without the name in front, which the problem has anyway. */
static const char *without_name(const char *text, const char *name)
{
    if (!starts_with(text, name))
        return text;
    text += strlen(name);
    return text + (starts_with(text, ": ") ? 2 : strspn(text, " "));
}

static void tell(const struct route_settings *settings, const char *section,
                 const char *otherwise, struct failure *why, const char *dh_params_file,
                 struct conf_problems *problems)
{
    const char *name = blamed(why, dh_params_file);
    char        setting[64];

    if (name != NULL && strcmp(name, "dh_params_file") == 0)
        conf_file_explain_denied(dh_params_file, why);
    snprintf(setting, sizeof setting, "%s.%s", section, name != NULL ? name : otherwise);
    settings_problem(problems, false, settings, setting, "%s%s%s",
                     name != NULL ? without_name(why->text, name) : why->text,
                     why->hint[0] != '\0' ? "; " : "", why->hint);
}

/* ---- towards clients ---- */

/* What a ticket is good for, beside the authorities and lists, which the policy adds.  The same
 * for all instances of a fleet: no path is in it. */
static bool put_scope(struct buf *scope, const struct route_settings *settings,
                      struct bytes map_text)
{
    const struct listener_settings *listener = &settings->listener;

    buf_put_string(scope, settings->name);
    buf_put_string(scope, settings->is_host ? listener->names.items[0] : "");
    buf_put_u8(scope, (uint8_t)listener->sslmode);
    buf_put_u8(scope, (uint8_t)listener->client_name);
    buf_put_string(scope, listener->ident_map != NULL ? listener->ident_map : "");
    buf_put_u32(scope, (uint32_t)map_text.len);
    buf_put(scope, map_text);
    return buf_ok(scope);
}

/* False after a problem, as below. */
static bool set_tickets(struct tls_policy_options *options, struct buf *scope,
                        const struct route_settings *settings, struct bytes map_text,
                        struct conf_problems *problems)
{
    if (settings->listener.session_tickets != 1)
        return true;
    options->ticket_keys = settings_load_ticket_keys(settings, problems);
    if (options->ticket_keys == NULL)
        return false;
    if (!put_scope(scope, settings, map_text)) {
        settings_problem(problems, false, settings, "listener.session_tickets",
                         "out of memory");
        return false;
    }
    options->ticket_scope = buf_bytes(scope);
    return true;
}

static bool set_trust(struct tls_policy_options *options, const struct route_settings *settings,
                      enum settings_section side, struct conf_problems *problems)
{
    const char *ca =
        side == SECTION_LISTENER ? settings->listener.client_ca : settings->backend.root_ca;

    options->trust = settings_load_trust(settings, side, options->pool, problems);
    return options->trust != NULL || ca == NULL;
}

static enum tls_order order(int prefers_server)
{
    return prefers_server == -1 ? TLS_ORDER_LIBRARY
           : prefers_server     ? TLS_ORDER_SERVER
                                : TLS_ORDER_CLIENT;
}

struct tls_policy *route_policy_of_clients(const struct route_settings *settings,
                                           struct bytes map_text, struct trust_pool *pool,
                                           struct conf_problems *problems)
{
    const struct listener_settings *listener = &settings->listener;
    struct identity                *identities[TLS_MOST_IDENTITIES];
    struct buf                      scope = BUF_LIMIT(LARGEST_SCOPE);
    struct tls_policy              *policy = NULL;
    struct failure                  why = { 0 };
    bool                            is_good;
    struct tls_policy_options       options = {
              .role = TLS_SERVER,
              .pool = pool,
              .max_record_bytes = listener->max_record_bytes,
              .dh_params_file = listener->dh_params_file,
              .order = order(listener->prefer_server_ciphers),
    };

    set_words(&options, &listener->tls);
    kernel_records_find_out(&options, settings, "listener.record_layer", problems);
    is_good = set_identities(&options, identities, settings, SECTION_LISTENER, problems);
    is_good = set_trust(&options, settings, SECTION_LISTENER, problems) && is_good;
    is_good = set_tickets(&options, &scope, settings, map_text, problems) && is_good;
    options.peer_check = options.trust != NULL ? TLS_PEER_CHAIN : TLS_PEER_ANY;
    if (is_good && (policy = tls_policy_new(&options, &why)) == NULL)
        tell(settings, "listener", "server_cert", &why, listener->dh_params_file, problems);
    settings_release_identities(identities);
    trust_release(options.trust);
    tls_ticket_keys_release(options.ticket_keys);
    buf_fini(&scope);
    return policy;
}

/* ---- towards the server ---- */

static enum tls_peer_check backend_check(const struct backend_settings *backend)
{
    if (backend->root_ca == NULL)
        return TLS_PEER_ANY;
    return backend->sslmode == SSLMODE_VERIFY_FULL ? TLS_PEER_NAME : TLS_PEER_CHAIN;
}

struct tls_policy *route_policy_of_backend(const struct route_settings *settings,
                                           struct trust_pool           *pool,
                                           struct conf_problems        *problems)
{
    const struct backend_settings *backend = &settings->backend;
    struct identity               *identities[TLS_MOST_IDENTITIES];
    struct tls_policy             *policy = NULL;
    struct failure                 why = { 0 };
    bool                           is_good;
    struct tls_policy_options      options = {
             .role = TLS_CLIENT,
             .pool = pool,
             .peer_check = backend_check(backend),
    };

    set_words(&options, &backend->tls);
    kernel_records_find_out(&options, settings, "backend.record_layer", problems);
    is_good = set_trust(&options, settings, SECTION_BACKEND, problems);
    is_good =
        set_identities(&options, identities, settings, SECTION_BACKEND, problems) && is_good;
    if (is_good && (policy = tls_policy_new(&options, &why)) == NULL)
        tell(settings, "backend", backend->client_cert != NULL ? "client_cert" : "sslmode",
             &why, NULL, problems);
    settings_release_identities(identities);
    trust_release(options.trust);
    return policy;
}
