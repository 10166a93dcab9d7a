/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate.c - API keys and limits in front of the calls.
 *
 * Texts, codes and details are the real server's; it has one code for all that is not allowed,
 * PERMISSION_DENIED, while here a key that nobody has is UNAUTHENTICATED, as Temporal's cloud
 * answers it.
 */
#include "engine/gate.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/rpc/routes.h"
#include "engine/skip.h"
#include "telemetry/log.h"

#define UNAUTHORIZED "Request unauthorized."
/* How often the file is looked at. */
enum { LOOK_S = 2 };

struct flo_gate {
    struct flo_gate_options opt;
    struct flo_access *access; /* NULL: everybody may */
    struct flo_limits *limits; /* NULL: none */
    struct event *hangup, *look;
};

/* ---- the file changes ---- */

static void reload(struct flo_gate *gate)
{
    struct flo_err err = {0};
    char count[24];
    if (flo_access_reload(gate->access, &err)) {
        flo_log(FLO_LOG_ERROR, "access.keys_refused",
                "The API keys cannot be read again: those of before stay", "error", err.message,
                NULL);
        return;
    }
    snprintf(count, sizeof count, "%zu", flo_access_count(gate->access));
    flo_log(FLO_LOG_INFO, "access.keys_read", "The API keys were read again", "keys", count, NULL);
}

static void on_hangup(evutil_socket_t number, short what, void *ctx)
{
    (void)number, (void)what;
    reload(ctx);
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_gate *gate = ctx;
    (void)fd, (void)what;
    if (flo_access_changed(gate->access))
        reload(gate);
}

static int watch(struct flo_gate *gate, struct event_base *base)
{
    struct timeval every = {.tv_sec = LOOK_S};
    gate->hangup = evsignal_new(base, SIGHUP, on_hangup, gate);
    gate->look = event_new(base, -1, EV_PERSIST, on_look, gate);
    return gate->hangup && gate->look && !event_add(gate->hangup, NULL) &&
                   !event_add(gate->look, &every)
               ? 0
               : FLO_ENOMEM;
}

int flo_gate_new(struct event_base *base, const struct flo_gate_options *options,
                 struct flo_gate **out_gate, struct flo_err *err)
{
    const bool limited = options->limits.rps > 0 || options->limits.concurrent > 0;
    *out_gate = NULL;
    if (!options->keys_file && !limited)
        return 0;
    struct flo_gate *gate = flo_calloc(1, sizeof *gate);
    int rc = gate ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for the gate");
    if (gate)
        gate->opt = *options;
    if (!rc && options->keys_file)
        rc = flo_access_new(options->keys_file, &gate->access, err);
    if (!rc && options->keys_file && watch(gate, base))
        rc = flo_fail(err, FLO_ENOMEM, "cannot watch the API keys");
    if (!rc && limited && flo_limits_new(&options->limits, &gate->limits))
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the limits");
    if (rc)
        flo_gate_destroy(&gate);
    else
        *out_gate = gate;
    return rc;
}

void flo_gate_destroy(struct flo_gate **gate)
{
    struct flo_gate *self = *gate;
    *gate = NULL;
    if (!self)
        return;
    if (self->hangup)
        event_free(self->hangup);
    if (self->look)
        event_free(self->look);
    flo_access_destroy(&self->access);
    flo_limits_destroy(&self->limits);
    flo_free(self);
}

/* ---- what a method wants ---- */

static bool one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_service(const char *service, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(service, name, len) == 0;
}

static enum flo_gate_policy policy_of(const char *service, size_t service_len, const char *name,
                                      bool has_namespace)
{
    static const char *const about_all[] = {"ListNamespaces", "RegisterNamespace",
                                            "UpdateNamespace", "DeprecateNamespace"};
    if (is_service(service, service_len, FLO_HEALTH_SERVICE) || strcmp(name, "GetSystemInfo") == 0)
        return FLO_GATE_ANYONE;
    if (is_service(service, service_len, FLO_TEST_SERVICE) ||
        one_of(name, about_all, sizeof about_all / sizeof *about_all))
        return FLO_GATE_ENGINE;
    if (is_service(service, service_len, FLO_OPERATOR_SERVICE) &&
        strcmp(name, "ListSearchAttributes") != 0)
        return FLO_GATE_ENGINE;
    return has_namespace ? FLO_GATE_NAMESPACE : FLO_GATE_ANY_KEY;
}

struct flo_gate_method flo_gate_method(const char *service, size_t service_len, const char *name,
                                       const ProtobufCMessageDescriptor *request)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(request, "namespace");
    const bool has_namespace = field && field->type == PROTOBUF_C_TYPE_STRING;
    return (struct flo_gate_method){
        .policy = policy_of(service, service_len, name, has_namespace),
        .kind = flo_limits_kind(name),
        .namespace_offset = has_namespace ? field->offset : 0,
    };
}

/* ---- a call ---- */

static const char *namespace_of(const struct flo_gate_method *method,
                                const ProtobufCMessage *request)
{
    const char *name = NULL;
    if (method->namespace_offset)
        memcpy(&name, (const char *)request + method->namespace_offset, sizeof name);
    return name ? name : "";
}

bool flo_gate_knows(struct flo_gate *gate, struct flo_grpc_server_call *call,
                    enum flo_gate_policy policy)
{
    if (!gate->access || policy == FLO_GATE_ANYONE ||
        flo_access_identify(gate->access, flo_grpc_server_call_header(call, "authorization")))
        return true;
    gate->opt.on_reject(gate->opt.ctx, "access.key");
    flo_grpc_respond_error(call, FLO_GRPC_UNAUTHENTICATED, UNAUTHORIZED, NULL, 0, NULL, 0);
    return false;
}

static void refuse_access(struct flo_gate *gate, struct flo_arena *arena,
                          struct flo_core_reply *out_refusal)
{
    FloApi__PermissionDeniedFailure *detail = flo_arena_alloc(arena, sizeof *detail);
    if (detail)
        flo_api__permission_denied_failure__init(detail);
    gate->opt.on_reject(gate->opt.ctx, "access.namespace");
    *out_refusal = (struct flo_core_reply){.code = FLO_GRPC_PERMISSION_DENIED,
                                           .message = UNAUTHORIZED,
                                           .detail = detail ? &detail->base : NULL};
}

static void refuse_load(struct flo_gate *gate, enum flo_limits_verdict verdict,
                        struct flo_arena *arena, struct flo_core_reply *out_refusal)
{
    const bool rate = verdict == FLO_LIMITS_RATE;
    FloApi__ResourceExhaustedFailure *detail = flo_arena_alloc(arena, sizeof *detail);
    if (detail) {
        flo_api__resource_exhausted_failure__init(detail);
        detail->cause =
            rate ? FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT
                 : FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT;
        detail->scope = FLO_API__RESOURCE_EXHAUSTED_SCOPE__RESOURCE_EXHAUSTED_SCOPE_NAMESPACE;
    }
    gate->opt.on_reject(gate->opt.ctx,
                        rate ? "limit.namespace_rate" : "limit.namespace_concurrent");
    *out_refusal =
        (struct flo_core_reply){.code = FLO_GRPC_RESOURCE_EXHAUSTED,
                                .message = rate ? "namespace rate limit exceeded"
                                                : "namespace concurrent poller limit exceeded",
                                .detail = detail ? &detail->base : NULL};
}

static enum flo_limits_long kind_of(const struct flo_gate_method *method,
                                    const ProtobufCMessage *request)
{
    if (method->kind != FLO_LIMITS_GetWorkflowExecutionHistory)
        return method->kind;
    return ((const FloApi__GetWorkflowExecutionHistoryRequest *)request)->wait_new_event
               ? method->kind
               : FLO_LIMITS_SHORT;
}

bool flo_gate_admits(struct flo_gate *gate, const struct flo_gate_method *method,
                     const ProtobufCMessage *request, struct flo_arena *arena,
                     struct flo_core_reply *out_refusal, unsigned **out_open)
{
    const char *name = namespace_of(method, request);
    const bool engine = method->policy == FLO_GATE_ENGINE;
    *out_open = NULL;
    if (gate->access && method->policy >= FLO_GATE_NAMESPACE &&
        !flo_access_may(gate->access, engine ? FLO_ACCESS_ALL : name)) {
        refuse_access(gate, arena, out_refusal);
        return false;
    }
    if (!gate->limits || !*name)
        return true;
    enum flo_limits_verdict verdict = flo_limits_begin(gate->limits, name, kind_of(method, request),
                                                       flo_clock_mono_ns(), out_open);
    if (verdict == FLO_LIMITS_SERVE)
        return true;
    refuse_load(gate, verdict, arena, out_refusal);
    return false;
}
