/* SPDX-License-Identifier: PostgreSQL */
/* Words of `pgtls cert` where memory runs out: each says so and leaks nothing.  Those that sign
 * or revoke are in library/cert_test.c: here the books would change with every run. */
#include "cli/command.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MOST 16

static char *dir;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void remove_tree(const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What a command says is not the test's. */
static int run_quietly(int argc, char **argv, unsigned fails_at, bool *has_failed)
{
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), status;
    int null = open("/dev/null", O_WRONLY);

    fflush(NULL);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    alloc_fail_at(fails_at);
    status = cmd_cert(argc, argv);
    *has_failed = alloc_has_failed();
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    close(null);
    return status;
}

/* Words between spaces; @ is the directory of the test. */
static int run(const char *line, unsigned fails_at, bool *has_failed)
{
    char  text[2048], *argv[WORDS_MOST + 1] = { NULL }, *rest = text;
    char *to = text;
    int   argc = 0;

    for (const char *c = line; *c != '\0'; c++)
        to += *c == '@' ? snprintf(to, 300, "%s", dir) : snprintf(to, 2, "%c", *c);
    while ((argv[argc] = strtok_r(rest, " ", &rest)) != NULL)
        argc++;
    return run_quietly(argc, argv, fails_at, has_failed);
}

static void run_well(const char *line)
{
    bool has_failed;

    assert_int_equal(run(line, 0, &has_failed), EXIT_GOOD);
}

static int make_files(void **state)
{
    /* every file goes down to the disk: in memory that takes no time */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    dir = certs_dir_new();
    run_well("cert ca --subject CN=Root --out @/ca");
    run_well("cert server --ca @/ca --name localhost --out @/server");
    run_well("cert csr --name localhost --out @/csr");
    run_well("cert crl --ca @/ca");
    return 0;
}

static int remove_files(void **state)
{
    remove_tree("");
    free(dir);
    return 0;
}

static void each_word_says_that_memory_ran_out(void **state)
{
    static const char verify[] =
        "cert verify --cert @/server/server.crt --key @/server/server.key --ca @/ca/ca.crt "
        "--crl @/ca/ca.crl --name localhost";
    static const char *const lines[] = {
        "cert self-signed --name localhost --out @/new",
        "cert csr --purpose client --user alice --out @/new",
        "cert crl --ca @/ca",
        verify,
        "cert show @/server/server.crt",
        "cert show --json @/server/server.crt",
        "cert show @/csr/server.csr",
        "cert show --json @/ca/ca.crl",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        bool has_failed = true;

        for (unsigned n = 1; has_failed; n++) {
            int status = run(lines[i], n, &has_failed);

            if (has_failed != (status == EXIT_FAILED))
                print_error("%s: allocation %u: status %d\n", lines[i], n, status);
            assert_int_equal(status, has_failed ? EXIT_FAILED : EXIT_GOOD);
            assert_in_range(n, 1, 1000);
            remove_tree("new");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_says_that_memory_ran_out),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
