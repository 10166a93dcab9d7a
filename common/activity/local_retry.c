/* SPDX-License-Identifier: Apache-2.0 */
/* local_retry.c - the next attempt of a local activity; see local_retry.h. */
#include "activity/local_retry.h"

#include <string.h>

#include "base/clock.h"
#include "wire/payload.h"

#define INITIAL_NS FLO_NS_PER_S
#define GROWTH 2           /* of the interval, each time */
#define MAXIMUM_FACTOR 100 /* of the initial interval */
/* A pause that no one lives to see the end of, and that fits a double and its sums. */
#define LONGEST_NS (INT64_C(100) * 365 * 24 * 3600 * FLO_NS_PER_S)

#define INFO(kind) FLO_API__FAILURE__FAILURE_INFO_##kind##_FAILURE_INFO
#define STATE(name) FLO_API__RETRY_STATE__RETRY_STATE_##name

static bool listed(const FloApi__RetryPolicy *policy, const char *type)
{
    for (size_t i = 0; policy && i < policy->n_non_retryable_error_types; i++) {
        if (strcmp(policy->non_retryable_error_types[i], type) == 0)
            return true;
    }
    return false;
}

static bool retryable(const FloApi__RetryPolicy *policy, const FloApi__Failure *failure)
{
    switch (failure->failure_info_case) {
    case INFO(APPLICATION):
        return !failure->application_failure_info->non_retryable &&
               !listed(policy, failure->application_failure_info->type);
    case INFO(TIMEOUT):
        return failure->timeout_failure_info->timeout_type ==
                   FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE &&
               !listed(policy, "TemporalTimeout:StartToClose");
    case INFO(CANCELED):
    case INFO(TERMINATED):
        return false;
    default:
        return true;
    }
}

/* What the policy says, or the failure itself. */
static int64_t delay(const FloApi__RetryPolicy *policy, const FloApi__Failure *failure,
                     int32_t attempt)
{
    int64_t asked = failure->failure_info_case == INFO(APPLICATION)
                        ? flo_duration_ns(failure->application_failure_info->next_retry_delay)
                        : 0;
    int64_t initial = policy ? flo_duration_ns(policy->initial_interval) : 0;
    int64_t longest = policy ? flo_duration_ns(policy->maximum_interval) : 0;
    double coefficient =
        policy && policy->backoff_coefficient >= 1 ? policy->backoff_coefficient : GROWTH;
    double interval;

    if (asked > 0)
        return asked;
    if (initial <= 0)
        initial = INITIAL_NS;
    if (longest <= 0)
        longest = initial < LONGEST_NS / MAXIMUM_FACTOR ? initial * MAXIMUM_FACTOR : LONGEST_NS;
    interval = (double)initial;
    for (int32_t i = 1; i < attempt && interval < (double)longest && coefficient > 1; i++)
        interval *= coefficient;
    return interval < (double)longest ? (int64_t)interval : longest;
}

struct flo_local_retry flo_local_retry(const FloApi__RetryPolicy *policy,
                                       const FloApi__Failure *failure, int32_t attempt,
                                       int64_t left_ns)
{
    struct flo_local_retry verdict = {.again = false};

    if (!retryable(policy, failure)) {
        verdict.state = STATE(NON_RETRYABLE_FAILURE);
    } else if (policy && policy->maximum_attempts > 0 && attempt >= policy->maximum_attempts) {
        verdict.state = STATE(MAXIMUM_ATTEMPTS_REACHED);
    } else {
        verdict.delay_ns = delay(policy, failure, attempt);
        verdict.again = verdict.delay_ns < left_ns;
        verdict.state = verdict.again ? STATE(IN_PROGRESS) : STATE(TIMEOUT);
    }
    return verdict;
}
