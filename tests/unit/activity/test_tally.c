/* SPDX-License-Identifier: Apache-2.0 */
/* test_tally.c - metrics of activity code, summed up during an attempt. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "activity/note.h"
#include "attempt.h"

static int measure(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    (void)out_result;
    for (int i = 0; i < 10; i++)
        flo_activity_counter(ctx, "things", 1.5, "kind", "a", NULL);
    flo_activity_counter(ctx, "things", 1, "kind", "b", NULL);
    flo_activity_counter(ctx, "things", -1, "kind", "b", NULL); /* does not go down */
    flo_activity_gauge(ctx, "level", 3, NULL);
    flo_activity_gauge(ctx, "level", -4, NULL);
    flo_activity_histogram(ctx, "seconds", 0.002, NULL);
    flo_activity_histogram(ctx, "seconds", 1e9, NULL);
    flo_activity_counter(ctx, "no name", 1, NULL);
    flo_activity_counter(ctx, "many", 1, "a", "", "b", "", "c", "", "d", "", "e", "", NULL);
    return 0;
}

static const struct flo_user_sample *find_sample(const struct flo_note *notes, size_t count,
                                                 const char *name, const char *label)
{
    for (size_t i = 0; i < count; i++) {
        const struct flo_user_sample *sample = &notes[i].sample;
        if (strcmp(sample->name, name) == 0 &&
            (!label || strcmp(sample->label_values[0], label) == 0))
            return sample;
    }
    fail_msg("no sample of %s", name);
    return NULL;
}

/* What an attempt counts is summed up and sent once; what cannot be counted is said once. */
static void test_metrics_are_summed_up(void **state)
{
    struct attempt a = {0};
    struct flo_note notes[8];
    const uint8_t *at;
    size_t count = 0;

    (void)state;
    attempt_run(&a, measure);
    at = a.fake.notes.data;
    while (count < 8 && flo_note_get(&at, a.fake.notes.data + a.fake.notes.len, 4, &notes[count]))
        count++;
    assert_int_equal(count, 4);
    assert_true(find_sample(notes, count, "things", "a")->value == 15);
    assert_true(find_sample(notes, count, "things", "b")->value == 1);
    assert_true(find_sample(notes, count, "level", NULL)->value == -4);
    assert_int_equal(find_sample(notes, count, "seconds", NULL)->counts[1], 1);
    assert_int_equal(find_sample(notes, count, "seconds", NULL)->counts[FLO_USER_BUCKETS], 1);
    assert_non_null(strstr(attempt_logged, "'no name'"));
    attempt_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_are_summed_up),
    };

    return cmocka_run_group_tests_name("activity/tally", tests, NULL, NULL);
}
