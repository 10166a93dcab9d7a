/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.c - runs whose local activities are at work, and the workflow tasks that are open for it.
 *
 * Between two calls of the loop a struct flo_local_run is in one of these states:
 *
 *   open       wt, not answering, run      results are handed over as they come
 *   at work    wt at work, no run          its thread has both; results, and a heartbeat, wait
 *   answering  wt, answering, run          a heartbeat is on its way; results wait
 *   between    no wt, run                  the heartbeat was taken; the next task is to come
 *
 * Without anything left to do for it, it is freed: the run goes where runs go after a task.
 */
#include "worker/local.h"

#include <event2/event.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "wire/decode.h"

/* A server that does not know a run's task timeout from history waits that long. */
#define DEFAULT_TASK_TIMEOUT_NS (10 * FLO_NS_PER_S)
/* After this part of it a task that is open is answered with a heartbeat. */
#define HEARTBEAT_PART 0.8
/* An answer that has grown to this is sent: no message may be larger than 4 MiB. */
#define ANSWER_BYTES ((size_t)1 << 20)
/* A task that a heartbeat asked for and that does not come is somebody else's. */
#define BETWEEN_NS (60 * FLO_NS_PER_S)

static void lr_destroy(struct flo_local_run *lr, const struct flo_activation *activation);

static void arm(struct flo_local_run *lr, int64_t ns)
{
    struct timeval delay = {.tv_sec = ns / FLO_NS_PER_S, .tv_usec = ns % FLO_NS_PER_S / 1000};

    event_add(lr->timer, &delay);
}

/* ---- answering the task ---- */

/* There is no memory: the server gives the task to somebody else. */
static void give_up(struct flo_local_run *lr)
{
    struct flo_workflow_task *wt = lr->wt;

    lr->wt = NULL;
    lr_destroy(lr, NULL);
    if (!wt)
        return;
    wt->local = NULL;
    flo_workflow_task_end(&wt);
}

/* Hand the open task and its run to their thread. */
static void step(struct flo_local_run *lr, enum flo_step what)
{
    lr->wt->run = lr->run;
    lr->run = NULL;
    flo_execute_step(lr->wt, what);
}

/* Answer the open task with what there is, as soon as it is here. cut: for good, somebody else goes
 * on with the run. */
static void yield_task(struct flo_local_run *lr, bool cut)
{
    lr->yield_due = true;
    lr->cut_due |= cut;
    if (lr->run && !lr->delivering)
        step(lr, FLO_STEP_YIELD);
}

/* Its thread has made the heartbeat. */
static void send_heartbeat(struct flo_local_run *lr)
{
    struct flo_workflow_task *wt = lr->wt;
    bool cut = lr->cut_due;

    lr->yield_due = lr->cut_due = false;
    lr->answering = true;
    if (cut) {
        lr->wt = NULL;
        wt->local = NULL;
        lr_destroy(lr, NULL);
    }
    flo_respond_workflow(wt, &wt->activation);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_local_run *lr = ctx;

    (void)fd;
    (void)what;
    if (!lr->wt)
        lr_destroy(lr, NULL);
    else if (!lr->answering)
        yield_task(lr, false);
}

/* ---- making and freeing ---- */

static bool find_activity(void *ctx, const char *type, flo_activity_fn *out_fn, void **out_shared)
{
    return flo_registry_local(ctx, type, out_fn, out_shared);
}

static void activity_names(void *ctx, struct flo_buf *out)
{
    flo_registry_local_names(ctx, out);
}

static struct flo_locals *locals_of(struct flo_worker *worker)
{
    struct flo_locals *locals = worker->locals;

    if (locals)
        return locals;
    locals = flo_calloc(1, sizeof *locals);
    if (!locals)
        return NULL;
    locals->worker = worker;
    locals->library = worker->library;
    locals->library.find = find_activity;
    locals->library.names = activity_names;
    locals->library.local = true;
    flo_map_init(&locals->runs);
    flo_list_init(&locals->queue);
    flo_list_init(&locals->jobs);
    worker->locals = locals;
    return locals;
}

static struct flo_local_run *lr_new(struct flo_locals *locals, const char *id)
{
    struct flo_local_run *lr = flo_calloc(1, sizeof *lr);

    if (!lr)
        return NULL;
    lr->locals = locals;
    flo_map_init(&lr->activities);
    flo_list_init(&lr->ended);
    lr->id = flo_strdup(id);
    lr->timer = evtimer_new(locals->worker->base, on_timer, lr);
    if (!lr->id || !lr->timer || flo_map_put_str(&locals->runs, lr->id, lr)) {
        if (lr->timer)
            event_free(lr->timer);
        flo_free(lr->id);
        flo_free(lr);
        return NULL;
    }
    return lr;
}

/* Is seq one that the code let go, to its own end? */
static bool forgotten(const struct flo_activation *activation, uint64_t seq)
{
    for (size_t i = 0; activation && i < activation->local_cancel_count; i++) {
        if (activation->local_cancels[i].seq == seq)
            return activation->local_cancels[i].forget;
    }
    return false;
}

/* Also frees the run when it has it. lr->wt has been taken care of. */
static void lr_destroy(struct flo_local_run *lr, const struct flo_activation *activation)
{
    struct flo_map_entry *it;

    while ((it = flo_map_first(&lr->activities))) {
        struct flo_local *local = flo_map_value(it);
        flo_local_drop(&local, forgotten(activation, local->seq));
    }
    flo_map_fini(&lr->activities);
    if (!lr->gone)
        flo_map_remove_str(&lr->locals->runs, lr->id);
    event_free(lr->timer);
    flo_execute_drop_run(lr->locals->worker, &lr->run);
    flo_free(lr->id);
    flo_free(lr);
}

/* ---- what an activation asks for ---- */

/* Starts and cancels of an OPEN one. False: no memory, and lr is gone. */
static bool do_what_is_asked(struct flo_local_run *lr, const struct flo_activation *activation)
{
    for (size_t i = 0; i < activation->local_cancel_count; i++) {
        const struct flo_local_cancel *cancel = &activation->local_cancels[i];
        struct flo_local *local = flo_map_get(&lr->activities, &cancel->seq, sizeof cancel->seq);
        if (local)
            flo_local_stop(local, cancel->forget);
    }
    for (size_t i = 0; i < activation->local_start_count; i++) {
        if (flo_local_begin(lr, &activation->local_starts[i])) {
            give_up(lr);
            return false;
        }
    }
    return true;
}

/* Nothing of lr runs, and nothing may be begun: somebody else goes on with the run. */
static bool is_cut(const struct flo_local_run *lr)
{
    return lr->locals->cutting && lr->activities.count == 0 && flo_list_empty(&lr->ended);
}

/* What has ended, as an array in the task's memory. False: no memory. */
static bool collect(struct flo_local_run *lr)
{
    struct flo_workflow_task *wt = lr->wt;

    wt->results = flo_arena_calloc(&wt->arena, lr->ended.count, sizeof *wt->results);
    wt->result_count = 0;
    if (!wt->results)
        return false;
    FLO_LIST_FOREACH(node, &lr->ended)
    wt->results[wt->result_count++] = &flo_container(node, struct flo_local, node)->end;
    return true;
}

void flo_local_deliver(struct flo_local_run *lr)
{
    if (lr->delivering || !lr->run || !lr->wt || lr->answering)
        return;
    if (is_cut(lr))
        yield_task(lr, true);
    else if (lr->yield_due)
        step(lr, FLO_STEP_YIELD);
    else if (flo_list_empty(&lr->ended))
        return;
    else if (collect(lr))
        step(lr, FLO_STEP_RESOLVE);
    else
        give_up(lr);
}

/* Do what an OPEN activation asks for, and go on with what came meanwhile. */
static void go_on(struct flo_local_run *lr)
{
    lr->delivering = true; /* not before all is begun */
    if (!do_what_is_asked(lr, &lr->wt->activation))
        return;
    lr->delivering = false;
    if (lr->wt->arena.held_bytes - lr->held_bytes > ANSWER_BYTES)
        lr->yield_due = true;
    flo_local_deliver(lr);
}

/* The run has nothing at work any more, or can do no more: its task goes its usual way. */
static void finish(struct flo_local_run *lr)
{
    struct flo_workflow_task *wt = lr->wt;

    lr->wt = NULL;
    wt->local = NULL;
    lr_destroy(lr, &wt->activation);
    flo_respond_workflow(wt, &wt->activation);
}

void flo_local_stepped(struct flo_workflow_task *wt)
{
    struct flo_local_run *lr = wt->local;

    lr->run = wt->run;
    wt->run = NULL;
    if (wt->step == FLO_STEP_YIELD) {
        send_heartbeat(lr);
        return;
    }
    for (size_t i = 0; i < wt->results_taken; i++) {
        struct flo_local *local = flo_container(flo_list_first(&lr->ended), struct flo_local, node);
        flo_local_drop(&local, false);
    }
    if (wt->activation.outcome == FLO_ACTIVATION_OPEN)
        go_on(lr);
    else
        finish(lr);
}

/* ---- for the task's way through the worker ---- */

void flo_local_abandon(struct flo_workflow_task *wt)
{
    struct flo_local_run *lr = wt->local;

    event_del(lr->timer);
    flo_map_remove_str(&lr->locals->runs, lr->id);
    lr->gone = true;
}

/* What is left of a run whose open task the server has given up. */
static void obsolete(struct flo_local_run *lr)
{
    struct flo_workflow_task *old = lr->wt;
    bool answering = lr->answering;

    if (old && old->at_work) { /* all goes when it is back; another may be held under the id */
        old->unwanted = true;
        flo_local_abandon(old);
        return;
    }
    if (old)
        old->local = NULL;
    lr->wt = NULL;
    lr_destroy(lr, NULL);
    if (old && !answering) { /* else it ends with its answer */
        flo_count_workflow(old, FLO_END_UNWANTED);
        flo_workflow_task_end(&old);
    }
}

void flo_local_take(struct flo_workflow_task *wt)
{
    struct flo_locals *locals = wt->worker->locals;
    struct flo_local_run *lr = locals ? flo_map_get_str(&locals->runs, wt->run_id) : NULL;

    if (!lr || wt->task->query) /* a query is answered from a run of its own */
        return;
    if (lr->wt || flo_run_missing_history(lr->run, wt->task)) {
        obsolete(lr); /* the server has given the task that was open up */
        return;
    }
    wt->run = lr->run;
    lr->run = NULL;
    lr->wt = wt;
    wt->local = lr;
    event_del(lr->timer);
}

void flo_local_hold(struct flo_workflow_task *wt)
{
    struct flo_locals *locals = locals_of(wt->worker);
    struct flo_local_run *lr = wt->local;
    int64_t timeout_ns = flo_run_task_timeout_ns(wt->run);
    int64_t left_ns;

    if (timeout_ns <= 0)
        timeout_ns = DEFAULT_TASK_TIMEOUT_NS;
    left_ns = (int64_t)((double)timeout_ns * HEARTBEAT_PART) - (flo_clock_mono_ns() - wt->began_ns);
    if (locals && !lr)
        lr = wt->local = lr_new(locals, wt->run_id);
    if (!lr) {
        flo_workflow_task_end(&wt);
        return;
    }
    lr->wt = wt;
    lr->held_bytes = wt->arena.held_bytes;
    lr->queue = wt->queue;
    lr->run = wt->run;
    wt->run = NULL;
    arm(lr, left_ns > 0 ? left_ns : 0);
    go_on(lr);
}

void flo_local_release(struct flo_workflow_task *wt, const struct flo_activation *activation)
{
    struct flo_local_run *lr = wt->local;

    wt->local = NULL;
    lr->wt = NULL;
    lr_destroy(lr, activation);
}

void flo_local_heartbeat_taken(struct flo_workflow_task *wt)
{
    struct flo_local_run *lr = wt->local;

    wt->local = NULL;
    lr->wt = NULL;
    lr->answering = false;
    if (lr->locals->cutting)
        lr_destroy(lr, NULL);
    else
        arm(lr, BETWEEN_NS);
}

/* ---- the worker stops ---- */

void flo_local_notice_stopping(struct flo_worker *worker)
{
    if (worker->locals && worker->locals->executor)
        flo_executor_notice_stopping(worker->locals->executor);
}

void flo_local_cut(struct flo_worker *worker)
{
    struct flo_map_entry *it, *next;

    if (!worker->locals)
        return;
    worker->locals->cutting = true;
    for (it = flo_map_first(&worker->locals->runs); it; it = next) {
        struct flo_local_run *lr = flo_map_value(it);
        next = flo_map_next(it);
        flo_local_shut(lr);
        if (!lr->wt)
            lr_destroy(lr, NULL);
        else
            flo_local_deliver(lr);
    }
}

void flo_local_cut_now(struct flo_worker *worker)
{
    struct flo_map_entry *it, *next;

    for (it = worker->locals ? flo_map_first(&worker->locals->runs) : NULL; it; it = next) {
        struct flo_local_run *lr = flo_map_value(it);
        next = flo_map_next(it);
        if (lr->wt && !lr->answering)
            yield_task(lr, true);
    }
}

size_t flo_local_fini(struct flo_worker *worker, int64_t grace_ms)
{
    struct flo_locals *locals = worker->locals;
    struct flo_map_entry *it;
    size_t left;

    if (!locals)
        return 0;
    left = flo_executor_destroy(&locals->executor, grace_ms);
    if (left)
        return left;
    FLO_LIST_FOREACH(node, &worker->workflow_tasks)
    {
        struct flo_workflow_task *wt = flo_container(node, struct flo_workflow_task, node);
        if (wt->local)
            flo_local_release(wt, NULL);
    }
    while ((it = flo_map_first(&locals->runs)))
        lr_destroy(flo_map_value(it), NULL);
    flo_local_jobs_fini(locals);
    flo_map_fini(&locals->runs);
    flo_free(locals);
    worker->locals = NULL;
    return 0;
}
