/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads.c - jobs on fixed threads.
 *
 * The loop holds one ROUTER socket, each thread one DEALER, over inproc. A message is one frame
 * that holds a struct message: ownership of the task travels with it, so the two sides never look
 * at the same object at the same time, except for the two things that must be seen while a job
 * runs: the cancel reason (an atomic) and the newest progress (a slot under task->mu). Progress
 * sends a message only when the last one was taken, so a chatty job costs the loop one wake-up a
 * turn at most.
 *
 * A ZeroMQ socket's descriptor is edge-triggered: it becomes readable when something may have
 * changed, and any call on the socket may swallow that edge. So each wake-up reads until EAGAIN,
 * and each send is followed by a look at ZMQ_EVENTS (socket_check).
 */
#include <czmq.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "executor/core.h"

/* Address space of a thread's stack: libcurl, OpenSSL and libpq run on it. Touched lazily. */
#define STACK_BYTES (1u << 20)
#define START_TIMEOUT_MS 60000

enum message_kind {
    MESSAGE_READY,    /* up: the thread runs; error says why not */
    MESSAGE_RUN,      /* down: task */
    MESSAGE_PROGRESS, /* up: task has a progress to be taken */
    MESSAGE_DONE,     /* up: task is the loop's again */
    MESSAGE_STOP,     /* down: end */
};

struct task {
    struct flo_job_io io;
    struct thread *thread;
    uint64_t job;
    const uint8_t *request; /* the core job's: outlives the task */
    size_t request_len;
    struct flo_buf reply;
    int64_t cpu_ns;
    _Atomic int reason; /* enum flo_job_cancel */
    pthread_mutex_t mu;
    pthread_cond_t told;     /* reason was set */
    struct flo_buf progress; /* guarded by mu: the newest, not yet taken */
    bool announced;          /* guarded by mu: a MESSAGE_PROGRESS is on its way */
};

struct message {
    enum message_kind kind;
    struct task *task;
    int rc; /* READY: what worker_start returned; the sentence is in thread->err */
};

struct thread {
    struct flo_core_unit unit; /* loop side */
    atomic_uint handovers;     /* messages sent either way, see hand_over */
    struct task *task;         /* loop side: the running one */
    struct threads *pool;
    pthread_t id;
    bool started;
    struct flo_err err; /* of worker_start */
    zsock_t *socket;    /* thread side */
    char endpoint[64];
};

struct threads {
    struct flo_executor executor; /* first: the executor is the pool */
    zsock_t *router;
    struct event *readable;
    struct thread *threads;
    struct flo_core_unit **units;
};

/*
 * Each message passes an object on, and libzmq orders the two sides' accesses to it; but with
 * instructions that a race detector does not know. These say the same in C, around each send and
 * receive.
 */
static void hand_over(struct thread *thread)
{
    atomic_fetch_add_explicit(&thread->handovers, 1, memory_order_release);
}

static void take_over(struct thread *thread)
{
    (void)atomic_load_explicit(&thread->handovers, memory_order_acquire);
}

/* ---- thread side ---- */

static void send_up(struct thread *thread, const struct message *message)
{
    hand_over(thread);
    while (zmq_send(zsock_resolve(thread->socket), message, sizeof *message, 0) < 0)
        if (errno != EINTR)
            return; /* the context is going down: nobody listens */
}

static void task_progress(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    struct task *task = (struct task *)io;
    const struct message message = {.kind = MESSAGE_PROGRESS, .task = task};
    bool announce = false;

    pthread_mutex_lock(&task->mu);
    flo_buf_clear(&task->progress);
    if (flo_buf_append(&task->progress, data, len) == 0) {
        announce = !task->announced;
        task->announced = true;
    }
    pthread_mutex_unlock(&task->mu);
    if (announce)
        send_up(task->thread, &message);
}

static enum flo_job_cancel task_wait(struct flo_job_io *io, int64_t timeout_ms)
{
    struct task *task = (struct task *)io;
    int reason = atomic_load(&task->reason);
    struct timespec until;

    if (reason != FLO_JOB_RUNNING || timeout_ms == 0)
        return (enum flo_job_cancel)reason;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (timeout_ms % 1000) * FLO_NS_PER_MS;
    if (until.tv_nsec >= FLO_NS_PER_S) {
        until.tv_nsec -= FLO_NS_PER_S;
        until.tv_sec++;
    }
    pthread_mutex_lock(&task->mu);
    while ((reason = atomic_load(&task->reason)) == FLO_JOB_RUNNING)
        if (pthread_cond_timedwait(&task->told, &task->mu, &until) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&task->mu);
    return (enum flo_job_cancel)reason;
}

static int64_t thread_cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * FLO_NS_PER_S + ts.tv_nsec;
}

static void thread_run(struct thread *thread, struct task *task)
{
    const struct flo_executor_options *options = &thread->pool->executor.options;
    const struct message done = {.kind = MESSAGE_DONE, .task = task};
    int64_t began = thread_cpu_ns();

    options->runner(options->runner_ctx, &task->io, task->request, task->request_len, &task->reply);
    task->cpu_ns = thread_cpu_ns() - began;
    send_up(thread, &done);
}

static void thread_serve(struct thread *thread)
{
    struct message message;
    ssize_t got;

    for (;;) {
        got = zmq_recv(zsock_resolve(thread->socket), &message, sizeof message, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof message || message.kind == MESSAGE_STOP)
            return;
        take_over(thread);
        thread_run(thread, message.task);
    }
}

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    const struct flo_executor_options *options = &thread->pool->executor.options;
    struct message ready = {.kind = MESSAGE_READY};

    thread->socket = zsock_new(ZMQ_DEALER);
    if (!thread->socket)
        return NULL; /* the starter times out */
    zmq_setsockopt(zsock_resolve(thread->socket), ZMQ_ROUTING_ID, &thread->unit.index,
                   sizeof thread->unit.index);
    zsock_set_linger(thread->socket, -1);
    if (zsock_connect(thread->socket, "%s", thread->endpoint) == 0) {
        if (options->worker_start)
            ready.rc = options->worker_start(options->ctx, &thread->err);
        send_up(thread, &ready);
        if (!ready.rc) {
            thread_serve(thread);
            if (options->worker_stop)
                options->worker_stop(options->ctx);
        }
    }
    zsock_destroy(&thread->socket);
    return NULL;
}

/* ---- loop side ---- */

static void task_free(struct task *task)
{
    if (!task)
        return;
    pthread_mutex_destroy(&task->mu);
    pthread_cond_destroy(&task->told);
    flo_buf_fini(&task->progress);
    flo_buf_fini(&task->reply);
    flo_free(task);
}

static struct task *task_new(struct thread *thread)
{
    const struct flo_core_job *job = thread->unit.job;
    struct task *task = flo_calloc(1, sizeof *task);
    pthread_condattr_t attr;

    if (!task)
        return NULL;
    task->io = (struct flo_job_io){.progress = task_progress, .wait = task_wait};
    task->thread = thread;
    task->job = job->id;
    task->request = job->request;
    task->request_len = job->request_len;
    flo_buf_init(&task->reply, thread->pool->executor.options.max_reply_bytes);
    flo_buf_init(&task->progress, FLO_JOB_PROGRESS_MAX);
    pthread_mutex_init(&task->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&task->told, &attr);
    pthread_condattr_destroy(&attr);
    return task;
}

/* A call on the socket may have taken the edge that says "readable": look for ourselves. */
static void socket_check(struct threads *pool)
{
    if (zsock_events(pool->router) & ZMQ_POLLIN)
        event_active(pool->readable, EV_READ, 0);
}

static int send_down(struct thread *thread, const struct message *message)
{
    void *socket = zsock_resolve(thread->pool->router);
    int rc;

    hand_over(thread);
    do
        rc = zmq_send(socket, &thread->unit.index, sizeof thread->unit.index, ZMQ_SNDMORE);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return FLO_ECLOSED;
    do
        rc = zmq_send(socket, message, sizeof *message, 0);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? FLO_ECLOSED : 0;
}

static void threads_start(struct flo_core_unit *unit)
{
    struct thread *thread = (struct thread *)unit;
    struct message message = {.kind = MESSAGE_RUN};

    message.task = thread->task = task_new(thread);
    if (!thread->task || send_down(thread, &message)) {
        task_free(thread->task);
        thread->task = NULL;
        flo_core_start_failed(unit);
        return;
    }
    socket_check(thread->pool);
}

static void threads_cancel(struct flo_core_unit *unit)
{
    struct task *task = ((struct thread *)unit)->task;

    pthread_mutex_lock(&task->mu);
    atomic_store(&task->reason, (int)unit->job->reason);
    pthread_cond_broadcast(&task->told);
    pthread_mutex_unlock(&task->mu);
}

static void on_progress_message(struct threads *pool, struct task *task)
{
    struct flo_buf newest;

    pthread_mutex_lock(&task->mu);
    newest = task->progress;
    flo_buf_init(&task->progress, FLO_JOB_PROGRESS_MAX);
    task->announced = false;
    pthread_mutex_unlock(&task->mu);
    if (pool->executor.options.on_progress)
        pool->executor.options.on_progress(pool->executor.options.ctx, task->job, newest.data,
                                           newest.len);
    flo_buf_fini(&newest);
}

static void on_done_message(struct thread *thread, struct task *task)
{
    struct flo_job_result result = {
        .end = task->reply.failed ? FLO_JOB_CRASHED : FLO_JOB_DONE,
        .reply = task->reply.data,
        .reply_len = task->reply.len,
        .cpu_ns = task->cpu_ns,
    };

    thread->task = NULL;
    flo_core_job_ended(&thread->unit, &result);
    task_free(task);
    flo_core_unit_free(&thread->unit);
}

/* Receive one message. False when there is none. */
static bool receive(struct threads *pool, int flags, unsigned *out_index, struct message *out)
{
    void *socket = zsock_resolve(pool->router);

    if (zmq_recv(socket, out_index, sizeof *out_index, flags) != (int)sizeof *out_index)
        return false;
    if (zmq_recv(socket, out, sizeof *out, 0) != (int)sizeof *out)
        return false;
    take_over(&pool->threads[*out_index]);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct threads *pool = ctx;
    struct message message;
    unsigned index;

    (void)fd;
    (void)what;
    while (receive(pool, ZMQ_DONTWAIT, &index, &message)) {
        if (message.kind == MESSAGE_PROGRESS)
            on_progress_message(pool, message.task);
        else if (message.kind == MESSAGE_DONE)
            on_done_message(&pool->threads[index], message.task);
    }
}

/* Tell every thread to end once its job has, and give them grace_ms; returns how many did not. */
static size_t threads_join(struct threads *pool, int64_t grace_ms)
{
    const struct message stop = {.kind = MESSAGE_STOP};
    struct timespec until;
    size_t left = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += grace_ms / 1000;
    until.tv_nsec += grace_ms % 1000 * FLO_NS_PER_MS;
    if (until.tv_nsec >= FLO_NS_PER_S) {
        until.tv_nsec -= FLO_NS_PER_S;
        until.tv_sec++;
    }
    for (unsigned i = 0; i < pool->executor.options.workers; i++) {
        struct thread *thread = &pool->threads[i];
        if (!thread->started)
            continue;
        if (thread->task && thread->unit.job) {
            thread->unit.job->reason = FLO_JOB_CANCEL_SHUTDOWN;
            threads_cancel(&thread->unit);
        }
        (void)!send_down(thread, &stop);
    }
    for (unsigned i = 0; i < pool->executor.options.workers; i++) {
        struct thread *thread = &pool->threads[i];
        if (!thread->started)
            continue;
        if (pthread_timedjoin_np(thread->id, NULL, &until) == 0) {
            thread->started = false;
            continue;
        }
        pthread_detach(thread->id);
        left++;
    }
    return left;
}

static size_t threads_destroy(struct flo_executor *executor, int64_t grace_ms)
{
    struct threads *pool = (struct threads *)executor;
    size_t left = pool->router ? threads_join(pool, grace_ms) : 0;

    flo_core_fini(executor);
    if (pool->readable)
        event_free(pool->readable);
    pool->readable = NULL;
    if (left)
        return left; /* they still use the pool: it stays until the process ends */
    for (unsigned i = 0; pool->threads && i < executor->options.workers; i++) {
        task_free(pool->threads[i].task);
        flo_core_job_drop(&pool->threads[i].unit);
    }
    zsock_destroy(&pool->router);
    flo_free(pool->threads);
    flo_free(pool->units);
    flo_free(pool);
    return 0;
}

static const struct flo_executor_ops THREADS_OPS = {
    .start = threads_start,
    .cancel = threads_cancel,
    .destroy = threads_destroy,
};

static int thread_create(struct thread *thread, struct flo_err *err)
{
    const struct flo_executor_options *options = &thread->pool->executor.options;
    sigset_t all, before;
    pthread_attr_t attr;
    char name[16];
    int rc;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop thread's */
    rc = pthread_create(&thread->id, &attr, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc)
        return flo_fail(err, FLO_ESYS, "cannot start thread %u of the %s pool: %s",
                        thread->unit.index + 1, options->name, strerror(rc));
    thread->started = true;
    snprintf(name, sizeof name, "%.10s-%u", options->name, thread->unit.index);
    pthread_setname_np(thread->id, name);
    return 0;
}

/* Wait until each thread has said that it is ready. */
static int threads_wait_ready(struct threads *pool, struct flo_err *err)
{
    struct message message;
    unsigned index;
    int rc = 0;

    zsock_set_rcvtimeo(pool->router, START_TIMEOUT_MS);
    for (unsigned i = 0; i < pool->executor.options.workers && !rc; i++) {
        if (!receive(pool, 0, &index, &message)) {
            rc = flo_fail(err, FLO_ESYS, "the threads of the %s pool do not start",
                          pool->executor.options.name);
        } else if (message.rc) {
            rc = flo_fail(err, message.rc, "%s", pool->threads[index].err.message);
        } else {
            pool->threads[index].unit.ready = true;
        }
    }
    zsock_set_rcvtimeo(pool->router, -1);
    return rc;
}

static int threads_launch(struct threads *pool, struct flo_err *err)
{
    static atomic_uint serial;
    char endpoint[64];
    int rc;

    snprintf(endpoint, sizeof endpoint, "inproc://flotilla-executor-%u",
             atomic_fetch_add(&serial, 1));
    zsys_handler_set(NULL); /* signals are the program's, not czmq's */
    pool->router = zsock_new(ZMQ_ROUTER);
    if (!pool->router || zsock_bind(pool->router, "%s", endpoint) < 0)
        return flo_fail(err, FLO_ESYS, "cannot open the sockets of the %s pool: %s",
                        pool->executor.options.name, zmq_strerror(errno));
    zsock_set_router_mandatory(pool->router, 1);
    for (unsigned i = 0; i < pool->executor.options.workers; i++) {
        struct thread *thread = &pool->threads[i];
        snprintf(thread->endpoint, sizeof thread->endpoint, "%s", endpoint);
        rc = thread_create(thread, err);
        if (rc)
            return rc;
    }
    rc = threads_wait_ready(pool, err);
    if (rc)
        return rc;
    pool->readable = event_new(pool->executor.base, zsock_fd(pool->router), EV_READ | EV_PERSIST,
                               on_readable, pool);
    if (!pool->readable || event_add(pool->readable, NULL) < 0)
        return flo_fail(err, FLO_ENOMEM, "no memory for the %s pool", pool->executor.options.name);
    socket_check(pool);
    return 0;
}

int flo_executor_threads_new(struct event_base *base, const struct flo_executor_options *options,
                             struct flo_executor **out, struct flo_err *err)
{
    struct threads *pool = flo_calloc(1, sizeof *pool);
    int rc;

    if (!pool)
        return flo_fail(err, FLO_ENOMEM, "no memory for the %s pool", options->name);
    flo_core_init(&pool->executor, &THREADS_OPS, base, options);
    pool->threads = flo_calloc(options->workers, sizeof *pool->threads);
    pool->units = flo_calloc(options->workers, sizeof(struct flo_core_unit *));
    pool->executor.units = pool->units;
    if (!pool->threads || !pool->units) {
        pool->executor.options.workers = 0;
        rc = flo_fail(err, FLO_ENOMEM, "no memory for %u threads", options->workers);
        goto out;
    }
    for (unsigned i = 0; i < options->workers; i++) {
        struct thread *thread = &pool->threads[i];
        thread->unit = (struct flo_core_unit){.executor = &pool->executor, .index = i};
        thread->pool = pool;
        pool->units[i] = &thread->unit;
    }
    rc = threads_launch(pool, err);
    if (rc)
        goto out;
    *out = &pool->executor;
    return 0;
out:
    pool->executor.closed = true;
    threads_destroy(&pool->executor, 1000);
    return rc;
}
