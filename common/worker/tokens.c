/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.c - counting tokens; see tokens.h. */
#include "worker/tokens.h"

#include <assert.h>

uint32_t flo_tokens_short(const struct flo_tokens *tokens, const struct flo_token_need *need)
{
    uint32_t pools = 0;

    for (size_t i = 0; i < tokens->count; i++)
        if (tokens->pools[i].total - tokens->pools[i].taken < need->of[i])
            pools |= UINT32_C(1) << i;
    return pools;
}

bool flo_tokens_take(struct flo_tokens *tokens, const struct flo_token_need *need)
{
    if (flo_tokens_short(tokens, need))
        return false;
    for (size_t i = 0; i < tokens->count; i++)
        tokens->pools[i].taken += need->of[i];
    return true;
}

void flo_tokens_give(struct flo_tokens *tokens, const struct flo_token_need *need)
{
    for (size_t i = 0; i < tokens->count; i++) {
        assert(tokens->pools[i].taken >= need->of[i]);
        tokens->pools[i].taken -= need->of[i];
    }
}

void flo_tokens_narrow(struct flo_tokens *tokens, const struct flo_token_need *taken,
                       const struct flo_token_need *need)
{
    for (size_t i = 0; i < tokens->count; i++) {
        assert(taken->of[i] >= need->of[i]);
        tokens->pools[i].taken -= taken->of[i] - need->of[i];
    }
}

uint32_t flo_token_need_pools(const struct flo_token_need *need)
{
    uint32_t pools = 0;

    for (size_t i = 0; i < FLO_TOKENS_MAX; i++)
        if (need->of[i])
            pools |= UINT32_C(1) << i;
    return pools;
}

void flo_token_need_raise(struct flo_token_need *need, const struct flo_token_need *other)
{
    for (size_t i = 0; i < FLO_TOKENS_MAX; i++)
        if (other->of[i] > need->of[i])
            need->of[i] = other->of[i];
}

void flo_token_need_add(struct flo_token_need *need, const struct flo_token_need *other)
{
    for (size_t i = 0; i < FLO_TOKENS_MAX; i++)
        need->of[i] += other->of[i];
}
