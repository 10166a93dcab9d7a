/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role_config.c - the table of worker settings, and the checks that look at more than one.
 *
 * Defaults are the numbers of a worker that is one of many (the KEDA guide's): few slots, few
 * polls. A key may stand twice for roles whose defaults differ.
 */
#include "config/role_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "config/internal.h"
#include "config/process.h"
#include "config/role_internal.h"

enum { W = 1, IO = 2, CPU = 4, ACT = IO | CPU };

#define AT(member) offsetof(struct flo_role_config, member)
#define MODULE_AT(member) offsetof(struct flo_module_config, member)

static const struct flo_setting module_settings[] = {
    {.key = "path",
     .type = FLO_SETTING_STRING,
     .offset = MODULE_AT(path),
     .min = 1,
     .max = 1024,
     .flags = FLO_SETTING_REQUIRED,
     .help = "The module: a name (`echo`), looked for in `module_path`, or a file, relative to the "
             "YAML file"},
    {.key = "workflows",
     .type = FLO_SETTING_STRINGS,
     .offset = MODULE_AT(workflows),
     .help = "Workflow types to serve; empty: all of the module's"},
    {.key = "activities",
     .type = FLO_SETTING_STRINGS,
     .offset = MODULE_AT(activities),
     .help = "Activity types to serve; empty: all of the module's"},
    {.key = "unchecked",
     .type = FLO_SETTING_BOOL,
     .offset = MODULE_AT(unchecked),
     .initial = "false",
     .help =
         "Workflow worker: load it although it imports what no workflow may use (its activities "
         "do); it is logged as a warning. Better: put the workflows into `NAME.workflows.so`"},
    {.key = "settings",
     .type = FLO_SETTING_JSON,
     .offset = MODULE_AT(settings),
     .help = "Handed to the module when it starts"},
};

/* NOLINTBEGIN(bugprone-macro-parentheses): the arguments are initialisers */
/* clang-format off */
#define STRING(K, M, DEF, MIN, MAX, ENV, FLAGS, ROLES, HELP) \
    {.key = K, .type = FLO_SETTING_STRING, .offset = AT(M), .roles = ROLES, .initial = DEF, .min = MIN, .max = MAX, .env = ENV, .flags = FLAGS, .help = HELP}
#define NUMBER(K, T, M, DEF, MIN, MAX, ENV, FLAGS, ROLES, HELP) \
    {.key = K, .type = FLO_SETTING_##T, .offset = AT(M), .roles = ROLES, .initial = DEF, .min = MIN, .max = MAX, .env = ENV, .flags = FLAGS, .help = HELP}
#define BOOLEAN(K, M, DEF, ENV, ROLES, HELP) \
    {.key = K, .type = FLO_SETTING_BOOL, .offset = AT(M), .roles = ROLES, .initial = DEF, .env = ENV, .help = HELP}
#define CHOICE(K, M, DEF, CHOICES, ENV, ROLES, HELP) \
    {.key = K, .type = FLO_SETTING_ENUM, .offset = AT(M), .roles = ROLES, .initial = DEF, .choices = CHOICES, .env = ENV, .help = HELP}

#define SECONDS(n) ((n) * 1000.0)
#define MINUTES(n) ((n) * 60000.0)
#define MIB(n) ((n) * 1048576.0)

static const struct flo_setting settings[] = {
    STRING("server.address", server.address, "127.0.0.1:7233", 1, 255, "TEMPORAL_ADDRESS TEMPORAL_HOST DEFAULT_TEMPORAL_URL", 0, 0, "host:port of the Temporal service or of flotilla-engine"),
    STRING("server.namespace", server.name_space, "default", 1, 255, "TEMPORAL_NAMESPACE TEMPORAL_WORKER_NAMESPACE DEFAULT_TEMPORAL_NAMESPACE", 0, 0, "Namespace of the workflows"),
    STRING("server.api_key", server.api_key, NULL, 0, 16384, "TEMPORAL_API_KEY", FLO_SETTING_SECRET, 0, "Sent as a bearer token; turns TLS on unless `server.tls.enabled` says otherwise"),
    STRING("server.api_key_file", server.api_key_file, NULL, 0, 4096, "TEMPORAL_API_KEY_FILE", FLO_SETTING_PATH, 0, "File that holds the API key"),
    BOOLEAN("server.tls.enabled", server.tls.enabled, "false", "TEMPORAL_TLS", 0, "Speak TLS to the server"),
    STRING("server.tls.ca_file", server.tls.ca_file, NULL, 0, 4096, "TEMPORAL_TLS_SERVER_CA_CERT_PATH TEMPORAL_TLS_CA", FLO_SETTING_PATH, 0, "Certificate authorities that may sign the server's certificate (PEM); empty: the system's"),
    STRING("server.tls.cert_file", server.tls.cert_file, NULL, 0, 4096, "TEMPORAL_TLS_CLIENT_CERT_PATH TEMPORAL_TLS_CERT", FLO_SETTING_PATH, 0, "Client certificate (PEM), for mutual TLS"),
    STRING("server.tls.key_file", server.tls.key_file, NULL, 0, 4096, "TEMPORAL_TLS_CLIENT_KEY_PATH TEMPORAL_TLS_KEY", FLO_SETTING_PATH, 0, "Key of the client certificate (PEM)"),
    STRING("server.tls.server_name", server.tls.server_name, NULL, 0, 255, "TEMPORAL_TLS_SERVER_NAME", 0, 0, "Name that the server's certificate must carry; empty: the host of `server.address`"),
    NUMBER("server.long_poll_timeout", DURATION, server.long_poll_timeout_ms, "70s", 3000, MINUTES(10), NULL, 0, 0, "Time limit of a poll; a server answers within 60 s. Less where a proxy cuts long calls earlier"),
    STRING("task_queue", task_queue, NULL, 1, 1000, "TEMPORAL_WORKER_TASK_QUEUE TASK_QUEUE", FLO_SETTING_REQUIRED, W, "The task queue to poll"),
    STRING("task_queue", task_queue, NULL, 1, 1000, "TEMPORAL_WORKER_TASK_QUEUE TASK_QUEUE", 0, ACT, "The task queue to poll; without it `queues` must name some"),
    STRING("identity", identity, NULL, 0, 255, "TEMPORAL_WORKER_IDENTITY", 0, 0, "The worker's name in histories; empty: `pid@host@task_queue`"),

    STRING("build_id", build_id, NULL, 0, 255, "TEMPORAL_WORKER_BUILD_ID", 0, 0, "Which build of the code this worker runs: shown in histories, and with `deployment.versioned` what decides which runs it gets"),
    STRING("deployment.name", deployment.name, NULL, 0, 255, "TEMPORAL_DEPLOYMENT_NAME", 0, 0, "The deployment that the worker is one of; with a build id"),
    BOOLEAN("deployment.versioned", deployment.versioned, "false", NULL, 0, "The server gives tasks to the builds that the deployment's current version and the runs' versioning behaviour say"),
    CHOICE("deployment.versioning_behavior", deployment.versioning_behavior, "unspecified", "unspecified|pinned|auto-upgrade", NULL, W, "Of workflow types whose module does not say: `pinned` runs stay with their build, `auto-upgrade` ones go on with the current build"),

    NUMBER("max_concurrent_workflow_tasks", INT, max_concurrent_workflow_tasks, "3", 1, 10000, "TEMPORAL_WORKFLOW_CONCURRENCY", 0, W, "Workflow tasks at work at once (slots)"),
    NUMBER("max_concurrent_workflow_task_polls", INT, max_concurrent_workflow_task_polls, "2", 1, 1000, "TEMPORAL_WORKER_MAX_CONCURRENT_WORKFLOW_TASK_POLLS", 0, W, "Long polls for workflow tasks at once"),
    NUMBER("max_concurrent_local_activities", INT, max_concurrent_local_activities, "20", 1, 1000, "TEMPORAL_WORKER_MAX_CONCURRENT_LOCAL_ACTIVITIES", 0, W, "Local activities at work at once (slots, threads that come and go with them)"),
    NUMBER("nonsticky_to_sticky_poll_ratio", FLOAT, nonsticky_to_sticky_poll_ratio, "0.2", 0, 1, "TEMPORAL_WORKER_NONSTICKY_TO_STICKY_POLL_RATIO", FLO_SETTING_OPEN_MIN, W, "Share of the polls that ask the normal queue, the rest ask the sticky one"),
    NUMBER("sticky_cache.max_bytes", SIZE, sticky_cache.max_bytes, "64MiB", MIB(1), MIB(65536), NULL, 0, W, "Memory that cached runs may take"),
    NUMBER("sticky_cache.max_entries", INT, sticky_cache.max_entries, "1000", 0, 1000000, NULL, 0, W, "Cached runs; 0: none, every task replays its history"),
    NUMBER("sticky_cache.schedule_to_start_timeout", DURATION, sticky_cache.schedule_to_start_timeout_ms, "10s", 100, MINUTES(60), NULL, 0, W, "After this a sticky task is given to any worker"),
    NUMBER("sticky_cache.random_eviction", FLOAT, random_eviction.rate, "0", 0, 1, "FLOTILLA_RANDOM_EVICTION", 0, W, "For tests: the share of workflow tasks after which the run leaves the cache, by chance; 0: none"),
    NUMBER("sticky_cache.random_eviction_seed", INT, random_eviction.seed, "0", 0, 9007199254740992.0, "FLOTILLA_RANDOM_EVICTION_SEED", 0, W, "Where that chance begins; 0: anywhere (the log says where)"),
    NUMBER("executors", INT, executors, "-1", -1, 256, "FLOTILLA_WORKFLOW_EXECUTORS", 0, W, "Threads that run workflow code, a run always on the same one; -1: as many as there are usable cores; 0: none, it runs on the event loop, without a deadlock detector"),
    {.key = "propagate_headers", .type = FLO_SETTING_STRINGS, .offset = AT(propagate_headers), .roles = W, .help = "Keys of headers that a workflow was started with and that go along with its activities, children, signals and next run"},
    NUMBER("deadlock_timeout", DURATION, deadlock_timeout_ms, "2s", 0, MINUTES(60), "FLOTILLA_DEADLOCK_TIMEOUT", 0, W, "Workflow code that does not yield for so long fails its task, and another thread takes its place; 0: it may take for ever"),

    NUMBER("max_concurrent_activities", INT, max_concurrent_activities, "5", 1, 10000, "TEMPORAL_IO_ACTIVITY_CONCURRENCY", 0, IO, "Activities at work at once (slots)"),
    NUMBER("max_concurrent_activity_task_polls", INT, max_concurrent_activity_task_polls, "2", 1, 1000, "TEMPORAL_WORKER_MAX_CONCURRENT_ACTIVITY_TASK_POLLS", 0, IO, "Long polls for activity tasks at once"),
    NUMBER("executor.workers", INT, executor.workers, "10", 1, 4096, "TEMPORAL_IO_THREAD_POOL_SIZE", 0, IO, "Threads (processes with `isolation: process`) that run activities"),
    CHOICE("executor.isolation", executor.isolation, "thread", "process|thread", NULL, IO, "`process`: a crash ends one attempt; `thread`: cheaper, a crash ends the worker"),
    BOOLEAN("executor.pin", executor.pin, "false", NULL, IO, "Bind each executor process to a core"),

    NUMBER("max_concurrent_activities", INT, max_concurrent_activities, "2", 1, 10000, "TEMPORAL_CPU_ACTIVITY_CONCURRENCY", 0, CPU, "Activities at work at once (slots)"),
    NUMBER("max_concurrent_activity_task_polls", INT, max_concurrent_activity_task_polls, "1", 1, 1000, "TEMPORAL_WORKER_MAX_CONCURRENT_ACTIVITY_TASK_POLLS", 0, CPU, "Long polls for activity tasks at once"),
    NUMBER("executor.workers", INT, executor.workers, "0", 0, 1024, "TEMPORAL_CPU_THREAD_POOL_SIZE", 0, CPU, "Executor processes (threads with `isolation: thread`), one a core; 0: as many as there are usable cores, less when the cgroup's CPU quota is smaller"),
    CHOICE("executor.isolation", executor.isolation, "process", "process|thread", NULL, CPU, "`process`: a crash ends one attempt; `thread`: cheaper, a crash ends the worker"),
    BOOLEAN("executor.pin", executor.pin, "true", NULL, CPU, "Bind each executor process to a core of its own: one a physical core first"),
    {.key = "queues", .type = FLO_SETTING_LIST, .offset = AT(queues), .roles = ACT, .items = flo_queue_settings, .item_count = FLO_QUEUE_SETTINGS, .item_size = sizeof(struct flo_queue_config), .item_shorthand = "name", .help = "Several task queues instead of `task_queue`: names, or maps of the settings below"},
    NUMBER("max_activities_per_second", FLOAT, max_activities_per_second, "0", 0, 1000000, NULL, 0, ACT, "Most activities that this worker starts a second, all queues together; 0: no limit"),
    NUMBER("max_task_queue_activities_per_second", FLOAT, max_task_queue_activities_per_second, "0", 0, 1000000, NULL, 0, ACT, "Most activities that the server gives out a second from a queue, to all its workers together; 0: no limit"),
    {.key = "tokens", .type = FLO_SETTING_JSON, .offset = AT(tokens), .roles = ACT, .help = "Countable resources of the worker and how many there are, as `{db: 20, gpu: 1}`"},
    {.key = "activities", .type = FLO_SETTING_JSON, .offset = AT(activities), .roles = ACT, .help = "What an activity type needs while it runs, as `{TYPE: {tokens: {db: 1}}}`"},
    NUMBER("executor.stack_size", SIZE, executor.stack_bytes, "1MiB", 131072, MIB(64), NULL, 0, ACT, "Stack of a thread that runs activities: address space, memory is taken as it is used"),
    NUMBER("executor.grace", DURATION, executor.grace_ms, "3s", 0, MINUTES(10), NULL, 0, 0, "From telling an activity to stop to giving it up (a process then gets SIGTERM, and SIGKILL half a second later; a thread is reported as stuck)"),
    NUMBER("executor.limits.memory", SIZE, executor.limits.memory_bytes, "0", 0, MIB(16777216), NULL, 0, ACT, "Memory that an executor process may allocate beyond what it starts with; 0: no limit. With `isolation: process`, as the next two"),
    NUMBER("executor.limits.cpu_time", DURATION, executor.limits.cpu_ms, "0ms", 0, MINUTES(43200), NULL, 0, ACT, "CPU time that one attempt of an activity may use, rounded up to seconds; 0: no limit"),
    NUMBER("executor.limits.open_files", INT, executor.limits.open_files, "0", 0, 1048576, NULL, 0, ACT, "Descriptors that an executor process may have open, at least 16; 0: the system's limit"),
    NUMBER("executor.max_jobs", INT, executor.max_jobs, "0", 0, 1000000000, NULL, 0, ACT, "Attempts after which an executor process is replaced, between two; 0: never. With `isolation: process`, as the next"),
    NUMBER("executor.max_growth", SIZE, executor.max_growth_bytes, "1GiB", 0, MIB(16777216), NULL, 0, ACT, "Memory that an executor process may keep after an attempt, beyond what it starts with, before it is replaced; 0: any. With a memory limit never more than half of that"),

    NUMBER("quarantine.crashes", INT, quarantine.crashes, "3", 0, 1000, NULL, 0, ACT, "An activity's input that killed its executor process so often is parked: it fails with type `PoisonTask` and is not run any more; 0: never"),
    NUMBER("quarantine.window", DURATION, quarantine.window_ms, "24h", SECONDS(1), MINUTES(525600), NULL, 0, ACT, "So long after the last crash, the crashes of an input that is not parked yet are forgotten"),
    STRING("quarantine.directory", quarantine.directory, NULL, 0, 4000, "FLOTILLA_QUARANTINE_DIR", FLO_SETTING_PATH, ACT, "Folder of the counts, shared by the workers of a machine; empty: `quarantine` in the state folder of `flotilla up`, else in `$XDG_STATE_HOME/flotilla` or `~/.local/state/flotilla`"),
    NUMBER("quarantine.max_inputs", INT, quarantine.max_inputs, "1000", 1, 100000, NULL, 0, ACT, "Most inputs that are kept; the oldest that are not parked go first"),
    BOOLEAN("quarantine.keep_input", quarantine.keep_input, "true", NULL, ACT, "Keep the input itself (up to 64 KiB, readable by the worker's user only) to show it; false: only its hash"),
    CHOICE("pollers.kind", pollers.kind, "fixed", "fixed|autoscale", NULL, 0, "`fixed`: as many long polls as `max_concurrent_..._polls` says; `autoscale`: as many as the server advises"),
    NUMBER("pollers.min", INT, pollers.min, "1", 1, 1000, NULL, 0, 0, "Fewest long polls of a kind and queue, for `autoscale`"),
    NUMBER("pollers.max", INT, pollers.max, "100", 1, 1000, NULL, 0, 0, "Most long polls of a kind and queue, for `autoscale`"),
    NUMBER("pollers.initial", INT, pollers.initial, "5", 1, 1000, NULL, 0, 0, "Long polls of a kind and queue before the server's first advice, for `autoscale`; not given, it keeps within the bounds"),

    CHOICE("tuner.kind", tuner.kind, "auto", "auto|fixed|resource", "TEMPORAL_WORKER_TUNER", 0, "`resource`: slots follow CPU and memory; `fixed`: the `max_concurrent_*` settings; `auto`: `resource` when a `target` or a `slots` setting below is given, else `fixed`"),
    NUMBER("tuner.target_cpu", FLOAT, tuner.target_cpu, "0.9", 0, 1, "TEMPORAL_WORKER_TARGET_CPU", FLO_SETTING_OPEN_MIN, 0, "CPU share to aim at, of the quota or of the machine"),
    NUMBER("tuner.target_memory", FLOAT, tuner.target_memory, "0.8", 0, 1, "TEMPORAL_WORKER_TARGET_RAM", FLO_SETTING_OPEN_MIN, 0, "Memory share to aim at, of the limit or of the machine; no new tasks half way from there to all"),
    NUMBER("tuner.workflow_slots.min", INT, tuner.workflow_slots.min, "10", 1, 10000, "TEMPORAL_WORKER_WORKFLOWS_MIN_SLOTS", 0, W, "Fewest workflow slots, given whatever the CPU does"),
    NUMBER("tuner.workflow_slots.max", INT, tuner.workflow_slots.max, "500", 1, 10000, "TEMPORAL_WORKER_WORKFLOWS_MAX_SLOTS", 0, W, "Most workflow slots"),
    NUMBER("tuner.workflow_slots.ramp_throttle", DURATION, tuner.workflow_slots.ramp_throttle_ms, "0ms", 0, MINUTES(1), NULL, 0, W, "Least time between two new workflow slots above the fewest"),
    NUMBER("tuner.activity_slots.min", INT, tuner.activity_slots.min, "50", 1, 4096, "TEMPORAL_WORKER_ACTIVITIES_MIN_SLOTS", 0, IO, "Fewest activity slots, given whatever the CPU does"),
    NUMBER("tuner.activity_slots.max", INT, tuner.activity_slots.max, "500", 1, 4096, "TEMPORAL_WORKER_ACTIVITIES_MAX_SLOTS", 0, IO, "Most activity slots; so many threads at most"),
    NUMBER("tuner.activity_slots.ramp_throttle", DURATION, tuner.activity_slots.ramp_throttle_ms, "50ms", 0, MINUTES(1), NULL, 0, IO, "Least time between two new activity slots above the fewest"),
    NUMBER("tuner.activity_slots.min", INT, tuner.activity_slots.min, "1", 1, 4096, "TEMPORAL_WORKER_ACTIVITIES_MIN_SLOTS", 0, CPU, "Fewest activity slots, given whatever the CPU does"),
    NUMBER("tuner.activity_slots.max", INT, tuner.activity_slots.max, "500", 1, 4096, "TEMPORAL_WORKER_ACTIVITIES_MAX_SLOTS", 0, CPU, "Most activity slots; `executor.workers` bounds them too"),
    NUMBER("tuner.activity_slots.ramp_throttle", DURATION, tuner.activity_slots.ramp_throttle_ms, "50ms", 0, MINUTES(1), NULL, 0, CPU, "Least time between two new activity slots above the fewest"),
    NUMBER("tuner.local_activity_slots.min", INT, tuner.local_activity_slots.min, "50", 1, 4096, "TEMPORAL_WORKER_LOCAL_ACTIVITIES_MIN_SLOTS", 0, W, "Fewest local activity slots, given whatever the CPU does"),
    NUMBER("tuner.local_activity_slots.max", INT, tuner.local_activity_slots.max, "500", 1, 4096, "TEMPORAL_WORKER_LOCAL_ACTIVITIES_MAX_SLOTS", 0, W, "Most local activity slots"),
    NUMBER("tuner.local_activity_slots.ramp_throttle", DURATION, tuner.local_activity_slots.ramp_throttle_ms, "50ms", 0, MINUTES(1), NULL, 0, W, "Least time between two new local activity slots above the fewest"),
    NUMBER("tuner.max_cpu_pressure", FLOAT, tuner.max_cpu_pressure, "0.8", 0, 1, NULL, 0, 0, "No slots are added while tasks wait for CPU for a larger share of the time (PSI, some avg10); 1: never mind"),
    NUMBER("tuner.max_memory_pressure", FLOAT, tuner.max_memory_pressure, "0.1", 0, 1, NULL, 0, 0, "The same for memory"),
    NUMBER("tuner.cpu_pid.p", FLOAT, tuner.cpu_pid.p, "5", 0, 1000, NULL, 0, 0, "Gain of the CPU controller: times the distance to the target"),
    NUMBER("tuner.cpu_pid.i", FLOAT, tuner.cpu_pid.i, "0", 0, 1000, NULL, 0, 0, "Gain of the CPU controller: times its sum over seconds"),
    NUMBER("tuner.cpu_pid.d", FLOAT, tuner.cpu_pid.d, "1", 0, 1000, NULL, 0, 0, "Gain of the CPU controller: times the last change, subtracted"),
    NUMBER("tuner.cpu_pid.threshold", FLOAT, tuner.cpu_pid.threshold, "0.05", 0, 1000, NULL, 0, 0, "Slots are added while the CPU controller's output is above"),
    NUMBER("tuner.memory_pid.p", FLOAT, tuner.memory_pid.p, "5", 0, 1000, NULL, 0, 0, "Gain of the memory controller: times the distance to the target"),
    NUMBER("tuner.memory_pid.i", FLOAT, tuner.memory_pid.i, "0", 0, 1000, NULL, 0, 0, "Gain of the memory controller: times its sum over seconds"),
    NUMBER("tuner.memory_pid.d", FLOAT, tuner.memory_pid.d, "1", 0, 1000, NULL, 0, 0, "Gain of the memory controller: times the last change, subtracted"),
    NUMBER("tuner.memory_pid.threshold", FLOAT, tuner.memory_pid.threshold, "0.25", 0, 1000, NULL, 0, 0, "Slots are added while the memory controller's output is above"),

    STRING("codec.key_file", codec.key_file, NULL, 0, 4096, "FLOTILLA_CODEC_KEY_FILE", FLO_SETTING_PATH, 0, "Key that payloads are encrypted with (AES-256-GCM), readable by nobody else; `flotilla keys payload FILE` makes one; empty: they are not encrypted"),
    STRING("codec.keys_dir", codec.keys_dir, NULL, 0, 4096, "FLOTILLA_CODEC_KEYS_DIR", FLO_SETTING_PATH, 0, "Folder of further keys, one a file: what they encrypted can be read"),
    BOOLEAN("codec.zstd", codec.zstd, "false", "FLOTILLA_CODEC_ZSTD", 0, "Compress payloads"),
    NUMBER("codec.zstd_level", INT, codec.zstd_level, "3", 1, 19, NULL, 0, 0, "1: fast, 19: small"),
    NUMBER("codec.zstd_above", SIZE, codec.zstd_above, "1KiB", 0, MIB(64), NULL, 0, 0, "Payloads up to this size are not compressed"),
    {.key = "modules", .type = FLO_SETTING_LIST, .offset = AT(modules), .items = module_settings, .item_count = sizeof module_settings / sizeof module_settings[0], .item_size = sizeof(struct flo_module_config), .item_shorthand = "path", .help = "The modules to load: names, files, or maps of the settings below"},
    STRING("module_path", module_path, NULL, 0, 4096, "FLOTILLA_MODULES", FLO_SETTING_PATH, 0, "Folder of modules given by name; empty: `../lib/flotilla/modules`, then `../modules`, from the executable's folder"),
    NUMBER("database.pool_size", INT, database.pool_size, "20", 1, 10000, "DB_POOL_SIZE", 0, ACT, "Database connections a module keeps: its setting `db_pool_size`"),
    NUMBER("database.max_overflow", INT, database.max_overflow, "30", 0, 10000, "DB_MAX_OVERFLOW", 0, ACT, "Connections it may open beyond those: its setting `db_max_overflow`"),

    STRING("health.host", health.host, "127.0.0.1", 1, 255, "FLOTILLA_HEALTH_HOST", 0, 0, "Address for /health and /ready; 0.0.0.0 in containers"),
    NUMBER("health.port", INT, health.port, "8080", 0, 65535, "FLOTILLA_HEALTH_PORT", 0, 0, "Port for /health and /ready; 0: the kernel chooses, the choice is printed"),
    NUMBER("health.stall_timeout", DURATION, health.stall_timeout_ms, "10s", 1000, MINUTES(10), NULL, 0, 0, "/health fails when the event loop has not turned for so long"),
    STRING("metrics.host", metrics.host, "127.0.0.1", 1, 255, "FLOTILLA_METRICS_HOST", 0, 0, "Address for /metrics"),
    NUMBER("metrics.port", INT, metrics.port, "9464", 0, 65535, "FLOTILLA_METRICS_PORT", 0, 0, "Port for /metrics; one listener serves all when host and port equal those of `health`"),
    CHOICE("metrics.queue_depth", metrics.queue_depth, "auto", "auto|true|false", "FLOTILLA_METRICS_QUEUE_DEPTH", 0, "Ask the server how much waits in the worker's queues, for `temporal_workflow_task_queue_depth` and `temporal_activity_task_queue_depth`; `auto`: when there is no supervisor, which does it for the fleet"),
    CHOICE("metrics.naming", metrics.naming, "tally", "tally|core|otel-go", "FLOTILLA_METRICS_NAMING", 0, "How /metrics names what the Temporal SDKs export too (docs/metrics.md): as Go with tally and Java; as Python, TypeScript and .NET; as Go with OpenTelemetry"),
    NUMBER("metrics.max_series", INT, metrics.max_series, "512", 16, 65536, NULL, 0, 0, "Most label sets of one metric; further ones count as \"other\""),
    CHOICE("log.level", log.level, "info", "trace|debug|info|warn|error", "FLOTILLA_LOG_LEVEL", 0, "Least level that is logged"),
    CHOICE("log.format", log.format, "auto", "auto|json|text|logfmt", "FLOTILLA_LOG_FORMAT", 0, "`auto`: text on a terminal, else JSON lines; `logfmt`: key=value pairs"),
    NUMBER("log.summary_interval", DURATION, log.summary_interval_ms, "1m", 0, MINUTES(1440), "FLOTILLA_LOG_SUMMARY_INTERVAL", 0, 0, "Time between two summary lines (`j_complete=` ...); 0s: none"),
    STRING("otlp.endpoint", otlp.endpoint, NULL, 0, 1024, "OTEL_EXPORTER_OTLP_ENDPOINT", 0, 0, "OpenTelemetry collector, `http://host:4318` or `https://...`: metrics go to `/v1/metrics` there, spans to `/v1/traces`; empty: nothing is exported"),
    STRING("otlp.metrics_endpoint", otlp.metrics_endpoint, NULL, 0, 1024, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", 0, 0, "Whole address for metrics, instead"),
    STRING("otlp.traces_endpoint", otlp.traces_endpoint, NULL, 0, 1024, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", 0, 0, "Whole address for spans, instead"),
    STRING("otlp.headers", otlp.headers, NULL, 0, 16384, "OTEL_EXPORTER_OTLP_HEADERS", FLO_SETTING_SECRET, 0, "Headers of each export, `key=value,...`, percent-encoded"),
    STRING("otlp.ca_file", otlp.ca_file, NULL, 0, 4096, "OTEL_EXPORTER_OTLP_CERTIFICATE", FLO_SETTING_PATH, 0, "Certificate authorities that may sign the collector's certificate (PEM); empty: the system's"),
    BOOLEAN("otlp.metrics", otlp.metrics, "true", NULL, 0, "Export metrics, when there is an endpoint"),
    BOOLEAN("otlp.traces", otlp.traces, "true", NULL, 0, "Export spans and pass trace contexts on, when there is an endpoint"),
    NUMBER("otlp.interval", DURATION, otlp.interval_ms, "60s", 100, MINUTES(60), NULL, 0, 0, "Time between two exports of metrics; `OTEL_METRIC_EXPORT_INTERVAL` says it in milliseconds"),
    NUMBER("otlp.span_delay", DURATION, otlp.span_delay_ms, "5s", 10, MINUTES(5), NULL, 0, 0, "A span waits at most so long for others before it is exported; `OTEL_BSP_SCHEDULE_DELAY` says it in milliseconds"),
    NUMBER("otlp.timeout", DURATION, otlp.timeout_ms, "10s", 10, MINUTES(5), NULL, 0, 0, "Time limit of one export; `OTEL_EXPORTER_OTLP_TIMEOUT` says it in milliseconds"),
    CHOICE("otlp.sampler", otlp.sampler, "parentbased_always_on", "always_on|always_off|traceidratio|parentbased_always_on|parentbased_always_off|parentbased_traceidratio", "OTEL_TRACES_SAMPLER", 0, "Which traces are recorded; `parentbased_...`: what began elsewhere is recorded when it is there"),
    NUMBER("otlp.sampler_arg", FLOAT, otlp.sampler_arg, "1", 0, 1, "OTEL_TRACES_SAMPLER_ARG", 0, 0, "The share of traces that `traceidratio` records"),
    STRING("otlp.service_name", otlp.service_name, NULL, 0, 255, "OTEL_SERVICE_NAME", 0, 0, "`service.name`; empty: that of `otlp.resource_attributes`, else the program's name"),
    STRING("otlp.resource_attributes", otlp.resource_attributes, NULL, 0, 16384, "OTEL_RESOURCE_ATTRIBUTES", 0, 0, "More attributes of all that is exported, `key=value,...`, percent-encoded"),
    STRING("supervisor.endpoint", supervisor.endpoint, NULL, 0, 255, "FLOTILLA_SUPERVISOR", 0, 0, "ZeroMQ endpoint of the supervisor, `ipc:///path` or `tcp://host:port`; empty: report to nobody"),
    STRING("supervisor.curve.secret_key_file", supervisor.curve.secret_key_file, NULL, 0, 4096, "FLOTILLA_SUPERVISOR_SECRET_KEY_FILE", FLO_SETTING_PATH, 0, "The worker's secret key: reports are encrypted; `flotilla keys generate` makes keys"),
    STRING("supervisor.curve.server_key_file", supervisor.curve.server_key_file, NULL, 0, 4096, "FLOTILLA_SUPERVISOR_SERVER_KEY_FILE", FLO_SETTING_PATH, 0, "The supervisor's public key"),
    BOOLEAN("supervisor.insecure", supervisor.insecure, "false", "FLOTILLA_SUPERVISOR_INSECURE", 0, "Allow a `tcp://` endpoint on another machine without keys"),
    NUMBER("supervisor.interval", DURATION, supervisor.interval_ms, "1s", 100, MINUTES(1), NULL, 0, 0, "Time between two reports"),
    NUMBER("shutdown_timeout", DURATION, shutdown_timeout_ms, "30s", 0, MINUTES(1440), "FLOTILLA_SHUTDOWN_TIMEOUT", 0, 0, "Time that running tasks get to end after SIGTERM"),
};
/* clang-format on */
/* NOLINTEND(bugprone-macro-parentheses) */

const struct flo_setting *flo_role_settings(size_t *out_count)
{
    *out_count = sizeof settings / sizeof settings[0];
    return settings;
}

const char *flo_role_program(enum flo_role role)
{
    static const char *const programs[] = {"workflow-worker", "io-activity-worker",
                                           "cpu-activity-worker"};
    return programs[role];
}

const char *flo_role_name(enum flo_role role)
{
    static const char *const names[] = {"workflow", "io-activity", "cpu-activity"};
    return names[role];
}

/* ---- checks ---- */

/* host:port; a host alone gets Temporal's port. */
static int check_address(struct flo_role_config *config, struct flo_err *err)
{
    const char *address = config->server.address;
    if (strstr(address, "://"))
        return flo_config_refuse(&config->config, "server.address", err,
                                 "\"%s\" is a URL; host:port is allowed", address);
    const char *colon = strrchr(address, ':');
    if (!colon || (address[0] == '[' && address[strlen(address) - 1] == ']')) {
        config->server.address = flo_arena_printf(&config->config.arena, "%s:7233", address);
        return config->server.address ? 0 : flo_fail(err, FLO_ENOMEM, "no memory");
    }
    size_t digits = strspn(colon + 1, "0123456789");
    long port = digits && digits < 6 && !colon[1 + digits] ? strtol(colon + 1, NULL, 10) : 0;
    bool bare_v6 = address[0] != '[' && strchr(address, ':') != colon;
    if (colon == address || bare_v6 || port < 1 || port > 65535)
        return flo_config_refuse(&config->config, "server.address", err,
                                 "\"%s\" is no address; host:port with a port from 1 to 65535 is "
                                 "allowed",
                                 address);
    return 0;
}

static int check_pollers(struct flo_role_config *config, struct flo_err *err)
{
    static const char *const unused[] = {"pollers.min", "pollers.max", "pollers.initial"};
    if (config->pollers.kind == FLO_POLLERS_FIXED) {
        for (size_t i = 0; i < sizeof unused / sizeof unused[0]; i++) {
            if (flo_config_source(&config->config, unused[i])->kind == FLO_FROM_DEFAULT)
                continue;
            flo_config_warn(&config->config, "%s: has no effect while pollers.kind is fixed",
                            unused[i]);
            break;
        }
        return 0;
    }
    if (config->pollers.min > config->pollers.max)
        return flo_config_refuse(&config->config, "pollers.min", err,
                                 "%lld is more than the maximum, %lld",
                                 (long long)config->pollers.min, (long long)config->pollers.max);
    if (flo_config_source(&config->config, "pollers.initial")->kind == FLO_FROM_DEFAULT) {
        if (config->pollers.initial < config->pollers.min)
            config->pollers.initial = config->pollers.min;
        if (config->pollers.initial > config->pollers.max)
            config->pollers.initial = config->pollers.max;
    }
    if (config->pollers.initial < config->pollers.min ||
        config->pollers.initial > config->pollers.max)
        return flo_config_refuse(&config->config, "pollers.initial", err,
                                 "%lld is not from pollers.min to pollers.max, "
                                 "%lld to %lld",
                                 (long long)config->pollers.initial, (long long)config->pollers.min,
                                 (long long)config->pollers.max);
    return 0;
}

static int check_polls(struct flo_role_config *config, struct flo_err *err)
{
    if (config->role == FLO_ROLE_WORKFLOW) {
        /* One poll, or the one slot that it reserves, cannot serve the normal and the sticky queue.
         */
        if (config->max_concurrent_workflow_task_polls < 2 && config->sticky_cache.max_entries &&
            config->pollers.kind == FLO_POLLERS_FIXED)
            return flo_config_refuse(&config->config, "max_concurrent_workflow_task_polls", err,
                                     "1 poll cannot serve two queues; at least 2 are allowed while "
                                     "sticky_cache.max_entries is above 0");
        if (config->max_concurrent_workflow_tasks < 2 && config->sticky_cache.max_entries)
            return flo_config_refuse(&config->config, "max_concurrent_workflow_tasks", err,
                                     "1 slot cannot serve two queues; at least 2 are allowed while "
                                     "sticky_cache.max_entries is above 0");
        return 0;
    }
    return 0;
}

static int check_deployment(struct flo_role_config *config, struct flo_err *err)
{
    if (config->deployment.name[0] && !config->build_id[0])
        return flo_config_refuse(&config->config, "deployment.name", err,
                                 "a worker of a deployment needs a build_id");
    if (config->deployment.versioned && !config->deployment.name[0])
        return flo_config_refuse(&config->config, "deployment.versioned", err,
                                 "there is no deployment.name");
    if (config->deployment.versioning_behavior && !config->deployment.versioned)
        flo_config_warn(&config->config, "deployment.versioning_behavior: has no effect without "
                                         "deployment.versioned");
    return 0;
}

static void check_limits(struct flo_role_config *config)
{
    bool any = config->executor.limits.memory_bytes || config->executor.limits.cpu_ms ||
               config->executor.limits.open_files;

    if (config->executor.max_jobs && config->executor.isolation == FLO_ISOLATION_THREAD)
        flo_config_warn(&config->config,
                        "executor.max_jobs: not obeyed with `executor.isolation: thread`");
    if (any && config->executor.isolation == FLO_ISOLATION_THREAD)
        flo_config_warn(&config->config,
                        "executor.limits: not obeyed with `executor.isolation: thread`: threads "
                        "share the process's");
}

static int check_supervisor(struct flo_role_config *config, struct flo_err *err)
{
    const struct flo_file_pair curve = {
        .keys = {"supervisor.curve.secret_key_file", "supervisor.curve.server_key_file"},
        .files = {config->supervisor.curve.secret_key_file,
                  config->supervisor.curve.server_key_file}};
    return flo_config_check_supervisor(&config->config, config->supervisor.endpoint, &curve,
                                       config->supervisor.insecure, err);
}

static int set_identity(struct flo_role_config *config, struct flo_err *err)
{
    if (*config->identity)
        return 0;
    char identity[300];
    flo_process_default_identity(flo_role_config_queue(config, 0)->name, identity, sizeof identity);
    config->identity = flo_arena_strdup(&config->config.arena, identity);
    return config->identity ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for the identity");
}

static int finish(struct flo_role_config *config, struct flo_err *err)
{
    int rc = flo_config_finish_server(&config->config, &config->server.api_key,
                                      config->server.api_key_file, &config->server.tls, err);
    if (!rc)
        rc = check_address(config, err);
    if (!rc)
        rc = flo_role_finish_tuner(config, err);
    if (!rc)
        rc = check_pollers(config, err);
    if (!rc)
        rc = check_polls(config, err);
    if (!rc)
        rc = check_deployment(config, err);
    if (!rc)
        rc = flo_role_finish_queues(config, err);
    if (!rc)
        check_limits(config);
    if (!rc)
        rc = check_supervisor(config, err);
    if (!rc)
        rc = flo_otlp_config_finish(&config->config, &config->otlp, err);
    if (!rc)
        rc = set_identity(config, err);
    if (!rc)
        rc = flo_role_finish_modules(config, err);
    return rc;
}

int flo_role_config_load(enum flo_role role, const struct flo_cmdline *cmdline,
                         struct flo_role_config **out, struct flo_err *err)
{
    struct flo_role_config *config = flo_calloc(1, sizeof *config);
    if (!config)
        return flo_fail(err, FLO_ENOMEM, "no memory for the configuration");
    config->role = role;
    config->cmdline = *cmdline;
    size_t count;
    const struct flo_setting *table = flo_role_settings(&count);
    int rc = flo_config_load(&config->config, table, count, 1u << role, cmdline, err);
    if (!rc)
        rc = finish(config, err);
    if (!rc) {
        *out = config;
        config = NULL;
    }
    flo_role_config_destroy(&config);
    return rc;
}

void flo_role_config_destroy(struct flo_role_config **config)
{
    if (!*config)
        return;
    flo_config_fini(&(*config)->config);
    flo_free(*config);
    *config = NULL;
}

static const char epilog[] =
    "--check-config reads the configuration and nothing else. --check also loads the modules,\n"
    "connects to the server, looks for the namespace and prints what would be polled; it takes\n"
    "no task.\n"
    "\n"
    "Signals: SIGTERM and SIGINT finish what runs and end (a second one: at once); SIGTSTP polls\n"
    "no more but stays, SIGCONT polls again.\n"
    "Settings: docs/configuration.md. Running: docs/operations.md";

bool flo_role_config_main(enum flo_role role, int argc, char **argv, struct flo_role_mode *out_mode,
                          struct flo_role_config **out, int *out_exit)
{
    static const char *const summaries[] = {
        "Polls workflow tasks, replays and advances workflows; runs no activities.",
        "Polls activity tasks and runs them on a pool of threads.",
        "Polls activity tasks and runs them on pinned processes, one a core."};
    struct flo_role_mode mode = {0};
    const struct flo_cmdline_option options[] = {
        {"--check", NULL, "check modules, server and namespace too, and end", NULL, &mode.check},
        {"--burst", NULL, "work until the task queues are empty, then end", NULL, &mode.burst},
        {"--watch", "[DIR]", "start over when a module, the YAML or a file in DIR changes",
         &mode.watch_dir, &mode.watch},
        {NULL, NULL, NULL, NULL, NULL}};
    const struct flo_cmdline_spec spec = {.program = flo_role_program(role),
                                          .summary = summaries[role],
                                          .config_options = true,
                                          .options = options,
                                          .epilog = epilog};
    struct flo_cmdline cmdline;
    if (!flo_cmdline_parse(&spec, argc, argv, &cmdline, out_exit))
        return false;
    struct flo_err err = {0};
    struct flo_role_config *config = NULL;
    int rc = flo_role_config_load(role, &cmdline, &config, &err);
    if (rc) {
        fprintf(stderr, "%s: %s\n", spec.program, err.message);
        *out_exit = flo_exit_code(rc);
        return false;
    }
    if (!flo_config_main_end(&config->config, &cmdline, out_exit)) {
        *out_mode = mode;
        *out = config;
        return true;
    }
    flo_role_config_destroy(&config);
    return false;
}
