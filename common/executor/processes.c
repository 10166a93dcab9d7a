/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes.c - the worker's side of process executors: a pool with one pinned process per unit
 * (process.c), started and stopped as a whole, and the template's reports.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "executor/process.h"

/* From asking all processes to end to doing it, when the pool is destroyed. */
#define TERM_MS 300

/* ---- jobs ---- */

static void processes_start(struct flo_core_unit *unit)
{
    const struct flo_frame head = {
        .kind = FLO_FRAME_JOB, .job = unit->job->id, .body_len = (uint32_t)unit->job->request_len};
    struct flo_executor_process *process = (struct flo_executor_process *)unit;

    flo_output_job(&process->output);
    flo_executor_process_send(process, &head, unit->job->request);
}

static void processes_cancel(struct flo_core_unit *unit)
{
    const struct flo_frame head = {
        .kind = FLO_FRAME_CANCEL, .job = unit->job->id, .value = flo_core_job_told(unit->job)};

    flo_executor_process_send((struct flo_executor_process *)unit, &head, NULL);
}

static void processes_kill(struct flo_core_unit *unit, bool force)
{
    struct flo_executor_process *process = (struct flo_executor_process *)unit;

    process->killed = true;
    flo_executor_process_kill(process, force);
}

/*
 * The template has died, and the kernel kills the executors with it, but not what is below them:
 * that ends here, as far as it stayed in its executor's group. The numbers are still theirs: each
 * executor lived until a moment ago, and a number is not given out while a group has it.
 */
static void kill_groups(const struct flo_executor_processes *pool)
{
    for (unsigned i = 0; i < pool->executor.options.workers; i++)
        if (pool->processes[i].alive && pool->processes[i].group > 0)
            kill(-pool->processes[i].group, SIGKILL);
}

static void on_control(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_executor_processes *pool = ctx;
    struct flo_template_report report;
    ssize_t n;

    (void)what;
    while ((n = recv(fd, &report, sizeof report, MSG_DONTWAIT)) == (ssize_t)sizeof report)
        flo_executor_process_died(&pool->processes[report.index], &report);
    if (n == 0) {
        event_del(pool->control);
        kill_groups(pool);
        flo_deaths_end(&pool->deaths, true);
        flo_core_break(&pool->executor);
    }
}

/* ---- starting and stopping the pool ---- */

static size_t count_alive(const struct flo_executor_processes *pool)
{
    size_t alive = 0;

    for (unsigned i = 0; i < pool->executor.options.workers; i++)
        alive += pool->processes[i].alive;
    return alive;
}

/* Take the template's reports until all processes are dead or ms have passed. */
static void wait_deaths(struct flo_executor_processes *pool, int64_t ms)
{
    int64_t until = flo_clock_mono_ns() + ms * FLO_NS_PER_MS;
    struct flo_template_report report;

    while (count_alive(pool) > 0) {
        struct pollfd watch = {.fd = pool->tmpl->control, .events = POLLIN};
        int64_t left_ms = (until - flo_clock_mono_ns()) / FLO_NS_PER_MS;
        if (left_ms < 0)
            return;
        if (poll(&watch, 1, (int)left_ms) <= 0)
            continue;
        if (recv(watch.fd, &report, sizeof report, MSG_DONTWAIT) != (ssize_t)sizeof report)
            return;
        pool->processes[report.index].alive = false;
    }
}

/* Write to a process now, past the loop: there will be no further turn. */
static void send_now(struct flo_executor_process *process, const struct flo_frame *head)
{
    if (process->link && evbuffer_get_length(bufferevent_get_output(process->link)) == 0)
        (void)!send(bufferevent_getfd(process->link), head, sizeof *head,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
}

static size_t processes_destroy(struct flo_executor *executor, int64_t grace_ms)
{
    const struct flo_frame stop = {.kind = FLO_FRAME_STOP};
    struct flo_executor_processes *pool = (struct flo_executor_processes *)executor;

    for (unsigned i = 0; pool->processes && i < executor->options.workers; i++)
        send_now(&pool->processes[i], &stop);
    if (pool->tmpl && pool->processes)
        wait_deaths(pool, grace_ms);
    for (unsigned i = 0; pool->processes && i < executor->options.workers; i++)
        if (pool->processes[i].alive)
            flo_executor_process_kill(&pool->processes[i], false);
    if (pool->tmpl && pool->processes)
        wait_deaths(pool, TERM_MS);
    flo_deaths_end(&pool->deaths, false);
    flo_executor_template_end(&pool->tmpl);
    if (pool->control)
        event_free(pool->control);
    for (unsigned i = 0; pool->processes && i < executor->options.workers; i++)
        flo_executor_process_fini(&pool->processes[i]);
    flo_core_fini(executor);
    flo_free(pool->processes);
    flo_free(pool->units);
    flo_free(pool);
    return 0;
}

static const struct flo_executor_ops PROCESSES_OPS = {
    .start = processes_start,
    .cancel = processes_cancel,
    .kill = processes_kill,
    .destroy = processes_destroy,
};

static int processes_launch(struct flo_executor_processes *pool, struct flo_err *err)
{
    unsigned count = pool->executor.options.workers;
    int rc = 0;
    int *sockets = flo_calloc(count, sizeof *sockets);

    if (!sockets)
        return flo_fail(err, FLO_ENOMEM, "no memory for %u executor processes", count);
    for (unsigned i = 0; i < count; i++)
        sockets[i] = -1;
    for (unsigned i = 0; i < count && !rc; i++)
        if (flo_executor_process_open(&pool->processes[i], &sockets[i]))
            rc = flo_fail(err, FLO_ESYS, "cannot start %s executor process %u: %s",
                          pool->executor.options.name, i, strerror(errno));
    for (unsigned i = 0; i < count && !rc; i++)
        rc = flo_executor_process_wait_ready(&pool->processes[i], sockets[i], err);
    for (unsigned i = 0; i < count && !rc; i++) {
        int fd = sockets[i];
        sockets[i] = -1;
        if (flo_executor_process_attach(&pool->processes[i], fd))
            rc = flo_fail(err, FLO_ENOMEM, "no memory for executor process %u", i);
    }
    for (unsigned i = 0; i < count; i++)
        if (sockets[i] >= 0)
            close(sockets[i]);
    flo_free(sockets);
    return rc;
}

int flo_executor_processes_new(struct event_base *base, const struct flo_executor_options *options,
                               struct flo_executor_template **tmpl, struct flo_executor **out,
                               struct flo_err *err)
{
    struct flo_executor_processes *pool = flo_calloc(1, sizeof *pool);
    int rc;

    if (!pool)
        return flo_fail(err, FLO_ENOMEM, "no memory for the %s executors", options->name);
    flo_core_init(&pool->executor, &PROCESSES_OPS, base, options);
    pool->tmpl = *tmpl;
    *tmpl = NULL;
    pool->executor.options.workers = pool->tmpl->options.workers;
    pool->executor.unit_count = pool->executor.options.workers;
    pool->executor.options.name = pool->tmpl->options.name;
    pool->deaths = (struct flo_deaths){
        .base = base, .tmpl = pool->tmpl, .limits = &pool->tmpl->options.limits};
    flo_list_init(&pool->deaths.dying);
    pool->processes = flo_calloc(pool->executor.options.workers, sizeof *pool->processes);
    pool->units = flo_calloc(pool->executor.options.workers, sizeof(struct flo_core_unit *));
    pool->executor.units = pool->units;
    rc = FLO_ENOMEM;
    if (!pool->processes || !pool->units)
        goto fail;
    for (unsigned i = 0; i < pool->executor.options.workers; i++) {
        pool->units[i] = &pool->processes[i].unit;
        if (flo_executor_process_init(&pool->processes[i], pool, i))
            goto fail;
    }
    rc = processes_launch(pool, err);
    if (rc)
        goto out;
    rc = FLO_ENOMEM;
    pool->control = event_new(base, pool->tmpl->control, EV_READ | EV_PERSIST, on_control, pool);
    if (!pool->control || event_add(pool->control, NULL) < 0)
        goto fail;
    *out = &pool->executor;
    return 0;
fail:
    flo_fail(err, rc, "no memory for the %s executors", options->name);
out:
    pool->executor.closed = true;
    processes_destroy(&pool->executor, 1000);
    return rc;
}
