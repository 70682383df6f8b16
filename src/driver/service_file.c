/* SPDX-License-Identifier: PostgreSQL */
#include "driver/service_file.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MOST 2048
#define PATH_SIZE 1024

enum found { NO_FILE, NO_SECTION, FOUND };

static struct bytes trimmed(struct bytes b)
{
    while (b.len > 0 && isspace(b.p[0]))
        bytes_skip(&b, 1);
    while (b.len > 0 && isspace(b.p[b.len - 1]))
        b.len--;
    return b;
}

static bool is_section(struct bytes line, const char *service)
{
    return line.len == strlen(service) + 2 && line.p[0] == '[' && line.p[line.len - 1] == ']' &&
           memcmp(line.p + 1, service, line.len - 2) == 0;
}

static enum fail take_line(struct parameters *to, struct bytes line, struct failure *why)
{
    const uint8_t *equals = memchr(line.p, '=', line.len);
    struct bytes   name, value;

    if (bytes_equal(bytes_first(line, 4), BYTES("ldap")))
        return fail(why, FAIL_CONFIG, "services that LDAP knows are not looked up");
    if (equals == NULL)
        return fail(why, FAIL_CONFIG, "a line without \"=\"");
    name = trimmed(bytes_of(line.p, (size_t)(equals - line.p)));
    value = trimmed(bytes_of(equals + 1, line.len - (size_t)(equals - line.p) - 1));
    if (bytes_equal(name, BYTES("service")))
        return fail(why, FAIL_CONFIG, "a service cannot name another one");
    return parameters_set_by_name(to, name, value, SOURCE_SERVICE, why);
}

/* Reads the section; FAIL_NONE with *found telling whether there was one. */
static enum fail read_lines(struct parameters *to, FILE *in, const char *service,
                            enum found *found, struct failure *why)
{
    char      text[LINE_MOST];
    enum fail rc = FAIL_NONE;

    *found = NO_SECTION;
    while (rc == FAIL_NONE && fgets(text, sizeof text, in) != NULL) {
        struct bytes line = trimmed(bytes_of_string(text));

        if (line.len == 0 || line.p[0] == '#')
            continue;
        if (line.p[0] == '[' && *found == FOUND)
            break;
        if (line.p[0] == '[')
            *found = is_section(line, service) ? FOUND : NO_SECTION;
        else if (*found == FOUND)
            rc = take_line(to, line, why);
    }
    return rc;
}

/* FAIL_NONE with *in NULL where there is no such file. */
static enum fail open_file(const char *path, FILE **in, struct failure *why)
{
    /* without O_NONBLOCK the open of a FIFO waits for its writer */
    int         fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    enum fail   rc;

    *in = NULL;
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? FAIL_NONE
                   : fail_errno(why, errno, "could not open %s", path);
    if (fstat(fd, &st) != 0)
        rc = fail_errno(why, errno, "could not stat %s", path);
    else if (!S_ISREG(st.st_mode))
        rc = fail(why, FAIL_CONFIG, "%s is not a regular file", path);
    else if ((*in = fdopen(fd, "r")) == NULL)
        rc = fail_errno(why, errno, "could not open %s", path);
    else
        return FAIL_NONE;
    close(fd);
    return rc;
}

static enum fail read_file(struct parameters *to, const char *path, const char *service,
                           enum found *found, struct failure *why)
{
    FILE     *in;
    enum fail rc = open_file(path, &in, why);

    *found = NO_FILE;
    if (rc != FAIL_NONE || in == NULL)
        return rc;
    rc = read_lines(to, in, service, found, why);
    fclose(in);
    if (rc != FAIL_NONE)
        fail_context(why, "service \"%s\" in %s", service, path);
    return rc;
}

static const char *variable_or(const char *variable, const char *preset)
{
    const char *value = getenv(variable);

    return value != NULL && *value != '\0' ? value : preset;
}

enum fail service_file_fill(struct parameters *parameters, const char *home,
                            struct failure *why)
{
    char        service[128], users[PATH_SIZE], systems[PATH_SIZE];
    const char *named = parameters_has(parameters, PARAMETER_SERVICE)
                            ? parameters_get(parameters, PARAMETER_SERVICE)
                            : variable_or("PGSERVICE", "");
    enum found  found;
    enum fail   rc;

    if (*named == '\0')
        return FAIL_NONE;
    if (strlen(named) >= sizeof service)
        return fail(why, FAIL_CONFIG, "the name of the service is too long");
    memcpy(service, named, strlen(named) + 1); /* of the parameters, which change */
    snprintf(users, sizeof users, "%s/.pg_service.conf", home);
    snprintf(systems, sizeof systems, "%s/pg_service.conf",
             variable_or("PGSYSCONFDIR", "/etc/postgresql-common"));
    rc = read_file(parameters, variable_or("PGSERVICEFILE", users), service, &found, why);
    if (rc == FAIL_NONE && found != FOUND)
        rc = read_file(parameters, systems, service, &found, why);
    if (rc == FAIL_NONE && found != FOUND) {
        text_escape(users, 64, bytes_of_string(service));
        fail_hint(why, "its place is ~/.pg_service.conf, PGSERVICEFILE or %.100s", systems);
        rc = fail(why, FAIL_CONFIG, "there is no service \"%s\"", users);
    }
    return rc;
}
