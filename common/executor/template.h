/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - the template process (private to this folder): a copy of the program from before
 * it had threads, sockets or a ZeroMQ context. It does nothing but fork executor processes when
 * told to, reap them, and say how they ended. So a new executor is always a clean, small copy, and
 * only the template, whose children they are, kills by pid: a pid cannot have been reused.
 *
 *   worker ──fork──► template ──fork──► executor 0, executor 1, ...
 *
 * Each level asks the kernel for SIGKILL when the level above dies: no orphans.
 */
#ifndef FLO_EXECUTOR_TEMPLATE_H
#define FLO_EXECUTOR_TEMPLATE_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "executor/executor.h"

struct flo_executor_template {
    struct flo_executor_options options;
    bool pin;
    cpu_set_t cores; /* that this program may use */
    int control;     /* worker's end */
    pid_t pid;
};

enum flo_template_order { FLO_TEMPLATE_SPAWN, FLO_TEMPLATE_KILL };

/* Down; SPAWN carries two descriptors: the executor's socket and its standard output. */
struct flo_template_request {
    enum flo_template_order order;
    unsigned index;
};

enum flo_template_event { FLO_TEMPLATE_DIED, FLO_TEMPLATE_NO_FORK };

/* Up. */
struct flo_template_report {
    enum flo_template_event event;
    unsigned index;
    int status; /* DIED: as from waitpid; NO_FORK: errno */
};

/* Ask for an executor process; on success the two descriptors are still the caller's to close. */
FLO_MUST_CHECK int flo_template_spawn(int control, unsigned index, int socket_fd, int output_fd);
FLO_MUST_CHECK int flo_template_kill(int control, unsigned index);

/* The life of an executor process (child.c): serve jobs on fd until told to stop. */
_Noreturn void flo_executor_child_main(const struct flo_executor_template *tmpl, unsigned index,
                                       int socket_fd);

#endif
