/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - records: what is durable and no run. Each kind has an owner in the core, which keeps
 * its live form in a struct of its own with a flo_core_record in it, and says how that becomes
 * bytes (a message of engine_state.proto) and comes back:
 *
 *    made, changed  flo_core_record_changed(core, &mine->record): encode() is called when the next
 *                   batch is taken, once however often it changed
 *    an answer      waits for flo_core_record_after(core, &mine->record)
 *    deleted        flo_core_record_deleted, then the owner frees its struct; the answer waits for
 *                   core->next_seq
 *    recovery       the owner's function in record.c's table makes it again, before any run is
 *                   loaded; timers may be armed then
 *
 * All changes of one step are in one batch with those of runs: a schedule that started a workflow
 * knows of it exactly when the workflow is there.
 */
#ifndef FLO_ENGINE_CORE_RECORD_H
#define FLO_ENGINE_CORE_RECORD_H

#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "engine/core/core.h"
#include "flotilla/error.h"

/* Stored: numbers never change. */
enum flo_core_record_kind {
    FLO_CORE_RECORD_SCHEDULE = 1,
    FLO_CORE_RECORD_BATCH = 2, /* a batch operation */
    FLO_CORE_RECORD_QUEUE = 3, /* settings of a task queue */
};

struct flo_core_record;
/* The bytes to store, in arena. 0, FLO_ENOMEM. */
typedef int (*flo_core_record_encode_fn)(const struct flo_core_record *record,
                                         struct flo_arena *arena, const uint8_t **out_state,
                                         size_t *out_len);

/* A member of the owner's struct; zeroed, then these set. */
struct flo_core_record {
    int kind;                 /* enum flo_core_record_kind */
    const char *namespace_id; /* the owner's, as long as it lives */
    const char *id;           /* unique with kind and namespace; the owner's, too */
    flo_core_record_encode_fn encode;
    struct flo_node changed; /* in core->records */
    uint64_t dirty_seq;      /* batch that holds or will hold the last change; 0 = none */
};

/* The record is new, or its state is another: it goes into the next batch. */
void flo_core_record_changed(struct flo_core *core, struct flo_core_record *record);
/* Number of the commit that an answer about its last change must wait for; 0 = durable. */
uint64_t flo_core_record_after(const struct flo_core *core, const struct flo_core_record *record);
/* The row goes with the next batch; the struct is the owner's to free. 0, FLO_ENOMEM: nothing has
 * happened. */
FLO_MUST_CHECK int flo_core_record_deleted(struct flo_core *core, struct flo_core_record *record);
/* The struct goes, the row stays: at the end of the core. */
void flo_core_record_forget(struct flo_core *core, struct flo_core_record *record);

/* ---- for batch.c and core.c ---- */

/* Rows of all changes to batch; flo_core_records_taken when they are surely in it. 0, FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_core_batch_records(struct flo_core *core, struct flo_core_batch *batch);
void flo_core_records_taken(struct flo_core *core);
/* Forget deletions that no batch has taken. */
void flo_core_records_fini(struct flo_core *core);

#endif
