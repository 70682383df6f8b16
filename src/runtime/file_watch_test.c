/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/file_watch.h"

#include "harness/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define S  ((uint64_t)1000000)
#define MS ((uint64_t)1000)

struct rig {
    struct loop       *loop;
    struct file_watch *watch;
    struct loop_timer  end;
    unsigned           told;
    char               folder[64];
    char               path[96];
};

static struct rig rig;

static void on_changed(void *owner)
{
    assert_ptr_equal(owner, &rig);
    rig.told++;
}

static void on_end(struct loop_timer *timer)
{
    loop_stop(rig.loop);
}

static void run_for(uint64_t us)
{
    rig.end.expired = on_end;
    loop_timer_start(rig.loop, &rig.end, us);
    loop_run(rig.loop);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static int  next;
    char       *path = paths[next++ % 4];

    snprintf(path, 128, "%s/%s", rig.folder, name);
    return path;
}

static int set_up(void **state)
{
    struct failure why = { 0 };

    rig = (struct rig){ .folder = "/tmp/pgtls-watch-XXXXXX" };
    assert_non_null(mkdtemp(rig.folder));
    snprintf(rig.path, sizeof rig.path, "%s", in_folder("a.crt"));
    write_file(rig.path, "one");
    rig.loop = loop_new(LOOP_EPOLL, &why);
    rig.watch = file_watch_new(rig.loop, on_changed, &rig, &why);
    assert_non_null(rig.watch);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    file_watch_free(rig.watch);
    loop_free(rig.loop);
    snprintf(command, sizeof command, "rm -rf %s", rig.folder);
    return system(command);
}

static void watch(const char *path, uint64_t interval_us)
{
    struct failure    why = { 0 };
    const char *const paths[] = { path };

    assert_int_equal(file_watch_set(rig.watch, paths, 1, interval_us, &why), FAIL_NONE);
}

static void a_write_is_told_once_it_has_settled(void **state)
{
    watch(rig.path, 3600 * S);
    write_file(rig.path, "two");
    run_for(50 * MS);
    assert_int_equal(rig.told, 0);
    run_for(400 * MS);
    assert_int_equal(rig.told, 1);
    run_for(400 * MS);
    assert_int_equal(rig.told, 1);
}

static void the_same_contents_again_are_no_change(void **state)
{
    watch(rig.path, 3600 * S);
    write_file(rig.path, "one");
    run_for(500 * MS);
    assert_int_equal(rig.told, 0);
}

static void an_atomic_rename_is_seen(void **state)
{
    watch(rig.path, 3600 * S);
    write_file(in_folder("new"), "two");
    assert_int_equal(rename(in_folder("new"), rig.path), 0);
    run_for(500 * MS);
    assert_int_equal(rig.told, 1);
}

/* ..data -> ..one, a.crt -> ..data/a.crt, and then ..data is swapped: Kubernetes */
static void a_swapped_symbolic_link_is_seen_again_and_again(void **state)
{
    static const char *const names[] = { "..one", "..two", "..three" };

    for (int i = 0; i < 3; i++) {
        char file[128];

        mkdir(in_folder(names[i]), 0700);
        snprintf(file, sizeof file, "%s/a.crt", in_folder(names[i]));
        write_file(file, names[i]);
    }
    unlink(rig.path);
    assert_int_equal(symlink("..data/a.crt", rig.path), 0);
    assert_int_equal(symlink("..one", in_folder("..data")), 0);
    watch(rig.path, 3600 * S);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(symlink(names[i], in_folder("..tmp")), 0);
        assert_int_equal(rename(in_folder("..tmp"), in_folder("..data")), 0);
        run_for(500 * MS);
        assert_int_equal(rig.told, i);
    }
}

static void a_file_that_comes_and_goes_is_seen(void **state)
{
    unlink(rig.path);
    watch(rig.path, 3600 * S);
    write_file(rig.path, "late");
    run_for(500 * MS);
    assert_int_equal(rig.told, 1);
    unlink(rig.path);
    run_for(500 * MS);
    assert_int_equal(rig.told, 2);
}

static void another_mode_is_a_change(void **state)
{
    watch(rig.path, 3600 * S);
    chmod(rig.path, 0644);
    run_for(500 * MS);
    assert_int_equal(rig.told, 1);
}

static void files_of_a_folder_count(void **state)
{
    watch(rig.folder, 3600 * S);
    write_file(in_folder("b.crl"), "x");
    run_for(500 * MS);
    assert_int_equal(rig.told, 1);
    unlink(in_folder("b.crl"));
    run_for(500 * MS);
    assert_int_equal(rig.told, 2);
}

static void what_the_kernel_does_not_tell_the_interval_finds(void **state)
{
    char deep[128];

    /* its folder is not there yet, so nothing can be watched */
    snprintf(deep, sizeof deep, "%s/later/a.crt", rig.folder);
    watch(deep, 300 * MS);
    mkdir(in_folder("later"), 0700);
    write_file(deep, "x");
    run_for(700 * MS);
    assert_int_equal(rig.told, 1);
}

static void a_fifo_does_not_hold_it_up(void **state)
{
    unlink(rig.path);
    assert_int_equal(mkfifo(rig.path, 0600), 0);
    watch(rig.path, 3600 * S);
    run_for(50 * MS);
    assert_int_equal(rig.told, 0);
}

#define WATCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WATCH_TEST(a_write_is_told_once_it_has_settled),
        WATCH_TEST(the_same_contents_again_are_no_change),
        WATCH_TEST(an_atomic_rename_is_seen),
        WATCH_TEST(a_swapped_symbolic_link_is_seen_again_and_again),
        WATCH_TEST(a_file_that_comes_and_goes_is_seen),
        WATCH_TEST(another_mode_is_a_change),
        WATCH_TEST(files_of_a_folder_count),
        WATCH_TEST(what_the_kernel_does_not_tell_the_interval_finds),
        WATCH_TEST(a_fifo_does_not_hold_it_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
