/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c - retry policies of activities and workflows: after a failure, again or not, and when. */
#include <math.h>
#include <string.h>

#include "engine/core/run.h"

#define DEFAULT_INITIAL_NS FLO_NS_PER_S
#define DEFAULT_COEFFICIENT 2.0
#define DEFAULT_MAXIMUM_FACTOR 100 /* of the initial interval */

struct flo_core_retry_policy flo_core_retry_normalise(const FloApi__RetryPolicy *policy)
{
    struct flo_core_retry_policy out = {
        .initial_ns = policy ? flo_duration_ns(policy->initial_interval) : 0,
        .maximum_ns = policy ? flo_duration_ns(policy->maximum_interval) : 0,
        .coefficient = policy ? policy->backoff_coefficient : 0,
        .maximum_attempts = policy ? policy->maximum_attempts : 0,
        .non_retryable = policy ? policy->non_retryable_error_types : NULL,
        .n_non_retryable = policy ? policy->n_non_retryable_error_types : 0,
    };
    if (out.initial_ns <= 0)
        out.initial_ns = DEFAULT_INITIAL_NS;
    if (!(out.coefficient > 0)) /* also NaN */
        out.coefficient = DEFAULT_COEFFICIENT;
    if (out.maximum_ns <= 0 &&
        __builtin_mul_overflow(out.initial_ns, DEFAULT_MAXIMUM_FACTOR, &out.maximum_ns))
        out.maximum_ns = INT64_MAX;
    return out;
}

static bool is_listed(const struct flo_core_retry_policy *policy, const char *type)
{
    for (size_t i = 0; i < policy->n_non_retryable; i++)
        if (!strcmp(policy->non_retryable[i], type))
            return true;
    return false;
}

static bool timeout_is_retryable(const struct flo_core_retry_policy *policy,
                                 FloApi__TimeoutType type)
{
    switch (type) {
    case FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE:
        return !is_listed(policy, "TemporalTimeout:StartToClose");
    case FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_HEARTBEAT:
        return !is_listed(policy, "TemporalTimeout:Heartbeat");
    default:
        return false;
    }
}

static bool is_retryable(const struct flo_core_retry_policy *policy, const FloApi__Failure *failure)
{
    if (!failure)
        return true;
    switch (failure->failure_info_case) {
    case FLO_API__FAILURE__FAILURE_INFO_TERMINATED_FAILURE_INFO:
    case FLO_API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO:
        return false;
    case FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO:
        return timeout_is_retryable(policy, failure->timeout_failure_info->timeout_type);
    case FLO_API__FAILURE__FAILURE_INFO_SERVER_FAILURE_INFO:
        return !failure->server_failure_info->non_retryable;
    case FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO:
        return !failure->application_failure_info->non_retryable &&
               !is_listed(policy, failure->application_failure_info->type);
    default:
        return true;
    }
}

int64_t flo_core_retry_backoff(const struct flo_core_retry_policy *policy, int32_t attempt)
{
    const double delay = (double)policy->initial_ns * pow(policy->coefficient, attempt - 1);
    const int64_t most = policy->maximum_ns > 0 ? policy->maximum_ns : INT64_MAX;
    return delay < (double)most ? (int64_t)delay : most;
}

FloApi__RetryState flo_core_retry_decide(const struct flo_core_retry_policy *policy,
                                         int32_t attempt, const FloApi__Failure *failure,
                                         int64_t now_ns, int64_t deadline_ns, int64_t *out_delay_ns)
{
    if (!is_retryable(policy, failure))
        return FLO_API__RETRY_STATE__RETRY_STATE_NON_RETRYABLE_FAILURE;
    if (attempt == INT32_MAX || (policy->maximum_attempts && attempt >= policy->maximum_attempts))
        return FLO_API__RETRY_STATE__RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED;
    int64_t delay = 0;
    if (failure &&
        failure->failure_info_case == FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO)
        delay = flo_duration_ns(failure->application_failure_info->next_retry_delay);
    if (delay <= 0)
        delay = flo_core_retry_backoff(policy, attempt);
    if (deadline_ns && flo_add_ns(now_ns, delay) > deadline_ns)
        return FLO_API__RETRY_STATE__RETRY_STATE_TIMEOUT;
    *out_delay_ns = delay;
    return FLO_API__RETRY_STATE__RETRY_STATE_IN_PROGRESS;
}
