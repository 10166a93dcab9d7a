/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_config.h - what operators set of a task queue: rate limits of the queue and of each
 * fairness key (queue_config.c). Each is a record, and outlives the queue itself, which comes and
 * goes with its tasks and polls.
 */
#ifndef FLO_ENGINE_CORE_QUEUE_CONFIG_H
#define FLO_ENGINE_CORE_QUEUE_CONFIG_H

#include "engine/core/record.h"
#include "engine/core/task.h"
#include "wire/api.h"

struct flo_core;      /* internal.h */
struct flo_namespace; /* namespace.h */

struct flo_queue_config {
    struct flo_core_record record; /* its id: type and name, "2/name" */
    uint8_t *state;                /* the TaskQueueConfig, packed; heap */
    size_t state_len;
    double queue_limit, key_limit; /* tasks a second; < 0 = none */
    char id[];
};

/* That of a queue, or NULL: nothing was set. */
struct flo_queue_config *flo_queue_config_find(struct flo_core *core,
                                               const struct flo_namespace *ns,
                                               enum flo_queue_type type, const char *name);
/* The same by a TaskQueueType of the API, decoded into scratch; NULL: nothing was set, or memory is
 * out, which *ok then tells. */
FloApi__TaskQueueConfig *flo_queue_config_message(struct flo_core *core,
                                                  const struct flo_namespace *ns,
                                                  FloApi__TaskQueueType type, const char *name,
                                                  bool *ok);
/* Recovery. 0, FLO_ENOMEM, FLO_EDATA with a sentence. */
FLO_MUST_CHECK int flo_queue_config_load(struct flo_core *core,
                                         const struct flo_core_record_row *row,
                                         struct flo_err *err);
void flo_queue_configs_fini(struct flo_core *core);

#endif
