/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.h - from what a role's workers did, what to ask of Kubernetes for each of them. Pure.
 *
 * CPU: what a busy slot uses (the CPU time of the processes over the time that tasks took) times
 * the slots, so that a pod whose slots are all busy has what it needs, and a fifth more. What is
 * not the tasks' own (server, loop) is the work of one thread and never more than a core, which
 * tells for tasks of a millisecond; so is all that a worker of workflows does. Such pods get no CPU
 * limit: one that may not burst is slow without need. CPU workers get a whole core a slot, requests
 * equal to limits, which is what the kubelet gives cores of their own. How much of their time their
 * tasks computed is no measure: it is small on a machine whose cores are shared, too.
 *
 * Memory: the highest that was seen (for CPU workers: of the worker, and of an executor process
 * for each slot) and a quarter more; the limit is the same for CPU workers, for the others twice
 * the peak, and 32 MiB above the request at least, since theirs is not bounded by processes.
 */
#ifndef FLO_CLI_ADVICE_H
#define FLO_CLI_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Less than this says too little. */
#define CLI_ADVICE_TASKS_MIN 30
#define CLI_ADVICE_CPU_SECONDS_MIN 0.1

/* All processes of a role together, where nothing else is said. */
struct cli_role_load {
    const char *role; /* "workflow", "io-activity", "cpu-activity" */
    size_t processes;
    double slots;               /* of one process, the most of any */
    double up_seconds;          /* sum of their ages */
    double tasks, task_seconds; /* that ended, and how long they took */
    double cpu_seconds;         /* of the processes and their executors; of this: */
    double tasks_cpu_seconds;   /* of activities; 0 for workflows */
    double peak_bytes;          /* of one process without executors, the highest */
    double executor_peak_bytes; /* of an executor process, the highest; 0 = there are none */
};

struct cli_advice {
    bool enough;           /* else the rest is 0, and: */
    char missing[160];     /* what there is too little of */
    int64_t cpu_milli;     /* request */
    int64_t cpu_max_milli; /* limit; 0 = none */
    int64_t memory_mib, memory_max_mib;
    double busy; /* share of the slots that was busy while the processes were up, 0 to 1 */
    char cpu_reason[200], memory_reason[200];
};

void cli_advise(const struct cli_role_load *load, struct cli_advice *out);

#endif
