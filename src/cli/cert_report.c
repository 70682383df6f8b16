/* SPDX-License-Identifier: PostgreSQL */
#include "cli/cert_report.h"

#include "base/text.h"
#include "x509/chain.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#define DATE_TEXT   32
#define SOURCE_TEXT 4200

static const char *for_people(int64_t at, char out[static DATE_TEXT])
{
    time_t    seconds = (time_t)at;
    struct tm parts = { 0 };

    gmtime_r(&seconds, &parts);
    strftime(out, DATE_TEXT, "%Y-%m-%d %H:%M:%S UTC", &parts);
    return out;
}

/* ---- for people ---- */

static void put_days(struct buf *out, int64_t end, int64_t now)
{
    int64_t days = certificate_days_left(end, now);

    if (days >= 0)
        buf_put_format(out, ", %lld days left", (long long)days);
    else
        buf_put_format(out, ", ENDED %lld days ago", (long long)-days);
}

static void put_dates(struct buf *out, const struct certificate_facts *facts, int64_t now)
{
    char date[DATE_TEXT];

    buf_put_format(out, "    valid        %s", for_people(facts->not_before, date));
    buf_put_format(out, " to %s", for_people(facts->not_after, date));
    if (facts->not_before > now)
        buf_put(out, BYTES(", NOT YET VALID"));
    else
        put_days(out, facts->not_after, now);
    buf_put(out, BYTES("\n"));
}

static void put_link(struct buf *out, const struct chain_link *link, size_t n, int64_t now)
{
    buf_put_format(out, "%zu  %s\n", n + 1,
                   *link->facts.subject != '\0' ? link->facts.subject : "(empty subject)");
    buf_put_format(out, "    names        %s\n",
                   *link->facts.names != '\0' ? link->facts.names : "none");
    buf_put_format(out, "    issuer       %s%s\n", link->facts.issuer,
                   link->issuer == (int)n ? " (itself)" : "");
    put_dates(out, &link->facts, now);
    buf_put_format(out, "    use          %s\n", link->use);
    buf_put_format(out, "    key          %s%s\n", link->key,
                   link->has_weak_key ? " (WEAK)" : "");
    buf_put_format(out, "    signature    %s%s\n", link->signature,
                   link->has_weak_hash ? " (WEAK)" : "");
    buf_put_format(out, "    serial       %s\n", link->facts.serial);
    buf_put_format(out, "    fingerprint  %s (SHA-256)\n", link->facts.fingerprint);
}

static void put_order(struct buf *out, const struct chain *chain)
{
    size_t                   length = chain_length(chain);
    const struct chain_link *last = chain_link(chain, length - 1);

    buf_put(out, BYTES("order  "));
    if (!chain_is_in_order(chain))
        buf_put(out, BYTES("WRONG: not each is signed by the next; `pgtls cert verify --cert` "
                           "says what is right\n"));
    else if (last->issuer == (int)length - 1)
        buf_put_format(out, "%s\n",
                       length == 1 ? "self-signed" : "right, and the root is in it");
    else
        buf_put_format(out, "right; above it comes %s, which is not in it\n",
                       last->facts.issuer);
}

void cert_report_chain(struct buf *out, const struct chain *chain, const char *source,
                       const struct fetch_facts *facts, int64_t now)
{
    size_t length = chain_length(chain);

    buf_put_format(out, "%s: %zu certificate%s", source, length, length == 1 ? "" : "s");
    if (facts != NULL && facts->version[0] != '\0')
        buf_put_format(out, ", by %s, %s", facts->version, facts->cipher);
    else if (facts != NULL)
        buf_put(out, BYTES(", and then the server ended the handshake"));
    buf_put(out, BYTES("\n"));
    for (size_t i = 0; i < length; i++)
        put_link(out, chain_link(chain, i), i, now);
    put_order(out, chain);
}

void cert_report_request(struct buf *out, const struct request_facts *facts, const char *source)
{
    buf_put_format(out,
                   "%s: a request\n    subject      %s\n    names        %s\n    key          "
                   "%s\n",
                   source, *facts->subject != '\0' ? facts->subject : "(empty)",
                   *facts->names != '\0' ? facts->names : "none", facts->key);
}

static void put_list(struct buf *out, const struct crl_facts *facts, int64_t now)
{
    char date[DATE_TEXT];

    buf_put_format(out, "    issuer       %s\n    number       %s\n    revoked      %zu\n",
                   facts->issuer, *facts->number != '\0' ? facts->number : "none",
                   facts->revoked);
    buf_put_format(out, "    valid        %s", for_people(facts->this_update, date));
    if (facts->next_update == 0)
        buf_put(out, BYTES(", without end"));
    else {
        buf_put_format(out, " to %s", for_people(facts->next_update, date));
        put_days(out, facts->next_update, now);
    }
    buf_put(out, BYTES("\n"));
}

void cert_report_lists(struct buf *out, const struct crl_list *lists, const char *source,
                       int64_t now)
{
    size_t count = crl_list_count(lists);

    buf_put_format(out, "%s: %zu revocation list%s\n", source, count, count == 1 ? "" : "s");
    for (size_t i = 0; i < count; i++)
        put_list(out, crl_list_facts(lists, i), now);
}

/* ---- JSON ---- */

/* Names of files may be no UTF-8, which JSON is. */
static const char *printable(const char *source, char out[static SOURCE_TEXT])
{
    text_escape(out, SOURCE_TEXT, bytes_of_string(source));
    return out;
}

/* Takes the value over.  What cannot be made or does not fit marks `out` failed. */
static void put_json(struct buf *out, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_INDENT(2)) : NULL;

    if (text != NULL) {
        buf_put(out, bytes_of_string(text));
        buf_put_u8(out, '\n');
    } else
        out->failed = true;
    free(text);
    json_decref(value);
}

static json_t *link_json(const struct chain_link *link, int64_t now)
{
    char    from[CERTIFICATE_DATE], to[CERTIFICATE_DATE];
    json_t *issuer = link->issuer >= 0 ? json_integer(link->issuer + 1) : json_null();

    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:b, s:s, s:b, s:s, s:b, s:s, s:s, s:o}",
        "subject", link->facts.subject, "names", link->facts.names, "issuer",
        link->facts.issuer, "not_before", certificate_date(link->facts.not_before, from),
        "not_after", certificate_date(link->facts.not_after, to), "days_left",
        (json_int_t)certificate_days_left(link->facts.not_after, now), "use", link->use,
        "is_authority", link->is_ca, "key", link->key, "key_is_weak", link->has_weak_key,
        "signature", link->signature, "signature_is_weak", link->has_weak_hash, "serial",
        link->facts.serial, "fingerprint_sha256", link->facts.fingerprint, "signed_by", issuer);
}

void cert_report_chain_json(struct buf *out, const struct chain *chain, const char *source,
                            const struct fetch_facts *facts, int64_t now)
{
    json_t *all = json_array();
    json_t *whole;
    char    shown[SOURCE_TEXT];

    for (size_t i = 0; i < chain_length(chain); i++)
        json_array_append_new(all, link_json(chain_link(chain, i), now));
    whole = json_pack("{s:s, s:o, s:b}", "source", printable(source, shown), "certificates",
                      all, "in_order", chain_is_in_order(chain));
    if (facts != NULL && facts->version[0] != '\0')
        json_object_set_new(
            whole, "tls",
            json_pack("{s:s, s:s}", "version", facts->version, "cipher", facts->cipher));
    put_json(out, whole);
}

void cert_report_request_json(struct buf *out, const struct request_facts *facts,
                              const char *source)
{
    char shown[SOURCE_TEXT];

    put_json(out, json_pack("{s:s, s:{s:s, s:s, s:s}}", "source", printable(source, shown),
                            "request", "subject", facts->subject, "names", facts->names, "key",
                            facts->key));
}

static json_t *list_json(const struct crl_facts *facts, int64_t now)
{
    char    from[CERTIFICATE_DATE], to[CERTIFICATE_DATE];
    bool    ends = facts->next_update != 0;
    json_t *next = ends ? json_string(certificate_date(facts->next_update, to)) : json_null();
    json_t *days =
        ends ? json_integer(certificate_days_left(facts->next_update, now)) : json_null();

    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I}", "issuer", facts->issuer, "number",
                     facts->number, "this_update", certificate_date(facts->this_update, from),
                     "next_update", next, "days_left", days, "revoked",
                     (json_int_t)facts->revoked);
}

void cert_report_lists_json(struct buf *out, const struct crl_list *lists, const char *source,
                            int64_t now)
{
    json_t *all = json_array();
    char    shown[SOURCE_TEXT];

    for (size_t i = 0; i < crl_list_count(lists); i++)
        json_array_append_new(all, list_json(crl_list_facts(lists, i), now));
    put_json(out, json_pack("{s:s, s:o}", "source", printable(source, shown), "lists", all));
}
