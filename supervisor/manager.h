/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager.h - the process manager of local mode: starts the engine, then the workers; restarts what
 * dies; stops the workers first and the engine last.
 *
 *            start          it says where it listens
 *   WAITING ------> STARTING ----------------------> UP
 *      ^               |                             |
 *      |  backoff over | dies                        | dies
 *      +---------------+-----------------------------+      stop: STOPPING -> STOPPED from any
 *
 * Workers wait for the engine's first address. A process that ends before it was ever up, with an
 * exit code that says that it cannot work as it is configured (64, 65, 66, 73, 77, 78), ends the
 * whole fleet with that code. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_MANAGER_H
#define FLO_SUPERVISOR_MANAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/fleet_config.h"
#include "flotilla/error.h"
#include "telemetry/metrics.h"

struct event_base;
struct flo_manager; /* opaque */

#define FLO_PROCESS_STATES(X)                                                                      \
    X(FLO_PROCESS_WAITING, "waiting")                                                              \
    X(FLO_PROCESS_STARTING, "starting")                                                            \
    X(FLO_PROCESS_UP, "up")                                                                        \
    X(FLO_PROCESS_STOPPING, "stopping")                                                            \
    X(FLO_PROCESS_STOPPED, "stopped")

enum flo_process_state {
#define FLO_PROCESS_ENUM(id, name) id,
    FLO_PROCESS_STATES(FLO_PROCESS_ENUM)
#undef FLO_PROCESS_ENUM
};
const char *flo_process_state_name(enum flo_process_state state);

/* What pages show of a process; pointers are valid until the loop turns. */
struct flo_process_view {
    const char *name;
    const char *program;
    const char *http; /* where it serves its pages, "" when unknown */
    enum flo_process_state state;
    bool engine;
    bool crash_loop;
    pid_t pid; /* 0: not running */
    uint64_t restarts;
    int64_t up_ms; /* since it was started */
};

struct flo_manager_options {
    const struct flo_fleet_config *config;    /* borrowed */
    const char *state_dir;                    /* absolute */
    const char *endpoint;                     /* the hub's, for workers */
    const char *engine_address;               /* to listen on in place of a port 0, "" = none */
    struct flo_metrics *metrics;              /* borrowed, may be NULL */
    void (*on_change)(void *ctx);             /* a process changed its state */
    void (*on_end)(void *ctx, int exit_code); /* all have ended after stop, or a start failed */
    void *ctx;
};

/* Prepare; nothing runs yet. Takes SIGCHLD. */
FLO_MUST_CHECK int flo_manager_new(struct event_base *base,
                                   const struct flo_manager_options *options,
                                   struct flo_manager **out, struct flo_err *err);
/* Start everything (a failure to start is reported by on_end, later). */
void flo_manager_start(struct flo_manager *manager);
/* Stop in order; on_end follows with 0, or 75 when some had to be killed at shutdown_timeout. */
void flo_manager_stop(struct flo_manager *manager);
/* Kill all at once. */
void flo_manager_kill(struct flo_manager *manager);
/* Kills what still runs. NULL is fine. */
void flo_manager_destroy(struct flo_manager **manager);

size_t flo_manager_count(const struct flo_manager *manager);
void flo_manager_view(const struct flo_manager *manager, size_t i, struct flo_process_view *out);
/* The engine's gRPC address, "" until it is known. */
const char *flo_manager_engine_address(const struct flo_manager *manager);

#endif
