/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile.c - one activity, `hostile`, that does what its input's "kind" says, and all but `good`,
 * `pid` and `attempt` are things that no activity should do. Each kind is a function of its own,
 * so that backtraces name it.
 */

#include <flotilla/worker.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__clang__)
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone)) /* a clone has a name of its own */
#endif

static volatile unsigned sink;

static NOINLINE void by_segv(volatile int *at)
{
    *at = 1;
}

static NOINLINE void by_abort(void)
{
    printf("about to abort\n");
    fflush(stdout);
    abort();
}

static NOINLINE void by_exit(int status)
{
    exit(status);
}

/* Recursion that ends only where the stack does. */
static NOINLINE int by_overflow(int depth)
{
    volatile char frame[4096];

    for (size_t i = 0; i < sizeof frame; i += 256)
        frame[i] = (char)depth;
    return depth == -1 ? (int)sink : by_overflow(depth + 1) + frame[depth & 255];
}

static NOINLINE void by_trap(void)
{
    __builtin_trap();
}

static NOINLINE void spin(void)
{
    for (;;)
        sink = sink + 1;
}

/* Three generations of processes, some in sessions of their own, none of which ends; they hold all
 * descriptors open. */
static NOINLINE void bomb(int generations)
{
    for (int i = 0; i < 3 && generations > 0; i++) {
        if (fork() == 0) {
            if (i == 0)
                setsid();
            signal(SIGTERM, SIG_IGN);
            bomb(generations - 1);
            for (;;)
                pause();
        }
    }
}

static NOINLINE void eat(void)
{
    const size_t step = 1u << 20;

    for (;;) {
        char *piece = malloc(step);
        memset(piece, 1, step); /* NULL when the limit is reached */
    }
}

static NOINLINE void leak(size_t size)
{
    static char *volatile last;
    char *piece = malloc(size);

    memset(piece, 1, size); /* NULL when the limit is reached */
    last = piece;
    (void)last;
}

static NOINLINE void print_for_ever(void)
{
    char line[1024];

    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (;;)
        (void)!write(1, line, sizeof line);
}

static NOINLINE void open_many(json_t **out_result)
{
    int count = 0;

    while (dup(0) >= 0)
        count++;
    *out_result = json_integer(count);
}

/* Leave processes behind, one of them out of the session, and hang on the first attempt. */
static NOINLINE void hang_once(struct flo_activity_context *ctx, json_t **out_result)
{
    int32_t attempt = flo_activity_info(ctx)->attempt;

    *out_result = json_integer(attempt);
    if (attempt > 1)
        return;
    bomb(2);
    printf("hanging\n");
    fflush(stdout);
    spin();
}

static json_t *good(json_int_t number)
{
    uint64_t sum = 0;

    for (json_int_t i = 0; i < 100000; i++)
        sum = sum * 31 + (uint64_t)(i ^ number);
    sink = (unsigned)sum;
    return json_integer(number);
}

static int hostile(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const char *kind = json_string_value(json_object_get(input, "kind"));
    json_int_t number = json_integer_value(json_object_get(input, "number"));

    if (!kind || strcmp(kind, "good") == 0)
        *out_result = good(number);
    else if (strcmp(kind, "pid") == 0)
        *out_result = json_integer(getpid());
    else if (strcmp(kind, "segv") == 0)
        by_segv((volatile int *)(uintptr_t)0x10);
    else if (strcmp(kind, "abort") == 0)
        by_abort();
    else if (strcmp(kind, "exit") == 0)
        by_exit(3);
    else if (strcmp(kind, "_exit") == 0)
        _exit(0);
    else if (strcmp(kind, "overflow") == 0)
        sink = (unsigned)by_overflow(1);
    else if (strcmp(kind, "trap") == 0)
        by_trap();
    else if (strcmp(kind, "kill") == 0)
        kill(getpid(), SIGKILL);
    else if (strcmp(kind, "spin") == 0)
        spin();
    else if (strcmp(kind, "bomb") == 0)
        bomb(3);
    else if (strcmp(kind, "fork") == 0)
        (void)!fork(); /* both return */
    else if (strcmp(kind, "eat") == 0)
        eat();
    else if (strcmp(kind, "close") == 0)
        (void)close_range(0, ~0u, 0);
    else if (strcmp(kind, "print") == 0)
        print_for_ever();
    else if (strcmp(kind, "open") == 0)
        open_many(out_result);
    else if (strcmp(kind, "leak") == 0)
        leak(1u << 19);
    else if (strcmp(kind, "leak_descriptor") == 0)
        (void)!dup(0);
    else if (strcmp(kind, "hang_once") == 0)
        hang_once(ctx, out_result);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "hostile",
    .activities = FLO_ACTIVITIES({"hostile", hostile}),
};
