/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c - makes the history of a workflow task whole, page by page.
 *
 * Two cases. A task may carry a page token: its own events go on there. And a sticky task may be
 * for a run that is not (or no longer) cached: then the history is read from event 1, and the
 * task's own events are put after what comes before them, because the newest of them (a transient
 * workflow task's) need not be in what the server stores.
 */
#include <string.h>

#include "base/alloc.h"
#include "grpc/status.h"
#include "wire/decode.h"
#include "worker/worker.h"

/* A history that is longer than any that a server keeps (51,200 events) is not one. */
#define EVENTS_MAX 200000
/* Nor does a server cut one into more pages than this, some of which may be empty. */
#define PAGES_MAX 10000

static void fetch(struct flo_workflow_task *wt, ProtobufCBinaryData token);

static bool add_event(struct flo_workflow_task *wt, FloApi__HistoryEvent *event)
{
    if (wt->event_count == wt->event_room) {
        size_t room = wt->event_room ? wt->event_room * 2 : 256;
        void *grown = flo_reallocarray(wt->events, room, sizeof(FloApi__HistoryEvent *));
        if (!grown)
            return false;
        wt->events = grown;
        wt->event_room = room;
    }
    wt->events[wt->event_count++] = event;
    return wt->event_count <= EVENTS_MAX;
}

/* Add the events of one page whose ids follow what there is and stay below limit (0: no limit). */
static bool add_events(struct flo_workflow_task *wt, const FloApi__History *history, int64_t limit)
{
    for (size_t i = 0; history && i < history->n_events; i++) {
        FloApi__HistoryEvent *event = history->events[i];
        int64_t last = wt->event_count ? wt->events[wt->event_count - 1]->event_id : 0;
        if (event->event_id <= last || (limit && event->event_id >= limit))
            continue;
        if (!add_event(wt, event))
            return false;
    }
    return true;
}

static int64_t first_event_id(const FloApi__PollWorkflowTaskQueueResponse *task)
{
    return task->history && task->history->n_events ? task->history->events[0]->event_id : 0;
}

static void give_up(struct flo_workflow_task *wt, const char *why)
{
    flo_log(FLO_LOG_WARN, "history.unavailable", "The history of a run cannot be read",
            "workflow_id", wt->workflow_id, "run_id", wt->run_id, "reason", why, NULL);
    flo_workflow_task_end(&wt);
}

/* Everything was fetched: hand the joined history over as the task's own. */
static void finish(struct flo_workflow_task *wt)
{
    FloApi__PollWorkflowTaskQueueResponse *task =
        flo_arena_memdup(&wt->arena, wt->task, sizeof *task);
    FloApi__History *history = flo_arena_calloc(&wt->arena, 1, sizeof *history);

    if (!task || !history) {
        give_up(wt, "out of memory");
        return;
    }
    flo_api__history__init(history);
    history->events = wt->events;
    history->n_events = wt->event_count;
    task->history = history;
    task->next_page_token = (ProtobufCBinaryData){0};
    wt->task = task;
    flo_execute_workflow_resume(wt);
}

/* The pages before the task's own events are there: add those, and what follows them. */
static void add_own(struct flo_workflow_task *wt)
{
    wt->whole = true;
    if (!add_events(wt, wt->task->history, 0))
        give_up(wt, "out of memory");
    else if (wt->task->next_page_token.len > 0)
        fetch(wt, wt->task->next_page_token);
    else
        finish(wt);
}

static bool same_token(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len > 0 && a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static void on_page(void *ctx, const struct flo_grpc_status *status,
                    const ProtobufCMessage *response)
{
    struct flo_workflow_task *wt = ctx;
    const FloApi__GetWorkflowExecutionHistoryResponse *page;
    bool again;

    wt->call = NULL;
    if (!response) {
        give_up(wt, status->message[0] ? status->message : flo_grpc_code_name(status->code));
        return;
    }
    page = (const FloApi__GetWorkflowExecutionHistoryResponse *)flo_wire_copy(response, &wt->arena);
    again = page && same_token(page->next_page_token, wt->page_token);
    if (!page || !add_events(wt, page->history, wt->whole ? 0 : first_event_id(wt->task)))
        give_up(wt, "it is too large");
    else if (again || ++wt->page_count > PAGES_MAX)
        give_up(wt, "its pages do not end");
    else if (page->next_page_token.len > 0)
        fetch(wt, page->next_page_token);
    else if (!wt->whole)
        add_own(wt);
    else
        finish(wt);
}

static void fetch(struct flo_workflow_task *wt, ProtobufCBinaryData token)
{
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;

    request.execution = wt->task->workflow_execution;
    request.next_page_token = token;
    wt->page_token = token;
    if (flo_client_get_workflow_execution_history(wt->worker->client, &request, on_page, wt,
                                                  &wt->call))
        give_up(wt, "out of memory");
}

void flo_history_fetch(struct flo_workflow_task *wt, bool from_start)
{
    wt->event_count = 0;
    wt->page_count = 0;
    wt->whole = false;
    if (from_start)
        fetch(wt, (ProtobufCBinaryData){0});
    else
        add_own(wt);
}
