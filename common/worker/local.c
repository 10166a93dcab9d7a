/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.c - runs whose local activities are at work, and the workflow tasks that are open for it.
 *
 * Between two calls of the loop a struct flo_local_run is in one of these states:
 *
 *   open       wt, not answering, run      results are handed over as they come
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

/* The run has nothing at work any more, or can do no more: it and its task go their usual way. */
static void finish(struct flo_local_run *lr, const struct flo_activation *activation)
{
    struct flo_workflow_task *wt = lr->wt;
    struct flo_run *run = lr->run;

    lr->run = NULL;
    lr->wt = NULL;
    wt->local = NULL;
    lr_destroy(lr, activation);
    flo_execute_put_run(wt, run, activation);
    flo_respond_workflow(wt, activation);
}

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

/* Answer the open task with what there is. cut: for good, somebody else goes on with the run. */
static void yield_task(struct flo_local_run *lr, bool cut)
{
    struct flo_workflow_task *wt = lr->wt;
    struct flo_activation activation;

    if (flo_run_yield_task(lr->run, wt->task, &wt->arena, &activation)) {
        give_up(lr);
        return;
    }
    lr->answering = true;
    if (cut) {
        lr->wt = NULL;
        wt->local = NULL;
        lr_destroy(lr, NULL);
    }
    flo_respond_workflow(wt, &activation);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_local_run *lr = ctx;

    (void)fd;
    (void)what;
    if (!lr->wt)
        lr_destroy(lr, NULL);
    else if (lr->run && !lr->answering)
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
    flo_map_remove_str(&lr->locals->runs, lr->id);
    event_free(lr->timer);
    flo_run_destroy(&lr->run);
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

void flo_local_deliver(struct flo_local_run *lr)
{
    struct flo_node *node;

    if (lr->delivering || !lr->run || !lr->wt || lr->answering)
        return;
    lr->delivering = true;
    while ((node = flo_list_first(&lr->ended))) {
        struct flo_local *local = flo_container(node, struct flo_local, node);
        struct flo_workflow_task *wt = lr->wt;
        struct flo_activation activation = {0};
        int rc;
        wt->worker->advancing = wt;
        rc = flo_run_resolve_local(lr->run, wt->task, &local->end, &wt->arena, &activation);
        wt->worker->advancing = NULL;
        flo_local_drop(&local, false);
        if (rc) {
            give_up(lr);
            return;
        }
        if (activation.outcome != FLO_ACTIVATION_OPEN) {
            finish(lr, &activation);
            return;
        }
        if (!do_what_is_asked(lr, &activation))
            return;
        if (wt->arena.held_bytes - lr->held_bytes > ANSWER_BYTES) {
            lr->delivering = false;
            yield_task(lr, false);
            return;
        }
    }
    lr->delivering = false;
    if (is_cut(lr))
        yield_task(lr, true);
}

/* ---- for the task's way through the worker ---- */

static void obsolete(struct flo_local_run *lr)
{
    struct flo_workflow_task *old = lr->wt;
    bool answering = lr->answering;

    if (old)
        old->local = NULL;
    lr->wt = NULL;
    lr_destroy(lr, NULL);
    if (old && !answering) { /* else it ends with its answer */
        flo_count_workflow(old, FLO_END_UNWANTED);
        flo_workflow_task_end(&old);
    }
}

struct flo_run *flo_local_take(struct flo_workflow_task *wt)
{
    struct flo_locals *locals = wt->worker->locals;
    struct flo_local_run *lr = locals ? flo_map_get_str(&locals->runs, wt->run_id) : NULL;
    struct flo_run *run;

    if (!lr || wt->task->query) /* a query is answered from a run of its own */
        return NULL;
    if (lr->wt || flo_run_missing_history(lr->run, wt->task)) {
        obsolete(lr); /* the server has given the task that was open up */
        return NULL;
    }
    run = lr->run;
    lr->run = NULL;
    lr->wt = wt;
    wt->local = lr;
    event_del(lr->timer);
    return run;
}

/* The task outlives the message that brought it, but needs no history any more. */
static bool keep_task(struct flo_workflow_task *wt)
{
    FloApi__PollWorkflowTaskQueueResponse lean = *wt->task;

    if (wt->copied)
        return true;
    lean.history = NULL;
    wt->task = (const FloApi__PollWorkflowTaskQueueResponse *)flo_wire_copy(&lean.base, &wt->arena);
    wt->copied = wt->task != NULL;
    return wt->copied;
}

void flo_local_hold(struct flo_workflow_task *wt, struct flo_run *run,
                    const struct flo_activation *activation)
{
    struct flo_locals *locals = locals_of(wt->worker);
    struct flo_local_run *lr = wt->local;
    int64_t timeout_ns = flo_run_task_timeout_ns(run);
    int64_t left_ns;

    if (timeout_ns <= 0)
        timeout_ns = DEFAULT_TASK_TIMEOUT_NS;
    left_ns = (int64_t)((double)timeout_ns * HEARTBEAT_PART) - (flo_clock_mono_ns() - wt->began_ns);
    if (locals && !lr)
        lr = wt->local = lr_new(locals, wt->run_id);
    if (lr)
        lr->wt = wt;
    if (!lr || !keep_task(wt)) {
        flo_run_destroy(&run);
        flo_workflow_task_end(&wt); /* and lr */
        return;
    }
    lr->held_bytes = wt->arena.held_bytes;
    lr->queue = wt->queue;
    lr->run = run;
    arm(lr, left_ns > 0 ? left_ns : 0);
    lr->delivering = true; /* not before all is begun */
    if (!do_what_is_asked(lr, activation))
        return;
    lr->delivering = false;
    flo_local_deliver(lr);
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
        if (lr->wt && lr->run && !lr->answering)
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
    while ((it = flo_map_first(&locals->runs))) {
        struct flo_local_run *lr = flo_map_value(it);
        if (lr->wt)
            lr->wt->local = NULL;
        lr->wt = NULL;
        lr_destroy(lr, NULL);
    }
    flo_local_jobs_fini(locals);
    flo_map_fini(&locals->runs);
    flo_free(locals);
    worker->locals = NULL;
    return 0;
}
