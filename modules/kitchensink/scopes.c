/* SPDX-License-Identifier: Apache-2.0 */
/* scopes.c - cancellation: scopes with and without an end of their own, and the run's. */
#include "kitchen.h"

struct canceller {
    struct flo_scope *scope; /* NULL: it is closed */
    int64_t after_ms;
};

static int cancel_later(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    const struct canceller *canceller = arg;
    int rc = flo_sleep(wf, canceller->after_ms);
    (void)out_result;
    if (rc == 0 && canceller->scope)
        flo_scope_cancel(wf, canceller->scope, "the step says so");
    return rc;
}

/*
 * Steps in a scope: "shielded", or with "timeout_ms", or cancelled after "cancel_ms" by another
 * coroutine; the latter two only around steps that never end by themselves, or much earlier.
 */
int kitchen_run_scope(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    const struct flo_scope_options options = {.shielded = kitchen_is(step, "shielded"),
                                              .timeout_ms = kitchen_number(step, "timeout_ms", 0)};
    struct canceller *canceller = flo_workflow_alloc(wf, sizeof *canceller);
    const int64_t after_ms = kitchen_number(step, "cancel_ms", -1);
    if (!canceller)
        return FLO_ENOMEM;
    canceller->after_ms = after_ms;
    if (after_ms >= 0) /* before the scope begins, so that it is no part of it */
        (void)flo_spawn(wf, "canceller", cancel_later, canceller);
    canceller->scope = flo_scope_begin(wf, &options);
    int rc = kitchen_steps(k, wf, json_object_get(step, "steps"), out);
    int ended = flo_scope_end(wf, canceller->scope);
    canceller->scope = NULL;
    if (ended == FLO_ETIMEDOUT || (rc == FLO_ECANCELLED && after_ms >= 0)) {
        if (flo_scope_cancelled(wf, NULL)) /* the one around it is, too */
            return FLO_ECANCELLED;
        flo_failure_clear(wf);
        *out = json_string(ended == FLO_ETIMEDOUT ? "timed out" : "cancelled");
        return 0;
    }
    return rc;
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

/* Until somebody cancels the workflow; the steps after it have to be shielded. */
int kitchen_run_await_cancel(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    int rc = flo_await_condition(wf, never, NULL, -1);
    (void)k;
    (void)step;
    if (rc != FLO_ECANCELLED || !flo_cancel_requested(wf))
        return flo_workflow_fail(wf, "NotCancelled", true, NULL, "the wait ended by itself");
    *out = json_string(flo_cancel_reason(wf));
    return *out ? 0 : FLO_ENOMEM;
}
