/* SPDX-License-Identifier: Apache-2.0 */
/* up.h - what the two forms of `flotilla up` share: a process that keeps the supervisor running. */
#ifndef FLO_CLI_UP_H
#define FLO_CLI_UP_H

#include "telemetry/line_log.h"

/*
 * Run the supervisor with argv, again when it dies of a signal, until it ends by itself or is told
 * to. log (NULL: none) gets its output and what is said here, and SIGHUP is passed on, too; without
 * it both go to our own stdout and stderr. The exit code.
 */
int cli_up_keep(char **argv, struct flo_line_log *log);

/* `flotilla up --detach`: arguments as after "up", supervisor its path. The exit code. */
int cli_up_detach(char **arguments, const char *supervisor);

#endif
