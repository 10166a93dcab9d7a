/* SPDX-License-Identifier: Apache-2.0 */
/* test_session.c - flotilla/client.h against a server on another thread that keeps what it is sent.
 */
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flotilla/client.h"
#include "grpc/server.h"
#include "support/certs.h"
#include "support/cmocka_env.h"
#include "wire/api.h"
#include "wire/decode.h"

/* What the server does with the next call. */
struct answer {
    int code; /* of gRPC; < 0: never answers */
    bool cancel_requested, paused, reset;
};

struct server {
    struct event_base *base;
    struct event *wake; /* keeps the loop going, and ends it */
    struct flo_grpc_server *grpc;
    pthread_t thread;
    char address[64];
    pthread_mutex_t mu;
    /* All guarded by mu: */
    struct answer answer;
    int calls;
    char path[128], bearer[64];
    uint8_t body[4096];
    size_t body_len;
};

static void on_call(void *ctx, struct flo_grpc_server_call *call, const char *path,
                    const uint8_t *body, size_t len)
{
    FloApi__RecordActivityTaskHeartbeatResponse response =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_RESPONSE__INIT;
    const char *bearer = flo_grpc_server_call_header(call, "authorization");
    struct server *s = ctx;
    struct answer answer;
    uint8_t packed[64];

    pthread_mutex_lock(&s->mu);
    s->calls++;
    snprintf(s->path, sizeof s->path, "%s", strrchr(path, '/') + 1);
    snprintf(s->bearer, sizeof s->bearer, "%s", bearer ? bearer : "");
    s->body_len = len < sizeof s->body ? len : sizeof s->body;
    memcpy(s->body, body, s->body_len);
    answer = s->answer;
    pthread_mutex_unlock(&s->mu);
    response.cancel_requested = answer.cancel_requested;
    response.activity_paused = answer.paused;
    response.activity_reset = answer.reset;
    if (answer.code > 0)
        flo_grpc_respond_error(call, answer.code, "as the test wants", NULL, 0, NULL, 0);
    else if (answer.code == 0)
        flo_grpc_respond(call, packed, protobuf_c_message_pack(&response.base, packed));
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
    struct server *s = ctx;

    (void)fd, (void)what;
    event_base_loopbreak(s->base);
}

static void *serve(void *arg)
{
    struct server *s = arg;

    event_base_dispatch(s->base);
    flo_grpc_server_destroy(&s->grpc);
    return NULL;
}

static int wake_pipe[2];

/* certs: for TLS, with client certificates; NULL: plain. */
static int start(void **state, const struct certs *certs)
{
    static struct server s;
    const struct flo_grpc_server_options options = {
        .listen = "127.0.0.1:0",
        .tls_cert_file = certs ? certs->server_cert : NULL,
        .tls_key_file = certs ? certs->server_key : NULL,
        .tls_client_ca_file = certs ? certs->ca : NULL,
        .on_call = on_call,
        .ctx = &s};

    s = (struct server){.base = event_base_new(), .mu = PTHREAD_MUTEX_INITIALIZER};
    assert_int_equal(pipe(wake_pipe), 0);
    s.wake = event_new(s.base, wake_pipe[0], EV_READ, on_wake, &s);
    event_add(s.wake, NULL);
    assert_int_equal(flo_grpc_server_new(s.base, &options, &s.grpc, NULL), 0);
    snprintf(s.address, sizeof s.address, "%s", flo_grpc_server_address(s.grpc));
    assert_int_equal(pthread_create(&s.thread, NULL, serve, &s), 0);
    *state = &s;
    return 0;
}

static int setup(void **state)
{
    return start(state, NULL);
}

static void stop(struct server *s)
{
    if (!s->base)
        return;
    close(wake_pipe[1]); /* readable: at its end */
    pthread_join(s->thread, NULL);
    event_free(s->wake);
    event_base_free(s->base);
    close(wake_pipe[0]);
    s->base = NULL;
}

static int teardown(void **state)
{
    stop(*state);
    return 0;
}

static struct flo_session *open_session(const struct flo_session_options *options)
{
    struct flo_session *session = NULL;
    struct flo_err err = {0};

    if (flo_session_open(options, &session, &err))
        fail_msg("%s", err.message);
    return session;
}

static void set_answer(struct server *s, struct answer answer)
{
    pthread_mutex_lock(&s->mu);
    s->answer = answer;
    pthread_mutex_unlock(&s->mu);
}

static const void *sent(struct server *s, const char *path, const ProtobufCMessageDescriptor *type,
                        struct flo_arena *arena)
{
    ProtobufCMessage *message;

    pthread_mutex_lock(&s->mu);
    assert_string_equal(s->path, path);
    flo_arena_init(arena, 0);
    assert_int_equal(flo_wire_decode(type, s->body, s->body_len, arena, &message, NULL), 0);
    pthread_mutex_unlock(&s->mu);
    return message;
}

static const struct flo_activity_ref by_token = {.token = "AQID"},
                                     by_ids = {.workflow_id = "w", .activity_id = "7"};

/* The token is sent as the bytes that it stands for, the result as a payload, and who says so. */
static void test_complete_by_token(void **state)
{
    struct server *s = *state;
    struct flo_session *session = open_session(
        &(struct flo_session_options){.address = s->address, .namespace_ = "ns", .identity = "me"});
    const FloApi__RespondActivityTaskCompletedRequest *request;
    json_t *result = json_integer(5);
    struct flo_arena arena;

    assert_int_equal(flo_session_complete_activity(session, &by_token, result, NULL), 0);
    request = sent(s, "RespondActivityTaskCompleted",
                   &flo_api__respond_activity_task_completed_request__descriptor, &arena);
    assert_int_equal(request->task_token.len, 3);
    assert_memory_equal(request->task_token.data, "\1\2\3", 3);
    assert_memory_equal(request->result->payloads[0]->data.data, "5", 1);
    assert_string_equal(request->namespace_, "ns");
    assert_string_equal(request->identity, "me");
    flo_arena_fini(&arena);
    json_decref(result);
    flo_session_close(&session);
    assert_null(session);
}

/* By ids each call is the server's other one; no run id means the current run. */
static void test_all_by_ids(void **state)
{
    struct server *s = *state;
    struct flo_session *session =
        open_session(&(struct flo_session_options){.address = s->address});
    const FloApi__RespondActivityTaskFailedByIdRequest *failed;
    const struct flo_failure failure = {.type = "No", .message = "no", .non_retryable = true};
    struct flo_heartbeat_answer answer = {0};
    struct flo_arena arena;

    assert_int_equal(flo_session_complete_activity(session, &by_ids, NULL, NULL), 0);
    (void)sent(s, "RespondActivityTaskCompletedById",
               &flo_api__respond_activity_task_completed_by_id_request__descriptor, &arena);
    flo_arena_fini(&arena);
    assert_int_equal(flo_session_cancel_activity(session, &by_ids, NULL, NULL), 0);
    (void)sent(s, "RespondActivityTaskCanceledById",
               &flo_api__respond_activity_task_canceled_by_id_request__descriptor, &arena);
    flo_arena_fini(&arena);
    set_answer(s, (struct answer){.paused = true});
    assert_int_equal(flo_session_heartbeat_activity(session, &by_ids, NULL, &answer, NULL), 0);
    assert_true(answer.paused && !answer.cancel_requested && !answer.reset);
    set_answer(s, (struct answer){.cancel_requested = true, .reset = true});
    assert_int_equal(flo_session_heartbeat_activity(session, &by_token, NULL, &answer, NULL), 0);
    assert_true(answer.cancel_requested && answer.reset && !answer.paused);
    assert_int_equal(flo_session_fail_activity(session, &by_ids, &failure, NULL), 0);
    failed = sent(s, "RespondActivityTaskFailedById",
                  &flo_api__respond_activity_task_failed_by_id_request__descriptor, &arena);
    assert_string_equal(failed->workflow_id, "w");
    assert_string_equal(failed->activity_id, "7");
    assert_string_equal(failed->run_id, "");
    assert_string_equal(failed->failure->application_failure_info->type, "No");
    flo_arena_fini(&arena);
    flo_session_close(&session);
}

/* What the server says becomes a code that a program can act on, and a sentence. */
static void test_refusals_are_told_apart(void **state)
{
    static const struct {
        int grpc, code;
    } CASES[] = {{5, FLO_ENOENT}, {3, FLO_ERPC}, {7, FLO_EPERM}, {16, FLO_EPERM}, {12, FLO_ERPC}};
    struct server *s = *state;
    struct flo_session *session =
        open_session(&(struct flo_session_options){.address = s->address, .timeout_ms = 300});
    struct flo_err err;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        set_answer(s, (struct answer){.code = CASES[i].grpc});
        err = (struct flo_err){0};
        assert_int_equal(flo_session_complete_activity(session, &by_ids, NULL, &err),
                         CASES[i].code);
        assert_non_null(strstr(err.message, "as the test wants"));
    }
    set_answer(s, (struct answer){.code = -1});
    assert_int_equal(flo_session_complete_activity(session, &by_ids, NULL, &err), FLO_ETIMEDOUT);
    set_answer(s, (struct answer){0}); /* and it goes on */
    assert_int_equal(flo_session_complete_activity(session, &by_ids, NULL, &err), 0);
    stop(s);
    assert_int_equal(flo_session_complete_activity(session, &by_ids, NULL, &err), FLO_ECONN);
    assert_non_null(strstr(err.message, s->address));
    flo_session_close(&session);
}

/* Who the activity is must be said; nothing is sent otherwise. */
static void test_ref_incomplete_refused(void **state)
{
    static const struct flo_activity_ref BAD[] = {
        {0}, {.workflow_id = "w"}, {.activity_id = "7"}, {.token = ""}, {.token = "no base64!"}};
    struct server *s = *state;
    struct flo_session *session =
        open_session(&(struct flo_session_options){.address = s->address});

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_int_equal(flo_session_complete_activity(session, &BAD[i], NULL, NULL), FLO_EINVAL);
    assert_int_equal(flo_session_complete_activity(session, &by_ids, NULL, NULL), 0);
    assert_int_equal(s->calls, 1);
    flo_session_close(&session);
}

static void *complete_some(void *session)
{
    int failed = 0;

    for (int i = 0; i < 20; i++)
        failed += flo_session_complete_activity(session, &by_token, NULL, NULL) != 0;
    return (void *)(intptr_t)failed;
}

/* Threads share a session: each call gets its answer. */
static void test_threads_share_a_session(void **state)
{
    struct server *s = *state;
    struct flo_session *session =
        open_session(&(struct flo_session_options){.address = s->address});
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, complete_some, session), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    flo_session_close(&session);
    assert_int_equal(s->calls, 80);
}

/* A worker's YAML, the environment over it, and options over both. */
static void test_open_file_environment_options(void **state)
{
    struct server *s = *state;
    char path[] = "/tmp/test_session.XXXXXX";
    const FloApi__RespondActivityTaskCompletedByIdRequest *request;
    int fd = mkstemp(path);
    struct flo_session *session;
    struct flo_err err = {0};
    struct flo_arena arena;

    dprintf(fd, "server: {address: \"%s\", namespace: from-file}\ntask_queue: q\n", s->address);
    close(fd);
    session = open_session(&(struct flo_session_options){.config_file = path});
    assert_int_equal(flo_session_complete_activity(session, &by_ids, NULL, NULL), 0);
    request = sent(s, "RespondActivityTaskCompletedById",
                   &flo_api__respond_activity_task_completed_by_id_request__descriptor, &arena);
    assert_string_equal(request->namespace_, "from-file");
    assert_non_null(strchr(request->identity, '@'));
    flo_arena_fini(&arena);
    flo_session_close(&session);

    setenv("TEMPORAL_NAMESPACE", "from-environment", 1);
    for (int i = 0; i < 2; i++) {
        session = open_session(&(struct flo_session_options){
            .config_file = path, .namespace_ = i ? "from-options" : NULL});
        assert_int_equal(flo_session_complete_activity(session, &by_ids, NULL, NULL), 0);
        request = sent(s, "RespondActivityTaskCompletedById",
                       &flo_api__respond_activity_task_completed_by_id_request__descriptor, &arena);
        assert_string_equal(request->namespace_, i ? "from-options" : "from-environment");
        flo_arena_fini(&arena);
        flo_session_close(&session);
    }
    unsetenv("TEMPORAL_NAMESPACE");
    unlink(path);
    assert_int_equal(
        flo_session_open(&(struct flo_session_options){.config_file = path}, &session, &err),
        FLO_ENOENT);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(
        flo_session_open(&(struct flo_session_options){.address = "a:b"}, &session, &err),
        FLO_EINVAL);
    assert_null(session);
}

/* With TLS on both sides, and a key that is sent as a bearer token. */
static void test_tls_and_api_key(void **state)
{
    struct flo_session_options options = {.api_key = "secret", .fail_fast = true};
    struct flo_session *session;
    struct certs certs;
    struct server *s;

    certs_make(&certs);
    start(state, &certs);
    s = *state;
    options.address = s->address;
    options.tls_ca_file = certs.ca;
    options.tls_cert_file = certs.client_cert;
    options.tls_key_file = certs.client_key;
    session = open_session(&options);
    assert_int_equal(flo_session_complete_activity(session, &by_token, NULL, NULL), 0);
    assert_string_equal(s->bearer, "Bearer secret");
    flo_session_close(&session);
    options.tls_cert_file = options.tls_key_file = NULL; /* the server wants one */
    session = open_session(&options);
    assert_int_equal(flo_session_complete_activity(session, &by_token, NULL, NULL), FLO_ECONN);
    flo_session_close(&session);
    certs_remove(&certs);
}

int main(void)
{
    static const char *const OURS[] = {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_TLS",
                                       "TEMPORAL_API_KEY"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_complete_by_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_by_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ref_incomplete_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads_share_a_session, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_file_environment_options, setup, teardown),
        cmocka_unit_test_teardown(test_tls_and_api_key, teardown),
    };

    for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++)
        unsetenv(OURS[i]);
    return cmocka_run_group_tests_name("client/session", tests, NULL, NULL);
}
