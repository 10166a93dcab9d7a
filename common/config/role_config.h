/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role_config.h - the checked configuration of a worker: one struct, three roles.
 *
 * Members that a role does not have keep their defaults. What each key means, its bounds and its
 * environment variables stand in the table in role_config.c and in docs/configuration.md.
 */
#ifndef FLO_CONFIG_ROLE_CONFIG_H
#define FLO_CONFIG_ROLE_CONFIG_H

#include "config/otlp.h"
#include "config/schema.h"
#include "config/server_config.h"
#include "flotilla/worker.h"

enum flo_isolation { FLO_ISOLATION_PROCESS, FLO_ISOLATION_THREAD };
enum flo_tuner_kind { FLO_TUNER_AUTO, FLO_TUNER_FIXED, FLO_TUNER_RESOURCE };

/* One module to load. */
struct flo_module_config {
    const char *path;              /* file name; already looked up (absolute) after load */
    struct flo_strings workflows;  /* the workflow types to serve; empty: all */
    struct flo_strings activities; /* the activity types to serve; empty: all */
    bool unchecked;                /* workflow role: whatever it imports */
    json_t *settings;              /* object, handed to the module's start */
};

struct flo_server_config {
    const char *address; /* host:port */
    const char *name_space;
    const char *api_key; /* secret; "" = none. api_key_file has been read into it */
    const char *api_key_file;
    int64_t long_poll_timeout_ms; /* of a poll; one and a half of it silent: stuck */
    struct flo_server_tls tls;
};

/* One task queue of an activity worker. 0 or empty in the file means: as the worker says. */
struct flo_queue_config {
    const char *name;
    int64_t weight; /* its share of the executor when the queues' slots are more than that */
    int64_t max_concurrent_activities;
    int64_t max_concurrent_activity_task_polls;
    double max_task_queue_activities_per_second; /* 0: none is said to the server */
    struct flo_strings activities;               /* the types that it serves; empty: all */
};

#define FLO_TOKENS_MAX 16

/* A resource of which activities take some while they run. */
struct flo_token_config {
    const char *name;
    uint32_t total;
};

/* What is said of one activity type. */
struct flo_activity_config {
    const char *type;
    uint32_t tokens[FLO_TOKENS_MAX]; /* of each of the worker's tokens, in their order */
};

/* Does the worker itself ask how much waits in its queues, for its metrics? AUTO: without a
 * supervisor. */
enum flo_queue_depth { FLO_QUEUE_DEPTH_AUTO, FLO_QUEUE_DEPTH_ON, FLO_QUEUE_DEPTH_OFF };

enum flo_pollers_kind { FLO_POLLERS_FIXED, FLO_POLLERS_AUTOSCALE };

struct flo_slots_range {
    int64_t min, max;
    int64_t ramp_throttle_ms; /* least time between two new slots */
};

struct flo_pid_config {
    double p, i, d, threshold;
};

struct flo_role_config {
    struct flo_config config; /* sources, arena; first member */
    enum flo_role role;
    struct flo_cmdline cmdline; /* that it was loaded with, to load it again; points into argv */

    struct flo_server_config server;
    const char *task_queue;
    const char *identity; /* never empty after load: pid@host@task_queue by default */

    /* workflow role */
    int64_t max_concurrent_workflow_tasks;      /* slots */
    int64_t max_concurrent_local_activities;    /* slots, each a thread when it is used */
    int64_t max_concurrent_workflow_task_polls; /* long polls in flight */
    double nonsticky_to_sticky_poll_ratio;
    struct {
        int64_t max_bytes;                    /* memory of all cached runs */
        int64_t max_entries;                  /* runs; 0: no sticky queue, every task replays */
        int64_t schedule_to_start_timeout_ms; /* then a sticky task goes to the normal queue */
    } sticky_cache;
    struct {
        double rate;  /* the share of tasks after which the run is evicted; 0: none */
        int64_t seed; /* 0: chosen, and logged */
    } random_eviction;
    struct flo_strings propagate_headers; /* keys that go along with what workflows start */
    const char *build_id;                 /* "" = none */
    struct {
        const char *name;        /* "" = none */
        bool versioned;          /* only with both names */
        int versioning_behavior; /* enum flo_versioning_behavior, for types that say nothing */
    } deployment;
    int64_t executors;           /* threads that run workflow code; 0: the loop; < 0: cores */
    int64_t deadlock_timeout_ms; /* 0: not looked for */

    /* activity roles */
    int64_t max_concurrent_activities;
    int64_t max_concurrent_activity_task_polls;
    double max_activities_per_second, max_task_queue_activities_per_second; /* 0: no limit */
    struct flo_list_value queues; /* of struct flo_queue_config, as the file says; may be empty */
    json_t *tokens, *activities;  /* as the file says */
    struct flo_list_value polled; /* of struct flo_queue_config: complete, never empty after load */
    struct flo_list_value pools;  /* of struct flo_token_config, at most FLO_TOKENS_MAX */
    struct flo_list_value types;  /* of struct flo_activity_config */
    struct {
        int64_t workers;     /* threads or processes; CPU: 0 = as many as cores fit */
        int isolation;       /* enum flo_isolation */
        bool pin;            /* bind each process to a core */
        int64_t stack_bytes; /* of a thread */
        int64_t grace_ms; /* from telling an activity to stop to giving it up (process: SIGTERM) */
        struct {
            int64_t memory_bytes, cpu_ms, open_files; /* of a process; 0 = no limit */
        } limits;
        int64_t max_jobs, max_growth_bytes; /* of a process, until it is replaced; 0 = any */
    } executor;

    struct {
        int64_t crashes;       /* so many park an input; 0: never */
        int64_t window_ms;     /* so long after the last crash they are forgotten */
        const char *directory; /* "" = the default (quarantine/store.h) */
        int64_t max_inputs;
        bool keep_input;
    } quarantine;
    struct {
        int kind;                  /* enum flo_pollers_kind */
        int64_t min, max, initial; /* long polls of each kind and queue, for AUTOSCALE */
    } pollers;

    struct {
        int kind; /* enum flo_tuner_kind; never AUTO after load. With RESOURCE the maxima below have
                     replaced max_concurrent_* and, of threads, executor.workers */
        const char *why; /* the setting or variable that chose it */
        double target_cpu, target_memory;
        double max_cpu_pressure, max_memory_pressure; /* PSI; 1: never a brake */
        struct flo_slots_range workflow_slots, activity_slots, local_activity_slots;
        struct flo_pid_config cpu_pid, memory_pid;
    } tuner;

    struct {
        const char *key_file, *keys_dir; /* "" = nothing is encrypted, no further keys */
        bool zstd;
        int64_t zstd_level, zstd_above;
    } codec;

    struct flo_list_value modules; /* of struct flo_module_config */
    const char *module_path;       /* folder of modules named without a slash; "" = the default */
    struct {
        int64_t pool_size, max_overflow; /* put into each module's settings (see docs) */
    } database;

    struct {
        const char *host;
        int64_t port;             /* 0: the kernel chooses */
        int64_t stall_timeout_ms; /* the loop has not turned for so long: not healthy */
    } health;
    struct {
        const char *host;
        int64_t port;
        int queue_depth; /* enum flo_queue_depth */
        int naming;      /* enum flo_naming of telemetry/metrics.h */
        int64_t max_series;
    } metrics;
    struct {
        int level;                   /* enum flo_log_level of telemetry/log.h */
        int format;                  /* enum flo_log_format */
        int64_t summary_interval_ms; /* between two summary lines; 0: none */
    } log;
    struct flo_otlp_config otlp;
    struct {
        const char *endpoint; /* "" = report to nobody */
        struct {
            const char *secret_key_file, *server_key_file; /* both or "" */
        } curve;
        bool insecure; /* a tcp:// endpoint on another machine without keys is meant */
        int64_t interval_ms;
    } supervisor;
    int64_t shutdown_timeout_ms; /* SIGTERM: time for running tasks to end */
};

/*
 * Load a worker's configuration. *out is untouched on failure. Errors as flo_config_load; use
 * flo_exit_code for the program's exit code.
 */
FLO_MUST_CHECK int flo_role_config_load(enum flo_role role, const struct flo_cmdline *cmdline,
                                        struct flo_role_config **out, struct flo_err *err);
/* Free all, strings and modules included; clears the pointer. NULL is fine. */
void flo_role_config_destroy(struct flo_role_config **config);

/* What a worker is started for, when not to work until it is told to stop. */
struct flo_role_mode {
    bool check;            /* --check: connect, say what would be polled, end */
    bool burst;            /* --burst: work until the queues are empty, then stop */
    bool watch;            /* --watch: start over when a file changes */
    const char *watch_dir; /* its DIR, or NULL; from argv */
};

/*
 * What a worker's main needs in one call: command line, load, --check-config, --print-config.
 * True: run with *out. False: end with *out_exit (messages have been written).
 */
FLO_MUST_CHECK bool flo_role_config_main(enum flo_role role, int argc, char **argv,
                                         struct flo_role_mode *out_mode,
                                         struct flo_role_config **out, int *out_exit);

/* "workflow-worker"; "workflow". Static. */
const char *flo_role_program(enum flo_role role);
const char *flo_role_name(enum flo_role role);

/* The table, for documentation and tests. */
const struct flo_setting *flo_role_settings(size_t *out_count);

/* Element i of config->polled. */
static inline const struct flo_queue_config *flo_role_config_queue(
    const struct flo_role_config *config, size_t i)
{
    return (const struct flo_queue_config *)config->polled.items + i;
}

/*
 * The file of a module given by name: NAME.so in module_path, or (NULL, "") beside the executable.
 * A module with workflows and activities may come as two files, so that what the activities use
 * does not keep the workflows from being checked: a workflow worker takes NAME.workflows.so where
 * there is one. In arena; NULL without memory.
 */
const char *flo_config_module_file(struct flo_arena *arena, enum flo_role role,
                                   const char *module_path, const char *name);

/* Element i of config->modules. */
static inline const struct flo_module_config *flo_role_config_module(
    const struct flo_role_config *config, size_t i)
{
    return (const struct flo_module_config *)config->modules.items + i;
}

#endif
