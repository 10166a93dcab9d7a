/* SPDX-License-Identifier: Apache-2.0 */
/* test_client.c - client/client.c against a server in this process that keeps what it is sent. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "client/client.h"
#include "grpc/server.h"
#include "support/cmocka_env.h"
#include "support/h2raw.h"

#define LIMIT_NS (20 * FLO_NS_PER_S)

struct fixture {
    struct event_base *base;
    struct event *tick;
    struct flo_grpc_server *server;
    struct flo_client *client;
    char address[64];
    int calls;                      /* that the server took */
    const ProtobufCMessage *answer; /* what it answers with; NULL: nothing */
    struct flo_arena kept;
    const FloApi__PollActivityTaskQueueResponse *response; /* in kept */
    uint8_t first_byte;                                    /* of it */
    bool destroy_when_done;
    bool connected;
    struct flo_client_call *poll;
    int ended, code; /* calls that ended, and how the last one did */
    char damage[160], unsent[160];
};

static void on_call(void *ctx, struct flo_grpc_server_call *call, const char *path,
                    const uint8_t *body, size_t len)
{
    struct fixture *f = ctx;

    (void)path, (void)body, (void)len;
    f->calls++;
    if (f->answer) {
        uint8_t packed[256];
        flo_grpc_respond(call, packed, protobuf_c_message_pack(f->answer, packed));
    }
}

static void on_state(void *ctx, bool connected, const char *reason)
{
    struct fixture *f = ctx;

    (void)reason;
    f->connected = connected;
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what, (void)ctx;
}

static void on_done(void *ctx, const struct flo_grpc_status *status,
                    const ProtobufCMessage *response)
{
    (void)ctx, (void)response;
    fail_msg("the poll ended: %s", status->message);
}

static void on_kept(void *ctx, const struct flo_grpc_status *status,
                    const ProtobufCMessage *response)
{
    struct fixture *f = ctx;
    size_t len;

    assert_int_equal(status->code, FLO_GRPC_OK);
    f->poll = NULL;
    f->first_byte = *flo_client_response_bytes(f->client, &len);
    assert_true(len > 0);
    flo_client_keep_response(f->client, &f->kept);
    f->response = (const FloApi__PollActivityTaskQueueResponse *)response;
    if (f->destroy_when_done)
        flo_client_destroy(&f->client);
}

static void serve(struct fixture *f, const char *listen)
{
    const struct flo_grpc_server_options options = {.listen = listen, .on_call = on_call, .ctx = f};
    struct flo_err err = {0};

    if (flo_grpc_server_new(f->base, &options, &f->server, &err))
        fail_msg("%s", err.message);
    snprintf(f->address, sizeof f->address, "%s", flo_grpc_server_address(f->server));
}

static int setup(void **state)
{
    static struct fixture f;
    const struct timeval period = {.tv_usec = 20000};
    struct flo_err err = {0};

    f = (struct fixture){.base = event_base_new()};
    f.tick = event_new(f.base, -1, EV_PERSIST, on_tick, NULL);
    event_add(f.tick, &period);
    serve(&f, "127.0.0.1:0");
    const struct flo_client_options options = {
        .channel = {.address = f.address, .on_state = on_state, .on_state_ctx = &f}};
    if (flo_client_new(f.base, &options, &f.client, &err))
        fail_msg("%s", err.message);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    flo_client_call_cancel(&f->poll);
    flo_client_destroy(&f->client);
    flo_grpc_server_destroy(&f->server);
    event_free(f->tick);
    event_base_free(f->base);
    return 0;
}

#define RUN_UNTIL(f, cond)                                                                         \
    do {                                                                                           \
        int64_t give_up_ = flo_clock_mono_ns() + LIMIT_NS;                                         \
        while (!(cond)) {                                                                          \
            if (flo_clock_mono_ns() > give_up_)                                                    \
                fail_msg("still waiting for: %s", #cond);                                          \
            event_base_loop((f)->base, EVLOOP_ONCE);                                               \
        }                                                                                          \
    } while (0)

/* A poll that outlives the server is silent only while a server has it: after an outage, however
 * long, its silence is new. */
static void test_silence_starts_over_after_an_outage(void **state)
{
    struct fixture *f = *state;
    const FloApi__PollActivityTaskQueueRequest request =
        FLO_API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    int64_t before;

    assert_int_equal(flo_client_poll_activity_task_queue(f->client, &request, on_done, f, &f->poll),
                     0);
    assert_int_equal(flo_client_call_silent_ns(f->poll), 0); /* no connection yet */
    RUN_UNTIL(f, f->calls == 1);
    RUN_UNTIL(f, flo_client_call_silent_ns(f->poll) > FLO_NS_PER_S / 10);

    flo_grpc_server_destroy(&f->server);
    RUN_UNTIL(f, !f->connected);
    assert_int_equal(flo_client_call_silent_ns(f->poll), 0);
    before = flo_clock_mono_ns();
    serve(f, f->address);
    RUN_UNTIL(f, f->calls == 2);
    assert_true(flo_client_call_silent_ns(f->poll) > 0);
    assert_true(flo_client_call_silent_ns(f->poll) <= flo_clock_mono_ns() - before);
}

/* A server that takes polls and never answers: our own time limit ends the tries, the silence goes
 * on from one to the next. */
static void test_silence_outlasts_the_time_limit(void **state)
{
    struct fixture *f = *state;
    const FloApi__PollActivityTaskQueueRequest request =
        FLO_API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    const struct flo_client_options options = {
        .channel = {.address = f->address, .on_state = on_state, .on_state_ctx = f},
        .long_poll_ms = 200};
    struct flo_err err = {0};

    flo_client_destroy(&f->client);
    assert_int_equal(flo_client_new(f->base, &options, &f->client, &err), 0);
    assert_int_equal(flo_client_poll_activity_task_queue(f->client, &request, on_done, f, &f->poll),
                     0);
    RUN_UNTIL(f, f->calls == 3);
    RUN_UNTIL(f, flo_client_call_silent_ns(f->poll) >= 2 * 200 * FLO_NS_PER_MS);
}

/* A response that is kept outlives the call, and even the client. */
static void test_keep_response_outlives_the_client(void **state)
{
    struct fixture *f = *state;
    const FloApi__PollActivityTaskQueueRequest request =
        FLO_API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    FloApi__PollActivityTaskQueueResponse answer = FLO_API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT;
    static uint8_t token[] = "token";

    answer.task_token = (ProtobufCBinaryData){.data = token, .len = 5};
    f->answer = &answer.base;
    for (int i = 0; i < 2; i++) {
        f->response = NULL;
        f->destroy_when_done = i == 1;
        assert_int_equal(
            flo_client_poll_activity_task_queue(f->client, &request, on_kept, f, &f->poll), 0);
        RUN_UNTIL(f, f->response);
        assert_int_equal(f->response->task_token.len, 5);
        assert_memory_equal(f->response->task_token.data, "token", 5);
        assert_int_equal(f->kept.budget_bytes, 0);
        assert_int_equal(f->first_byte, 1 << 3 | 2); /* task_token, bytes */
        flo_arena_fini(&f->kept);
    }
    assert_null(f->client);
}

static int listen_anywhere(char *out_address, size_t size)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    snprintf(out_address, size, "127.0.0.1:%u", ntohs(in.sin_port));
    return fd;
}

static void on_called(void *ctx, const struct flo_grpc_status *status,
                      const ProtobufCMessage *response)
{
    struct fixture *f = ctx;

    (void)response;
    assert_int_equal(status->code, FLO_GRPC_NOT_FOUND);
    f->calls++;
}

/* A first try asks for the call's own timeout, which is the same each time. A later one asks for
 * what is left, and that stays out of the header table. */
static void test_odd_timeouts_stay_out_of_the_header_table(void **state)
{
    static const char *const again[] = {
        ":status", "200", "content-type", "application/grpc", "grpc-status", "14", NULL};
    static const char *const end[] = {
        ":status", "200", "content-type", "application/grpc", "grpc-status", "5", NULL};
    struct fixture *f = *state;
    const FloApi__TerminateWorkflowExecutionRequest request =
        FLO_API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    struct flo_client *client = NULL;
    char address[32];
    int fd = listen_anywhere(address, sizeof address);
    const struct flo_client_options options = {.channel = {.address = address}};
    struct h2raw raw;
    struct flo_err err;

    assert_int_equal(flo_client_new(f->base, &options, &client, &err), 0);
    h2raw_accept(&raw, f->base, fd);
    H2RAW_UNTIL(&raw, raw.frames[NGHTTP2_SETTINGS] >= 2); /* its own, and ours acknowledged */
    assert_int_equal(flo_client_terminate_workflow_execution(client, &request, on_called, f, NULL),
                     0);
    H2RAW_UNTIL(&raw, raw.requests == 1);
    assert_non_null(strstr(h2raw_answer(&raw, raw.last_request)->headers, "grpc-timeout: 30S\n"));
    size_t known = nghttp2_hd_inflate_get_num_table_entries(raw.inflater);
    for (size_t retry = 1; retry <= 2; retry++) {
        h2raw_fields(&raw, raw.last_request, NGHTTP2_FLAG_END_STREAM, again);
        H2RAW_UNTIL(&raw, raw.requests == 1 + retry);
        const char *headers = h2raw_answer(&raw, raw.last_request)->headers;
        assert_null(strstr(headers, "grpc-timeout: 30S"));
        assert_int_equal(nghttp2_hd_inflate_get_num_table_entries(raw.inflater), known);
    }
    h2raw_fields(&raw, raw.last_request, NGHTTP2_FLAG_END_STREAM, end);
    H2RAW_UNTIL(&raw, f->calls == 1);
    flo_client_destroy(&client);
    h2raw_close(&raw);
    close(fd);
}

/* A refusal's meaning is read in one place, and what is too large is not tried again. */
static void test_refusal_is_told_by_its_text(void **state)
{
    static const char too_large[] = "grpc: received message larger than max (5 vs. 4)";

    (void)state;
    assert_int_equal(flo_client_refusal(FLO_GRPC_RESOURCE_EXHAUSTED, too_large),
                     FLO_REFUSAL_TOO_LARGE);
    assert_int_equal(flo_client_refusal(FLO_GRPC_RESOURCE_EXHAUSTED, "namespace rate limit"),
                     FLO_REFUSAL_OTHER);
    assert_int_equal(flo_client_refusal(FLO_GRPC_INVALID_ARGUMENT, "UnhandledCommand"),
                     FLO_REFUSAL_UNHANDLED);
    assert_int_equal(flo_client_refusal(FLO_GRPC_INVALID_ARGUMENT, "BadSearchAttributes"),
                     FLO_REFUSAL_OTHER);
    assert_int_equal(flo_client_refusal(FLO_GRPC_NOT_FOUND, NULL), FLO_REFUSAL_OTHER);
    assert_false(flo_client_retryable(FLO_GRPC_RESOURCE_EXHAUSTED, too_large, FLO_RETRY_CALL));
    assert_true(flo_client_retryable(FLO_GRPC_RESOURCE_EXHAUSTED, "busy", FLO_RETRY_CALL));
}

/* ---- codecs ---- */

/* A codec that marks what it has seen, and refuses payloads that begin with '!'. */
static int mark(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                struct flo_err *err)
{
    size_t len;
    const char *data = flo_payload_data(in, &len);

    (void)ctx;
    if (len && *data == '!')
        return flo_fail(err, FLO_EIO, "the key server is away");
    return flo_payload_write_data(out, "seen", 4);
}

static void on_unsent(void *ctx, const char *operation, const char *reason)
{
    struct fixture *f = ctx;

    snprintf(f->unsent, sizeof f->unsent, "%s: %s", operation, reason);
}

/* The fixture's client again, with that codec. */
static struct flo_codec_row *use_codec(struct fixture *f)
{
    static const struct flo_codec codec = {"marker", mark, mark, NULL};
    struct flo_codec_row *row = NULL;
    struct flo_err err = {0};

    assert_int_equal(flo_codec_row_new(NULL, &row, &err), 0);
    assert_int_equal(flo_codec_row_add(row, &codec), 0);
    flo_client_destroy(&f->client);
    const struct flo_client_options options = {
        .channel = {.address = f->address, .on_state = on_state, .on_state_ctx = f},
        .codecs = row,
        .on_unsent = on_unsent,
        .on_try_ctx = f};
    assert_int_equal(flo_client_new(f->base, &options, &f->client, &err), 0);
    return row;
}

/* One payload with this text; lives until the next. */
static FloApi__Payloads *payloads_of(const char *text)
{
    static FloApi__Payload payload, *list[] = {&payload};
    static FloApi__Payloads payloads;

    flo_api__payload__init(&payload);
    payload.data = (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
    flo_api__payloads__init(&payloads);
    payloads.payloads = list;
    payloads.n_payloads = 1;
    return &payloads;
}

static void on_ended(void *ctx, const struct flo_grpc_status *status,
                     const ProtobufCMessage *response)
{
    struct fixture *f = ctx;
    const char *damage = response ? flo_client_response_damage(f->client) : status->message;

    f->poll = NULL;
    f->code = status->code;
    f->ended++;
    snprintf(f->damage, sizeof f->damage, "%s", damage ? damage : "");
}

/* An answer that cannot be encoded never leaves: the call is refused at once, and it is said why.
 * The caller's request stays as it was. */
static void test_answer_that_cannot_be_encoded_is_kept_back(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row = use_codec(f);
    FloApi__RespondActivityTaskCompletedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    const FloApi__RespondActivityTaskCompletedResponse answer =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_RESPONSE__INIT;

    f->answer = &answer.base;
    request.result = payloads_of("!secret");
    assert_int_equal(
        flo_client_respond_activity_task_completed(f->client, &request, on_ended, f, NULL),
        FLO_EIO);
    assert_string_equal(f->unsent,
                        "RespondActivityTaskCompleted: codec marker: the key server is away");
    assert_int_equal(f->ended, 0);

    request.result = payloads_of("plain");
    assert_int_equal(
        flo_client_respond_activity_task_completed(f->client, &request, on_ended, f, NULL), 0);
    assert_memory_equal(request.result->payloads[0]->data.data, "plain", 5);
    RUN_UNTIL(f, f->ended == 1);
    assert_int_equal(f->code, FLO_GRPC_OK);
    assert_int_equal(f->calls, 1); /* the first one never left */
    flo_client_destroy(&f->client);
    flo_codec_row_destroy(&row);
}

/* A task that cannot be decoded comes all the same, so that somebody can fail it, with the reason;
 * another answer ends its call. */
static void test_task_that_cannot_be_decoded_is_damaged(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row = use_codec(f);
    const FloApi__PollActivityTaskQueueRequest poll =
        FLO_API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    const FloApi__QueryWorkflowRequest query = FLO_API__QUERY_WORKFLOW_REQUEST__INIT;
    FloApi__PollActivityTaskQueueResponse task = FLO_API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT;
    FloApi__QueryWorkflowResponse result = FLO_API__QUERY_WORKFLOW_RESPONSE__INIT;

    task.input = payloads_of("!sealed");
    f->answer = &task.base;
    assert_int_equal(flo_client_poll_activity_task_queue(f->client, &poll, on_ended, f, &f->poll),
                     0);
    RUN_UNTIL(f, f->ended == 1);
    assert_int_equal(f->code, FLO_GRPC_OK);
    assert_string_equal(f->damage, "codec marker: the key server is away");

    result.query_result = payloads_of("!sealed");
    f->answer = &result.base;
    assert_int_equal(flo_client_query_workflow(f->client, &query, on_ended, f, NULL), 0);
    RUN_UNTIL(f, f->ended == 2);
    assert_int_equal(f->code, FLO_GRPC_DATA_LOSS);
    assert_string_equal(f->damage, "codec marker: the key server is away");
    flo_client_destroy(&f->client);
    flo_codec_row_destroy(&row);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_silence_starts_over_after_an_outage),
        T(test_silence_outlasts_the_time_limit),
        T(test_keep_response_outlives_the_client),
        T(test_odd_timeouts_stay_out_of_the_header_table),
        T(test_answer_that_cannot_be_encoded_is_kept_back),
        T(test_task_that_cannot_be_decoded_is_damaged),
        cmocka_unit_test(test_refusal_is_told_by_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
