/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - many workflows at once from one process: starts them at a concurrency, waits for each
 * result, and keeps the latencies. A server that goes away is waited for: a start is repeated with
 * its request id, so it stays one workflow.
 */
#ifndef FLO_CLI_BATCH_H
#define FLO_CLI_BATCH_H

#include <jansson.h>

#include "cli/session.h"

/* How one workflow of the batch ended. Borrowed during the callback. */
struct cli_outcome {
    size_t index;         /* 0 .. count-1 */
    int64_t latency_ns;   /* from sending the start to seeing the end */
    const json_t *result; /* completed: its value; else NULL */
    const char *error;    /* not completed: why */
};

struct cli_batch_options {
    const char *type, *task_queue;
    const char *id_prefix;
    size_t count, concurrency;
    int64_t timeout_ms; /* of the whole batch; < 0 = none */
    bool progress;      /* a bar on a terminal, a line every 10 % elsewhere; on stderr */
    /* The input of workflow index; a new reference. */
    json_t *(*input)(void *ctx, size_t index);
    void (*on_outcome)(void *ctx, const struct cli_outcome *outcome);
    void *ctx;
};

struct cli_batch_report {
    size_t completed, failed; /* failed: ended otherwise, or not within the time */
    int64_t elapsed_ns;
    int64_t p50_ns, p95_ns, p99_ns, max_ns; /* of the completed ones */
};

/* Run it to the end; SIGINT ends it early. 0 or an exit code. */
int cli_batch_run(struct cli_session *session, const struct cli_batch_options *options,
                  struct cli_batch_report *out_report);

/* "p50 3.1 ms  p95 ..." and workflows/s, two lines on stdout; as an object for --output json. */
void cli_batch_print(const struct cli_batch_report *report);
json_t *cli_batch_json(const struct cli_batch_report *report);

#endif
