/* SPDX-License-Identifier: Apache-2.0 */
/* priority.c - priorities: kept, merged, checked. */
#include "engine/core/priority.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/core/reply.h"

#define KEY_BYTES 64
#define WEIGHT_MIN 0.001F
#define WEIGHT_MAX 1000.0F

int flo_priority_new(const FloApi__Priority *message, struct flo_priority **out)
{
    *out = NULL;
    if (!message ||
        (!message->priority_key && !message->fairness_key[0] && message->fairness_weight == 0))
        return 0;
    const size_t len = strlen(message->fairness_key) + 1;
    struct flo_priority *priority = flo_calloc(1, sizeof *priority + len);
    if (!priority)
        return FLO_ENOMEM;
    priority->level = message->priority_key;
    priority->weight = message->fairness_weight;
    memcpy(priority->key, message->fairness_key, len);
    *out = priority;
    return 0;
}

FloApi__Priority *flo_priority_message(const struct flo_priority *priority, struct flo_arena *arena,
                                       bool *ok)
{
    if (!priority)
        return NULL;
    FloApi__Priority *out = flo_arena_alloc(arena, sizeof *out);
    char *key = flo_arena_strdup(arena, priority->key);
    if (!out || !key) {
        *ok = false;
        return NULL;
    }
    flo_api__priority__init(out);
    out->priority_key = priority->level;
    out->fairness_key = key;
    out->fairness_weight = priority->weight;
    return out;
}

struct flo_order_of flo_priority_order(const struct flo_priority *base,
                                       const struct flo_priority *own)
{
    struct flo_order_of order = {.key = ""};
    const struct flo_priority *const said[] = {own, base};
    for (int i = 0; i < 2; i++) {
        if (!said[i])
            continue;
        order.level = order.level ? order.level : said[i]->level;
        order.weight = order.weight > 0 ? order.weight : said[i]->weight;
        order.key = order.key[0] ? order.key : said[i]->key;
    }
    if (order.level <= 0)
        order.level = FLO_PRIORITY_DEFAULT_LEVEL;
    if (order.level > FLO_PRIORITY_LEVELS)
        order.level = FLO_PRIORITY_LEVELS;
    if (!(order.weight > 0)) /* also NaN */
        order.weight = 1;
    if (order.weight < WEIGHT_MIN)
        order.weight = WEIGHT_MIN;
    if (order.weight > WEIGHT_MAX)
        order.weight = WEIGHT_MAX;
    return order;
}

FloApi__Priority *flo_priority_merge(const FloApi__Priority *base, const FloApi__Priority *own,
                                     struct flo_arena *arena)
{
    if (!base && !own)
        return NULL;
    FloApi__Priority *out = flo_arena_memdup(arena, own ? own : base, sizeof *out);
    if (!out || !base || !own)
        return out;
    if (!out->priority_key)
        out->priority_key = base->priority_key;
    if (!out->fairness_key[0])
        out->fairness_key = base->fairness_key;
    if (out->fairness_weight == 0)
        out->fairness_weight = base->fairness_weight;
    return out;
}

int flo_check_priority(struct flo_core *core, const FloApi__Priority *priority,
                       struct flo_status *status)
{
    const char *wrong = NULL;
    if (!priority)
        return 0;
    if (priority->priority_key < 0)
        wrong = "PriorityKey can't be negative";
    else if (strlen(priority->fairness_key) > KEY_BYTES)
        wrong = "FairnessKey length exceeds limit";
    else if (priority->fairness_weight < 0)
        wrong = "FairnessWeight can't be negative";
    return wrong ? flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "%s", wrong) : 0;
}
