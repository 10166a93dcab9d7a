/* SPDX-License-Identifier: Apache-2.0 */
/* failures.c - the calls of flotilla/workflow/failures.h. */
#include "flotilla/workflow/failures.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/entities.h"

/* ---- looking ---- */

static const FloApi__Failure *at_depth(const struct flo_workflow *wf, unsigned depth)
{
    const FloApi__Failure *failure = wf->failure;
    while (failure && depth-- > 0)
        failure = failure->cause;
    return failure;
}

static enum flo_timeout_kind timeout_of(FloApi__TimeoutType type)
{
    switch (type) {
    case FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE:
        return FLO_TIMEOUT_START_TO_CLOSE;
    case FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_START:
        return FLO_TIMEOUT_SCHEDULE_TO_START;
    case FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_CLOSE:
        return FLO_TIMEOUT_SCHEDULE_TO_CLOSE;
    case FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_HEARTBEAT:
        return FLO_TIMEOUT_HEARTBEAT;
    default:
        return FLO_TIMEOUT_OTHER;
    }
}

static enum flo_retry_state retry_of(FloApi__RetryState state)
{
    switch (state) {
    case FLO_API__RETRY_STATE__RETRY_STATE_NON_RETRYABLE_FAILURE:
        return FLO_RETRY_NON_RETRYABLE;
    case FLO_API__RETRY_STATE__RETRY_STATE_TIMEOUT:
        return FLO_RETRY_TIMEOUT;
    case FLO_API__RETRY_STATE__RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED:
        return FLO_RETRY_MAXIMUM_ATTEMPTS;
    case FLO_API__RETRY_STATE__RETRY_STATE_RETRY_POLICY_NOT_SET:
        return FLO_RETRY_NO_POLICY;
    case FLO_API__RETRY_STATE__RETRY_STATE_CANCEL_REQUESTED:
        return FLO_RETRY_CANCELLED;
    case FLO_API__RETRY_STATE__RETRY_STATE_INTERNAL_SERVER_ERROR:
        return FLO_RETRY_SERVER_ERROR;
    default:
        return FLO_RETRY_OTHER;
    }
}

static const FloApi__Payloads *details_of(const FloApi__Failure *failure)
{
    switch (failure->failure_info_case) {
    case FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO:
        return failure->application_failure_info->details;
    case FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO:
        return failure->timeout_failure_info->last_heartbeat_details;
    case FLO_API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO:
        return failure->canceled_failure_info->details;
    default:
        return NULL;
    }
}

static void read_application(const FloApi__ApplicationFailureInfo *info,
                             struct flo_failure_link *out)
{
    out->kind = FLO_FAILURE_APPLICATION;
    out->type = info->type;
    out->non_retryable = info->non_retryable;
    out->benign =
        info->category == FLO_API__APPLICATION_ERROR_CATEGORY__APPLICATION_ERROR_CATEGORY_BENIGN;
    out->next_retry_delay_ms = flo_duration_ns(info->next_retry_delay) / FLO_NS_PER_MS;
}

static void read_activity(const FloApi__ActivityFailureInfo *info, struct flo_failure_link *out)
{
    out->kind = FLO_FAILURE_ACTIVITY;
    out->activity_type = info->activity_type ? info->activity_type->name : "";
    out->activity_id = info->activity_id;
    out->identity = info->identity;
    out->retry_state = retry_of(info->retry_state);
}

static void read_child(const FloApi__ChildWorkflowExecutionFailureInfo *info,
                       struct flo_failure_link *out)
{
    out->kind = FLO_FAILURE_CHILD;
    out->workflow_type = info->workflow_type ? info->workflow_type->name : "";
    out->workflow_id = info->workflow_execution ? info->workflow_execution->workflow_id : "";
    out->run_id = info->workflow_execution ? info->workflow_execution->run_id : "";
    out->retry_state = retry_of(info->retry_state);
}

static void read_info(const FloApi__Failure *failure, struct flo_failure_link *out)
{
    switch (failure->failure_info_case) {
    case FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO:
        read_application(failure->application_failure_info, out);
        break;
    case FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO:
        out->kind = FLO_FAILURE_TIMEOUT;
        out->timeout = timeout_of(failure->timeout_failure_info->timeout_type);
        break;
    case FLO_API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO:
        out->kind = FLO_FAILURE_CANCELLED;
        break;
    case FLO_API__FAILURE__FAILURE_INFO_TERMINATED_FAILURE_INFO:
        out->kind = FLO_FAILURE_TERMINATED;
        break;
    case FLO_API__FAILURE__FAILURE_INFO_SERVER_FAILURE_INFO:
        out->kind = FLO_FAILURE_SERVER;
        out->non_retryable = failure->server_failure_info->non_retryable;
        break;
    case FLO_API__FAILURE__FAILURE_INFO_ACTIVITY_FAILURE_INFO:
        read_activity(failure->activity_failure_info, out);
        break;
    case FLO_API__FAILURE__FAILURE_INFO_CHILD_WORKFLOW_EXECUTION_FAILURE_INFO:
        read_child(failure->child_workflow_execution_failure_info, out);
        break;
    default:
        break;
    }
}

bool flo_failure_at(const struct flo_workflow *wf, unsigned depth, struct flo_failure_link *out)
{
    const FloApi__Failure *failure = at_depth(wf, depth);
    if (!failure)
        return false;
    *out = (struct flo_failure_link){.message = failure->message,
                                     .source = failure->source,
                                     .stack_trace = failure->stack_trace,
                                     .type = "",
                                     .activity_type = "",
                                     .activity_id = "",
                                     .workflow_type = "",
                                     .workflow_id = "",
                                     .run_id = "",
                                     .identity = ""};
    read_info(failure, out);
    const FloApi__Payloads *details = details_of(failure);
    out->detail_count = details ? details->n_payloads : 0;
    return true;
}

bool flo_failure_find(const struct flo_workflow *wf, enum flo_failure_kind kind,
                      struct flo_failure_link *out, unsigned *out_depth)
{
    struct flo_failure_link link;
    for (unsigned depth = 0; flo_failure_at(wf, depth, &link); depth++) {
        if (link.kind != kind)
            continue;
        *out = link;
        if (out_depth)
            *out_depth = depth;
        return true;
    }
    return false;
}

int flo_failure_detail(const struct flo_workflow *wf, unsigned depth, size_t index,
                       json_t **out_value)
{
    const FloApi__Failure *failure = at_depth(wf, depth);
    const FloApi__Payloads *details = failure ? details_of(failure) : NULL;
    if (!details || index >= details->n_payloads)
        return FLO_ENOENT;
    struct flo_err err = {0};
    int rc = flo_payload_to_json(details->payloads[index], out_value, &err);
    if (rc == FLO_EPERM) {
        flo_err_prefix(&err, "a failure's details");
        flo_run_misuse(wf->run, &err);
    }
    return rc == FLO_ENOMEM ? flo_run_no_memory(wf->run) : rc;
}

/* ---- failing ---- */

int flo_workflow_raise(struct flo_workflow *wf, const struct flo_failure *failure, bool because)
{
    struct flo_arena scratch;
    flo_arena_init(&scratch, 0);
    FloApi__Failure *made = flo_failure_from_user(&scratch, failure);
    FloApi__Failure *innermost = made;
    while (innermost && innermost->cause)
        innermost = innermost->cause;
    if (innermost && because && wf->failure) /* a copy: setting the failure frees this one */
        innermost->cause = (FloApi__Failure *)flo_wire_copy(&wf->failure->base, &scratch);
    bool whole = innermost && (!because || !wf->failure || innermost->cause);
    int rc = whole ? flo_workflow_set_failure(wf, FLO_EFAILED, made) : flo_run_no_memory(wf->run);
    flo_arena_fini(&scratch);
    return rc;
}

int flo_task_fail(struct flo_workflow *wf, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    flo_text_repair(text);
    struct flo_entities *e = flo_entities_of(wf->run);
    char *kept = e ? flo_heap_strdup(wf->run->heap, text) : NULL;
    if (!kept)
        return flo_run_no_memory(wf->run);
    flo_heap_free(e->task_failure);
    e->task_failure = kept;
    return FLO_ETASK;
}
