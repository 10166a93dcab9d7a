/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child_io.h - the executor side of the job that a process runs (private to this folder): frames
 * up and down its one socket, also when the job has several threads.
 *
 * Of the threads that wait for news one reads the socket, without a lock held; the others sleep on
 * a condition, and when the reader leaves, one of them reads on. A thread that only looks reads
 * what is there, unless there is a reader, who has it in a moment.
 */
#ifndef FLO_EXECUTOR_CHILD_IO_H
#define FLO_EXECUTOR_CHILD_IO_H

#include <pthread.h>

#include "executor/core.h"

struct flo_child_io {
    struct flo_job_io io; /* first: the runner's */
    int fd;               /* the socket */
    int wake_fd;          /* eventfd that ends a reader's wait; -1 = none: nobody watches */
    uint64_t job;
    pthread_mutex_t write_mu; /* one frame at a time */
    pthread_mutex_t mu;
    pthread_cond_t turn; /* told has changed, or nobody reads any more */
    unsigned told;       /* guarded by mu */
    bool reading;        /* guarded by mu: a thread waits for the socket */
    bool stop;           /* STOP came, or the worker is gone; guarded by mu */
};

void flo_child_io_init(struct flo_child_io *child, int fd, uint64_t job);
void flo_child_io_fini(struct flo_child_io *child);

#endif
