/* SPDX-License-Identifier: Apache-2.0 */
/* streams.c - Health/Watch and server reflection. */
#include "engine/streams.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/rpc/reflection.h"
#include "engine/rpc/routes.h"
#include "engine/shell_internal.h"
#include "wire/decode.h"

#define WATCH_PATH "/" FLO_HEALTH_SERVICE "/Watch"
#define REFLECTION_V1 "grpc.reflection.v1.ServerReflection"
#define REFLECTION_V1ALPHA "grpc.reflection.v1alpha.ServerReflection"
#define REFLECTION_METHOD "ServerReflectionInfo"

enum {
    METHODS_MAX = 256,
    REQUEST_MAX_BYTES = 16 << 10, /* of reflection, whose answers repeat it */
};

struct stream {
    struct flo_node node; /* in flo_streams.open */
    struct flo_grpc_server_call *call;
    const char *method; /* static, for the figures */
    bool watches;       /* the health; else it is reflection */
};

void flo_streams_init(struct flo_streams *streams)
{
    flo_list_init(&streams->open);
    streams->reflection = NULL;
}

void flo_streams_fini(struct flo_streams *streams)
{
    struct flo_node *node;
    while ((node = flo_list_pop_front(&streams->open)))
        flo_free(flo_container(node, struct stream, node));
    flo_reflection_destroy(&streams->reflection);
}

/* ---- what both have in common ---- */

static struct stream *find(struct flo_shell *shell, const struct flo_grpc_server_call *call)
{
    FLO_LIST_FOREACH(node, &shell->streams.open)
    {
        struct stream *stream = flo_container(node, struct stream, node);
        if (stream->call == call)
            return stream;
    }
    return NULL;
}

/* Forget the stream, which ended with code. */
static void forget(struct flo_shell *shell, struct stream *stream, int code)
{
    flo_series_inc(flo_metrics_get(shell->metrics, FLO_METRIC_ENGINE_CALLS, stream->method,
                                   flo_grpc_code_name(code), NULL));
    flo_list_remove(&shell->streams.open, &stream->node);
    flo_free(stream);
}

static void refuse(struct flo_grpc_server_call *call, int code, const char *message)
{
    flo_grpc_respond_error(call, code, message, NULL, 0, NULL, 0);
}

/* End the stream with an error. */
static void fail(struct flo_shell *shell, struct stream *stream, int code, const char *message)
{
    struct flo_grpc_server_call *call = stream->call;
    forget(shell, stream, code);
    refuse(call, code, message);
}

/* Take the call as an open stream; NULL: it was refused. */
static struct stream *open_stream(struct flo_shell *shell, struct flo_grpc_server_call *call,
                                  const char *method, bool watches)
{
    if (shell->state != FLO_SHELL_SERVING) {
        refuse(call, FLO_GRPC_UNAVAILABLE, "the engine is shutting down");
        return NULL;
    }
    struct stream *stream =
        shell->streams.open.count < FLO_STREAMS_MAX ? flo_calloc(1, sizeof *stream) : NULL;
    if (!stream) {
        flo_shell_on_reject(shell, "engine.streams");
        refuse(call, FLO_GRPC_RESOURCE_EXHAUSTED, "too many streams are open");
        return NULL;
    }
    stream->call = call;
    stream->method = method;
    stream->watches = watches;
    flo_list_push_back(&shell->streams.open, &stream->node);
    flo_grpc_server_call_set_user(call, FLO_STREAM_USER);
    return stream;
}

/* Send one message. False: the stream is gone. */
static bool tell(struct flo_shell *shell, struct stream *stream, const ProtobufCMessage *message)
{
    struct flo_buf body;
    flo_buf_init(&body, 0);
    int rc = flo_wire_encode(message, &body);
    if (rc)
        fail(shell, stream, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine is out of memory");
    else
        rc = flo_grpc_stream(stream->call, body.data, body.len);
    if (rc == FLO_EFULL)
        fail(shell, stream, FLO_GRPC_RESOURCE_EXHAUSTED, "the answers are not taken");
    else if (rc && find(shell, stream->call) == stream)
        forget(shell, stream, FLO_GRPC_INTERNAL);
    flo_buf_fini(&body);
    return !rc;
}

void flo_streams_cancel(struct flo_shell *shell, struct flo_grpc_server_call *call)
{
    struct stream *stream = find(shell, call);
    if (stream)
        forget(shell, stream, FLO_GRPC_CANCELLED);
}

/* ---- the health ---- */

static bool tell_health(struct flo_shell *shell, struct stream *stream, int status)
{
    Grpc__Health__V1__HealthCheckResponse response;
    grpc__health__v1__health_check_response__init(&response);
    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
    return tell(shell, stream, &response.base);
}

bool flo_streams_watch(struct flo_shell *shell, struct flo_grpc_server_call *call, const char *path,
                       const uint8_t *body, size_t len)
{
    ProtobufCMessage *message;
    struct flo_err err;
    if (strcmp(path, WATCH_PATH) != 0)
        return false;
    flo_arena_reset(&shell->arena);
    shell->arena.budget_bytes = flo_wire_budget(len);
    if (flo_wire_decode(&grpc__health__v1__health_check_request__descriptor, body, len,
                        &shell->arena, &message, &err)) {
        flo_shell_on_reject(shell, "grpc.bad_request");
        refuse(call, FLO_GRPC_INTERNAL, err.message);
        return true;
    }
    const char *service = ((const Grpc__Health__V1__HealthCheckRequest *)message)->service;
    struct stream *stream = open_stream(shell, call, "Watch", true);
    if (stream) /* what is not known now may be served by the next version: the watch goes on */
        tell_health(shell, stream,
                    flo_route_healthy(service)
                        ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                        : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN);
    return true;
}

/* ---- reflection ---- */

/* Everything that is served, service by service. */
struct method_list {
    struct flo_reflection_method methods[METHODS_MAX];
    size_t count;
};

static void add(struct method_list *list, const char *service, const char *name,
                const ProtobufCMessageDescriptor *request)
{
    if (request && list->count < METHODS_MAX)
        list->methods[list->count++] = (struct flo_reflection_method){
            .service = service, .name = name, .request = request->name};
}

/* The methods of the core and of the shell's table that belong to service. */
static void add_service(struct method_list *list, const char *service)
{
    const char *name;
    const struct flo_route *route;
    for (size_t i = 0; (name = flo_core_method_at(i)); i++)
        if (flo_route_is_cores(service, strlen(service), name))
            add(list, service, name, flo_core_method(name));
    for (size_t i = 0; (route = flo_route_at(i)); i++)
        if (strcmp(route->service, service) == 0)
            add(list, service, route->method, route->request);
}

static void add_test_service(struct method_list *list)
{
    static const struct {
        const char *name, *response;
    } methods[] = {
        {"LockTimeSkipping", NULL},
        {"UnlockTimeSkipping", NULL},
        {"Sleep", NULL},
        {"SleepUntil", "temporal.api.testservice.v1.SleepResponse"},
        {"UnlockTimeSkippingWithSleep", NULL},
        {"GetCurrentTime", "temporal.api.testservice.v1.GetCurrentTimeResponse"},
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        size_t before = list->count;
        add(list, FLO_TEST_SERVICE, methods[i].name, flo_skip_method(methods[i].name));
        if (list->count > before)
            list->methods[before].response = methods[i].response;
    }
}

static void add_streams(struct method_list *list)
{
    const ProtobufCMessageDescriptor *request =
        &grpc__reflection__v1__server_reflection_request__descriptor;
    add(list, FLO_HEALTH_SERVICE, "Watch", &grpc__health__v1__health_check_request__descriptor);
    list->methods[list->count - 1].server_streams = true;
    list->methods[list->count - 1].response = "grpc.health.v1.HealthCheckResponse";
    static const char *const services[] = {REFLECTION_V1, REFLECTION_V1ALPHA};
    static const char *const requests[] = {"grpc.reflection.v1.ServerReflectionRequest",
                                           "grpc.reflection.v1alpha.ServerReflectionRequest"};
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        add(list, services[i], REFLECTION_METHOD, request);
        list->methods[list->count - 1].request = requests[i];
        list->methods[list->count - 1].client_streams = true;
        list->methods[list->count - 1].server_streams = true;
    }
}

static int make_reflection(struct flo_shell *shell)
{
    struct method_list *list = flo_calloc(1, sizeof *list);
    if (!list)
        return FLO_ENOMEM;
    add_service(list, FLO_WORKFLOW_SERVICE);
    add_service(list, FLO_OPERATOR_SERVICE);
    if (shell->skip.on)
        add_test_service(list);
    add_service(list, FLO_HEALTH_SERVICE);
    add_streams(list);
    int rc = flo_reflection_new(list->methods, list->count, &shell->streams.reflection);
    flo_free(list);
    return rc;
}

bool flo_streams_on_stream(void *ctx, struct flo_grpc_server_call *call, const char *path)
{
    struct flo_shell *shell = ctx;
    if (strncmp(path, "/grpc.reflection.", strlen("/grpc.reflection.")) != 0 ||
        (strcmp(path, "/" REFLECTION_V1 "/" REFLECTION_METHOD) != 0 &&
         strcmp(path, "/" REFLECTION_V1ALPHA "/" REFLECTION_METHOD) != 0))
        return false;
    if (shell->gate && !flo_gate_knows(shell->gate, call, FLO_GATE_ANY_KEY))
        return true;
    struct stream *stream = open_stream(shell, call, REFLECTION_METHOD, false);
    if (stream && !shell->streams.reflection && make_reflection(shell))
        fail(shell, stream, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine is out of memory");
    return true;
}

void flo_streams_on_message(void *ctx, struct flo_grpc_server_call *call, const uint8_t *body,
                            size_t len)
{
    struct flo_shell *shell = ctx;
    struct stream *stream = find(shell, call);
    ProtobufCMessage *request;
    struct flo_err err;
    if (!stream)
        return;
    if (len > REQUEST_MAX_BYTES) {
        flo_shell_on_reject(shell, "grpc.bad_request");
        fail(shell, stream, FLO_GRPC_RESOURCE_EXHAUSTED, "a request is larger than 16 KiB");
        return;
    }
    flo_arena_reset(&shell->arena);
    shell->arena.budget_bytes = flo_wire_budget(len);
    if (flo_wire_decode(&grpc__reflection__v1__server_reflection_request__descriptor, body, len,
                        &shell->arena, &request, &err)) {
        flo_shell_on_reject(shell, "grpc.bad_request");
        fail(shell, stream, FLO_GRPC_INTERNAL, err.message);
        return;
    }
    shell->arena.budget_bytes = 0;
    const Grpc__Reflection__V1__ServerReflectionResponse *answer = flo_reflection_answer(
        shell->streams.reflection, (Grpc__Reflection__V1__ServerReflectionRequest *)request,
        &shell->arena);
    if (answer)
        tell(shell, stream, &answer->base);
    else
        fail(shell, stream, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine is out of memory");
}

void flo_streams_on_half_close(void *ctx, struct flo_grpc_server_call *call)
{
    struct flo_shell *shell = ctx;
    struct stream *stream = find(shell, call);
    if (!stream)
        return;
    forget(shell, stream, FLO_GRPC_OK);
    flo_grpc_stream_end(call);
}

/* ---- the end ---- */

void flo_streams_end(struct flo_shell *shell)
{
    struct flo_node *node;
    while ((node = flo_list_first(&shell->streams.open))) {
        struct stream *stream = flo_container(node, struct stream, node);
        if (!stream->watches ||
            tell_health(shell, stream,
                        GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING))
            fail(shell, stream, FLO_GRPC_UNAVAILABLE, "the engine is shutting down");
    }
}
