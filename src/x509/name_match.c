/* SPDX-License-Identifier: PostgreSQL */
#include "x509/name_match.h"

#include "base/bytes.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <strings.h>

/* The comparison of one certificate with one host: what was seen so far. */
struct comparison {
    const char     *host;
    size_t          seen;       /* names that were looked at */
    char            first[128]; /* the first of them, escaped */
    struct failure *why;
};

enum answer { MATCH, NO_MATCH, BROKEN };

bool name_is_address(const char *host)
{
    struct in_addr  v4;
    struct in6_addr v6;

    /* inet_aton on purpose: libpq takes "127.1" for an address too */
    return inet_aton(host, &v4) != 0 || inet_pton(AF_INET6, host, &v6) == 1;
}

static void remember(struct comparison *c, struct bytes name)
{
    if (c->seen++ == 0)
        text_escape(c->first, sizeof c->first, name);
}

static bool same_name(struct bytes name, const char *host)
{
    return name.len == strlen(host) && strncasecmp((const char *)name.p, host, name.len) == 0;
}

/* "*.b.c" is for "a.b.c", neither for "b.c" nor for "x.a.b.c". */
static bool wildcard_covers(struct bytes pattern, const char *host)
{
    const char *dot = strchr(host, '.');

    if (pattern.len < 3 || pattern.p[0] != '*')
        return false;
    if (dot == NULL || dot == host)
        return false;
    return same_name(bytes_of(pattern.p + 1, pattern.len - 1), dot);
}

static enum answer compare_name(struct comparison *c, const ASN1_STRING *s)
{
    struct bytes name = bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));

    if (name.len > 0 && memchr(name.p, '\0', name.len) != NULL) {
        fail(c->why, FAIL_CERT, "server certificate's name contains an embedded NUL");
        return BROKEN;
    }
    remember(c, name);
    return same_name(name, c->host) || wildcard_covers(name, c->host) ? MATCH : NO_MATCH;
}

static bool is_this_address(struct bytes address, const char *host)
{
    struct in_addr  v4;
    struct in6_addr v6;

    if (address.len == sizeof v4)
        return inet_aton(host, &v4) != 0 && memcmp(&v4, address.p, sizeof v4) == 0;
    return inet_pton(AF_INET6, host, &v6) == 1 && memcmp(&v6, address.p, sizeof v6) == 0;
}

static enum answer compare_address(struct comparison *c, const ASN1_STRING *s)
{
    struct bytes address = bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
    const void  *p = address.p;
    char         text[INET6_ADDRSTRLEN];

    if (address.len != 4 && address.len != 16) {
        fail(c->why, FAIL_CERT, "server certificate contains an IP address of %zu bytes",
             address.len);
        return BROKEN;
    }
    if (inet_ntop(address.len == 4 ? AF_INET : AF_INET6, p, text, sizeof text) != NULL)
        remember(c, bytes_of_string(text));
    return is_this_address(address, c->host) ? MATCH : NO_MATCH;
}

static enum answer compare_alternative_names(struct comparison *c, const GENERAL_NAMES *names,
                                             bool *cn_counts)
{
    int         host_type = name_is_address(c->host) ? GEN_IPADD : GEN_DNS;
    enum answer answer = NO_MATCH;

    for (int i = 0; answer == NO_MATCH && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == host_type)
            *cn_counts = false;
        if (name->type == GEN_DNS)
            answer = compare_name(c, name->d.dNSName);
        else if (name->type == GEN_IPADD)
            answer = compare_address(c, name->d.iPAddress);
    }
    return answer;
}

static enum answer compare_common_name(struct comparison *c, const X509_NAME *subject)
{
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at < 0)
        return NO_MATCH;
    return compare_name(c, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static enum answer compare_all(struct comparison *c, X509 *certificate)
{
    int            state = -1;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &state, NULL);
    bool           cn_counts = true;
    enum answer    answer;

    /* -1: no such extension; otherwise it is there twice, or cannot be read */
    if (names == NULL && state != -1) {
        fail(c->why, FAIL_CERT, "server certificate's alternative names cannot be read");
        return BROKEN;
    }
    answer = compare_alternative_names(c, names, &cn_counts);
    GENERAL_NAMES_free(names);
    if (answer == NO_MATCH && cn_counts)
        answer = compare_common_name(c, X509_get_subject_name(certificate));
    return answer;
}

static enum fail fail_mismatch(const struct comparison *c)
{
    char others[48] = "";
    char host[128];

    text_escape(host, sizeof host, bytes_of_string(c->host));
    fail_hint(c->why, "the certificate must name the host that is connected to, or the name to "
                      "verify must be set to one that it has");
    if (c->seen == 0)
        return fail(c->why, FAIL_CERT,
                    "server certificate has no name, and host \"%s\" is meant", host);
    if (c->seen > 1)
        snprintf(others, sizeof others, " (and %zu other name%s)", c->seen - 1,
                 c->seen > 2 ? "s" : "");
    return fail(c->why, FAIL_CERT, "server certificate is for \"%s\"%s, not for host \"%s\"",
                c->first, others, host);
}

enum fail name_match(X509 *certificate, const char *host, struct failure *why)
{
    struct comparison c = { .host = host, .why = why };
    enum answer       answer;

    if (host == NULL || *host == '\0')
        return fail(why, FAIL_CONFIG, "no host name to compare the server certificate with");
    answer = compare_all(&c, certificate);
    ERR_clear_error();
    if (answer == NO_MATCH)
        return fail_mismatch(&c);
    return answer == MATCH ? FAIL_NONE : FAIL_CERT;
}
