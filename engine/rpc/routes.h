/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes.h - the calls that the shell serves itself, not the core: lists and counts (they read the
 * store), the operator's list of search attributes, the health check. Each is a function from a
 * request to an answer; memory is the arena's.
 */
#ifndef FLO_ENGINE_RPC_ROUTES_H
#define FLO_ENGINE_RPC_ROUTES_H

#include "base/arena.h"
#include "engine/core/core.h"
#include "engine/store/store.h"
#include "wire/api.h"

struct flo_route_context {
    struct flo_core *core;
    struct flo_store *store;
    int64_t now_ns; /* wall clock */
    bool draining;  /* the health check says so */
};

/* An answer; starts as OK without a body. */
struct flo_route_answer {
    int code;
    const ProtobufCMessage *body;
    const char *message;
    const ProtobufCMessage *detail;
};

typedef void (*flo_route_fn)(struct flo_route_context *context, const void *request,
                             struct flo_arena *arena, struct flo_route_answer *answer);

struct flo_route {
    const char *service, *method;
    const ProtobufCMessageDescriptor *request;
    flo_route_fn serve;
};

/* The route of "/service/method", or NULL. */
const struct flo_route *flo_route_find(const char *service, size_t service_len, const char *method);
/* The routes one by one; NULL past the last. */
const struct flo_route *flo_route_at(size_t i);
/* Is "/service/method", without a route, a call for the core (flo_core_method)? */
bool flo_route_is_cores(const char *service, size_t service_len, const char *method);
/* Is it a service that we have methods of? */
bool flo_route_service_known(const char *service, size_t service_len);

#define FLO_WORKFLOW_SERVICE "temporal.api.workflowservice.v1.WorkflowService"
#define FLO_OPERATOR_SERVICE "temporal.api.operatorservice.v1.OperatorService"
#define FLO_HEALTH_SERVICE "grpc.health.v1.Health"

/* The id of a namespace that a request names; NULL: answer holds the error. */
const char *flo_route_namespace(struct flo_route_context *context, const char *name,
                                struct flo_arena *arena, struct flo_route_answer *answer);
void flo_route_out_of_memory(struct flo_route_answer *answer);
/* Fill answer with an error; the sentence is made in arena. */
void flo_route_fail(struct flo_route_answer *answer, struct flo_arena *arena, int code,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* visibility.c */
void flo_route_list(struct flo_route_context *context, const void *request, struct flo_arena *arena,
                    struct flo_route_answer *answer);
void flo_route_scan(struct flo_route_context *context, const void *request, struct flo_arena *arena,
                    struct flo_route_answer *answer);
void flo_route_list_open(struct flo_route_context *context, const void *request,
                         struct flo_arena *arena, struct flo_route_answer *answer);
void flo_route_list_closed(struct flo_route_context *context, const void *request,
                           struct flo_arena *arena, struct flo_route_answer *answer);
void flo_route_count(struct flo_route_context *context, const void *request,
                     struct flo_arena *arena, struct flo_route_answer *answer);
/* schedules.c */
void flo_route_list_schedules(struct flo_route_context *context, const void *request,
                              struct flo_arena *arena, struct flo_route_answer *answer);
/* workers.c */
void flo_route_list_workers(struct flo_route_context *context, const void *request,
                            struct flo_arena *arena, struct flo_route_answer *answer);
/* operator.c */
void flo_route_list_search_attributes(struct flo_route_context *context, const void *request,
                                      struct flo_arena *arena, struct flo_route_answer *answer);
/* May the health check be asked about it by name ("": the engine as a whole)? */
bool flo_route_healthy(const char *service);
void flo_route_health_list(struct flo_route_context *context, const void *request,
                           struct flo_arena *arena, struct flo_route_answer *answer);
void flo_route_health_check(struct flo_route_context *context, const void *request,
                            struct flo_arena *arena, struct flo_route_answer *answer);

#endif
