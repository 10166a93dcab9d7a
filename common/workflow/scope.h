/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.h - cancellation scopes inside the runtime (scope.c); flotilla/workflow/scopes.h is the
 * workflow's side.
 */
#ifndef FLO_WORKFLOW_SCOPE_H
#define FLO_WORKFLOW_SCOPE_H

#include "base/list.h"
#include "flotilla/workflow/scopes.h"

struct flo_run;
struct flo_future;

struct flo_scope {
    struct flo_run *run;
    struct flo_scope *parent; /* referenced; NULL: the run's own scope */
    struct flo_node node;     /* on parent->inner */
    struct flo_list inner;    /* scopes, open or with something that goes on */
    struct flo_list pending;  /* futures that were started in it and are not ready */
    unsigned refs;            /* open: 1; each pending future; each scope inside */
    bool held;                /* code may look at it: it is not freed with its last reference */
    bool ended;
    bool shielded;
    bool shield;    /* made by flo_cancel_shield */
    unsigned again; /* flo_cancel_shield's further calls inside */
    bool cancelled;
    bool by_parent; /* cancelled with its parent: the reason is there */
    bool timed_out;
    const char *reason;         /* in the run's heap; NULL: none */
    struct flo_future *timer;   /* referenced; of no scope; NULL: no timeout */
    struct flo_node timer_node; /* on run->scope_timers while open, with a timer */
};

/* The run's own scope, which is a part of the run and never freed. */
void flo_scope_init(struct flo_scope *scope, struct flo_run *run);
/* An open scope inside parent. NULL: no memory. */
struct flo_scope *flo_scope_new(struct flo_scope *parent, bool shielded);
void flo_scope_ref(struct flo_scope *scope);
/* With the last reference it leaves the tree, and is freed unless code holds it. */
void flo_scope_unref(struct flo_scope *scope);
/* Cancel it, what is pending in it, and the scopes inside that are not shielded. reason: in the
 * run's heap, handed over; NULL: none. */
void flo_scope_cancel_all(struct flo_scope *scope, const char *reason);
/* Why it was cancelled: the reason of the one that was cancelled first. NULL: none. */
const char *flo_scope_reason(const struct flo_scope *scope);
/* Scopes whose timer has fired are cancelled. Before each step, when run->scope_timers has any. */
void flo_scope_expire(struct flo_run *run);
/* Close scope and all that lie between it and the coroutine's innermost one. */
void flo_scope_close(struct flo_workflow *wf, struct flo_scope *scope);

#endif
