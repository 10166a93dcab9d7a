/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity_operation.h - what operators do to pending activities of one run: pause, unpause, reset,
 * other options. The calls (activity_operation.c) and batch operations use it.
 *
 * Each function is one transition of an open run and ends it (flo_execution_end) when it returns 0;
 * nothing is changed otherwise. Status: NOT_FOUND without a pending activity that is meant,
 * INVALID_ARGUMENT for options that make no sense; all as the real server says them.
 */
#ifndef FLO_ENGINE_CORE_ACTIVITY_OPERATION_H
#define FLO_ENGINE_CORE_ACTIVITY_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/reply.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_core;      /* internal.h */
struct flo_execution; /* execution.h */

/* Which pending activities of the run are meant. Borrowed. */
enum flo_activity_match {
    FLO_ACTIVITY_BY_ID,
    FLO_ACTIVITY_BY_TYPE,
    FLO_ACTIVITY_ALL,
};
struct flo_activity_selector {
    enum flo_activity_match match;
    const char *name; /* the id or the type; not read for all of them */
};

/* Who pauses, and why; either may be "". Borrowed. */
struct flo_activity_pause {
    const char *identity, *reason;
};

/* No attempt begins until it is unpaused; a running one may end. One that is paused stays so. */
FLO_MUST_CHECK int flo_activities_pause(struct flo_core *core, struct flo_execution *execution,
                                        const struct flo_activity_selector *selector,
                                        const struct flo_activity_pause *pause,
                                        struct flo_status *status);

struct flo_activity_unpause {
    bool reset_attempts;  /* the next attempt is the first again */
    bool reset_heartbeat; /* it gets no details of an earlier one */
    int64_t jitter_ns;    /* attempts begin at random within that time; 0: at once */
};
/* Those that are paused: attempts begin again. Those that are not: nothing happens. */
FLO_MUST_CHECK int flo_activities_unpause(struct flo_core *core, struct flo_execution *execution,
                                          const struct flo_activity_selector *selector,
                                          const struct flo_activity_unpause *unpause,
                                          struct flo_status *status);

struct flo_activity_reset {
    bool reset_heartbeat;
    bool keep_paused;              /* else a paused one is unpaused */
    bool restore_original_options; /* of the Scheduled event */
    int64_t jitter_ns;
};
/* Attempt 1 again, and no backoff; a running attempt goes on, told by its next heartbeat. */
FLO_MUST_CHECK int flo_activities_reset(struct flo_core *core, struct flo_execution *execution,
                                        const struct flo_activity_selector *selector,
                                        const struct flo_activity_reset *reset,
                                        struct flo_status *status);

/* Borrowed. */
struct flo_activity_options_update {
    const FloApi__ActivityOptions *options;  /* NULL: none given */
    const Google__Protobuf__FieldMask *mask; /* the members that count; NULL: none given */
    bool restore_original;                   /* to those of the Scheduled event */
};
/* Other options for the attempts to come; *out: those of the last activity that was changed, in
 * scratch. */
FLO_MUST_CHECK int flo_activities_update_options(struct flo_core *core,
                                                 struct flo_execution *execution,
                                                 const struct flo_activity_selector *selector,
                                                 const struct flo_activity_options_update *update,
                                                 FloApi__ActivityOptions **out,
                                                 struct flo_status *status);

#endif
