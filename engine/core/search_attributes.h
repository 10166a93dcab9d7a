/* SPDX-License-Identifier: Apache-2.0 */
/* search_attributes.h - the search attributes that every namespace has. */
#ifndef FLO_ENGINE_CORE_SEARCH_ATTRIBUTES_H
#define FLO_ENGINE_CORE_SEARCH_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/api.h"

struct flo_search_attribute {
    const char *name;
    FloApi__IndexedValueType type;
    bool settable; /* by a user; the others are the engine's own */
};

/* X(name, type as in IndexedValueType without its prefix, settable), sorted by name. */
#define FLO_SEARCH_ATTRIBUTES(X)                                                                   \
    X(BatcherNamespace, KEYWORD, true)                                                             \
    X(BatcherUser, KEYWORD, true)                                                                  \
    X(BinaryChecksums, KEYWORD_LIST, true)                                                         \
    X(BuildIds, KEYWORD_LIST, true)                                                                \
    X(CloseTime, DATETIME, false)                                                                  \
    X(ExecutionDuration, INT, false)                                                               \
    X(ExecutionStatus, KEYWORD, false)                                                             \
    X(ExecutionTime, DATETIME, false)                                                              \
    X(HistoryLength, INT, false)                                                                   \
    X(HistorySizeBytes, INT, false)                                                                \
    X(ParentRunId, KEYWORD, false)                                                                 \
    X(ParentWorkflowId, KEYWORD, false)                                                            \
    X(RootRunId, KEYWORD, false)                                                                   \
    X(RootWorkflowId, KEYWORD, false)                                                              \
    X(RunId, KEYWORD, false)                                                                       \
    X(StartTime, DATETIME, false)                                                                  \
    X(StateTransitionCount, INT, false)                                                            \
    X(TaskQueue, KEYWORD, false)                                                                   \
    X(TemporalChangeVersion, KEYWORD_LIST, true)                                                   \
    X(TemporalNamespaceDivision, KEYWORD, true)                                                    \
    X(TemporalPauseInfo, KEYWORD_LIST, true)                                                       \
    X(TemporalScheduledById, KEYWORD, true)                                                        \
    X(TemporalScheduledStartTime, DATETIME, true)                                                  \
    X(TemporalSchedulePaused, BOOL, true)                                                          \
    X(TemporalWorkerDeployment, KEYWORD, true)                                                     \
    X(TemporalWorkerDeploymentVersion, KEYWORD, true)                                              \
    X(TemporalWorkflowVersioningBehavior, KEYWORD, true)                                           \
    X(WorkflowId, KEYWORD, false)                                                                  \
    X(WorkflowType, KEYWORD, false)

/* The entry of that name, or NULL. */
const struct flo_search_attribute *flo_search_attribute_find(const char *name);
/* Entry number index, or NULL past the end. */
const struct flo_search_attribute *flo_search_attribute_at(size_t index);

#endif
