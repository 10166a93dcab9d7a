/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c - virtual time. Events (ours: answers, ends of waits, the test's own) and the core's
 * timers share one time, which stands while there is something to do at it and then jumps to the
 * next event or timer.
 */
#include "base/alloc.h"
#include "testing/kit.h"

/* So much can happen at one time only in a program that never waits. */
#define STEPS_AT_ONCE_MAX 1000000u

static bool before(const struct kit_event *a, const struct kit_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static bool grow(struct kit_clock *clock)
{
    size_t capacity = clock->capacity ? clock->capacity * 2 : 64;
    struct kit_event *events = flo_reallocarray(clock->events, capacity, sizeof *events);
    if (!events)
        return false;
    clock->events = events;
    clock->capacity = capacity;
    return true;
}

void kit_after(struct flo_test_env *env, int64_t delay_ns, kit_event_fn fn, void *ctx, uint64_t arg)
{
    struct kit_clock *clock = &env->clock;
    if (clock->count == clock->capacity && !grow(clock)) {
        kit_problem(env, FLO_ENOMEM, "no memory for an event");
        return;
    }
    if (delay_ns < 0)
        delay_ns = 0;
    int64_t at_ns = delay_ns > INT64_MAX - clock->now_ns ? INT64_MAX : clock->now_ns + delay_ns;
    struct kit_event event = {at_ns, clock->next_order++, fn, ctx, arg};
    size_t at = clock->count++;
    for (; at > 0 && before(&event, &clock->events[(at - 1) / 2]); at = (at - 1) / 2)
        clock->events[at] = clock->events[(at - 1) / 2];
    clock->events[at] = event;
}

static struct kit_event pop(struct kit_clock *clock)
{
    struct kit_event first = clock->events[0];
    struct kit_event last = clock->events[--clock->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= clock->count)
            break;
        if (child + 1 < clock->count && before(&clock->events[child + 1], &clock->events[child]))
            child++;
        if (!before(&clock->events[child], &last))
            break;
        clock->events[at] = clock->events[child];
        at = child;
    }
    if (clock->count)
        clock->events[at] = last;
    return first;
}

static int64_t next_event_ns(const struct kit_clock *clock)
{
    return clock->count ? clock->events[0].at_ns : INT64_MAX;
}

static void fire(struct flo_test_env *env)
{
    flo_core_begin(env->core, env->clock.now_ns);
    env->changes++;
    flo_core_fire(env->core);
}

/* Something that is due now. */
static bool step_now(struct flo_test_env *env)
{
    struct kit_clock *clock = &env->clock;
    if (flo_core_next_deadline(env->core) <= clock->now_ns) {
        fire(env);
        return true;
    }
    if (next_event_ns(clock) <= clock->now_ns) {
        struct kit_event event = pop(clock);
        event.fn(env, event.ctx, event.arg);
        return true;
    }
    kit_queues_poll(env);
    return next_event_ns(clock) <= clock->now_ns;
}

/* Time goes by. */
static bool jump(struct flo_test_env *env, int64_t until_ns)
{
    struct kit_clock *clock = &env->clock;
    kit_queues_stop(env);
    int64_t core_ns = flo_core_next_deadline(env->core), next_ns = next_event_ns(clock);
    if (core_ns < next_ns)
        next_ns = core_ns;
    bool there = next_ns != INT64_MAX && next_ns <= until_ns;
    if (there) {
        clock->now_ns = next_ns;
        clock->steps_now = 0;
        flo_core_begin(env->core, next_ns);
    }
    kit_queues_poll(env);
    return there;
}

bool kit_step(struct flo_test_env *env, int64_t until_ns)
{
    if (env->problem.code)
        return false;
    if (step_now(env)) {
        if (env->clock.steps_now++ == STEPS_AT_ONCE_MAX)
            kit_problem(env, FLO_ELIMIT,
                        "the workflows do not come to rest: %u steps without any time going by",
                        STEPS_AT_ONCE_MAX);
        return true;
    }
    return jump(env, until_ns);
}

bool kit_quiet(struct flo_test_env *env)
{
    kit_queues_stop(env); /* polls have deadlines of their own */
    bool quiet = !env->clock.count && flo_core_next_deadline(env->core) == INT64_MAX;
    kit_queues_poll(env);
    return quiet;
}
