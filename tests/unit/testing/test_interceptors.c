/* SPDX-License-Identifier: Apache-2.0 */
/* test_interceptors.c - modules with interceptors and headers that travel, in the testing kit. */
#include <string.h>

#include "support/testing_kit.h"

static const struct flo_activity_options quick = {.start_to_close_ms = 1000};
static struct flo_err err;

static int order(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_local_activity_options near = {.start_to_close_ms = 1000};
    json_t *local = NULL, *far = NULL;
    int rc = flo_local_activity(wf, "whose", NULL, &near, &local);
    if (rc == 0)
        rc = flo_activity(wf, "whose", NULL, &quick, &far);
    *out_result = json_pack("[o?,o?,O]", local, far, input);
    return rc;
}

static int whose(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_payload *tenant = flo_activity_header(ctx, "tenant");
    (void)input;
    return tenant ? flo_payload_json(tenant, out_result, NULL) : 0;
}

static int doubles(struct flo_workflow *wf, struct flo_inbound_call *call, json_t **out_result)
{
    json_t *twice = json_pack("[O,O]", call->input, call->input);
    call->input = twice;
    int rc = flo_inbound_proceed(wf, call, out_result);
    json_decref(twice);
    return rc;
}

static int closed_at_night(struct flo_workflow *wf, struct flo_outbound_call *call)
{
    bool night = json_is_true(flo_context_get(wf, "night"));
    return night ? flo_workflow_fail(wf, "Closed", true, NULL, "no %s at night", call->name) : 0;
}

static const struct flo_module orders = {
    .abi = FLO_MODULE_ABI,
    .name = "orders",
    .workflows = (const struct flo_workflow_entry[]){{"Order", order}, {NULL, NULL}},
    .activities = (const struct flo_activity_entry[]){{"whose", whose}, {NULL, NULL}},
    .workflow_interceptors =
        (const struct flo_workflow_interceptor[]){{doubles, closed_at_night}, {NULL, NULL}},
    .propagate = (const char *const[]){"tenant", NULL},
};

static const struct flo_module nights = {
    .abi = FLO_MODULE_ABI, .name = "nights", .propagate = (const char *const[]){"night", NULL}};

static struct flo_test_workflow *start(struct flo_test_env *env, const char *headers)
{
    const struct flo_test_start_options options = {.headers = flo_test_json(env, headers)};
    return flo_test_start(env, "Order", flo_test_json(env, "5"), &options);
}

/* From the start's headers to activities of both kinds, mocked or real. */
static void test_headers_reach_activities(void **state)
{
    struct flo_test_env *env = kit_env(state, &orders);
    flo_test_mock(env, "whose", &(struct flo_test_mock){.run = whose});
    flo_test_assert_completed(start(env, "{\"tenant\": \"acme\", \"other\": 1}"),
                              "[\"acme\", \"acme\", [5, 5]]");
    kit_env_end(env);
}

/* A module that is added brings its keys; what is refused never runs. */
static void test_calls_are_refused(void **state)
{
    struct flo_test_env *env = kit_env(state, &orders);
    flo_test_env_add(env, &nights);
    flo_test_mock(env, "whose", &(struct flo_test_mock){.run = whose});
    struct flo_test_workflow *wf = start(env, "{\"night\": true}");
    flo_test_assert_ended(wf, FLO_TEST_FAILED, "Closed");
    assert_int_equal(flo_test_result(wf, NULL, &err), FLO_EFAILED);
    assert_non_null(strstr(err.message, "no whose at night"));
    flo_test_assert_attempts(env, "whose", 0);
    kit_env_end(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {KIT_TEST(test_headers_reach_activities),
                                       KIT_TEST(test_calls_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
