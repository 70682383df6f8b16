/* SPDX-License-Identifier: PostgreSQL */
#include "driver/password_file.h"

#include "base/secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MOST ((size_t)1 << 20)

/* ---- lines ---- */

/* Takes the field up to its colon off the line; true where it is `*` or `wanted`. */
static bool field_fits(struct bytes *line, const char *wanted)
{
    bool is_star = line->len >= 2 && line->p[0] == '*' && line->p[1] == ':';
    bool fits = true;

    while (line->len > 0 && line->p[0] != ':') {
        if (line->p[0] == '\\' && line->len > 1)
            bytes_skip(line, 1);
        fits = fits && *wanted != '\0' && line->p[0] == (uint8_t)*wanted;
        wanted += *wanted != '\0';
        bytes_skip(line, 1);
    }
    fits = (fits && *wanted == '\0') || is_star;
    if (line->len == 0)
        return false; /* no colon: not a line of five fields */
    bytes_skip(line, 1);
    return fits;
}

/* Up to the end of the line, or a colon: libpq takes what follows for another field. */
static char *unescaped(struct bytes rest)
{
    char *copy = malloc(rest.len + 1);
    char *at = copy;

    while (copy != NULL && rest.len > 0 && rest.p[0] != ':') {
        if (rest.p[0] == '\\' && rest.len > 1)
            bytes_skip(&rest, 1);
        *at++ = (char)rest.p[0];
        bytes_skip(&rest, 1);
    }
    if (copy != NULL)
        *at = '\0';
    return copy;
}

char *password_line_match(struct bytes line, const struct password_question *question)
{
    char port[8];

    snprintf(port, sizeof port, "%u", question->port);
    if (line.len > 0 && line.p[0] == '#')
        return NULL;
    if (!field_fits(&line, question->host) || !field_fits(&line, port) ||
        !field_fits(&line, question->database) || !field_fits(&line, question->user))
        return NULL;
    return unescaped(line);
}

static char *search(struct bytes text, const struct password_question *question)
{
    char *found = NULL;

    while (found == NULL && text.len > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.len);
        size_t         len = end != NULL ? (size_t)(end - text.p) : text.len;
        struct bytes   line = bytes_first(text, len);

        if (line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        found = password_line_match(line, question);
        bytes_skip(&text, len + 1);
    }
    return found;
}

/* ---- the file ---- */

/* False with a warning, or without one where there is no file. */
static bool may_be_read(int fd, const char *file, char warning[static 256])
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return false;
    if (!S_ISREG(st.st_mode)) {
        snprintf(warning, 256, "%.180s is not read: it is not a plain file", file);
        return false;
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        snprintf(warning, 256,
                 "%.180s is not read: others may read it (mode %04o); chmod 0600 it", file,
                 (unsigned)(st.st_mode & 07777));
        return false;
    }
    return true;
}

char *password_file_find(const char *file, const struct password_question *question,
                         char warning[static 256])
{
    int           fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct secret text = { 0 };
    char         *found = NULL;
    ssize_t       n = 0;

    *warning = '\0';
    if (may_be_read(fd, file, warning) && secret_init(&text, FILE_MOST, NULL) == FAIL_NONE) {
        while (secret_room(&text) > 0 &&
               (n = read(fd, secret_end(&text), secret_room(&text))) > 0)
            secret_wrote(&text, (size_t)n);
        found = search(secret_bytes(&text), question);
    }
    secret_fini(&text);
    if (fd >= 0)
        close(fd);
    return found;
}
