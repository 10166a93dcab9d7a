/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduler.c - which coroutine of a run goes on, and in which order.
 *
 * Between activations every coroutine waits, with a question: can I go on? All that an activation
 * brings is applied first; then the scheduler asks, in passes. A pass begins the coroutines that
 * have not run yet, so that the handler of a signal runs before the code that waits for what it
 * does; then it asks the others in the order in which they began. What one of them does may let
 * another go on, so passes are made until one has run nothing. All of this depends on history
 * alone, and so does the order of the commands that come out.
 *
 * The questions are asked again in each pass instead of waking coroutines by hand where something
 * becomes ready: a condition may depend on anything, and a workflow has few coroutines.
 *
 * When the first coroutine, which runs the workflow function, has ended, others go on no more: they
 * may have kept pointers into its stack. Only handlers that have not begun still do, once: what was
 * said to the workflow in time is heard, though the function did not wait for it.
 */
#include "workflow/scheduler.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "workflow/internal.h"

/* Written by its thread only. */
static _Thread_local atomic_ullong resumes;

const atomic_ullong *flo_scheduler_resumes(void)
{
    return &resumes;
}

/* ---- places ---- */

struct flo_workflow *flo_at(struct flo_workflow *wf, const char *file, int line)
{
    wf->at = (struct flo_place){file, line};
    return wf;
}

void flo_place_describe(const struct flo_place *place, char *out_text, size_t size)
{
    const char *name = place->file ? strrchr(place->file, '/') : NULL;
    if (place->file)
        snprintf(out_text, size, "%s:%d", name ? name + 1 : place->file, place->line);
    else
        snprintf(out_text, size, "%s", "");
}

/* ---- making and dropping ---- */

static void entry(void *arg)
{
    struct flo_workflow *wf = arg;
    wf->rc = wf->start.fn(wf, wf->start.arg);
}

void flo_scheduler_start_first(struct flo_run *run, struct flo_workflow *wf,
                               const struct flo_start *start)
{
    wf->start = *start;
    wf->name = start->name;
    wf->run = run;
    wf->number = ++run->coroutine_count;
    wf->scope = wf->base = &run->scope;
    flo_list_push_back(&run->fresh, &wf->node);
}

/* One that has ended, or a new one. */
static struct flo_workflow *take_workflow(struct flo_run *run)
{
    struct flo_workflow *wf = run->spare;
    if (!wf)
        return flo_heap_calloc(run->heap, sizeof *wf);
    run->spare = wf->next_spare;
    flo_arena_fini(&wf->failure_mem);
    *wf = (struct flo_workflow){0};
    return wf;
}

/* Code may have kept wf. It finds there a coroutine that does not run, until the next one gets it.
 */
static void spare_workflow(struct flo_workflow *wf)
{
    struct flo_run *run = wf->run;
    flo_heap_free((char *)(uintptr_t)wf->name);
    flo_arena_fini(&wf->failure_mem);
    *wf = (struct flo_workflow){.run = run,
                                .name = "",
                                .ended = true,
                                .scope = &run->scope,
                                .base = &run->scope,
                                .next_spare = run->spare};
    flo_arena_init(&wf->failure_mem, 0);
    run->spare = wf;
}

int flo_scheduler_start(struct flo_run *run, const struct flo_start *start,
                        struct flo_workflow **out_wf)
{
    struct flo_workflow *wf = take_workflow(run);
    char *name = flo_heap_strdup(run->heap, start->name);
    struct flo_scope *base = flo_scope_new(start->scope ? start->scope : &run->scope, false);
    if (!wf || !name || !base)
        return FLO_ENOMEM; /* the run goes with all that it has */
    flo_arena_init(&wf->failure_mem, 0);
    wf->start = *start;
    wf->name = name;
    wf->run = run;
    wf->number = ++run->coroutine_count;
    wf->scope = wf->base = base;
    if (run->current)
        wf->at = run->current->at;
    flo_list_push_back(&run->fresh, &wf->node);
    if (out_wf)
        *out_wf = wf;
    return 0;
}

static void drop_list(struct flo_list *list)
{
    struct flo_node *node;
    while ((node = flo_list_pop_front(list))) {
        struct flo_workflow *wf = flo_container(node, struct flo_workflow, node);
        flo_coroutine_destroy(&wf->coroutine);
        flo_arena_fini(&wf->failure_mem);
    }
}

void flo_scheduler_drop(struct flo_run *run)
{
    drop_list(&run->fresh);
    drop_list(&run->coroutines);
    for (struct flo_workflow *wf = run->spare; wf; wf = wf->next_spare)
        flo_arena_fini(&wf->failure_mem); /* what code put on one that had ended */
}

size_t flo_scheduler_bytes(const struct flo_run *run)
{
    size_t bytes = 0;
    FLO_LIST_FOREACH(node, &run->coroutines)
    {
        const struct flo_workflow *wf = flo_container(node, struct flo_workflow, node);
        bytes += wf->failure_mem.held_bytes;
        if (wf->coroutine)
            bytes += flo_coroutine_bytes(wf->coroutine);
    }
    return bytes;
}

/* ---- running ---- */

/* It has returned: told, and forgotten. The first one's end is its caller's business. */
static int end(struct flo_workflow *wf)
{
    struct flo_run *run = wf->run;
    wf->ended = true;
    flo_coroutine_destroy(&wf->coroutine);
    if (wf == &run->main || wf->rc == FLO_ENOMEM)
        return wf == &run->main ? 0 : FLO_ENOMEM;
    int rc = wf->start.ended ? wf->start.ended(wf, wf->start.arg, wf->rc) : 0;
    flo_scope_close(wf, wf->base);
    flo_list_remove(&run->coroutines, &wf->node);
    spare_workflow(wf);
    return rc;
}

static int resume(struct flo_workflow *wf)
{
    struct flo_run *run = wf->run;
    wf->wait = NULL;
    run->current = wf;
    atomic_store_explicit(&resumes, atomic_load_explicit(&resumes, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    flo_coroutine_resume(wf->coroutine);
    run->current = NULL;
    if (run->out_of_memory || flo_heap_failed(run->heap))
        return FLO_ENOMEM;
    return flo_coroutine_done(wf->coroutine) ? end(wf) : 0;
}

static int begin(struct flo_workflow *wf)
{
    struct flo_run *run = wf->run;
    int rc = flo_coroutine_new(run->env.stack_bytes, entry, wf, &wf->coroutine);
    if (rc)
        return rc;
    flo_list_remove(&run->fresh, &wf->node);
    flo_list_push_back(&run->coroutines, &wf->node);
    return resume(wf);
}

/* The next one that is to begin; NULL: none. */
static struct flo_workflow *next_fresh(const struct flo_run *run)
{
    FLO_LIST_FOREACH(node, &run->fresh)
    {
        struct flo_workflow *wf = flo_container(node, struct flo_workflow, node);
        if (!run->main.ended || wf->start.always)
            return wf;
    }
    return NULL;
}

int flo_scheduler_begin(struct flo_run *run)
{
    struct flo_workflow *wf;
    int rc = 0;
    while (rc == 0 && (wf = next_fresh(run)))
        rc = begin(wf);
    return rc;
}

static int ask_all(struct flo_run *run, bool *out_ran)
{
    FLO_LIST_FOREACH_SAFE(node, &run->coroutines) /* only the one that runs may leave the list */
    {
        struct flo_workflow *wf = flo_container(node, struct flo_workflow, node);
        if (!wf->wait || !wf->wait->ready(wf->wait_ctx))
            continue;
        int rc = resume(wf);
        if (rc || run->main.ended)
            return rc;
        *out_ran = true;
    }
    return 0;
}

/* One pass. *out_again: what ran may let another go on. A coroutine that is alone has looked for
 * itself before it waited, and nothing will have changed. */
static int pass(struct flo_run *run, bool *out_again)
{
    size_t living = run->coroutines.count + run->fresh.count;
    uint64_t made = run->coroutine_count;
    bool ran = !flo_list_empty(&run->fresh);
    int rc = ran ? flo_scheduler_begin(run) : 0;
    bool alone = living == 1 && run->coroutine_count == made;
    if (rc == 0 && !run->main.ended && !(ran && alone))
        rc = ask_all(run, &ran);
    alone = alone && run->coroutine_count == made;
    *out_again = ran && !alone && !run->main.ended;
    return rc;
}

int flo_scheduler_run(struct flo_run *run)
{
    bool again;
    int rc;
    do {
        rc = pass(run, &again);
    } while (rc == 0 && again);
    return rc == 0 && run->main.ended ? flo_scheduler_begin(run) : rc;
}

/* ---- waiting ---- */

/* What this code does from here on could differ from its history, so it stops until the run is
 * evicted, which the worker does after an activation without memory. */
void flo_workflow_stop_without_memory(struct flo_workflow *wf)
{
    const struct flo_run *run = wf->run;
    while ((run->out_of_memory || flo_heap_failed(run->heap)) && run->current)
        flo_coroutine_yield(run->current->coroutine); /* no question: it is never resumed */
}

void *flo_workflow_take(struct flo_workflow *wf, size_t bytes)
{
    void *memory = flo_heap_calloc(wf->run->heap, bytes);
    if (!memory)
        flo_workflow_stop_without_memory(wf);
    return memory;
}

int flo_workflow_wait(struct flo_workflow *wf, const struct flo_wait *wait, void *ctx)
{
    if (wf->run->read_only && flo_read_only_check(wf->run, "waits"))
        return flo_workflow_refuse(wf, FLO_ESTATE, "what only looks may not wait");
    if (wf->run->current != wf)
        return flo_workflow_refuse(wf, FLO_ESTATE,
                                   "a coroutine waits with its own struct flo_workflow, not with "
                                   "another's");
    flo_workflow_stop_without_memory(wf);
    wf->wait = wait;
    wf->wait_ctx = ctx;
    flo_coroutine_yield(wf->coroutine); /* not resumed when memory went out meanwhile */
    return 0;
}

/* ---- describing ---- */

static int describe(const struct flo_run *run, struct flo_workflow *wf, struct flo_buf *out)
{
    char place[200] = "", what[200] = "";
    flo_place_describe(&wf->at, place, sizeof place);
    if (wf->wait && wf->wait->describe)
        wf->wait->describe(wf->wait_ctx, what, sizeof what);
    flo_buf_printf(out, "%s", wf->name);
    if (*place)
        flo_buf_printf(out, " at %s", place);
    if (run->current == wf)
        flo_buf_append_str(out, ": runs");
    else if (!wf->coroutine)
        flo_buf_append_str(out, ": has not begun");
    else if (*what)
        flo_buf_printf(out, ": waits for %s", what);
    return flo_buf_append_str(out, "\n");
}

int flo_run_stack_text(const struct flo_run *run, struct flo_buf *out)
{
    const struct flo_list *lists[] = {&run->coroutines, &run->fresh};
    int rc = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists && rc == 0; i++) {
        FLO_LIST_FOREACH(node, lists[i])
        {
            struct flo_workflow *wf = flo_container(node, struct flo_workflow, node);
            if (!wf->ended)
                rc = describe(run, wf, out);
        }
    }
    return rc;
}
