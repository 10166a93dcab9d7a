/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_rate.c - the rate limit of a queue: a token bucket that holds one second's worth. Operators
 * set it (queue_config.h), else the newest poll.
 */
#include "engine/core/internal.h"
#include "engine/core/matching.h"
#include "engine/core/queue_config.h"

static void refill(struct flo_core *core, struct flo_queue *queue)
{
    const double burst = queue->rate_limit < 1 ? 1 : queue->rate_limit;
    const double seconds = (double)(core->now_ns - queue->rate_refilled_ns) / 1e9;
    queue->rate_tokens += seconds * queue->rate_limit;
    if (queue->rate_tokens > burst)
        queue->rate_tokens = burst;
    queue->rate_refilled_ns = core->now_ns;
}

static void due(struct flo_core *core, struct flo_core_timer *timer)
{
    flo_matching_heat(core, flo_container(timer, struct flo_queue, rate_timer));
}

bool flo_queue_rate_allows(struct flo_core *core, struct flo_queue *queue)
{
    if (queue->rate_limit < 0)
        return true;
    refill(core, queue);
    if (queue->rate_tokens >= 1)
        return true;
    if (queue->rate_limit > 0) {
        const double wait_ns = (1 - queue->rate_tokens) / queue->rate_limit * 1e9;
        /* A rate of nearly nothing is nothing: the next poll brings a new one. */
        if (wait_ns < 1e17 && flo_core_timers_set(&core->waits, &queue->rate_timer,
                                                  core->now_ns + (int64_t)wait_ns + 1, due))
            return true; /* without memory for the timer rather early than never */
    }
    return false;
}

void flo_queue_rate_used(struct flo_queue *queue)
{
    if (queue->rate_limit >= 0)
        queue->rate_tokens -= 1;
}

static void set_rate(struct flo_core *core, struct flo_queue *queue, double rate)
{
    if (rate == queue->rate_limit)
        return;
    if (queue->rate_limit < 0) /* it was unlimited: begin with a full bucket */
        queue->rate_tokens = rate < 1 ? 1 : rate;
    if (rate == 0)
        queue->rate_tokens = 0;
    queue->rate_limit = rate;
    queue->rate_refilled_ns = core->now_ns;
    flo_core_timers_clear(&core->waits, &queue->rate_timer);
    flo_matching_heat(core, queue);
}

void flo_queue_set_limits(struct flo_core *core, struct flo_queue *queue)
{
    const struct flo_queue_config *config = queue->config;
    const double key_limit = config ? config->key_limit : -1;
    set_rate(core, queue,
             config && config->queue_limit >= 0 ? config->queue_limit : queue->worker_limit);
    if (key_limit != queue->key_limit && flo_lanes_limit(core, queue, key_limit))
        flo_core_set_fatal(core);
}

void flo_queue_worker_limit(struct flo_core *core, struct flo_queue *queue,
                            const Google__Protobuf__DoubleValue *limit)
{
    /* Negative, NaN and more than any worker can take: no limit. */
    const bool limits = limit && limit->value >= 0 && limit->value < FLO_QUEUE_MAX_RATE;
    queue->worker_limit = limits ? limit->value : -1;
    if (!queue->config || queue->config->queue_limit < 0)
        set_rate(core, queue, queue->worker_limit);
}
