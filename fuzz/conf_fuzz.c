/* SPDX-License-Identifier: PostgreSQL */
/* A configuration file: settings come out whole, or a problem says why not. */
#include "proxy/settings.h"

#include "fuzz.h"

static void check_problems(const struct conf_problems *problems)
{
    size_t errors = 0;

    for (size_t i = 0; i < problems->count; i++) {
        const struct conf_problem *problem = &problems->items[i];

        MUST(i == 0 || problems->items[i - 1].line <= problem->line);
        MUST(strncmp(problem->text, "/etc/pgtls.toml:", 16) == 0);
        MUST(strlen(problem->text) < sizeof problem->text);
        errors += problem->is_warning ? 0 : 1;
    }
    MUST(errors == problems->error_count);
}

static void check_client_side(const struct listener_settings *listener)
{
    bool has_tls = listener->sslmode != SSLMODE_DISABLE;

    MUST((listener->server_cert.count > 0) == has_tls &&
         listener->server_key.count == listener->server_cert.count);
    MUST((listener->ident_file != NULL) == (listener->ident_map != NULL));
    MUST(listener->sslmode < SSLMODE_VERIFY_CA || listener->client_ca != NULL);
}

static void check_backend(const struct backend_settings *backend)
{
    MUST(backend->addresses.count > 0 && backend->sslmode != SSLMODE_UNSET);
    MUST(backend->sslmode < SSLMODE_VERIFY_CA || backend->root_ca != NULL);
    MUST((backend->client_cert != NULL) == (backend->client_key != NULL));
}

static void check_host(const struct route_settings *host)
{
    MUST(host->is_host && host->host_count == 0 && host->listener.names.count > 0);
    MUST(host->listener.sslmode >= SSLMODE_REQUIRE);
    check_client_side(&host->listener);
    check_backend(&host->backend);
}

/* Whatever was left out has its default; nothing that TLS needs is missing. */
static void check_route(const struct route_settings *route)
{
    const struct listener_settings *listener = &route->listener;

    MUST(route->name != NULL && route->name[0] != '\0');
    MUST(listener->bind_address.count > 0 && listener->sslmode != SSLMODE_UNSET);
    MUST(listener->cancel != CANCEL_UNSET);
    MUST(route->host_count == 0 || listener->sslmode != SSLMODE_DISABLE);
    if (route->host_count == 0)
        check_client_side(listener);
    if (settings_has_backend(route))
        check_backend(&route->backend);
    for (size_t i = 0; i < route->host_count; i++)
        check_host(&route->hosts[i]);
    MUST(route->limits.max_connections > 0 && route->limits.login_timeout_us > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings =
        settings_load_text("/etc/pgtls.toml", bytes_of(data, size), &problems);

    MUST((settings == NULL) == (problems.error_count > 0));
    check_problems(&problems);
    for (size_t i = 0; settings != NULL && i < settings->route_count; i++)
        check_route(&settings->routes[i]);
    settings_free(settings);
    conf_problems_fini(&problems);
    return 0;
}
