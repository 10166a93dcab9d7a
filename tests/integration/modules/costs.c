/* SPDX-License-Identifier: Apache-2.0 */
/*
 * costs.c - activities whose cost is known, and some that do not end well, for test_costs.py.
 *   burn      {"ms": N}: computes for N ms of CPU; the CPU time that the kernel counted, in ns
 *   allocate  {"mib": N}: touches N MiB; the process's highest resident memory, in KiB
 *   deaf      {"release": FILE}: until the file is there, whatever it is told
 *   overflow  fills its stack
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <flotilla/worker.h>

static json_int_t number(const json_t *input, const char *key)
{
    return json_integer_value(json_object_get(input, key));
}

static int64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int burn(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const int64_t began = cpu_ns(), until = began + number(input, "ms") * 1000000;
    volatile unsigned long work = 0;

    (void)ctx;
    while (cpu_ns() < until)
        for (int i = 0; i < 10000; i++)
            work = work + 1;
    *out_result = json_integer(cpu_ns() - began);
    return 0;
}

static int allocate(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const size_t size = (size_t)number(input, "mib") << 20;
    struct rusage usage;
    volatile char *memory = malloc(size);

    (void)ctx;
    if (!memory)
        return FLO_ENOMEM;
    for (size_t i = 0; i < size; i += 4096)
        memory[i] = 1;
    free((void *)(uintptr_t)memory);
    getrusage(RUSAGE_SELF, &usage);
    *out_result = json_integer(usage.ru_maxrss);
    return 0;
}

static int deaf(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const char *path = json_string_value(json_object_get(input, "release"));
    const struct timespec pause = {.tv_nsec = 20000000};

    (void)ctx;
    (void)out_result;
    while (path && access(path, F_OK) < 0)
        nanosleep(&pause, NULL);
    return 0;
}

static unsigned dig(unsigned depth)
{
    volatile char room[4096];

    room[0] = (char)depth;
    return depth ? dig(depth - 1) + (unsigned)room[0] : 0;
}

static int overflow(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    (void)input;
    *out_result = json_integer(dig(1u << 30));
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "costs",
    .activities = FLO_ACTIVITIES({"burn", burn}, {"allocate", allocate}, {"deaf", deaf},
                                 {"overflow", overflow}),
};
