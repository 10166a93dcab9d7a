/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.c - local activities of open workflow tasks.
 *
 * A run that has some at work is held with its task: results go to the code as they come; when 80 %
 * of the task's time is over it is answered with what there is (a heartbeat), and the task that
 * comes back takes the run over. Attempts, timeouts and pauses are as the worker's.
 */
#include <stdio.h>
#include <string.h>

#include "activity/local_retry.h"
#include "activity/outcome.h"
#include "base/alloc.h"
#include "executor/executor.h"
#include "testing/kit.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"

#define DEFAULT_TASK_TIMEOUT_NS (10 * FLO_NS_PER_S)
#define HEARTBEAT_PERCENT 80

/* A run with local activities at work; env->held by run id. */
struct kit_held {
    struct flo_test_env *env;
    struct flo_run *run;    /* NULL while its code runs */
    struct kit_task *task;  /* NULL between a heartbeat and the next task */
    struct flo_list locals; /* of struct local: at work */
    struct flo_list ended;  /* of struct local: whose result waits for the task */
    bool delivering;
    char run_id[64];
};

enum local_state { LOCAL_RUNNING, LOCAL_PAUSING, LOCAL_ENDED };

struct local {
    struct flo_node node; /* held->locals or ->ended */
    struct flo_test_env *env;
    struct kit_held *held; /* NULL: nobody waits for it any more */
    struct flo_arena arena, attempt_arena;
    FloApi__PollActivityTaskQueueResponse *task;
    struct kit_attempt *attempt_now; /* RUNNING */
    enum local_state state;
    uint64_t seq;
    int32_t attempt;
    int64_t began_ns, original_schedule_ns, threshold_ns, close_by_ns;
    uint64_t timer; /* number of the newest; older ones do nothing */
    unsigned refs;  /* timers under way, and one while it is at work */
    bool cancelled;
    struct flo_local_result end; /* ENDED; in attempt_arena */
};

static void deliver(struct kit_held *held);
static void begin_attempt(struct local *local);

static void local_unref(struct local *local)
{
    if (--local->refs)
        return;
    flo_arena_fini(&local->arena);
    flo_arena_fini(&local->attempt_arena);
    flo_free(local);
}

/* Off its run, and free it when no timer knows it. */
static void local_drop(struct local *local)
{
    if (local->attempt_now)
        kit_attempt_forget(local->attempt_now);
    local->attempt_now = NULL;
    flo_list_remove(local->state == LOCAL_ENDED ? &local->held->ended : &local->held->locals,
                    &local->node);
    local->held = NULL;
    local_unref(local);
}

/* ---- held runs ---- */

static void held_free(struct kit_held *held)
{
    while (!flo_list_empty(&held->locals))
        local_drop(flo_container(flo_list_first(&held->locals), struct local, node));
    while (!flo_list_empty(&held->ended))
        local_drop(flo_container(flo_list_first(&held->ended), struct local, node));
    flo_map_remove_str(&held->env->held, held->run_id);
    flo_run_destroy(&held->run);
    if (held->task)
        held->task->held = NULL;
    flo_free(held);
}

void kit_local_release(struct kit_task *task)
{
    if (task->held && task->held->task == task) {
        task->held->task = NULL;
        held_free(task->held);
    }
    task->held = NULL;
}

struct flo_run *kit_local_take(struct kit_task *task)
{
    struct kit_held *held = flo_map_get_str(&task->env->held, task->run_id);
    if (!held || task->message->query)
        return NULL;
    if (held->task || flo_run_missing_history(held->run, task->message)) {
        struct kit_task *old = held->task;
        if (old)
            kit_task_free(&old); /* and the run; the server has given that task up */
        else
            held_free(held);
        return NULL;
    }
    struct flo_run *run = held->run;
    held->run = NULL;
    held->task = task;
    task->held = held;
    return run;
}

/* 80 % of the task's time is over. */
static void heartbeat(struct flo_test_env *env, void *ctx, uint64_t started_id)
{
    const char *run_id = ctx;
    struct kit_held *held = flo_map_get_str(&env->held, run_id);
    struct flo_activation activation = {0};
    if (!held || !held->task || !held->run ||
        (uint64_t)held->task->message->started_event_id != started_id)
        return;
    struct kit_task *task = held->task;
    if (flo_run_yield_task(held->run, task->message, &task->arena, &activation)) {
        kit_problem(env, FLO_ENOMEM, "no memory for a workflow task");
        return;
    }
    held->task = NULL;
    task->held = NULL;
    if (kit_worker_respond(task, &activation)) {
        held = flo_map_get_str(&env->held, run_id);
        if (held && !held->task)
            held_free(held);
    }
    kit_task_free(&task);
}

static struct kit_held *held_new(struct kit_task *task)
{
    struct flo_test_env *env = task->env;
    struct kit_held *held = flo_calloc(1, sizeof *held);
    if (!held)
        return NULL;
    held->env = env;
    flo_list_init(&held->locals);
    flo_list_init(&held->ended);
    snprintf(held->run_id, sizeof held->run_id, "%s", task->run_id);
    if (flo_map_put_str(&env->held, held->run_id, held)) {
        flo_free(held);
        return NULL;
    }
    return held;
}

static void begin(struct kit_held *held, const struct flo_local_start *start);
static void stop(struct kit_held *held, const struct flo_local_cancel *cancel);

static void do_what_is_asked(struct kit_held *held, const struct flo_activation *activation)
{
    for (size_t i = 0; i < activation->local_cancel_count; i++)
        stop(held, &activation->local_cancels[i]);
    for (size_t i = 0; i < activation->local_start_count; i++)
        begin(held, &activation->local_starts[i]);
}

void kit_local_hold(struct kit_task *task, struct flo_run *run,
                    const struct flo_activation *activation)
{
    struct flo_test_env *env = task->env;
    bool again = task->held != NULL;
    struct kit_held *held = again ? task->held : held_new(task);
    char *run_id = flo_arena_strdup(&env->arena, task->run_id);
    if (!held || !run_id) {
        kit_problem(env, FLO_ENOMEM, "no memory for a local activity");
        flo_run_destroy(&run);
        kit_task_free(&task);
        return;
    }
    task->held = held;
    held->task = task;
    int64_t timeout_ns = flo_run_task_timeout_ns(run);
    if (timeout_ns <= 0)
        timeout_ns = DEFAULT_TASK_TIMEOUT_NS;
    kit_after(env, timeout_ns / 100 * HEARTBEAT_PERCENT, heartbeat, run_id,
              (uint64_t)task->message->started_event_id);
    held->delivering = true;
    do_what_is_asked(held, activation);
    held->run = run;
    held->delivering = false;
    deliver(held);
}

/* Hand the results that are there to the code. The last one may end held. */
static void deliver(struct kit_held *held)
{
    if (held->delivering || !held->run || !held->task)
        return;
    held->delivering = true;
    while (!flo_list_empty(&held->ended)) {
        struct local *local = flo_container(flo_list_first(&held->ended), struct local, node);
        struct flo_activation activation = {0};
        struct kit_task *task = held->task;
        int rc =
            flo_run_resolve_local(held->run, task->message, &local->end, &task->arena, &activation);
        local_drop(local);
        if (rc) {
            kit_problem(held->env, FLO_ENOMEM, "no memory for a workflow task");
            break;
        }
        if (activation.outcome != FLO_ACTIVATION_OPEN) {
            struct flo_run *run = held->run;
            held->run = NULL;
            held->task = NULL;
            task->held = NULL;
            held_free(held);
            kit_worker_settle(task, run, &activation);
            return;
        }
        do_what_is_asked(held, &activation);
    }
    held->delivering = false;
}

/* ---- how one ends ---- */

static void end(struct local *local, const FloApi__Payloads *result, const FloApi__Failure *failure,
                FloApi__RetryState state, int64_t backoff_ns)
{
    struct kit_held *held = local->held;
    if (local->state == LOCAL_ENDED)
        return;
    local->end = (struct flo_local_result){.seq = local->seq,
                                           .attempt = local->attempt,
                                           .ran_ns = local->env->clock.now_ns - local->began_ns,
                                           .original_schedule_ns = local->original_schedule_ns,
                                           .backoff_ns = backoff_ns,
                                           .result = result,
                                           .failure = failure,
                                           .retry_state = state};
    flo_list_remove(&held->locals, &local->node);
    local->state = LOCAL_ENDED;
    local->timer++;
    flo_list_push_back(&held->ended, &local->node);
}

static void pause_over(struct flo_test_env *env, void *ctx, uint64_t timer)
{
    struct local *local = ctx;
    (void)env;
    if (local->held && local->timer == timer && local->state == LOCAL_PAUSING) {
        struct kit_held *held = local->held;
        begin_attempt(local);
        deliver(held);
    }
    local_unref(local);
}

static void arm(struct local *local, int64_t delay_ns, kit_event_fn fn)
{
    local->timer++;
    local->refs++;
    kit_after(local->env, delay_ns, fn, local, local->timer);
}

static void failed(struct local *local, const FloApi__Failure *failure)
{
    int64_t left_ns =
        local->close_by_ns == INT64_MAX ? INT64_MAX : local->close_by_ns - local->env->clock.now_ns;
    struct flo_local_retry verdict =
        flo_local_retry(local->task->retry_policy, failure, local->attempt, left_ns);
    if (local->cancelled) {
        verdict.again = false;
        verdict.state = FLO_API__RETRY_STATE__RETRY_STATE_CANCEL_REQUESTED;
    }
    if (verdict.again && verdict.delay_ns <= local->threshold_ns) {
        local->attempt++;
        local->state = LOCAL_PAUSING;
        arm(local, verdict.delay_ns, pause_over);
        return;
    }
    end(local, NULL, failure, verdict.state, verdict.again ? verdict.delay_ns : 0);
}

static void cancelled(struct local *local, FloApi__Payloads *details)
{
    FloApi__Failure *failure =
        flo_failure_cancelled(&local->attempt_arena, "Activity cancelled", NULL);
    if (failure && details && details->n_payloads > 0)
        failure->canceled_failure_info->details = details;
    end(local, NULL, failure, FLO_API__RETRY_STATE__RETRY_STATE_CANCEL_REQUESTED, 0);
}

static void timed_out(struct flo_test_env *env, void *ctx, uint64_t timer)
{
    struct local *local = ctx;
    struct kit_held *held = local->held;
    if (!held || local->timer != timer || local->state != LOCAL_RUNNING) {
        local_unref(local);
        return;
    }
    bool closed = env->clock.now_ns >= local->close_by_ns;
    if (local->attempt_now) {
        kit_attempt_forget(local->attempt_now);
        kit_attempt_tell(local->attempt_now, FLO_JOB_CANCEL_TIMED_OUT);
        local->attempt_now = NULL;
    }
    FloApi__Failure *failure =
        flo_failure_timeout(&local->attempt_arena, "Activity timed out",
                            closed ? FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
                                   : FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE);
    if (closed)
        end(local, NULL, failure, FLO_API__RETRY_STATE__RETRY_STATE_TIMEOUT, 0);
    else
        failed(local, failure);
    deliver(held);
    local_unref(local);
}

static ProtobufCMessage *decode(struct local *local, const struct flo_outcome *outcome,
                                const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message = NULL;
    if (flo_wire_decode(type, outcome->body, outcome->body_len, &local->attempt_arena, &message,
                        NULL))
        kit_problem(local->env, FLO_ENOMEM, "no memory for the answer of a local activity");
    return message;
}

/* kit_attempt_ops.done. */
static void attempt_done(void *ctx, unsigned told, const uint8_t *reply, size_t len)
{
    (void)told;
    struct local *local = ctx;
    struct kit_held *held = local->held;
    struct flo_outcome outcome;
    local->attempt_now = NULL;
    local->timer++;
    if (flo_outcome_decode(reply, len, &outcome)) {
        kit_problem(local->env, FLO_EPROTO, "the answer of a local activity is damaged");
        return;
    }
    switch (outcome.kind) {
    case FLO_OUTCOME_COMPLETED:
        end(local, (void *)decode(local, &outcome, &flo_api__payloads__descriptor), NULL,
            FLO_API__RETRY_STATE__RETRY_STATE_UNSPECIFIED, 0);
        break;
    case FLO_OUTCOME_FAILED:
    case FLO_OUTCOME_UNREGISTERED:
        failed(local, (void *)decode(local, &outcome, &flo_api__failure__descriptor));
        break;
    case FLO_OUTCOME_CANCELLED:
        cancelled(local, (void *)decode(local, &outcome, &flo_api__payloads__descriptor));
        break;
    case FLO_OUTCOME_PENDING:
        failed(local,
               flo_failure_application(&local->attempt_arena,
                                       "A local activity cannot be left open, to be completed "
                                       "later",
                                       flo_error_name(FLO_EINVAL), true, NULL, 0));
        break;
    }
    deliver(held);
}

static unsigned attempt_beat(void *ctx, const uint8_t *details, size_t len)
{
    const struct local *local = ctx;
    (void)details, (void)len;
    return local->cancelled ? FLO_JOB_CANCEL_REQUESTED : FLO_JOB_RUNNING;
}

/* ---- how one begins ---- */

static void begin_attempt(struct local *local)
{
    static const struct kit_attempt_ops ops = {.beat = attempt_beat, .done = attempt_done};
    struct flo_test_env *env = local->env;
    int64_t now_ns = env->clock.now_ns;
    int64_t limit_ns = flo_duration_ns(local->task->start_to_close_timeout);
    flo_arena_reset(&local->attempt_arena);
    local->state = LOCAL_RUNNING;
    local->task->attempt = local->attempt;
    local->task->scheduled_time =
        flo_timestamp_new(&local->attempt_arena, local->original_schedule_ns);
    local->task->current_attempt_scheduled_time = local->task->started_time =
        flo_timestamp_new(&local->attempt_arena, now_ns);
    if (limit_ns <= 0 || local->close_by_ns - now_ns < limit_ns)
        limit_ns = local->close_by_ns == INT64_MAX ? INT64_MAX : local->close_by_ns - now_ns;
    if (limit_ns != INT64_MAX)
        arm(local, limit_ns, timed_out);
    local->attempt_now = kit_attempt_begin(env, true, local->task, INT64_MAX, &ops, local);
}

static void begin(struct kit_held *held, const struct flo_local_start *start)
{
    struct flo_test_env *env = held->env;
    struct local *local = flo_calloc(1, sizeof *local);
    ProtobufCMessage *task = NULL;
    if (!local) {
        kit_problem(env, FLO_ENOMEM, "no memory for a local activity");
        return;
    }
    *local = (struct local){.env = env,
                            .held = held,
                            .seq = start->seq,
                            .attempt = start->attempt,
                            .began_ns = env->clock.now_ns,
                            .original_schedule_ns = start->original_schedule_ns
                                                        ? start->original_schedule_ns
                                                        : env->clock.now_ns,
                            .threshold_ns = start->threshold_ns,
                            .close_by_ns = INT64_MAX,
                            .refs = 1};
    flo_arena_init(&local->arena, 0);
    flo_arena_init(&local->attempt_arena, 0);
    flo_list_push_back(&held->locals, &local->node);
    if (flo_wire_decode(&flo_api__poll_activity_task_queue_response__descriptor, start->task,
                        start->task_len, &local->arena, &task, NULL)) {
        kit_problem(env, FLO_ENOMEM, "no memory for a local activity");
        return;
    }
    local->task = (void *)task;
    local->task->activity_id = flo_arena_strdup(&local->arena, start->activity_id);
    int64_t close_ns = flo_duration_ns(local->task->schedule_to_close_timeout);
    if (close_ns > 0)
        local->close_by_ns = local->original_schedule_ns + close_ns;
    if (start->cancelled)
        cancelled(local, NULL);
    else
        begin_attempt(local);
}

static void stop(struct kit_held *held, const struct flo_local_cancel *cancel)
{
    FLO_LIST_FOREACH_SAFE(node, &held->locals)
    {
        struct local *local = flo_container(node, struct local, node);
        if (local->seq != cancel->seq)
            continue;
        if (cancel->forget) {
            local_drop(local);
        } else if (local->state == LOCAL_PAUSING) {
            cancelled(local, NULL);
        } else {
            local->cancelled = true;
            kit_attempt_tell(local->attempt_now, FLO_JOB_CANCEL_REQUESTED);
        }
        return;
    }
}

void kit_local_fini(struct flo_test_env *env)
{
    struct flo_map_entry *it;
    while ((it = flo_map_first(&env->held))) {
        struct kit_held *held = flo_map_value(it);
        struct kit_task *task = held->task;
        if (task)
            kit_task_free(&task);
        else
            held_free(held);
    }
    flo_map_fini(&env->held);
    /* What is left belongs to events that will not come. */
    for (size_t i = 0; i < env->clock.count; i++) {
        const struct kit_event *event = &env->clock.events[i];
        if (event->fn == pause_over || event->fn == timed_out)
            local_unref(event->ctx);
    }
}
