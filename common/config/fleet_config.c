/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_config.c - the table of config/fleet.yaml and its checks. */
#include "config/fleet_config.h"

#include <string.h>

#include "base/alloc.h"
#include "config/internal.h"

#define AT(member) offsetof(struct flo_fleet_config, member)
#define WORKER_AT(member) offsetof(struct flo_fleet_worker, member)

/* clang-format off */
static const struct flo_setting worker_settings[] = {
    {.key = "name", .type = FLO_SETTING_STRING, .offset = WORKER_AT(name), .min = 1, .max = 60, .flags = FLO_SETTING_REQUIRED, .help = "Name of the process, unique; of several: name-1, name-2"},
    {.key = "program", .type = FLO_SETTING_STRING, .offset = WORKER_AT(program), .min = 1, .max = 1024, .flags = FLO_SETTING_REQUIRED, .help = "Executable, beside the supervisor unless it holds a slash"},
    {.key = "config", .type = FLO_SETTING_STRING, .offset = WORKER_AT(config), .max = 1024, .flags = FLO_SETTING_PATH, .help = "Its YAML file, relative to fleet.yaml"},
    {.key = "count", .type = FLO_SETTING_INT, .offset = WORKER_AT(count), .initial = "1", .min = 0, .max = 64, .help = "Processes to run"},
    {.key = "set", .type = FLO_SETTING_JSON, .offset = WORKER_AT(set), .help = "Settings that differ from its YAML: passed as --set"},
    {.key = "env", .type = FLO_SETTING_JSON, .offset = WORKER_AT(env), .help = "Environment variables to add"},
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
    {.key = "workers", .type = FLO_SETTING_LIST, .offset = AT(workers), .items = worker_settings, .item_count = sizeof worker_settings / sizeof worker_settings[0], .item_size = sizeof(struct flo_fleet_worker), .help = "The workers to start"},
    {.key = "restart.min_backoff", .type = FLO_SETTING_DURATION, .offset = AT(restart.min_backoff_ms), .initial = "1s", .min = 10, .max = 600000, .help = "Wait before the first restart; doubles with each"},
    {.key = "restart.max_backoff", .type = FLO_SETTING_DURATION, .offset = AT(restart.max_backoff_ms), .initial = "30s", .min = 10, .max = 3600000, .help = "Longest wait"},
    {.key = "restart.stable_after", .type = FLO_SETTING_DURATION, .offset = AT(restart.stable_after_ms), .initial = "30s", .min = 100, .max = 3600000, .help = "A process that ran this long starts over at the shortest wait"},
    {.key = "restart.crash_loop_after", .type = FLO_SETTING_INT, .offset = AT(restart.crash_loop_after), .initial = "5", .min = 1, .max = 1000, .help = "Restarts without such a run that are reported as a crash loop (it is still restarted)"},
    {.key = "supervisor.endpoint", .type = FLO_SETTING_STRING, .offset = AT(supervisor.endpoint), .max = 255, .env = "FLOTILLA_SUPERVISOR", .help = "ZeroMQ endpoint to bind; empty: `ipc://STATE_DIR/supervisor.sock`"},
    {.key = "supervisor.curve.secret_key_file", .type = FLO_SETTING_STRING, .offset = AT(supervisor.curve.secret_key_file), .max = 4096, .flags = FLO_SETTING_PATH, .env = "FLOTILLA_SUPERVISOR_SECRET_KEY_FILE", .help = "Its secret key: reports are encrypted, and only keys of `allowed_keys_dir` may report; `flotilla-supervisor --gen-keys DIR` makes keys"},
    {.key = "supervisor.curve.allowed_keys_dir", .type = FLO_SETTING_STRING, .offset = AT(supervisor.curve.allowed_keys_dir), .max = 4096, .flags = FLO_SETTING_PATH, .env = "FLOTILLA_SUPERVISOR_ALLOWED_KEYS_DIR", .help = "Folder of the workers' public keys, NAME.public; read again on SIGHUP"},
    {.key = "supervisor.insecure", .type = FLO_SETTING_BOOL, .offset = AT(supervisor.insecure), .initial = "false", .env = "FLOTILLA_SUPERVISOR_INSECURE", .help = "Allow a `tcp://` endpoint that other machines reach without keys"},
    {.key = "supervisor.token_file", .type = FLO_SETTING_STRING, .offset = AT(supervisor.token_file), .max = 4096, .flags = FLO_SETTING_PATH, .env = "FLOTILLA_TOKEN_FILE", .help = "File with the token that `POST /v1/commands` and `/v1/processes` ask for: one line, 16 to 512 characters, readable by nobody else; empty: in local mode `STATE_DIR/control.token`, made at the start, else nothing is accepted"},
    {.key = "supervisor.allowed_hosts", .type = FLO_SETTING_STRINGS, .offset = AT(supervisor.allowed_hosts), .help = "More names, at most 12, under which commands may be sent, as in `Host` without the port; `*`: any. IP addresses, localhost, this machine's name and the hosts of `health` and `metrics` always may"},
    {.key = "health.host", .type = FLO_SETTING_STRING, .offset = AT(health.host), .initial = "127.0.0.1", .min = 1, .max = 255, .env = "FLOTILLA_HEALTH_HOST", .help = "Address of /health, /ready, /v1/fleet and the dashboard"},
    {.key = "health.port", .type = FLO_SETTING_INT, .offset = AT(health.port), .initial = "8080", .max = 65535, .env = "FLOTILLA_HEALTH_PORT", .help = "Its port; 0: the kernel chooses"},
    {.key = "metrics.host", .type = FLO_SETTING_STRING, .offset = AT(metrics.host), .initial = "127.0.0.1", .min = 1, .max = 255, .env = "FLOTILLA_METRICS_HOST", .help = "Address of /metrics"},
    {.key = "metrics.port", .type = FLO_SETTING_INT, .offset = AT(metrics.port), .initial = "9464", .max = 65535, .env = "FLOTILLA_METRICS_PORT", .help = "Its port; one listener serves all when host and port equal those of `health`"},
    {.key = "log.level", .type = FLO_SETTING_ENUM, .offset = AT(log.level), .initial = "info", .choices = "trace|debug|info|warn|error", .env = "FLOTILLA_LOG_LEVEL", .help = "Least level that is logged"},
    {.key = "log.format", .type = FLO_SETTING_ENUM, .offset = AT(log.format), .initial = "auto", .choices = "auto|json|text", .env = "FLOTILLA_LOG_FORMAT", .help = "`auto`: text on a terminal, else JSON lines"},
    {.key = "start_timeout", .type = FLO_SETTING_DURATION, .offset = AT(start_timeout_ms), .initial = "30s", .min = 100, .max = 3600000, .help = "Time the engine gets to say where it listens, before it is started again"},
    {.key = "shutdown_timeout", .type = FLO_SETTING_DURATION, .offset = AT(shutdown_timeout_ms), .initial = "35s", .min = 0, .max = 86400000, .env = "FLOTILLA_SHUTDOWN_TIMEOUT", .help = "Time for all processes to end after SIGTERM, then they are killed; longer than the workers' own"},
};
/* clang-format on */

const struct flo_setting *flo_fleet_settings(size_t *out_count)
{
    *out_count = sizeof settings / sizeof settings[0];
    return settings;
}

static bool good_name(const char *name)
{
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

static int check_worker(struct flo_fleet_config *config, size_t i, struct flo_err *err)
{
    const struct flo_fleet_worker *worker = flo_fleet_config_worker(config, i);
    if (!good_name(worker->name) || strcmp(worker->name, "engine") == 0)
        return flo_config_refuse(&config->config, "workers", err,
                                 "\"%s\" is no name for a worker; letters, digits, - and _ are "
                                 "allowed, but not \"engine\"",
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
    return 0;
}

static int finish(struct flo_fleet_config *config, struct flo_err *err)
{
    if (config->restart.min_backoff_ms > config->restart.max_backoff_ms)
        return flo_config_refuse(&config->config, "restart.min_backoff", err,
                                 "it is more than restart.max_backoff");
    if (!config->engine.enabled && !*config->server.address && config->workers.count)
        return flo_config_refuse(&config->config, "server.address", err,
                                 "it must be given when engine.enabled is false");
    const struct flo_file_pair curve = {
        .keys = {"supervisor.curve.secret_key_file", "supervisor.curve.allowed_keys_dir"},
        .files = {config->supervisor.curve.secret_key_file,
                  config->supervisor.curve.allowed_keys_dir}};
    int rc = flo_config_check_supervisor(&config->config, config->supervisor.endpoint, &curve,
                                         config->supervisor.insecure, err);
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
