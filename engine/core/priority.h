/* SPDX-License-Identifier: Apache-2.0 */
/*
 * priority.h - what a run or an activity says of its order among the tasks of a queue: a level
 * (1 first, 5 last), and a fairness key whose tasks get a share of the level by their weight.
 */
#ifndef FLO_ENGINE_CORE_PRIORITY_H
#define FLO_ENGINE_CORE_PRIORITY_H

#include <stdint.h>

#include "base/arena.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_core;   /* internal.h */
struct flo_status; /* reply.h */

enum { FLO_PRIORITY_LEVELS = 5, FLO_PRIORITY_DEFAULT_LEVEL = 3 };

/* Kept of a Priority message; heap, never changed. NULL where nothing was said. */
struct flo_priority {
    int32_t level; /* as it was said; 0 = it was not */
    float weight;  /* 0 = it was not said */
    char key[];    /* "" = it was not said */
};

/* Keep a message that says anything; *out NULL: it says nothing. Free with flo_free. 0,
 * FLO_ENOMEM. */
FLO_MUST_CHECK int flo_priority_new(const FloApi__Priority *message, struct flo_priority **out);
/* The message of it, in arena; NULL for NULL, and without memory, which *ok then tells. */
FloApi__Priority *flo_priority_message(const struct flo_priority *priority, struct flo_arena *arena,
                                       bool *ok);
/* What own does not say, base does. Either may be NULL; key is borrowed from one of them. */
struct flo_order_of {
    int level; /* 1 .. FLO_PRIORITY_LEVELS */
    const char *key;
    float weight; /* > 0 */
};
struct flo_order_of flo_priority_order(const struct flo_priority *base,
                                       const struct flo_priority *own);
/* The same of messages, in arena; NULL when neither says anything, or without memory. */
FloApi__Priority *flo_priority_merge(const FloApi__Priority *base, const FloApi__Priority *own,
                                     struct flo_arena *arena);
/* Negative numbers, a key of more than 64 bytes: INVALID_ARGUMENT. NULL is fine. */
FLO_MUST_CHECK int flo_check_priority(struct flo_core *core, const FloApi__Priority *priority,
                                      struct flo_status *status);

#endif
