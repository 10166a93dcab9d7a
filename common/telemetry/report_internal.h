/* SPDX-License-Identifier: Apache-2.0 */
/* report_internal.h - what the files of the reporter share. */
#ifndef FLO_TELEMETRY_REPORT_INTERNAL_H
#define FLO_TELEMETRY_REPORT_INTERNAL_H

#include "base/buf.h"
#include "base/random.h"
#include "telemetry/report.h"
#include "telemetry/zeromq.h"

/* Frames that wait for the socket, oldest first. */
struct flo_report_queue {
    struct {
        uint8_t *data;
        size_t len;
    } frames[FLO_REPORT_QUEUE];
    size_t first, count;
    size_t bytes; /* of all */
};

struct flo_reporter {
    const struct flo_zeromq *zmq;
    void *context;
    void *sock;
    struct event *timer;
    struct event *readable;            /* edge of the socket's descriptor */
    struct flo_report_options options; /* its strings are ours */
    char *strings[9];                  /* the copies */
    size_t string_count;
    char boot_id[FLO_UUID_LEN + 1];
    uint64_t seq;       /* of the newest snapshot */
    uint64_t event_seq; /* of the newest event */
    double tokens;      /* events that may still be sent in this second */
    int64_t tokens_ms;  /* when that was worked out */
    int64_t started_ms; /* wall clock */
    bool dropped;       /* the last snapshot found no connection */
    bool stopped;       /* the last one: the process ends */
    struct flo_report_queue queue;
};

/* ---- report_queue.c ---- */
/* Hand over as many frames as the socket takes now. */
void flo_report_queue_flush(struct flo_reporter *reporter);
void flo_report_queue_fini(struct flo_report_queue *queue);

/* ---- report_command.c ---- */
/* Take what came down. */
void flo_report_receive(struct flo_reporter *reporter);

#endif
