/* SPDX-License-Identifier: Apache-2.0 */
/* waits.c - steps that wait: for time, for variables, for signals, for handlers. */
#include "kitchen.h"

struct flo_future *kitchen_start_timer(struct kitchen *k, struct flo_workflow *wf, json_t *step)
{
    (void)k;
    return flo_timer_start(wf, kitchen_number(step, "ms", 1));
}

/* The clock has to have moved by that much. */
int kitchen_run_sleep(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    const int64_t ms = kitchen_number(step, "ms", 1), from_ms = flo_workflow_now_ms(wf);
    int rc = flo_sleep(wf, ms);
    (void)k;
    (void)out;
    if (rc == 0 && flo_workflow_now_ms(wf) - from_ms < ms)
        rc = flo_workflow_fail(wf, "Early", true, NULL, "a timer fired too early");
    return rc;
}

int kitchen_run_set(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    (void)wf;
    (void)out;
    return json_object_set(k->vars, kitchen_text(step, "name", ""), json_object_get(step, "value"))
               ? FLO_ENOMEM
               : 0;
}

struct wish {
    struct kitchen *k;
    const char *name;
};

static bool is_set(void *ctx)
{
    const struct wish *wish = ctx;
    return json_object_get(wish->k->vars, wish->name);
}

/* Until the variable is set: what it is; "timed out" after "timeout_ms". */
int kitchen_run_await(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    struct wish wish = {k, kitchen_text(step, "name", "")};
    int rc = flo_await_condition(wf, is_set, &wish, kitchen_number(step, "timeout_ms", -1));
    if (rc == FLO_ETIMEDOUT)
        *out = json_string("timed out");
    else if (rc == 0)
        *out = json_incref(json_object_get(k->vars, wish.name));
    return rc == FLO_ETIMEDOUT ? 0 : rc;
}

/* "count" signals without a handler; the sum of their values, since their order is the senders'. */
int kitchen_run_receive(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    json_int_t sum = 0;
    int rc = 0;
    (void)k;
    for (int64_t i = kitchen_number(step, "count", 1); rc == 0 && i > 0; i--) {
        json_t *value = NULL;
        rc = flo_signal_await(wf, kitchen_text(step, "name", ""),
                              kitchen_number(step, "timeout_ms", -1), &value);
        sum += json_integer_value(value);
        json_decref(value);
    }
    *out = rc == FLO_ETIMEDOUT ? json_string("timed out") : json_integer(sum);
    return rc == FLO_ETIMEDOUT ? 0 : rc;
}

int kitchen_run_messages(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    (void)out;
    return kitchen_await_handlers(k, wf, json_object_get(step, "keys"));
}
