/* SPDX-License-Identifier: PostgreSQL */
/* The words of `pgtls cert` that write files. */
#include "ca/make.h"
#include "ca/withdraw.h"
#include "cli/cert_words.h"
#include "cli/command.h"
#include "cli/passphrase.h"
#include "io/clock.h"
#include "runtime/hook.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES              ((size_t)16 * 1024)
#define DAYS_OF_A_ROOT          3650
#define DAYS_OF_AN_INTERMEDIATE 1825
#define DAYS_OF_A_LEAF          90
#define LONGEST_AUTHORITY       64 /* with "CN=": a common name has at most 64 */

static int64_t now_s(void)
{
    return (int64_t)(clock_wall_us() / 1000000);
}

static int tell(const char *word, const struct failure *why)
{
    complain("cert %s: %s%s%s", word, why->text, why->hint[0] == '\0' ? "" : "; ", why->hint);
    return EXIT_FAILED;
}

/* ---- orders ---- */

struct job {
    const char           *word;
    struct ca_order       order;
    struct cli_passphrase ca_passphrase, passphrase;
    struct ca_outcome     outcome;
    struct failure        why;
};

static int check_passphrases(const char *word, const struct cert_arguments *a)
{
    int ways = (a->passphrase_file != NULL) + (a->passphrase_command != NULL) +
               (a->asks_passphrase ? 1 : 0);

    if (ways > 1)
        return complain_of_usage("cert %s: one passphrase is enough: --passphrase, "
                                 "--passphrase-file or --passphrase-command",
                                 word);
    if (a->ca_passphrase_file != NULL && a->ca_passphrase_command != NULL)
        return complain_of_usage(
            "cert %s: --ca-passphrase-file or --ca-passphrase-command, not both", word);
    return EXIT_GOOD;
}

static int prepare(struct job *job, const char *word, const struct cert_arguments *a,
                   enum issue_purpose purpose)
{
    bool has_passphrase =
        a->asks_passphrase || a->passphrase_file != NULL || a->passphrase_command != NULL;

    *job = (struct job){ .word = word };
    cli_passphrase_init(&job->ca_passphrase, a->ca_passphrase_file, a->ca_passphrase_command,
                        false);
    cli_passphrase_init(&job->passphrase, a->passphrase_file, a->passphrase_command, true);
    job->order = (struct ca_order){
        .purpose = purpose,
        .out = a->out,
        .ca = a->ca,
        .subject = a->subject,
        .user = a->user,
        .names = a->names,
        .name_count = a->name_count,
        .takes_names = a->csr_names,
        .key_kind = a->key_kind,
        .days = a->days != 0 ? (unsigned)a->days : DAYS_OF_A_LEAF,
        .path_length = (int)a->path_length,
        .force = a->force,
        .renew_days = (unsigned)a->renew_days,
        .ca_passphrase = &job->ca_passphrase.source,
        .passphrase = has_passphrase ? &job->passphrase.source : NULL,
        .now = now_s(),
    };
    if (check_passphrases(word, a) != EXIT_GOOD)
        return EXIT_USAGE;
    if (ca_order_prove(&job->order, &job->why) == FAIL_NONE)
        return EXIT_GOOD;
    (void)tell(word, &job->why);
    return EXIT_USAGE;
}

/* ---- what came of it ---- */

static const char *date_text(int64_t at, char out[static 32])
{
    time_t    seconds = (time_t)at;
    struct tm parts = { 0 };

    gmtime_r(&seconds, &parts);
    strftime(out, 32, "%Y-%m-%d", &parts);
    return out;
}

static void warn(const struct job *job)
{
    char date[32];

    if (job->outcome.ends_with_its_authority)
        complain("cert %s: %s ends with its authority on %s, before the %u days are over",
                 job->word, job->outcome.cert, date_text(job->outcome.not_after, date),
                 job->order.days);
    if (job->outcome.lacks_root)
        complain("cert %s: root.crt is not written: %s has no root certificate; put it there "
                 "as root.crt",
                 job->word, job->order.ca);
}

static int print_outcome(const struct job *job)
{
    struct buf               out = BUF_LIMIT(LINE_BYTES);
    const struct ca_outcome *outcome = &job->outcome;
    char                     date[32];

    if (job->order.renew_days > 0)
        buf_put_format(&out, "%s\n", outcome->was_written ? "renewed" : "unchanged");
    else {
        buf_put_format(&out, "%s", outcome->cert);
        if (outcome->key[0] != '\0')
            buf_put_format(&out, ", %s", outcome->key);
        if (outcome->not_after != 0)
            buf_put_format(&out, ", until %s", date_text(outcome->not_after, date));
        buf_put(&out, BYTES("\n"));
    }
    return print_and_free(&out);
}

static int run_hook(struct job *job, const char *hook)
{
    const struct hook_variable variables[] = {
        { "PGTLS_CERT", job->outcome.cert },
        { "PGTLS_KEY", job->outcome.key },
        { NULL, NULL },
    };

    if (hook == NULL || !job->outcome.was_written)
        return EXIT_GOOD;
    if (hook_run("--deploy-hook", hook, variables, &job->why) == FAIL_NONE)
        return EXIT_GOOD;
    fail_hint(&job->why, "the new files are there; run it by hand");
    return tell(job->word, &job->why);
}

static int finish(struct job *job, enum fail rc, const char *hook)
{
    int status, hook_status;

    if (rc != FAIL_NONE)
        return tell(job->word, &job->why);
    warn(job);
    status = print_outcome(job);
    hook_status = run_hook(job, hook);
    return status != EXIT_GOOD ? status : hook_status;
}

/* ---- the words ---- */

static int make(const char *word, const struct cert_arguments *a, enum issue_purpose purpose)
{
    struct job job;

    if (a->renew_days >= a->days)
        return complain_of_usage("cert %s: --renew-before must be less than --days", word);
    if (prepare(&job, word, a, purpose) != EXIT_GOOD)
        return EXIT_USAGE;
    return finish(&job, ca_make(&job.order, &job.outcome, &job.why), a->hook);
}

/* "CN=root of db.example.com"; what would have to be escaped is left out. */
static void name_authority(char *out, size_t size, const char *kind,
                           const struct cert_arguments *a)
{
    const char *whose = a->user != NULL     ? a->user
                        : a->name_count > 0 ? a->names[0]
                                            : a->subject;
    size_t      at = (size_t)snprintf(out, size, "CN=%s of ", kind);

    for (; *whose != '\0' && at + 1 < size; whose++)
        if (isalnum((unsigned char)*whose) || strchr(" -._@:", *whose) != NULL)
            out[at++] = *whose;
    out[at] = '\0';
}

/* An authority in a folder that has none: signed by that of `ca`, or by itself.  The passphrase
 * of authorities that is given is that of the new one too. */
static int found_authority(const char *word, const struct cert_arguments *a, const char *out,
                           const char *ca)
{
    struct cert_arguments authority = {
        .out = out,
        .ca = ca,
        .force = a->force,
        .passphrase_file = a->ca_passphrase_file,
        .passphrase_command = a->ca_passphrase_command,
        .ca_passphrase_file = a->ca_passphrase_file,
        .ca_passphrase_command = a->ca_passphrase_command,
    };
    char file[CA_PATH], subject[LONGEST_AUTHORITY];

    snprintf(file, sizeof file, "%s/ca.crt", out);
    if (access(file, F_OK) == 0)
        return EXIT_GOOD;
    name_authority(subject, sizeof subject, ca == NULL ? "root" : "issuing", a);
    authority.subject = subject;
    authority.days = ca == NULL ? DAYS_OF_A_ROOT : DAYS_OF_AN_INTERMEDIATE;
    authority.path_length = ca == NULL ? 1 : 0;
    return make(word, &authority, ISSUE_AUTHORITY);
}

/* --new-root: what is missing of the authorities above. */
static int make_leaf(const char *word, const struct cert_arguments *a,
                     enum issue_purpose purpose)
{
    int status = EXIT_GOOD;

    if (a->new_root != NULL) {
        status = found_authority(word, a, a->new_root, NULL);
        if (status == EXIT_GOOD && strcmp(a->new_root, a->ca) != 0)
            status = found_authority(word, a, a->ca, a->new_root);
    }
    return status == EXIT_GOOD ? make(word, a, purpose) : status;
}

int cert_run_self_signed(const struct cert_arguments *arguments)
{
    return make("self-signed", arguments, ISSUE_SERVER);
}

int cert_run_ca(const struct cert_arguments *arguments)
{
    return make("ca", arguments, ISSUE_AUTHORITY);
}

int cert_run_intermediate(const struct cert_arguments *arguments)
{
    return make("intermediate", arguments, ISSUE_AUTHORITY);
}

int cert_run_server(const struct cert_arguments *arguments)
{
    return make_leaf("server", arguments, ISSUE_SERVER);
}

int cert_run_client(const struct cert_arguments *a)
{
    if ((a->user == NULL) == (a->subject == NULL))
        return complain_of_usage("cert client: --user or --subject is needed, one of them");
    return make_leaf("client", a, ISSUE_CLIENT);
}

static enum issue_purpose purpose_of(const char *word)
{
    if (strcmp(word, "server") == 0)
        return ISSUE_SERVER;
    return strcmp(word, "client") == 0 ? ISSUE_CLIENT : ISSUE_AUTHORITY;
}

/* Rules of csr and sign that depend on the purpose. */
static int check_names(const char *word, const struct cert_arguments *a)
{
    enum issue_purpose purpose = purpose_of(a->purpose);

    if (purpose != ISSUE_CLIENT && a->user != NULL)
        return complain_of_usage("cert %s: --user is for clients (--purpose client)", word);
    if (purpose == ISSUE_AUTHORITY && a->name_count > 0)
        return complain_of_usage("cert %s: an authority has no --name", word);
    if (a->user != NULL && a->subject != NULL)
        return complain_of_usage("cert %s: --user or --subject, not both", word);
    if (a->csr_names)
        return EXIT_GOOD;
    if (purpose == ISSUE_SERVER && a->name_count == 0)
        return complain_of_usage("cert %s: --name is missing: a server needs one", word);
    if (purpose == ISSUE_CLIENT && a->user == NULL && a->subject == NULL)
        return complain_of_usage("cert %s: --user is missing: a client needs one", word);
    if (purpose == ISSUE_AUTHORITY && a->subject == NULL)
        return complain_of_usage("cert %s: --subject is missing: an authority needs one", word);
    return EXIT_GOOD;
}

int cert_run_csr(const struct cert_arguments *a)
{
    struct job job;
    int        status = check_names("csr", a);

    if (status == EXIT_GOOD)
        status = prepare(&job, "csr", a, purpose_of(a->purpose));
    if (status != EXIT_GOOD)
        return status;
    return finish(&job, ca_make_request(&job.order, &job.outcome, &job.why), NULL);
}

int cert_run_sign(const struct cert_arguments *a)
{
    struct job job;
    int        status = check_names("sign", a);

    if (status == EXIT_GOOD)
        status = prepare(&job, "sign", a, purpose_of(a->purpose));
    if (status != EXIT_GOOD)
        return status;
    if (a->days == 0 && job.order.purpose == ISSUE_AUTHORITY)
        job.order.days = DAYS_OF_AN_INTERMEDIATE;
    return finish(&job, ca_sign(&job.order, a->operand, &job.outcome, &job.why), NULL);
}

int cert_run_revoke(const struct cert_arguments *a)
{
    const struct ca_revocation revocation = { .ca = a->ca,
                                              .cert = a->operand,
                                              .serial = a->serial,
                                              .reason = a->reason,
                                              .now = now_s() };
    struct failure             why = { 0 };
    struct buf                 out = BUF_LIMIT(LINE_BYTES);
    char                       serial[CA_SERIAL_TEXT];

    if ((a->operand == NULL) == (a->serial == NULL))
        return complain_of_usage("cert revoke: FILE.crt or --serial is needed, one of them");
    if (ca_revoke(&revocation, serial, &why) != FAIL_NONE)
        return tell("revoke", &why);
    buf_put_format(&out, "revoked %s; pgtls cert crl --ca %s makes the new list\n", serial,
                   a->ca);
    return print_and_free(&out);
}

int cert_run_crl(const struct cert_arguments *a)
{
    struct cli_passphrase      passphrase;
    const struct ca_list_order order = { .ca = a->ca,
                                         .out = a->out,
                                         .append = a->append,
                                         .days = (unsigned)a->days,
                                         .passphrase = &passphrase.source,
                                         .now = now_s() };
    struct ca_list_outcome     outcome;
    struct failure             why = { 0 };
    struct buf                 out = BUF_LIMIT(LINE_BYTES);
    int                        status = check_passphrases("crl", a);

    if (status != EXIT_GOOD)
        return status;
    cli_passphrase_init(&passphrase, a->ca_passphrase_file, a->ca_passphrase_command, false);
    if (ca_write_list(&order, &outcome, &why) != FAIL_NONE)
        return tell("crl", &why);
    buf_put_format(&out, "%s, number %s, %zu revoked\n", outcome.file, outcome.number,
                   outcome.revoked);
    return print_and_free(&out);
}
