/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - checks that several calls share. UTF-8 and NUL are the wire decoder's. */
#include <string.h>

#include "engine/core/internal.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define MAX_DURATION_S (INT64_C(100) * 366 * 24 * 3600)

/* Search attributes: total, one value, how many; the real server's limits. */

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
    return flo_check_id(core, "WorkflowId", execution->workflow_id, status);
}

int flo_check_enum(struct flo_core *core, const char *name,
                   const ProtobufCEnumDescriptor *descriptor, int value, struct flo_status *status)
{
    if (protobuf_c_enum_descriptor_get_value(descriptor, value))
        return 0;
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Invalid %s.", name);
}

int flo_check_blob(struct flo_core *core, const void *message, struct flo_status *status)
{
    if (!message || (int64_t)flo_wire_size(message) <= core->options.blob_size_limit)
        return 0;
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Blob data size exceeds limit.");
}

int flo_check_duration(struct flo_core *core, const char *name,
                       const Google__Protobuf__Duration *duration, struct flo_status *status)
{
    if (!duration)
        return 0;
    const int64_t seconds = duration->seconds;
    const int32_t nanos = duration->nanos;
    if (nanos <= -1000000000 || nanos >= 1000000000 || (seconds > 0 && nanos < 0) ||
        (seconds < 0 && nanos > 0))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Invalid %s: not a duration",
                              name);
    if (seconds < 0 || nanos < 0)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Invalid %s: duration is negative", name);
    if (seconds > MAX_DURATION_S)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Invalid %s: duration is longer than 100 years", name);
    return 0;
}

int flo_check_retry_policy(struct flo_core *core, const FloApi__RetryPolicy *policy,
                           struct flo_status *status)
{
    if (!policy)
        return 0;
    int rc =
        flo_check_duration(core, "RetryPolicy.InitialInterval", policy->initial_interval, status);
    if (!rc)
        rc = flo_check_duration(core, "RetryPolicy.MaximumInterval", policy->maximum_interval,
                                status);
    if (rc)
        return rc;
    /* !(x >= 1) also refuses NaN; 0 means the default. */
    if (policy->backoff_coefficient != 0 && !(policy->backoff_coefficient >= 1))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "BackoffCoefficient cannot be less than 1 on retry policy.");
    const int64_t initial = flo_duration_ns(policy->initial_interval);
    const int64_t maximum = flo_duration_ns(policy->maximum_interval);
    if (maximum > 0 && maximum < initial)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "MaximumInterval cannot be less than InitialInterval on retry "
                              "policy.");
    if (policy->maximum_attempts < 0)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "MaximumAttempts cannot be negative on retry policy.");
    return 0;
}
