/* SPDX-License-Identifier: Apache-2.0 */
/* operator.c - OperatorService.ListSearchAttributes and grpc.health.v1.Health/Check. */
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

void flo_route_list_search_attributes(struct flo_route_context *context, const void *request,
                                      struct flo_arena *arena, struct flo_route_answer *answer)
{
    size_t count = attribute_count();
    FloApi__ListSearchAttributesResponse *response = flo_arena_alloc(arena, sizeof *response);
    FloApi__ListSearchAttributesResponse__SystemAttributesEntry *entries =
        flo_arena_calloc(arena, count, sizeof *entries);
    FloApi__ListSearchAttributesResponse__SystemAttributesEntry **list =
        flo_arena_calloc(arena, count, sizeof(void *));
    (void)context, (void)request;
    if (!response || !entries || !list) {
        flo_route_fail(answer, arena, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine is out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct flo_search_attribute *attribute = flo_search_attribute_at(i);
        flo_api__list_search_attributes_response__system_attributes_entry__init(&entries[i]);
        entries[i].key = flo_arena_strdup(arena, attribute->name);
        entries[i].value = attribute->type;
        list[i] = &entries[i];
        if (!entries[i].key) {
            flo_route_fail(answer, arena, FLO_GRPC_RESOURCE_EXHAUSTED,
                           "the engine is out of memory");
            return;
        }
    }
    flo_api__list_search_attributes_response__init(response);
    response->system_attributes = list;
    response->n_system_attributes = count;
    answer->body = &response->base;
}

/* Services that the check may be asked about by name; "" is the server as a whole. */
static bool healthy_service(const char *name)
{
    return *name == '\0' || flo_route_service_known(name, strlen(name));
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
    if (!healthy_service(request->service)) {
        flo_route_fail(answer, arena, FLO_GRPC_NOT_FOUND, "unknown service");
        return;
    }
    grpc__health__v1__health_check_response__init(response);
    response->status = context->draining
                           ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
                           : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    answer->body = &response->base;
}
