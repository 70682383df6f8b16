/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/kernel_records.h"

#include "io/kernel_tls.h"
#include "tls/kernel.h"

#define FIRST_SUITE TLS_SUITE_AES_128_GCM_SHA256
#define SUITE_COUNT (TLS_SUITES - FIRST_SUITE)

static void try_all(struct tls_kernel_abilities *abilities)
{
    uint8_t                  keys[SUITE_COUNT][TLS_KERNEL_KEYS_MOST];
    struct kernel_tls_trial  trials[SUITE_COUNT];
    struct kernel_tls_answer answer;

    for (unsigned i = 0; i < SUITE_COUNT; i++) {
        size_t size = tls_kernel_sample_keys((enum tls_suite)(FIRST_SUITE + i), keys[i]);

        trials[i] = (struct kernel_tls_trial){ .keys = bytes_of(keys[i], size) };
    }
    answer = kernel_tls_probe(trials, SUITE_COUNT);
    *abilities = (struct tls_kernel_abilities){ .rekeys = answer.rekeys,
                                                .refusal = answer.refusal,
                                                .hint = answer.hint };
    for (unsigned i = 0; i < SUITE_COUNT; i++) {
        abilities->sends |= trials[i].sends ? 1u << (FIRST_SUITE + i) : 0;
        abilities->receives |= trials[i].receives ? 1u << (FIRST_SUITE + i) : 0;
    }
}

static void warn_of_suites(const struct tls_kernel_abilities *abilities,
                           const struct route_settings *settings, const char *setting,
                           struct conf_problems *problems)
{
    for (unsigned suite = FIRST_SUITE; suite < TLS_SUITES; suite++) {
        const char *name = tls_suite_name((enum tls_suite)suite);

        if (!(abilities->sends & 1u << suite))
            settings_problem(problems, true, settings, setting,
                             "\"kernel\": the kernel has no %s; pgtls protects the records of "
                             "such connections",
                             name);
        else if (!(abilities->receives & 1u << suite))
            settings_problem(problems, true, settings, setting,
                             "\"kernel\": the kernel sends %s, and does not receive it; pgtls "
                             "opens what such connections bring",
                             name);
    }
}

void kernel_records_find_out(struct tls_policy_options   *options,
                             const struct route_settings *settings, const char *setting,
                             struct conf_problems *problems)
{
    struct tls_kernel_abilities *abilities = &options->kernel;

    if (options->record_layer != TLS_RECORDS_KERNEL)
        return;
    try_all(abilities);
    if (abilities->refusal != NULL) {
        settings_problem(problems, true, settings, setting,
                         "\"kernel\": %s, and pgtls protects records itself; %s",
                         abilities->refusal, abilities->hint);
        return;
    }
    warn_of_suites(abilities, settings, setting, problems);
    if (!abilities->rekeys)
        settings_problem(
            problems, true, settings, setting,
            "\"kernel\": the kernel cannot change keys: a connection ends when its "
            "peer changes its own, and after 8388608 records that it sends; Linux "
            "6.14 and later can");
}
