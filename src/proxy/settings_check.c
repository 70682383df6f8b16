/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_check.h"

#include "io/address.h"
#include "proxy/settings_claims.h"
#include "proxy/settings_rule.h"

#include <stdio.h>
#include <stdlib.h>

void settings_check_route(struct route_settings *route, struct conf_problems *problems)
{
    struct check check = { route, problems };

    settings_check_hosts(&check); /* first: what they demand says what the port does */
    settings_check_listener(&check);
    if (settings_has_backend(route)) {
        settings_check_backend(&check);
        settings_check_scram(&check);
    }
    settings_check_hosts_together(&check);
    settings_check_limits(&check);
}

/* ---- routes beside each other ---- */

static size_t claim_names(const struct proxy_settings *settings, struct claim *claims)
{
    size_t count = 0;

    for (size_t i = 0; i < settings->route_count; i++)
        if (settings->routes[i].name != NULL) {
            claims[count] = (struct claim){ .route = &settings->routes[i], .order = i };
            snprintf(claims[count++].text, CLAIM_TEXT, "%s", settings->routes[i].name);
        }
    return count;
}

/* In their written-out form, so that "[0::1]:5" and "[::1]:5" are one. */
static size_t claim_addresses(const struct proxy_settings *settings, struct claim *claims)
{
    size_t count = 0;

    for (size_t i = 0; i < settings->route_count; i++) {
        const struct conf_strings *list = &settings->routes[i].listener.bind_address;

        for (size_t n = 0; n < list->count; n++) {
            struct address address;

            if (address_parse(&address, list->items[n], NULL) != FAIL_NONE)
                continue;
            claims[count] = (struct claim){ .route = &settings->routes[i], .order = i };
            address_format(&address, claims[count++].text);
        }
    }
    return count;
}

static size_t count_addresses(const struct proxy_settings *settings)
{
    size_t count = 0;

    for (size_t i = 0; i < settings->route_count; i++)
        count += settings->routes[i].listener.bind_address.count;
    return count;
}

static void refuse_doubles(struct claim *claims, size_t count, const char *setting,
                           struct conf_problems *problems)
{
    claims_sort(claims, count);
    for (size_t i = 1; i < count; i++) {
        const struct claim *first = &claims[i - 1], *second = &claims[i];
        char                place[SETTINGS_PLACE];

        if (strcmp(first->text, second->text) != 0)
            continue;
        if (first->route == second->route)
            settings_problem(problems, false, second->route, setting,
                             "\"%s\" is in the list twice", second->text);
        else
            settings_problem(problems, false, second->route, setting,
                             "\"%s\" is taken by route \"%s\" in %s", second->text,
                             first->route->name,
                             settings_place(first->route, setting, second->route, place));
    }
}

void settings_check_routes(const struct proxy_settings *settings,
                           struct conf_problems        *problems)
{
    struct claim *claims =
        calloc(settings->route_count + count_addresses(settings), sizeof *claims);

    if (claims == NULL) {
        conf_problem_add(problems, false, 0, "out of memory");
        return;
    }
    refuse_doubles(claims, claim_names(settings, claims), "name", problems);
    refuse_doubles(claims, claim_addresses(settings, claims), "listener.bind_address",
                   problems);
    free(claims);
}
