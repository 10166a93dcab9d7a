/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - how a schedule wakes up (schedule.h has the order): which moments have come, what a
 * call changes, and when to wake up next. action.c does what is due.
 *
 * Where it had better not surprise anybody, it is the real server's scheduler to the letter:
 * moments before the last update do not count, a paused schedule does not catch up, an update
 * begins to look from the last action on, backfills take ten starts at a time.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/schedule/schedule.h"
#include "wire/payload.h"

/* How long a schedule that has nothing left to do is kept. */
#define IDLE_NS (INT64_C(7) * 24 * 3600 * FLO_NS_PER_S)
/* Before the next backfills, and before a start that met a store that could not be read. */
#define SHORT_PAUSE_NS FLO_NS_PER_S

enum { BACKFILLS_AT_ONCE = 10 };

/* ---- lists ---- */

/* Room for one more element. false: memory is out, and the core stops. */
static bool grow(struct flo_core *core, void *plist, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return true;
    void **list = plist;
    const size_t more = *cap ? 2 * *cap : 4;
    void *bigger = flo_reallocarray(*list, more, size);
    if (!bigger) {
        flo_core_set_fatal(core);
        return false;
    }
    *list = bigger;
    *cap = more;
    return true;
}

static void add_start(struct flo_schedule *schedule, const struct flo_schedule_start *start)
{
    if (schedule->buffered_count >= FLO_SCHEDULE_BUFFER) {
        schedule->dropped++;
        return;
    }
    if (grow(schedule->core, &schedule->buffered, schedule->buffered_count, &schedule->buffered_cap,
             sizeof *schedule->buffered))
        schedule->buffered[schedule->buffered_count++] = *start;
}

static void add_backfill(struct flo_schedule *schedule, const FloApi__BackfillRequest *request)
{
    if (schedule->backfill_count >= FLO_SCHEDULE_BUFFER) {
        schedule->dropped++;
        return;
    }
    if (grow(schedule->core, &schedule->backfills, schedule->backfill_count,
             &schedule->backfill_cap, sizeof *schedule->backfills))
        schedule->backfills[schedule->backfill_count++] = (struct flo_schedule_backfill){
            .start_ns = flo_timestamp_ns(request->start_time) - 1000000, /* it counts, too */
            .end_ns = flo_timestamp_ns(request->end_time),
            .policy = (int)request->overlap_policy,
        };
}

/* ---- policies ---- */

int flo_schedule_policy(const struct flo_schedule *schedule, int policy)
{
    return policy ? policy : (int)schedule->schedule->policies->overlap_policy;
}

bool flo_schedule_may_act(struct flo_schedule *schedule, bool manual, bool take)
{
    FloApi__ScheduleState *state = schedule->schedule->state;
    if (manual)
        return true;
    if (state->paused)
        return false;
    if (!state->limited_actions)
        return true;
    if (state->remaining_actions <= 0)
        return false;
    if (take) {
        state->remaining_actions--;
        schedule->conflict_token++;
    }
    return true;
}

/* ---- moments ---- */

static struct flo_spec_time next_time(const struct flo_schedule *schedule, int64_t after_ns)
{
    return flo_spec_next(schedule->spec, schedule->seed, after_ns);
}

/* What a look at a span of time says. */
struct looked {
    int64_t next_ns; /* the first moment that was not taken; FLO_SPEC_NEVER */
    int64_t last_ns; /* up to here all is dealt with */
};

/*
 * Buffer a start for each moment after start_ns up to end_ns. limit: NULL, or how many may still be
 * buffered, counted down. policy, manual: of those starts.
 */
static struct looked look(struct flo_schedule *schedule, int64_t start_ns, int64_t end_ns,
                          int policy, bool manual, int *limit)
{
    if (!schedule->spec)
        return (struct looked){FLO_SPEC_NEVER, end_ns};
    if (!flo_schedule_may_act(schedule, manual, false)) /* what passes now is not made up for */
        return (struct looked){next_time(schedule, end_ns).due_ns, end_ns};
    const int64_t window_ns = flo_duration_ns(schedule->schedule->policies->catchup_window);
    int64_t last_ns = start_ns;
    struct flo_spec_time next = next_time(schedule, start_ns);
    for (; next.due_ns <= end_ns; next = next_time(schedule, next.due_ns)) {
        if (!manual && schedule->update_ns > next.due_ns)
            continue;
        if (!manual && end_ns - next.due_ns > window_ns) {
            schedule->missed++;
            continue;
        }
        add_start(schedule,
                  &(struct flo_schedule_start){next.nominal_ns, next.due_ns, policy, manual});
        last_ns = next.due_ns;
        if (limit && --*limit <= 0)
            break;
    }
    return (struct looked){next.due_ns, last_ns};
}

static void process_backfills(struct flo_schedule *schedule)
{
    int limit = BACKFILLS_AT_ONCE;
    while (schedule->backfill_count && limit > 0 &&
           schedule->buffered_count < FLO_SCHEDULE_BUFFER / 2) {
        struct flo_schedule_backfill *backfill = &schedule->backfills[0];
        const struct looked looked =
            look(schedule, backfill->start_ns, backfill->end_ns, backfill->policy, true, &limit);
        if (looked.next_ns > backfill->end_ns) {
            schedule->backfill_count--;
            memmove(backfill, backfill + 1, schedule->backfill_count * sizeof *backfill);
        } else {
            backfill->start_ns = looked.next_ns;
        }
    }
}

/* Backfills of runs that may overlap do not wait for one to end: they go on by time. */
static bool backfills_by_time(const struct flo_schedule *schedule)
{
    return schedule->backfill_count &&
           flo_schedule_policy(schedule, schedule->backfills[0].policy) == FLO_OVERLAP(ALLOW_ALL);
}

/* ---- changes ---- */

static void set_paused(struct flo_schedule *schedule, bool paused, const char *note)
{
    schedule->schedule->state->paused = paused;
    if (flo_schedule_set_note(schedule, note))
        flo_core_set_fatal(schedule->core);
    schedule->conflict_token++;
}

static void apply_patch(struct flo_schedule *schedule, const FloApi__SchedulePatch *patch)
{
    const FloApi__TriggerImmediatelyRequest *trigger = patch->trigger_immediately;
    if (trigger) {
        const int64_t at_ns = trigger->scheduled_time ? flo_timestamp_ns(trigger->scheduled_time)
                                                      : schedule->core->now_ns;
        add_start(schedule,
                  &(struct flo_schedule_start){at_ns, at_ns, (int)trigger->overlap_policy, true});
    }
    for (size_t i = 0; i < patch->n_backfill_request; i++)
        add_backfill(schedule, patch->backfill_request[i]);
    if (*patch->pause)
        set_paused(schedule, true, patch->pause);
    if (*patch->unpause)
        set_paused(schedule, false, patch->unpause);
}

/* The token of a request: eight bytes, or none at all. */
static int64_t token_of(const ProtobufCBinaryData *token)
{
    uint64_t value = 0;
    for (size_t i = 0; token->len >= 8 && i < 8; i++)
        value = value << 8 | token->data[i];
    return (int64_t)value;
}

/* false: it conflicts with a change that came before it, and nothing happens. */
static bool apply_update(struct flo_schedule *schedule, const FloApi__UpdateScheduleRequest *update)
{
    static const FloApi__Schedule EMPTY = FLO_API__SCHEDULE__INIT;
    const int64_t token = token_of(&update->conflict_token);
    if (token && token != schedule->conflict_token)
        return false;
    if (flo_schedule_define(schedule, update->schedule ? update->schedule : &EMPTY, NULL) ||
        (update->search_attributes &&
         flo_schedule_set_attributes(schedule, update->search_attributes)))
        flo_core_set_fatal(schedule->core); /* it has been checked: only memory can be missing */
    schedule->update_ns = schedule->core->now_ns;
    schedule->conflict_token++;
    return true;
}

/* ---- the timer ---- */

static int64_t later(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

/* When a schedule with nothing left to do closes; FLO_SPEC_NEVER: it has something to do. */
static int64_t expiry(struct flo_schedule *schedule, int64_t next_ns)
{
    if (schedule->schedule->state->paused || backfills_by_time(schedule) || schedule->retry ||
        (next_ns != FLO_SPEC_NEVER && flo_schedule_may_act(schedule, false, false)))
        return FLO_SPEC_NEVER;
    int64_t last_ns = later(schedule->create_ns, schedule->update_ns);
    if (schedule->recent_count)
        last_ns = later(last_ns, schedule->recent[schedule->recent_count - 1].actual_ns);
    return last_ns + IDLE_NS;
}

static void fire(struct flo_core *core, struct flo_core_timer *timer)
{
    (void)core;
    flo_schedule_wake(flo_container(timer, struct flo_schedule, timer), NULL, NULL);
}

static void forget(struct flo_core *core, struct flo_core_timer *timer)
{
    struct flo_schedule *schedule = flo_container(timer, struct flo_schedule, timer);
    if (flo_core_record_deleted(core, &schedule->record))
        flo_core_set_fatal(core);
    else
        flo_schedule_destroy(core, &schedule);
}

static void set_timer(struct flo_schedule *schedule, int64_t at_ns, flo_core_timer_fn fn)
{
    struct flo_core *core = schedule->core;
    if (at_ns == FLO_SPEC_NEVER)
        flo_core_timers_clear(&core->timers, &schedule->timer);
    else if (flo_core_timers_set(&core->timers, &schedule->timer, at_ns, fn))
        flo_core_set_fatal(core);
}

static void sleep_until(struct flo_schedule *schedule, int64_t next_ns)
{
    if (backfills_by_time(schedule) || schedule->retry)
        next_ns = schedule->core->now_ns + SHORT_PAUSE_NS;
    else if (!flo_schedule_may_act(schedule, false, false))
        next_ns = FLO_SPEC_NEVER;
    const int64_t expires_ns = expiry(schedule, next_ns);
    set_timer(schedule, expires_ns != FLO_SPEC_NEVER ? expires_ns : next_ns, fire);
}

/* ---- waking up ---- */

void flo_schedule_close(struct flo_schedule *schedule)
{
    struct flo_core *core = schedule->core;
    schedule->closed_ns = core->now_ns;
    for (size_t i = 0; i < schedule->running_count; i++)
        flo_schedule_unwatch(schedule, schedule->running[i].workflow_id);
    set_timer(schedule, core->now_ns + schedule->ns->retention_ns, forget);
    flo_core_record_changed(core, &schedule->record);
}

void flo_schedule_wake(struct flo_schedule *schedule, const FloApi__SchedulePatch *patch,
                       const FloApi__UpdateScheduleRequest *update)
{
    struct flo_core *core = schedule->core;
    const int64_t now_ns = later(core->now_ns, schedule->processed_ns);
    struct looked looked = look(schedule, schedule->processed_ns, now_ns, 0, false, NULL);
    schedule->processed_ns = looked.last_ns;
    if (patch)
        apply_patch(schedule, patch);
    if (update && apply_update(schedule, update))
        looked = look(schedule, schedule->processed_ns, now_ns, 0, false, NULL);
    process_backfills(schedule);
    if (schedule->buffered_count)
        flo_schedule_refresh(schedule);
    while (!core->fatal && flo_schedule_process_buffer(schedule)) {
    }
    if (core->fatal)
        return;
    if (expiry(schedule, looked.next_ns) <= now_ns) {
        flo_schedule_close(schedule);
        return;
    }
    sleep_until(schedule, looked.next_ns);
    flo_core_record_changed(core, &schedule->record);
}

void flo_schedule_resume(struct flo_schedule *schedule)
{
    if (schedule->closed_ns) {
        set_timer(schedule, schedule->closed_ns + schedule->ns->retention_ns, forget);
        return;
    }
    set_timer(schedule, schedule->core->now_ns, fire); /* once all else is there */
}
