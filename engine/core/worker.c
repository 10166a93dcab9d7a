/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - heartbeats of workers: RecordWorkerHeartbeat, DescribeWorker. Lists are the shell's.
 */
#include "engine/core/worker.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/core/internal.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "wire/decode.h"

#define KEPT_NS (INT64_C(24) * 3600 * FLO_NS_PER_S)
#define KEPT_BYTES ((size_t)64 << 20) /* of heartbeats and names, all together */
enum { MAX_WORKERS = 100000 };

struct worker {
    struct flo_node node; /* on core->workers_heard, longest ago first */
    int64_t heard_ns;
    char namespace_id[FLO_UUID_LEN + 1];
    uint8_t *heartbeat; /* WorkerHeartbeat, packed; heap */
    size_t len;
    char id[]; /* of the namespace, then the instance key */
};

static struct worker *worker_at(struct flo_node *node)
{
    return flo_container(node, struct worker, node);
}

static size_t bytes_of(const struct worker *worker)
{
    return sizeof *worker + 2 * strlen(worker->id) + worker->len; /* the map has its id, too */
}

static void forget(struct flo_core *core, struct worker *worker)
{
    core->worker_bytes -= bytes_of(worker);
    flo_map_remove_str(&core->workers, worker->id);
    flo_list_remove(&core->workers_heard, &worker->node);
    flo_free(worker->heartbeat);
    flo_free(worker);
}

void flo_workers_fini(struct flo_core *core)
{
    for (struct flo_node *node; (node = flo_list_first(&core->workers_heard));)
        forget(core, worker_at(node));
    flo_map_fini(&core->workers);
}

static void forget_old(struct flo_core *core)
{
    for (struct flo_node *node; (node = flo_list_first(&core->workers_heard));) {
        struct worker *worker = worker_at(node);
        if (core->workers.count <= MAX_WORKERS && core->worker_bytes <= KEPT_BYTES &&
            worker->heard_ns + KEPT_NS > core->now_ns)
            return;
        forget(core, worker);
    }
}

/* In scratch. NULL without memory. */
static const char *id_of(struct flo_core *core, const struct flo_namespace *ns, const char *key)
{
    return flo_arena_printf(&core->scratch, "%s%s", ns->id, key);
}

/* The worker of that id, made when it is not there. NULL without memory. */
static struct worker *get(struct flo_core *core, const struct flo_namespace *ns, const char *id)
{
    struct worker *worker = flo_map_get_str(&core->workers, id);
    if (worker)
        return worker;
    const size_t len = strlen(id) + 1;
    worker = flo_calloc(1, sizeof *worker + len);
    if (!worker)
        return NULL;
    memcpy(worker->id, id, len);
    memcpy(worker->namespace_id, ns->id, FLO_UUID_LEN);
    if (flo_map_put_str(&core->workers, worker->id, worker)) {
        flo_free(worker);
        return NULL;
    }
    flo_list_push_back(&core->workers_heard, &worker->node);
    core->worker_bytes += bytes_of(worker);
    return worker;
}

void flo_worker_note(struct flo_core *core, const struct flo_namespace *ns,
                     const FloApi__WorkerHeartbeat *heartbeat)
{
    uint8_t *packed;
    size_t len;
    const char *id = id_of(core, ns, heartbeat->worker_instance_key);
    if (!id || flo_wire_encode_arena(&heartbeat->base, &core->scratch, &packed, &len))
        return;
    uint8_t *copy = flo_calloc(1, len + 1);
    struct worker *worker = copy ? get(core, ns, id) : NULL;
    if (!worker) {
        flo_free(copy);
        return;
    }
    memcpy(copy, packed, len);
    flo_free(worker->heartbeat);
    core->worker_bytes += len - worker->len;
    worker->heartbeat = copy;
    worker->len = len;
    worker->heard_ns = core->now_ns;
    flo_list_remove(&core->workers_heard, &worker->node);
    flo_list_push_back(&core->workers_heard, &worker->node);
    forget_old(core);
}

void flo_core_each_worker(const struct flo_core *core, const char *namespace_id,
                          void (*fn)(void *ctx, const uint8_t *heartbeat, size_t len), void *ctx)
{
    FLO_LIST_FOREACH(node, &core->workers_heard)
    {
        const struct worker *worker = flo_container(node, const struct worker, node);
        if (worker->heard_ns + KEPT_NS > core->now_ns &&
            strcmp(worker->namespace_id, namespace_id) == 0)
            fn(ctx, worker->heartbeat, worker->len);
    }
}

/* ---- the calls ---- */

void flo_rpc_record_worker_heartbeat(struct flo_core *core, const struct flo_core_call_info *info,
                                     const void *message)
{
    static const FloApi__RecordWorkerHeartbeatResponse response =
        FLO_API__RECORD_WORKER_HEARTBEAT_RESPONSE__INIT;
    const FloApi__RecordWorkerHeartbeatRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    if (flo_namespace_find(core, request->namespace_, &ns, &status)) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    for (size_t i = 0; i < request->n_worker_heartbeat; i++)
        flo_worker_note(core, ns, request->worker_heartbeat[i]);
    flo_reply_ok(core, info->id, 0, &response.base);
}

void flo_rpc_describe_worker(struct flo_core *core, const struct flo_core_call_info *info,
                             const void *message)
{
    const FloApi__DescribeWorkerRequest *request = message;
    FloApi__DescribeWorkerResponse response = FLO_API__DESCRIBE_WORKER_RESPONSE__INIT;
    FloApi__WorkerInfo worker_info = FLO_API__WORKER_INFO__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    ProtobufCMessage *heartbeat = NULL;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc) {
        const char *id = id_of(core, ns, request->worker_instance_key);
        const struct worker *worker = id ? flo_map_get_str(&core->workers, id) : NULL;
        if (!id)
            rc = FLO_ENOMEM;
        else if (!worker || worker->heard_ns + KEPT_NS <= core->now_ns)
            rc = flo_status_not_found(core, &status, "Worker %s not found",
                                      request->worker_instance_key);
        else
            rc = flo_wire_decode(&flo_api__worker_heartbeat__descriptor, worker->heartbeat,
                                 worker->len, &core->scratch, &heartbeat, NULL);
        if (rc && !status.code)
            rc = flo_status_no_memory(&status);
    }
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    worker_info.worker_heartbeat = (FloApi__WorkerHeartbeat *)heartbeat;
    response.worker_info = &worker_info;
    flo_reply_ok(core, info->id, 0, &response.base);
}
