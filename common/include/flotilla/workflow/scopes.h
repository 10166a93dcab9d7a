/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scopes.h - what is cancelled with what. A part of flotilla/workflow.h, whose rules hold here.
 *
 * Everything that is started belongs to the innermost open scope of its coroutine, and scopes lie
 * in one another: the outermost one is the workflow's own, and a request to cancel the workflow
 * cancels that. Cancelling a scope cancels what was started in it, each by its cancellation type,
 * and the scopes inside, except shielded ones. In a cancelled scope a call that would wait returns
 * FLO_ECANCELLED, and what is started is cancelled from the beginning. Only awaiting what is being
 * cancelled but wants to end in its own way (an activity of type FLO_CANCEL_WAIT, a coroutine) goes
 * on waiting.
 *
 *     struct flo_scope *minute = flo_scope_begin(wf, &(struct flo_scope_options){
 *         .timeout_ms = 60000});
 *     int rc = negotiate(wf);                       whatever it calls and starts
 *     if (flo_scope_end(wf, minute) == FLO_ETIMEDOUT)
 *         rc = give_in(wf);
 */
#ifndef FLOTILLA_WORKFLOW_SCOPES_H
#define FLOTILLA_WORKFLOW_SCOPES_H

#include "flotilla/workflow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct flo_scope; /* lives as long as the run, or until flo_scope_release */

struct flo_scope_options {
    bool shielded;      /* the scope around it does not cancel it: for cleaning up */
    int64_t timeout_ms; /* it is cancelled after that; 0 = never */
};

/* Open a scope inside this coroutine's innermost one; options NULL = all zero. Never NULL. Begins
 * cancelled when the scope around it is cancelled and it is not shielded. */
FLO_API struct flo_scope *flo_scope_begin(struct flo_workflow *wf,
                                          const struct flo_scope_options *options);
/*
 * Close it; scopes that were opened inside and not closed are closed with it. What was started in
 * it and goes on keeps belonging to it: it is cancelled with the scope around, unless this one was
 * shielded, and no more by this one's time.
 * 0; FLO_ETIMEDOUT: it was cancelled because its time ran out; FLO_ESTATE: not an open scope of
 * this coroutine.
 */
FLO_API int flo_scope_end(struct flo_workflow *wf, struct flo_scope *scope);
/* It is not used any more, by no coroutine: give its memory back once nothing goes on in it.
 * Nothing while it is open. A loop that opens scopes for months should; else a scope that has ended
 * takes some 150 bytes until the run does. */
FLO_API void flo_scope_release(struct flo_workflow *wf, struct flo_scope *scope);
/* Cancel it now, from any coroutine. Nothing when it is cancelled already or has ended. reason
 * (NULL = none) is copied. */
FLO_API void flo_scope_cancel(struct flo_workflow *wf, struct flo_scope *scope, const char *reason);
/* Is scope (NULL: the innermost one of this coroutine) cancelled? May be asked of one that has
 * ended, and so may the reason. */
FLO_API bool flo_scope_cancelled(const struct flo_workflow *wf, const struct flo_scope *scope);
/* Why, "" without a reason. The reason of the scope that was cancelled first counts for those
 * inside. */
FLO_API const char *flo_scope_cancel_reason(const struct flo_workflow *wf,
                                            const struct flo_scope *scope);

/* Was cancellation of this workflow requested? */
FLO_API bool flo_cancel_requested(const struct flo_workflow *wf);
/* The reason that came with the request, "" without one. */
FLO_API const char *flo_cancel_reason(const struct flo_workflow *wf);
/*
 * A shielded scope in short: while on, waiting calls go on in spite of a cancel request, and what
 * is started outlives it: for cleaning up. Nests.
 *
 *     flo_cancel_shield(wf, true);
 *     flo_activity(wf, "refund", order, &options, NULL);
 *     flo_cancel_shield(wf, false);
 */
FLO_API void flo_cancel_shield(struct flo_workflow *wf, bool on);

#ifndef FLO_NO_CALL_SITES
#define flo_scope_begin(wf, ...) flo_scope_begin(FLO_HERE(wf), __VA_ARGS__)
#define flo_scope_cancel(wf, ...) flo_scope_cancel(FLO_HERE(wf), __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
