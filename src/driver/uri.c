/* SPDX-License-Identifier: PostgreSQL */
#include "driver/uri.h"

#include "base/buf.h"
#include "base/secret.h"
#include "base/text.h"

#include <ctype.h>
#include <strings.h>

#define VALUE_MOST 4096

static const struct scheme {
    struct bytes             prefix;
    enum parameters_protocol protocol;
    const char              *sslmode; /* what the scheme itself says */
} schemes[] = {
    { BYTES_INIT("postgresql://"), PARAMETERS_POSTGRESQL, NULL },
    { BYTES_INIT("postgres://"), PARAMETERS_POSTGRESQL, NULL },
    { BYTES_INIT("rediss://"), PARAMETERS_REDIS, "verify-full" },
    { BYTES_INIT("redis://"), PARAMETERS_REDIS, "disable" },
};

static const char forms[] = "write postgresql://USER:PASSWORD@HOST/DATABASE, or "
                            "host=HOST dbname=DATABASE password='A PASSWORD WITH SPACES'";

static const struct scheme *find_scheme(const char *text)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (strncmp(text, (const char *)schemes[i].prefix.p, schemes[i].prefix.len) == 0)
            return &schemes[i];
    }
    return NULL;
}

/* Where it went wrong, counted from 1: the text itself may be a part of a password. */
static void say_where(struct failure *why, const char *text, const uint8_t *at)
{
    fail_context(why, "byte %zu of the connection string",
                 (size_t)(at - (const uint8_t *)text) + 1);
}

/* ---- parts of a URI ---- */

/* Appends the part with its %XX decoded. */
static enum fail decode(struct buf *out, struct bytes part, struct failure *why)
{
    for (size_t i = 0; i < part.len; i++) {
        int high, low;

        if (part.p[i] != '%') {
            buf_put_u8(out, part.p[i]);
            continue;
        }
        high = i + 2 < part.len ? text_hex_digit(part.p[i + 1]) : -1;
        low = i + 2 < part.len ? text_hex_digit(part.p[i + 2]) : -1;
        if (high < 0 || low < 0)
            return fail(why, FAIL_CONFIG, "a percent sign without two hexadecimal digits");
        if (high == 0 && low == 0)
            return fail(why, FAIL_CONFIG, "the value %%00 is forbidden");
        buf_put_u8(out, (uint8_t)(high << 4 | low));
        i += 2;
    }
    return buf_ok(out) ? FAIL_NONE : buf_failure(out, FAIL_CONFIG, "a value is too long", why);
}

/* Nothing is said by an empty part. */
static enum fail set_part(struct parameters *to, enum parameter parameter, struct bytes part,
                          struct failure *why)
{
    struct buf value = BUF_LIMIT(VALUE_MOST);
    enum fail  rc;

    if (part.len == 0)
        return FAIL_NONE;
    rc = decode(&value, part, why);
    if (rc == FAIL_NONE)
        rc = parameters_set(to, parameter, buf_bytes(&value), SOURCE_STRING, why);
    secret_wipe_buf(&value);
    return rc;
}

/* Takes what stands before the first of `ends` off `rest`; the end itself stays. */
static struct bytes take_until(struct bytes *rest, const char *ends)
{
    size_t       len = 0;
    struct bytes taken;

    while (len < rest->len && strchr(ends, rest->p[len]) == NULL)
        len++;
    taken = bytes_first(*rest, len);
    bytes_skip(rest, len);
    return taken;
}

static bool next_is(const struct bytes *rest, char c)
{
    return rest->len > 0 && rest->p[0] == (uint8_t)c;
}

/* user:password@, where there is an @ before the path. */
static enum fail read_user(struct parameters *to, struct bytes *rest, struct failure *why)
{
    struct bytes look = *rest, all = take_until(&look, "/?@"), user;
    enum fail    rc;

    if (!next_is(&look, '@'))
        return FAIL_NONE;
    bytes_skip(&look, 1);
    *rest = look;
    user = take_until(&all, ":");
    rc = set_part(to, PARAMETER_USER, user, why);
    bytes_skip(&all, 1);
    return rc != FAIL_NONE ? rc : set_part(to, PARAMETER_PASSWORD, all, why);
}

/* One host:port of the list. */
static enum fail read_host(struct buf *hosts, struct buf *ports, struct bytes one,
                           struct failure *why)
{
    struct bytes host;

    if (next_is(&one, '[')) {
        bytes_skip(&one, 1);
        host = take_until(&one, "]");
        if (!next_is(&one, ']') || host.len == 0)
            return fail(why, FAIL_CONFIG, "an IPv6 address in brackets is not closed");
        bytes_skip(&one, 1);
    } else {
        host = take_until(&one, ":");
    }
    if (one.len > 0 && !next_is(&one, ':'))
        return fail(why, FAIL_CONFIG, "a colon and a port, or nothing, may follow a host");
    bytes_skip(&one, 1);
    if (decode(hosts, host, why) != FAIL_NONE)
        return FAIL_CONFIG;
    return decode(ports, one, why);
}

/* host:port,host:port: two parameters, lists of the same length. */
static enum fail read_hosts(struct parameters *to, struct bytes *rest, struct failure *why)
{
    struct bytes all = take_until(rest, "/?");
    struct buf   hosts = BUF_LIMIT(VALUE_MOST), ports = BUF_LIMIT(VALUE_MOST);
    bool         has_port = false;
    enum fail    rc = FAIL_NONE;

    while (rc == FAIL_NONE && all.len > 0) {
        size_t before = ports.len;

        rc = read_host(&hosts, &ports, take_until(&all, ","), why);
        has_port |= ports.len > before;
        if (next_is(&all, ',')) {
            buf_put_u8(&hosts, ',');
            buf_put_u8(&ports, ',');
            bytes_skip(&all, 1);
        }
    }
    if (rc == FAIL_NONE && hosts.len > 0)
        rc = parameters_set(to, PARAMETER_HOST, buf_bytes(&hosts), SOURCE_STRING, why);
    if (rc == FAIL_NONE && has_port)
        rc = parameters_set(to, PARAMETER_PORT, buf_bytes(&ports), SOURCE_STRING, why);
    buf_fini(&hosts);
    buf_fini(&ports);
    return rc;
}

static enum fail read_pair(struct parameters *to, struct bytes pair, struct failure *why)
{
    struct bytes name = take_until(&pair, "=");
    struct buf   value = BUF_LIMIT(VALUE_MOST);
    enum fail    rc;

    if (pair.len == 0)
        return fail(why, FAIL_CONFIG, "a parameter behind the question mark has no =");
    bytes_skip(&pair, 1);
    rc = decode(&value, pair, why);
    if (rc == FAIL_NONE && to->protocol == PARAMETERS_POSTGRESQL &&
        bytes_equal(name, BYTES("ssl")) && bytes_equal(buf_bytes(&value), BYTES("true")))
        rc = parameters_set(to, PARAMETER_SSLMODE, BYTES("require"), SOURCE_STRING, why);
    else if (rc == FAIL_NONE)
        rc = parameters_set_by_name(to, name, buf_bytes(&value), SOURCE_STRING, why);
    secret_wipe_buf(&value);
    return rc;
}

static enum fail read_query(struct parameters *to, struct bytes *rest, const char *text,
                            struct failure *why)
{
    enum fail rc = FAIL_NONE;

    if (next_is(rest, '?'))
        bytes_skip(rest, 1);
    while (rc == FAIL_NONE && rest->len > 0) {
        struct bytes pair = take_until(rest, "&");

        rc = read_pair(to, pair, why);
        if (rc == FAIL_CONFIG)
            say_where(why, text, pair.p);
        bytes_skip(rest, 1);
    }
    return rc;
}

static enum fail read_uri(struct parameters *to, const struct scheme *scheme, const char *text,
                          struct failure *why)
{
    struct bytes rest = bytes_of_string(text + scheme->prefix.len);
    enum fail    rc;

    to->protocol = scheme->protocol;
    if (scheme->sslmode != NULL &&
        (rc = parameters_set(to, PARAMETER_SSLMODE, bytes_of_string(scheme->sslmode),
                             SOURCE_STRING, why)) != FAIL_NONE)
        return rc;
    if ((rc = read_user(to, &rest, why)) != FAIL_NONE ||
        (rc = read_hosts(to, &rest, why)) != FAIL_NONE)
        return rc;
    if (next_is(&rest, '/')) {
        bytes_skip(&rest, 1);
        rc = set_part(to, PARAMETER_DBNAME, take_until(&rest, "?"), why);
    }
    return rc != FAIL_NONE ? rc : read_query(to, &rest, text, why);
}

/* ---- key=value ---- */

static bool is_space(uint8_t c)
{
    return isspace(c) != 0;
}

static void skip_spaces(struct bytes *rest)
{
    while (rest->len > 0 && is_space(rest->p[0]))
        bytes_skip(rest, 1);
}

/* Up to a space, or within quotes; a backslash takes the next byte as it is. */
static enum fail take_value(struct buf *value, struct bytes *rest, struct failure *why)
{
    bool quoted = next_is(rest, '\'');

    if (quoted)
        bytes_skip(rest, 1);
    while (rest->len > 0 && (quoted ? rest->p[0] != '\'' : !is_space(rest->p[0]))) {
        if (rest->p[0] == '\\')
            bytes_skip(rest, 1);
        if (rest->len > 0)
            buf_put_u8(value, rest->p[0]);
        bytes_skip(rest, 1);
    }
    if (quoted && rest->len == 0)
        return fail(why, FAIL_CONFIG, "a quoted value does not end");
    if (quoted)
        bytes_skip(rest, 1);
    return buf_ok(value) ? FAIL_NONE
                         : buf_failure(value, FAIL_CONFIG, "a value is too long", why);
}

static enum fail read_words(struct parameters *to, const char *text, struct failure *why)
{
    struct bytes rest = bytes_of_string(text);
    enum fail    rc = FAIL_NONE;

    for (skip_spaces(&rest); rc == FAIL_NONE && rest.len > 0; skip_spaces(&rest)) {
        struct buf   value = BUF_LIMIT(VALUE_MOST);
        struct bytes name = take_until(&rest, "= \t\n\r\f\v");

        skip_spaces(&rest);
        if (!next_is(&rest, '=')) {
            rc = fail(why, FAIL_CONFIG, "\"=\" is missing behind the word that begins here");
        } else {
            bytes_skip(&rest, 1);
            skip_spaces(&rest);
            rc = take_value(&value, &rest, why);
        }
        if (rc == FAIL_NONE)
            rc = parameters_set_by_name(to, name, buf_bytes(&value), SOURCE_STRING, why);
        if (rc == FAIL_CONFIG)
            say_where(why, text, name.p);
        secret_wipe_buf(&value);
    }
    return rc;
}

enum fail uri_read(struct parameters *parameters, const char *text, struct failure *why)
{
    const struct scheme *scheme = find_scheme(text);
    enum fail            rc;

    if (scheme != NULL)
        return read_uri(parameters, scheme, text, why);
    if (strstr(text, "://") != NULL) {
        fail_hint(why, "postgresql://, postgres://, redis:// or rediss://");
        return fail(why, FAIL_CONFIG, "the scheme of the URI is not known");
    }
    rc = read_words(parameters, text, why);
    if (rc == FAIL_CONFIG)
        fail_hint(why, "%s", forms);
    return rc;
}

/* ---- hiding ---- */

static void cross_out(char *from, const char *to)
{
    while (from < to)
        *from++ = 'x';
}

static bool ends_value(char c, bool is_uri, char quote)
{
    return quote != '\0' ? c == quote : is_uri ? c == '&' : is_space((uint8_t)c);
}

/* The value behind every place where the name stands before an equals sign. */
static void hide_value(char *text, const char *name, bool is_uri)
{
    static const char spaces[] = " \t\n\r\f\v";
    char             *at = text;

    while ((at = strstr(at, name)) != NULL) {
        char *value = at + strlen(name);
        char  quote;

        at = value;
        value += strspn(value, spaces);
        if (*value != '=')
            continue;
        value += 1 + (is_uri ? 0 : strspn(value + 1, spaces));
        quote = *value == '\'' && !is_uri ? '\'' : '\0';
        at = value + (quote != '\0' ? 1 : 0);
        while (*at != '\0' && !ends_value(*at, is_uri, quote)) {
            if (*at == '\\' && at[1] != '\0' && !is_uri)
                *at++ = 'x';
            *at++ = 'x';
        }
    }
}

void uri_hide_secrets(char *text)
{
    static const char *const names[] = { "password", "scram_client_key", "scram_server_key" };
    const struct scheme     *scheme = find_scheme(text);
    char                    *from = scheme != NULL ? text + scheme->prefix.len : text;
    size_t                   len = scheme != NULL ? strcspn(from, "?") : 0;
    char                    *colon = memchr(from, ':', len);
    char                    *at = memrchr(from, '@', len);

    if (colon != NULL && at != NULL && colon < at)
        cross_out(colon + 1, at);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        hide_value(text, names[i], scheme != NULL);
}
