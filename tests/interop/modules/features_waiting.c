/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features_waiting.c - several things at once: awaiting all, any, the first of different things,
 * conditions; coroutines, channels, locks; cancellation scopes.
 */
#include <flotilla/worker.h>

static const struct flo_activity_options plain = {.start_to_close_ms = 30000};

static struct flo_future *number(struct flo_workflow *wf, int value)
{
    return flo_activity_start(wf, "echo", json_integer(value), &plain);
}

/* ---- awaiting ---- */

static int await_many(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_group *group = flo_group_new(wf), *bad = flo_group_new(wf);
    struct flo_future *race[] = {flo_timer_start(wf, 3600000), flo_timer_start(wf, 30)};
    json_t *all;
    size_t first;
    for (int i = 0; i < 8; i++)
        flo_group_add(group, number(wf, i));
    int rc = flo_group_await_all(group, &all);
    if (rc == 0)
        rc = flo_await_any(wf, race, 2, &first);
    if (rc)
        return rc;
    flo_future_cancel(wf, race[0]);
    flo_group_add(bad, number(wf, 1));
    flo_group_add(bad, flo_activity_start(wf, "broke", input, &plain));
    int failed = flo_group_await_all(bad, NULL);
    *out_result = json_pack("[o,i,i,s]", all, (int)first, failed, flo_failure_type_name(wf));
    return 0;
}

/* Takes what comes first, until all four kinds of things have come. */
static int select_all(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_channel *in = flo_channel_new(wf, 1), *out = flo_channel_new(wf, 1);
    struct flo_future *timer = flo_timer_start(wf, 20);
    json_t *received = NULL, *signal = NULL, *order = json_array();
    struct flo_case cases[] = {
        {.kind = FLO_CASE_SIGNAL, .signal = "go", .out_value = &signal},
        {.kind = FLO_CASE_RECEIVE, .channel = in, .out_value = &received},
        {.kind = FLO_CASE_SEND, .channel = out, .value = input},
        {.kind = FLO_CASE_FUTURE, .future = timer},
    };
    size_t which;
    int rc = flo_channel_send(wf, in, json_string("first")), late;
    if (rc == 0)
        rc = flo_select(wf, cases, 4, -1, &which);
    json_array_append_new(order, json_integer((json_int_t)which));
    if (rc == 0)
        rc = flo_select(wf, cases, 4, 0, &which);
    json_array_append_new(order, json_integer((json_int_t)which));
    if (rc == 0)
        rc = flo_select(wf, cases, 4, 60000, &which);
    json_array_append_new(order, json_integer((json_int_t)which));
    late = flo_select(wf, cases, 3, 30, &which);
    if (rc == 0)
        rc = flo_select(wf, cases, 3, -1, &which);
    json_array_append_new(order, json_integer((json_int_t)which));
    flo_channel_close(wf, in);
    int closed = flo_select(wf, cases, 2, -1, &which);
    *out_result = json_pack("[o,o?,o?,i,i]", order, received, signal, late, closed);
    return rc;
}

static bool is_five(void *ctx)
{
    return *(int *)ctx == 5;
}

static int counts(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    int *count = arg, rc = 0;
    for (int i = 0; rc == 0 && i < 5; i++) {
        rc = flo_sleep(wf, 10);
        (*count)++;
    }
    *out_result = json_integer(*count);
    return rc;
}

static int conditions(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int count = 0;
    (void)input;
    int never = flo_await_condition(wf, is_five, &count, 50);
    struct flo_future *counting = flo_spawn(wf, "counts", counts, &count);
    int comes_true = flo_await_condition(wf, is_five, &count, 3600000);
    int rc = flo_await(wf, counting, NULL);
    int at_once = flo_await_condition(wf, is_five, &count, -1);
    *out_result = json_pack("[i,i,i,i]", never, comes_true, at_once, count);
    return rc;
}

/* ---- coroutines ---- */

struct meeting {
    struct flo_channel *work, *done;
    struct flo_mutex *ledger;
    struct flo_semaphore *two;
    struct flo_wait_group *under_way;
    int inside, most_inside, at_once, most_at_once;
    json_t *lines;
};

static void note_most(int now, int *most)
{
    if (now > *most)
        *most = now;
}

/* Takes numbers from the channel until it is closed; two at a time, one in the ledger. */
static int worker(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct meeting *m = arg;
    json_t *item;
    int taken = 0, rc;
    while ((rc = flo_channel_receive(wf, m->work, &item)) == 0) {
        if ((rc = flo_semaphore_acquire(wf, m->two, 1)))
            return rc;
        note_most(++m->at_once, &m->most_at_once);
        if ((rc = flo_await(wf, number(wf, (int)json_integer_value(item)), NULL)))
            return rc;
        if ((rc = flo_mutex_lock(wf, m->ledger)))
            return rc;
        note_most(++m->inside, &m->most_inside);
        if ((rc = flo_sleep(wf, 5)))
            return rc;
        json_array_append(m->lines, item);
        m->inside--;
        if ((rc = flo_mutex_unlock(wf, m->ledger)))
            return rc;
        m->at_once--;
        if ((rc = flo_semaphore_release(wf, m->two, 1)))
            return rc;
        if ((rc = flo_channel_send(wf, m->done, item)))
            return rc;
        taken++;
    }
    (void)flo_wait_group_done(wf, m->under_way);
    *out_result = json_integer(taken);
    return rc == FLO_ECLOSED ? 0 : rc;
}

static int collector(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct meeting *m = arg;
    json_int_t sum = 0;
    json_t *item;
    while (flo_channel_receive(wf, m->done, &item) == 0)
        sum += json_integer_value(item);
    *out_result = json_integer(sum);
    return 0;
}

static int meetings(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct meeting m = {.work = flo_channel_new(wf, 0),
                        .done = flo_channel_new(wf, 4),
                        .ledger = flo_mutex_new(wf),
                        .two = flo_semaphore_new(wf, 2),
                        .under_way = flo_wait_group_new(wf),
                        .lines = json_array()};
    struct flo_future *workers[3], *collecting = flo_spawn(wf, "collector", collector, &m);
    json_int_t taken = 0;
    json_t *sum, *one;
    int rc = 0;
    (void)input;
    flo_wait_group_add(wf, m.under_way, 3);
    for (int i = 0; i < 3; i++)
        workers[i] = flo_spawn(wf, "worker", worker, &m);
    for (int i = 1; rc == 0 && i <= 9; i++)
        rc = flo_channel_send(wf, m.work, json_integer(i));
    flo_channel_close(wf, m.work);
    if (rc == 0)
        rc = flo_wait_group_wait(wf, m.under_way);
    for (int i = 0; rc == 0 && i < 3; i++) {
        rc = flo_await(wf, workers[i], &one);
        taken += rc ? 0 : json_integer_value(one);
    }
    flo_channel_close(wf, m.done);
    if (rc == 0)
        rc = flo_await(wf, collecting, &sum);
    int twice = flo_mutex_unlock(wf, m.ledger), closed = flo_channel_try_send(wf, m.work, input);
    int many = flo_semaphore_acquire(wf, m.two, 3);
    if (rc)
        return rc;
    *out_result = json_pack("[o,I,i,i,i,i,i,i]", sum, taken, (int)json_array_size(m.lines),
                            m.most_at_once, m.most_inside, twice, closed, many);
    return 0;
}

static int fails(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)out_result;
    return flo_activity(wf, "broke", arg, &plain, NULL);
}

static int nested(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct flo_future *inner = flo_spawn(wf, "counts", counts, arg);
    return flo_await(wf, inner, out_result);
}

static int coroutines(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int count = 0;
    struct flo_future *failing = flo_spawn(wf, "fails", fails, input);
    struct flo_future *counting = flo_spawn(wf, "nested", nested, &count);
    struct flo_future *dropped = flo_spawn(wf, "counts", counts, &(int){0});
    json_t *result;
    flo_future_cancel(wf, dropped);
    int failed = flo_await(wf, failing, NULL);
    json_t *type = json_string(flo_failure_type_name(wf));
    int rc = flo_await(wf, counting, &result), cancelled = flo_await(wf, dropped, NULL);
    if (rc)
        return rc;
    *out_result = json_pack("[i,o,o,i]", failed, type, result, cancelled);
    return 0;
}

/* ---- scopes ---- */

static int scopes(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_scope_options brief = {.timeout_ms = 40}, shielded = {.shielded = true};
    struct flo_scope *timed = flo_scope_begin(wf, &brief);
    int slept = flo_sleep(wf, 3600000), ended = flo_scope_end(wf, timed);

    struct flo_scope *outer = flo_scope_begin(wf, NULL), *inner = flo_scope_begin(wf, NULL);
    struct flo_future *timer = flo_timer_start(wf, 3600000);
    int rc = flo_sleep(wf, 10);
    flo_scope_cancel(wf, outer, "changed our mind");
    bool inner_too = flo_scope_cancelled(wf, inner);
    json_t *reason = json_string(flo_scope_cancel_reason(wf, inner)), *cleaned = NULL;
    int timer_says = flo_await(wf, timer, NULL), nothing = flo_sleep(wf, 10);
    struct flo_scope *shield = flo_scope_begin(wf, &shielded);
    if (rc == 0)
        rc = flo_activity(wf, "echo", input, &plain, &cleaned);
    flo_scope_end(wf, shield);
    flo_scope_end(wf, inner);
    int outer_ends = flo_scope_end(wf, outer);
    int again = flo_scope_end(wf, outer);
    *out_result =
        json_pack("[i,i,b,o,i,i,o?,i,i,b]", slept, ended, (int)inner_too, reason, timer_says,
                  nothing, cleaned, outer_ends, again, (int)flo_cancel_requested(wf));
    return rc ? rc : flo_sleep(wf, 1);
}

/* Until it is cancelled; then it cleans up, and says so in its memo. */
static int cancelled(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *waits = flo_activity_start(
        wf, "stay", NULL,
        &(struct flo_activity_options){
            .start_to_close_ms = 60000, .heartbeat_ms = 500, .cancellation = FLO_CANCEL_WAIT});
    (void)out_result;
    int slept = flo_sleep(wf, 3600000), stayed = flo_await(wf, waits, NULL);
    json_t *refund = NULL;
    flo_cancel_shield(wf, true);
    int rc = flo_activity(wf, "echo", input, &plain, &refund);
    if (rc == 0)
        rc =
            flo_memo_upsert(wf, json_pack("{s:O, s:s, s:i, s:i}", "refund", refund, "reason",
                                          flo_cancel_reason(wf), "slept", slept, "stayed", stayed));
    flo_cancel_shield(wf, false);
    return rc ? rc : FLO_ECANCELLED;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "features_waiting",
    .workflows =
        FLO_WORKFLOWS({"AwaitMany", await_many}, {"Select", select_all}, {"Conditions", conditions},
                      {"Coroutines", coroutines}, {"Meetings", meetings}, {"Scopes", scopes},
                      {"Cancelled", cancelled}),
};
