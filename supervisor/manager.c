/* SPDX-License-Identifier: Apache-2.0 */
/* manager.c - see manager.h for the lifecycle. */
#include "supervisor/manager.h"

#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "config/exit_code.h"
#include "config/process.h"
#include "supervisor/backoff.h"
#include "supervisor/child.h"
#include "telemetry/log.h"

#define NAME_MAX_BYTES 80
#define ADDRESS_MAX_BYTES 128
#define ARGS_MAX 256

struct process {
    struct flo_manager *manager;
    char name[NAME_MAX_BYTES];
    const struct flo_fleet_worker *worker; /* NULL for the engine */
    unsigned replica;                      /* of worker, from 1; 0 for the engine */
    enum flo_process_state state;
    struct flo_child *child; /* while it runs */
    struct flo_backoff backoff;
    struct event *timer; /* WAITING: the backoff; STARTING: the engine's start_timeout */
    int64_t started_ms;
    uint64_t restarts;
    bool was_up; /* once at least */
    char http[ADDRESS_MAX_BYTES];
};

struct flo_manager {
    struct flo_manager_options options;
    struct event_base *base;
    struct event *sigchld;
    struct event *deadline; /* shutdown_timeout */
    char exe_dir[PATH_MAX];
    char engine_address[ADDRESS_MAX_BYTES];
    struct process *processes; /* the engine first, when there is one */
    size_t count;
    bool stopping;
    bool ended;
    int exit_code;
};

const char *flo_process_state_name(enum flo_process_state state)
{
    static const char *const names[] = {
#define FLO_PROCESS_NAME(id, name) name,
        FLO_PROCESS_STATES(FLO_PROCESS_NAME)
#undef FLO_PROCESS_NAME
    };
    return names[state];
}

static int64_t now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

static void arm(struct event *timer, int64_t ms)
{
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    event_add(timer, &tv);
}

static void set_state(struct process *process, enum flo_process_state state)
{
    struct flo_manager *manager = process->manager;
    process->state = state;
    flo_series_set(
        flo_metrics_get(manager->options.metrics, FLO_METRIC_CHILD_UP, process->name, NULL),
        state == FLO_PROCESS_UP);
    manager->options.on_change(manager->options.ctx);
}

/* ---- what to run ---- */

struct command {
    struct flo_arena arena;
    char *args[ARGS_MAX + 1];
    size_t arg_count;
    char *env[72];
    size_t env_count;
    bool failed;
};

static void add_arg(struct command *command, char *arg)
{
    if (!arg || command->arg_count == ARGS_MAX)
        command->failed = true;
    else
        command->args[command->arg_count++] = arg;
}

static void add_set(struct command *command, const char *key, const char *value)
{
    add_arg(command, flo_arena_strdup(&command->arena, "--set"));
    add_arg(command, flo_arena_printf(&command->arena, "%s=%s", key, value));
}

static void add_env(struct command *command, const char *key, const char *value)
{
    char *text = flo_arena_printf(&command->arena, "%s=%s", key, value);
    if (!text || command->env_count + 1 == sizeof command->env / sizeof command->env[0])
        command->failed = true;
    else
        command->env[command->env_count++] = text;
}

/* A single value of the YAML as --set or the environment want it. */
static const char *scalar_text(struct command *command, const json_t *value)
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    const char *text =
        json_is_integer(value)
            ? flo_arena_printf(&command->arena, "%lld", (long long)json_integer_value(value))
            : flo_arena_printf(&command->arena, "%g", json_number_value(value));
    command->failed = command->failed || !text;
    return text ? text : "";
}

static void add_program(struct command *command, const struct flo_manager *manager,
                        const char *program)
{
    add_arg(command, strchr(program, '/')
                         ? flo_arena_strdup(&command->arena, program)
                         : flo_arena_printf(&command->arena, "%s/%s", manager->exe_dir, program));
}

static void engine_command(const struct flo_manager *manager, struct command *command)
{
    const struct flo_fleet_config *config = manager->options.config;
    /* Started again, it must be where the workers look for it. */
    const char *listen = *manager->engine_address           ? manager->engine_address
                         : *manager->options.engine_address ? manager->options.engine_address
                                                            : config->engine.listen;
    add_program(command, manager, config->engine.program);
    add_arg(command, flo_arena_strdup(&command->arena, "--listen"));
    add_arg(command, flo_arena_strdup(&command->arena, listen));
    if (*config->engine.db) {
        add_arg(command, flo_arena_strdup(&command->arena, "--db"));
        add_arg(command, *config->engine.db == '/'
                             ? flo_arena_strdup(&command->arena, config->engine.db)
                             : flo_arena_printf(&command->arena, "%s/%s",
                                                manager->options.state_dir, config->engine.db));
    }
    if (*config->engine.http) {
        add_arg(command, flo_arena_strdup(&command->arena, "--http"));
        add_arg(command, flo_arena_strdup(&command->arena, config->engine.http));
    }
    if (strcmp(config->server.name_space, "default") != 0) {
        add_arg(command, flo_arena_strdup(&command->arena, "--namespace"));
        add_arg(command, flo_arena_strdup(&command->arena, config->server.name_space));
    }
    for (size_t i = 0; i < config->engine.args.count; i++)
        add_arg(command, flo_arena_strdup(&command->arena, config->engine.args.items[i]));
}

static void worker_command(const struct process *process, struct command *command)
{
    const struct flo_manager *manager = process->manager;
    const struct flo_fleet_worker *worker = process->worker;
    const char *key;
    json_t *value;
    add_program(command, manager, worker->program);
    if (*worker->config) {
        add_arg(command, flo_arena_strdup(&command->arena, "--config"));
        add_arg(command, flo_arena_strdup(&command->arena, worker->config));
    }
    add_set(command, "server.address",
            *manager->engine_address ? manager->engine_address
                                     : manager->options.config->server.address);
    add_set(command, "server.namespace", manager->options.config->server.name_space);
    add_set(command, "supervisor.endpoint", manager->options.endpoint);
    if (manager->options.config->supervisor.insecure)
        add_set(command, "supervisor.insecure", "true");
    if (worker->count > 1) { /* they cannot share a port */
        add_set(command, "health.port", "0");
        add_set(command, "metrics.port", "0");
    }
    json_object_foreach(worker->set, key, value) add_set(command, key, scalar_text(command, value));
    json_object_foreach(worker->env, key, value) add_env(command, key, scalar_text(command, value));
}

/* ---- starting ---- */

static void on_line(void *ctx, const char *line);
static void begin_stop(struct flo_manager *manager, int exit_code);
static void schedule_restart(struct process *process);

static int launch(struct process *process, struct flo_err *err)
{
    struct command command = {.failed = false};
    flo_arena_init(&command.arena, 0);
    if (process->worker)
        worker_command(process, &command);
    else
        engine_command(process->manager, &command);
    add_env(&command, "FLOTILLA_PROCESS", process->name);
    add_env(&command, "FLOTILLA_STATE_DIR", process->manager->options.state_dir);
    if (flo_log_is_text()) /* its lines go where ours go */
        add_env(&command, "FLOTILLA_LOG_AUTO", "text");
    int rc = command.failed ? flo_fail(err, FLO_ENOMEM, "too many arguments for %s", process->name)
                            : flo_child_start(process->manager->base, process->name, command.args,
                                              command.env, on_line, process, &process->child, err);
    flo_arena_fini(&command.arena);
    return rc;
}

static void start_process(struct process *process)
{
    struct flo_manager *manager = process->manager;
    struct flo_err err = {0};
    process->started_ms = now_ms();
    int rc = launch(process, &err);
    if (rc) {
        flo_log(FLO_LOG_ERROR, "process.start_failed", err.message, "process", process->name, NULL);
        if (process->was_up)
            schedule_restart(process);
        else
            begin_stop(manager, flo_exit_code(rc));
        return;
    }
    flo_log(FLO_LOG_INFO, "process.started", "Process started", "process", process->name, "#pid",
            FLO_NUM(flo_child_pid(process->child)), NULL);
    set_state(process, FLO_PROCESS_STARTING);
    if (!process->worker)
        arm(process->timer, manager->options.config->start_timeout_ms);
}

static bool engine_known(const struct flo_manager *manager)
{
    return !manager->options.config->engine.enabled || *manager->engine_address;
}

/* Workers that wait for the engine's address, all at once. */
static void start_workers(struct flo_manager *manager)
{
    for (size_t i = 0; i < manager->count && !manager->stopping; i++) {
        struct process *process = &manager->processes[i];
        if (process->worker && process->state == FLO_PROCESS_WAITING &&
            !event_pending(process->timer, EV_TIMEOUT, NULL))
            start_process(process);
    }
}

/* A line of a child's stdout: does it say where it listens? */
static void on_line(void *ctx, const char *line)
{
    struct process *process = ctx;
    struct flo_manager *manager = process->manager;
    char what[32], address[ADDRESS_MAX_BYTES];
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
    set_state(process, FLO_PROCESS_UP);
    if (!process->worker)
        start_workers(manager);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct process *process = ctx;
    (void)fd;
    (void)what;
    if (process->state == FLO_PROCESS_WAITING) {
        process->restarts++;
        flo_series_inc(flo_metrics_get(process->manager->options.metrics, FLO_METRIC_CHILD_RESTARTS,
                                       process->name, NULL));
        start_process(process);
    } else if (process->state == FLO_PROCESS_STARTING) {
        flo_log(FLO_LOG_ERROR, "process.start_timeout", "The process did not say where it listens",
                "process", process->name, NULL);
        flo_child_kill(process->child);
    }
}

/* ---- ending ---- */

static void schedule_restart(struct process *process)
{
    bool was_looping = flo_backoff_crash_loop(&process->backoff);
    int64_t wait_ms = flo_backoff_next(&process->backoff, now_ms() - process->started_ms);
    if (flo_backoff_crash_loop(&process->backoff) && !was_looping)
        flo_log(FLO_LOG_ERROR, "process.crash_loop", "The process dies again and again", "process",
                process->name, "#failures", FLO_NUM(process->backoff.failures), NULL);
    set_state(process, FLO_PROCESS_WAITING);
    flo_log(FLO_LOG_WARN, "process.restart", "The process will be started again", "process",
            process->name, "#in_ms", FLO_NUM(wait_ms), NULL);
    arm(process->timer, wait_ms);
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
    manager->options.on_end(manager->options.ctx, manager->exit_code);
}

/* The next step of an orderly stop: the engine when all workers are gone, the end after it. */
static void advance_stop(struct flo_manager *manager)
{
    size_t workers = 0;
    struct process *engine = NULL;
    for (size_t i = 0; i < manager->count; i++) {
        struct process *process = &manager->processes[i];
        if (process->child && process->worker)
            workers++;
        else if (process->child)
            engine = process;
    }
    if (workers)
        return;
    if (engine && engine->state != FLO_PROCESS_STOPPING) {
        set_state(engine, FLO_PROCESS_STOPPING);
        flo_child_signal(engine->child, SIGTERM);
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
    for (size_t i = 0; i < manager->count; i++) {
        struct process *process = &manager->processes[i];
        event_del(process->timer);
        if (!process->child) {
            set_state(process, FLO_PROCESS_STOPPED);
        } else if (process->worker) {
            set_state(process, FLO_PROCESS_STOPPING);
            flo_child_signal(process->child, SIGTERM);
        }
    }
    arm(manager->deadline, manager->options.config->shutdown_timeout_ms);
    advance_stop(manager);
}

static void on_exit_of(struct process *process, int status)
{
    struct flo_manager *manager = process->manager;
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    flo_child_destroy(&process->child); /* its last lines come before ours about it */
    event_del(process->timer);
    process->http[0] = '\0';
    flo_log(clean ? FLO_LOG_INFO : FLO_LOG_WARN, "process.exited", "Process ended", "process",
            process->name, WIFSIGNALED(status) ? "#signal" : "#exit_code",
            FLO_NUM(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)), NULL);
    if (manager->stopping) {
        set_state(process, FLO_PROCESS_STOPPED);
        advance_stop(manager);
    } else if (!process->was_up && is_hopeless(status)) {
        set_state(process, FLO_PROCESS_STOPPED);
        begin_stop(manager, WEXITSTATUS(status));
    } else {
        schedule_restart(process);
    }
}

static void on_sigchld(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_manager *manager = ctx;
    (void)fd;
    (void)what;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < manager->count; i++) {
            struct process *process = &manager->processes[i];
            if (process->child && flo_child_pid(process->child) == pid) {
                on_exit_of(process, status);
                break;
            }
        }
    }
}

void flo_manager_kill(struct flo_manager *manager)
{
    for (size_t i = 0; i < manager->count; i++)
        if (manager->processes[i].child)
            flo_child_kill(manager->processes[i].child);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_manager *manager = ctx;
    (void)fd;
    (void)what;
    flo_log(FLO_LOG_ERROR, "fleet.stop_timeout", "Processes that did not end in time are killed",
            NULL);
    if (!manager->exit_code)
        manager->exit_code = FLO_EXIT_ABANDONED;
    flo_manager_kill(manager);
}

/* ---- making ---- */

static size_t count_processes(const struct flo_fleet_config *config)
{
    size_t count = config->engine.enabled;
    for (size_t i = 0; i < config->workers.count; i++)
        count += (size_t)flo_fleet_config_worker(config, i)->count;
    return count;
}

static int init_process(struct flo_manager *manager, const struct flo_fleet_worker *worker,
                        int64_t number)
{
    const struct flo_fleet_config *config = manager->options.config;
    struct process *process = &manager->processes[manager->count++];
    *process = (struct process){.manager = manager,
                                .worker = worker,
                                .replica = (unsigned)number,
                                .backoff = {.min_ms = config->restart.min_backoff_ms,
                                            .max_ms = config->restart.max_backoff_ms,
                                            .stable_after_ms = config->restart.stable_after_ms,
                                            .crash_loop_after = config->restart.crash_loop_after}};
    if (!worker)
        snprintf(process->name, sizeof process->name, "engine");
    else if (worker->count > 1)
        snprintf(process->name, sizeof process->name, "%s-%lld", worker->name, (long long)number);
    else
        snprintf(process->name, sizeof process->name, "%s", worker->name);
    process->timer = event_new(manager->base, -1, 0, on_timer, process);
    return process->timer ? 0 : FLO_ENOMEM;
}

static int init_processes(struct flo_manager *manager)
{
    const struct flo_fleet_config *config = manager->options.config;
    manager->processes = flo_calloc(count_processes(config) + 1, sizeof *manager->processes);
    if (!manager->processes)
        return FLO_ENOMEM;
    int rc = config->engine.enabled ? init_process(manager, NULL, 0) : 0;
    for (size_t i = 0; i < config->workers.count && !rc; i++) {
        const struct flo_fleet_worker *worker = flo_fleet_config_worker(config, i);
        for (int64_t n = 1; n <= worker->count && !rc; n++)
            rc = init_process(manager, worker, n);
    }
    return rc;
}

int flo_manager_new(struct event_base *base, const struct flo_manager_options *options,
                    struct flo_manager **out, struct flo_err *err)
{
    int rc;
    struct flo_manager *manager = flo_calloc(1, sizeof *manager);
    if (!manager)
        return flo_fail(err, FLO_ENOMEM, "no memory for the process manager");
    manager->options = *options;
    manager->base = base;
    rc = flo_process_exe_dir(manager->exe_dir, sizeof manager->exe_dir, err);
    if (rc)
        goto out;
    manager->sigchld = evsignal_new(base, SIGCHLD, on_sigchld, manager);
    manager->deadline = event_new(base, -1, 0, on_deadline, manager);
    rc = init_processes(manager);
    if (rc || !manager->sigchld || !manager->deadline || event_add(manager->sigchld, NULL)) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the process manager");
        goto out;
    }
    *out = manager;
    manager = NULL;
out:
    flo_manager_destroy(&manager);
    return rc;
}

void flo_manager_start(struct flo_manager *manager)
{
    if (manager->options.config->engine.enabled)
        start_process(&manager->processes[0]);
    if (engine_known(manager))
        start_workers(manager);
}

void flo_manager_stop(struct flo_manager *manager)
{
    begin_stop(manager, 0);
}

void flo_manager_destroy(struct flo_manager **manager)
{
    struct flo_manager *self = *manager;
    if (!self)
        return;
    flo_manager_kill(self);
    for (size_t i = 0; i < self->count; i++) {
        struct process *process = &self->processes[i];
        if (process->child) {
            (void)waitpid(flo_child_pid(process->child), NULL, 0);
            flo_child_destroy(&process->child);
        }
        if (process->timer)
            event_free(process->timer);
    }
    if (self->sigchld)
        event_free(self->sigchld);
    if (self->deadline)
        event_free(self->deadline);
    flo_free(self->processes);
    flo_free(self);
    *manager = NULL;
}

/* ---- views ---- */

size_t flo_manager_count(const struct flo_manager *manager)
{
    return manager->count;
}

void flo_manager_view(const struct flo_manager *manager, size_t i, struct flo_process_view *out)
{
    const struct process *process = &manager->processes[i];
    int64_t up_ms = process->child ? now_ms() - process->started_ms : 0;
    *out = (struct flo_process_view){.name = process->name,
                                     .worker = process->worker ? process->worker->name : "",
                                     .replica = process->replica,
                                     .wanted = !manager->stopping,
                                     .ready = process->state == FLO_PROCESS_UP,
                                     .program = process->worker
                                                    ? process->worker->program
                                                    : manager->options.config->engine.program,
                                     .http = process->http,
                                     .state = process->state,
                                     .engine = !process->worker,
                                     .crash_loop = flo_backoff_crash_loop(&process->backoff) &&
                                                   up_ms < process->backoff.stable_after_ms,
                                     .pid = process->child ? flo_child_pid(process->child) : 0,
                                     .restarts = process->restarts,
                                     .up_ms = up_ms};
}

const char *flo_manager_engine_address(const struct flo_manager *manager)
{
    return manager->engine_address;
}
