/* SPDX-License-Identifier: Apache-2.0 */
/* share.c - see share.h. */
#include "worker/share.h"

bool flo_share_before(const struct flo_share *a, const struct flo_share *b)
{
    uint64_t of_a = (uint64_t)a->held * b->weight, of_b = (uint64_t)b->held * a->weight;

    return of_a != of_b ? of_a < of_b : a->served < b->served;
}
