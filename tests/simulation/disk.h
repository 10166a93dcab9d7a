/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h - a store for the simulator, in memory: what a commit put there stays. It checks what it
 * is given: histories only grow, without gaps; a closed run never changes how it ended.
 */
#ifndef FLO_SIMULATION_DISK_H
#define FLO_SIMULATION_DISK_H

#include "base/arena.h"
#include "base/map.h"
#include "engine/core/core.h"

struct disk_run {
    uint64_t key;
    char *namespace_id, *workflow_id, *run_id;
    int status;
    int64_t close_ns;
    uint8_t *state;
    size_t state_len;
    struct flo_core_history_batch *batches;
    size_t batch_count, batch_capacity;
    int64_t next_event_id;
    bool deleted;
    bool damaged; /* its history cannot be read any more */
};

struct disk_namespace {
    char *id;
    uint8_t *state;
    size_t len;
};

struct disk_record {
    int kind;
    char *namespace_id, *id;
    uint8_t *state;
    size_t len;
};

struct disk {
    struct disk_record *records;
    size_t record_count, record_capacity;
    struct disk_run **runs; /* in the order of their making */
    size_t run_count, run_capacity;
    struct disk_namespace namespaces[8];
    size_t namespace_count;
    uint64_t *unseen; /* keys that wait for disk_wake */
    size_t unseen_count, unseen_next;
    bool (*fails)(void *ctx); /* does this read fail? NULL: none does */
    void *fails_ctx;
    bool damage_unseen;  /* broken on purpose: a damaged history looks like a whole, shorter one */
    const char *failure; /* static text of the first breach, or NULL */
};

void disk_init(struct disk *disk);
void disk_fini(struct disk *disk);
/* What a durable commit does. */
void disk_apply(struct disk *disk, const struct flo_core_batch *batch);
struct disk_run *disk_find_run(struct disk *disk, const char *run_id);
void disk_as_store(struct disk *disk, struct flo_core_store *out);
/* The history of a run cannot be read any more. */
void disk_damage(const struct disk *disk, struct disk_run *run);
/* What a test breaks: replace the bytes of a batch; open the newest run again that has ended. */
void disk_replace(struct disk_run *run, size_t batch, const uint8_t *events, size_t len);
void disk_reopen(struct disk *disk);
/* Feed a new core with the namespaces, the records and so many open runs; disk_wake brings the
 * others, which come earlier when they are asked for: up to so many at once. False: that was all.
 */
int disk_recover(struct disk *disk, struct flo_core *core, size_t eager, struct flo_err *err);
bool disk_wake(struct disk *disk, struct flo_core *core, size_t count);

#endif
