/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rerun.h - the command that starts a workflow again as it was started: read from the first event
 * of its history, quoted for a shell.
 */
#ifndef FLO_CLI_RERUN_H
#define FLO_CLI_RERUN_H

#include "base/buf.h"
#include "cli/session.h"

struct cli_rerun {
    bool running;        /* it has not ended: nothing is to be started */
    struct flo_buf text; /* the command; empty when running, or when there is none */
    const char *why_not; /* no command: the reason. Static */
};

/* What starts this run again. options: for --address and --namespace. False: the server could not
 * say (the reason is on stderr). Call cli_rerun_fini in any case. */
bool cli_rerun(struct cli_session *session, const struct cli_options *options,
               const char *workflow_id, const char *run_id, struct cli_rerun *out);
void cli_rerun_fini(struct cli_rerun *rerun);

/* Append text as one word of a POSIX shell. */
void cli_quote(struct flo_buf *out, const char *text);

#endif
