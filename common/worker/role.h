/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role.h - what is special about a role, said by the role's own folder (workflow-worker/role.c,
 * io-activity-worker/role.c, cpu-activity-worker/role.c), and the parts that a role chooses from.
 *
 * All else, from the command line to the drain, is the spine: poll.c -> execute.c -> respond.c.
 * The roles' specs are also linked into libflotilla, where flo_worker_main (embed.c) picks one.
 */
#ifndef FLO_WORKER_ROLE_H
#define FLO_WORKER_ROLE_H

#include "config/role_config.h"
#include "flotilla/worker.h"

struct flo_worker;

struct flo_role_spec {
    enum flo_role role;
    /* Called with the configuration and the modules loaded, while the process has no thread, no
     * socket and no ZeroMQ context yet: the only moment to fork. May be NULL. */
    int (*prepare)(struct flo_worker *worker, struct flo_err *err);
    /* Called once the loop, the client and the pages exist: make the executor, set up pollers
     * (they begin to poll once the server has answered). */
    int (*start)(struct flo_worker *worker, struct flo_err *err);
};

extern const struct flo_role_spec flo_role_workflow;
extern const struct flo_role_spec flo_role_io_activity;
extern const struct flo_role_spec flo_role_cpu_activity;

/* The whole program for one role: flo_worker_main with the role given as its spec. */
int flo_worker_run(int argc, char **argv, const struct flo_role_spec *role,
                   const struct flo_module *module);

const struct flo_role_config *flo_worker_config(const struct flo_worker *worker);

/* ---- for start: pollers ---- */

/* Poll the workflow queue, and a sticky queue of this process when the cache is on: at most polls
 * long polls together, at most slots tasks at once. */
FLO_MUST_CHECK int flo_worker_poll_workflows(struct flo_worker *worker, size_t polls, size_t slots,
                                             struct flo_err *err);
/* Poll the activity queues of the configuration, each with its own slots and polls; tasks go to the
 * executor that was made before, which runs no more than it has workers. */
FLO_MUST_CHECK int flo_worker_poll_activities(struct flo_worker *worker, struct flo_err *err);

/* ---- executors ---- */

/*
 * For prepare and start of a role that runs activities, as `executor` of its settings says: on
 * threads, or in processes, whose template is forked in prepare. name: of its threads or
 * processes. `executor.workers: 0` counts the cores.
 */
FLO_MUST_CHECK int flo_worker_prepare_executors(struct flo_worker *worker, const char *name,
                                                struct flo_err *err);
FLO_MUST_CHECK int flo_worker_start_executors(struct flo_worker *worker, const char *name,
                                              struct flo_err *err);

/* What the two choose from: */
/* For prepare: fork the template of `processes` executor processes, pinned one to a core. */
FLO_MUST_CHECK int flo_worker_fork_template(struct flo_worker *worker, const char *name,
                                            unsigned processes, bool pin, struct flo_err *err);
/* For start: run activities in the processes whose template was forked. */
FLO_MUST_CHECK int flo_worker_use_processes(struct flo_worker *worker, struct flo_err *err);
/* For start: run activities on threads. Modules are started here, once for all threads. */
FLO_MUST_CHECK int flo_worker_use_threads(struct flo_worker *worker, const char *name,
                                          unsigned threads, struct flo_err *err);

#endif
