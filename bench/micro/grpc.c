/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.c - unary calls over a loopback connection, client and server on one loop: one call after
 * the other, and rounds of 50 that leave and come back together.
 */
#include <event2/event.h>

#include "grpc/client.h"
#include "grpc/server.h"
#include "micro.h"

#define AT_ONCE 50

static struct event_base *base;
static struct flo_grpc_server *server;
static struct flo_grpc_channel *channel;
static unsigned open_calls;
static uint8_t body[200];

static void on_call(void *ctx, struct flo_grpc_server_call *call, const char *path,
                    const uint8_t *request, size_t len)
{
    (void)ctx, (void)path;
    flo_grpc_respond(call, request, len);
}

static void setup(unsigned times)
{
    (void)times;
    const struct flo_grpc_header headers[] = {{"client-name", "bench", 5},
                                              {"client-version", "0.1.0", 5},
                                              {"temporal-namespace", "default", 7}};
    base = event_base_new();
    micro_check(base ? 0 : FLO_ENOMEM, "event base");
    const struct flo_grpc_server_options serve = {.listen = "127.0.0.1:0", .on_call = on_call};
    micro_check(flo_grpc_server_new(base, &serve, &server, NULL), "server");
    const struct flo_grpc_channel_options connect = {
        .address = flo_grpc_server_address(server), .headers = headers, .header_count = 3};
    micro_check(flo_grpc_channel_new(base, &connect, &channel, NULL), "channel");
}

static void on_done(void *ctx, const struct flo_grpc_status *status, const uint8_t *answer,
                    size_t len)
{
    (void)ctx, (void)answer;
    if (status->code != FLO_GRPC_OK || len != sizeof body)
        micro_check(FLO_EPROTO, "call");
    if (--open_calls == 0)
        event_base_loopbreak(base);
}

static void round_of(unsigned calls)
{
    const struct flo_grpc_call_options call = {
        .path = "/temporal.api.workflowservice.v1.WorkflowService/RespondWorkflowTaskCompleted",
        .body = body,
        .body_len = sizeof body,
        .timeout_ms = 600000,
        .wait_for_ready = true,
        .done = on_done,
    };
    for (open_calls = 0; open_calls < calls; open_calls++)
        micro_check(flo_grpc_call_start(channel, &call, NULL), "call");
    event_base_dispatch(base);
}

static void one_by_one(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        round_of(1);
}

static void together(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        round_of(AT_ONCE);
}

static void teardown(void)
{
    flo_grpc_channel_destroy(&channel);
    flo_grpc_server_destroy(&server);
    event_base_free(base);
}

const struct micro_part micro_grpc_call = {.name = "grpc_call",
                                           .unit = "call",
                                           .units = 1,
                                           .warm = 100,
                                           .times = 1000,
                                           .setup = setup,
                                           .run = one_by_one,
                                           .teardown = teardown};
const struct micro_part micro_grpc_calls = {.name = "grpc_calls_50",
                                            .unit = "call",
                                            .units = AT_ONCE,
                                            .warm = 4,
                                            .times = 20,
                                            .setup = setup,
                                            .run = together,
                                            .teardown = teardown};
