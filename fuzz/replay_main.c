/* SPDX-License-Identifier: PostgreSQL */
/*
 * fuzz/replay_main.c - runs a fuzz target over the files of its corpus
 *
 * Takes the place of libFuzzer in every ordinary test run, with any compiler:
 *
 *     pg_sasl_replay fuzz/corpus/pg_sasl [more folders or single files ...]
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "fuzz.h"

static void die(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static size_t replay_file(const char *path, size_t size)
{
    /* of exactly this size, so that a sanitizer sees a read past the end */
    uint8_t *data = malloc(size > 0 ? size : 1);
    FILE    *file = fopen(path, "rb");

    if (data == NULL || file == NULL || fread(data, 1, size, file) != size)
        die(path);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static size_t replay(const char *path);

static size_t replay_folder(const char *path)
{
    DIR           *folder = opendir(path);
    struct dirent *entry;
    size_t         inputs = 0;

    if (folder == NULL)
        die(path);
    while ((entry = readdir(folder)) != NULL) {
        char inner[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        inputs += replay(inner);
    }
    closedir(folder);
    return inputs;
}

static size_t replay(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        die(path);
    return S_ISDIR(st.st_mode) ? replay_folder(path) : replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    size_t inputs = 0;

    for (int i = 1; i < argc; i++)
        inputs += replay(argv[i]);
    printf("%zu inputs\n", inputs);
    return inputs > 0 ? 0 : 1;
}
