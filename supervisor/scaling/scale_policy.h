/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_policy.h - how many replicas should there be? Pure: samples and times in, a count and one
 * line of reason out; no clock, socket or log.
 *
 * Each sample is first turned into a wish, without memory:
 *
 *   too much waits  (more than up_backlog a replica): at least one more, and as many as the work
 *                   needs and the tasks by which the backlog grows;
 *   little waits    (less than down_backlog a replica): as many as the work needs, no more than
 * now; in between      as many as the work needs, no fewer than now.
 *
 * "What the work needs" is ceil((backlog * min(1, task_s / drain_target_s) + in_flight) / slots): a
 * task that takes E seconds and shall be over within T occupies E/T of a slot, and never more than
 * one. Where the replicas that there are need longer than drain_target for what waits, it counts as
 * "in between" at least, however few tasks that are: slow ones. Going up there are at most
 * backlog / down_backlog replicas (not for slow ones): with more each had so little that it would
 * go again. While the time of a task is not known it is backlog / up_backlog. Going down the slots
 * count for target_utilization of what they are, so that what is left is not full at once.
 *
 * Then the wishes become one decision at a time:
 *   - up at once; one more than the work needs only when all replicas of the last decision report,
 *     or had settle_ms to;
 *   - down to the highest wish of the last cooldown_ms, at most by half, and settle_ms after the
 *     last change;
 *   - to none (min 0) only after zero_cooldown_ms without anything waiting or running; from none to
 *     one with the first task;
 *   - a sample that does not know the backlog changes nothing, and the cool-down starts over.
 * So a count that was needed within the cool-down stays, which is what keeps it from flapping.
 * Where somebody else carries the decisions out, replicas is only what reports: there the highest
 * wish of the cool-down is what is desired also while fewer report, and an unknown backlog leaves
 * desired as it was.
 */
#ifndef FLO_SUPERVISOR_SCALE_POLICY_H
#define FLO_SUPERVISOR_SCALE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flo_scale_limits {
    int64_t min, max;          /* replicas */
    int64_t up_backlog;        /* tasks a replica, more: scale up; at least 1 */
    int64_t down_backlog;      /* tasks a replica, fewer: may scale down; below up_backlog */
    int64_t drain_target_ms;   /* > 0 */
    double target_utilization; /* 0 < x <= 1 */
    int64_t cooldown_ms;       /* >= 0 */
    int64_t zero_cooldown_ms;  /* >= 0 */
    int64_t settle_ms;         /* >= 0 */
};

/* What is known at one moment. */
struct flo_scale_sample {
    bool known;        /* backlog is; else it is ignored */
    int64_t backlog;   /* tasks that wait at the server */
    int64_t in_flight; /* tasks in slots of the replicas */
    int64_t slots;     /* of all replicas that report */
    int64_t replicas;  /* asked for: what runs and is not being stopped */
    int64_t ready;     /* of them, those that report */
    double task_s;     /* mean time of a task in its slot; 0: not known */
    /* replicas is what reports, not what was asked for: somebody else starts and stops them. */
    bool reported_only;
};

#define FLO_SCALE_BUCKETS 32
#define FLO_SCALE_PAST 4 /* seconds over which growth is seen */

/* Memory between samples; all zero is the start. */
struct flo_scale_state {
    struct {
        int64_t highest; /* wish of the bucket */
        int64_t number;  /* of the bucket, since time 0; 0: unused */
    } buckets[FLO_SCALE_BUCKETS];
    bool started;
    int64_t since_ms;      /* wishes are known without a gap since then */
    int64_t busy_ms;       /* when something last waited or ran */
    int64_t changed_ms;    /* when the count was last changed */
    int64_t slots_each;    /* slots of one replica, as last seen; 0: never seen */
    int64_t last_replicas; /* of the last sample */
    int64_t held_until_ms; /* flo_scale_hold */
    int64_t wanted;        /* the last decision */
    struct {
        int64_t at_ms, backlog;
    } past[FLO_SCALE_PAST]; /* samples a second apart, oldest first */
    size_t past_count;
    int64_t past_ready; /* ready of all of them */
};

#define FLO_SCALE_REASON_MAX 200

struct flo_scale_decision {
    int64_t desired;
    int64_t wish; /* of this sample alone; equal to replicas when the backlog is not known */
    char reason[FLO_SCALE_REASON_MAX]; /* one line, always */
};

/*
 * Take a sample at now_ms (monotonic, rising) and say how many there should be. desired differs
 * from sample->replicas only where a change is due; whoever obeys shows the new count as replicas
 * of the next sample.
 */
void flo_scale_decide(const struct flo_scale_limits *limits, const struct flo_scale_sample *sample,
                      struct flo_scale_state *state, int64_t now_ms,
                      struct flo_scale_decision *out);

/* Somebody set the count by hand: it stays for cooldown_ms, within min and max. */
void flo_scale_hold(struct flo_scale_state *state, const struct flo_scale_limits *limits,
                    int64_t now_ms);

#endif
