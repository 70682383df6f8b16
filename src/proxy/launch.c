/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/launch.h"

#include "conf/file.h"
#include "io/socket.h"
#include "runtime/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Descriptors beside those of connections, of the process and of each worker: its loop, and
 * what it asks name servers with. */
#define OWN_FILES    64
#define WORKER_FILES 8

unsigned launch_worker_count(const struct proxy_settings *settings)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    if (settings->workers > 0)
        return (unsigned)settings->workers;
    return cpus > 0 ? (unsigned)cpus : 1;
}

/* Two sockets a session, one for each that has not logged in yet, and one a worker for each
 * address that is listened on. */
void launch_raise_open_files(const struct proxy_settings *settings,
                             struct conf_problems        *problems)
{
    uint64_t workers = launch_worker_count(settings);
    uint64_t wanted = OWN_FILES + WORKER_FILES * workers, limit;

    for (size_t i = 0; i < settings->route_count; i++)
        wanted += 2 * settings->routes[i].limits.max_connections +
                  settings->routes[i].limits.max_pending_logins +
                  workers * settings->routes[i].listener.bind_address.count;
    limit = socket_raise_open_files(wanted);
    if (limit < wanted)
        conf_problem_add(
            problems, true, 0,
            "limits.max_connections and max_pending_logins need %llu open files, but the "
            "limit is %llu; raise it (ulimit -n, LimitNOFILE=) or lower them",
            (unsigned long long)wanted, (unsigned long long)limit);
}

bool launch_log_options(struct log_options *out, const struct proxy_settings *settings,
                        struct conf_problems *problems)
{
    const char    *override = getenv("PGTLS_LOG");
    struct failure why = { 0 };
    const char    *before;

    if (override != NULL && override[0] == '\0')
        override = NULL;
    *out = (struct log_options){ .format = (enum log_format)settings->log_format,
                                 .file = settings->log_file };
    if (log_levels_parse(&out->levels, override != NULL ? override : settings->log_level,
                         &why) == FAIL_NONE)
        return true;
    before = conf_problems_in(problems, "PGTLS_LOG");
    conf_problem_add(problems, false, 0, "%s; %s", why.text, why.hint);
    conf_problems_in(problems, before);
    return false;
}

/* ---- becoming the user ---- */

static void complain_of_user(const struct proxy_settings *settings, bool is_warning,
                             const struct failure *why, struct conf_problems *problems)
{
    settings_top_problem(problems, is_warning, settings, "user", "%s%s%s", why->text,
                         why->hint[0] != '\0' ? "; " : "", why->hint);
}

/* Frees the settings of root and returns what the user reads; NULL after a problem. */
static struct proxy_settings *read_again(struct proxy_settings        *settings,
                                         const struct settings_source *source,
                                         struct conf_problems         *problems)
{
    settings_free(settings);
    conf_problems_fini(problems); /* warnings that are about to be told again */
    return settings_load(source, problems);
}

/* ---- a start ---- */

/* The same sockets, for the settings that the user has read. */
static bool adopt_sockets(struct launch *out, const struct proxy_settings *settings,
                          struct conf_problems *problems)
{
    struct listening *bound = out->listening;

    out->listening = listening_open(settings, bound, out->worker_count, problems);
    listening_close(bound);
    if (out->listening != NULL)
        listening_warn_of_leftovers(out->listening, problems);
    return out->listening != NULL;
}

static struct proxy_settings *become_user(struct launch *out, struct proxy_settings *settings,
                                          const struct settings_source *source,
                                          struct conf_problems         *problems)
{
    struct failure why = { 0 };

    if (settings_user(settings) == NULL)
        return settings;
    if (privileges_become(settings_user(settings), &why) != FAIL_NONE) {
        complain_of_user(settings, false, &why, problems);
        settings_free(settings);
        return NULL;
    }
    if (problems->error_count > 0)
        return settings; /* the rest of what is wrong is found by loading it */
    settings = read_again(settings, source, problems);
    if (settings != NULL)
        launch_raise_open_files(settings, problems);
    if (settings == NULL || adopt_sockets(out, settings, problems))
        return settings;
    settings_free(settings);
    return NULL;
}

bool launch_start(struct launch *out, const struct settings_source *source,
                  struct conf_problems *problems)
{
    struct proxy_settings *settings;

    *out = (struct launch){ .worker_count = 0 };
    if ((settings = settings_load(source, problems)) == NULL)
        return false;
    out->worker_count = launch_worker_count(settings);
    launch_raise_open_files(settings, problems); /* many workers may listen on many addresses */
    out->listening = listening_open(settings, NULL, out->worker_count, problems);
    settings = become_user(out, settings, source, problems);
    privileges_forbid_dumps();
    if (settings != NULL)
        out->generation = generation_new(settings, NULL, problems);
    if (out->listening != NULL && out->generation != NULL)
        return true;
    listening_close(out->listening);
    generation_release(out->generation);
    *out = (struct launch){ .worker_count = 0 };
    return false;
}

/* ---- --check ---- */

static struct proxy_settings *check_as_user(struct proxy_settings        *settings,
                                            const struct settings_source *source,
                                            struct conf_problems         *problems)
{
    struct failure why = { 0 };
    enum fail      rc;

    if (settings == NULL || settings_user(settings) == NULL)
        return settings;
    rc = privileges_become(settings_user(settings), &why);
    if (rc == FAIL_NONE)
        return read_again(settings, source, problems);
    complain_of_user(settings, rc == FAIL_REFUSED, &why, problems);
    if (rc == FAIL_REFUSED)
        return settings;
    settings_free(settings);
    return NULL;
}

/* The file itself, or the folder that it would be made in. */
static bool may_write_log(const char *file)
{
    char       *folder;
    bool        may;
    struct stat st;

    if (stat(file, &st) == 0 && S_ISDIR(st.st_mode))
        errno = EISDIR;
    else if (faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) == 0)
        return true;
    if (errno != ENOENT)
        return false;
    folder = conf_file_folder(file);
    may = folder == NULL || faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0;
    free(folder);
    return may;
}

/* A check makes no file. */
static void check_log_file(const struct proxy_settings *settings,
                           struct conf_problems        *problems)
{
    const char *file = settings->log_file;

    if (file != NULL && file[0] != '\0' && !may_write_log(file))
        settings_top_problem(problems, false, settings, "log_file", "cannot open %s: %s", file,
                             strerror(errno));
}

/* What a start would give its sockets to. */
static void check_socket_groups(const struct proxy_settings *settings,
                                struct conf_problems        *problems)
{
    for (size_t i = 0; i < settings->route_count; i++) {
        const struct route_settings *route = &settings->routes[i];
        const char                  *group = route->listener.unix_socket_group;

        if (group != NULL && getgrnam(group) == NULL)
            settings_problem(problems, false, route, "listener.unix_socket_group",
                             "there is no group \"%s\"", group);
    }
}

struct generation *launch_check(const struct settings_source *source,
                                struct conf_problems         *problems)
{
    struct proxy_settings *settings =
        check_as_user(settings_load(source, problems), source, problems);
    struct log_options ignored;

    if (settings == NULL)
        return NULL;
    check_log_file(settings, problems);
    check_socket_groups(settings, problems);
    if (launch_log_options(&ignored, settings, problems))
        return generation_new(settings, NULL, problems);
    settings_free(settings);
    return NULL;
}
