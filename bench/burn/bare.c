/* SPDX-License-Identifier: Apache-2.0 */
/* bare.c - the computing piece in a bare loop: bench_burn PROCESSES PIECES, each process bound to a
 * core of its own and taking the next piece when it has done one; prints the seconds that all took
 * together. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "burn.h"

static volatile uint64_t sink;

static void bind_to(int want)
{
    cpu_set_t usable, one;

    sched_getaffinity(0, sizeof usable, &usable);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &usable) && want-- == 0)
            CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    int processes = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 1;
    int pieces = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1;
    double began = now();
    int *next = mmap(NULL, sizeof *next, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (next == MAP_FAILED)
        return 1;

    for (int p = 0; p < processes; p++) {
        if (fork() == 0) {
            setsid(); /* as executors do: the scheduler may share by sessions */
            bind_to(p);
            for (int i; (i = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED)) < pieces;)
                sink = burn((uint64_t)i);
            _exit(0);
        }
    }
    while (wait(NULL) > 0)
        ;
    printf("%.6f\n", now() - began);
    return 0;
}
