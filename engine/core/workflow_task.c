/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow_task.c - the workflow task of a run; its states are in execution.h.
 *
 * At most one is pending. The first attempt writes its events when they happen; every further one
 * is transient: a workflow that fails again and again on the normal queue leaves one WFTFailed in
 * its history, and the attempt's Scheduled and Started are only shown to its worker, and written
 * when it succeeds. If anything else is written in between, the attempts start from 1 again.
 *
 * A speculative task, for updates alone, writes nothing either. Whatever else happens to the run
 * makes it a real one first (flo_core_workflow_task_keep), so that its ids stay what its worker was
 * told; when it only led to rejections it is discarded.
 *
 * A sticky task goes to the queue of the worker that has the run in its cache; when that worker
 * does not take it in time, fails it or times out, stickiness ends and the next task carries the
 * whole history to whoever polls the normal queue.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/timers.h"
#include "engine/core/token.h"
#include "engine/core/update.h"

#define GROWTH_FROM_ATTEMPT 4        /* attempts from here on get more and more time */
#define GROWTH_NS (5 * FLO_NS_PER_S) /* doubled with each attempt */
#define GROWTH_MAX_NS (INT64_C(10) * 60 * FLO_NS_PER_S)
#define GROWTH_JITTER 0.2 /* the share of it that varies */

/* ---- events ---- */

struct task_events {
    FloApi__WorkflowTaskScheduledEventAttributes scheduled;
    FloApi__WorkflowTaskStartedEventAttributes started;
    FloApi__TaskQueue queue;
    Google__Protobuf__Duration start_to_close;
    FloApi__WorkerVersionStamp version;
    FloApi__SuggestContinueAsNewReason reasons[3];
};

static void fill_scheduled(const struct flo_execution *execution, struct task_events *events)
{
    const struct flo_core_workflow_task *task = &execution->workflow_task;
    flo_api__workflow_task_scheduled_event_attributes__init(&events->scheduled);
    flo_api__task_queue__init(&events->queue);
    if (task->sticky) {
        events->queue.name = flo_text(execution->sticky_queue);
        events->queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY;
        events->queue.normal_name = flo_text(execution->task_queue);
    } else {
        events->queue.name = flo_text(execution->task_queue);
        events->queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    }
    events->start_to_close = flo_make_duration(task->start_to_close_ns);
    events->scheduled.task_queue = &events->queue;
    events->scheduled.start_to_close_timeout = &events->start_to_close;
    events->scheduled.attempt = task->attempt;
}

static void fill_started(struct flo_core *core, const struct flo_execution *execution,
                         struct task_events *events)
{
    const struct flo_core_workflow_task *task = &execution->workflow_task;
    FloApi__WorkflowTaskStartedEventAttributes *started = &events->started;
    flo_api__workflow_task_started_event_attributes__init(started);
    started->scheduled_event_id = task->scheduled_id;
    started->identity = flo_text(task->start->identity);
    started->request_id = flo_text(task->start->request_id);
    /* the task that comes with the start's own answer does not tell it */
    if (!execution->start_request_id ||
        strcmp(task->start->request_id, execution->start_request_id) != 0)
        started->history_size_bytes = task->history_bytes;
    if (task->start->has_build_id) {
        flo_api__worker_version_stamp__init(&events->version);
        events->version.build_id = flo_text(task->start->build_id);
        started->worker_version = &events->version;
    }
    if (!task->suggest_continue_as_new)
        return;
    started->suggest_continue_as_new = true;
    started->suggest_continue_as_new_reasons = events->reasons;
    if (task->history_bytes >= core->options.history_size_suggest)
        events->reasons[started->n_suggest_continue_as_new_reasons++] =
            FLO_API__SUGGEST_CONTINUE_AS_NEW_REASON__SUGGEST_CONTINUE_AS_NEW_REASON_HISTORY_SIZE_TOO_LARGE;
    if (task->scheduled_id >= core->options.history_count_suggest)
        events->reasons[started->n_suggest_continue_as_new_reasons++] =
            FLO_API__SUGGEST_CONTINUE_AS_NEW_REASON__SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_HISTORY_EVENTS;
    if (flo_updates_recorded(execution) >= FLO_CORE_RUN_SUGGEST_UPDATES)
        events->reasons[started->n_suggest_continue_as_new_reasons++] =
            FLO_API__SUGGEST_CONTINUE_AS_NEW_REASON__SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_UPDATES;
}

static void write_scheduled(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    struct task_events events;
    fill_scheduled(execution, &events);
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        .attributes = &events.scheduled,
        .time_ns = task->scheduled_ns,
    };
    task->scheduled_id = flo_history_write(core, execution, &event);
}

static void write_started(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    struct task_events events;
    fill_started(core, execution, &events);
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_STARTED,
        .attributes = &events.started,
        .time_ns = task->started_ns,
    };
    task->started_id = flo_history_write(core, execution, &event);
    flo_history_seal(&execution->history); /* a batch ends here: a reset may begin behind it */
}

static void synthetic_event(FloApi__HistoryEvent *event, Google__Protobuf__Timestamp *time,
                            int64_t id, int64_t time_ns)
{
    flo_api__history_event__init(event);
    *time = flo_make_timestamp(time_ns);
    event->event_id = id;
    event->event_time = time;
}

int flo_core_workflow_task_synthetic(struct flo_core *core, const struct flo_execution *execution,
                                     const uint8_t **out_data, size_t *out_len)
{
    const struct flo_core_workflow_task *task = &execution->workflow_task;
    *out_data = NULL;
    *out_len = 0;
    if (task->stage != FLO_CORE_WORKFLOW_TASK_STARTED || !task->transient)
        return 0;
    struct task_events events;
    FloApi__HistoryEvent scheduled, started;
    Google__Protobuf__Timestamp scheduled_time, started_time;
    fill_scheduled(execution, &events);
    fill_started(core, execution, &events);
    synthetic_event(&scheduled, &scheduled_time, task->scheduled_id, task->scheduled_ns);
    scheduled.event_type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_SCHEDULED;
    scheduled.attributes_case =
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_TASK_SCHEDULED_EVENT_ATTRIBUTES;
    scheduled.workflow_task_scheduled_event_attributes = &events.scheduled;
    synthetic_event(&started, &started_time, task->started_id, task->started_ns);
    started.event_type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_STARTED;
    started.attributes_case =
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_TASK_STARTED_EVENT_ATTRIBUTES;
    started.workflow_task_started_event_attributes = &events.started;
    FloApi__HistoryEvent *list[] = {&scheduled, &started};
    FloApi__History history = FLO_API__HISTORY__INIT;
    history.events = list;
    history.n_events = 2;
    uint8_t *data;
    if (flo_wire_encode_arena(&history.base, &core->scratch, &data, out_len))
        return FLO_ENOMEM;
    *out_data = data;
    return 0;
}

/* ---- scheduling ---- */

void flo_execution_clear_sticky(struct flo_core *core, struct flo_execution *execution)
{
    flo_names_put(&core->names, &execution->sticky_queue);
}

/* Later attempts get more time: that is what slows down a worker that never answers. */
static int64_t start_to_close(struct flo_core *core, const struct flo_execution *execution)
{
    int32_t attempt = execution->workflow_task.attempt;
    int64_t timeout = execution->task_timeout_ns;
    if (attempt < GROWTH_FROM_ATTEMPT)
        return timeout;
    int doublings = attempt - GROWTH_FROM_ATTEMPT;
    int64_t growth = doublings > 7 ? GROWTH_MAX_NS : GROWTH_NS << doublings;
    if (growth > GROWTH_MAX_NS)
        growth = GROWTH_MAX_NS;
    double jitter = 1 - GROWTH_JITTER * flo_rng_unit(&core->rng);
    return timeout + (int64_t)((double)growth * jitter);
}

static void time_out(struct flo_core *core, struct flo_core_timer *timer);

void flo_core_workflow_task_arm(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    if (task->stage == FLO_CORE_WORKFLOW_TASK_STARTED)
        flo_core_run_timer(core, &task->timer,
                           flo_add_ns(task->started_ns, task->start_to_close_ns), time_out);
    else if (task->stage == FLO_CORE_WORKFLOW_TASK_SCHEDULED && task->sticky)
        flo_core_run_timer(core, &task->timer,
                           flo_add_ns(task->scheduled_ns, execution->sticky_schedule_to_start_ns),
                           time_out);
    else if (task->stage == FLO_CORE_WORKFLOW_TASK_SCHEDULED && task->speculative)
        flo_core_run_timer(core, &task->timer,
                           flo_add_ns(task->scheduled_ns, FLO_CORE_SPECULATIVE_NS), time_out);
    else
        flo_core_timers_clear(&core->timers, &task->timer);
}

void flo_core_workflow_task_queue(struct flo_core *core, struct flo_execution *execution)
{
    if (flo_matching_add_workflow_task(core, execution, execution->task_queue,
                                       execution->sticky_queue))
        flo_core_set_fatal(core);
}

static void schedule(struct flo_core *core, struct flo_execution *execution, bool speculative)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    if (!flo_execution_is_open(execution) || task->stage != FLO_CORE_WORKFLOW_TASK_NONE ||
        execution->first_task_pending)
        return;
    if (flo_history_flush(core, execution)) {
        task->attempt = 1;
        speculative = false;
    }
    task->sticky = execution->sticky_queue != NULL;
    task->speculative = speculative && task->attempt == 1;
    task->transient = task->speculative || task->attempt > 1;
    task->start_to_close_ns = start_to_close(core, execution);
    task->scheduled_ns = flo_event_time(core);
    task->original_scheduled_ns = task->scheduled_ns;
    task->scheduled_id = execution->history.next_event_id;
    task->started_id = 0;
    task->stage = FLO_CORE_WORKFLOW_TASK_SCHEDULED;
    if (!task->transient)
        write_scheduled(core, execution);
    flo_core_workflow_task_queue(core, execution);
    flo_core_workflow_task_arm(core, execution);
}

void flo_core_workflow_task_schedule(struct flo_core *core, struct flo_execution *execution)
{
    schedule(core, execution, false);
}

void flo_core_workflow_task_speculate(struct flo_core *core, struct flo_execution *execution)
{
    schedule(core, execution, true);
}

void flo_core_workflow_task_keep(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    task->speculative = false;
    task->transient = false;
    write_scheduled(core, execution);
    if (task->stage == FLO_CORE_WORKFLOW_TASK_STARTED)
        write_started(core, execution);
    flo_core_workflow_task_arm(core, execution);
}

void flo_core_workflow_task_unstick(struct flo_core *core, struct flo_execution *execution)
{
    bool waits_there = execution->sticky_queue &&
                       execution->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_SCHEDULED;
    flo_execution_clear_sticky(core, execution);
    if (waits_there)
        flo_core_workflow_task_queue(core, execution);
}

/* ---- start ---- */

/* A transient task is shown behind the history as it was. When that has grown, it is a new one. */
static void refresh_transient(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    if (!task->transient || task->scheduled_id == execution->history.next_event_id)
        return;
    task->attempt = 1;
    task->transient = false;
    task->start_to_close_ns = execution->task_timeout_ns;
    task->scheduled_ns = flo_event_time(core);
    write_scheduled(core, execution);
}

bool flo_core_workflow_task_set_start(struct flo_core *core, struct flo_core_workflow_task *task,
                                      const struct flo_core_worker *worker)
{
    const char *from[] = {worker->identity, worker->build_id, worker->request_id};
    size_t sizes[3], bytes = sizeof *task->start;
    for (int i = 0; i < 3; i++)
        bytes += sizes[i] = strlen(flo_text(from[i])) + 1;
    struct flo_task_start *start = flo_malloc(bytes);
    if (!start) {
        flo_core_set_fatal(core);
        return false;
    }
    const char **to[] = {&start->identity, &start->build_id, &start->request_id};
    char *at = start->text;
    for (int i = 0; i < 3; i++) {
        *to[i] = memcpy(at, flo_text(from[i]), sizes[i]);
        at += sizes[i];
    }
    start->has_build_id = worker->has_build_id;
    flo_free(task->start);
    task->start = start;
    return true;
}

void flo_core_workflow_task_forget_start(struct flo_execution *execution)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    if (task->stage == FLO_CORE_WORKFLOW_TASK_STARTED)
        return;
    flo_free(task->start);
    task->start = NULL;
}

int flo_core_workflow_task_start(struct flo_core *core, struct flo_execution *execution,
                                 const struct flo_core_worker *worker, bool from_sticky)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    if (!flo_execution_is_open(execution) || task->stage != FLO_CORE_WORKFLOW_TASK_SCHEDULED)
        return FLO_ENOENT;
    if (from_sticky && !execution->sticky_queue) {
        flo_core_workflow_task_queue(core, execution);
        return FLO_ENOENT;
    }
    flo_matching_remove(core, &execution->hooks.workflow_task);
    if (!from_sticky)
        flo_execution_clear_sticky(core, execution);
    refresh_transient(core, execution);
    if (!flo_core_workflow_task_set_start(core, task, worker))
        return FLO_ENOENT; /* fatal */
    task->started_ns = flo_event_time(core);
    task->history_bytes = (int64_t)execution->history.len;
    task->suggest_continue_as_new = task->history_bytes >= core->options.history_size_suggest ||
                                    task->scheduled_id >= core->options.history_count_suggest ||
                                    flo_updates_recorded(execution) >= FLO_CORE_RUN_SUGGEST_UPDATES;
    if (task->transient)
        task->started_id = task->scheduled_id + 1;
    else
        write_started(core, execution);
    task->stage = FLO_CORE_WORKFLOW_TASK_STARTED;
    flo_core_workflow_task_arm(core, execution);
    return 0;
}

/* ---- end ---- */

/* The run has no task any more. */
static void task_over(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    flo_core_timers_clear(&core->timers, &task->timer);
    flo_matching_remove(core, &execution->hooks.workflow_task);
    task->stage = FLO_CORE_WORKFLOW_TASK_NONE;
    task->transient = false;
    task->speculative = false;
    task->sticky = false;
}

void flo_core_workflow_task_discard(struct flo_core *core, struct flo_execution *execution)
{
    task_over(core, execution);
    execution->workflow_task.close_attempted = false;
}

/* It failed or timed out: the next attempt, behind what waited. */
static void task_lost(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    task_over(core, execution);
    flo_updates_unsend(execution);
    if (execution->sticky_queue) {
        flo_execution_clear_sticky(core, execution);
        task->attempt = 1;
    } else if (task->attempt < INT32_MAX) {
        task->attempt++;
    }
    if (flo_history_flush(core, execution))
        task->attempt = 1;
}

int64_t flo_core_workflow_task_complete(struct flo_core *core, struct flo_execution *execution,
                                        FloApi__WorkflowTaskCompletedEventAttributes *attributes)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    if (task->transient) {
        write_scheduled(core, execution);
        write_started(core, execution);
    }
    attributes->scheduled_event_id = task->scheduled_id;
    attributes->started_event_id = task->started_id;
    execution->last_completed_started_id = task->started_id;
    task_over(core, execution);
    task->attempt = 1;
    task->close_attempted = false;
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        .attributes = attributes,
    };
    return flo_history_write(core, execution, &event);
}

void flo_core_workflow_task_fail(struct flo_core *core, struct flo_execution *execution,
                                 FloApi__WorkflowTaskFailedEventAttributes *attributes)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    if (task->speculative)
        flo_core_workflow_task_keep(core, execution);
    if (!task->transient) {
        attributes->scheduled_event_id = task->scheduled_id;
        attributes->started_event_id = task->started_id;
        struct flo_event event = {
            .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_FAILED,
            .attributes = attributes,
        };
        flo_history_write(core, execution, &event);
    }
    task_lost(core, execution);
}

static void write_timed_out(struct flo_core *core, struct flo_execution *execution,
                            FloApi__TimeoutType type)
{
    FloApi__WorkflowTaskTimedOutEventAttributes timed_out =
        FLO_API__WORKFLOW_TASK_TIMED_OUT_EVENT_ATTRIBUTES__INIT;
    timed_out.scheduled_event_id = execution->workflow_task.scheduled_id;
    timed_out.started_event_id = execution->workflow_task.started_id;
    timed_out.timeout_type = type;
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
        .attributes = &timed_out,
    };
    flo_history_write(core, execution, &event);
}

void flo_core_workflow_task_time_out(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    if (task->speculative)
        flo_core_workflow_task_keep(core, execution);
    if (task->stage == FLO_CORE_WORKFLOW_TASK_STARTED) {
        if (!task->transient)
            write_timed_out(core, execution, FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE);
        task_lost(core, execution);
    } else {
        write_timed_out(core, execution, FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_START);
        task_over(core, execution);
        flo_execution_clear_sticky(core, execution);
        task->attempt = 1;
    }
    flo_core_workflow_task_schedule(core, execution);
}

static void time_out(struct flo_core *core, struct flo_core_timer *timer)
{
    struct flo_core_workflow_task *task =
        flo_container(timer, struct flo_core_workflow_task, timer);
    struct flo_execution *execution = flo_container(task, struct flo_execution, workflow_task);
    flo_core_workflow_task_time_out(core, execution);
    flo_execution_end(core, execution, true);
}

void flo_core_workflow_task_lost(struct flo_core *core, struct flo_execution *execution)
{
    if (execution->workflow_task.stage != FLO_CORE_WORKFLOW_TASK_STARTED)
        return;
    flo_core_workflow_task_time_out(core, execution);
    flo_execution_end(core, execution, true);
}

void flo_core_workflow_task_force_close(struct flo_core *core, struct flo_execution *execution)
{
    if (execution->workflow_task.stage != FLO_CORE_WORKFLOW_TASK_STARTED) {
        if (execution->workflow_task.speculative)
            flo_core_workflow_task_discard(core, execution);
        return; /* a scheduled one stays as it is, for describe */
    }
    FloApi__WorkflowTaskFailedEventAttributes failed =
        FLO_API__WORKFLOW_TASK_FAILED_EVENT_ATTRIBUTES__INIT;
    failed.cause =
        FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND;
    failed.identity = flo_text(FLO_CORE_RUN_IDENTITY);
    flo_core_workflow_task_fail(core, execution, &failed);
}

/* ---- calls ---- */

int flo_core_workflow_task_find(struct flo_core *core, const ProtobufCBinaryData *bytes,
                                const char *namespace_name, struct flo_execution **out_execution,
                                struct flo_status *status)
{
    struct flo_token token;
    int rc = flo_token_decode(core, bytes, FLO_TOKEN_WORKFLOW, namespace_name, &token, status);
    if (rc)
        return rc;
    struct flo_execution *execution = flo_core_resident(core, token.run_id);
    const struct flo_core_workflow_task *task = execution ? &execution->workflow_task : NULL;
    if (!execution || execution->hooks.ns != token.ns || !flo_execution_is_open(execution) ||
        task->stage != FLO_CORE_WORKFLOW_TASK_STARTED ||
        task->scheduled_id != token.scheduled_event_id ||
        task->started_id != token.started_event_id || task->attempt != token.attempt ||
        task->started_ns != token.started_ns)
        return flo_status_not_found(core, status, "Workflow task not found.");
    *out_execution = execution;
    return 0;
}

/* As for a completion; of a run that has closed it is said here that it has. */
static int find_to_fail(struct flo_core *core,
                        const FloApi__RespondWorkflowTaskFailedRequest *request,
                        struct flo_execution **out, struct flo_status *status)
{
    int rc =
        flo_core_workflow_task_find(core, &request->task_token, request->namespace_, out, status);
    if (!rc || status->code != FLO_GRPC_NOT_FOUND)
        return rc;
    struct flo_token token;
    struct flo_status ignored = {0};
    struct flo_core_run_ref run;
    const bool closed =
        !flo_token_decode(core, &request->task_token, FLO_TOKEN_WORKFLOW, request->namespace_,
                          &token, &ignored) &&
        !flo_core_find_run(core, token.ns, token.workflow_id, token.run_id, &run, &ignored) &&
        !(run.execution && flo_execution_is_open(run.execution));
    return closed ? flo_status_not_found(core, status, "workflow execution already completed") : rc;
}

void flo_rpc_respond_workflow_task_failed(struct flo_core *core,
                                          const struct flo_core_call_info *info,
                                          const void *message)
{
    const FloApi__RespondWorkflowTaskFailedRequest *request = message;
    struct flo_status status = {0};
    struct flo_execution *execution;
    if (find_to_fail(core, request, &execution, &status) ||
        flo_check_id(core, "identity", request->identity, &status) ||
        flo_check_blob(core, request->failure, &status)) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    FloApi__WorkflowTaskFailedEventAttributes failed =
        FLO_API__WORKFLOW_TASK_FAILED_EVENT_ATTRIBUTES__INIT;
    failed.cause = request->cause;
    failed.failure = request->failure;
    failed.identity = request->identity;
    failed.binary_checksum = request->binary_checksum;
    failed.worker_version = request->worker_version;
    flo_core_workflow_task_fail(core, execution, &failed);
    flo_core_workflow_task_schedule(core, execution);
    flo_execution_end(core, execution, true);
    FloApi__RespondWorkflowTaskFailedResponse response =
        FLO_API__RESPOND_WORKFLOW_TASK_FAILED_RESPONSE__INIT;
    flo_reply_ok(core, info->id, flo_core_after(core, execution), &response.base);
}

void flo_rpc_reset_sticky_task_queue(struct flo_core *core, const struct flo_core_call_info *info,
                                     const void *message)
{
    const FloApi__ResetStickyTaskQueueRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_core_run_ref ref;
    if (flo_namespace_find(core, request->namespace_, &ns, &status) ||
        flo_check_execution(core, request->execution, &status) ||
        flo_core_find_run(core, ns, request->execution->workflow_id, request->execution->run_id,
                          &ref, &status)) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    if (!ref.execution || !flo_execution_is_open(ref.execution)) {
        flo_status_not_found(core, &status, "workflow execution already completed");
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    flo_core_workflow_task_unstick(core, ref.execution);
    flo_execution_end(core, ref.execution, true);
    FloApi__ResetStickyTaskQueueResponse response = FLO_API__RESET_STICKY_TASK_QUEUE_RESPONSE__INIT;
    flo_reply_ok(core, info->id, 0, &response.base);
}
