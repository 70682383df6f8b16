/* SPDX-License-Identifier: PostgreSQL */
#include "cli/check_show.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "doctor/doctor.h"
#include "driver/sources.h"
#include "driver/uri.h"

#include <stdlib.h>

#define JSON_BYTES ((size_t)1024 * 1024)

struct check_arguments {
    char                 *uri; /* in argv: its password is hidden there */
    bool                  is_json;
    bool                  asks_for_password;
    struct doctor_options options;
};

static const struct flag {
    const char *word;
    size_t      at; /* of a bool in the arguments */
} flags[] = {
    { "--json", offsetof(struct check_arguments, is_json) },
    { "-W", offsetof(struct check_arguments, asks_for_password) },
    { "--password", offsetof(struct check_arguments, asks_for_password) },
    { "--send-password-unverified", offsetof(struct check_arguments, options) +
                                        offsetof(struct doctor_options, send_unverified) },
};

static bool set_flag(struct check_arguments *out, const char *word)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(word, flags[i].word) == 0) {
            *(bool *)((char *)out + flags[i].at) = true;
            return true;
        }
    }
    return false;
}

/* EXIT_GOOD, or EXIT_USAGE after a complaint. */
static int read_arguments(struct check_arguments *out, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--name-server") == 0) {
            if (argv[++i] == NULL)
                return complain_of_usage("check: --name-server needs an ADDRESS:PORT");
            out->options.name_servers = argv[i];
        } else if (argv[i][0] == '-') {
            if (!set_flag(out, argv[i]))
                return complain_of_usage("check: unknown option %s; see pgtls check --help",
                                         argv[i]);
        } else if (out->uri != NULL) {
            return complain_of_usage("check: one URI at a time; see pgtls check --help");
        } else {
            out->uri = argv[i];
        }
    }
    if (out->uri == NULL)
        return complain_of_usage("check: a URI is missing; see pgtls check --help");
    return EXIT_GOOD;
}

static enum fail ask_for_password(struct parameters *parameters, struct failure *why)
{
    struct secret password = { 0 };
    enum fail     rc = terminal_ask("Password: ", &password, why);

    /* asked for: it wins over what the string says */
    parameters->sources[PARAMETER_PASSWORD] = SOURCE_NONE;
    if (rc == FAIL_NONE)
        rc = parameters_set(parameters, PARAMETER_PASSWORD, secret_bytes(&password),
                            SOURCE_STRING, why);
    secret_fini(&password);
    return rc;
}

static enum fail read_target(struct parameters *parameters, struct check_arguments *arguments,
                             struct failure *why)
{
    enum fail rc = uri_read(parameters, arguments->uri, why);

    uri_hide_secrets(arguments->uri);
    if (rc == FAIL_NONE && arguments->asks_for_password)
        rc = ask_for_password(parameters, why);
    return rc != FAIL_NONE ? rc : sources_fill(parameters, why);
}

static int tell(const struct failure *why)
{
    if (why->kind != FAIL_MEMORY)
        return complain_of_usage("check: %s%s%s", why->text, why->hint[0] != '\0' ? "; " : "",
                                 why->hint);
    complain("check: out of memory");
    return EXIT_FAILED;
}

static int print_json(const struct diagnosis *diagnosis)
{
    struct buf out = BUF_LIMIT(JSON_BYTES);

    if (check_write_json(&out, diagnosis) == FAIL_NONE)
        return print_and_free(&out);
    buf_fini(&out);
    complain("out of memory");
    return EXIT_FAILED;
}

static int run(const struct check_arguments *arguments, const struct parameters *parameters,
               struct diagnosis *diagnosis)
{
    struct check_show show;
    struct failure    why = { 0 };
    int               status = EXIT_GOOD;

    check_show_init(&show);
    diagnosis->events = arguments->is_json ? NULL : &show.events;
    if (doctor_run(parameters, &arguments->options, diagnosis, &why) != FAIL_NONE)
        return tell(&why);
    if (arguments->is_json)
        status = print_json(diagnosis);
    else if (!check_show_end(&show, diagnosis))
        status = complain_of_output();
    return status != EXIT_GOOD            ? status
           : diagnosis_is_good(diagnosis) ? EXIT_GOOD
                                          : EXIT_FAILED;
}

int cmd_check(int argc, char **argv)
{
    struct check_arguments arguments = { 0 };
    struct parameters      parameters;
    struct diagnosis      *diagnosis;
    struct failure         why = { 0 };
    int                    status = read_arguments(&arguments, argc, argv);

    if (status != EXIT_GOOD)
        return status;
    parameters_init(&parameters);
    diagnosis = calloc(1, sizeof *diagnosis);
    if (diagnosis == NULL)
        complain("out of memory");
    else if (read_target(&parameters, &arguments, &why) != FAIL_NONE)
        status = tell(&why);
    else
        status = run(&arguments, &parameters, diagnosis);
    parameters_fini(&parameters);
    free(diagnosis);
    return diagnosis == NULL ? EXIT_FAILED : status;
}
