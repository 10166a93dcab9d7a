/* SPDX-License-Identifier: Apache-2.0 */
/* test_task.c - activity/task.c and context.c: one attempt, with a job that is not run anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "activity/task.h"
#include "executor/core.h"
#include "wire/api.h"
#include "wire/decode.h"
#include "wire/payload.h"

struct fake_io {
    struct flo_job_io io;
    enum flo_job_cancel reason;
    int beats;
    size_t last_beat_len;
};

static void fake_progress(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    struct fake_io *fake = (struct fake_io *)io;

    (void)data;
    fake->beats++;
    fake->last_beat_len = len;
}

static unsigned fake_wait(struct flo_job_io *io, unsigned known, int64_t timeout_ms)
{
    (void)known;
    (void)timeout_ms;
    return ((struct fake_io *)io)->reason;
}

/* The activity under test: does what its input's "do" says. */
static int activity(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const char *what = json_string_value(json_object_get(input, "do"));
    json_t *big;

    if (!what) {
        *out_result = json_incref(input);
        return 0;
    }
    if (strcmp(what, "info") == 0) {
        const struct flo_activity_info *info = flo_activity_info(ctx);
        *out_result = json_pack("{s:s,s:s,s:s,s:i,s:I}", "id", info->activity_id, "workflow",
                                info->workflow_id, "queue", info->task_queue, "attempt",
                                (int)info->attempt, "stc", (json_int_t)info->start_to_close_ms);
        return 0;
    }
    if (strcmp(what, "fail") == 0)
        return flo_activity_fail(ctx, "BadThing", true, input, "it is %s", "bad");
    if (strcmp(what, "code") == 0)
        return FLO_EIO;
    if (strcmp(what, "cancelled") == 0)
        return FLO_ECANCELLED;
    if (strcmp(what, "beat") == 0) {
        int rc = flo_activity_heartbeat(ctx, input);
        *out_result = json_integer(rc);
        return 0;
    }
    if (strcmp(what, "last") == 0) {
        *out_result = json_incref(flo_activity_last_heartbeat(ctx));
        return 0;
    }
    if (strcmp(what, "big_beat") == 0) {
        char *text = calloc(1, FLO_JOB_PROGRESS_MAX + 100);
        memset(text, 'x', FLO_JOB_PROGRESS_MAX + 50);
        big = json_string(text);
        free(text);
        *out_result = json_integer(flo_activity_heartbeat(ctx, big));
        json_decref(big);
        return 0;
    }
    if (strcmp(what, "big") == 0) {
        char *text = calloc(1, FLO_ACTIVITY_RESULT_MAX + 100);
        memset(text, 'x', FLO_ACTIVITY_RESULT_MAX + 50);
        *out_result = json_string(text);
        free(text);
        return 0;
    }
    return FLO_EINVAL;
}

static bool find(void *ctx, const char *type, flo_activity_fn *out_fn, void **out_shared)
{
    *out_fn = activity;
    *out_shared = ctx;
    return strcmp(type, "known") == 0;
}

static void names(void *ctx, struct flo_buf *out)
{
    (void)ctx;
    flo_buf_append_str(out, "known");
}

static const struct flo_activity_library LIBRARY = {
    .find = find, .names = names, .identity = "me", .task_queue = "queue"};

struct attempt {
    struct fake_io fake;
    struct flo_arena arena;
    struct flo_buf reply;
    struct flo_outcome outcome;
    const char *encoding; /* of the input; NULL: json/plain */
    bool shared;          /* run from the message itself, as a thread does */
};

/* Run an attempt of type with input (JSON text as it stands) and decode its outcome. */
static void run(struct attempt *a, const char *type, const char *input, const char *heartbeat)
{
    FloApi__PollActivityTaskQueueResponse task = FLO_API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT;
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__ActivityType activity_type = FLO_API__ACTIVITY_TYPE__INIT;
    FloApi__Payloads *last = NULL;
    FloApi__Payloads *payloads;
    const void *message = &task;
    struct flo_buf packed;

    a->fake.io = (struct flo_job_io){.progress = fake_progress, .wait = fake_wait};
    flo_arena_init(&a->arena, 0);
    flo_buf_init(&a->reply, 0);
    flo_buf_init(&packed, 0);
    payloads = flo_payloads_from_json(&a->arena, json_true());
    if (a->encoding)
        payloads->payloads[0] =
            flo_payload_from_bytes(&a->arena, a->encoding, input, strlen(input));
    payloads->payloads[0]->data.data = flo_arena_memdup(&a->arena, input, strlen(input));
    payloads->payloads[0]->data.len = strlen(input);
    if (heartbeat) {
        json_t *value = json_string(heartbeat);
        last = flo_payloads_from_json(&a->arena, value);
        json_decref(value);
    }
    execution.workflow_id = flo_arena_strdup(&a->arena, "wf-1");
    execution.run_id = flo_arena_strdup(&a->arena, "run-1");
    activity_type.name = flo_arena_strdup(&a->arena, type);
    task.activity_id = flo_arena_strdup(&a->arena, "7");
    task.attempt = 3;
    task.workflow_execution = &execution;
    task.activity_type = &activity_type;
    task.input = payloads;
    task.heartbeat_details = last;
    task.start_to_close_timeout = flo_duration_new(&a->arena, INT64_C(5000000000));
    assert_int_equal(flo_wire_encode(&task.base, &packed), 0);
    if (a->shared)
        flo_activity_task_run_shared((void *)(uintptr_t)&LIBRARY, &a->fake.io,
                                     (const uint8_t *)&message, sizeof message, &a->reply);
    else
        flo_activity_task_run((void *)(uintptr_t)&LIBRARY, &a->fake.io, packed.data, packed.len,
                              &a->reply);
    flo_buf_fini(&packed);
    assert_int_equal(flo_outcome_decode(a->reply.data, a->reply.len, &a->outcome), 0);
}

static void end(struct attempt *a)
{
    flo_arena_fini(&a->arena);
    flo_buf_fini(&a->reply);
}

static json_t *result(struct attempt *a)
{
    ProtobufCMessage *message;
    json_t *value;

    assert_int_equal(a->outcome.kind, FLO_OUTCOME_COMPLETED);
    assert_int_equal(flo_wire_decode(&flo_api__payloads__descriptor, a->outcome.body,
                                     a->outcome.body_len, &a->arena, &message, NULL),
                     0);
    assert_int_equal(flo_payloads_to_json((FloApi__Payloads *)message, false, &value, NULL), 0);
    return value;
}

static const FloApi__Failure *failure(struct attempt *a)
{
    ProtobufCMessage *message;

    assert_int_equal(flo_wire_decode(&flo_api__failure__descriptor, a->outcome.body,
                                     a->outcome.body_len, &a->arena, &message, NULL),
                     0);
    return (const FloApi__Failure *)message;
}

/* The input goes in, the result comes out. */
static void test_run_returns_the_result(void **state)
{
    struct attempt a = {0};
    json_t *value;

    (void)state;
    run(&a, "known", "{\"x\": 1}", NULL);
    value = result(&a);
    assert_int_equal(json_integer_value(json_object_get(value, "x")), 1);
    json_decref(value);
    end(&a);
}

/* The same when the task is not sent but looked at. */
static void test_run_shared_returns_the_result(void **state)
{
    struct attempt a = {.shared = true};
    json_t *value;

    (void)state;
    run(&a, "known", "{\"x\": 2}", NULL);
    value = result(&a);
    assert_int_equal(json_integer_value(json_object_get(value, "x")), 2);
    json_decref(value);
    end(&a);
}

/* The context tells what the task said. */
static void test_run_info_is_the_tasks(void **state)
{
    struct attempt a = {0};
    json_t *value;

    (void)state;
    run(&a, "known", "{\"do\": \"info\"}", NULL);
    value = result(&a);
    assert_string_equal(json_string_value(json_object_get(value, "id")), "7");
    assert_string_equal(json_string_value(json_object_get(value, "workflow")), "wf-1");
    assert_string_equal(json_string_value(json_object_get(value, "queue")), "queue");
    assert_int_equal(json_integer_value(json_object_get(value, "attempt")), 3);
    assert_int_equal(json_integer_value(json_object_get(value, "stc")), 5000);
    json_decref(value);
    end(&a);
}

/* An unknown type fails the attempt as the Python SDK does it: retryable NotFoundError. */
static void test_run_unknown_type_fails_like_the_sdks(void **state)
{
    struct attempt a = {0};

    (void)state;
    run(&a, "unknown", "1", NULL);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_UNREGISTERED);
    assert_string_equal(failure(&a)->message,
                        "Activity function unknown for workflow wf-1 is not registered on this "
                        "worker, available activities: known");
    assert_string_equal(failure(&a)->application_failure_info->type, "NotFoundError");
    assert_false(failure(&a)->application_failure_info->non_retryable);
    end(&a);
}

/* What this worker has no codec for is not handed to code; another worker may read it. */
static void test_run_encrypted_input_fails_the_attempt(void **state)
{
    struct attempt a = {0};

    (void)state;
    a.encoding = "binary/encrypted";
    run(&a, "known", "secret", NULL);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_FAILED);
    assert_string_equal(failure(&a)->application_failure_info->type, "PayloadCodecError");
    assert_false(failure(&a)->application_failure_info->non_retryable);
    assert_non_null(strstr(failure(&a)->message, "codec.key_file"));
    end(&a);
}

/* An input that is not JSON is a failure that no retry can mend. */
static void test_run_input_not_json_fails_for_good(void **state)
{
    struct attempt a = {0};

    (void)state;
    run(&a, "known", "{\"x\": ", NULL);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_FAILED);
    assert_string_equal(failure(&a)->application_failure_info->type, "PAYLOAD_INVALID");
    assert_true(failure(&a)->application_failure_info->non_retryable);
    end(&a);
}

/* Bytes that are no task fail the attempt too. */
static void test_run_damaged_task_fails(void **state)
{
    struct attempt a = {0};

    (void)state;
    a.fake.io = (struct flo_job_io){.progress = fake_progress, .wait = fake_wait};
    flo_buf_init(&a.reply, 0);
    flo_arena_init(&a.arena, 0);
    flo_activity_task_run((void *)(uintptr_t)&LIBRARY, &a.fake.io, (const uint8_t *)"\xff\xff", 2,
                          &a.reply);
    assert_int_equal(flo_outcome_decode(a.reply.data, a.reply.len, &a.outcome), 0);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_FAILED);
    end(&a);
}

/* A typed failure carries type, message, details and whether to retry. */
static void test_run_typed_failure(void **state)
{
    struct attempt a = {0};

    (void)state;
    run(&a, "known", "{\"do\": \"fail\"}", NULL);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_FAILED);
    assert_string_equal(failure(&a)->message, "it is bad");
    assert_string_equal(failure(&a)->application_failure_info->type, "BadThing");
    assert_true(failure(&a)->application_failure_info->non_retryable);
    assert_non_null(failure(&a)->application_failure_info->details);
    end(&a);
}

/* A bare code becomes a retryable failure with its name. */
static void test_run_code_becomes_a_failure(void **state)
{
    struct attempt a = {0};

    (void)state;
    run(&a, "known", "{\"do\": \"code\"}", NULL);
    assert_string_equal(failure(&a)->application_failure_info->type, "FLO_EIO");
    assert_false(failure(&a)->application_failure_info->non_retryable);
    end(&a);
}

/* FLO_ECANCELLED is a cancellation only when somebody asked for one. */
static void test_run_cancelled_needs_a_request(void **state)
{
    struct attempt a = {0}, b = {.fake = {.reason = FLO_JOB_CANCEL_REQUESTED}};

    (void)state;
    run(&a, "known", "{\"do\": \"cancelled\"}", NULL);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_FAILED);
    assert_int_equal(failure(&a)->failure_info_case,
                     FLO_API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO);
    run(&b, "known", "{\"do\": \"cancelled\"}", NULL);
    assert_int_equal(b.outcome.kind, FLO_OUTCOME_CANCELLED);
    end(&a);
    end(&b);
}

/* A heartbeat goes up; it says when the attempt should stop; too large ones are refused. */
static void test_heartbeat_goes_up(void **state)
{
    struct attempt a = {0}, b = {.fake = {.reason = FLO_JOB_CANCEL_REQUESTED}}, c = {0};
    json_t *value;

    (void)state;
    run(&a, "known", "{\"do\": \"beat\"}", NULL);
    value = result(&a);
    assert_int_equal(json_integer_value(value), 0);
    json_decref(value);
    assert_int_equal(a.fake.beats, 1);
    assert_true(a.fake.last_beat_len > 0);
    run(&b, "known", "{\"do\": \"beat\"}", NULL);
    value = result(&b);
    assert_int_equal(json_integer_value(value), FLO_ECANCELLED);
    json_decref(value);
    run(&c, "known", "{\"do\": \"big_beat\"}", NULL);
    value = result(&c);
    assert_int_equal(json_integer_value(value), FLO_ELIMIT);
    json_decref(value);
    assert_int_equal(c.fake.beats, 0);
    end(&a);
    end(&b);
    end(&c);
}

/* The details of the last attempt's heartbeat are there. */
static void test_last_heartbeat_is_the_tasks(void **state)
{
    struct attempt a = {0};
    json_t *value;

    (void)state;
    run(&a, "known", "{\"do\": \"last\"}", "half way");
    value = result(&a);
    assert_string_equal(json_string_value(value), "half way");
    json_decref(value);
    end(&a);
}

/* A result over the server's limit fails the attempt instead of being sent. */
static void test_run_result_too_large_fails(void **state)
{
    struct attempt a = {0};

    (void)state;
    run(&a, "known", "{\"do\": \"big\"}", NULL);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_FAILED);
    assert_string_equal(failure(&a)->message, "Complete result exceeds size limit.");
    end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_returns_the_result),
        cmocka_unit_test(test_run_shared_returns_the_result),
        cmocka_unit_test(test_run_info_is_the_tasks),
        cmocka_unit_test(test_run_unknown_type_fails_like_the_sdks),
        cmocka_unit_test(test_run_encrypted_input_fails_the_attempt),
        cmocka_unit_test(test_run_input_not_json_fails_for_good),
        cmocka_unit_test(test_run_damaged_task_fails),
        cmocka_unit_test(test_run_typed_failure),
        cmocka_unit_test(test_run_code_becomes_a_failure),
        cmocka_unit_test(test_run_cancelled_needs_a_request),
        cmocka_unit_test(test_heartbeat_goes_up),
        cmocka_unit_test(test_last_heartbeat_is_the_tasks),
        cmocka_unit_test(test_run_result_too_large_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
