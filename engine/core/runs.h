/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs.h - the set of runs (runs.c) and what is to be stored of them (batch.c). One run is
 * execution.h.
 */
#ifndef FLO_ENGINE_CORE_RUNS_H
#define FLO_ENGINE_CORE_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/index.h"
#include "base/list.h"
#include "base/random.h"
#include "engine/core/core.h"
#include "engine/core/task.h"
#include "flotilla/error.h"

struct FloEngine__ExecutionState; /* flotilla/engine_state.pb-c.h */
struct flo_execution;             /* execution.h */
struct flo_namespace;             /* namespace.h */
struct flo_status;                /* reply.h */

/*
 * What core.c, matching.c, history_read.c and query.c keep in each run: struct flo_execution has
 * it as its member `hooks`; flo_core_run_hooks_init before anything else, _fini when the run goes.
 */
struct flo_core_run_hooks {
    uint64_t key; /* of the store; given by flo_core_add_run */
    struct flo_namespace *ns;
    struct flo_execution *execution;
    struct flo_index_node by_run_id, by_workflow_id; /* in core->runs, core->current */
    struct flo_node resident;                        /* on core->residents */
    bool is_current;                                 /* it is in core->current */
    uint32_t bytes;                                  /* in core->resident_bytes (cold.c) */
    struct flo_node dirty, touched, closed;
    uint64_t dirty_seq;              /* batch that holds or will hold the last change; 0 = none */
    struct flo_task workflow_task;   /* the pending workflow task, while not started */
    struct flo_list history_waiters; /* long polls (history_read.c) */
    struct flo_list queries;         /* waiting for a workflow task (query.c) */
};

void flo_core_run_hooks_init(struct flo_core_run_hooks *hooks, struct flo_namespace *ns,
                             struct flo_execution *execution);
/* Answers what still waits on the run, takes it off every list. */
void flo_core_run_hooks_fini(struct flo_core *core, struct flo_core_run_hooks *hooks);

/* Enter a new run (its ids are set): gives the key, makes it the current run of its workflow id.
 * 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_add_run(struct flo_core *core, struct flo_execution *execution);
/* Enter a closed run that was only stored: it leaves memory with its next commit. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_revive_run(struct flo_core *core, struct flo_execution *execution);
/* Forget a run (its struct stays the caller's): an undone creation, a deletion. */
void flo_core_remove_run(struct flo_core *core, struct flo_execution *execution);
/* The run changed: look at its waiters in this step; with store also save it with the next batch
 * (hooks.dirty_seq becomes core->next_seq). Call it once a transition, after the last change. */
void flo_core_touch(struct flo_core *core, struct flo_execution *execution, bool store);
/* The run has just closed: leaves memory after its commit. Besides flo_core_touch. */
void flo_core_run_closed(struct flo_core *core, struct flo_execution *execution);
/* Delete the row and the history of a run, resident or not, with the next batch: an answer about
 * it waits for core->next_seq. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_delete_run(struct flo_core *core, uint64_t key);
/* Is such a deletion not durable yet? (The store may still show the run.) */
bool flo_core_is_deleted(const struct flo_core *core, uint64_t key);
void flo_core_deleted_fini(struct flo_core *core);
/* When changes that no reply waits for are to be saved; INT64_MAX: there are none. */
int64_t flo_core_lazy_commit_ns(const struct flo_core *core);
/* Number of the commit that a reply about the run's last change must wait for; 0 = durable. */
uint64_t flo_core_after(const struct flo_core *core, const struct flo_execution *execution);

/* A run, resident or only stored. */
struct flo_core_run_ref {
    struct flo_execution *execution;   /* resident, or NULL: then */
    struct flo_core_stored_run stored; /* copied to scratch, and its state decoded: */
    struct FloEngine__ExecutionState *state;
};
/* Delete a run that was found, open or closed: an open one is terminated, so that its parent and
 * children learn of it. An answer waits for core->next_seq. 0, FLO_ENOMEM. (signal.c) */
FLO_MUST_CHECK int flo_core_delete_whole_run(struct flo_core *core,
                                             const struct flo_core_run_ref *run);
/* The run if it is open or just closed, or NULL. One that is not in memory (cold.h) is brought
 * back: NULL says for certain that none is open, or that it is damaged. */
struct flo_execution *flo_core_resident(struct flo_core *core, const char *run_id);
/* The same, but only if it is in memory already. */
struct flo_execution *flo_core_in_memory(const struct flo_core *core, const char *run_id);
/* Hashes of a run id (of FLO_UUID_LEN) and of a workflow id, for the indexes. */
uint64_t flo_core_hash_run(const char *run_id);
uint64_t flo_core_hash_workflow(const struct flo_namespace *ns, const char *workflow_id);
/* As flo_core_resident by workflow id; run_id "" = the newest. */
struct flo_execution *flo_core_find_resident(struct flo_core *core, const struct flo_namespace *ns,
                                             const char *workflow_id, const char *run_id);
/* run_id "" or NULL = the newest run. 0; else with status: FLO_ENOENT `workflow not found for
 * ID: ...` (or `workflow execution not found for workflow ID "" and run ID ""`), FLO_EDATA (its row
 * is damaged: DATA_LOSS), FLO_EIO (the store cannot be read: UNAVAILABLE), FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_find_run(struct flo_core *core, struct flo_namespace *ns,
                                     const char *workflow_id, const char *run_id,
                                     struct flo_core_run_ref *out, struct flo_status *status);

#endif
