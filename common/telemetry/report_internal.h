/* SPDX-License-Identifier: Apache-2.0 */
/* report_internal.h - what the files of the reporter share. */
#ifndef FLO_TELEMETRY_REPORT_INTERNAL_H
#define FLO_TELEMETRY_REPORT_INTERNAL_H

#include <event2/util.h>

#include "base/buf.h"
#include "base/random.h"
#include "telemetry/curve.h"
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

/* A connection. */
struct flo_report_link {
    void *sock;             /* NULL: there is none */
    struct event *readable; /* edge of the socket's descriptor; NULL while it is not in use */
};

struct flo_reporter {
    const struct flo_zeromq *zmq;
    struct event_base *base; /* borrowed */
    void *context;
    struct flo_report_link link; /* the one in use */
    struct flo_report_link next; /* its successor, which connects */
    struct flo_report_link last; /* its predecessor, which said goodbye and may still be told */
    bool said_leave;             /* by link: the next snapshot goes by next */
    unsigned link_left;          /* snapshots until a successor is made, or waited for no more */
    bool has_keys;               /* CURVE */
    char secret_key[FLO_CURVE_TEXT], public_key[FLO_CURVE_TEXT], server_key[FLO_CURVE_TEXT];
    struct flo_rng rng;
    struct event *timer;
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
    unsigned drops;     /* snapshots in a row that found none */
    int64_t away_ms;    /* monotonic: when the first of them did */
    bool stopped;       /* the last one: the process ends */
    struct flo_report_queue queue;
};

/* ---- report.c ---- */
/* Something came, or there is room; ctx is the reporter. */
void flo_report_on_edge(evutil_socket_t fd, short what, void *ctx);

/* ---- report_link.c ---- */
/* The context, the keys and the first connection; end with flo_report_link_fini. FLO_EINVAL: the
 * endpoint; FLO_ESYS; FLO_ENOMEM; those of curve.h. */
FLO_MUST_CHECK int flo_report_link_init(struct flo_reporter *reporter,
                                        const struct flo_report_options *options,
                                        struct flo_err *err);
/* Before each snapshot: see to a successor in time, and go over to it. */
void flo_report_link_age(struct flo_reporter *reporter);
/* And after it: say goodbye when the successor is there. */
void flo_report_link_leave(struct flo_reporter *reporter);
/* Is there a connection that takes a frame? */
bool flo_report_link_writable(struct flo_reporter *reporter);
/* Close all; waits a moment for the last frame. NULL members are fine. */
void flo_report_link_fini(struct flo_reporter *reporter);

/* ---- report_queue.c ---- */
/* Hand over as many frames as the socket takes now. */
void flo_report_queue_flush(struct flo_reporter *reporter);
void flo_report_queue_fini(struct flo_report_queue *queue);

/* ---- report_command.c ---- */
/* Take what came down. */
void flo_report_receive(struct flo_reporter *reporter);

#endif
