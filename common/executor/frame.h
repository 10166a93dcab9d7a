/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - what travels on the sockets of process executors (private to this folder).
 *
 *   worker  ⇄ executor process: a stream of frames, head + body; same machine, same program, so
 *                               the head is a plain struct in the machine's byte order.
 *   worker  ⇄ template process: fixed-size packets (SOCK_SEQPACKET), see template.h.
 */
#ifndef FLO_EXECUTOR_FRAME_H
#define FLO_EXECUTOR_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "executor/executor.h"
#include "flotilla/error.h"

enum flo_frame_kind {
    FLO_FRAME_READY,    /* up: value = 0 or the error of worker_start, body = its sentence;
                           job = its pid */
    FLO_FRAME_JOB,      /* down: job, body = request */
    FLO_FRAME_CANCEL,   /* down: job, value = what it is told (FLO_JOB_REASON and bits) */
    FLO_FRAME_PROGRESS, /* up: job, body */
    FLO_FRAME_NOTE,     /* up: job, body */
    FLO_FRAME_DONE,     /* up: job, usage, body = reply; value: see below */
    FLO_FRAME_TOO_LONG, /* the same without a reply, which broke its bound */
    FLO_FRAME_STOP,     /* down: end after the running job */
};

/* The value of DONE and TOO_LONG: how the process goes on, and above the lowest byte how much of
 * that reason there is (struct flo_recycled). */
enum flo_frame_next {
    FLO_FRAME_NEXT_JOB,   /* with the next job */
    FLO_FRAME_NEXT_LOST,  /* it must be killed: something below it does not go */
    FLO_FRAME_NEXT_LEAVE, /* + enum flo_recycle_reason: it stops its modules and ends */
};
#define FLO_FRAME_NEXT(value) ((int)((value)&0xff))
#define FLO_FRAME_AMOUNT(value) ((value) >> 8)

struct flo_frame {
    uint32_t body_len;
    uint32_t kind; /* enum flo_frame_kind */
    uint64_t job;
    int64_t value;
    struct flo_job_usage usage; /* DONE, TOO_LONG */
};

/* One try to send head and body but for their first skip bytes; how many went, as sendmsg(2). */
ssize_t flo_frame_send(int fd, const struct flo_frame *head, const void *body, size_t skip);
/* Write head and body, waiting as long as it takes. 0, FLO_ECLOSED. Executor process only. */
FLO_MUST_CHECK int flo_frame_write(int fd, const struct flo_frame *head, const void *body);
/* Read exactly len bytes, waiting timeout_ms at most for each part (< 0: for ever). 0,
 * FLO_ECLOSED, FLO_ETIMEDOUT. */
FLO_MUST_CHECK int flo_frame_read(int fd, void *out, size_t len, int timeout_ms);

#endif
