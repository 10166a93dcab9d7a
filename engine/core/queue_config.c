/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_config.c - UpdateTaskQueueConfig, and what it sets, live and stored.
 *
 * A record's state is the TaskQueueConfig message itself. The map's key is the namespace's id, then
 * the record's id.
 */
#include "engine/core/queue_config.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/core/internal.h"
#include "engine/core/matching.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "wire/decode.h"
#include "wire/payload.h"

typedef FloApi__UpdateTaskQueueConfigRequest request_t;

/* ---- the set ---- */

/* The key of a record, in scratch; its id begins behind the namespace's. NULL without memory. */
static const char *key_of(struct flo_core *core, const char *namespace_id, int type,
                          const char *name)
{
    return flo_arena_printf(&core->scratch, "%s%d/%s", namespace_id, type, name);
}

static struct flo_queue_config *find(struct flo_core *core, const struct flo_namespace *ns,
                                     int type, const char *name, bool *ok)
{
    if (core->queue_configs.count == 0)
        return NULL;
    const char *key = key_of(core, ns->id, type, name);
    *ok = *ok && key;
    return key ? flo_map_get_str(&core->queue_configs, key) : NULL;
}

struct flo_queue_config *flo_queue_config_find(struct flo_core *core,
                                               const struct flo_namespace *ns,
                                               enum flo_queue_type type, const char *name)
{
    bool ok = true;
    return find(core, ns,
                type == FLO_QUEUE_ACTIVITY ? FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY
                                           : FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW,
                name, &ok);
}

static FloApi__TaskQueueConfig *decode(struct flo_core *core, const uint8_t *state, size_t len)
{
    ProtobufCMessage *message;
    if (flo_wire_decode(&flo_api__task_queue_config__descriptor, state, len, &core->scratch,
                        &message, NULL))
        return NULL;
    return (FloApi__TaskQueueConfig *)message;
}

FloApi__TaskQueueConfig *flo_queue_config_message(struct flo_core *core,
                                                  const struct flo_namespace *ns,
                                                  FloApi__TaskQueueType type, const char *name,
                                                  bool *ok)
{
    const struct flo_queue_config *config = find(core, ns, (int)type, name, ok);
    FloApi__TaskQueueConfig *message =
        config ? decode(core, config->state, config->state_len) : NULL;
    *ok = *ok && (!config || message);
    return message;
}

static int encode(const struct flo_core_record *record, struct flo_arena *arena,
                  const uint8_t **out_state, size_t *out_len)
{
    const struct flo_queue_config *config =
        flo_container(record, const struct flo_queue_config, record);
    *out_state = flo_arena_memdup(arena, config->state, config->state_len);
    *out_len = config->state_len;
    return *out_state || !config->state_len ? 0 : FLO_ENOMEM;
}

static void config_free(struct flo_queue_config *config)
{
    if (config)
        flo_free(config->state);
    flo_free(config);
}

void flo_queue_configs_fini(struct flo_core *core)
{
    for (struct flo_map_entry *it = flo_map_first(&core->queue_configs); it;
         it = flo_map_next(it)) {
        struct flo_queue_config *config = flo_map_value(it);
        flo_core_record_forget(core, &config->record);
        config_free(config);
    }
    flo_map_fini(&core->queue_configs);
}

/* The one of that key, made when it is not there. NULL without memory. */
static struct flo_queue_config *get(struct flo_core *core, const struct flo_namespace *ns,
                                    const char *key)
{
    struct flo_queue_config *config = flo_map_get_str(&core->queue_configs, key);
    if (config)
        return config;
    const char *id = key + strlen(ns->id);
    config = flo_calloc(1, sizeof *config + strlen(id) + 1);
    if (!config)
        return NULL;
    memcpy(config->id, id, strlen(id) + 1);
    config->record = (struct flo_core_record){
        .kind = FLO_CORE_RECORD_QUEUE, .namespace_id = ns->id, .id = config->id, .encode = encode};
    config->queue_limit = config->key_limit = -1;
    if (flo_map_put_str(&core->queue_configs, key, config)) {
        config_free(config);
        return NULL;
    }
    return config;
}

/* ---- limits ---- */

/* Tasks a second; none when it is not set, no number, or more than any worker takes. */
static double limit_of(const FloApi__RateLimitConfig *config)
{
    const double limit =
        config && config->rate_limit ? (double)config->rate_limit->requests_per_second : -1;
    return limit >= 0 && limit < FLO_QUEUE_MAX_RATE ? limit : -1;
}

/* Take over a state, and let the queue that is there follow. 0, FLO_ENOMEM. */
static int set(struct flo_core *core, const struct flo_namespace *ns,
               struct flo_queue_config *config, const FloApi__TaskQueueConfig *message,
               const void *state, size_t len)
{
    uint8_t *copy = flo_calloc(1, len + 1);
    if (!copy)
        return FLO_ENOMEM;
    memcpy(copy, state, len);
    flo_free(config->state);
    config->state = copy;
    config->state_len = len;
    config->queue_limit = limit_of(message->queue_rate_limit);
    config->key_limit = limit_of(message->fairness_keys_rate_limit_default);
    char activity[16];
    const int prefix = snprintf(activity, sizeof activity, "%d/",
                                (int)FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY);
    if (strncmp(config->id, activity, (size_t)prefix) != 0)
        return 0;
    struct flo_queue *queue =
        flo_matching_find(core, ns, FLO_QUEUE_ACTIVITY, false, config->id + prefix);
    if (queue) {
        queue->config = config;
        flo_queue_set_limits(core, queue);
    }
    return 0;
}

int flo_queue_config_load(struct flo_core *core, const struct flo_core_record_row *row,
                          struct flo_err *err)
{
    const struct flo_namespace *ns = flo_namespace_by_id(core, row->namespace_id);
    if (!ns)
        return flo_fail(err, FLO_EDATA, "the settings of queue %s are of no namespace", row->id);
    const FloApi__TaskQueueConfig *message = decode(core, row->state, row->state_len);
    if (!message)
        return flo_fail(err, FLO_EDATA, "the settings of queue %s are damaged", row->id);
    const char *key = flo_arena_printf(&core->scratch, "%s%s", ns->id, row->id);
    struct flo_queue_config *config = key ? get(core, ns, key) : NULL;
    if (!config || set(core, ns, config, message, row->state, row->state_len))
        return flo_fail(err, FLO_ENOMEM, "no memory for the settings of queue %s", row->id);
    return 0;
}

/* ---- the call ---- */

static int check_limit(struct flo_core *core, const char *name,
                       const FloApi__UpdateTaskQueueConfigRequest__RateLimitUpdate *update,
                       struct flo_status *status)
{
    if (update && update->rate_limit && update->rate_limit->requests_per_second < 0)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "RequestsPerSecond for %s rate limit must be non-negative.", name);
    return 0;
}

static int check(struct flo_core *core, const request_t *request, struct flo_namespace **ns,
                 struct flo_status *status)
{
    int rc = flo_namespace_find(core, request->namespace_, ns, status);
    if (!rc && request->task_queue_type == FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW)
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "Setting rate limit on workflow task queues is not allowed.");
    if (!rc)
        rc = check_limit(core, "UpdateQueueRateLimit", request->update_queue_rate_limit, status);
    if (!rc)
        rc = check_limit(core, "UpdateFairnessKeyRateLimitDefault",
                         request->update_fairness_key_rate_limit_default, status);
    if (!rc && strlen(request->identity) > FLO_CORE_ID_BYTES)
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "Identity field too long (max %d characters).", FLO_CORE_ID_BYTES);
    if (!rc && strncmp(request->task_queue, "/_sys/", 6) == 0)
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "task queue family name cannot have prefix /_sys/ %s",
                            request->task_queue);
    return rc ? rc : flo_check_id(core, "taskQueue", request->task_queue, status);
}

/* One limit as it was set just now. */
struct limit {
    FloApi__RateLimitConfig config;
    FloApi__ConfigMetadata metadata;
    Google__Protobuf__Timestamp time;
};

static FloApi__RateLimitConfig *fill_limit(
    const struct flo_core *core, const request_t *request,
    const FloApi__UpdateTaskQueueConfigRequest__RateLimitUpdate *update, struct limit *limit)
{
    /* Milliseconds, as the real server keeps it. */
    limit->time = flo_make_timestamp(core->now_ns / FLO_NS_PER_MS * FLO_NS_PER_MS);
    flo_api__config_metadata__init(&limit->metadata);
    limit->metadata.reason = update->reason;
    limit->metadata.update_identity = request->identity;
    limit->metadata.update_time = &limit->time;
    flo_api__rate_limit_config__init(&limit->config);
    limit->config.rate_limit = update->rate_limit;
    limit->config.metadata = &limit->metadata;
    return &limit->config;
}

/* Apply and mark as changed. */
static int update(struct flo_core *core, const struct flo_namespace *ns, const request_t *request,
                  struct flo_queue_config **out_config)
{
    struct limit queue, keys;
    FloApi__TaskQueueConfig next = FLO_API__TASK_QUEUE_CONFIG__INIT;
    const char *key = key_of(core, ns->id, (int)request->task_queue_type, request->task_queue);
    struct flo_queue_config *config = key ? get(core, ns, key) : NULL;
    if (!config)
        return FLO_ENOMEM;
    if (config->state_len) {
        const FloApi__TaskQueueConfig *old = decode(core, config->state, config->state_len);
        if (!old)
            return FLO_ENOMEM;
        next = *old;
    }
    if (request->update_queue_rate_limit)
        next.queue_rate_limit = fill_limit(core, request, request->update_queue_rate_limit, &queue);
    if (request->update_fairness_key_rate_limit_default)
        next.fairness_keys_rate_limit_default =
            fill_limit(core, request, request->update_fairness_key_rate_limit_default, &keys);
    uint8_t *state;
    size_t len;
    if (flo_wire_encode_arena(&next.base, &core->scratch, &state, &len) ||
        set(core, ns, config, &next, state, len))
        return FLO_ENOMEM;
    flo_core_record_changed(core, &config->record);
    *out_config = config;
    return 0;
}

void flo_rpc_update_task_queue_config(struct flo_core *core, const struct flo_core_call_info *info,
                                      const void *message)
{
    const request_t *request = message;
    FloApi__UpdateTaskQueueConfigResponse response =
        FLO_API__UPDATE_TASK_QUEUE_CONFIG_RESPONSE__INIT;
    FloApi__TaskQueueConfig none = FLO_API__TASK_QUEUE_CONFIG__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    uint64_t after = 0;
    bool ok = true;
    int rc = check(core, request, &ns, &status);
    if (!rc) {
        if (request->update_queue_rate_limit || request->update_fairness_key_rate_limit_default) {
            struct flo_queue_config *config = NULL;
            ok = update(core, ns, request, &config) == 0;
            after = ok ? flo_core_record_after(core, &config->record) : 0;
        }
        if (ok)
            response.config = flo_queue_config_message(core, ns, request->task_queue_type,
                                                       request->task_queue, &ok);
        if (!response.config)
            response.config = &none;
        if (!ok)
            rc = flo_status_no_memory(&status);
    }
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else
        flo_reply_ok(core, info->id, after, &response.base);
}
