/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - many workflows at once from one process: starts them at a concurrency (the next one
 * when one has ended) or at a rate (whatever the others do), sends each its signals, waits for each
 * result, and keeps the latencies. A server that goes away is waited for, so long: a start or a
 * signal is repeated with its request id, so it stays one. When none ends, it says why on stderr.
 */
#ifndef FLO_CLI_BATCH_H
#define FLO_CLI_BATCH_H

#include <jansson.h>

#include "cli/session.h"

/* CLI_ENDS(X): X(id, printable name). How a workflow of a batch can end. */
#define CLI_ENDS(X)                                                                                \
    X(COMPLETED, "completed")                                                                      \
    X(WRONG_RESULT, "wrong result")                                                                \
    X(FAILED, "failed")                                                                            \
    X(CANCELLED, "cancelled")                                                                      \
    X(TERMINATED, "terminated")                                                                    \
    X(TIMED_OUT, "timed out")                                                                      \
    X(CONTINUED, "went on in another run")                                                         \
    X(CALL_ERROR, "a call was refused")                                                            \
    X(UNFINISHED, "not finished in time")                                                          \
    X(LOST, "not heard of any more")                                                               \
    X(LEFT, "left running")

enum cli_end {
#define CLI_END_ID(id, name) CLI_END_##id,
    CLI_ENDS(CLI_END_ID)
#undef CLI_END_ID
        CLI_END_COUNT
};

const char *cli_end_name(enum cli_end end);

/* How one workflow of the batch ended. Borrowed during the callback. */
struct cli_outcome {
    size_t index; /* 0 .. count-1 */
    enum cli_end end;
    int64_t latency_ns;   /* from the start (at a rate: the intended one) to seeing the end */
    const json_t *result; /* completed, and with a wrong result: its value; else NULL */
    const char *error;    /* not completed: why */
};

#define CLI_BATCH_RATE_MAX 1000000

struct cli_batch_options {
    const char *type, *task_queue;
    const char *id_prefix;
    size_t count;
    size_t concurrency; /* in flight at once; of no effect with a rate or batches */
    size_t rate;        /* starts a second, up to CLI_BATCH_RATE_MAX; 0 = by concurrency */
    size_t batch_size;  /* so many starts at once, whatever is in flight; 0 = by concurrency */
    int64_t delay_ms;   /* between two of those */
    size_t signals;     /* to each workflow, the next when the last was acknowledged; no input */
    const char *signal_name;
    int64_t timeout_ms;                           /* of the whole batch; < 0 = none */
    bool progress;                                /* progress.h says which; on stderr */
    int64_t progress_every_ms, server_timeout_ms; /* as there: every_ms, away_ms */
    /* The type of workflow index, borrowed; NULL = type for all. */
    const char *(*type_of)(void *ctx, size_t index);
    /* The input of workflow index; a new reference. */
    json_t *(*input)(void *ctx, size_t index);
    /* Is this the right result of workflow index? If not, why may say so. NULL = each is. */
    bool (*accept)(void *ctx, size_t index, const json_t *result, struct flo_buf *why);
    void (*on_outcome)(void *ctx, const struct cli_outcome *outcome);
    void *ctx;
};

struct cli_batch_report {
    size_t completed, failed;   /* failed: ended otherwise, or not within the time */
    size_t not_started;         /* the batch was stopped before */
    bool interrupted;           /* by SIGINT: what was running then neither completed nor failed */
    size_t ends[CLI_END_COUNT]; /* the same by kind; with not_started, the batch's count */
    int64_t elapsed_ns;
    int64_t p50_ns, p95_ns, p99_ns, p999_ns, max_ns; /* of the completed ones, nearest rank */
};

/* Run it to the end; SIGINT ends it early, and what has been started goes on. 0 or an exit code:
 * FLO_EXIT_SECOND_SIGNAL when SIGINT came and nothing was wrong until then, FLO_EXIT_UNAVAILABLE
 * when the server stayed away. FLO_EXIT_INTERNAL: no memory, *out_report is untouched. */
int cli_batch_run(struct cli_session *session, const struct cli_batch_options *options,
                  struct cli_batch_report *out_report);

/* Sort the latencies of the completed workflows and fill in the report's percentiles. */
void cli_batch_percentiles(int64_t *latencies_ns, size_t count, struct cli_batch_report *report);
/* What did not complete, by kind: a line each on stdout. */
void cli_batch_print_ends(const struct cli_batch_report *report);
/* "p50 3.1 ms  p95 ..." and workflows/s, a few lines on stdout; as an object for --output json. */
void cli_batch_print(const struct cli_batch_report *report);
json_t *cli_batch_json(const struct cli_batch_report *report);

#endif
