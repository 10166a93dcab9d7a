/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge.c - calls to a server for a test that is no C program: `kitchen_bridge ADDRESS` reads
 * lines from descriptor 0, a socket, and answers each, in any order:
 *
 *   {"id": 1, "call": "start_workflow_execution", "request": {...}}
 *   {"id": 1, "code": 0, "message": "", "response": {...}}
 *
 * call is one of FLO_CLIENT_CALLS or add_search_attributes, requests and responses are in
 * protobuf's JSON form, code is gRPC's. It ends with the socket.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "client/client.h"
#include "grpc/client.h"
#include "wire/decode.h"
#include "wire/json.h"
#include "wire/payload.h"

struct bridge {
    struct event_base *base;
    struct flo_client *client;
    struct flo_grpc_channel *channel; /* for what the client does not have */
    struct bufferevent *peer;
};

struct call {
    struct bridge *bridge;
    json_int_t id;
};

typedef int (*start_fn)(struct bridge *bridge, const ProtobufCMessage *request, struct call *call);

static void on_done(void *ctx, const struct flo_grpc_status *status,
                    const ProtobufCMessage *response);

#define START(name, rpc, retry, timeout)                                                           \
    static int start_##name(struct bridge *bridge, const ProtobufCMessage *request,                \
                            struct call *call)                                                     \
    {                                                                                              \
        return flo_client_##name(bridge->client, (const FloApi__##rpc##Request *)request, on_done, \
                                 call, NULL);                                                      \
    }
FLO_CLIENT_CALLS(START)

static void on_added(void *ctx, const struct flo_grpc_status *status, const uint8_t *body,
                     size_t len)
{
    (void)body;
    (void)len;
    on_done(ctx, status, NULL);
}

static int start_add_search_attributes(struct bridge *bridge, const ProtobufCMessage *request,
                                       struct call *call)
{
    struct flo_buf body;
    flo_buf_init(&body, 0);
    int rc = flo_wire_encode(request, &body);
    const struct flo_grpc_call_options options = {
        .path = "/temporal.api.operatorservice.v1.OperatorService/AddSearchAttributes",
        .body = body.data,
        .body_len = body.len,
        .timeout_ms = FLO_CLIENT_TIMEOUT_MS,
        .wait_for_ready = true,
        .done = on_added,
        .ctx = call};
    if (rc == 0)
        rc = flo_grpc_call_start(bridge->channel, &options, NULL);
    flo_buf_fini(&body);
    return rc;
}

static const struct {
    const char *name;
    const ProtobufCMessageDescriptor *request;
    start_fn start;
} table[] = {
#define ROW(name, rpc, retry, timeout)                                                             \
    {#name, &flo_api__##name##_request__descriptor, start_##name},
    FLO_CLIENT_CALLS(ROW){"add_search_attributes",
                          &flo_api__add_search_attributes_request__descriptor,
                          start_add_search_attributes}};

static void answer(struct bridge *bridge, json_int_t id, int code, const char *message,
                   json_t *response)
{
    json_t *line = json_pack("{s:I, s:i, s:s, s:o?}", "id", id, "code", code, "message", message,
                             "response", response);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (!text) {
        fprintf(stderr, "kitchen_bridge: no answer to %lld can be made\n", (long long)id);
        abort();
    }
    evbuffer_add_printf(bufferevent_get_output(bridge->peer), "%s\n", text);
    free(text);
    json_decref(line);
}

static void on_done(void *ctx, const struct flo_grpc_status *status,
                    const ProtobufCMessage *response)
{
    struct call *call = ctx;
    answer(call->bridge, call->id, status->code, status->message,
           response ? flo_wire_to_json(response) : NULL);
    flo_free(call);
}

static int start(struct bridge *bridge, const json_t *line, struct flo_err *err)
{
    const char *name = json_string_value(json_object_get(line, "call"));
    struct flo_arena arena;
    ProtobufCMessage *request = NULL;
    size_t i = 0, count = sizeof table / sizeof *table;
    while (i < count && (!name || strcmp(table[i].name, name) != 0))
        i++;
    if (i == count)
        return flo_fail(err, FLO_EINVAL, "there is no call %s", name ? name : "");
    struct call *call = flo_calloc(1, sizeof *call);
    if (!call)
        return flo_fail(err, FLO_ENOMEM, "out of memory");
    *call = (struct call){bridge, json_integer_value(json_object_get(line, "id"))};
    flo_arena_init(&arena, 0);
    int rc = flo_wire_from_json(table[i].request, json_object_get(line, "request"), &arena,
                                &request, err);
    if (rc == 0)
        rc = table[i].start(bridge, request, call);
    flo_arena_fini(&arena);
    if (rc)
        flo_free(call);
    return rc;
}

static void on_read(struct bufferevent *peer, void *ctx)
{
    struct bridge *bridge = ctx;
    char *text;
    size_t len;
    while ((text = evbuffer_readln(bufferevent_get_input(peer), &len, EVBUFFER_EOL_LF))) {
        struct flo_err err = {.message = "out of memory"};
        json_t *line = NULL;
        int rc = flo_json_parse(text, len, &line, &err);
        if (rc == 0)
            rc = start(bridge, line, &err);
        if (rc)
            answer(bridge, json_integer_value(json_object_get(line, "id")), FLO_GRPC_INTERNAL,
                   err.message, NULL);
        json_decref(line);
        free(text);
    }
}

static void on_event(struct bufferevent *peer, short what, void *ctx)
{
    struct bridge *bridge = ctx;
    (void)peer;
    (void)what;
    event_base_loopbreak(bridge->base);
}

int main(int argc, char **argv)
{
    struct bridge bridge = {0};
    struct flo_err err = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: kitchen_bridge ADDRESS <SOCKET\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    json_object_seed(0);
    const struct flo_client_options options = {
        .channel = {.address = argv[1]}, .namespace_ = "default", .identity = "kitchen"};
    bridge.base = event_base_new();
    if (!bridge.base || flo_client_new(bridge.base, &options, &bridge.client, &err) ||
        flo_grpc_channel_new(bridge.base, &options.channel, &bridge.channel, &err)) {
        fprintf(stderr, "kitchen_bridge: %s\n", err.message);
        return 70;
    }
    evutil_make_socket_nonblocking(0);
    bridge.peer = bufferevent_socket_new(bridge.base, 0, 0);
    bufferevent_setcb(bridge.peer, on_read, NULL, on_event, &bridge);
    bufferevent_enable(bridge.peer, EV_READ | EV_WRITE);
    event_base_dispatch(bridge.base);
    bufferevent_free(bridge.peer);
    flo_client_destroy(&bridge.client);
    flo_grpc_channel_destroy(&bridge.channel);
    event_base_free(bridge.base);
    return 0;
}
