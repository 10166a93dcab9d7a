/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intercept.h - the interceptors of the worker's modules around a run's code, and the headers that
 * travel with its calls. run->interception is NULL in a run without either, and then none of this
 * is called but flo_intercept_begin.
 */
#ifndef FLO_WORKFLOW_INTERCEPT_H
#define FLO_WORKFLOW_INTERCEPT_H

#include "workflow/internal.h"

struct flo_interception {
    json_t *headers; /* that the execution was started with; NULL: none, or no interceptors */
    json_t *context; /* an object: what goes along with calls; NULL: nothing */
};

/* The run begins. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_intercept_begin(struct flo_run *run, const FloApi__Header *header);

/* ---- in ---- */

/* A call of user code, on the stack of the coroutine that makes it. */
struct flo_inbound {
    struct flo_inbound_call call; /* first: what the interceptors get */
    size_t entered;               /* interceptors so far */
    /* Runs the code, with what the call holds then. */
    int (*code)(struct flo_workflow *wf, const struct flo_inbound *inbound, json_t **out_result);
};

/* ---- out ---- */

/* A call that is about to leave; all zero but what the code gave. */
struct flo_outbound {
    struct flo_outbound_call call; /* first: what the interceptors get, then what is to be sent */
    json_t *input, *headers;       /* owned: what the call has instead of the code's */
};

/* The context joins the call's headers, then each interceptor sees it. 0: it may leave. Another
 * code: it is refused, with a failure of that code on wf; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_outbound_run(struct flo_workflow *wf, struct flo_outbound *outbound);
/* It was refused with rc: future fails so. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_outbound_refuse(struct flo_workflow *wf, int rc, struct flo_future *future);
/* A new future for such a call that has none. NULL: no memory. */
struct flo_future *flo_outbound_refused(struct flo_workflow *wf, int rc);
void flo_outbound_fini(struct flo_outbound *outbound);

#endif
