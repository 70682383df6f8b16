/* SPDX-License-Identifier: PostgreSQL */
#include "doctor/diagnosis.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static struct diagnosis_step *current(struct diagnosis *diagnosis)
{
    assert(diagnosis->step_count > 0);
    return &diagnosis->steps[diagnosis->step_count - 1];
}

void diagnosis_begin(struct diagnosis *diagnosis, const char *step, uint64_t now_us)
{
    assert(diagnosis->step_count < DIAGNOSIS_STEPS_MOST);
    diagnosis->steps[diagnosis->step_count++] =
        (struct diagnosis_step){ .name = step, .began_us = now_us };
    if (diagnosis->events != NULL)
        diagnosis->events->step_began(diagnosis->events, diagnosis, diagnosis->step_count - 1);
}

static enum step_state state_of(const struct diagnosis *diagnosis, size_t step)
{
    static const enum step_state by_severity[] = { STEP_GOOD, STEP_WARNED, STEP_FAILED };
    enum step_state              state = STEP_GOOD;

    for (size_t i = 0; i < diagnosis->finding_count; i++) {
        const struct diagnosis_finding *one = &diagnosis->findings[i];

        if (one->step == step && by_severity[one->severity] > state)
            state = by_severity[one->severity];
    }
    return state;
}

void diagnosis_end(struct diagnosis *diagnosis, uint64_t now_us)
{
    struct diagnosis_step *step = current(diagnosis);
    enum step_state        state = state_of(diagnosis, diagnosis->step_count - 1);

    step->took_us = now_us - step->began_us;
    if (step->state != STEP_SKIPPED || state != STEP_GOOD)
        step->state = state;
    if (diagnosis->events != NULL)
        diagnosis->events->step_ended(diagnosis->events, diagnosis, diagnosis->step_count - 1);
}

static void put_summary(struct diagnosis *diagnosis, const char *format, va_list args)
{
    struct diagnosis_step *step = current(diagnosis);

    vsnprintf(step->summary, sizeof step->summary, format, args);
}

void diagnosis_skip(struct diagnosis *diagnosis, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_summary(diagnosis, format, args);
    va_end(args);
    current(diagnosis)->state = STEP_SKIPPED;
}

void diagnosis_sum_up(struct diagnosis *diagnosis, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_summary(diagnosis, format, args);
    va_end(args);
}

void diagnosis_tell(struct diagnosis *diagnosis, const char *name, const char *format, ...)
{
    struct diagnosis_fact *fact = &diagnosis->facts[diagnosis->fact_count];
    va_list                args;

    if (diagnosis->fact_count == DIAGNOSIS_FACTS_MOST)
        return; /* a server with a hundred certificates: what matters came first */
    diagnosis->fact_count++;
    fact->step = diagnosis->step_count - 1;
    fact->name = name;
    va_start(args, format);
    vsnprintf(fact->text, sizeof fact->text, format, args);
    va_end(args);
}

static struct diagnosis_finding *find(struct diagnosis *diagnosis, enum finding finding)
{
    for (size_t i = 0; i < diagnosis->finding_count; i++) {
        if (diagnosis->findings[i].finding == finding)
            return &diagnosis->findings[i];
    }
    return NULL;
}

void diagnosis_find_at_most(struct diagnosis *diagnosis, enum finding finding,
                            enum severity most, const char *format, ...)
{
    enum severity             severity = finding_row(finding)->severity;
    struct diagnosis_finding *one = find(diagnosis, finding);
    va_list                   args;

    if (severity > most)
        severity = most;
    if (one != NULL && one->severity >= severity)
        return;
    if (one == NULL) {
        assert(diagnosis->finding_count < DIAGNOSIS_FINDINGS_MOST);
        one = &diagnosis->findings[diagnosis->finding_count++];
        va_start(args, format);
        vsnprintf(one->detail, sizeof one->detail, format, args);
        va_end(args);
    }
    one->finding = finding;
    one->severity = severity;
    one->step = diagnosis->step_count - 1;
}

bool diagnosis_has(const struct diagnosis *diagnosis, enum finding finding)
{
    for (size_t i = 0; i < diagnosis->finding_count; i++) {
        if (diagnosis->findings[i].finding == finding)
            return true;
    }
    return false;
}

size_t diagnosis_count(const struct diagnosis *diagnosis, enum severity severity)
{
    size_t count = 0;

    for (size_t i = 0; i < diagnosis->finding_count; i++)
        count += diagnosis->findings[i].severity == severity;
    return count;
}

bool diagnosis_is_good(const struct diagnosis *diagnosis)
{
    return diagnosis_count(diagnosis, SEVERITY_ERROR) == 0;
}
