/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.h - what the files that describe runs share. All memory is scratch; without it the
 * functions return NULL and *ok becomes false.
 */
#ifndef FLO_ENGINE_CORE_DESCRIBE_H
#define FLO_ENGINE_CORE_DESCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/api.h"

struct flo_core;                 /* internal.h */
struct flo_core_activity;        /* execution.h */
struct FloEngine__ActivityState; /* engine_state.proto */

/* A point in time; 0 = NULL. */
Google__Protobuf__Timestamp *flo_describe_time(struct flo_core *core, int64_t ns, bool *ok);
Google__Protobuf__Duration *flo_describe_duration(struct flo_core *core, int64_t ns, bool *ok);
/* A message that is kept packed; NULL when there is none. */
void *flo_describe_message(struct flo_core *core, const ProtobufCMessageDescriptor *descriptor,
                           ProtobufCBinaryData bytes, bool *ok);
/* A pending activity, in memory or stored. */
FloApi__PendingActivityInfo *flo_describe_activity(struct flo_core *core,
                                                   const struct flo_core_activity *activity,
                                                   bool *ok);
FloApi__PendingActivityInfo *flo_describe_stored_activity(
    struct flo_core *core, const struct FloEngine__ActivityState *activity, bool *ok);

#endif
