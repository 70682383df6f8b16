/* SPDX-License-Identifier: PostgreSQL */
#include "cli/command.h"
#include "cli/manual.h"
#include "conf/manual.h"
#include "proxy/settings.h"

#define HELP_BYTES ((size_t)256 * 1024)

static void write_settings(struct buf *out)
{
    conf_write_reference(out, settings_tables());
}

static void write_sample(struct buf *out)
{
    conf_write_sample(out, settings_tables());
}

static const struct topic {
    const char *word;
    void (*write)(struct buf *out);
} topics[] = {
    { "settings", write_settings },
    { "sample", write_sample },
    { "events", manual_write_events },
    { "pgtls.1", manual_write_program_page },
    { "findings", manual_write_findings },
    { "pgtls-cert.1", manual_write_cert_page },
    { "pgtls-check.1", manual_write_check_page },
    { "pgtls.toml.5", manual_write_file_page },
    { NULL, NULL },
};

static const struct topic *find_topic(const char *word)
{
    for (const struct topic *topic = topics; topic->word != NULL; topic++)
        if (strcmp(topic->word, word) == 0)
            return topic;
    return NULL;
}

int cmd_help(int argc, char **argv)
{
    struct buf            out = BUF_LIMIT(HELP_BYTES);
    const struct topic   *topic = argc > 1 ? find_topic(argv[1]) : NULL;
    const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;

    if (argc > 2 && (argc > 3 || command == NULL || command->write_help == NULL))
        return complain_of_usage("help: one word at a time");
    if (topic != NULL)
        topic->write(&out);
    else if (command != NULL)
        command_write_usage(command, argc > 2 ? argv[2] : NULL, &out);
    else if (argc == 1)
        command_write_overview(&out);
    else
        return complain_of_usage(
            "help: nothing is known of that word; `pgtls help` lists them");
    return print_and_free(&out);
}
