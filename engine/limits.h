/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - how much of one namespace's calls is served: a rate with a burst over all of them, and
 * a bound on how many of each long-running method are open. The real server's two limits
 * (frontend.namespaceRPS and frontend.namespaceCount). Pure.
 */
#ifndef FLO_ENGINE_LIMITS_H
#define FLO_ENGINE_LIMITS_H

#include <stdint.h>

#include "flotilla/error.h"

struct flo_limits; /* opaque: limits.c */

struct flo_limits_options {
    double rps;          /* calls a second; 0 = no limit */
    double burst_ratio;  /* the burst is rps times that; 0: 2, at least one call */
    unsigned concurrent; /* open calls of one long-running method; 0 = no limit */
};

/* Methods that may be open for long, each with a bound of its own. */
#define FLO_LIMITS_LONG(X)                                                                         \
    X(PollWorkflowTaskQueue)                                                                       \
    X(PollActivityTaskQueue)                                                                       \
    X(PollWorkflowExecutionUpdate)                                                                 \
    X(QueryWorkflow)                                                                               \
    X(UpdateWorkflowExecution)                                                                     \
    X(GetWorkflowExecutionHistory) /* only with wait_new_event */                                  \
    X(ExecuteMultiOperation)

enum flo_limits_long {
    FLO_LIMITS_SHORT = -1,
#define FLO_LIMITS_ENUM(name) FLO_LIMITS_##name,
    FLO_LIMITS_LONG(FLO_LIMITS_ENUM)
#undef FLO_LIMITS_ENUM
        FLO_LIMITS_LONG_COUNT
};

enum flo_limits_verdict { FLO_LIMITS_SERVE, FLO_LIMITS_RATE, FLO_LIMITS_CONCURRENT };

/* Busy namespaces beyond so many, and names that are too long for one, share one set of limits. */
#define FLO_LIMITS_NAMESPACES_MAX 1024

FLO_MUST_CHECK int flo_limits_new(const struct flo_limits_options *options,
                                  struct flo_limits **out_limits);
void flo_limits_destroy(struct flo_limits **limits);

/* The kind of a method, by its name. */
enum flo_limits_long flo_limits_kind(const char *method);
/*
 * May a call of that namespace be served at now_ns (any clock that does not go back)? When it is a
 * long-running one, *out_open is a count that went up and that the caller lets go down when the
 * call is over (it lives as long as limits); else NULL.
 */
enum flo_limits_verdict flo_limits_begin(struct flo_limits *limits, const char *namespace_name,
                                         enum flo_limits_long kind, int64_t now_ns,
                                         unsigned **out_open);

#endif
