/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/file_watch.h"

#include "harness/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define S  ((uint64_t)1000000)
#define MS ((uint64_t)1000)

struct rig {
    struct loop       *loop;
    struct file_watch *watch;
    struct loop_timer  end;
    unsigned           told;
    unsigned           wanted;      /* the loop stops there; 0: it goes on */
    unsigned           told_at_end; /* before a later timer of the same turn told more */
    unsigned           blind;
    char               folder[64];
    char               path[96];
};

static struct rig rig;

static void on_changed(void *owner)
{
    assert_ptr_equal(owner, &rig);
    rig.told++;
    if (rig.told == rig.wanted) {
        loop_timer_stop(rig.loop, &rig.end);
        loop_stop(rig.loop);
    }
}

static void on_blind(void *owner, const struct failure *why)
{
    assert_ptr_equal(owner, &rig);
    assert_true(failed(why) && why->hint[0] != '\0');
    rig.blind++;
}

static const struct file_watch_events events = { .changed = on_changed, .blind = on_blind };

static void on_end(struct loop_timer *timer)
{
    rig.told_at_end = rig.told;
    loop_stop(rig.loop);
}

static void run_for(uint64_t us)
{
    rig.end.expired = on_end;
    loop_timer_start(rig.loop, &rig.end, us);
    loop_run(rig.loop);
}

/* Until so many changes were told in all. */
static void until_told(unsigned count)
{
    rig.wanted = count;
    if (rig.told < count)
        run_for(20 * S);
    rig.wanted = 0;
    assert_int_equal(rig.told, count);
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
    rig.watch = file_watch_new(rig.loop, &events, &rig);
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

/* Behind the first look: what changes from here on is seen because the system tells of it. */
static void watch(const char *path, uint64_t interval_us)
{
    struct failure         why = { 0 };
    const char *const      paths[] = { path };
    const struct file_list files = { paths, 1 };
    unsigned               told = rig.told;
    uint64_t               digest = 0;

    assert_true(file_list_digest(&files, &digest));
    assert_int_equal(file_watch_set(rig.watch, &files, interval_us, digest, &why), FAIL_NONE);
    run_for(300 * MS);
    assert_int_equal(rig.told, told);
}

static void a_write_is_told_once_it_has_settled(void **state)
{
    watch(rig.path, 3600 * S);
    write_file(rig.path, "two");
    run_for(50 * MS);
    assert_int_equal(rig.told_at_end, 0);
    until_told(1);
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
    until_told(1);
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
        until_told(i);
    }
}

static void a_file_that_comes_and_goes_is_seen(void **state)
{
    unlink(rig.path);
    watch(rig.path, 3600 * S);
    write_file(rig.path, "late");
    until_told(1);
    unlink(rig.path);
    until_told(2);
}

/* live -> one, and then live -> two; the file is live/a.crt */
static void a_swapped_link_to_a_folder_is_seen(void **state)
{
    char file[128];

    mkdir(in_folder("one"), 0700);
    mkdir(in_folder("two"), 0700);
    snprintf(file, sizeof file, "%s/a.crt", in_folder("one"));
    write_file(file, "one");
    snprintf(file, sizeof file, "%s/a.crt", in_folder("two"));
    write_file(file, "two");
    assert_int_equal(symlink("one", in_folder("live")), 0);
    snprintf(file, sizeof file, "%s/a.crt", in_folder("live"));
    watch(file, 3600 * S);
    assert_int_equal(symlink("two", in_folder("next")), 0);
    assert_int_equal(rename(in_folder("next"), in_folder("live")), 0);
    until_told(1);
}

/* a.crt -> elsewhere/a.crt, where a program of others renews it */
static void what_a_link_leads_to_is_watched_where_it_is(void **state)
{
    char file[128];

    mkdir(in_folder("elsewhere"), 0700);
    snprintf(file, sizeof file, "%s/a.crt", in_folder("elsewhere"));
    write_file(file, "one");
    unlink(rig.path);
    assert_int_equal(symlink("elsewhere/a.crt", rig.path), 0);
    watch(rig.path, 3600 * S);
    write_file(file, "two");
    until_told(1);
}

static void write_in(const char *folder, const char *text)
{
    char file[160];

    snprintf(file, sizeof file, "%s/a.crt", in_folder(folder));
    write_file(file, text);
}

static void a_replaced_folder_is_seen_and_watched(void **state)
{
    char file[128];

    mkdir(in_folder("live"), 0700);
    mkdir(in_folder("next"), 0700);
    write_in("live", "one");
    write_in("next", "two");
    snprintf(file, sizeof file, "%s/a.crt", in_folder("live"));
    watch(file, 3600 * S);
    assert_int_equal(rename(in_folder("live"), in_folder("old")), 0);
    assert_int_equal(rename(in_folder("next"), in_folder("live")), 0);
    until_told(1);
    write_in("live", "three");
    until_told(2);
}

static void what_changed_while_it_was_read_is_told(void **state)
{
    struct failure         why = { 0 };
    const char *const      paths[] = { rig.path };
    const struct file_list files = { paths, 1 };
    uint64_t               digest = 0;

    assert_true(file_list_digest(&files, &digest));
    write_file(rig.path, "two");
    assert_int_equal(file_watch_set(rig.watch, &files, 3600 * S, digest, &why), FAIL_NONE);
    until_told(1);
}

static void nothing_is_watched_without_an_interval(void **state)
{
    watch(rig.path, 0);
    write_file(rig.path, "two");
    run_for(400 * MS);
    assert_int_equal(rig.told, 0);
}

/* The kernel's answers; 0: the true ones. */
static int init_error, add_error;

int inotify_init1(int flags)
{
    errno = init_error;
    return init_error != 0 ? -1 : (int)syscall(SYS_inotify_init1, flags);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    errno = add_error;
    return add_error != 0 ? -1 : (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}

static void check_blindness(int *answer, int error)
{
    *answer = error;
    watch(rig.path, 300 * MS);
    assert_int_equal(rig.blind, 1);
    write_file(rig.path, "two");
    until_told(1);
    assert_int_equal(rig.blind, 1);
    *answer = 0;
    run_for(400 * MS); /* the next look at the latest sees again, or else this is an hour */
    rig.told = 0;
    watch(rig.path, 3600 * S);
    write_file(rig.path, "three");
    until_told(1);
    *answer = error;
    watch(rig.path, 300 * MS);
    assert_int_equal(rig.blind, 2);
    *answer = 0;
}

static void without_inotify_the_interval_looks_and_it_is_said_once(void **state)
{
    check_blindness(&init_error, EMFILE);
}

static void without_watches_the_interval_looks_and_it_is_said_once(void **state)
{
    check_blindness(&add_error, ENOSPC);
}

static void a_folder_that_may_not_be_read_is_said_and_one_that_is_not_there_is_not(void **state)
{
    add_error = ENOENT;
    watch(rig.path, 3600 * S);
    assert_int_equal(rig.blind, 0);
    add_error = EACCES;
    watch(rig.path, 3600 * S);
    assert_int_equal(rig.blind, 1);
    add_error = 0;
}

/* Only that it cannot be told: an hour without descriptors is no change of a file. */
static void a_lack_of_descriptors_is_no_change(void **state)
{
    struct rlimit limit, before;
    int           fd = dup(STDERR_FILENO);

    watch(rig.path, 300 * MS);
    close(fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)fd;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    run_for(700 * MS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    run_for(400 * MS);
    assert_int_equal(rig.told, 0);
}

static void another_mode_is_a_change(void **state)
{
    watch(rig.path, 3600 * S);
    chmod(rig.path, 0644);
    until_told(1);
}

static void files_of_a_folder_count(void **state)
{
    watch(rig.folder, 3600 * S);
    write_file(in_folder("b.crl"), "x");
    until_told(1);
    unlink(in_folder("b.crl"));
    until_told(2);
    write_file(in_folder(".swap"), "an editor's");
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
    until_told(1);
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
        WATCH_TEST(a_swapped_link_to_a_folder_is_seen),
        WATCH_TEST(what_a_link_leads_to_is_watched_where_it_is),
        WATCH_TEST(a_replaced_folder_is_seen_and_watched),
        WATCH_TEST(what_changed_while_it_was_read_is_told),
        WATCH_TEST(nothing_is_watched_without_an_interval),
        WATCH_TEST(without_inotify_the_interval_looks_and_it_is_said_once),
        WATCH_TEST(without_watches_the_interval_looks_and_it_is_said_once),
        WATCH_TEST(a_folder_that_may_not_be_read_is_said_and_one_that_is_not_there_is_not),
        WATCH_TEST(a_lack_of_descriptors_is_no_change),
        WATCH_TEST(another_mode_is_a_change),
        WATCH_TEST(files_of_a_folder_count),
        WATCH_TEST(what_the_kernel_does_not_tell_the_interval_finds),
        WATCH_TEST(a_fifo_does_not_hold_it_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
