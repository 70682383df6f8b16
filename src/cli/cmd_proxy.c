/* SPDX-License-Identifier: PostgreSQL */
#include "cli/command.h"
#include "proxy/server.h"

#define REPORT_BYTES ((size_t)16 * 1024 * 1024)

struct proxy_arguments {
    const char *file;
    bool        checks_only;
};

/* EXIT_GOOD, or EXIT_USAGE after a complaint. */
static int read_arguments(struct proxy_arguments *out, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--check") == 0)
            out->checks_only = true;
        else if (strcmp(argv[i], "-c") != 0)
            return complain_of_usage("proxy: unknown option %s; see pgtls proxy --help",
                                     argv[i]);
        else if (i + 1 == argc)
            return complain_of_usage("proxy: -c needs a file; see pgtls proxy --help");
        else if (out->file != NULL)
            return complain_of_usage("proxy: -c is given twice; one file has all routes");
        else
            out->file = argv[++i];
    if (out->file == NULL)
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

static int check(const char *file, struct conf_problems *problems)
{
    struct buf report = BUF_LIMIT(REPORT_BYTES);
    bool       is_good = server_check(file, problems, &report);
    int        status = tell_problems(problems);

    if (is_good)
        return print_and_free(&report);
    buf_fini(&report);
    return status;
}

static int serve(const char *file, struct conf_problems *problems)
{
    struct server *server = server_new(file, problems);
    int            status = tell_problems(problems);
    struct failure why = { 0 };

    if (server == NULL)
        return EXIT_FAILED;
    if (server_run(server, &why) != FAIL_NONE) {
        complain("%s%s%s", why.text, why.hint[0] == '\0' ? "" : "; ", why.hint);
        status = EXIT_FAILED;
    }
    server_free(server);
    return status;
}

int cmd_proxy(int argc, char **argv)
{
    struct proxy_arguments arguments = { NULL, false };
    struct conf_problems   problems = { 0 };
    int                    status = read_arguments(&arguments, argc, argv);

    if (status != EXIT_GOOD)
        return status;
    status = arguments.checks_only ? check(arguments.file, &problems)
                                   : serve(arguments.file, &problems);
    conf_problems_fini(&problems);
    return status;
}
