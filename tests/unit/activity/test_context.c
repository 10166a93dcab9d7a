/* SPDX-License-Identifier: Apache-2.0 */
/* test_context.c - what activity code can ask and how it ends: inputs, results, failures,
 * interceptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attempt.h"
#include "wire/payload.h"

/* ---- inputs and results ---- */

static int look(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_payload *raw = flo_activity_argument_payload(ctx, 1);
    json_t *header = NULL;
    size_t len;

    assert_int_equal(flo_activity_argument_count(ctx), 3);
    assert_ptr_equal(flo_activity_argument(ctx, 0), input);
    assert_true(flo_raw_is(flo_activity_argument(ctx, 1)));
    assert_ptr_equal(flo_activity_argument(ctx, 1), flo_activity_argument(ctx, 1));
    assert_null(flo_activity_argument(ctx, 2)); /* does not parse */
    assert_null(flo_activity_argument(ctx, 3));
    assert_null(flo_activity_argument_payload(ctx, 3));
    assert_true(flo_payload_encoded_as(raw, "binary/plain"));
    assert_false(flo_payload_encoded_as(raw, "binary"));
    assert_memory_equal(flo_payload_data(raw, &len), "raw", 3);
    assert_int_equal(len, 3);
    assert_null(flo_payload_metadata(raw, "nothing", &len));
    assert_null(flo_activity_header(ctx, "nobody"));
    assert_int_equal(flo_payload_json(flo_activity_header(ctx, "tenant"), &header, NULL), 0);
    assert_string_equal(json_string_value(header), "acme");
    json_decref(header);
    assert_int_equal(flo_activity_info(ctx)->retry.maximum_attempts, 4);
    assert_null(flo_activity_info(ctx)->retry.non_retryable_types);
    assert_int_equal(flo_activity_info(ctx)->priority_key, 2);
    assert_string_equal(flo_activity_info(ctx)->fairness_key, "");
    assert_string_equal(flo_activity_token(ctx), "Af8C");
    assert_ptr_equal(flo_activity_token(ctx), flo_activity_token(ctx));
    (void)out_result;
    return flo_activity_result_bytes(ctx, "binary/plain", "\0\1", 2);
}

/* Arguments, header, policy and token are what came; bytes go out as they are. */
static void test_inputs_are_what_came(void **state)
{
    struct attempt a = {0};
    const FloApi__Payload *result;

    (void)state;
    attempt_run(&a, look);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_COMPLETED);
    result = attempt_first_payload(&a);
    assert_int_equal(result->data.len, 2);
    assert_memory_equal(result->data.data, "\0\1", 2);
    assert_memory_equal(result->metadata[0]->value.data, "binary/plain", 12);
    attempt_end(&a);
}

static int too_many_bytes(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    char *large = calloc(1, FLO_ACTIVITY_RESULT_MAX + 1);
    int rc = flo_activity_result_bytes(ctx, "binary/plain", large, FLO_ACTIVITY_RESULT_MAX + 1);

    free(large);
    (void)input;
    *out_result = json_integer(rc);
    return 0;
}

/* More than the server takes is refused at once, not sent. */
static void test_result_bytes_too_many_refused(void **state)
{
    struct attempt a = {0};
    char text[8];

    (void)state;
    attempt_run(&a, too_many_bytes);
    snprintf(text, sizeof text, "%d", FLO_ELIMIT);
    assert_memory_equal(attempt_first_payload(&a)->data.data, text, strlen(text));
    attempt_end(&a);
}

/* ---- how it ends ---- */

static int fail_chained(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_failure inner = {.type = "Inner", .message = "in"};
    json_t *details[] = {input, input};
    const struct flo_failure outer = {.type = "Outer",
                                      .message = "out",
                                      .benign = true,
                                      .details = details,
                                      .detail_count = 2,
                                      .cause = &inner};

    (void)out_result;
    (void)flo_activity_fail(ctx, "Earlier", true, NULL, "replaced");
    flo_activity_next_retry_delay(ctx, 2500);
    return flo_activity_fail_with(ctx, &outer);
}

/* The last failure counts, with its details, cause, category and the delay that was asked for. */
static void test_fail_with_everything(void **state)
{
    struct attempt a = {0};
    const FloApi__Failure *failure;
    const FloApi__ApplicationFailureInfo *info;

    (void)state;
    attempt_run(&a, fail_chained);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_FAILED);
    failure = attempt_body(&a, &flo_api__failure__descriptor);
    info = failure->application_failure_info;
    assert_string_equal(failure->message, "out");
    assert_string_equal(info->type, "Outer");
    assert_false(info->non_retryable);
    assert_int_equal(info->category, 1);
    assert_int_equal(info->details->n_payloads, 2);
    assert_int_equal(flo_duration_ns(info->next_retry_delay), INT64_C(2500000000));
    assert_string_equal(failure->cause->application_failure_info->type, "Inner");
    assert_null(failure->cause->cause);
    attempt_end(&a);
}

static int fail_circular(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct flo_failure ring = {.type = "Ring"};

    (void)input;
    (void)out_result;
    ring.cause = &ring;
    return flo_activity_fail_with(ctx, &ring);
}

/* A chain without end fails the attempt, and nothing else. */
static void test_fail_with_endless_causes_fails(void **state)
{
    struct attempt a = {0};

    (void)state;
    attempt_run(&a, fail_circular);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_FAILED);
    attempt_end(&a);
}

static int pending(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    (void)out_result;
    return flo_activity_complete_async(ctx);
}

/* An attempt that is finished later has no body. */
static void test_complete_async_is_pending(void **state)
{
    struct attempt a = {0};

    (void)state;
    attempt_run(&a, pending);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_PENDING);
    assert_int_equal(a.outcome.body_len, 0);
    attempt_end(&a);
}

static int stop_with_details(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)out_result;
    assert_int_equal(flo_activity_cancel_code(ctx), FLO_ACTIVITY_PAUSED);
    assert_string_equal(flo_activity_cancel_reason(ctx), "paused");
    flo_activity_cancel_details(ctx, input);
    return FLO_ECANCELLED;
}

/* Details of an accepted cancellation are in its outcome. */
static void test_cancel_details_are_reported(void **state)
{
    struct attempt a = {0};

    (void)state;
    attempt_run_told(&a, stop_with_details, FLO_JOB_CANCEL_PAUSED);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_CANCELLED);
    assert_memory_equal(attempt_first_payload(&a)->data.data, "{\"n\":1}", 7);
    attempt_end(&a);
}

/* ---- interceptors ---- */

static char trace[128];

static void note_trace(const char *what, void *shared)
{
    size_t len = strlen(trace);

    snprintf(trace + len, sizeof trace - len, "%s%s ", what, (const char *)shared);
}

static int wrap_twice(struct flo_activity_context *ctx, void *shared, json_t *input,
                      json_t **out_result)
{
    int rc;

    note_trace("in-", shared);
    rc = flo_activity_proceed(ctx, input, out_result);
    if (rc == FLO_EIO) /* once more, by itself */
        rc = flo_activity_proceed(ctx, input, out_result);
    note_trace("out-", shared);
    return rc;
}

static int wrap_beat(struct flo_activity_context *ctx, void *shared, json_t *details)
{
    note_trace("beat-", shared);
    return flo_activity_proceed_heartbeat(ctx, details);
}

static int second_time(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    static int times;

    (void)input;
    (void)out_result;
    note_trace("run", (void *)(uintptr_t) "");
    assert_int_equal(flo_activity_heartbeat(ctx, NULL), 0);
    return ++times == 1 ? FLO_EIO : 0;
}

/* The first interceptor is the outermost; one may run what is inside again; heartbeats pass them
 * in the same order. */
static void test_interceptors_nest(void **state)
{
    static const struct flo_activity_interceptor both = {wrap_twice, wrap_beat},
                                                 beats = {NULL, wrap_beat};
    void *names[] = {"A", "B", "C"};
    const struct flo_activity_wrap wraps[] = {
        {&both, &names[0]}, {&beats, &names[1]}, {&both, &names[2]}};
    struct attempt a = {.library = {.wraps = wraps, .wrap_count = 3}};

    (void)state;
    trace[0] = '\0';
    attempt_run(&a, second_time);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_COMPLETED);
    assert_string_equal(trace, "in-A in-C run beat-A beat-B beat-C run beat-A beat-B beat-C "
                               "out-C out-A ");
    assert_int_equal(a.fake.beats, 2);
    attempt_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs_are_what_came),
        cmocka_unit_test(test_result_bytes_too_many_refused),
        cmocka_unit_test(test_fail_with_everything),
        cmocka_unit_test(test_fail_with_endless_causes_fails),
        cmocka_unit_test(test_complete_async_is_pending),
        cmocka_unit_test(test_cancel_details_are_reported),
        cmocka_unit_test(test_interceptors_nest),
    };

    return cmocka_run_group_tests_name("activity/context", tests, NULL, NULL);
}
