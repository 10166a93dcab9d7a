/* SPDX-License-Identifier: Apache-2.0 */
/* failure.c - making, classifying and describing failures. */
#include "wire/failure.h"

#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "wire/payload.h"

#define MOST_CAUSES 16

/* A copy. Texts of user code may be any bytes; a message that holds others than UTF-8 is refused
 * as a whole. */
static char *copy_text(struct flo_arena *arena, const char *text)
{
    char *copy = flo_arena_strdup(arena, text);

    return copy ? flo_utf8_mend(copy) : NULL;
}

static FloApi__Failure *new_failure(struct flo_arena *arena, const char *source,
                                    const char *message)
{
    FloApi__Failure *failure = flo_arena_alloc(arena, sizeof *failure);
    if (!failure)
        return NULL;
    flo_api__failure__init(failure);
    failure->message = copy_text(arena, message);
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
    info->type = copy_text(arena, type ? type : "");
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

static FloApi__Payloads *details_of(struct flo_arena *arena, const struct flo_failure *user)
{
    FloApi__Payloads *details = flo_arena_alloc(arena, sizeof *details);

    if (!details)
        return NULL;
    flo_api__payloads__init(details);
    details->payloads = flo_arena_calloc(arena, user->detail_count, sizeof(void *));
    if (!details->payloads)
        return NULL;
    for (size_t i = 0; i < user->detail_count; i++) {
        details->payloads[i] = flo_payload_from_json(arena, user->details[i]);
        if (!details->payloads[i])
            return NULL;
    }
    details->n_payloads = user->detail_count;
    return details;
}

/* One of the chain, without its cause. */
static FloApi__Failure *one_from_user(struct flo_arena *arena, const struct flo_failure *user)
{
    FloApi__Failure *failure = flo_failure_application(arena, user->message ? user->message : "",
                                                       user->type, user->non_retryable, NULL,
                                                       user->next_retry_delay_ms * FLO_NS_PER_MS);
    FloApi__ApplicationFailureInfo *info = failure ? failure->application_failure_info : NULL;

    if (info && user->detail_count > 0) {
        info->details = details_of(arena, user);
        if (!info->details)
            return NULL;
    }
    if (info && user->benign)
        info->category = FLO_API__APPLICATION_ERROR_CATEGORY__APPLICATION_ERROR_CATEGORY_BENIGN;
    if (failure && user->stack_trace) {
        failure->stack_trace = copy_text(arena, user->stack_trace);
        if (!failure->stack_trace)
            return NULL;
    }
    return failure;
}

FloApi__Failure *flo_failure_from_user(struct flo_arena *arena, const struct flo_failure *user)
{
    FloApi__Failure *first = NULL, **link = &first;

    for (int depth = 0; user; depth++, user = user->cause) {
        *link = depth > MOST_CAUSES ? NULL : one_from_user(arena, user);
        if (!*link)
            return NULL;
        link = &(*link)->cause;
    }
    return first;
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

bool flo_failure_is_benign(const FloApi__Failure *failure)
{
    return failure &&
           failure->failure_info_case == FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO &&
           failure->application_failure_info->category ==
               FLO_API__APPLICATION_ERROR_CATEGORY__APPLICATION_ERROR_CATEGORY_BENIGN;
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
