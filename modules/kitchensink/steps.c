/* SPDX-License-Identifier: Apache-2.0 */
/* steps.c - the interpreter: a list of steps, one step, what a step's future came to. */
#include <string.h>

#include "kitchen.h"

static const struct kitchen_step table[] = {
#define KITCHEN_FUTURE_ROW(text, name) {text, NULL, kitchen_start_##name},
    KITCHEN_FUTURES(KITCHEN_FUTURE_ROW)
#undef KITCHEN_FUTURE_ROW
#define KITCHEN_RUN_ROW(text, name) {text, kitchen_run_##name, NULL},
        KITCHEN_RUNS(KITCHEN_RUN_ROW)
#undef KITCHEN_RUN_ROW
};

int64_t kitchen_number(const json_t *step, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(step, name);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

const char *kitchen_text(const json_t *step, const char *name, const char *otherwise)
{
    const char *value = json_string_value(json_object_get(step, name));
    return value ? value : otherwise;
}

bool kitchen_is(const json_t *step, const char *name)
{
    return json_is_true(json_object_get(step, name));
}

int kitchen_refuse(struct flo_workflow *wf, const char *why, const json_t *step)
{
    char *text = flo_json_text(wf, step);
    return flo_workflow_fail(wf, "BadStep", true, NULL, "%s: %.200s", why, text ? text : "");
}

int kitchen_differs(struct flo_workflow *wf, const char *what)
{
    return flo_workflow_fail(wf, "Nondeterministic", true, NULL,
                             "%s is not what it was before the replay", what);
}

static const struct kitchen_step *find(const json_t *step)
{
    const char *name = kitchen_text(step, "do", "");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

int kitchen_settle(struct flo_workflow *wf, json_t *step, int rc, json_t *value, json_t **out)
{
    json_t *as = json_object_get(step, "as");
    if (rc && flo_scope_cancelled(wf, NULL)) {
        json_decref(value);
        return FLO_ECANCELLED;
    }
    if (as)
        *out = json_incref(as);
    else if (rc == 0)
        *out = json_pack("{s:O?}", "ok", value);
    else if (rc == FLO_ECANCELLED)
        *out = json_string("cancelled");
    else if (rc == FLO_EFAILED)
        *out = json_pack("{s:s}", "failed", flo_failure_type_name(wf));
    else
        *out = json_pack("{s:s}", "error", flo_error_name(rc));
    json_decref(value);
    flo_failure_clear(wf);
    return *out ? 0 : FLO_ENOMEM;
}

int kitchen_outcome(struct kitchen *k, struct flo_workflow *wf, json_t *step,
                    struct flo_future *future, json_t **out)
{
    json_t *value = NULL;
    int rc = flo_await(wf, future, &value);
    (void)k;
    return kitchen_settle(wf, step, rc, value, out);
}

struct flo_future *kitchen_start(struct kitchen *k, struct flo_workflow *wf, json_t *step)
{
    const struct kitchen_step *row = find(step);
    if (row && row->start)
        return row->start(k, wf, step);
    (void)kitchen_refuse(wf, "this is no step that can be started", step);
    return NULL;
}

/* A step that is one future, cancelled after "cancel_ms" when that is there. */
static int run_future(struct kitchen *k, struct flo_workflow *wf, const struct kitchen_step *row,
                      json_t *step, json_t **out)
{
    int64_t cancel_ms = kitchen_number(step, "cancel_ms", -1);
    struct flo_future *future = row->start(k, wf, step);
    int rc = 0;
    if (!future)
        return FLO_EFAILED;
    if (cancel_ms > 0)
        rc = flo_sleep(wf, cancel_ms);
    if (rc == 0 && cancel_ms >= 0)
        flo_future_cancel(wf, future);
    return rc ? rc : kitchen_outcome(k, wf, step, future, out);
}

int kitchen_step(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    const struct kitchen_step *row = find(step);
    int64_t now_ms = flo_workflow_now_ms(wf);
    if (!row)
        return kitchen_refuse(wf, "there is no such step", step);
    if (now_ms < k->now_ms)
        return flo_workflow_fail(wf, "Nondeterministic", true, NULL, "time went backwards");
    k->now_ms = now_ms;
    k->order = k->order * 31 + (uint64_t)kitchen_number(step, "n", 0) + 1;
    return row->run ? row->run(k, wf, step, out) : run_future(k, wf, row, step, out);
}

int kitchen_steps(struct kitchen *k, struct flo_workflow *wf, json_t *steps, json_t **out)
{
    json_t *results = json_array(), *step;
    size_t i;
    int rc = results ? 0 : FLO_ENOMEM;
    json_array_foreach(steps, i, step)
    {
        json_t *result = NULL;
        if (rc == 0)
            rc = kitchen_step(k, wf, step, &result);
        if (rc == 0 && json_array_append_new(results, result ? result : json_null()))
            rc = FLO_ENOMEM;
    }
    if (rc == 0)
        *out = results;
    else
        json_decref(results);
    return rc;
}
