/* SPDX-License-Identifier: PostgreSQL */
#include "base/text.h"
#include "cli/command.h"
#include "conf/pipe.h"
#include "proxy/server.h"
#include "tls/key_schedule.h"

#define REPORT_BYTES ((size_t)16 * 1024 * 1024)

#define SETS_MOST 64

#define PIPE_PATIENCE_MS 30000

struct proxy_arguments {
    struct settings_source source;
    const char            *sets[SETS_MOST];
    bool                   checks_only;
};

static int add_set(struct proxy_arguments *out, const char *set)
{
    if (out->source.set_count == SETS_MOST)
        return complain_of_usage("proxy: --set is given more than %d times", SETS_MOST);
    out->sets[out->source.set_count++] = set;
    return EXIT_GOOD;
}

static int complain_of_option(const char *option)
{
    static const char *const names[] = { "--check", "--set", NULL };
    char                     shown[64];
    const char              *near = text_nearest(option, names);

    text_escape(shown, sizeof shown, bytes_of_string(option));
    if (option[0] != '-')
        return complain_of_usage("proxy: %s stands alone; a configuration file is -c %s", shown,
                                 shown);
    if (near != NULL)
        return complain_of_usage("proxy: unknown option %s; did you mean %s?", shown, near);
    return complain_of_usage("proxy: unknown option %s; see pgtls proxy --help", shown);
}

/* An option that stands before its value. */
static int add_option(struct proxy_arguments *out, const char *option, const char *value)
{
    bool is_set = strcmp(option, "--set") == 0;

    if (!is_set && strcmp(option, "-c") != 0)
        return complain_of_option(option);
    if (value == NULL || (!is_set && value[0] == '\0'))
        return complain_of_usage("proxy: %s needs a %s; see pgtls proxy --help", option,
                                 is_set ? "PATH=VALUE" : "file");
    if (is_set)
        return add_set(out, value);
    if (out->source.file != NULL)
        return complain_of_usage("proxy: -c is given twice; one file has all routes");
    out->source.file = value;
    return EXIT_GOOD;
}

/* EXIT_GOOD, or EXIT_USAGE after a complaint. */
static int read_arguments(struct proxy_arguments *out, int argc, char **argv)
{
    out->source.sets = out->sets;
    for (int i = 1; i < argc; i++) {
        int status = EXIT_GOOD;

        if (strcmp(argv[i], "--check") == 0) {
            out->checks_only = true;
            continue;
        }
        status = add_option(out, argv[i], argv[i + 1]);
        if (status != EXIT_GOOD)
            return status;
        i++;
    }
    if (out->source.file == NULL)
        return complain_of_usage("proxy: -c FILE is missing; see pgtls proxy --help");
    return EXIT_GOOD;
}

/* Returns the exit status: warnings alone are good. */
static int tell_problems(const struct conf_problems *problems)
{
    size_t told = 0;

    for (size_t i = 0; i < problems->count; i++) {
        complain("%s", problems->items[i].text);
        told += problems->items[i].is_warning ? 0 : 1;
    }
    if (told < problems->error_count)
        complain("out of memory");
    return problems->error_count == 0 ? EXIT_GOOD : EXIT_FAILED;
}

static int check(const struct settings_source *source, struct conf_problems *problems)
{
    struct buf report = BUF_LIMIT(REPORT_BYTES);
    bool       is_good = server_check(source, problems, &report);
    int        status = tell_problems(problems);

    if (is_good)
        return print_and_free(&report);
    buf_fini(&report);
    return status;
}

static int serve(const struct settings_source *source, struct conf_problems *problems)
{
    struct server *server;
    struct failure why = { 0 };
    int            status;

    tls_key_schedule_start(); /* before there is a context that could use it */
    server = server_new(source, problems);
    status = tell_problems(problems);
    if (server == NULL)
        return EXIT_FAILED;
    if (server_run(server, &why) != FAIL_NONE) {
        complain("%s%s%s", why.text, why.hint[0] == '\0' ? "" : "; ", why.hint);
        status = EXIT_FAILED;
    }
    server_free(server);
    return status;
}

/* Only the start may wait for who writes it, and what it read must do for a reading as `user`.
 */
static int read_pipe(struct settings_source *source, struct buf *text)
{
    struct failure why = { 0 };
    const char    *pipe = source->file;

    if (!conf_pipe_is(pipe))
        return EXIT_GOOD;
    source->text = text;
    if (conf_pipe_is_input(pipe))
        source->file = "standard input";
    if (conf_pipe_read(pipe, PIPE_PATIENCE_MS, text, &why) == FAIL_NONE)
        return EXIT_GOOD;
    complain("%s: cannot be read: %s", source->file, why.text);
    return EXIT_FAILED;
}

int cmd_proxy(int argc, char **argv)
{
    struct proxy_arguments arguments = { 0 };
    struct conf_problems   problems = { 0 };
    struct buf             text = BUF_LIMIT(SETTINGS_LARGEST_FILE);
    int                    status = read_arguments(&arguments, argc, argv);

    if (status == EXIT_GOOD)
        status = read_pipe(&arguments.source, &text);
    if (status == EXIT_GOOD)
        status = arguments.checks_only ? check(&arguments.source, &problems)
                                       : serve(&arguments.source, &problems);
    conf_problems_fini(&problems);
    buf_fini(&text);
    return status;
}
