/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow/failures.h - failing, and looking into what failed. Include flotilla/workflow.h.
 *
 * A call that returns FLO_EFAILED (or FLO_ECANCELLED) leaves a failure on wf: a chain, the
 * outermost link first. An activity that failed for the last time leaves two links, say: one of
 * kind FLO_FAILURE_ACTIVITY, which names the activity, and the application failure that the
 * activity returned as its cause. Returning the code from the workflow function fails the workflow
 * with that chain.
 */
#ifndef FLOTILLA_WORKFLOW_FAILURES_H
#define FLOTILLA_WORKFLOW_FAILURES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "flotilla/failure.h"
#include "flotilla/workflow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum flo_failure_kind {
    FLO_FAILURE_OTHER = 0,   /* of a kind that this list does not have */
    FLO_FAILURE_APPLICATION, /* user code failed: type, non_retryable, ..., details */
    FLO_FAILURE_TIMEOUT,     /* timeout; details: what the last heartbeat said */
    FLO_FAILURE_CANCELLED,   /* details */
    FLO_FAILURE_TERMINATED,  /* somebody ended it by force */
    FLO_FAILURE_SERVER,      /* the server failed: non_retryable */
    FLO_FAILURE_ACTIVITY, /* an activity failed: activity_type, activity_id; the cause says why */
    FLO_FAILURE_CHILD,    /* a child workflow did: workflow_type, workflow_id, run_id; likewise */
};

enum flo_timeout_kind {
    FLO_TIMEOUT_OTHER = 0,
    FLO_TIMEOUT_START_TO_CLOSE,
    FLO_TIMEOUT_SCHEDULE_TO_START,
    FLO_TIMEOUT_SCHEDULE_TO_CLOSE,
    FLO_TIMEOUT_HEARTBEAT,
};

/* Why an activity or a child workflow is not tried again. */
enum flo_retry_state {
    FLO_RETRY_OTHER = 0,
    FLO_RETRY_NON_RETRYABLE,    /* its failure is not to be retried */
    FLO_RETRY_TIMEOUT,          /* no time is left */
    FLO_RETRY_MAXIMUM_ATTEMPTS, /* no attempt is left */
    FLO_RETRY_NO_POLICY,
    FLO_RETRY_CANCELLED,
    FLO_RETRY_SERVER_ERROR,
};

/* One link of the chain; texts are borrowed until the next call that fails, "" when there are
 * none. Members that its kind does not have are zero. */
struct flo_failure_link {
    enum flo_failure_kind kind;
    const char *message, *source, *stack_trace;
    const char *type;            /* APPLICATION: what callers branch on */
    bool non_retryable;          /* APPLICATION, SERVER */
    bool benign;                 /* APPLICATION */
    int64_t next_retry_delay_ms; /* APPLICATION */
    enum flo_timeout_kind timeout;
    enum flo_retry_state retry_state;        /* ACTIVITY, CHILD */
    const char *activity_type, *activity_id; /* ACTIVITY */
    const char *workflow_type, *workflow_id; /* CHILD */
    const char *run_id;                      /* CHILD */
    const char *identity;                    /* ACTIVITY, TERMINATED, CANCELLED: who did it */
    size_t detail_count; /* APPLICATION, TIMEOUT, CANCELLED: for flo_failure_detail */
};

/*
 * The link of that depth, 0 being the outermost. false: the chain is not that long.
 *
 *     struct flo_failure_link link;
 *     for (unsigned depth = 0; flo_failure_at(wf, depth, &link); depth++)
 *         flo_workflow_log(wf, FLO_LOG_WARN, "%s", link.message);
 */
FLO_API bool flo_failure_at(const struct flo_workflow *wf, unsigned depth,
                            struct flo_failure_link *out);
/*
 * The first link of that kind; *out_depth (may be NULL) is for flo_failure_detail. false: none.
 *
 *     if (flo_failure_find(wf, FLO_FAILURE_TIMEOUT, &link, &depth) &&
 *         link.timeout == FLO_TIMEOUT_HEARTBEAT && link.detail_count > 0)
 *         rc = flo_failure_detail(wf, depth, 0, &progress);
 */
FLO_API bool flo_failure_find(const struct flo_workflow *wf, enum flo_failure_kind kind,
                              struct flo_failure_link *out, unsigned *out_depth);
/* Detail number index of that link, a new reference. FLO_ENOENT: it has none; FLO_EPROTO: it is
 * no JSON (*out_value is untouched). */
FLO_API int flo_failure_detail(const struct flo_workflow *wf, unsigned depth, size_t index,
                               json_t **out_value);

/*
 * Put an application failure on wf and return FLO_EFAILED, as flo_workflow_fail does, with all that
 * a failure can have. because: what was on wf becomes the innermost cause of it.
 *
 *     rc = flo_activity(wf, "charge", order, &options, NULL);
 *     if (rc == FLO_EFAILED)
 *         return flo_workflow_raise(
 *             wf, &(struct flo_failure){.type = "NotPaid", .message = "the card was refused"},
 * true);
 */
FLO_API int flo_workflow_raise(struct flo_workflow *wf, const struct flo_failure *failure,
                               bool because);

/*
 * This is a bug of the code or of its surroundings, not the end of the workflow: the code that this
 * returns, FLO_ETASK, returned from the workflow function, fails the workflow task with the
 * sentence. The workflow stays open where it was; the task is tried again until code is there that
 * can do it. (A returned FLO_ENONDET does the same.)
 *
 *     default:
 *         return flo_task_fail(wf, "stage %d is not known to this version", stage);
 */
FLO_API int flo_task_fail(struct flo_workflow *wf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
