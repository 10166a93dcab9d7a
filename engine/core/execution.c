/* SPDX-License-Identifier: Apache-2.0 */
/* execution.c - one run: its birth and end in memory, transitions, signals, cancel requests. */
#include "engine/core/execution.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/timers.h"

/* ---- small things ---- */

int64_t flo_event_time(struct flo_core *core)
{
    core->last_event_ns =
        core->now_ns > core->last_event_ns ? core->now_ns : core->last_event_ns + 1;
    return core->last_event_ns;
}

int64_t flo_min_timeout(int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

int64_t flo_add_ns(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void flo_core_run_timer(struct flo_core *core, struct flo_core_timer *timer, int64_t deadline_ns,
                        flo_core_timer_fn fire)
{
    if (flo_core_timers_set(&core->timers, timer, deadline_ns, fire))
        flo_core_set_fatal(core);
}

void flo_set_text(struct flo_core *core, char **text, const char *value)
{
    if (!value)
        value = "";
    if (*text && !strcmp(*text, value))
        return;
    char *copy = flo_strdup(value);
    if (!copy) {
        flo_core_set_fatal(core);
        return;
    }
    flo_free(*text);
    *text = copy;
}

void flo_blob_clear(struct flo_blob *blob)
{
    flo_free(blob->data);
    *blob = (struct flo_blob){0};
}

void flo_blob_set(struct flo_core *core, struct flo_blob *blob, const ProtobufCMessage *message)
{
    flo_blob_clear(blob);
    if (!message)
        return;
    blob->len = protobuf_c_message_get_packed_size(message);
    blob->data = flo_malloc(blob->len + 1); /* an empty message is not an absent one */
    if (!blob->data) {
        blob->len = 0;
        flo_core_set_fatal(core);
        return;
    }
    protobuf_c_message_pack(message, blob->data);
}

void flo_blob_set_bytes(struct flo_core *core, struct flo_blob *blob, const void *data, size_t len)
{
    flo_blob_clear(blob);
    blob->data = flo_malloc(len + 1);
    if (!blob->data) {
        flo_core_set_fatal(core);
        return;
    }
    if (len)
        memcpy(blob->data, data, len);
    blob->len = len;
}

void *flo_blob_decode(struct flo_core *core, const struct flo_blob *blob,
                      const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message;
    if (!blob->data)
        return NULL;
    if (flo_wire_decode(descriptor, blob->data, blob->len, &core->scratch, &message, NULL)) {
        flo_core_set_fatal(core);
        return NULL;
    }
    return message;
}

struct flo_execution *flo_execution_find_open(struct flo_core *core, const struct flo_namespace *ns,
                                              const char *workflow_id, const char *run_id)
{
    struct flo_execution *execution = flo_core_find_resident(core, ns, workflow_id, run_id);
    return execution && flo_execution_is_open(execution) ? execution : NULL;
}

void flo_execution_unsettle(struct flo_core *core, struct flo_execution *execution)
{
    if (!flo_node_linked(&execution->unsettled))
        flo_list_push_back(&core->unsettled, &execution->unsettled);
}

/* ---- birth ---- */

static const char *keep(struct flo_execution *execution, const char *text)
{
    return text && *text ? flo_arena_strdup(&execution->arena, text) : "";
}

static bool keep_ids(struct flo_execution *execution, const struct flo_execution_args *args)
{
    const FloApi__WorkflowExecutionStartedEventAttributes *started = args->started;
    const FloApi__WorkflowExecution *parent = started->parent_workflow_execution;
    const FloApi__WorkflowExecution *root = started->root_workflow_execution;
    memcpy(execution->run_id, args->run_id, sizeof execution->run_id);
    execution->workflow_id = keep(execution, started->workflow_id);
    execution->type = keep(execution, started->workflow_type->name);
    execution->task_queue = keep(execution, started->task_queue->name);
    execution->start_request_id = keep(execution, args->request_id);
    execution->first_run_id = keep(execution, started->first_execution_run_id);
    execution->original_run_id = keep(execution, started->original_execution_run_id);
    execution->parent_namespace_id = keep(execution, started->parent_workflow_namespace_id);
    execution->parent_workflow_id = keep(execution, parent ? parent->workflow_id : "");
    execution->parent_run_id = keep(execution, parent ? parent->run_id : "");
    execution->parent_initiated_id = started->parent_initiated_event_id;
    execution->root_workflow_id =
        root ? keep(execution, root->workflow_id) : execution->workflow_id;
    execution->root_run_id = root ? keep(execution, root->run_id) : execution->run_id;
    execution->cancel_request_id = "";
    return execution->workflow_id && execution->type && execution->task_queue &&
           execution->start_request_id && execution->first_run_id && execution->original_run_id &&
           execution->parent_namespace_id && execution->parent_workflow_id &&
           execution->parent_run_id && execution->root_workflow_id && execution->root_run_id;
}

static void keep_times(struct flo_execution *execution,
                       const FloApi__WorkflowExecutionStartedEventAttributes *started, int64_t now)
{
    execution->start_ns = now;
    execution->execution_ns =
        flo_add_ns(now, flo_duration_ns(started->first_workflow_task_backoff));
    execution->execution_timeout_ns = flo_duration_ns(started->workflow_execution_timeout);
    execution->run_timeout_ns = flo_duration_ns(started->workflow_run_timeout);
    execution->task_timeout_ns = flo_duration_ns(started->workflow_task_timeout);
    if (execution->task_timeout_ns <= 0)
        execution->task_timeout_ns = FLO_CORE_RUN_WORKFLOW_TASK_NS;
    execution->execution_deadline_ns =
        flo_timestamp_ns(started->workflow_execution_expiration_time);
    if (execution->execution_timeout_ns && !execution->execution_deadline_ns)
        execution->execution_deadline_ns =
            flo_add_ns(execution->execution_ns, execution->execution_timeout_ns);
    execution->first_task_pending = true; /* until flo_execution_begin says when */
    execution->attempt = started->attempt;
    execution->has_retry_policy = started->retry_policy != NULL;
}

/* Empty lists and maps; also for runs that are loaded. */
struct flo_execution *flo_execution_blank(struct flo_namespace *ns)
{
    struct flo_execution *execution = flo_calloc(1, sizeof *execution);
    if (!execution)
        return NULL;
    flo_core_run_hooks_init(&execution->hooks, ns, execution);
    flo_arena_init(&execution->arena, 0);
    flo_history_init(&execution->history);
    flo_list_init(&execution->buffered);
    flo_list_init(&execution->outbound);
    flo_map_init(&execution->timers);
    flo_core_timers_init(&execution->timer_heap);
    flo_map_init(&execution->signal_requests);
    execution->workflow_task.attempt = 1;
    execution->status = FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING;
    return execution;
}

struct flo_execution *flo_execution_new(struct flo_core *core,
                                        const struct flo_execution_args *args)
{
    struct flo_execution *execution = flo_execution_blank(args->ns);
    if (!execution)
        return NULL;
    int64_t now = flo_event_time(core);
    keep_times(execution, args->started, now);
    if (!keep_ids(execution, args) || flo_core_add_run(core, execution)) {
        flo_execution_destroy(core, &execution);
        return NULL;
    }
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        .attributes = (void *)(uintptr_t)args->started,
        .user_metadata = args->user_metadata,
        .links = args->links,
        .n_links = args->n_links,
        .time_ns = now,
    };
    flo_history_write(core, execution, &event);
    if (args->started->memo)
        flo_blob_set(core, &execution->memo, &args->started->memo->base);
    if (args->started->search_attributes)
        flo_blob_set(core, &execution->search_attributes, &args->started->search_attributes->base);
    if (args->started->prev_auto_reset_points)
        flo_blob_set(core, &execution->reset_points, &args->started->prev_auto_reset_points->base);
    if (args->user_metadata)
        flo_blob_set(core, &execution->user_metadata, &args->user_metadata->base);
    flo_execution_arm_run(core, execution);
    return execution;
}

void flo_execution_arm_run(struct flo_core *core, struct flo_execution *execution)
{
    int64_t deadline =
        execution->execution_deadline_ns ? execution->execution_deadline_ns : INT64_MAX;
    if (execution->run_timeout_ns) {
        int64_t run = flo_add_ns(execution->execution_ns, execution->run_timeout_ns);
        deadline = run < deadline ? run : deadline;
    }
    if (deadline != INT64_MAX)
        flo_core_run_timer(core, &execution->run_timer, deadline, flo_close_timed_out);
}

static void first_task_due(struct flo_core *core, struct flo_core_timer *timer)
{
    struct flo_execution *execution = flo_container(timer, struct flo_execution, backoff_timer);
    execution->first_task_pending = false;
    flo_core_workflow_task_schedule(core, execution);
    flo_execution_end(core, execution, true);
}

void flo_execution_arm_backoff(struct flo_core *core, struct flo_execution *execution)
{
    flo_core_run_timer(core, &execution->backoff_timer, execution->execution_ns, first_task_due);
}

void flo_execution_begin(struct flo_core *core, struct flo_execution *execution, bool force)
{
    if (execution->execution_ns > execution->start_ns && !force) {
        flo_execution_arm_backoff(core, execution);
        return;
    }
    execution->first_task_pending = false;
    flo_core_timers_clear(&core->timers, &execution->backoff_timer);
    flo_core_workflow_task_schedule(core, execution);
}

/* ---- end ---- */

void flo_execution_quiesce(struct flo_core *core, struct flo_execution *execution)
{
    flo_core_timers_clear(&core->timers, &execution->workflow_task.timer);
    flo_core_timers_clear(&core->timers, &execution->run_timer);
    flo_core_timers_clear(&core->timers, &execution->backoff_timer);
    flo_core_timers_clear(&core->timers, &execution->timer);
    flo_matching_remove(core, &execution->hooks.workflow_task);
    for (size_t i = 0; i < execution->activity_count; i++) {
        flo_core_timers_clear(&core->timers, &execution->activities[i]->timer);
        flo_matching_remove(core, &execution->activities[i]->task);
    }
}

static void free_lists(struct flo_core *core, struct flo_execution *execution)
{
    for (size_t i = 0; i < execution->activity_count; i++)
        flo_core_activity_free(core, execution->activities[i]);
    flo_free(execution->activities);
    for (size_t i = 0; i < execution->child_count; i++)
        flo_core_child_free(execution->children[i]);
    flo_free(execution->children);
    for (struct flo_map_entry *it = flo_map_first(&execution->timers); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&execution->timers);
    flo_core_timers_fini(&execution->timer_heap);
    struct flo_node *node;
    while ((node = flo_list_pop_front(&execution->buffered)))
        flo_free(flo_container(node, struct flo_buffered_event, node));
    while ((node = flo_list_pop_front(&execution->outbound)))
        flo_free(flo_container(node, struct flo_outbound, node));
}

void flo_execution_destroy(struct flo_core *core, struct flo_execution **pexecution)
{
    struct flo_execution *execution = *pexecution;
    if (!execution)
        return;
    flo_execution_quiesce(core, execution);
    if (execution->workflow_id)
        flo_core_remove_run(core, execution);
    flo_core_run_hooks_fini(core, &execution->hooks);
    if (flo_node_linked(&execution->unsettled))
        flo_list_remove(&core->unsettled, &execution->unsettled);
    flo_core_timers_fini(&execution->timer_heap); /* before the timers in it are freed */
    free_lists(core, execution);
    flo_map_fini(&execution->signal_requests);
    flo_free(execution->workflow_task.request_id);
    flo_free(execution->workflow_task.identity);
    flo_free(execution->workflow_task.build_id);
    flo_free(execution->sticky_queue);
    flo_free(execution->last_build_id);
    flo_blob_clear(&execution->memo);
    flo_blob_clear(&execution->search_attributes);
    flo_blob_clear(&execution->reset_points);
    flo_blob_clear(&execution->user_metadata);
    flo_history_fini(&execution->history);
    flo_arena_fini(&execution->arena);
    flo_free(execution);
    *pexecution = NULL;
}

/* ---- transitions ---- */

/* Too much waits behind the workflow task that is started: take it from its worker. */
static void check_buffer(struct flo_core *core, struct flo_execution *execution)
{
    if (execution->workflow_task.stage != FLO_CORE_WORKFLOW_TASK_STARTED ||
        (execution->buffered.count <= FLO_CORE_RUN_MAX_BUFFERED &&
         execution->buffered_bytes <= FLO_CORE_RUN_MAX_BUFFERED_BYTES))
        return;
    FloApi__WorkflowTaskFailedEventAttributes failed =
        FLO_API__WORKFLOW_TASK_FAILED_EVENT_ATTRIBUTES__INIT;
    failed.cause =
        FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND;
    failed.identity = (char *)(uintptr_t)FLO_CORE_RUN_IDENTITY;
    flo_core_workflow_task_fail(core, execution, &failed);
    flo_core_workflow_task_schedule(core, execution);
}

static void check_history(struct flo_core *core, struct flo_execution *execution)
{
    const struct flo_history *history = &execution->history;
    if (history->next_event_id - 1 > core->options.history_count_limit)
        flo_execution_terminate(core, execution, "Workflow history count exceeds limit.", NULL,
                                FLO_CORE_RUN_IDENTITY);
    else if ((int64_t)history->len > core->options.history_size_limit)
        flo_execution_terminate(core, execution, "Workflow history size exceeds limit.", NULL,
                                FLO_CORE_RUN_IDENTITY);
}

void flo_execution_end(struct flo_core *core, struct flo_execution *execution, bool store)
{
    if (flo_execution_is_open(execution))
        check_buffer(core, execution);
    if (flo_execution_is_open(execution))
        check_history(core, execution);
    if (flo_history_seal(&execution->history))
        flo_core_set_fatal(core);
    execution->state_transitions++;
    core->transitions++;
    flo_core_touch(core, execution, store);
}

void flo_execution_settle(struct flo_core *core)
{
    struct flo_node *node = flo_list_pop_front(&core->unsettled);
    if (node)
        flo_core_child_settle(core, flo_container(node, struct flo_execution, unsettled));
}

/* ---- signals and cancel requests ---- */

static void add_signal(struct flo_core *core, struct flo_execution *execution,
                       const FloApi__WorkflowExecutionSignaledEventAttributes *attributes,
                       FloApi__Link **links, size_t n_links)
{
    const char *request_id = attributes->request_id;
    if (request_id && *request_id &&
        flo_map_put_str(&execution->signal_requests, request_id, execution))
        flo_core_set_fatal(core);
    execution->signal_count++;
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        .attributes = (void *)(uintptr_t)attributes,
        .links = links,
        .n_links = n_links,
    };
    flo_history_record(core, execution, &event, 0);
    flo_core_workflow_task_schedule(core, execution);
}

int flo_execution_signal(struct flo_core *core, struct flo_execution *execution,
                         const FloApi__WorkflowExecutionSignaledEventAttributes *attributes,
                         FloApi__Link **links, size_t n_links, struct flo_status *status)
{
    const char *request_id = attributes->request_id;
    if (request_id && *request_id && flo_map_get_str(&execution->signal_requests, request_id))
        return 0;
    if (execution->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_STARTED &&
        execution->workflow_task.close_attempted)
        return flo_status_exhausted(
            core, status, FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
            "workflow operation can not be applied because workflow is closing");
    if (execution->signal_count >= FLO_CORE_RUN_MAX_SIGNALS)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "exceeded workflow execution limit for signal events");
    add_signal(core, execution, attributes, links, n_links);
    return 0;
}

bool flo_execution_add_signal(struct flo_core *core, struct flo_execution *execution,
                              const FloApi__WorkflowExecutionSignaledEventAttributes *attributes)
{
    if (execution->signal_count >= FLO_CORE_RUN_MAX_SIGNALS)
        return false;
    add_signal(core, execution, attributes, NULL, 0);
    return true;
}

void flo_execution_request_cancel(
    struct flo_core *core, struct flo_execution *execution, const char *request_id,
    const FloApi__WorkflowExecutionCancelRequestedEventAttributes *attributes)
{
    if (execution->cancel_requested)
        return;
    execution->cancel_requested = true;
    execution->cancel_request_id = keep(execution, request_id);
    if (!execution->cancel_request_id) {
        flo_core_set_fatal(core);
        execution->cancel_request_id = "";
    }
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        .attributes = (void *)(uintptr_t)attributes,
    };
    flo_history_record(core, execution, &event, 0);
    flo_core_workflow_task_schedule(core, execution);
}

/* ---- user timers ---- */

static void user_timer_due(struct flo_core *core, struct flo_core_timer *timer);

/* The run's own heap never fires by itself: its earliest deadline is the run's timer. */
static void never(struct flo_core *core, struct flo_core_timer *timer)
{
    (void)core;
    (void)timer;
}

void flo_user_timers_arm(struct flo_core *core, struct flo_execution *execution)
{
    int64_t next = flo_core_timers_next(&execution->timer_heap);
    if (next == INT64_MAX)
        flo_core_timers_clear(&core->timers, &execution->timer);
    else if (!flo_core_timer_is_set(&execution->timer) || execution->timer.deadline_ns != next)
        flo_core_run_timer(core, &execution->timer, next, user_timer_due);
}

struct flo_user_timer *flo_user_timer_add(struct flo_core *core, struct flo_execution *execution,
                                          const char *id, int64_t started_id, int64_t deadline_ns)
{
    size_t len = strlen(id);
    struct flo_user_timer *timer = flo_calloc(1, sizeof *timer + len + 1);
    if (!timer || flo_map_put_str(&execution->timers, id, timer)) {
        flo_free(timer);
        flo_core_set_fatal(core);
        return NULL;
    }
    memcpy(timer->id, id, len);
    timer->started_id = started_id;
    if (flo_core_timers_set(&execution->timer_heap, &timer->timer, deadline_ns, never))
        flo_core_set_fatal(core);
    return timer;
}

void flo_user_timer_free(struct flo_core *core, struct flo_execution *execution,
                         struct flo_user_timer *timer)
{
    (void)core;
    flo_core_timers_clear(&execution->timer_heap, &timer->timer);
    flo_map_remove_str(&execution->timers, timer->id);
    flo_free(timer);
}

/* All timers that are due fire in one transition, in the order (deadline, started). */
static void user_timer_due(struct flo_core *core, struct flo_core_timer *run_timer)
{
    struct flo_execution *execution = flo_container(run_timer, struct flo_execution, timer);
    struct flo_core_timer *due;
    while ((due = flo_core_timers_pop_due(&execution->timer_heap, core->now_ns))) {
        struct flo_user_timer *timer = flo_container(due, struct flo_user_timer, timer);
        FloApi__TimerFiredEventAttributes fired = FLO_API__TIMER_FIRED_EVENT_ATTRIBUTES__INIT;
        fired.timer_id = timer->id;
        fired.started_event_id = timer->started_id;
        struct flo_event event = {
            .type = FLO_API__EVENT_TYPE__EVENT_TYPE_TIMER_FIRED,
            .attributes = &fired,
        };
        flo_history_record(core, execution, &event, timer->started_id);
        flo_user_timer_free(core, execution, timer);
    }
    flo_user_timers_arm(core, execution);
    flo_core_workflow_task_schedule(core, execution);
    flo_execution_end(core, execution, true);
}
