/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasks.h - the task types of `flotilla load` (modules/loadtest): what is started, whether what
 * came back is right, and what is counted by type.
 */
#ifndef FLO_CLI_TASKS_H
#define FLO_CLI_TASKS_H

#include "cli/batch.h"
#include "loadtest/parameters.h"

#define CLI_TASKS_TYPES_MAX 8

/* One type's part of a run. */
struct cli_task_type {
    const struct loadtest_type *type;
    json_t *parameters;              /* all of them, but for those that each task has its own of */
    size_t tasks;                    /* ended */
    size_t completed, failed, wrong; /* failed: as it had to */
    size_t retried;                  /* attempts beyond the first; of parked inputs unknown: 0 */
    json_t *errors;                  /* type of failure -> how many */
    int64_t *latencies_ns;           /* [completed + failed] */
};

struct cli_tasks {
    struct cli_task_type types[CLI_TASKS_TYPES_MAX];
    size_t type_count;
    size_t count; /* of the whole run */
    char run[37];
};

/* Is --type a task type, or --tasks or --param given (then it has to be one)? So it has to without
 * --count, too, when it is nearly the name of one. */
bool cli_tasks_asked(const struct cli_options *options);
/*
 * Read --type (one, several with commas, or "all"), --param and --input: 0, or an exit code after
 * one line that says what is wrong. cli_tasks_fini in any case.
 */
int cli_tasks_init(const struct cli_options *options, size_t count, struct cli_tasks *out);
void cli_tasks_fini(struct cli_tasks *tasks);

/* Callbacks of a batch; ctx is the tasks. */
const char *cli_tasks_type_of(void *ctx, size_t index);
json_t *cli_tasks_input(void *ctx, size_t index);
bool cli_tasks_accept(void *ctx, size_t index, const json_t *result, struct flo_buf *why);
void cli_tasks_on_outcome(void *ctx, const struct cli_outcome *outcome);

/* tasks_report.c: a table by type on stdout; the "types" of --output json, a new reference. */
void cli_tasks_print(struct cli_tasks *tasks, const struct cli_batch_report *report);
json_t *cli_tasks_json(struct cli_tasks *tasks, const struct cli_batch_report *report);

#endif
