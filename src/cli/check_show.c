/* SPDX-License-Identifier: PostgreSQL */
#include "cli/check_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *mark;
    const char *colour;
} states[] = {
    [STEP_RUNNING] = { "...", "" },      [STEP_GOOD] = { "ok", "\033[32m" },
    [STEP_WARNED] = { "!", "\033[33m" }, [STEP_FAILED] = { "FAIL", "\033[1;31m" },
    [STEP_SKIPPED] = { "-", "\033[2m" },
};

static const char *const severity_colours[] = { "\033[2m", "\033[33m", "\033[1;31m" };

static const char *paint(const struct check_show *show, const char *colour)
{
    return show->has_colours ? colour : "";
}

static const char *end(const struct check_show *show)
{
    return show->has_colours ? "\033[0m" : "";
}

/* ---- as it runs ---- */

static void step_began(struct diagnosis_events *events, const struct diagnosis *diagnosis,
                       size_t step)
{
    const struct check_show *show = (const struct check_show *)events;

    if (step == 0)
        printf("%s\n\n", diagnosis->target);
    if (show->is_live)
        printf("  ...   %s", diagnosis->steps[step].name);
    fflush(stdout);
}

static void show_facts(const struct diagnosis *diagnosis, size_t step)
{
    const char *last = "";

    for (size_t i = 0; i < diagnosis->fact_count; i++) {
        const struct diagnosis_fact *fact = &diagnosis->facts[i];

        if (fact->step != step)
            continue;
        printf("        %-20s %s\n", strcmp(last, fact->name) == 0 ? "" : fact->name,
               fact->text);
        last = fact->name;
    }
}

static void show_findings(const struct check_show *show, const struct diagnosis *diagnosis,
                          size_t step)
{
    for (size_t i = 0; i < diagnosis->finding_count; i++) {
        const struct diagnosis_finding *one = &diagnosis->findings[i];

        if (one->step == step)
            printf("        %s%s %s%s%s%s\n", paint(show, severity_colours[one->severity]),
                   severity_name(one->severity), finding_row(one->finding)->id, end(show),
                   one->detail[0] != '\0' ? ": " : "", one->detail);
    }
}

static void step_ended(struct diagnosis_events *events, const struct diagnosis *diagnosis,
                       size_t step)
{
    const struct check_show     *show = (const struct check_show *)events;
    const struct diagnosis_step *one = &diagnosis->steps[step];

    printf("%s  %s%-4s%s  %s", show->is_live ? "\r\033[K" : "",
           paint(show, states[one->state].colour), states[one->state].mark, end(show),
           one->name);
    if (one->state != STEP_SKIPPED)
        printf("  %" PRIu64 ".%" PRIu64 " ms", one->took_us / 1000, one->took_us / 100 % 10);
    printf("%s%s\n", one->summary[0] != '\0' ? "  " : "", one->summary);
    show_facts(diagnosis, step);
    show_findings(show, diagnosis, step);
    fflush(stdout);
}

void check_show_init(struct check_show *show)
{
    const char *no_colour = getenv("NO_COLOR");

    *show = (struct check_show){ .events = { step_began, step_ended } };
    show->is_live = isatty(STDOUT_FILENO) == 1;
    show->has_colours = show->is_live && (no_colour == NULL || *no_colour == '\0');
}

/* ---- the end ---- */

static void show_advice(const char *side, const char *text)
{
    if (text != NULL)
        printf("           %s: %s\n", side, text);
}

static void show_finding(const struct check_show *show, const struct diagnosis_finding *one)
{
    const struct finding_row *row = finding_row(one->finding);

    printf("  %s%-7s%s  %s: %s\n", paint(show, severity_colours[one->severity]),
           severity_name(one->severity), end(show), row->id, row->text);
    if (one->detail[0] != '\0')
        printf("           %s\n", one->detail);
    show_advice("client", row->client);
    show_advice("server", row->server);
    show_advice("proxy", row->proxy);
}

bool check_show_end(const struct check_show *show, const struct diagnosis *diagnosis)
{
    if (diagnosis->finding_count > 0)
        printf("\nfindings\n\n");
    for (int severity = SEVERITY_ERROR; severity >= SEVERITY_INFO; severity--) {
        for (size_t i = 0; i < diagnosis->finding_count; i++) {
            if ((int)diagnosis->findings[i].severity == severity)
                show_finding(show, &diagnosis->findings[i]);
        }
    }
    printf("\n%s%s%s: %s\n",
           paint(show, states[diagnosis_is_good(diagnosis) ? STEP_GOOD : STEP_FAILED].colour),
           diagnosis_is_good(diagnosis) ? "good" : "bad", end(show), diagnosis->verdict);
    return fflush(stdout) == 0 && ferror(stdout) == 0;
}
