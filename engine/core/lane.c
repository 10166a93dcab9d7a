/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.c - the order of the tasks in one queue: levels, fair shares, rate limits of fairness keys.
 *
 * A limit of keys is a "ready time" for each key: a task that leaves moves it on by the interval
 * that the rate and the key's weight give, from so long ago at the earliest that a key that was
 * idle may send one second's worth at once. While a key is not ready, its lanes are in no heap, and
 * a timer brings them back.
 */
#include "engine/core/lane.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/core/internal.h"
#include "engine/core/matching.h"
#include "engine/core/task.h"

#define PASS 1e6 /* of a task of weight 1 */
#define BURST_NS FLO_NS_PER_S
#define NEVER_NS (INT64_MAX / 2)
enum { SWEEP_MIN = 256, MANY = 10000, BASE = FLO_PRIORITY_DEFAULT_LEVEL - 1 };

/* ---- rates ---- */

void flo_rate_count(struct flo_rate *rate, int64_t now_ns)
{
    const int64_t slot = now_ns / (FLO_RATE_SLOT_S * FLO_NS_PER_S);
    if (slot - rate->slot >= FLO_RATE_SLOTS)
        memset(rate->counts, 0, sizeof rate->counts);
    else
        for (int64_t i = rate->slot + 1; i <= slot; i++)
            rate->counts[i % FLO_RATE_SLOTS] = 0;
    rate->slot = slot;
    rate->counts[slot % FLO_RATE_SLOTS]++;
}

float flo_rate_per_second(const struct flo_rate *rate, int64_t now_ns)
{
    const int64_t now = now_ns / (FLO_RATE_SLOT_S * FLO_NS_PER_S);
    uint64_t total = 0;
    for (int64_t slot = now; slot > now - FLO_RATE_SLOTS && slot > 0; slot--)
        if (slot <= rate->slot && slot > rate->slot - FLO_RATE_SLOTS)
            total += rate->counts[slot % FLO_RATE_SLOTS];
    return (float)total / (float)(FLO_RATE_SLOTS * FLO_RATE_SLOT_S);
}

/* ---- shares ---- */

static void lane_init(struct flo_lane *lane, struct flo_queue *queue, struct flo_share *share,
                      int level)
{
    lane->queue = queue;
    lane->share = share;
    lane->level = level;
    lane->weight = 1;
    flo_list_init(&lane->tasks);
}

void flo_lanes_init(struct flo_queue *queue)
{
    lane_init(&queue->base, queue, NULL, FLO_PRIORITY_DEFAULT_LEVEL);
}

static void share_free(struct flo_core *core, struct flo_share *share)
{
    flo_core_timers_clear(&core->waits, &share->ready);
    flo_free(share);
}

void flo_lanes_fini(struct flo_core *core, struct flo_queue *queue)
{
    struct flo_lanes *lanes = queue->lanes;
    if (!lanes)
        return;
    for (struct flo_map_entry *it = flo_map_first(&lanes->shares); it; it = flo_map_next(it))
        share_free(core, flo_map_value(it));
    flo_map_fini(&lanes->shares);
    for (int i = 0; i < FLO_PRIORITY_LEVELS; i++)
        flo_core_timers_fini(&lanes->levels[i]);
    flo_free(lanes);
    queue->lanes = NULL;
}

/* The lane of a share at a level; that of no key at the default level is the queue's own. */
static struct flo_lane *lane_at(struct flo_share *share, int index)
{
    return index == BASE && !share->key[0] ? &share->queue->base : &share->lanes[index];
}

/* May it go? A key without tasks is remembered while it has had more than its share or its rate;
 * where there are very many keys, it is not. */
static bool is_unused(const struct flo_core *core, struct flo_share *share, bool many)
{
    const struct flo_lanes *lanes = share->queue->lanes;
    if (!share->key[0] || (core->serving && core->serving->share == share) ||
        (!many && (share->resting || share->ready_ns > core->now_ns)))
        return false;
    for (int i = 0; i < FLO_PRIORITY_LEVELS; i++)
        if (!flo_list_empty(&share->lanes[i].tasks) ||
            (!many && share->lanes[i].pass > lanes->passed[i]))
            return false;
    return true;
}

static void sweep(struct flo_core *core, struct flo_lanes *lanes)
{
    const bool many = lanes->shares.count >= MANY;
    for (struct flo_map_entry *it = flo_map_first(&lanes->shares), *next; it; it = next) {
        next = flo_map_next(it);
        struct flo_share *share = flo_map_value(it);
        if (!is_unused(core, share, many))
            continue;
        flo_map_remove_str(&lanes->shares, share->key);
        share_free(core, share);
    }
    lanes->sweep_at = 2 * lanes->shares.count + SWEEP_MIN;
}

static struct flo_share *share_get(struct flo_queue *queue, const char *key)
{
    struct flo_share *share = flo_map_get_str(&queue->lanes->shares, key);
    if (share)
        return share;
    const size_t len = strlen(key) + 1;
    share = flo_calloc(1, sizeof *share + len);
    if (!share)
        return NULL;
    share->queue = queue;
    memcpy(share->key, key, len);
    for (int i = 0; i < FLO_PRIORITY_LEVELS; i++)
        lane_init(&share->lanes[i], queue, share, i + 1);
    if (flo_map_put_str(&queue->lanes->shares, key, share)) {
        flo_free(share);
        return NULL;
    }
    return share;
}

/* ---- turns ---- */

/* Let the lane wait for its turn. */
static int take_turn(struct flo_lane *lane)
{
    return flo_core_timers_set(&lane->queue->lanes->levels[lane->level - 1], &lane->turn,
                               lane->pass, NULL);
}

/* The queue gets lanes besides its own. */
static int lanes_new(struct flo_queue *queue)
{
    struct flo_lanes *lanes = flo_calloc(1, sizeof *lanes);
    if (!lanes)
        return FLO_ENOMEM;
    for (int i = 0; i < FLO_PRIORITY_LEVELS; i++)
        flo_core_timers_init(&lanes->levels[i]);
    flo_map_init(&lanes->shares);
    lanes->sweep_at = SWEEP_MIN;
    queue->lanes = lanes;
    queue->base.share = share_get(queue, "");
    if (!queue->base.share || (!flo_list_empty(&queue->base.tasks) && take_turn(&queue->base))) {
        flo_free(queue->base.share);
        queue->base.share = NULL;
        flo_map_fini(&lanes->shares);
        flo_free(lanes);
        queue->lanes = NULL;
        return FLO_ENOMEM;
    }
    return 0;
}

struct flo_lane *flo_lane_get(struct flo_core *core, struct flo_queue *queue,
                              const struct flo_order_of *order)
{
    const bool plain = order->level == FLO_PRIORITY_DEFAULT_LEVEL && !order->key[0];
    if (!queue->lanes) {
        if (plain)
            return &queue->base;
        if (lanes_new(queue))
            return NULL;
    }
    if (queue->lanes->shares.count >= queue->lanes->sweep_at)
        sweep(core, queue->lanes);
    struct flo_share *share = share_get(queue, order->key);
    if (!share)
        return NULL;
    struct flo_lane *lane = lane_at(share, order->level - 1);
    lane->weight = order->weight;
    return lane;
}

void flo_lane_added(struct flo_core *core, struct flo_lane *lane)
{
    struct flo_lanes *lanes = lane->queue->lanes;
    if (!lanes)
        return;
    const int level = lane->level - 1;
    flo_rate_count(&lanes->added[level], core->now_ns);
    if (lane != &lane->queue->base)
        lanes->count++;
    if (lane->tasks.count > 1 || lane->share->resting)
        return;
    if (lane->pass < lanes->passed[level])
        lane->pass = lanes->passed[level];
    if (take_turn(lane))
        flo_core_set_fatal(core);
}

void flo_lane_removed(struct flo_lane *lane)
{
    struct flo_lanes *lanes = lane->queue->lanes;
    if (!lanes)
        return;
    if (lane != &lane->queue->base)
        lanes->count--;
    if (flo_list_empty(&lane->tasks))
        flo_core_timers_clear(&lanes->levels[lane->level - 1], &lane->turn);
}

/* ---- rate limits of keys ---- */

/* The lanes of a share that have tasks wait for their turns again. */
static void share_back(struct flo_core *core, struct flo_share *share)
{
    share->resting = false;
    for (int i = 0; i < FLO_PRIORITY_LEVELS; i++) {
        struct flo_lane *lane = lane_at(share, i);
        if (!flo_list_empty(&lane->tasks) && take_turn(lane))
            flo_core_set_fatal(core);
    }
    flo_matching_heat(core, share->queue);
}

static void share_ready(struct flo_core *core, struct flo_core_timer *timer)
{
    share_back(core, flo_container(timer, struct flo_share, ready));
}

/* Its key may not go yet: it is out until then, with the other lanes of the key. */
static void share_rest(struct flo_core *core, struct flo_share *share)
{
    for (int i = 0; i < FLO_PRIORITY_LEVELS; i++)
        flo_core_timers_clear(&share->queue->lanes->levels[i], &lane_at(share, i)->turn);
    share->resting = true;
    if (share->ready_ns < NEVER_NS &&
        flo_core_timers_set(&core->waits, &share->ready, share->ready_ns, share_ready))
        flo_core_set_fatal(core);
}

int flo_lanes_limit(struct flo_core *core, struct flo_queue *queue, double limit)
{
    queue->key_limit = limit;
    if (limit >= 0 && !queue->lanes && lanes_new(queue))
        return FLO_ENOMEM;
    if (!queue->lanes)
        return 0;
    for (struct flo_map_entry *it = flo_map_first(&queue->lanes->shares); it;
         it = flo_map_next(it)) {
        struct flo_share *share = flo_map_value(it);
        share->ready_ns = 0;
        flo_core_timers_clear(&core->waits, &share->ready);
        if (share->resting)
            share_back(core, share);
    }
    return 0;
}

static void use_up(struct flo_core *core, const struct flo_queue *queue, struct flo_lane *lane)
{
    struct flo_share *share = lane->share;
    const double interval = ceil(1e9 / (queue->key_limit * (double)lane->weight));
    const int64_t interval_ns = interval < (double)NEVER_NS / 4 ? (int64_t)interval : NEVER_NS / 4;
    const int64_t spare_ns = interval_ns < BURST_NS ? BURST_NS - interval_ns : 0;
    if (share->ready_ns < core->now_ns - spare_ns)
        share->ready_ns = core->now_ns - spare_ns;
    share->ready_ns += interval_ns;
}

/* ---- the next one ---- */

struct flo_lane *flo_lane_next(struct flo_core *core, struct flo_queue *queue)
{
    if (!queue->lanes)
        return flo_list_empty(&queue->base.tasks) ? NULL : &queue->base;
    for (int i = 0; i < FLO_PRIORITY_LEVELS; i++) {
        struct flo_core_timers *level = &queue->lanes->levels[i];
        while (level->count) {
            struct flo_lane *lane = flo_container(level->heap[0], struct flo_lane, turn);
            if (queue->key_limit == 0)
                lane->share->ready_ns = NEVER_NS;
            if (queue->key_limit < 0 || lane->share->ready_ns <= core->now_ns)
                return lane;
            share_rest(core, lane->share);
        }
    }
    return NULL;
}

void flo_lane_passed(struct flo_core *core, struct flo_lane *lane)
{
    struct flo_queue *queue = lane->queue;
    struct flo_lanes *lanes = queue->lanes;
    if (!lanes)
        return;
    const int level = lane->level - 1;
    flo_rate_count(&lanes->dispatched[level], core->now_ns);
    lanes->passed[level] = lane->pass;
    lane->pass += (int64_t)(PASS / (double)lane->weight);
    if (!flo_list_empty(&lane->tasks) && take_turn(lane))
        flo_core_set_fatal(core);
    if (queue->key_limit > 0)
        use_up(core, queue, lane);
}

/* ---- figures ---- */

size_t flo_lanes_count(const struct flo_queue *queue)
{
    return queue->base.tasks.count + (queue->lanes ? queue->lanes->count : 0);
}

static size_t count_lane(const struct flo_lane *lane, int64_t *since_ns)
{
    const struct flo_node *oldest = flo_list_first(&lane->tasks);
    if (oldest) {
        const int64_t added_ns = flo_container(oldest, const struct flo_task, node)->added_ns;
        if (!*since_ns || added_ns < *since_ns)
            *since_ns = added_ns;
    }
    return lane->tasks.count;
}

size_t flo_lanes_count_at(const struct flo_queue *queue, int level, int64_t *since_ns)
{
    const int index = level - 1;
    size_t count = index == BASE ? count_lane(&queue->base, since_ns) : 0;
    if (!queue->lanes)
        return count;
    for (struct flo_map_entry *it = flo_map_first(&queue->lanes->shares); it;
         it = flo_map_next(it)) {
        const struct flo_share *share = flo_map_value(it);
        if (index != BASE || share->key[0])
            count += count_lane(&share->lanes[index], since_ns);
    }
    return count;
}
