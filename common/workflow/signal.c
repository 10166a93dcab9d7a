/* SPDX-License-Identifier: Apache-2.0 */
/* signal.c - signals, kept by name in the order of history until code takes them. */
#include <inttypes.h>

#include "wire/payload.h"
#include "workflow/internal.h"
#include "workflow/trace.h"

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

int flo_signal_event(struct flo_run *run, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    const FloApi__WorkflowExecutionSignaledEventAttributes *a =
        event->workflow_execution_signaled_event_attributes;
    struct flo_list *queue = queue_of(run, a->signal_name);
    struct flo_signal *signal = queue ? flo_heap_calloc(run->heap, sizeof *signal) : NULL;
    if (!signal)
        return FLO_ENOMEM;
    int rc = flo_payloads_to_json(a->input, false, &signal->value, err);
    if (rc) {
        flo_heap_free(signal);
        if (rc == FLO_EPROTO)
            flo_err_prefix(err, "the input of signal %.100s (event %" PRId64 ")", a->signal_name,
                           event->event_id);
        return rc;
    }
    flo_list_push_back(queue, &signal->node);
    return run->trace ? flo_trace_signal(run, event) : 0;
}

size_t flo_signal_count(const struct flo_workflow *wf, const char *name)
{
    const struct flo_list *queue = flo_map_get_str(&wf->run->signals, name);
    return queue ? queue->count : 0;
}

bool flo_signal_take(struct flo_workflow *wf, const char *name, json_t **out_value)
{
    struct flo_list *queue = flo_map_get_str(&wf->run->signals, name);
    struct flo_node *node = queue ? flo_list_pop_front(queue) : NULL;
    if (!node)
        return false;
    struct flo_signal *signal = flo_container(node, struct flo_signal, node);
    if (out_value)
        *out_value = signal->value;
    else
        json_decref(signal->value);
    flo_heap_free(signal);
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
