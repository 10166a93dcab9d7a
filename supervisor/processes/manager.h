/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager.h - the process manager of local mode: starts the engine, then the workers; restarts what
 * dies; replaces and scales workers while they work; stops the workers first and the engine last.
 *
 *            start          it says where it listens
 *   WAITING ------> STARTING ----------------------> UP
 *      ^               |                             |
 *      |  backoff over | dies                        | dies
 *      +---------------+-----------------------------+      stop: STOPPING -> STOPPED from any
 *
 * Workers wait for the engine's first address. UP means that a process listens; whether it is ready
 * is what it reports itself. A process that ends before it was ever up, with an exit code that says
 * that it cannot work as it is configured (64, 65, 66, 73, 77, 78), ends the whole fleet with that
 * code; one that was added later (scaled, replaced, reloaded) ends nothing and is tried again.
 *
 * An entry of fleet.yaml is a worker, each of its processes a replica. Replicas have numbers from
 * 1; the first is called like the worker when fleet.yaml asks for one, else NAME-1, the others
 * NAME-2, NAME-3 ... A replica that is replaced hands its name on: while the old one finishes its
 * tasks both are shown.
 *
 * A replica that is to go (scaled in, replaced, removed from fleet.yaml) is sent SIGTERM and gets
 * no more tasks. It ends by its own shutdown_timeout; it is killed only when shutdown_timeout of
 * the fleet is over and it does not report any more.
 *
 * Loop thread only. Functions that take err return 0, or a code and a sentence for a person:
 * FLO_ENOENT: there is no such worker or replica; FLO_ECLOSED: the fleet is stopping.
 */
#ifndef FLO_SUPERVISOR_MANAGER_H
#define FLO_SUPERVISOR_MANAGER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/fleet_config.h"
#include "flotilla/error.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

struct event_base;
struct flo_manager; /* opaque */

#define FLO_MANAGER_REPLICAS_MAX 256 /* of one worker */
#define FLO_MANAGER_REASON_MAX 160

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
    const char *name;    /* "engine", "io", "io-2" */
    const char *worker;  /* its name in fleet.yaml, "io"; "" for the engine */
    unsigned replica;    /* its number, from 1; 0 for the engine */
    const char *program; /* as fleet.yaml names it */
    const char *http;    /* where it serves its pages, "" when unknown */
    enum flo_process_state state;
    bool engine;
    bool crash_loop;
    bool wanted; /* it is to run: not one that goes, nor one stopped by hand */
    bool ready;  /* up, and ready by its own report */
    pid_t pid;   /* 0: not running */
    uint64_t restarts;
    int64_t up_ms;       /* since it was started */
    const char *ended;   /* how its last run ended, "it ended with exit code 9"; "": none has */
    int64_t again_in_ms; /* WAITING: until it is started again */
};

/* What pages show of a worker; pointers are valid until the loop turns. */
struct flo_worker_view {
    const char *name;
    const char *program;
    int64_t configured; /* count in fleet.yaml */
    int64_t replicas;   /* how many there are to be */
    int64_t up;         /* of those that are to run: up ... */
    int64_t ready;      /* ... and ready */
    int64_t leaving;    /* told to go, still at work */
    bool rolling;       /* its replicas are being replaced, one after the other */
    uint64_t rolls;     /* how often that has begun */
    size_t roll_done, roll_total;
    const char *roll_error; /* why the last replacement was given up, "" = it was not */
};

/* What a process says of itself, by its pid. */
struct flo_process_report {
    bool live; /* it reported within the last seconds */
    bool ready;
    char reason[FLO_MANAGER_REASON_MAX]; /* why it is not ready */
};

/* One thing that happened, for the fleet's events. */
struct flo_manager_event {
    enum flo_log_level level;
    const char *kind;    /* "process.started", "process.crash_loop", "worker.scaled" ... */
    const char *name;    /* the process or the worker */
    const char *message; /* a sentence */
    json_t *fields;      /* an object, borrowed */
};

/*
 * Which replica goes next: the index of one of count candidates (count: none may go now; the rest
 * of the scale-in is dropped, replicas stays what then runs). Candidates are running replicas that
 * are wanted, in the order of their start.
 */
typedef size_t (*flo_manager_pick_fn)(void *ctx, const struct flo_process_view *candidates,
                                      size_t count);

struct flo_manager_options {
    const struct flo_fleet_config *config; /* borrowed */
    const char *state_dir;                 /* absolute */
    const char *endpoint;                  /* the hub's, for workers */
    const char *engine_address;            /* to listen on in place of a port 0, "" = none */
    bool again; /* after a supervisor that was killed: a hopeless start ends nothing, what that one
                 * left behind may have the ports still */
    struct flo_metrics *metrics; /* borrowed, may be NULL */
    /* What pid reports; false: nothing yet. NULL: who is up is ready. */
    bool (*report)(void *ctx, pid_t pid, struct flo_process_report *out);
    /* Read fleet.yaml anew, for flo_manager_reload. NULL: there is none. */
    int (*load)(void *ctx, struct flo_fleet_config **out, struct flo_err *err);
    void (*on_change)(void *ctx);             /* a process changed its state */
    void (*on_end)(void *ctx, int exit_code); /* all have ended after stop, or a start failed */
    /* Something for the fleet's events; may be NULL. It has been logged already. */
    void (*on_event)(void *ctx, const struct flo_manager_event *event);
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

/* ---- while it runs ---- */

/*
 * Have so many replicas of a worker (its name in fleet.yaml). More are started at once; of those
 * that are too many pick chooses (NULL: the newest). The number outlives a supervisor that is
 * killed (STATE_DIR/scale.json), not an orderly stop, and not another count in fleet.yaml.
 * FLO_ELIMIT: more than FLO_MANAGER_REPLICAS_MAX, or outside of what a worker that follows its load
 * may have.
 */
FLO_MUST_CHECK int flo_manager_scale(struct flo_manager *manager, const char *worker,
                                     int64_t replicas, flo_manager_pick_fn pick, void *pick_ctx,
                                     struct flo_err *err);
/*
 * Replace a worker's replicas one after the other, or one replica, or the engine ("engine"), or all
 * workers (NULL). The new process is started first and the old one drained when it is ready; with
 * fixed ports, or replace: drain-first, the other way round. When a new one does not get ready in
 * start_timeout the rest is left as it is (roll_error). Returns when it has begun.
 */
FLO_MUST_CHECK int flo_manager_restart(struct flo_manager *manager, const char *name,
                                       struct flo_err *err);
/* Stop all replicas of a worker, or one, and leave it so. Not the engine: FLO_EINVAL. */
FLO_MUST_CHECK int flo_manager_stop_one(struct flo_manager *manager, const char *name,
                                        struct flo_err *err);
/* And start what was stopped; what waits for its next try is tried now. */
FLO_MUST_CHECK int flo_manager_start_one(struct flo_manager *manager, const char *name,
                                         struct flo_err *err);
/*
 * Read fleet.yaml again: new workers are started, removed ones stopped, and those replaced (as by
 * restart) whose entry, YAML file, program or modules differ from what their replicas run with.
 * When it does not load nothing changes: FLO_ECONFIG and others with file:line:column. Settings of
 * the supervisor itself and engine.listen stay until the next `up`; that is said.
 */
FLO_MUST_CHECK int flo_manager_reload(struct flo_manager *manager, struct flo_err *err);

/* ---- views ---- */

/* Processes: the engine first, then by worker; those that are leaving are among them. */
size_t flo_manager_count(const struct flo_manager *manager);
void flo_manager_view(const struct flo_manager *manager, size_t i, struct flo_process_view *out);
/* Workers, in the order of fleet.yaml; removed ones until their last replica ended. */
size_t flo_manager_worker_count(const struct flo_manager *manager);
void flo_manager_worker_view(const struct flo_manager *manager, size_t i,
                             struct flo_worker_view *out);
/* What is in force since the last reload. Borrowed until the next one. */
const struct flo_fleet_config *flo_manager_config(const struct flo_manager *manager);
/* The engine's gRPC address, "" until it is known. */
const char *flo_manager_engine_address(const struct flo_manager *manager);

#endif
