/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plant.h - a machine with tasks on it, for the tuner to steer: cores that are shared evenly, a
 * memory limit, and an endless backlog of tasks (or none) that start as soon as there is a slot.
 * Virtual time in steps of 10 ms, a tuner step each 100 ms, as the worker does it.
 */
#ifndef FLO_TESTS_PLANT_H
#define FLO_TESTS_PLANT_H

#include "base/random.h"
#include "tuner/tuner.h"

#define PLANT_TASKS_MAX 1024

/* What the next tasks are like; ranges are uniform. */
struct plant_work {
    double cpu_s[2];        /* CPU seconds of a task */
    double wait_s[2];       /* seconds that it waits besides */
    double memory[2];       /* share of the limit that it takes ... */
    double memory_after[2]; /* ... once so much of its time (0 to 1) is over */
    bool memory_late_s;     /* memory_after is in seconds */
};

struct plant_task {
    bool used;
    double cpu_left_s, wait_left_s, age_s, length_s; /* length: if it had the CPU to itself */
    double memory, memory_at_s;
};

struct plant {
    struct flo_rng rng;
    struct flo_tuner tuner;
    bool shared;        /* memory is the machine's */
    double cores;       /* what there is: a quota or the machine's */
    double others;      /* cores that others take of it */
    double base_memory; /* share without tasks */
    double retained;    /* share of the tasks' peak memory that the heap keeps (0 to 1) */
    double cpu_pressure, memory_pressure, throttled; /* handed to the tuner; -1: none */
    struct plant_work work;
    bool backlog; /* there are tasks to start */
    size_t polls; /* of a slot that is free so many may wait for a task */

    struct plant_task tasks[PLANT_TASKS_MAX];
    size_t places; /* those from here on were never used */
    size_t running, peak;
    uint64_t done;
    size_t slots; /* as the tuner last said */
    struct flo_tuner_verdict verdict;
    double now_s, busy_s, sampled_busy_s, sampled_at_s;
    double peak_tasks_memory;
    /* Since plant_measure_begin: */
    double measured_from_s, measured_busy_s;
    double memory_max; /* highest true share */
    size_t slots_min, slots_max;
    unsigned turns; /* times that the direction of the slots changed */
    int direction;
};

/* One kind of slots (ACTIVITY), targets 0.9 and 0.8, Temporal's gains. */
struct flo_tuner_options plant_options(size_t min, size_t max, int64_t ramp_ms);
/* A machine whose tuner has these options. */
void plant_init(struct plant *plant, uint64_t seed, double cores, size_t min, size_t max,
                int64_t ramp_ms);
/* Let time pass. */
void plant_run(struct plant *plant, double seconds);
/* Forget what was measured so far. */
void plant_measure_begin(struct plant *plant);
/* CPU used since then, as a share of the cores. */
double plant_cpu(const struct plant *plant);
double plant_memory(const struct plant *plant);

#endif
