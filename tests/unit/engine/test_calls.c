/* SPDX-License-Identifier: Apache-2.0 */
/* test_calls.c - replies are held until their commit, and how much may be held has a bound. */
#include "support/cmocka_env.h"

#include <stdio.h>

#include "engine/calls.h"

/* The server's side of the calls, in place of grpc/server.c. */
struct flo_grpc_server_call {
    int answers;
    size_t len;
    int code;
};

void flo_grpc_server_call_set_user(struct flo_grpc_server_call *call, uint64_t user)
{
    (void)call, (void)user;
}

void flo_grpc_respond(struct flo_grpc_server_call *call, const uint8_t *body, size_t len)
{
    (void)body;
    call->answers++;
    call->len = len;
}

void flo_grpc_respond_error(struct flo_grpc_server_call *call, int code, const char *message,
                            const uint8_t *details, size_t details_len,
                            const struct flo_grpc_header *trailers, size_t trailer_count)
{
    (void)message, (void)details, (void)details_len, (void)trailers, (void)trailer_count;
    call->answers++;
    call->code = code;
}

static uint64_t add(struct flo_calls *calls, struct flo_grpc_server_call *call, size_t bytes)
{
    struct flo_call_method *method = flo_calls_method(calls, "StartWorkflowExecution");
    assert_non_null(method);
    uint64_t id = flo_calls_add(calls, call, method, bytes);
    assert_int_not_equal(id, 0);
    return id;
}

static void reply(struct flo_calls *calls, uint64_t id, uint64_t after)
{
    static const uint8_t raw[] = {10, 1, 'x'};
    flo_calls_reply(calls, &(struct flo_core_reply){
                               .call = id, .after = after, .raw = raw, .raw_len = sizeof raw});
}

/* A reply that names a commit leaves with it, not before. */
static void test_reply_waits_for_its_commit(void **state)
{
    struct flo_calls calls;
    struct flo_grpc_server_call first = {0}, second = {0}, now = {0};
    (void)state;
    flo_calls_init(&calls, NULL);
    reply(&calls, add(&calls, &second, 1), 2);
    reply(&calls, add(&calls, &first, 1), 1);
    reply(&calls, add(&calls, &now, 1), 0);
    assert_int_equal(now.answers, 1);
    assert_int_equal(first.answers + second.answers, 0);
    flo_calls_durable(&calls, 1);
    assert_int_equal(first.answers, 1);
    assert_int_equal(first.len, 3);
    assert_int_equal(second.answers, 0);
    assert_true(flo_calls_holding(&calls));
    flo_calls_durable(&calls, 2);
    assert_int_equal(second.answers, 1);
    assert_int_equal(calls.held_bytes, 0);
    flo_calls_fini(&calls);
}

/* Large requests whose commit does not come make it full; the commit, or callers that go, empty
 * it again. */
static void test_held_too_much_is_full(void **state)
{
    enum { COUNT = 64 };
    struct flo_calls calls;
    struct flo_grpc_server_call grpc[COUNT] = {0};
    uint64_t ids[COUNT];
    (void)state;
    flo_calls_init(&calls, NULL);
    for (int i = 0; i < COUNT; i++) {
        assert_false(flo_calls_full(&calls));
        ids[i] = add(&calls, &grpc[i], 1 << 20);
        reply(&calls, ids[i], 7);
    }
    assert_true(flo_calls_full(&calls));
    flo_calls_forget(&calls, ids[3]);
    assert_false(flo_calls_full(&calls));
    flo_calls_durable(&calls, 7);
    assert_int_equal(calls.held_bytes, 0);
    assert_int_equal(grpc[0].answers, 1);
    assert_int_equal(grpc[3].answers, 0);
    flo_calls_fini(&calls);
}

/* A method is made once; how many there may be is bounded. */
static void test_methods_are_kept(void **state)
{
    struct flo_calls calls;
    (void)state;
    flo_calls_init(&calls, NULL);
    struct flo_call_method *poll = flo_calls_method(&calls, "PollActivityTaskQueue");
    struct flo_call_method *wait = flo_calls_method(&calls, "GetWorkflowExecutionHistory");
    struct flo_call_method *start = flo_calls_method(&calls, "StartWorkflowExecution");
    assert_true(poll->task_poll && poll->long_poll);
    assert_true(!wait->task_poll && wait->long_poll);
    assert_true(!start->task_poll && !start->long_poll);
    assert_ptr_equal(flo_calls_method(&calls, "PollActivityTaskQueue"), poll);
    assert_string_equal(poll->name, "PollActivityTaskQueue");
    for (int i = 3; i < FLO_CALLS_METHODS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "Method%d", i);
        assert_non_null(flo_calls_method(&calls, name));
    }
    assert_null(flo_calls_method(&calls, "OneMore"));
    assert_ptr_equal(flo_calls_method(&calls, "StartWorkflowExecution"), start);
    flo_calls_fini(&calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply_waits_for_its_commit),
        cmocka_unit_test(test_held_too_much_is_full),
        cmocka_unit_test(test_methods_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
