/* SPDX-License-Identifier: Apache-2.0 */
/*
 * each.h - one call for each of many workflows, without waiting for what they do: `flotilla load
 * --each`. Makes, signals or ends a crowd of open workflows, and says how the rate held.
 */
#ifndef FLO_CLI_EACH_H
#define FLO_CLI_EACH_H

#include "cli/session.h"

struct cli_each_options {
    const char *what; /* "start", "signal", "terminate" */
    const char *type, *task_queue;
    const char *signal;    /* its name */
    const char *id_prefix; /* workflow i is called PREFIX-i */
    const json_t *input;   /* of the workflow or the signal; NULL = none */
    size_t count;
    size_t concurrency; /* calls under way at once */
    int64_t timeout_ms; /* of all together; < 0 = none */
    bool json;          /* how the report is printed on stdout */
    bool progress;      /* progress.h, as what follows: every_ms, away_ms */
    int64_t progress_every_ms, server_timeout_ms;
};

/* Does --each take this word? */
bool cli_each_known(const char *what);

/* Make the calls and print the report: 0 when all were answered OK, else an exit code with the
 * first failure on stderr; FLO_EXIT_UNAVAILABLE when the server stayed away. */
int cli_each_run(struct cli_session *session, const struct cli_each_options *options);

#endif
