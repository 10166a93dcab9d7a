/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - checks that several calls share. UTF-8 and NUL are the wire decoder's. */
#include <string.h>

#include "engine/core/internal.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "wire/decode.h"
#include "wire/payload.h"

enum { LINKS_MAX = 10 };

int flo_check_id(struct flo_core *core, const char *name, const char *text,
                 struct flo_status *status)
{
    if (!text || strnlen(text, FLO_CORE_ID_BYTES + 1) <= FLO_CORE_ID_BYTES)
        return 0;
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "%s length exceeds limit.",
                          name);
}

int flo_check_execution(struct flo_core *core, const FloApi__WorkflowExecution *execution,
                        struct flo_status *status)
{
    if (!execution)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Execution is not set on request.");
    if (!execution->workflow_id[0])
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "WorkflowId is not set on request.");
    if (execution->run_id[0] && !flo_uuid_valid(execution->run_id, strlen(execution->run_id)))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Invalid RunId.");
    return 0;
}

int flo_check_enum(struct flo_core *core, const char *name,
                   const ProtobufCEnumDescriptor *descriptor, int value, struct flo_status *status)
{
    if (protobuf_c_enum_descriptor_get_value(descriptor, value))
        return 0;
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Invalid %s.", name);
}

int flo_check_links(struct flo_core *core, FloApi__Link *const *links, size_t count,
                    struct flo_status *status)
{
    if (count > LINKS_MAX)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "cannot attach more than %d links per request, got %zu", LINKS_MAX,
                              count);
    for (size_t i = 0; i < count; i++)
        if (links[i]->variant_case == FLO_API__LINK__VARIANT__NOT_SET)
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "unsupported link variant");
    return 0;
}

int flo_check_blob(struct flo_core *core, const void *message, struct flo_status *status)
{
    if (!message || (int64_t)flo_wire_size(message) <= core->options.blob_size_limit)
        return 0;
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Blob data size exceeds limit.");
}

const char *flo_queue_wrong(const FloApi__TaskQueue *queue)
{
    if (!queue)
        return "taskQueue is not set";
    if (!queue->name[0])
        return "missing task queue name";
    if (strncmp(queue->name, "/_sys/", strlen("/_sys/")) == 0)
        return "task queue name cannot start with reserved prefix /_sys/";
    return strnlen(queue->name, FLO_CORE_ID_BYTES + 1) > FLO_CORE_ID_BYTES
               ? "taskQueue length exceeds limit"
               : NULL;
}

const char *flo_duration_wrong(const Google__Protobuf__Duration *duration)
{
    if (!duration || (duration->seconds >= 0 && duration->nanos >= 0))
        return NULL;
    return duration->seconds > 0 || duration->nanos > 0
               ? "duration has seconds and nanos with different signs"
               : "negative duration";
}

int flo_check_duration(struct flo_core *core, const char *name,
                       const Google__Protobuf__Duration *duration, struct flo_status *status)
{
    const char *wrong = flo_duration_wrong(duration);
    return wrong ? flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "An invalid %s is set on request. cause: %s", name, wrong)
                 : 0;
}

/* A type of "TemporalTimeout:<kind>" names a kind of timeout. */
static int check_timeout_types(struct flo_core *core, const FloApi__RetryPolicy *policy,
                               struct flo_status *status)
{
    static const char *const KINDS[] = {"Unspecified", "StartToClose", "ScheduleToStart",
                                        "ScheduleToClose", "Heartbeat"};
    static const char PREFIX[] = "TemporalTimeout:";
    for (size_t i = 0; i < policy->n_non_retryable_error_types; i++) {
        const char *type = policy->non_retryable_error_types[i];
        if (strncmp(type, PREFIX, sizeof PREFIX - 1) != 0)
            continue;
        bool known = false;
        for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS && !known; k++)
            known = strcmp(type + sizeof PREFIX - 1, KINDS[k]) == 0;
        if (!known)
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "Invalid timeout type value: %s.", type + sizeof PREFIX - 1);
    }
    return 0;
}

int flo_check_retry_policy(struct flo_core *core, const FloApi__RetryPolicy *policy,
                           struct flo_status *status)
{
    if (!policy)
        return 0;
    const char *wrong = flo_duration_wrong(policy->initial_interval);
    if (wrong)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "invalid InitialInterval set on retry policy: %s", wrong);
    /* !(x >= 1) also refuses NaN; 0 means the default. */
    if (policy->backoff_coefficient != 0 && !(policy->backoff_coefficient >= 1))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "BackoffCoefficient cannot be less than 1 on retry policy.");
    wrong = flo_duration_wrong(policy->maximum_interval);
    if (wrong)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "invalid MaximumInterval set on retry policy: %s", wrong);
    const int64_t initial = flo_duration_ns(policy->initial_interval);
    const int64_t maximum = flo_duration_ns(policy->maximum_interval);
    if (maximum > 0 && maximum < initial)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "MaximumInterval cannot be less than InitialInterval on retry "
                              "policy.");
    if (policy->maximum_attempts < 0)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "MaximumAttempts cannot be negative on retry policy.");
    return check_timeout_types(core, policy, status);
}
