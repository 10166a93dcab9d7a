/* SPDX-License-Identifier: Apache-2.0 */
/* test_report.c - executor/report.c: from what a dead process left to texts, whatever it left. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "executor/crash.h"

#define STATUS_OF_SIGNAL(number) (number)
#define STATUS_OF_EXIT(status) ((status) << 8)

struct told {
    struct flo_crash_record record;
    struct flo_executor_limits limits;
    struct flo_crash_facts facts;
    struct flo_crash_report report;
    struct flo_job_crash crash;
};

static struct told *told_new(int status)
{
    struct told *t = calloc(1, sizeof *t);

    assert_non_null(t);
    t->facts = (struct flo_crash_facts){
        .record = &t->record, .limits = &t->limits, .status = status, .output = ""};
    return t;
}

static void tell(struct told *t)
{
    flo_crash_record_check(&t->record);
    flo_crash_report_init(&t->report, &t->facts, &t->crash);
    assert_int_equal(strlen(t->crash.details), t->crash.details_len);
}

static void told_free(struct told *t)
{
    flo_crash_report_fini(&t->report);
    free(t);
}

/* Nothing but the status is known. */
static void test_report_of_a_bare_status(void **state)
{
    struct told *t = told_new(STATUS_OF_SIGNAL(SIGKILL));

    (void)state;
    tell(t);
    assert_string_equal(t->crash.details, "{\"signal\": \"SIGKILL\", \"signal_number\": 9, "
                                          "\"backtrace\": [], \"output\": []}");
    assert_string_equal(t->crash.message,
                        "Activity executor died: signal 9 (SIGKILL), from outside "
                        "or by the system when out of memory");
    assert_string_equal(t->crash.stack_trace, "");
    told_free(t);
    t = told_new(STATUS_OF_EXIT(7));
    tell(t);
    assert_string_equal(t->crash.details,
                        "{\"exit_status\": 7, \"backtrace\": [], \"output\": []}");
    told_free(t);
}

/* Output is bytes: what is no UTF-8 is replaced, controls are escaped, only whole last lines. */
static void test_report_of_any_output(void **state)
{
    struct told *t = told_new(STATUS_OF_EXIT(1));
    char many[400];
    size_t len = 0;

    (void)state;
    t->facts.output = "a\"b\\\n\x01\xff\xc3\xa4\xe2\x82\n";
    t->facts.output_len = strlen(t->facts.output);
    tell(t);
    assert_non_null(
        strstr(t->crash.details, "\"output\": [\"a\\\"b\\\\\", \"\\u0001?\xc3\xa4?\"]"));
    told_free(t);
    t = told_new(STATUS_OF_EXIT(1));
    for (int i = 0; i < 30; i++)
        len += (size_t)snprintf(many + len, sizeof many - len, "line %d\n", i);
    t->facts.output = many;
    t->facts.output_len = len;
    tell(t);
    assert_null(strstr(t->crash.details, "line 9\""));
    assert_non_null(strstr(t->crash.details, "[\"line 10\", "));
    assert_non_null(strstr(t->crash.details, "\"line 29\"]"));
    told_free(t);
}

/* Without names, frames are module and offset; names come as the namer wrote them. */
static void test_report_of_frames(void **state)
{
    static const char names[] = "[{\"function\": \"f\"}]\0f at a.c:1 (m.so)\n";
    struct told *t = told_new(STATUS_OF_SIGNAL(SIGSEGV));

    (void)state;
    t->record = (struct flo_crash_record){
        .kind = FLO_CRASH_SIGNAL, .signal = SIGSEGV, .code = SEGV_MAPERR, .frames = 2};
    memcpy(t->record.names, "\0/lib/m.so", 11);
    t->record.names_len = 11;
    t->record.frame[0] = (struct flo_crash_frame){.pc = 0x5010, .bias = 0x5000, .name = 1};
    t->record.frame[1] = (struct flo_crash_frame){.pc = 0x99};
    tell(t);
    assert_non_null(strstr(t->crash.details, "\"backtrace\": [{\"module\": \"m.so\", \"offset\": "
                                             "\"0x10\"}, {\"offset\": \"0x99\"}]"));
    assert_string_equal(t->crash.stack_trace, "? at m.so+0x10\n? at ?+0x99\n");
    flo_crash_report_fini(&t->report);
    t->facts.symbols = names;
    t->facts.symbols_len = sizeof names;
    tell(t);
    assert_non_null(strstr(t->crash.details, "\"backtrace\": [{\"function\": \"f\"}]"));
    assert_string_equal(t->crash.stack_trace, "f at a.c:1 (m.so)\n");
    flo_crash_report_fini(&t->report);
    t->facts.symbols_len = 9; /* cut off: not used */
    tell(t);
    assert_non_null(strstr(t->crash.details, "m.so"));
    told_free(t);
}

/* A record of noise breaks nothing. */
static void test_report_of_a_hostile_record(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 200; seed++) {
        struct told *t = told_new(STATUS_OF_SIGNAL(SIGSEGV));
        uint8_t *bytes = (uint8_t *)&t->record;
        unsigned x = seed;
        for (size_t i = 0; i < sizeof t->record; i++)
            bytes[i] = (uint8_t)((x = x * 1103515245u + 12345u) >> 16);
        t->record.kind = FLO_CRASH_SIGNAL;
        t->limits.memory_bytes = 1 << 20;
        tell(t);
        assert_true(t->crash.details_len >= 2);
        told_free(t);
    }
}

/* Which limit, if any. */
static void test_report_names_the_limit(void **state)
{
    static const struct {
        int status;
        int error;
        uint64_t data;
        enum flo_job_limit limit;
    } cases[] = {
        {SIGXCPU, 0, 0, FLO_JOB_LIMIT_CPU},         {SIGSEGV, 0, 0, FLO_JOB_LIMIT_NONE},
        {SIGSEGV, ENOMEM, 0, FLO_JOB_LIMIT_MEMORY}, {SIGABRT, 0, 99 << 20, FLO_JOB_LIMIT_MEMORY},
        {SIGABRT, 0, 50 << 20, FLO_JOB_LIMIT_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct told *t = told_new(STATUS_OF_SIGNAL(cases[i].status));
        t->limits = (struct flo_executor_limits){.memory_bytes = 100 << 20, .cpu_ms = 60000};
        t->record = (struct flo_crash_record){.kind = FLO_CRASH_SIGNAL,
                                              .signal = cases[i].status,
                                              .error = cases[i].error,
                                              .data_bytes = cases[i].data};
        tell(t);
        assert_int_equal(t->crash.limit, cases[i].limit);
        if (cases[i].limit == FLO_JOB_LIMIT_CPU)
            assert_non_null(strstr(t->crash.message, "CPU limit of 60 s"));
        told_free(t);
    }
}

/* A fault inside the handler does not hide what the handler was called for. */
static void test_report_prefers_the_first_signal(void **state)
{
    struct told *t = told_new(STATUS_OF_SIGNAL(SIGSEGV));

    (void)state;
    t->record =
        (struct flo_crash_record){.kind = FLO_CRASH_SIGNAL, .signal = SIGABRT, .code = SI_TKILL};
    tell(t);
    assert_non_null(strstr(t->crash.message, "SIGABRT"));
    told_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_of_a_bare_status),
        cmocka_unit_test(test_report_of_any_output),
        cmocka_unit_test(test_report_of_frames),
        cmocka_unit_test(test_report_of_a_hostile_record),
        cmocka_unit_test(test_report_names_the_limit),
        cmocka_unit_test(test_report_prefers_the_first_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
