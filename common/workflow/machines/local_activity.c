/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_activity.c - the life of a local activity. Its attempts leave no trace in history; how it
 * ended does, as a marker.
 *
 *              start               handed out             the worker's result
 *   (code) ----------> SCHEDULED --------------> RUNNING ---------------------> MARKING
 *                        |  |  \                    | cancel (TRY, ABANDON)      ^  |
 *        cancel in the   |  |   \ its marker        +----------------------------+  |
 *        step of its     |  |    \ stands behind,                                   |
 *        start           |  |     \ or cancel                                       |
 *                        v  |      +-------> REPLAYED ------------------------------+
 *                   DROPPED |                                  MarkerRecorded       |
 *                           |         the timer fired                               |
 *                           +<--------------------------- PAUSED <------------------+
 *                                                              | cancel             |
 *                                                              +-----> CLOSED <-----+
 *
 * SCHEDULED: nobody runs it, because the run is being replayed or its task's answer to the worker
 * is not finished. MARKING: the code has the result, and the command that records it is on its
 * way. REPLAYED: the code has it from the marker, which is to come by as an event, in the place
 * that its command has among the others. PAUSED: this attempt failed, and the next one waits for a
 * timer, longer than the worker wants to hold the task open; then it goes on under a new seq.
 *
 * Order is what must be the same in each replay. Live, results are handed to the code one at a
 * time, in the order in which they came, and the code runs after each; replaying, the markers
 * behind a task's completion are handed over in the same way, before the next task's events. A
 * result also moves the workflow's time, to the moment that its marker names.
 *
 * Cancelling with TRY or ABANDON ends it for the code at once, and records the marker there and
 * then; WAIT only tells the worker. Cancelled in the very step that started it, it never was.
 *
 * Invariant: it is in run->locals, under its seq, from SCHEDULED until its marker has been seen.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/fill.h"
#include "workflow/intercept.h"
#include "workflow/marker.h"
#include "workflow/trace.h"

enum state { SCHEDULED, RUNNING, MARKING, REPLAYED, PAUSED, CLOSED, DROPPED };

static const struct flo_machine_state states[] = {
    [SCHEDULED] = {"scheduled", FLO_STATE_BIT(RUNNING) | FLO_STATE_BIT(MARKING) |
                                    FLO_STATE_BIT(REPLAYED) | FLO_STATE_BIT(DROPPED)},
    [RUNNING] = {"running", FLO_STATE_BIT(MARKING)},
    [MARKING] = {"marking", FLO_STATE_BIT(PAUSED) | FLO_STATE_BIT(CLOSED)},
    [REPLAYED] = {"replayed", FLO_STATE_BIT(PAUSED) | FLO_STATE_BIT(CLOSED)},
    [PAUSED] = {"paused", FLO_STATE_BIT(SCHEDULED) | FLO_STATE_BIT(CLOSED)},
    [CLOSED] = {"closed", 0},
    [DROPPED] = {"dropped", 0},
};

struct flo_local {
    struct flo_future future; /* first */
    struct flo_machine machine;
    struct flo_node node;        /* on run->local_waiting or run->local_pauses, by the state */
    struct flo_node cancel_node; /* on run->local_cancels */
    enum flo_cancellation_type cancellation;
    bool cancel_asked; /* WAIT: cancelled while there was no worker to tell */
    bool forget;       /* ABANDON: the worker is not to stop it */
    uint64_t seq;
    uint64_t born_step; /* the step that started it; 0: the end of a pause did */
    int32_t attempt;
    int64_t began_ns; /* workflow time when it was started */
    int64_t original_schedule_ns;
    int64_t schedule_to_start_ns, threshold_ns;
    struct flo_future *timer; /* of the pause that follows; NULL without one */
    uint8_t *task;            /* packed, what does not change; in the run's heap */
    size_t task_len;
    char chosen_id[24];    /* when the code gave none */
    const char *id, *type; /* id: chosen_id, or in texts as type */
    char *summary;         /* in the run's heap; NULL: none */
    char texts[];
};

/* What is known of an end, from the worker or from a marker. */
struct ending {
    int32_t attempt;
    int64_t complete_ns, backoff_ns, original_schedule_ns;
    const FloApi__Payloads *result;
    const FloApi__Failure *failure;
    FloApi__RetryState retry_state;
};

static struct flo_local *local_of(struct flo_node *node)
{
    return flo_container(node, struct flo_local, node);
}

/* The lists that a state is on, and the machine's reference, which goes with the last move. */
static int move(struct flo_local *local, enum state to)
{
    struct flo_run *run = local->future.run;
    unsigned from = local->machine.state;
    int rc = flo_machine_move(&local->machine, to);
    if (rc)
        return rc;
    if (from == SCHEDULED)
        flo_list_remove(&run->local_waiting, &local->node);
    if (from == PAUSED)
        flo_list_remove(&run->local_pauses, &local->node);
    run->local_running += (to == RUNNING) - (from == RUNNING);
    if (to == SCHEDULED)
        flo_list_push_back(&run->local_waiting, &local->node);
    if (to == PAUSED)
        flo_list_push_back(&run->local_pauses, &local->node);
    if (from != PAUSED && (to == PAUSED || to == CLOSED || to == DROPPED))
        flo_map_remove(&run->locals, &local->seq, sizeof local->seq);
    if (flo_machine_final(&local->machine)) {
        flo_heap_free(local->task);
        flo_heap_free(local->summary);
        flo_future_unref(&local->future);
    }
    return 0;
}

/* ---- the marker's command ---- */

/* Not called: markers come by flo_local_recorded. */
static int recorded(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    (void)command;
    (void)event;
    return FLO_ENONDET;
}

static void describe(const struct flo_command *command, char *out_text, size_t size)
{
    const struct flo_local *local = flo_container(command->future, struct flo_local, future);
    snprintf(out_text, size, "local activity %" PRIu64 ", type %.90s", local->seq, local->type);
}

static const struct flo_command_ops marker_ops = {FLO_COMMAND(RECORD_MARKER), recorded, describe};

static int issue_marker(struct flo_local *local, const struct ending *end)
{
    struct flo_run *run = local->future.run;
    const struct flo_marker marker = {
        .seq = local->seq,
        .attempt = end->attempt,
        .activity_id = local->id,
        .type = local->type,
        .complete_ns = end->complete_ns,
        .backoff_ns = end->backoff_ns,
        .original_schedule_ns = end->original_schedule_ns,
        .step = (int64_t)run->task_steps,
        .result = end->result,
        .failure = end->failure,
    };
    struct flo_command *command = flo_command_issue(run, &marker_ops, &local->future);
    if (!command)
        return FLO_ENOMEM;
    int rc = command->message ? flo_marker_fill(&marker, run->answer, command->message) : 0;
    return rc || !local->summary ? rc : flo_command_summarise(run, command, local->summary);
}

/* ---- ending ---- */

static int fail(struct flo_local *local, int rc, const char *message, const struct ending *end)
{
    FloApi__ActivityFailureInfo info;
    flo_api__activity_failure_info__init(&info);
    info.activity_id = (char *)(uintptr_t)local->id;
    info.identity = (char *)(uintptr_t)local->future.run->env.identity;
    info.retry_state = end->retry_state;
    return flo_activity_fail_future(&local->future, rc, message, end->failure, &info, local->type);
}

static int fail_as(struct flo_local *local, const struct ending *end)
{
    if (flo_failure_is_cancelled(end->failure))
        return fail(local, FLO_ECANCELLED, "Local activity cancelled", end);
    if (end->failure->failure_info_case == FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO)
        return fail(local, FLO_EFAILED, "Local activity timed out", end);
    return fail(local, FLO_EFAILED, "Local activity failed", end);
}

/* The next attempt is too far away: a timer, which belongs to the future and to nobody else. */
static int begin_pause(struct flo_local *local, const struct ending *end)
{
    local->timer = flo_timer_new(local->future.run, NULL,
                                 (end->backoff_ns + FLO_NS_PER_MS - 1) / FLO_NS_PER_MS, NULL);
    if (!local->timer)
        return FLO_ENOMEM;
    local->attempt = end->attempt + 1;
    local->original_schedule_ns = end->original_schedule_ns;
    return 0;
}

/* The code gets what is known; the marker is recorded by the caller, or was. */
static int apply(struct flo_local *local, const struct ending *end, struct flo_err *err)
{
    struct flo_run *run = local->future.run;
    if (end->complete_ns > run->now_ns)
        run->now_ns = end->complete_ns;
    if (end->backoff_ns > 0)
        return begin_pause(local, end);
    if (end->failure)
        return fail_as(local, end);
    int rc = flo_future_succeed(&local->future, end->result, err);
    if (rc == FLO_EPROTO || rc == FLO_EPERM)
        flo_err_prefix(err, "the result of local activity %.100s", local->type);
    return rc;
}

/* ---- cancelling ---- */

static void cancelled_ending(const struct flo_local *local, FloApi__Failure *failure,
                             FloApi__CanceledFailureInfo *info, struct ending *out)
{
    flo_failure_cancelled_init(failure, info, "Activity cancelled");
    *out = (struct ending){.attempt = local->attempt,
                           .original_schedule_ns = local->original_schedule_ns,
                           .failure = failure,
                           .retry_state = FLO_API__RETRY_STATE__RETRY_STATE_CANCEL_REQUESTED};
}

static int fail_cancelled(struct flo_local *local)
{
    FloApi__Failure failure;
    FloApi__CanceledFailureInfo info;
    struct ending end;
    cancelled_ending(local, &failure, &info, &end);
    return fail_as(local, &end);
}

static void tell_worker(struct flo_local *local, bool forget)
{
    if (local->machine.state != RUNNING || flo_node_linked(&local->cancel_node))
        return;
    local->forget = forget;
    flo_list_push_back(&local->future.run->local_cancels, &local->cancel_node);
}

/* TRY and ABANDON: over at once, with a marker that says so. */
static int cancel_now(struct flo_local *local)
{
    FloApi__Failure failure;
    FloApi__CanceledFailureInfo info;
    struct ending end;
    cancelled_ending(local, &failure, &info, &end);
    bool replaying = local->future.run->replaying;
    int rc = issue_marker(local, &end);
    if (rc == 0)
        rc = fail_as(local, &end);
    if (rc)
        return rc;
    tell_worker(local, local->cancellation == FLO_CANCEL_ABANDON);
    return move(local, replaying ? REPLAYED : MARKING);
}

static int cancel_pause(struct flo_local *local)
{
    struct flo_future *timer = local->timer;
    int rc = fail_cancelled(local);
    local->timer = NULL;
    if (rc == 0 && !timer->ready)
        timer->ops->cancel(timer);
    flo_future_unref(timer);
    return rc == 0 && local->machine.state == PAUSED ? move(local, CLOSED) : rc;
}

static void cancel(struct flo_future *future)
{
    struct flo_local *local = flo_container(future, struct flo_local, future);
    struct flo_run *run = future->run;
    bool scheduled = local->machine.state == SCHEDULED;
    int rc = 0;
    if (local->timer) {
        rc = cancel_pause(local);
    } else if (scheduled && local->born_step == run->steps) {
        rc = fail_cancelled(local);
        if (rc == 0)
            rc = move(local, DROPPED);
    } else if (local->cancellation == FLO_CANCEL_WAIT) {
        local->cancel_asked = true;
        tell_worker(local, false);
    } else if (scheduled || local->machine.state == RUNNING) {
        rc = cancel_now(local);
    }
    if (rc)
        flo_run_no_memory(run);
}

static void describe_future(const struct flo_future *future, char *out_text, size_t size)
{
    const struct flo_local *local = flo_container(future, struct flo_local, future);
    snprintf(out_text, size, "local activity %" PRIu64 ", type %.90s", local->seq, local->type);
}

static const struct flo_future_ops future_ops = {.cancel = cancel, .describe = describe_future};

/* ---- starting ---- */

/* What all attempts have in common, packed, so that no later change of a value shows in it. */
static int pack_task(struct flo_local *local, json_t *input, const json_t *headers,
                     const struct flo_local_activity_options *o)
{
    struct flo_run *run = local->future.run;
    FloApi__PollActivityTaskQueueResponse task = FLO_API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT;
    FloApi__ActivityType activity_type = FLO_API__ACTIVITY_TYPE__INIT;
    FloApi__WorkflowType workflow_type = FLO_API__WORKFLOW_TYPE__INIT;
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    bool no_memory = false;
    activity_type.name = (char *)(uintptr_t)local->type;
    workflow_type.name = (char *)(uintptr_t)run->info.type;
    execution.workflow_id = (char *)(uintptr_t)run->info.workflow_id;
    execution.run_id = (char *)(uintptr_t)run->info.run_id;
    task.activity_type = &activity_type;
    task.workflow_type = &workflow_type;
    task.workflow_execution = &execution;
    task.workflow_namespace = (char *)(uintptr_t)run->env.namespace_;
    task.input = input ? flo_payloads_from_json(run->answer, input) : NULL;
    task.header = headers ? flo_fill_header(run->answer, headers, &no_memory) : NULL;
    task.schedule_to_close_timeout =
        flo_fill_duration(run->answer, o->schedule_to_close_ms, &no_memory);
    task.start_to_close_timeout = flo_fill_duration(
        run->answer, o->start_to_close_ms ? o->start_to_close_ms : o->schedule_to_close_ms,
        &no_memory);
    task.retry_policy = flo_fill_retry(run->answer, o->retry, &no_memory);
    if (no_memory || (input && !task.input))
        return FLO_ENOMEM;
    if (run->trace && flo_trace_activity(run, local->type, &task.header))
        return FLO_ENOMEM;
    local->task_len = flo_wire_size(&task.base);
    local->task = flo_heap_alloc(run->heap, local->task_len);
    if (!local->task)
        return FLO_ENOMEM;
    flo_wire_pack(&task.base, local->task, local->task_len);
    return 0;
}

/* Under the next seq, not begun. */
static int enroll(struct flo_local *local)
{
    struct flo_run *run = local->future.run;
    local->seq = ++run->activity_count;
    if (local->id == local->chosen_id)
        flo_decimal(local->seq, local->chosen_id);
    local->began_ns = run->now_ns;
    return flo_map_put(&run->locals, &local->seq, sizeof local->seq, local, NULL);
}

static struct flo_local *local_alloc(struct flo_workflow *wf, const char *id, const char *type)
{
    size_t id_len = id ? strlen(id) + 1 : 0, type_len = strlen(type) + 1;
    struct flo_local *local = flo_heap_calloc(wf->run->heap, sizeof *local + id_len + type_len);
    if (!local)
        return NULL;
    flo_future_init(&local->future, wf->run, wf->scope, &future_ops);
    local->type = memcpy(local->texts, type, type_len);
    local->id = id ? memcpy(local->texts + type_len, id, id_len) : local->chosen_id;
    local->machine = (struct flo_machine){states, DROPPED};
    local->attempt = 1;
    return local;
}

static int start(struct flo_local *local, json_t *input, const json_t *headers,
                 const struct flo_local_activity_options *o)
{
    struct flo_run *run = local->future.run;
    int64_t threshold_ms = o->local_retry_threshold_ms;
    local->cancellation = o->cancellation;
    local->schedule_to_start_ns = o->schedule_to_start_ms * FLO_NS_PER_MS;
    local->threshold_ns = threshold_ms ? threshold_ms * FLO_NS_PER_MS : run->task_timeout_ns;
    local->born_step = run->steps;
    if (o->summary && !(local->summary = flo_heap_strdup(run->heap, o->summary)))
        return FLO_ENOMEM;
    int rc = pack_task(local, input, headers, o);
    if (rc == 0)
        rc = enroll(local);
    if (rc)
        return rc;
    local->machine.state = SCHEDULED;
    flo_list_push_back(&run->local_waiting, &local->node);
    flo_future_ref(&local->future); /* the machine's */
    return 0;
}

static int check(const char *type, const struct flo_local_activity_options *o, struct flo_err *err)
{
    const int64_t longest_ms = INT64_MAX / FLO_NS_PER_MS;
    const struct flo_activity_options same = {.activity_id = o->activity_id,
                                              .schedule_to_close_ms = o->schedule_to_close_ms,
                                              .schedule_to_start_ms = o->schedule_to_start_ms,
                                              .start_to_close_ms = o->start_to_close_ms,
                                              .retry = o->retry,
                                              .cancellation = o->cancellation,
                                              .summary = o->summary,
                                              .headers = o->headers};
    int rc = flo_activity_check(type, &same, err);
    if (rc)
        return rc;
    if (o->local_retry_threshold_ms < 0 || o->local_retry_threshold_ms > longest_ms ||
        o->schedule_to_start_ms > longest_ms)
        return flo_fail(err, FLO_EINVAL, "local activity %.100s: a timeout is out of range", type);
    return 0;
}

static struct flo_future *start_intercepted(struct flo_workflow *wf, struct flo_local *local,
                                            json_t *input,
                                            const struct flo_local_activity_options *o)
{
    struct flo_outbound out = {.call = {.kind = FLO_OUTBOUND_LOCAL_ACTIVITY,
                                        .name = local->type,
                                        .task_queue = "",
                                        .workflow_id = "",
                                        .input = input,
                                        .headers = o->headers}};
    int rc = flo_outbound_run(wf, &out);
    if (rc == 0)
        rc = start(local, out.call.input, out.call.headers, o);
    else
        rc = flo_outbound_refuse(wf, rc, &local->future);
    flo_outbound_fini(&out);
    return rc ? NULL : &local->future;
}

struct flo_future *flo_local_new(struct flo_workflow *wf, const char *type, json_t *input,
                                 const struct flo_local_activity_options *options)
{
    static const struct flo_local_activity_options none = {0};
    const struct flo_local_activity_options *o = options ? options : &none;
    struct flo_err why = {0};
    bool refused = check(type, o, &why) != 0;
    struct flo_local *local = local_alloc(wf, o->activity_id, type ? type : "");
    if (!local)
        return NULL;
    if (refused) {
        flo_future_refuse(&local->future, &why);
        return &local->future;
    }
    if (flo_workflow_cancelled(wf))
        return fail_cancelled(local) ? NULL : &local->future;
    if (wf->run->interception)
        return start_intercepted(wf, local, input, o);
    return start(local, input, o->headers, o) ? NULL : &local->future;
}

int flo_local_resume(struct flo_run *run)
{
    FLO_LIST_FOREACH_SAFE(node, &run->local_pauses)
    {
        struct flo_local *local = local_of(node);
        if (!local->timer->ready)
            continue;
        flo_future_unref(local->timer);
        local->timer = NULL;
        local->born_step = 0;
        int rc = enroll(local);
        if (rc == 0)
            rc = move(local, SCHEDULED);
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- to the worker and back ---- */

static int hand_out_starts(struct flo_run *run, struct flo_activation *out)
{
    out->local_starts =
        flo_arena_calloc(run->answer, run->local_waiting.count, sizeof *out->local_starts);
    if (!out->local_starts)
        return FLO_ENOMEM;
    FLO_LIST_FOREACH_SAFE(node, &run->local_waiting)
    {
        struct flo_local *local = local_of(node);
        out->local_starts[out->local_start_count++] =
            (struct flo_local_start){.seq = local->seq,
                                     .task = local->task,
                                     .task_len = local->task_len,
                                     .activity_id = local->id,
                                     .attempt = local->attempt,
                                     .original_schedule_ns = local->original_schedule_ns,
                                     .schedule_to_start_ns = local->schedule_to_start_ns,
                                     .threshold_ns = local->threshold_ns,
                                     .cancelled = local->cancel_asked};
        int rc = move(local, RUNNING);
        if (rc)
            return rc;
    }
    return 0;
}

static int hand_out_cancels(struct flo_run *run, struct flo_activation *out)
{
    struct flo_node *node;
    out->local_cancels =
        flo_arena_calloc(run->answer, run->local_cancels.count, sizeof *out->local_cancels);
    if (!out->local_cancels)
        return FLO_ENOMEM;
    while ((node = flo_list_pop_front(&run->local_cancels))) {
        const struct flo_local *local = flo_container(node, struct flo_local, cancel_node);
        out->local_cancels[out->local_cancel_count++] =
            (struct flo_local_cancel){.seq = local->seq, .forget = local->forget};
    }
    return 0;
}

int flo_local_hand_out(struct flo_run *run, struct flo_activation *out)
{
    bool open = run->machine.state == FLO_RUN_OPEN; /* else nobody waits for more */
    int rc = open && run->local_waiting.count ? hand_out_starts(run, out) : 0;
    return rc == 0 && run->local_cancels.count ? hand_out_cancels(run, out) : rc;
}

/* Times come from histories, which may say anything. */
static int64_t later(int64_t from_ns, int64_t by_ns)
{
    return from_ns > INT64_MAX - by_ns ? INT64_MAX : from_ns + by_ns;
}

int flo_local_resolve(struct flo_run *run, const struct flo_local_result *result, bool *out_wakes,
                      struct flo_err *err)
{
    struct flo_local *local = flo_map_get(&run->locals, &result->seq, sizeof result->seq);
    *out_wakes = local && local->machine.state == RUNNING;
    if (!*out_wakes)
        return 0; /* cancelled meanwhile */
    if (flo_node_linked(&local->cancel_node))
        flo_list_remove(&run->local_cancels, &local->cancel_node);
    struct ending end = {.attempt = result->attempt,
                         .complete_ns = later(local->began_ns, result->ran_ns),
                         .backoff_ns = local->cancel_asked ? 0 : result->backoff_ns,
                         .original_schedule_ns = result->original_schedule_ns,
                         .result = result->result,
                         .failure = result->failure,
                         .retry_state = result->retry_state};
    if (end.complete_ns < run->now_ns)
        end.complete_ns = run->now_ns;
    local->original_schedule_ns = result->original_schedule_ns;
    int rc = issue_marker(local, &end);
    if (rc == 0)
        rc = apply(local, &end, err);
    return rc ? rc : move(local, MARKING);
}

/* ---- history ---- */

/* The one that the marker is about. FLO_ENONDET: another type has that seq; without a sentence:
 * nothing has. */
static int find(struct flo_run *run, const FloApi__HistoryEvent *event,
                const struct flo_marker *marker, struct flo_local **out, struct flo_err *err)
{
    struct flo_local *local = flo_map_get(&run->locals, &marker->seq, sizeof marker->seq);
    if (!local)
        return FLO_ENONDET;
    if (strcmp(local->type, marker->type) != 0 || strcmp(local->id, marker->activity_id) != 0) {
        char history[320];
        flo_event_describe(event, history, sizeof history);
        return flo_fail(err, FLO_ENONDET,
                        "%s, but the code started local activity %" PRIu64
                        " with type %.90s and id %.60s",
                        history, local->seq, local->type, local->id);
    }
    *out = local;
    return 0;
}

static int foresee(struct flo_run *run, const struct flo_marker *marker, struct flo_local *local,
                   struct flo_err *err)
{
    const struct ending end = {.attempt = marker->attempt,
                               .complete_ns = marker->complete_ns,
                               .backoff_ns = marker->backoff_ns,
                               .original_schedule_ns = marker->original_schedule_ns,
                               .result = marker->result,
                               .failure = marker->failure};
    struct flo_command *command = flo_command_issue(run, &marker_ops, &local->future);
    int rc = command ? apply(local, &end, err) : FLO_ENOMEM;
    return rc ? rc : move(local, REPLAYED);
}

/* Decode the event's marker and find its local activity. Whatever is returned, the caller calls
 * flo_marker_fini; *out_marker is all zero before. */
static int read_marker(struct flo_run *run, const FloApi__HistoryEvent *event,
                       struct flo_marker *out_marker, struct flo_local **out_local,
                       struct flo_err *err)
{
    int rc = flo_marker_decode(event, out_marker, err);
    return rc ? rc : find(run, event, out_marker, out_local, err);
}

int flo_local_foresee(struct flo_run *run, const FloApi__HistoryEvent *event, bool *out_wakes,
                      struct flo_err *err)
{
    struct flo_local *local = NULL;
    struct flo_marker marker = {0};
    *out_wakes = false;
    int rc = read_marker(run, event, &marker, &local, err);
    if (rc == 0 && local->machine.state == SCHEDULED) {
        *out_wakes = true;
        rc = foresee(run, &marker, local, err);
    }
    flo_marker_fini(&marker);
    return rc == FLO_ENONDET && !err->code ? 0 : rc; /* it is compared when it comes by */
}

int flo_local_recorded(struct flo_run *run, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    struct flo_local *local = NULL;
    struct flo_marker marker = {0};
    int rc = read_marker(run, event, &marker, &local, err);
    flo_marker_fini(&marker);
    if (rc)
        return rc;
    struct flo_node *first = flo_list_first(&run->commands);
    struct flo_command *command = first ? flo_container(first, struct flo_command, node) : NULL;
    if (!command || command->ops != &marker_ops || command->future != &local->future)
        return FLO_ENONDET;
    flo_command_withdraw(run, &marker_ops, &local->future);
    return move(local, local->timer ? PAUSED : CLOSED);
}

void flo_local_describe_waiting(const struct flo_run *run, char *out_text, size_t size)
{
    struct flo_node *first = flo_list_first(&run->local_waiting);
    if (!first)
        return;
    const struct flo_local *local = local_of(first);
    snprintf(out_text, size, "local activity %" PRIu64 ", type %.90s", local->seq, local->type);
}
