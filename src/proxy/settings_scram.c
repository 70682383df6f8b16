/* SPDX-License-Identifier: PostgreSQL */
/* How SCRAM passes between the two legs: what cannot work, or would not be used, is refused. */
#include "proxy/settings_rule.h"

static const char *const sources[] = { "backend.auth_file", "backend.auth_query", NULL };

/* Which of the two legs may or must have TLS. */
struct ways {
    bool client_may, client_must, server_may, server_must;
};

static struct ways ways_of(const struct check *check)
{
    int client = check->route->listener.sslmode, server = check->route->backend.sslmode;

    return (struct ways){
        .client_may = client != SSLMODE_DISABLE || check->route->host_count > 0,
        .client_must = client >= SSLMODE_REQUIRE,
        .server_may = server != SSLMODE_DISABLE,
        .server_must = server >= SSLMODE_REQUIRE,
    };
}

static void check_strip(const struct check *check, const struct ways *ways)
{
    if (!ways->server_may)
        rule_refuse_useless(check, "backend.scram",
                            "\"strip\" has no effect: a server without TLS offers no channel "
                            "binding; leave it out");
    else if (ways->client_must && ways->server_must)
        rule_refuse(check, "backend.scram",
                    "\"strip\" cannot work with TLS on both legs: the server refuses clients "
                    "that have seen no channel binding; write \"auto\", or \"bridge\" with "
                    "auth_file");
}

static void check_passthrough(const struct check *check, const struct ways *ways)
{
    if (!ways->client_may && ways->server_must)
        rule_refuse(check, "backend.scram",
                    "\"passthrough\" cannot work: libpq stops where a server offers channel "
                    "binding and its own leg has no TLS; write \"auto\" or \"strip\"");
}

static void refuse_sources(const struct check *check, const char *why)
{
    for (size_t i = 0; sources[i] != NULL; i++)
        rule_refuse_useless(check, sources[i], "%s", why);
}

/* Is there a login that looks for a verifier? */
static void check_sources(const struct check *check, const struct ways *ways)
{
    int way = check->route->backend.scram;

    if (way == SCRAM_PASSTHROUGH || way == SCRAM_STRIP)
        refuse_sources(check, "has no effect with this scram; write \"auto\" or \"bridge\"");
    else if (way == SCRAM_AUTO && (!ways->client_may || !ways->server_may))
        refuse_sources(check, "has no effect: scram \"auto\" bridges only where both legs have "
                              "TLS; write scram = \"bridge\"");
    else if (way == SCRAM_BRIDGE && !rule_has(check, "backend.auth_file") &&
             !rule_has(check, "backend.auth_query"))
        rule_refuse(check, "backend.scram",
                    "\"bridge\" needs verifiers; name a file of them in auth_file, or set "
                    "auth_query");
}

static void check_query(const struct check *check)
{
    static const char *const parts[] = {
        "backend.auth_query_user",        "backend.auth_query_password_file",
        "backend.auth_query_database",    "backend.auth_query_cache",
        "backend.auth_query_cache_users", NULL
    };

    if (!rule_has(check, "backend.auth_query")) {
        rule_refuse_each(check, parts, "has no effect without auth_query; leave it out");
        return;
    }
    if (!rule_has(check, "backend.auth_query_user"))
        rule_refuse(check, "backend.auth_query",
                    "needs auth_query_user; name the role that runs it");
    if (strstr(check->route->backend.auth_query, "$1") == NULL)
        rule_refuse(check, "backend.auth_query",
                    "does not use $1, which stands for the name of the user");
    if (check->route->backend.auth_query_cache_us == 0)
        rule_refuse_useless(check, "backend.auth_query_cache_users",
                            "has no effect with auth_query_cache = \"0s\"; leave it out");
    if (check->route->backend.sslmode == SSLMODE_ALLOW ||
        check->route->backend.sslmode == SSLMODE_PREFER)
        rule_refuse(check, "backend.auth_query",
                    "verifiers could come in plaintext with this sslmode; write \"require\" or "
                    "stronger");
}

void settings_check_scram(const struct check *check)
{
    struct ways ways = ways_of(check);

    if (check->route->listener.sslmode == SSLMODE_UNSET ||
        check->route->backend.sslmode == SSLMODE_UNSET)
        return; /* told already */
    if (check->route->backend.scram == SCRAM_STRIP)
        check_strip(check, &ways);
    if (check->route->backend.scram == SCRAM_PASSTHROUGH)
        check_passthrough(check, &ways);
    check_sources(check, &ways);
    check_query(check);
}
