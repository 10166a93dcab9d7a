/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - the pool of processes as its files share it (private to this folder): processes.c
 * starts and stops it, process.c has the life of a process. All on the loop's thread.
 */
#ifndef FLO_EXECUTOR_PROCESS_H
#define FLO_EXECUTOR_PROCESS_H

#include <event2/event.h>
#include <sys/types.h>

#include "executor/core.h"
#include "executor/deaths.h"
#include "executor/frame.h"
#include "executor/output.h"
#include "executor/template.h"
#include "executor/usage.h"

struct flo_executor_processes;

/* One process, or the place of one. */
struct flo_executor_process {
    struct flo_core_unit unit;
    struct flo_executor_processes *pool;
    struct bufferevent *link;  /* frames */
    struct flo_output output;  /* its standard output and error */
    struct flo_job_usage used; /* of what it used so far: by its start and its finished jobs */
    bool alive;                /* asked for, and no death reported */
    bool killed;               /* asked to end by us, or leaves: nothing of it is a crash */
    pid_t group;               /* when ready; a session of its own */
    bool garbled;              /* what it sent are no frames, for which it is killed */
    struct event *restart;     /* begin anew; end by force, when it leaves and does not get on */
    int64_t restart_ms;
};

/* The pool. */
struct flo_executor_processes {
    struct flo_executor executor; /* first: the executor is the pool */
    struct flo_executor_template *tmpl;
    struct flo_deaths deaths;
    bool profiled_now, profiled_before; /* before: somebody may have begun to write a sample */
    struct event *control;
    struct flo_executor_process *processes;
    struct flo_core_unit **units;
};

/* A place without a process. FLO_ENOMEM: half-built, for flo_executor_process_fini. */
FLO_MUST_CHECK int flo_executor_process_init(struct flo_executor_process *process,
                                             struct flo_executor_processes *pool, unsigned index);
/* Drop its job and let go of what the worker holds of it; the process must be dead, or its template
 * ended. One that is all zero is fine. */
void flo_executor_process_fini(struct flo_executor_process *process);

/* Open the descriptors of a new process and ask the template for it; the worker's socket to it is
 * the caller's, for flo_executor_process_attach. FLO_ESYS. */
FLO_MUST_CHECK int flo_executor_process_open(struct flo_executor_process *process, int *out_socket);
/* Wait for the first word of a process that was just asked for: blocks, up to a minute. FLO_ESYS,
 * or the code with which its start failed. */
FLO_MUST_CHECK int flo_executor_process_wait_ready(struct flo_executor_process *process, int socket,
                                                   struct flo_err *err);
/* Put the worker's ends into the loop; takes the socket, whatever comes of it. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_executor_process_attach(struct flo_executor_process *process, int socket);

/* Send a frame and its body (borrowed), at once as far as the socket takes it. */
void flo_executor_process_send(struct flo_executor_process *process, const struct flo_frame *head,
                               const void *body);
/* Ask the template to end it: SIGTERM, or by force. */
void flo_executor_process_kill(const struct flo_executor_process *process, bool force);
/* The template told of its death, or that it could not be made: take what it still sent, end its
 * job, and start it anew unless the pool is closed. */
void flo_executor_process_died(struct flo_executor_process *process,
                               const struct flo_template_report *report);

#endif
