/* SPDX-License-Identifier: PostgreSQL */
#include "cli/check_show.h"

#include <jansson.h>
#include <stdlib.h>

static const char *const state_names[] = {
    [STEP_RUNNING] = "running", [STEP_GOOD] = "ok",         [STEP_WARNED] = "warning",
    [STEP_FAILED] = "failed",   [STEP_SKIPPED] = "skipped",
};

/* A name that comes again makes a list of both. */
static int add_fact(json_t *facts, const struct diagnosis_fact *fact)
{
    json_t *before = json_object_get(facts, fact->name);
    json_t *list;

    if (before == NULL)
        return json_object_set_new(facts, fact->name, json_string(fact->text));
    if (json_is_array(before))
        return json_array_append_new(before, json_string(fact->text));
    list = json_array();
    if (json_array_append(list, before) != 0 ||
        json_array_append_new(list, json_string(fact->text)) != 0) {
        json_decref(list);
        return -1;
    }
    return json_object_set_new(facts, fact->name, list);
}

static json_t *facts_of(const struct diagnosis *diagnosis, size_t step)
{
    json_t *facts = json_object();

    for (size_t i = 0; facts != NULL && i < diagnosis->fact_count; i++) {
        if (diagnosis->facts[i].step == step && add_fact(facts, &diagnosis->facts[i]) != 0) {
            json_decref(facts);
            facts = NULL;
        }
    }
    return facts;
}

static json_t *json_step(const struct diagnosis *diagnosis, size_t n)
{
    const struct diagnosis_step *step = &diagnosis->steps[n];

    return json_pack("{s:s, s:s, s:f, s:s, s:o}", "name", step->name, "state",
                     state_names[step->state], "ms", (double)step->took_us / 1000.0, "summary",
                     step->summary, "facts", facts_of(diagnosis, n));
}

/* NULL texts become null. */
static json_t *json_finding(const struct diagnosis         *diagnosis,
                            const struct diagnosis_finding *one)
{
    const struct finding_row *row = finding_row(one->finding);

    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s?, s:s?, s:s?}}", "id", row->id,
                     "severity", severity_name(one->severity), "step",
                     diagnosis->steps[one->step].name, "text", row->text, "detail", one->detail,
                     "advice", "client", row->client, "server", row->server, "proxy",
                     row->proxy);
}

static json_t *whole(const struct diagnosis *diagnosis)
{
    json_t *steps = json_array(), *findings = json_array();
    bool    good = steps != NULL && findings != NULL;

    for (size_t i = 0; good && i < diagnosis->step_count; i++)
        good = json_array_append_new(steps, json_step(diagnosis, i)) == 0;
    for (size_t i = 0; good && i < diagnosis->finding_count; i++)
        good = json_array_append_new(findings,
                                     json_finding(diagnosis, &diagnosis->findings[i])) == 0;
    if (good)
        return json_pack("{s:s, s:b, s:s, s:o, s:o}", "target", diagnosis->target, "good",
                         diagnosis_is_good(diagnosis), "verdict", diagnosis->verdict, "steps",
                         steps, "findings", findings);
    json_decref(steps);
    json_decref(findings);
    return NULL;
}

enum fail check_write_json(struct buf *out, const struct diagnosis *diagnosis)
{
    json_t *root = whole(diagnosis);
    char   *text =
        root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;

    if (text != NULL)
        buf_put_format(out, "%s\n", text);
    free(text);
    json_decref(root);
    return text != NULL && buf_ok(out) ? FAIL_NONE : FAIL_MEMORY;
}
