/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiting.h - a command that waits for a workflow says on stderr why it has to: the sentences of
 * `flotilla explain`, when it has waited for five seconds, and again when they have changed.
 */
#ifndef FLO_CLI_WAITING_H
#define FLO_CLI_WAITING_H

#include "base/buf.h"
#include "cli/progress.h"

struct cli_waiting {
    struct cli_progress progress; /* tells also that the server went away */
    const struct cli_options *options;
    const char *workflow_id;
    const char *run_id; /* "" or NULL: the newest; may change while it waits */
    unsigned times;     /* that nothing had ended */
    bool due;           /* to be asked, outside the loop */
    struct flo_buf said;
};

/* Watch the session's calls of cli_wait until cli_waiting_fini, which is due in any case. All is
 * borrowed. False: no memory. what: see progress.h. */
bool cli_waiting_init(struct cli_waiting *waiting, struct cli_session *session,
                      const struct cli_options *options, const char *workflow_id,
                      const char *run_id, const char *what);
void cli_waiting_fini(struct cli_waiting *waiting);

enum cli_why { CLI_WHY_OPEN, CLI_WHY_CLOSED, CLI_WHY_UNKNOWN };
/* Ask why the workflow does not move, or how it ended; blocks. The sentences are put into *out,
 * none for CLI_WHY_UNKNOWN: the server does not tell. */
enum cli_why cli_why(struct cli_session *session, const struct cli_options *options,
                     const char *workflow_id, const char *run_id, struct flo_buf *out);

#endif
