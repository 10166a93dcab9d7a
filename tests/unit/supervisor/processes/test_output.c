/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of processes: cut, kept in files with rotation, and our own output when nobody reads. */
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/processes/output.h"
#include "support/cmocka_env.h"
#include "support/tree.h"
#include "telemetry/line_log.h"

struct fixture {
    char root[TREE_ROOT_SIZE];
    char path[TREE_ROOT_SIZE + 32];
    char lines[4096]; /* "[line]" of each */
    size_t longest;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (tree_make(f->root))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/p.log", f->root);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int rc = tree_remove(f->root);
    free(f);
    return rc;
}

/* ---- cutting ---- */

static void take(void *ctx, const char *text, size_t len)
{
    struct fixture *f = ctx;
    size_t used = strlen(f->lines);
    assert_int_equal(strlen(text), len);
    f->longest = len > f->longest ? len : f->longest;
    snprintf(f->lines + used, sizeof f->lines - used, "[%.64s]", text);
}

/* Wherever the reads end, the lines are the same; NUL bytes and a last line without end too. */
static void test_cutter_any_division(void **state)
{
    struct fixture *f = *state;
    static const char bytes[] = "one\n\ntwo\r\nth\0ree\nfour";
    for (size_t piece = 1; piece < sizeof bytes; piece++) {
        struct flo_line_cutter cutter = {.line = take, .ctx = f};
        f->lines[0] = '\0';
        for (size_t at = 0; at < sizeof bytes - 1; at += piece) {
            size_t left = sizeof bytes - 1 - at;
            assert_int_equal(flo_line_cutter_feed(&cutter, bytes + at, piece < left ? piece : left),
                             0);
        }
        flo_line_cutter_end(&cutter);
        assert_string_equal(f->lines, "[one][][two][th?ree][four]");
        assert_null(cutter.partial);
    }
}

/* A giant line keeps its beginning and says how much is gone; the next one is whole. */
static void test_cutter_giant_line(void **state)
{
    struct fixture *f = *state;
    struct flo_line_cutter cutter = {.line = take, .ctx = f};
    char bytes[1000];
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < 100; i++)
        assert_int_equal(flo_line_cutter_feed(&cutter, bytes, sizeof bytes), 0);
    assert_int_equal(flo_line_cutter_feed(&cutter, "\nnext\n", 6), 0);
    assert_int_equal(f->longest, FLO_LINE_MAX);
    assert_non_null(strstr(f->lines, "][next]"));
    flo_line_cutter_end(&cutter);
}

/* ---- files ---- */

static char *content(const char *path, size_t *out_len)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    *out_len = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[*out_len] = '\0';
    if (file)
        fclose(file);
    return text;
}

/* What is written can be read: stamp, stream and text. */
static void test_line_log_form(void **state)
{
    struct fixture *f = *state;
    struct flo_line_log *log = NULL;
    struct flo_logged_line line;
    size_t len;
    assert_int_equal(flo_line_log_open(f->path, 1 << 20, 1, &log, NULL), 0);
    flo_line_log_add(log, 1795287123123456789, true, "hello F there", 13);
    assert_int_equal(flo_line_log_flush(log, NULL), 0);
    flo_line_log_close(&log);
    char *text = content(f->path, &len);
    assert_string_equal(text, "2026-11-21T18:52:03.123456789Z stderr F hello F there\n");
    assert_true(flo_line_log_parse(text, len - 1, &line));
    assert_true(line.is_stderr);
    assert_memory_equal(line.text, "hello F there", line.len);
    assert_int_equal(line.len, 13);
    assert_false(flo_line_log_parse("anything else", 13, &line));
    assert_false(
        flo_line_log_parse("2026-11-21T18:52:03.123456789Z stdout P part of a line", 54, &line));
}

/* Files stay within their bound, only so many are kept, and no line is lost at a border or torn. */
static void test_line_log_rotation(void **state)
{
    struct fixture *f = *state;
    struct flo_line_log *log = NULL;
    char text[40], path[sizeof f->path + 8];
    int next = 0;
    size_t len;
    assert_int_equal(flo_line_log_open(f->path, 1000, 3, &log, NULL), 0);
    for (int i = 0; i < 200; i++) {
        int n = snprintf(text, sizeof text, "line %d", i);
        flo_line_log_add(log, i, false, text, (size_t)n);
        if (i % 7 == 0)
            assert_int_equal(flo_line_log_flush(log, NULL), 0);
    }
    assert_int_equal(flo_line_log_flush(log, NULL), 0);
    flo_line_log_close(&log);
    for (int number = 4; number >= 0; number--) {
        snprintf(path, sizeof path, number ? "%s.%d" : "%s", f->path, number);
        char *all = content(path, &len);
        assert_true(len <= 1000);
        assert_true(number == 4 ? len == 0 : len > 0);
        for (char *at = all; *at; at = strchr(at, '\n') + 1) {
            int i = (int)strtol(strstr(at, "F line ") + 7, NULL, 10);
            assert_true(next == 0 || i == next);
            next = i + 1;
        }
    }
    assert_int_equal(next, 200);
}

/* A longer run goes on with the file that is there. */
static void test_line_log_goes_on(void **state)
{
    struct fixture *f = *state;
    size_t len;
    for (int i = 0; i < 2; i++) {
        struct flo_line_log *log = NULL;
        assert_int_equal(flo_line_log_open(f->path, 1000, 0, &log, NULL), 0);
        flo_line_log_add(log, 0, false, "again", 5);
        assert_int_equal(flo_line_log_flush(log, NULL), 0);
        flo_line_log_close(&log);
    }
    char *first = strstr(content(f->path, &len), "again");
    assert_non_null(strstr(first + 1, "again"));
}

/* ---- our own output ---- */

/* Nobody reads: it does not wait, keeps a bounded part, and says what it left out. */
static void test_output_slow_reader(void **state)
{
    struct fixture *f = *state;
    struct event_base *base = event_base_new();
    const struct flo_output_options options = {.max_bytes = 0, .print = true};
    struct flo_output *output = NULL;
    struct flo_err err = {0};
    char line[1000];
    int fds[2], saved = dup(STDOUT_FILENO);
    (void)f;
    memset(line, 'x', sizeof line);
    fflush(stdout);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDOUT_FILENO);
    int rc = flo_output_new(base, &options, &output, &err);
    struct flo_output_source *source = flo_output_source_open(output, "a");
    for (int i = 0; i < 1000; i++) { /* 1 MB into a pipe of 64 KiB and a backlog of 256 */
        flo_output_source_line(source, false, line, sizeof line);
        flo_output_source_flush(source);
    }
    static char got[1 << 20];
    size_t len = 0;
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    for (int turns = 0; turns < 200; turns++) { /* now it is read */
        ssize_t n;
        while ((n = read(fds[0], got + len, sizeof got - 1 - len)) > 0)
            len += (size_t)n;
        event_base_loop(base, EVLOOP_ONCE | (turns > 20 ? EVLOOP_NONBLOCK : 0));
    }
    flo_output_source_line(source, false, "end", 3);
    flo_output_source_flush(source);
    ssize_t n = read(fds[0], got + len, sizeof got - 1 - len);
    len += n > 0 ? (size_t)n : 0;
    dup2(saved, STDOUT_FILENO);
    flo_output_source_close(&source);
    flo_output_destroy(&output);
    event_base_free(base);
    for (int i = 0; i < 2; i++)
        close(fds[i]);
    close(saved);
    assert_int_equal(rc, 0);
    got[len] = '\0';
    assert_in_range(len, FLO_OUTPUT_BACKLOG, 400 * 1024);
    assert_non_null(strstr(got, "lines left out here"));
    assert_string_equal(got + len - strlen("a | end\n"), "a | end\n");
    for (char *at = got; *at; at = strchr(at, '\n') + 1) /* whole lines only */
        assert_true(strncmp(at, "a | ", 4) == 0);
}

/* A full file that cannot be put aside: its bound holds, lines are lost, and that is said. */
static void test_line_log_cannot_rotate(void **state)
{
    struct fixture *f = *state;
    struct flo_line_log *log = NULL;
    struct flo_err err = {0};
    struct stat st;
    char aside[sizeof f->path + 8];
    snprintf(aside, sizeof aside, "%s.1", f->path);
    assert_int_equal(mkdir(aside, 0700), 0);
    assert_int_equal(flo_line_log_open(f->path, 100, 1, &log, &err), 0);
    for (int i = 0; i < 3; i++) {
        flo_line_log_add(log, 0, false, "a line of some length, more than half", 37);
        assert_int_equal(flo_line_log_flush(log, &err), i ? FLO_EIO : 0);
    }
    assert_non_null(strstr(err.message, "cannot put "));
    assert_int_equal(stat(f->path, &st), 0);
    assert_in_range(st.st_size, 1, 100);
    assert_int_equal(rmdir(aside), 0);
    flo_line_log_add(log, 0, false, "a line of some length, more than half", 37);
    assert_int_equal(flo_line_log_flush(log, &err), 0);
    flo_line_log_close(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cutter_any_division, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cutter_giant_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_line_log_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_line_log_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_line_log_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_line_log_cannot_rotate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_slow_reader, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
