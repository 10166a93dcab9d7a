/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beats.c - sends heartbeats as activity/heartbeat.h says, and passes on what the server answers:
 * cancellation, or that it no longer knows the task. An error of a heartbeat never fails the
 * activity.
 */
#include <event2/event.h>

#include "activity/heartbeat.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "grpc/status.h"
#include "wire/decode.h"
#include "worker/worker.h"

struct flo_activity_beats {
    struct flo_heartbeat policy;
    struct flo_buf details; /* packed Payloads: the newest */
    struct event *timer;
    struct flo_client_call *call;
    bool flushing;       /* report the outcome once the call is answered */
    struct event *every; /* beats by itself; NULL: the activity does */
};

static void step(struct flo_activity_task *at);

/* What the server wants of the activity. */
static void tell(struct flo_activity_task *at,
                 const FloApi__RecordActivityTaskHeartbeatResponse *answer)
{
    if (answer->cancel_requested)
        flo_activity_cancel(at, FLO_JOB_CANCEL_REQUESTED);
    else if (answer->activity_reset)
        flo_activity_cancel(at, FLO_JOB_CANCEL_RESET);
    else if (answer->activity_paused)
        flo_activity_cancel(at, FLO_JOB_CANCEL_PAUSED);
}

static void on_answer(void *ctx, const struct flo_grpc_status *status,
                      const ProtobufCMessage *response)
{
    const FloApi__RecordActivityTaskHeartbeatResponse *answer =
        (const FloApi__RecordActivityTaskHeartbeatResponse *)response;
    struct flo_activity_task *at = ctx;
    struct flo_activity_beats *beats = at->beats;

    beats->call = NULL;
    flo_heartbeat_answered(&beats->policy);
    if (!at->running) {
        if (beats->flushing && !flo_beats_flush(at))
            flo_respond_activity(at);
        return;
    }
    if (status->code == FLO_GRPC_NOT_FOUND)
        flo_activity_cancel(at, FLO_JOB_CANCEL_NOT_FOUND);
    else if (answer)
        tell(at, answer);
    step(at);
}

static int send_details(struct flo_activity_task *at)
{
    FloApi__RecordActivityTaskHeartbeatRequest request =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_REQUEST__INIT;
    struct flo_activity_beats *beats = at->beats;
    ProtobufCMessage *details = NULL;
    struct flo_arena arena;
    int rc = 0;

    flo_arena_init(&arena, flo_wire_budget(beats->details.len));
    if (beats->details.len > 0)
        rc = flo_wire_decode(&flo_api__payloads__descriptor, beats->details.data,
                             beats->details.len, &arena, &details, NULL);
    if (!rc) {
        request.task_token = at->token;
        request.identity = at->worker->identity;
        request.details = (FloApi__Payloads *)details;
        rc = flo_client_record_activity_task_heartbeat(at->worker->client, &request, on_answer, at,
                                                       &beats->call);
    }
    flo_arena_fini(&arena);
    return rc;
}

static void send_now(struct flo_activity_task *at)
{
    int64_t now_ns = flo_clock_mono_ns();

    flo_heartbeat_sent(&at->beats->policy, now_ns);
    if (send_details(at))
        flo_heartbeat_answered(&at->beats->policy); /* no memory: the next one may go */
}

static void step(struct flo_activity_task *at)
{
    struct timeval delay;
    int64_t wait_ns;

    switch (flo_heartbeat_next(&at->beats->policy, flo_clock_mono_ns(), &wait_ns)) {
    case FLO_HEARTBEAT_SEND:
        send_now(at);
        break;
    case FLO_HEARTBEAT_WAIT:
        delay.tv_sec = wait_ns / FLO_NS_PER_S;
        delay.tv_usec = wait_ns % FLO_NS_PER_S / 1000 + 1;
        if (!evtimer_pending(at->beats->timer, NULL))
            event_add(at->beats->timer, &delay);
        break;
    case FLO_HEARTBEAT_NOTHING:
        break;
    }
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    step(ctx);
}

static struct flo_activity_beats *beats_new(struct flo_activity_task *at)
{
    struct flo_activity_beats *beats = flo_calloc(1, sizeof *beats);

    if (!beats)
        return NULL;
    beats->timer = evtimer_new(at->worker->base, on_timer, at);
    if (!beats->timer) {
        flo_free(beats);
        return NULL;
    }
    flo_heartbeat_init(&beats->policy, at->heartbeat_timeout_ns);
    flo_buf_init(&beats->details, FLO_JOB_PROGRESS_MAX);
    return beats;
}

void flo_beats_progress(struct flo_activity_task *at, const uint8_t *details, size_t len)
{
    if (!at->beats)
        at->beats = beats_new(at);
    if (!at->beats)
        return;
    flo_buf_clear(&at->beats->details);
    if (len > 0 && flo_buf_append(&at->beats->details, details, len))
        return;
    flo_heartbeat_beat(&at->beats->policy);
    step(at);
}

/* ---- beating by itself ---- */

static void on_every(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_activity_task *at = ctx;

    (void)fd;
    (void)what;
    if (!at->running) { /* somebody else's now */
        event_del(at->beats->every);
        return;
    }
    flo_activity_heard(at);
    flo_heartbeat_beat(&at->beats->policy);
    step(at);
}

void flo_beats_every(struct flo_activity_task *at, int64_t interval_ms)
{
    struct flo_activity_beats *beats = at->beats ? at->beats : (at->beats = beats_new(at));
    int64_t most_ns, interval_ns = interval_ms * FLO_NS_PER_MS;
    struct timeval interval;

    if (!beats)
        return;
    most_ns = beats->policy.interval_ns;
    if (interval_ms == 0 || (at->heartbeat_timeout_ns > 0 && interval_ns > most_ns))
        interval_ns = most_ns; /* else the server would miss them */
    interval.tv_sec = interval_ns / FLO_NS_PER_S;
    interval.tv_usec = interval_ns % FLO_NS_PER_S / 1000;
    if (!beats->every)
        beats->every = event_new(at->worker->base, -1, EV_PERSIST, on_every, at);
    if (beats->every && event_add(beats->every, &interval) == 0)
        on_every(-1, 0, at); /* the first one at once */
}

FloApi__Payloads *flo_beats_details(const struct flo_activity_task *at, struct flo_arena *arena)
{
    const struct flo_activity_beats *beats = at->beats;
    ProtobufCMessage *details = NULL;

    if (!beats || beats->details.len == 0 ||
        flo_wire_decode(&flo_api__payloads__descriptor, beats->details.data, beats->details.len,
                        arena, &details, NULL))
        return NULL;
    return (FloApi__Payloads *)details;
}

bool flo_beats_flush(struct flo_activity_task *at)
{
    struct flo_activity_beats *beats = at->beats;

    if (!beats || at->outcome.len == 0 || at->outcome.data[0] == FLO_OUTCOME_COMPLETED ||
        at->outcome.data[0] == FLO_OUTCOME_CANCELLED)
        return false;
    if (!beats->policy.in_flight) {
        if (!beats->policy.pending)
            return false;
        send_now(at);
        if (!beats->policy.in_flight)
            return false; /* no memory for it */
    }
    event_del(beats->timer);
    beats->flushing = true;
    return true;
}

void flo_beats_fini(struct flo_activity_task *at)
{
    struct flo_activity_beats *beats = at->beats;

    if (!beats)
        return;
    at->beats = NULL;
    flo_client_call_cancel(&beats->call);
    if (beats->every)
        event_free(beats->every);
    event_free(beats->timer);
    flo_buf_fini(&beats->details);
    flo_free(beats);
}
