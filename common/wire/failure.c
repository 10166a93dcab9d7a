/* SPDX-License-Identifier: Apache-2.0 */
/* failure.c - making, classifying and describing failures. */
#include "wire/failure.h"

#include <string.h>

#include "wire/payload.h"

#define MOST_CAUSES 16

static FloApi__Failure *new_failure(struct flo_arena *arena, const char *source,
                                    const char *message)
{
    FloApi__Failure *failure = flo_arena_alloc(arena, sizeof *failure);
    if (!failure)
        return NULL;
    flo_api__failure__init(failure);
    failure->message = flo_arena_strdup(arena, message);
    failure->source = flo_arena_strdup(arena, source);
    return failure->message && failure->source ? failure : NULL;
}

FloApi__Failure *flo_failure_application(struct flo_arena *arena, const char *message,
                                         const char *type, bool non_retryable,
                                         const json_t *details, int64_t next_retry_delay_ns)
{
    FloApi__Failure *failure = new_failure(arena, FLO_FAILURE_SOURCE, message);
    FloApi__ApplicationFailureInfo *info = flo_arena_alloc(arena, sizeof *info);
    if (!failure || !info)
        return NULL;
    flo_api__application_failure_info__init(info);
    info->type = flo_arena_strdup(arena, type ? type : "");
    info->non_retryable = non_retryable;
    if (!info->type)
        return NULL;
    if (details) {
        info->details = flo_payloads_from_json(arena, details);
        if (!info->details)
            return NULL;
    }
    if (next_retry_delay_ns > 0) {
        info->next_retry_delay = flo_duration_new(arena, next_retry_delay_ns);
        if (!info->next_retry_delay)
            return NULL;
    }
    failure->failure_info_case = FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure->application_failure_info = info;
    return failure;
}

FloApi__Failure *flo_failure_cancelled(struct flo_arena *arena, const char *message,
                                       const json_t *details)
{
    FloApi__Failure *failure = new_failure(arena, FLO_FAILURE_SOURCE, message);
    FloApi__CanceledFailureInfo *info = flo_arena_alloc(arena, sizeof *info);
    if (!failure || !info)
        return NULL;
    flo_api__canceled_failure_info__init(info);
    if (details) {
        info->details = flo_payloads_from_json(arena, details);
        if (!info->details)
            return NULL;
    }
    failure->failure_info_case = FLO_API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO;
    failure->canceled_failure_info = info;
    return failure;
}

FloApi__Failure *flo_failure_timeout(struct flo_arena *arena, const char *message,
                                     FloApi__TimeoutType type)
{
    FloApi__Failure *failure = new_failure(arena, FLO_FAILURE_SOURCE_SERVER, message);
    FloApi__TimeoutFailureInfo *info = flo_arena_alloc(arena, sizeof *info);
    if (!failure || !info)
        return NULL;
    flo_api__timeout_failure_info__init(info);
    info->timeout_type = type;
    failure->failure_info_case = FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO;
    failure->timeout_failure_info = info;
    return failure;
}

bool flo_failure_is_cancelled(const FloApi__Failure *failure)
{
    return failure &&
           failure->failure_info_case == FLO_API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO;
}

const char *flo_failure_type(const FloApi__Failure *failure)
{
    switch (failure->failure_info_case) {
    case FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO:
        return failure->application_failure_info->type;
    case FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO:
        return "Timeout";
    case FLO_API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO:
        return "Cancelled";
    case FLO_API__FAILURE__FAILURE_INFO_TERMINATED_FAILURE_INFO:
        return "Terminated";
    case FLO_API__FAILURE__FAILURE_INFO_SERVER_FAILURE_INFO:
        return "Server";
    case FLO_API__FAILURE__FAILURE_INFO_RESET_WORKFLOW_FAILURE_INFO:
        return "ResetWorkflow";
    case FLO_API__FAILURE__FAILURE_INFO_ACTIVITY_FAILURE_INFO:
        return "Activity";
    case FLO_API__FAILURE__FAILURE_INFO_CHILD_WORKFLOW_EXECUTION_FAILURE_INFO:
        return "ChildWorkflow";
    case FLO_API__FAILURE__FAILURE_INFO_NEXUS_OPERATION_EXECUTION_FAILURE_INFO:
        return "NexusOperation";
    case FLO_API__FAILURE__FAILURE_INFO_NEXUS_HANDLER_FAILURE_INFO:
        return "NexusHandler";
    default:
        return "";
    }
}

void flo_failure_describe(const FloApi__Failure *failure, struct flo_buf *out)
{
    for (int depth = 0; failure && depth <= MOST_CAUSES; depth++, failure = failure->cause) {
        const char *type = flo_failure_type(failure);
        flo_buf_append_str(out, depth ? ": " : "");
        flo_buf_append_str(out, *failure->message ? failure->message : "no message");
        if (*type)
            flo_buf_printf(out, " (type %s)", type);
    }
    if (failure)
        flo_buf_append_str(out, ": ...");
}
