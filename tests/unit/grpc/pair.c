/* SPDX-License-Identifier: Apache-2.0 */
/* pair.c - a server and a channel on one loop. */
#include "unit/grpc/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static struct event *tick;

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

void pair_tick_begin(struct pair *pair)
{
    struct timeval tv = {.tv_usec = 100000};
    tick = event_new(pair->base, -1, EV_PERSIST, on_tick, NULL);
    event_add(tick, &tv);
}

void pair_tick_end(struct pair *pair)
{
    (void)pair;
    event_free(tick);
    tick = NULL;
}

static void answer_big(struct flo_grpc_server_call *call, const uint8_t *body, size_t len)
{
    char text[16] = "";
    memcpy(text, body, len < sizeof text ? len : sizeof text - 1);
    size_t size = strtoul(text, NULL, 10);
    uint8_t *data = malloc(size + 1);
    memset(data, 'x', size);
    flo_grpc_respond(call, data, size);
    free(data);
}

static void answer_meta(struct flo_grpc_server_call *call, const uint8_t *body, size_t len)
{
    char name[64] = "";
    size_t value_len = 0;
    memcpy(name, body, len < sizeof name ? len : sizeof name - 1);
    const char *value = flo_grpc_server_call_header_len(call, name, &value_len);
    if (value)
        flo_grpc_respond(call, (const uint8_t *)value, value_len);
    else
        flo_grpc_respond_error(call, FLO_GRPC_NOT_FOUND, "no such header", NULL, 0, NULL, 0);
}

static void on_call(void *ctx, struct flo_grpc_server_call *call, const char *path,
                    const uint8_t *body, size_t len)
{
    struct pair *pair = ctx;
    pair->calls++;
    if (strcmp(path, "/t/echo") == 0) {
        flo_grpc_respond(call, body, len);
    } else if (strcmp(path, "/t/park") == 0) {
        pair->parked[pair->parked_count++ % PARKED_MAX] = call;
    } else if (strcmp(path, "/t/big") == 0) {
        answer_big(call, body, len);
    } else if (strcmp(path, "/t/meta") == 0) {
        answer_meta(call, body, len);
    } else if (strcmp(path, "/t/fail") == 0) {
        const struct flo_grpc_header extra[] = {{"x-cause", "busy", 4}, {"x-raw-bin", "\0\1\2", 3}};
        flo_grpc_respond_error(call, FLO_GRPC_ALREADY_EXISTS, "läuft schon: 100%",
                               (const uint8_t *)"\x08\x06\0z", 4, extra, 2);
    } else {
        flo_grpc_respond_error(call, FLO_GRPC_UNIMPLEMENTED, "unknown method", NULL, 0, NULL, 0);
    }
}

static bool on_stream(void *ctx, struct flo_grpc_server_call *call, const char *path)
{
    (void)ctx, (void)call;
    return strcmp(path, "/t/chat") == 0;
}

static void on_message(void *ctx, struct flo_grpc_server_call *call, const uint8_t *body,
                       size_t len)
{
    struct pair *pair = ctx;
    char text[16] = "";
    memcpy(text, body, len < sizeof text ? len : sizeof text - 1);
    pair->messages++;
    if (strcmp(text, "end") == 0) {
        flo_grpc_stream_end(call);
    } else if (strcmp(text, "refuse") == 0) {
        const struct flo_grpc_header extra = {"x-why", "tired", 5};
        flo_grpc_respond_error(call, FLO_GRPC_FAILED_PRECONDITION, "no\nmore",
                               (const uint8_t *)"\x08\x09", 2, &extra, 1);
    } else if (strncmp(text, "big ", 4) == 0) {
        size_t size = strtoul(text + 4, NULL, 10);
        uint8_t *data = calloc(1, size);
        assert_int_equal(flo_grpc_stream(call, data, size), 0);
        free(data);
    } else if (strncmp(text, "quiet ", 6) != 0) {
        assert_int_equal(flo_grpc_stream(call, body, len), 0);
    }
}

static void on_half_close(void *ctx, struct flo_grpc_server_call *call)
{
    struct pair *pair = ctx;
    pair->half_closes++;
    flo_grpc_stream_end(call);
}

static void on_cancel(void *ctx, struct flo_grpc_server_call *call)
{
    struct pair *pair = ctx;
    pair->cancels++;
    for (size_t i = 0; i < PARKED_MAX; i++)
        if (pair->parked[i] == call)
            pair->parked[i] = NULL;
}

static void on_reject(void *ctx, const char *reason)
{
    struct pair *pair = ctx;
    pair->rejects++;
    snprintf(pair->last_reject, sizeof pair->last_reject, "%s", reason);
}

static void on_state(void *ctx, bool connected, const char *reason)
{
    struct pair *pair = ctx;
    pair->connected = connected;
    pair->connects += connected;
    snprintf(pair->state_reason, sizeof pair->state_reason, "%s", reason);
}

void pair_serve(struct pair *pair, const struct flo_grpc_server_options *opt)
{
    struct flo_grpc_server_options options = {0};
    struct flo_err err = {0};
    if (opt)
        options = *opt;
    if (!options.listen)
        options.listen = "127.0.0.1:0";
    options.on_call = on_call;
    options.on_stream = on_stream;
    options.on_message = on_message;
    options.on_half_close = on_half_close;
    options.on_cancel = on_cancel;
    options.on_reject = on_reject;
    options.ctx = pair;
    if (flo_grpc_server_new(pair->base, &options, &pair->server, &err))
        fail_msg("%s", err.message);
}

void pair_init(struct pair *pair, const struct flo_grpc_server_options *opt)
{
    *pair = (struct pair){.base = event_base_new()};
    pair_serve(pair, opt);
}

void pair_connect(struct pair *pair, const char *address,
                  const struct flo_grpc_channel_options *opt)
{
    struct flo_grpc_channel_options options = {0};
    struct flo_err err = {0};
    if (opt)
        options = *opt;
    options.address = address ? address : flo_grpc_server_address(pair->server);
    options.on_state = on_state;
    options.on_state_ctx = pair;
    if (flo_grpc_channel_new(pair->base, &options, &pair->channel, &err))
        fail_msg("%s", err.message);
}

void pair_fini(struct pair *pair)
{
    flo_grpc_channel_destroy(&pair->channel);
    flo_grpc_server_destroy(&pair->server);
    event_base_free(pair->base);
}

static void on_done(void *ctx, const struct flo_grpc_status *status, const uint8_t *body,
                    size_t len)
{
    struct outcome *out = ctx;
    out->runs++;
    out->code = status->code;
    snprintf(out->message, sizeof out->message, "%s", status->message);
    out->details_len = status->details_len;
    if (status->details_len > 0 && status->details_len <= sizeof out->details)
        memcpy(out->details, status->details, status->details_len);
    out->len = len;
    if (len > 0) {
        out->body = malloc(len);
        memcpy(out->body, body, len);
    }
}

struct flo_grpc_call *pair_call_with(struct pair *pair, struct flo_grpc_call_options *opt,
                                     struct outcome *out)
{
    struct flo_grpc_call *call = NULL;
    *out = (struct outcome){.code = -1};
    opt->done = on_done;
    opt->ctx = out;
    assert_int_equal(flo_grpc_call_start(pair->channel, opt, &call), 0);
    return call;
}

struct flo_grpc_call *pair_call(struct pair *pair, const char *path, const void *body, size_t len,
                                int64_t timeout_ms, struct outcome *out)
{
    struct flo_grpc_call_options opt = {.path = path,
                                        .body = body,
                                        .body_len = len,
                                        .timeout_ms = timeout_ms,
                                        .wait_for_ready = true};
    return pair_call_with(pair, &opt, out);
}

int pair_try_call(struct pair *pair, struct flo_grpc_call_options *opt, struct outcome *out)
{
    *out = (struct outcome){.code = -1};
    opt->done = on_done;
    opt->ctx = out;
    return flo_grpc_call_start(pair->channel, opt, NULL);
}

void outcome_fini(struct outcome *out)
{
    free(out->body);
    out->body = NULL;
}
