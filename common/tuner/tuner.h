/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tuner.h - how many slots the machine can bear: samples of CPU and memory in, slot counts out.
 * Pure: no clock, no file, no memory of its own; the time comes with each step. reader.h is where
 * samples come from.
 *
 * Two PID controllers, one for memory and one for CPU, with the gains and thresholds of Temporal's
 * resource tuner:
 *
 *     output = p * (target - usage) + i * (integral of that over seconds) - d * (change of usage)
 *
 * Temporal asks at each reservation and says yes when both outputs are above their thresholds. A
 * yes or no at each reservation switches between too much and nothing when tasks are short, so
 * here the outputs move a *level* for each kind of slots, and the level is what the worker gets:
 *
 *   grows     while both outputs are above their thresholds and all slots are taken by tasks: in
 *             proportion to the smaller surplus, at most one slot in ramp_ms, and
 *             - at most to twice what has been seen: the tasks of a level must have come to an end
 *               once, or have run for five seconds, before it doubles, since a task takes its
 *               memory some time after its start;
 *             - not beyond what the memory of a task, as learned from the last levels, allows.
 *             A third sensor is a brake: no growth while the kernel says that tasks wait for CPU
 *             or memory for more than a share of the time (pressure stall information, avg10), or
 *             while most periods of the CPU quota end throttled.
 *   shrinks   while an output is negative, in proportion; faster the longer the CPU has been
 *             saturated. Running tasks go on: slots above the level vanish as tasks end, and the
 *             level waits for that at half of what runs.
 *   falls back to what is used (the most of the last seconds, and one more): a level that was
 *             reached with one kind of tasks says nothing about the next kind.
 *   stays     otherwise. Without tasks nothing moves.
 *
 * The level never leaves [min, max], whatever the sensors say, except for one rule that goes over
 * all: with memory above the watermark, half way between the target and the limit, there are no
 * new slots at all until it has fallen by two points.
 */
#ifndef FLO_TUNER_TUNER_H
#define FLO_TUNER_TUNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flo_tuner_kind_of_slots {
    FLO_TUNER_WORKFLOW,
    FLO_TUNER_ACTIVITY,
    FLO_TUNER_LOCAL_ACTIVITY,
    FLO_TUNER_KINDS
};

/* Why a kind of slots has the level it has; all but the first three are refusals when more slots
 * were wanted. flo_tuner_reason_name gives the word for logs and metrics. */
enum flo_tuner_reason {
    FLO_TUNER_STEADY,    /* nobody wants more */
    FLO_TUNER_GREW,      /* "headroom": more were wanted, and given */
    FLO_TUNER_UNUSED,    /* fell back to what is used */
    FLO_TUNER_CPU,       /* the CPU output is not above its threshold, or the quota throttles */
    FLO_TUNER_MEMORY,    /* the memory output is not, or a task's memory would not fit */
    FLO_TUNER_PSI,       /* the kernel reports pressure */
    FLO_TUNER_RAMP,      /* the last slots are too young to judge */
    FLO_TUNER_MAX,       /* the maximum is reached */
    FLO_TUNER_WATERMARK, /* memory is above the watermark: nothing new at all */
    FLO_TUNER_UNKNOWN,   /* there is no sample */
    FLO_TUNER_REASONS
};

struct flo_tuner_gains {
    double p, i, d;
    double threshold; /* output above which slots are given */
};
/* Temporal's: memory 5, 0, 1, 0.25; CPU 5, 0, 1, 0.05. */
extern const struct flo_tuner_gains flo_tuner_memory_gains, flo_tuner_cpu_gains;

struct flo_tuner_range {
    size_t min, max; /* 1 <= min <= max; max 0: this kind has no slots here */
    int64_t ramp_ms; /* least time between two new slots above min; 0: no such limit */
};

struct flo_tuner_options {
    double target_cpu, target_memory; /* shares, (0, 1] */
    struct flo_tuner_gains cpu, memory;
    double max_cpu_pressure, max_memory_pressure; /* shares above which nothing grows; 1: never */
    struct flo_tuner_range slots[FLO_TUNER_KINDS];
};

/* What the machine says. Shares are of what this worker may use (its quota, its limit), 1 = all. */
struct flo_tuner_sample {
    double cpu;             /* since the last sample; below 0: unknown */
    double memory;          /* now, without page cache; below 0: unknown */
    bool memory_shared;     /* it is the machine's: others move it too */
    double cpu_pressure;    /* "some" avg10 as a share; below 0: there is none */
    double memory_pressure; /* the same for memory */
    double throttled; /* share of the quota's periods that ended throttled; below 0: no quota */
};

/* What the worker says of one kind of slots. */
struct flo_tuner_load {
    size_t running; /* tasks now */
    size_t peak;    /* most at once since the last step; at least running */
    uint64_t done;  /* tasks that have ended, since the start */
};

struct flo_tuner_verdict {
    size_t slots; /* tasks and polls that may be at once; those that run go on anyway */
    enum flo_tuner_reason reason;
    bool refused; /* more were wanted than given: reason says why */
};

/* A controller. Zeroed by flo_tuner_init. */
struct flo_tuner_pid {
    struct flo_tuner_gains gains;
    double target;
    double integral; /* of the error, in seconds */
    double last;     /* usage at the last step */
    double output;
    bool begun; /* last is set */
};

/* One kind of slots. */
struct flo_tuner_level {
    struct flo_tuner_range range;
    double level; /* slots, with its fraction */
    double used;  /* most tasks at once lately: a peak that fades */
    /* The round under way: from its start until its tasks have been seen (see above). */
    int64_t round_ns;
    uint64_t round_done;   /* load.done at its start */
    size_t round_tasks;    /* running at its start */
    double round_memory;   /* highest share in it */
    double round_per_task; /* most that a task was seen to take in it */
    size_t proven;         /* tasks of the last whole round */
    double base,
        per_task; /* memory share without tasks, and that of one task; per_task 0: unknown */
};

struct flo_tuner {
    struct flo_tuner_pid cpu_pid, memory_pid;
    struct flo_tuner_level levels[FLO_TUNER_KINDS];
    double cpu;         /* usage, smoothed over half a second; below 0: unknown */
    double memory;      /* the last known */
    double saturated_s; /* how long the CPU has been saturated */
    double watermark;
    double max_cpu_pressure, max_memory_pressure;
    bool shared;  /* memory is the machine's */
    bool stopped; /* memory is above the watermark */
    int64_t last_ns;
};

/* Levels start at their minimum. now_ns: any clock that only goes forward, the same as for step. */
void flo_tuner_init(struct flo_tuner *tuner, const struct flo_tuner_options *options,
                    int64_t now_ns);

/* One step: fills verdicts (of kinds without slots: 0). Meant for ten steps a second while there
 * are tasks; longer gaps are fine and count as two seconds at most. */
void flo_tuner_step(struct flo_tuner *tuner, int64_t now_ns, const struct flo_tuner_sample *sample,
                    const struct flo_tuner_load load[FLO_TUNER_KINDS],
                    struct flo_tuner_verdict verdicts[FLO_TUNER_KINDS]);

/* "cpu". Static. */
const char *flo_tuner_reason_name(enum flo_tuner_reason reason);

#endif
