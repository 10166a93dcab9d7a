/* SPDX-License-Identifier: Apache-2.0 */
/* job_call.c - the calls about batch jobs. On the real server a job is a workflow of an internal
 * kind, which its sentences show. */
#include <stdlib.h>
#include <string.h>

#include "engine/core/internal.h"
#include "engine/core/job.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "wire/payload.h"

#define RUNNING FLO_API__BATCH_OPERATION_STATE__BATCH_OPERATION_STATE_RUNNING
#define FAILED FLO_API__BATCH_OPERATION_STATE__BATCH_OPERATION_STATE_FAILED
#define PAGE_MAX 1000

typedef FloApi__StartBatchOperationRequest request_t;

/* ---- start ---- */

static int check_start(struct flo_core *core, const request_t *request, struct flo_status *status)
{
    const bool query = request->visibility_query[0] != '\0';
    if (flo_job_type(request) == 0 || !request->reason[0] || (!query && !request->n_executions))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "must provide required parameters: "
                              "BatchType/Reason/Namespace/Query/Executions");
    if (!request->job_id[0])
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "JobId is not set on request.");
    if (query && request->n_executions)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "batch query and executions are mutually exclusive");
    return flo_job_check(core, request, status);
}

static int exists(struct flo_core *core, const struct flo_job *job, struct flo_status *status)
{
    FloApi__WorkflowExecutionAlreadyStartedFailure *detail =
        flo_arena_alloc(&core->scratch, sizeof *detail);
    if (!detail)
        return flo_status_no_memory(status);
    flo_api__workflow_execution_already_started_failure__init(detail);
    detail->run_id = flo_arena_strdup(&core->scratch, job->run_id);
    detail->start_request_id = flo_arena_strdup(&core->scratch, job->request_id);
    if (!detail->run_id || !detail->start_request_id)
        return flo_status_no_memory(status);
    if (job->state == RUNNING)
        flo_status_put(core, status, FLO_GRPC_ALREADY_EXISTS,
                       "Workflow execution is already running. WorkflowId: %s, RunId: %s.",
                       job->record.id, job->run_id);
    else
        flo_status_put(core, status, FLO_GRPC_ALREADY_EXISTS,
                       "Workflow execution already finished. WorkflowId: %s, RunId: %s. Workflow "
                       "Id reuse policy: reject duplicate workflow Id.",
                       job->record.id, job->run_id);
    status->detail = &detail->base;
    return FLO_ERPC;
}

/* May another job begin? */
static int admit(struct flo_core *core, const struct flo_namespace *ns, const request_t *request,
                 struct flo_status *status)
{
    const struct flo_job *same = flo_job_find(core, ns, request->job_id);
    if (same)
        return exists(core, same, status);
    if ((int64_t)flo_jobs_running(core, ns) >= core->options.batch_jobs_limit)
        return flo_status_exhausted(
            core, status,
            FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
            "Max concurrent batch operations is reached");
    if (strnlen(request->job_id, FLO_CORE_ID_BYTES + 1) > FLO_CORE_ID_BYTES)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "WorkflowId exceeds length limit.");
    return 0;
}

void flo_rpc_start_batch_operation(struct flo_core *core, const struct flo_core_call_info *info,
                                   const void *message)
{
    const request_t *request = message;
    static const FloApi__StartBatchOperationResponse response =
        FLO_API__START_BATCH_OPERATION_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_job *job;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = check_start(core, request, &status);
    if (!rc)
        rc = admit(core, ns, request, &status);
    if (!rc && flo_job_new(core, ns, request, &job))
        rc = flo_status_no_memory(&status);
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else
        flo_reply_ok(core, info->id, flo_core_record_after(core, &job->record), &response.base);
}

/* ---- stop, describe ---- */

static int find_job(struct flo_core *core, const char *namespace_name, const char *id,
                    struct flo_job **out, struct flo_status *status)
{
    struct flo_namespace *ns;
    int rc = flo_namespace_find(core, namespace_name, &ns, status);
    if (rc)
        return rc;
    if (!*id)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "JobId is not set on request.");
    *out = flo_job_find(core, ns, id);
    return *out ? 0 : flo_status_not_found(core, status, "workflow not found for ID: %s", id);
}

void flo_rpc_stop_batch_operation(struct flo_core *core, const struct flo_core_call_info *info,
                                  const void *message)
{
    const FloApi__StopBatchOperationRequest *request = message;
    static const FloApi__StopBatchOperationResponse response =
        FLO_API__STOP_BATCH_OPERATION_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_job *job = NULL;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc && request->job_id[0] && !request->reason[0])
        rc = flo_status_set(core, &status, FLO_GRPC_INVALID_ARGUMENT,
                            "Reason is not set on request.");
    if (!rc)
        rc = find_job(core, request->namespace_, request->job_id, &job, &status);
    if (!rc && job->state != RUNNING)
        rc = flo_status_not_found(core, &status, "workflow execution already completed");
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    flo_job_end(core, job, FAILED);
    flo_reply_ok(core, info->id, flo_core_record_after(core, &job->record), &response.base);
}

void flo_rpc_describe_batch_operation(struct flo_core *core, const struct flo_core_call_info *info,
                                      const void *message)
{
    const FloApi__DescribeBatchOperationRequest *request = message;
    FloApi__DescribeBatchOperationResponse response =
        FLO_API__DESCRIBE_BATCH_OPERATION_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_job *job;
    int rc = find_job(core, request->namespace_, request->job_id, &job, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    Google__Protobuf__Timestamp start = flo_make_timestamp(job->start_ns);
    Google__Protobuf__Timestamp close = flo_make_timestamp(job->close_ns);
    response.operation_type = flo_job_type(job->request);
    response.job_id = job->request->job_id;
    response.state = job->state;
    response.start_time = &start;
    response.close_time = job->state == RUNNING ? NULL : &close;
    response.total_operation_count = job->total;
    response.complete_operation_count = job->complete;
    response.failure_operation_count = job->failed;
    response.identity = flo_text(flo_job_identity(job->request));
    response.reason = job->request->reason;
    flo_reply_ok(core, info->id, flo_core_record_after(core, &job->record), &response.base);
}

/* ---- list ---- */

/* Running ones first, then those that ended last; a page token is the last row's run id. */
static int compare(const void *a, const void *b)
{
    const struct flo_job *left = *(struct flo_job *const *)a, *right = *(struct flo_job *const *)b;
    const bool left_runs = left->state == RUNNING, right_runs = right->state == RUNNING;
    if (left_runs != right_runs)
        return left_runs ? -1 : 1;
    if (left->close_ns != right->close_ns)
        return left->close_ns > right->close_ns ? -1 : 1;
    if (left->start_ns != right->start_ns)
        return left->start_ns > right->start_ns ? -1 : 1;
    return strcmp(right->run_id, left->run_id);
}

static bool fill_info(struct flo_core *core, const struct flo_job *job,
                      FloApi__BatchOperationInfo *info)
{
    flo_api__batch_operation_info__init(info);
    info->job_id = job->request->job_id;
    info->state = job->state;
    info->start_time = flo_timestamp_new(&core->scratch, job->start_ns);
    if (job->state == RUNNING)
        return info->start_time != NULL;
    info->close_time = flo_timestamp_new(&core->scratch, job->close_ns);
    return info->start_time && info->close_time;
}

/* The jobs of a namespace in the order of lists, in scratch; NULL without memory. */
static struct flo_job **sorted_jobs(struct flo_core *core, const struct flo_namespace *ns,
                                    size_t *out_count)
{
    struct flo_job **jobs = flo_arena_alloc(&core->scratch, (core->jobs.count + 1) * sizeof *jobs);
    *out_count = 0;
    if (!jobs)
        return NULL;
    FLO_LIST_FOREACH(node, &core->jobs)
    {
        if (flo_job_at(node)->ns == ns)
            jobs[(*out_count)++] = flo_job_at(node);
    }
    if (*out_count)
        qsort(jobs, *out_count, sizeof(struct flo_job *), compare);
    return jobs;
}

/* Where the page behind token begins; false: the token is none, or its job is gone. */
static bool find_page(struct flo_job *const *jobs, size_t count, const ProtobufCBinaryData *token,
                      size_t *out_first)
{
    *out_first = 0;
    if (!token->len)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (token->len == FLO_UUID_LEN && !memcmp(token->data, jobs[i]->run_id, FLO_UUID_LEN)) {
            *out_first = i + 1;
            return true;
        }
    }
    return false;
}

static int fill_page(struct flo_core *core, struct flo_job *const *jobs, size_t count,
                     const FloApi__ListBatchOperationsRequest *request,
                     FloApi__ListBatchOperationsResponse *response, struct flo_status *status)
{
    size_t first;
    if (!find_page(jobs, count, &request->next_page_token, &first))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Invalid NextPageToken.");
    const size_t limit = request->page_size > 0 && request->page_size < PAGE_MAX
                             ? (size_t)request->page_size
                             : PAGE_MAX;
    const size_t length = count - first < limit ? count - first : limit;
    FloApi__BatchOperationInfo *infos =
        flo_arena_alloc(&core->scratch, (length + 1) * sizeof *infos);
    response->operation_info =
        flo_arena_alloc(&core->scratch, (length + 1) * sizeof *response->operation_info);
    if (!infos || !response->operation_info)
        return flo_status_no_memory(status);
    for (size_t i = 0; i < length; i++) {
        if (!fill_info(core, jobs[first + i], &infos[i]))
            return flo_status_no_memory(status);
        response->operation_info[i] = &infos[i];
    }
    response->n_operation_info = length;
    if (length && first + length < count)
        response->next_page_token = (ProtobufCBinaryData){
            FLO_UUID_LEN, (uint8_t *)flo_text(jobs[first + length - 1]->run_id)};
    return 0;
}

void flo_rpc_list_batch_operations(struct flo_core *core, const struct flo_core_call_info *info,
                                   const void *message)
{
    const FloApi__ListBatchOperationsRequest *request = message;
    FloApi__ListBatchOperationsResponse response = FLO_API__LIST_BATCH_OPERATIONS_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    size_t count;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc) {
        struct flo_job **jobs = sorted_jobs(core, ns, &count);
        rc = jobs ? fill_page(core, jobs, count, request, &response, &status)
                  : flo_status_no_memory(&status);
    }
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else
        flo_reply_ok(core, info->id, 0, &response.base);
}
