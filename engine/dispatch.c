/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.c - from a path and bytes to a served call: the core's, one of the shell's own
 * (rpc/routes.h), or UNIMPLEMENTED, which SDKs use to find out what a server can do.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/rpc/routes.h"
#include "engine/shell_internal.h"
#include "telemetry/log.h"
#include "wire/decode.h"

/* Paths in answers and logs are cut to this. */
#define PATH_SHOWN 256

static void refuse(struct flo_grpc_server_call *call, int code, const char *message)
{
    flo_grpc_respond_error(call, code, message, NULL, 0, NULL, 0);
}

static bool is_test_service(const char *service, size_t len)
{
    return strlen(FLO_TEST_SERVICE) == len && memcmp(service, FLO_TEST_SERVICE, len) == 0;
}

/* method NULL: the path has none. */
static void refuse_unknown(struct flo_shell *shell, struct flo_grpc_server_call *call,
                           const char *service, size_t service_len, const char *method)
{
    const char *message =
        !method
            ? flo_arena_printf(&shell->arena, "malformed method name: \"/%.*s\"",
                               service_len < PATH_SHOWN ? (int)service_len : PATH_SHOWN, service)
        : flo_route_service_known(service, service_len) ||
                (shell->skip.on && is_test_service(service, service_len))
            ? flo_arena_printf(&shell->arena, "unknown method %.*s for service %.*s", PATH_SHOWN,
                               method, (int)service_len, service)
            : flo_arena_printf(&shell->arena, "unknown service %.*s",
                               service_len < PATH_SHOWN ? (int)service_len : PATH_SHOWN, service);
    refuse(call, FLO_GRPC_UNIMPLEMENTED, message ? message : "unknown method");
}

static bool only_reads(const char *method)
{
    static const char *const prefixes[] = {"Get",  "Describe", "List", "Count",
                                           "Scan", "Check",    "Query"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(method, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static int code_of_decode_error(int error)
{
    switch (error) {
    case FLO_EINVAL:
        return FLO_GRPC_INVALID_ARGUMENT;
    case FLO_ELIMIT:
    case FLO_ENOMEM:
        return FLO_GRPC_RESOURCE_EXHAUSTED;
    default:
        return FLO_GRPC_INTERNAL;
    }
}

/* Is feature in the comma-separated list? */
static bool has_feature(const char *list, const char *feature)
{
    size_t len = strlen(feature);
    for (const char *at = list; at && *at; at = strchr(at, ',')) {
        at += strspn(at, ", ");
        if (strncmp(at, feature, len) == 0 && (at[len] == '\0' || at[len] == ','))
            return true;
    }
    return false;
}

static void call_core(struct flo_shell *shell, struct flo_grpc_server_call *call, uint64_t id,
                      const char *method, const ProtobufCMessage *request)
{
    const char *client = flo_grpc_server_call_header(call, "client-name");
    int64_t deadline = flo_grpc_server_call_deadline(call);
    struct flo_core_call_info info = {
        .id = id,
        .deadline_ns = deadline == INT64_MAX ? INT64_MAX
                                             : deadline - shell->mono_base_ns + shell->wall_base_ns,
        .client_name = client ? client : "",
        .follows_next_run_id = has_feature(flo_grpc_server_call_header(call, "supported-features"),
                                           "follows-next-run-id"),
    };
    flo_core_call(shell->core, method, &info, request);
}

static void call_route(struct flo_shell *shell, uint64_t id, const struct flo_route *route,
                       const ProtobufCMessage *request)
{
    struct flo_route_context context = {
        .core = shell->core,
        .store = shell->store,
        .now_ns = flo_shell_now(shell),
        .draining = shell->state != FLO_SHELL_SERVING,
    };
    struct flo_route_answer answer = {.code = FLO_GRPC_OK};
    shell->arena.budget_bytes = 0; /* that was the request's; the page size bounds the answer */
    route->serve(&context, request, &shell->arena, &answer);
    flo_calls_reply(&shell->calls, &(struct flo_core_reply){
                                       .call = id,
                                       .code = answer.code,
                                       .body = answer.body,
                                       .message = answer.message,
                                       .detail = answer.detail,
                                   });
}

static const struct flo_served *find_served(const struct flo_shell *shell, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < shell->served_count; i++)
        if (shell->served[i].path_len == len && memcmp(shell->served[i].path, path, len) == 0)
            return &shell->served[i];
    return NULL;
}

/* Find out what serves the path and remember it. NULL: nothing does, and the call is refused. */
static const struct flo_served *add_served(struct flo_shell *shell,
                                           struct flo_grpc_server_call *call, const char *path)
{
    const char *service = *path == '/' ? path + 1 : path;
    const char *slash = strrchr(service, '/');
    size_t service_len = slash ? (size_t)(slash - service) : strlen(service);
    const char *name = slash ? slash + 1 : "";
    const struct flo_route *route = flo_route_find(service, service_len, name);
    const ProtobufCMessageDescriptor *request = route ? route->request : NULL;

    const bool test_service = shell->skip.on && is_test_service(service, service_len);

    if (test_service)
        request = flo_skip_method(name);
    else if (!route && flo_route_is_cores(service, service_len, name))
        request = flo_core_method(name);
    if (!request) {
        refuse_unknown(shell, call, service, service_len, slash ? name : NULL);
        return NULL;
    }
    struct flo_call_method *method = flo_calls_method(&shell->calls, name);
    char *copy = method && shell->served_count < FLO_SERVED_MAX ? flo_strdup(path) : NULL;
    if (!copy) {
        refuse(call, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine is out of memory");
        return NULL;
    }
    struct flo_served *served = &shell->served[shell->served_count++];
    *served = (struct flo_served){.path = copy,
                                  .path_len = strlen(copy),
                                  .route = route,
                                  .test_service = test_service,
                                  .request = request,
                                  .method = method,
                                  .gate = flo_gate_method(service, service_len, name, request),
                                  .only_reads = only_reads(name)};
    return served;
}

void flo_shell_served_fini(struct flo_shell *shell)
{
    while (shell->served_count > 0)
        flo_free(shell->served[--shell->served_count].path);
}

/* May the call be served? Else it is answered. */
static bool admit(struct flo_shell *shell, const struct flo_served *served,
                  const ProtobufCMessage *request, uint64_t id)
{
    struct flo_core_reply refusal;
    unsigned *open;
    if (flo_gate_admits(shell->gate, &served->gate, request, &shell->arena, &refusal, &open)) {
        if (open)
            flo_calls_count(&shell->calls, id, open);
        return true;
    }
    refusal.call = id;
    flo_calls_reply(&shell->calls, &refusal);
    return false;
}

void flo_shell_on_call(void *ctx, struct flo_grpc_server_call *call, const char *path,
                       const uint8_t *body, size_t len)
{
    struct flo_shell *shell = ctx;
    ProtobufCMessage *request;
    struct flo_err err;

    flo_arena_reset(&shell->arena);
    shell->arena.budget_bytes = flo_wire_budget(len);
    const struct flo_served *served = find_served(shell, path);
    if (!served && flo_streams_watch(shell, call, path, body, len))
        return;
    if (!served)
        served = add_served(shell, call, path);
    if (!served || (shell->gate && !flo_gate_knows(shell->gate, call, served->gate.policy)))
        return;
    if (shell->state != FLO_SHELL_SERVING && served->gate.policy != FLO_GATE_ANYONE) {
        refuse(call, FLO_GRPC_UNAVAILABLE, "the engine is shutting down");
        return;
    }
    if (shell->stalled && !served->only_reads) {
        flo_shell_on_reject(shell, "engine.disk_full");
        refuse(call, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine's disk is full");
        return;
    }
    if (flo_calls_full(&shell->calls) && !served->only_reads) {
        flo_shell_on_reject(shell, "engine.commit_behind");
        refuse(call, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine's disk does not keep up");
        return;
    }
    int rc = flo_wire_decode(served->request, body, len, &shell->arena, &request, &err);
    if (rc) {
        flo_shell_on_reject(shell, "grpc.bad_request");
        refuse(call, code_of_decode_error(rc), err.message);
        return;
    }
    shell->arena.budget_bytes = 0; /* it bounds what a request may unfold to, not the answer */
    uint64_t id = flo_calls_add(&shell->calls, call, served->method, len);
    if (!id) {
        refuse(call, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine is out of memory");
        return;
    }
    if (shell->gate && !admit(shell, served, request, id))
        return;
    flo_core_begin(shell->core, flo_shell_now(shell));
    if (served->test_service)
        flo_skip_call(shell, id, served->method->name, request);
    else if (served->route)
        call_route(shell, id, served->route, request);
    else
        call_core(shell, call, id, served->method->name, request);
}

void flo_shell_on_cancel(void *ctx, struct flo_grpc_server_call *call)
{
    struct flo_shell *shell = ctx;
    uint64_t id = flo_grpc_server_call_user(call);
    if (id == FLO_STREAM_USER)
        flo_streams_cancel(shell, call);
    if (id <= FLO_STREAM_USER)
        return;
    flo_calls_forget(&shell->calls, id);
    flo_skip_cancel(shell, id);
    flo_core_begin(shell->core, flo_shell_now(shell));
    flo_core_cancel_call(shell->core, id);
}

void flo_shell_on_reject(void *ctx, const char *reason)
{
    struct flo_shell *shell = ctx;
    flo_series_inc(flo_metrics_get(shell->metrics, FLO_METRIC_REJECTS, reason, NULL));
}
