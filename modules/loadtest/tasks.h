/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasks.h - the activities of load tests. Each takes an object of parameters (parameters.h) and
 * gives one back:
 *
 *   {"status": "completed", "type", "index", "attempt", "worker", "parameters": {...},
 *    "timings": {"elapsed_ms", ...}, "counts": {...}, "checks": {"name": true, ...}}
 *
 * What it did is checked there and then; a check that does not hold is false in the result, and
 * `flotilla load` counts the task as wrong.
 */
#ifndef LOADTEST_TASKS_H
#define LOADTEST_TASKS_H

#include <flotilla/worker.h>

#include "loadtest/parameters.h"

int loadtest_io_simulation(struct flo_activity_context *ctx, json_t *input, json_t **out_result);
int loadtest_cpu_intensive(struct flo_activity_context *ctx, json_t *input, json_t **out_result);
int loadtest_memory_operations(struct flo_activity_context *ctx, json_t *input,
                               json_t **out_result);
int loadtest_failure_testing(struct flo_activity_context *ctx, json_t *input, json_t **out_result);

/* The workflow of all four: runs the activity of its own type. */
int loadtest_task_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result);

/* ---- result.c: what the activities share ---- */

struct loadtest_task {
    struct flo_activity_context *ctx;
    json_t *parameters; /* all of them */
    json_t *counts, *checks;
    int64_t began_ns; /* monotonic */
};

/* Read the input. A failure that no retry mends when it does not fit. */
int loadtest_begin(struct loadtest_task *task, struct flo_activity_context *ctx, json_t *input);
void loadtest_count(struct loadtest_task *task, const char *name, int64_t value);
/* A check that fails once has failed. */
void loadtest_check(struct loadtest_task *task, const char *name, bool good);
int64_t loadtest_elapsed_ms(const struct loadtest_task *task);
/* The end: rc 0 makes the result. Frees all. Returns rc. */
int loadtest_end(struct loadtest_task *task, int rc, json_t **out_result);
/* A number of the task's parameters. */
int64_t loadtest_of(const struct loadtest_task *task, const char *name);

#endif
