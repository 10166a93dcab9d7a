/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine.h - inputs that kill executors (this folder only). Loop thread.
 *
 * The crash that makes `quarantine.crashes` parks the activity's input: it is answered with a
 * failure of type PoisonTask that no policy retries, and from then on an attempt with the same
 * input, of any workflow, gets that answer at once and is never given to an executor. Counts stand
 * in a folder that all workers of the machine share (quarantine/store.h); where there is none that
 * can be written, in this worker's memory.
 *
 * A crash is the end of the executor's process by itself (a signal, an exit, a limit), also by the
 * kernel's OOM killer. Not counted: a process that we killed because its time was up, an attempt
 * that had been told that nobody wants its answer or that the worker stops, and whatever goes down
 * with the worker.
 *
 * What does not crash pays nothing: the folder is watched by inotify, so that an attempt costs one
 * comparison while nothing is parked; else a look-up of its type, and a hash of its input only
 * when something of that type is.
 */
#ifndef FLO_WORKER_QUARANTINE_H
#define FLO_WORKER_QUARANTINE_H

#include <stdbool.h>

#include "wire/api.h"

struct flo_activity_task;
struct flo_job_result;
struct flo_worker;

/* Type of the failure. */
#define FLO_FAILURE_POISON "PoisonTask"

/* Open the folder, read what is parked, watch it. Nothing when quarantine.crashes is 0. Never
 * fails: without a folder, counts are kept in memory. */
void flo_poison_start(struct flo_worker *worker);
void flo_poison_fini(struct flo_worker *worker);

/* Is the task's input parked? Then its failure stands in at->outcome. */
bool flo_poison_refuses(struct flo_activity_task *at,
                        const FloApi__PollActivityTaskQueueResponse *task);
/* The executor's process died under the attempt, and the failure that says so stands in
 * at->outcome: count it. The crash that parks the input has it replaced, as the cause of the new
 * one. */
void flo_poison_crashed(struct flo_activity_task *at, const struct flo_job_result *result);
/* From time to time: look for changes of the folder that inotify cannot see (made by another
 * machine, on a shared volume). Cheap. */
void flo_poison_look(struct flo_worker *worker);

#endif
