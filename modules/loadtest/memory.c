/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - memory_operations: blocks that are filled with numbers of a seed and read back in some
 * order. A sum does not depend on the order, so each pass must come to what was written.
 */
#include <stdlib.h>

#include "loadtest/tasks.h"

#define STRIDE 509 /* words; a prime, so that it reaches all of a block that it does not divide */

struct blocks {
    uint64_t **items;
    size_t count;
    size_t words; /* of each */
};

static int allocate(struct loadtest_task *task, struct blocks *blocks)
{
    size_t bytes = (size_t)loadtest_of(task, "bytes");
    blocks->count = (size_t)loadtest_of(task, "chunks");
    if (blocks->count > bytes / sizeof(uint64_t))
        blocks->count = bytes / sizeof(uint64_t);
    blocks->words = bytes / blocks->count / sizeof(uint64_t);
    blocks->items = calloc(blocks->count, sizeof *blocks->items);
    for (size_t i = 0; blocks->items && i < blocks->count; i++) {
        blocks->items[i] = malloc(blocks->words * sizeof(uint64_t));
        if (!blocks->items[i])
            return flo_activity_fail(task->ctx, "OutOfMemory", false, NULL,
                                     "no memory for block %zu of %zu", i + 1, blocks->count);
    }
    return blocks->items ? 0 : FLO_ENOMEM;
}

static void release(struct blocks *blocks)
{
    for (size_t i = 0; blocks->items && i < blocks->count; i++)
        free(blocks->items[i]);
    free(blocks->items);
}

static uint64_t fill(struct blocks *blocks, uint64_t seed)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < blocks->count; i++) {
        for (size_t k = 0; k < blocks->words; k++) {
            blocks->items[i][k] = loadtest_random(&seed);
            sum += blocks->items[i][k];
        }
    }
    return sum;
}

static uint64_t read_sequential(const uint64_t *words, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += words[i];
    return sum;
}

/* Every STRIDEth word, then the same from the next on. */
static uint64_t read_stride(const uint64_t *words, size_t count)
{
    uint64_t sum = 0;
    for (size_t from = 0; from < STRIDE; from++)
        for (size_t i = from; i < count; i += STRIDE)
            sum += words[i];
    return sum;
}

/* Each word once, in an order that no prefetcher guesses: a full cycle of a generator modulo the
 * next power of two, leaving out what lies beyond the block. */
static uint64_t read_random(const uint64_t *words, size_t count)
{
    uint64_t sum = 0;
    size_t modulus = 1, at = 0;
    while (modulus < count)
        modulus *= 2;
    for (size_t i = 0; i < modulus; i++) {
        at = (at * 1664525 + 1013904223) & (modulus - 1);
        if (at < count)
            sum += words[at];
    }
    return sum;
}

static uint64_t read_block(const char *pattern, const uint64_t *words, size_t count)
{
    return *pattern == 'r'                        ? read_random(words, count)
           : *pattern == 's' && pattern[1] == 't' ? read_stride(words, count)
                                                  : read_sequential(words, count);
}

static int run(struct loadtest_task *task, struct blocks *blocks)
{
    const char *pattern = loadtest_text(task->parameters, "pattern");
    int64_t passes = loadtest_of(task, "passes");
    int rc = allocate(task, blocks);
    if (rc)
        return rc;
    uint64_t written = fill(blocks, (uint64_t)loadtest_of(task, "seed"));
    for (int64_t pass = 0; pass < passes; pass++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < blocks->count; i++) {
            sum += read_block(pattern, blocks->items[i], blocks->words);
            if (flo_activity_cancelled(task->ctx))
                return FLO_ECANCELLED;
        }
        loadtest_check(task, "checksum", sum == written);
    }
    loadtest_count(task, "bytes", (int64_t)(blocks->count * blocks->words * sizeof(uint64_t)));
    loadtest_count(task, "chunks", (int64_t)blocks->count);
    loadtest_count(task, "passes", passes);
    loadtest_count(task, "checksum", (int64_t)(written >> 1)); /* JSON's integers are signed */
    return 0;
}

int loadtest_memory_operations(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct loadtest_task task;
    struct blocks blocks = {0};
    int rc = loadtest_begin(&task, ctx, input);
    if (rc == 0)
        rc = run(&task, &blocks);
    release(&blocks);
    return loadtest_end(&task, rc, out_result);
}
