/* SPDX-License-Identifier: PostgreSQL */
#include "doctor/diagnosis.h"

#include "harness/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct watcher {
    struct diagnosis_events events;
    char                    seen[200];
};

static void note(struct diagnosis_events *events, const char *what,
                 const struct diagnosis *diagnosis, size_t step)
{
    struct watcher *watcher = (struct watcher *)events;
    size_t          at = strlen(watcher->seen);

    snprintf(watcher->seen + at, sizeof watcher->seen - at, "%s %s %d;", what,
             diagnosis->steps[step].name, diagnosis->steps[step].state);
}

static void began(struct diagnosis_events *events, const struct diagnosis *diagnosis,
                  size_t step)
{
    note(events, "began", diagnosis, step);
}

static void ended(struct diagnosis_events *events, const struct diagnosis *diagnosis,
                  size_t step)
{
    note(events, "ended", diagnosis, step);
}

static struct diagnosis *new_diagnosis(struct watcher *watcher)
{
    struct diagnosis *diagnosis = calloc(1, sizeof *diagnosis);

    watcher->events = (struct diagnosis_events){ began, ended };
    watcher->seen[0] = '\0';
    diagnosis->events = &watcher->events;
    return diagnosis;
}

static void a_step_is_what_its_findings_say(void **state)
{
    struct watcher    watcher;
    struct diagnosis *diagnosis = new_diagnosis(&watcher);

    diagnosis_begin(diagnosis, "a", 100);
    diagnosis_find(diagnosis, FINDING_GSS_TAKEN, "x");
    diagnosis_end(diagnosis, 350);
    assert_int_equal(diagnosis->steps[0].took_us, 250);
    diagnosis_begin(diagnosis, "b", 0);
    diagnosis_find(diagnosis, FINDING_RESOLVE_SLOW, "x");
    diagnosis_end(diagnosis, 0);
    assert_true(diagnosis_is_good(diagnosis));
    diagnosis_begin(diagnosis, "c", 0);
    diagnosis_find(diagnosis, FINDING_EXPIRED, "x");
    diagnosis_end(diagnosis, 0);
    diagnosis_begin(diagnosis, "d", 0);
    diagnosis_skip(diagnosis, "because %d", 1);
    diagnosis_end(diagnosis, 0);
    assert_string_equal(diagnosis->steps[3].summary, "because 1");
    assert_false(diagnosis_is_good(diagnosis));
    assert_string_equal(watcher.seen, "began a 0;ended a 1;began b 0;ended b 2;began c 0;"
                                      "ended c 3;began d 0;ended d 4;");
    free(diagnosis);
}

static void a_finding_is_kept_once_with_its_highest_severity(void **state)
{
    struct watcher    watcher;
    struct diagnosis *diagnosis = new_diagnosis(&watcher);

    diagnosis_begin(diagnosis, "a", 0);
    diagnosis_find_at_most(diagnosis, FINDING_EXPIRED, SEVERITY_WARNING, "first");
    assert_true(diagnosis_is_good(diagnosis));
    diagnosis_find(diagnosis, FINDING_EXPIRED, "second");
    diagnosis_find_at_most(diagnosis, FINDING_EXPIRED, SEVERITY_INFO, "third");
    assert_int_equal(diagnosis->finding_count, 1);
    assert_string_equal(diagnosis->findings[0].detail, "first");
    assert_int_equal(diagnosis_count(diagnosis, SEVERITY_ERROR), 1);
    assert_true(diagnosis_has(diagnosis, FINDING_EXPIRED));
    assert_false(diagnosis_has(diagnosis, FINDING_REVOKED));
    free(diagnosis);
}

static void more_facts_than_there_is_room_for_are_left_out(void **state)
{
    struct watcher    watcher;
    struct diagnosis *diagnosis = new_diagnosis(&watcher);

    diagnosis_begin(diagnosis, "a", 0);
    for (int i = 0; i < DIAGNOSIS_FACTS_MOST + 5; i++)
        diagnosis_tell(diagnosis, "n", "%d", i);
    assert_int_equal(diagnosis->fact_count, DIAGNOSIS_FACTS_MOST);
    free(diagnosis);
}

static void every_finding_there_is_has_room(void **state)
{
    struct watcher    watcher;
    struct diagnosis *diagnosis = new_diagnosis(&watcher);

    diagnosis_begin(diagnosis, "a", 0);
    for (enum finding i = 0; i < FINDING_COUNT; i++)
        diagnosis_find(diagnosis, i, "x");
    assert_int_equal(diagnosis->finding_count, FINDING_COUNT);
    free(diagnosis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_what_its_findings_say),
        cmocka_unit_test(a_finding_is_kept_once_with_its_highest_severity),
        cmocka_unit_test(more_facts_than_there_is_room_for_are_left_out),
        cmocka_unit_test(every_finding_there_is_has_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
