/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.h - why something failed, and when to try again: what activities, workflows and clients
 * say to each other about it.
 */
#ifndef FLOTILLA_FAILURE_H
#define FLOTILLA_FAILURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A failure of user code. All zero is one without a type that is tried again by the policy. All
 * pointers are borrowed for the call that takes it, and copied; bytes of its texts that are not
 * UTF-8 become '?'. */
struct flo_failure {
    const char *type;            /* what callers branch on, e.g. "CardDeclined"; NULL = "" */
    const char *message;         /* one sentence for a person; NULL = "" */
    bool non_retryable;          /* no further attempt, whatever the retry policy says */
    bool benign;                 /* expected: counts as no error in the worker's metrics */
    int64_t next_retry_delay_ms; /* before the next attempt, instead of the policy's; 0 = its */
    json_t *const *details;      /* detail_count values that callers can read; may be NULL */
    size_t detail_count;
    const char *stack_trace;         /* of whatever form; NULL = none */
    const struct flo_failure *cause; /* what led to it; NULL = nothing; 16 deep at most */
};

struct flo_retry_policy {
    int64_t initial_interval_ms;            /* 0 = the server's default, 1 s */
    double backoff_coefficient;             /* 0 = 2.0; else >= 1 */
    int64_t maximum_interval_ms;            /* 0 = 100 x initial */
    int32_t maximum_attempts;               /* 0 = no limit */
    const char *const *non_retryable_types; /* NULL-terminated; may be NULL */
};

#ifdef __cplusplus
}
#endif
#endif
