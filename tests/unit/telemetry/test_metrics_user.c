/* SPDX-License-Identifier: Apache-2.0 */
/* test_metrics_user.c - telemetry/metrics_user.c: metrics that user code names. */
#include <stdio.h>
#include <string.h>

#include "metrics_fixture.h"

static const struct flo_metrics_form TEXT = {.naming = FLO_NAMING_TALLY};

static struct flo_user_sample sample(enum flo_metric_kind kind, const char *name, const char *value,
                                     double amount)
{
    return (struct flo_user_sample){.kind = kind,
                                    .name = name,
                                    .label_count = 1,
                                    .label_names = {"kind"},
                                    .label_values = {value},
                                    .value = amount};
}

static int add(struct flo_metrics *m, const struct flo_user_sample *s)
{
    return flo_metrics_user_add(m, s, NULL);
}

static void assert_page_has(struct flo_metrics *metrics, const char *line)
{
    struct flo_buf out;

    flo_buf_init(&out, 0);
    assert_int_equal(flo_metrics_render(metrics, &TEXT, &out), 0);
    if (!strstr(flo_buf_cstr(&out), line))
        fail_msg("no %s in:\n%s", line, flo_buf_cstr(&out));
    flo_buf_fini(&out);
}

/* Counters add up under a name that ends in _total, gauges are the newest, histograms whole. */
static void test_add_shows_on_the_page(void **state)
{
    struct flo_metrics *m = *state;
    struct flo_user_sample things = sample(FLO_COUNTER, "things", "a\"b", 2),
                           level = sample(FLO_GAUGE, "level", "x", 3),
                           seconds = sample(FLO_HISTOGRAM, "seconds", "x", 20.003);

    seconds.counts[2] = 1;
    seconds.counts[13] = 1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(add(m, &things), 0);
        assert_int_equal(add(m, &level), 0);
        assert_int_equal(add(m, &seconds), 0);
        level.value = -1;
    }
    things.name = "things_total"; /* the same one */
    assert_int_equal(add(m, &things), 0);
    assert_page_has(m, "# TYPE things_total counter\nthings_total{kind=\"a\\\"b\"} 6\n");
    assert_page_has(m, "\nlevel{kind=\"x\"} -1\n");
    assert_page_has(m, "\nseconds_bucket{kind=\"x\",le=\"0.005\"} 2\n");
    assert_page_has(m, "\nseconds_bucket{kind=\"x\",le=\"+Inf\"} 4\n");
    assert_page_has(m, "\nseconds_count{kind=\"x\"} 4\n");
}

/* Names that cannot be, that are ours, or that were something else first, are refused. */
static void test_add_bad_names_refused(void **state)
{
    static const char *const NAMES[] = {"",           "1st",       "with space",
                                        "temporal_x", "process_x", "activity_duration_seconds"};
    struct flo_metrics *m = *state;
    struct flo_user_sample s = sample(FLO_GAUGE, "good", "x", 1);
    struct flo_err err = {0};

    assert_int_equal(add(m, &s), 0);
    s.kind = FLO_HISTOGRAM;
    assert_int_equal(flo_metrics_user_add(m, &s, &err), FLO_EINVAL);
    assert_non_null(strstr(err.message, "good"));
    s.kind = FLO_GAUGE;
    s.label_names[0] = "other";
    assert_int_equal(add(m, &s), FLO_EINVAL);
    s.label_names[0] = "bad name";
    assert_int_equal(add(m, &s), FLO_EINVAL);
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        s = sample(FLO_GAUGE, NAMES[i], "x", 1);
        assert_int_equal(add(m, &s), FLO_EINVAL);
    }
    s = sample(FLO_GAUGE, "twice", "x", 1);
    s.label_count = 2;
    s.label_names[1] = s.label_names[0];
    s.label_values[1] = "y";
    assert_int_equal(add(m, &s), FLO_EINVAL);
}

/* One sample that the page's readers choke on would cost them all the others. */
static void test_add_labels_that_spoil_the_page_refused(void **state)
{
    static const char *const NAMES[] = {"le", "__name__"};
    struct flo_metrics *m = *state;
    struct flo_user_sample s = sample(FLO_HISTOGRAM, "good", "\xff\xfe", 1);
    struct flo_err err = {0};

    assert_int_equal(flo_metrics_user_add(m, &s, &err), FLO_EINVAL);
    assert_non_null(strstr(err.message, "label kind is not UTF-8"));
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        s = sample(FLO_HISTOGRAM, "good", "x", 1);
        s.label_names[0] = NAMES[i];
        assert_int_equal(add(m, &s), FLO_EINVAL);
    }
}

/* Two families whose samples or whose names in OpenMetrics are the same would be one page's end:
 * the second is refused, whichever comes first. */
static void test_add_names_that_meet_refused(void **state)
{
    static const struct {
        enum flo_metric_kind first, second;
        const char *name, *meets;
    } PAIRS[] = {
        {FLO_COUNTER, FLO_GAUGE, "a", "a"},           {FLO_GAUGE, FLO_COUNTER, "b", "b"},
        {FLO_GAUGE, FLO_COUNTER, "c_total", "c"},     {FLO_HISTOGRAM, FLO_GAUGE, "d", "d_count"},
        {FLO_GAUGE, FLO_HISTOGRAM, "e_sum", "e"},     {FLO_HISTOGRAM, FLO_GAUGE, "f", "f_bucket"},
        {FLO_COUNTER, FLO_HISTOGRAM, "g", "g"},       {FLO_HISTOGRAM, FLO_GAUGE, "h", "h_created"},
        {FLO_HISTOGRAM, FLO_COUNTER, "i", "i_total"},
    };
    struct flo_metrics *m = *state;

    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
        struct flo_user_sample first = sample(PAIRS[i].first, PAIRS[i].name, "x", 1),
                               second = sample(PAIRS[i].second, PAIRS[i].meets, "x", 1);
        struct flo_err err = {0};
        assert_int_equal(add(m, &first), 0);
        if (flo_metrics_user_add(m, &second, &err) != FLO_EINVAL)
            fail_msg("%s beside %s was taken", PAIRS[i].meets, PAIRS[i].name);
        assert_non_null(strstr(err.message, PAIRS[i].meets));
    }
    struct flo_user_sample ours = sample(FLO_GAUGE, "activity_duration_seconds_count", "x", 1),
                           fine = sample(FLO_GAUGE, "things_count", "x", 1),
                           fine_too = sample(FLO_COUNTER, "things", "x", 1);
    assert_int_equal(add(m, &ours), FLO_EINVAL);
    assert_int_equal(add(m, &fine), 0);
    assert_int_equal(add(m, &fine_too), 0);
}

/* Past the bounds names are refused, and label values fall together. */
static void test_add_bounded(void **state)
{
    struct flo_metrics *m = *state;
    char text[32];

    for (int i = 0; i < FLO_USER_METRICS_MAX + 1; i++) {
        snprintf(text, sizeof text, "name_%d", i);
        const struct flo_user_sample s = sample(FLO_GAUGE, text, "x", 1);
        assert_int_equal(add(m, &s), i < FLO_USER_METRICS_MAX ? 0 : FLO_EFULL);
    }
    for (int i = 0; i < FLO_METRIC_SERIES_MAX + 10; i++) {
        snprintf(text, sizeof text, "%d", i);
        const struct flo_user_sample s = sample(FLO_GAUGE, "name_0", text, i);
        assert_int_equal(add(m, &s), 0);
    }
    assert_page_has(m, "\nname_0{kind=\"other\"} 521\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_add_shows_on_the_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_add_bad_names_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_add_labels_that_spoil_the_page_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_add_names_that_meet_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_add_bounded, setup, teardown),
    };

    return cmocka_run_group_tests_name("telemetry/metrics_user", tests, NULL, NULL);
}
