/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_workflows.c - the workflows of the modules that ship, from the files that workers load, in
 * virtual time: each with its runs kept, never kept, and kept by chance.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "flotilla/testing.h"
#include "support/cmocka_env.h"

static const struct flo_module *load(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.so", MODULES, name);
    void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* stays */
    if (!file)
        fail_msg("%s", dlerror());
    const struct flo_module *module = dlsym(file, "flo_module");
    assert_non_null(module);
    return module;
}

static struct flo_test_env *new_env(void **state, const char *module, bool real)
{
    const struct flo_test_options options = {.cache = *(enum flo_test_cache *)*state,
                                             .real_activities = real};
    struct flo_test_env *env = flo_test_env_new(load(module), &options);
    assert_non_null(env);
    return env;
}

/* ---- echo ---- */

/* What goes in comes out, by the module's own activity. */
static void test_echo_real_activity_returns_input(void **state)
{
    struct flo_test_env *env = new_env(state, "echo", true);
    struct flo_test_workflow *wf =
        flo_test_start(env, "EchoWorkflow", flo_test_json(env, "{\"a\": [1, 2]}"), NULL);
    flo_test_assert_completed(wf, "{\"a\": [1, 2]}");
    flo_test_assert_attempts(env, "echo", 1);
    flo_test_env_destroy(&env);
}

/* ---- document ---- */

#define DOCUMENT "{\"uri\": \"file:///a\", \"sha256\": \"1\"}"

static void mock_document(struct flo_test_env *env, unsigned fetches_fail)
{
    static const struct flo_failure network = {.type = "Network", .message = "no route"};
    flo_test_mock(env, "fetch_document",
                  &(struct flo_test_mock){
                      .result = DOCUMENT, .fail_times = fetches_fail, .failure = &network});
    flo_test_mock(env, "extract_text",
                  &(struct flo_test_mock){.result = "{\"chunks\": [\"a\", \"b\", \"c\"]}"});
    flo_test_mock(
        env, "analyze_chunk",
        &(struct flo_test_mock){.result = "{\"words\": 1}", .takes_ms = 30000, .heartbeats = true});
    flo_test_mock(env, "index_document", &(struct flo_test_mock){.result = "{\"id\": 9}"});
}

/* Its chunks are analysed side by side, and what is indexed has the answers of all. */
static void test_document_chunks_are_indexed(void **state)
{
    struct flo_test_env *env = new_env(state, "document.workflows", false);
    mock_document(env, 2);
    struct flo_test_workflow *wf = flo_test_start(
        env, "DocumentWorkflow", flo_test_json(env, "{\"uri\": \"file:///a\"}"), NULL);
    flo_test_assert_completed(wf, "{\"id\": 9}");
    flo_test_assert_attempts(env, "fetch_document", 3);
    flo_test_assert_activities(env, "analyze_chunk", 3);
    assert_int_equal(flo_test_elapsed_ms(env), 500 + 1000 + 30000);
    json_t *indexed = flo_test_activity_input(env, "index_document", 0);
    assert_int_equal(json_array_size(json_object_get(indexed, "chunks")), 3);
    flo_test_env_destroy(&env);
}

/* A worker that dies while it analyses costs the heartbeat timeout, and an attempt. */
static void test_document_lost_worker_is_replaced(void **state)
{
    struct flo_test_env *env = new_env(state, "document.workflows", false);
    mock_document(env, 0);
    flo_test_mock(env, "extract_text", &(struct flo_test_mock){.hangs = true});
    struct flo_test_workflow *wf = flo_test_start(
        env, "DocumentWorkflow", flo_test_json(env, "{\"uri\": \"file:///a\"}"), NULL);
    assert_int_equal(flo_test_advance(env, 5000, NULL), 0);
    mock_document(env, 0);
    flo_test_assert_completed(wf, "{\"id\": 9}");
    flo_test_assert_attempts(env, "extract_text", 2);
    assert_int_equal(flo_test_elapsed_ms(env), 6000 + 1000 + 30000);
    flo_test_env_destroy(&env);
}

/* Fetching is given up after five attempts; an input without a URI has none. */
static void test_document_fails(void **state)
{
    struct flo_test_env *env = new_env(state, "document.workflows", false);
    mock_document(env, FLO_TEST_ALWAYS);
    struct flo_test_workflow *wf = flo_test_start(
        env, "DocumentWorkflow", flo_test_json(env, "{\"uri\": \"file:///a\"}"), NULL);
    flo_test_assert_ended(wf, FLO_TEST_FAILED, "Network");
    flo_test_assert_attempts(env, "fetch_document", 5);
    wf = flo_test_start(env, "DocumentWorkflow", NULL, NULL);
    flo_test_assert_ended(wf, FLO_TEST_FAILED, "InvalidInput");
    flo_test_assert_attempts(env, "fetch_document", 5);
    flo_test_env_destroy(&env);
}

/* ---- loadtest ---- */

static int give_back(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    *out_result = json_incref(input);
    return 0;
}

/* The shapes, each with the result that can be computed from its input. */
static void test_loadtest_shapes(void **state)
{
    struct flo_test_env *env = new_env(state, "loadtest.workflows", false);
    flo_test_mock(env, "echo", &(struct flo_test_mock){.run = give_back});
    json_t *ten = flo_test_json(env, "{\"n\": 10, \"ms\": 3600000}");
    flo_test_assert_completed(flo_test_start(env, "ChainWorkflow", ten, NULL), "45");
    flo_test_assert_completed(flo_test_start(env, "FanWorkflow", ten, NULL), "45");
    flo_test_assert_activities(env, "echo", 20);
    struct flo_test_workflow *timers = flo_test_start(env, "TimerWorkflow", ten, NULL);
    flo_test_assert_completed(timers, "10");
    assert_int_equal(flo_test_elapsed_ms(env), 3600000);
    struct flo_test_workflow *signals = flo_test_start(env, "SignalWorkflow", ten, NULL);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(flo_test_status(signals), FLO_TEST_RUNNING);
        flo_test_assert_ok(flo_test_signal(signals, "ping", NULL, NULL), NULL);
        assert_int_equal(flo_test_advance(env, i % 3, NULL), 0);
    }
    flo_test_assert_completed(signals, "10");
    flo_test_assert_ended(flo_test_start(env, "ChainWorkflow", NULL, NULL), FLO_TEST_FAILED,
                          "InvalidInput");
    flo_test_env_destroy(&env);
}

/* A task that fails after its retries is a result with the status "failed". */
static void test_loadtest_task_failure_is_a_result(void **state)
{
    static const struct flo_failure broken = {.type = "Broken", .message = "it broke"};
    struct flo_test_env *env = new_env(state, "loadtest.workflows", false);
    flo_test_mock(env, "failure_testing",
                  &(struct flo_test_mock){.fail_times = FLO_TEST_ALWAYS, .failure = &broken});
    struct flo_test_workflow *wf = flo_test_start(
        env, "failure_testing", flo_test_json(env, "{\"attempts\": 4, \"index\": 3}"), NULL);
    json_t *result = NULL;
    flo_test_assert_ok(flo_test_result(wf, &result, NULL), NULL);
    assert_string_equal(json_string_value(json_object_get(result, "status")), "failed");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(result, "error"), "type")), "Broken");
    assert_int_equal(json_integer_value(json_object_get(result, "index")), 3);
    flo_test_assert_attempts(env, "failure_testing", 4);
    flo_test_env_destroy(&env);
}

#define TEST(name)                                                                                 \
    {#name "_cached", name, NULL, NULL, &caches[0]},                                               \
        {#name "_uncached", name, NULL, NULL, &caches[1]},                                         \
    {                                                                                              \
#name "_evicted", name, NULL, NULL, &caches[2]                                             \
    }

int main(void)
{
    static enum flo_test_cache caches[] = {FLO_TEST_CACHE_ON, FLO_TEST_CACHE_OFF,
                                           FLO_TEST_CACHE_RANDOM};
    const struct CMUnitTest tests[] = {
        TEST(test_echo_real_activity_returns_input),
        TEST(test_document_chunks_are_indexed),
        TEST(test_document_lost_worker_is_replaced),
        TEST(test_document_fails),
        TEST(test_loadtest_shapes),
        TEST(test_loadtest_task_failure_is_a_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
