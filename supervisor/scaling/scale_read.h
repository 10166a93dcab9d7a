/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_read.h - what the scaling reads of the workers' reports: for each worker its queues, its
 * slots and how long its tasks take. Each snapshot is read once. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_SCALE_READ_H
#define FLO_SUPERVISOR_SCALE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "supervisor/fleet/fleet.h"

#define FLO_SCALE_QUEUES_MAX 16 /* of one worker; more are not looked at */
#define FLO_SCALE_NAME_MAX 128

/* One run of one worker, as its newest snapshot has it. */
struct flo_scale_worker {
    struct flo_node node; /* on reader->workers */
    char boot[40];
    uint64_t seq;
    enum flo_fleet_role role;
    int64_t pid;
    bool running; /* takes tasks: not quiet, draining, stopped or lost */
    int64_t used, slots;
    char name[FLO_SCALE_NAME_MAX];       /* its name in the fleet, "io-2"; may be "" */
    char name_space[FLO_SCALE_NAME_MAX]; /* longer ones are not asked about */
    char *queues[FLO_SCALE_QUEUES_MAX];
    size_t queue_count;
    /* Since the start, and what came of it: seconds a task and tasks a snapshot, smoothed. */
    double total_s, total_tasks;
    double task_s, weight;
    bool seen; /* in this round of flo_scale_reader_update */
};

struct flo_scale_reader {
    struct flo_list workers;
    struct flo_map by_boot;
};

void flo_scale_reader_init(struct flo_scale_reader *reader);
void flo_scale_reader_fini(struct flo_scale_reader *reader);
/* Read what is new, forget who is gone. Without memory some workers are left out. */
void flo_scale_reader_update(struct flo_scale_reader *reader, struct flo_fleet *fleet,
                             int64_t now_ms);
/* The running worker of that process, or NULL. */
const struct flo_scale_worker *flo_scale_reader_by_pid(const struct flo_scale_reader *reader,
                                                       int64_t pid);
/* Does it poll that queue? */
bool flo_scale_worker_polls(const struct flo_scale_worker *worker, const char *queue);

#endif
