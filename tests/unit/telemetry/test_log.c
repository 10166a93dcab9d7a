/* SPDX-License-Identifier: Apache-2.0 */
/* The log: exact lines, escaping, bounds, the rate limit. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* logfmt has JSON's keys in JSON's order. */
static void test_logfmt_line(void **state)
{
    struct fixture *f = *state;
    flo_log_open(FLO_LOG_INFO, FLO_LOG_LOGFMT, "prog");
    flo_log(FLO_LOG_WARN, "conn.error", "Connection error", "peer", "a\nb", "none", "", "#n", "5",
            NULL);
    const char *line = written(f);
    assert_int_equal(strncmp(line, "ts=20", 5), 0);
    assert_string_equal(line + 30, " level=warn event=conn.error msg=\"Connection error\" "
                                   "logger=prog peer=\"a\\nb\" none=\"\" n=5\n");
}

/* Ids and identities are cut short, in whole characters; other values are not. */
static void test_ids_are_cut(void **state)
{
    struct fixture *f = *state;
    char text[301];
    memset(text, 'x', 300);
    memcpy(text + 127, "\xc3\xa4", 2); /* half of it would be the 128th byte */
    text[300] = '\0';
    flo_log(FLO_LOG_INFO, "long", "m", "workflow_id", text, "worker_identity", text, "reason", text,
            NULL);
    json_t *json = json_loads(written(f), 0, NULL);
    assert_non_null(json);
    assert_int_equal(json_string_length(json_object_get(json, "workflow_id")), 127);
    assert_int_equal(json_string_length(json_object_get(json, "worker_identity")), 127);
    assert_int_equal(json_string_length(json_object_get(json, "reason")), 300);
    json_decref(json);
}

/* Priorities for systemd when stderr is the journal's, as device and inode say; not when somebody
 * else has our environment's journal. */
static void test_journal_gets_priorities(void **state)
{
    struct fixture *f = *state;
    char stream[64];
    struct stat st;
    int saved = dup(STDERR_FILENO);
    dup2(f->write_fd, STDERR_FILENO);
    fstat(STDERR_FILENO, &st);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    flo_log_open(FLO_LOG_TRACE, FLO_LOG_JSON, "prog");
    flo_log(FLO_LOG_ERROR, "e", "m", NULL);
    flo_log(FLO_LOG_WARN, "w", "m", NULL);
    flo_log(FLO_LOG_INFO, "i", "m", NULL);
    flo_log(FLO_LOG_DEBUG, "d", "m", NULL);
    flo_log(FLO_LOG_TRACE, "t", "m", NULL);
    setenv("JOURNAL_STREAM", "1:1", 1);
    flo_log_open(FLO_LOG_INFO, FLO_LOG_JSON, "prog");
    flo_log(FLO_LOG_INFO, "plain", "m", NULL);
    dup2(saved, STDERR_FILENO);
    close(saved);
    unsetenv("JOURNAL_STREAM");
    flo_log_open(FLO_LOG_INFO, FLO_LOG_JSON, "prog");
    const char *at = written(f);
    static const char *const starts[] = {"<3>{", "<4>{", "<6>{", "<7>{", "<7>{", "{\"ts\""};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        assert_int_equal(strncmp(at, starts[i], strlen(starts[i])), 0);
        at = strchr(at, '\n') + 1;
    }
}

/* A process that was forked before obeys a change of the level. */
static void test_shared_level_reaches_forks(void **state)
{
    struct fixture *f = *state;
    int go[2], status;
    char byte = 0;
    assert_int_equal(pipe(go), 0);
    flo_log_share_level();
    pid_t child = fork();
    if (child == 0) {
        (void)!read(go[0], &byte, 1);
        _exit(flo_log_enabled(FLO_LOG_DEBUG) ? 0 : 1);
    }
    (void)f;
    flo_log_set_level(FLO_LOG_DEBUG);
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(go[0]);
    close(go[1]);
}

/* The newest warnings and errors are kept, with their reasons; lines below are not. */
static void test_troubles_are_kept(void **state)
{
    struct flo_log_trouble troubles[FLO_LOG_TROUBLES];
    char event[32];
    (void)state;
    for (int i = 0; i < FLO_LOG_TROUBLES + 4; i++) {
        snprintf(event, sizeof event, "bad.%d", i);
        flo_log(FLO_LOG_WARN, event, "m", "reason", "because", NULL);
    }
    flo_log(FLO_LOG_INFO, "good", "m", NULL);
    assert_int_equal(flo_log_troubles(troubles, FLO_LOG_TROUBLES), FLO_LOG_TROUBLES);
    assert_string_equal(troubles[0].event, "bad.19");
    assert_string_equal(troubles[FLO_LOG_TROUBLES - 1].event, "bad.4");
    assert_string_equal(troubles[0].reason, "because");
    assert_int_equal(flo_log_troubles(troubles, 3), 3);
    assert_string_equal(troubles[2].event, "bad.17");
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
        cmocka_unit_test_setup_teardown(test_logfmt_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_journal_gets_priorities, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shared_level_reaches_forks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_troubles_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_level_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rate_limit_per_event, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
