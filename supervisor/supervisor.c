/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.c - wiring: configuration, folder, hub, pages, manager, signals.
 *
 * Order of the end: manager (workers, then engine) - pages - hub - folder. The lock on the folder
 * is given up last, so that a second fleet cannot start into the first one's leftovers.
 *
 * Long, since every part of the supervisor is opened, joined to the others and closed here, and
 * nowhere else.
 */
#include "supervisor/supervisor.h"

#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "config/fleet_config.h"
#include "config/process.h"
#include "supervisor/hub/hub.h"
#include "supervisor/pages/control.h"
#include "supervisor/pages/pages.h"
#include "supervisor/processes/manager.h"
#include "supervisor/processes/state_dir.h"
#include "supervisor/scaling/keda.h"
#include "supervisor/scaling/scale.h"
#include "telemetry/curve.h"
#include "telemetry/http.h"
#include "telemetry/log.h"
#include "telemetry/notify.h"
#include "telemetry/otlp.h"

#define PROGRAM "flotilla-supervisor"
#define DEFAULT_CONFIG "config/fleet.yaml" /* in the current folder, for a local fleet */
#define READY_CHECK_US 100000
#define SERVICE_TICK_S 2
#define SERVICE_EXTEND_MS 10000 /* of which the next tick asks again */
#define EXPORT_LAST_MS 2000
#define IPC_PATH_MAX 107 /* of sockaddr_un */

struct supervisor {
    struct flo_fleet_config *config;
    struct flo_state_dir dir;
    struct event_base *base;
    struct event *signals[2];
    struct event *reload; /* SIGHUP */
    struct event *ready_check;
    struct flo_metrics *metrics;
    struct flo_health *health;
    struct flo_http *http;
    struct flo_fleet fleet;
    struct flo_events *events;
    struct flo_hub *hub;
    struct flo_manager *manager; /* local mode */
    struct flo_control *control;
    struct flo_pages pages;
    struct flo_scale *scale;
    struct flo_otlp *otlp; /* NULL: nothing is exported */
    struct flo_keda *keda; /* NULL: scaling.grpc is not set */
    char identity[300];
    char last_server[96];              /* where a killed supervisor's engine was */
    const struct flo_cmdline *cmdline; /* for reading the configuration again */
    bool local;
    bool stopping;
    bool told_ready;                  /* the service manager */
    struct event *service, *watchdog; /* of the service manager; NULL without one */
    int exit_code;
};

/* ---- events ---- */

static void publish(struct supervisor *self)
{
    struct flo_err err = {0};
    json_t *addresses = flo_pages_addresses_json(&self->pages);
    if (addresses && flo_state_dir_publish(&self->dir, addresses, &err))
        flo_log(FLO_LOG_WARN, "fleet.publish_failed", err.message, NULL);
    json_decref(addresses);
}

static void check_ready(struct supervisor *self)
{
    char reason[160];
    bool ready = !self->stopping && flo_pages_fleet_ready(&self->pages, reason, sizeof reason);
    flo_health_set_ready(self->health, "fleet", ready, self->stopping ? "stopping" : reason);
    if (ready)
        flo_notify_status("The fleet is ready");
    else
        flo_notify_status("%s", self->stopping ? "Stopping the fleet" : reason);
    if (ready && !self->told_ready) {
        char dashboard[FLO_HTTP_ADDRESS_MAX + 16];
        snprintf(dashboard, sizeof dashboard, "http://%s/", self->pages.health_address);
        flo_log(FLO_LOG_INFO, "fleet.ready", "The fleet is ready", "dashboard", dashboard, NULL);
        self->told_ready = true;
        flo_notify_ready();
    }
}

/* A start or a stop goes on: the service manager is to wait. */
static void on_service_tick(evutil_socket_t fd, short what, void *ctx)
{
    const struct supervisor *self = ctx;
    (void)fd;
    (void)what;
    if (!self->told_ready || self->stopping)
        flo_notify_extend(SERVICE_EXTEND_MS);
}

static int add_service_events(struct supervisor *self, struct flo_err *err)
{
    const struct timeval tick = {.tv_sec = SERVICE_TICK_S};
    if (!flo_notify_wanted())
        return 0;
    self->service = event_new(self->base, -1, EV_PERSIST, on_service_tick, self);
    if (!self->service || event_add(self->service, &tick))
        return flo_fail(err, FLO_ENOMEM, "no memory for the service manager's timer");
    return flo_notify_feed(self->base, self->health, &self->watchdog, err);
}

static void on_ready_check(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    check_ready(ctx);
}

static void on_change(void *ctx)
{
    struct supervisor *self = ctx;
    if (!self->manager)
        return;                                   /* still being made */
    flo_http_text_unref(&self->pages.fleet_text); /* who asks after a command sees its effect */
    publish(self);
    check_ready(self);
}

static void on_end(void *ctx, int exit_code)
{
    struct supervisor *self = ctx;
    self->exit_code = exit_code;
    event_base_loopbreak(self->base);
}

static void on_signal(evutil_socket_t number, short what, void *ctx)
{
    struct supervisor *self = ctx;
    (void)what;
    flo_log(FLO_LOG_INFO, "supervisor.stopping",
            self->stopping ? "Stopping at once" : "Stopping the fleet", "#signal", FLO_NUM(number),
            NULL);
    if (self->stopping || !self->manager) {
        if (self->stopping)
            self->exit_code = FLO_EXIT_SECOND_SIGNAL;
        event_base_loopbreak(self->base); /* destroying the manager kills what still runs */
        return;
    }
    self->stopping = true;
    flo_notify_stopping();
    flo_notify_extend(SERVICE_EXTEND_MS);
    check_ready(self);
    flo_manager_stop(self->manager);
}

/* What a worker reports, for the process manager. */
static bool report_of(void *ctx, pid_t pid, struct flo_process_report *out)
{
    struct supervisor *self = ctx;
    const int64_t now = flo_clock_mono_ns() / FLO_NS_PER_MS;
    const struct flo_fleet_entry *entry = flo_fleet_by_pid(&self->fleet, pid, now);
    if (!entry)
        return false;
    *out = (struct flo_process_report){.live = flo_fleet_entry_live(entry, now),
                                       .ready = entry->ready};
    flo_fleet_entry_reason(entry, now, out->reason, sizeof out->reason);
    if (!out->ready && !*out->reason)
        snprintf(out->reason, sizeof out->reason,
                 "it does not poll: still starting, or the server is away");
    return true;
}

/* The end of a child: what it reported last is no news any more. */
static void note_end(struct supervisor *self, const json_t *fields)
{
    char how[64];
    const int64_t pid = json_integer_value(json_object_get(fields, "pid"));
    const int signal = (int)json_integer_value(json_object_get(fields, "signal"));
    if (signal)
        snprintf(how, sizeof how, "signal %d (%s)", signal, strsignal(signal));
    else
        snprintf(how, sizeof how, "exit code %d",
                 (int)json_integer_value(json_object_get(fields, "exit_code")));
    flo_fleet_process_ended(&self->fleet, pid, how, flo_clock_mono_ns() / FLO_NS_PER_MS);
}

static void on_manager_event(void *ctx, const struct flo_manager_event *event)
{
    struct supervisor *self = ctx;
    const struct flo_event copy = {.ts_ms = flo_clock_wall_ns() / FLO_NS_PER_MS,
                                   .level = event->level,
                                   .kind = event->kind,
                                   .message = event->message,
                                   .name = event->name,
                                   .fields = event->fields};
    flo_events_add(self->events, &copy);
    if (strcmp(event->kind, "process.exited") == 0)
        note_end(self, event->fields);
}

static int load_again(void *ctx, struct flo_fleet_config **out, struct flo_err *err)
{
    const struct supervisor *self = ctx;
    return flo_fleet_config_load(self->cmdline, out, err);
}

static void on_reload(evutil_socket_t number, short what, void *ctx)
{
    struct supervisor *self = ctx;
    struct flo_err err = {0};
    (void)number;
    (void)what;
    if (self->told_ready)
        flo_notify_reloading();
    if (self->manager && flo_manager_reload(self->manager, &err))
        err = (struct flo_err){0}; /* it has said why */
    if (!self->hub)
        return; /* still starting: the keys are about to be read */
    if (flo_hub_reload_keys(self->hub, &err))
        flo_log(FLO_LOG_ERROR, "keys.reload_failed", err.message, NULL);
    else
        flo_log(FLO_LOG_INFO, "keys.reloaded", "The allowed keys were read again", NULL);
    if (self->told_ready)
        flo_notify_ready();
}

/* How many processes there are of each role, by what they report. */
static void collect(void *ctx, struct flo_metrics *metrics)
{
    struct supervisor *self = ctx;
    static const char *const states[] = {"running", "quiet", "draining", "stopped", "lost"};
    int64_t now = flo_clock_mono_ns() / FLO_NS_PER_MS;
    for (int role = 0; role < FLO_FLEET_ROLES; role++) {
        double counts[sizeof states / sizeof *states] = {0};
        FLO_LIST_FOREACH(node, &self->fleet.entries[role])
        {
            const char *state =
                flo_fleet_entry_state(flo_container(node, struct flo_fleet_entry, node), now);
            for (size_t i = 0; i < sizeof states / sizeof *states; i++)
                counts[i] += strcmp(states[i], state) == 0;
        }
        for (size_t i = 0; i < sizeof states / sizeof *states; i++)
            flo_series_set(flo_metrics_get(metrics, FLO_METRIC_FLEET_PROCESSES,
                                           flo_fleet_role_name((enum flo_fleet_role)role),
                                           states[i], NULL),
                           counts[i]);
    }
}

/* A fleet that can do nothing says so: it is what a slip of the folder looks like. */
static void warn_without_workers(const struct flo_fleet_config *config)
{
    const char *file = config->config.file;
    char text[600];
    int64_t count = 0;
    for (size_t i = 0; i < config->workers.count; i++)
        count += flo_fleet_config_worker(config, i)->count;
    if (count > 0)
        return;
    if (file)
        snprintf(text, sizeof text,
                 "%.200s names no workers: nothing will run; add some under workers:", file);
    else
        snprintf(text, sizeof text,
                 "There is no " DEFAULT_CONFIG " here and no --config: %s without workers, so "
                 "nothing will run; start it where " DEFAULT_CONFIG
                 " lies, or give the fleet's file with --config FILE",
                 config->engine.enabled ? "this is an engine" : "this is a fleet");
    flo_log(FLO_LOG_WARN, "fleet.no_workers", text, NULL);
}

/* ---- making ---- */

static int open_hub(struct supervisor *self, struct flo_err *err)
{
    char endpoint[4200];
    const char *configured = self->config->supervisor.endpoint;
    if (*configured)
        snprintf(endpoint, sizeof endpoint, "%s", configured);
    else
        snprintf(endpoint, sizeof endpoint, "ipc://%s/supervisor.sock", self->dir.path);
    if (strncmp(endpoint, "ipc://", 6) == 0 && strlen(endpoint) - 6 > IPC_PATH_MAX)
        return flo_fail(err, FLO_ECONFIG,
                        "the path of the supervisor's socket is too long (%zu bytes, 107 are "
                        "allowed): choose a shorter state_dir or set supervisor.endpoint",
                        strlen(endpoint) - 6);
    const struct flo_hub_options options = {
        .endpoint = endpoint,
        .secret_key_file = self->config->supervisor.curve.secret_key_file,
        .allowed_keys_dir = self->config->supervisor.curve.allowed_keys_dir,
        .events = self->events};
    return flo_hub_new(self->base, &options, &self->fleet, &self->hub, err);
}

static int open_pages(struct supervisor *self, struct flo_err *err)
{
    struct flo_fleet_config *config = self->config;
    self->pages = (struct flo_pages){.fleet = &self->fleet,
                                     .events = self->events,
                                     .metrics = self->metrics,
                                     .health = self->health,
                                     .identity = self->identity,
                                     .workflow_url = config->dashboard.workflow_url,
                                     .commands = flo_control_enabled(self->control),
                                     .endpoint = flo_hub_endpoint(self->hub),
                                     .server = config->server.address,
                                     .started_ms = flo_clock_wall_ns() / FLO_NS_PER_MS};
    struct flo_err why = {0};
    int rc = flo_http_new(self->base, self->metrics, self->health, &self->http, err);
    if (rc)
        return rc;
    rc = flo_pages_install(&self->pages, self->base, self->http);
    if (!rc)
        rc = flo_control_install(self->control, self->http);
    if (rc)
        return flo_fail(err, rc, "too many pages, or no memory for them");
    rc = flo_http_listen_both(self->http, config->health.host, (int)config->health.port,
                              config->metrics.host, (int)config->metrics.port,
                              self->pages.health_address, self->pages.metrics_address, &why);
    if (rc)
        return flo_fail(err, rc, "%s (health.port, metrics.port: 0 takes any free one)",
                        why.message);
    flo_process_announce(PROGRAM, "http", self->pages.health_address);
    if (strcmp(self->pages.health_address, self->pages.metrics_address) != 0)
        flo_process_announce(PROGRAM, "metrics", self->pages.metrics_address);
    return 0;
}

/* Before the pages listen: a token that is not safe is no token. */
static int open_control(struct supervisor *self, struct flo_err *err)
{
    const struct flo_control_options options = {.config = self->config,
                                                .state_dir = self->dir.path,
                                                .local = self->local,
                                                .fleet = &self->fleet,
                                                .hub = self->hub,
                                                .events = self->events,
                                                .manager = &self->manager,
                                                .metrics = self->metrics};
    return flo_control_new(&options, &self->control, err);
}

static int open_scale(struct supervisor *self, struct flo_err *err)
{
    const struct flo_scale_options options = {.config = self->config,
                                              .fleet = &self->fleet,
                                              .manager = self->local ? &self->manager : NULL,
                                              .metrics = self->metrics,
                                              .identity = self->identity,
                                              .events = self->events,
                                              .warmup_ms = self->local ? 0 : FLO_SCALE_WARMUP_MS};
    int rc = flo_scale_new(self->base, &options, &self->scale, err);
    if (rc)
        return rc;
    self->pages.backlogs = flo_scale_backlogs(self->scale);
    rc = flo_scale_install(self->scale, self->http);
    if (rc)
        return flo_fail(err, rc, "too many pages");
    const struct flo_fleet_config *config = self->config;
    const struct flo_keda_options keda = {.listen = config->scaling.grpc,
                                          .cert_file = config->scaling.tls.cert_file,
                                          .key_file = config->scaling.tls.key_file,
                                          .client_ca_file = config->scaling.tls.client_ca_file,
                                          .scale = self->scale,
                                          .metrics = self->metrics};
    if (!*keda.listen)
        return 0;
    rc = flo_keda_new(self->base, &keda, &self->keda, err);
    if (!rc)
        flo_process_announce(PROGRAM, "grpc", flo_keda_address(self->keda));
    return rc;
}

static int open_manager(struct supervisor *self, struct flo_err *err)
{
    if (!self->local)
        return 0;
    const char *listen = self->config->engine.listen;
    const bool again = flo_state_dir_is_left(&self->dir);
    flo_state_dir_await_engine(&self->dir);
    if (strlen(listen) > 2 && strcmp(listen + strlen(listen) - 2, ":0") == 0)
        flo_state_dir_last_server(&self->dir, self->last_server, sizeof self->last_server);
    const struct flo_manager_options options = {.config = self->config,
                                                .state_dir = self->dir.path,
                                                .endpoint = flo_hub_endpoint(self->hub),
                                                .engine_address = self->last_server,
                                                .again = again,
                                                .metrics = self->metrics,
                                                .report = report_of,
                                                .load = load_again,
                                                .on_change = on_change,
                                                .on_end = on_end,
                                                .on_event = on_manager_event,
                                                .ctx = self};
    int rc = flo_manager_new(self->base, &options, &self->manager, err);
    self->pages.manager = self->manager;
    return rc;
}

static int add_events(struct supervisor *self, struct flo_err *err)
{
    static const int numbers[2] = {SIGTERM, SIGINT};
    const struct timeval often = {.tv_usec = READY_CHECK_US};
    bool good = true;
    for (int i = 0; i < 2; i++) {
        self->signals[i] = evsignal_new(self->base, numbers[i], on_signal, self);
        good = good && self->signals[i] && event_add(self->signals[i], NULL) == 0;
    }
    self->ready_check = event_new(self->base, -1, EV_PERSIST, on_ready_check, self);
    good = good && self->ready_check && event_add(self->ready_check, &often) == 0;
    self->reload = evsignal_new(self->base, SIGHUP, on_reload, self);
    good = good && self->reload && event_add(self->reload, NULL) == 0;
    return good ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for the supervisor's events");
}

/* Our own metrics to an OpenTelemetry collector; workers send theirs. */
static int open_export(struct supervisor *self, struct flo_err *err)
{
    const struct flo_otlp_config *config = &self->config->otlp;
    const struct flo_otlp_options options = {.metrics_url = config->metrics_url,
                                             .headers = config->headers,
                                             .ca_file = config->ca_file,
                                             .interval_ms = config->interval_ms,
                                             .timeout_ms = config->timeout_ms,
                                             .service = config->service_name,
                                             .program = PROGRAM,
                                             .instance = self->identity,
                                             .version = flo_version(),
                                             .resource = config->resource_attributes,
                                             .metrics = self->metrics};
    return *options.metrics_url ? flo_otlp_new(self->base, &options, &self->otlp, err) : 0;
}

static void on_exported(void *ctx)
{
    struct supervisor *self = ctx;
    event_base_loopbreak(self->base);
}

/* All processes have ended: the last numbers. */
static void export_last(struct supervisor *self)
{
    if (!self->otlp || self->exit_code == FLO_EXIT_SECOND_SIGNAL)
        return;
    flo_otlp_finish(self->otlp, EXPORT_LAST_MS, on_exported, self);
    event_base_dispatch(self->base);
}

static int open_all(struct supervisor *self, struct flo_err *err)
{
    flo_process_default_identity("supervisor", self->identity, sizeof self->identity);
    self->base = event_base_new();
    if (!self->base)
        return flo_fail(err, FLO_ESYS, "cannot make an event loop");
    int rc = flo_metrics_new(&self->metrics, err);
    if (!rc)
        rc = flo_metrics_add_process(self->metrics, flo_version(), "supervisor");
    if (!rc)
        flo_metrics_set_naming(self->metrics, (enum flo_naming)self->config->metrics.naming);
    if (!rc)
        rc = flo_metrics_on_collect(self->metrics, collect, self);
    if (!rc)
        rc = flo_health_new(&self->health, err);
    if (!rc)
        rc = flo_health_export(self->health, self->metrics);
    flo_fleet_init(&self->fleet, self->metrics);
    if (!rc)
        rc = flo_events_new(0, &self->events, err);
    if (!rc)
        rc = add_events(self, err); /* signals first: one may come while we start */
    if (!rc)
        rc = flo_state_dir_open(self->config->state_dir, self->local, &self->dir, err);
    if (!rc)
        rc = open_hub(self, err);
    if (!rc)
        rc = open_control(self, err);
    if (!rc)
        rc = open_pages(self, err);
    if (!rc)
        rc = open_scale(self, err);
    if (!rc)
        rc = open_export(self, err);
    if (!rc)
        rc = open_manager(self, err);
    if (!rc)
        rc = add_service_events(self, err);
    return rc;
}

static void close_all(struct supervisor *self)
{
    flo_manager_destroy(&self->manager);
    flo_pages_fini(&self->pages); /* its streams end before the server does */
    flo_http_destroy(&self->http);
    flo_keda_destroy(&self->keda);
    flo_scale_destroy(&self->scale);
    flo_hub_destroy(&self->hub);
    flo_control_destroy(&self->control); /* after those who still answer it */
    if (self->fleet.metrics)
        flo_fleet_fini(&self->fleet);
    flo_events_destroy(&self->events);
    flo_otlp_destroy(&self->otlp);
    flo_health_destroy(&self->health);
    flo_metrics_destroy(&self->metrics);
    for (int i = 0; i < 2; i++)
        if (self->signals[i])
            event_free(self->signals[i]);
    if (self->reload)
        event_free(self->reload);
    if (self->ready_check)
        event_free(self->ready_check);
    if (self->service)
        event_free(self->service);
    if (self->watchdog)
        event_free(self->watchdog);
    if (self->base)
        event_base_free(self->base);
    flo_state_dir_close(&self->dir);
    flo_fleet_config_destroy(&self->config);
}

/*
 * Reports are allocated by libzmq's thread and freed by ours: one arena. For each connection libzmq
 * holds three blocks above 16 KiB that are mostly never touched; in mappings of their own only what
 * is touched counts, and goes back when the connection ends. So do pages of metrics.
 */
static void use_memory_sparingly(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 16384);
    mallopt(M_TOP_PAD, 0); /* else such blocks come out of the heap's reserve */
}

static int run(struct supervisor *self)
{
    struct flo_err err = {0};
    use_memory_sparingly();
    flo_log_open((enum flo_log_level)self->config->log.level,
                 (enum flo_log_format)self->config->log.format, PROGRAM);
    for (size_t i = 0; i < self->config->config.warning_count; i++)
        flo_log(FLO_LOG_WARN, "config.warning", self->config->config.warnings[i], NULL);
    int rc = open_all(self, &err);
    if (rc) {
        flo_log(FLO_LOG_ERROR, rc == FLO_ECONN ? "bind.failed" : "supervisor.start_failed",
                err.message, NULL);
        return flo_exit_code(rc);
    }
    flo_log(FLO_LOG_INFO, "supervisor.started", "Supervisor started", "http",
            self->pages.health_address, "metrics", self->pages.metrics_address, "endpoint",
            flo_hub_endpoint(self->hub), NULL);
    if (self->manager) {
        warn_without_workers(self->config);
        flo_manager_start(self->manager);
    }
    check_ready(self);
    flo_process_trim(); /* what only the start needed */
    event_base_dispatch(self->base);
    export_last(self);
    return self->exit_code;
}

/* The same as `flotilla keys generate`, for where there is only this program. */
static int make_keys(const char *dir)
{
    char path[4096], public[FLO_CURVE_TEXT];
    struct flo_err err = {0};
    int rc = flo_curve_make_fleet(dir, NULL, 0, &err);
    snprintf(path, sizeof path, "%.4000s/supervisor.public", dir);
    if (!rc)
        rc = flo_curve_read_public(path, public, &err);
    if (rc)
        fprintf(stderr, "%s: %s\n", PROGRAM, err.message);
    else
        printf("%s: the supervisor's public key is %s\n", PROGRAM, public);
    return flo_exit_code(rc);
}

int flo_supervisor_main(int argc, char **argv, bool local)
{
    bool local_flag = false;
    const char *keys_dir = NULL;
    const struct flo_cmdline_option options[] = {
        {"--local", NULL, "also start, restart and stop the processes of the fleet", NULL,
         &local_flag},
        {"--gen-keys", "DIR", "make keys for supervisor.curve in DIR, and end", &keys_dir, NULL},
        {NULL, NULL, NULL, NULL, NULL}};
    const struct flo_cmdline_spec spec = {
        .program = PROGRAM,
        .summary =
            "Collects the workers' reports: /metrics, /health, /ready, /v1/fleet, dashboard.",
        .config_options = true,
        .options = options,
        .epilog = "Settings: docs/configuration.md"};
    struct flo_cmdline cmdline;
    struct flo_err err = {0};
    int exit_code = 0;
    flo_process_init();
    flo_notify_init();
    if (!flo_cmdline_parse(&spec, argc, argv, &cmdline, &exit_code))
        return exit_code;
    if (keys_dir)
        return make_keys(keys_dir);
    struct supervisor self = {
        .dir = {.lock_fd = -1}, .cmdline = &cmdline, .local = local || local_flag};
    if (self.local && !cmdline.config && access(DEFAULT_CONFIG, F_OK) == 0)
        cmdline.config = DEFAULT_CONFIG;
    int rc = flo_fleet_config_load(&cmdline, &self.config, &err);
    if (rc) {
        fprintf(stderr, "%s: %s\n", PROGRAM, err.message);
        return flo_exit_code(rc);
    }
    if (!flo_config_main_end(&self.config->config, &cmdline, &exit_code))
        exit_code = run(&self);
    close_all(&self);
    return exit_code;
}
