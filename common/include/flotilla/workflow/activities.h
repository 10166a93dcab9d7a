/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activities.h - activities and local activities, from workflow code. A part of
 * flotilla/workflow.h, whose rules hold here.
 *
 *     struct flo_activity_options options = {.start_to_close_ms = 30000, .summary = "the card"};
 *     json_t *receipt;
 *     int rc = flo_activity(wf, "charge", order, &options, &receipt);
 *     if (rc)
 *         return rc;
 */
#ifndef FLOTILLA_WORKFLOW_ACTIVITIES_H
#define FLOTILLA_WORKFLOW_ACTIVITIES_H

#include "flotilla/failure.h"
#include "flotilla/workflow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum flo_cancellation_type {
    FLO_CANCEL_TRY = 0, /* ask the activity to stop; the future is cancelled at once */
    FLO_CANCEL_WAIT,    /* ask, and wait for how it ends */
    FLO_CANCEL_ABANDON, /* do not ask; the future is cancelled at once */
};

/* In which order a queue with more work than workers hands it out. All zero: the workflow's. */
struct flo_priority {
    int32_t priority_key;     /* 1 is served first, 5 last; 0 = the default */
    const char *fairness_key; /* keys share a queue by weight; at most 64 bytes; NULL = none */
    float fairness_weight;    /* 0.001 to 1000; 0 = 1 */
};

/* How to run an activity. All zero means: on the workflow's own queue; then at least
 * start_to_close_ms or schedule_to_close_ms must be set. */
struct flo_activity_options {
    const char *task_queue;               /* NULL = the workflow's */
    const char *activity_id;              /* NULL = chosen by the runtime */
    int64_t schedule_to_close_ms;         /* all attempts together; 0 = no limit */
    int64_t schedule_to_start_ms;         /* waiting in the queue; 0 = no limit */
    int64_t start_to_close_ms;            /* one attempt; 0 = schedule_to_close_ms */
    int64_t heartbeat_ms;                 /* longest silence; 0 = no heartbeats expected */
    const struct flo_retry_policy *retry; /* NULL = the server's default: retry for ever */
    enum flo_cancellation_type cancellation;
    const char *summary;          /* one line for the web page; may be NULL */
    struct flo_priority priority; /* all zero = the workflow's */
    /* Never ask the server to hand the activity's first attempt to the worker that completes this
     * workflow task. It is asked only where that worker runs activities of the queue, too; a
     * workflow worker does not. */
    bool no_eager_execution;
    json_t *headers; /* an object: each member becomes a header; NULL = none */
};

/* How to run a local activity. At least start_to_close_ms or schedule_to_close_ms must be set. */
struct flo_local_activity_options {
    const char *activity_id;      /* NULL = chosen by the runtime */
    int64_t schedule_to_close_ms; /* all attempts and the pauses between them; 0 = no limit */
    int64_t schedule_to_start_ms; /* waiting for a free thread of the worker; 0 = no limit */
    int64_t start_to_close_ms;    /* one attempt; 0 = schedule_to_close_ms */
    /* NULL = retry for ever, 1 s after the first failure, then twice as long each time, at most
     * 100 s. */
    const struct flo_retry_policy *retry;
    /* A longer pause between two attempts becomes a timer in the history, so that the worker need
     * not hold the workflow's task open; 0 = the timeout of workflow tasks. */
    int64_t local_retry_threshold_ms;
    enum flo_cancellation_type cancellation;
    const char *summary; /* one line for the web page; may be NULL */
    json_t *headers;     /* an object: each member becomes a header; NULL = none */
};

/* Run an activity and wait for its result (a new reference; NULL out_result discards it).
 * 0; FLO_EFAILED: its failure is on wf; FLO_ECANCELLED; FLO_EINVAL: options, the failure on wf says
 * which. */
FLO_API int flo_activity(struct flo_workflow *wf, const char *type, json_t *input,
                         const struct flo_activity_options *options, json_t **out_result);

/*
 * Start an activity; never NULL: a mistake shows when the future is awaited. input is borrowed.
 *
 *     struct flo_future *stock = flo_activity_start(wf, "reserve", order, &options);
 *     struct flo_future *card = flo_activity_start(wf, "authorise", order, &options);
 *     int rc = flo_await(wf, stock, NULL);      both are under way meanwhile
 */
FLO_API struct flo_future *flo_activity_start(struct flo_workflow *wf, const char *type,
                                              json_t *input,
                                              const struct flo_activity_options *options);

/*
 * Run an activity in the workflow worker itself, on one of its threads: without a task queue,
 * without a call to the server and without events of its own but one, which holds the result. For
 * short work that need not survive the worker: a look-up, a validation, a value from outside. The
 * function is one of the activities of the modules that the workflow worker loads. It runs at least
 * once: when the worker dies before the result has reached the server, it runs again elsewhere.
 * What it returned is replayed, the function is not. Heartbeats do nothing.
 * Results as flo_activity.
 *
 *     struct flo_local_activity_options quick = {.start_to_close_ms = 1000};
 *     int rc = flo_local_activity(wf, "exchange_rate", currency, &quick, &rate);
 */
FLO_API int flo_local_activity(struct flo_workflow *wf, const char *type, json_t *input,
                               const struct flo_local_activity_options *options,
                               json_t **out_result);
/* Start one; never NULL: a mistake shows when the future is awaited. input is borrowed. */
FLO_API struct flo_future *flo_local_activity_start(
    struct flo_workflow *wf, const char *type, json_t *input,
    const struct flo_local_activity_options *options);

#ifndef FLO_NO_CALL_SITES
#define flo_activity(wf, ...) flo_activity(FLO_HERE(wf), __VA_ARGS__)
#define flo_activity_start(wf, ...) flo_activity_start(FLO_HERE(wf), __VA_ARGS__)
#define flo_local_activity(wf, ...) flo_local_activity(FLO_HERE(wf), __VA_ARGS__)
#define flo_local_activity_start(wf, ...) flo_local_activity_start(FLO_HERE(wf), __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
