/* SPDX-License-Identifier: Apache-2.0 */
/* heartbeat.c - throttling of heartbeats; see heartbeat.h. */
#include "activity/heartbeat.h"

#include "base/clock.h"

#define INTERVAL_WITHOUT_TIMEOUT_NS (30 * FLO_NS_PER_S)
#define INTERVAL_MAX_NS (60 * FLO_NS_PER_S)

void flo_heartbeat_init(struct flo_heartbeat *heartbeat, int64_t timeout_ns)
{
    int64_t interval = timeout_ns > 0 ? timeout_ns / 10 * 8 : INTERVAL_WITHOUT_TIMEOUT_NS;

    *heartbeat = (struct flo_heartbeat){
        .interval_ns = interval < INTERVAL_MAX_NS ? interval : INTERVAL_MAX_NS,
        .next_ns = INT64_MIN,
    };
}

void flo_heartbeat_beat(struct flo_heartbeat *heartbeat)
{
    heartbeat->pending = true;
}

enum flo_heartbeat_step flo_heartbeat_next(const struct flo_heartbeat *heartbeat, int64_t now_ns,
                                           int64_t *out_wait_ns)
{
    if (!heartbeat->pending || heartbeat->in_flight)
        return FLO_HEARTBEAT_NOTHING;
    if (now_ns >= heartbeat->next_ns)
        return FLO_HEARTBEAT_SEND;
    *out_wait_ns = heartbeat->next_ns - now_ns;
    return FLO_HEARTBEAT_WAIT;
}

void flo_heartbeat_sent(struct flo_heartbeat *heartbeat, int64_t now_ns)
{
    heartbeat->pending = false;
    heartbeat->in_flight = true;
    heartbeat->next_ns = now_ns + heartbeat->interval_ns;
}

void flo_heartbeat_answered(struct flo_heartbeat *heartbeat)
{
    heartbeat->in_flight = false;
}
