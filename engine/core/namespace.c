/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namespace.c - namespaces: found by name or id, registered, changed, listed.
 *
 * A namespace is the NamespaceState that is stored of it, in an arena of its own; a change builds
 * the new state beside the old one and swaps them, so that a failure changes nothing.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/core/internal.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"
#include "wire/payload.h"

/* Answered in DescribeNamespace; the name that a cluster of one has by default. */
#define CLUSTER_NAME "active"

/* The least that RegisterNamespace and UpdateNamespace take. */
#define MIN_RETENTION_NS (INT64_C(24) * 3600 * FLO_NS_PER_S)

enum { LIST_PAGE_DEFAULT = 100, LIST_PAGE_MAX = 1000, DATA_MAX = 1000 };

/* ---- the set of namespaces ---- */

static void namespace_free(struct flo_namespace *ns)
{
    flo_arena_fini(&ns->arena);
    flo_free(ns->name);
    flo_free(ns);
}

void flo_namespaces_fini(struct flo_core *core)
{
    for (struct flo_map_entry *it = flo_map_first(&core->namespaces); it; it = flo_map_next(it))
        namespace_free(flo_map_value(it));
    flo_map_fini(&core->namespaces);
    flo_map_fini(&core->namespace_ids);
}

/* Read the fields that the engine uses itself from the state. */
static int namespace_adopt(struct flo_namespace *ns, FloEngine__NamespaceState *state)
{
    if (strlen(state->id) != FLO_UUID_LEN || !flo_uuid_valid(state->id, FLO_UUID_LEN) ||
        state->token_secret.len != sizeof ns->token_secret)
        return FLO_EDATA;
    memcpy(ns->id, state->id, FLO_UUID_LEN + 1);
    memcpy(ns->token_secret, state->token_secret.data, sizeof ns->token_secret);
    ns->retention_ns = state->retention_ns;
    ns->state = state;
    return 0;
}

static int namespace_enter(struct flo_core *core, struct flo_namespace *ns)
{
    if (flo_map_put_str(&core->namespaces, ns->name, ns))
        return FLO_ENOMEM;
    if (flo_map_put_str(&core->namespace_ids, ns->id, ns)) {
        flo_map_remove_str(&core->namespaces, ns->name);
        return FLO_ENOMEM;
    }
    return 0;
}

/* A new namespace out of a state that is copied. */
static int namespace_new(struct flo_core *core, const FloEngine__NamespaceState *state,
                         struct flo_namespace **out)
{
    struct flo_namespace *ns = flo_calloc(1, sizeof *ns);
    if (!ns)
        return FLO_ENOMEM;
    flo_arena_init(&ns->arena, 0);
    ns->name = flo_strdup(state->name);
    FloEngine__NamespaceState *copy =
        (FloEngine__NamespaceState *)flo_wire_copy(&state->base, &ns->arena);
    int rc = ns->name && copy ? namespace_adopt(ns, copy) : FLO_ENOMEM;
    if (!rc)
        rc = namespace_enter(core, ns);
    if (rc) {
        namespace_free(ns);
        return rc;
    }
    *out = ns;
    return 0;
}

struct flo_namespace *flo_namespace_by_id(struct flo_core *core, const char *id)
{
    return flo_map_get_str(&core->namespace_ids, id);
}

struct flo_namespace *flo_namespace_by_name(struct flo_core *core, const char *name)
{
    return flo_map_get_str(&core->namespaces, name);
}

const char *flo_core_namespace_id(const struct flo_core *core, const char *name)
{
    const struct flo_namespace *ns = flo_map_get_str(&core->namespaces, name);
    return ns ? ns->id : NULL;
}

static int unknown(struct flo_core *core, const char *name, struct flo_status *status)
{
    FloApi__NamespaceNotFoundFailure *detail = flo_arena_alloc(&core->scratch, sizeof *detail);
    if (!detail)
        return flo_status_no_memory(status);
    flo_api__namespace_not_found_failure__init(detail);
    detail->namespace_ = (char *)name;
    flo_status_set(core, status, FLO_GRPC_NOT_FOUND, "Namespace %s is not found.", name);
    status->detail = &detail->base;
    return FLO_ERPC;
}

int flo_namespace_find(struct flo_core *core, const char *name, struct flo_namespace **out,
                       struct flo_status *status)
{
    if (!name || !name[0])
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Namespace is empty.");
    int rc = flo_check_id(core, "Namespace", name, status);
    if (rc)
        return rc;
    return flo_namespace_named(core, name, out, status);
}

int flo_namespace_named(struct flo_core *core, const char *name, struct flo_namespace **out,
                        struct flo_status *status)
{
    struct flo_namespace *ns = flo_namespace_by_name(core, name);
    if (!ns)
        return unknown(core, name, status);
    *out = ns;
    return 0;
}

/* To be stored with the next batch; returns the number that a reply waits for. */
static uint64_t namespace_changed(struct flo_core *core, struct flo_namespace *ns)
{
    ns->dirty = true;
    if (core->dirty_since_ns == INT64_MAX)
        core->dirty_since_ns = core->now_ns;
    return core->next_seq;
}

int flo_namespace_replace(struct flo_core *core, struct flo_namespace *ns,
                          const struct FloEngine__NamespaceState *state, uint64_t *out_after,
                          struct flo_status *status)
{
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    FloEngine__NamespaceState *copy =
        (FloEngine__NamespaceState *)flo_wire_copy(&state->base, &arena);
    if (!copy || namespace_adopt(ns, copy)) {
        flo_arena_fini(&arena);
        return flo_status_no_memory(status);
    }
    flo_arena_fini(&ns->arena);
    ns->arena = arena;
    *out_after = namespace_changed(core, ns);
    return 0;
}

/* ---- loading and the first start ---- */

int flo_core_load_namespace(struct flo_core *core, const uint8_t *state, size_t len,
                            struct flo_err *err)
{
    struct flo_arena arena;
    flo_arena_init(&arena, flo_wire_budget(len));
    ProtobufCMessage *message;
    int rc = flo_wire_decode(&flo_engine__namespace_state__descriptor, state, len, &arena, &message,
                             err);
    if (!rc) {
        struct flo_namespace *ns;
        rc = namespace_new(core, (const FloEngine__NamespaceState *)message, &ns);
        if (rc)
            flo_fail(err, rc, "a stored namespace cannot be loaded: %s", flo_error_text(rc));
    }
    flo_arena_fini(&arena);
    return rc;
}

static int namespace_create(struct flo_core *core, FloEngine__NamespaceState *state,
                            struct flo_namespace **out)
{
    char id[FLO_UUID_LEN + 1];
    uint8_t secret[16];
    flo_core_new_id(core, id);
    for (size_t i = 0; i < sizeof secret; i += 8) {
        const uint64_t random = flo_rng_next(&core->rng);
        memcpy(secret + i, &random, 8);
    }
    state->id = id;
    state->token_secret = (ProtobufCBinaryData){.data = secret, .len = sizeof secret};
    state->state = FLO_API__NAMESPACE_STATE__NAMESPACE_STATE_REGISTERED;
    int rc = namespace_new(core, state, out); /* copies */
    state->id = NULL;
    state->token_secret = (ProtobufCBinaryData){0};
    return rc;
}

void flo_core_each_namespace(const struct flo_core *core,
                             void (*fn)(void *ctx, const char *id, int64_t retention_ns), void *ctx)
{
    for (struct flo_map_entry *it = flo_map_first(&core->namespaces); it; it = flo_map_next(it)) {
        const struct flo_namespace *ns = flo_map_value(it);
        fn(ctx, ns->id, ns->retention_ns);
    }
}

int flo_core_ensure_namespace(struct flo_core *core, const char *name, int64_t retention_ns)
{
    if (flo_namespace_by_name(core, name))
        return 0;
    FloEngine__NamespaceState state = FLO_ENGINE__NAMESPACE_STATE__INIT;
    state.name = (char *)name;
    state.retention_ns = retention_ns > 0 ? retention_ns : core->options.retention_ns;
    struct flo_namespace *ns;
    int rc = namespace_create(core, &state, &ns);
    if (!rc)
        namespace_changed(core, ns);
    return rc;
}

/* ---- what is told of a namespace ---- */

/* The three messages that DescribeNamespace, UpdateNamespace and ListNamespaces answer with. */
struct description {
    FloApi__NamespaceInfo info;
    FloApi__NamespaceInfo__Capabilities capabilities;
    FloApi__NamespaceInfo__Limits limits;
    FloApi__NamespaceConfig config;
    FloApi__BadBinaries bad_binaries;
    FloApi__NamespaceReplicationConfig replication;
    FloApi__ClusterReplicationConfig cluster, *clusters[1];
};

static struct description *describe(struct flo_core *core, const struct flo_namespace *ns)
{
    struct description *d = flo_arena_calloc(&core->scratch, 1, sizeof *d);
    const FloEngine__NamespaceState *state = ns->state;
    if (!d)
        return NULL;
    flo_api__namespace_info__init(&d->info);
    d->info.name = state->name;
    d->info.state = (FloApi__NamespaceState)state->state;
    d->info.description = state->description;
    d->info.owner_email = state->owner_email;
    d->info.id = state->id;
    d->info.n_data = state->n_data;
    d->info.data = flo_arena_calloc(&core->scratch, state->n_data + 1, sizeof *d->info.data);
    if (!d->info.data)
        return NULL;
    for (size_t i = 0; i < state->n_data; i++) {
        FloApi__NamespaceInfo__DataEntry *entry = flo_arena_alloc(&core->scratch, sizeof *entry);
        if (!entry)
            return NULL;
        flo_api__namespace_info__data_entry__init(entry);
        entry->key = state->data[i]->key;
        entry->value = state->data[i]->value;
        d->info.data[i] = entry;
    }
    flo_api__namespace_info__capabilities__init(&d->capabilities);
    d->capabilities.eager_workflow_start = true;
    d->capabilities.sync_update = true;
    d->capabilities.async_update = true;
    d->capabilities.worker_heartbeats = true;
    d->capabilities.worker_poll_complete_on_shutdown = true;
    d->capabilities.poller_autoscaling = true;
    d->info.supports_schedules = true;
    d->info.capabilities = &d->capabilities;
    flo_api__namespace_info__limits__init(&d->limits);
    d->limits.blob_size_limit_error = core->options.blob_size_limit;
    d->limits.memo_size_limit_error = core->options.blob_size_limit;
    d->info.limits = &d->limits;
    flo_api__namespace_config__init(&d->config);
    d->config.workflow_execution_retention_ttl =
        flo_duration_new(&core->scratch, state->retention_ns);
    flo_api__bad_binaries__init(&d->bad_binaries);
    d->config.bad_binaries = &d->bad_binaries;
    d->config.history_archival_state = FLO_API__ARCHIVAL_STATE__ARCHIVAL_STATE_DISABLED;
    d->config.visibility_archival_state = FLO_API__ARCHIVAL_STATE__ARCHIVAL_STATE_DISABLED;
    flo_api__namespace_replication_config__init(&d->replication);
    flo_api__cluster_replication_config__init(&d->cluster);
    d->cluster.cluster_name = CLUSTER_NAME;
    d->clusters[0] = &d->cluster;
    d->replication.active_cluster_name = CLUSTER_NAME;
    d->replication.n_clusters = 1;
    d->replication.clusters = d->clusters;
    if (state->registered)
        d->replication.state = FLO_API__REPLICATION_STATE__REPLICATION_STATE_NORMAL;
    return d->config.workflow_execution_retention_ttl ? d : NULL;
}

static FloApi__DescribeNamespaceResponse *describe_response(struct flo_core *core,
                                                            const struct flo_namespace *ns)
{
    FloApi__DescribeNamespaceResponse *response = flo_arena_alloc(&core->scratch, sizeof *response);
    struct description *d = describe(core, ns);
    if (!response || !d)
        return NULL;
    flo_api__describe_namespace_response__init(response);
    response->namespace_info = &d->info;
    response->config = &d->config;
    response->replication_config = &d->replication;
    return response;
}

/* The calls that make and change namespaces say it in their own words. */
static int check_name(struct flo_core *core, const char *name, struct flo_status *status)
{
    return name[0] ? 0
                   : flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                    "Namespace not set on request.");
}

static int check_cluster(struct flo_core *core, const char *name, struct flo_status *status)
{
    return !name[0] || strcmp(name, CLUSTER_NAME) == 0
               ? 0
               : flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "Invalid cluster name: %s",
                                name);
}

void flo_rpc_describe_namespace(struct flo_core *core, const struct flo_core_call_info *info,
                                const void *message)
{
    const FloApi__DescribeNamespaceRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns = NULL;
    int rc = 0;
    if (request->id[0] && request->namespace_[0]) {
        rc = flo_status_set(core, &status, FLO_GRPC_INVALID_ARGUMENT,
                            "GetNamespace operation failed.  Both ID and Name specified in "
                            "request.");
    } else if (request->id[0]) {
        ns = flo_namespace_by_id(core, request->id);
        if (!ns)
            rc = unknown(core, request->id, &status);
    } else {
        rc = check_name(core, request->namespace_, &status);
        if (!rc)
            rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    }
    FloApi__DescribeNamespaceResponse *response = rc ? NULL : describe_response(core, ns);
    if (!rc && !response)
        rc = flo_status_no_memory(&status);
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else
        flo_reply_ok(core, info->id, 0, &response->base);
}

/* The page token of ListNamespaces is the name of the last namespace on the page. */
void flo_rpc_list_namespaces(struct flo_core *core, const struct flo_core_call_info *info,
                             const void *message)
{
    const FloApi__ListNamespacesRequest *request = message;
    struct flo_status status = {0};
    size_t page = request->page_size > 0 ? (size_t)request->page_size : LIST_PAGE_DEFAULT;
    if (page > LIST_PAGE_MAX)
        page = LIST_PAGE_MAX;
    FloApi__ListNamespacesResponse response = FLO_API__LIST_NAMESPACES_RESPONSE__INIT;
    response.namespaces = flo_arena_calloc(&core->scratch, page, sizeof *response.namespaces);
    bool skipping = request->next_page_token.len > 0, oom = !response.namespaces;
    const struct flo_namespace *last = NULL;
    for (struct flo_map_entry *it = flo_map_first(&core->namespaces); it && !oom;
         it = flo_map_next(it)) {
        const struct flo_namespace *ns = flo_map_value(it);
        if (skipping) {
            skipping =
                strlen(ns->name) != request->next_page_token.len ||
                memcmp(ns->name, request->next_page_token.data, request->next_page_token.len) != 0;
            continue;
        }
        if (response.n_namespaces == page) {
            response.next_page_token.data = (uint8_t *)last->name;
            response.next_page_token.len = strlen(last->name);
            break;
        }
        response.namespaces[response.n_namespaces] = describe_response(core, ns);
        oom = !response.namespaces[response.n_namespaces++];
        last = ns;
    }
    if (oom)
        flo_status_no_memory(&status);
    else if (skipping)
        flo_status_set(core, &status, FLO_GRPC_INVALID_ARGUMENT, "Invalid NextPageToken.");
    if (status.code)
        flo_reply_status(core, info->id, 0, &status);
    else
        flo_reply_ok(core, info->id, 0, &response.base);
}

/* ---- changing ---- */

static int check_retention(struct flo_core *core, const Google__Protobuf__Duration *retention,
                           struct flo_status *status)
{
    if (!flo_duration_wrong(retention) && flo_duration_ns(retention) >= MIN_RETENTION_NS)
        return 0;
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                          "A valid retention period is not set on request.");
}

static int check_data(struct flo_core *core, size_t entries, struct flo_status *status)
{
    if (entries <= DATA_MAX)
        return 0;
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                          "a namespace holds at most %d data entries", DATA_MAX);
}

static int check_register(struct flo_core *core, const FloApi__RegisterNamespaceRequest *request,
                          struct flo_status *status)
{
    static const FloApi__NamespaceAlreadyExistsFailure exists =
        FLO_API__NAMESPACE_ALREADY_EXISTS_FAILURE__INIT;
    int rc = check_name(core, request->namespace_, status);
    if (!rc)
        rc = flo_check_id(core, "Namespace", request->namespace_, status);
    if (!rc)
        rc = flo_check_blob(core, request, status);
    if (!rc)
        rc = check_retention(core, request->workflow_execution_retention_period, status);
    if (!rc)
        rc = check_data(core, request->n_data, status);
    if (rc)
        return rc;
    if (request->is_global_namespace)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Cannot register global namespace when not enabled");
    rc = check_cluster(core, request->active_cluster_name, status);
    if (rc)
        return rc;
    if (flo_namespace_by_name(core, request->namespace_)) {
        rc = flo_status_set(core, status, FLO_GRPC_ALREADY_EXISTS,
                            "Namespace \"%s\" already exists", request->namespace_);
        status->detail = &exists.base;
    }
    return rc;
}

void flo_rpc_register_namespace(struct flo_core *core, const struct flo_core_call_info *info,
                                const void *message)
{
    const FloApi__RegisterNamespaceRequest *request = message;
    FloApi__RegisterNamespaceResponse response = FLO_API__REGISTER_NAMESPACE_RESPONSE__INIT;
    struct flo_status status = {0};
    int rc = check_register(core, request, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    FloEngine__NamespaceState state = FLO_ENGINE__NAMESPACE_STATE__INIT;
    state.name = request->namespace_;
    state.description = request->description;
    state.owner_email = request->owner_email;
    state.registered = true;
    state.retention_ns = flo_duration_ns(request->workflow_execution_retention_period);
    /* The generated entry types of both maps have the same members: string key, string value. */
    state.n_data = request->n_data;
    state.data = flo_arena_calloc(&core->scratch, request->n_data + 1, sizeof *state.data);
    for (size_t i = 0; state.data && i < request->n_data; i++) {
        state.data[i] = flo_arena_alloc(&core->scratch, sizeof *state.data[i]);
        if (!state.data[i])
            break;
        flo_engine__namespace_state__data_entry__init(state.data[i]);
        state.data[i]->key = request->data[i]->key;
        state.data[i]->value = request->data[i]->value;
    }
    struct flo_namespace *ns;
    const bool complete = state.data && (!state.n_data || state.data[state.n_data - 1]);
    if (!complete || namespace_create(core, &state, &ns)) {
        flo_status_no_memory(&status);
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    flo_reply_ok(core, info->id, namespace_changed(core, ns), &response.base);
}

/* Data is merged: keys of the request replace or join those that are there. */
static int merge_data(struct flo_core *core, FloEngine__NamespaceState *state,
                      const FloApi__UpdateNamespaceInfo *update)
{
    FloEngine__NamespaceState__DataEntry **data =
        flo_arena_calloc(&core->scratch, state->n_data + update->n_data + 1, sizeof *data);
    if (!data)
        return FLO_ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < state->n_data; i++)
        data[count++] = state->data[i];
    for (size_t i = 0; i < update->n_data; i++) {
        size_t at = 0;
        while (at < count && strcmp(data[at]->key, update->data[i]->key) != 0)
            at++;
        data[at] = flo_arena_alloc(&core->scratch, sizeof *data[at]);
        if (!data[at])
            return FLO_ENOMEM;
        flo_engine__namespace_state__data_entry__init(data[at]);
        data[at]->key = update->data[i]->key;
        data[at]->value = update->data[i]->value;
        count += at == count;
    }
    state->data = data;
    state->n_data = count;
    return 0;
}

/* A namespace that is deprecated stays so. */
static bool may_become(int32_t from, FloApi__NamespaceState to)
{
    return (int32_t)to == from ||
           (from == (int32_t)FLO_API__NAMESPACE_STATE__NAMESPACE_STATE_REGISTERED &&
            to == FLO_API__NAMESPACE_STATE__NAMESPACE_STATE_DEPRECATED);
}

static int apply_update(struct flo_core *core, struct flo_namespace *ns,
                        const FloApi__UpdateNamespaceRequest *request, struct flo_status *status)
{
    FloEngine__NamespaceState state = *ns->state;
    if (request->update_info) {
        const FloApi__UpdateNamespaceInfo *update = request->update_info;
        if (update->description[0])
            state.description = update->description;
        if (update->owner_email[0])
            state.owner_email = update->owner_email;
        if (update->state && !may_become(state.state, update->state))
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "Invalid namespace state update.");
        if (update->state)
            state.state = (int32_t)update->state;
        int rc = check_data(core, update->n_data, status);
        if (rc)
            return rc;
        if (update->n_data && merge_data(core, &state, update))
            return flo_status_no_memory(status);
        rc = check_data(core, state.n_data, status);
        if (rc)
            return rc;
    }
    if (request->config && request->config->workflow_execution_retention_ttl) {
        int rc = check_retention(core, request->config->workflow_execution_retention_ttl, status);
        if (rc)
            return rc;
        state.retention_ns = flo_duration_ns(request->config->workflow_execution_retention_ttl);
    }
    uint64_t after;
    return flo_namespace_replace(core, ns, &state, &after, status);
}

void flo_rpc_update_namespace(struct flo_core *core, const struct flo_core_call_info *info,
                              const void *message)
{
    const FloApi__UpdateNamespaceRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    int rc = check_name(core, request->namespace_, &status);
    if (!rc)
        rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc && request->replication_config)
        rc = check_cluster(core, request->replication_config->active_cluster_name, &status);
    if (!rc && request->promote_namespace)
        rc = flo_status_set(core, &status, FLO_GRPC_INVALID_ARGUMENT,
                            "global namespace is not enabled on this cluster, cannot update "
                            "global namespace or promote local namespace: %s",
                            ns->name);
    if (!rc && request->delete_bad_binary[0]) /* there never is one */
        rc = flo_status_set(core, &status, FLO_GRPC_INVALID_ARGUMENT,
                            "Bad binary checksum %s doesn't exists.", request->delete_bad_binary);
    if (!rc)
        rc = flo_check_blob(core, request, &status);
    if (!rc)
        rc = apply_update(core, ns, request, &status);
    struct description *d = rc ? NULL : describe(core, ns);
    if (!rc && !d)
        rc = flo_status_no_memory(&status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    FloApi__UpdateNamespaceResponse response = FLO_API__UPDATE_NAMESPACE_RESPONSE__INIT;
    response.namespace_info = &d->info;
    response.config = &d->config;
    response.replication_config = &d->replication;
    flo_reply_ok(core, info->id, namespace_changed(core, ns), &response.base);
}

void flo_rpc_deprecate_namespace(struct flo_core *core, const struct flo_core_call_info *info,
                                 const void *message)
{
    const FloApi__DeprecateNamespaceRequest *request = message;
    static const FloApi__DeprecateNamespaceResponse response =
        FLO_API__DEPRECATE_NAMESPACE_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    uint64_t after = 0;
    int rc = check_name(core, request->namespace_, &status);
    if (!rc)
        rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc) {
        FloEngine__NamespaceState state = *ns->state;
        state.state = (int32_t)FLO_API__NAMESPACE_STATE__NAMESPACE_STATE_DEPRECATED;
        rc = flo_namespace_replace(core, ns, &state, &after, &status);
    }
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else
        flo_reply_ok(core, info->id, after, &response.base);
}
