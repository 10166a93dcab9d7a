/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heartbeat.h - when to send an activity's heartbeats. Pure: the time comes from the caller.
 *
 * The first one goes at once, then at most one per interval: 0.8 x the heartbeat timeout, at most
 * 60 s; 30 s without a timeout. One call is in flight at a time. What is sent is always the newest
 * details; details that were never sent are flushed before a failure is reported.
 */
#ifndef FLO_ACTIVITY_HEARTBEAT_H
#define FLO_ACTIVITY_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

struct flo_heartbeat {
    int64_t interval_ns;
    int64_t next_ns; /* nothing is sent before */
    bool in_flight;  /* a call waits for its answer */
    bool pending;    /* the activity said something that was not sent yet */
};

enum flo_heartbeat_step {
    FLO_HEARTBEAT_NOTHING, /* until the next beat or answer */
    FLO_HEARTBEAT_SEND,    /* send now, then call flo_heartbeat_sent */
    FLO_HEARTBEAT_WAIT,    /* ask again after *out_wait_ns */
};

/* timeout_ns is the activity's heartbeat timeout, 0 = none. */
void flo_heartbeat_init(struct flo_heartbeat *heartbeat, int64_t timeout_ns);
/* The activity reported progress. */
void flo_heartbeat_beat(struct flo_heartbeat *heartbeat);
/* What to do at now_ns. */
enum flo_heartbeat_step flo_heartbeat_next(const struct flo_heartbeat *heartbeat, int64_t now_ns,
                                           int64_t *out_wait_ns);
void flo_heartbeat_sent(struct flo_heartbeat *heartbeat, int64_t now_ns);
void flo_heartbeat_answered(struct flo_heartbeat *heartbeat);

#endif
