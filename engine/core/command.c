/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.c - RespondWorkflowTaskCompleted: what a worker answers to a workflow task.
 *
 * A completion is taken as a whole or not at all. So the commands are looked at twice: first
 * checked, each as if those before it had been applied, without touching the run; only when all of
 * them are fine is the WorkflowTaskCompleted event written and are they applied, which cannot fail
 * any more. A refused completion fails the workflow task instead.
 */
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/core/cron.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/matching.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/poll.h"
#include "engine/core/query.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/update.h"

#define HEARTBEAT_MAX_NS (INT64_C(30) * 60 * FLO_NS_PER_S) /* a task may be kept alive so long */
#define TASK_EVENTS 3       /* Completed, Scheduled, Started: what a task brings at least */
#define DISCARDED_EVENTS 10 /* so many more are sent to a worker again rather than written down */
#define SEQUENCE_SHOWN 50   /* commands in the sentence about a bad sequence */
#define INLINE_REQUEST_ID "request-from-RespondWorkflowTaskCompleted"
#define CAUSE(name) FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_##name
#define COMMAND(name) FLO_API__COMMAND_TYPE__COMMAND_TYPE_##name

typedef FloApi__RespondWorkflowTaskCompletedRequest request_t;

/* ---- names ---- */

const char *flo_pascal_case(struct flo_core *core, const ProtobufCEnumDescriptor *descriptor,
                            int value, const char *prefix)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(descriptor, value);
    if (!known || strncmp(known->name, prefix, strlen(prefix)) != 0)
        return "Unknown";
    const char *from = known->name + strlen(prefix);
    char *out = flo_arena_alloc(&core->scratch, strlen(from) + 1), *to = out;
    if (!out)
        return "Unknown";
    for (bool upper = true; *from; from++) {
        if (*from == '_') {
            upper = true;
            continue;
        }
        *to++ = (char)(upper ? *from : tolower((unsigned char)*from));
        upper = false;
    }
    *to = '\0';
    return out;
}

static bool closes(FloApi__CommandType type)
{
    return type == COMMAND(COMPLETE_WORKFLOW_EXECUTION) ||
           type == COMMAND(FAIL_WORKFLOW_EXECUTION) || type == COMMAND(CANCEL_WORKFLOW_EXECUTION) ||
           type == COMMAND(CONTINUE_AS_NEW_WORKFLOW_EXECUTION);
}

static const char *command_name(struct flo_core *core, const FloApi__Command *command)
{
    return flo_pascal_case(core, &flo_api__command_type__descriptor, (int)command->command_type,
                           "COMMAND_TYPE_");
}

/* "invalid command sequence: [A, B], command A must be the last command." */
static int bad_sequence(struct flo_core *core, const request_t *request, size_t at,
                        struct flo_status *status)
{
    struct flo_buf list;
    flo_buf_init(&list, 4096);
    size_t shown = request->n_commands < SEQUENCE_SHOWN ? request->n_commands : SEQUENCE_SHOWN;
    for (size_t i = 0; i < shown; i++)
        flo_buf_printf(&list, "%s%s", i ? ", " : "", command_name(core, request->commands[i]));
    if (shown < request->n_commands)
        flo_buf_append_str(&list, ", ...");
    int rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "invalid command sequence: [%s], command %s must be the last command.",
                            flo_buf_cstr(&list), command_name(core, request->commands[at]));
    flo_buf_fini(&list);
    return rc;
}

/* Known types, and nothing behind a closing command. */
static int check_sequence(struct flo_core *core, const request_t *request,
                          struct flo_status *status)
{
    for (size_t i = 0; i < request->n_commands; i++) {
        FloApi__CommandType type = request->commands[i]->command_type;
        if (!protobuf_c_enum_descriptor_get_value(&flo_api__command_type__descriptor, (int)type) ||
            type == COMMAND(UNSPECIFIED))
            return type == COMMAND(UNSPECIFIED)
                       ? flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                        "unknown command type: Unspecified")
                       : flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                        "unknown command type: %d", (int)type);
        if (closes(type) && i + 1 < request->n_commands)
            return bad_sequence(core, request, i, status);
    }
    return 0;
}

/* The real server looks at these schedules before it takes a completion on, so that its task stays
 * as it is. Those of a continue-as-new are not looked at. */
static int check_cron(struct flo_core *core, const struct flo_execution *execution,
                      const request_t *request, struct flo_status *status)
{
    for (size_t i = 0; i < request->n_commands; i++) {
        if (request->commands[i]->attributes_case !=
            FLO_API__COMMAND__ATTRIBUTES_START_CHILD_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES)
            continue;
        const FloApi__StartChildWorkflowExecutionCommandAttributes *a =
            request->commands[i]->start_child_workflow_execution_command_attributes;
        struct flo_err err = {0};
        if (!*a->cron_schedule)
            continue;
        int rc = flo_cron_check(&core->zones, a->cron_schedule, core->now_ns, &err);
        if (rc == FLO_EINVAL)
            return flo_status_set(
                core, status, FLO_GRPC_INVALID_ARGUMENT,
                "invalid CronSchedule on StartChildWorkflowExecutionCommand: %s. WorkflowId=%s "
                "WorkflowType=%s Namespace=%s",
                err.message, a->workflow_id, a->workflow_type ? a->workflow_type->name : "",
                *a->namespace_ ? a->namespace_ : execution->hooks.ns->name);
        if (rc)
            return flo_status_no_memory(status);
    }
    return 0;
}

/* ---- a refused completion ---- */

static void refuse(struct flo_core *core, struct flo_execution *execution,
                   const struct flo_core_call_info *info, const request_t *request,
                   const struct flo_verdict *verdict)
{
    struct flo_status status = {0};
    flo_status_set(core, &status, FLO_GRPC_INVALID_ARGUMENT, "%s", verdict->message);
    flo_update_take_back(core, execution);
    if (execution->workflow_task.attempt > 1 && verdict->cause != CAUSE(UNHANDLED_COMMAND) &&
        !verdict->terminate) {
        flo_reply_status(core, info->id, 0, &status); /* it times out: that slows the worker down */
        return;
    }
    FloApi__ServerFailureInfo server = FLO_API__SERVER_FAILURE_INFO__INIT;
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    failure.message = flo_text(verdict->message);
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_SERVER_FAILURE_INFO;
    failure.server_failure_info = &server;
    FloApi__WorkflowTaskFailedEventAttributes failed =
        FLO_API__WORKFLOW_TASK_FAILED_EVENT_ATTRIBUTES__INIT;
    failed.cause = verdict->cause;
    failed.failure = &failure;
    failed.identity = request->identity;
    failed.binary_checksum = request->binary_checksum;
    failed.worker_version = request->worker_version_stamp;
    if (verdict->cause == CAUSE(UNHANDLED_COMMAND))
        execution->workflow_task.close_attempted = true;
    flo_updates_refused(execution);
    flo_core_workflow_task_fail(core, execution, &failed);
    if (verdict->terminate)
        flo_execution_terminate(core, execution, verdict->message, NULL, FLO_CORE_RUN_IDENTITY);
    flo_core_workflow_task_schedule(core, execution);
    flo_execution_end(core, execution, true);
    flo_reply_status(core, info->id, flo_core_after(core, execution), &status);
}

/* Does the worker only keep its task alive? */
static bool is_heartbeat(const request_t *request)
{
    return request->force_create_new_workflow_task && !request->n_commands && !request->n_messages;
}

/* ... for too long now? */
static bool heartbeat_over(struct flo_core *core, const struct flo_execution *execution,
                           const request_t *request)
{
    return is_heartbeat(request) &&
           core->now_ns - execution->workflow_task.original_scheduled_ns > HEARTBEAT_MAX_NS;
}

/* ---- an accepted one ---- */

static void set_sticky(struct flo_core *core, struct flo_execution *execution,
                       const FloApi__StickyExecutionAttributes *sticky)
{
    if (!sticky || !sticky->worker_task_queue || !*sticky->worker_task_queue->name) {
        flo_execution_clear_sticky(core, execution);
        return;
    }
    flo_set_name(core, &execution->sticky_queue, sticky->worker_task_queue->name);
    int64_t timeout = flo_duration_ns(sticky->schedule_to_start_timeout);
    execution->sticky_schedule_to_start_ns = timeout > 0 ? timeout : FLO_CORE_STICKY_SEEN_NS;
}

/* The build that the worker says it is of. */
static const char *build_id_of(const request_t *request)
{
    return request->worker_version_stamp ? request->worker_version_stamp->build_id : "";
}

static void set_attribute(struct flo_core *core, struct flo_execution *execution, const char *name,
                          const char *type_name, const char *json)
{
    FloApi__Payload__MetadataEntry encoding = FLO_API__PAYLOAD__METADATA_ENTRY__INIT;
    FloApi__Payload__MetadataEntry type = FLO_API__PAYLOAD__METADATA_ENTRY__INIT;
    FloApi__Payload__MetadataEntry *metadata[] = {&encoding, &type};
    FloApi__Payload payload = FLO_API__PAYLOAD__INIT;
    FloApi__SearchAttributes__IndexedFieldsEntry field =
        FLO_API__SEARCH_ATTRIBUTES__INDEXED_FIELDS_ENTRY__INIT;
    FloApi__SearchAttributes__IndexedFieldsEntry *fields = &field;
    FloApi__SearchAttributes upserted = FLO_API__SEARCH_ATTRIBUTES__INIT;
    encoding.key = flo_text("encoding");
    encoding.value = (ProtobufCBinaryData){10, (uint8_t *)flo_text("json/plain")};
    type.key = flo_text("type");
    type.value = (ProtobufCBinaryData){strlen(type_name), (uint8_t *)flo_text(type_name)};
    payload.metadata = metadata;
    payload.n_metadata = 2;
    payload.data = (ProtobufCBinaryData){strlen(json), (uint8_t *)flo_text(json)};
    field.key = flo_text(name);
    field.value = &payload;
    upserted.indexed_fields = &fields;
    upserted.n_indexed_fields = 1;
    flo_merge_search_attributes(core, execution, &upserted);
    if (strcmp(name, "BuildIds") != 0) /* which has no rows of its own */
        execution->attributes_changed = true;
}

void flo_set_keyword_list(struct flo_core *core, struct flo_execution *execution, const char *name,
                          const char *json)
{
    set_attribute(core, execution, name, "KeywordList", json);
}

void flo_set_keyword(struct flo_core *core, struct flo_execution *execution, const char *name,
                     const char *text)
{
    json_t *value = json_string(text);
    char *json = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    if (json)
        set_attribute(core, execution, name, "Keyword", json);
    else
        flo_core_set_fatal(core);
    free(json);
    json_decref(value);
}

/* One more of BuildIds, unless it is there. NULL without memory. */
static const char *add_build_id(struct flo_core *core, const char *list, const char *build_id)
{
    if (!*build_id || strpbrk(build_id, "\"\\\n\r\t"))
        return list;
    const char *item = flo_arena_printf(&core->scratch, ",\"unversioned:%s\"", build_id);
    if (!item || strstr(list, item))
        return item ? list : NULL;
    return flo_arena_printf(&core->scratch, "%s%s", list, item);
}

/* BuildIds gets what the real server puts there: how the run is versioned, and its builds, which
 * its reset points know. */
static void note_build_ids(struct flo_core *core, struct flo_execution *execution,
                           const FloApi__ResetPoints *points, const char *build_id)
{
    const char *list = "[\"unversioned\"";
    for (size_t i = 0; list && i < points->n_points; i++)
        if (!strcmp(points->points[i]->run_id, execution->run_id))
            list = add_build_id(core, list, points->points[i]->build_id);
    if (list)
        list = add_build_id(core, list, build_id);
    const char *json = list ? flo_arena_printf(&core->scratch, "%s]", list) : NULL;
    if (json)
        flo_set_keyword_list(core, execution, "BuildIds", json);
    else
        flo_core_set_fatal(core);
}

void flo_core_note_build(struct flo_core *core, struct flo_execution *execution,
                         const char *build_id, const char *checksum, int64_t completed_id)
{
    const char *key =
        *checksum ? flo_arena_printf(&core->scratch, "%s\n%s", build_id, checksum) : build_id;
    if (!key) {
        flo_core_set_fatal(core);
        return;
    }
    if (execution->last_build && !strcmp(execution->last_build, key))
        return;
    flo_set_name(core, &execution->last_build, key);
    FloApi__ResetPoints none = FLO_API__RESET_POINTS__INIT;
    FloApi__ResetPoints *old =
        flo_blob_decode(core, &execution->reset_points, &flo_api__reset_points__descriptor);
    if (!old)
        old = &none;
    note_build_ids(core, execution, old, build_id);
    for (size_t i = 0; i < old->n_points; i++)
        if (!strcmp(old->points[i]->build_id, build_id) &&
            !strcmp(old->points[i]->binary_checksum, checksum))
            return;
    FloApi__ResetPointInfo point = FLO_API__RESET_POINT_INFO__INIT;
    FloApi__ResetPointInfo *points[FLO_CORE_RUN_MAX_RESET_POINTS];
    Google__Protobuf__Timestamp time = flo_make_timestamp(core->now_ns);
    FloApi__ResetPoints all = FLO_API__RESET_POINTS__INIT;
    size_t skip = old->n_points >= FLO_CORE_RUN_MAX_RESET_POINTS
                      ? old->n_points - FLO_CORE_RUN_MAX_RESET_POINTS + 1
                      : 0;
    for (size_t i = skip; i < old->n_points; i++)
        points[all.n_points++] = old->points[i];
    point.build_id = flo_text(build_id);
    point.binary_checksum = flo_text(checksum);
    point.run_id = execution->run_id;
    point.first_workflow_task_completed_id = completed_id;
    point.create_time = &time;
    point.resettable = execution->child_count == 0;
    points[all.n_points++] = &point;
    all.points = points;
    flo_blob_set(core, &execution->reset_points, &all.base);
}

static int64_t write_completed(struct flo_core *core, struct flo_execution *execution,
                               const request_t *request)
{
    FloApi__WorkflowTaskCompletedEventAttributes completed =
        FLO_API__WORKFLOW_TASK_COMPLETED_EVENT_ATTRIBUTES__INIT;
    completed.identity = request->identity;
    completed.binary_checksum = request->binary_checksum;
    completed.worker_version = request->worker_version_stamp;
    completed.sdk_metadata = request->sdk_metadata;
    completed.metering_metadata = request->metering_metadata;
    return flo_core_workflow_task_complete(core, execution, &completed);
}

/* Start an activity for the worker that asked for it, into the answer. */
static void start_eagerly(struct flo_core *core, struct flo_core_activity *activity,
                          const request_t *request,
                          FloApi__RespondWorkflowTaskCompletedResponse *response)
{
    char request_id[FLO_UUID_LEN + 1];
    flo_core_new_id(core, request_id);
    struct flo_core_worker worker = {
        .identity = request->identity,
        .build_id = build_id_of(request),
        .has_build_id = request->worker_version_stamp != NULL,
        .request_id = request_id,
    };
    flo_core_activity_begin(core, activity, &worker);
    FloApi__PollActivityTaskQueueResponse *task = flo_arena_alloc(&core->scratch, sizeof *task);
    if (!task) {
        flo_core_set_fatal(core);
        return;
    }
    flo_api__poll_activity_task_queue_response__init(task);
    if (flo_core_activity_fill_task(core, activity, task))
        flo_core_set_fatal(core);
    task->retry_policy = NULL; /* the worker has just said it */
    response->activity_tasks[response->n_activity_tasks++] = task;
}

static void apply_commands(struct flo_core *core, struct flo_execution *execution,
                           const request_t *request, int64_t completed_id,
                           FloApi__RespondWorkflowTaskCompletedResponse *response)
{
    response->activity_tasks =
        flo_arena_calloc(&core->scratch, request->n_commands + 1, sizeof(void *));
    if (!response->activity_tasks) {
        flo_core_set_fatal(core);
        return;
    }
    execution->in_commands = true;
    for (size_t i = 0; i < request->n_commands && !core->fatal; i++) {
        struct flo_core_activity *eager = flo_command_apply(core, execution, request->commands[i],
                                                            completed_id, request->identity);
        if (eager)
            start_eagerly(core, eager, request, response);
    }
    execution->in_commands = false;
}

/* Start the new task at once, for the worker whose completion made it. */
static void start_inline(struct flo_core *core, struct flo_execution *execution,
                         const request_t *request, const uint8_t **out_raw, size_t *out_raw_len)
{
    struct flo_core_worker worker = {
        .identity = request->identity,
        .build_id = build_id_of(request),
        .has_build_id = request->worker_version_stamp != NULL,
        .request_id = INLINE_REQUEST_ID,
    };
    if (flo_core_workflow_task_start(core, execution, &worker, execution->sticky_queue != NULL))
        return;
    if (flo_poll_workflow_task_field(core, execution, true, 1, out_raw, out_raw_len))
        flo_core_set_fatal(core);
}

/*
 * Has a speculative task changed nothing, so that it may disappear? Its worker must then go back to
 * where it was before the task; one that cannot do that when events came with the task says so.
 */
static bool disappears(const struct flo_execution *execution, const request_t *request)
{
    const struct flo_core_workflow_task *task = &execution->workflow_task;
    if (!task->speculative || request->n_commands || request->force_create_new_workflow_task ||
        !flo_update_only_rejections(execution) || flo_updates_wait(execution))
        return false;
    const int64_t events = task->started_id - execution->last_completed_started_id;
    const bool can_go_back = request->capabilities &&
                             request->capabilities->discard_speculative_workflow_task_with_events;
    return events <= TASK_EVENTS + (can_go_back ? DISCARDED_EVENTS : 0);
}

static void discard(struct flo_core *core, struct flo_execution *execution,
                    const struct flo_core_call_info *info, const request_t *request)
{
    FloApi__RespondWorkflowTaskCompletedResponse response =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_RESPONSE__INIT;
    flo_core_workflow_task_discard(core, execution);
    set_sticky(core, execution, request->sticky_attributes);
    flo_update_apply_rest(core, execution);
    flo_updates_reject_unprocessed(core, execution);
    flo_core_query_answer(core, execution, request->query_results, request->n_query_results);
    flo_execution_end(core, execution, false);
    response.reset_history_event_id = execution->last_completed_started_id;
    flo_reply_ok(core, info->id, 0, &response.base);
}

/* Schedule the next task, if the run asks for one. For updates alone a speculative one is enough,
 * but only its own worker would know of it at once. */
static void schedule_next(struct flo_core *core, struct flo_execution *execution,
                          const request_t *request)
{
    bool forced = request->force_create_new_workflow_task || !flo_list_empty(&execution->buffered);
    if (!forced && !flo_updates_wait(execution))
        return;
    if (forced || !request->return_new_workflow_task)
        flo_core_workflow_task_schedule(core, execution);
    else
        flo_core_workflow_task_speculate(core, execution);
}

static void accept(struct flo_core *core, struct flo_execution *execution,
                   const struct flo_core_call_info *info, const request_t *request)
{
    FloApi__RespondWorkflowTaskCompletedResponse response =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_RESPONSE__INIT;
    const uint8_t *raw = NULL;
    size_t raw_len = 0;
    int64_t first_scheduled_ns = execution->workflow_task.original_scheduled_ns;
    int64_t completed_id = write_completed(core, execution, request);
    set_sticky(core, execution, request->sticky_attributes);
    flo_core_note_build(core, execution, build_id_of(request), request->binary_checksum,
                        completed_id);
    apply_commands(core, execution, request, completed_id, &response);
    flo_update_apply_rest(core, execution);
    if (flo_execution_is_open(execution)) {
        if (!is_heartbeat(request))
            flo_updates_reject_unprocessed(core, execution);
        schedule_next(core, execution, request);
    }
    if (execution->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_SCHEDULED) {
        if (request->force_create_new_workflow_task && !request->n_commands)
            execution->workflow_task.original_scheduled_ns = first_scheduled_ns;
        if (request->return_new_workflow_task)
            start_inline(core, execution, request, &raw, &raw_len);
    }
    flo_core_query_answer(core, execution, request->query_results, request->n_query_results);
    flo_execution_end(core, execution, true);
    flo_reply_raw(core, info->id, flo_core_after(core, execution), &response.base, raw, raw_len);
}

void flo_rpc_respond_workflow_task_completed(struct flo_core *core,
                                             const struct flo_core_call_info *info,
                                             const void *message)
{
    const request_t *request = message;
    struct flo_status status = {0};
    struct flo_execution *execution;
    if (flo_core_workflow_task_find(core, &request->task_token, request->namespace_, &execution,
                                    &status) ||
        flo_check_id(core, "identity", request->identity, &status)) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    if (heartbeat_over(core, execution, request)) {
        flo_core_workflow_task_time_out(core, execution);
        flo_execution_end(core, execution, true);
        flo_status_not_found(core, &status, "workflow task heartbeat timeout");
        flo_reply_status(core, info->id, flo_core_after(core, execution), &status);
        return;
    }
    if (check_sequence(core, request, &status) || check_cron(core, execution, request, &status) ||
        flo_update_read(core, execution, request, &status)) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    struct flo_verdict verdict = flo_commands_check(core, execution, request);
    if (verdict.refusal.code) {
        flo_update_take_back(core, execution);
        flo_reply_status(core, info->id, 0, &verdict.refusal);
    } else if (verdict.cause)
        refuse(core, execution, info, request, &verdict);
    else if (disappears(execution, request))
        discard(core, execution, info, request);
    else
        accept(core, execution, info, request);
    flo_update_forget_messages(execution);
}
