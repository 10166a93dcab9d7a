/* SPDX-License-Identifier: Apache-2.0 */
/* Making, classifying and describing failures. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "support/cmocka_env.h"
#include "unit/wire/arena_fixture.h"
#include "wire/failure.h"
#include "wire/payload.h"

/* An application failure carries all that it was given. */
static void test_application_failure_fields(void **state)
{
    json_t *details = json_pack("{s:i}", "row", 7);
    FloApi__Failure *failure =
        flo_failure_application(*state, "cannot parse", "BadRow", true, details, 2 * FLO_NS_PER_S);
    json_decref(details);
    assert_string_equal(failure->message, "cannot parse");
    assert_string_equal(failure->source, "FlotillaC");
    assert_string_equal(flo_failure_type(failure), "BadRow");
    const FloApi__ApplicationFailureInfo *info = failure->application_failure_info;
    assert_true(info->non_retryable);
    assert_int_equal(info->details->n_payloads, 1);
    assert_true(flo_duration_ns(info->next_retry_delay) == 2 * FLO_NS_PER_S);
    assert_false(flo_failure_is_cancelled(failure));

    failure = flo_failure_application(*state, "m", NULL, false, NULL, 0);
    assert_string_equal(flo_failure_type(failure), "");
    assert_null(failure->application_failure_info->details);
    assert_null(failure->application_failure_info->next_retry_delay);
}

/* Each kind knows its name; only a cancelled failure itself counts as cancelled. */
static void test_failure_kinds(void **state)
{
    FloApi__Failure *cancelled = flo_failure_cancelled(*state, "stop", NULL);
    assert_true(flo_failure_is_cancelled(cancelled));
    assert_string_equal(flo_failure_type(cancelled), "Cancelled");
    FloApi__Failure *timeout =
        flo_failure_timeout(*state, "late", FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE);
    assert_string_equal(flo_failure_type(timeout), "Timeout");
    assert_string_equal(timeout->source, "Server");
    assert_int_equal(timeout->timeout_failure_info->timeout_type,
                     FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE);
    timeout->cause = cancelled;
    assert_false(flo_failure_is_cancelled(timeout));
    assert_false(flo_failure_is_cancelled(NULL));
}

/* Texts of user code may be any bytes; what is sent is UTF-8. */
static void test_failure_texts_are_mended(void **state)
{
    const struct flo_failure user = {.type = "T\xff", .message = "caf\xe9", .stack_trace = "\x80"};
    FloApi__Failure *failure = flo_failure_from_user(*state, &user);

    assert_string_equal(failure->message, "caf?");
    assert_string_equal(failure->application_failure_info->type, "T?");
    assert_string_equal(failure->stack_trace, "?");
}

/* The description names every cause, and stops after sixteen. */
static void test_failure_describe_causes(void **state)
{
    FloApi__Failure *failure = flo_failure_application(*state, "outer", "A", false, NULL, 0);
    failure->cause = flo_failure_application(*state, "", "", false, NULL, 0);
    failure->cause->cause = flo_failure_cancelled(*state, "stop", NULL);
    struct flo_buf out;
    flo_buf_init(&out, 0);
    flo_failure_describe(failure, &out);
    assert_string_equal(flo_buf_cstr(&out), "outer (type A): no message: stop (type Cancelled)");

    FloApi__Failure *deep = flo_failure_application(*state, "x", NULL, false, NULL, 0);
    deep->cause = deep; /* endless */
    flo_buf_clear(&out);
    flo_failure_describe(deep, &out);
    assert_int_equal(out.len, 17 * 3 - 2 + 5);
    assert_non_null(strstr(flo_buf_cstr(&out), "x: ..."));
    flo_buf_fini(&out);
}

/* Without memory the makers return NULL. */
static void test_failure_without_memory(void **state)
{
    (void)state;
    json_t *details = json_string("d");
    struct flo_arena tiny;
    flo_arena_init(&tiny, 64);
    assert_null(flo_failure_application(&tiny, "m", "T", false, details, 1));
    assert_null(flo_failure_cancelled(&tiny, "m", details));
    assert_null(flo_failure_timeout(&tiny, "m", 1));
    flo_arena_fini(&tiny);
    json_decref(details);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, arena_setup, arena_teardown)
        T(test_application_failure_fields), T(test_failure_kinds),
        T(test_failure_texts_are_mended),   T(test_failure_describe_causes),
        T(test_failure_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
