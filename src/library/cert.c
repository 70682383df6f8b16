/* SPDX-License-Identifier: PostgreSQL */
#include "pgtls/cert.h"

#include "ca/make.h"
#include "ca/withdraw.h"
#include "library/parts.h"
#include "x509/chain.h"
#include "x509/inspection.h"
#include "x509/key_kind.h"

#include <stdlib.h>

_Static_assert(PGTLS_CERT_SERVER == (int)ISSUE_SERVER &&
                   PGTLS_CERT_CLIENT == (int)ISSUE_CLIENT &&
                   PGTLS_CERT_AUTHORITY == (int)ISSUE_AUTHORITY &&
                   PGTLS_CERT_GOOD == (int)INSPECTED_GOOD &&
                   PGTLS_CERT_BAD == (int)INSPECTED_BAD,
               "words of certificates");

struct pgtls_cert_report {
    struct inspection inspection;
};

/* ---- passphrases ---- */

struct given_passphrase {
    struct passphrase_source source; /* must be the first */
    const char              *text;   /* NULL: none was given */
};

static enum fail get_given(const struct passphrase_source *source, const char *key,
                           struct secret *out, struct failure *why)
{
    const struct given_passphrase *given = (const struct given_passphrase *)source;
    enum fail                      rc;

    *out = (struct secret){ 0 };
    if (given->text == NULL || *given->text == '\0') {
        fail_hint(why, "set it in the options");
        return fail(why, FAIL_CONFIG, "a passphrase is needed");
    }
    if ((rc = secret_init(out, strlen(given->text), why)) == FAIL_NONE &&
        !secret_put(out, bytes_of_string(given->text)))
        rc = fail(why, FAIL_MEMORY, "out of memory");
    return rc;
}

static struct given_passphrase given(const char *text)
{
    return (struct given_passphrase){ .source = { .get = get_given }, .text = text };
}

/* ---- orders ---- */

static enum fail check(const struct pgtls_cert_options *options, struct failure *why)
{
    if (!library_size_fits(options->size, sizeof *options, why))
        return FAIL_CONFIG;
    if (options->purpose > PGTLS_CERT_AUTHORITY)
        return fail(why, FAIL_CONFIG,
                    "purpose is none of PGTLS_CERT_SERVER, _CLIENT, _AUTHORITY");
    if (options->out_dir == NULL || *options->out_dir == '\0')
        return fail(why, FAIL_CONFIG, "out_dir is missing");
    if (options->key_kind != NULL && !key_kind_is_known(options->key_kind))
        return fail(why, FAIL_CONFIG, "key_kind is not known");
    if (options->passphrase != NULL && *options->passphrase == '\0')
        return fail(why, FAIL_CONFIG, "passphrase is empty");
    return FAIL_NONE;
}

/* Without a request: that has no dates. */
static enum fail check_dated(const struct pgtls_cert_options *options, struct failure *why)
{
    enum fail rc = check(options, why);

    if (rc == FAIL_NONE && !library_time_is_told(options->wall_s, why))
        rc = FAIL_CONFIG;
    return rc;
}

struct library_order {
    struct ca_order         order;
    struct given_passphrase ca_passphrase, passphrase;
};

static void fill(struct library_order *to, const struct pgtls_cert_options *options)
{
    to->ca_passphrase = given(options->ca_passphrase);
    to->passphrase = given(options->passphrase);
    to->order = (struct ca_order){
        .purpose = (enum issue_purpose)options->purpose,
        .out = options->out_dir,
        .ca = options->ca_dir,
        .subject = options->subject,
        .user = options->user,
        .names = options->names,
        .name_count = options->name_count,
        .key_kind = options->key_kind,
        .days = options->days,
        .path_length = options->path_length,
        .force = options->replaces != 0,
        .renew_days = options->renew_days,
        .ca_passphrase = &to->ca_passphrase.source,
        .passphrase = options->passphrase != NULL ? &to->passphrase.source : NULL,
        .now = options->wall_s,
    };
}

enum pgtls_error_kind pgtls_cert_make(const struct pgtls_cert_options *options, int *written,
                                      struct pgtls_error *error)
{
    struct failure      *why = library_failure(error);
    struct library_order order;
    struct ca_outcome    outcome = { 0 };
    enum fail            rc = check_dated(options, why);

    if (rc == FAIL_NONE) {
        fill(&order, options);
        rc = ca_make(&order.order, &outcome, why);
    }
    if (written != NULL)
        *written = rc == FAIL_NONE && outcome.was_written;
    return (enum pgtls_error_kind)rc;
}

enum pgtls_error_kind pgtls_cert_request(const struct pgtls_cert_options *options,
                                         struct pgtls_error              *error)
{
    struct failure      *why = library_failure(error);
    struct library_order order;
    struct ca_outcome    outcome;
    enum fail            rc = check(options, why);

    if (rc == FAIL_NONE &&
        (options->ca_dir != NULL || options->days != 0 || options->renew_days != 0))
        rc = fail(why, FAIL_CONFIG,
                  "ca_dir, days and renew_days have no effect on a request: who signs decides");
    if (rc == FAIL_NONE) {
        fill(&order, options);
        rc = ca_make_request(&order.order, &outcome, why);
    }
    return (enum pgtls_error_kind)rc;
}

static enum fail check_sign(const struct pgtls_cert_options *options, struct failure *why)
{
    enum fail rc = check_dated(options, why);

    if (rc != FAIL_NONE)
        return rc;
    if (options->ca_dir == NULL)
        return fail(why, FAIL_CONFIG, "ca_dir is missing: who signs?");
    if (options->key_kind != NULL || options->passphrase != NULL || options->renew_days != 0)
        return fail(why, FAIL_CONFIG,
                    "key_kind, passphrase and renew_days have no effect: the key is elsewhere");
    return FAIL_NONE;
}

enum pgtls_error_kind pgtls_cert_sign(const struct pgtls_cert_options *options,
                                      const char *request_file, int takes_names,
                                      struct pgtls_error *error)
{
    struct failure      *why = library_failure(error);
    struct library_order order;
    struct ca_outcome    outcome;
    enum fail            rc = check_sign(options, why);

    if (rc == FAIL_NONE) {
        fill(&order, options);
        order.order.takes_names = takes_names != 0;
        rc = ca_sign(&order.order, request_file, &outcome, why);
    }
    return (enum pgtls_error_kind)rc;
}

/* ---- revocation ---- */

enum pgtls_error_kind pgtls_cert_revoke(const struct pgtls_cert_revocation *revocation,
                                        struct pgtls_error                 *error)
{
    struct failure      *why = library_failure(error);
    struct ca_revocation ours;
    char                 serial[CA_SERIAL_TEXT];

    if (!library_size_fits(revocation->size, sizeof *revocation, why) ||
        !library_time_is_told(revocation->wall_s, why))
        return PGTLS_ERROR_CONFIG;
    if (revocation->ca_dir == NULL ||
        (revocation->cert_file == NULL) == (revocation->serial == NULL))
        return (enum pgtls_error_kind)fail(
            why, FAIL_CONFIG, "ca_dir, and one of cert_file and serial are needed");
    ours = (struct ca_revocation){ .ca = revocation->ca_dir,
                                   .cert = revocation->cert_file,
                                   .serial = revocation->serial,
                                   .reason = revocation->reason,
                                   .now = revocation->wall_s };
    return (enum pgtls_error_kind)ca_revoke(&ours, serial, why);
}

enum pgtls_error_kind pgtls_cert_write_list(const struct pgtls_cert_list_options *options,
                                            struct pgtls_error                   *error)
{
    struct failure         *why = library_failure(error);
    struct given_passphrase passphrase;
    struct ca_list_order    order;
    struct ca_list_outcome  outcome;

    if (!library_size_fits(options->size, sizeof *options, why) ||
        !library_time_is_told(options->wall_s, why))
        return PGTLS_ERROR_CONFIG;
    if (options->ca_dir == NULL)
        return (enum pgtls_error_kind)fail(why, FAIL_CONFIG, "ca_dir is missing");
    passphrase = given(options->ca_passphrase);
    order = (struct ca_list_order){ .ca = options->ca_dir,
                                    .out = options->out_file,
                                    .append = options->append_file,
                                    .days = options->days,
                                    .passphrase = &passphrase.source,
                                    .now = options->wall_s };
    return (enum pgtls_error_kind)ca_write_list(&order, &outcome, why);
}

/* ---- looking ---- */

static enum fail check_verify(const struct pgtls_cert_verify_options *options,
                              struct failure                         *why)
{
    if (!library_size_fits(options->size, sizeof *options, why) ||
        !library_time_is_told(options->wall_s, why))
        return FAIL_CONFIG;
    if (options->purpose != PGTLS_CERT_SERVER && options->purpose != PGTLS_CERT_CLIENT)
        return fail(why, FAIL_CONFIG, "purpose is neither PGTLS_CERT_SERVER nor _CLIENT");
    if (options->cert_file == NULL)
        return fail(why, FAIL_CONFIG, "cert_file is missing");
    if (options->crl_file != NULL && options->ca_file == NULL)
        return fail(why, FAIL_CONFIG, "crl_file needs ca_file");
    return FAIL_NONE;
}

struct pgtls_cert_report *pgtls_cert_verify(const struct pgtls_cert_verify_options *options,
                                            struct pgtls_error                     *error)
{
    struct failure           *why = library_failure(error);
    struct given_passphrase   passphrase;
    struct inspection_files   files;
    struct pgtls_cert_report *report;

    if (check_verify(options, why) != FAIL_NONE)
        return NULL;
    if ((report = calloc(1, sizeof *report)) == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    passphrase = given(options->passphrase);
    files = (struct inspection_files){ .cert = options->cert_file,
                                       .key = options->key_file,
                                       .passphrase = &passphrase.source,
                                       .ca = options->ca_file,
                                       .crl = options->crl_file,
                                       .names = options->names,
                                       .name_count = options->name_count,
                                       .is_client = options->purpose == PGTLS_CERT_CLIENT,
                                       .now = options->wall_s };
    if (inspection_run(&files, &report->inspection, why) == FAIL_NONE)
        return report;
    free(report);
    return NULL;
}

void pgtls_cert_report_free(struct pgtls_cert_report *report)
{
    free(report);
}

int pgtls_cert_report_is_good(const struct pgtls_cert_report *report)
{
    return report->inspection.is_good;
}

size_t pgtls_cert_report_steps(const struct pgtls_cert_report *report)
{
    return INSPECT_STEPS;
}

const char *pgtls_cert_report_step(const struct pgtls_cert_report *report, size_t n)
{
    return n < INSPECT_STEPS ? inspection_step_name((enum inspection_step)n) : "";
}

enum pgtls_cert_verdict pgtls_cert_report_verdict(const struct pgtls_cert_report *report,
                                                  size_t                          n)
{
    return n < INSPECT_STEPS ? (enum pgtls_cert_verdict)report->inspection.steps[n].verdict
                             : PGTLS_CERT_NOT_LOOKED_AT;
}

const char *pgtls_cert_report_text(const struct pgtls_cert_report *report, size_t n)
{
    return n < INSPECT_STEPS ? report->inspection.steps[n].text : "";
}

const char *pgtls_cert_report_hint(const struct pgtls_cert_report *report, size_t n)
{
    return n < INSPECT_STEPS ? report->inspection.steps[n].hint : "";
}
