/* SPDX-License-Identifier: Apache-2.0 */
/* The fleet's state: what frames do to it, and what bad frames do not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/fleet/fleet.h"
#include "support/cmocka_env.h"
#include "unit/supervisor/fleet/fleet_fixture.h"

#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"

static const struct flo_metrics_form TEXT = {.naming = FLO_NAMING_TALLY};

/* A good snapshot; the caller changes what the test is about. */
static json_t *snapshot(const char *boot, int seq, const char *identity, int pid)
{
    json_error_t error;
    json_t *json = json_loads(
        "{\"v\":1,\"type\":\"snapshot\",\"role\":\"io-activity\",\"name\":\"io\",\"version\":\"1\","
        "\"server\":\"s\",\"namespace\":\"default\",\"task_queue\":\"q\",\"http\":\"h:1\","
        "\"state\":\"running\",\"started_ms\":5,\"cpu_ms\":7,\"rss_bytes\":9,\"threads\":3,"
        "\"ready\":true,\"done\":4,\"failed\":1,\"polls\":2,"
        "\"slots\":[{\"kind\":\"activity\",\"used\":1,\"total\":5}],\"metrics\":["
        "{\"n\":\"c_total\",\"k\":\"c\",\"l\":[\"q\"],\"s\":[[[\"a\\\"b\"],3]]},"
        "{\"n\":\"h_seconds\",\"k\":\"h\",\"l\":[],\"b\":[0.1,1],\"s\":[[[],2.5,[1,0,2]]]}]}",
        0, &error);
    assert_non_null(json);
    json_object_set_new(json, "boot", json_string(boot));
    json_object_set_new(json, "seq", json_integer(seq));
    json_object_set_new(json, "identity", json_string(identity));
    json_object_set_new(json, "pid", json_integer(pid));
    return json;
}

static enum flo_frame_verdict take(struct fleet_fixture *f, json_t *json, int64_t now_ms)
{
    char *text = json_dumps(json, JSON_COMPACT);
    enum flo_frame_verdict verdict =
        flo_fleet_take(&f->fleet, text, strlen(text), 0, now_ms, NULL, NULL);
    free(text);
    json_decref(json);
    return verdict;
}

static double value(struct fleet_fixture *f, enum flo_metric metric, const char *label)
{
    return flo_series_value(flo_metrics_get(f->metrics, metric, label, NULL));
}

/* Snapshots update their entry; lost ones are counted; silence makes it lost, then forgotten. */
static void test_take_follows_a_process(void **state)
{
    struct fleet_fixture *f = *state;
    assert_int_equal(take(f, snapshot(BOOT_A, 1, "w", 10), 1000), FLO_FRAME_TAKEN);
    assert_int_equal(take(f, snapshot(BOOT_A, 4, "w", 10), 2000), FLO_FRAME_TAKEN);
    struct flo_fleet_entry *entry = flo_fleet_by_pid(&f->fleet, 10, 2000);
    assert_non_null(entry);
    assert_int_equal(entry->gaps, 2);
    assert_true(value(f, FLO_METRIC_FLEET_SEQ_GAPS, "io-activity") == 2);
    assert_string_equal(flo_fleet_entry_state(entry, 4999), "running");
    assert_string_equal(flo_fleet_entry_state(entry, 5000), "lost");
    assert_null(flo_fleet_by_pid(&f->fleet, 10, 5000));
    flo_fleet_expire(&f->fleet, 61999, NULL, NULL);
    assert_int_equal(f->fleet.entries[FLO_FLEET_IO].count, 1);
    flo_fleet_expire(&f->fleet, 62000, NULL, NULL);
    assert_int_equal(f->fleet.entries[FLO_FLEET_IO].count, 0);
}

/* Replayed and reordered snapshots change nothing. */
static void test_take_ignores_old_snapshots(void **state)
{
    struct fleet_fixture *f = *state;
    assert_int_equal(take(f, snapshot(BOOT_A, 5, "w", 10), 1000), FLO_FRAME_TAKEN);
    assert_int_equal(take(f, snapshot(BOOT_A, 5, "w", 99), 1100), FLO_FRAME_OLD);
    assert_int_equal(take(f, snapshot(BOOT_A, 3, "w", 99), 1100), FLO_FRAME_OLD);
    assert_non_null(flo_fleet_by_pid(&f->fleet, 10, 1100));
    assert_true(value(f, FLO_METRIC_FLEET_BAD_FRAMES, "old") == 2);
}

static enum flo_frame_verdict take_by(struct fleet_fixture *f, uint64_t connection, int seq,
                                      int64_t now_ms)
{
    json_t *json = snapshot(BOOT_A, seq, "w", 10);
    char *text = json_dumps(json, JSON_COMPACT);
    enum flo_frame_verdict verdict =
        flo_fleet_take(&f->fleet, text, strlen(text), connection, now_ms, NULL, NULL);
    free(text);
    json_decref(json);
    return verdict;
}

/* A run has one connection; another one follows when the first says that it leaves, and only the
 * first can say so. */
static void test_leave_lets_the_next_connection_in(void **state)
{
    struct fleet_fixture *f = *state;
    assert_int_equal(take_by(f, 1, 1, 1000), FLO_FRAME_TAKEN);
    assert_int_equal(take_by(f, 2, 2, 1100), FLO_FRAME_PEER);
    assert_int_equal(flo_fleet_leave(&f->fleet, BOOT_A, 2), FLO_FRAME_PEER);
    assert_int_equal(flo_fleet_leave(&f->fleet, BOOT_B, 1), FLO_FRAME_PEER);
    assert_int_equal(take_by(f, 2, 2, 1200), FLO_FRAME_PEER);
    assert_int_equal(flo_fleet_leave(&f->fleet, BOOT_A, 1), FLO_FRAME_TAKEN);
    assert_int_equal(take_by(f, 2, 2, 1300), FLO_FRAME_TAKEN);
    assert_int_equal(take_by(f, 1, 3, 1400), FLO_FRAME_PEER);
    assert_int_equal(flo_fleet_by_boot(&f->fleet, BOOT_A)->connection, 2);
    assert_string_equal(flo_fleet_entry_state(flo_fleet_by_boot(&f->fleet, BOOT_A), 2400),
                        "running");
}

/* A goodbye is believed at once. */
static void test_take_stopped(void **state)
{
    struct fleet_fixture *f = *state;
    json_t *last = snapshot(BOOT_A, 2, "w", 10);
    json_object_set_new(last, "state", json_string("stopped"));
    assert_int_equal(take(f, snapshot(BOOT_A, 1, "w", 10), 1000), FLO_FRAME_TAKEN);
    assert_int_equal(take(f, last, 1100), FLO_FRAME_TAKEN);
    assert_null(flo_fleet_by_pid(&f->fleet, 10, 1100));
}

/* Two live processes with one identity are both kept and marked; a restarted one is not. */
static void test_take_duplicate_identity(void **state)
{
    struct fleet_fixture *f = *state;
    bool duplicate = false;
    assert_int_equal(take(f, snapshot(BOOT_A, 1, "w", 10), 1000), FLO_FRAME_TAKEN);
    json_t *json = snapshot(BOOT_B, 1, "w", 11);
    char *text = json_dumps(json, 0);
    assert_int_equal(flo_fleet_take(&f->fleet, text, strlen(text), 0, 1500, NULL, &duplicate),
                     FLO_FRAME_TAKEN);
    assert_true(duplicate);
    assert_true(flo_fleet_by_pid(&f->fleet, 10, 1500)->duplicate);
    assert_true(flo_fleet_by_pid(&f->fleet, 11, 1500)->duplicate);
    free(text);
    json_decref(json);
    assert_int_equal(take(f, snapshot("cccccccc-0000-4000-8000-000000000003", 1, "w", 12), 60000),
                     FLO_FRAME_TAKEN);
    assert_false(flo_fleet_by_pid(&f->fleet, 12, 60000)->duplicate);
}

/* Counters that go back within one run are seen. */
static void test_take_counter_reset(void **state)
{
    struct fleet_fixture *f = *state;
    json_t *less = snapshot(BOOT_A, 2, "w", 10);
    json_t *series = json_array_get(
        json_object_get(json_array_get(json_object_get(less, "metrics"), 0), "s"), 0);
    json_array_set_new(series, 1, json_integer(1));
    assert_int_equal(take(f, snapshot(BOOT_A, 1, "w", 10), 1000), FLO_FRAME_TAKEN);
    assert_int_equal(take(f, less, 1100), FLO_FRAME_TAKEN);
    assert_true(value(f, FLO_METRIC_FLEET_RESETS, "io-activity") == 1);
}

/* What is in no way a snapshot makes no entry and is counted under its reason. */
static void test_take_bad_frames(void **state)
{
    struct fleet_fixture *f = *state;
    static char big[64 * 1024 + 1];
    memset(big, ' ', sizeof big);
    static const struct {
        const char *text;
        enum flo_frame_verdict verdict;
    } frames[] = {
        {"", FLO_FRAME_SIZE},
        {"x", FLO_FRAME_JSON},
        {"[]", FLO_FRAME_JSON},
        {"{\"v\":1,\"v\":1}", FLO_FRAME_JSON},
        {"{\"v\":1,\"role\":\"\xff\"}", FLO_FRAME_JSON},
        {"{}", FLO_FRAME_VERSION},
        {"{\"v\":2,\"type\":\"snapshot\"}", FLO_FRAME_VERSION},
        {"{\"v\":1,\"type\":\"drain\"}", FLO_FRAME_TYPE},
        {"{\"v\":1,\"type\":\"command\",\"command\":\"drain\"}", FLO_FRAME_CONTROL},
        {"{\"v\":1,\"type\":\"snapshot\"}", FLO_FRAME_FIELD},
        {"{\"v\":1,\"type\":\"snapshot\",\"boot\":\"" BOOT_A "\"}", FLO_FRAME_ROLE},
        {"{\"v\":1,\"type\":\"snapshot\",\"boot\":\"" BOOT_A "\",\"role\":\"king\"}",
         FLO_FRAME_ROLE},
        {"{\"v\":1,\"type\":\"snapshot\",\"boot\":\"" BOOT_A "\",\"role\":\"engine\"}",
         FLO_FRAME_FIELD},
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++)
        assert_int_equal(
            flo_fleet_take(&f->fleet, frames[i].text, strlen(frames[i].text), 0, 1, NULL, NULL),
            frames[i].verdict);
    assert_int_equal(flo_fleet_take(&f->fleet, big, sizeof big, 0, 1, NULL, NULL), FLO_FRAME_SIZE);
    for (int i = 0; i < FLO_FLEET_ROLES; i++)
        assert_int_equal(f->fleet.entries[i].count, 0);
    assert_true(value(f, FLO_METRIC_FLEET_BAD_FRAMES, "json") == 4);
}

/* One member at a time is wrong. */
static void test_take_bad_members(void **state)
{
    struct fleet_fixture *f = *state;
    static const struct {
        const char *key, *json;
        enum flo_frame_verdict verdict;
    } cases[] = {
        {"boot", "\"short\"", FLO_FRAME_FIELD},
        {"identity", "\"\"", FLO_FRAME_FIELD},
        {"identity", "7", FLO_FRAME_FIELD},
        {"seq", "-1", FLO_FRAME_FIELD},
        {"seq", "1.5", FLO_FRAME_FIELD},
        {"pid", "\"1\"", FLO_FRAME_FIELD},
        {"ready", "1", FLO_FRAME_FIELD},
        {"state", "\"dancing\"", FLO_FRAME_FIELD},
        {"slots", "{}", FLO_FRAME_FIELD},
        {"slots", "[{\"kind\":\"x\",\"used\":-1,\"total\":1}]", FLO_FRAME_FIELD},
        {"task_queue", "null", FLO_FRAME_FIELD},
        {"metrics", "{}", FLO_FRAME_METRICS},
        {"metrics", "[7]", FLO_FRAME_METRICS},
        {"metrics", "[{\"n\":\"a b\",\"k\":\"c\",\"l\":[],\"s\":[]}]", FLO_FRAME_METRICS},
        {"metrics", "[{\"n\":\"a\\nb\",\"k\":\"c\",\"l\":[],\"s\":[]}]", FLO_FRAME_METRICS},
        {"metrics", "[{\"n\":\"a\",\"k\":\"x\",\"l\":[],\"s\":[]}]", FLO_FRAME_METRICS},
        {"metrics", "[{\"n\":\"a\",\"k\":\"c\",\"l\":[\"b-c\"],\"s\":[]}]", FLO_FRAME_METRICS},
        {"metrics", "[{\"n\":\"a\",\"k\":\"c\",\"l\":[],\"s\":[[[],-1]]}]", FLO_FRAME_METRICS},
        {"metrics", "[{\"n\":\"a\",\"k\":\"c\",\"l\":[],\"s\":[[[\"x\"],1]]}]", FLO_FRAME_METRICS},
        {"metrics", "[{\"n\":\"a\",\"k\":\"h\",\"l\":[],\"s\":[[[],1,[1]]]}]", FLO_FRAME_METRICS},
        {"metrics", "[{\"n\":\"a\",\"k\":\"h\",\"l\":[],\"b\":[2,1],\"s\":[]}]", FLO_FRAME_METRICS},
        {"metrics", "[{\"n\":\"a\",\"k\":\"h\",\"l\":[],\"b\":[1],\"s\":[[[],1,[1,-1]]]}]",
         FLO_FRAME_METRICS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *json = snapshot(BOOT_A, 1, "w", 10);
        json_object_set_new(json, cases[i].key, json_loads(cases[i].json, JSON_DECODE_ANY, NULL));
        if (take(f, json, 1) != cases[i].verdict)
            fail_msg("%s: %s", cases[i].key, cases[i].json);
    }
    assert_int_equal(f->fleet.entries[FLO_FLEET_IO].count, 0);
}

/* However many ids there are, each role keeps 1,024. */
static void test_entries_are_bounded(void **state)
{
    struct fleet_fixture *f = *state;
    char boot[64];
    for (int i = 0; i < FLO_FLEET_PER_ROLE + 50; i++) {
        snprintf(boot, sizeof boot, "%08d-0000-4000-8000-000000000000", i);
        assert_int_equal(take(f, snapshot(boot, 1, boot, i + 1), 1000), FLO_FRAME_TAKEN);
    }
    assert_int_equal(f->fleet.entries[FLO_FLEET_IO].count, FLO_FLEET_PER_ROLE);
    assert_int_equal(f->fleet.by_boot.count, FLO_FLEET_PER_ROLE);
    assert_true(value(f, FLO_METRIC_FLEET_EVICTED, "io-activity") == 50);
    assert_null(flo_fleet_by_pid(&f->fleet, 1, 1000));
}

/* The page groups families over processes and adds who said it. */
static void test_render_metrics(void **state)
{
    struct fleet_fixture *f = *state;
    assert_int_equal(take(f, snapshot(BOOT_A, 1, "w1", 10), 1000), FLO_FRAME_TAKEN);
    assert_int_equal(take(f, snapshot(BOOT_B, 1, "w2", 11), 1000), FLO_FRAME_TAKEN);
    struct flo_buf out;
    flo_buf_init(&out, 0);
    assert_int_equal(flo_fleet_render_metrics(&f->fleet, NULL, "me", 1000, &TEXT, &out), 0);
    assert_string_equal(flo_buf_cstr(&out),
                        "# HELP c_total Counted by user code.\n"
                        "# TYPE c_total counter\n"
                        "c_total{q=\"a\\\"b\",role=\"io-activity\",identity=\"w1\"} 3\n"
                        "c_total{q=\"a\\\"b\",role=\"io-activity\",identity=\"w2\"} 3\n"
                        "# HELP h_seconds Counted by user code.\n"
                        "# TYPE h_seconds histogram\n"
                        "h_seconds_bucket{role=\"io-activity\",identity=\"w1\",le=\"0.1\"} 1\n"
                        "h_seconds_bucket{role=\"io-activity\",identity=\"w1\",le=\"1\"} 1\n"
                        "h_seconds_bucket{role=\"io-activity\",identity=\"w1\",le=\"+Inf\"} 3\n"
                        "h_seconds_sum{role=\"io-activity\",identity=\"w1\"} 2.5\n"
                        "h_seconds_count{role=\"io-activity\",identity=\"w1\"} 3\n"
                        "h_seconds_bucket{role=\"io-activity\",identity=\"w2\",le=\"0.1\"} 1\n"
                        "h_seconds_bucket{role=\"io-activity\",identity=\"w2\",le=\"1\"} 1\n"
                        "h_seconds_bucket{role=\"io-activity\",identity=\"w2\",le=\"+Inf\"} 3\n"
                        "h_seconds_sum{role=\"io-activity\",identity=\"w2\"} 2.5\n"
                        "h_seconds_count{role=\"io-activity\",identity=\"w2\"} 3\n");
    flo_buf_clear(&out);
    const struct flo_metrics_form core = {.naming = FLO_NAMING_CORE, .openmetrics = true};
    assert_int_equal(flo_fleet_render_metrics(&f->fleet, NULL, "me", 1000, &core, &out), 0);
    assert_non_null(strstr(flo_buf_cstr(&out), "# TYPE c counter\n"));
    assert_non_null(strstr(flo_buf_cstr(&out), "# UNIT h_seconds seconds\n"));
    assert_non_null(strstr(flo_buf_cstr(&out), "identity=\"w1\",le=\"1.0\"} 1\n"));
    assert_non_null(
        strstr(flo_buf_cstr(&out), "_count{role=\"io-activity\",identity=\"w2\"} 3\n# EOF\n"));
    flo_buf_clear(&out);
    assert_int_equal(flo_fleet_render_metrics(&f->fleet, f->metrics, "me", 9000, &TEXT, &out), 0);
    assert_null(strstr(flo_buf_cstr(&out), "w1")); /* lost: not shown */
    assert_non_null(strstr(flo_buf_cstr(&out),
                           "flotilla_fleet_snapshots_total{role=\"io-activity\",identity=\"me\"} "
                           "2\n"));
    flo_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_take_follows_a_process, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_take_ignores_old_snapshots, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_leave_lets_the_next_connection_in, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_take_stopped, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_take_duplicate_identity, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_take_counter_reset, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_take_bad_frames, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_take_bad_members, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_entries_are_bounded, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_render_metrics, fleet_fixture_setup,
                                        fleet_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
