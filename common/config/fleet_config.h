/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_config.h - config/fleet.yaml: what the supervisor watches and, locally, starts.
 */
#ifndef FLO_CONFIG_FLEET_CONFIG_H
#define FLO_CONFIG_FLEET_CONFIG_H

#include "config/otlp.h"
#include "config/schema.h"
#include "config/server_config.h"
#include "flotilla/worker.h"

/* A queue to watch although no worker of the fleet says that it polls it. */
struct flo_fleet_queue {
    const char *name;
    int role; /* enum flo_role: whose tasks */
};

enum flo_autoscale { FLO_AUTOSCALE_AUTO, FLO_AUTOSCALE_ON, FLO_AUTOSCALE_OFF };

/* How a process makes room for its successor; the order of the words of workers[].replace. */
enum flo_fleet_replace { FLO_REPLACE_AUTO, FLO_REPLACE_START_FIRST, FLO_REPLACE_DRAIN_FIRST };

/* One kind of worker process to start. */
struct flo_fleet_worker {
    const char *name;    /* unique; processes are called name, or name-1, name-2 ... */
    const char *program; /* executable, found beside the supervisor unless it has a slash */
    const char *config;  /* its YAML, relative to fleet.yaml; "" = none */
    int64_t count;       /* processes */
    struct {
        int enabled;        /* enum flo_autoscale; never AUTO after load */
        int64_t min, max;   /* -1 in the file means: as scaling.min, scaling.max; complete after */
        int64_t up_backlog; /* load, as all of these are */
        int64_t down_backlog; /* tasks a replica */
        int64_t cooldown_ms;
    } autoscale;
    json_t *set; /* object of scalars: passed as --set key=value */
    json_t *env; /* object of strings: added to the environment */
    int replace; /* enum flo_fleet_replace */
};

struct flo_fleet_config {
    struct flo_config config;

    const char *state_dir; /* lock, fleet.json, sockets, the engine's database */
    struct {
        bool enabled;
        const char *program; /* "flotilla-engine" */
        const char *listen;  /* HOST:PORT, port 0: the kernel chooses */
        const char *db;      /* relative to state_dir; "" = in memory */
        const char *http;    /* HOST:PORT of its pages; "" = none */
        struct flo_strings args;
    } engine;
    struct {
        const char *address; /* where workers connect when engine.enabled is false */
        const char *name_space;
        /* How the supervisor itself connects, to ask for backlogs; workers have settings of their
         * own. Complete after load. */
        const char *api_key; /* secret; "" = none. api_key_file has been read into it */
        const char *api_key_file;
        struct flo_server_tls tls;
    } server;
    struct flo_list_value workers; /* of struct flo_fleet_worker */
    struct {
        int64_t min_backoff_ms, max_backoff_ms;
        int64_t stable_after_ms;  /* a process that ran this long starts over at min_backoff */
        int64_t crash_loop_after; /* restarts without a stable run that count as a crash loop */
    } restart;
    struct {
        const char *endpoint; /* the hub's; "" = ipc in state_dir */
        struct {
            const char *secret_key_file, *allowed_keys_dir; /* both or "" */
        } curve;
        bool insecure;          /* an open tcp:// endpoint without keys is meant */
        const char *token_file; /* of the control API; "" = STATE_DIR/control.token, or none */
        struct flo_strings allowed_hosts; /* names that its requests may be sent to */
    } supervisor;
    struct {
        const char *host;
        int64_t port;
        int naming; /* of metrics: enum flo_naming of telemetry/metrics.h */
    } health, metrics;
    struct flo_otlp_config otlp;
    struct {
        const char *workflow_url; /* template; "" = no links */
    } dashboard;
    struct {
        int level, format;
    } log;
    struct {
        int64_t interval_ms;   /* between two questions about a queue; 0: none are asked */
        int64_t min, max;      /* replicas */
        int64_t up_backlog[2]; /* tasks a replica, of workflow and of activity workers */
        int64_t down_backlog[2];
        int64_t drain_target_ms;   /* a backlog is to be gone after so long */
        double target_utilization; /* of the slots, when replicas are taken away */
        int64_t cooldown_ms;       /* a lower count must have been enough for so long */
        int64_t zero_cooldown_ms;  /* nothing to do for so long, before the last one goes */
        int64_t settle_ms;         /* new replicas get so long to report */
        const char *grpc;          /* HOST:PORT of the external scaler for KEDA; "" = none */
        struct {
            const char *cert_file, *key_file, *client_ca_file;
        } tls;
        bool insecure;                /* a scaler in plain text for other machines is meant */
        struct flo_list_value queues; /* of struct flo_fleet_queue */
    } scaling;
    struct {
        int64_t max_size; /* of a log file, bytes; 0: no files */
        int64_t keep;     /* older ones beside it */
        bool print;       /* the processes' lines also on our own output */
    } logs;
    bool restart_on_change;   /* of a program, module or YAML file */
    int64_t start_timeout_ms; /* for the engine to say where it listens, for workers to be ready */
    int64_t shutdown_timeout_ms;
};

FLO_MUST_CHECK int flo_fleet_config_load(const struct flo_cmdline *cmdline,
                                         struct flo_fleet_config **out, struct flo_err *err);
void flo_fleet_config_destroy(struct flo_fleet_config **config);

/* The role of a worker by its program's name (the last part of a path); false: none of ours. */
bool flo_fleet_worker_role(const struct flo_fleet_worker *worker, enum flo_role *out_role);

const struct flo_setting *flo_fleet_settings(size_t *out_count);

static inline const struct flo_fleet_worker *flo_fleet_config_worker(
    const struct flo_fleet_config *config, size_t i)
{
    return (const struct flo_fleet_worker *)config->workers.items + i;
}

#endif
