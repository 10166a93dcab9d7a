/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reset.c - ResetWorkflowExecution.
 *
 * Everything that can be refused is found out first: the new run is built aside (rebuild.c), where
 * it can still be thrown away. Then, which cannot fail any more, all runs change in one step and so
 * with one commit:
 *
 *    base run      learns which run was made of it; one that is only stored comes back for that
 *    current run   is terminated when it is open; its children stay, they are the new run's
 *    new run       its workflow task fails, attempts of activities that were under way fail, what
 *                  came after the reset point and is no doing of the workflow is applied again: of
 *                  the base run and of the runs that it continued as
 */
#include "engine/core/reset.h"

#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/history_read.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/options.h"
#include "engine/core/rebuild.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/update.h"
#include "flotilla/engine_state.pb-c.h"

#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name
#define EXCLUDE(name) (1u << FLO_API__RESET_REAPPLY_EXCLUDE_TYPE__RESET_REAPPLY_EXCLUDE_TYPE_##name)
#define EXCLUDE_ALL (EXCLUDE(SIGNAL) | EXCLUDE(UPDATE) | EXCLUDE(NEXUS) | EXCLUDE(CANCEL_REQUEST))
#define RESETTER_IDENTITY "history-resetter"
#define NO_REQUEST_ID "emptyUuid" /* of a workflow task that only starts in order to fail */

/* A reset under way. */
struct work {
    const struct flo_reset *reset;
    unsigned excluded; /* EXCLUDE() bits */
    struct flo_execution *base, *current, *fresh;
    bool base_revived; /* it was only stored, and nobody knows that it is in memory */
};

/* ---- what is asked for ---- */

/* The set of what is not applied again: the newer field and the older one together. */
static unsigned excluded_by(const struct flo_reset *reset)
{
    unsigned out = 0;
    switch (reset->reapply) {
    case FLO_API__RESET_REAPPLY_TYPE__RESET_REAPPLY_TYPE_SIGNAL:
        out = EXCLUDE(UPDATE);
        break;
    case FLO_API__RESET_REAPPLY_TYPE__RESET_REAPPLY_TYPE_NONE:
        out = EXCLUDE(SIGNAL) | EXCLUDE(UPDATE);
        break;
    default:
        break;
    }
    for (size_t i = 0; i < reset->n_exclude; i++)
        if ((unsigned)reset->exclude[i] < 32)
            out |= 1u << (unsigned)reset->exclude[i];
    return out;
}

static int check(struct flo_core *core, const struct flo_reset *reset, struct flo_status *status)
{
    int rc = 0;
    if (!protobuf_c_enum_descriptor_get_value(&flo_api__reset_reapply_type__descriptor,
                                              (int)reset->reapply))
        return flo_status_set(core, status, FLO_GRPC_INTERNAL, "unknown reset reapply type: %d",
                              (int)reset->reapply);
    for (size_t i = 0; i < reset->n_operations && !rc; i++) {
        const FloApi__PostResetOperation *operation = reset->operations[i];
        const FloApi__PostResetOperation__UpdateWorkflowOptions *update =
            operation->update_workflow_options;
        if (operation->variant_case ==
            FLO_API__POST_RESET_OPERATION__VARIANT_UPDATE_WORKFLOW_OPTIONS)
            rc = flo_options_check(core, update->workflow_execution_options, update->update_mask,
                                   status);
        else
            rc = flo_status_set(
                core, status, FLO_GRPC_INVALID_ARGUMENT, "unsupported post reset operation: %s",
                operation->variant_case ? "*workflow.PostResetOperation_SignalWorkflow_" : "<nil>");
    }
    return rc;
}

static int64_t next_event_id(const struct flo_core_run_ref *run)
{
    return run->execution ? run->execution->history.next_event_id : run->state->next_event_id;
}

static const char *run_id_of(const struct flo_core_run_ref *run)
{
    return run->execution ? run->execution->run_id : run->stored.run_id;
}

/* Find base and current run. *out_again: the run that the same request made before, else NULL. */
static int find_runs(struct flo_core *core, const struct flo_reset *reset,
                     struct flo_core_run_ref *out_base, struct flo_core_run_ref *out_current,
                     const char **out_again, struct flo_status *status)
{
    *out_again = NULL;
    int rc =
        flo_core_find_run(core, reset->ns, reset->workflow_id, reset->run_id, out_base, status);
    if (rc)
        return rc;
    if (reset->finish_id <= 1 || reset->finish_id >= next_event_id(out_base))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Workflow task finish ID must be > 1 && <= workflow last event ID.");
    rc = flo_core_find_run(core, reset->ns, reset->workflow_id, "", out_current, status);
    if (rc)
        return rc;
    const char *created_by = out_current->execution ? out_current->execution->start_request_id
                                                    : out_current->state->start_request_id;
    if (strcmp(created_by, reset->request_id) == 0)
        *out_again = run_id_of(out_current);
    return 0;
}

/* ---- the new run, aside ---- */

static int build(struct flo_core *core, struct work *work, const char *run_id,
                 struct flo_status *status)
{
    const struct flo_rebuild rebuild = {
        .base = work->base,
        .last_id = work->reset->finish_id - 1,
        .run_id = run_id,
        .request_id = work->reset->request_id,
    };
    int rc = flo_rebuild_run(core, &rebuild, &work->fresh, status);
    if (rc)
        return rc;
    if (work->fresh->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_NONE)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Can only reset workflow to event ID in range "
                              "[WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: %lld",
                              (long long)work->reset->finish_id);
    return 0;
}

/* ---- events that are applied again ---- */

/* Its event does not tell the request any more, as on the real server; the run knows it still. */
static void reapply_signal(struct flo_core *core, struct flo_execution *fresh,
                           const FloApi__HistoryEvent *event)
{
    const FloApi__WorkflowExecutionSignaledEventAttributes *from =
        event->workflow_execution_signaled_event_attributes;
    FloApi__WorkflowExecutionSignaledEventAttributes signal =
        FLO_API__WORKFLOW_EXECUTION_SIGNALED_EVENT_ATTRIBUTES__INIT;
    signal.signal_name = from->signal_name;
    signal.input = from->input;
    signal.identity = from->identity;
    signal.header = from->header;
    struct flo_event out = {.type = EVENT(WORKFLOW_EXECUTION_SIGNALED),
                            .attributes = &signal,
                            .links = event->links,
                            .n_links = event->n_links};
    fresh->signal_count++;
    flo_execution_keep_signal(core, fresh, from->request_id);
    flo_history_write(core, fresh, &out);
}

static void reapply_update(struct flo_core *core, struct flo_execution *fresh,
                           FloApi__Request *request, FloApi__UpdateAdmittedEventOrigin origin)
{
    if (!request || !request->meta || flo_update_find(fresh, request->meta->update_id))
        return;
    FloApi__WorkflowExecutionUpdateAdmittedEventAttributes admitted =
        FLO_API__WORKFLOW_EXECUTION_UPDATE_ADMITTED_EVENT_ATTRIBUTES__INIT;
    admitted.request = request;
    admitted.origin = origin;
    struct flo_event out = {.type = EVENT(WORKFLOW_EXECUTION_UPDATE_ADMITTED),
                            .attributes = &admitted};
    flo_history_write(core, fresh, &out);
    flo_update_readmit(core, fresh, request->meta->update_id);
}

static void reapply_options(struct flo_core *core, struct flo_execution *fresh,
                            const FloApi__HistoryEvent *event)
{
    FloApi__WorkflowExecutionOptionsUpdatedEventAttributes updated =
        *event->workflow_execution_options_updated_event_attributes;
    flo_options_record(core, fresh, &updated, event->links, event->n_links);
}

/* What became of a child that the new run has, too; its Started event has another id there. */
static void reapply_child(struct flo_core *core, struct flo_execution *fresh,
                          FloApi__HistoryEvent *event)
{
    int64_t initiated_id = 0, *started_id = NULL;
#define CHILD_END(type, field)                                                                     \
    case EVENT(type):                                                                              \
        initiated_id = event->field##_event_attributes->initiated_event_id;                        \
        started_id = &event->field##_event_attributes->started_event_id;                           \
        break
    switch (event->event_type) {
    case EVENT(START_CHILD_WORKFLOW_EXECUTION_FAILED):
        initiated_id =
            event->start_child_workflow_execution_failed_event_attributes->initiated_event_id;
        break;
    case EVENT(CHILD_WORKFLOW_EXECUTION_STARTED):
        initiated_id = event->child_workflow_execution_started_event_attributes->initiated_event_id;
        break;
        CHILD_END(CHILD_WORKFLOW_EXECUTION_COMPLETED, child_workflow_execution_completed);
        CHILD_END(CHILD_WORKFLOW_EXECUTION_FAILED, child_workflow_execution_failed);
        CHILD_END(CHILD_WORKFLOW_EXECUTION_CANCELED, child_workflow_execution_canceled);
        CHILD_END(CHILD_WORKFLOW_EXECUTION_TIMED_OUT, child_workflow_execution_timed_out);
        CHILD_END(CHILD_WORKFLOW_EXECUTION_TERMINATED, child_workflow_execution_terminated);
    default:
        return;
    }
#undef CHILD_END
    struct flo_core_child *child = flo_core_child_by_event(fresh, initiated_id);
    const bool starts = event->event_type == EVENT(CHILD_WORKFLOW_EXECUTION_STARTED);
    if (!child || (starts && child->started_id))
        return;
    if (started_id)
        *started_id = child->started_id;
    struct flo_event out = {
        .type = event->event_type,
        .attributes = event->child_workflow_execution_started_event_attributes, /* of a union */
    };
    const int64_t id = flo_history_write(core, fresh, &out);
    if (!starts) {
        flo_core_child_remove(fresh, child);
        return;
    }
    child->started_id = id;
    flo_set_text(
        core, &child->run_id,
        event->child_workflow_execution_started_event_attributes->workflow_execution->run_id);
}

/* Is it an event of a kind that reapply() does something with? */
static bool may_reapply(FloApi__EventType type)
{
    switch (type) {
    case EVENT(WORKFLOW_EXECUTION_SIGNALED):
    case EVENT(WORKFLOW_EXECUTION_UPDATE_ADMITTED):
    case EVENT(WORKFLOW_EXECUTION_UPDATE_ACCEPTED):
    case EVENT(WORKFLOW_EXECUTION_OPTIONS_UPDATED):
    case EVENT(START_CHILD_WORKFLOW_EXECUTION_FAILED):
    case EVENT(CHILD_WORKFLOW_EXECUTION_STARTED):
    case EVENT(CHILD_WORKFLOW_EXECUTION_COMPLETED):
    case EVENT(CHILD_WORKFLOW_EXECUTION_FAILED):
    case EVENT(CHILD_WORKFLOW_EXECUTION_CANCELED):
    case EVENT(CHILD_WORKFLOW_EXECUTION_TIMED_OUT):
    case EVENT(CHILD_WORKFLOW_EXECUTION_TERMINATED):
        return true;
    default:
        return false;
    }
}

static void reapply(struct flo_core *core, const struct work *work, FloApi__HistoryEvent *event)
{
    struct flo_execution *fresh = work->fresh;
    const bool updates = !(work->excluded & EXCLUDE(UPDATE));
    switch (event->event_type) {
    case EVENT(WORKFLOW_EXECUTION_SIGNALED):
        if (!(work->excluded & EXCLUDE(SIGNAL)))
            reapply_signal(core, fresh, event);
        break;
    case EVENT(WORKFLOW_EXECUTION_UPDATE_ADMITTED):
        if (updates)
            reapply_update(core, fresh,
                           event->workflow_execution_update_admitted_event_attributes->request,
                           event->workflow_execution_update_admitted_event_attributes->origin);
        break;
    case EVENT(WORKFLOW_EXECUTION_UPDATE_ACCEPTED):
        if (updates)
            reapply_update(
                core, fresh,
                event->workflow_execution_update_accepted_event_attributes->accepted_request,
                FLO_API__UPDATE_ADMITTED_EVENT_ORIGIN__UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY);
        break;
    case EVENT(WORKFLOW_EXECUTION_OPTIONS_UPDATED):
        reapply_options(core, fresh, event);
        break;
    default:
        reapply_child(core, fresh, event);
        break;
    }
}

/* ---- the runs whose events are applied again ---- */

/* Events of runs that do not change any more, as the wire form of History: the base run's from the
 * reset point on, and those of the runs that it continued as. Of the current run, which has yet to
 * end, only where it begins. */
struct chain {
    struct flo_buf events;
    int64_t current_from; /* event of the current run; 0 = it is not of the chain */
};

/* Look at entries of data, and keep those that may be applied again. out_next: the run that this
 * one continued as. */
static int gather_bytes(struct chain *chain, const uint8_t *data, size_t len, struct flo_arena *mem,
                        char out_next[FLO_UUID_LEN + 1])
{
    while (len) {
        const size_t entry = flo_history_entry_len(data, len);
        const FloApi__HistoryEvent *event =
            entry ? flo_history_entry_decode(data, entry, mem) : NULL;
        if (!event)
            return FLO_EDATA;
        if (event->event_type == EVENT(WORKFLOW_EXECUTION_CONTINUED_AS_NEW))
            snprintf(
                out_next, FLO_UUID_LEN + 1, "%s",
                event->workflow_execution_continued_as_new_event_attributes->new_execution_run_id);
        if (may_reapply(event->event_type) && flo_buf_append(&chain->events, data, entry))
            return FLO_ENOMEM;
        flo_arena_reset(mem);
        data += entry;
        len -= entry;
    }
    return 0;
}

static int gather_resident(struct chain *chain, const struct flo_execution *from, int64_t first_id,
                           struct flo_arena *mem, char out_next[FLO_UUID_LEN + 1])
{
    const uint8_t *data;
    size_t len;
    flo_history_range(&from->history, first_id, from->history.next_event_id - 1, &data, &len);
    return gather_bytes(chain, data, len, mem, out_next);
}

static int gather_stored(struct flo_core *core, struct chain *chain,
                         const struct flo_core_run_ref *from, struct flo_arena *mem,
                         char out_next[FLO_UUID_LEN + 1])
{
    int rc = 0;
    for (int64_t next = 1; !rc && next < from->state->next_event_id;) {
        const int64_t first = next;
        struct flo_bytes page;
        rc = flo_history_read_stored(core, from, first, FLO_CORE_PAGE_BATCHES, &page, &next);
        if (!rc && next == first)
            rc = FLO_EDATA; /* the store has no such batch */
        if (!rc)
            rc = gather_bytes(chain, page.data, page.len, mem, out_next);
    }
    return rc;
}

/* One run of the chain; out_next "": it is the last one. A run that is gone ends the chain, too. */
static int gather_run(struct flo_core *core, const struct work *work, struct chain *chain,
                      const char *run_id, struct flo_arena *mem, char out_next[FLO_UUID_LEN + 1],
                      struct flo_status *status)
{
    struct flo_core_run_ref run;
    int rc =
        flo_core_find_run(core, work->reset->ns, work->reset->workflow_id, run_id, &run, status);
    out_next[0] = '\0';
    if (rc == FLO_ENOENT)
        return 0;
    if (rc)
        return rc;
    if (run.execution && run.execution == work->current)
        chain->current_from = 1;
    else if (run.execution)
        rc = gather_resident(chain, run.execution, 1, mem, out_next);
    else
        rc = gather_stored(core, chain, &run, mem, out_next);
    return rc;
}

static int gather(struct flo_core *core, const struct work *work, struct chain *chain,
                  struct flo_status *status)
{
    struct flo_arena mem; /* of the event that is looked at */
    char run_id[FLO_UUID_LEN + 1] = "", next[FLO_UUID_LEN + 1];
    int rc = 0;
    if ((work->excluded & EXCLUDE_ALL) == EXCLUDE_ALL)
        return 0;
    if (work->base == work->current) {
        chain->current_from = work->reset->finish_id;
        return 0;
    }
    flo_arena_init(&mem, 0);
    rc = gather_resident(chain, work->base, work->reset->finish_id, &mem, run_id);
    while (!rc && run_id[0]) {
        rc = gather_run(core, work, chain, run_id, &mem, next, status);
        memcpy(run_id, next, sizeof run_id);
    }
    flo_arena_fini(&mem);
    if (rc == FLO_ENOMEM)
        return flo_status_no_memory(status);
    if (rc && !status->code)
        flo_status_put(core, status, FLO_GRPC_DATA_LOSS,
                       "the history of workflow ID \"%s\" is damaged", work->reset->workflow_id);
    return rc;
}

static void reapply_bytes(struct flo_core *core, const struct work *work, const uint8_t *data,
                          size_t len)
{
    struct flo_arena mem;
    flo_arena_init(&mem, 0);
    while (len) {
        const size_t entry = flo_history_entry_len(data, len);
        FloApi__HistoryEvent *event = entry ? flo_history_entry_decode(data, entry, &mem) : NULL;
        if (!event) {
            flo_core_set_fatal(core);
            break;
        }
        reapply(core, work, event);
        flo_arena_reset(&mem);
        data += entry;
        len -= entry;
    }
    flo_arena_fini(&mem);
}

static void reapply_chain(struct flo_core *core, const struct work *work, const struct chain *chain)
{
    reapply_bytes(core, work, chain->events.data, chain->events.len);
    if (!chain->current_from)
        return;
    const struct flo_history *history = &work->current->history;
    const uint8_t *data;
    size_t len;
    flo_history_range(history, chain->current_from, history->next_event_id - 1, &data, &len);
    reapply_bytes(core, work, data, len);
}

/* ---- all runs change ---- */

/* The workflow task of the reset point fails, which tells why this run is there. */
static void fail_task(struct flo_core *core, const struct work *work)
{
    struct flo_execution *fresh = work->fresh;
    struct flo_core_workflow_task *task = &fresh->workflow_task;
    if (task->transient) { /* its events have not been written yet */
        task->attempt = 1;
        task->scheduled_ns = flo_event_time(core);
        flo_core_workflow_task_keep(core, fresh);
    }
    if (task->stage == FLO_CORE_WORKFLOW_TASK_SCHEDULED) {
        const struct flo_core_worker nobody = {.identity = FLO_CORE_RUN_IDENTITY,
                                               .request_id = NO_REQUEST_ID};
        if (flo_core_workflow_task_start(core, fresh, &nobody, false))
            flo_core_set_fatal(core);
    }
    FloApi__ResetWorkflowFailureInfo info = FLO_API__RESET_WORKFLOW_FAILURE_INFO__INIT;
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    failure.message = flo_text(work->reset->reason);
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_RESET_WORKFLOW_FAILURE_INFO;
    failure.reset_workflow_failure_info = &info;
    FloApi__WorkflowTaskFailedEventAttributes failed =
        FLO_API__WORKFLOW_TASK_FAILED_EVENT_ATTRIBUTES__INIT;
    failed.cause = FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW;
    failed.failure = &failure;
    failed.identity = flo_text(FLO_CORE_RUN_IDENTITY);
    failed.base_run_id = work->base->run_id;
    failed.new_run_id = fresh->run_id;
    flo_core_workflow_task_fail(core, fresh, &failed);
    task->attempt = 1;
}

/* Activities wait for a worker from now on; an attempt that an event tells of has failed. */
static void restart_activities(struct flo_core *core, struct flo_execution *fresh)
{
    for (size_t i = 0; i < fresh->activity_count; i++) {
        struct flo_core_activity *activity = fresh->activities[i];
        activity->stage = FLO_CORE_ACTIVITY_SCHEDULED;
        activity->first_scheduled_ns = activity->scheduled_ns = fresh->start_ns;
        if (flo_core_activity_queue(core, activity))
            flo_core_set_fatal(core);
        flo_core_activity_arm(core, activity);
    }
}

/* What the run asked of others before the reset point and got no answer to. */
static void ask_again(struct flo_core *core, struct flo_execution *fresh)
{
    for (size_t i = 0; i < fresh->child_count; i++)
        if (!fresh->children[i]->started_id)
            flo_outbound_add(core, fresh, FLO_OUTBOUND_CHILD, fresh->children[i]->initiated_id);
}

static void set_times(struct flo_core *core, const struct work *work)
{
    struct flo_execution *fresh = work->fresh;
    const int64_t backoff_ns = fresh->execution_ns - fresh->start_ns;
    fresh->start_ns = flo_event_time(core);
    fresh->state_transitions = 1; /* to what it is rebuilt as */
    fresh->execution_ns = flo_add_ns(fresh->start_ns, backoff_ns);
    if (fresh->execution_timeout_ns)
        fresh->execution_deadline_ns = flo_add_ns(fresh->start_ns, fresh->execution_timeout_ns);
    struct flo_run_more *more = flo_run_more_of(core, fresh);
    const struct flo_run_more *before = work->base->more;
    if (more)
        more->original_start_ns =
            before && before->original_start_ns ? before->original_start_ns : work->base->start_ns;
}

static void end_current(struct flo_core *core, const struct work *work)
{
    struct flo_execution *current = work->current;
    if (!current || !flo_execution_is_open(current))
        return;
    current->was_reset = true;
    flo_execution_terminate(core, current, work->reset->reason, NULL, RESETTER_IDENTITY);
    if (current != work->base)
        flo_execution_end(core, current, true);
}

static void operate(struct flo_core *core, const struct work *work)
{
    for (size_t i = 0; i < work->reset->n_operations; i++) {
        const FloApi__PostResetOperation__UpdateWorkflowOptions *update =
            work->reset->operations[i]->update_workflow_options;
        FloApi__WorkflowExecutionOptions *options;
        struct flo_status status;
        if (flo_options_update(core, work->fresh, update->workflow_execution_options,
                               update->update_mask, &options, NULL, &status))
            flo_core_set_fatal(core);
    }
}

/* All is checked: the runs change. What fails now is fatal. */
static void change(struct flo_core *core, const struct work *work, const struct chain *chain)
{
    struct flo_execution *base = work->base, *fresh = work->fresh;
    if (work->base_revived && flo_core_revive_run(core, base))
        flo_core_set_fatal(core);
    struct flo_run_more *more = flo_run_more_of(core, base);
    if (more)
        flo_set_text(core, &more->reset_run_id, fresh->run_id);
    end_current(core, work);
    flo_execution_end(core, base, true);
    set_times(core, work);
    if (flo_core_add_run(core, fresh)) {
        flo_core_set_fatal(core);
        return;
    }
    flo_execution_arm_run(core, fresh);
    fail_task(core, work);
    flo_execution_keep_signals_of(core, fresh, base);
    reapply_chain(core, work, chain);
    restart_activities(core, fresh);
    flo_user_timers_arm(core, fresh);
    ask_again(core, fresh);
    operate(core, work);
    flo_core_workflow_task_schedule(core, fresh);
    flo_execution_end(core, fresh, true);
}

int flo_reset_run(struct flo_core *core, const struct flo_reset *reset,
                  char out_run_id[FLO_UUID_LEN + 1], uint64_t *out_after, struct flo_status *status)
{
    struct work work = {.reset = reset, .excluded = excluded_by(reset)};
    struct chain chain = {0};
    struct flo_core_run_ref base, current;
    const char *again;
    int rc = check(core, reset, status);
    if (!rc)
        rc = find_runs(core, reset, &base, &current, &again, status);
    if (rc)
        return rc;
    if (again) {
        memcpy(out_run_id, again, FLO_UUID_LEN + 1);
        *out_after = current.execution ? flo_core_after(core, current.execution) : 0;
        return 0;
    }
    char run_id[FLO_UUID_LEN + 1];
    flo_core_new_id(core, run_id);
    work.base = base.execution;
    work.current = current.execution;
    work.base_revived = !base.execution;
    if (work.base_revived)
        rc = flo_execution_revive(core, &base, &work.base, status);
    if (!rc)
        rc = build(core, &work, run_id, status);
    if (!rc)
        rc = gather(core, &work, &chain, status);
    if (!rc) {
        change(core, &work, &chain);
        memcpy(out_run_id, run_id, sizeof run_id);
        *out_after = flo_core_after(core, work.fresh);
    } else {
        flo_execution_destroy(core, &work.fresh);
        if (work.base_revived)
            flo_execution_destroy(core, &work.base);
    }
    flo_buf_fini(&chain.events);
    return rc;
}

/* ---- the call ---- */

static int check_request(struct flo_core *core,
                         const FloApi__ResetWorkflowExecutionRequest *request,
                         struct flo_status *status)
{
    if (!*request->request_id)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "RequestId is not set on request.");
    if (strlen(request->request_id) > FLO_CORE_ID_BYTES)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "RequestId length exceeds limit.");
    return flo_check_execution(core, request->workflow_execution, status);
}

void flo_rpc_reset_workflow_execution(struct flo_core *core, const struct flo_core_call_info *info,
                                      const void *message)
{
    const FloApi__ResetWorkflowExecutionRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns = NULL;
    char run_id[FLO_UUID_LEN + 1];
    uint64_t after = 0;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = check_request(core, request, &status);
    if (!rc) {
        const struct flo_reset reset = {
            .ns = ns,
            .workflow_id = request->workflow_execution->workflow_id,
            .run_id = request->workflow_execution->run_id,
            .finish_id = request->workflow_task_finish_event_id,
            .request_id = request->request_id,
            .reason = request->reason,
            .reapply = request->reset_reapply_type,
            .exclude = request->reset_reapply_exclude_types,
            .n_exclude = request->n_reset_reapply_exclude_types,
            .operations = request->post_reset_operations,
            .n_operations = request->n_post_reset_operations,
        };
        rc = flo_reset_run(core, &reset, run_id, &after, &status);
    }
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    FloApi__ResetWorkflowExecutionResponse response =
        FLO_API__RESET_WORKFLOW_EXECUTION_RESPONSE__INIT;
    response.run_id = run_id;
    flo_reply_ok(core, info->id, after, &response.base);
}
