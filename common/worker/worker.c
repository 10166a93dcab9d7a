/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - building a worker from its configuration, running it, taking it apart. */
#include "worker/worker.h"
#include "worker/control.h"
#include "worker/local.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "telemetry/otlp.h"
#include "worker/quarantine.h"
#include "worker/trace.h"
#include "workflow/names.h"

#define EXPORT_LAST_MS 2000  /* to send what is still to be exported */
#define EXECUTOR_STOP_MS 200 /* idle ones need no more; busy ones had the drain */

static void log_workflow(void *ctx, enum flo_log_level level, const char *workflow_id,
                         const char *run_id, const char *workflow_type, const char *traceparent,
                         const char *message)
{
    const struct flo_trace_ids trace = flo_tracing_ids(traceparent);
    const struct flo_worker *worker = ctx;

    flo_log(level, "workflow.log", message, FLO_LOG_WHO(worker), "task_queue",
            worker->queues[0].name, "workflow_id", workflow_id, "run_id", run_id, "workflow_type",
            workflow_type, FLO_LOG_TRACE(trace), NULL);
}

static void log_activity(void *ctx, enum flo_log_level level, const struct flo_activity_info *info,
                         const char *message)
{
    const struct flo_trace_ids trace = flo_tracing_ids(info->traceparent);

    (void)ctx;
    flo_log(level, "activity.log", message, "namespace", info->namespace_, "worker_identity",
            info->worker_identity, "task_queue", info->task_queue, "activity_type",
            info->activity_type, "activity_id", info->activity_id, "workflow_type",
            info->workflow_type, "workflow_id", info->workflow_id, "run_id", info->run_id,
            "#attempt", FLO_NUM(info->attempt), FLO_LOG_TRACE(trace), NULL);
}

static bool find_activity(void *ctx, const char *type, flo_activity_fn *out_fn, void **out_shared)
{
    return flo_registry_activity(ctx, type, out_fn, out_shared);
}

static void activity_names(void *ctx, struct flo_buf *out)
{
    flo_registry_names(ctx, out);
}

static int load_modules(struct flo_worker *worker, const struct flo_module *module,
                        struct flo_err *err)
{
    int rc = flo_registry_new(&worker->registry, err);

    if (!rc && module)
        rc = flo_registry_add(worker->registry, worker->config->role, module, err);
    for (size_t i = 0; i < worker->config->modules.count && !rc; i++)
        rc = flo_registry_load(worker->registry, worker->config->role,
                               flo_role_config_module(worker->config, i), err);
    for (size_t i = 0; i < worker->config->propagate_headers.count && !rc; i++)
        rc = flo_registry_propagate(worker->registry, worker->config->propagate_headers.items[i],
                                    err);
    return rc;
}

static int make_codecs(struct flo_worker *worker, struct flo_err *err)
{
    const struct flo_role_config *config = worker->config;
    const struct flo_codec_options options = {.zstd = config->codec.zstd,
                                              .zstd_level = (int)config->codec.zstd_level,
                                              .zstd_above = (size_t)config->codec.zstd_above,
                                              .key_file = config->codec.key_file,
                                              .keys_dir = config->codec.keys_dir};
    int rc = flo_codec_row_new(&options, &worker->codecs, err);

    if (!rc)
        rc = flo_registry_codecs(worker->registry, worker->codecs);
    return rc == FLO_ENOMEM ? flo_fail(err, rc, "no memory for the codecs") : rc;
}

static int make_names(struct flo_worker *worker)
{
    struct flo_rng rng;

    flo_rng_seed(&rng, flo_random_u64());
    flo_rng_uuid4(&rng, worker->instance_key);
    worker->identity = flo_strdup(worker->config->identity);
    worker->sticky_queue = flo_asprintf("%s-%s", worker->config->identity, worker->instance_key);
    return worker->identity && worker->sticky_queue ? 0 : FLO_ENOMEM;
}

int flo_worker_new(const struct flo_role_spec *role, struct flo_role_config **config,
                   const struct flo_module *module, struct flo_worker **out, struct flo_err *err)
{
    struct flo_worker *worker = flo_calloc(1, sizeof *worker);
    int rc;

    if (!worker)
        return flo_fail(err, FLO_ENOMEM, "no memory for the worker");
    worker->role = role;
    worker->config = *config;
    *config = NULL;
    worker->program = flo_role_program(role->role);
    flo_list_init(&worker->workflow_tasks);
    flo_list_init(&worker->activity_tasks);
    rc = make_names(worker);
    if (rc)
        flo_fail(err, rc, "no memory for the worker's names");
    if (!rc)
        rc = flo_queues_new(worker, err);
    if (!rc)
        rc = load_modules(worker, module, err);
    if (!rc)
        rc = make_codecs(worker, err);
    if (rc) {
        flo_worker_destroy(&worker);
        return rc;
    }
    flo_versioning_init(worker);
    worker->run_env.workflow_types = flo_registry_types(worker->registry);
    worker->run_env.log = log_workflow;
    worker->run_env.log_ctx = worker;
    worker->run_env.metric = flo_count_sample;
    flo_registry_around(worker->registry, &worker->run_env);
    worker->library = (struct flo_activity_library){.find = find_activity,
                                                    .names = activity_names,
                                                    .log = log_activity,
                                                    .ctx = worker->registry,
                                                    .identity = worker->identity,
                                                    .task_queue = worker->queues[0].name,
                                                    .task_queues = worker->queue_names,
                                                    .task_queue_count = worker->queue_count};
    flo_tracing_prepare(worker);
    worker->library.wraps = flo_registry_wraps(worker->registry, &worker->library.wrap_count);
    *out = worker;
    return 0;
}

const struct flo_role_config *flo_worker_config(const struct flo_worker *worker)
{
    return worker->config;
}

/* ---- executors ---- */

static int child_start(void *ctx, struct flo_err *err)
{
    struct flo_worker *worker = ctx;

    return flo_registry_start(worker->registry, flo_role_name(worker->config->role),
                              worker->identity, err);
}

static void child_stop(void *ctx)
{
    struct flo_worker *worker = ctx;

    flo_registry_stop(worker->registry);
}

static struct flo_executor_options executor_options(struct flo_worker *worker, const char *name,
                                                    unsigned workers)
{
    return (struct flo_executor_options){.workers = workers,
                                         .name = name,
                                         .runner = flo_activity_task_run,
                                         .runner_ctx = &worker->library,
                                         .on_progress = flo_activity_on_progress,
                                         .on_note = flo_activity_on_note,
                                         .on_done = flo_activity_on_done,
                                         .on_broken = flo_activity_on_broken,
                                         .ctx = worker};
}

int flo_worker_fork_template(struct flo_worker *worker, const char *name, unsigned processes,
                             bool pin, struct flo_err *err)
{
    struct flo_executor_options options = executor_options(worker, name, processes);

    options.limits =
        (struct flo_executor_limits){.memory_bytes = worker->config->executor.limits.memory_bytes,
                                     .cpu_ms = worker->config->executor.limits.cpu_ms,
                                     .open_files = worker->config->executor.limits.open_files};
    options.recycling = (struct flo_executor_recycling){
        .max_jobs = worker->config->executor.max_jobs,
        .max_growth_bytes = worker->config->executor.max_growth_bytes};
    options.worker_start = child_start;
    options.worker_stop = child_stop;
    worker->executor_jobs = processes;
    flo_log_share_level(); /* a change of the level reaches them too */
    return flo_executor_template_start(&options, pin, &worker->tmpl, err);
}

int flo_worker_use_processes(struct flo_worker *worker, struct flo_err *err)
{
    struct flo_executor_options options = executor_options(worker, "cpu", 0);

    options.on_recycled = flo_recycled_on;
    options.on_idle_death = flo_activity_on_idle_death;
    return flo_executor_processes_new(worker->base, &options, &worker->tmpl, &worker->executor,
                                      err);
}

int flo_worker_use_threads(struct flo_worker *worker, const char *name, unsigned threads,
                           struct flo_err *err)
{
    struct flo_executor_options options = executor_options(worker, name, threads);
    int rc = child_start(worker, err);

    if (rc)
        return rc;
    worker->modules_started = true;
    worker->executor_jobs = threads;
    worker->executor_threads = true;
    options.runner = flo_activity_task_run_shared;
    options.on_stuck = flo_stuck_on;
    options.on_warning = flo_stuck_warn;
    options.on_fault = flo_stuck_fault;
    options.stack_bytes = (size_t)worker->config->executor.stack_bytes;
    return flo_executor_threads_new(worker->base, &options, &worker->executor, err);
}

/* ---- start ---- */

static const char *or_null(const char *text)
{
    return text && text[0] ? text : NULL;
}

struct flo_client_options flo_worker_client_options(const struct flo_worker *worker)
{
    const struct flo_server_config *server = &worker->config->server;

    return (struct flo_client_options){
        .channel = {.address = server->address,
                    .tls = {.enabled = server->tls.enabled,
                            .ca_file = or_null(server->tls.ca_file),
                            .cert_file = or_null(server->tls.cert_file),
                            .key_file = or_null(server->tls.key_file),
                            .server_name = or_null(server->tls.server_name)}},
        .namespace_ = server->name_space,
        .identity = worker->identity,
        .api_key = or_null(server->api_key),
        .long_poll_ms = server->long_poll_timeout_ms,
    };
}

static int start_client(struct flo_worker *worker, struct flo_err *err)
{
    struct flo_client_options options = flo_worker_client_options(worker);

    options.channel.on_state = flo_observe_connection;
    options.channel.on_state_ctx = worker;
    options.part = &flo_workflow_part;
    options.codecs = worker->codecs;
    options.on_try = flo_observe_try;
    options.on_unsent = flo_observe_unsent;
    options.on_try_ctx = worker;
    return flo_client_new(worker->base, &options, &worker->client, err);
}

static struct event_base *loop_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (!config)
        return NULL;
    /* One owner: no locks. No precise timer: fewer wake-ups and no timerfd. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void on_startup_retry(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flo_startup_begin(ctx);
}

int flo_worker_start(struct flo_worker *worker, struct flo_err *err)
{
    int rc;

    worker->base = loop_new();
    if (!worker->base)
        return flo_fail(err, FLO_ENOMEM, "cannot make an event loop");
    worker->startup_retry = evtimer_new(worker->base, on_startup_retry, worker);
    if (!worker->startup_retry)
        return flo_fail(err, FLO_ENOMEM, "no memory for a timer");
    rc = flo_drain_init(worker, err);
    if (!rc)
        rc = flo_commands_start(worker, err);
    if (!rc)
        rc = flo_metrics_new(&worker->metrics, err);
    if (!rc)
        rc = flo_health_new(&worker->health, err);
    if (!rc)
        rc = flo_observe_start(worker, err);
    if (!rc)
        rc = flo_service_start(worker, err);
    if (!rc)
        rc = flo_tracing_start(worker, err);
    if (!rc)
        rc = worker->role->start(worker, err);
    if (!rc)
        rc = flo_tuning_start(worker, err);
    if (!rc)
        rc = start_client(worker, err);
    if (!rc)
        rc = flo_summary_start(worker, err);
    if (!rc)
        rc = flo_depth_start(worker, err);
    if (!rc && worker->role->role != FLO_ROLE_WORKFLOW)
        flo_poison_start(worker);
    return rc;
}

const char *flo_worker_state_name(enum flo_worker_state state)
{
    static const char *const NAMES[] = {
        [FLO_WORKER_STARTING] = "starting",     [FLO_WORKER_RUNNING] = "running",
        [FLO_WORKER_QUIET] = "quiet",           [FLO_WORKER_DRAINING] = "draining",
        [FLO_WORKER_CANCELLING] = "cancelling", [FLO_WORKER_STOPPED] = "stopped",
    };

    return NAMES[state];
}

static void leave(void *ctx)
{
    struct flo_worker *worker = ctx;

    event_base_loopbreak(worker->base);
}

/* Export what is left, in the time that is left; then leave the loop. */
static void export_last(struct flo_worker *worker)
{
    int64_t left_ms = EXPORT_LAST_MS;

    if (worker->leave_by_ns > 0)
        left_ms = (worker->leave_by_ns - flo_clock_mono_ns()) / FLO_NS_PER_MS;
    flo_otlp_finish(worker->otlp, left_ms < EXPORT_LAST_MS ? left_ms : EXPORT_LAST_MS, leave,
                    worker);
}

void flo_worker_stop(struct flo_worker *worker, int exit_code)
{
    if (worker->state == FLO_WORKER_STOPPED)
        return;
    worker->state = FLO_WORKER_STOPPED;
    worker->exit_code = exit_code;
    if (worker->otlp)
        export_last(worker);
    else
        leave(worker);
}

int flo_worker_loop(struct flo_worker *worker)
{
    if (flo_registry_count(worker->registry) == 0)
        flo_log(FLO_LOG_WARN, "worker.empty", "No module gives this worker anything to serve",
                "task_queue", worker->queues[0].name, NULL);
    flo_startup_begin(worker);
    event_base_dispatch(worker->base);
    flo_summary_last(worker);
    flo_tell(worker, FLO_LOG_INFO, "worker.stopped", "Worker stopped", "#exit_code",
             FLO_NUM(worker->exit_code), "#abandoned",
             FLO_NUM(worker->counts.ended[FLO_END_ABANDONED]), NULL);
    return worker->exit_code;
}

/* Whatever still runs is cut: the loop has ended. */
static void drop_tasks(struct flo_worker *worker)
{
    struct flo_node *node;

    while ((node = flo_list_first(&worker->workflow_tasks))) {
        struct flo_workflow_task *wt = flo_container(node, struct flo_workflow_task, node);
        flo_workflow_task_end(&wt);
    }
    while ((node = flo_list_first(&worker->activity_tasks))) {
        struct flo_activity_task *at = flo_container(node, struct flo_activity_task, node);
        flo_activity_task_end(&at);
    }
}

size_t flo_worker_destroy(struct flo_worker **worker)
{
    struct flo_worker *gone = *worker;
    size_t left;

    if (!gone)
        return 0;
    *worker = NULL;
    gone->state = FLO_WORKER_STOPPED;
    flo_poll_fini(gone);
    left = flo_executor_destroy(&gone->executor, EXECUTOR_STOP_MS);
    if (left)
        return left; /* its threads use what follows */
    left = flo_shards_stop(gone->shards, EXECUTOR_STOP_MS);
    if (left)
        return left;
    left = flo_local_fini(gone, EXECUTOR_STOP_MS);
    if (left)
        return left;
    drop_tasks(gone);
    flo_poison_fini(gone);
    flo_tuning_fini(gone);
    flo_client_destroy(&gone->client);
    flo_shards_destroy(&gone->shards);
    flo_deadlock_fini(gone);
    if (gone->modules_started)
        flo_registry_stop(gone->registry);
    flo_summary_fini(gone);
    flo_burst_fini(gone);
    flo_otlp_destroy(&gone->otlp);
    flo_commands_fini(gone);
    flo_service_fini(gone);
    flo_tell_fini(gone);
    flo_observe_fini(gone);
    flo_depth_fini(gone);
    flo_health_destroy(&gone->health);
    flo_metrics_destroy(&gone->metrics);
    flo_drain_fini(gone);
    if (gone->startup_retry)
        event_free(gone->startup_retry);
    flo_executor_template_end(&gone->tmpl);
    flo_codec_row_destroy(&gone->codecs);
    flo_registry_destroy(&gone->registry);
    if (gone->base)
        event_base_free(gone->base);
    flo_queues_destroy(gone);
    flo_role_config_destroy(&gone->config);
    flo_free(gone->identity);
    flo_free(gone->sticky_queue);
    flo_free(gone);
    return 0;
}
