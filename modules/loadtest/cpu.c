/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.c - cpu_intensive: problems whose answers are found twice, by the slow way that is the load
 * and by another that is not.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "loadtest/tasks.h"

#define CHECK_EVERY (UINT64_C(1) << 20) /* rounds between two looks at cancellation */

static bool stopped(const struct loadtest_task *task)
{
    return flo_activity_cancelled(task->ctx);
}

/* ---- Fibonacci numbers ---- */

static uint64_t slow_fibonacci(unsigned n) /* NOLINT(misc-no-recursion): that is the load */
{
    return n < 2 ? n : slow_fibonacci(n - 1) + slow_fibonacci(n - 2);
}

static void do_fibonacci(struct loadtest_task *task, unsigned n)
{
    uint64_t a = 0, b = 1, answer = slow_fibonacci(n);
    for (unsigned i = 0; i < n; i++) {
        uint64_t next = a + b;
        a = b;
        b = next;
    }
    loadtest_count(task, "fibonacci", (int64_t)answer);
    loadtest_check(task, "fibonacci", answer == a);
}

/* ---- primes ---- */

/* The sieve of Eratosthenes over the odd numbers; -1 without memory. */
static int64_t sieve(int64_t n)
{
    int64_t half = (n + 1) / 2, count = n >= 2;
    uint8_t *composite = calloc((size_t)half + 1, 1);
    if (!composite)
        return -1;
    for (int64_t i = 1; i < half; i++) { /* i stands for 2i + 1 */
        if (composite[i])
            continue;
        count++;
        for (int64_t k = 2 * i * (i + 1); k < half; k += 2 * i + 1)
            composite[k] = 1;
    }
    free(composite);
    return count;
}

/*
 * The same number in another way, in n^(3/4) steps: for each value v of n/i, how many numbers up to
 * v are left when the multiples of 2, 3, 5 ... are struck out; needs v <= n only. -1 without
 * memory.
 */
static int64_t count_primes(int64_t n)
{
    int64_t root = (int64_t)sqrt((double)n);
    while (root * root > n)
        root--;
    while ((root + 1) * (root + 1) <= n)
        root++;
    int64_t *small = calloc((size_t)root + 2, sizeof *small); /* of v = 0..root */
    int64_t *large = calloc((size_t)root + 2, sizeof *large); /* of v = n/i, i = 1..root */
    int64_t answer = -1;
    if (!small || !large)
        goto out;
    for (int64_t i = 1; i <= root; i++) {
        small[i] = i - 1;
        large[i] = n / i - 1;
    }
    for (int64_t p = 2; p <= root; p++) {
        if (small[p] == small[p - 1])
            continue; /* p is no prime */
        int64_t before = small[p - 1];
        for (int64_t i = 1; i <= root && n / i >= p * p; i++)
            large[i] -= (i * p <= root ? large[i * p] : small[n / i / p]) - before;
        for (int64_t v = root; v >= p * p; v--)
            small[v] -= small[v / p] - before;
    }
    answer = n < 2 ? 0 : large[1];
out:
    free(small);
    free(large);
    return answer;
}

static int do_primes(struct loadtest_task *task, int64_t n)
{
    int64_t answer = sieve(n), other = count_primes(n);
    if (answer < 0 || other < 0)
        return FLO_ENOMEM;
    loadtest_count(task, "primes", answer);
    loadtest_check(task, "primes", answer == other);
    return 0;
}

/* ---- sorting ---- */

static void sift_down(uint64_t *heap, size_t at, size_t count)
{
    uint64_t value = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && heap[child + 1] > heap[child];
        if (heap[child] <= value)
            break;
        heap[at] = heap[child];
    }
    heap[at] = value;
}

static void heap_sort(uint64_t *numbers, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(numbers, i, count);
    for (size_t left = count; left > 1; left--) {
        uint64_t most = numbers[0];
        numbers[0] = numbers[left - 1];
        numbers[left - 1] = most;
        sift_down(numbers, 0, left - 1);
    }
}

/* Sorted, and still the same numbers: their sum and the sum of their squares are. */
static int do_sort(struct loadtest_task *task, size_t count, uint64_t seed)
{
    uint64_t *numbers = calloc(count, sizeof *numbers);
    uint64_t sums[2] = {0}, squares[2] = {0};
    bool rising = true;
    if (!numbers)
        return FLO_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        numbers[i] = loadtest_random(&seed);
        sums[0] += numbers[i];
        squares[0] += numbers[i] * numbers[i];
    }
    heap_sort(numbers, count);
    for (size_t i = 0; i < count; i++) {
        rising = rising && (i == 0 || numbers[i - 1] <= numbers[i]);
        sums[1] += numbers[i];
        squares[1] += numbers[i] * numbers[i];
    }
    free(numbers);
    loadtest_count(task, "sorted", (int64_t)count);
    loadtest_check(task, "sort", rising && sums[0] == sums[1] && squares[0] == squares[1]);
    return 0;
}

/* ---- hashing ---- */

/* Each round can be taken back, so that the way back has to end where it began. */
#define MULTIPLIER UINT64_C(6364136223846793005)
#define INVERSE UINT64_C(13877824140714322085) /* of MULTIPLIER, modulo 2^64 */

static int do_hash(struct loadtest_task *task, uint64_t rounds, uint64_t seed)
{
    uint64_t x = seed;
    for (uint64_t i = 0; i < rounds; i++) {
        x = (x ^ x >> 32) * MULTIPLIER + i;
        if (i % CHECK_EVERY == 0 && stopped(task))
            return FLO_ECANCELLED;
    }
    uint64_t digest = x;
    for (uint64_t i = rounds; i-- > 0;) {
        x = (x - i) * INVERSE;
        x ^= x >> 32;
        if (i % CHECK_EVERY == 0 && stopped(task))
            return FLO_ECANCELLED;
    }
    loadtest_count(task, "hash", (int64_t)(digest >> 1)); /* JSON's integers are signed */
    loadtest_check(task, "hash", x == seed);
    return 0;
}

static int one_round(struct loadtest_task *task)
{
    int64_t fibonacci = loadtest_of(task, "fibonacci"), primes = loadtest_of(task, "primes");
    int64_t sort = loadtest_of(task, "sort"), hash = loadtest_of(task, "hash");
    uint64_t seed = (uint64_t)loadtest_of(task, "seed") + (uint64_t)loadtest_of(task, "index");
    int rc = 0;
    if (fibonacci)
        do_fibonacci(task, (unsigned)fibonacci);
    if (primes)
        rc = do_primes(task, primes);
    if (sort && rc == 0)
        rc = do_sort(task, (size_t)sort, seed);
    if (hash && rc == 0)
        rc = do_hash(task, (uint64_t)hash, seed);
    return rc == 0 && stopped(task) ? FLO_ECANCELLED : rc;
}

int loadtest_cpu_intensive(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct loadtest_task task;
    int rc = loadtest_begin(&task, ctx, input);
    int64_t rounds = rc == 0 ? loadtest_of(&task, "rounds") : 0;
    for (int64_t i = 0; i < rounds && rc == 0; i++)
        rc = one_round(&task);
    return loadtest_end(&task, rc, out_result);
}
