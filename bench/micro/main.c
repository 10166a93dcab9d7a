/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - runs one hot part: `bench_micro PART [TIMES]` prints what one unit of it takes by the
 * clock and of the CPU, with the loop TIMES as long; `bench_micro` lists the parts. bench/micro.py
 * runs it under callgrind, which counts the instructions between micro_begin() and micro_end(), of
 * all threads.
 */
#include "micro.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>

#include "base/clock.h"
#include "flotilla/error.h"
#include "workflow/heap.h"

static const struct micro_part *const parts[] = {
    &micro_grpc_call,       &micro_grpc_calls,   &micro_decode_task, &micro_decode_history,
    &micro_decode_answer,   &micro_pack,         &micro_replay,      &micro_workflow_echo,
    &micro_workflow_traced, &micro_span,         &micro_coroutine,   &micro_core_echo,
    &micro_store_commit,    &micro_executor_job,
};

/* The linker puts this in place of getrandom (bench/CMakeLists.txt): the key of hash maps must be
 * the same in each run. */
ssize_t __wrap_getrandom(void *buffer, size_t bytes, unsigned flags);
ssize_t __wrap_getrandom(void *buffer, size_t bytes, unsigned flags)
{
    (void)flags;
    memset(buffer, 7, bytes);
    return (ssize_t)bytes;
}

void micro_check(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_micro: %s: %s\n", what, flo_error_text(rc));
    exit(1);
}

/* Callgrind is told of these two by name. */
__attribute__((noinline, noclone)) void micro_begin(void);
__attribute__((noinline, noclone)) void micro_end(void);
void micro_begin(void)
{
    __asm__ volatile("" ::: "memory");
}
void micro_end(void)
{
    __asm__ volatile("" ::: "memory");
}

/* Of all threads of this process. */
static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * FLO_NS_PER_S + now.tv_nsec;
}

static void measure(const struct micro_part *part, unsigned longer)
{
    const unsigned times = part->times * longer;
    if (part->setup)
        part->setup(part->warm + times);
    part->run(part->warm);
    const int64_t began = flo_clock_mono_ns(), cpu_before = cpu_ns();
    micro_begin();
    part->run(times);
    micro_end();
    const double ns = (double)(flo_clock_mono_ns() - began), cpu = (double)(cpu_ns() - cpu_before);
    if (part->teardown)
        part->teardown();
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double units = (double)times * part->units;
    printf("{\"part\": \"%s\", \"unit\": \"%s\", \"units\": %.0f, \"ns_per_unit\": %.2f, "
           "\"cpu_ns_per_unit\": %.2f, \"peak_kib\": %ld}\n",
           part->name, part->unit, units, ns / units, cpu / units, use.ru_maxrss);
}

int main(int argc, char **argv)
{
    const unsigned long longer = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    json_object_seed(1);
    flo_workflow_jansson_install();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (argc < 2) {
            printf("%s\n", parts[i]->name);
        } else if (strcmp(argv[1], parts[i]->name) == 0 && longer >= 1 && longer <= 1000000) {
            measure(parts[i], (unsigned)longer);
            return 0;
        }
    }
    if (argc < 2)
        return 0;
    fprintf(stderr, "usage: bench_micro [PART [TIMES]]; without arguments it lists the parts\n");
    return 64;
}
