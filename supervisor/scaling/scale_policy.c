/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_policy.c - see scale_policy.h.
 *
 * The highest wish of the cool-down is kept in buckets of a part of it, one number each, so that
 * its memory does not grow with how often samples come; a wish is remembered for up to one bucket
 * longer than the cool-down.
 */
#include "supervisor/scaling/scale_policy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GROWTH_MIN_MS 1500 /* a shorter time says nothing of how fast a backlog grows */

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return a <= 0 ? 0 : 1 + (a - 1) / b;
}

static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

/* ceil() to a count; whatever is too large for one is the largest that matters. */
static int64_t ceil_count(double value)
{
    double up = ceil(value - 1e-9);
    return !(up < 1e9) ? 1000000000 : up < 0 ? 0 : (int64_t)up;
}

/* Slots that one waiting task takes until it is gone: never more than one. */
static double weight_of(const struct flo_scale_limits *limits,
                        const struct flo_scale_sample *sample)
{
    double weight = sample->task_s * 1e3 / (double)limits->drain_target_ms;
    return weight < 1 ? weight : 1;
}

/* Replicas that what waits and runs takes, and `more` slots; slots count for that share of what
 * they are. */
static int64_t needed(const struct flo_scale_limits *limits, const struct flo_scale_sample *sample,
                      int64_t slots_each, double share, double more)
{
    double taken = (double)sample->backlog * weight_of(limits, sample) + (double)sample->in_flight;
    int64_t count = ceil_count((taken + more) / ((double)slots_each * share));
    bool any = sample->backlog > 0 || sample->in_flight > 0;
    return any && count < 1 ? 1 : count;
}

/* ---- how fast the backlog grows ---- */

/* Keep one sample a second, of the replicas that there are now. */
static void follow(struct flo_scale_state *state, const struct flo_scale_sample *sample,
                   int64_t now_ms)
{
    const size_t last = FLO_SCALE_PAST - 1;
    if (!sample->known || sample->ready != state->past_ready)
        state->past_count = 0;
    state->past_ready = sample->ready;
    if (!sample->known ||
        (state->past_count && now_ms - state->past[state->past_count - 1].at_ms < 1000))
        return;
    if (state->past_count > last) {
        memmove(state->past, state->past + 1, last * sizeof state->past[0]);
        state->past_count = last;
    }
    state->past[state->past_count].at_ms = now_ms;
    state->past[state->past_count++].backlog = sample->backlog;
}

/* Slots for the tasks by which more come than end; 0: it does not grow, or that is not known. */
static double growth_slots(const struct flo_scale_sample *sample,
                           const struct flo_scale_state *state, int64_t now_ms)
{
    int64_t span_ms = state->past_count ? now_ms - state->past[0].at_ms : 0;
    if (span_ms < GROWTH_MIN_MS || sample->backlog <= state->past[0].backlog)
        return 0;
    double grown = (double)(sample->backlog - state->past[0].backlog);
    return grown * 1e3 / (double)span_ms * sample->task_s;
}

/* ---- one sample's wish ---- */

/* Does what was decided last show, or should it? */
static bool settled(const struct flo_scale_limits *limits, const struct flo_scale_sample *sample,
                    const struct flo_scale_state *state, int64_t now_ms)
{
    return sample->ready >= sample->replicas || now_ms - state->changed_ms >= limits->settle_ms;
}

/* More replicas than that would have too little to do to be kept. */
static int64_t most_useful(const struct flo_scale_limits *limits,
                           const struct flo_scale_sample *sample)
{
    return limits->down_backlog > 0 ? ceil_div(sample->backlog, limits->down_backlog) : INT64_MAX;
}

/* The sum holds whoever is still starting; "one more than now" must not be said twice. */
static int64_t wish_up(const struct flo_scale_limits *limits, const struct flo_scale_sample *sample,
                       const struct flo_scale_state *state, int64_t now_ms, char *reason)
{
    bool awaited = !settled(limits, sample, state, now_ms);
    int64_t wish = ceil_div(sample->backlog, limits->up_backlog);
    int64_t least = sample->replicas + (awaited ? 0 : 1);
    if (sample->task_s > 0 && state->slots_each > 0) {
        double more = growth_slots(sample, state, now_ms);
        wish = needed(limits, sample, state->slots_each, 1, more);
        if (wish > most_useful(limits, sample))
            wish = most_useful(limits, sample);
    }
    int len = snprintf(reason, FLO_SCALE_REASON_MAX,
                       "%lld tasks wait, more than %lld for each of %lld replica%s",
                       (long long)sample->backlog, (long long)limits->up_backlog,
                       (long long)sample->replicas, plural(sample->replicas));
    if (awaited && wish <= least)
        snprintf(reason + len, (size_t)(FLO_SCALE_REASON_MAX - len),
                 "; %lld report, the rest is awaited", (long long)sample->ready);
    return wish > least ? wish : least;
}

/* Would those that are there need longer than drain_target for what waits? */
static bool is_slow(const struct flo_scale_limits *limits, const struct flo_scale_sample *sample,
                    const struct flo_scale_state *state)
{
    return sample->task_s > 0 && state->slots_each > 0 &&
           (double)sample->backlog * sample->task_s * 1e3 >
               (double)limits->drain_target_ms *
                   ((double)state->slots_each * (double)sample->replicas);
}

/* Not too much waits: more only when what waits and runs takes more slots than there are. */
static int64_t wish_between(const struct flo_scale_limits *limits,
                            const struct flo_scale_sample *sample,
                            const struct flo_scale_state *state, int64_t now_ms, char *reason)
{
    int64_t wish = sample->replicas;
    if (sample->task_s > 0 && state->slots_each > 0)
        wish = needed(limits, sample, state->slots_each, 1, growth_slots(sample, state, now_ms));
    if (!is_slow(limits, sample, state) && wish > most_useful(limits, sample))
        wish = most_useful(limits, sample);
    if (wish > sample->replicas) {
        snprintf(reason, FLO_SCALE_REASON_MAX,
                 "%lld tasks wait and %lld run: enough work for %lld instead of %lld replica%s",
                 (long long)sample->backlog, (long long)sample->in_flight, (long long)wish,
                 (long long)sample->replicas, plural(sample->replicas));
        return wish;
    }
    snprintf(reason, FLO_SCALE_REASON_MAX, "%lld tasks wait, from %lld to %lld for each replica",
             (long long)sample->backlog, (long long)limits->down_backlog,
             (long long)limits->up_backlog);
    return sample->replicas;
}

static int64_t wish_down(const struct flo_scale_limits *limits,
                         const struct flo_scale_sample *sample, const struct flo_scale_state *state,
                         char *reason)
{
    int64_t wish = sample->replicas;
    if (state->slots_each > 0)
        wish = needed(limits, sample, state->slots_each, limits->target_utilization, 0);
    else if (sample->in_flight == 0 && sample->backlog == 0)
        wish = 0;
    if (wish > sample->replicas)
        wish = sample->replicas;
    snprintf(reason, FLO_SCALE_REASON_MAX,
             "%lld tasks wait and %lld run: enough work for %lld of %lld replica%s",
             (long long)sample->backlog, (long long)sample->in_flight, (long long)wish,
             (long long)sample->replicas, plural(sample->replicas));
    return wish;
}

static int64_t wish_of(const struct flo_scale_limits *limits, const struct flo_scale_sample *sample,
                       const struct flo_scale_state *state, int64_t now_ms, char *reason)
{
    if (sample->replicas == 0 && sample->backlog == 0)
        return 0;
    if (sample->backlog > limits->up_backlog * sample->replicas)
        return wish_up(limits, sample, state, now_ms, reason);
    if (is_slow(limits, sample, state) ||
        sample->backlog >= limits->down_backlog * sample->replicas)
        return wish_between(limits, sample, state, now_ms, reason);
    return wish_down(limits, sample, state, reason);
}

/* ---- the wishes of the cool-down ---- */

static int64_t bucket_ms(const struct flo_scale_limits *limits)
{
    return limits->cooldown_ms / (FLO_SCALE_BUCKETS - 2) + 1;
}

static void remember(struct flo_scale_state *state, const struct flo_scale_limits *limits,
                     int64_t wish, int64_t now_ms)
{
    int64_t number = now_ms / bucket_ms(limits) + 1;
    size_t i = (size_t)(number % FLO_SCALE_BUCKETS);
    if (state->buckets[i].number != number || state->buckets[i].highest < wish) {
        state->buckets[i].number = number;
        state->buckets[i].highest = wish;
    }
}

static int64_t highest(const struct flo_scale_state *state, const struct flo_scale_limits *limits,
                       int64_t now_ms)
{
    int64_t most = 0, oldest = (now_ms - limits->cooldown_ms) / bucket_ms(limits) + 1;
    for (size_t i = 0; i < FLO_SCALE_BUCKETS; i++)
        if (state->buckets[i].number >= oldest && state->buckets[i].highest > most)
            most = state->buckets[i].highest;
    return most;
}

/* ---- the decision ---- */

/* Learn from the sample; true: it is worth a wish. */
static bool take(const struct flo_scale_limits *limits, const struct flo_scale_sample *sample,
                 struct flo_scale_state *state, int64_t now_ms)
{
    if (!state->started) {
        state->started = true;
        state->since_ms = state->busy_ms = now_ms;
        state->changed_ms = now_ms - limits->settle_ms;
        state->last_replicas = sample->replicas;
    }
    if (sample->replicas != state->last_replicas)
        state->changed_ms = now_ms;
    state->last_replicas = sample->replicas;
    follow(state, sample, now_ms);
    if (sample->ready > 0 && sample->slots > 0)
        state->slots_each = ceil_div(sample->slots, sample->ready);
    if (!sample->known || sample->in_flight > 0 || sample->backlog > 0)
        state->busy_ms = now_ms;
    if (sample->known)
        return true;
    state->since_ms = now_ms;
    return false;
}

/* To how many it may go down now. */
static int64_t floor_of(const struct flo_scale_limits *limits,
                        const struct flo_scale_sample *sample, const struct flo_scale_state *state,
                        int64_t now_ms)
{
    if (now_ms - state->since_ms < limits->cooldown_ms ||
        now_ms - state->changed_ms < limits->settle_ms)
        return sample->replicas;
    int64_t floor = highest(state, limits, now_ms);
    int64_t half = (sample->replicas + 1) / 2;
    if (sample->replicas > 1 && floor < half)
        floor = half;
    if (floor < 1 && now_ms - state->busy_ms < limits->zero_cooldown_ms)
        floor = 1;
    return floor;
}

/* Somebody else carries it out, and what reports may be fewer than there are by now: what was
 * wanted stays wanted for the cool-down. */
static void keep_wanted(const struct flo_scale_limits *limits,
                        const struct flo_scale_sample *sample, struct flo_scale_state *state,
                        int64_t now_ms, struct flo_scale_decision *out)
{
    int64_t kept = sample->known ? highest(state, limits, now_ms) : state->wanted;
    kept = clamp(kept, limits->min, limits->max);
    if (sample->reported_only && out->desired < kept) {
        out->desired = kept;
        snprintf(out->reason, sizeof out->reason,
                 "%lld replicas were wanted within the cool-down, %lld report", (long long)kept,
                 (long long)sample->ready);
    }
    state->wanted = out->desired;
}

void flo_scale_decide(const struct flo_scale_limits *limits, const struct flo_scale_sample *sample,
                      struct flo_scale_state *state, int64_t now_ms, struct flo_scale_decision *out)
{
    char why[FLO_SCALE_REASON_MAX] = "nothing waits and nothing runs";
    bool known = take(limits, sample, state, now_ms);
    int64_t replicas = sample->replicas;
    *out = (struct flo_scale_decision){.desired = replicas, .wish = replicas};
    int64_t bounded = clamp(replicas, limits->min, limits->max);
    if (known) {
        out->wish = clamp(wish_of(limits, sample, state, now_ms, why), limits->min, limits->max);
        remember(state, limits, out->wish, now_ms);
    }
    if (bounded != replicas) {
        out->desired = known && out->wish > bounded ? out->wish : bounded;
        snprintf(out->reason, sizeof out->reason, "%lld replica%s, and there shall be at %s %lld",
                 (long long)replicas, plural(replicas), bounded > replicas ? "least" : "most",
                 (long long)bounded);
    } else if (!known) {
        snprintf(out->reason, sizeof out->reason,
                 "how many tasks wait is not known: the count stays");
    } else if (now_ms < state->held_until_ms) {
        snprintf(out->reason, sizeof out->reason, "set by hand: it stays for %lld s more",
                 (long long)((state->held_until_ms - now_ms + 999) / 1000));
    } else if (out->wish > replicas) {
        out->desired = out->wish;
        snprintf(out->reason, sizeof out->reason, "%.150s", why);
    } else if (out->wish < replicas) {
        int64_t floor = floor_of(limits, sample, state, now_ms);
        out->desired = clamp(floor < out->wish ? out->wish : floor, limits->min, replicas);
        snprintf(out->reason, sizeof out->reason, "%.150s%s", why,
                 out->desired < replicas ? "" : "; the cool-down is not over");
    } else {
        bool most = replicas == limits->max && sample->backlog > limits->up_backlog * replicas;
        snprintf(out->reason, sizeof out->reason, "%.150s%s", why,
                 most ? "; there may be no more" : "");
    }
    keep_wanted(limits, sample, state, now_ms, out);
}

void flo_scale_hold(struct flo_scale_state *state, const struct flo_scale_limits *limits,
                    int64_t now_ms)
{
    state->held_until_ms = now_ms + limits->cooldown_ms;
}
