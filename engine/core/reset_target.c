/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reset_target.c - where a reset by options goes to: the first or last workflow task, an event, the
 * first task that a build completed. As the real server's batch jobs find it, which read a run like
 * any client: their sentences, and what is no mistake to them, are those of its calls.
 */
#include <stdio.h>
#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/history_read.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/reply.h"
#include "engine/core/reset.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "flotilla/engine_state.pb-c.h"

#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name

/* The workflow task that is looked for, and what was seen of it. */
struct search {
    bool last;            /* the last one, not the first one */
    int64_t completed_id; /* 0 = none was completed: then */
    int64_t scheduled_id; /* the first one */
};

static void look_at(struct search *search, const FloApi__HistoryEvent *event)
{
    const int64_t id = event->event_id;
    if (event->event_type == EVENT(WORKFLOW_TASK_COMPLETED)) {
        if (!search->completed_id || search->last == (id > search->completed_id))
            search->completed_id = id;
    } else if (event->event_type == EVENT(WORKFLOW_TASK_SCHEDULED)) {
        if (!search->scheduled_id || id < search->scheduled_id)
            search->scheduled_id = id;
    }
}

/* From the end that the task is nearer to, until it is there. */
static int search_resident(const struct flo_execution *execution, struct search *search,
                           struct flo_arena *mem)
{
    const struct flo_history *history = &execution->history;
    const int64_t end_id = history->next_event_id;
    for (int64_t i = 1; i < end_id && !search->completed_id; i++) {
        const FloApi__HistoryEvent *event =
            flo_history_decode(history, search->last ? end_id - i : i, mem);
        if (!event)
            return FLO_EDATA;
        look_at(search, event);
        flo_arena_reset(mem);
    }
    return 0;
}

static int search_bytes(const uint8_t *data, size_t len, struct search *search,
                        struct flo_arena *mem)
{
    while (len) {
        const size_t entry = flo_history_entry_len(data, len);
        const FloApi__HistoryEvent *event =
            entry ? flo_history_entry_decode(data, entry, mem) : NULL;
        if (!event)
            return FLO_EDATA;
        look_at(search, event);
        flo_arena_reset(mem);
        data += entry;
        len -= entry;
    }
    return 0;
}

/* The store is read forwards only. */
static int search_stored(struct flo_core *core, const struct flo_core_run_ref *run,
                         struct search *search, struct flo_arena *mem)
{
    int rc = 0;
    for (int64_t next = 1; !rc && next < run->state->next_event_id;) {
        const int64_t first = next;
        struct flo_bytes page;
        rc = flo_history_read_stored(core, run, first, FLO_CORE_PAGE_BATCHES, &page, &next);
        if (!rc && next == first)
            rc = FLO_EDATA; /* the store has no such batch */
        if (!rc)
            rc = search_bytes(page.data, page.len, search, mem);
        if (search->completed_id && !search->last)
            break;
    }
    return rc;
}

static int find_task(struct flo_core *core, const struct flo_core_run_ref *run, bool last,
                     int64_t *out_finish_id, struct flo_status *status)
{
    struct search search = {.last = last};
    struct flo_arena mem; /* of the event that is looked at */
    flo_arena_init(&mem, 0);
    int rc = run->execution ? search_resident(run->execution, &search, &mem)
                            : search_stored(core, run, &search, &mem);
    flo_arena_fini(&mem);
    if (rc)
        return flo_status_set(core, status, FLO_GRPC_INTERNAL,
                              last ? "failed to get workflow execution history"
                                   : "GetWorkflowExecutionHistory failed");
    if (!search.completed_id && !search.scheduled_id)
        return flo_status_set(core, status, FLO_GRPC_INTERNAL,
                              "unable to find any scheduled or completed task");
    *out_finish_id = search.completed_id ? search.completed_id : search.scheduled_id + 1;
    return 0;
}

static FloApi__ResetPoints *points_of(struct flo_core *core, const struct flo_core_run_ref *run)
{
    ProtobufCMessage *message;
    if (run->execution)
        return flo_blob_decode(core, &run->execution->reset_points,
                               &flo_api__reset_points__descriptor);
    if (flo_wire_decode(&flo_api__reset_points__descriptor, run->state->reset_points.data,
                        run->state->reset_points.len, &core->scratch, &message, NULL))
        return NULL;
    return (FloApi__ResetPoints *)message;
}

/* run_id: as it was asked for. */
static int find_build(struct flo_core *core, const struct flo_core_run_ref *run, const char *run_id,
                      const FloApi__ResetOptions *options, const char **out_run_id,
                      int64_t *out_finish_id, struct flo_status *status)
{
    const FloApi__ResetPoints *points = points_of(core, run);
    const char *build_id = options->build_id;
    for (size_t i = 0; points && i < points->n_points; i++) {
        const FloApi__ResetPointInfo *point = points->points[i];
        if (strcmp(point->build_id, build_id) != 0)
            continue;
        if (!point->resettable)
            return flo_status_set(core, status, FLO_GRPC_INTERNAL,
                                  "Reset point for %s is not resettable", build_id);
        if (point->expire_time && flo_timestamp_ns(point->expire_time) < core->now_ns)
            return flo_status_set(core, status, FLO_GRPC_INTERNAL, "Reset point for %s is expired",
                                  build_id);
        if (options->current_run_only && strcmp(run_id, point->run_id) != 0)
            return flo_status_set(
                core, status, FLO_GRPC_INTERNAL,
                "Reset point for %s points to previous run and CurrentRunOnly is set", build_id);
        *out_run_id = point->run_id;
        *out_finish_id = point->first_workflow_task_completed_id;
        return 0;
    }
    return flo_status_set(core, status, FLO_GRPC_INTERNAL, "Can't find reset point for %s",
                          build_id);
}

int flo_reset_find_target(struct flo_core *core, struct flo_namespace *ns, const char *workflow_id,
                          const char *run_id, const FloApi__ResetOptions *options,
                          char out_run_id[FLO_UUID_LEN + 1], int64_t *out_finish_id,
                          struct flo_status *status)
{
    struct flo_core_run_ref run;
    const char *target_run_id = run_id;
    int rc = 0;
    if (options->target_case == FLO_API__RESET_OPTIONS__TARGET_WORKFLOW_TASK_ID) {
        *out_finish_id = options->workflow_task_id;
    } else {
        rc = flo_core_find_run(core, ns, workflow_id, run_id, &run, status);
        if (!rc && options->target_case == FLO_API__RESET_OPTIONS__TARGET_BUILD_ID)
            rc = find_build(core, &run, run_id, options, &target_run_id, out_finish_id, status);
        else if (!rc)
            rc =
                find_task(core, &run,
                          options->target_case == FLO_API__RESET_OPTIONS__TARGET_LAST_WORKFLOW_TASK,
                          out_finish_id, status);
        else if (options->target_case != FLO_API__RESET_OPTIONS__TARGET_BUILD_ID)
            status->code = FLO_GRPC_INTERNAL; /* a history that cannot be read is a failure */
    }
    if (!rc)
        snprintf(out_run_id, FLO_UUID_LEN + 1, "%s", target_run_id);
    return rc;
}
