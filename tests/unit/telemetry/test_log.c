/* SPDX-License-Identifier: Apache-2.0 */
/* The log: exact lines, escaping, bounds, the rate limit. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka_env.h"
#include "telemetry/log.h"

struct fixture {
    int read_fd, write_fd;
    char text[128 * 1024];
};
static struct fixture fixture;

static int setup(void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_true(fcntl(fds[1], F_SETPIPE_SZ, 1 << 18) > 0);
    fixture.read_fd = fds[0];
    fixture.write_fd = fds[1];
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    flo_log_open(FLO_LOG_INFO, FLO_LOG_JSON, "prog");
    flo_log_set_fd(fds[1]);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    flo_log_set_fd(-1);
    close(fixture.read_fd);
    close(fixture.write_fd);
    return 0;
}

static char *written(struct fixture *f)
{
    size_t len = 0;
    for (ssize_t n; (n = read(f->read_fd, f->text + len, sizeof f->text - 1 - len)) > 0;
         len += (size_t)n)
        ;
    f->text[len] = '\0';
    return f->text;
}

/* Who writes to a pipe that ends at a terminal is told so, and asked for JSON writes that. */
static void test_auto_follows_the_starter(void **state)
{
    (void)state;
    setenv("FLOTILLA_LOG_AUTO", "text", 1);
    flo_log_open(FLO_LOG_INFO, FLO_LOG_AUTO, "prog");
    assert_true(flo_log_is_text());
    flo_log_open(FLO_LOG_INFO, FLO_LOG_JSON, "prog");
    assert_false(flo_log_is_text());
    unsetenv("FLOTILLA_LOG_AUTO");
}

/* The members stand in this order, and a '#' key is a number. */
static void test_json_line(void **state)
{
    struct fixture *f = *state;
    flo_log(FLO_LOG_INFO, "worker.started", "Worker started", "namespace", "default", "#slots",
            FLO_NUM(3), "missing", NULL, NULL);
    char *line = written(f);
    assert_memory_equal(line, "{\"ts\":\"20", 9);
    assert_string_equal(line + 7 + 27,
                        "\",\"level\":\"info\",\"event\":\"worker.started\",\"msg\":\"Worker "
                        "started\",\"logger\":\"prog\",\"namespace\":\"default\",\"slots\":3,"
                        "\"missing\":null}\n");
}

/* Control characters, quotes and bad UTF-8 never break a line. */
static void test_json_escapes(void **state)
{
    struct fixture *f = *state;
    flo_log(FLO_LOG_ERROR, "e", "a\"b\\c\nd\te\x01\x7f", "k", "gr\xc3\xbc\xc3\x9f", "bad", "x\xffy",
            "#n", "1;DROP", NULL);
    char *line = written(f);
    json_error_t error;
    json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "msg")), "a\"b\\c\nd\te\x01\x7f");
    assert_string_equal(json_string_value(json_object_get(json, "k")), "gr\xc3\xbc\xc3\x9f");
    assert_string_equal(json_string_value(json_object_get(json, "bad")), "x\xef\xbf\xbdy");
    assert_string_equal(json_string_value(json_object_get(json, "n")), "1;DROP");
    json_decref(json);
    assert_int_equal(strcspn(line, "\n"), strlen(line) - 1);
}

/* However much is logged, the line is one JSON object of at most 8 KiB. */
static void test_json_line_is_bounded(void **state)
{
    struct fixture *f = *state;
    static char big[20000];
    memset(big, '"', sizeof big - 1);
    flo_log(FLO_LOG_INFO, "e", big, "a", big, "b", big, "c", big, "d", big, "e1", big, "z", "end",
            NULL);
    char *line = written(f);
    assert_true(strlen(line) <= 8192);
    json_t *json = json_loads(line, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "z")), "end");
    json_decref(json);
}

/* Text for terminals. */
static void test_text_line(void **state)
{
    struct fixture *f = *state;
    flo_log_open(FLO_LOG_DEBUG, FLO_LOG_TEXT, "prog");
    flo_log(FLO_LOG_WARN, "conn.error", "Connection error", "peer", "a b", "#n", "5", NULL);
    assert_string_equal(written(f) + 27,
                        " warn  Connection error event=conn.error peer=\"a b\" n=5\n");
}

/* Lines below the level cost nothing and are not written. */
static void test_level_filters(void **state)
{
    struct fixture *f = *state;
    flo_log(FLO_LOG_DEBUG, "quiet", "not written", NULL);
    assert_string_equal(written(f), "");
    assert_false(flo_log_enabled(FLO_LOG_DEBUG));
    flo_log_set_level(FLO_LOG_DEBUG);
    flo_log(FLO_LOG_DEBUG, "quiet", "written", NULL);
    assert_non_null(strstr(written(f), "written"));
}

/* Ten lines a second for each event; other events are not touched. */
static void test_rate_limit_per_event(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        flo_log(FLO_LOG_INFO, "flood", "x", NULL);
    flo_log(FLO_LOG_INFO, "other", "y", NULL);
    int lines = 0;
    for (const char *p = written(f); (p = strchr(p, '\n')); p++)
        lines++;
    assert_in_range(lines, 11, 21); /* 21: the second ended in between */
    assert_non_null(strstr(f->text, "\"other\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_line_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_auto_follows_the_starter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_level_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rate_limit_per_event, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
