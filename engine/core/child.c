/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - runs that concern each other: children and their parents, signals and cancel requests
 * from one run to another.
 *
 * A command writes its Initiated event and leaves a note (struct flo_outbound). When the step has
 * handled its call or timer, every run with notes, or that has closed, is settled: the other run
 * changes in a transition of its own, the answer (ChildStarted, ExternalSignaled...) is written in
 * another one. All of them belong to the same commit as the command, so a note never has to be
 * stored, and a crash cannot fall between. Closing may close children, which are then settled in
 * turn: a queue, not recursion.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "flotilla/engine_state.pb-c.h"

#define MAX_RESETS 100 /* of a parent, until its child gives up looking for it */

/* ---- the children of a run ---- */

static size_t child_index(const struct flo_execution *execution, int64_t initiated_id)
{
    size_t low = 0, high = execution->child_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (execution->children[middle]->initiated_id < initiated_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct flo_core_child *flo_core_child_by_event(const struct flo_execution *execution,
                                               int64_t initiated_id)
{
    size_t i = child_index(execution, initiated_id);
    return i < execution->child_count && execution->children[i]->initiated_id == initiated_id
               ? execution->children[i]
               : NULL;
}

void flo_core_child_free(struct flo_core_child *child)
{
    if (!child)
        return;
    flo_free(child->workflow_id);
    flo_free(child->run_id);
    flo_free(child->type);
    flo_free(child);
}

void flo_core_child_remove(struct flo_execution *execution, struct flo_core_child *child)
{
    size_t i = child_index(execution, child->initiated_id);
    execution->child_count--;
    memmove(&execution->children[i], &execution->children[i + 1],
            (execution->child_count - i) * sizeof(struct flo_core_child *));
    flo_core_child_free(child);
}

struct flo_core_child *flo_core_child_add(struct flo_core *core, struct flo_execution *execution,
                                          int64_t initiated_id, struct flo_namespace *ns,
                                          const char *workflow_id, const char *type, int policy)
{
    struct flo_core_child *child = flo_calloc(1, sizeof *child);
    if (!child)
        goto fail;
    child->initiated_id = initiated_id;
    child->ns = ns;
    child->parent_close_policy = policy;
    child->workflow_id = flo_strdup(workflow_id);
    child->type = flo_strdup(type);
    if (!child->workflow_id || !child->type)
        goto fail;
    if (execution->child_count == execution->children_cap) {
        size_t cap = execution->children_cap ? execution->children_cap * 2 : 4;
        struct flo_core_child **list =
            flo_reallocarray(execution->children, cap, sizeof(struct flo_core_child *));
        if (!list)
            goto fail;
        execution->children = list;
        execution->children_cap = cap;
    }
    execution->children[execution->child_count++] = child; /* ids only grow */
    return child;
fail:
    flo_core_child_free(child);
    flo_core_set_fatal(core);
    return NULL;
}

void flo_outbound_add(struct flo_core *core, struct flo_execution *execution,
                      enum flo_outbound_kind kind, int64_t initiated_id)
{
    struct flo_outbound *outbound = flo_calloc(1, sizeof *outbound);
    if (!outbound) {
        flo_core_set_fatal(core);
        return;
    }
    outbound->kind = kind;
    outbound->initiated_id = initiated_id;
    flo_list_push_back(&execution->outbound, &outbound->node);
    flo_execution_unsettle(core, execution);
}

/* ---- answers to the run that asked ---- */

/* Record an event about initiated_id, let the workflow see it. Ends the transition. */
static void tell(struct flo_core *core, struct flo_execution *execution, FloApi__EventType type,
                 void *attributes, int64_t initiated_id)
{
    if (!flo_execution_is_open(execution))
        return;
    struct flo_event event = {.type = type, .attributes = attributes};
    flo_history_record(core, execution, &event, initiated_id);
    flo_core_workflow_task_schedule(core, execution);
    flo_execution_end(core, execution, true);
}

static FloApi__WorkflowExecution ids_of(const char *workflow_id, const char *run_id)
{
    FloApi__WorkflowExecution ids = FLO_API__WORKFLOW_EXECUTION__INIT;
    ids.workflow_id = flo_text(workflow_id);
    ids.run_id = flo_text(run_id);
    return ids;
}

/* The namespace that a command means: its own when it names none; NULL when there is none. */
static struct flo_namespace *namespace_of(struct flo_core *core,
                                          const struct flo_execution *execution, const char *name)
{
    return *name ? flo_namespace_by_name(core, name) : execution->hooks.ns;
}

/* ---- starting a child ---- */

typedef FloApi__StartChildWorkflowExecutionInitiatedEventAttributes initiated_t;

static void child_refused(struct flo_core *core, struct flo_execution *execution,
                          struct flo_core_child *child, const initiated_t *initiated,
                          FloApi__StartChildWorkflowExecutionFailedCause cause)
{
    FloApi__StartChildWorkflowExecutionFailedEventAttributes failed =
        FLO_API__START_CHILD_WORKFLOW_EXECUTION_FAILED_EVENT_ATTRIBUTES__INIT;
    int64_t initiated_id = child->initiated_id;
    failed.namespace_ = initiated->namespace_;
    failed.namespace_id = initiated->namespace_id;
    failed.workflow_id = initiated->workflow_id;
    failed.workflow_type = initiated->workflow_type;
    failed.control = initiated->control;
    failed.initiated_event_id = initiated_id;
    failed.cause = cause;
    flo_core_child_remove(execution, child);
    tell(core, execution, FLO_API__EVENT_TYPE__EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
         &failed, initiated_id);
}

static bool has_failed(int status)
{
    switch (status) {
    case FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_FAILED:
    case FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_CANCELED:
    case FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_TERMINATED:
    case FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
        return true;
    default:
        return false;
    }
}

#define REUSE(name) FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_##name

/* May the workflow id of a run that has closed be used again? */
static bool may_reuse(struct flo_core *core, const struct flo_core_child *child,
                      FloApi__WorkflowIdReusePolicy policy)
{
    if (policy != REUSE(REJECT_DUPLICATE) && policy != REUSE(ALLOW_DUPLICATE_FAILED_ONLY))
        return true; /* whichever run there was, and however it ended: no need to read it */
    struct flo_core_run_ref ref;
    struct flo_status status = {0};
    int rc = flo_core_find_run(core, child->ns, child->workflow_id, "", &ref, &status);
    if (rc == FLO_ENOENT)
        return true;
    if (rc) {
        /* A damaged row is a run, which ended nobody knows how: this child cannot start. That the
         * disk or memory fails says nothing about the child, and must not become history. */
        if (rc != FLO_EDATA)
            flo_core_set_fatal_as(core, rc);
        return false;
    }
    return policy == REUSE(ALLOW_DUPLICATE_FAILED_ONLY) &&
           has_failed(ref.execution ? ref.execution->status : ref.stored.status);
}

/* May a run with the child's workflow id start, next to the one that there is or was? */
static bool may_start(struct flo_core *core, const struct flo_core_child *child,
                      FloApi__WorkflowIdReusePolicy policy)
{
    struct flo_execution *open = flo_execution_find_open(core, child->ns, child->workflow_id, "");
    if (!open)
        return may_reuse(core, child, policy);
    if (policy != REUSE(TERMINATE_IF_RUNNING))
        return false;
    flo_execution_terminate(core, open, "TerminateIfRunning WorkflowIdReusePolicy", NULL,
                            FLO_CORE_RUN_IDENTITY);
    flo_execution_end(core, open, true);
    return true;
}

/* What a child has when it says nothing else; in scratch, NULL: nothing. */
static FloApi__Priority *parent_priority(struct flo_core *core, const struct flo_execution *parent)
{
    bool ok = true;
    FloApi__Priority *priority =
        flo_priority_message(flo_execution_priority(parent), &core->scratch, &ok);
    if (!ok)
        flo_core_set_fatal(core);
    return priority;
}

/* Make the run of the child. NULL: fatal. */
static struct flo_execution *create_child(struct flo_core *core, struct flo_execution *parent,
                                          const struct flo_core_child *child,
                                          const initiated_t *initiated,
                                          FloApi__UserMetadata *user_metadata)
{
    char run_id[FLO_UUID_LEN + 1], request_id[FLO_UUID_LEN + 32];
    flo_core_new_id(core, run_id);
    /* run, event and its version, which is always 0 here */
    snprintf(request_id, sizeof request_id, "%s:%lld:0", parent->run_id,
             (long long)child->initiated_id);
    FloApi__WorkflowExecution parent_ids = ids_of(parent->workflow_id, parent->run_id);
    FloApi__WorkflowExecution root_ids = ids_of(parent->root_workflow_id, parent->root_run_id);
    const bool cron = *initiated->cron_schedule;
    const int64_t backoff_ns = cron ? flo_cron_wait(core, initiated->cron_schedule) : 0;
    Google__Protobuf__Duration backoff = flo_make_duration(backoff_ns);
    FloApi__WorkflowExecutionStartedEventAttributes started =
        FLO_API__WORKFLOW_EXECUTION_STARTED_EVENT_ATTRIBUTES__INIT;
    started.workflow_type = initiated->workflow_type;
    started.workflow_id = initiated->workflow_id;
    started.parent_workflow_namespace = parent->hooks.ns->name;
    started.parent_workflow_namespace_id = parent->hooks.ns->id;
    started.parent_workflow_execution = &parent_ids;
    started.parent_initiated_event_id = child->initiated_id;
    started.root_workflow_execution = &root_ids;
    started.task_queue = initiated->task_queue;
    started.input = initiated->input;
    started.header = initiated->header;
    started.memo = initiated->memo;
    started.search_attributes = initiated->search_attributes;
    started.retry_policy = initiated->retry_policy;
    started.priority = initiated->priority;
    FloApi__Priority *inherited = parent_priority(core, parent);
    if (inherited)
        started.priority = flo_priority_merge(inherited, initiated->priority, &core->scratch);
    started.workflow_execution_timeout = initiated->workflow_execution_timeout;
    started.workflow_run_timeout = initiated->workflow_run_timeout;
    started.workflow_task_timeout = initiated->workflow_task_timeout;
    started.original_execution_run_id = run_id;
    started.first_execution_run_id = run_id;
    started.first_workflow_task_backoff = &backoff;
    if (cron) {
        started.cron_schedule = initiated->cron_schedule;
        started.initiator =
            FLO_API__CONTINUE_AS_NEW_INITIATOR__CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE;
    }
    started.attempt = 1;
    Google__Protobuf__Timestamp expiration;
    int64_t execution_timeout = flo_duration_ns(initiated->workflow_execution_timeout);
    if (execution_timeout > 0) {
        expiration = flo_make_timestamp(flo_add_ns(core->now_ns, execution_timeout));
        started.workflow_execution_expiration_time = &expiration;
    }
    struct flo_execution_args args = {
        .ns = child->ns,
        .run_id = run_id,
        .request_id = request_id,
        .started = &started,
        .user_metadata = user_metadata,
    };
    struct flo_execution *run = flo_execution_new(core, &args);
    if (!run) {
        flo_core_set_fatal(core);
        return NULL;
    }
    flo_execution_begin(core, run, false);
    run->state_transitions++; /* its first task counts by itself */
    flo_execution_end(core, run, true);
    return run;
}

/* The child runs: its first run is run_id. Ends the transition of an open parent. */
static void record_child_started(struct flo_core *core, struct flo_execution *execution,
                                 struct flo_core_child *child, const initiated_t *initiated,
                                 const char *run_id)
{
    flo_set_text(core, &child->run_id, run_id);
    if (!flo_execution_is_open(execution))
        return;
    FloApi__WorkflowExecution ids = ids_of(child->workflow_id, child->run_id);
    FloApi__ChildWorkflowExecutionStartedEventAttributes started =
        FLO_API__CHILD_WORKFLOW_EXECUTION_STARTED_EVENT_ATTRIBUTES__INIT;
    started.namespace_ = initiated->namespace_;
    started.namespace_id = initiated->namespace_id;
    started.initiated_event_id = child->initiated_id;
    started.workflow_execution = &ids;
    started.workflow_type = initiated->workflow_type;
    started.header = initiated->header;
    struct flo_event out = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED,
        .attributes = &started,
    };
    child->started_id = flo_history_record(core, execution, &out, child->initiated_id);
    flo_core_workflow_task_schedule(core, execution);
    flo_execution_end(core, execution, true);
}

/*
 * The child that a reset run had before its reset point, if it still runs: started by this run or
 * by a run that the same run was reset to. Its parent goes on with it.
 */
static struct flo_execution *child_of_before(struct flo_core *core,
                                             const struct flo_execution *execution,
                                             const struct flo_core_child *child)
{
    if (strcmp(execution->original_run_id, execution->run_id) == 0)
        return NULL; /* no reset made it */
    struct flo_execution *run = flo_execution_find_open(core, child->ns, child->workflow_id, "");
    if (!run || strcmp(run->parent_namespace_id, execution->hooks.ns->id) != 0 ||
        strcmp(run->parent_workflow_id, execution->workflow_id) != 0 ||
        run->parent_initiated_id != child->initiated_id)
        return NULL;
    return run;
}

static void start_child(struct flo_core *core, struct flo_execution *execution,
                        FloApi__HistoryEvent *event)
{
    const initiated_t *initiated = event->start_child_workflow_execution_initiated_event_attributes;
    struct flo_core_child *child = flo_core_child_by_event(execution, event->event_id);
    if (!flo_execution_is_open(execution) &&
        child->parent_close_policy != FLO_API__PARENT_CLOSE_POLICY__PARENT_CLOSE_POLICY_ABANDON)
        return; /* the parent closed in the same completion: there is nobody to start it for */
    if (!child->ns) {
        child_refused(
            core, execution, child, initiated,
            FLO_API__START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE__START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND);
        return;
    }
    struct flo_execution *before = child_of_before(core, execution, child);
    if (before) {
        record_child_started(core, execution, child, initiated, before->first_run_id);
        return;
    }
    if (!may_start(core, child, initiated->workflow_id_reuse_policy)) {
        child_refused(
            core, execution, child, initiated,
            FLO_API__START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE__START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS);
        return;
    }
    struct flo_execution *run =
        create_child(core, execution, child, initiated, event->user_metadata);
    if (run)
        record_child_started(core, execution, child, initiated, run->run_id);
}

/* ---- signals and cancel requests to other runs ---- */

/* The open run that is meant, or NULL; never the run itself. */
static struct flo_execution *find_target(struct flo_core *core, struct flo_execution *execution,
                                         struct flo_namespace *ns,
                                         const FloApi__WorkflowExecution *ids, bool child_only)
{
    struct flo_execution *target = flo_execution_find_open(core, ns, ids->workflow_id, ids->run_id);
    if (!target || target == execution)
        return NULL;
    if (child_only && strcmp(target->parent_run_id, execution->run_id) != 0)
        return NULL;
    return target;
}

static bool deliver_signal(
    struct flo_core *core, struct flo_execution *execution, struct flo_execution *target,
    const FloApi__SignalExternalWorkflowExecutionInitiatedEventAttributes *initiated)
{
    char request_id[FLO_UUID_LEN + 1];
    flo_core_new_id(core, request_id);
    FloApi__WorkflowExecution source = ids_of(execution->workflow_id, execution->run_id);
    FloApi__WorkflowExecutionSignaledEventAttributes signaled =
        FLO_API__WORKFLOW_EXECUTION_SIGNALED_EVENT_ATTRIBUTES__INIT;
    signaled.signal_name = initiated->signal_name;
    signaled.input = initiated->input;
    signaled.header = initiated->header;
    signaled.identity = flo_text(FLO_CORE_RUN_IDENTITY);
    signaled.request_id = request_id;
    signaled.external_workflow_execution = &source;
    if (!flo_execution_add_signal(core, target, &signaled))
        return false;
    flo_execution_end(core, target, true);
    return true;
}

static void signal_external(struct flo_core *core, struct flo_execution *execution,
                            FloApi__HistoryEvent *event)
{
    FloApi__SignalExternalWorkflowExecutionInitiatedEventAttributes *initiated =
        event->signal_external_workflow_execution_initiated_event_attributes;
    struct flo_namespace *ns = namespace_of(core, execution, initiated->namespace_);
    struct flo_execution *target =
        ns ? find_target(core, execution, ns, initiated->workflow_execution,
                         initiated->child_workflow_only)
           : NULL;
    if (target && deliver_signal(core, execution, target, initiated)) {
        FloApi__ExternalWorkflowExecutionSignaledEventAttributes signaled =
            FLO_API__EXTERNAL_WORKFLOW_EXECUTION_SIGNALED_EVENT_ATTRIBUTES__INIT;
        signaled.initiated_event_id = event->event_id;
        signaled.namespace_ = ns->name;
        signaled.namespace_id = ns->id;
        signaled.workflow_execution = initiated->workflow_execution;
        signaled.control = initiated->control;
        tell(core, execution, FLO_API__EVENT_TYPE__EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
             &signaled, event->event_id);
        return;
    }
    FloApi__SignalExternalWorkflowExecutionFailedEventAttributes failed =
        FLO_API__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_EVENT_ATTRIBUTES__INIT;
    failed.cause =
        !ns ? FLO_API__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND
        : target
            ? FLO_API__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_SIGNAL_COUNT_LIMIT_EXCEEDED
            : FLO_API__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND;
    failed.namespace_ = ns ? ns->name : initiated->namespace_;
    failed.namespace_id = ns ? ns->id : flo_text("");
    failed.workflow_execution = initiated->workflow_execution;
    failed.initiated_event_id = event->event_id;
    failed.control = initiated->control;
    tell(core, execution, FLO_API__EVENT_TYPE__EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
         &failed, event->event_id);
}

static void deliver_cancel(struct flo_core *core, const struct flo_execution *execution,
                           struct flo_execution *target, char *reason, int64_t initiated_id)
{
    FloApi__WorkflowExecution source = ids_of(execution->workflow_id, execution->run_id);
    FloApi__WorkflowExecutionCancelRequestedEventAttributes requested =
        FLO_API__WORKFLOW_EXECUTION_CANCEL_REQUESTED_EVENT_ATTRIBUTES__INIT;
    requested.cause = reason;
    requested.identity = flo_text(FLO_CORE_RUN_IDENTITY);
    requested.external_initiated_event_id = initiated_id;
    requested.external_workflow_execution = &source;
    flo_execution_request_cancel(core, target, "", &requested);
    flo_execution_end(core, target, true);
}

/* The run that is meant has closed: there is nothing left to cancel, and that is fine. A damaged
 * row is that of a closed run; that the disk or memory fails must not become history. */
static bool is_closed(struct flo_core *core, struct flo_namespace *ns,
                      const FloApi__WorkflowExecution *ids)
{
    struct flo_core_run_ref ref;
    struct flo_status status = {0};
    int rc = flo_core_find_run(core, ns, ids->workflow_id, ids->run_id, &ref, &status);
    if (rc && rc != FLO_ENOENT && rc != FLO_EDATA)
        flo_core_set_fatal_as(core, rc);
    return rc ? rc == FLO_EDATA : !(ref.execution && flo_execution_is_open(ref.execution));
}

static void cancel_external(struct flo_core *core, struct flo_execution *execution,
                            FloApi__HistoryEvent *event)
{
    FloApi__RequestCancelExternalWorkflowExecutionInitiatedEventAttributes *initiated =
        event->request_cancel_external_workflow_execution_initiated_event_attributes;
    struct flo_namespace *ns = namespace_of(core, execution, initiated->namespace_);
    struct flo_execution *target =
        ns ? find_target(core, execution, ns, initiated->workflow_execution,
                         initiated->child_workflow_only)
           : NULL;
    if (!target && !(ns && is_closed(core, ns, initiated->workflow_execution))) {
        FloApi__RequestCancelExternalWorkflowExecutionFailedEventAttributes failed =
            FLO_API__REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_EVENT_ATTRIBUTES__INIT;
        failed.cause =
            ns ? FLO_API__CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE__CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND
               : FLO_API__CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE__CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND;
        failed.namespace_ = ns ? ns->name : initiated->namespace_;
        failed.namespace_id = ns ? ns->id : flo_text("");
        failed.workflow_execution = initiated->workflow_execution;
        failed.initiated_event_id = event->event_id;
        failed.control = initiated->control;
        tell(core, execution,
             FLO_API__EVENT_TYPE__EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
             &failed, event->event_id);
        return;
    }
    if (target)
        deliver_cancel(core, execution, target, initiated->reason, event->event_id);
    FloApi__ExternalWorkflowExecutionCancelRequestedEventAttributes done =
        FLO_API__EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED_EVENT_ATTRIBUTES__INIT;
    done.initiated_event_id = event->event_id;
    done.namespace_ = ns->name;
    done.namespace_id = ns->id;
    done.workflow_execution = initiated->workflow_execution;
    tell(core, execution,
         FLO_API__EVENT_TYPE__EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED, &done,
         event->event_id);
}

static void do_outbound(struct flo_core *core, struct flo_execution *execution,
                        const struct flo_outbound *outbound)
{
    if (!flo_execution_is_open(execution) && outbound->kind != FLO_OUTBOUND_CHILD)
        return;
    FloApi__HistoryEvent *event =
        flo_history_decode(&execution->history, outbound->initiated_id, &core->scratch);
    if (!event) {
        flo_core_set_fatal(core);
        return;
    }
    switch (outbound->kind) {
    case FLO_OUTBOUND_CHILD:
        start_child(core, execution, event);
        break;
    case FLO_OUTBOUND_SIGNAL:
        signal_external(core, execution, event);
        break;
    case FLO_OUTBOUND_CANCEL:
        cancel_external(core, execution, event);
        break;
    }
}

/* ---- the end of a run, seen by its family ---- */

/* The parent's event about the end of run; attributes point into out. */
union child_end {
    FloApi__ChildWorkflowExecutionCompletedEventAttributes completed;
    FloApi__ChildWorkflowExecutionFailedEventAttributes failed;
    FloApi__ChildWorkflowExecutionCanceledEventAttributes canceled;
    FloApi__ChildWorkflowExecutionTimedOutEventAttributes timed_out;
    FloApi__ChildWorkflowExecutionTerminatedEventAttributes terminated;
};

#define FILL_END(attributes)                                                                       \
    do {                                                                                           \
        (attributes)->namespace_ = ns->name;                                                       \
        (attributes)->namespace_id = ns->id;                                                       \
        (attributes)->workflow_execution = ids;                                                    \
        (attributes)->workflow_type = type;                                                        \
        (attributes)->initiated_event_id = child->initiated_id;                                    \
        (attributes)->started_event_id = child->started_id;                                        \
    } while (0)

static FloApi__EventType fill_end(const struct flo_core_child *child, struct flo_namespace *ns,
                                  FloApi__WorkflowExecution *ids, FloApi__WorkflowType *type,
                                  const FloApi__HistoryEvent *close, union child_end *out)
{
    switch (close->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        flo_api__child_workflow_execution_completed_event_attributes__init(&out->completed);
        FILL_END(&out->completed);
        out->completed.result = close->workflow_execution_completed_event_attributes->result;
        return FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        flo_api__child_workflow_execution_failed_event_attributes__init(&out->failed);
        FILL_END(&out->failed);
        out->failed.failure = close->workflow_execution_failed_event_attributes->failure;
        out->failed.retry_state = close->workflow_execution_failed_event_attributes->retry_state;
        return FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        flo_api__child_workflow_execution_canceled_event_attributes__init(&out->canceled);
        FILL_END(&out->canceled);
        out->canceled.details = close->workflow_execution_canceled_event_attributes->details;
        return FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        flo_api__child_workflow_execution_timed_out_event_attributes__init(&out->timed_out);
        FILL_END(&out->timed_out);
        out->timed_out.retry_state =
            close->workflow_execution_timed_out_event_attributes->retry_state;
        return FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT;
    default:
        flo_api__child_workflow_execution_terminated_event_attributes__init(&out->terminated);
        FILL_END(&out->terminated);
        return FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED;
    }
}

/* The run that a reset made of a parent that has closed, itself reset or not; "" = there is none.
 * In scratch. */
static const char *reset_run_of(struct flo_core *core, struct flo_namespace *ns,
                                const char *workflow_id, const char *run_id)
{
    struct flo_core_run_ref ref;
    struct flo_status status;
    int rc = flo_core_find_run(core, ns, workflow_id, run_id, &ref, &status);
    if (rc) {
        /* Not to know it would be to lose the child's end for its parent. */
        if (rc != FLO_ENOENT && rc != FLO_EDATA)
            flo_core_set_fatal_as(core, rc == FLO_EIO ? rc : FLO_ENOMEM);
        return "";
    }
    if (!ref.execution)
        return ref.state->reset_run_id;
    return ref.execution->more ? flo_text(ref.execution->more->reset_run_id) : "";
}

/* The open run that run is a child of: the one that started it, or what resets made of that one. */
static struct flo_execution *open_parent(struct flo_core *core, const struct flo_execution *run)
{
    const char *run_id = run->parent_run_id;
    struct flo_execution *parent = *run_id ? flo_core_resident(core, run_id) : NULL;
    if (!*run_id || (parent && flo_execution_is_open(parent)))
        return parent;
    struct flo_namespace *ns = flo_namespace_by_id(core, run->parent_namespace_id);
    parent = ns ? flo_execution_find_open(core, ns, run->parent_workflow_id, "") : NULL;
    if (!parent || strcmp(parent->original_run_id, parent->run_id) == 0)
        return NULL; /* no open run, or one that is no reset's: the chain need not be walked */
    for (int hops = 0; hops < MAX_RESETS && *run_id; hops++) {
        if (strcmp(run_id, parent->run_id) == 0)
            return parent;
        run_id = reset_run_of(core, ns, run->parent_workflow_id, run_id);
    }
    return NULL;
}

static void tell_parent(struct flo_core *core, struct flo_execution *run)
{
    struct flo_execution *parent = open_parent(core, run);
    if (!parent)
        return;
    struct flo_core_child *child = flo_core_child_by_event(parent, run->parent_initiated_id);
    if (!child || !child->run_id || strcmp(child->run_id, run->first_run_id) != 0)
        return;
    FloApi__HistoryEvent *close =
        flo_history_decode(&run->history, run->history.next_event_id - 1, &core->scratch);
    if (!close) {
        flo_core_set_fatal(core);
        return;
    }
    FloApi__WorkflowExecution ids = ids_of(run->workflow_id, run->run_id);
    FloApi__WorkflowType type = FLO_API__WORKFLOW_TYPE__INIT;
    type.name = child->type;
    union child_end end;
    int64_t initiated_id = child->initiated_id;
    FloApi__EventType event_type = fill_end(child, run->hooks.ns, &ids, &type, close, &end);
    tell(core, parent, event_type, &end, initiated_id);
    flo_core_child_remove(parent, child);
}

/* Apply the parent close policy to one child. */
static void close_child(struct flo_core *core, struct flo_execution *parent,
                        const struct flo_core_child *child)
{
    if (!child->run_id ||
        child->parent_close_policy == FLO_API__PARENT_CLOSE_POLICY__PARENT_CLOSE_POLICY_ABANDON)
        return;
    struct flo_execution *run = flo_execution_find_open(core, child->ns, child->workflow_id, "");
    if (!run || strcmp(run->first_run_id, child->run_id) != 0)
        return;
    if (child->parent_close_policy ==
        FLO_API__PARENT_CLOSE_POLICY__PARENT_CLOSE_POLICY_REQUEST_CANCEL) {
        FloApi__WorkflowExecution source = ids_of(parent->workflow_id, parent->run_id);
        FloApi__WorkflowExecutionCancelRequestedEventAttributes requested =
            FLO_API__WORKFLOW_EXECUTION_CANCEL_REQUESTED_EVENT_ATTRIBUTES__INIT;
        requested.identity = flo_text(FLO_CORE_RUN_IDENTITY);
        requested.external_workflow_execution = &source;
        flo_execution_request_cancel(core, run, "", &requested);
    } else {
        flo_execution_terminate(core, run, "by parent close policy", NULL, FLO_CORE_RUN_IDENTITY);
    }
    flo_execution_end(core, run, true);
}

void flo_core_child_settle(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_list *outbound = &execution->outbound;
    /* Any order is right; this one, the last and then the others as they came, is what the real
     * server shows when one completion asks for several. */
    for (bool last = true; !flo_list_empty(outbound); last = false) {
        struct flo_node *node = last ? outbound->head.prev : outbound->head.next;
        struct flo_outbound *next = flo_container(node, struct flo_outbound, node);
        flo_list_remove(outbound, node);
        do_outbound(core, execution, next);
        flo_free(next);
    }
    if (!execution->close_unsettled)
        return;
    execution->close_unsettled = false;
    if (execution->was_reset)
        return; /* another run goes on with its children, and for its parent */
    if (!execution->new_run_id)
        tell_parent(core, execution);
    for (size_t i = 0; i < execution->child_count; i++)
        close_child(core, execution, execution->children[i]);
}
