/* SPDX-License-Identifier: PostgreSQL */
#include "x509/subject.h"

#include "base/bytes.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <strings.h>

#define LONGEST_SUBJECT 1024u
#define LONGEST_DNS     253u /* RFC 1035 2.3.4, without the final dot */
#define LONGEST_LABEL   63u

#define MUST_BE_ESCAPED "+\"<>;" /* RFC 2253 2.4: or they would mean something */

/* ---- subjects ---- */

X509_NAME *subject_empty(struct failure *why)
{
    X509_NAME *name = X509_NAME_new();

    if (name == NULL)
        fail(why, FAIL_MEMORY, "out of memory");
    return name;
}

void subject_free(X509_NAME *subject)
{
    X509_NAME_free(subject);
}

bool subject_is_empty(const X509_NAME *subject)
{
    return X509_NAME_entry_count(subject) == 0;
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if (iscntrl((unsigned char)*text))
            return true;
    return false;
}

/* `at` 0: in front of the others, -1: behind them. */
static enum fail add(X509_NAME *to, int nid, const char *key, const char *value, int at,
                     struct failure *why)
{
    char shown[80];

    text_escape(shown, sizeof shown, bytes_of_string(value));
    if (*value == '\0' || has_control(value))
        return fail(why, FAIL_CONFIG, "%s is empty or has control characters", key);
    if (X509_NAME_add_entry_by_NID(to, nid, MBSTRING_UTF8, (const unsigned char *)value, -1, at,
                                   0) == 1)
        return FAIL_NONE;
    fail_hint(why, "it is too long, too short or no UTF-8: a CN has at most 64 characters, "
                   "a country (C) two letters");
    return fail(why, FAIL_CONFIG, "%s cannot be \"%s\"", key, shown);
}

X509_NAME *subject_of_common_name(const char *text, struct failure *why)
{
    X509_NAME *name = subject_empty(why);

    if (name != NULL && add(name, NID_commonName, "CN", text, -1, why) != FAIL_NONE) {
        X509_NAME_free(name);
        name = NULL;
    }
    ERR_clear_error();
    return name;
}

/* What stands behind a backslash: "\C3" is a byte, anything else stands for itself.  A NUL,
 * which would end the text, becomes another of the control characters, none of which is taken.
 */
static const char *take_escaped(const char *from, char **to)
{
    int  high = text_hex_digit((uint8_t)from[0]);
    int  low = high >= 0 ? text_hex_digit((uint8_t)from[1]) : -1;
    char byte = low >= 0 ? (char)(high * 16 + low) : from[0];

    *(*to)++ = byte != '\0' ? byte : '\x01';
    return from + (low >= 0 ? 2 : 1);
}

/* Copies up to an end of `ends` that no backslash stands before; returns what is left. */
static const char *take(const char *from, char *to, const char *ends)
{
    while (*from != '\0' && strchr(ends, *from) == NULL) {
        if (*from == '\\' && from[1] != '\0')
            from = take_escaped(from + 1, &to);
        else
            *to++ = *from++;
    }
    *to = '\0';
    return from;
}

/* One "KEY=VALUE" off the front; it stands behind those that follow it. */
static enum fail parse_one(X509_NAME *to, const char **text, struct failure *why)
{
    char        key[LONGEST_SUBJECT], value[LONGEST_SUBJECT], shown[80];
    const char *at = take(*text + strspn(*text, " "), key, "=,");
    int         nid = OBJ_txt2nid(key);

    text_escape(shown, sizeof shown, bytes_of_string(key));
    if (*at != '=') {
        fail_hint(why, "write it as \"CN=Example Root,O=Example\", a comma inside a value as "
                       "\"\\,\"");
        return fail(why, FAIL_CONFIG, "subject: \"%s\" has no value", shown);
    }
    if (nid == NID_undef) {
        fail_hint(why, "CN, O, OU, C, ST, L and DC are among those that are");
        return fail(why, FAIL_CONFIG, "subject: \"%s\" is not known", shown);
    }
    at = take(at + 1, value, "," MUST_BE_ESCAPED);
    if (*at != ',' && *at != '\0') {
        fail_hint(why, "as \"\\%c\"; one value for each key, and without quotes", *at);
        return fail(why, FAIL_CONFIG, "subject: '%c' needs a backslash", *at);
    }
    *text = *at == ',' ? at + 1 : at;
    if (*at == ',' && at[1] == '\0')
        return fail(why, FAIL_CONFIG, "subject: it ends with a comma");
    return add(to, nid, key, value, 0, why);
}

X509_NAME *subject_parse(const char *text, struct failure *why)
{
    X509_NAME *name;
    enum fail  rc = FAIL_NONE;

    if (*text == '\0' || strlen(text) >= LONGEST_SUBJECT) {
        fail(why, FAIL_CONFIG, "subject: it is empty or too long");
        return NULL;
    }
    name = subject_empty(why);
    while (name != NULL && rc == FAIL_NONE && *text != '\0')
        rc = parse_one(name, &text, why);
    ERR_clear_error();
    if (rc == FAIL_NONE)
        return name;
    X509_NAME_free(name);
    return NULL;
}

/* ---- alternative names ---- */

static bool is_label(const char *label, size_t len)
{
    if (len == 0 || len > LONGEST_LABEL || label[0] == '-' || label[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)label[i]) && label[i] != '-' && label[i] != '_')
            return false;
    return true;
}

/* Letters, digits, hyphens; the underscore that many have; one star as the first label, which
 * is all that libpq takes.  A last label of digits alone would be an address by mistake. */
static bool is_dns_name(const char *name)
{
    const char *label = strncmp(name, "*.", 2) == 0 ? name + 2 : name;

    if (strlen(name) > LONGEST_DNS)
        return false;
    for (;;) {
        size_t len = strcspn(label, ".");

        if (!is_label(label, len))
            return false;
        if (label[len] == '\0')
            return strspn(label, "0123456789") < len;
        label += len + 1;
    }
}

static enum fail fail_for_name(const char *text, struct failure *why)
{
    char shown[80];

    text_escape(shown, sizeof shown, bytes_of_string(text));
    fail_hint(why, "db.example.com, *.example.com (first label only), 10.0.0.5, ::1, "
                   "email:a@b.c, URI:scheme:rest; other letters than ASCII as xn--");
    return fail(why, FAIL_CONFIG, "name \"%s\" is neither a DNS name nor an IP address", shown);
}

static GENERAL_NAME *new_name(int type, const void *bytes, size_t len)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING  *value =
        ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

    if (name == NULL || value == NULL || ASN1_STRING_set(value, bytes, (int)len) != 1) {
        ASN1_STRING_free(value);
        GENERAL_NAME_free(name);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, type, value);
    return name;
}

static size_t parse_address(const char *text, uint8_t out[static 16])
{
    if (inet_pton(AF_INET, text, out) == 1)
        return 4;
    return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

static bool is_visible_ascii(const char *text)
{
    const char *c = text;

    while (*c > 0x20 && *c < 0x7f)
        c++;
    return *c == '\0' && c != text;
}

static const struct {
    const char *prefix;
    int         type;
} prefixes[] = {
    { "DNS:", GEN_DNS },
    { "IP:", GEN_IPADD },
    { "email:", GEN_EMAIL },
    { "URI:", GEN_URI },
};

/* The kind that is written in front, or -1; *text moves behind it. */
static int take_prefix(const char **text)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t len = strlen(prefixes[i].prefix);

        if (strncasecmp(*text, prefixes[i].prefix, len) == 0) {
            *text += len;
            return prefixes[i].type;
        }
    }
    return -1;
}

static enum fail make_name(const char *text, GENERAL_NAME **out, struct failure *why)
{
    const char *whole = text;
    int         type = take_prefix(&text);
    uint8_t     address[16];
    size_t      address_len = parse_address(text, address);

    if ((type == -1 || type == GEN_IPADD) && address_len > 0)
        *out = new_name(GEN_IPADD, address, address_len);
    else if ((type == -1 || type == GEN_DNS) && is_dns_name(text))
        *out = new_name(GEN_DNS, text, strlen(text));
    else if (type == GEN_EMAIL && is_visible_ascii(text) && strchr(text, '@') != NULL)
        *out = new_name(type, text, strlen(text));
    else if (type == GEN_URI && is_visible_ascii(text) && strchr(text, ':') != NULL)
        *out = new_name(type, text, strlen(text));
    else
        return fail_for_name(whole, why);
    return *out != NULL ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");
}

GENERAL_NAMES *subject_names(const char *const *texts, size_t count, struct failure *why)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME  *name = NULL;
    enum fail      rc = names != NULL ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");

    for (size_t i = 0; rc == FAIL_NONE && i < count; i++) {
        rc = make_name(texts[i], &name, why);
        if (rc == FAIL_NONE && sk_GENERAL_NAME_push(names, name) <= 0) {
            GENERAL_NAME_free(name);
            rc = fail(why, FAIL_MEMORY, "out of memory");
        }
    }
    ERR_clear_error();
    if (rc == FAIL_NONE)
        return names;
    subject_names_free(names);
    return NULL;
}

void subject_names_free(GENERAL_NAMES *names)
{
    GENERAL_NAMES_free(names);
}

size_t subject_name_count(const GENERAL_NAMES *names)
{
    int count = sk_GENERAL_NAME_num(names);

    return count > 0 ? (size_t)count : 0;
}
