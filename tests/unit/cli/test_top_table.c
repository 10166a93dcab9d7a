/* SPDX-License-Identifier: Apache-2.0 */
/* test_top_table.c - cli/top_table.c: pages of a supervisor become rows of text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/event_text.h"
#include "cli/top_table.h"

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static json_t *fleet(void)
{
    return parse(
        "{\"ready\": true, \"processes\": ["
        "{\"name\": \"engine\", \"role\": \"engine\", \"state\": \"up\", \"health\": \"ok\","
        " \"cpu\": 0.5, \"rss_bytes\": 5242880, \"program\": \"flotilla-engine\"},"
        "{\"name\": \"io-1\", \"identity\": \"7@h@q\", \"role\": \"io-activity\", \"state\": "
        "\"up\", \"report\": \"quiet\", \"health\": \"wait\", \"why\": \"quiet\", \"task_queue\": "
        "\"orders\", \"slots\": [{\"kind\": \"activity\", \"used\": 3, \"total\": 10}], "
        "\"tasks_s\": 12.5, \"failures_s\": 0.25, \"cpu\": null, \"rss_bytes\": 1500, \"done\": 7, "
        "\"failed\": 2},"
        "{\"name\": \"\", \"identity\": \"8@h@q\", \"role\": \"workflow\", \"state\": \"lost\", "
        "\"report\": \"lost\", \"health\": \"bad\", \"why\": \"no report for 4 s\", \"slots\": "
        "[{\"kind\": \"workflow\", \"used\": 0, \"total\": 5}], \"tasks_s\": 100}],"
        "\"queues\": [{\"queue\": \"orders\", \"kind\": \"activity\", \"depth\": 120000, "
        "\"age_s\": "
        "3.5, \"pollers\": 0}, {\"queue\": \"new\", \"kind\": \"workflow\", \"depth\": null}]}");
}

struct fixture {
    json_t *fleet, *activities, *events;
    struct top_pages pages;
    struct top_table table;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->fleet = fleet();
    f->activities = parse(
        "{\"activities\": [{\"type\": \"charge\", \"local\": false, \"attempts\": 10, "
        "\"failed\": 1, \"attempts_s\": 0, \"p50_s\": 0.0004, \"p99_s\": 700, \"cpu_s\": 0.05,"
        " \"max_rss_bytes\": null, \"read_bytes\": 20480, \"written_bytes\": 0}]}");
    f->events = parse("[{\"seq\": 1, \"ts_ms\": 1763733600000, \"level\": \"info\", \"kind\": "
                      "\"process.started\", \"name\": \"io-1\", \"message\": \"started\"},"
                      "{\"seq\": 2, \"ts_ms\": 1763733601000, \"level\": \"error\", \"kind\": "
                      "\"process.lost\", \"identity\": \"8@h@q\", \"message\": \"\\u001b[2J\"}]");
    f->pages =
        (struct top_pages){.fleet = f->fleet, .activities = f->activities, .events = f->events};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    top_table_fini(&f->table);
    json_decref(f->fleet);
    json_decref(f->activities);
    json_decref(f->events);
    free(f);
    return 0;
}

static void make(struct fixture *f, enum top_view view, const char *filter, int sort)
{
    struct flo_err err;
    top_table_fini(&f->table);
    assert_int_equal(top_table_make(view, &f->pages, filter, sort, &f->table, &err), 0);
}

static void assert_row(const struct fixture *f, size_t row, ...) __attribute__((sentinel));

static void assert_row(const struct fixture *f, size_t row, ...)
{
    va_list args;
    va_start(args, row);
    for (int i = 0; i < TOP_COLUMNS_MAX; i++) {
        const char *cell = va_arg(args, const char *);
        if (!cell)
            break;
        assert_string_equal(f->table.rows[row].cells[i], cell);
    }
    va_end(args);
}

static void test_processes(void **state)
{
    struct fixture *f = *state;
    make(f, TOP_PROCESSES, "", -1);
    assert_int_equal(f->table.count, 3);
    assert_row(f, 0, "engine", "engine", "up", "-", "-", "-", "50.0", "5.0M", "", NULL);
    assert_row(f, 1, "io-1", "io-activity", "quiet", "3/10", "12", "0.25", "-", "1.5K", "quiet",
               NULL);
    assert_row(f, 2, "8@h@q", "workflow", "lost", "0/5", "100", "-", "-", "-", "no report for 4 s",
               NULL);
    assert_int_equal(f->table.rows[0].mood, TOP_GOOD);
    assert_int_equal(f->table.rows[1].mood, TOP_WAIT);
    assert_int_equal(f->table.rows[2].mood, TOP_BAD);
    assert_string_equal(f->table.rows[2].id, "8@h@q");
    assert_string_equal(f->table.rows[1].detail, "7@h@q  queue orders  7 done, 2 failed: quiet");
}

/* Numbers fall, what is unknown comes last; texts rise, in any case. */
static void test_sorted(void **state)
{
    struct fixture *f = *state;
    make(f, TOP_PROCESSES, "", 4);
    assert_string_equal(f->table.rows[0].id, "8@h@q");
    assert_string_equal(f->table.rows[1].id, "io-1");
    assert_string_equal(f->table.rows[2].id, "engine");
    make(f, TOP_PROCESSES, "", 0);
    assert_string_equal(f->table.rows[0].id, "8@h@q");
    assert_string_equal(f->table.rows[1].id, "engine");
    assert_string_equal(f->table.rows[2].id, "io-1");
}

static void test_filtered(void **state)
{
    struct fixture *f = *state;
    make(f, TOP_PROCESSES, "IO-1", -1);
    assert_int_equal(f->table.count, 1);
    make(f, TOP_PROCESSES, "orders", -1); /* of the line below */
    assert_int_equal(f->table.count, 1);
    make(f, TOP_PROCESSES, "nothing has this", -1);
    assert_int_equal(f->table.count, 0);
}

static void test_queues_and_activities(void **state)
{
    struct fixture *f = *state;
    make(f, TOP_QUEUES, "", -1);
    assert_row(f, 0, "orders", "activity", "120k", "3.5s", "-", "-", "0", NULL);
    assert_int_equal(f->table.rows[0].mood, TOP_BAD);
    assert_row(f, 1, "new", "workflow", "-", "-", "-", "-", "-", NULL);
    assert_int_equal(f->table.rows[1].mood, TOP_GOOD);
    make(f, TOP_ACTIVITIES, "", -1);
    assert_row(f, 0, "charge", "10", "1", "0", "400us", "12m", "5ms", "-", "2.0K", "0B", NULL);
}

/* The newest first; what would move the cursor is no text. */
static void test_events(void **state)
{
    struct fixture *f = *state;
    make(f, TOP_EVENTS, "", -1);
    assert_row(f, 0, "14:00:01", "error", "8@h@q", "process.lost", "?[2J", NULL);
    assert_row(f, 1, "14:00:00", "info", "io-1", "process.started", "started", NULL);
    assert_int_equal(f->table.rows[0].mood, TOP_BAD);
}

/* What happened stands in the fields: which activity, which exit code. */
static void test_event_fields(void **state)
{
    char text[200];
    json_t *event = parse("{\"message\": \"An activity failed\", \"fields\": {\"activity_type\": "
                          "\"charge\", \"attempt\": 2, \"failure\": \"no \\u001bmoney\", \"note\": "
                          "\"a b\", \"list\": [1.5, 2], \"who\": null}}");
    (void)state;
    cli_event_text(event, text, sizeof text);
    assert_string_equal(text, "An activity failed: no ?money  activity_type=charge attempt=2 "
                              "note=\"a b\" list=[1.5,2]");
    cli_event_text(event, text, 10);
    assert_string_equal(text, "An activi");
    json_object_set_new(event, "message", json_string("\xc3\xa4\xc3\xb6"));
    cli_event_text(event, text, 4);
    assert_string_equal(text, "\xc3\xa4");
    json_decref(event);
}

static void test_summary_and_nothing_read_yet(void **state)
{
    struct fixture *f = *state;
    char text[200];
    top_summary(f->fleet, text, sizeof text);
    assert_string_equal(text, "3 processes, 1 well  slots 3/15  112.5 tasks/s, 0.2 failed/s  CPU "
                              "50 %  5.0M");
    f->pages = (struct top_pages){0};
    for (int view = 0; view < TOP_VIEWS; view++) {
        make(f, (enum top_view)view, "", 0);
        assert_int_equal(f->table.count, 0);
    }
    top_summary(NULL, text, sizeof text);
    assert_string_equal(text, "0 processes, 0 well  slots 0/0  0.0 tasks/s, 0.0 failed/s  CPU 0 % "
                              " 0B");
}

static void test_text_is_cut_at_characters(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(top_cut("abc", 2), 2);
    assert_int_equal(top_cut("abc", 9), 3);
    assert_int_equal(top_cut("\xc3\xa4\xc3\xb6", 1), 2);
    assert_int_equal(top_cut("", 1), 0);
    char text[TOP_CELL_MAX + 10] = "x"; /* and characters of two bytes */
    for (size_t i = 1; i + 3 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 3);
    json_object_set_new(json_array_get(f->events, 0), "message", json_string(text));
    make(f, TOP_EVENTS, "", -1);
    assert_int_equal(strlen(f->table.rows[1].cells[4]), TOP_CELL_MAX - 1);
    json_object_set_new(json_array_get(f->events, 0), "message", json_string(text + 1));
    make(f, TOP_EVENTS, "", -1);
    assert_int_equal(strlen(f->table.rows[1].cells[4]), TOP_CELL_MAX - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_processes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sorted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filtered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queues_and_activities, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events, setup, teardown),
        cmocka_unit_test(test_event_fields),
        cmocka_unit_test_setup_teardown(test_text_is_cut_at_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_summary_and_nothing_read_yet, setup, teardown),
    };
    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
