/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduler.h - the coroutines of a run: made, put aside, resumed, dropped (scheduler.c).
 *
 * How a call waits: it hands flo_workflow_wait a struct flo_wait, which says when it can go on and
 * what it waits for, and a ctx on its own stack.
 *
 *     static bool is_ready(void *ctx) { return ((struct waiting *)ctx)->thing->ready; }
 *     static const struct flo_wait thing_wait = {is_ready, describe};
 *     struct waiting waiting = {thing};
 *     int rc = flo_workflow_wait(wf, &thing_wait, &waiting);
 *
 * It looks for itself, first whether it must wait at all, and afterwards why it goes on: for what
 * it waited for, or because its scope was cancelled, which ready() must answer for, too
 * (flo_workflow_cancelled).
 *
 * How a part of the runtime makes a coroutine (a handler of a signal, of an update): fill a
 * struct flo_start, call flo_scheduler_start; when its function has returned, ended() hears of it.
 */
#ifndef FLO_WORKFLOW_SCHEDULER_H
#define FLO_WORKFLOW_SCHEDULER_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "flotilla/workflow.h"
#include "wire/api.h"
#include "workflow/coroutine.h"

struct flo_run;

/* A place in the code of a workflow; file is the module's own text. NULL: not known. */
struct flo_place {
    const char *file;
    int line;
};

/* What a coroutine waits for. Both run on the scheduler's stack and only look. */
struct flo_wait {
    bool (*ready)(void *ctx);
    /* In a few words, for a stack trace: "timer id 3". NULL: nothing to say. */
    void (*describe)(void *ctx, char *out_text, size_t size);
};

/* How to make a coroutine. */
struct flo_start {
    const char *name; /* copied */
    int (*fn)(struct flo_workflow *wf, void *arg);
    void *arg;
    /* Called when fn has returned rc, on the scheduler's stack; wf's failure is still there, wf
     * goes right after. May be NULL. 0, FLO_ENOMEM. */
    int (*ended)(struct flo_workflow *wf, void *arg, int rc);
    struct flo_scope *scope; /* its own scope lies in that one; NULL: in the run's */
    bool always; /* it begins even when the first coroutine has ended: it uses nothing of that */
};

/* The workflow as one coroutine sees it. */
struct flo_workflow {
    struct flo_run *run;
    struct flo_node node;            /* on run->fresh until it begins, then on run->coroutines */
    const char *name;                /* in the run's heap, but for the first one */
    struct flo_coroutine *coroutine; /* owned; NULL until it begins and at the end */
    uint64_t number; /* in the order of creation, from 1; never the same twice in a run */
    struct flo_start start;
    bool ended;                  /* start.fn has returned */
    int rc;                      /* what it returned */
    const struct flo_wait *wait; /* while it waits; NULL: it runs, or never goes on */
    void *wait_ctx;
    struct flo_place at;             /* the call that it made last */
    struct flo_scope *scope;         /* the innermost open one; never NULL */
    struct flo_scope *base;          /* the coroutine's own, closed when it ends */
    struct flo_arena failure_mem;    /* owned */
    FloApi__Failure *failure;        /* of the last call that failed; in failure_mem */
    int failure_rc;                  /* what that call returned */
    uint64_t failures;               /* how many there have been */
    char *failure_text;              /* flo_failure_message's answer, made when asked */
    struct flo_workflow *next_spare; /* on run->spare, once it has ended */
};

/* ---- for the calls of workflow code ---- */

/*
 * Put the coroutine aside until wait->ready(ctx), which the caller has seen to be false. 0;
 * FLO_ESTATE, a failure on wf: wf is not the coroutine that runs (another's, or code that may only
 * look). Does not return without memory.
 */
FLO_MUST_CHECK int flo_workflow_wait(struct flo_workflow *wf, const struct flo_wait *wait,
                                     void *ctx);
/* Memory is out and the code must not go on: does not return then. At the start of waiting calls
 * that may not have to wait. */
void flo_workflow_stop_without_memory(struct flo_workflow *wf);

/* Zeroed memory of the run. Without memory it does not return to the coroutine that runs; NULL: no
 * coroutine does. */
void *flo_workflow_take(struct flo_workflow *wf, size_t bytes);

/* ---- for the runtime ---- */

/* A coroutine that begins when the scheduler runs next, before those that wait go on. *out_wf may
 * be NULL. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_scheduler_start(struct flo_run *run, const struct flo_start *start,
                                       struct flo_workflow **out_wf);
/* wf, whose memory the caller has, is the run's first coroutine. */
void flo_scheduler_start_first(struct flo_run *run, struct flo_workflow *wf,
                               const struct flo_start *start);
/*
 * Run all that can go on, until nothing can or the first coroutine has ended. In passes: those that
 * have not begun, first made first, then those whose wait is over, in the order in which they
 * began; until a pass ran none. After the first one's end those of start.always begin, and run
 * until they wait. FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_scheduler_run(struct flo_run *run);
/* Only those that have not begun, each until it waits. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_scheduler_begin(struct flo_run *run);
/* Drop them all, wherever they stand. */
void flo_scheduler_drop(struct flo_run *run);
/* Touched pages of all stacks, and what the coroutines hold outside the run's heap. */
size_t flo_scheduler_bytes(const struct flo_run *run);
/* "orders.c:42"; "" when it is not known. */
void flo_place_describe(const struct flo_place *place, char *out_text, size_t size);

/* How often the calling thread has run workflow code on: for another thread that wants to see
 * whether it does. As long as the thread lives. */
const atomic_ullong *flo_scheduler_resumes(void);

#endif
