/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - the template process (private to this folder): a copy of the program from before
 * it had threads, sockets or a ZeroMQ context. It does nothing but fork executor processes when
 * told to, reap them, and say how they ended. So a new executor is always a clean, small copy, and
 * only the template, whose children they are, kills by pid: a pid cannot have been reused.
 *
 *   worker ──fork──► template ──fork──► executor 0, executor 1, ...
 *                                └─fork──► a process that names a crash's addresses, and ends
 *
 * No orphans: each executor is a session of its own; when one dies, the template kills its group
 * and what is left below it (family.h). When the worker dies, the template does so for all and
 * ends; it sits in a session of its own, so that a kill of the worker's group leaves it the time.
 * When the template itself is killed, the kernel kills the executors, and the worker their groups;
 * what left its group then lives on: to find it, the worker would have to be a subreaper itself,
 * which is not ours to decide where it is a part of another program.
 */
#ifndef FLO_EXECUTOR_TEMPLATE_H
#define FLO_EXECUTOR_TEMPLATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "executor/cores.h"
#include "executor/crash.h"
#include "executor/executor.h"

struct flo_executor_template {
    struct flo_executor_options options;
    bool pin;
    struct flo_cores cores; /* that this program may use */
    struct flo_crash_area crashes;
    int control; /* worker's end */
    pid_t pid;
};

enum flo_template_order {
    FLO_TEMPLATE_SPAWN,
    FLO_TEMPLATE_TERM, /* SIGTERM to the executor's group */
    FLO_TEMPLATE_KILL, /* SIGKILL */
    FLO_TEMPLATE_NAMES,
    FLO_TEMPLATE_PROFILE, /* SIGPROF to the executor itself: its ring's hz has changed */
};

/* Down; SPAWN carries two descriptors: the executor's socket and its standard output. NAMES
 * carries one, a socket: a record to read and the names to write (flo_symbols_main). */
struct flo_template_request {
    enum flo_template_order order;
    unsigned index;
};

enum flo_template_event { FLO_TEMPLATE_DIED, FLO_TEMPLATE_NO_FORK };

/* Up. */
struct flo_template_report {
    enum flo_template_event event;
    unsigned index;
    int status;                 /* DIED: as from waitpid; NO_FORK: errno */
    struct flo_job_usage usage; /* DIED: of its whole life */
};

/* Ask for an executor process; on success the two descriptors are still the caller's to close. */
FLO_MUST_CHECK int flo_template_spawn(int control, unsigned index, int socket_fd, int output_fd);
/* End executor index: SIGTERM, or with force SIGKILL. */
FLO_MUST_CHECK int flo_template_kill(int control, unsigned index, bool force);
FLO_MUST_CHECK int flo_template_profile(int control, unsigned index);
/* Have the record that socket_fd's other end sends named; the descriptor stays the caller's. */
FLO_MUST_CHECK int flo_template_names(int control, int socket_fd);

/* What the template does, in its process (template_main.c). parent: the worker. */
_Noreturn void flo_template_main(const struct flo_executor_template *tmpl, int control,
                                 pid_t parent);

struct flo_frame;
struct flo_leftovers;
struct flo_usage_meter;
struct flo_wear;

/* Run one job in an executor process (child.c). False when the process is to end.
 * Not static: backtraces stop at its name (symbols.c). */
bool flo_executor_child_run(const struct flo_executor_options *options, int fd,
                            const struct flo_frame *order, struct flo_usage_meter *meter,
                            struct flo_wear *wear, const struct flo_leftovers *left);

/* The life of an executor process (child.c): serve jobs on fd until told to stop. */
_Noreturn void flo_executor_child_main(const struct flo_executor_template *tmpl, unsigned index,
                                       int socket_fd);

#endif
