/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static enum fail start(pid_t *pid, const char *what, const char *text, struct failure *why)
{
    char                       sh[] = "sh", c[] = "-c";
    char                      *argv[] = { sh, c, strdup(text), NULL };
    posix_spawn_file_actions_t files;
    int                        rc = argv[2] != NULL ? 0 : ENOMEM;

    posix_spawn_file_actions_init(&files);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn(pid, "/bin/sh", &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    free(argv[2]);
    return rc == 0 ? FAIL_NONE : fail_errno(why, rc, "%s could not be started", what);
}

enum fail hook_run(const char *what, const char *text, const struct hook_variable *variables,
                   struct failure *why)
{
    pid_t pid = 0;
    int   status = 0;

    for (; variables->name != NULL; variables++)
        if (setenv(variables->name, variables->value, 1) != 0)
            return fail_errno(why, errno, "%s could not be started", what);
    if (start(&pid, what, text, why) != FAIL_NONE)
        return FAIL_IO;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return fail_errno(why, errno, "%s: its end was missed", what);
    if (WIFSIGNALED(status))
        return fail(why, FAIL_CONFIG, "%s was ended by signal %d", what, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return fail(why, FAIL_CONFIG, "%s ended with status %d", what, WEXITSTATUS(status));
    return FAIL_NONE;
}
