/* SPDX-License-Identifier: PostgreSQL */
/*
 * cli/check_show.h - what `pgtls check` has found, for people as it is found, or as JSON
 */
#ifndef PGTLS_CLI_CHECK_SHOW_H
#define PGTLS_CLI_CHECK_SHOW_H

#include "base/buf.h"
#include "base/fail.h"
#include "doctor/diagnosis.h"

struct check_show {
    struct diagnosis_events events;  /* to be the diagnosis's; the first member */
    bool                    is_live; /* a terminal: a step that runs is shown and overwritten */
    bool                    has_colours;
};

/* Looks at standard output and NO_COLOR. */
void check_show_init(struct check_show *show);

/* The findings with what to do, and the verdict.  False: standard output took not all of it. */
bool check_show_end(const struct check_show *show,
                    const struct diagnosis  *diagnosis) WARN_UNUSED;

/* The whole diagnosis; FAIL_MEMORY. */
enum fail check_write_json(struct buf *out, const struct diagnosis *diagnosis) WARN_UNUSED;

#endif
