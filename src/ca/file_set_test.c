/* SPDX-License-Identifier: PostgreSQL */
#include "ca/file_set.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *dir;

static int make_dir(void **state)
{
    dir = certs_dir_new();
    return 0;
}

static int remove_dir(void **state)
{
    certs_dir_free(dir);
    return 0;
}

static const char *at(const char *name)
{
    static char     paths[16][512];
    static unsigned next;
    char           *path = paths[next++ % 16];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void assert_contents(const char *name, const char *expected)
{
    struct buf text = BUF_LIMIT(10000);

    assert_int_equal(file_read(at(name), &text, NULL), FAIL_NONE);
    assert_buf_is(&text, bytes_of_string(expected));
    buf_fini(&text);
}

static size_t count_files(void)
{
    DIR   *all = opendir(dir);
    size_t count = 0;

    for (struct dirent *entry; (entry = readdir(all)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(all);
    return count;
}

static enum fail add(struct file_set *set, const char *name, const char *text, bool may_replace,
                     struct failure *why)
{
    const struct file_source source = { .path = at(name),
                                        .kind = FILE_PRIVATE,
                                        .may_replace = may_replace,
                                        .text = bytes_of_string(text) };

    return file_set_add(set, &source, why);
}

static void write_old(void)
{
    struct file_set set = { 0 };

    assert_int_equal(add(&set, "a", "old a", true, NULL), FAIL_NONE);
    assert_int_equal(add(&set, "b", "old b", true, NULL), FAIL_NONE);
    assert_int_equal(file_set_commit(&set, NULL), FAIL_NONE);
    file_set_fini(&set);
    assert_int_equal(count_files(), 2);
}

static void nothing_is_seen_before_the_commit(void **state)
{
    struct file_set set = { 0 };

    write_old();
    assert_int_equal(add(&set, "a", "new a", true, NULL), FAIL_NONE);
    assert_int_equal(add(&set, "b", "new b", true, NULL), FAIL_NONE);
    assert_contents("a", "old a");
    assert_int_equal(file_set_commit(&set, NULL), FAIL_NONE);
    assert_contents("a", "new a");
    assert_contents("b", "new b");
    file_set_fini(&set);
    assert_int_equal(count_files(), 2);
}

static void what_is_not_committed_is_gone(void **state)
{
    struct file_set set = { 0 };

    write_old();
    assert_int_equal(add(&set, "a", "new a", true, NULL), FAIL_NONE);
    assert_int_equal(add(&set, "c", "new c", false, NULL), FAIL_NONE);
    file_set_fini(&set);
    assert_contents("a", "old a");
    assert_int_equal(count_files(), 2);
}

/* The second rename fails: a folder has come into its way. */
static void a_commit_that_fails_half_way_is_undone(void **state)
{
    struct file_set set = { 0 };
    struct failure  why = { 0 };

    write_old();
    assert_int_equal(add(&set, "a", "new a", true, NULL), FAIL_NONE);
    assert_int_equal(add(&set, "c", "new c", true, NULL), FAIL_NONE);
    assert_int_equal(add(&set, "d", "new d", true, NULL), FAIL_NONE);
    assert_int_equal(mkdir(at("d"), 0700), 0);
    assert_int_equal(file_set_commit(&set, &why), FAIL_IO);
    file_set_fini(&set);
    assert_int_equal(rmdir(at("d")), 0);
    assert_contents("a", "old a");
    assert_int_equal(count_files(), 2);
}

/* In the place of libc's, for file systems without second names. */
static int link_error;

int link(const char *from, const char *to)
{
    errno = link_error;
    return link_error == 0 ? linkat(AT_FDCWD, from, AT_FDCWD, to, 0) : -1;
}

static void without_second_names_it_is_undone_as_well(void **state)
{
    struct file_set set = { 0 };
    struct failure  why = { 0 };
    struct stat     before, after;

    write_old();
    assert_int_equal(chmod(at("a"), 0640), 0);
    assert_int_equal(truncate(at("b"), 0), 0); /* which may be empty */
    assert_int_equal(stat(at("a"), &before), 0);
    link_error = EPERM;
    assert_int_equal(add(&set, "a", "new a", true, NULL), FAIL_NONE);
    assert_int_equal(add(&set, "b", "new b", true, NULL), FAIL_NONE);
    assert_int_equal(add(&set, "c", "new c", true, NULL), FAIL_NONE);
    assert_int_equal(add(&set, "d", "new d", true, NULL), FAIL_NONE);
    assert_int_equal(mkdir(at("d"), 0700), 0);
    assert_int_equal(file_set_commit(&set, &why), FAIL_IO);
    assert_non_null(strstr(why.text, "/d: ")); /* and no file before */
    file_set_fini(&set);
    link_error = 0;
    assert_int_equal(rmdir(at("d")), 0);
    assert_contents("a", "old a");
    assert_contents("b", "");
    assert_int_equal(stat(at("a"), &after), 0);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_uid, before.st_uid);
    assert_int_equal(count_files(), 2);
}

static void without_second_names_a_commit_leaves_no_copy(void **state)
{
    struct file_set set = { 0 };

    write_old();
    link_error = EOPNOTSUPP;
    assert_int_equal(add(&set, "a", "new a", true, NULL), FAIL_NONE);
    assert_int_equal(file_set_commit(&set, NULL), FAIL_NONE);
    file_set_fini(&set);
    link_error = 0;
    assert_contents("a", "new a");
    assert_int_equal(count_files(), 2);
}

static void a_file_that_came_meanwhile_is_not_replaced(void **state)
{
    struct file_set set = { 0 }, other = { 0 };
    struct failure  why = { 0 };

    write_old();
    assert_int_equal(add(&set, "c", "ours", false, NULL), FAIL_NONE);
    assert_int_equal(add(&other, "x", "theirs", false, NULL), FAIL_NONE);
    assert_int_equal(file_set_commit(&other, NULL), FAIL_NONE);
    file_set_fini(&other);
    assert_int_equal(rename(at("x"), at("c")), 0);
    assert_int_equal(file_set_commit(&set, &why), FAIL_IO);
    file_set_fini(&set);
    assert_contents("c", "theirs");
    assert_int_equal(unlink(at("c")), 0);
    assert_int_equal(count_files(), 2);
}

static void more_files_than_fit_are_refused(void **state)
{
    struct file_set set = { 0 };
    char            name[8];

    for (unsigned i = 0; i < FILE_SET_MOST; i++) {
        snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(add(&set, name, "x", false, NULL), FAIL_NONE);
    }
    assert_int_equal(add(&set, "more", "x", false, NULL), FAIL_LIMIT);
    file_set_fini(&set);
    assert_int_equal(count_files(), 2);
}

static void paths_are_joined_by_one_slash(void **state)
{
    static const char *const rows[][3] = {
        { "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "/", "b", "/b" }, { "a//", "b", "a/b" }
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *path = file_path(rows[i][0], rows[i][1]);

        assert_string_equal(path, rows[i][2]);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_seen_before_the_commit),
        cmocka_unit_test(what_is_not_committed_is_gone),
        cmocka_unit_test(a_commit_that_fails_half_way_is_undone),
        cmocka_unit_test(without_second_names_it_is_undone_as_well),
        cmocka_unit_test(without_second_names_a_commit_leaves_no_copy),
        cmocka_unit_test(a_file_that_came_meanwhile_is_not_replaced),
        cmocka_unit_test(more_files_than_fit_are_refused),
        cmocka_unit_test(paths_are_joined_by_one_slash),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
