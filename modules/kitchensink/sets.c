/* SPDX-License-Identifier: Apache-2.0 */
/* sets.c - several things at once: coroutines for lists of steps, futures awaited in every way. */
#include <string.h>

#include "kitchen.h"

struct branch {
    struct kitchen *k;
    json_t *steps;
};

static int run_branch(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    const struct branch *branch = arg;
    return kitchen_steps(branch->k, wf, branch->steps, out_result);
}

/* A coroutine for each list of steps; *out_futures as many as there are lists. */
static int spawn_all(struct kitchen *k, struct flo_workflow *wf, json_t *lists,
                     struct flo_future ***out_futures)
{
    size_t count = json_array_size(lists), i;
    struct branch *branches = flo_workflow_alloc(wf, (count + 1) * sizeof *branches);
    struct flo_future **futures = flo_workflow_alloc(wf, (count + 1) * sizeof(void *));
    json_t *steps;
    if (!branches || !futures)
        return FLO_ENOMEM;
    json_array_foreach(lists, i, steps)
    {
        branches[i] = (struct branch){k, steps};
        futures[i] = flo_spawn(wf, "branch", run_branch, &branches[i]);
    }
    *out_futures = futures;
    return 0;
}

int kitchen_run_all(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    json_t *lists = json_object_get(step, "branches"), *results = json_array();
    struct flo_future **futures;
    int rc = spawn_all(k, wf, lists, &futures), first = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(lists); i++) {
        json_t *result = NULL;
        int failed = flo_await(wf, futures[i], &result);
        if (!first)
            first = failed;
        json_array_append_new(results, result ? result : json_null());
    }
    *out = results;
    return rc ? rc : first;
}

/* The first list that ends wins; the others are cancelled, and it is waited for them. */
int kitchen_run_any(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    json_t *lists = json_object_get(step, "branches"), *value = NULL, *lost = json_array();
    struct flo_future **futures;
    size_t count = json_array_size(lists), winner = 0;
    int rc = spawn_all(k, wf, lists, &futures);
    if (rc == 0)
        rc = flo_await_any(wf, futures, count, &winner);
    if (rc == 0)
        rc = flo_await(wf, futures[winner], &value);
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (i != winner)
            flo_future_cancel(wf, futures[i]);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        json_t *result = NULL;
        int ended = i == winner ? FLO_ECANCELLED : flo_await(wf, futures[i], &result);
        if (ended && flo_scope_cancelled(wf, NULL))
            rc = FLO_ECANCELLED;
        else if (ended != FLO_ECANCELLED) /* it was to be cancelled: whoever compares sees this */
            json_array_append_new(lost, json_string(flo_error_name(ended)));
        json_decref(result);
    }
    if (rc)
        return rc;
    flo_failure_clear(wf);
    *out =
        json_pack("{s:I, s:o, s:o}", "winner", (json_int_t)winner, "value", value, "ended", lost);
    return *out ? 0 : FLO_ENOMEM;
}

/* ---- futures ---- */

struct many {
    struct flo_future **futures;
    size_t count;
};

/* Wait for the first of those that are left, again and again. */
static int wait_any(struct flo_workflow *wf, const struct many *many)
{
    struct flo_future **left = flo_workflow_alloc(wf, many->count * sizeof(void *));
    size_t count = many->count, first;
    if (!left)
        return FLO_ENOMEM;
    memcpy(left, many->futures, count * sizeof(void *));
    while (count) {
        int rc = flo_await_any(wf, left, count, &first);
        if (rc)
            return rc;
        left[first] = left[--count];
    }
    flo_workflow_free(wf, left);
    return 0;
}

static int wait_group(struct flo_workflow *wf, const struct many *many)
{
    struct flo_group *group = flo_group_new(wf);
    for (size_t i = 0; i < many->count; i++)
        flo_group_add(group, many->futures[i]);
    return flo_group_await_all(group, NULL);
}

static int wait_select(struct flo_workflow *wf, const struct many *many)
{
    struct flo_case *cases = flo_workflow_alloc(wf, many->count * sizeof *cases);
    size_t count = many->count, chosen;
    if (!cases)
        return FLO_ENOMEM;
    for (size_t i = 0; i < count; i++)
        cases[i] = (struct flo_case){.kind = FLO_CASE_FUTURE, .future = many->futures[i]};
    while (count) {
        int rc = flo_select(wf, cases, count, -1, &chosen);
        if (rc)
            return rc;
        cases[chosen] = cases[--count];
    }
    flo_workflow_free(wf, cases);
    return 0;
}

static int start_many(struct kitchen *k, struct flo_workflow *wf, json_t *starts, struct many *many)
{
    json_t *start;
    size_t i;
    many->count = json_array_size(starts);
    many->futures = flo_workflow_alloc(wf, (many->count + 1) * sizeof(void *));
    if (!many->futures)
        return FLO_ENOMEM;
    json_array_foreach(starts, i, start)
    {
        many->futures[i] = kitchen_start(k, wf, start);
        if (!many->futures[i])
            return FLO_EFAILED;
    }
    json_array_foreach(starts, i, start) if (kitchen_number(start, "cancel_ms", -1) >= 0)
        flo_future_cancel(wf, many->futures[i]);
    return 0;
}

int kitchen_run_many(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    json_t *starts = json_object_get(step, "start"), *results = json_array();
    const char *how = kitchen_text(step, "wait", "each");
    struct many many;
    int rc = start_many(k, wf, starts, &many);
    if (rc == 0 && strcmp(how, "any") == 0)
        rc = wait_any(wf, &many);
    else if (rc == 0 && strcmp(how, "select") == 0)
        rc = wait_select(wf, &many);
    else if (rc == 0 && strcmp(how, "group") == 0) {
        (void)wait_group(wf, &many); /* the first failure, which is seen again below */
        flo_failure_clear(wf);
    }
    for (size_t i = 0; rc == 0 && i < many.count; i++) {
        json_t *result = NULL;
        rc = kitchen_outcome(k, wf, json_array_get(starts, i), many.futures[i], &result);
        if (rc == 0)
            json_array_append_new(results, result);
    }
    *out = results;
    return rc;
}
