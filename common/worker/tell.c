/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tell.c - events for the supervisor: what an operator wants to know when it happens. Losing one is
 * no harm: what counts is in the snapshots too.
 */
#include <event2/event.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "wire/failure.h"
#include "worker/control.h"
#include "worker/local.h"

#define MESSAGE_MAX_BYTES 200
#define FIELD_MAX_BYTES 256

/* Failures of the second under way. */
struct flo_tell {
    struct flo_worker *worker;
    struct event *timer; /* at the end of a second in which some were held back */
    int64_t second_ns;   /* when it began */
    unsigned told;
    uint64_t held;
};

/* A text as JSON, cut, and made UTF-8 where it is not. */
static json_t *text_of(const char *text, size_t most)
{
    char cut[FIELD_MAX_BYTES + 1];
    size_t len = strnlen(text, most + 4);

    if (len > most)
        len = flo_utf8_cut(text, len, most);
    memcpy(cut, text, len);
    cut[len] = '\0';
    if (!flo_utf8_valid(cut, len))
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)cut[i] >= 0x80)
                cut[i] = '?';
    return json_stringn(cut, len);
}

static json_t *number_of(const char *text)
{
    char *end;
    long long whole = strtoll(text, &end, 10);

    return *end ? json_real(strtod(text, NULL)) : json_integer(whole);
}

static void put(json_t *fields, const char *key, const char *value)
{
    bool number = key[0] == '#';

    if (!value || !*value)
        return;
    (void)!json_object_set_new(fields, key + number,
                               number ? number_of(value) : text_of(value, FIELD_MAX_BYTES));
}

void flo_tell(struct flo_worker *worker, enum flo_log_level level, const char *kind,
              const char *message, ...)
{
    json_t *fields;
    const char *key;
    va_list pairs;

    if (!worker->reporter)
        return;
    fields = json_object();
    if (!fields)
        return;
    va_start(pairs, message);
    while ((key = va_arg(pairs, const char *)))
        put(fields, key, va_arg(pairs, const char *));
    va_end(pairs);
    flo_reporter_event(worker->reporter, level, kind, message, fields);
}

/* ---- failed tasks ---- */

static void say_held(struct flo_tell *tell)
{
    uint64_t held = tell->held;

    tell->held = 0;
    if (held)
        flo_tell(tell->worker, FLO_LOG_WARN, "task.failures_held",
                 "More tasks failed than are told one by one", "#held_back", FLO_NUM(held), NULL);
}

static void on_second(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    say_held(ctx);
}

static struct flo_tell *tell_of(struct flo_worker *worker)
{
    struct flo_tell *tell = worker->tell;

    if (tell)
        return tell;
    tell = flo_calloc(1, sizeof *tell);
    if (!tell)
        return NULL;
    tell->worker = worker;
    tell->timer = evtimer_new(worker->base, on_second, tell);
    if (!tell->timer) {
        flo_free(tell);
        return NULL;
    }
    worker->tell = tell;
    return tell;
}

/* May this one be told? Others are counted, and their number told when the second is over. */
static bool may_tell(struct flo_worker *worker)
{
    const struct timeval second = {.tv_sec = 1};
    struct flo_tell *tell = worker->reporter ? tell_of(worker) : NULL;
    int64_t now_ns = flo_clock_mono_ns();

    if (!tell)
        return false;
    if (now_ns - tell->second_ns >= FLO_NS_PER_S) {
        tell->second_ns = now_ns;
        tell->told = 0;
    }
    if (tell->told < FLO_TELL_FAILURES) {
        tell->told++;
        return true;
    }
    if (tell->held++ == 0)
        event_add(tell->timer, &second);
    return false;
}

/* The message of a failure, cut. */
static const char *cut_message(const char *message, char out[MESSAGE_MAX_BYTES + 1])
{
    size_t len = message ? strnlen(message, MESSAGE_MAX_BYTES + 4) : 0;

    if (len > MESSAGE_MAX_BYTES)
        len = flo_utf8_cut(message, len, MESSAGE_MAX_BYTES);
    if (len)
        memcpy(out, message, len);
    out[len] = '\0';
    return out;
}

void flo_tell_failed_activity(struct flo_activity_task *at, const FloApi__Failure *failure)
{
    char message[MESSAGE_MAX_BYTES + 1];

    if (!may_tell(at->worker))
        return;
    flo_tell(at->worker, FLO_LOG_WARN, "activity.failed", "An activity failed", "task_queue",
             at->queue->name, "activity_type", at->type, "activity_id", at->activity_id,
             "workflow_id", at->workflow_id, "run_id", at->run_id, "#attempt", FLO_NUM(at->attempt),
             "failure_type", failure ? flo_failure_type(failure) : "", "failure",
             cut_message(failure ? failure->message : NULL, message), NULL);
}

void flo_tell_failed_local(const struct flo_local *local, const FloApi__Failure *failure)
{
    const struct flo_task_queue *queue = local->lr->queue;
    const FloApi__WorkflowExecution *run = local->task->workflow_execution;
    char message[MESSAGE_MAX_BYTES + 1];

    if (!may_tell(queue->worker))
        return;
    flo_tell(queue->worker, FLO_LOG_WARN, "local_activity.failed", "A local activity failed",
             "task_queue", queue->name, "activity_type", local->task->activity_type->name,
             "activity_id", local->task->activity_id, "workflow_id", run ? run->workflow_id : "",
             "run_id", run ? run->run_id : "", "#attempt", FLO_NUM(local->attempt), "failure_type",
             flo_failure_type(failure), "failure", cut_message(failure->message, message), NULL);
}

void flo_tell_failed_workflow(struct flo_workflow_task *wt, const char *reason, const char *message)
{
    char text[MESSAGE_MAX_BYTES + 1];

    if (!may_tell(wt->worker))
        return;
    flo_tell(wt->worker, FLO_LOG_ERROR, "workflow.task_failed", "A workflow task failed",
             "task_queue", wt->queue->name, "workflow_type", wt->type, "workflow_id",
             wt->workflow_id, "run_id", wt->run_id, "#attempt", FLO_NUM(wt->task->attempt),
             "failure_type", reason, "failure", cut_message(message, text), NULL);
}

void flo_tell_fini(struct flo_worker *worker)
{
    struct flo_tell *tell = worker->tell;

    if (!tell)
        return;
    say_held(tell);
    worker->tell = NULL;
    event_free(tell->timer);
    flo_free(tell);
}
