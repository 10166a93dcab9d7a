/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokens.h - countable resources of which activities take some while they run: connections of a
 * database, a GPU. Pure counting.
 *
 * A poll cannot say which types it wants, so it takes the most that any type of its queue may
 * need; what the type that came does not need goes back at once, and the rest when its code has
 * returned. A poll for which there are not enough is not sent.
 */
#ifndef FLO_WORKER_TOKENS_H
#define FLO_WORKER_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/role_config.h"

struct flo_tokens {
    size_t count;
    struct flo_token_pool {
        const char *name; /* borrowed of the configuration */
        uint32_t total, taken;
    } pools[FLO_TOKENS_MAX];
};

/* How many of each pool; all zeros: none. */
struct flo_token_need {
    uint32_t of[FLO_TOKENS_MAX];
};

/* Take all of need, or nothing: false. */
bool flo_tokens_take(struct flo_tokens *tokens, const struct flo_token_need *need);
void flo_tokens_give(struct flo_tokens *tokens, const struct flo_token_need *need);
/* Give back what was taken beyond need, which is nowhere more than taken. */
void flo_tokens_narrow(struct flo_tokens *tokens, const struct flo_token_need *taken,
                       const struct flo_token_need *need);
/* The pools (bits) that have less than need. */
uint32_t flo_tokens_short(const struct flo_tokens *tokens, const struct flo_token_need *need);
/* The pools (bits) of which need is not 0. */
uint32_t flo_token_need_pools(const struct flo_token_need *need);
/* Raise need to other where that is more. */
void flo_token_need_raise(struct flo_token_need *need, const struct flo_token_need *other);

/* Add other to need; sums stay far below the type's end: at most 64 queues of a million each. */
void flo_token_need_add(struct flo_token_need *need, const struct flo_token_need *other);

#endif
