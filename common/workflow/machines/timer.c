/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c - the life of a timer.
 *
 *             start            TimerStarted          TimerFired
 *   (code) ----------> ISSUED --------------> STARTED ----------> FIRED
 *                        | cancel                | cancel
 *                        v                       v        TimerCanceled
 *                     DROPPED                CANCELLING ----------------> CANCELLED
 *                                                | TimerFired
 *                                                '------------> FIRED
 *
 * A cancelled timer is over for the code at once. One that was not sent yet leaves no trace in
 * history: its command is withdrawn. So is the command to cancel one that has fired before it could
 * be sent: a request to cancel the workflow and the timer's end came with the same task. Invariant:
 * the timer is in run->timers from TimerStarted until a final state.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "wire/payload.h"
#include "workflow/internal.h"

enum state { ISSUED, STARTED, FIRED, CANCELLING, CANCELLED, DROPPED };

static const struct flo_machine_state states[] = {
    [ISSUED] = {"issued", FLO_STATE_BIT(STARTED) | FLO_STATE_BIT(DROPPED)},
    [STARTED] = {"started", FLO_STATE_BIT(FIRED) | FLO_STATE_BIT(CANCELLING)},
    [FIRED] = {"fired", 0},
    [CANCELLING] = {"cancelling", FLO_STATE_BIT(CANCELLED) | FLO_STATE_BIT(FIRED)},
    [CANCELLED] = {"cancelled", 0},
    [DROPPED] = {"dropped", 0},
};

struct flo_timer {
    struct flo_future future; /* first */
    struct flo_machine machine;
    char id[24];
};

static struct flo_timer *timer_of(const struct flo_command *command)
{
    return flo_container(command->future, struct flo_timer, future);
}

/* The machine's reference goes with its last move. */
static int move(struct flo_timer *timer, enum state to)
{
    struct flo_run *run = timer->future.run;
    int rc = flo_machine_move(&timer->machine, to);
    if (rc)
        return rc;
    if (to == STARTED)
        return flo_map_put_str(&run->timers, timer->id, timer);
    if (flo_machine_final(&timer->machine)) {
        flo_map_remove_str(&run->timers, timer->id);
        flo_future_unref(&timer->future);
    }
    return 0;
}

static int started(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    struct flo_timer *timer = timer_of(command);
    if (strcmp(event->timer_started_event_attributes->timer_id, timer->id) != 0)
        return FLO_ENONDET;
    return move(timer, STARTED);
}

static int cancelled(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    struct flo_timer *timer = timer_of(command);
    if (strcmp(event->timer_canceled_event_attributes->timer_id, timer->id) != 0)
        return FLO_ENONDET;
    return move(timer, CANCELLED);
}

static void describe(const struct flo_command *command, char *out_text, size_t size)
{
    snprintf(out_text, size, "timer id %s", timer_of(command)->id);
}

static const struct flo_command_ops start_ops = {FLO_COMMAND(START_TIMER), started, describe};
static const struct flo_command_ops cancel_ops = {FLO_COMMAND(CANCEL_TIMER), cancelled, describe};

static int fill_cancel(struct flo_run *run, struct flo_timer *timer, FloApi__Command *message)
{
    FloApi__CancelTimerCommandAttributes *a = flo_arena_alloc(run->answer, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__cancel_timer_command_attributes__init(a);
    a->timer_id = flo_arena_strdup(run->answer, timer->id);
    message->attributes_case = FLO_API__COMMAND__ATTRIBUTES_CANCEL_TIMER_COMMAND_ATTRIBUTES;
    message->cancel_timer_command_attributes = a;
    return a->timer_id ? 0 : FLO_ENOMEM;
}

static int fail_cancelled(struct flo_future *future)
{
    FloApi__Failure failure;
    FloApi__CanceledFailureInfo info;
    flo_failure_cancelled_init(&failure, &info, "Timer cancelled");
    return flo_future_fail(future, FLO_ECANCELLED, &failure);
}

static void cancel(struct flo_future *future)
{
    struct flo_timer *timer = flo_container(future, struct flo_timer, future);
    struct flo_run *run = future->run;
    int rc = fail_cancelled(future);
    if (rc == 0 && timer->machine.state == ISSUED) {
        flo_command_withdraw(run, &start_ops, future);
        rc = move(timer, DROPPED);
    } else if (rc == 0 && timer->machine.state == STARTED) {
        struct flo_command *command = flo_command_issue(run, &cancel_ops, future);
        rc = command ? move(timer, CANCELLING) : FLO_ENOMEM;
        if (rc == 0 && command->message)
            rc = fill_cancel(run, timer, command->message);
    }
    if (rc)
        flo_run_no_memory(run);
}

static void describe_future(const struct flo_future *future, char *out_text, size_t size)
{
    snprintf(out_text, size, "timer id %s", flo_container(future, struct flo_timer, future)->id);
}

static const struct flo_future_ops future_ops = {.cancel = cancel, .describe = describe_future};

static int fill_start(struct flo_run *run, struct flo_timer *timer, int64_t ms,
                      FloApi__Command *message)
{
    FloApi__StartTimerCommandAttributes *a = flo_arena_alloc(run->answer, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__start_timer_command_attributes__init(a);
    if (ms > INT64_MAX / FLO_NS_PER_MS)
        ms = INT64_MAX / FLO_NS_PER_MS;
    a->timer_id = flo_arena_strdup(run->answer, timer->id);
    a->start_to_fire_timeout = flo_duration_new(run->answer, ms * FLO_NS_PER_MS);
    message->attributes_case = FLO_API__COMMAND__ATTRIBUTES_START_TIMER_COMMAND_ATTRIBUTES;
    message->start_timer_command_attributes = a;
    return a->timer_id && a->start_to_fire_timeout ? 0 : FLO_ENOMEM;
}

struct flo_future *flo_timer_new(struct flo_run *run, struct flo_scope *scope, int64_t ms,
                                 const char *summary)
{
    struct flo_timer *timer = flo_heap_calloc(run->heap, sizeof *timer);
    if (!timer)
        return NULL;
    flo_future_init(&timer->future, run, scope, &future_ops);
    timer->machine = (struct flo_machine){states, ISSUED};
    if (scope && scope->cancelled) {
        timer->machine.state = DROPPED;
        return fail_cancelled(&timer->future) ? NULL : &timer->future;
    }
    flo_decimal(++run->timer_count, timer->id);
    struct flo_command *command = flo_command_issue(run, &start_ops, &timer->future);
    if (!command)
        return NULL;
    flo_future_ref(&timer->future); /* the machine's */
    if (command->message && fill_start(run, timer, ms < 1 ? 1 : ms, command->message))
        return NULL;
    if (summary && flo_command_summarise(run, command, summary))
        return NULL;
    return &timer->future;
}

int flo_timer_event(struct flo_run *run, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    const FloApi__TimerFiredEventAttributes *a = event->timer_fired_event_attributes;
    struct flo_timer *timer = flo_map_get_str(&run->timers, a->timer_id);
    if (!timer)
        return flo_fail(err, FLO_ENONDET,
                        "history event %" PRId64
                        " fires timer %.100s, which the code never started",
                        event->event_id, a->timer_id);
    int rc = flo_future_succeed(&timer->future, NULL, err);
    if (rc)
        return rc;
    if (timer->machine.state == CANCELLING)
        flo_command_withdraw(run, &cancel_ops, &timer->future);
    rc = move(timer, FIRED);
    if (rc)
        return flo_fail(err, rc, "history event %" PRId64 " fires timer %.100s, which is %s",
                        event->event_id, a->timer_id, flo_machine_state_name(&timer->machine));
    return 0;
}
