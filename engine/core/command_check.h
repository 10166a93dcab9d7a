/* SPDX-License-Identifier: Apache-2.0 */
/* command_check.h - what the files that check commands share: the overlay, and how one refuses. */
#ifndef FLO_ENGINE_CORE_COMMAND_CHECK_H
#define FLO_ENGINE_CORE_COMMAND_CHECK_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"

#define FLO_FAILED(name) FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_##name

/* The commands of one completion, as far as they are checked. */
struct flo_check {
    struct flo_core *core;
    struct flo_execution *execution;
    struct flo_verdict verdict;
    struct flo_map timers;     /* id -> &flo_check_started or &flo_check_cancelled */
    struct flo_map activities; /* the same for activities */
    struct flo_map children;   /* workflow ids of children started in it */
    size_t activity_count, child_count, buffered;
    int64_t next_id;
};

/* Values of the overlay's maps. */
extern char flo_check_started, flo_check_cancelled;

/* Put into one of the overlay's maps. Returns true; without memory the core is fatal. */
bool flo_check_put(struct flo_check *check, struct flo_map *map, const char *key, void *value);

/* Fail the task: "<Cause>[: detail]". Returns false. */
bool flo_check_refuse(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause,
                      const char *detail);
bool flo_check_refuse_fmt(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause,
                          const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Refuse the call only, INVALID_ARGUMENT with this text: the task stays open and times out. False.
 */
bool flo_check_refuse_call(struct flo_check *check, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- what many commands have; false: refused ---- */

/* A payload field that is too large ends the workflow: no retry makes it smaller. */
bool flo_check_field(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause,
                     const char *field, const void *message);
/* An enum value that there is. */
bool flo_check_choice(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause,
                      const char *name, const ProtobufCEnumDescriptor *descriptor, int value);
bool flo_check_command_priority(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause,
                                const FloApi__Priority *priority);
/* prefix and suffix frame the sentence of what refuses the call and leaves the task open. */
bool flo_check_attributes(struct flo_check *check, FloApi__SearchAttributes *attributes,
                          const char *prefix, const char *suffix);
bool flo_check_policy(struct flo_check *check, const FloApi__RetryPolicy *policy,
                      const char *prefix, const char *suffix);

static inline bool flo_check_id_fits(const char *id)
{
    return strnlen(id, FLO_CORE_ID_BYTES + 1) <= FLO_CORE_ID_BYTES;
}

/* Other runs, and this one's next (command_check_runs.c). */
bool flo_check_continue(struct flo_check *check, const FloApi__Command *command);
bool flo_check_child(struct flo_check *check, const FloApi__Command *command);
bool flo_check_signal_external(struct flo_check *check, const FloApi__Command *command);
bool flo_check_cancel_external(struct flo_check *check, const FloApi__Command *command);

#endif
