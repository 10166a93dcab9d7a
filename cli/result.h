/* SPDX-License-Identifier: Apache-2.0 */
/* result.h - waiting for the end of a workflow, shared by `result` and `start --wait`. */
#ifndef FLO_CLI_RESULT_H
#define FLO_CLI_RESULT_H

#include "cli/session.h"

/* Follow the workflow (run_id "" = the newest) to its end and print it. The exit code. Queues that
 * no worker polls are named on stderr while it does not end. */
int cli_follow(struct cli_session *session, const char *workflow_id, const char *run_id, bool json);

#endif
