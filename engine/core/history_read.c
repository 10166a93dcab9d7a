/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_read.c - GetWorkflowExecutionHistory and its reverse.
 *
 * A long poll is a struct on the run: after every change of the run flo_history_settle looks
 * whether the poll has something to answer; after 20 s it is answered empty with a token to come
 * back with. What is shown waits for its commit, because a caller must never see an event that a
 * crash can undo. Only the pages of a workflow task run ahead of the disk: the task itself does.
 */
#include "engine/core/history_read.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/runs.h"
#include "engine/core/timers.h"
#include "engine/core/token.h"
#include "engine/core/wire_out.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"
#include "wire/failure.h"

enum { HISTORY_FIELD = 1 }; /* of both responses; also History.events */

/* A read, as the request and its token say. */
struct reading {
    uint64_t call;
    struct flo_namespace *ns;
    const char *workflow_id, *run_id;
    int64_t next; /* first event wanted (reverse: last) */
    size_t max_batches;
    unsigned flags; /* of the token */
    bool wait, close_only, follows_next_run_id;
};

/* A long poll. */
struct history_waiter {
    struct flo_waiting waiting;
    struct flo_node node; /* on hooks.history_waiters */
    struct flo_execution *execution;
    struct flo_core_timer timer;
    struct reading reading; /* ids: those of the execution */
};

/* ---- answers ---- */

static void reply_page(struct flo_core *core, uint64_t call, uint64_t after,
                       const struct flo_bytes *parts, size_t count,
                       const ProtobufCBinaryData *token)
{
    FloApi__GetWorkflowExecutionHistoryResponse response =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_RESPONSE__INIT;
    struct flo_bytes history;
    if (flo_wire_out_field(&core->scratch, HISTORY_FIELD, parts, count, &history)) {
        struct flo_status status;
        flo_status_no_memory(&status);
        flo_reply_status(core, call, 0, &status);
        return;
    }
    if (token)
        response.next_page_token = *token;
    flo_reply_raw(core, call, after, &response.base, history.data, history.len);
}

static void reply_failed(struct flo_core *core, uint64_t call, int rc)
{
    struct flo_status status;
    switch (rc) {
    case FLO_ENOMEM:
        flo_status_no_memory(&status);
        break;
    case FLO_EDATA:
        flo_status_set(core, &status, FLO_GRPC_DATA_LOSS, "the stored history is damaged");
        break;
    default:
        flo_status_set(core, &status, FLO_GRPC_UNAVAILABLE, "the store cannot be read");
    }
    flo_reply_status(core, call, 0, &status);
}

/* Nothing yet: an empty page and a token to come back with. */
static void reply_later(struct flo_core *core, const struct reading *reading)
{
    ProtobufCBinaryData token;
    int rc = flo_history_token(core, reading->ns, reading->workflow_id, reading->run_id,
                               reading->next, reading->flags, &token);
    if (rc)
        reply_failed(core, reading->call, rc);
    else
        reply_page(core, reading->call, 0, NULL, 0, &token);
}

/* ---- the close event ---- */

/*
 * Clients that do not know new_execution_run_id in other close events follow only ContinuedAsNew:
 * for them the event becomes one. True when it was changed.
 */
static bool convert_close_event(struct flo_core *core, FloApi__HistoryEvent *event)
{
    FloApi__WorkflowExecutionContinuedAsNewEventAttributes *continued =
        flo_arena_alloc(&core->scratch, sizeof *continued);
    if (!continued)
        return false;
    flo_api__workflow_execution_continued_as_new_event_attributes__init(continued);
    switch (event->attributes_case) {
    case FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_COMPLETED_EVENT_ATTRIBUTES: {
        const FloApi__WorkflowExecutionCompletedEventAttributes *from =
            event->workflow_execution_completed_event_attributes;
        continued->new_execution_run_id = from->new_execution_run_id;
        continued->last_completion_result = from->result;
        break;
    }
    case FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_FAILED_EVENT_ATTRIBUTES: {
        const FloApi__WorkflowExecutionFailedEventAttributes *from =
            event->workflow_execution_failed_event_attributes;
        continued->new_execution_run_id = from->new_execution_run_id;
        continued->failure = from->failure;
        break;
    }
    case FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_TIMED_OUT_EVENT_ATTRIBUTES:
        continued->new_execution_run_id =
            event->workflow_execution_timed_out_event_attributes->new_execution_run_id;
        continued->failure = flo_failure_timeout(
            &core->scratch, "workflow timeout", FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE);
        if (continued->failure)
            continued->failure->source = "Server";
        break;
    default:
        return false;
    }
    if (!continued->new_execution_run_id[0])
        return false;
    event->event_type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW;
    event->attributes_case =
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_CONTINUED_AS_NEW_EVENT_ATTRIBUTES;
    event->workflow_execution_continued_as_new_event_attributes = continued;
    return true;
}

/* Answer with the last event, `entry` in the form of History.events. */
static void reply_close_event(struct flo_core *core, const struct reading *reading, uint64_t after,
                              struct flo_bytes entry)
{
    if (!reading->follows_next_run_id) {
        ProtobufCMessage *message;
        int rc = flo_wire_decode(&flo_api__history__descriptor, entry.data, entry.len,
                                 &core->scratch, &message, NULL);
        const FloApi__History *history = (const FloApi__History *)message;
        if (!rc && history->n_events == 1 && convert_close_event(core, history->events[0]))
            rc = flo_wire_out_message(&core->scratch, HISTORY_FIELD, &history->events[0]->base,
                                      (struct flo_bytes){0}, &entry);
        if (rc) {
            reply_failed(core, reading->call, rc == FLO_ENOMEM ? rc : FLO_EDATA);
            return;
        }
    }
    reply_page(core, reading->call, after, &entry, 1, NULL);
}

/* ---- resident runs ---- */

/* Answer if there is something to tell. False: a long poll may wait. */
static bool answer_resident(struct flo_core *core, struct flo_execution *execution,
                            const struct reading *reading)
{
    const struct flo_history *history = &execution->history;
    const bool open = flo_execution_is_open(execution);
    const int64_t end = history->next_event_id - 1;
    struct flo_bytes parts[2] = {0};
    if (reading->close_only) {
        if (open)
            return false;
        flo_history_range(history, end, end, &parts[0].data, &parts[0].len);
        reply_close_event(core, reading, flo_core_after(core, execution), parts[0]);
        return true;
    }
    if (reading->next > end && open && reading->wait)
        return false;
    const int64_t last = flo_history_page_last(execution, reading->next, reading->max_batches);
    size_t count = 0;
    if (reading->next <= last) {
        flo_history_range(history, reading->next, last, &parts[0].data, &parts[0].len);
        count = 1;
    }
    ProtobufCBinaryData token = {0};
    int rc = 0;
    if (last < end || (open && reading->wait)) {
        rc = flo_history_token(core, reading->ns, reading->workflow_id, reading->run_id, last + 1,
                               reading->flags, &token);
    } else if (reading->flags & FLO_HISTORY_OF_TASK) {
        rc = flo_core_workflow_task_synthetic(core, execution, &parts[count].data,
                                              &parts[count].len);
        count++;
    }
    if (rc)
        reply_failed(core, reading->call, rc);
    else
        reply_page(core, reading->call,
                   reading->flags & FLO_HISTORY_OF_TASK ? 0 : flo_core_after(core, execution),
                   parts, count, &token);
    return true;
}

/* ---- long polls ---- */

static void waiter_free(struct flo_core *core, struct history_waiter *waiter)
{
    flo_core_wait_over(core, &waiter->waiting);
    flo_core_timers_clear(&core->waits, &waiter->timer);
    flo_list_remove(&waiter->execution->hooks.history_waiters, &waiter->node);
    waiter->execution->hooks.ns->history_waits--;
    flo_free(waiter);
}

static void waiter_drop(struct flo_core *core, struct flo_waiting *waiting)
{
    waiter_free(core, flo_container(waiting, struct history_waiter, waiting));
}

static void waiter_due(struct flo_core *core, struct flo_core_timer *timer)
{
    struct history_waiter *waiter = flo_container(timer, struct history_waiter, timer);
    reply_later(core, &waiter->reading);
    waiter_free(core, waiter);
}

/* How long to hold a call: 20 s, and a little less than the caller's own patience. */
static int64_t hold_until(const struct flo_core *core, const struct flo_core_call_info *info)
{
    const int64_t full = core->now_ns + FLO_CORE_LONG_POLL_NS;
    if (info->deadline_ns == INT64_MAX)
        return full;
    const int64_t left = info->deadline_ns - core->now_ns;
    const int64_t margin = left > 2 * FLO_NS_PER_S ? FLO_NS_PER_S : left / 2;
    const int64_t until = info->deadline_ns - margin;
    return until < full ? until : full;
}

static void refuse_wait(struct flo_core *core, uint64_t call)
{
    struct flo_status status = {0};
    flo_status_exhausted(
        core, &status, FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
        "namespace concurrent history long poll limit exceeded");
    flo_reply_status(core, call, 0, &status);
}

static int wait_for(struct flo_core *core, const struct flo_core_call_info *info,
                    struct flo_execution *execution, const struct reading *reading)
{
    struct history_waiter *waiter = flo_calloc(1, sizeof *waiter);
    if (!waiter)
        return FLO_ENOMEM;
    waiter->execution = execution;
    waiter->reading = *reading;
    waiter->reading.workflow_id = execution->workflow_id;
    waiter->reading.run_id = execution->run_id;
    waiter->waiting = (struct flo_waiting){.call = reading->call, .drop = waiter_drop};
    if (flo_core_wait(core, &waiter->waiting)) {
        flo_free(waiter);
        return FLO_ENOMEM;
    }
    flo_list_push_back(&execution->hooks.history_waiters, &waiter->node);
    execution->hooks.ns->history_waits++;
    if (flo_core_timers_set(&core->waits, &waiter->timer, hold_until(core, info), waiter_due)) {
        waiter_free(core, waiter);
        return FLO_ENOMEM;
    }
    return 0;
}

void flo_history_settle(struct flo_core *core, struct flo_execution *execution)
{
    FLO_LIST_FOREACH_SAFE(node, &execution->hooks.history_waiters)
    {
        struct history_waiter *waiter = flo_container(node, struct history_waiter, node);
        if (answer_resident(core, execution, &waiter->reading))
            waiter_free(core, waiter);
    }
}

void flo_history_run_gone(struct flo_core *core, struct flo_execution *execution)
{
    FLO_LIST_FOREACH_SAFE(node, &execution->hooks.history_waiters)
    {
        struct history_waiter *waiter = flo_container(node, struct history_waiter, node);
        struct flo_status status = {0};
        flo_status_not_found(core, &status, "workflow not found for ID: %s",
                             execution->workflow_id);
        flo_reply_status(core, waiter->waiting.call, 0, &status);
        waiter_free(core, waiter);
    }
}

/* ---- stored runs ---- */

static void answer_stored(struct flo_core *core, const struct flo_core_run_ref *run,
                          const struct reading *reading)
{
    const int64_t end = run->state->next_event_id - 1;
    struct flo_bytes events = {0};
    ProtobufCBinaryData token = {0};
    int64_t next = reading->next;
    int rc = 0;
    if (reading->close_only) {
        rc = flo_history_read_stored(core, run, end, 1, &events, &next);
        if (rc)
            reply_failed(core, reading->call, rc);
        else
            reply_close_event(core, reading, 0, events);
        return;
    }
    if (reading->next <= end)
        rc =
            flo_history_read_stored(core, run, reading->next, reading->max_batches, &events, &next);
    if (!rc && next <= end)
        rc = next == reading->next
                 ? FLO_EDATA /* the store has no such batch */
                 : flo_history_token(core, reading->ns, reading->workflow_id, reading->run_id, next,
                                     reading->flags, &token);
    if (rc)
        reply_failed(core, reading->call, rc);
    else
        reply_page(core, reading->call, 0, &events, 1, &token);
}

/* ---- the call ---- */

static int read_token(struct flo_core *core, const ProtobufCBinaryData *bytes,
                      const char *namespace_name, bool reverse, struct reading *reading,
                      struct flo_status *status)
{
    struct flo_token token;
    int rc = flo_token_decode(core, bytes, FLO_TOKEN_HISTORY, namespace_name, &token, status);
    if (rc)
        return rc;
    if (strcmp(token.workflow_id, reading->workflow_id) != 0 ||
        reverse != ((token.query & FLO_HISTORY_REVERSE) != 0))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Invalid NextPageToken.");
    if (reading->run_id[0] && strcmp(token.run_id, reading->run_id) != 0)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "RunId in the request does not match the NextPageToken.");
    reading->run_id = token.run_id;
    reading->next = token.scheduled_event_id;
    reading->flags = (unsigned)token.query;
    return 0;
}

/* The checks of both calls; then the run is found, and reading names it completely. */
static int prepare(struct flo_core *core, const char *namespace_name,
                   const FloApi__WorkflowExecution *execution, int32_t page_size,
                   const ProtobufCBinaryData *token, bool reverse, struct reading *reading,
                   struct flo_core_run_ref *run, struct flo_status *status)
{
    int rc = flo_namespace_find(core, namespace_name, &reading->ns, status);
    if (!rc)
        rc = flo_check_execution(core, execution, status);
    if (rc)
        return rc;
    reading->max_batches = page_size > 0 && page_size < FLO_CORE_PAGE_BATCHES
                               ? (size_t)page_size
                               : FLO_CORE_PAGE_BATCHES;
    reading->workflow_id = execution->workflow_id;
    reading->run_id = execution->run_id;
    if (token->len)
        rc = read_token(core, token, namespace_name, reverse, reading, status);
    if (!rc)
        rc = flo_core_find_run(core, reading->ns, reading->workflow_id, reading->run_id, run,
                               status);
    if (rc)
        return rc;
    reading->run_id = run->execution ? run->execution->run_id : run->stored.run_id;
    return 0;
}

void flo_rpc_get_workflow_execution_history(struct flo_core *core,
                                            const struct flo_core_call_info *info,
                                            const void *message)
{
    const FloApi__GetWorkflowExecutionHistoryRequest *request = message;
    struct flo_status status = {0};
    struct flo_core_run_ref run;
    struct reading reading = {
        .call = info->id,
        .next = 1,
        .wait = request->wait_new_event,
        .close_only = request->history_event_filter_type ==
                      FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
        .follows_next_run_id = info->follows_next_run_id};
    int rc = prepare(core, request->namespace_, request->execution, request->maximum_page_size,
                     &request->next_page_token, false, &reading, &run, &status);
    if (!rc)
        rc = flo_check_enum(core, "HistoryEventFilterType",
                            &flo_api__history_event_filter_type__descriptor,
                            (int)request->history_event_filter_type, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    if (!run.execution) {
        answer_stored(core, &run, &reading);
        return;
    }
    if (answer_resident(core, run.execution, &reading))
        return;
    if (!reading.wait) /* the close event of a run that goes on: nothing */
        reply_page(core, info->id, 0, NULL, 0, NULL);
    else if (run.execution->hooks.ns->history_waits >= FLO_CORE_MAX_HISTORY_WAITS)
        refuse_wait(core, info->id);
    else if (wait_for(core, info, run.execution, &reading))
        reply_failed(core, info->id, FLO_ENOMEM);
}

/* ---- in reverse ---- */

/* Entries, last one first. 0, FLO_ENOMEM, FLO_EDATA. */
static int reverse_entries(struct flo_core *core, struct flo_bytes *events)
{
    uint8_t *out = flo_arena_alloc(&core->scratch, events->len + 1);
    if (!out)
        return FLO_ENOMEM;
    size_t at = events->len;
    for (size_t i = 0; i < events->len;) {
        const size_t entry = flo_history_entry_len(events->data + i, events->len - i);
        if (!entry)
            return FLO_EDATA;
        at -= entry;
        memcpy(out + at, events->data + i, entry);
        i += entry;
    }
    events->data = out;
    return 0;
}

/* Whole batches from the one that ends with `last` downwards; *out_first is the lowest event. */
static void resident_downwards(const struct flo_execution *execution, int64_t last,
                               size_t max_batches, struct flo_bytes *out, int64_t *out_first)
{
    const struct flo_history *history = &execution->history;
    int64_t lowest = last + 1;
    for (size_t n = 0; n < max_batches && lowest > 1; n++) {
        int64_t first, batch_last;
        struct flo_bytes range;
        if (!flo_history_batch(history, lowest - 1, &first, &batch_last))
            break;
        flo_history_range(history, first, last, &range.data, &range.len);
        if (n > 0 && range.len > FLO_CORE_PAGE_BYTES)
            break;
        lowest = first;
        *out = range;
    }
    *out_first = lowest;
}

/* Batches of the store, newest first. */
struct downwards {
    struct flo_core *core;
    struct flo_bytes *chunks; /* one a batch, copied */
    size_t count, max, bytes;
    int64_t last, lowest;
    int rc;
};

static bool gather_downwards(void *ctx, int64_t first_event_id, uint32_t event_count,
                             const uint8_t *events, size_t len)
{
    struct downwards *d = ctx;
    if (d->count == d->max || (d->count > 0 && d->bytes + len > FLO_CORE_PAGE_BYTES))
        return false;
    /* The newest batch may reach beyond the wanted event. */
    const int64_t end = first_event_id + (int64_t)event_count;
    size_t used = 0;
    for (int64_t id = first_event_id; id < end && id <= d->last && used < len; id++) {
        const size_t entry = flo_history_entry_len(events + used, len - used);
        if (!entry) {
            d->rc = FLO_EDATA;
            return false;
        }
        used += entry;
    }
    const uint8_t *copy = flo_arena_memdup(&d->core->scratch, events, used);
    if (!copy) {
        d->rc = FLO_ENOMEM;
        return false;
    }
    d->chunks[d->count++] = (struct flo_bytes){copy, used};
    d->bytes += used;
    d->lowest = first_event_id;
    return true;
}

static int stored_downwards(struct flo_core *core, const struct flo_core_run_ref *run, int64_t last,
                            size_t max_batches, struct flo_bytes *out, int64_t *out_first)
{
    struct downwards d = {.core = core, .max = max_batches, .last = last, .lowest = last + 1};
    d.chunks = flo_arena_calloc(&core->scratch, max_batches, sizeof *d.chunks);
    if (!d.chunks)
        return FLO_ENOMEM;
    int rc = core->env.store.history(core->env.store.ctx, run->stored.key, last, true,
                                     gather_downwards, &d);
    if (rc || d.rc)
        return rc ? rc : d.rc;
    uint8_t *data = flo_arena_alloc(&core->scratch, d.bytes + 1);
    if (!data)
        return FLO_ENOMEM;
    size_t at = 0;
    for (size_t i = d.count; i-- > 0; at += d.chunks[i].len)
        memcpy(data + at, d.chunks[i].data, d.chunks[i].len);
    *out = (struct flo_bytes){data, at};
    *out_first = d.lowest;
    return 0;
}

void flo_rpc_get_workflow_execution_history_reverse(struct flo_core *core,
                                                    const struct flo_core_call_info *info,
                                                    const void *message)
{
    const FloApi__GetWorkflowExecutionHistoryReverseRequest *request = message;
    struct flo_status status = {0};
    struct flo_core_run_ref run;
    struct reading reading = {.call = info->id, .flags = FLO_HISTORY_REVERSE};
    int rc = prepare(core, request->namespace_, request->execution, request->maximum_page_size,
                     &request->next_page_token, true, &reading, &run, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    const int64_t end =
        (run.execution ? run.execution->history.next_event_id : run.state->next_event_id) - 1;
    const int64_t last = reading.next > 0 && reading.next < end ? reading.next : end;
    struct flo_bytes events = {0};
    int64_t first = last + 1;
    if (run.execution)
        resident_downwards(run.execution, last, reading.max_batches, &events, &first);
    else
        rc = stored_downwards(core, &run, last, reading.max_batches, &events, &first);
    if (!rc)
        rc = reverse_entries(core, &events);
    FloApi__GetWorkflowExecutionHistoryReverseResponse response =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REVERSE_RESPONSE__INIT;
    if (!rc && first > 1)
        rc = flo_history_token(core, reading.ns, reading.workflow_id, reading.run_id, first - 1,
                               reading.flags, &response.next_page_token);
    struct flo_bytes history;
    if (!rc)
        rc = flo_wire_out_field(&core->scratch, HISTORY_FIELD, &events, 1, &history);
    if (rc) {
        reply_failed(core, info->id, rc);
        return;
    }
    flo_reply_raw(core, info->id, run.execution ? flo_core_after(core, run.execution) : 0,
                  &response.base, history.data, history.len);
}
