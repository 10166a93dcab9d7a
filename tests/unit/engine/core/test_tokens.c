/* SPDX-License-Identifier: Apache-2.0 */
/* test_tokens.c - task tokens: only those that the engine made, for as long as their task lives. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/engine_harness.h"

#include "base/clock.h"
#include "base/random.h"

static int setup(void **state)
{
    *state = engine_new(3);
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

static const char *respond_activity(struct engine *e, const uint8_t *token, size_t len)
{
    FloApi__RespondActivityTaskCompletedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    request.namespace_ = "default";
    request.identity = "me";
    request.task_token = (ProtobufCBinaryData){.data = (uint8_t *)token, .len = len};
    return engine_try(e, "RespondActivityTaskCompleted", &request.base);
}

static const char *respond_workflow(struct engine *e, const uint8_t *token, size_t len)
{
    FloApi__RespondWorkflowTaskCompletedRequest request =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_token = (ProtobufCBinaryData){.data = (uint8_t *)token, .len = len};
    return engine_try(e, "RespondWorkflowTaskCompleted", &request.base);
}

static ProtobufCBinaryData activity_token(struct engine *e)
{
    engine_start(e, "wf", "q");
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_activity(e, "a", "q"), NULL);
    return engine_activity(e, engine_poll_activity(e, "q"))->task_token;
}

static const char *const MALFORMED = "INVALID_ARGUMENT | Error deserializing task token.";

/* Any single bit that is flipped makes a token that is refused; the true one still works. */
static void test_token_each_bit_flipped_is_refused(void **state)
{
    struct engine *e = *state;
    const ProtobufCBinaryData token = activity_token(e);
    for (size_t bit = 0; bit < 8 * token.len; bit++) {
        token.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_string_equal(respond_activity(e, token.data, token.len), MALFORMED);
        token.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_string_equal(respond_activity(e, token.data, token.len), "OK");
}

/* Cut short, made longer, empty, random, huge. */
static void test_token_of_other_length_is_refused(void **state)
{
    struct engine *e = *state;
    const ProtobufCBinaryData token = activity_token(e);
    assert_string_equal(respond_activity(e, NULL, 0),
                        "INVALID_ARGUMENT | Task token not set on request.");
    for (size_t len = 1; len < token.len; len++)
        assert_string_equal(respond_activity(e, token.data, len), MALFORMED);
    const size_t huge = 1 << 20;
    uint8_t *bytes = flo_arena_alloc(&e->arena, huge);
    memset(bytes, 0, huge);
    memcpy(bytes, token.data, token.len);
    assert_string_equal(respond_activity(e, bytes, token.len + 1), MALFORMED);
    assert_string_equal(respond_activity(e, bytes, huge), MALFORMED);
    struct flo_rng rng;
    flo_rng_seed(&rng, 1);
    for (int i = 0; i < 1000; i++) {
        uint64_t words[12];
        for (size_t j = 0; j < 12; j++)
            words[j] = flo_rng_next(&rng);
        assert_string_equal(
            respond_activity(e, (const uint8_t *)words, 1 + flo_rng_below(&rng, sizeof words)),
            MALFORMED);
    }
}

/* A token of one kind names no task of another. */
static void test_token_of_other_kind_is_refused(void **state)
{
    struct engine *e = *state;
    const ProtobufCBinaryData token = activity_token(e);
    assert_string_equal(respond_workflow(e, token.data, token.len),
                        "NOT_FOUND | Workflow task not found. | NotFoundFailure");
}

/* The namespace of the request, if it names one, is the token's. */
static void test_token_of_other_namespace_is_refused(void **state)
{
    struct engine *e = *state;
    const ProtobufCBinaryData token = activity_token(e);
    assert_int_equal(flo_core_ensure_namespace(e->core, "other", 0), 0);
    FloApi__RespondActivityTaskCompletedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    request.task_token = token;
    request.namespace_ = "other";
    assert_string_equal(
        engine_try(e, "RespondActivityTaskCompleted", &request.base),
        "INVALID_ARGUMENT | Operation requested with a token from a different namespace.");
    request.namespace_ = "";
    assert_string_equal(engine_try(e, "RespondActivityTaskCompleted", &request.base), "OK");
}

/* A completion counts once. */
static void test_token_used_twice_is_not_found(void **state)
{
    struct engine *e = *state;
    const ProtobufCBinaryData token = activity_token(e);
    assert_string_equal(respond_activity(e, token.data, token.len), "OK");
    for (int i = 0; i < 100; i++)
        assert_string_equal(respond_activity(e, token.data, token.len),
                            "NOT_FOUND | invalid activityID or activity already timed out or "
                            "invoking workflow is completed | NotFoundFailure");
}

/* The token of an activity that was started durably outlives the engine. */
static void test_activity_token_survives_a_restart(void **state)
{
    struct engine *e = *state;
    const ProtobufCBinaryData token = activity_token(e);
    engine_pass(e, 2 * FLO_NS_PER_S); /* the start rides along with the next commit */
    engine_restart(e);
    assert_string_equal(respond_activity(e, token.data, token.len), "OK");
}

/* A workflow task that was out when the engine died is given out anew; the old token is void. */
static void test_workflow_token_is_void_after_a_restart(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    const FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
    engine_restart(e);
    assert_string_equal(respond_workflow(e, task->task_token.data, task->task_token.len),
                        "NOT_FOUND | Workflow task not found. | NotFoundFailure");
    engine_pass(e, 20 * FLO_NS_PER_S);
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_complete(e), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_token_each_bit_flipped_is_refused),
        TEST(test_token_of_other_length_is_refused),
        TEST(test_token_of_other_kind_is_refused),
        TEST(test_token_of_other_namespace_is_refused),
        TEST(test_token_used_twice_is_not_found),
        TEST(test_activity_token_survives_a_restart),
        TEST(test_workflow_token_is_void_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
