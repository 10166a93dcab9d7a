/* SPDX-License-Identifier: Apache-2.0 */
/* backlog.h - how many tasks wait at the server in the worker's queues. Loop thread. */
#ifndef FLO_WORKER_BACKLOG_H
#define FLO_WORKER_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flo_worker;

/* queued: all queues together; -1 when the server does not tell of each of them. */
typedef void (*flo_backlog_fn)(void *ctx, int64_t queued);

/* One question at a time; the caller's, zeroed before the first. The client's end ends it too. */
struct flo_backlog {
    size_t calls; /* not answered yet */
    bool unknown;
    int64_t queued;
    flo_backlog_fn done;
    void *ctx;
};

/*
 * Ask the server (DescribeTaskQueue, one call a queue), then call done from the loop; with no
 * connection, or no memory, at once with -1. Nothing while the question before is not answered. A
 * server's count is an estimate.
 */
void flo_backlog_ask(struct flo_backlog *backlog, struct flo_worker *worker, flo_backlog_fn done,
                     void *ctx);

#endif
