/* SPDX-License-Identifier: Apache-2.0 */
/* operator.c - OperatorService.ListSearchAttributes and grpc.health.v1.Health's Check and List. */
#include <string.h>

#include "engine/core/search_attributes.h"
#include "engine/rpc/routes.h"
#include "grpc/status.h"

static size_t attribute_count(void)
{
    size_t count = 0;
    while (flo_search_attribute_at(count))
        count++;
    return count;
}

static bool put_system(struct flo_arena *arena, FloApi__ListSearchAttributesResponse *response)
{
    const size_t count = attribute_count();
    FloApi__ListSearchAttributesResponse__SystemAttributesEntry *entries =
        flo_arena_calloc(arena, count, sizeof *entries);
    response->system_attributes = flo_arena_calloc(arena, count, sizeof(void *));
    if (!entries || !response->system_attributes)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct flo_search_attribute *attribute = flo_search_attribute_at(i);
        flo_api__list_search_attributes_response__system_attributes_entry__init(&entries[i]);
        entries[i].key = flo_arena_strdup(arena, attribute->name);
        entries[i].value = attribute->type;
        response->system_attributes[response->n_system_attributes++] = &entries[i];
        if (!entries[i].key)
            return false;
    }
    return true;
}

/* The namespace's own attributes: counted first, then put into the answer. */
struct own_list {
    struct flo_arena *arena;
    FloApi__ListSearchAttributesResponse *response;
    size_t count;
    bool failed;
};

static void count_own(void *ctx, const char *name, FloApi__IndexedValueType type)
{
    struct own_list *list = ctx;
    (void)name, (void)type;
    list->count++;
}

static void put_own(void *ctx, const char *name, FloApi__IndexedValueType type)
{
    struct own_list *list = ctx;
    FloApi__ListSearchAttributesResponse__CustomAttributesEntry *entry =
        flo_arena_alloc(list->arena, sizeof *entry);
    char *key = flo_arena_strdup(list->arena, name);
    if (!entry || !key) {
        list->failed = true;
        return;
    }
    flo_api__list_search_attributes_response__custom_attributes_entry__init(entry);
    entry->key = key;
    entry->value = type;
    list->response->custom_attributes[list->response->n_custom_attributes++] = entry;
}

static bool put_custom(const struct flo_route_context *context, const char *namespace_name,
                       struct flo_arena *arena, FloApi__ListSearchAttributesResponse *response)
{
    struct own_list list = {.arena = arena, .response = response};
    flo_core_each_attribute(context->core, namespace_name, count_own, &list);
    response->custom_attributes = flo_arena_calloc(arena, list.count + 1, sizeof(void *));
    if (!response->custom_attributes)
        return false;
    flo_core_each_attribute(context->core, namespace_name, put_own, &list);
    return !list.failed;
}

void flo_route_list_search_attributes(struct flo_route_context *context, const void *message,
                                      struct flo_arena *arena, struct flo_route_answer *answer)
{
    const FloApi__ListSearchAttributesRequest *request = message;
    if (!*request->namespace_) {
        flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT,
                       "Namespace is not set on request.");
        return;
    }
    if (!flo_route_namespace(context, request->namespace_, arena, answer))
        return;
    FloApi__ListSearchAttributesResponse *response = flo_arena_alloc(arena, sizeof *response);
    if (response)
        flo_api__list_search_attributes_response__init(response);
    if (!response || !put_system(arena, response) ||
        !put_custom(context, request->namespace_, arena, response)) {
        flo_route_fail(answer, arena, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine is out of memory");
        return;
    }
    answer->body = &response->base;
}

bool flo_route_healthy(const char *name)
{
    return *name == '\0' || flo_route_service_known(name, strlen(name));
}

static void set_status(const struct flo_route_context *context,
                       Grpc__Health__V1__HealthCheckResponse *response)
{
    grpc__health__v1__health_check_response__init(response);
    response->status = context->draining
                           ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
                           : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
}

void flo_route_health_check(struct flo_route_context *context, const void *request_message,
                            struct flo_arena *arena, struct flo_route_answer *answer)
{
    const Grpc__Health__V1__HealthCheckRequest *request = request_message;
    Grpc__Health__V1__HealthCheckResponse *response = flo_arena_alloc(arena, sizeof *response);
    if (!response) {
        flo_route_fail(answer, arena, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine is out of memory");
        return;
    }
    if (!flo_route_healthy(request->service)) {
        flo_route_fail(answer, arena, FLO_GRPC_NOT_FOUND, "unknown service");
        return;
    }
    set_status(context, response);
    answer->body = &response->base;
}

void flo_route_health_list(struct flo_route_context *context, const void *request,
                           struct flo_arena *arena, struct flo_route_answer *answer)
{
    typedef Grpc__Health__V1__HealthListResponse__StatusesEntry entry_t;
    static const char *const services[] = {"", FLO_WORKFLOW_SERVICE, FLO_OPERATOR_SERVICE,
                                           FLO_HEALTH_SERVICE};
    enum { COUNT = sizeof services / sizeof *services };
    Grpc__Health__V1__HealthListResponse *response = flo_arena_alloc(arena, sizeof *response);
    Grpc__Health__V1__HealthCheckResponse *status = flo_arena_alloc(arena, sizeof *status);
    entry_t *entries = flo_arena_calloc(arena, COUNT, sizeof *entries);
    entry_t **list = flo_arena_calloc(arena, COUNT, sizeof(void *));
    (void)request;
    if (!response || !status || !entries || !list) {
        flo_route_fail(answer, arena, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine is out of memory");
        return;
    }
    set_status(context, status);
    for (size_t i = 0; i < COUNT; i++) {
        grpc__health__v1__health_list_response__statuses_entry__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t)services[i];
        entries[i].value = status;
        list[i] = &entries[i];
    }
    grpc__health__v1__health_list_response__init(response);
    response->statuses = list;
    response->n_statuses = COUNT;
    answer->body = &response->base;
}
