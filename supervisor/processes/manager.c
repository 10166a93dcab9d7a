/* SPDX-License-Identifier: Apache-2.0 */
/* manager.c - the life of a process, and of all of them; see manager.h for the states. */
#include "supervisor/processes/manager.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "config/exit_code.h"
#include "config/process.h"
#include "supervisor/processes/manager_internal.h"

#define TICK_MS 100

int64_t flo_manager_now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

void flo_manager_arm(struct event *timer, int64_t ms)
{
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    event_add(timer, &tv);
}

void flo_manager_tick_soon(struct flo_manager *manager)
{
    if (!event_pending(manager->tick, EV_TIMEOUT, NULL))
        flo_manager_arm(manager->tick, TICK_MS);
}

static void set_gauge(const struct flo_process *process, enum flo_metric metric, bool value)
{
    flo_series_set(flo_metrics_get(process->manager->options.metrics, metric, process->name, NULL),
                   value);
}

/* Two may have one name while the one replaces the other. */
static bool name_is_up(const struct flo_manager *manager, const char *name)
{
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        const struct flo_process *process = FLO_PROCESS_AT(node);
        if (process->state == FLO_PROCESS_UP && strcmp(process->name, name) == 0)
            return true;
    }
    return false;
}

void flo_process_set_state(struct flo_process *process, enum flo_process_state state)
{
    struct flo_manager *manager = process->manager;
    process->state = state;
    set_gauge(process, FLO_METRIC_CHILD_UP, name_is_up(manager, process->name));
    set_gauge(process, FLO_METRIC_CHILD_CRASH_LOOP, process->told_crash_loop);
    /* From 0 on: a rate sees the first one only when there was a sample before it. */
    (void)flo_metrics_get(manager->options.metrics, FLO_METRIC_CHILD_RESTARTS, process->name, NULL);
    manager->options.on_change(manager->options.ctx);
}

/* ---- readiness ---- */

/* Tell of the first time that this run is ready, and of one that does not get so. True: it is to be
 * looked at again. */
static bool watch_readiness(struct flo_process *process)
{
    struct flo_manager *manager = process->manager;
    struct flo_process_report report;
    const int64_t ms = flo_manager_now_ms() - process->started_ms;
    if (!process->worker || !process->child || process->state == FLO_PROCESS_STOPPING ||
        process->was_ready)
        return false;
    if (flo_process_ready(process, &report)) {
        process->was_ready = true;
        flo_manager_tell(manager, FLO_LOG_INFO, "process.ready", process->name,
                         "The process is ready", json_pack("{s:I}", "after_ms", (json_int_t)ms));
        flo_manager_watch_ready(process);
    } else if (!process->told_unready && ms >= manager->config->start_timeout_ms) {
        process->told_unready = true;
        flo_manager_tell(manager, FLO_LOG_WARN, "process.not_ready", process->name,
                         "The process has not become ready in start_timeout",
                         json_pack("{s:s}", "reason", report.reason));
    }
    return !process->was_ready;
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_manager *manager = ctx;
    bool again = false;
    (void)fd;
    (void)what;
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        again |= watch_readiness(FLO_PROCESS_AT(node));
    }
    FLO_LIST_FOREACH_SAFE(node, &manager->workers)
    {
        struct flo_managed_worker *worker = FLO_WORKER_AT(node);
        flo_roll_step(worker);
        again |= worker->roll.active;
    }
    if (again)
        flo_manager_tick_soon(manager);
}

/* ---- starting ---- */

static void begin_stop(struct flo_manager *manager, int exit_code);
static void schedule_restart(struct flo_process *process);

bool flo_manager_engine_known(const struct flo_manager *manager)
{
    return !manager->config->engine.enabled || *manager->engine_address;
}

/* Workers that wait for the engine's address, all at once. */
static void start_workers(struct flo_manager *manager)
{
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        if (!manager->stopping && process->worker && process->state == FLO_PROCESS_WAITING &&
            !event_pending(process->timer, EV_TIMEOUT, NULL))
            flo_process_start(process);
    }
}

/* A line of a child's stdout: does it say where it listens? */
static void on_line(void *ctx, const char *line)
{
    struct flo_process *process = ctx;
    struct flo_manager *manager = process->manager;
    char what[32], address[FLO_PROCESS_ADDRESS_MAX];
    if (!flo_process_parse_announcement(line, what, sizeof what, address, sizeof address))
        return;
    if (strcmp(what, "http") == 0)
        memcpy(process->http, address, sizeof address);
    bool up = strcmp(what, process->worker ? "http" : "grpc") == 0;
    if (!up || process->state != FLO_PROCESS_STARTING)
        return;
    event_del(process->timer);
    process->was_up = true;
    if (!process->worker)
        memcpy(manager->engine_address, address, sizeof address);
    if (process->told_crash_loop)
        flo_manager_arm(process->timer, process->backoff.stable_after_ms);
    flo_process_set_state(process, FLO_PROCESS_UP);
    if (!process->worker)
        start_workers(manager);
}

void flo_process_start(struct flo_process *process)
{
    struct flo_manager *manager = process->manager;
    struct flo_err err = {0};
    event_del(process->timer); /* of a backoff that is cut short */
    if (process->worker && !flo_manager_engine_known(manager)) {
        flo_process_set_state(process, FLO_PROCESS_WAITING); /* start_workers finds it */
        return;
    }
    process->started_ms = flo_manager_now_ms();
    process->started_wall_ns = flo_clock_wall_ns();
    process->was_ready = process->told_unready = process->to_roll = false;
    int rc = flo_process_launch(process, on_line, &err);
    if (rc) {
        flo_manager_tell(manager, FLO_LOG_ERROR, "process.start_failed", process->name, err.message,
                         NULL);
        if (process->was_up || process->added) {
            schedule_restart(process);
            return;
        }
        snprintf(manager->verdict, sizeof manager->verdict,
                 "The fleet has ended: %s cannot be started: %.280s", process->name, err.message);
        begin_stop(manager, flo_exit_code(rc));
        return;
    }
    flo_manager_tell(manager, FLO_LOG_INFO, "process.started", process->name, "Process started",
                     json_pack("{s:i}", "pid", (int)flo_child_process_pid(process->child)));
    flo_process_set_state(process, FLO_PROCESS_STARTING);
    if (!process->worker)
        flo_manager_arm(process->timer, manager->config->start_timeout_ms);
    else
        flo_manager_tick_soon(manager);
}

/* A process that was to end is still there at shutdown_timeout. One that reports is at work, and
 * ends by its own time-out. */
static void on_drain_timeout(struct flo_process *process)
{
    const struct flo_manager_options *options = &process->manager->options;
    struct flo_process_report report = {.live = false};
    if (process->worker && options->report &&
        options->report(options->ctx, flo_child_process_pid(process->child), &report) &&
        report.live) {
        flo_manager_arm(process->timer, 1000);
        return;
    }
    flo_manager_tell(process->manager, FLO_LOG_ERROR, "process.stop_timeout", process->name,
                     "The process did not end in time and is killed", NULL);
    flo_child_process_kill(process->child);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_process *process = ctx;
    (void)fd;
    (void)what;
    switch (process->state) {
    case FLO_PROCESS_WAITING:
        process->restarts++;
        flo_series_inc(flo_metrics_get(process->manager->options.metrics, FLO_METRIC_CHILD_RESTARTS,
                                       process->name, NULL));
        flo_process_start(process);
        break;
    case FLO_PROCESS_STARTING:
        flo_manager_tell(process->manager, FLO_LOG_ERROR, "process.start_timeout", process->name,
                         "The process did not say where it listens", NULL);
        flo_child_process_kill(process->child);
        break;
    case FLO_PROCESS_UP:
        process->told_crash_loop = false;
        set_gauge(process, FLO_METRIC_CHILD_CRASH_LOOP, false);
        flo_manager_tell(process->manager, FLO_LOG_INFO, "process.stable", process->name,
                         "The process runs again as it should", NULL);
        break;
    case FLO_PROCESS_STOPPING:
        on_drain_timeout(process);
        break;
    case FLO_PROCESS_STOPPED:
        break;
    }
}

/* ---- ending ---- */

static void schedule_restart(struct flo_process *process)
{
    int64_t wait_ms =
        flo_backoff_next(&process->backoff, flo_manager_now_ms() - process->started_ms);
    if (flo_backoff_crash_loop(&process->backoff) && !process->told_crash_loop) {
        process->told_crash_loop = true; /* shown with the state below */
        flo_manager_tell(process->manager, FLO_LOG_ERROR, "process.crash_loop", process->name,
                         "The process dies again and again",
                         json_pack("{s:I}", "failures", (json_int_t)process->backoff.failures));
    }
    flo_process_set_state(process, FLO_PROCESS_WAITING);
    flo_manager_tell(process->manager, FLO_LOG_WARN, "process.restart", process->name,
                     "The process will be started again",
                     json_pack("{s:I}", "in_ms", (json_int_t)wait_ms));
    process->again_ms = flo_manager_now_ms() + wait_ms;
    flo_manager_arm(process->timer, wait_ms);
}

void flo_process_stop(struct flo_process *process)
{
    if (!process->child || process->state == FLO_PROCESS_STOPPING)
        return;
    flo_child_process_signal(process->child, SIGTERM);
    flo_manager_arm(process->timer, process->manager->config->shutdown_timeout_ms);
    flo_process_set_state(process, FLO_PROCESS_STOPPING);
}

/* Exit codes of a process that cannot work the way it is configured. */
static bool is_hopeless(int status)
{
    static const int codes[] = {64, 65, 66, 73, 77, 78};
    for (size_t i = 0; WIFEXITED(status) && i < sizeof codes / sizeof codes[0]; i++)
        if (WEXITSTATUS(status) == codes[i])
            return true;
    return false;
}

static void finish_stop(struct flo_manager *manager)
{
    if (manager->ended)
        return;
    manager->ended = true;
    event_del(manager->deadline);
    event_active(manager->end, EV_TIMEOUT, 0); /* not now: the loop may not even run yet */
}

static void on_all_ended(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_manager *manager = ctx;
    (void)fd;
    (void)what;
    if (*manager->verdict) /* as the last line: much has been said since */
        flo_log(FLO_LOG_ERROR, "fleet.given_up", manager->verdict, NULL);
    manager->options.on_end(manager->options.ctx, manager->exit_code);
}

/* The next step of an orderly stop: the engine when all workers are gone, the end after it. */
static void advance_stop(struct flo_manager *manager)
{
    size_t workers = 0;
    struct flo_process *engine = NULL;
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        if (process->child && process->worker)
            workers++;
        else if (process->child)
            engine = process;
    }
    if (workers)
        return;
    if (engine && engine->state != FLO_PROCESS_STOPPING) {
        flo_process_set_state(engine, FLO_PROCESS_STOPPING);
        flo_child_process_signal(engine->child, SIGTERM);
    }
    if (!engine)
        finish_stop(manager);
}

static void begin_stop(struct flo_manager *manager, int exit_code)
{
    if (manager->stopping)
        return;
    manager->stopping = true;
    manager->exit_code = exit_code;
    event_del(manager->tick);
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        event_del(process->timer);
        if (!process->child) {
            flo_process_set_state(process, FLO_PROCESS_STOPPED);
        } else if (process->worker && process->state != FLO_PROCESS_STOPPING) {
            flo_process_set_state(process, FLO_PROCESS_STOPPING);
            flo_child_process_signal(process->child, SIGTERM);
        }
    }
    flo_manager_arm(manager->deadline, manager->config->shutdown_timeout_ms);
    advance_stop(manager);
}

static void tell_exit(struct flo_process *process, pid_t pid, int status, char *out_how,
                      size_t size)
{
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0, code = WEXITSTATUS(status);
    const char *number = signal ? "signal" : "exit_code";
    char reason[32];
    snprintf(reason, sizeof reason, signal ? "signal-%d" : "exit-%d", signal ? signal : code);
    if (process->state != FLO_PROCESS_STOPPING)
        flo_series_inc(flo_metrics_get(process->manager->options.metrics, FLO_METRIC_CHILD_EXITS,
                                       process->name, reason, NULL));
    snprintf(out_how, size, signal ? "it ended by signal %d" : "it ended with exit code %d",
             signal ? signal : code);
    flo_manager_tell(process->manager, !signal && code == 0 ? FLO_LOG_INFO : FLO_LOG_WARN,
                     "process.exited", process->name, "Process ended",
                     json_pack("{s:i, s:i, s:I}", "pid", (int)pid, number, signal ? signal : code,
                               "lived_ms",
                               (json_int_t)(flo_manager_now_ms() - process->started_ms)));
}

static void on_exit_of(struct flo_process *process, int status)
{
    struct flo_manager *manager = process->manager;
    const pid_t pid = flo_child_process_pid(process->child);
    char how[64];
    flo_child_process_destroy(&process->child); /* its last lines come before ours about it */
    event_del(process->timer);
    process->http[0] = '\0';
    tell_exit(process, pid, status, how, sizeof how);
    snprintf(process->ended, sizeof process->ended, "%.47s", how);
    if (manager->stopping) {
        flo_process_set_state(process, FLO_PROCESS_STOPPED);
        advance_stop(manager);
        return;
    }
    flo_roll_ended(process, how);
    if (process->leaving) {
        struct flo_managed_worker *worker = process->worker;
        flo_process_free(process);
        flo_roll_step(worker);
        flo_managed_worker_sweep(worker);
        manager->options.on_change(manager->options.ctx);
    } else if (process->held) {
        flo_process_set_state(process, FLO_PROCESS_STOPPED);
    } else if (process->relaunch) {
        process->relaunch = false;
        flo_process_start(process);
    } else if (!process->was_up && !process->added && is_hopeless(status)) {
        flo_process_set_state(process, FLO_PROCESS_STOPPED);
        snprintf(manager->verdict, sizeof manager->verdict,
                 "The fleet has ended: %s cannot run as it is configured (exit code %d); 'flotilla "
                 "logs %s' says why",
                 process->name, WEXITSTATUS(status), process->name);
        begin_stop(manager, WEXITSTATUS(status));
    } else {
        schedule_restart(process);
    }
}

/* A child that has ended and is not reaped yet; 0: none. */
static pid_t next_ended(void)
{
    siginfo_t info = {.si_signo = 0};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) ? 0 : info.si_pid;
}

static struct flo_process *process_of(const struct flo_manager *manager, pid_t pid)
{
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        if (process->child && flo_child_process_pid(process->child) == pid)
            return process;
    }
    return NULL;
}

static void on_sigchld(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_manager *manager = ctx;
    (void)fd;
    (void)what;
    for (pid_t pid; (pid = next_ended()) > 0;) {
        struct flo_process *process = process_of(manager, pid);
        int status = 0;
        if (process) /* what it left behind, before its number can come to mean another group */
            flo_child_process_kill(process->child);
        if (waitpid(pid, &status, 0) == pid && process)
            on_exit_of(process, status);
    }
}

void flo_manager_kill(struct flo_manager *manager)
{
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        if (FLO_PROCESS_AT(node)->child)
            flo_child_process_kill(FLO_PROCESS_AT(node)->child);
    }
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_manager *manager = ctx;
    (void)fd;
    (void)what;
    flo_manager_tell(manager, FLO_LOG_ERROR, "fleet.stop_timeout", "fleet",
                     "Processes that did not end in time are killed", NULL);
    if (!manager->exit_code)
        manager->exit_code = FLO_EXIT_ABANDONED;
    flo_manager_kill(manager);
}

/* ---- making ---- */

/* The engine first, then by worker and replica; a replacement behind what it replaces. */
static void insert(struct flo_manager *manager, struct flo_process *process)
{
    struct flo_node *before = &manager->processes.head;
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        const struct flo_process *other = FLO_PROCESS_AT(node);
        if (other->worker && process->worker &&
            (other->worker->order > process->worker->order ||
             (other->worker == process->worker && other->replica > process->replica))) {
            before = node;
            break;
        }
    }
    flo_list_insert_before(&manager->processes, before, &process->node);
}

struct flo_process *flo_process_new(struct flo_manager *manager, struct flo_managed_worker *worker,
                                    unsigned replica, const char *name)
{
    const struct flo_fleet_config *config = manager->config;
    struct flo_process *process = flo_calloc(1, sizeof *process);
    if (!process)
        return NULL;
    *process =
        (struct flo_process){.manager = manager,
                             .worker = worker,
                             .replica = replica,
                             .added = manager->options.again,
                             .backoff = {.min_ms = config->restart.min_backoff_ms,
                                         .max_ms = config->restart.max_backoff_ms,
                                         .stable_after_ms = config->restart.stable_after_ms,
                                         .crash_loop_after = config->restart.crash_loop_after}};
    snprintf(process->name, sizeof process->name, "%s", name);
    process->timer = event_new(manager->base, -1, 0, on_timer, process);
    process->output = flo_output_source_open(manager->output, process->name);
    if (!process->timer || !process->output) {
        flo_output_source_close(&process->output);
        if (process->timer)
            event_free(process->timer);
        flo_free(process);
        return NULL;
    }
    insert(manager, process);
    return process;
}

void flo_process_free(struct flo_process *process)
{
    struct flo_manager *manager = process->manager;
    if (process->child) {
        (void)waitpid(flo_child_process_pid(process->child), NULL, 0);
        flo_child_process_destroy(&process->child);
    }
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        if (FLO_PROCESS_AT(node)->replaces == process)
            FLO_PROCESS_AT(node)->replaces = NULL;
    }
    flo_list_remove(&manager->processes, &process->node);
    set_gauge(process, FLO_METRIC_CHILD_UP, name_is_up(manager, process->name));
    flo_output_source_close(&process->output);
    event_free(process->timer);
    flo_free(process->program);
    flo_free(process);
}

static int init_all(struct flo_manager *manager, struct flo_err *err)
{
    char logs[PATH_MAX + 8];
    int rc = flo_process_exe_dir(manager->exe_dir, sizeof manager->exe_dir, err);
    if (rc)
        return rc;
    snprintf(logs, sizeof logs, "%s/logs", manager->options.state_dir);
    const struct flo_output_options output = {.dir = logs,
                                              .max_bytes = manager->config->logs.max_size,
                                              .keep = manager->config->logs.keep,
                                              .print = manager->config->logs.print};
    rc = flo_output_new(manager->base, &output, &manager->output, err);
    if (rc)
        return rc;
    manager->sigchld = evsignal_new(manager->base, SIGCHLD, on_sigchld, manager);
    manager->deadline = event_new(manager->base, -1, 0, on_deadline, manager);
    manager->tick = event_new(manager->base, -1, 0, on_tick, manager);
    manager->end = event_new(manager->base, -1, 0, on_all_ended, manager);
    bool good = manager->sigchld && manager->deadline && manager->tick && manager->end &&
                event_add(manager->sigchld, NULL) == 0;
    if (good && manager->config->engine.enabled)
        good = flo_process_new(manager, NULL, 0, "engine") != NULL;
    if (!good || flo_manager_init_workers(manager))
        return flo_fail(err, FLO_ENOMEM, "no memory for the process manager");
    return 0;
}

int flo_manager_new(struct event_base *base, const struct flo_manager_options *options,
                    struct flo_manager **out, struct flo_err *err)
{
    struct flo_manager *manager = flo_calloc(1, sizeof *manager);
    if (!manager)
        return flo_fail(err, FLO_ENOMEM, "no memory for the process manager");
    manager->options = *options;
    manager->config = options->config;
    manager->base = base;
    flo_list_init(&manager->processes);
    flo_list_init(&manager->workers);
    int rc = init_all(manager, err);
    if (!rc) {
        *out = manager;
        manager = NULL;
    }
    flo_manager_destroy(&manager);
    return rc;
}

void flo_manager_start(struct flo_manager *manager)
{
    if (manager->config->engine.enabled)
        flo_process_start(FLO_PROCESS_AT(flo_list_first(&manager->processes)));
    if (flo_manager_engine_known(manager))
        start_workers(manager);
    flo_manager_watch_update(manager);
}

void flo_manager_stop(struct flo_manager *manager)
{
    flo_manager_forget_scale(manager);
    begin_stop(manager, 0);
}

void flo_manager_destroy(struct flo_manager **manager)
{
    struct flo_manager *self = *manager;
    if (!self)
        return;
    flo_manager_kill(self);
    flo_manager_watch_destroy(self);
    for (struct flo_node *node; (node = flo_list_first(&self->processes));)
        flo_process_free(FLO_PROCESS_AT(node));
    for (struct flo_node *node; (node = flo_list_first(&self->workers));)
        flo_managed_worker_free(FLO_WORKER_AT(node));
    flo_output_destroy(&self->output);
    if (self->sigchld)
        event_free(self->sigchld);
    if (self->deadline)
        event_free(self->deadline);
    if (self->tick)
        event_free(self->tick);
    if (self->end)
        event_free(self->end);
    flo_fleet_config_destroy(&self->own);
    flo_free(self);
    *manager = NULL;
}
