/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.c - cancellation scopes.
 *
 * A tree: the run's own scope, in it those that its coroutines open, and one for each coroutine,
 * inside the scope where it was spawned. A scope stays in the tree after it was closed for as long
 * as something that was started in it goes on: its parent's cancellation must still reach that.
 * Out of the tree its memory stays as long as code may look at it, which any coroutine may do.
 * Cancelling marks a scope and all inside at once, so that asking is one look.
 */
#include "workflow/scope.h"

#include <assert.h>

#include "workflow/internal.h"

void flo_scope_init(struct flo_scope *scope, struct flo_run *run)
{
    *scope = (struct flo_scope){.run = run, .refs = 1};
    flo_list_init(&scope->inner);
    flo_list_init(&scope->pending);
}

struct flo_scope *flo_scope_new(struct flo_scope *parent, bool shielded)
{
    struct flo_scope *scope = flo_heap_alloc(parent->run->heap, sizeof *scope);
    if (!scope)
        return NULL;
    flo_scope_init(scope, parent->run);
    scope->parent = parent;
    scope->shielded = shielded;
    scope->cancelled = scope->by_parent = parent->cancelled && !shielded;
    flo_list_push_back(&parent->inner, &scope->node);
    flo_scope_ref(parent);
    return scope;
}

void flo_scope_ref(struct flo_scope *scope)
{
    scope->refs++;
}

const char *flo_scope_reason(const struct flo_scope *scope)
{
    while (scope->by_parent)
        scope = scope->parent;
    return scope->reason;
}

static void scope_free(struct flo_scope *scope)
{
    flo_heap_free((char *)(uintptr_t)scope->reason);
    flo_heap_free(scope);
}

/* The scopes around it may go before it. */
static void keep_for_code(struct flo_scope *scope)
{
    const char *reason = scope->by_parent ? flo_scope_reason(scope) : NULL;
    if (reason) {
        scope->reason = flo_heap_strdup(scope->run->heap, reason);
        if (!scope->reason)
            flo_run_no_memory(scope->run);
    }
    scope->by_parent = false;
    scope->parent = NULL;
}

void flo_scope_unref(struct flo_scope *scope)
{
    while (scope && --scope->refs == 0) {
        struct flo_scope *parent = scope->parent;
        assert(parent); /* the outermost one ends with its run */
        flo_list_remove(&parent->inner, &scope->node);
        if (scope->held)
            keep_for_code(scope);
        else
            scope_free(scope);
        scope = parent;
    }
}

/* Each is asked once, in the order in which they were started; what cancelling one does to others
 * may take any of them off the list, and it turns as it goes. */
static void cancel_pending(struct flo_scope *scope)
{
    for (size_t left = scope->pending.count; left > 0 && scope->pending.count > 0; left--) {
        struct flo_node *node = flo_list_pop_front(&scope->pending);
        struct flo_future *future = flo_container(node, struct flo_future, node);
        flo_list_push_back(&scope->pending, node);
        if (future->ops->cancel)
            future->ops->cancel(future);
    }
}

void flo_scope_cancel_all(struct flo_scope *scope, const char *reason)
{
    if (scope->cancelled) {
        flo_heap_free((char *)(uintptr_t)reason);
        return;
    }
    flo_scope_ref(scope);
    scope->cancelled = true;
    scope->by_parent = scope->parent && scope->parent->cancelled && !scope->shielded;
    scope->reason = reason;
    cancel_pending(scope);
    FLO_LIST_FOREACH_SAFE(node, &scope->inner)
    {
        struct flo_scope *inner = flo_container(node, struct flo_scope, node);
        if (!inner->shielded)
            flo_scope_cancel_all(inner, NULL);
    }
    flo_scope_unref(scope);
}

void flo_scope_expire(struct flo_run *run)
{
    FLO_LIST_FOREACH_SAFE(node, &run->scope_timers)
    {
        struct flo_scope *scope = flo_container(node, struct flo_scope, timer_node);
        if (!scope->timer->ready)
            continue;
        flo_list_remove(&run->scope_timers, &scope->timer_node);
        scope->timed_out = !scope->cancelled;
        flo_scope_cancel_all(scope, NULL);
    }
}

static void close_one(struct flo_scope *scope)
{
    struct flo_run *run = scope->run;
    if (scope->timer) {
        if (flo_node_linked(&scope->timer_node))
            flo_list_remove(&run->scope_timers, &scope->timer_node);
        if (!scope->timer->ready)
            scope->timer->ops->cancel(scope->timer);
        flo_future_unref(scope->timer);
        scope->timer = NULL;
    }
    scope->ended = true;
    flo_scope_unref(scope);
}

void flo_scope_close(struct flo_workflow *wf, struct flo_scope *scope)
{
    struct flo_scope *open = wf->scope, *outer = scope->parent;
    while (open != outer) {
        struct flo_scope *parent = open->parent;
        close_one(open);
        open = parent;
    }
    wf->scope = outer;
}

/* ---- the calls of workflow code ---- */

static struct flo_scope *begin(struct flo_workflow *wf, bool shielded)
{
    if (flo_read_only_check(wf->run, "opens a cancellation scope"))
        return &wf->run->scope;
    struct flo_scope *scope = flo_scope_new(wf->scope, shielded);
    if (!scope) {
        flo_run_no_memory(wf->run); /* the next waiting call stops this code for good */
        return &wf->run->scope;
    }
    wf->scope = scope;
    return scope;
}

struct flo_scope *flo_scope_begin(struct flo_workflow *wf, const struct flo_scope_options *options)
{
    struct flo_run *run = wf->run;
    struct flo_scope *scope = begin(wf, options && options->shielded);
    if (scope == &run->scope)
        return scope;
    scope->held = true;
    if (scope->cancelled || !options || options->timeout_ms <= 0)
        return scope;
    scope->timer = flo_timer_new(run, NULL, options->timeout_ms, NULL);
    if (scope->timer)
        flo_list_push_back(&run->scope_timers, &scope->timer_node);
    else
        flo_run_no_memory(run);
    return scope;
}

/* One that this coroutine opened itself? */
static bool is_open(const struct flo_workflow *wf, const struct flo_scope *scope)
{
    for (const struct flo_scope *s = wf->scope; s != wf->base; s = s->parent) {
        if (s == scope)
            return true;
    }
    return false;
}

int flo_scope_end(struct flo_workflow *wf, struct flo_scope *scope)
{
    if (wf->run->out_of_memory)
        return FLO_ENOMEM;
    if (flo_read_only_check(wf->run, "closes a cancellation scope"))
        return FLO_ESTATE;
    if (!is_open(wf, scope))
        return flo_workflow_refuse(wf, FLO_ESTATE, "this scope is not open in this coroutine");
    bool timed_out = scope->timed_out;
    flo_scope_close(wf, scope);
    return timed_out ? FLO_ETIMEDOUT : 0;
}

void flo_scope_release(struct flo_workflow *wf, struct flo_scope *scope)
{
    if (flo_read_only_check(wf->run, "gives a scope back") || !scope->ended)
        return;
    scope->held = false;
    if (scope->refs == 0)
        scope_free(scope);
}

void flo_scope_cancel(struct flo_workflow *wf, struct flo_scope *scope, const char *reason)
{
    if (flo_read_only_check(wf->run, "cancels a scope") || scope->ended)
        return;
    char *copy = reason ? flo_heap_strdup(wf->run->heap, reason) : NULL;
    if (copy)
        flo_text_repair(copy); /* what is cancelled may have to tell others of it */
    flo_scope_cancel_all(scope, copy);
}

bool flo_scope_cancelled(const struct flo_workflow *wf, const struct flo_scope *scope)
{
    return (scope ? scope : wf->scope)->cancelled;
}

const char *flo_scope_cancel_reason(const struct flo_workflow *wf, const struct flo_scope *scope)
{
    const char *reason = flo_scope_reason(scope ? scope : wf->scope);
    return reason ? reason : "";
}

bool flo_workflow_cancelled(const struct flo_workflow *wf)
{
    return wf->scope->cancelled;
}

bool flo_cancel_requested(const struct flo_workflow *wf)
{
    return wf->run->cancel_requested;
}

const char *flo_cancel_reason(const struct flo_workflow *wf)
{
    return wf->run->cancel_requested && wf->run->scope.reason ? wf->run->scope.reason : "";
}

/* The innermost shield that is open; NULL: none. */
static struct flo_scope *shield_of(const struct flo_workflow *wf)
{
    struct flo_scope *scope = wf->scope;
    while (scope != wf->base && !scope->shield)
        scope = scope->parent;
    return scope == wf->base ? NULL : scope;
}

void flo_cancel_shield(struct flo_workflow *wf, bool on)
{
    struct flo_scope *shield = shield_of(wf);
    if ((!on && !shield) || flo_read_only_check(wf->run, "shields from cancellation"))
        return;
    if (on && shield != wf->scope) {
        struct flo_scope *scope = begin(wf, true);
        scope->shield = scope != &wf->run->scope;
    } else if (on) {
        shield->again++;
    } else if (shield->again > 0) {
        shield->again--;
    } else {
        flo_scope_close(wf, shield);
    }
}
