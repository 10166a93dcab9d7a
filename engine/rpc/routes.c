/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - the table of the shell's own calls. */
#include "engine/rpc/routes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "grpc/status.h"

static const struct flo_route routes[] = {
    {FLO_WORKFLOW_SERVICE, "ListWorkflowExecutions",
     &flo_api__list_workflow_executions_request__descriptor, flo_route_list},
    {FLO_WORKFLOW_SERVICE, "ScanWorkflowExecutions",
     &flo_api__scan_workflow_executions_request__descriptor, flo_route_scan},
    {FLO_WORKFLOW_SERVICE, "ListOpenWorkflowExecutions",
     &flo_api__list_open_workflow_executions_request__descriptor, flo_route_list_open},
    {FLO_WORKFLOW_SERVICE, "ListClosedWorkflowExecutions",
     &flo_api__list_closed_workflow_executions_request__descriptor, flo_route_list_closed},
    {FLO_WORKFLOW_SERVICE, "CountWorkflowExecutions",
     &flo_api__count_workflow_executions_request__descriptor, flo_route_count},
    {FLO_WORKFLOW_SERVICE, "ListWorkers", &flo_api__list_workers_request__descriptor,
     flo_route_list_workers},
    {FLO_WORKFLOW_SERVICE, "ListSchedules", &flo_api__list_schedules_request__descriptor,
     flo_route_list_schedules},
    {FLO_OPERATOR_SERVICE, "ListSearchAttributes",
     &flo_api__list_search_attributes_request__descriptor, flo_route_list_search_attributes},
    {FLO_HEALTH_SERVICE, "Check", &grpc__health__v1__health_check_request__descriptor,
     flo_route_health_check},
    {FLO_HEALTH_SERVICE, "List", &grpc__health__v1__health_list_request__descriptor,
     flo_route_health_list},
};

static bool is_service(const char *name, const char *service, size_t len)
{
    return strlen(name) == len && memcmp(name, service, len) == 0;
}

const struct flo_route *flo_route_find(const char *service, size_t service_len, const char *method)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (strcmp(routes[i].method, method) == 0 &&
            is_service(routes[i].service, service, service_len))
            return &routes[i];
    return NULL;
}

const struct flo_route *flo_route_at(size_t i)
{
    return i < sizeof routes / sizeof *routes ? &routes[i] : NULL;
}

bool flo_route_is_cores(const char *service, size_t service_len, const char *method)
{
    const bool operators =
        strcmp(method, "AddSearchAttributes") == 0 || strcmp(method, "RemoveSearchAttributes") == 0;
    return is_service(operators ? FLO_OPERATOR_SERVICE : FLO_WORKFLOW_SERVICE, service,
                      service_len);
}

bool flo_route_service_known(const char *service, size_t service_len)
{
    return is_service(FLO_WORKFLOW_SERVICE, service, service_len) ||
           is_service(FLO_OPERATOR_SERVICE, service, service_len) ||
           is_service(FLO_HEALTH_SERVICE, service, service_len);
}

void flo_route_fail(struct flo_route_answer *answer, struct flo_arena *arena, int code,
                    const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *copy = flo_arena_strdup(arena, text);
    *answer = (struct flo_route_answer){.code = code,
                                        .message = copy ? copy : "the engine is out of memory"};
}
