/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.c - the updates of a run; their stages are in update.h.
 *
 * An update alone is no reason to write anything: when no workflow task is pending it gets a
 * speculative one, whose events are only shown to its worker. It becomes a real one when anything
 * else happens to the run, when no worker takes it in time or when it is lost, and disappears when
 * its worker rejects everything that it carried.
 */
#include "engine/core/update.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/core/reply.h"

#define REQUEST_TYPE_URL "type.googleapis.com/temporal.api.update.v1.Request"

/* ---- the set ---- */

struct flo_updates *flo_updates_of(struct flo_core *core, struct flo_execution *execution)
{
    if (execution->updates)
        return execution->updates;
    struct flo_updates *updates = flo_calloc(1, sizeof *updates);
    if (!updates)
        return NULL;
    flo_list_init(&updates->active);
    flo_list_init(&updates->done);
    flo_map_init(&updates->by_id);
    updates->total_bytes = &core->update_bytes;
    execution->updates = updates;
    return updates;
}

struct flo_update *flo_update_find(const struct flo_execution *execution, const char *id)
{
    return execution->updates ? flo_map_get_str(&execution->updates->by_id, id) : NULL;
}

size_t flo_updates_recorded(const struct flo_execution *execution)
{
    return execution->updates ? execution->updates->recorded : 0;
}

static struct flo_update *add(struct flo_updates *updates, const char *id)
{
    const size_t len = strlen(id);
    struct flo_update *update = flo_calloc(1, sizeof *update + len + 1);
    if (!update)
        return NULL;
    memcpy(update->id, id, len + 1);
    flo_list_init(&update->waiters);
    if (flo_map_put_str(&updates->by_id, update->id, update)) {
        flo_free(update);
        return NULL;
    }
    flo_list_push_back(&updates->active, &update->node);
    return update;
}

static void set_done(struct flo_updates *updates, struct flo_update *update, bool done)
{
    if (update->is_done == done)
        return;
    flo_list_remove(done ? &updates->active : &updates->done, &update->node);
    flo_list_push_back(done ? &updates->done : &updates->active, &update->node);
    update->is_done = done;
}

void flo_update_watch(struct flo_execution *execution, struct flo_update *update)
{
    set_done(execution->updates, update, false);
}

/* Nobody needs to be sent it any more. */
static void forget_request(struct flo_updates *updates, struct flo_update *update)
{
    updates->bytes -= update->request.len;
    *updates->total_bytes -= update->request.len;
    flo_blob_clear(&update->request);
}

static void drop(struct flo_updates *updates, struct flo_update *update)
{
    set_done(updates, update, false);
    flo_list_remove(&updates->active, &update->node);
    forget_request(updates, update);
    flo_blob_clear(&update->failure);
    flo_free(update);
}

/* ---- admission ---- */

static int check_limits(struct flo_core *core, const struct flo_updates *updates, size_t bytes,
                        bool resurrected, struct flo_status *status)
{
    const FloApi__ResourceExhaustedCause concurrent =
        FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT;
    if (!resurrected && updates->in_flight >= FLO_CORE_RUN_MAX_UPDATES_IN_FLIGHT)
        return flo_status_exhausted(
            core, status, concurrent,
            "limit on number of concurrent in-flight updates has been reached (%d)",
            FLO_CORE_RUN_MAX_UPDATES_IN_FLIGHT);
    if (updates->by_id.count >= FLO_CORE_RUN_MAX_UPDATES)
        return flo_status_set(
            core, status, FLO_GRPC_FAILED_PRECONDITION,
            "The limit on the total number of distinct updates in this workflow has been reached "
            "(%d). Make sure any duplicate updates share an Update ID so the server can "
            "deduplicate them, and consider rejecting updates that you aren't going to process. "
            "You can also Continue-as-New to avoid this; we recommend you check Continue-as-New "
            "Suggested in your Workflow.",
            FLO_CORE_RUN_MAX_UPDATES);
    if (!resurrected && updates->bytes + bytes >= FLO_CORE_RUN_MAX_UPDATE_BYTES)
        return flo_status_exhausted(
            core, status, concurrent,
            "limit on total payload size of in-flight updates has been reached (%zu bytes)",
            FLO_CORE_RUN_MAX_UPDATE_BYTES);
    if (!resurrected && core->update_bytes + bytes > (size_t)core->options.update_bytes_limit)
        return flo_status_exhausted(
            core, status,
            FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED,
            "too many updates of all workflows together wait for a worker (%zu bytes)",
            core->update_bytes);
    return 0;
}

int flo_update_admit(struct flo_core *core, struct flo_execution *execution, const char *id,
                     const FloApi__Request *request, bool resurrected, struct flo_update **out,
                     struct flo_status *status)
{
    struct flo_updates *updates = flo_updates_of(core, execution);
    if (!updates)
        return flo_status_no_memory(status);
    int rc = check_limits(core, updates, flo_wire_size(&request->base), resurrected, status);
    if (rc)
        return rc;
    struct flo_update *update = add(updates, id);
    if (!update)
        return flo_status_no_memory(status);
    flo_blob_set(core, &update->request, &request->base);
    updates->in_flight++;
    updates->bytes += update->request.len;
    core->update_bytes += update->request.len;
    *out = update;
    return 0;
}

/* NULL: no memory. */
static struct flo_update *add_readmitted(struct flo_updates *updates, const char *id)
{
    struct flo_update *update = add(updates, id);
    if (!update)
        return NULL;
    update->in_history = true;
    updates->in_flight++;
    updates->recorded++;
    return update;
}

void flo_update_readmit(struct flo_core *core, struct flo_execution *execution, const char *id)
{
    struct flo_updates *updates = flo_updates_of(core, execution);
    if (!updates || !add_readmitted(updates, id))
        flo_core_set_fatal(core);
}

void flo_update_schedule(struct flo_core *core, struct flo_execution *execution)
{
    if (execution->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_NONE)
        flo_core_workflow_task_speculate(core, execution);
}

bool flo_updates_wait(const struct flo_execution *execution)
{
    if (!execution->updates || !execution->updates->in_flight)
        return false;
    FLO_LIST_FOREACH(node, &execution->updates->active)
    {
        if (flo_container(node, struct flo_update, node)->stage == FLO_UPDATE_ADMITTED)
            return true;
    }
    return false;
}

/* ---- to the worker ---- */

static FloApi__Message *message_of(struct flo_core *core, const struct flo_execution *execution,
                                   struct flo_update *update)
{
    FloApi__Message *message = flo_arena_alloc(&core->scratch, sizeof *message);
    Google__Protobuf__Any *body = flo_arena_alloc(&core->scratch, sizeof *body);
    if (!message || !body)
        return NULL;
    flo_api__message__init(message);
    google__protobuf__any__init(body);
    body->type_url = flo_text(REQUEST_TYPE_URL);
    body->value = (ProtobufCBinaryData){update->request.len, update->request.data};
    message->id = flo_arena_printf(&core->scratch, "%s/request", update->id);
    message->protocol_instance_id = update->id;
    message->sequencing_id_case = FLO_API__MESSAGE__SEQUENCING_ID_EVENT_ID;
    message->event_id = execution->workflow_task.started_id - 1;
    message->body = body;
    return message->id ? message : NULL;
}

int flo_update_attach(struct flo_core *core, struct flo_execution *execution, bool sticky,
                      FloApi__PollWorkflowTaskQueueResponse *body)
{
    struct flo_updates *updates = execution->updates;
    if (!updates || !updates->in_flight)
        return 0;
    body->messages = flo_arena_calloc(&core->scratch, updates->in_flight, sizeof(void *));
    if (!body->messages)
        return FLO_ENOMEM;
    FLO_LIST_FOREACH(node, &updates->active)
    {
        struct flo_update *update = flo_container(node, struct flo_update, node);
        if (update->stage != FLO_UPDATE_ADMITTED && (update->stage != FLO_UPDATE_SENT || sticky))
            continue;
        update->stage = FLO_UPDATE_SENT;
        if (update->in_history)
            continue;
        FloApi__Message *message = message_of(core, execution, update);
        if (!message)
            return FLO_ENOMEM;
        body->messages[body->n_messages++] = message;
    }
    return 0;
}

void flo_updates_unsend(struct flo_execution *execution)
{
    if (!execution->updates || !execution->updates->in_flight)
        return;
    FLO_LIST_FOREACH(node, &execution->updates->active)
    {
        struct flo_update *update = flo_container(node, struct flo_update, node);
        if (update->stage == FLO_UPDATE_SENT)
            update->stage = FLO_UPDATE_ADMITTED;
    }
}

/* ---- how they end ---- */

/* It is not in flight any more. */
static void landed(struct flo_execution *execution, struct flo_update *update)
{
    execution->updates->in_flight--;
    forget_request(execution->updates, update);
}

void flo_update_accepted(struct flo_execution *execution, struct flo_update *update,
                         int64_t event_id)
{
    update->stage = FLO_UPDATE_ACCEPTED;
    update->accepted_id = event_id;
    if (!update->in_history)
        execution->updates->recorded++;
    forget_request(execution->updates, update);
}

void flo_update_completed(struct flo_execution *execution, struct flo_update *update,
                          int64_t event_id)
{
    update->stage = FLO_UPDATE_COMPLETED;
    update->completed_id = event_id;
    landed(execution, update);
}

/* Off the map: its id is free again. It is answered and freed when the run is settled. */
static void over(struct flo_execution *execution, struct flo_update *update,
                 enum flo_update_stage stage)
{
    update->stage = stage;
    landed(execution, update);
    flo_map_remove_str(&execution->updates->by_id, update->id);
}

void flo_update_reject(struct flo_core *core, struct flo_execution *execution,
                       struct flo_update *update, const FloApi__Failure *failure)
{
    static const FloApi__Failure none = FLO_API__FAILURE__INIT;
    flo_blob_set(core, &update->failure, failure ? &failure->base : &none.base);
    over(execution, update, FLO_UPDATE_REJECTED);
}

void flo_update_abort(struct flo_execution *execution, struct flo_update *update,
                      enum flo_update_abort why)
{
    update->abort = why;
    over(execution, update, FLO_UPDATE_ABORTED);
}

void flo_updates_reject_unprocessed(struct flo_core *core, struct flo_execution *execution)
{
    if (!execution->updates || !execution->updates->in_flight)
        return;
    FloApi__ApplicationFailureInfo info = FLO_API__APPLICATION_FAILURE_INFO__INIT;
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    info.type = flo_text("UnprocessedUpdate");
    info.non_retryable = true;
    failure.message = flo_text("Workflow Update is rejected because it wasn't processed by worker. "
                               "Probably, Workflow Update is not supported by the worker.");
    failure.source = flo_text("Server");
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure.application_failure_info = &info;
    FLO_LIST_FOREACH(node, &execution->updates->active)
    {
        struct flo_update *update = flo_container(node, struct flo_update, node);
        if (update->stage == FLO_UPDATE_SENT)
            flo_update_reject(core, execution, update, &failure);
    }
}

void flo_updates_refused(struct flo_execution *execution)
{
    if (!execution->updates)
        return;
    FLO_LIST_FOREACH(node, &execution->updates->active)
    {
        struct flo_update *update = flo_container(node, struct flo_update, node);
        if (update->stage == FLO_UPDATE_SENT)
            flo_update_abort(execution, update, FLO_UPDATE_TASK_REFUSED);
    }
}

/* ---- the end of a step ---- */

void flo_update_settle(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_updates *updates = execution->updates;
    if (!updates)
        return;
    const bool open = flo_execution_is_open(execution);
    FLO_LIST_FOREACH_SAFE(node, &updates->active)
    {
        struct flo_update *update = flo_container(node, struct flo_update, node);
        if (!open && (update->stage == FLO_UPDATE_ADMITTED || update->stage == FLO_UPDATE_SENT))
            flo_update_abort(execution, update,
                             execution->new_run_id ? FLO_UPDATE_RUN_CONTINUED
                                                   : FLO_UPDATE_RUN_CLOSED);
        if (!flo_list_empty(&update->waiters))
            flo_update_answer(core, execution, update);
        if (update->stage == FLO_UPDATE_REJECTED || update->stage == FLO_UPDATE_ABORTED)
            drop(updates, update);
        else if (update->stage == FLO_UPDATE_COMPLETED && flo_list_empty(&update->waiters))
            set_done(updates, update, true);
    }
}

void flo_updates_fini(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_updates *updates = execution->updates;
    if (!updates)
        return;
    struct flo_status status = {0};
    flo_status_not_found(core, &status, "workflow not found for ID: %s", execution->workflow_id);
    FLO_LIST_FOREACH_SAFE(node, &updates->active)
    {
        struct flo_update *update = flo_container(node, struct flo_update, node);
        flo_update_answer_error(core, update, &status);
        drop(updates, update);
    }
    FLO_LIST_FOREACH_SAFE(node, &updates->done)
    {
        drop(updates, flo_container(node, struct flo_update, node));
    }
    flo_map_fini(&updates->by_id);
    flo_free(updates);
    execution->updates = NULL;
}

/* ---- out of the history ---- */

static int load_accepted(struct flo_updates *updates,
                         const FloApi__WorkflowExecutionUpdateAcceptedEventAttributes *accepted,
                         int64_t event_id)
{
    struct flo_update *update = flo_map_get_str(&updates->by_id, accepted->protocol_instance_id);
    if (update && (!update->in_history || update->accepted_id))
        return FLO_EDATA;
    if (update) {
        update->stage = FLO_UPDATE_ACCEPTED;
        update->accepted_id = event_id;
        return 0;
    }
    update = add(updates, accepted->protocol_instance_id);
    if (!update)
        return FLO_ENOMEM;
    update->stage = FLO_UPDATE_ACCEPTED;
    update->accepted_id = event_id;
    updates->in_flight++;
    updates->recorded++;
    return 0;
}

static int load_completed(struct flo_execution *execution,
                          const FloApi__WorkflowExecutionUpdateCompletedEventAttributes *completed,
                          int64_t event_id)
{
    struct flo_update *update =
        completed->meta ? flo_update_find(execution, completed->meta->update_id) : NULL;
    if (!update || update->stage != FLO_UPDATE_ACCEPTED)
        return FLO_EDATA;
    flo_update_completed(execution, update, event_id);
    set_done(execution->updates, update, true);
    return 0;
}

static int load_admitted(struct flo_updates *updates, const FloApi__Request *request)
{
    if (!request || !request->meta || flo_map_get_str(&updates->by_id, request->meta->update_id))
        return FLO_EDATA;
    return add_readmitted(updates, request->meta->update_id) ? 0 : FLO_ENOMEM;
}

int flo_updates_load(struct flo_core *core, struct flo_execution *execution)
{
    const struct flo_history *history = &execution->history;
    struct flo_arena mem; /* of the event that is looked at */
    struct flo_updates *updates = flo_updates_of(core, execution);
    int rc = updates ? 0 : FLO_ENOMEM;
    flo_arena_init(&mem, 0);
    for (int64_t id = 1; id < history->next_event_id && !rc; id++) {
        FloApi__HistoryEvent *event = flo_history_decode(history, id, &mem);
        if (!event)
            rc = FLO_EDATA;
        else if (
            event->attributes_case ==
            FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_UPDATE_ADMITTED_EVENT_ATTRIBUTES)
            rc = load_admitted(updates,
                               event->workflow_execution_update_admitted_event_attributes->request);
        else if (
            event->attributes_case ==
            FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_UPDATE_ACCEPTED_EVENT_ATTRIBUTES)
            rc = load_accepted(updates, event->workflow_execution_update_accepted_event_attributes,
                               id);
        else if (
            event->attributes_case ==
            FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_UPDATE_COMPLETED_EVENT_ATTRIBUTES)
            rc = load_completed(execution,
                                event->workflow_execution_update_completed_event_attributes, id);
        flo_arena_reset(&mem);
    }
    flo_arena_fini(&mem);
    return rc;
}
