/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - starts one process and passes its output on, line by line.
 *
 * The child leads a process group of its own (so that the terminal's Ctrl-C reaches only us, and
 * what it leaves behind can be killed with it), gets SIGTERM when we die, and inherits no
 * descriptor but 0-2. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_CHILD_H
#define FLO_SUPERVISOR_CHILD_H

#include <sys/types.h>

#include "flotilla/error.h"
#include "supervisor/processes/output.h"

struct event_base;
struct flo_child_process; /* opaque: one run of one process */

/* Called for each whole line of stdout, without the newline, before it is passed on. */
typedef void (*flo_child_process_line_fn)(void *ctx, const char *line);

struct flo_child_process_options {
    const char *name;                 /* borrowed until destroy */
    char *const *argv;                /* argv[0] is the program's path; borrowed for the call */
    char *const *env;                 /* "NAME=value" added to our environment, or NULL; the same */
    struct flo_output_source *output; /* where its lines go; borrowed until destroy */
    flo_child_process_line_fn on_line; /* may be NULL */
    void *ctx;
};

/* Start it. FLO_ENOENT: no such program; FLO_ESYS. */
FLO_MUST_CHECK int flo_child_process_start(struct event_base *base,
                                           const struct flo_child_process_options *options,
                                           struct flo_child_process **out, struct flo_err *err);
pid_t flo_child_process_pid(const struct flo_child_process *child);
/* Send a signal to the process. */
void flo_child_process_signal(const struct flo_child_process *child, int signal);
/* SIGKILL for its whole group, executors that outlived it among them. Before it is reaped: later
 * the number may mean another group. */
void flo_child_process_kill(const struct flo_child_process *child);
/* After it was killed and reaped: pass on what is left of its output, free. */
void flo_child_process_destroy(struct flo_child_process **child);

#endif
