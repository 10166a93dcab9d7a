/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal.c - signals: to their handler, or kept by name in the order of history until code takes
 * them or registers one.
 */
#include <inttypes.h>

#include "workflow/messages.h"
#include "workflow/trace.h"

/* A signal that nobody has taken yet. */
struct kept {
    struct flo_node node;       /* on its queue */
    uint64_t seq;               /* among all signals of the run */
    struct flo_message message; /* owned */
};

static struct flo_list *queue_of(struct flo_run *run, const char *name)
{
    struct flo_list *queue = flo_map_get_str(&run->signals, name);
    if (queue)
        return queue;
    queue = flo_heap_alloc(run->heap, sizeof *queue);
    if (!queue)
        return NULL;
    flo_list_init(queue);
    if (flo_map_put_str(&run->signals, name, queue)) {
        flo_heap_free(queue);
        return NULL;
    }
    return queue;
}

static int keep(struct flo_run *run, struct flo_message *message)
{
    struct flo_list *queue = queue_of(run, message->name);
    struct kept *kept = queue ? flo_heap_calloc(run->heap, sizeof *kept) : NULL;
    if (!kept) {
        flo_message_fini(message);
        return FLO_ENOMEM;
    }
    kept->seq = run->signal_count++;
    kept->message = *message;
    flo_list_push_back(queue, &kept->node);
    return 0;
}

/* As the official SDKs do: a signal is told, nobody waits to hear that it was not understood, and
 * failing would be for ever. */
static int drop_corrupt(struct flo_run *run, const FloApi__HistoryEvent *event,
                        const struct flo_err *err)
{
    flo_workflow_log(&run->main, FLO_LOG_ERROR,
                     "Signal %.100s (event %" PRId64 ") was dropped, its input cannot be "
                     "decoded: %s",
                     event->workflow_execution_signaled_event_attributes->signal_name,
                     event->event_id, err->message);
    return 0;
}

int flo_signal_event(struct flo_run *run, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    const FloApi__WorkflowExecutionSignaledEventAttributes *a =
        event->workflow_execution_signaled_event_attributes;
    struct flo_message message;
    struct flo_err corrupt = {0};
    int rc = flo_message_decode(run, a->signal_name, a->input, a->header, &message, &corrupt);
    if (rc == FLO_EPROTO)
        return drop_corrupt(run, event, &corrupt);
    if (rc == FLO_EPERM) /* only this worker cannot read it: it waits for one that can */
        return flo_fail(err, rc, "the input of signal %.100s: %s", a->signal_name, corrupt.message);
    if (rc)
        return rc;
    const struct flo_handler *handler = flo_handler_find(run, FLO_SIGNAL, a->signal_name);
    rc =
        handler ? flo_handler_start(run, FLO_SIGNAL, handler, &message, NULL) : keep(run, &message);
    return rc == 0 && run->trace ? flo_trace_signal(run, event) : rc;
}

/* ---- to handlers that come later ---- */

static int start_kept(struct flo_run *run, const struct flo_handler *handler,
                      struct flo_list *queue)
{
    struct kept *kept = flo_container(flo_list_pop_front(queue), struct kept, node);
    int rc = flo_handler_start(run, FLO_SIGNAL, handler, &kept->message, NULL);
    flo_heap_free(kept);
    return rc;
}

/* The queue whose first signal came first, of those that no handler by name takes. */
static struct flo_list *oldest_queue(struct flo_run *run)
{
    struct flo_list *oldest = NULL;
    uint64_t seq = UINT64_MAX;
    for (struct flo_map_entry *entry = flo_map_first(&run->signals); entry;
         entry = flo_map_next(entry)) {
        struct flo_list *queue = flo_map_value(entry);
        struct flo_node *first = flo_list_first(queue);
        if (first && flo_container(first, struct kept, node)->seq < seq) {
            seq = flo_container(first, struct kept, node)->seq;
            oldest = queue;
        }
    }
    return oldest;
}

int flo_signal_dispatch_kept(struct flo_run *run, const struct flo_handler *handler)
{
    struct flo_list *queue;
    int rc = 0;
    if (handler->name) {
        queue = flo_map_get_str(&run->signals, handler->name);
        while (rc == 0 && queue && !flo_list_empty(queue))
            rc = start_kept(run, handler, queue);
        return rc;
    }
    while (rc == 0 && (queue = oldest_queue(run)))
        rc = start_kept(run, handler, queue);
    return rc;
}

/* ---- without a handler ---- */

size_t flo_signal_count(const struct flo_workflow *wf, const char *name)
{
    const struct flo_list *queue = flo_map_get_str(&wf->run->signals, name);
    return queue ? queue->count : 0;
}

bool flo_signal_take(struct flo_workflow *wf, const char *name, json_t **out_value)
{
    struct flo_list *queue = flo_map_get_str(&wf->run->signals, name);
    if (!queue || flo_list_empty(queue) || flo_read_only_check(wf->run, "takes a signal"))
        return false;
    struct kept *kept = flo_container(flo_list_pop_front(queue), struct kept, node);
    if (out_value)
        *out_value = json_incref(kept->message.input);
    flo_message_fini(&kept->message);
    flo_heap_free(kept);
    return true;
}

struct waiting {
    const struct flo_workflow *wf;
    const char *name;
};

static bool has_signal(void *ctx)
{
    const struct waiting *waiting = ctx;
    return flo_signal_count(waiting->wf, waiting->name) > 0;
}

int flo_signal_await(struct flo_workflow *wf, const char *name, int64_t timeout_ms,
                     json_t **out_value)
{
    struct waiting waiting = {wf, name};
    int rc = flo_await_condition_for(wf, has_signal, &waiting, timeout_ms, "signal", name);
    if (rc == 0)
        flo_signal_take(wf, name, out_value);
    return rc;
}
