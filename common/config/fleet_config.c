/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_config.c - the table of config/fleet.yaml and its checks. */
#include "config/fleet_config.h"

#include <string.h>

#include "base/alloc.h"
#include "config/internal.h"

#define AT(member) offsetof(struct flo_fleet_config, member)
#define ALLOWED_HOSTS_MAX 12 /* the HTTP server takes 16, with those of health and metrics */
#define WORKER_AT(member) offsetof(struct flo_fleet_worker, member)

/* clang-format off */
static const struct flo_setting worker_settings[] = {
    {.key = "name", .type = FLO_SETTING_STRING, .offset = WORKER_AT(name), .min = 1, .max = 60, .flags = FLO_SETTING_REQUIRED, .help = "Name of the process, unique; of several: name-1, name-2"},
    {.key = "program", .type = FLO_SETTING_STRING, .offset = WORKER_AT(program), .min = 1, .max = 1024, .flags = FLO_SETTING_REQUIRED, .help = "Executable, beside the supervisor unless it holds a slash"},
    {.key = "config", .type = FLO_SETTING_STRING, .offset = WORKER_AT(config), .max = 1024, .flags = FLO_SETTING_PATH, .help = "Its YAML file, relative to fleet.yaml"},
    {.key = "count", .type = FLO_SETTING_INT, .offset = WORKER_AT(count), .initial = "1", .min = 0, .max = 64, .help = "Processes to run"},
    {.key = "autoscale.enabled", .type = FLO_SETTING_ENUM, .offset = WORKER_AT(autoscale.enabled), .initial = "auto", .choices = "auto|true|false", .help = "How many processes run follows the load (docs/autoscaling.md); `auto`: when another `autoscale` setting is given. `count` run at the start"},
    {.key = "autoscale.min", .type = FLO_SETTING_INT, .offset = WORKER_AT(autoscale.min), .initial = "-1", .min = -1, .max = 64, .help = "Fewest processes; -1: `scaling.min`"},
    {.key = "autoscale.max", .type = FLO_SETTING_INT, .offset = WORKER_AT(autoscale.max), .initial = "-1", .min = -1, .max = 64, .help = "Most processes; -1: `scaling.max`"},
    {.key = "autoscale.up_backlog", .type = FLO_SETTING_INT, .offset = WORKER_AT(autoscale.up_backlog), .initial = "-1", .min = -1, .max = 1000000, .help = "More processes when more tasks wait for each; -1: `scaling.up_workflow_backlog` or `scaling.up_activity_backlog`"},
    {.key = "autoscale.down_backlog", .type = FLO_SETTING_INT, .offset = WORKER_AT(autoscale.down_backlog), .initial = "-1", .min = -1, .max = 1000000, .help = "Fewer only while fewer tasks wait for each; -1: `scaling.down_workflow_backlog` or `scaling.down_activity_backlog`"},
    {.key = "autoscale.cooldown", .type = FLO_SETTING_DURATION, .offset = WORKER_AT(autoscale.cooldown_ms), .initial = "0s", .max = 86400000, .help = "A lower count must have been enough for so long; 0s: `scaling.cooldown`"},
    {.key = "set", .type = FLO_SETTING_JSON, .offset = WORKER_AT(set), .help = "Settings that differ from its YAML: passed as --set"},
    {.key = "env", .type = FLO_SETTING_JSON, .offset = WORKER_AT(env), .help = "Environment variables to add"},
    {.key = "replace", .type = FLO_SETTING_ENUM, .offset = WORKER_AT(replace), .initial = "auto", .choices = "auto|start-first|drain-first", .help = "How a process is replaced: `start-first`: the old one is drained when the new one is ready; `drain-first`: the other way round; `auto`: drain first when its pages have fixed ports"},
};

static const struct flo_setting queue_settings[] = {
    {.key = "name", .type = FLO_SETTING_STRING, .offset = offsetof(struct flo_fleet_queue, name), .min = 1, .max = 1000, .flags = FLO_SETTING_REQUIRED, .help = "The task queue"},
    {.key = "role", .type = FLO_SETTING_ENUM, .offset = offsetof(struct flo_fleet_queue, role), .initial = "workflow", .choices = "workflow|io-activity|cpu-activity", .help = "Whose workers poll it"},
};

static const struct flo_setting settings[] = {
    {.key = "state_dir", .type = FLO_SETTING_STRING, .offset = AT(state_dir), .initial = ".flotilla", .min = 1, .max = 1024, .env = "FLOTILLA_STATE_DIR", .help = "Folder for the lock, fleet.json, the supervisor's socket and the engine's database; relative to the current folder"},
    {.key = "engine.enabled", .type = FLO_SETTING_BOOL, .offset = AT(engine.enabled), .initial = "true", .help = "Start flotilla-engine; false: workers use `server.address`"},
    {.key = "engine.program", .type = FLO_SETTING_STRING, .offset = AT(engine.program), .initial = "flotilla-engine", .min = 1, .max = 1024, .help = "Executable, beside the supervisor unless it holds a slash"},
    {.key = "engine.listen", .type = FLO_SETTING_STRING, .offset = AT(engine.listen), .initial = "127.0.0.1:7233", .min = 1, .max = 255, .env = "FLOTILLA_ENGINE_LISTEN", .help = "host:port of the engine; port 0: the kernel chooses"},
    {.key = "engine.db", .type = FLO_SETTING_STRING, .offset = AT(engine.db), .initial = "engine.db", .max = 1024, .help = "Database file, relative to `state_dir`; empty: in memory, nothing is kept"},
    {.key = "engine.http", .type = FLO_SETTING_STRING, .offset = AT(engine.http), .initial = "127.0.0.1:0", .max = 255, .help = "host:port of the engine's /health, /ready and /metrics; empty: none"},
    {.key = "engine.args", .type = FLO_SETTING_STRINGS, .offset = AT(engine.args), .help = "More arguments for the engine"},
    {.key = "server.address", .type = FLO_SETTING_STRING, .offset = AT(server.address), .max = 255, .env = "TEMPORAL_ADDRESS TEMPORAL_HOST DEFAULT_TEMPORAL_URL", .help = "Where workers connect when no engine is started"},
    {.key = "server.namespace", .type = FLO_SETTING_STRING, .offset = AT(server.name_space), .initial = "default", .min = 1, .max = 255, .env = "TEMPORAL_NAMESPACE TEMPORAL_WORKER_NAMESPACE DEFAULT_TEMPORAL_NAMESPACE", .help = "Namespace for all workers"},
    {.key = "server.api_key", .type = FLO_SETTING_STRING, .offset = AT(server.api_key), .max = 16384, .env = "TEMPORAL_API_KEY", .flags = FLO_SETTING_SECRET, .help = "Bearer token with which the supervisor asks for backlogs, as the rest of `server`; workers have their own settings. Turns TLS on unless `server.tls.enabled` says otherwise"},
    {.key = "server.api_key_file", .type = FLO_SETTING_STRING, .offset = AT(server.api_key_file), .max = 4096, .flags = FLO_SETTING_PATH, .env = "TEMPORAL_API_KEY_FILE", .help = "File that holds the API key"},
    {.key = "server.tls.enabled", .type = FLO_SETTING_BOOL, .offset = AT(server.tls.enabled), .initial = "false", .env = "TEMPORAL_TLS", .help = "Speak TLS to the server"},
    {.key = "server.tls.ca_file", .type = FLO_SETTING_STRING, .offset = AT(server.tls.ca_file), .max = 4096, .flags = FLO_SETTING_PATH, .env = "TEMPORAL_TLS_SERVER_CA_CERT_PATH TEMPORAL_TLS_CA", .help = "Certificate authorities that may sign the server's certificate (PEM); empty: the system's"},
    {.key = "server.tls.cert_file", .type = FLO_SETTING_STRING, .offset = AT(server.tls.cert_file), .max = 4096, .flags = FLO_SETTING_PATH, .env = "TEMPORAL_TLS_CLIENT_CERT_PATH TEMPORAL_TLS_CERT", .help = "Client certificate (PEM), for mutual TLS"},
    {.key = "server.tls.key_file", .type = FLO_SETTING_STRING, .offset = AT(server.tls.key_file), .max = 4096, .flags = FLO_SETTING_PATH, .env = "TEMPORAL_TLS_CLIENT_KEY_PATH TEMPORAL_TLS_KEY", .help = "Key of the client certificate (PEM)"},
    {.key = "server.tls.server_name", .type = FLO_SETTING_STRING, .offset = AT(server.tls.server_name), .max = 255, .env = "TEMPORAL_TLS_SERVER_NAME", .help = "Name that the server's certificate must carry; empty: the host of `server.address`"},
    {.key = "workers", .type = FLO_SETTING_LIST, .offset = AT(workers), .items = worker_settings, .item_count = sizeof worker_settings / sizeof worker_settings[0], .item_size = sizeof(struct flo_fleet_worker), .help = "The workers to start"},
    {.key = "restart.min_backoff", .type = FLO_SETTING_DURATION, .offset = AT(restart.min_backoff_ms), .initial = "1s", .min = 10, .max = 600000, .help = "Wait before the first restart; doubles with each"},
    {.key = "restart.max_backoff", .type = FLO_SETTING_DURATION, .offset = AT(restart.max_backoff_ms), .initial = "30s", .min = 10, .max = 3600000, .help = "Longest wait"},
    {.key = "restart.stable_after", .type = FLO_SETTING_DURATION, .offset = AT(restart.stable_after_ms), .initial = "30s", .min = 100, .max = 3600000, .help = "A process that ran this long starts over at the shortest wait"},
    {.key = "restart.crash_loop_after", .type = FLO_SETTING_INT, .offset = AT(restart.crash_loop_after), .initial = "5", .min = 1, .max = 1000, .help = "Restarts without such a run that are reported as a crash loop (it is still restarted)"},
    {.key = "supervisor.endpoint", .type = FLO_SETTING_STRING, .offset = AT(supervisor.endpoint), .max = 255, .env = "FLOTILLA_SUPERVISOR", .help = "ZeroMQ endpoint to bind; empty: `ipc://STATE_DIR/supervisor.sock`"},
    {.key = "supervisor.curve.secret_key_file", .type = FLO_SETTING_STRING, .offset = AT(supervisor.curve.secret_key_file), .max = 4096, .flags = FLO_SETTING_PATH, .env = "FLOTILLA_SUPERVISOR_SECRET_KEY_FILE", .help = "Its secret key: reports are encrypted, and only keys of `allowed_keys_dir` may report; `flotilla keys generate` makes keys"},
    {.key = "supervisor.curve.allowed_keys_dir", .type = FLO_SETTING_STRING, .offset = AT(supervisor.curve.allowed_keys_dir), .max = 4096, .flags = FLO_SETTING_PATH, .env = "FLOTILLA_SUPERVISOR_ALLOWED_KEYS_DIR", .help = "Folder of the workers' public keys, NAME.public; read again on SIGHUP"},
    {.key = "supervisor.insecure", .type = FLO_SETTING_BOOL, .offset = AT(supervisor.insecure), .initial = "false", .env = "FLOTILLA_SUPERVISOR_INSECURE", .help = "Allow a `tcp://` endpoint that other machines reach without keys"},
    {.key = "supervisor.token_file", .type = FLO_SETTING_STRING, .offset = AT(supervisor.token_file), .max = 4096, .flags = FLO_SETTING_PATH, .env = "FLOTILLA_TOKEN_FILE", .help = "File with the token that `POST /v1/commands` and `/v1/processes` ask for: one line, 16 to 512 characters, readable by nobody else; empty: in local mode `STATE_DIR/control.token`, made at the start, else nothing is accepted"},
    {.key = "supervisor.allowed_hosts", .type = FLO_SETTING_STRINGS, .offset = AT(supervisor.allowed_hosts), .help = "More names, at most 12, under which commands may be sent, as in `Host` without the port; `*`: any. IP addresses, localhost, this machine's name and the hosts of `health` and `metrics` always may"},
    {.key = "dashboard.workflow_url", .type = FLO_SETTING_STRING, .offset = AT(dashboard.workflow_url), .max = 1024, .env = "FLOTILLA_DASHBOARD_WORKFLOW_URL", .help = "Where the dashboard's links to workflows lead, as `https://temporal.example.com/namespaces/{namespace}/workflows/{workflow_id}/{run_id}`; empty: no links"},
    {.key = "health.host", .type = FLO_SETTING_STRING, .offset = AT(health.host), .initial = "127.0.0.1", .min = 1, .max = 255, .env = "FLOTILLA_HEALTH_HOST", .help = "Address of /health, /ready, /v1/fleet and the dashboard"},
    {.key = "health.port", .type = FLO_SETTING_INT, .offset = AT(health.port), .initial = "8080", .max = 65535, .env = "FLOTILLA_HEALTH_PORT", .help = "Its port; 0: the kernel chooses"},
    {.key = "metrics.host", .type = FLO_SETTING_STRING, .offset = AT(metrics.host), .initial = "127.0.0.1", .min = 1, .max = 255, .env = "FLOTILLA_METRICS_HOST", .help = "Address of /metrics"},
    {.key = "metrics.port", .type = FLO_SETTING_INT, .offset = AT(metrics.port), .initial = "9464", .max = 65535, .env = "FLOTILLA_METRICS_PORT", .help = "Its port; one listener serves all when host and port equal those of `health`"},
    {.key = "metrics.naming", .type = FLO_SETTING_ENUM, .offset = AT(metrics.naming), .initial = "tally", .choices = "tally|core|otel-go", .env = "FLOTILLA_METRICS_NAMING", .help = "How the fleet's page names what the Temporal SDKs export too (docs/metrics.md); each worker's own page follows its own setting"},
    {.key = "otlp.endpoint", .type = FLO_SETTING_STRING, .offset = AT(otlp.endpoint), .max = 1024, .env = "OTEL_EXPORTER_OTLP_ENDPOINT", .help = "OpenTelemetry collector, `http://host:4318` or `https://...`: the supervisor's own metrics go to `/v1/metrics` there (workers export theirs); empty: nothing is exported"},
    {.key = "otlp.metrics_endpoint", .type = FLO_SETTING_STRING, .offset = AT(otlp.metrics_endpoint), .max = 1024, .env = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", .help = "The whole address, instead"},
    {.key = "otlp.headers", .type = FLO_SETTING_STRING, .offset = AT(otlp.headers), .max = 16384, .flags = FLO_SETTING_SECRET, .env = "OTEL_EXPORTER_OTLP_HEADERS", .help = "Headers of each export, `key=value,...`, percent-encoded"},
    {.key = "otlp.ca_file", .type = FLO_SETTING_STRING, .offset = AT(otlp.ca_file), .max = 4096, .flags = FLO_SETTING_PATH, .env = "OTEL_EXPORTER_OTLP_CERTIFICATE", .help = "Certificate authorities that may sign the collector's certificate (PEM); empty: the system's"},
    {.key = "otlp.metrics", .type = FLO_SETTING_BOOL, .offset = AT(otlp.metrics), .initial = "true", .help = "Export metrics, when there is an endpoint"},
    {.key = "otlp.interval", .type = FLO_SETTING_DURATION, .offset = AT(otlp.interval_ms), .initial = "60s", .min = 100, .max = 3600000, .help = "Time between two exports; `OTEL_METRIC_EXPORT_INTERVAL` says it in milliseconds"},
    {.key = "otlp.timeout", .type = FLO_SETTING_DURATION, .offset = AT(otlp.timeout_ms), .initial = "10s", .min = 10, .max = 300000, .help = "Time limit of one export; `OTEL_EXPORTER_OTLP_TIMEOUT` says it in milliseconds"},
    {.key = "otlp.service_name", .type = FLO_SETTING_STRING, .offset = AT(otlp.service_name), .max = 255, .env = "OTEL_SERVICE_NAME", .help = "`service.name`; empty: that of `otlp.resource_attributes`, else `flotilla-supervisor`. Workers of a local fleet inherit the variable"},
    {.key = "otlp.resource_attributes", .type = FLO_SETTING_STRING, .offset = AT(otlp.resource_attributes), .max = 16384, .env = "OTEL_RESOURCE_ATTRIBUTES", .help = "More attributes of all that is exported, `key=value,...`, percent-encoded"},
    {.key = "log.level", .type = FLO_SETTING_ENUM, .offset = AT(log.level), .initial = "info", .choices = "trace|debug|info|warn|error", .env = "FLOTILLA_LOG_LEVEL", .help = "Least level that is logged"},
    {.key = "log.format", .type = FLO_SETTING_ENUM, .offset = AT(log.format), .initial = "auto", .choices = "auto|json|text|logfmt", .env = "FLOTILLA_LOG_FORMAT", .help = "`auto`: text on a terminal, else JSON lines; `logfmt`: key=value pairs"},
    {.key = "scaling.backlog_interval", .type = FLO_SETTING_DURATION, .offset = AT(scaling.interval_ms), .initial = "1s", .max = 600000, .help = "Time between two questions to the server how much waits in a queue; 0s: it is not asked, and nothing is scaled"},
    {.key = "scaling.min", .type = FLO_SETTING_INT, .offset = AT(scaling.min), .initial = "3", .max = 1000, .help = "Fewest replicas; 0: none when nothing was to be done for `scaling.zero_cooldown`"},
    {.key = "scaling.max", .type = FLO_SETTING_INT, .offset = AT(scaling.max), .initial = "20", .min = 1, .max = 1000, .help = "Most replicas"},
    {.key = "scaling.up_workflow_backlog", .type = FLO_SETTING_INT, .offset = AT(scaling.up_backlog[0]), .initial = "10", .min = 1, .max = 1000000, .help = "More workflow workers when more workflow tasks wait for each of them"},
    {.key = "scaling.down_workflow_backlog", .type = FLO_SETTING_INT, .offset = AT(scaling.down_backlog[0]), .initial = "3", .max = 1000000, .help = "Fewer only while fewer than so many wait for each"},
    {.key = "scaling.up_activity_backlog", .type = FLO_SETTING_INT, .offset = AT(scaling.up_backlog[1]), .initial = "15", .min = 1, .max = 1000000, .help = "The same for activity tasks and activity workers"},
    {.key = "scaling.down_activity_backlog", .type = FLO_SETTING_INT, .offset = AT(scaling.down_backlog[1]), .initial = "5", .max = 1000000, .help = "The same for activity tasks and activity workers"},
    {.key = "scaling.drain_target", .type = FLO_SETTING_DURATION, .offset = AT(scaling.drain_target_ms), .initial = "10s", .min = 100, .max = 3600000, .help = "A backlog is to be gone after so long: with the mean time of a task it says how many replicas that takes"},
    {.key = "scaling.target_utilization", .type = FLO_SETTING_FLOAT, .offset = AT(scaling.target_utilization), .initial = "0.8", .min = 0.1, .max = 1, .help = "Share of the slots that may be in use after replicas are taken away"},
    {.key = "scaling.cooldown", .type = FLO_SETTING_DURATION, .offset = AT(scaling.cooldown_ms), .initial = "60s", .max = 86400000, .help = "Replicas are taken away when fewer were enough for so long"},
    {.key = "scaling.zero_cooldown", .type = FLO_SETTING_DURATION, .offset = AT(scaling.zero_cooldown_ms), .initial = "300s", .max = 86400000, .help = "The last one goes when nothing waited or ran for so long, with `scaling.min` 0"},
    {.key = "scaling.settle", .type = FLO_SETTING_DURATION, .offset = AT(scaling.settle_ms), .initial = "15s", .min = 100, .max = 600000, .help = "New replicas get so long to report before the next decision"},
    {.key = "scaling.grpc", .type = FLO_SETTING_STRING, .offset = AT(scaling.grpc), .max = 255, .env = "FLOTILLA_SCALING_GRPC", .help = "host:port of the external scaler for KEDA (gRPC); empty: none"},
    {.key = "scaling.tls.cert_file", .type = FLO_SETTING_STRING, .offset = AT(scaling.tls.cert_file), .max = 4096, .flags = FLO_SETTING_PATH, .help = "Its certificate chain (PEM); empty: plain text"},
    {.key = "scaling.tls.key_file", .type = FLO_SETTING_STRING, .offset = AT(scaling.tls.key_file), .max = 4096, .flags = FLO_SETTING_PATH, .help = "Key of the certificate (PEM)"},
    {.key = "scaling.tls.client_ca_file", .type = FLO_SETTING_STRING, .offset = AT(scaling.tls.client_ca_file), .max = 4096, .flags = FLO_SETTING_PATH, .help = "Clients must have a certificate that these authorities signed; empty: any client"},
    {.key = "scaling.insecure", .type = FLO_SETTING_BOOL, .offset = AT(scaling.insecure), .initial = "false", .help = "Allow a `scaling.grpc` that other machines reach without TLS"},
    {.key = "scaling.queues", .type = FLO_SETTING_LIST, .offset = AT(scaling.queues), .items = queue_settings, .item_count = sizeof queue_settings / sizeof queue_settings[0], .item_size = sizeof(struct flo_fleet_queue), .help = "Queues to ask about although no worker may be there to tell of them: those of deployments that scale to zero"},
    {.key = "logs.max_size", .type = FLO_SETTING_SIZE, .offset = AT(logs.max_size), .initial = "16MiB", .max = 1099511627776.0, .help = "Size at which the log of a process, STATE_DIR/logs/NAME.log, is put aside as NAME.log.1; 0: no log files"},
    {.key = "logs.keep", .type = FLO_SETTING_INT, .offset = AT(logs.keep), .initial = "3", .max = 99, .help = "How many older ones of each are kept: NAME.log.1 is the newest of them"},
    {.key = "logs.print", .type = FLO_SETTING_BOOL, .offset = AT(logs.print), .initial = "true", .help = "Write what the processes say to the supervisor's own output, too, each line behind its process's name"},
    {.key = "restart_on_change", .type = FLO_SETTING_BOOL, .offset = AT(restart_on_change), .initial = "false", .help = "Watch fleet.yaml, the workers' YAML files, programs and modules, and replace the workers that a change concerns, as `flotilla restart --changed` does"},
    {.key = "start_timeout", .type = FLO_SETTING_DURATION, .offset = AT(start_timeout_ms), .initial = "30s", .min = 100, .max = 3600000, .help = "Time the engine gets to say where it listens, before it is started again, and workers get to become ready, before that is reported and a replacement is given up"},
    {.key = "shutdown_timeout", .type = FLO_SETTING_DURATION, .offset = AT(shutdown_timeout_ms), .initial = "35s", .min = 0, .max = 86400000, .env = "FLOTILLA_SHUTDOWN_TIMEOUT", .help = "Time for all processes to end after SIGTERM, then they are killed; longer than the workers' own"},
};
/* clang-format on */

const struct flo_setting *flo_fleet_settings(size_t *out_count)
{
    *out_count = sizeof settings / sizeof settings[0];
    return settings;
}

bool flo_fleet_worker_role(const struct flo_fleet_worker *worker, enum flo_role *out_role)
{
    static const char *const programs[] = {"workflow-worker", "io-activity-worker",
                                           "cpu-activity-worker"};
    const char *slash = strrchr(worker->program, '/');
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        if (strcmp(slash ? slash + 1 : worker->program, programs[i]) == 0) {
            *out_role = (enum flo_role)i;
            return true;
        }
    }
    return false;
}

static bool good_name(const char *name)
{
    static const char *const taken[] = {"engine", "supervisor", "all"}; /* in commands and logs */
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcmp(name, taken[i]) == 0)
            return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
           strlen(name);
}

/* Only single values can become --set arguments or variables. */
static bool only_scalars(json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (json_is_object(value) || json_is_array(value) || json_is_null(value))
            return false;
    }
    return true;
}

/* Put in place of what the worker leaves open what scaling says. */
static int finish_autoscale(struct flo_fleet_config *config, struct flo_fleet_worker *worker,
                            struct flo_err *err)
{
    enum flo_role role = FLO_ROLE_WORKFLOW;
    bool known = flo_fleet_worker_role(worker, &role);
    size_t kind = role != FLO_ROLE_WORKFLOW;
    bool given = worker->autoscale.min >= 0 || worker->autoscale.max >= 0 ||
                 worker->autoscale.up_backlog >= 0 || worker->autoscale.down_backlog >= 0 ||
                 worker->autoscale.cooldown_ms > 0;
    if (worker->autoscale.enabled == FLO_AUTOSCALE_AUTO)
        worker->autoscale.enabled = given ? FLO_AUTOSCALE_ON : FLO_AUTOSCALE_OFF;
    if (worker->autoscale.min < 0)
        worker->autoscale.min = config->scaling.min;
    if (worker->autoscale.max < 0)
        worker->autoscale.max = config->scaling.max;
    if (worker->autoscale.up_backlog < 0)
        worker->autoscale.up_backlog = config->scaling.up_backlog[kind];
    if (worker->autoscale.down_backlog < 0)
        worker->autoscale.down_backlog = config->scaling.down_backlog[kind];
    if (!worker->autoscale.cooldown_ms)
        worker->autoscale.cooldown_ms = config->scaling.cooldown_ms;
    if (worker->autoscale.enabled != FLO_AUTOSCALE_ON)
        return 0;
    const char *what = NULL;
    if (!known)
        what = "its program is none of ours, so its queues and slots are not known";
    else if (worker->autoscale.max < 1 || worker->autoscale.min > worker->autoscale.max)
        what = "autoscale.min is more than autoscale.max, or both are 0";
    else if (worker->autoscale.up_backlog < 1 ||
             worker->autoscale.down_backlog >= worker->autoscale.up_backlog)
        what = "autoscale.down_backlog must be below autoscale.up_backlog";
    else if (!config->scaling.interval_ms)
        what = "scaling.backlog_interval is 0s, so there is nothing to scale by";
    return what ? flo_config_refuse(&config->config, "workers", err, "%s: %s", worker->name, what)
                : 0;
}

static int check_worker(struct flo_fleet_config *config, size_t i, struct flo_err *err)
{
    const struct flo_fleet_worker *worker = flo_fleet_config_worker(config, i);
    if (!good_name(worker->name))
        return flo_config_refuse(&config->config, "workers", err,
                                 "\"%s\" is no name for a worker; letters, digits, - and _ are "
                                 "allowed, but not \"engine\", \"supervisor\" and \"all\"",
                                 worker->name);
    for (size_t j = 0; j < i; j++)
        if (strcmp(flo_fleet_config_worker(config, j)->name, worker->name) == 0)
            return flo_config_refuse(&config->config, "workers", err,
                                     "the name \"%s\" stands twice", worker->name);
    if (!only_scalars(worker->set) || !only_scalars(worker->env))
        return flo_config_refuse(&config->config, "workers", err,
                                 "%s: set and env hold single values; put maps and lists into the "
                                 "worker's own file",
                                 worker->name);
    return finish_autoscale(config, (struct flo_fleet_worker *)config->workers.items + i, err);
}

static int check_scaling(struct flo_fleet_config *config, struct flo_err *err)
{
    static const char *const downs[] = {"scaling.down_workflow_backlog",
                                        "scaling.down_activity_backlog"};
    if (config->scaling.min > config->scaling.max)
        return flo_config_refuse(&config->config, "scaling.min", err,
                                 "it is more than scaling.max");
    for (size_t i = 0; i < 2; i++)
        if (config->scaling.down_backlog[i] >= config->scaling.up_backlog[i])
            return flo_config_refuse(&config->config, downs[i], err,
                                     "it must be below the backlog that brings more replicas, %lld",
                                     (long long)config->scaling.up_backlog[i]);
    bool cert = *config->scaling.tls.cert_file, key = *config->scaling.tls.key_file;
    if (cert != key)
        return flo_config_refuse(&config->config,
                                 cert ? "scaling.tls.cert_file" : "scaling.tls.key_file", err,
                                 "a certificate and its key are given together");
    if (*config->scaling.tls.client_ca_file && !cert)
        return flo_config_refuse(&config->config, "scaling.tls.client_ca_file", err,
                                 "it needs scaling.tls.cert_file and its key");
    if (*config->scaling.grpc && !cert && !config->scaling.insecure &&
        !flo_config_is_loopback(config->scaling.grpc))
        return flo_config_refuse(&config->config, "scaling.grpc", err,
                                 "%s is open to other machines: give scaling.tls.cert_file and its "
                                 "key, or scaling.insecure: true to serve plain text",
                                 config->scaling.grpc);
    return 0;
}

static int finish(struct flo_fleet_config *config, struct flo_err *err)
{
    if (config->restart.min_backoff_ms > config->restart.max_backoff_ms)
        return flo_config_refuse(&config->config, "restart.min_backoff", err,
                                 "it is more than restart.max_backoff");
    int rc = flo_config_finish_server(&config->config, &config->server.api_key,
                                      config->server.api_key_file, &config->server.tls, err);
    if (rc)
        return rc;
    if (!config->engine.enabled && !*config->server.address && config->workers.count)
        return flo_config_refuse(&config->config, "server.address", err,
                                 "it must be given when engine.enabled is false");
    if (config->supervisor.allowed_hosts.count > ALLOWED_HOSTS_MAX)
        return flo_config_refuse(&config->config, "supervisor.allowed_hosts", err,
                                 "at most %d names are allowed", ALLOWED_HOSTS_MAX);
    const struct flo_file_pair curve = {
        .keys = {"supervisor.curve.secret_key_file", "supervisor.curve.allowed_keys_dir"},
        .files = {config->supervisor.curve.secret_key_file,
                  config->supervisor.curve.allowed_keys_dir}};
    rc = flo_config_check_supervisor(&config->config, config->supervisor.endpoint, &curve,
                                     config->supervisor.insecure, err);
    if (!rc)
        rc = flo_otlp_config_finish(&config->config, &config->otlp, err);
    if (!rc)
        rc = check_scaling(config, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < config->workers.count; i++) {
        rc = check_worker(config, i, err);
        if (rc)
            return rc;
    }
    return 0;
}

int flo_fleet_config_load(const struct flo_cmdline *cmdline, struct flo_fleet_config **out,
                          struct flo_err *err)
{
    struct flo_fleet_config *config = flo_calloc(1, sizeof *config);
    if (!config)
        return flo_fail(err, FLO_ENOMEM, "no memory for the configuration");
    size_t count;
    const struct flo_setting *table = flo_fleet_settings(&count);
    int rc = flo_config_load(&config->config, table, count, 0, cmdline, err);
    if (!rc)
        rc = finish(config, err);
    if (!rc) {
        *out = config;
        config = NULL;
    }
    flo_fleet_config_destroy(&config);
    return rc;
}

void flo_fleet_config_destroy(struct flo_fleet_config **config)
{
    if (!*config)
        return;
    flo_config_fini(&(*config)->config);
    flo_free(*config);
    *config = NULL;
}
