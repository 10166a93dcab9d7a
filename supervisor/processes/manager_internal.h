/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager_internal.h - what the files of the process manager share.
 *
 *   manager.c          the life of one process, and of all of them
 *   manager_command.c  what is run, and what it was run with
 *   manager_scale.c    how many replicas there are; start and stop by hand
 *   manager_roll.c     replacing replicas one after the other
 *   manager_reload.c   fleet.yaml read again
 *   manager_watch.c    files that change
 *   manager_view.c     what others see, and the events
 */
#ifndef FLO_SUPERVISOR_MANAGER_INTERNAL_H
#define FLO_SUPERVISOR_MANAGER_INTERNAL_H

#include <limits.h>

#include "base/list.h"
#include "base/sha256.h"
#include "supervisor/processes/backoff.h"
#include "supervisor/processes/child.h"
#include "supervisor/processes/manager.h"
#include "supervisor/processes/output.h"

#define FLO_PROCESS_NAME_MAX 80
#define FLO_PROCESS_ADDRESS_MAX 128

struct event;
struct flo_manager_watch;

/* The replacement of a worker's replicas. */
struct flo_roll {
    bool active;
    size_t done, total;
    struct flo_process *fresh; /* is to become ready; NULL: none is awaited */
    struct flo_process *old;   /* is to end */
    int64_t since_ms;          /* when fresh was started */
    char error[FLO_MANAGER_REASON_MAX];
};

/* An entry of fleet.yaml. */
struct flo_managed_worker {
    struct flo_node node; /* on manager->workers */
    struct flo_manager *manager;
    const struct flo_fleet_worker *config; /* in the newest configuration; NULL: removed from it */
    char name[FLO_PROCESS_NAME_MAX];
    size_t order; /* in fleet.yaml */
    int64_t replicas;
    int64_t configured; /* count of fleet.yaml, when replicas was last taken from it or kept */
    struct flo_roll roll;
    uint64_t rolls; /* begun */
};

struct flo_process {
    struct flo_node node; /* on manager->processes */
    struct flo_manager *manager;
    struct flo_managed_worker *worker; /* NULL for the engine */
    unsigned replica;                  /* of it, from 1; 0 for the engine */
    char name[FLO_PROCESS_NAME_MAX];
    char *program; /* as configured when it was started last; NULL: never */
    enum flo_process_state state;
    bool leaving;                                  /* is to end and then be forgotten */
    bool held;                                     /* stopped by hand: stays so */
    bool relaunch;                                 /* starts again as soon as it has ended */
    bool added;                                    /* not one of those that the fleet began with */
    bool to_roll;                                  /* waits for its replacement */
    bool was_up;                                   /* once at least */
    bool was_ready, told_unready, told_crash_loop; /* of this run */
    struct flo_process *replaces;                  /* leaves when this one is ready */
    struct flo_child_process *child;               /* while it runs */
    struct flo_output_source *output;
    struct flo_backoff backoff;
    /* WAITING: the backoff; STARTING, engine: start_timeout; UP: the end of a crash loop; STOPPING:
     * shutdown_timeout. */
    struct event *timer;
    int64_t started_ms, started_wall_ns;
    char ended[48];   /* how its last run ended; "": none has */
    int64_t again_ms; /* WAITING: when it is started again */
    uint64_t restarts;
    char http[FLO_PROCESS_ADDRESS_MAX];
    uint8_t print[FLO_SHA256_BYTES]; /* what it was started with */
};

struct flo_manager {
    struct flo_manager_options options;
    const struct flo_fleet_config *config; /* the newest: options.config, or own */
    struct flo_fleet_config *own;          /* from a reload; NULL */
    struct event_base *base;
    struct event *sigchld;
    struct event *deadline; /* of stop: shutdown_timeout */
    struct event *end;      /* all have ended: calls on_end */
    struct event *tick;     /* while something is awaited that tells us nothing itself */
    struct flo_output *output;
    struct flo_manager_watch *watch; /* NULL: restart_on_change is off */
    char exe_dir[PATH_MAX];
    char engine_address[FLO_PROCESS_ADDRESS_MAX];
    struct flo_list processes; /* the engine first, then by worker and replica */
    struct flo_list workers;   /* in the order of fleet.yaml */
    bool stopping;
    bool ended;
    int exit_code;
    char verdict[FLO_PROCESS_NAME_MAX * 2 + 300]; /* why the fleet ended by itself; "" */
};

#define FLO_PROCESS_AT(at) flo_container(at, struct flo_process, node)
#define FLO_WORKER_AT(at) flo_container(at, struct flo_managed_worker, node)

int64_t flo_manager_now_ms(void);
void flo_manager_arm(struct event *timer, int64_t ms);
/* Look again soon: at readiness, at replacements. */
void flo_manager_tick_soon(struct flo_manager *manager);

/* ---- manager.c ---- */

void flo_process_set_state(struct flo_process *process, enum flo_process_state state);
/* A process of worker (NULL: the engine), WAITING, on the list. NULL without memory. */
struct flo_process *flo_process_new(struct flo_manager *manager, struct flo_managed_worker *worker,
                                    unsigned replica, const char *name);
void flo_process_free(struct flo_process *process);
/* Run it, a worker as soon as the engine is known; where that fails it is tried again later, or
 * ends the fleet. */
void flo_process_start(struct flo_process *process);
/* SIGTERM, and what follows on its end by leaving, held and relaunch. */
void flo_process_stop(struct flo_process *process);
/* Do workers know where the server is? */
bool flo_manager_engine_known(const struct flo_manager *manager);

/* ---- manager_command.c ---- */

/* Start the program of process; fills in child, program and print. */
FLO_MUST_CHECK int flo_process_launch(struct flo_process *process,
                                      flo_child_process_line_fn on_line, struct flo_err *err);
/* Would it be started with something else than what it runs with? */
bool flo_process_changed(const struct flo_process *process);
/* The path of a program as it is run. */
void flo_manager_program_path(const struct flo_manager *manager, const char *program, char *out,
                              size_t size);
/* Call fn for each program, library and module that pid has loaded from elsewhere than the system's
 * own folder of libraries; same: the file at path is still the loaded one. */
void flo_process_each_mapped(pid_t pid, void (*fn)(void *ctx, const char *path, bool same),
                             void *ctx);

/* ---- manager_scale.c ---- */

/* One for each entry of the configuration, with the replicas that scale.json remembers. */
FLO_MUST_CHECK int flo_manager_init_workers(struct flo_manager *manager);
struct flo_managed_worker *flo_manager_find_worker(const struct flo_manager *manager,
                                                   const char *name);
struct flo_managed_worker *flo_managed_worker_new(struct flo_manager *manager,
                                                  const struct flo_fleet_worker *config,
                                                  size_t order);
void flo_managed_worker_free(struct flo_managed_worker *worker);
/* Forget it when fleet.yaml has it no more and none of its processes is left. */
void flo_managed_worker_sweep(struct flo_managed_worker *worker);
/* Does it count as a replica: not leaving, and no replacement for one that still does? */
bool flo_process_counts(const struct flo_process *process);
/* Start or retire until there are worker->replicas. */
void flo_managed_worker_adjust(struct flo_managed_worker *worker, flo_manager_pick_fn pick,
                               void *pick_ctx);
/* It is to end and be forgotten, as is its replacement. */
void flo_process_retire(struct flo_process *process);
/* Remember the numbers that differ from fleet.yaml; at an orderly end forget them. */
void flo_manager_save_scale(const struct flo_manager *manager);
void flo_manager_forget_scale(const struct flo_manager *manager);

/* ---- manager_roll.c ---- */

/* Have process replaced; the caller calls flo_roll_step for its worker when all are marked. */
void flo_roll_mark(struct flo_process *process);
/* The next step, when there is one. */
void flo_roll_step(struct flo_managed_worker *worker);
/* process has ended, or is gone: what the replacement that it is part of makes of it. */
void flo_roll_ended(struct flo_process *process, const char *how);
/* Stop it and start it where it was; workers wait for it meanwhile. */
void flo_engine_restart(struct flo_process *engine);
void flo_roll_abort(struct flo_managed_worker *worker, const char *why);

/* ---- manager_watch.c ---- */

/* Watch files or stop to, as the configuration says. */
void flo_manager_watch_update(struct flo_manager *manager);
/* process has become ready: its modules are known now. */
void flo_manager_watch_ready(struct flo_process *process);
void flo_manager_watch_destroy(struct flo_manager *manager);

/* ---- manager_view.c ---- */

/* Is it up, and ready as far as it says? out (may be NULL) says why not. */
bool flo_process_ready(const struct flo_process *process, struct flo_process_report *out);
/* Log it, and hand it to on_event. fields (stolen, may be NULL): an object of at most four strings
 * and integers. */
void flo_manager_tell(struct flo_manager *manager, enum flo_log_level level, const char *kind,
                      const char *name, const char *message, json_t *fields);

#endif
