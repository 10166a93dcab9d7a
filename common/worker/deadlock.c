/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deadlock.c - workflow code that does not yield. Such code holds its thread, and with it all runs
 * of its shard. So while there is work, the loop looks at each thread several times in
 * deadlock_timeout; when one has been in the same task for that long and has not come from one
 * coroutine to the next meanwhile,
 *
 *   - it is asked for its stack, by a signal;
 *   - it is given up: its shard goes on with a new thread, the tasks that wait included;
 *   - the task that it is in fails, with the stack in the failure, once a child process has named
 *     the addresses;
 *   - what the code comes to later is dropped, and its thread ends then.
 *
 * A thread that computes but gets no CPU is not to blame: then it has until it has used half of the
 * time. A long replay is no deadlock either: its code waits at each step.
 *
 * Tasks of the same run that come while its code still spins are not begun, since they would take
 * one thread after the other: they fail at once.
 *
 * The task itself stays with the thread that was given up: what is answered is a twin of it, made
 * of what the answer needs.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "wire/failure.h"
#include "worker/control.h"
#include "worker/local.h"
#include "worker/worker.h"

#define LOOKS 4       /* in deadlock_timeout */
#define NAMES_MS 5000 /* the child process gets this long */
#define TEXT_MAX ((size_t)16 << 10)
#define SUSPECTS_MAX FLO_SHARDS_MAX
#define GIVEN_UP_MAX 32 /* threads; then the worker needs a new start */

/* What a thread was seen at. */
struct suspect {
    const struct flo_shard_job *job;
    uint64_t resumes;
    int64_t since_ns; /* monotonic: in the same stretch of code */
    int64_t used_ns;  /* CPU time of the thread then */
};

struct flo_deadlocks {
    struct flo_worker *worker;
    struct event *timer;
    int64_t timeout_ns;
    bool armed;
    struct flo_list stuck; /* tasks whose threads were given up and have not come back */
    struct suspect suspects[SUSPECTS_MAX];
};

/* One that was found, while its stack is named. */
struct flo_deadlock {
    struct flo_workflow_task *wt; /* the twin */
    struct event *readable, *late;
    int fd, pid;
    struct flo_buf text;
};

/* ---- looking ---- */

/* The CPU time that a thread of this process has used so far, as the kernel numbers its clocks. */
static int64_t used_ns(pid_t tid)
{
    struct timespec used;

    if (clock_gettime((clockid_t)(~(unsigned)tid << 3 | 6u), &used) < 0)
        return 0;
    return (int64_t)used.tv_sec * FLO_NS_PER_S + used.tv_nsec;
}

/* Does the kernel let it wait (not for a CPU)? */
static bool is_asleep(pid_t tid)
{
    char path[64], stat[256];
    const char *state;
    FILE *file;
    size_t len;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    file = fopen(path, "re");
    if (!file)
        return false;
    len = fread(stat, 1, sizeof stat - 1, file);
    (void)fclose(file);
    stat[len] = '\0';
    state = strrchr(stat, ')');
    return state && state[1] == ' ' && state[2] != 'R';
}

static bool is_stuck(struct flo_deadlocks *self, struct suspect *suspect,
                     const struct flo_shard_at *at)
{
    int64_t now_ns = flo_clock_mono_ns();

    if (suspect->job != at->job || suspect->resumes != at->resumes ||
        suspect->since_ns < at->began_ns) {
        *suspect = (struct suspect){at->job, at->resumes, now_ns, used_ns(at->tid)};
        return false;
    }
    return now_ns - suspect->since_ns >= self->timeout_ns &&
           (used_ns(at->tid) - suspect->used_ns >= self->timeout_ns / 2 || is_asleep(at->tid));
}

/* ---- telling ---- */

static void deadlock_free(struct flo_deadlock *d)
{
    if (d->readable)
        event_free(d->readable);
    if (d->late)
        event_free(d->late);
    if (d->fd >= 0)
        close(d->fd);
    if (d->pid > 0) {
        kill(d->pid, SIGKILL); /* our child, not waited for yet: nobody else's number */
        while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    flo_buf_fini(&d->text);
    flo_free(d);
}

void flo_deadlock_forget(struct flo_workflow_task *wt)
{
    struct flo_deadlock *d = wt->deadlock;

    wt->deadlock = NULL;
    if (d)
        deadlock_free(d);
}

static void say_deadlock(const struct flo_worker *worker, const char *more, char *out, size_t size)
{
    snprintf(out, size,
             "[TMPRL1101] Potential deadlock detected: the workflow's code has not yielded within "
             "%g seconds%s",
             (double)worker->config->deadlock_timeout_ms / 1000, more);
}

/* The answer to a task that its run's code holds up. */
static void answer_stuck(struct flo_workflow_task *wt, const char *message, const char *stack)
{
    FloApi__Failure *failure =
        flo_failure_application(&wt->arena, message, "PotentialDeadlock", false, NULL, 0);

    if (failure && *stack) {
        char *copy = flo_arena_strdup(&wt->arena, stack);
        if (copy)
            failure->stack_trace = copy;
    }
    wt->activation.outcome = wt->task->query ? FLO_ACTIVATION_QUERY : FLO_ACTIVATION_FAIL;
    wt->activation.query_type = FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_FAILED;
    wt->activation.query_error = flo_arena_strdup(&wt->arena, message);
    wt->activation.cause =
        FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE;
    wt->activation.failure = failure;
    flo_deadlock_forget(wt);
    flo_respond_workflow(wt, &wt->activation);
}

static void answer(struct flo_deadlock *d)
{
    struct flo_workflow_task *wt = d->wt;
    struct flo_worker *worker = wt->worker;
    const char *stack = flo_buf_cstr(&d->text);
    char message[160];

    say_deadlock(worker, "", message, sizeof message);
    flo_log(FLO_LOG_ERROR, "workflow.deadlock", message, FLO_LOG_WHO(worker), "workflow_type",
            wt->type, "workflow_id", wt->workflow_id, "run_id", wt->run_id, "stack", stack, NULL);
    flo_tell(worker, FLO_LOG_ERROR, "workflow.deadlock", message, "task_queue", wt->queue->name,
             "workflow_type", wt->type, "workflow_id", wt->workflow_id, "run_id", wt->run_id, NULL);
    answer_stuck(wt, message, stack);
}

static void on_late(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    answer(ctx);
}

static void on_names(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_deadlock *d = ctx;
    char text[4096];
    ssize_t n = read(fd, text, sizeof text);

    (void)what;
    if (n > 0 && d->text.len + (size_t)n < TEXT_MAX)
        (void)!flo_buf_append(&d->text, text, (size_t)n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        answer(d);
}

/* Have the stack named, or answer without. */
static void name(struct flo_deadlock *d, const uint64_t *pc, size_t depth)
{
    const struct timeval late = {.tv_sec = NAMES_MS / 1000};
    struct flo_worker *worker = d->wt->worker;
    struct flo_err err = {0};

    if (depth > 0 && !flo_thread_stack_names(pc, depth, &d->fd, &d->pid, &err)) {
        d->readable = event_new(worker->base, d->fd, EV_READ | EV_PERSIST, on_names, d);
        d->late = evtimer_new(worker->base, on_late, d);
    }
    if (!d->readable || !d->late || event_add(d->readable, NULL) || event_add(d->late, &late))
        answer(d);
}

/* ---- giving up ---- */

static char *copy_of(struct flo_workflow_task *twin, const char *text)
{
    char *copy = flo_arena_strdup(&twin->arena, text);

    return copy ? copy : twin->worker->identity; /* never NULL */
}

/* A task to answer in place of wt, which stays with its thread; NULL: no memory. */
static struct flo_workflow_task *twin_of(const struct flo_workflow_task *wt)
{
    struct flo_workflow_task *twin = flo_calloc(1, sizeof *twin);
    FloApi__PollWorkflowTaskQueueResponse *task;

    if (!twin)
        return NULL;
    twin->worker = wt->worker;
    flo_arena_init(&twin->arena, 0);
    task = flo_arena_memdup(&twin->arena, wt->task, sizeof *task);
    if (!task) {
        flo_free(twin);
        return NULL;
    }
    task->history = NULL;
    task->task_token.data =
        flo_arena_memdup(&twin->arena, task->task_token.data, task->task_token.len);
    if (!task->task_token.data)
        task->task_token.len = 0;
    twin->task = task;
    twin->queue = wt->queue;
    twin->series = wt->series;
    twin->attempt = wt->attempt;
    twin->began_ns = wt->began_ns;
    twin->workflow_id = copy_of(twin, wt->workflow_id);
    twin->run_id = copy_of(twin, wt->run_id);
    twin->type = copy_of(twin, wt->type);
    return twin;
}

static void count_given_up(struct flo_worker *worker)
{
    size_t given_up = worker->shards->given_up;
    bool full = given_up >= GIVEN_UP_MAX;
    char reason[120];

    flo_series_set(FLO_METRIC(worker->queues, WORKFLOW_THREADS_STUCK), (double)given_up);
    snprintf(reason, sizeof reason, "%zu threads do not get out of workflow code: no more are made",
             given_up);
    flo_health_set_live(worker->health, "workflows", !full, full ? reason : NULL);
}

/* Everything that the loop has to do with wt goes to the twin, or ends. */
static void swap_in(struct flo_workflow_task *wt, struct flo_workflow_task *twin)
{
    struct flo_worker *worker = wt->worker;

    flo_list_remove(&worker->workflow_tasks, &wt->node);
    flo_list_push_back(&worker->deadlocks->stuck, &wt->node);
    flo_list_push_back(&worker->workflow_tasks, &twin->node);
    twin->replay = wt->replay;
    wt->replay = FLO_REPLAY_NONE;
    flo_replays_leave(twin);
    twin->slot_given = false;
    if (wt->local) /* what is at work for the run is given up */
        flo_local_abandon(wt);
}

static void give_up(struct flo_worker *worker, struct flo_shard *shard,
                    const struct flo_shard_at *at)
{
    struct flo_workflow_task *wt =
        flo_container((struct flo_shard_job *)(uintptr_t)at->job, struct flo_workflow_task, job);
    struct flo_workflow_task *twin;
    struct flo_deadlock *d;
    uint64_t pc[FLO_THREAD_STACK_DEPTH];
    struct flo_err err = {0};
    size_t depth;
    int rc;

    if (worker->shards->given_up >= GIVEN_UP_MAX)
        return;
    depth = flo_shard_stack(shard, pc);
    d = flo_calloc(1, sizeof *d);
    twin = d ? twin_of(wt) : NULL;
    rc = twin ? flo_shard_give_up(shard, at->job, &err) : FLO_ENOMEM;
    if (rc) {
        if (twin)
            flo_arena_fini(&twin->arena);
        flo_free(twin);
        flo_free(d);
        if (rc != FLO_ENOENT)
            flo_log(FLO_LOG_ERROR, "workflow.stuck",
                    "A thread is stuck in workflow code and cannot "
                    "be replaced",
                    "thread", at->name, "reason", rc == FLO_ENOMEM ? "no memory" : err.message,
                    NULL);
        return;
    }
    swap_in(wt, twin);
    flo_log(FLO_LOG_ERROR, "workflow.stuck",
            "A thread does not get out of workflow code; another takes over", "thread", at->name,
            "workflow_type", twin->type, "workflow_id", twin->workflow_id, "run_id", twin->run_id,
            NULL);
    flo_series_inc(FLO_METRIC(worker->queues, WORKFLOW_DEADLOCKS));
    count_given_up(worker);
    *d = (struct flo_deadlock){.wt = twin, .fd = -1};
    flo_buf_init(&d->text, TEXT_MAX);
    twin->deadlock = d;
    name(d, pc, depth);
}

void flo_deadlock_over(struct flo_workflow_task *wt)
{
    struct flo_worker *worker = wt->worker;

    flo_log(FLO_LOG_INFO, "workflow.unstuck", "A thread that was given up has come out of its code",
            "workflow_type", wt->type, "workflow_id", wt->workflow_id, "run_id", wt->run_id, NULL);
    flo_list_remove(&worker->deadlocks->stuck, &wt->node);
    if (wt->local)
        flo_local_release(wt, NULL);
    flo_execute_drop_run(worker, &wt->run);
    flo_arena_fini(&wt->arena);
    flo_free(wt->events);
    flo_free(wt);
    count_given_up(worker);
}

/* ---- the timer ---- */

static void arm(struct flo_deadlocks *self)
{
    int64_t us = self->timeout_ns / LOOKS / 1000;
    const struct timeval delay = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};

    self->armed = event_add(self->timer, &delay) == 0;
}

static void on_time(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_deadlocks *self = ctx;
    struct flo_shards *shards = self->worker->shards;
    bool busy = false;

    (void)fd;
    (void)what;
    self->armed = false;
    for (unsigned i = 0; i < shards->count; i++) {
        struct flo_shard_at at;
        if (shards->of[i].out == 0)
            continue;
        busy = true;
        flo_shard_look(&shards->of[i], &at);
        if (at.job && at.job->kind == FLO_SHARD_JOB_TASK && is_stuck(self, &self->suspects[i], &at))
            give_up(self->worker, &shards->of[i], &at);
    }
    if (busy)
        arm(self);
}

bool flo_deadlock_holds(const struct flo_worker *worker, const char *run_id)
{
    if (!worker->deadlocks)
        return false;
    FLO_LIST_FOREACH(node, &worker->deadlocks->stuck)
    {
        if (strcmp(flo_container(node, struct flo_workflow_task, node)->run_id, run_id) == 0)
            return true;
    }
    return false;
}

void flo_deadlock_refuse(struct flo_workflow_task *wt)
{
    char message[200];

    say_deadlock(wt->worker, " in an earlier task, and still runs in this worker", message,
                 sizeof message);
    answer_stuck(wt, message, "");
}

void flo_deadlock_watch(struct flo_worker *worker)
{
    if (worker->deadlocks && !worker->deadlocks->armed)
        arm(worker->deadlocks);
}

int flo_deadlock_start(struct flo_worker *worker, struct flo_err *err)
{
    struct flo_deadlocks *self;

    if (worker->config->deadlock_timeout_ms == 0 || worker->shards->options.count == 0)
        return 0;
    self = worker->deadlocks = flo_calloc(1, sizeof *self);
    if (self) {
        self->worker = worker;
        flo_list_init(&self->stuck);
        self->timeout_ns = worker->config->deadlock_timeout_ms * FLO_NS_PER_MS;
        self->timer = evtimer_new(worker->base, on_time, self);
    }
    if (!self || !self->timer)
        return flo_fail(err, FLO_ENOMEM, "no memory for the deadlock detector");
    return 0;
}

void flo_deadlock_fini(struct flo_worker *worker)
{
    if (!worker->deadlocks)
        return;
    if (worker->deadlocks->timer)
        event_free(worker->deadlocks->timer);
    flo_free(worker->deadlocks);
    worker->deadlocks = NULL;
}
