/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types.h - what the parts of flotilla/workflow.h share: the names of its things, and how a call
 * knows where it was written.
 *
 * Call sites. The calls that start something or wait are wrapped in macros of the same name that
 * note the file and line of the call first. These places show in messages about code that does not
 * match its history, in stack traces and in the message about code that does not yield. Nothing
 * else changes by it: the wrapped name is still a function, whose address can be taken. Define
 * FLO_NO_CALL_SITES before including anything of Flotilla to do without.
 */
#ifndef FLOTILLA_WORKFLOW_TYPES_H
#define FLOTILLA_WORKFLOW_TYPES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One coroutine of a running execution, as its code sees it. The workflow function gets the first
 * one; a coroutine or handler started from there gets its own. Each is for its own coroutine only:
 * a waiting call with another's returns FLO_ESTATE. */
struct flo_workflow;
/* A result to come: of an activity, a timer, a coroutine, a child workflow. */
struct flo_future;

/* Note the place of the call that follows. Returns wf. Not called by hand: FLO_HERE. */
FLO_API struct flo_workflow *flo_at(struct flo_workflow *wf, const char *file, int line);

/* wf, for a wrapper of your own around these calls, with the place where the wrapper is used:
 *     #define charge(wf, order) charge(FLO_HERE(wf), order)
 */
#define FLO_HERE(wf) flo_at((wf), __FILE__, __LINE__)

#ifdef __cplusplus
}
#endif
#endif
