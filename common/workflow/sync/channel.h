/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h - how a select and the channels of its cases meet (sync/channel.c, sync/select.c).
 *
 * A coroutine that waits has an offer on each channel of its cases. Who comes to a channel and
 * finds an offer there takes it up: values move at once, the offer's select is decided, and its
 * other offers are withdrawn; its coroutine goes on when the scheduler comes to it. So the lists of
 * a channel hold only offers that can be taken up.
 */
#ifndef FLO_WORKFLOW_SYNC_CHANNEL_H
#define FLO_WORKFLOW_SYNC_CHANNEL_H

#include "base/list.h"
#include "flotilla/workflow.h"

struct flo_offer {
    struct flo_node node; /* on its channel; not linked: withdrawn, or of no channel */
    struct flo_list *list;
    struct flo_select *select;
};

/* One waiting flo_select, on the stack of its coroutine. */
struct flo_select {
    struct flo_workflow *wf;
    const struct flo_case *cases;
    size_t count;
    struct flo_offer *offers; /* one a case */
    const struct flo_future *timer;
    bool decided;
    size_t index;  /* once decided: which case */
    int rc;        /* and its result */
    json_t *value; /* and what came, owned */
};

/* Do a receive or a send if it can be done now. *out_rc: 0 or FLO_ECLOSED. *out_value (receive): a
 * reference, the caller's. False: it would have to wait. */
bool flo_channel_try(struct flo_channel *channel, const struct flo_case *cs, int *out_rc,
                     json_t **out_value);
/* Leave offer, of a case that cannot be done now, on its channel. */
void flo_channel_offer(struct flo_channel *channel, const struct flo_case *cs,
                       struct flo_offer *offer);
/* The offer at index of select was taken up: it is decided, its offers are withdrawn. */
void flo_select_decide(struct flo_select *select, const struct flo_offer *offer, int rc,
                       json_t *value);

#endif
