/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_rule.h"

#include "io/address.h"
#include "io/network.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

void rule_refuse(const struct check *check, const char *setting, const char *format, ...)
{
    char    text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    settings_problem(check->problems, false, check->route, setting, "%s", text);
}

void rule_warn(const struct check *check, const char *setting, const char *text)
{
    settings_problem(check->problems, true, check->route, setting, "%s", text);
}

bool rule_has(const struct check *check, const char *setting)
{
    return settings_has(check->route, setting);
}

void rule_refuse_for(const struct check *check, const char *setting, const struct failure *why)
{
    rule_refuse(check, setting, "%s%s%s", why->text, why->hint[0] == '\0' ? "" : "; ",
                why->hint);
}

void rule_refuse_useless(const struct check *check, const char *setting, const char *format,
                         ...)
{
    char    text[400];
    va_list args;

    if (!rule_has(check, setting) || settings_drop_default(check->route, setting))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rule_refuse(check, setting, "%s", text);
}

void rule_refuse_each(const struct check *check, const char *const *settings, const char *why)
{
    for (; *settings != NULL; settings++)
        rule_refuse_useless(check, *settings, "%s", why);
}

bool rule_drop_weaker_default(const struct check *check, const char *one, const char *other)
{
    if (settings_says(check->route, one))
        return settings_drop_default(check->route, other);
    return settings_says(check->route, other) && settings_drop_default(check->route, one);
}

bool rule_verifies(int sslmode)
{
    return sslmode == SSLMODE_VERIFY_CA || sslmode == SSLMODE_VERIFY_FULL;
}

bool rule_is_good_port(const struct check *check, const char *setting, const char *text)
{
    struct failure why = { 0 };
    char           host[LONGEST_HOST];
    uint16_t       port;
    bool           is_unix;

    if (address_split(text, host, sizeof host, &port, &is_unix, &why) != FAIL_NONE) {
        rule_refuse_for(check, setting, &why);
        return false;
    }
    if (is_unix || port != 0)
        return true;
    rule_refuse(check, setting, "\"%s\" has no port; write one from 1 to 65535", text);
    return false;
}

bool rule_is_host_name(const char *name)
{
    bool was_dot = true;

    for (; *name != '\0'; name++) {
        if (*name == '.' ? was_dot
                         : !isalnum((unsigned char)*name) && strchr("-_", *name) == NULL)
            return false;
        was_dot = *name == '.';
    }
    return true;
}

void rule_networks(const struct check *check, const char *setting,
                   const struct conf_strings *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct failure why = { 0 };
        struct network network;

        if (network_parse(&network, list->items[i], &why) != FAIL_NONE)
            rule_refuse_for(check, setting, &why);
    }
}
