/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reapply.c - what a reset applies again: what came after the reset point and is no doing of the
 * workflow's code, of the base run and of the runs that it continued as.
 */
#include "engine/core/reapply.h"

#include <stdio.h>
#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/history_read.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/options.h"
#include "engine/core/reply.h"
#include "engine/core/reset.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/update.h"
#include "flotilla/engine_state.pb-c.h"

#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name
#define EXCLUDE(name) (1u << FLO_API__RESET_REAPPLY_EXCLUDE_TYPE__RESET_REAPPLY_EXCLUDE_TYPE_##name)
#define EXCLUDE_ALL (EXCLUDE(SIGNAL) | EXCLUDE(UPDATE) | EXCLUDE(NEXUS) | EXCLUDE(CANCEL_REQUEST))

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

static void reapply(struct flo_core *core, struct flo_execution *fresh, unsigned excluded,
                    FloApi__HistoryEvent *event)
{
    const bool updates = !(excluded & EXCLUDE(UPDATE));
    switch (event->event_type) {
    case EVENT(WORKFLOW_EXECUTION_SIGNALED):
        if (!(excluded & EXCLUDE(SIGNAL)))
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

/* Look at entries of data, and keep those that may be applied again. out_next: the run that this
 * one continued as. */
static int gather_bytes(struct flo_reapply *chain, const uint8_t *data, size_t len,
                        struct flo_arena *mem, char out_next[FLO_UUID_LEN + 1])
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

static int gather_resident(struct flo_reapply *chain, const struct flo_execution *from,
                           int64_t first_id, struct flo_arena *mem, char out_next[FLO_UUID_LEN + 1])
{
    const uint8_t *data;
    size_t len;
    flo_history_range(&from->history, first_id, from->history.next_event_id - 1, &data, &len);
    return gather_bytes(chain, data, len, mem, out_next);
}

static int gather_stored(struct flo_core *core, struct flo_reapply *chain,
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
static int gather_run(struct flo_core *core, struct flo_reapply *chain, const char *run_id,
                      struct flo_arena *mem, char out_next[FLO_UUID_LEN + 1],
                      struct flo_status *status)
{
    struct flo_core_run_ref run;
    int rc =
        flo_core_find_run(core, chain->reset->ns, chain->reset->workflow_id, run_id, &run, status);
    out_next[0] = '\0';
    if (rc == FLO_ENOENT)
        return 0;
    if (rc)
        return rc;
    if (run.execution && run.execution == chain->current)
        chain->current_from = 1;
    else if (run.execution)
        rc = gather_resident(chain, run.execution, 1, mem, out_next);
    else
        rc = gather_stored(core, chain, &run, mem, out_next);
    return rc;
}

int flo_reapply_gather(struct flo_core *core, struct flo_reapply *chain, struct flo_status *status)
{
    struct flo_arena mem; /* of the event that is looked at */
    char run_id[FLO_UUID_LEN + 1] = "", next[FLO_UUID_LEN + 1];
    int rc = 0;
    chain->excluded = excluded_by(chain->reset);
    if ((chain->excluded & EXCLUDE_ALL) == EXCLUDE_ALL)
        return 0;
    if (chain->base == chain->current) {
        chain->current_from = chain->reset->finish_id;
        return 0;
    }
    flo_arena_init(&mem, 0);
    rc = gather_resident(chain, chain->base, chain->reset->finish_id, &mem, run_id);
    while (!rc && run_id[0]) {
        rc = gather_run(core, chain, run_id, &mem, next, status);
        memcpy(run_id, next, sizeof run_id);
    }
    flo_arena_fini(&mem);
    if (rc == FLO_ENOMEM)
        return flo_status_no_memory(status);
    if (rc && !status->code)
        flo_status_put(core, status, FLO_GRPC_DATA_LOSS,
                       "the history of workflow ID \"%s\" is damaged", chain->reset->workflow_id);
    return rc;
}

static void reapply_bytes(struct flo_core *core, struct flo_execution *fresh, unsigned excluded,
                          const uint8_t *data, size_t len)
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
        reapply(core, fresh, excluded, event);
        flo_arena_reset(&mem);
        data += entry;
        len -= entry;
    }
    flo_arena_fini(&mem);
}

void flo_reapply(struct flo_core *core, const struct flo_reapply *chain,
                 struct flo_execution *fresh)
{
    reapply_bytes(core, fresh, chain->excluded, chain->events.data, chain->events.len);
    if (!chain->current_from)
        return;
    const struct flo_history *history = &chain->current->history;
    const uint8_t *data;
    size_t len;
    flo_history_range(history, chain->current_from, history->next_event_id - 1, &data, &len);
    reapply_bytes(core, fresh, chain->excluded, data, len);
}

void flo_reapply_fini(struct flo_reapply *chain)
{
    flo_buf_fini(&chain->events);
}
