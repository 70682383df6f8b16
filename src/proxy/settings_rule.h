/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_rule.h - what the rules of settings_check.h are written with
 */
#ifndef PGTLS_PROXY_SETTINGS_RULE_H
#define PGTLS_PROXY_SETTINGS_RULE_H

#include "proxy/settings_table.h"

#define LONGEST_HOST 256

/* One route on its way through the rules. */
struct check {
    struct route_settings *route;
    struct conf_problems  *problems;
};

bool rule_has(const struct check *check, const char *setting);

void rule_refuse(const struct check *check, const char *setting, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void rule_warn(const struct check *check, const char *setting, const char *text);

/* "TEXT" or "TEXT; HINT", as the failure has it. */
void rule_refuse_for(const struct check *check, const char *setting, const struct failure *why);

/* A setting that would not take effect is a mistake, and `format` says why; but one that comes
 * from the defaults is for other routes. */
void rule_refuse_useless(const struct check *check, const char *setting, const char *format,
                         ...) __attribute__((format(printf, 3, 4)));
void rule_refuse_each(const struct check *check, const char *const *settings, const char *why);

/* Of two settings that contradict each other, the one that the route says itself wins. */
bool rule_drop_weaker_default(const struct check *check, const char *one, const char *other);

bool rule_verifies(int sslmode); /* verify-ca, verify-full */

/* Refuses what is not an address with a port. */
bool rule_is_good_port(const struct check *check, const char *setting, const char *text);
bool rule_is_host_name(const char *name); /* it may end in a dot, as resolvers take it */
void rule_networks(const struct check *check, const char *setting,
                   const struct conf_strings *list);

/* Every setting of TLS towards clients but sslmode and mtls. */
void rule_refuse_client_tls(const struct check *check, const char *why);

/* The same settings of a port that has hosts. */
void rule_refuse_what_no_host_inherits(const struct check *check);

/* The rules where there is TLS towards clients; `setting` made the mode what it is. */
void settings_check_client_tls(const struct check *check, const char *setting);

/* mtls beside sslmode and client_ca. */
void settings_check_mtls(const struct check *check);

/* Of [[proxy.host]]: each by itself, and then beside each other and the port. */
void settings_check_hosts(const struct check *check);
void settings_check_hosts_together(const struct check *check);

/* The rules of one section each. */
void settings_check_listener(const struct check *check);
void settings_check_backend(const struct check *check);

/* What could not take effect, with what the two sides say known. */
void settings_check_limits(const struct check *check);

/* How logins pass: after both, whose modes are known then. */
void settings_check_scram(const struct check *check);

#endif
