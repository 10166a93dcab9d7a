/* SPDX-License-Identifier: Apache-2.0 */
/* test_record.c - the life of a record, and records that somebody wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "quarantine/id.h"
#include "quarantine/record.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HOUR_MS INT64_C(3600000)

static const struct flo_quarantine_limits limits = {.crashes = 3, .window_ms = 24 * HOUR_MS};

static struct flo_quarantine_crash crash_at(int64_t at_ms, const char *run_id)
{
    return (struct flo_quarantine_crash){.attempt = {.workflow_id = "w",
                                                     .run_id = run_id,
                                                     .activity_id = "1",
                                                     .attempt = 1,
                                                     .at_ms = at_ms},
                                         .name_space = "default",
                                         .activity_type = "boom",
                                         .task_queue = "q",
                                         .signal = 11,
                                         .message = "it died"};
}

static json_t *after(json_t *before, int64_t at_ms)
{
    struct flo_quarantine_crash crash = crash_at(at_ms, "r");
    json_t *record = flo_quarantine_after_crash(before, ID, &limits, &crash);
    json_decref(before);
    assert_non_null(record);
    return record;
}

static struct flo_quarantine_view view_of(const json_t *record)
{
    struct flo_quarantine_view view;
    struct flo_err err = {0};
    if (flo_quarantine_view(record, ID, &view, &err))
        fail_msg("%s", err.message);
    return view;
}

/* The third crash parks, and stays. */
static void test_after_crash_the_third_parks(void **state)
{
    (void)state;
    json_t *record = after(after(NULL, 1000), 2000);
    assert_false(view_of(record).parked);
    record = after(record, 3000);
    assert_true(view_of(record).parked);
    assert_int_equal(view_of(record).crashes, 3);
    assert_int_equal(view_of(record).first_ms, 1000);
    assert_int_equal(view_of(record).parked_ms, 3000);
    assert_int_equal(json_array_size(view_of(record).met), 3);
    record = after(record, 3000 + 100 * HOUR_MS); /* parked: the window does not matter */
    assert_int_equal(view_of(record).crashes, 4);
    assert_int_equal(view_of(record).parked_ms, 3000);
    json_decref(record);
}

/* A crash long after the last one is the first again; a clock that went back changes nothing. */
static void test_after_crash_the_window(void **state)
{
    (void)state;
    json_t *record = after(after(NULL, 1000), 1000 + 24 * HOUR_MS);
    assert_int_equal(view_of(record).crashes, 2);
    record = after(record, 1001 + 48 * HOUR_MS);
    assert_int_equal(view_of(record).crashes, 1);
    assert_int_equal(view_of(record).first_ms, 1001 + 48 * HOUR_MS);
    record = after(record, 500);
    assert_int_equal(view_of(record).crashes, 2);
    json_decref(record);
}

/* Lifted, it counts from 0 and remembers that it was. */
static void test_after_lift_counts_from_0(void **state)
{
    (void)state;
    json_t *record = after(after(after(NULL, 1), 2), 3);
    json_t *lifted = flo_quarantine_after_lift(record, 4);
    assert_false(view_of(lifted).parked);
    assert_int_equal(view_of(lifted).crashes, 0);
    assert_int_equal(view_of(lifted).lifted, 1);
    assert_true(view_of(record).parked);
    lifted = after(after(lifted, 5), 6);
    assert_false(view_of(lifted).parked);
    lifted = after(lifted, 7);
    assert_true(view_of(lifted).parked);
    assert_int_equal(view_of(lifted).first_ms, 5);
    assert_int_equal(view_of(lifted).lifted, 1);
    json_decref(lifted);
    json_decref(record);
}

/* Each refused attempt is kept once, up to a bound. */
static void test_after_refusal_is_bounded(void **state)
{
    (void)state;
    json_t *record = after(NULL, 1);
    for (int i = 0; i < 2 * FLO_QUARANTINE_MET_MAX; i++) {
        char run[16];
        snprintf(run, sizeof run, "run-%d", i);
        const struct flo_quarantine_attempt attempt = {.run_id = run, .activity_id = "1"};
        json_t *next = flo_quarantine_after_refusal(record, &attempt);
        assert_int_equal(next != NULL, i < FLO_QUARANTINE_MET_MAX - 1);
        if (next) {
            assert_null(flo_quarantine_after_refusal(next, &attempt));
            json_decref(record);
            record = next;
        }
    }
    assert_int_equal(json_array_size(view_of(record).met), FLO_QUARANTINE_MET_MAX);
    json_decref(record);
}

/* What is too large or no UTF-8 is left out or cut, and the record stands. */
static void test_after_crash_large_and_odd_texts(void **state)
{
    char *large = test_malloc(FLO_QUARANTINE_INPUT_MAX + 1);
    struct flo_quarantine_crash crash = crash_at(1, "\xff\xfe");
    (void)state;
    memset(large, 'x', FLO_QUARANTINE_INPUT_MAX);
    large[FLO_QUARANTINE_INPUT_MAX] = '\0';
    crash.message = large;
    crash.input = json_pack("[s]", large);
    crash.details = json_string("backtrace");
    crash.input_bytes = FLO_QUARANTINE_INPUT_MAX;
    json_t *record = flo_quarantine_after_crash(NULL, ID, &limits, &crash);
    struct flo_quarantine_view view = view_of(record);
    assert_null(view.input);
    assert_string_equal(json_string_value(view.details), "backtrace");
    assert_int_equal(view.input_bytes, FLO_QUARANTINE_INPUT_MAX);
    assert_int_equal(strlen(view.message), 4096);
    json_decref(record);
    json_decref(crash.input);
    json_decref(crash.details);
    test_free(large);
}

/* Every member is checked: each in turn missing, or of another type. */
static void test_view_refuses_what_is_wrong(void **state)
{
    struct flo_quarantine_view view;
    struct flo_err err;
    const char *key;
    json_t *value;
    (void)state;
    json_t *good = after(NULL, 1);
    json_object_foreach(good, key, value)
    {
        json_t *bad = json_deep_copy(good);
        json_object_del(bad, key);
        assert_int_equal(flo_quarantine_view(bad, ID, &view, &err), FLO_EDATA);
        assert_non_null(strstr(err.message, key));
        json_object_set_new(bad, key, json_false());
        assert_int_equal(flo_quarantine_view(bad, ID, &view, &err), FLO_EDATA);
        json_decref(bad);
    }
    json_object_set_new(good, "crashes", json_integer(-1));
    assert_int_equal(flo_quarantine_view(good, ID, &view, &err), FLO_EDATA);
    json_object_set_new(good, "crashes", json_integer(1));
    json_object_set_new(good, "state", json_string("free"));
    assert_int_equal(flo_quarantine_view(good, ID, &view, &err), FLO_EDATA);
    assert_int_equal(flo_quarantine_view(json_null(), ID, &view, &err), FLO_EDATA);
    json_decref(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_crash_the_third_parks),
        cmocka_unit_test(test_after_crash_the_window),
        cmocka_unit_test(test_after_lift_counts_from_0),
        cmocka_unit_test(test_after_refusal_is_bounded),
        cmocka_unit_test(test_after_crash_large_and_odd_texts),
        cmocka_unit_test(test_view_refuses_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
