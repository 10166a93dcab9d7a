/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_config.h - config/fleet.yaml: what the supervisor watches and, locally, starts.
 */
#ifndef FLO_CONFIG_FLEET_CONFIG_H
#define FLO_CONFIG_FLEET_CONFIG_H

#include "config/schema.h"

/* One kind of worker process to start. */
struct flo_fleet_worker {
    const char *name;    /* unique; processes are called name, or name-1, name-2 ... */
    const char *program; /* executable, found beside the supervisor unless it has a slash */
    const char *config;  /* its YAML, relative to fleet.yaml; "" = none */
    int64_t count;       /* processes */
    json_t *set;         /* object of scalars: passed as --set key=value */
    json_t *env;         /* object of strings: added to the environment */
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
    } health, metrics;
    struct {
        int level, format;
    } log;
    int64_t start_timeout_ms; /* for the engine to say where it listens */
    int64_t shutdown_timeout_ms;
};

FLO_MUST_CHECK int flo_fleet_config_load(const struct flo_cmdline *cmdline,
                                         struct flo_fleet_config **out, struct flo_err *err);
void flo_fleet_config_destroy(struct flo_fleet_config **config);

const struct flo_setting *flo_fleet_settings(size_t *out_count);

static inline const struct flo_fleet_worker *flo_fleet_config_worker(
    const struct flo_fleet_config *config, size_t i)
{
    return (const struct flo_fleet_worker *)config->workers.items + i;
}

#endif
