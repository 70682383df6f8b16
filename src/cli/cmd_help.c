/* SPDX-License-Identifier: PostgreSQL */
#include "cli/command.h"
#include "conf/manual.h"
#include "proxy/settings.h"
#include "runtime/log.h"

#define HELP_BYTES ((size_t)256 * 1024)

static void write_settings(struct buf *out)
{
    conf_write_reference(out, settings_tables());
}

static void write_sample(struct buf *out)
{
    conf_write_sample(out, settings_tables());
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {
        [LOG_DEBUG] = "debug",
        [LOG_INFO] = "info",
        [LOG_WARN] = "warn",
        [LOG_ERROR] = "error",
    };

    return names[level];
}

static void write_events(struct buf *out)
{
    for (enum log_event event = 0; event < EVENT_COUNT; event++) {
        const struct log_event_row *row = log_event_row(event);

        buf_put_format(out, "%-24s %-6s %s\n", row->name, level_name(row->level), row->help);
    }
}

static const struct topic {
    const char *word;
    void (*write)(struct buf *out);
} topics[] = {
    { "settings", write_settings },
    { "sample", write_sample },
    { "events", write_events },
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

    if (argc > 2)
        return complain_of_usage("help: one word at a time");
    if (topic != NULL)
        topic->write(&out);
    else if (command != NULL)
        buf_put(&out, bytes_of_string(command->usage));
    else if (argc == 1)
        command_write_overview(&out);
    else
        return complain_of_usage(
            "help: nothing is known of that word; `pgtls help` lists them");
    return print_and_free(&out);
}
