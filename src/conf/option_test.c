/* SPDX-License-Identifier: PostgreSQL */
#include "conf/option.h"

#include "conf/file.h"
#include "conf/manual.h"
#include "harness/alloc.h"
#include "harness/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A table with one setting of each type. */
struct kitchen {
    char               *cook;
    char               *recipe;
    char               *door;
    struct conf_strings windows;
    int                 style;
    int                 is_open;
    uint64_t            pots;
    uint64_t            time_us;
    uint64_t            fridge_bytes;
    uint64_t            mode;
};

static const struct option_choice styles[] = {
    { "plain", 1, NULL },
    { "fancy", 2, NULL },
    { "royal", 3, "is gone; write \"fancy\"" },
    { NULL, 0, NULL },
};
static const struct option_choice words[] = { { "none", 0, NULL }, { NULL, 0, NULL } };

#define AT(field) offsetof(struct kitchen, field)
static const struct option rows[] = {
    { .name = "cook",
      .type = OPTION_STRING,
      .field = AT(cook),
      .min = 1,
      .max = 5,
      .is_required = true,
      .sample = "\"Ann\"",
      .is_in_sample = true,
      .help = "Who cooks." },
    { .name = "recipe",
      .type = OPTION_PATH,
      .field = AT(recipe),
      .choices = words,
      .default_text = "none",
      .sample = "\"a\"",
      .help = "What." },
    { .name = "door",
      .type = OPTION_ADDRESS,
      .field = AT(door),
      .max = 99,
      .default_text = "none",
      .sample = "\"a\"",
      .help = "In." },
    { .name = "windows",
      .type = OPTION_ADDRESS_LIST,
      .field = AT(windows),
      .min = 1,
      .max = 99,
      .default_text = "none",
      .sample = "\"a\"",
      .help = "Out." },
    { .name = "style",
      .type = OPTION_CHOICE,
      .field = AT(style),
      .preset = "plain",
      .choices = styles,
      .help = "How." },
    { .name = "is_open",
      .type = OPTION_SWITCH,
      .field = AT(is_open),
      .default_text = "unknown",
      .sample = "true",
      .help = "Whether." },
    { .name = "pots",
      .type = OPTION_NUMBER,
      .field = AT(pots),
      .preset = "3",
      .min = 1,
      .max = 9,
      .help = "How many." },
    { .name = "time",
      .type = OPTION_DURATION,
      .field = AT(time_us),
      .preset = "5min",
      .max = 3600000000,
      .help = "How long." },
    { .name = "fridge",
      .type = OPTION_SIZE,
      .field = AT(fridge_bytes),
      .preset = "4KiB",
      .max = 8192,
      .help = "How much." },
    { .name = "mode",
      .type = OPTION_FILE_MODE,
      .field = AT(mode),
      .preset = "0640",
      .max = 0777,
      .help = "Whose." },
    { .name = NULL },
};

static const char *const       inner[] = { "cellar", NULL };
static const struct conf_table table = { .header = "[kitchen]",
                                         .prefix = "kitchen.",
                                         .help = "Where one cooks.",
                                         .rows = rows,
                                         .sections = inner };
static const struct option     other_rows[] = { { .name = "wine", .type = OPTION_NUMBER },
                                                { .name = NULL } };
static const struct conf_table other = {
    .header = "[cellar]", .prefix = "cellar.", .help = "Below.", .rows = other_rows
};
static const struct conf_table *const tables[] = { &table, &other, NULL };

struct fixture {
    struct kitchen       kitchen;
    struct conf_problems problems;
    int                  lines[OPTION_LIMIT];
};

static void bind(struct fixture *f, const char *text)
{
    struct toml_error error;
    struct toml_tree *tree = toml_parse(text, strlen(text), &error);
    struct conf_scope scope = {
        .problems = &f->problems, .folder = "/home", .where = "house: ", .tables = tables
    };

    assert_non_null(tree);
    f->problems.file = "f";
    conf_bind(&table, toml_root(tree), &scope, &f->kitchen, f->lines);
    toml_free(tree);
}

static void fini(struct fixture *f)
{
    conf_unbind(&table, &f->kitchen);
    conf_problems_fini(&f->problems);
}

static void presets_are_read_as_users_write_them(void **state)
{
    struct kitchen kitchen = { 0 };

    conf_preset(&table, &kitchen);
    assert_null(kitchen.cook);
    assert_int_equal(kitchen.style, 1);
    assert_int_equal(kitchen.is_open, -1);
    assert_int_equal(kitchen.pots, 3);
    assert_int_equal(kitchen.time_us, 300000000);
    assert_int_equal(kitchen.fridge_bytes, 4096);
    assert_int_equal(kitchen.mode, 0640);
}

static void each_type_is_bound(void **state)
{
    struct fixture f = { .problems = { 0 } };

    bind(&f, "cook = \"Bob\"\nrecipe = \"soup\"\ndoor = \"unix:d\"\nwindows = [\"a:1\", "
             "\"unix:/w\"]\n"
             "style = \"fancy\"\nis_open = false\npots = 9\ntime = \"1h\"\nfridge = \"0B\"\n"
             "mode = \"0600\"\n");
    assert_int_equal(f.problems.count, 0);
    assert_string_equal(f.kitchen.cook, "Bob");
    assert_string_equal(f.kitchen.recipe, "/home/soup");
    assert_string_equal(f.kitchen.door, "unix:/home/d");
    assert_int_equal(f.kitchen.windows.count, 2);
    assert_string_equal(f.kitchen.windows.items[0], "a:1");
    assert_string_equal(f.kitchen.windows.items[1], "unix:/w");
    assert_int_equal(f.kitchen.style, 2);
    assert_int_equal(f.kitchen.is_open, 0);
    assert_int_equal(f.kitchen.pots, 9);
    assert_int_equal(f.kitchen.time_us, 3600000000);
    assert_int_equal(f.kitchen.fridge_bytes, 0);
    assert_int_equal(f.kitchen.mode, 0600);
    for (int i = 0; i < 10; i++)
        assert_int_equal(f.lines[i], i + 1);
    fini(&f);
}

static void a_path_is_as_long_as_one_can_be_opened(void **state)
{
    char text[LONGEST_PATH + 20];

    for (int len = LONGEST_PATH; len <= LONGEST_PATH + 1; len++) {
        struct fixture f = { .problems = { 0 } };

        snprintf(text, sizeof text, "recipe = \"/%0*d\"\n", len - 1, 0);
        bind(&f, text);
        assert_int_equal(f.problems.count, len > LONGEST_PATH);
        assert_int_equal(f.kitchen.recipe != NULL, len <= LONGEST_PATH);
        fini(&f);
    }
}

static void a_word_that_is_no_path_stays_as_it_is(void **state)
{
    struct fixture f = { .problems = { 0 } };

    bind(&f, "recipe = \"none\"\n");
    assert_string_equal(f.kitchen.recipe, "none");
    fini(&f);
}

static void what_is_bound_later_replaces_what_was_there(void **state)
{
    struct fixture f = { .problems = { 0 } };

    bind(&f, "cook = \"Ann\"\nwindows = [\"a\", \"b\"]\npots = 4\n");
    bind(&f, "cook = \"Bob\"\nwindows = \"c\"\n");
    assert_string_equal(f.kitchen.cook, "Bob");
    assert_int_equal(f.kitchen.windows.count, 1);
    assert_string_equal(f.kitchen.windows.items[0], "c");
    assert_int_equal(f.kitchen.pots, 4);
    fini(&f);
}

static void a_bad_value_is_told_and_changes_nothing(void **state)
{
    static const struct {
        const char *text;
        const char *told;
    } samples[] = {
        { "cook = \"\"", "cook: is empty" },
        { "cook = \"Robert\"", "cook: has 6 characters; the most is 5" },
        { "recipe = \"\"", "recipe: is empty" },
        { "cook = \"a\\u0000\"", "cook: has a control character in it" },
        { "cook = [\"a\"]", "cook: is a list, not text" },
        { "cook = {}", "cook: is a section, not text" },
        { "style = \"plane\"",
          "style: \"plane\" is not one of plain, fancy; did you mean \"plain\"?" },
        { "style = \"royal\"", "style: \"royal\" is gone; write \"fancy\"" },
        { "style = \"x\\\\\"", "style: \"x\\x5c\" is not one of plain, fancy" },
        { "is_open = 1", "is_open: is a number, not true or false" },
        { "pots = 0", "pots: 0 is out of range; the least is 1, the most 9" },
        { "pots = 10", "pots: 10 is out of range; the least is 1, the most 9" },
        { "pots = -9223372036854775808",
          "pots: -9223372036854775808 is out of range; the least is 1, the most 9" },
        { "pots = true", "pots: is true or false, not a number" },
        { "time = 07:30:00",
          "time: is a date or time, not a duration; write \"250ms\", \"10s\", \"5min\" or "
          "\"24h\"" },
        { "time = \"2h\"", "time: 2h is out of range; the least is 0s, the most 1h" },
        { "fridge = \"9KiB\"", "fridge: 9KiB is out of range; the least is 0B, the most 8KiB" },
        { "mode = \"01000\"", "mode: 01000 is out of range; the least is 00, the most 0777" },
        { "windows = [\"\"]", "windows: is empty" },
        { "pot = 1", "pot: unknown setting; did you mean \"pots\"?" },
        { "wine = 1", "wine: unknown setting; it belongs to [cellar]" },
        { "\"\\u001b[2J\" = 1", "\\x1b[2J: unknown setting" },
        { "[cellars]", "cellars: unknown section; did you mean \"cellar\"?" },
    };

    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct fixture f = { .problems = { 0 } };
        struct kitchen before;
        char           expected[200];

        conf_preset(&table, &f.kitchen);
        before = f.kitchen;
        bind(&f, samples[i].text);
        snprintf(expected, sizeof expected, "f:1: house: kitchen.%s", samples[i].told);
        assert_int_equal(f.problems.count, 1);
        assert_string_equal(f.problems.items[0].text, expected);
        assert_memory_equal(&before, &f.kitchen, sizeof before);
        fini(&f);
    }
}

static void sections_inside_are_left_to_the_caller(void **state)
{
    struct fixture f = { .problems = { 0 } };

    bind(&f, "cook = \"Ann\"\n[cellar]\nwine = 3\n");
    assert_int_equal(f.problems.count, 0);
    fini(&f);
}

static void a_required_setting_is_missed_at_the_line_of_its_section(void **state)
{
    struct fixture    f = { .problems = { .file = "f" } };
    struct conf_scope scope = {
        .problems = &f.problems, .folder = "/", .where = "", .tables = tables
    };

    conf_require(&table, 7, &scope, f.lines);
    assert_int_equal(f.problems.count, 1);
    assert_string_equal(f.problems.items[0].text,
                        "f:7: kitchen.cook: missing; for example cook = \"Ann\"");
    f.lines[0] = 3;
    conf_require(&table, 7, &scope, f.lines);
    assert_int_equal(f.problems.count, 1);
    fini(&f);
}

static void without_memory_a_setting_is_told_and_nothing_leaks(void **state)
{
    for (unsigned n = 1;; n++) {
        struct fixture f = { .problems = { 0 } };
        bool           had_failure;

        alloc_fail_at(n);
        bind(
            &f,
            "cook = \"Bob\"\nrecipe = \"soup\"\ndoor = \"unix:d\"\nwindows = [\"a\", \"b\"]\n");
        had_failure = alloc_has_failed();
        assert_true(had_failure == (f.problems.error_count > 0));
        fini(&f);
        if (!had_failure)
            break;
    }
}

static void problems_are_kept_in_the_order_of_lines(void **state)
{
    struct conf_problems problems = { .file = "f" };

    conf_problem_add(&problems, false, 9, "c");
    conf_problem_add(&problems, true, 2, "%s", "a");
    conf_problem_add(&problems, false, 2, "b");
    conf_problem_add(&problems, false, 0, "whole");
    assert_int_equal(problems.count, 4);
    assert_int_equal(problems.error_count, 3);
    assert_string_equal(problems.items[0].text, "f: whole");
    assert_string_equal(problems.items[1].text, "f:2: warning: a");
    assert_string_equal(problems.items[2].text, "f:2: b");
    assert_string_equal(problems.items[3].text, "f:9: c");
    conf_problems_fini(&problems);
    assert_int_equal(problems.count, 0);
}

static void a_problem_without_memory_still_counts(void **state)
{
    struct conf_problems problems = { .file = "f" };

    alloc_fail_at(1);
    conf_problem_add(&problems, false, 1, "lost");
    assert_true(alloc_has_failed());
    assert_int_equal(problems.count, 0);
    assert_int_equal(problems.error_count, 1);
    conf_problems_fini(&problems);
}

static void a_long_problem_is_cut(void **state)
{
    struct conf_problems problems = { .file = "f" };
    char                 text[2000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    conf_problem_add(&problems, false, 1, "%s", text);
    assert_int_equal(strlen(problems.items[0].text), sizeof problems.items[0].text - 1);
    problems.file = text;
    conf_problem_add(&problems, false, 1, "%s", "seen");
    assert_non_null(strstr(problems.items[1].text, ":1: seen"));
    conf_problems_fini(&problems);
}

static void paths_are_seen_from_the_folder_of_the_file(void **state)
{
    static const struct {
        const char *folder, *path, *absolute;
    } samples[] = {
        { "/etc/pgtls", "a.crt", "/etc/pgtls/a.crt" },
        { "/etc/pgtls", "./a.crt", "/etc/pgtls/a.crt" },
        { "/etc/pgtls", "../a", "/etc/pgtls/../a" },
        { "/etc/pgtls", "/a/b", "/a/b" },
        { "/", "a", "/a" },
    };

    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char *absolute = conf_file_absolute(samples[i].folder, samples[i].path);

        assert_string_equal(absolute, samples[i].absolute);
        free(absolute);
    }
}

static void the_folder_of_a_file_is_absolute(void **state)
{
    char *folder = conf_file_folder("/etc/pgtls/a.toml");

    assert_string_equal(folder, "/etc/pgtls");
    free(folder);
    folder = conf_file_folder("/a.toml");
    assert_string_equal(folder, "/");
    free(folder);

    assert_int_equal(chdir("/tmp"), 0);
    folder = conf_file_folder("sub/a.toml");
    assert_string_equal(folder, "/tmp/sub");
    free(folder);
    folder = conf_file_folder("a.toml");
    assert_string_equal(folder, "/tmp");
    free(folder);
}

static void a_file_larger_than_the_limit_is_refused(void **state)
{
    struct buf     out = BUF_LIMIT(100);
    struct failure why = { 0 };

    assert_int_equal(conf_file_read("/proc/self/exe", &out, &why), FAIL_LIMIT);
    assert_string_equal(why.text, "larger than 100 bytes");
    buf_fini(&out);
}

static void only_a_regular_file_is_read(void **state)
{
    static const char *const others[] = { "/dev/zero", "/dev/null", "/" };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct buf     out = BUF_LIMIT(100);
        struct failure why = { 0 };

        assert_int_equal(conf_file_read(others[i], &out, &why), FAIL_CONFIG);
        assert_string_equal(why.text, "not a regular file");
        assert_int_equal(buf_bytes(&out).len, 0);
        buf_fini(&out);
    }
}

static void the_reference_tells_all_of_a_row(void **state)
{
    struct buf  out = BUF_LIMIT(10000);
    const char *text;

    conf_write_reference(&out, (const struct conf_table *const[]){ &table, NULL });
    buf_put_u8(&out, 0);
    text = (const char *)buf_bytes(&out).p;
    assert_non_null(strstr(text, "\n## [kitchen]\n\nWhere one cooks.\n"));
    assert_non_null(strstr(text, "\n- `cook`: text.\n  Required.\n  Who cooks.\n"));
    assert_non_null(
        strstr(text, "\n- `style`: one of `plain`, `fancy`.\n  Default: `\"plain\"`.\n"));
    assert_non_null(strstr(text, "\n- `pots`: number from 1 to 9.\n  Default: `3`.\n"));
    assert_non_null(
        strstr(text, "\n- `time`: duration from 0s to 1h.\n  Default: `\"5min\"`.\n"));
    buf_fini(&out);
}

static void the_sample_sets_what_most_people_need(void **state)
{
    struct buf  out = BUF_LIMIT(10000);
    const char *text;

    conf_write_sample(&out, (const struct conf_table *const[]){ &table, NULL });
    buf_put_u8(&out, 0);
    text = (const char *)buf_bytes(&out).p;
    assert_non_null(
        strstr(text, "# Where one cooks.\n[kitchen]\n\n# Who cooks.\ncook = \"Ann\"\n"));
    assert_non_null(strstr(text, "\n# How long.\n#time = \"5min\"\n"));
    assert_non_null(strstr(text, "\n# How many.\n#pots = 3\n"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_are_read_as_users_write_them),
        cmocka_unit_test(each_type_is_bound),
        cmocka_unit_test(a_path_is_as_long_as_one_can_be_opened),
        cmocka_unit_test(a_word_that_is_no_path_stays_as_it_is),
        cmocka_unit_test(what_is_bound_later_replaces_what_was_there),
        cmocka_unit_test(a_bad_value_is_told_and_changes_nothing),
        cmocka_unit_test(sections_inside_are_left_to_the_caller),
        cmocka_unit_test(a_required_setting_is_missed_at_the_line_of_its_section),
        cmocka_unit_test(without_memory_a_setting_is_told_and_nothing_leaks),
        cmocka_unit_test(problems_are_kept_in_the_order_of_lines),
        cmocka_unit_test(a_problem_without_memory_still_counts),
        cmocka_unit_test(a_long_problem_is_cut),
        cmocka_unit_test(paths_are_seen_from_the_folder_of_the_file),
        cmocka_unit_test(the_folder_of_a_file_is_absolute),
        cmocka_unit_test(a_file_larger_than_the_limit_is_refused),
        cmocka_unit_test(only_a_regular_file_is_read),
        cmocka_unit_test(the_reference_tells_all_of_a_row),
        cmocka_unit_test(the_sample_sets_what_most_people_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
