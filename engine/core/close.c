/* SPDX-License-Identifier: Apache-2.0 */
/*
 * close.c - the end of a run, and the run that takes over from it: workflow retry, cron,
 * continue-as-new.
 *
 * The close event names the run that takes over, so its id is chosen first; both runs change in the
 * same step, and so are stored by the same commit. Parents and children hear of the end when the
 * run is settled (child.c).
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/cron.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/start.h"
#include "engine/core/timers.h"
#include "flotilla/engine_state.pb-c.h"

void flo_execution_closed(struct flo_core *core, struct flo_execution *execution, int status)
{
    struct flo_node *node;
    while ((node = flo_list_pop_front(&execution->buffered)))
        flo_free(flo_container(node, struct flo_buffered_event, node));
    execution->buffered_bytes = 0;
    execution->first_task_pending = false;
    execution->status = status;
    execution->close_ns = core->last_event_ns; /* the close event was the last one */
    flo_execution_quiesce(core, execution);
    flo_core_run_closed(core, execution);
    execution->close_unsettled = true;
    flo_execution_unsettle(core, execution);
}

/* ---- the run that takes over ---- */

/* The Started event of a run, in scratch; fatal and NULL without memory. */
static FloApi__HistoryEvent *first_event(struct flo_core *core,
                                         const struct flo_execution *execution)
{
    FloApi__HistoryEvent *event = flo_history_decode(&execution->history, 1, &core->scratch);
    if (!event)
        flo_core_set_fatal(core);
    return event;
}

/* The reset points of the chain so far; those of this run can be used as long as it is kept. In
 * scratch; NULL: fatal. */
static FloApi__ResetPoints *points_so_far(struct flo_core *core, struct flo_execution *execution)
{
    FloApi__ResetPoints *points =
        flo_blob_decode(core, &execution->reset_points, &flo_api__reset_points__descriptor);
    if (!points) {
        points = flo_arena_alloc(&core->scratch, sizeof *points);
        if (!points)
            return NULL;
        flo_api__reset_points__init(points);
    }
    const int64_t end_ns = flo_add_ns(core->now_ns, execution->hooks.ns->state->retention_ns);
    for (size_t i = 0; i < points->n_points; i++) {
        if (strcmp(points->points[i]->run_id, execution->run_id) != 0)
            continue;
        points->points[i]->expire_time = flo_timestamp_new(&core->scratch, end_ns);
        if (!points->points[i]->expire_time)
            return NULL;
    }
    if (points->n_points) /* the run that ends shows it, too */
        flo_blob_set(core, &execution->reset_points, &points->base);
    return points;
}

/* A chain of runs that follow at once would spin: runs are at least so long apart. */
static int64_t backoff_of(struct flo_core *core, const struct flo_execution *execution,
                          int64_t asked_ns)
{
    int64_t lived = core->now_ns - execution->execution_ns;
    int64_t least = core->options.continue_as_new_min_interval_ns;
    if (lived < 0)
        lived = 0;
    return flo_add_ns(lived, asked_ns) < least ? least - lived : asked_ns;
}

/* What all takeovers share; started is a shallow copy of the old run's attributes. */
static void inherit(struct flo_core *core, struct flo_execution *execution,
                    FloApi__WorkflowExecutionStartedEventAttributes *started,
                    FloApi__ContinueAsNewInitiator initiator, int64_t backoff_ns)
{
    started->continued_execution_run_id = execution->run_id;
    started->initiator = initiator;
    started->identity = flo_text("");
    started->original_execution_run_id = flo_text(execution->new_run_id);
    started->first_execution_run_id = flo_text(execution->first_run_id);
    started->eager_execution_accepted = false;
    started->first_workflow_task_backoff =
        flo_duration_new(&core->scratch, backoff_of(core, execution, backoff_ns));
    started->prev_auto_reset_points = points_so_far(core, execution);
    if (!started->first_workflow_task_backoff || !started->prev_auto_reset_points)
        flo_core_set_fatal(core);
}

/* first: the Started event of the run that is taken over from. */
static void take_over(struct flo_core *core, struct flo_execution *execution,
                      const FloApi__HistoryEvent *first,
                      const FloApi__WorkflowExecutionStartedEventAttributes *started)
{
    char request_id[FLO_UUID_LEN + 1];
    if (!execution->new_run_id)
        return; /* choose_next had no memory: fatal */
    flo_core_new_id(core, request_id);
    struct flo_execution_args args = {
        .ns = execution->hooks.ns,
        .run_id = execution->new_run_id,
        .request_id = request_id,
        .started = started,
        .links = first->links,
        .n_links = first->n_links,
    };
    struct flo_execution *next = flo_execution_new(core, &args);
    if (!next) {
        flo_core_set_fatal(core);
        return;
    }
    flo_execution_begin(core, next, false);
    flo_execution_end(core, next, true);
}

/* ---- retry and cron ---- */

/* Does another run follow by itself, why, and how the close event puts it. */
struct follow {
    FloApi__ContinueAsNewInitiator initiator; /* UNSPECIFIED: none does */
    FloApi__RetryState state;
    int64_t backoff_ns;
};

#define INITIATOR(name) FLO_API__CONTINUE_AS_NEW_INITIATOR__CONTINUE_AS_NEW_INITIATOR_##name

/* The run that takes over gets its id. */
static void choose_next(struct flo_core *core, struct flo_execution *execution)
{
    char id[FLO_UUID_LEN + 1];
    flo_core_new_id(core, id);
    flo_set_text(core, &execution->new_run_id, id);
}

static void decide_retry(struct flo_core *core, struct flo_execution *execution,
                         const FloApi__Failure *failure, struct follow *out)
{
    if (!execution->has_retry_policy)
        return;
    FloApi__HistoryEvent *event = first_event(core, execution);
    if (!event)
        return;
    struct flo_core_retry_policy policy =
        flo_core_retry_normalise(event->workflow_execution_started_event_attributes->retry_policy);
    out->state = flo_core_retry_decide(&policy, execution->attempt, failure, core->now_ns,
                                       execution->execution_deadline_ns, &out->backoff_ns);
    if (out->state == FLO_API__RETRY_STATE__RETRY_STATE_IN_PROGRESS)
        out->initiator = INITIATOR(RETRY);
}

static void decide_cron(struct flo_core *core, struct flo_execution *execution, struct follow *out)
{
    if (!execution->has_cron)
        return;
    FloApi__HistoryEvent *event = first_event(core, execution);
    struct flo_cron cron;
    if (!event)
        return;
    int rc = flo_cron_parse(&core->zones,
                            event->workflow_execution_started_event_attributes->cron_schedule,
                            &cron, NULL);
    if (rc == FLO_ENOMEM)
        flo_core_set_fatal(core);
    if (rc)
        return; /* a worker's: nobody has looked at it before */
    const int64_t backoff_ns = flo_cron_backoff(&cron, execution->execution_ns, core->now_ns);
    if (backoff_ns < 0)
        return;
    out->initiator = INITIATOR(CRON_SCHEDULE);
    out->backoff_ns = backoff_ns;
}

/* Does a run follow this one, which closes with failure (NULL: it completes)? Then new_run_id is
 * chosen. */
static struct follow decide(struct flo_core *core, struct flo_execution *execution,
                            const FloApi__Failure *failure)
{
    struct follow out = {.state = FLO_API__RETRY_STATE__RETRY_STATE_RETRY_POLICY_NOT_SET};
    if (failure)
        decide_retry(core, execution, failure, &out);
    if (out.initiator == INITIATOR(UNSPECIFIED))
        decide_cron(core, execution, &out);
    if (out.initiator != INITIATOR(UNSPECIFIED))
        choose_next(core, execution);
    return out;
}

/* Start the run that follows. keeps_result: it is given what the last completed run of the chain
 * returned; else result. */
static void start_follow(struct flo_core *core, struct flo_execution *execution,
                         const struct follow *follow, FloApi__Failure *failure, bool keeps_result,
                         FloApi__Payloads *result)
{
    FloApi__HistoryEvent *event =
        follow->initiator == INITIATOR(UNSPECIFIED) ? NULL : first_event(core, execution);
    if (!event)
        return;
    FloApi__WorkflowExecutionStartedEventAttributes started =
        *event->workflow_execution_started_event_attributes;
    inherit(core, execution, &started, follow->initiator, follow->backoff_ns);
    started.continued_failure = failure;
    if (!keeps_result)
        started.last_completion_result = result;
    started.attempt = follow->initiator == INITIATOR(RETRY) ? execution->attempt + 1 : 1;
    take_over(core, execution, event, &started);
}

/* ---- the ways to close ---- */

void flo_close_completed(struct flo_core *core, struct flo_execution *execution,
                         const FloApi__CompleteWorkflowExecutionCommandAttributes *command,
                         FloApi__UserMetadata *user_metadata, int64_t completed_id)
{
    FloApi__WorkflowExecutionCompletedEventAttributes completed =
        FLO_API__WORKFLOW_EXECUTION_COMPLETED_EVENT_ATTRIBUTES__INIT;
    const struct follow follow = decide(core, execution, NULL);
    completed.result = command->result;
    completed.workflow_task_completed_event_id = completed_id;
    completed.new_execution_run_id = flo_text(execution->new_run_id);
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        .attributes = &completed,
        .user_metadata = user_metadata,
    };
    flo_history_write(core, execution, &event);
    flo_execution_closed(core, execution,
                         FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_COMPLETED);
    start_follow(core, execution, &follow, NULL, false, command->result);
}

void flo_close_failed(struct flo_core *core, struct flo_execution *execution,
                      FloApi__Failure *failure, FloApi__UserMetadata *user_metadata,
                      int64_t completed_id)
{
    FloApi__WorkflowExecutionFailedEventAttributes failed =
        FLO_API__WORKFLOW_EXECUTION_FAILED_EVENT_ATTRIBUTES__INIT;
    static const FloApi__Failure none = FLO_API__FAILURE__INIT;
    const struct follow follow = decide(core, execution, failure ? failure : &none);
    failed.retry_state = follow.state;
    failed.new_execution_run_id = flo_text(execution->new_run_id);
    failed.failure = failure;
    failed.workflow_task_completed_event_id = completed_id;
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        .attributes = &failed,
        .user_metadata = user_metadata,
    };
    flo_history_write(core, execution, &event);
    flo_execution_closed(core, execution,
                         FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_FAILED);
    start_follow(core, execution, &follow, failure, follow.initiator == INITIATOR(CRON_SCHEDULE),
                 NULL);
}

void flo_close_canceled(struct flo_core *core, struct flo_execution *execution,
                        FloApi__Payloads *details, FloApi__UserMetadata *user_metadata,
                        int64_t completed_id)
{
    FloApi__WorkflowExecutionCanceledEventAttributes canceled =
        FLO_API__WORKFLOW_EXECUTION_CANCELED_EVENT_ATTRIBUTES__INIT;
    canceled.details = details;
    canceled.workflow_task_completed_event_id = completed_id;
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        .attributes = &canceled,
        .user_metadata = user_metadata,
    };
    flo_history_write(core, execution, &event);
    flo_execution_closed(core, execution,
                         FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_CANCELED);
}

void flo_execution_terminate(struct flo_core *core, struct flo_execution *execution,
                             const char *reason, FloApi__Payloads *details, const char *identity)
{
    flo_execution_terminate_linked(core, execution, reason, details, identity, NULL, 0);
}

void flo_execution_terminate_linked(struct flo_core *core, struct flo_execution *execution,
                                    const char *reason, FloApi__Payloads *details,
                                    const char *identity, FloApi__Link **links, size_t n_links)
{
    flo_core_workflow_task_force_close(core, execution);
    FloApi__WorkflowExecutionTerminatedEventAttributes terminated =
        FLO_API__WORKFLOW_EXECUTION_TERMINATED_EVENT_ATTRIBUTES__INIT;
    terminated.reason = flo_text(reason);
    terminated.details = details;
    terminated.identity = flo_text(identity);
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        .attributes = &terminated,
        .links = links,
        .n_links = n_links,
    };
    flo_history_write(core, execution, &event);
    flo_execution_closed(core, execution,
                         FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_TERMINATED);
}

/* Only the run's own timeout may be retried: the execution timeout is the end of the chain. */
void flo_close_timed_out(struct flo_core *core, struct flo_core_timer *timer)
{
    struct flo_execution *execution = flo_container(timer, struct flo_execution, run_timer);
    FloApi__TimeoutFailureInfo info = FLO_API__TIMEOUT_FAILURE_INFO__INIT;
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    info.timeout_type = FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE;
    failure.message = flo_text("workflow timeout");
    failure.source = flo_text("Server");
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO;
    failure.timeout_failure_info = &info;
    FloApi__WorkflowExecutionTimedOutEventAttributes timed_out =
        FLO_API__WORKFLOW_EXECUTION_TIMED_OUT_EVENT_ATTRIBUTES__INIT;
    struct follow follow = {.state = FLO_API__RETRY_STATE__RETRY_STATE_TIMEOUT};
    if (!execution->execution_deadline_ns || execution->execution_deadline_ns > core->now_ns)
        follow = decide(core, execution, &failure);
    timed_out.retry_state = follow.state;
    timed_out.new_execution_run_id = flo_text(execution->new_run_id);
    flo_core_workflow_task_force_close(core, execution);
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        .attributes = &timed_out,
    };
    flo_history_write(core, execution, &event);
    flo_execution_closed(core, execution,
                         FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_TIMED_OUT);
    start_follow(core, execution, &follow, &failure, true, NULL);
    flo_execution_end(core, execution, true);
}

/* ---- continue as new ---- */

void flo_close_continued(struct flo_core *core, struct flo_execution *execution,
                         const FloApi__ContinueAsNewWorkflowExecutionCommandAttributes *command,
                         FloApi__UserMetadata *user_metadata, int64_t completed_id)
{
    FloApi__HistoryEvent *first = first_event(core, execution);
    if (!first)
        return;
    FloApi__WorkflowExecutionStartedEventAttributes next =
        *first->workflow_execution_started_event_attributes;
    int64_t run_ns = flo_duration_ns(command->workflow_run_timeout);
    int64_t task_ns = flo_duration_ns(command->workflow_task_timeout);
    run_ns = flo_min_timeout(run_ns > 0 ? run_ns : execution->run_timeout_ns,
                             execution->execution_timeout_ns);
    task_ns = flo_min_timeout(task_ns > 0 ? task_ns : execution->task_timeout_ns,
                              FLO_CORE_RUN_WORKFLOW_TASK_MAX_NS);
    Google__Protobuf__Duration run_timeout = flo_make_duration(run_ns);
    Google__Protobuf__Duration task_timeout = flo_make_duration(flo_min_timeout(task_ns, run_ns));
    choose_next(core, execution);
    inherit(core, execution, &next, INITIATOR(WORKFLOW),
            flo_duration_ns(command->backoff_start_interval));
    if (command->workflow_type && *command->workflow_type->name)
        next.workflow_type = command->workflow_type;
    if (command->task_queue && *command->task_queue->name)
        next.task_queue = command->task_queue;
    next.task_queue->kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    next.workflow_run_timeout = &run_timeout;
    next.workflow_task_timeout = &task_timeout;
    next.input = command->input;
    next.header = command->header;
    next.memo = command->memo;
    next.search_attributes = command->search_attributes;
    next.retry_policy =
        command->retry_policy ? flo_retry_policy_full(&core->scratch, command->retry_policy) : NULL;
    if (command->retry_policy && !next.retry_policy)
        flo_core_set_fatal(core);
    next.cron_schedule = command->cron_schedule;
    next.continued_failure = command->failure;
    next.last_completion_result = command->last_completion_result;
    next.attempt = 1;

    FloApi__WorkflowExecutionContinuedAsNewEventAttributes continued =
        FLO_API__WORKFLOW_EXECUTION_CONTINUED_AS_NEW_EVENT_ATTRIBUTES__INIT;
    continued.new_execution_run_id = flo_text(execution->new_run_id);
    continued.workflow_type = next.workflow_type;
    continued.task_queue = next.task_queue;
    continued.input = command->input;
    continued.workflow_run_timeout = &run_timeout;
    continued.workflow_task_timeout = &task_timeout;
    continued.workflow_task_completed_event_id = completed_id;
    continued.backoff_start_interval = command->backoff_start_interval;
    continued.initiator = command->initiator;
    continued.failure = command->failure;
    continued.last_completion_result = command->last_completion_result;
    continued.header = command->header;
    continued.memo = command->memo;
    continued.search_attributes = command->search_attributes;
    continued.inherit_build_id = command->inherit_build_id;
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
        .attributes = &continued,
        .user_metadata = user_metadata,
    };
    flo_history_write(core, execution, &event);
    flo_execution_closed(
        core, execution,
        FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW);
    take_over(core, execution, first, &next);
}
