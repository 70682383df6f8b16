/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_rows.h"

#include "tls/policy.h"

static const struct option_choice log_formats[] = {
    { "text", LOG_TEXT, NULL },
    { "json", LOG_JSON, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice protocols[] = {
    { "postgresql", PROTOCOL_POSTGRESQL, NULL },
    { "redis", 0, NOT_YET "; \"postgresql\" is" },
    { NULL, 0, NULL },
};

const struct option_choice settings_sslmodes[] = {
    { "disable", SSLMODE_DISABLE, NULL },
    { "allow", SSLMODE_ALLOW, NULL },
    { "prefer", SSLMODE_PREFER, NULL },
    { "require", SSLMODE_REQUIRE, NULL },
    { "verify-ca", SSLMODE_VERIFY_CA, NULL },
    { "verify-full", SSLMODE_VERIFY_FULL, NULL },
    { NULL, 0, NULL },
};

const struct option_choice settings_tls_versions[] = {
    { "TLSv1.2", VERSION_TLS_1_2, NULL },
    { "TLSv1.3", VERSION_TLS_1_3, NULL },
    { "TLSv1", 0, "is broken (RFC 8996); write \"TLSv1.2\" or \"TLSv1.3\"" },
    { "TLSv1.1", 0, "is broken (RFC 8996); write \"TLSv1.2\" or \"TLSv1.3\"" },
    { NULL, 0, NULL },
};

const struct option_choice settings_record_layers[] = {
    { "auto", TLS_RECORDS_AUTO, NULL },
    { "library", TLS_RECORDS_LIBRARY, NULL },
    { "record", TLS_RECORDS_OWN, NULL },
    { "kernel", TLS_RECORDS_KERNEL, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice event_loops[] = {
    { "auto", LOOP_AUTO, NULL },
    { "epoll", LOOP_EPOLL, NULL },
    { "io_uring", LOOP_IO_URING, NULL },
    { NULL, 0, NULL },
};

static const struct option_choice standard_error[] = {
    { "", 0, NULL },
    { NULL, 0, NULL },
};

#define AT(field) offsetof(struct proxy_settings, field)
static const struct option top_rows[] = {
    { .name = "log_level",
      .type = OPTION_STRING,
      .field = AT(log_level),
      .min = 1,
      .max = 400,
      .default_text = "`info`",
      .sample = "\"info\"",
      .help =
          "The least important events that are logged: debug, info, warn or error; then, for "
          "parts of the log, others: \"info,tls=debug\". A part is the first word of an "
          "event; `pgtls help events` lists them all. The environment's PGTLS_LOG overrides "
          "it." },
    { .name = "log_format",
      .type = OPTION_CHOICE,
      .field = AT(log_format),
      .preset = "text",
      .choices = log_formats,
      .help = "How a line of the log looks: key=value text, or one JSON object." },
    { .name = "log_file",
      .type = OPTION_PATH,
      .field = AT(log_file),
      .choices = standard_error,
      .default_text = "standard error",
      .sample = "\"/var/log/pgtls.log\"",
      .help = "The log is appended to this file, and the file opened again at SIGHUP; \"\" is "
              "standard error." },
    { .name = "user",
      .type = OPTION_STRING,
      .field = AT(user),
      .max = 64,
      .default_text = "the user that starts the program",
      .sample = "\"pgtls\"",
      .help =
          "Once its addresses are bound, the program becomes this user, with its group and "
          "supplementary groups, and nothing it runs gains rights any more. All that a reload "
          "reads is read as this user from the start on: the file, what it includes, keys, "
          "certificates, log_file. Unix sockets are this user's. A reload cannot change it; "
          "\"\" is the user that starts the program." },
    { .name = "include",
      .type = OPTION_STRING_LIST,
      .field = AT(include),
      .min = 1,
      .max = LONGEST_PATH,
      .default_text = "none",
      .sample = "[\"routes/*.toml\"]",
      .help = "Files with more [[proxy]] sections, and nothing else; patterns (which may match "
              "nothing) "
              "are relative to this file, paths inside an included file to that file." },
    { .name = "workers",
      .type = OPTION_NUMBER,
      .field = AT(workers),
      .preset = "0",
      .max = 1024,
      .help = "Event loops, each a thread; 0 is one a CPU." },
    { .name = "event_loop",
      .type = OPTION_CHOICE,
      .field = AT(event_loop),
      .preset = "auto",
      .choices = event_loops,
      .help =
          "What moves bytes between sockets and the program. \"io_uring\" costs less than "
          "\"epoll\" on a busy machine and needs Linux 6.1 or later; many containers forbid "
          "it. "
          "Where it cannot be had, epoll serves: \"auto\" says why in the proxy.start line, "
          "\"io_uring\" warns too." },
    { .name = NULL },
};
#undef AT

#define AT(field) offsetof(struct route_settings, field)
static const struct option proxy_rows[] = {
    { .name = "name",
      .type = OPTION_STRING,
      .field = AT(name),
      .min = 1,
      .max = 64,
      .default_text = "`proxy[0]` for the first route, and so on",
      .sample = "\"orders\"",
      .is_in_sample = true,
      .help = "The name of the route in logs and errors." },
    { .name = "protocol",
      .type = OPTION_CHOICE,
      .field = AT(protocol),
      .preset = "postgresql",
      .choices = protocols,
      .help = "What clients and the backend speak." },
    { .name = NULL },
};
#undef AT

static const char *const sections_at_the_top[] = { "proxy", "defaults", NULL };
static const char *const sections_of_a_route[] = { "listener", "host", "backend", "limits",
                                                   NULL };
static const char *const sections_of_a_host[] = { "backend", NULL };

static const struct conf_table top_table = {
    .header = "",
    .prefix = "",
    .help = "Settings of the whole program.",
    .rows = top_rows,
    .sections = sections_at_the_top,
};

static const struct option no_rows[] = { { .name = NULL } };

static const struct conf_table defaults_table = {
    .header = "[defaults.limits]",
    .title = "[defaults.listener], [defaults.backend], [defaults.limits]",
    .prefix = "defaults.",
    .help =
        "What every route starts from: the settings of [proxy.listener], [proxy.backend] and "
        "[proxy.limits]. What a route says itself wins. A default that has no effect on a "
        "route, such as client_ca on one with sslmode disable, is left out there; what is "
        "said of certificates is no reason for TLS on a Unix socket. An sslmode is never "
        "left out.",
    .rows = no_rows,
};

static const struct conf_table section_tables[SECTION_COUNT + 1] = {
    [SECTION_PROXY] = {
        .header = "[[proxy]]",
        .prefix = "",
        .help = "A route: where clients connect, and the server they get to. A file has one or "
                "more; the sections below belong to the route above them.",
        .rows = proxy_rows,
        .sections = sections_of_a_route,
    },
    [SECTION_LISTENER] = {
        .header = "[proxy.listener]",
        .prefix = "listener.",
        .help = "The side of the clients.",
        .rows = settings_listener_rows,
        .more_rows = settings_client_tls_rows,
    },
    [SECTION_BACKEND] = {
        .header = "[proxy.backend]",
        .prefix = "backend.",
        .help = "The side of the PostgreSQL server.",
        .rows = settings_backend_rows,
    },
    [SECTION_HOST] = {
        .header = "[[proxy.host]]",
        .prefix = "host.",
        .help = "One of several names on the port of a route, chosen by what clients announce "
                "(SNI), behind SSLRequest as well as in direct TLS. Beside `names` it takes every "
                "setting of [proxy.listener] from sslmode to max_record_size, and what it does "
                "not set is the listener's; what no host takes from the listener is an "
                "error there. Its sslmode is require or stronger; plaintext clients "
                "and the answer to SSLRequest are the listener's. With a [proxy.host.backend] "
                "below it, it leads there; what that does not set is not taken from "
                "[proxy.backend], which may be left out where every host has its own. Hosts that "
                "lead to the same backend must demand the same of client certificates, however "
                "its address is written: `localhost`, `127.0.0.1` and `[::1]` are one, but "
                "names are not looked up.",
        .rows = settings_host_rows,
        .more_rows = settings_client_tls_rows,
        .more_is_told = true,
        .is_optional = true,
        .sections = sections_of_a_host,
    },
    [SECTION_LIMITS] = {
        .header = "[proxy.limits]",
        .prefix = "limits.",
        .help = "Limits of one route.",
        .rows = settings_limit_rows,
    },
};

static const struct conf_table host_backend_table = {
    .header = "[proxy.host.backend]",
    .prefix = "host.backend.",
    .rows = settings_backend_rows,
};

const struct conf_table *settings_host_backend_table(void)
{
    return &host_backend_table;
}

const struct conf_table *settings_top_table(void)
{
    return &top_table;
}

const struct conf_table *settings_section_table(enum settings_section section)
{
    return &section_tables[section];
}

const struct conf_table *const *settings_tables(void)
{
    static const struct conf_table *const all[] = {
        &top_table,
        &defaults_table,
        &section_tables[SECTION_PROXY],
        &section_tables[SECTION_LISTENER],
        &section_tables[SECTION_HOST],
        &section_tables[SECTION_BACKEND],
        &section_tables[SECTION_LIMITS],
        NULL,
    };

    return all;
}

void *settings_section_of(struct route_settings *route, enum settings_section section)
{
    switch (section) {
    case SECTION_PROXY: return route;
    case SECTION_LISTENER:
    case SECTION_HOST: return &route->listener;
    case SECTION_BACKEND: return &route->backend;
    case SECTION_LIMITS: return &route->limits;
    }
    __builtin_unreachable();
}

const char *sslmode_name(enum sslmode mode)
{
    const struct option_choice *choice = settings_sslmodes;

    while (choice->word != NULL && (choice->refusal != NULL || choice->value != (int)mode))
        choice++;
    return choice->word == NULL ? "unset" : choice->word;
}
