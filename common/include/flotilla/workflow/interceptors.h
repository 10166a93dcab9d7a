/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interceptors.h - code of a worker around all of its workflows: checks, tracing, headers that
 * travel; and the metrics of workflow code. A part of flotilla/workflow.h, whose rules hold here.
 *
 * A module brings interceptors (flo_module.workflow_interceptors). Those of the first module that
 * is loaded are the outermost, a module's own stand in the table's order. They run in the
 * workflow's coroutines and are replayed with them: all rules for workflow code hold, and whoever
 * adds one that refuses, waits or starts something changes the workflows around which it stands
 * (evolution.h).
 *
 *     static int only_with_tenant(struct flo_workflow *wf, struct flo_inbound_call *call,
 *                                 json_t **out_result)
 *     {
 *         if (call->kind == FLO_INBOUND_WORKFLOW && !json_object_get(call->headers, "tenant"))
 *             return flo_workflow_fail(wf, "NoTenant", true, NULL, "%s needs a tenant",
 * call->name); return flo_inbound_proceed(wf, call, out_result);
 *     }
 *
 *     FLO_API const struct flo_module flo_module = {
 *         ...
 *         .workflow_interceptors = FLO_WORKFLOW_INTERCEPTORS({.inbound = only_with_tenant}),
 *         .propagate = (const char *const[]){"tenant", NULL},
 *     };
 */
#ifndef FLOTILLA_WORKFLOW_INTERCEPTORS_H
#define FLOTILLA_WORKFLOW_INTERCEPTORS_H

#include "flotilla/workflow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what comes in ---- */

enum flo_inbound_kind {
    FLO_INBOUND_WORKFLOW,  /* the workflow function */
    FLO_INBOUND_SIGNAL,    /* a signal's handler; without one: nothing, it is taken by code */
    FLO_INBOUND_QUERY,     /* a query's handler; it only looks */
    FLO_INBOUND_VALIDATOR, /* an update's validator, if it has one; it only looks; not replayed */
    FLO_INBOUND_UPDATE,    /* an update's handler */
};

/* One call of user code. All borrowed until the interceptor has returned. */
struct flo_inbound_call {
    enum flo_inbound_kind kind;
    const char *name; /* the workflow's type; the signal's, query's, update's name */
    const char *id;   /* of an update; else "" */
    /* What the code is given. An interceptor may put others there, which are its own and live until
     * flo_inbound_proceed has returned. args: of the workflow function NULL, as it has one. */
    json_t *input, *args;
    json_t *headers; /* that came with it, an object; NULL: none */
};

/* ---- what goes out ---- */

enum flo_outbound_kind {
    FLO_OUTBOUND_ACTIVITY,
    FLO_OUTBOUND_LOCAL_ACTIVITY,
    FLO_OUTBOUND_CHILD,
    FLO_OUTBOUND_SIGNAL, /* to another execution, or to a child */
    FLO_OUTBOUND_CANCEL, /* of another execution */
    FLO_OUTBOUND_CONTINUE,
    FLO_OUTBOUND_TIMER, /* timers, sleeping, and the timeouts of waiting calls */
};

/* One call that is about to leave the workflow. Borrowed for the call, and only to be read: the
 * functions below change it. */
struct flo_outbound_call {
    enum flo_outbound_kind kind;
    const char *name;       /* the type of the activity, child or next run; the signal's; else "" */
    const char *task_queue; /* of the activity, child or next run; else "" */
    const char *workflow_id; /* of the child, or of who is signalled or cancelled; else "" */
    int64_t ms;              /* of a timer; else 0 */
    json_t *input;           /* NULL: none */
    json_t *headers;         /* an object: what goes along; NULL: nothing */
};

/* ---- interceptors ---- */

struct flo_workflow_interceptor {
    /*
     * Around a call of user code. flo_inbound_proceed runs the next interceptor and in the end the
     * code; an interceptor that does not call it answers itself, with a result or, by a code, with
     * the failure on wf: it fails the workflow, the query, the update, and a validator's refuses
     * the update. Ownership as for flo_workflow_fn; signals and validators have no result. May be
     * NULL.
     */
    int (*inbound)(struct flo_workflow *wf, struct flo_inbound_call *call, json_t **out_result);
    /*
     * Before a call leaves the workflow; it has passed its checks. It only looks, as a query
     * handler does, but may change the call by flo_outbound_set_*. 0, or a code: the call is not
     * made, its future fails with the code and the failure on wf (flo_continue_as_new returns it).
     * May be NULL.
     */
    int (*outbound)(struct flo_workflow *wf, struct flo_outbound_call *call);
};

/* A table of them for struct flo_module; ends with an entry without functions. */
#define FLO_WORKFLOW_INTERCEPTORS(...)                                                             \
    (const struct flo_workflow_interceptor[])                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

/* From an inbound: go on inwards, with the call that it got. May be called several times, or not at
 * all. *out_result is a new reference or NULL; out_result NULL discards it. */
FLO_API int flo_inbound_proceed(struct flo_workflow *wf, struct flo_inbound_call *call,
                                json_t **out_result);

/* From an outbound: give the call another input; a reference that the runtime takes over, NULL =
 * none. FLO_EINVAL: calls of its kind have none (cancel, timer). */
FLO_API int flo_outbound_set_input(struct flo_outbound_call *call, json_t *input);
/* From an outbound: send this header along; value is a reference that the runtime takes over, NULL
 * takes the header away. FLO_EINVAL: calls of its kind have none (cancel, timer), or key is not
 * UTF-8. FLO_ENOMEM. */
FLO_API int flo_outbound_set_header(struct flo_outbound_call *call, const char *key, json_t *value);

/* ---- headers that travel ---- */

/*
 * A run has a context: headers that go along with each activity, local activity, child, signal to
 * another execution and with continuing as a new run, unless the call sets a header of that key
 * itself (its options, an outbound interceptor). It begins with those headers of the execution's
 * start whose keys are in flo_module.propagate or in the YAML's propagate_headers. So a tenant's
 * name that a client's interceptor sends reaches whatever comes of the workflow.
 *
 * Set one for the rest of the run; value is borrowed, NULL takes it away. Values travel as plain
 * JSON, readable by whoever reads the history: headers do not pass codecs. FLO_EINVAL: key is empty
 * or not UTF-8; FLO_ENOMEM. Not from code that only looks.
 *
 *     flo_context_set(wf, "tenant", json_object_get(order, "tenant"));
 */
FLO_API int flo_context_set(struct flo_workflow *wf, const char *key, json_t *value);
/* One of them, borrowed until it is set again; NULL: there is none. */
FLO_API json_t *flo_context_get(const struct flo_workflow *wf, const char *key);

/* ---- metrics ---- */

/*
 * Metrics of one's own, on the worker's metrics page with the labels namespace, task_queue and
 * workflow_type, and up to 4 more: name, value, ..., NULL. Silent while replaying; what a query
 * handler counts is counted each time. Names, labels and limits are those of activities
 * (flo_activity_counter in flotilla/activity.h), which share the 64 names of a worker but not a
 * name, as their labels are others. A metric that cannot be counted is logged once a run.
 *
 *     flo_workflow_counter(wf, "orders_refused", 1, "reason", "stock", NULL);
 *
 * A counter's amount and a histogram's value are not below 0. A task that the server does not take
 * runs again and counts again.
 */
FLO_API void flo_workflow_counter(struct flo_workflow *wf, const char *name, double amount, ...)
    __attribute__((sentinel));
FLO_API void flo_workflow_gauge(struct flo_workflow *wf, const char *name, double value, ...)
    __attribute__((sentinel));
FLO_API void flo_workflow_histogram(struct flo_workflow *wf, const char *name, double value, ...)
    __attribute__((sentinel));

#ifdef __cplusplus
}
#endif
#endif
