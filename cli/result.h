/* SPDX-License-Identifier: Apache-2.0 */
/* result.h - waiting for the end of a workflow, shared by `result` and `start --wait`. */
#ifndef FLO_CLI_RESULT_H
#define FLO_CLI_RESULT_H

#include "cli/session.h"

/* Follow the workflow (run_id "" = the newest) to its end and print it. The exit code. While it
 * does not end it is said on stderr why. */
int cli_follow(struct cli_session *session, const struct cli_options *options,
               const char *workflow_id, const char *run_id);

#endif
