/* SPDX-License-Identifier: Apache-2.0 */
/* system.c - what clients ask of the server itself, and the search attributes that every namespace
 * has. */
#include <string.h>

#include "engine/core/internal.h"
#include "engine/core/methods.h"
#include "engine/core/reply.h"
#include "engine/core/search_attributes.h"

#define CLUSTER_NAME "active"
/* The engine has no cluster identity to keep: one process, one store. */
#define CLUSTER_ID "00000000-0000-0000-0000-000000000000"

void flo_rpc_get_system_info(struct flo_core *core, const struct flo_core_call_info *info,
                             const void *message)
{
    (void)message;
    FloApi__GetSystemInfoResponse__Capabilities capabilities =
        FLO_API__GET_SYSTEM_INFO_RESPONSE__CAPABILITIES__INIT;
    capabilities.signal_and_query_header = true;
    capabilities.internal_error_differentiation = true;
    capabilities.activity_failure_include_heartbeat = true;
    capabilities.encoded_failure_attributes = true;
    capabilities.build_id_based_versioning = true;
    capabilities.supports_schedules = true;
    capabilities.upsert_memo = true;
    capabilities.eager_workflow_start = true;
    capabilities.sdk_metadata = true;
    capabilities.count_group_by_execution_status = true;
    FloApi__GetSystemInfoResponse response = FLO_API__GET_SYSTEM_INFO_RESPONSE__INIT;
    response.server_version = FLO_CORE_SERVER_VERSION;
    response.capabilities = &capabilities;
    flo_reply_ok(core, info->id, 0, &response.base);
}

/* What the real server says of the clients that it is made for. */
static const struct {
    const char *name, *versions;
} CLIENTS[] = {{"Nexus-go-sdk", "<2.0.0"},        {"temporal-cli", "<2.0.0"},
               {"temporal-go", "<2.0.0"},         {"temporal-java", "<2.0.0"},
               {"temporal-php", "<2.0.0"},        {"temporal-server", "<2.0.0"},
               {"temporal-typescript", "<2.0.0"}, {"temporal-ui", "<3.0.0"}};
enum { CLIENT_COUNT = sizeof CLIENTS / sizeof *CLIENTS };

void flo_rpc_get_cluster_info(struct flo_core *core, const struct flo_core_call_info *info,
                              const void *message)
{
    (void)message;
    FloApi__GetClusterInfoResponse__SupportedClientsEntry clients[CLIENT_COUNT],
        *list[CLIENT_COUNT];
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        flo_api__get_cluster_info_response__supported_clients_entry__init(&clients[i]);
        clients[i].key = (char *)CLIENTS[i].name;
        clients[i].value = (char *)CLIENTS[i].versions;
        list[i] = &clients[i];
    }
    FloApi__GetClusterInfoResponse response = FLO_API__GET_CLUSTER_INFO_RESPONSE__INIT;
    response.n_supported_clients = CLIENT_COUNT;
    response.supported_clients = list;
    response.server_version = FLO_CORE_SERVER_VERSION;
    response.cluster_id = CLUSTER_ID;
    response.cluster_name = CLUSTER_NAME;
    response.history_shard_count = 1;
    response.persistence_store = "sqlite";
    response.visibility_store = "sqlite";
    response.initial_failover_version = 1;
    response.failover_version_increment = 10;
    flo_reply_ok(core, info->id, 0, &response.base);
}

/* ---- search attributes ---- */

static const struct flo_search_attribute ATTRIBUTES[] = {
#define ATTRIBUTE(name, type, settable)                                                            \
    {#name, FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_##type, settable},
    FLO_SEARCH_ATTRIBUTES(ATTRIBUTE)
#undef ATTRIBUTE
};
enum { ATTRIBUTE_COUNT = sizeof ATTRIBUTES / sizeof *ATTRIBUTES };

const struct flo_search_attribute *flo_search_attribute_find(const char *name)
{
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++)
        if (strcmp(ATTRIBUTES[i].name, name) == 0)
            return &ATTRIBUTES[i];
    return NULL;
}

const struct flo_search_attribute *flo_search_attribute_at(size_t index)
{
    return index < ATTRIBUTE_COUNT ? &ATTRIBUTES[index] : NULL;
}

void flo_rpc_get_search_attributes(struct flo_core *core, const struct flo_core_call_info *info,
                                   const void *message)
{
    (void)message;
    FloApi__GetSearchAttributesResponse__KeysEntry entries[ATTRIBUTE_COUNT], *keys[ATTRIBUTE_COUNT];
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        flo_api__get_search_attributes_response__keys_entry__init(&entries[i]);
        entries[i].key = (char *)ATTRIBUTES[i].name;
        entries[i].value = ATTRIBUTES[i].type;
        keys[i] = &entries[i];
    }
    FloApi__GetSearchAttributesResponse response = FLO_API__GET_SEARCH_ATTRIBUTES_RESPONSE__INIT;
    response.n_keys = ATTRIBUTE_COUNT;
    response.keys = keys;
    flo_reply_ok(core, info->id, 0, &response.base);
}
