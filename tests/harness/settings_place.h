/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/settings_place.h - settings that are read from files in a folder of the test's own
 */
#ifndef PGTLS_HARNESS_SETTINGS_PLACE_H
#define PGTLS_HARNESS_SETTINGS_PLACE_H

#include "harness/check.h"
#include "proxy/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Routes without sections: each setting is a line that may be left out. */
#define ROUTE_AT(name, address)                                                                \
    "[[proxy]]\nname = \"" name "\"\nlistener.bind_address = \"" address "\"\n"
#define BACKEND_LINE "backend.address = \"127.0.0.1:2\"\n"

/* A folder of files, gone with the test. */
struct place {
    char folder[64];
    char names[8][80];
    int  count;
};

static inline void place_init(struct place *place)
{
    *place = (struct place){ .folder = "/tmp/pgtls-sources-XXXXXX" };
    assert_non_null(mkdtemp(place->folder));
}

static inline const char *put_file(struct place *place, const char *name, const char *text)
{
    char *path = place->names[place->count++], folder[sizeof place->folder];
    FILE *file;

    memcpy(folder, place->folder, sizeof folder);
    snprintf(path, sizeof place->names[0], "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline void place_fini(struct place *place)
{
    while (place->count > 0)
        unlink(place->names[--place->count]);
    assert_int_equal(rmdir(place->folder), 0);
}

/* What `file` and `count` of --set say. */
static inline struct proxy_settings *load_file(const char *file, const char *const *sets,
                                               size_t count, struct conf_problems *problems)
{
    const struct settings_source source = { .file = file, .sets = sets, .set_count = count };

    return settings_load(&source, problems);
}

/* Every problem on a line of its own, without the folder. */
static inline void assert_told(const struct conf_problems *problems, const char *folder,
                               const char *expected)
{
    struct buf told = BUF_LIMIT(10000);

    for (size_t i = 0; i < problems->count; i++) {
        const char *text = problems->items[i].text;

        for (const char *at; (at = strstr(text, folder)) != NULL;
             text = at + strlen(folder) + 1)
            buf_put(&told, bytes_of(text, (size_t)(at - text)));
        buf_put_format(&told, "%s\n", text);
    }
    buf_put_u8(&told, 0);
    assert_string_equal((const char *)buf_bytes(&told).p, expected);
    buf_fini(&told);
}

#endif
