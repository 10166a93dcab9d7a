/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - typed calls with the official SDKs' time limits and retry policy.
 *
 * A logical call packs its request once and tries it until it succeeds, its kind says that the
 * code is not worth another try, or its time is over. Between tries it is a timer, during a try
 * an HTTP/2 stream; never both.
 */
#include "client/client.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/random.h"
#include "wire/decode.h"
#include "wire/varint.h"

#define CLIENT_NAME "flotilla-c" /* an unlisted name: servers check no version for it */
#define CLIENT_VERSION "0.1.0"
#define MAX_RETRIES 10
/* A try that lasted this long was under way at the server: what ended it is a new trouble, and the
 * backoff starts over. Else a poll that meets a server's restart each minute would wait longer and
 * longer. */
#define SETTLED_NS FLO_NS_PER_S
/* A timer of the loop may be so early: its clock is coarse. */
#define EARLY_NS (20 * FLO_NS_PER_MS)

/* The lines of FLO_CLIENT_CALLS, counted. */
enum method_index {
#define METHOD_INDEX(fn, Rpc, kind, timeout) METHOD_##fn,
    FLO_CLIENT_CALLS(METHOD_INDEX)
#undef METHOD_INDEX
        METHOD_COUNT
};

/* Where a request has the fields that the client fills in; NULL: it has none. */
struct defaults {
    const ProtobufCFieldDescriptor *namespace_, *identity;
};

struct flo_client {
    struct event_base *base;
    struct flo_grpc_channel *channel;
    char *namespace_;
    char *identity;
    struct defaults defaults[METHOD_COUNT];
    bool fail_fast;
    int64_t long_poll_ms;
    const struct flo_wire_part *part;   /* borrowed; may be NULL */
    const struct flo_codec_row *codecs; /* borrowed; NULL: payloads stay as they are */
    struct flo_rng jitter;
    struct flo_list calls;
    struct delivery *delivery; /* of the response whose done function runs; else NULL */
    void (*on_try)(void *ctx, const char *operation, int code, int64_t duration_ns, bool long_poll);
    void (*on_unsent)(void *ctx, const char *operation, const char *reason);
    void *on_try_ctx; /* of both */
};

/* A response on its way to a done function, which may destroy the client. */
struct delivery {
    struct flo_client *client; /* NULL once it is gone */
    struct flo_arena arena;    /* the message; empty once it was kept */
    const uint8_t *body;
    size_t len;
    ProtobufCMessage *decoded; /* with codecs: what body is not */
    struct flo_buf packed;     /* of decoded, made when asked for */
    const char *damage;
};

/* What a line of FLO_CLIENT_CALLS says about one RPC. */
struct method {
    const char *operation; /* "StartWorkflowExecution" */
    const char *path;
    enum method_index index;
    const ProtobufCMessageDescriptor *response;
    enum flo_client_retry retry;
    int64_t timeout_ms;
};

struct flo_client_call {
    struct flo_node node; /* in client->calls */
    struct flo_client *client;
    const struct method *method;
    struct flo_buf body;
    int64_t deadline_ns; /* monotonic; of all tries together, INT64_MAX for polls */
    int64_t try_started_ns;
    int64_t silent_ns; /* the tries that ended without a word of the server, since it spoke last */
    unsigned retries;
    struct flo_grpc_call *try; /* the stream of the current try */
    struct event timer;        /* until the next try */
    flo_client_done_fn done;
    void *ctx;
};

static int try_now(struct flo_client_call *call);

static bool is_long_poll(const struct flo_client_call *call)
{
    return call->method->timeout_ms == FLO_CLIENT_LONG_POLL_MS;
}

static int64_t timeout_of(const struct flo_client_call *call)
{
    return is_long_poll(call) ? call->client->long_poll_ms : call->method->timeout_ms;
}

enum flo_refusal flo_client_refusal(int code, const char *message)
{
    if (!message)
        return FLO_REFUSAL_OTHER;
    if (code == FLO_GRPC_RESOURCE_EXHAUSTED && strstr(message, "larger than max"))
        return FLO_REFUSAL_TOO_LARGE;
    if (code == FLO_GRPC_INVALID_ARGUMENT && strncmp(message, "UnhandledCommand", 16) == 0)
        return FLO_REFUSAL_UNHANDLED;
    return FLO_REFUSAL_OTHER;
}

bool flo_client_retryable(int code, const char *message, enum flo_client_retry kind)
{
    switch (code) {
    case FLO_GRPC_RESOURCE_EXHAUSTED:
        return kind != FLO_RETRY_NONE && flo_client_refusal(code, message) != FLO_REFUSAL_TOO_LARGE;
    case FLO_GRPC_UNKNOWN:
    case FLO_GRPC_ABORTED:
    case FLO_GRPC_OUT_OF_RANGE:
    case FLO_GRPC_INTERNAL:
    case FLO_GRPC_UNAVAILABLE:
    case FLO_GRPC_DATA_LOSS:
        return kind != FLO_RETRY_NONE;
    case FLO_GRPC_CANCELLED:
    case FLO_GRPC_DEADLINE_EXCEEDED:
        return kind == FLO_RETRY_POLL;
    default:
        return false;
    }
}

/* initial x factor^retries, capped, +-20 %. */
static int64_t backoff_ms(struct flo_client_call *call, int code)
{
    bool poll = call->method->retry == FLO_RETRY_POLL,
         exhausted = code == FLO_GRPC_RESOURCE_EXHAUSTED;
    double delay = exhausted ? 1000 : poll ? 200 : 100;
    double factor = exhausted || poll ? 2.0 : 1.7, cap = exhausted || poll ? 10000 : 5000;
    for (unsigned i = 0; i < call->retries && delay < cap; i++)
        delay *= factor;
    if (delay > cap)
        delay = cap;
    double spread = 0.8 + 0.4 * flo_rng_unit(&call->client->jitter);
    int64_t ms = (int64_t)(delay * spread);
    return exhausted && ms < 1000 ? 1000 : ms;
}

static void call_free(struct flo_client_call *call)
{
    if (flo_node_linked(&call->node))
        flo_list_remove(&call->client->calls, &call->node);
    flo_grpc_call_cancel(&call->try);
    if (call->retries > 0) /* else it was never armed */
        event_del(&call->timer);
    flo_buf_fini(&call->body);
    flo_free(call);
}

/* Tell the caller and free the call; nothing may touch it afterwards. */
static void finish(struct flo_client_call *call, const struct flo_grpc_status *status,
                   const ProtobufCMessage *response)
{
    flo_client_done_fn done = call->done;
    void *ctx = call->ctx;
    flo_list_remove(&call->client->calls, &call->node); /* ctx may destroy the client */
    call_free(call);
    done(ctx, status, response);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct flo_client_call *call = arg;
    int rc = try_now(call);
    if (rc) {
        const struct flo_grpc_status status = {.code = FLO_GRPC_UNAVAILABLE,
                                               .message = flo_error_text(rc)};
        finish(call, &status, NULL);
    }
}

static bool retry_later(struct flo_client_call *call, const struct flo_grpc_status *status)
{
    if (!flo_client_retryable(status->code, status->message, call->method->retry))
        return false;
    if (call->client->fail_fast && status->code == FLO_GRPC_UNAVAILABLE)
        return false;
    int64_t delay = backoff_ms(call, status->code);
    if (call->method->retry != FLO_RETRY_POLL) {
        if (call->retries >= MAX_RETRIES ||
            flo_clock_mono_ns() + delay * FLO_NS_PER_MS >= call->deadline_ns)
            return false;
    }
    event_assign(&call->timer, call->client->base, -1, 0, on_timer, call);
    call->retries++;
    struct timeval tv = {.tv_sec = delay / 1000, .tv_usec = (delay % 1000) * 1000};
    return event_add(&call->timer, &tv) == 0;
}

/* Does the response bring a task, which its receiver can fail? */
static bool brings_task(const struct flo_client_call *call)
{
    return call->method->retry == FLO_RETRY_POLL ||
           call->method->index == METHOD_respond_workflow_task_completed;
}

/* body as call's response in delivery->arena, its payloads as user code wrote them. */
static int decode_response(const struct flo_client_call *call, struct delivery *delivery,
                           ProtobufCMessage **out_response, struct flo_err *err)
{
    const struct flo_client *client = call->client;
    int rc = flo_wire_decode_part(call->method->response, client->part, delivery->body,
                                  delivery->len, &delivery->arena, out_response, err);
    if (rc || flo_codec_row_empty(client->codecs))
        return rc;
    delivery->arena.budget_bytes = 0; /* that was for what the peer sent */
    delivery->decoded = *out_response;
    rc = flo_codec_decode(client->codecs, *out_response, &delivery->arena, err);
    if (rc && rc != FLO_ENOMEM && brings_task(call)) {
        delivery->damage = err->message;
        return 0;
    }
    return rc == FLO_ENOMEM ? flo_fail(err, rc, "out of memory") : rc;
}

static void deliver(struct flo_client_call *call, const struct flo_grpc_status *status,
                    const uint8_t *body, size_t len)
{
    struct delivery delivery = {.client = call->client, .body = body, .len = len};
    ProtobufCMessage *response = NULL;
    struct flo_err err = {0};
    flo_arena_init(&delivery.arena, flo_wire_budget(len));
    flo_buf_init(&delivery.packed, 0);
    if (decode_response(call, &delivery, &response, &err)) {
        const struct flo_grpc_status bad = {
            .code = delivery.decoded ? FLO_GRPC_DATA_LOSS : FLO_GRPC_INTERNAL, /* by a codec */
            .message = err.message};
        finish(call, &bad, NULL);
    } else {
        call->client->delivery = &delivery;
        finish(call, status, response);
        if (delivery.client)
            delivery.client->delivery = NULL;
    }
    flo_buf_fini(&delivery.packed);
    flo_arena_fini(&delivery.arena);
}

void flo_client_keep_response(struct flo_client *client, struct flo_arena *out_arena)
{
    *out_arena = client->delivery->arena;
    out_arena->budget_bytes = 0;
    flo_arena_init(&client->delivery->arena, 0);
}

const uint8_t *flo_client_response_bytes(const struct flo_client *client, size_t *out_len)
{
    struct delivery *delivery = client->delivery;
    if (delivery->decoded && delivery->packed.len == 0 &&
        flo_wire_encode(delivery->decoded, &delivery->packed))
        return NULL;
    *out_len = delivery->decoded ? delivery->packed.len : delivery->len;
    return delivery->decoded ? delivery->packed.data : delivery->body;
}

const char *flo_client_response_damage(const struct flo_client *client)
{
    return client->delivery->damage;
}

static void on_try_done(void *ctx, const struct flo_grpc_status *status, const uint8_t *body,
                        size_t len)
{
    struct flo_client_call *call = ctx;
    struct flo_client *client = call->client;
    int64_t duration_ns = flo_clock_mono_ns() - call->try_started_ns;
    bool silent = status->code == FLO_GRPC_DEADLINE_EXCEEDED &&
                  duration_ns >= timeout_of(call) * FLO_NS_PER_MS - EARLY_NS;
    int64_t age_ns = silent && call->try ? flo_grpc_call_age_ns(call->try) : 0;
    call->silent_ns = age_ns > 0 ? call->silent_ns + age_ns : 0;
    call->try = NULL;
    if (client->on_try)
        client->on_try(client->on_try_ctx, call->method->operation, status->code, duration_ns,
                       is_long_poll(call));
    if (duration_ns >= SETTLED_NS)
        call->retries = 0;
    if (status->code == FLO_GRPC_OK)
        deliver(call, status, body, len);
    else if (!retry_later(call, status))
        finish(call, status, NULL);
}

static int try_now(struct flo_client_call *call)
{
    int64_t now = flo_clock_mono_ns(), timeout_ms = timeout_of(call);
    bool odd = call->method->retry != FLO_RETRY_POLL && call->retries > 0;
    if (odd) {
        int64_t left_ms = (call->deadline_ns - now) / FLO_NS_PER_MS;
        timeout_ms = left_ms < 1 ? 1 : left_ms;
    }
    call->try_started_ns = now;
    const struct flo_grpc_call_options options = {
        .path = call->method->path,
        .body = call->body.data,
        .body_len = call->body.len,
        .timeout_ms = timeout_ms,
        .odd_timeout = odd,
        .wait_for_ready = !call->client->fail_fast && call->method->retry != FLO_RETRY_NONE,
        .done = on_try_done,
        .ctx = call};
    return flo_grpc_call_start(call->client->channel, &options, &call->try);
}

/*
 * Give the request the client's value for a string field that it left empty: protobuf fields may
 * come in any order, so the field is simply appended to the packed bytes.
 */
static void append_default(struct flo_buf *body, const ProtobufCMessage *request,
                           const ProtobufCFieldDescriptor *field, const char *value)
{
    if (!field || !*value)
        return;
    const char *set = *(char *const *)(const void *)((const char *)request + field->offset);
    if (set && *set)
        return;
    uint8_t head[1 + FLO_VARINT_MAX] = {(uint8_t)(field->id << 3 | 2)};
    size_t len = strlen(value);
    flo_buf_append(body, head, (size_t)(flo_varint_put(head + 1, len) - head));
    flo_buf_append(body, value, len);
}

/* A string field that append_default can write. */
static const ProtobufCFieldDescriptor *string_field(const ProtobufCMessageDescriptor *request,
                                                    const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(request, name);
    return field && field->type == PROTOBUF_C_TYPE_STRING && field->id <= 15 ? field : NULL;
}

/* request into body, its payloads through the codecs: in a copy, since the caller may use his
 * again. */
static int write_request(const struct flo_client *client, const struct method *method,
                         const ProtobufCMessage *request, struct flo_buf *body)
{
    if (flo_codec_row_empty(client->codecs))
        return flo_wire_encode(request, body);
    struct flo_arena arena;
    struct flo_err err = {0};
    flo_arena_init(&arena, 0);
    ProtobufCMessage *copy = flo_wire_copy(request, &arena);
    int rc = copy ? flo_codec_encode(client->codecs, copy, &arena, &err) : FLO_ENOMEM;
    if (rc == 0)
        rc = flo_wire_encode(copy, body);
    else if (rc != FLO_ENOMEM && client->on_unsent)
        client->on_unsent(client->on_try_ctx, method->operation, err.message);
    flo_arena_fini(&arena);
    return rc;
}

static int call_start(struct flo_client *client, const struct method *method,
                      const ProtobufCMessage *request, flo_client_done_fn done, void *ctx,
                      struct flo_client_call **out_call)
{
    struct flo_client_call *call = flo_calloc(1, sizeof *call);
    if (!call)
        return FLO_ENOMEM;
    int rc = FLO_ENOMEM;
    *call = (struct flo_client_call){.client = client, .method = method, .done = done, .ctx = ctx};
    call->deadline_ns = flo_clock_mono_ns() + timeout_of(call) * FLO_NS_PER_MS;
    flo_buf_init(&call->body, 0);
    flo_list_push_back(&client->calls, &call->node);
    rc = write_request(client, method, request, &call->body);
    if (rc)
        goto out;
    const struct defaults *defaults = &client->defaults[method->index];
    append_default(&call->body, request, defaults->namespace_, client->namespace_);
    append_default(&call->body, request, defaults->identity, client->identity);
    rc = call->body.failed ? FLO_ENOMEM : try_now(call);
    if (rc)
        goto out;
    if (out_call)
        *out_call = call;
    call = NULL; /* handed to the loop */
out:
    if (call)
        call_free(call);
    return rc;
}

#define SERVICE "/temporal.api.workflowservice.v1.WorkflowService/"

#define DEFINE_CALL(fn, Rpc, kind, timeout, response_descriptor)                                   \
    int flo_client_##fn(struct flo_client *client, const FloApi__##Rpc##Request *request,          \
                        flo_client_done_fn done, void *ctx, struct flo_client_call **out_call)     \
    {                                                                                              \
        static const struct method method = {#Rpc,                                                 \
                                             SERVICE #Rpc,                                         \
                                             METHOD_##fn,                                          \
                                             response_descriptor,                                  \
                                             FLO_RETRY_##kind,                                     \
                                             FLO_CLIENT_##timeout##_MS};                           \
        return call_start(client, &method, &request->base, done, ctx, out_call);                   \
    }
#define DEFINE_LINE(fn, Rpc, kind, timeout)                                                        \
    DEFINE_CALL(fn, Rpc, kind, timeout, &flo_api__##fn##_response__descriptor)
FLO_CLIENT_CALLS(DEFINE_LINE)
#undef DEFINE_LINE

void flo_client_call_cancel(struct flo_client_call **call)
{
    if (!*call)
        return;
    call_free(*call);
    *call = NULL;
}

int64_t flo_client_call_silent_ns(const struct flo_client_call *call)
{
    return call->silent_ns + (call->try ? flo_grpc_call_age_ns(call->try) : 0);
}

static int make_channel(struct flo_client *client, const struct flo_client_options *options,
                        struct flo_err *err)
{
    struct flo_grpc_channel_options channel = options->channel;
    struct flo_grpc_header headers[16];
    size_t count = 0;
    headers[count++] = (struct flo_grpc_header){"client-name", CLIENT_NAME, strlen(CLIENT_NAME)};
    headers[count++] =
        (struct flo_grpc_header){"client-version", CLIENT_VERSION, strlen(CLIENT_VERSION)};
    headers[count++] = (struct flo_grpc_header){"temporal-namespace", client->namespace_,
                                                strlen(client->namespace_)};
    char *bearer = NULL;
    if (options->api_key && *options->api_key) {
        bearer = flo_asprintf("Bearer %s", options->api_key);
        if (!bearer)
            return flo_fail(err, FLO_ENOMEM, "no memory for a client");
        headers[count++] = (struct flo_grpc_header){"authorization", bearer, strlen(bearer)};
    }
    int rc = 0;
    if (channel.header_count > sizeof headers / sizeof *headers - count)
        rc = flo_fail(err, FLO_EINVAL, "more than 12 extra headers for a client");
    for (size_t i = 0; rc == 0 && i < channel.header_count; i++)
        headers[count++] = channel.headers[i];
    channel.headers = headers;
    channel.header_count = count;
    if (rc == 0)
        rc = flo_grpc_channel_new(client->base, &channel, &client->channel, err);
    if (bearer)
        explicit_bzero(bearer, strlen(bearer));
    flo_free(bearer);
    return rc;
}

int flo_client_new(struct event_base *base, const struct flo_client_options *options,
                   struct flo_client **out_client, struct flo_err *err)
{
    struct flo_client *client = flo_calloc(1, sizeof *client);
    if (!client)
        return flo_fail(err, FLO_ENOMEM, "no memory for a client");
    client->base = base;
    client->fail_fast = options->fail_fast;
    client->long_poll_ms =
        options->long_poll_ms > 0 ? options->long_poll_ms : FLO_CLIENT_LONG_POLL_MS;
    client->part = options->part;
    client->codecs = options->codecs;
    client->on_unsent = options->on_unsent;
    client->on_try = options->on_try;
    client->on_try_ctx = options->on_try_ctx;
    flo_list_init(&client->calls);
    flo_rng_seed(&client->jitter, flo_random_u64());
    static const ProtobufCMessageDescriptor *const requests[] = {
#define REQUEST(fn, Rpc, kind, timeout) &flo_api__##fn##_request__descriptor,
        FLO_CLIENT_CALLS(REQUEST)
#undef REQUEST
    };
    for (size_t i = 0; i < METHOD_COUNT; i++)
        client->defaults[i] = (struct defaults){string_field(requests[i], "namespace"),
                                                string_field(requests[i], "identity")};
    client->namespace_ = flo_strdup(options->namespace_ ? options->namespace_ : "default");
    client->identity = flo_strdup(options->identity ? options->identity : "");
    int rc = FLO_ENOMEM;
    if (!client->namespace_ || !client->identity) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory for a client");
        goto out;
    }
    rc = make_channel(client, options, err);
    if (rc)
        goto out;
    *out_client = client;
    client = NULL; /* handed over */
out:
    flo_client_destroy(&client);
    return rc;
}

void flo_client_destroy(struct flo_client **client)
{
    if (!*client)
        return;
    FLO_LIST_FOREACH_SAFE(node, &(*client)->calls)
    call_free(flo_container(node, struct flo_client_call, node));
    flo_grpc_channel_destroy(&(*client)->channel);
    if ((*client)->delivery)
        (*client)->delivery->client = NULL;
    flo_free((*client)->namespace_);
    flo_free((*client)->identity);
    flo_free(*client);
    *client = NULL;
}
