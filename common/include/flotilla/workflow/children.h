/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow/children.h - other executions: children that this one starts, executions that it
 * signals or cancels, and the one that continues it. Include flotilla/workflow.h.
 */
#ifndef FLOTILLA_WORKFLOW_CHILDREN_H
#define FLOTILLA_WORKFLOW_CHILDREN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "flotilla/failure.h"
#include "flotilla/workflow/activities.h" /* struct flo_priority */
#include "flotilla/workflow/attributes.h"
#include "flotilla/workflow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct flo_child; /* a child workflow; lives as long as the run */

/* May a workflow id be used that a closed execution had? */
enum flo_id_reuse {
    FLO_ID_ALLOW_DUPLICATE = 0,
    FLO_ID_ALLOW_FAILED_ONLY,    /* only when that one did not complete */
    FLO_ID_REJECT_DUPLICATE,     /* never */
    FLO_ID_TERMINATE_IF_RUNNING, /* and one that is open is terminated */
};

/* What becomes of a child when this execution closes. */
enum flo_parent_close {
    FLO_PARENT_CLOSE_TERMINATE = 0,
    FLO_PARENT_CLOSE_ABANDON, /* it goes on */
    FLO_PARENT_CLOSE_CANCEL,  /* it is asked to stop */
};

/* What cancelling a child means to its parent (flo_child_cancel, or the parent's own cancelling).
 */
enum flo_child_cancellation {
    FLO_CHILD_CANCEL_WAIT = 0,       /* ask it, and wait for how it ends */
    FLO_CHILD_CANCEL_TRY,            /* ask it; its result is "cancelled" at once */
    FLO_CHILD_CANCEL_WAIT_REQUESTED, /* ask it; "cancelled" when the request has reached it */
    FLO_CHILD_CANCEL_ABANDON,        /* do not ask; "cancelled" at once */
};

/* How to run a child workflow; all zero will do. Everything is borrowed for the call. */
struct flo_child_options {
    const char *workflow_id;                      /* NULL = a UUID of the run's random numbers */
    const char *task_queue;                       /* NULL = this workflow's */
    const char *namespace_;                       /* NULL = this workflow's */
    int64_t execution_timeout_ms, run_timeout_ms; /* 0 = no limit */
    int64_t task_timeout_ms;                      /* 0 = the server's default, 10 s */
    const struct flo_retry_policy *retry;         /* NULL = it is not tried again */
    enum flo_id_reuse id_reuse;
    enum flo_parent_close parent_close;
    enum flo_child_cancellation cancellation;
    const char *cron;                              /* "0 4 * * *"; NULL = it runs once */
    json_t *memo;                                  /* an object; NULL = none */
    const struct flo_search_attribute *attributes; /* FLO_ATTRIBUTES(...); NULL = none */
    json_t *headers;               /* an object: each member becomes a header; NULL = none */
    struct flo_priority priority;  /* all zero = this workflow's */
    const char *summary, *details; /* one line and a text for the web page; NULL = none */
};

/*
 * Run a child workflow and wait for its result (a new reference; NULL out_result discards it).
 *
 *     const struct flo_child_options options = {.workflow_id = "invoice-42"};
 *     rc = flo_child(wf, "Invoice", order, &options, &invoice);
 *
 * 0; FLO_EFAILED: the failure on wf is of kind FLO_FAILURE_CHILD, its cause says why;
 * FLO_EEXIST: the id is taken (the failure is an application failure of type
 * "WorkflowAlreadyStarted"); FLO_ENOENT: there is no such namespace; FLO_ECANCELLED; FLO_EINVAL:
 * options. input is borrowed; NULL = no argument. options may be NULL.
 */
FLO_API int flo_child(struct flo_workflow *wf, const char *type, json_t *input,
                      const struct flo_child_options *options, json_t **out_result);
/* Start one; never NULL: a mistake shows when one of its futures is awaited.
 *
 *     struct flo_child *child = flo_child_start(wf, "Invoice", order, NULL);
 *     rc = flo_await(wf, flo_child_started(child), NULL); // from here on it outlives this run
 */
FLO_API struct flo_child *flo_child_start(struct flo_workflow *wf, const char *type, json_t *input,
                                          const struct flo_child_options *options);
/* Ready when the child has been started: {"workflow_id": ..., "run_id": ...}; or with the failures
 * of flo_child. Belongs to the child, and so does the next. */
FLO_API struct flo_future *flo_child_started(struct flo_child *child);
/* Ready when the child has ended; results as flo_child. flo_future_cancel of it is
 * flo_child_cancel. */
FLO_API struct flo_future *flo_child_result(struct flo_child *child);
/* Its id, at once; and its run id, "" until it has started. Borrowed from the child. */
FLO_API const char *flo_child_workflow_id(const struct flo_child *child);
FLO_API const char *flo_child_run_id(const struct flo_child *child);

/* Signal the child, after waiting for its start, before which a server knows nobody to signal;
 * results as flo_signal_external, or why it did not start, as flo_child.
 *
 *     rc = flo_child_signal(wf, child, "approve", NULL);
 */
FLO_API int flo_child_signal(struct flo_workflow *wf, struct flo_child *child, const char *name,
                             json_t *input);
/* The delivery as a future. This waits for the child's start, too: of one that does not start it
 * returns another future of why. */
FLO_API struct flo_future *flo_child_signal_start(struct flo_workflow *wf, struct flo_child *child,
                                                  const char *name, json_t *input);
/*
 * Cancel the child as its cancellation type says: one that was not sent yet never starts, an
 * abandoned one goes on unasked, the others are asked to stop. reason may be NULL. How it ended is
 * flo_child_result's to say.
 *
 *     flo_child_cancel(wf, child, "the order was withdrawn");
 */
FLO_API void flo_child_cancel(struct flo_workflow *wf, struct flo_child *child, const char *reason);

/* ---- executions that are no children ---- */

/*
 * Signal another execution of this namespace and wait until the server has delivered it. run_id
 * NULL = its current run; input is borrowed, NULL = no argument.
 *
 *     rc = flo_signal_external(wf, "stock-7", NULL, "reserve", order);
 *
 * 0; FLO_ENOENT: there is no such execution, or it is closed (the failure is an application failure
 * of type "ExternalWorkflowNotFound"); FLO_ELIMIT: it has had too many signals; FLO_ECANCELLED:
 * this workflow was cancelled before the signal was sent; FLO_EINVAL.
 */
FLO_API int flo_signal_external(struct flo_workflow *wf, const char *workflow_id,
                                const char *run_id, const char *name, json_t *input);
FLO_API struct flo_future *flo_signal_external_start(struct flo_workflow *wf,
                                                     const char *workflow_id, const char *run_id,
                                                     const char *name, json_t *input);
/*
 * Ask another execution of this namespace to stop, and wait until the server has delivered that
 * (not until it has stopped). reason may be NULL. Also done while this workflow is being cancelled.
 *
 *     rc = flo_cancel_external(wf, "stock-7", NULL, "no longer needed");
 *
 * Results as flo_signal_external.
 */
FLO_API int flo_cancel_external(struct flo_workflow *wf, const char *workflow_id,
                                const char *run_id, const char *reason);
FLO_API struct flo_future *flo_cancel_external_start(struct flo_workflow *wf,
                                                     const char *workflow_id, const char *run_id,
                                                     const char *reason);

/* ---- continuing as a new run ---- */

/* What is different about the next run; all zero: nothing but its input. Borrowed for the call. */
struct flo_continue_options {
    const char *workflow_type;            /* NULL = this one's */
    const char *task_queue;               /* NULL = this one's */
    int64_t run_timeout_ms;               /* 0 = this one's */
    int64_t task_timeout_ms;              /* 0 = this one's */
    const struct flo_retry_policy *retry; /* NULL = this one's */
    json_t *memo;                         /* an object, instead of the current memo; NULL = that */
    const struct flo_search_attribute *attributes; /* instead of the current ones; NULL = those */
    json_t *headers;                               /* an object; NULL = none */
};

/*
 * End this run and begin another with the same workflow id and an empty history: what a workflow
 * does that runs for months (flo_workflow_info says continue_as_new_suggested). The code that this
 * returns, FLO_ECONTINUE, must be returned from the workflow function, from however deep; other
 * calls may still clean up before. Signals that were not taken are lost with the run.
 *
 *     if (flo_workflow_info(wf)->continue_as_new_suggested)
 *         return flo_continue_as_new(wf, state, NULL);
 *
 * FLO_ECONTINUE; FLO_EINVAL with a failure on wf: options. input is borrowed; NULL = no argument.
 */
FLO_API int flo_continue_as_new(struct flo_workflow *wf, json_t *input,
                                const struct flo_continue_options *options);

#ifndef FLO_NO_CALL_SITES
#define flo_child(wf, ...) flo_child(FLO_HERE(wf), __VA_ARGS__)
#define flo_child_start(wf, ...) flo_child_start(FLO_HERE(wf), __VA_ARGS__)
#define flo_child_signal(wf, ...) flo_child_signal(FLO_HERE(wf), __VA_ARGS__)
#define flo_child_signal_start(wf, ...) flo_child_signal_start(FLO_HERE(wf), __VA_ARGS__)
#define flo_child_cancel(wf, ...) flo_child_cancel(FLO_HERE(wf), __VA_ARGS__)
#define flo_signal_external(wf, ...) flo_signal_external(FLO_HERE(wf), __VA_ARGS__)
#define flo_signal_external_start(wf, ...) flo_signal_external_start(FLO_HERE(wf), __VA_ARGS__)
#define flo_cancel_external(wf, ...) flo_cancel_external(FLO_HERE(wf), __VA_ARGS__)
#define flo_cancel_external_start(wf, ...) flo_cancel_external_start(FLO_HERE(wf), __VA_ARGS__)
#define flo_continue_as_new(wf, ...) flo_continue_as_new(FLO_HERE(wf), __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
