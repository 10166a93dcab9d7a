/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.h - making and reading temporal.api.failure.v1.Failure. All memory is the arena's.
 */
#ifndef FLO_WIRE_FAILURE_H
#define FLO_WIRE_FAILURE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "flotilla/failure.h"
#include "wire/api.h"

/* Field source of the failures that workers make, and of those that the server makes. */
#define FLO_FAILURE_SOURCE "FlotillaC"
#define FLO_FAILURE_SOURCE_SERVER "Server"

/*
 * An application failure: message, type (NULL = ""), details (NULL = none), next_retry_delay_ns
 * (0 = by policy). NULL when memory is out.
 */
FloApi__Failure *flo_failure_application(struct flo_arena *arena, const char *message,
                                         const char *type, bool non_retryable,
                                         const json_t *details, int64_t next_retry_delay_ns);
/* The public form as an application failure, its causes included. NULL when memory is out, or when
 * causes go deeper than 16. */
FloApi__Failure *flo_failure_from_user(struct flo_arena *arena, const struct flo_failure *user);
/* A cancelled failure with optional details. NULL when memory is out. */
FloApi__Failure *flo_failure_cancelled(struct flo_arena *arena, const char *message,
                                       const json_t *details);
/* A timeout failure of type, with source "Server": what timeouts are made by. NULL when memory is
 * out. */
FloApi__Failure *flo_failure_timeout(struct flo_arena *arena, const char *message,
                                     FloApi__TimeoutType type);

/* Is it (not its cause) a cancelled failure? NULL: false. */
bool flo_failure_is_cancelled(const FloApi__Failure *failure);
/* Is it (not its cause) an application failure that nobody need care about? NULL: false. */
bool flo_failure_is_benign(const FloApi__Failure *failure);
/* The application failure's type, or the kind's name ("Timeout", "Cancelled", ...). Static or
 * borrowed from failure. */
const char *flo_failure_type(const FloApi__Failure *failure);
/* "message (type X): cause message (type Y)" for a person, at most 16 causes deep. */
void flo_failure_describe(const FloApi__Failure *failure, struct flo_buf *out);

#endif
