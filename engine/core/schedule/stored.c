/* SPDX-License-Identifier: Apache-2.0 */
/* stored.c - a schedule as a record, and back. */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/schedule/schedule.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"

/* ---- to bytes ---- */

static bool put_message(struct flo_arena *arena, const ProtobufCMessage *message,
                        ProtobufCBinaryData *out)
{
    return !message || !flo_wire_encode_arena(message, arena, &out->data, &out->len);
}

static FloEngine__ScheduleRun *put_run(struct flo_arena *arena, const struct flo_schedule_run *run)
{
    FloEngine__ScheduleRun *out = flo_arena_alloc(arena, sizeof *out);
    if (!out)
        return NULL;
    flo_engine__schedule_run__init(out);
    out->workflow_id = run->workflow_id;
    out->run_id = (char *)run->run_id;
    return out;
}

/* A list of pointers to new messages. */
#define NEW_LIST(arena, list, count) ((list) = flo_arena_calloc(arena, (count) + 1, sizeof *(list)))
#define NEW(arena, message) ((message) = flo_arena_alloc(arena, sizeof *(message)))

static bool put_actions(const struct flo_schedule *schedule, struct flo_arena *arena,
                        FloEngine__ScheduleRecord *out)
{
    if (!NEW_LIST(arena, out->recent, schedule->recent_count) ||
        !NEW_LIST(arena, out->running, schedule->running_count))
        return false;
    for (size_t i = 0; i < schedule->recent_count; i++) {
        const struct flo_schedule_action *action = &schedule->recent[i];
        FloEngine__ScheduleAction *put;
        if (!NEW(arena, put))
            return false;
        flo_engine__schedule_action__init(put);
        put->run = put_run(arena, &action->run);
        put->due_ns = action->due_ns;
        put->actual_ns = action->actual_ns;
        put->status = action->status;
        if (!put->run)
            return false;
        out->recent[out->n_recent++] = put;
    }
    for (size_t i = 0; i < schedule->running_count; i++) {
        out->running[i] = put_run(arena, &schedule->running[i]);
        if (!out->running[i])
            return false;
        out->n_running++;
    }
    return true;
}

static bool put_waiting(const struct flo_schedule *schedule, struct flo_arena *arena,
                        FloEngine__ScheduleRecord *out)
{
    if (!NEW_LIST(arena, out->buffered, schedule->buffered_count) ||
        !NEW_LIST(arena, out->backfills, schedule->backfill_count))
        return false;
    for (size_t i = 0; i < schedule->buffered_count; i++) {
        const struct flo_schedule_start *start = &schedule->buffered[i];
        FloEngine__ScheduleStart *put;
        if (!NEW(arena, put))
            return false;
        flo_engine__schedule_start__init(put);
        put->nominal_ns = start->nominal_ns;
        put->due_ns = start->due_ns;
        put->overlap_policy = start->policy;
        put->manual = start->manual;
        out->buffered[out->n_buffered++] = put;
    }
    for (size_t i = 0; i < schedule->backfill_count; i++) {
        const struct flo_schedule_backfill *backfill = &schedule->backfills[i];
        FloEngine__ScheduleBackfill *put;
        if (!NEW(arena, put))
            return false;
        flo_engine__schedule_backfill__init(put);
        put->start_ns = backfill->start_ns;
        put->end_ns = backfill->end_ns;
        put->overlap_policy = backfill->policy;
        out->backfills[out->n_backfills++] = put;
    }
    return true;
}

int flo_schedule_encode(const struct flo_core_record *record, struct flo_arena *arena,
                        const uint8_t **out_state, size_t *out_len)
{
    const struct flo_schedule *schedule = flo_container(record, struct flo_schedule, record);
    FloEngine__ScheduleRecord out = FLO_ENGINE__SCHEDULE_RECORD__INIT;
    out.run_id = (char *)schedule->run_id;
    out.request_id = schedule->request_id;
    out.conflict_token = schedule->conflict_token;
    out.create_ns = schedule->create_ns;
    out.update_ns = schedule->update_ns;
    out.processed_ns = schedule->processed_ns;
    out.closed_ns = schedule->closed_ns;
    out.action_count = schedule->action_count;
    out.missed_catchup_window = schedule->missed;
    out.overlap_skipped = schedule->skipped;
    out.buffer_dropped = schedule->dropped;
    out.last_result = (ProtobufCBinaryData){schedule->last_result.len, schedule->last_result.data};
    out.continued_failure =
        (ProtobufCBinaryData){schedule->continued_failure.len, schedule->continued_failure.data};
    out.requests = (char **)schedule->requests;
    out.n_requests = schedule->request_count;
    uint8_t *state;
    if (!put_message(arena, &schedule->schedule->base, &out.schedule) ||
        !put_message(arena, schedule->memo ? &schedule->memo->base : NULL, &out.memo) ||
        !put_message(arena, schedule->attributes ? &schedule->attributes->base : NULL,
                     &out.search_attributes) ||
        !put_actions(schedule, arena, &out) || !put_waiting(schedule, arena, &out) ||
        flo_wire_encode_arena(&out.base, arena, &state, out_len))
        return FLO_ENOMEM;
    *out_state = state;
    return 0;
}

/* ---- and back ---- */

static int get_run(const FloEngine__ScheduleRun *from, struct flo_schedule_run *out)
{
    if (!from || strlen(from->run_id) != FLO_UUID_LEN)
        return FLO_EDATA;
    memcpy(out->run_id, from->run_id, FLO_UUID_LEN + 1);
    out->workflow_id = flo_strdup(from->workflow_id);
    return out->workflow_id ? 0 : FLO_ENOMEM;
}

static int get_actions(struct flo_schedule *schedule, const FloEngine__ScheduleRecord *from)
{
    if (from->n_recent > FLO_SCHEDULE_RECENT)
        return FLO_EDATA;
    for (size_t i = 0; i < from->n_recent; i++) {
        const FloEngine__ScheduleAction *action = from->recent[i];
        struct flo_schedule_action *out = &schedule->recent[i];
        int rc = get_run(action->run, &out->run);
        if (rc)
            return rc;
        schedule->recent_count++;
        out->due_ns = action->due_ns;
        out->actual_ns = action->actual_ns;
        out->status = action->status;
    }
    schedule->running = flo_calloc(from->n_running + 1, sizeof *schedule->running);
    if (!schedule->running)
        return FLO_ENOMEM;
    schedule->running_cap = from->n_running + 1;
    for (size_t i = 0; i < from->n_running; i++) {
        int rc = get_run(from->running[i], &schedule->running[i]);
        if (rc)
            return rc;
        schedule->running_count++;
        rc = schedule->closed_ns ? 0
                                 : flo_schedule_watch(schedule, schedule->running[i].workflow_id);
        if (rc)
            return rc;
    }
    return 0;
}

static int get_waiting(struct flo_schedule *schedule, const FloEngine__ScheduleRecord *from)
{
    if (from->n_buffered > FLO_SCHEDULE_BUFFER || from->n_backfills > FLO_SCHEDULE_BUFFER)
        return FLO_EDATA;
    schedule->buffered = flo_calloc(from->n_buffered + 1, sizeof *schedule->buffered);
    schedule->backfills = flo_calloc(from->n_backfills + 1, sizeof *schedule->backfills);
    if (!schedule->buffered || !schedule->backfills)
        return FLO_ENOMEM;
    schedule->buffered_cap = from->n_buffered + 1;
    schedule->backfill_cap = from->n_backfills + 1;
    for (size_t i = 0; i < from->n_buffered; i++) {
        const FloEngine__ScheduleStart *start = from->buffered[i];
        schedule->buffered[schedule->buffered_count++] = (struct flo_schedule_start){
            start->nominal_ns, start->due_ns, start->overlap_policy, start->manual};
    }
    for (size_t i = 0; i < from->n_backfills; i++) {
        const FloEngine__ScheduleBackfill *backfill = from->backfills[i];
        schedule->backfills[schedule->backfill_count++] = (struct flo_schedule_backfill){
            backfill->start_ns, backfill->end_ns, backfill->overlap_policy};
    }
    return 0;
}

static int get_blob(const ProtobufCBinaryData *from, struct flo_blob *out)
{
    if (!from->len)
        return 0;
    out->data = flo_memdup(from->data, from->len);
    out->len = from->len;
    return out->data ? 0 : FLO_ENOMEM;
}

static void *get_message(const ProtobufCBinaryData *from, const ProtobufCMessageDescriptor *type,
                         struct flo_arena *arena)
{
    ProtobufCMessage *message;
    return flo_wire_decode(type, from->data, from->len, arena, &message, NULL) ? NULL : message;
}

/* The definition is canonical; its time zone may be gone from this machine, and then it sleeps. */
static int get_definition(struct flo_schedule *schedule, const FloEngine__ScheduleRecord *from)
{
    FloApi__Schedule *made =
        get_message(&from->schedule, &flo_api__schedule__descriptor, &schedule->definition);
    if (!made || !made->spec || !made->action || !made->policies || !made->state)
        return FLO_EDATA;
    schedule->schedule = made;
    int rc = flo_spec_new(&schedule->core->zones, made->spec, &schedule->spec, NULL);
    if (rc == FLO_ENOMEM)
        return rc;
    if (from->memo.len &&
        !(schedule->memo = get_message(&from->memo, &flo_api__memo__descriptor, &schedule->labels)))
        return FLO_EDATA;
    if (from->search_attributes.len &&
        !(schedule->attributes =
              get_message(&from->search_attributes, &flo_api__search_attributes__descriptor,
                          &schedule->attributes_arena)))
        return FLO_EDATA;
    return flo_schedule_set_note(schedule, made->state->notes);
}

static int get_record(struct flo_schedule *schedule, const FloEngine__ScheduleRecord *from)
{
    if (strlen(from->run_id) != FLO_UUID_LEN || from->n_requests > FLO_SCHEDULE_REQUESTS)
        return FLO_EDATA;
    memcpy(schedule->run_id, from->run_id, FLO_UUID_LEN + 1);
    if (flo_schedule_set_request(schedule, from->request_id))
        return FLO_ENOMEM;
    schedule->conflict_token = from->conflict_token;
    schedule->create_ns = from->create_ns;
    schedule->update_ns = from->update_ns;
    schedule->processed_ns = from->processed_ns;
    schedule->closed_ns = from->closed_ns;
    schedule->action_count = from->action_count;
    schedule->missed = from->missed_catchup_window;
    schedule->skipped = from->overlap_skipped;
    schedule->dropped = from->buffer_dropped;
    for (size_t i = 0; i < from->n_requests; i++)
        (void)flo_schedule_known_request(schedule, from->requests[i]);
    int rc = get_blob(&from->last_result, &schedule->last_result);
    if (!rc)
        rc = get_blob(&from->continued_failure, &schedule->continued_failure);
    if (!rc)
        rc = get_definition(schedule, from);
    if (!rc)
        rc = get_actions(schedule, from);
    return rc ? rc : get_waiting(schedule, from);
}

int flo_schedules_load(struct flo_core *core, const struct flo_core_record_row *row,
                       struct flo_err *err)
{
    struct flo_namespace *ns = flo_namespace_by_id(core, row->namespace_id);
    ProtobufCMessage *message;
    if (!ns || flo_wire_decode(&flo_engine__schedule_record__descriptor, row->state, row->state_len,
                               &core->scratch, &message, NULL))
        return flo_fail(err, FLO_EDATA, "the record of the schedule %s is damaged", row->id);
    struct flo_schedule *schedule = flo_schedule_new(core, ns, row->id);
    int rc =
        schedule ? get_record(schedule, (const FloEngine__ScheduleRecord *)message) : FLO_ENOMEM;
    if (rc) {
        flo_schedule_destroy(core, &schedule);
        return flo_fail(err, rc, "the record of the schedule %s cannot be read: %s", row->id,
                        flo_error_text(rc));
    }
    return 0;
}

void flo_schedules_resume(struct flo_core *core)
{
    for (struct flo_map_entry *it = flo_map_first(&core->schedules.by_id); it && !core->fatal;
         it = flo_map_next(it))
        flo_schedule_resume(flo_map_value(it));
}
