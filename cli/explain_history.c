/* SPDX-License-Identifier: Apache-2.0 */
/* explain_history.c - see explain_history.h. */
#include "cli/explain_history.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "wire/failure.h"
#include "wire/payload.h"

#define TEXT_MAX 3000 /* bytes of a failure with its causes */
#define POISON "PoisonTask"

/* ---- texts ---- */

const char *cli_explain_failure(struct flo_arena *arena, const FloApi__Failure *failure)
{
    struct flo_buf text;
    const char *out = "";
    if (!failure)
        return out;
    flo_buf_init(&text, 0);
    flo_failure_describe(failure, &text);
    if (text.len > TEXT_MAX)
        text.len = TEXT_MAX;
    out = flo_arena_strdup(arena, flo_buf_cstr(&text));
    flo_buf_fini(&text);
    return out ? out : "";
}

bool cli_explain_is_poison(const FloApi__Failure *failure)
{
    for (; failure; failure = failure->cause)
        if (strcmp(flo_failure_type(failure), POISON) == 0)
            return true;
    return false;
}

/* The name of an enum's number without what all of them begin with. */
static const char *enum_name(const ProtobufCEnumDescriptor *descriptor, int number,
                             const char *prefix)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);
    size_t len = strlen(prefix);
    if (!value)
        return "";
    return strncmp(value->name, prefix, len) == 0 ? value->name + len : value->name;
}

static int64_t ms_of(const Google__Protobuf__Timestamp *timestamp)
{
    return flo_timestamp_ns(timestamp) / FLO_NS_PER_MS;
}

/* ---- what is open ---- */

void cli_explain_scan_init(struct cli_explain_scan *scan, struct flo_arena *arena)
{
    *scan = (struct cli_explain_scan){.arena = arena};
}

void cli_explain_scan_fini(struct cli_explain_scan *scan)
{
    flo_free(scan->timers.items);
    flo_free(scan->activities.items);
    flo_free(scan->externals.items);
}

static const char *keep(struct cli_explain_scan *scan, const char *text)
{
    const char *kept = flo_arena_strdup(scan->arena, text ? text : "");
    scan->failed |= !kept;
    return kept ? kept : "";
}

static void open_one(struct cli_explain_scan *scan, struct cli_explain_open_list *list,
                     const struct cli_explain_open *item)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 16;
        struct cli_explain_open *items = flo_reallocarray(list->items, cap, sizeof *items);
        if (!items) {
            scan->failed = true;
            return;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = *item;
}

/* What is opened first is mostly closed first. */
static void close_one(struct cli_explain_open_list *list, int64_t event_id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].event_id != event_id)
            continue;
        list->count--;
        memmove(&list->items[i], &list->items[i + 1], (list->count - i) * sizeof list->items[0]);
        return;
    }
}

const char *cli_explain_scan_queue(const struct cli_explain_scan *scan, const char *activity_id)
{
    for (size_t i = scan->activities.count; i > 0; i--)
        if (strcmp(scan->activities.items[i - 1].id, activity_id) == 0)
            return scan->activities.items[i - 1].queue;
    return NULL;
}

/* ---- events ---- */

static void scan_activity(struct cli_explain_scan *scan, const FloApi__HistoryEvent *e)
{
    struct cli_explain_open_list *list = &scan->activities;
    switch (e->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: {
        const FloApi__ActivityTaskScheduledEventAttributes *a =
            e->activity_task_scheduled_event_attributes;
        open_one(scan, list,
                 &(struct cli_explain_open){
                     .event_id = e->event_id,
                     .id = keep(scan, a->activity_id),
                     .queue = keep(scan, a->task_queue ? a->task_queue->name : NULL)});
        break;
    }
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        close_one(list, e->activity_task_completed_event_attributes->scheduled_event_id);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_FAILED:
        close_one(list, e->activity_task_failed_event_attributes->scheduled_event_id);
        scan->poison |= cli_explain_is_poison(e->activity_task_failed_event_attributes->failure);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
        close_one(list, e->activity_task_timed_out_event_attributes->scheduled_event_id);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_CANCELED:
        close_one(list, e->activity_task_canceled_event_attributes->scheduled_event_id);
        break;
    default:
        break;
    }
}

static void scan_timer(struct cli_explain_scan *scan, const FloApi__HistoryEvent *e)
{
    if (e->event_type == FLO_API__EVENT_TYPE__EVENT_TYPE_TIMER_STARTED) {
        const FloApi__TimerStartedEventAttributes *a = e->timer_started_event_attributes;
        open_one(scan, &scan->timers,
                 &(struct cli_explain_open){.event_id = e->event_id,
                                            .id = keep(scan, a->timer_id),
                                            .at_ms = ms_of(e->event_time) +
                                                     flo_duration_ns(a->start_to_fire_timeout) /
                                                         FLO_NS_PER_MS});
    } else if (e->event_type == FLO_API__EVENT_TYPE__EVENT_TYPE_TIMER_FIRED) {
        close_one(&scan->timers, e->timer_fired_event_attributes->started_event_id);
    } else if (e->event_type == FLO_API__EVENT_TYPE__EVENT_TYPE_TIMER_CANCELED) {
        close_one(&scan->timers, e->timer_canceled_event_attributes->started_event_id);
    }
}

static void scan_external(struct cli_explain_scan *scan, const FloApi__HistoryEvent *e)
{
    struct cli_explain_open_list *list = &scan->externals;
    switch (e->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
    case FLO_API__EVENT_TYPE__EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
        open_one(scan, list, &(struct cli_explain_open){.event_id = e->event_id});
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED:
        close_one(list,
                  e->external_workflow_execution_signaled_event_attributes->initiated_event_id);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED:
        close_one(
            list,
            e->signal_external_workflow_execution_failed_event_attributes->initiated_event_id);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
        close_one(
            list,
            e->external_workflow_execution_cancel_requested_event_attributes->initiated_event_id);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED:
        close_one(list, e->request_cancel_external_workflow_execution_failed_event_attributes
                            ->initiated_event_id);
        break;
    default:
        break;
    }
}

static void scan_task_failed(struct cli_explain_scan *scan,
                             const FloApi__WorkflowTaskFailedEventAttributes *a)
{
    scan->task_failure = cli_explain_failure(scan->arena, a->failure);
    scan->task_failure_cause = enum_name(&flo_api__workflow_task_failed_cause__descriptor,
                                         (int)a->cause, "WORKFLOW_TASK_FAILED_CAUSE_");
    scan->task_failure_identity = keep(scan, a->identity);
}

static void scan_task(struct cli_explain_scan *scan, const FloApi__HistoryEvent *e)
{
    switch (e->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_SCHEDULED: {
        const FloApi__TaskQueue *queue = e->workflow_task_scheduled_event_attributes->task_queue;
        scan->task_queue = keep(scan, queue ? queue->name : NULL);
        scan->task_sticky =
            queue && queue->kind == FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY;
        scan->task_identity = NULL;
        break;
    }
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_STARTED:
        scan->task_identity = keep(scan, e->workflow_task_started_event_attributes->identity);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
        scan->task_failure = scan->task_failure_cause = scan->task_failure_identity = NULL;
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_FAILED:
        scan_task_failed(scan, e->workflow_task_failed_event_attributes);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
        if (e->workflow_task_timed_out_event_attributes->timeout_type ==
            FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_START)
            break; /* nobody had it: it is put into the normal queue */
        scan->task_failure = "the worker that had it did not answer in time";
        scan->task_failure_cause = "timeout";
        scan->task_failure_identity = scan->task_identity;
        break;
    default:
        break;
    }
}

void cli_explain_scan_event(struct cli_explain_scan *scan, const FloApi__HistoryEvent *e)
{
    scan_task(scan, e);
    scan_activity(scan, e);
    scan_timer(scan, e);
    scan_external(scan, e);
    scan->last_event =
        enum_name(&flo_api__event_type__descriptor, (int)e->event_type, "EVENT_TYPE_");
    scan->last_event_ms = ms_of(e->event_time);
}

/* ---- the end ---- */

static const char *or_none(const char *text)
{
    return text && *text ? text : NULL;
}

void cli_explain_close(struct cli_explain_facts *facts, struct flo_arena *arena,
                       const FloApi__HistoryEvent *e)
{
    const FloApi__Failure *failure = NULL;
    const char *next = NULL;
    switch (e->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        failure = e->workflow_execution_failed_event_attributes->failure;
        next = e->workflow_execution_failed_event_attributes->new_execution_run_id;
        facts->failure = cli_explain_failure(arena, failure);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        next = e->workflow_execution_completed_event_attributes->new_execution_run_id;
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        next = e->workflow_execution_timed_out_event_attributes->new_execution_run_id;
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        next = e->workflow_execution_continued_as_new_event_attributes->new_execution_run_id;
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: {
        const FloApi__WorkflowExecutionTerminatedEventAttributes *a =
            e->workflow_execution_terminated_event_attributes;
        facts->failure = flo_arena_strdup(arena, *a->reason ? a->reason : "no reason was given");
        facts->closed_by = flo_arena_strdup(arena, a->identity);
        break;
    }
    default:
        break;
    }
    facts->poison = cli_explain_is_poison(failure);
    facts->next_run = or_none(next) ? flo_arena_strdup(arena, next) : NULL;
}
