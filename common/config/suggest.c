/* SPDX-License-Identifier: Apache-2.0 */
/* suggest.c - the word that was meant: smallest edit distance (insert, delete, replace, swap). */
#include <string.h>

#include "config/schema.h"

#define WORD_MAX 64

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Optimal string alignment distance; words longer than WORD_MAX are as far as can be. */
static size_t distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return WORD_MAX;
    size_t rows[3][WORD_MAX + 1]; /* two rows back, the row above, this one */
    for (size_t j = 0; j <= b_len; j++)
        rows[1][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        rows[2][0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t cost = a[i - 1] != b[j - 1];
            rows[2][j] = min3(rows[1][j] + 1, rows[2][j - 1] + 1, rows[1][j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                rows[0][j - 2] + 1 < rows[2][j])
                rows[2][j] = rows[0][j - 2] + 1;
        }
        memcpy(rows[0], rows[1], sizeof rows[0]);
        memcpy(rows[1], rows[2], sizeof rows[1]);
    }
    return rows[1][b_len];
}

const char *flo_nearest_within(size_t most, const char *word, const char *const *candidates,
                               size_t count)
{
    const char *best = NULL;
    size_t best_distance = most;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, candidates[i]);
        if (d <= best_distance && (!best || d < best_distance)) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}

const char *flo_did_you_mean(const char *word, const char *const *candidates, size_t count)
{
    /* a third of the letters may be wrong */
    return flo_nearest_within(strlen(word) / 3 + 1, word, candidates, count);
}
