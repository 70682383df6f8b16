/* SPDX-License-Identifier: PostgreSQL */
/* `pgtls cert verify`. */
#include "cli/cert_words.h"
#include "cli/command.h"
#include "cli/passphrase.h"
#include "io/clock.h"
#include "x509/inspection.h"

#define REPORT_BYTES ((size_t)64 * 1024)

static int report(const struct inspection *inspection)
{
    static const char *const words[] = {
        [INSPECTED_NOT] = "-", [INSPECTED_GOOD] = "good", [INSPECTED_BAD] = "BAD"
    };
    struct buf out = BUF_LIMIT(REPORT_BYTES);
    int        status;

    for (enum inspection_step step = 0; step < INSPECT_STEPS; step++) {
        enum inspection_verdict verdict = inspection->steps[step].verdict;
        const char             *hint = inspection->steps[step].hint;

        buf_put_format(
            &out, "%-4s  %-10s  %s%s%s\n", words[verdict], inspection_step_name(step),
            verdict == INSPECTED_NOT ? "not looked at" : inspection->steps[step].text,
            *hint != '\0' ? "; " : "", hint);
    }
    status = print_and_free(&out);
    return status == EXIT_GOOD && !inspection->is_good ? EXIT_FAILED : status;
}

int cert_run_verify(const struct cert_arguments *a)
{
    struct cli_passphrase         passphrase;
    const struct inspection_files files = { .cert = a->cert_file,
                                            .key = a->key_file,
                                            .passphrase = &passphrase.source,
                                            .ca = a->ca_file,
                                            .crl = a->crl_file,
                                            .names = a->names,
                                            .name_count = a->name_count,
                                            .is_client = strcmp(a->purpose, "client") == 0,
                                            .now = (int64_t)(clock_wall_us() / 1000000) };
    struct inspection             inspection;
    struct failure                why = { 0 };

    if (a->crl_file != NULL && a->ca_file == NULL)
        return complain_of_usage("cert verify: --crl needs --ca");
    if (a->passphrase_file != NULL && a->passphrase_command != NULL)
        return complain_of_usage(
            "cert verify: --passphrase-file or --passphrase-command, not both");
    cli_passphrase_init(&passphrase, a->passphrase_file, a->passphrase_command, false);
    if (inspection_run(&files, &inspection, &why) != FAIL_NONE) {
        complain("cert verify: %s%s%s", why.text, why.hint[0] == '\0' ? "" : "; ", why.hint);
        return EXIT_FAILED;
    }
    return report(&inspection);
}
