/* SPDX-License-Identifier: PostgreSQL */
/*
 * doctor/diagnosis.h - what a check has found so far: steps, facts, findings, a verdict
 *
 * The doctor writes it, whoever shows it reads it; a step is told when it begins and when it
 * has ended, so that it can be shown while the next one runs.  All texts are fit for a
 * terminal: what a peer said was escaped.
 */
#ifndef PGTLS_DOCTOR_DIAGNOSIS_H
#define PGTLS_DOCTOR_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doctor/finding.h"

enum {
    DIAGNOSIS_STEPS_MOST = 12,
    DIAGNOSIS_FACTS_MOST = 120,
    DIAGNOSIS_FINDINGS_MOST = FINDING_COUNT, /* each once */
    DIAGNOSIS_TEXT = 512,
};

enum step_state { STEP_RUNNING, STEP_GOOD, STEP_WARNED, STEP_FAILED, STEP_SKIPPED };

struct diagnosis_step {
    const char     *name;
    enum step_state state;
    uint64_t        began_us, took_us;
    char            summary[160]; /* why it was skipped, or what it came to; "" */
};

/* Names are the same for every run; one that comes several times in a step is a list. */
struct diagnosis_fact {
    size_t      step;
    const char *name;
    char        text[DIAGNOSIS_TEXT];
};

struct diagnosis_finding {
    size_t        step;
    enum finding  finding;
    enum severity severity; /* the catalogue's, or less: where sslmode does not mind */
    char          detail[DIAGNOSIS_TEXT]; /* "" where the catalogue says it all */
};

struct diagnosis;

struct diagnosis_events {
    void (*step_began)(struct diagnosis_events *events, const struct diagnosis *diagnosis,
                       size_t step);
    void (*step_ended)(struct diagnosis_events *events, const struct diagnosis *diagnosis,
                       size_t step);
};

struct diagnosis {
    struct diagnosis_events *events;                 /* or NULL */
    bool                     lacks_memory;           /* here: what was found may be wrong */
    char                     target[DIAGNOSIS_TEXT]; /* without a password */
    struct diagnosis_step    steps[DIAGNOSIS_STEPS_MOST];
    size_t                   step_count;
    struct diagnosis_fact    facts[DIAGNOSIS_FACTS_MOST];
    size_t                   fact_count;
    struct diagnosis_finding findings[DIAGNOSIS_FINDINGS_MOST];
    size_t                   finding_count;
    char                     verdict[DIAGNOSIS_TEXT];
};

/* ---- for the doctor ---- */

/* Names stay the caller's. */
void diagnosis_begin(struct diagnosis *diagnosis, const char *step, uint64_t now_us);

/* The step is what its findings say, unless it was skipped. */
void diagnosis_end(struct diagnosis *diagnosis, uint64_t now_us);

void diagnosis_skip(struct diagnosis *diagnosis, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void diagnosis_sum_up(struct diagnosis *diagnosis, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void diagnosis_tell(struct diagnosis *diagnosis, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Each finding once: the first detail stays, a higher severity counts.  `most` bounds the
 * severity.
 */
void diagnosis_find_at_most(struct diagnosis *diagnosis, enum finding finding,
                            enum severity most, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* With the catalogue's severity. */
#define diagnosis_find(diagnosis, finding, ...)                                                \
    diagnosis_find_at_most(diagnosis, finding, SEVERITY_ERROR, __VA_ARGS__)

/* ---- for whoever shows it ---- */

bool diagnosis_has(const struct diagnosis *diagnosis, enum finding finding);
bool diagnosis_is_good(const struct diagnosis *diagnosis); /* no error */

/* How many findings of that severity. */
size_t diagnosis_count(const struct diagnosis *diagnosis, enum severity severity);

#endif
