/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.c - the calls about schedules. Their sentences speak of the workflow that a schedule is on
 * the real server, since clients tell errors apart by them.
 */
#include <string.h>

#include "base/clock.h"
#include "engine/core/attributes.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/schedule/schedule.h"
#include "engine/core/schedule/show.h"
#include "wire/payload.h"

#define REUSE(name) FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_##name

enum { TOKEN_BYTES = 8, FIRST_TOKEN = 1, MATCHING_TIMES_MAX = 1000 };

static int invalid(struct flo_core *core, struct flo_status *status, const char *message)
{
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "%s", message);
}

static ProtobufCBinaryData token_bytes(int64_t token, uint8_t bytes[TOKEN_BYTES])
{
    for (int i = 0; i < TOKEN_BYTES; i++)
        bytes[i] = (uint8_t)((uint64_t)token >> (8 * (TOKEN_BYTES - 1 - i)));
    return (ProtobufCBinaryData){.len = TOKEN_BYTES, .data = bytes};
}

/* ---- what requests say ---- */

/* An id is checked with what is put before or behind it. */
static int check_id_with(struct flo_core *core, const char *id, const char *with,
                         struct flo_status *status)
{
    if (strnlen(id, FLO_CORE_ID_BYTES + 1) + strlen(with) <= FLO_CORE_ID_BYTES)
        return 0;
    return invalid(core, status, "WorkflowId length exceeds limit.");
}

static int check_queue(struct flo_core *core, const FloApi__TaskQueue *queue,
                       struct flo_status *status)
{
    static const char RESERVED[] = "/_sys/";
    if (!queue)
        return invalid(core, status, "taskQueue is not set");
    if (!queue->name[0])
        return invalid(core, status, "missing task queue name");
    if (strncmp(queue->name, RESERVED, sizeof RESERVED - 1) == 0)
        return invalid(core, status, "task queue name cannot start with reserved prefix /_sys/");
    return flo_check_id(core, "taskQueue", queue->name, status);
}

/* The workflow that it is to start. */
static int check_action(struct flo_core *core, const struct flo_namespace *ns,
                        const FloApi__Schedule *schedule, struct flo_status *status)
{
    if (!schedule || !schedule->action ||
        schedule->action->action_case != FLO_API__SCHEDULE_ACTION__ACTION_START_WORKFLOW)
        return 0;
    const FloApi__NewWorkflowExecutionInfo *start = schedule->action->start_workflow;
    int rc = check_id_with(core, start->workflow_id, "-2009-11-10T23:00:00Z", status);
    if (rc)
        return rc;
    if (!start->workflow_type || !start->workflow_type->name[0])
        return invalid(core, status, "WorkflowType is not set on request.");
    rc = flo_check_id(core, "WorkflowType", start->workflow_type->name, status);
    if (!rc)
        rc = check_queue(core, start->task_queue, status);
    if (!rc)
        rc = flo_check_duration(core, "WorkflowExecutionTimeoutSeconds",
                                start->workflow_execution_timeout, status);
    if (!rc)
        rc = flo_check_duration(core, "WorkflowRunTimeoutSeconds", start->workflow_run_timeout,
                                status);
    if (!rc)
        rc = flo_check_duration(core, "WorkflowTaskTimeoutSeconds", start->workflow_task_timeout,
                                status);
    if (rc)
        return rc;
    if (start->cron_schedule[0])
        return invalid(core, status, "Scheduled workflow must not contain CronSchedule");
    if (start->workflow_id_reuse_policy != REUSE(UNSPECIFIED) &&
        start->workflow_id_reuse_policy != REUSE(ALLOW_DUPLICATE))
        return invalid(core, status, "Scheduled workflow must not contain WorkflowIDReusePolicy");
    return flo_check_search_attributes(core, ns, start->search_attributes, status);
}

static int check_spec(struct flo_core *core, const FloApi__Schedule *schedule,
                      struct flo_status *status)
{
    struct flo_err err;
    FloApi__ScheduleSpec *canonical;
    struct flo_spec *spec = NULL;
    if (!schedule || !schedule->spec)
        return 0;
    int rc = flo_spec_canonical(&core->scratch, schedule->spec, &canonical, &err);
    if (!rc)
        rc = flo_spec_new(&core->zones, canonical, &spec, &err);
    flo_spec_destroy(&spec);
    if (rc == FLO_ENOMEM)
        return flo_status_no_memory(status);
    return rc ? flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Invalid schedule spec: %s",
                               err.message)
              : 0;
}

/* A whole schedule, as create and update bring it. */
static int check_schedule(struct flo_core *core, const struct flo_namespace *ns,
                          const FloApi__Schedule *schedule,
                          const FloApi__SearchAttributes *attributes, struct flo_status *status)
{
    int rc = check_spec(core, schedule, status);
    if (!rc)
        rc = flo_check_search_attributes(core, ns, attributes, status);
    if (!rc)
        rc = check_action(core, ns, schedule, status);
    return rc ? rc : flo_check_blob(core, schedule, status);
}

/* ---- which one ---- */

static int not_found(struct flo_core *core, const char *id, struct flo_status *status)
{
    return flo_status_not_found(core, status,
                                "workflow not found for ID: " FLO_SCHEDULE_WORKFLOW "%s", id);
}

static int find(struct flo_core *core, const struct flo_namespace *ns, const char *id,
                struct flo_schedule **out, struct flo_status *status)
{
    *out = flo_schedule_find(core, ns, id);
    if (core->fatal)
        return flo_status_no_memory(status);
    return *out ? 0 : not_found(core, id, status);
}

/* One that still lives. */
static int find_alive(struct flo_core *core, const struct flo_namespace *ns, const char *id,
                      struct flo_schedule **out, struct flo_status *status)
{
    int rc = find(core, ns, id, out, status);
    if (!rc && (*out)->closed_ns)
        rc = flo_status_not_found(core, status, "workflow execution already completed");
    return rc;
}

/* ---- create ---- */

static int already_there(struct flo_core *core, const struct flo_schedule *schedule,
                         struct flo_status *status)
{
    FloApi__WorkflowExecutionAlreadyStartedFailure *detail =
        flo_arena_alloc(&core->scratch, sizeof *detail);
    const char *text =
        flo_arena_printf(&core->scratch,
                         "Workflow execution is already running. WorkflowId: " FLO_SCHEDULE_WORKFLOW
                         "%s, RunId: %s.",
                         schedule->id, schedule->run_id);
    if (!detail || !text)
        return flo_status_no_memory(status);
    flo_api__workflow_execution_already_started_failure__init(detail);
    detail->start_request_id = schedule->request_id;
    detail->run_id = flo_text(schedule->run_id);
    *status = (struct flo_status){
        .code = FLO_GRPC_ALREADY_EXISTS, .message = text, .detail = &detail->base};
    return FLO_ERPC;
}

static int check_create(struct flo_core *core, const FloApi__CreateScheduleRequest *request,
                        struct flo_namespace **out_ns, struct flo_status *status)
{
    int rc = flo_namespace_find(core, request->namespace_, out_ns, status);
    if (!rc)
        rc = check_id_with(core, request->schedule_id, FLO_SCHEDULE_WORKFLOW, status);
    if (!rc && !request->request_id[0])
        rc = invalid(core, status, "RequestId is not set on request.");
    if (!rc)
        rc = flo_check_id(core, "RequestId", request->request_id, status);
    if (!rc)
        rc = check_schedule(core, *out_ns, request->schedule, request->search_attributes, status);
    return rc ? rc : flo_check_blob(core, request->memo, status);
}

/* Make it; its names are free. NULL: memory is out, nothing has happened. */
static struct flo_schedule *make(struct flo_core *core, struct flo_namespace *ns,
                                 const FloApi__CreateScheduleRequest *request)
{
    static const FloApi__Schedule EMPTY = FLO_API__SCHEDULE__INIT;
    struct flo_schedule *schedule = flo_schedule_new(core, ns, request->schedule_id);
    if (!schedule)
        return NULL;
    flo_core_new_id(core, schedule->run_id);
    schedule->conflict_token = FIRST_TOKEN;
    schedule->create_ns = schedule->processed_ns = core->now_ns;
    if (flo_schedule_set_request(schedule, request->request_id) ||
        flo_schedule_define(schedule, request->schedule ? request->schedule : &EMPTY, NULL) ||
        flo_schedule_set_memo(schedule, request->memo) ||
        flo_schedule_set_attributes(schedule, request->search_attributes))
        flo_schedule_destroy(core, &schedule);
    return schedule;
}

void flo_rpc_create_schedule(struct flo_core *core, const struct flo_core_call_info *info,
                             const void *message)
{
    const FloApi__CreateScheduleRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_schedule *schedule = NULL;
    int rc = check_create(core, request, &ns, &status);
    if (!rc) {
        schedule = flo_schedule_find(core, ns, request->schedule_id);
        const bool again = schedule && strcmp(schedule->request_id, request->request_id) == 0;
        if (schedule && !schedule->closed_ns && !again)
            rc = already_there(core, schedule, &status);
        if (!rc && schedule && !again) { /* the closed one makes room */
            if (flo_core_record_deleted(core, &schedule->record))
                rc = flo_status_no_memory(&status);
            else
                flo_schedule_destroy(core, &schedule);
        }
        if (!rc && !schedule) {
            schedule = make(core, ns, request);
            if (schedule)
                flo_schedule_wake(schedule, request->initial_patch, NULL);
            else
                rc = flo_status_no_memory(&status);
        }
    }
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    uint8_t token[TOKEN_BYTES];
    FloApi__CreateScheduleResponse response = FLO_API__CREATE_SCHEDULE_RESPONSE__INIT;
    response.conflict_token = token_bytes(FIRST_TOKEN, token);
    flo_reply_ok(core, info->id, flo_core_record_after(core, &schedule->record), &response.base);
}

/* ---- change ---- */

void flo_rpc_update_schedule(struct flo_core *core, const struct flo_core_call_info *info,
                             const void *message)
{
    const FloApi__UpdateScheduleRequest *request = message;
    static const FloApi__UpdateScheduleResponse response = FLO_API__UPDATE_SCHEDULE_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_schedule *schedule = NULL;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = flo_check_id(core, "RequestId", request->request_id, &status);
    if (!rc)
        rc = check_schedule(core, ns, request->schedule, request->search_attributes, &status);
    if (!rc)
        rc = find_alive(core, ns, request->schedule_id, &schedule, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    if (!flo_schedule_known_request(schedule, request->request_id))
        flo_schedule_wake(schedule, NULL, request);
    flo_reply_ok(core, info->id, flo_core_record_after(core, &schedule->record), &response.base);
}

static int check_patch(struct flo_core *core, const FloApi__SchedulePatch *patch,
                       struct flo_status *status)
{
    if (!patch)
        return invalid(core, status, "Patch is not set on request.");
    if (strlen(patch->pause) > FLO_SCHEDULE_NOTE_MAX ||
        strlen(patch->unpause) > FLO_SCHEDULE_NOTE_MAX)
        return invalid(core, status, "Schedule notes exceeds limit.");
    return flo_check_blob(core, patch, status);
}

void flo_rpc_patch_schedule(struct flo_core *core, const struct flo_core_call_info *info,
                            const void *message)
{
    const FloApi__PatchScheduleRequest *request = message;
    static const FloApi__PatchScheduleResponse response = FLO_API__PATCH_SCHEDULE_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_schedule *schedule = NULL;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = flo_check_id(core, "RequestId", request->request_id, &status);
    if (!rc)
        rc = check_patch(core, request->patch, &status);
    if (!rc)
        rc = find_alive(core, ns, request->schedule_id, &schedule, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    if (!flo_schedule_known_request(schedule, request->request_id))
        flo_schedule_wake(schedule, request->patch, NULL);
    flo_reply_ok(core, info->id, flo_core_record_after(core, &schedule->record), &response.base);
}

void flo_rpc_delete_schedule(struct flo_core *core, const struct flo_core_call_info *info,
                             const void *message)
{
    const FloApi__DeleteScheduleRequest *request = message;
    static const FloApi__DeleteScheduleResponse response = FLO_API__DELETE_SCHEDULE_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_schedule *schedule = NULL;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = find_alive(core, ns, request->schedule_id, &schedule, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    flo_schedule_close(schedule);
    flo_reply_ok(core, info->id, flo_core_record_after(core, &schedule->record), &response.base);
}

/* ---- look ---- */

void flo_rpc_describe_schedule(struct flo_core *core, const struct flo_core_call_info *info,
                               const void *message)
{
    const FloApi__DescribeScheduleRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_schedule *schedule = NULL;
    uint8_t token[TOKEN_BYTES];
    FloApi__DescribeScheduleResponse response = FLO_API__DESCRIBE_SCHEDULE_RESPONSE__INIT;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = find(core, ns, request->schedule_id, &schedule, &status);
    if (!rc && schedule->closed_ns)
        rc = flo_status_not_found(core, &status, "schedule not found");
    if (!rc && flo_schedule_describe(schedule, &core->scratch, &response))
        rc = flo_status_no_memory(&status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    response.conflict_token = token_bytes(schedule->conflict_token, token);
    flo_reply_ok(core, info->id, 0, &response.base);
}

/* As the query on the real server that it is, it fails. */
static int no_query(struct flo_core *core, struct flo_status *status)
{
    static const FloApi__QueryFailedFailure DETAIL = FLO_API__QUERY_FAILED_FAILURE__INIT;
    (void)invalid(core, status, "missing or invalid query");
    status->detail = &DETAIL.base;
    return FLO_ERPC;
}

static int list_times(struct flo_core *core, const struct flo_schedule *schedule,
                      const FloApi__ListScheduleMatchingTimesRequest *request,
                      FloApi__ListScheduleMatchingTimesResponse *out)
{
    struct flo_arena *arena = &core->scratch;
    const int64_t end_ns = flo_timestamp_ns(request->end_time);
    int64_t at_ns = flo_timestamp_ns(request->start_time);
    out->start_time = flo_arena_calloc(arena, MATCHING_TIMES_MAX, sizeof *out->start_time);
    if (!out->start_time)
        return FLO_ENOMEM;
    while (schedule->spec && out->n_start_time < MATCHING_TIMES_MAX) {
        at_ns = flo_spec_next(schedule->spec, schedule->seed, at_ns).due_ns;
        if (at_ns == FLO_SPEC_NEVER || at_ns > end_ns)
            break;
        Google__Protobuf__Timestamp *time = flo_timestamp_new(arena, at_ns);
        if (!time)
            return FLO_ENOMEM;
        out->start_time[out->n_start_time++] = time;
    }
    return 0;
}

void flo_rpc_list_schedule_matching_times(struct flo_core *core,
                                          const struct flo_core_call_info *info,
                                          const void *message)
{
    const FloApi__ListScheduleMatchingTimesRequest *request = message;
    FloApi__ListScheduleMatchingTimesResponse response =
        FLO_API__LIST_SCHEDULE_MATCHING_TIMES_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_schedule *schedule = NULL;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = find(core, ns, request->schedule_id, &schedule, &status);
    if (!rc && (!request->start_time || !request->end_time))
        rc = no_query(core, &status);
    if (!rc && list_times(core, schedule, request, &response))
        rc = flo_status_no_memory(&status);
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else
        flo_reply_ok(core, info->id, 0, &response.base);
}
