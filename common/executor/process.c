/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - the life of one process of a pool, as the worker sees it: made by the template
 * (template.h), spoken to in frames (frame.h) through a libevent buffer.
 *
 * A death is learned from the template's waitpid, never from end-of-file: a grandchild may hold
 * the socket open. What the dead process still sent is read first, so an answer that got out
 * counts. Its replacement is asked for at once; only one that dies before it was ready waits
 * (100 ms doubled up to 10 s), so that a broken start does not spin.
 *
 * A process that its jobs have worn out (wear.h) says so with its last answer, stops its modules
 * and ends; then it is replaced as a dead one is, and nobody calls it a crash.
 */
#include "executor/process.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executor/frame.h"
#include "executor/profile.h"
#include "executor/template.h"

#define START_TIMEOUT_MS 60000
#define RESTART_MS 100
#define RESTART_MAX_MS 10000
/* Reads, of 64 KiB at most, of what a dead process still sent: more than a socket holds. */
#define LAST_READS 64
/* What a process that is replaced may take to stop its modules. */
#define LEAVE_MS 3000

static void process_spawn(struct flo_executor_process *process);

void flo_executor_process_kill(const struct flo_executor_process *process, bool force)
{
    if (process->pool->tmpl)
        (void)!flo_template_kill(process->pool->tmpl->control, process->unit.index, force);
}

/* ---- frames ---- */

void flo_executor_process_send(struct flo_executor_process *process, const struct flo_frame *head,
                               const void *body)
{
    const size_t head_len = sizeof *head;
    struct evbuffer *out;
    size_t sent = 0, of_body;
    ssize_t n;

    if (!process->link)
        return;
    out = bufferevent_get_output(process->link);
    if (evbuffer_get_length(out) == 0) { /* at once: the loop would need three more calls */
        n = flo_frame_send(bufferevent_getfd(process->link), head, body, 0);
        sent = n > 0 ? (size_t)n : 0; /* a failure: the loop meets it again */
    }
    of_body = sent > head_len ? sent - head_len : 0;
    if (sent < head_len && evbuffer_add(out, (const uint8_t *)head + sent, head_len - sent))
        goto no_memory;
    if (of_body < head->body_len &&
        evbuffer_add(out, (const uint8_t *)body + of_body, head->body_len - of_body))
        goto no_memory;
    return;
no_memory:
    flo_executor_process_kill(process, true);
}

/* ---- what comes up ---- */

/* The group of a process that says that it is ready; it leads a session. */
static pid_t group_told(const struct flo_frame *head)
{
    pid_t pid = (pid_t)head->job;

    return pid > 1 && pid != getsid(0) && getsid(pid) == pid ? pid : 0;
}

static void on_ready(struct flo_executor_process *process, const struct flo_frame *head)
{
    if (head->value)
        return; /* its worker_start failed: it ends, and is tried again later */
    if (process->unit.ready || process->killed)
        return; /* it says so once, when it has started */
    process->restart_ms = 0;
    process->used = flo_usage_told(&head->usage);
    process->group = group_told(head);
    process->unit.ready = true;
    if (process->pool->profiled_now) /* it has not heard of it */
        (void)!flo_template_profile(process->pool->tmpl->control, process->unit.index);
    flo_core_unit_free(&process->unit);
}

static void process_recycle(struct flo_executor_process *process, const struct flo_frame *head)
{
    const struct flo_executor_options *options = &process->pool->executor.options;
    const struct flo_recycled recycled = {
        .job = head->job,
        .index = process->unit.index,
        .reason =
            (enum flo_recycle_reason)(FLO_FRAME_NEXT(head->value) - (int)FLO_FRAME_NEXT_LEAVE),
        .amount = FLO_FRAME_AMOUNT(head->value)};
    const struct timeval patience = {.tv_sec = LEAVE_MS / 1000};

    process->unit.ready = false;
    process->killed = true;
    event_add(process->restart, &patience);
    if (options->on_recycled)
        options->on_recycled(options->ctx, &recycled);
}

static void on_answer(struct flo_executor_process *process, const struct flo_frame *head,
                      const uint8_t *body)
{
    struct flo_job_result result = {
        .end = head->kind == FLO_FRAME_DONE ? FLO_JOB_DONE : FLO_JOB_CRASHED,
        .reply = body,
        .reply_len = head->body_len,
        .usage = flo_usage_told(&head->usage),
    };

    if (!process->unit.job || process->unit.job->id != head->job)
        return;
    flo_output_drain(&process->output);
    flo_usage_add(&process->used, &result.usage);
    if (process->killed || FLO_FRAME_NEXT(head->value) == FLO_FRAME_NEXT_LOST ||
        FLO_FRAME_NEXT(head->value) > FLO_FRAME_NEXT_LEAVE + (int)FLO_RECYCLE_DESCRIPTORS) {
        process->unit.ready = false; /* our signal may have crossed the answer: no job meets it */
        process->killed = true;
        flo_executor_process_kill(process, true);
    } else if (head->value) {
        process_recycle(process, head);
    }
    flo_core_job_ended(&process->unit, &result);
    flo_core_unit_free(&process->unit);
}

static void on_frame(struct flo_executor_process *process, const struct flo_frame *head,
                     const uint8_t *body)
{
    const struct flo_executor_options *options = &process->pool->executor.options;

    switch (head->kind) {
    case FLO_FRAME_READY:
        on_ready(process, head);
        break;
    case FLO_FRAME_PROGRESS:
        if (process->unit.job && process->unit.job->id == head->job && options->on_progress)
            options->on_progress(options->ctx, head->job, body, head->body_len);
        break;
    case FLO_FRAME_NOTE:
        if (process->unit.job && process->unit.job->id == head->job && options->on_note)
            options->on_note(options->ctx, head->job, body, head->body_len);
        break;
    case FLO_FRAME_DONE:
    case FLO_FRAME_TOO_LONG:
        on_answer(process, head, body);
        break;
    default:
        break;
    }
}

/* Take whole frames from in. False when it holds something that no executor of ours sends. */
static bool take_frames(struct flo_executor_process *process, struct evbuffer *in)
{
    struct flo_frame head;

    while (evbuffer_copyout(in, &head, sizeof head) == (ev_ssize_t)sizeof head) {
        if (head.body_len > process->pool->executor.options.max_reply_bytes + FLO_JOB_PROGRESS_MAX)
            return false;
        if (evbuffer_get_length(in) < sizeof head + head.body_len)
            return true;
        evbuffer_drain(in, sizeof head);
        on_frame(process, &head, evbuffer_pullup(in, (ev_ssize_t)head.body_len));
        evbuffer_drain(in, head.body_len);
    }
    return true;
}

static void on_link_read(struct bufferevent *link, void *ctx)
{
    struct flo_executor_process *process = ctx;

    if (!take_frames(process, bufferevent_get_input(link))) {
        bufferevent_disable(link, EV_READ);
        process->garbled = true;
        flo_executor_process_kill(process, true);
    }
}

static void on_link_event(struct bufferevent *link, short what, void *ctx)
{
    (void)ctx;
    (void)what;
    bufferevent_disable(link, EV_READ | EV_WRITE); /* the template will tell of the death */
}

/* ---- life and death ---- */

static void process_close(struct flo_executor_process *process)
{
    if (process->link)
        bufferevent_free(process->link);
    process->link = NULL;
    flo_output_close(&process->output);
}

static void on_restart(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_executor_process *process = ctx;

    (void)fd;
    (void)what;
    if (process->alive)
        flo_executor_process_kill(process, true);
    else
        process_spawn(process);
}

static void process_restart_later(struct flo_executor_process *process)
{
    struct timeval delay;

    process->restart_ms = process->restart_ms ? process->restart_ms * 2 : RESTART_MS;
    if (process->restart_ms > RESTART_MAX_MS)
        process->restart_ms = RESTART_MAX_MS;
    delay.tv_sec = process->restart_ms / 1000;
    delay.tv_usec = process->restart_ms % 1000 * 1000;
    event_add(process->restart, &delay);
}

int flo_executor_process_open(struct flo_executor_process *process, int *out_socket)
{
    int pair[2] = {-1, -1}, output[2] = {-1, -1};
    int rc = FLO_ESYS;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
        pipe2(output, O_CLOEXEC) < 0)
        goto out;
    evutil_make_socket_nonblocking(pair[0]);
    evutil_make_socket_nonblocking(output[0]);
    if (flo_template_spawn(process->pool->tmpl->control, process->unit.index, pair[1], output[1]))
        goto out;
    *out_socket = pair[0];
    process->output.fd = output[0];
    process->alive = true;
    process->killed = process->garbled = false;
    pair[0] = output[0] = -1;
    rc = 0;
out:
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        if (output[i] >= 0)
            close(output[i]);
    }
    return rc;
}

int flo_executor_process_attach(struct flo_executor_process *process, int socket)
{
    struct event_base *base = process->pool->executor.base;

    process->link = bufferevent_socket_new(base, socket, BEV_OPT_CLOSE_ON_FREE);
    if (!process->link) {
        close(socket);
        return FLO_ENOMEM;
    }
    if (flo_output_attach(&process->output, base))
        return FLO_ENOMEM;
    bufferevent_setcb(process->link, on_link_read, NULL, on_link_event, process);
    return bufferevent_enable(process->link, EV_READ | EV_WRITE) ? FLO_ENOMEM : 0;
}

int flo_executor_process_wait_ready(struct flo_executor_process *process, int socket,
                                    struct flo_err *err)
{
    const char *name = process->pool->executor.options.name;
    struct flo_frame head;
    char sentence[sizeof err->message] = "";

    if (flo_frame_read(socket, &head, sizeof head, START_TIMEOUT_MS))
        return flo_fail(err, FLO_ESYS, "%s executor process %u does not start", name,
                        process->unit.index);
    if (head.value == 0) {
        process->used = head.usage;
        process->group = group_told(&head);
        process->unit.ready = true;
        return 0;
    }
    if (head.body_len == sizeof sentence)
        (void)!flo_frame_read(socket, sentence, sizeof sentence, START_TIMEOUT_MS);
    sentence[sizeof sentence - 1] = '\0';
    return flo_fail(err, (int)head.value, "%s", sentence);
}

static void process_spawn(struct flo_executor_process *process)
{
    int socket = -1;

    if (process->pool->executor.closed)
        return;
    if (flo_executor_process_open(process, &socket)) {
        process_restart_later(process);
        return;
    }
    if (flo_executor_process_attach(process, socket))
        flo_executor_process_kill(process, true);
}

/* Read what a dead process sent before it died. */
static void process_last_words(struct flo_executor_process *process)
{
    struct evbuffer *rest;
    evutil_socket_t fd;

    if (!process->link)
        return;
    fd = bufferevent_getfd(process->link);
    rest = evbuffer_new();
    if (!rest)
        return;
    evbuffer_add_buffer(rest, bufferevent_get_input(process->link));
    /* Bounded: a process that it left behind may write on. */
    for (int i = 0; i < LAST_READS && evbuffer_read(rest, fd, 65536) > 0; i++)
        ;
    (void)take_frames(process, rest);
    evbuffer_free(rest);
    flo_output_drain(&process->output);
}

/* Hand the dead process's job over to where its report is made. */
static void report_death(struct flo_executor_process *process,
                         const struct flo_template_report *report)
{
    struct flo_job_result result = {.end = process->killed ? FLO_JOB_KILLED : FLO_JOB_CRASHED,
                                    .usage = flo_usage_rest(&report->usage, &process->used)};
    struct flo_death_facts facts = {
        .index = process->unit.index, .status = report->status, .garbled = process->garbled};

    if (WIFSIGNALED(report->status))
        result.signal = WTERMSIG(report->status);
    else
        result.exit_status = WEXITSTATUS(report->status);
    facts.output = flo_output_tail(&process->output, &facts.output_len);
    flo_deaths_add(&process->pool->deaths, flo_core_job_detach(&process->unit), &result, &facts);
}

/* Tell of the death of a process that had no job. */
static void report_idle_death(struct flo_executor_process *process, int status)
{
    const struct flo_executor *executor = &process->pool->executor;

    /* Nobody asks for its record; the next process in its place must not seem to have made it. */
    flo_crash_area_at(&process->pool->tmpl->crashes, process->unit.index)->kind = FLO_CRASH_NONE;
    if (!process->killed && !executor->closed && executor->options.on_idle_death)
        executor->options.on_idle_death(executor->options.ctx, process->unit.index, status);
}

void flo_executor_process_died(struct flo_executor_process *process,
                               const struct flo_template_report *report)
{
    bool forked = report->event == FLO_TEMPLATE_DIED;
    bool again = forked && (process->unit.ready || process->killed);

    process_last_words(process);
    event_del(process->restart);
    process->alive = false;
    process->group = 0;
    process->unit.ready = false;
    if (process->unit.job)
        report_death(process, report);
    else if (forked)
        report_idle_death(process, report->status);
    if (forked && process->pool->profiled_before)
        flo_profile_ring_mend(
            flo_crash_area_ring(&process->pool->tmpl->crashes, process->unit.index));
    process_close(process);
    if (process->pool->executor.closed)
        return;
    if (again)
        process_spawn(process);
    else
        process_restart_later(process);
}

int flo_executor_process_init(struct flo_executor_process *process,
                              struct flo_executor_processes *pool, unsigned index)
{
    struct flo_executor *executor = &pool->executor;

    process->unit = (struct flo_core_unit){.executor = executor, .index = index};
    process->pool = pool;
    process->output = (struct flo_output){.fd = -1, .name = executor->options.name, .index = index};
    process->restart = evtimer_new(executor->base, on_restart, process);
    return process->restart ? 0 : FLO_ENOMEM;
}

void flo_executor_process_fini(struct flo_executor_process *process)
{
    if (!process->pool) /* there was no memory for one before it */
        return;
    flo_core_job_drop(&process->unit);
    process_close(process);
    if (process->restart)
        event_free(process->restart);
}
