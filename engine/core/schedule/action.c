/* SPDX-License-Identifier: Apache-2.0 */
/*
 * action.c - starts that are due: which of them may start now, the start itself, and what the end
 * of a run means for its schedule.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/runs.h"
#include "engine/core/schedule/schedule.h"
#include "engine/core/start.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define STATUS(name) FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_##name
#define REUSE(name) FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_##name

/* ---- which ones ---- */

/* What the buffer comes to. The starts are indexes of it. */
struct sorted {
    struct flo_schedule_start *now; /* that may overlap */
    size_t now_count;
    const struct flo_schedule_start *one; /* that may not; NULL: none */
    struct flo_schedule_start *rest;      /* that wait */
    size_t rest_count;
    bool cancel, terminate; /* what runs */
};

/* One start that would overlap, by its policy. */
static void sort_overlapping(struct flo_schedule *schedule, struct sorted *out,
                             const struct flo_schedule_start *start, int policy, bool running)
{
    switch (policy) {
    case FLO_OVERLAP(BUFFER_ONE):
        if (out->rest_count)
            schedule->skipped++;
        else
            out->rest[out->rest_count++] = *start;
        break;
    case FLO_OVERLAP(BUFFER_ALL):
        out->rest[out->rest_count++] = *start;
        break;
    case FLO_OVERLAP(CANCEL_OTHER):
    case FLO_OVERLAP(TERMINATE_OTHER):
        if (!running) { /* only the one that was about to start is in the way */
            out->one = start;
            break;
        }
        if (policy == FLO_OVERLAP(CANCEL_OTHER))
            out->cancel = true;
        else
            out->terminate = true;
        out->rest[out->rest_count++] = *start; /* until that has ended */
        break;
    default:
        schedule->skipped++;
        break;
    }
}

/* false: no memory, the core stops. */
static bool sort_buffer(struct flo_schedule *schedule, struct sorted *out)
{
    struct flo_arena *arena = &schedule->core->scratch;
    const size_t count = schedule->buffered_count;
    const bool running = schedule->running_count > 0;
    struct flo_schedule_start *all =
        flo_arena_memdup(arena, schedule->buffered, count * sizeof *all);
    *out = (struct sorted){.now = flo_arena_calloc(arena, count, sizeof *all),
                           .rest = flo_arena_calloc(arena, count, sizeof *all)};
    if (!all || !out->now || !out->rest) {
        flo_core_set_fatal(schedule->core);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const int policy = flo_schedule_policy(schedule, all[i].policy);
        if (policy == FLO_OVERLAP(ALLOW_ALL))
            out->now[out->now_count++] = all[i];
        else if (!running && !out->one)
            out->one = &all[i];
        else
            sort_overlapping(schedule, out, &all[i], policy, running);
    }
    if (out->cancel || out->terminate)
        out->now_count = 0; /* they would be ended at once */
    return true;
}

/* ---- a start ---- */

/* A field of search attributes whose value is a JSON text. */
static bool put_attribute(struct flo_arena *arena, FloApi__SearchAttributes *attributes,
                          const char *name, const char *text, const char *type)
{
    FloApi__Payload__MetadataEntry *typed = flo_arena_alloc(arena, sizeof *typed);
    FloApi__SearchAttributes__IndexedFieldsEntry *entry = flo_arena_alloc(arena, sizeof *entry);
    json_t *value = json_string(text);
    FloApi__Payload *payload = flo_payload_from_json(arena, value);
    json_decref(value);
    if (!entry || !payload || !typed)
        return false;
    flo_api__payload__metadata_entry__init(typed);
    typed->key = flo_text("type");
    typed->value = (ProtobufCBinaryData){strlen(type), (uint8_t *)flo_text(type)};
    FloApi__Payload__MetadataEntry **metadata =
        flo_arena_calloc(arena, payload->n_metadata + 1, sizeof(void *));
    if (!metadata)
        return false;
    memcpy(metadata, payload->metadata, payload->n_metadata * sizeof(void *));
    metadata[payload->n_metadata++] = typed;
    payload->metadata = metadata;
    flo_api__search_attributes__indexed_fields_entry__init(entry);
    entry->key = flo_text(name);
    entry->value = payload;
    for (size_t i = 0; i < attributes->n_indexed_fields; i++) {
        if (strcmp(attributes->indexed_fields[i]->key, name) == 0) {
            attributes->indexed_fields[i] = entry;
            return true;
        }
    }
    attributes->indexed_fields[attributes->n_indexed_fields++] = entry;
    return true;
}

/* Those of the action, and which schedule started it for which moment. NULL without memory. */
static FloApi__SearchAttributes *attributes_for(struct flo_schedule *schedule,
                                                const FloApi__SearchAttributes *given,
                                                const char *moment)
{
    enum { OURS = 2 };
    struct flo_arena *arena = &schedule->core->scratch;
    const size_t count = given ? given->n_indexed_fields : 0;
    FloApi__SearchAttributes *made = flo_arena_alloc(arena, sizeof *made);
    if (!made)
        return NULL;
    flo_api__search_attributes__init(made);
    made->indexed_fields = flo_arena_calloc(arena, count + OURS, sizeof *made->indexed_fields);
    if (!made->indexed_fields)
        return NULL;
    for (size_t i = 0; i < count; i++)
        made->indexed_fields[made->n_indexed_fields++] = given->indexed_fields[i];
    return put_attribute(arena, made, "TemporalScheduledStartTime", moment, "Datetime") &&
                   put_attribute(arena, made, "TemporalScheduledById", schedule->id, "Keyword")
               ? made
               : NULL;
}

/* "2026-01-31T12:00:00Z": the moment in workflow ids, without its fraction. */
static char *moment_text(struct flo_arena *arena, int64_t ns)
{
    const struct flo_civil at = flo_zone_civil(flo_zone_utc(), ns / FLO_NS_PER_S);
    return flo_arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02dZ", at.year, at.month, at.day,
                            at.hour, at.minute, at.second);
}

static void *decode_blob(struct flo_schedule *schedule, const struct flo_blob *blob,
                         const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message;
    if (!blob->data)
        return NULL;
    if (flo_wire_decode(type, blob->data, blob->len, &schedule->core->scratch, &message, NULL)) {
        flo_core_set_fatal(schedule->core);
        return NULL;
    }
    return message;
}

/* The request of a start, in scratch. false: no memory, the core stops. */
static bool make_request(struct flo_schedule *schedule, const struct flo_schedule_start *start,
                         FloApi__StartWorkflowExecutionRequest *out)
{
    struct flo_core *core = schedule->core;
    const FloApi__NewWorkflowExecutionInfo *given = schedule->schedule->action->start_workflow;
    char *moment = moment_text(&core->scratch, start->nominal_ns);
    char *request_id = flo_arena_alloc(&core->scratch, FLO_UUID_LEN + 1);
    flo_api__start_workflow_execution_request__init(out);
    out->namespace_ = schedule->ns->name;
    out->workflow_id = flo_arena_printf(&core->scratch, "%s-%s", given->workflow_id, moment);
    out->identity = flo_arena_printf(&core->scratch, "temporal-scheduler-%s-%s", schedule->ns->name,
                                     schedule->id);
    out->search_attributes = attributes_for(schedule, given->search_attributes, moment);
    if (!moment || !request_id || !out->workflow_id || !out->identity || !out->search_attributes) {
        flo_core_set_fatal(core);
        return false;
    }
    flo_rng_uuid4(&core->rng, request_id);
    out->request_id = request_id;
    out->workflow_type = given->workflow_type;
    out->task_queue = given->task_queue;
    out->input = given->input;
    out->workflow_execution_timeout = given->workflow_execution_timeout;
    out->workflow_run_timeout = given->workflow_run_timeout;
    out->workflow_task_timeout = given->workflow_task_timeout;
    out->workflow_id_reuse_policy =
        start->manual ? REUSE(ALLOW_DUPLICATE) : REUSE(REJECT_DUPLICATE);
    out->retry_policy = given->retry_policy;
    out->memo = given->memo;
    out->header = given->header;
    out->user_metadata = given->user_metadata;
    out->priority = given->priority;
    if (start->policy != FLO_OVERLAP(ALLOW_ALL)) { /* those know nothing of each other */
        out->last_completion_result =
            decode_blob(schedule, &schedule->last_result, &flo_api__payloads__descriptor);
        out->continued_failure =
            decode_blob(schedule, &schedule->continued_failure, &flo_api__failure__descriptor);
    }
    return !core->fatal;
}

/* It has started: into the recent actions, and, when others wait for its end, among the running. */
static int record_action(struct flo_schedule *schedule, const struct flo_schedule_start *start,
                         const struct flo_execution *execution, bool tracked)
{
    struct flo_schedule_action *recent = schedule->recent;
    struct flo_schedule_action action = {
        .due_ns = start->due_ns, .actual_ns = schedule->core->now_ns, .status = STATUS(RUNNING)};
    memcpy(action.run.run_id, execution->run_id, sizeof action.run.run_id);
    action.run.workflow_id = flo_strdup(execution->workflow_id);
    if (!action.run.workflow_id)
        return FLO_ENOMEM;
    schedule->action_count++;
    if (schedule->recent_count == FLO_SCHEDULE_RECENT) {
        flo_free(recent[0].run.workflow_id);
        schedule->recent_count--;
        memmove(recent, recent + 1, schedule->recent_count * sizeof *recent);
    }
    recent[schedule->recent_count++] = action;
    if (!tracked)
        return 0;
    if (schedule->running_count == schedule->running_cap) {
        const size_t cap = schedule->running_cap ? 2 * schedule->running_cap : 2;
        struct flo_schedule_run *bigger =
            flo_reallocarray(schedule->running, cap, sizeof *schedule->running);
        if (!bigger)
            return FLO_ENOMEM;
        schedule->running = bigger;
        schedule->running_cap = cap;
    }
    struct flo_schedule_run run = action.run;
    run.workflow_id = flo_strdup(execution->workflow_id);
    if (!run.workflow_id)
        return FLO_ENOMEM;
    schedule->running[schedule->running_count++] = run;
    return flo_schedule_watch(schedule, run.workflow_id);
}

enum started {
    STARTED,
    REFUSED, /* a run of that id is there, say: it is not tried again */
    LATER,   /* the store cannot be read now */
};

static enum started start_one(struct flo_schedule *schedule, const struct flo_schedule_start *start,
                              bool tracked)
{
    struct flo_core *core = schedule->core;
    FloApi__StartWorkflowExecutionRequest request;
    struct flo_status status = {0};
    struct flo_execution *execution;
    if (!make_request(schedule, start, &request))
        return REFUSED;
    const int rc = flo_start_for_schedule(core, &request, &execution, &status);
    if (rc)
        return rc == FLO_EIO || rc == FLO_ENOMEM ? LATER : REFUSED;
    if (record_action(schedule, start, execution, tracked))
        flo_core_set_fatal(core);
    return STARTED;
}

/* ---- those in the way ---- */

static void end_running(struct flo_schedule *schedule, bool terminate)
{
    struct flo_core *core = schedule->core;
    char *identity = flo_arena_printf(&core->scratch, "temporal-scheduler-%s-%s",
                                      schedule->ns->name, schedule->id);
    if (!identity) {
        flo_core_set_fatal(core);
        return;
    }
    for (size_t i = 0; i < schedule->running_count; i++) {
        const struct flo_schedule_run *run = &schedule->running[i];
        struct flo_execution *execution =
            flo_core_find_resident(core, schedule->ns, run->workflow_id, "");
        if (!execution || !flo_execution_is_open(execution) ||
            strcmp(execution->first_run_id, run->run_id) != 0)
            continue;
        if (terminate) {
            flo_execution_terminate(core, execution, "terminated by schedule overlap policy", NULL,
                                    identity);
        } else if (!execution->cancel_requested) {
            char request_id[FLO_UUID_LEN + 1];
            FloApi__WorkflowExecutionCancelRequestedEventAttributes event =
                FLO_API__WORKFLOW_EXECUTION_CANCEL_REQUESTED_EVENT_ATTRIBUTES__INIT;
            flo_rng_uuid4(&core->rng, request_id);
            event.cause = flo_text("cancelled by schedule overlap policy");
            event.identity = identity;
            flo_execution_request_cancel(core, execution, request_id, &event);
        } else {
            continue;
        }
        flo_execution_end(core, execution, true);
    }
}

bool flo_schedule_process_buffer(struct flo_schedule *schedule)
{
    const FloApi__ScheduleAction *action = schedule->schedule->action;
    if (action->action_case != FLO_API__SCHEDULE_ACTION__ACTION_START_WORKFLOW ||
        !schedule->buffered_count) {
        schedule->buffered_count = 0;
        return false;
    }
    struct sorted sorted;
    if (!sort_buffer(schedule, &sorted))
        return false;
    bool again = false;
    size_t kept_count = 0;
    struct flo_schedule_start *kept =
        flo_arena_calloc(&schedule->core->scratch, sorted.now_count + 1, sizeof *kept);
    if (!kept) {
        flo_core_set_fatal(schedule->core);
        return false;
    }
    for (size_t i = 0; i < sorted.now_count + (sorted.one ? 1 : 0); i++) {
        const bool overlapping = i < sorted.now_count;
        const struct flo_schedule_start *start = overlapping ? &sorted.now[i] : sorted.one;
        if (!flo_schedule_may_act(schedule, start->manual, false)) {
            again = true; /* the next one has its turn */
            continue;
        }
        const enum started result = start_one(schedule, start, !overlapping);
        if (result == LATER) {
            kept[kept_count++] = *start;
            continue;
        }
        (void)flo_schedule_may_act(schedule, start->manual, true);
        again = again || result == REFUSED;
    }
    schedule->retry = kept_count > 0;
    memcpy(schedule->buffered, kept, kept_count * sizeof *kept);
    memcpy(schedule->buffered + kept_count, sorted.rest, sorted.rest_count * sizeof *sorted.rest);
    schedule->buffered_count = kept_count + sorted.rest_count;
    if (sorted.cancel || sorted.terminate)
        end_running(schedule, sorted.terminate);
    return again && !schedule->retry;
}

/* ---- the end of a run ---- */

static void keep_message(struct flo_schedule *schedule, struct flo_blob *blob,
                         const ProtobufCMessage *message)
{
    struct flo_blob made = {0};
    if (message) {
        made.len = flo_wire_size(message);
        made.data = flo_malloc(made.len + 1);
        if (!made.data) {
            flo_core_set_fatal(schedule->core);
            return;
        }
        flo_wire_pack(message, made.data, made.len);
    }
    flo_free(blob->data);
    *blob = made;
}

/* What it returned or why it failed goes to the next one. */
static void keep_outcome(struct flo_schedule *schedule, const FloApi__HistoryEvent *event)
{
    if (event->attributes_case ==
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_COMPLETED_EVENT_ATTRIBUTES) {
        const FloApi__Payloads *result =
            event->workflow_execution_completed_event_attributes->result;
        if (!result)
            return;
        keep_message(schedule, &schedule->last_result, &result->base);
        keep_message(schedule, &schedule->continued_failure, NULL);
    } else if (event->attributes_case ==
               FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_FAILED_EVENT_ATTRIBUTES) {
        const FloApi__Failure *failure = event->workflow_execution_failed_event_attributes->failure;
        if (failure)
            keep_message(schedule, &schedule->continued_failure, &failure->base);
    }
}

static void pause_after(struct flo_schedule *schedule, const char *workflow_id,
                        const FloApi__HistoryEvent *event, int status)
{
    FloApi__ScheduleState *state = schedule->schedule->state;
    if (!schedule->schedule->policies->pause_on_failure || state->paused ||
        (status != STATUS(FAILED) && status != STATUS(TIMED_OUT)))
        return;
    const FloApi__Failure *failure =
        event && status == STATUS(FAILED)
            ? event->workflow_execution_failed_event_attributes->failure
            : NULL;
    struct flo_arena *arena = &schedule->core->scratch;
    const char *note =
        status == STATUS(FAILED)
            ? flo_arena_printf(arena, "paused due to workflow failure: %s: %s", workflow_id,
                               failure ? failure->message : "")
            : flo_arena_printf(arena, "paused due to workflow timeout: %s", workflow_id);
    if (!note || flo_schedule_set_note(schedule, note))
        flo_core_set_fatal(schedule->core);
    state->paused = true;
    schedule->conflict_token++;
}

void flo_schedule_run_ended(struct flo_schedule *schedule, size_t index,
                            const struct flo_execution *execution, int status)
{
    struct flo_core *core = schedule->core;
    const struct flo_schedule_run run = schedule->running[index];
    FloApi__HistoryEvent *event = NULL;
    if (execution) {
        event = flo_history_decode(&execution->history, execution->history.next_event_id - 1,
                                   &core->scratch);
        if (!event)
            flo_core_set_fatal(core);
    }
    schedule->running_count--;
    memmove(&schedule->running[index], &schedule->running[index + 1],
            (schedule->running_count - index) * sizeof run);
    flo_schedule_unwatch(schedule, run.workflow_id);
    for (size_t i = 0; i < schedule->recent_count; i++) {
        if (strcmp(schedule->recent[i].run.workflow_id, run.workflow_id) == 0) {
            schedule->recent[i].status = status;
            break;
        }
    }
    pause_after(schedule, run.workflow_id, event, status);
    if (event)
        keep_outcome(schedule, event);
    flo_core_record_changed(core, &schedule->record);
    flo_free(run.workflow_id);
}

static size_t find_running(const struct flo_schedule *schedule, const char *workflow_id,
                           const char *first_run_id)
{
    size_t i = 0;
    while (i < schedule->running_count &&
           (strcmp(schedule->running[i].workflow_id, workflow_id) != 0 ||
            strcmp(schedule->running[i].run_id, first_run_id) != 0))
        i++;
    return i;
}

void flo_schedules_run_closed(struct flo_core *core, const struct flo_execution *execution)
{
    char *key =
        flo_arena_printf(&core->scratch, "%s/%s", execution->hooks.ns->id, execution->workflow_id);
    if (!key) {
        flo_core_set_fatal(core);
        return;
    }
    struct flo_schedule *schedule = flo_map_get_str(&core->schedules.watched, key);
    if (!schedule)
        return;
    const struct flo_execution *now =
        flo_core_find_resident(core, schedule->ns, execution->workflow_id, "");
    if (now && flo_execution_is_open(now) &&
        strcmp(now->first_run_id, execution->first_run_id) == 0)
        return; /* its chain goes on */
    const size_t index = find_running(schedule, execution->workflow_id, execution->first_run_id);
    if (index == schedule->running_count)
        return;
    flo_schedule_run_ended(schedule, index, execution, execution->status);
    if (schedule->buffered_count)
        flo_schedule_wake(schedule, NULL, NULL);
}

void flo_schedule_refresh(struct flo_schedule *schedule)
{
    struct flo_core *core = schedule->core;
    for (size_t i = schedule->running_count; i-- > 0;) {
        struct flo_status status = {0};
        struct flo_core_run_ref ref;
        const struct flo_schedule_run *run = &schedule->running[i];
        int rc = flo_core_find_run(core, schedule->ns, run->workflow_id, "", &ref, &status);
        if (rc && rc != FLO_ENOENT && rc != FLO_EDATA)
            continue; /* nobody knows now: then it runs */
        const char *first = rc              ? ""
                            : ref.execution ? ref.execution->first_run_id
                                            : ref.state->first_run_id;
        const bool same = strcmp(first, run->run_id) == 0;
        if (same && (ref.execution ? flo_execution_is_open(ref.execution)
                                   : ref.stored.status == (int)STATUS(RUNNING)))
            continue;
        const int ended = !same           ? (int)STATUS(UNSPECIFIED)
                          : ref.execution ? ref.execution->status
                                          : ref.stored.status;
        flo_schedule_run_ended(schedule, i, same ? ref.execution : NULL, ended);
    }
}
