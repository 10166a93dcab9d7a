/* SPDX-License-Identifier: Apache-2.0 */
/* test_explain.c - what `flotilla explain` says of each case, word by word, on a clock of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/explain_facts.h"

#define NOW INT64_C(1763733600000) /* 2025-11-21 14:00:00 UTC */
#define AGO_S(seconds) (NOW - (seconds)*INT64_C(1000))
#define IN_S(seconds) (NOW + (seconds)*INT64_C(1000))
#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct cli_explain_facts running(void)
{
    return (struct cli_explain_facts){.now_ms = NOW,
                                      .address = "host:7233",
                                      .name_space = "default",
                                      .workflow_id = "order-17",
                                      .run_id = "run",
                                      .type = "Order",
                                      .queue = "orders",
                                      .status = CLI_EXPLAIN_OPEN,
                                      .started_ms = AGO_S(300)};
}

/* The reasons are these: kind, text, kind, text ..., NULL. */
static void assert_says(const struct cli_explain_facts *facts, ...) __attribute__((sentinel));

static void assert_says(const struct cli_explain_facts *facts, ...)
{
    json_t *reasons = cli_explain_reasons(facts);
    va_list args;
    size_t i = 0;
    va_start(args, facts);
    for (const char *kind; (kind = va_arg(args, const char *)); i++) {
        const json_t *reason = json_array_get(reasons, i);
        const char *text = json_string_value(json_object_get(reason, "text"));
        assert_non_null(reason);
        assert_string_equal(text, va_arg(args, const char *));
        assert_string_equal(json_string_value(json_object_get(reason, "kind")), kind);
    }
    va_end(args);
    assert_int_equal(json_array_size(reasons), i);
    json_decref(reasons);
}

/* ---- it is not there, or over ---- */

static void test_server_away_and_unknown_workflows(void **state)
{
    struct cli_explain_facts f = running();
    (void)state;
    f.trouble = CLI_EXPLAIN_SERVER_AWAY;
    f.trouble_text = "Connection refused";
    assert_says(&f, "server_away", "The server at host:7233 cannot be reached: Connection refused.",
                NULL);
    f.trouble = CLI_EXPLAIN_NO_NAMESPACE;
    assert_says(&f, "no_namespace",
                "host:7233 has no namespace default; --namespace names another one.", NULL);
    f.trouble = CLI_EXPLAIN_NOT_FOUND;
    f.run_id = NULL;
    assert_says(&f, "not_found",
                "There is no workflow order-17 in namespace default of host:7233: it was never "
                "started there, or its history has been deleted.",
                NULL);
    f.trouble = CLI_EXPLAIN_REFUSED;
    f.trouble_text = "no permission";
    assert_says(&f, "refused", "The server at host:7233 does not tell: no permission.", NULL);
}

static void test_closed_workflows_say_how(void **state)
{
    struct cli_explain_facts f = running();
    (void)state;
    f.closed_ms = AGO_S(60);
    f.status = CLI_EXPLAIN_COMPLETED;
    assert_says(&f, "completed", "It completed at 13:59:00, after 4 min.", NULL);
    f.next_run = "next";
    f.status = CLI_EXPLAIN_CONTINUED;
    assert_says(&f, "continued_as_new",
                "It went on in a new run at 13:59:00, after 4 min. It goes on in run next.", NULL);
    f.next_run = NULL;
    f.status = CLI_EXPLAIN_TIMED_OUT;
    assert_says(&f, "timed_out", "It timed out at 13:59:00, after 4 min.", NULL);
    f.status = CLI_EXPLAIN_CANCELED;
    assert_says(&f, "canceled", "It was cancelled at 13:59:00, after 4 min.", NULL);
    f.status = CLI_EXPLAIN_TERMINATED;
    f.closed_by = "ann";
    f.failure = "not needed";
    assert_says(&f, "terminated", "It was terminated at 13:59:00, after 4 min, by ann: not needed.",
                NULL);
    f.status = CLI_EXPLAIN_FAILED;
    f.failure = "activity failed (type Activity): no money (type Poor)";
    f.closed_ms = AGO_S(172800);
    f.started_ms = AGO_S(172803);
    assert_says(&f, "failed",
                "It failed at 2025-11-19 14:00:00, after 3 s: activity failed (type Activity): no "
                "money (type Poor).",
                NULL);
    f.poison = true;
    assert_says(&f, "failed",
                "It failed at 2025-11-19 14:00:00, after 3 s: activity failed (type Activity): no "
                "money (type Poor).",
                "quarantined",
                "The input of an activity is parked: it killed its executor again and again, and "
                "is refused until it is lifted (flotilla quarantine list, then retry ID).",
                NULL);
}

/* ---- activities ---- */

static void test_activity_backs_off(void **state)
{
    struct cli_explain_facts f = running();
    const struct cli_explain_activity a = {.id = "1",
                                           .type = "charge",
                                           .queue = "payments",
                                           .state = CLI_EXPLAIN_BACKOFF,
                                           .attempt = 4,
                                           .attempts_max = 5,
                                           .next_attempt_ms = IN_S(12),
                                           .failure = "refused (type IO)"};
    struct cli_explain_queue q = {.name = "payments",
                                  .activities = true,
                                  .pollers = 2,
                                  .last_poll_ms = AGO_S(30),
                                  .backlog = 0};
    (void)state;
    f.activities = &a;
    f.activity_count = 1;
    assert_says(&f, "activity_backoff",
                "It waits for activity charge on queue payments: attempt 4 in 12 s (of 5), after "
                "\"refused (type IO)\".",
                NULL);
    f.queues = &q;
    f.queue_count = 1;
    assert_says(&f, "activity_backoff",
                "It waits for activity charge on queue payments: attempt 4 in 12 s (of 5), after "
                "\"refused (type IO)\"; 2 workers poll it.",
                NULL);
    q.pollers = 0;
    assert_says(&f, "activity_backoff",
                "It waits for activity charge on queue payments: attempt 4 in 12 s (of 5), after "
                "\"refused (type IO)\"; no worker polls it.",
                NULL);
}

static void test_activity_waits_for_a_worker(void **state)
{
    struct cli_explain_facts f = running();
    const struct cli_explain_activity a = {
        .id = "1", .type = "charge", .queue = "payments", .attempt = 1, .scheduled_ms = AGO_S(40)};
    struct cli_explain_queue q = {.name = "payments", .activities = true, .backlog = -1};
    const struct cli_explain_worker workers[] = {
        {.name = "io-1", .state = "quiet", .queue = "payments", .activities = true},
        {.name = "io-2",
         .state = "running",
         .queue = "payments",
         .activities = true,
         .used = 10,
         .total = 10},
        {.name = "io-3",
         .state = "lost",
         .queue = "payments",
         .activities = true,
         .silent_ms = 9000},
        {.name = "io-4", .state = "running", .queue = "payments", .activities = true, .total = 10},
        {.name = "wf-1", .state = "draining", .queue = "payments"},
        {.name = "io-5", .state = "draining", .queue = "other", .activities = true}};
    (void)state;
    f.activities = &a;
    f.activity_count = 1;
    f.queues = &q;
    f.queue_count = 1;
#define WAITS                                                                                      \
    "It waits for activity charge on queue payments: attempt 1 waits for a worker since "          \
    "13:59:20 (40 s)"
    assert_says(&f, "activity_queued", WAITS "; no worker polls it.", NULL);
    q.gone = "io-1 ended";
    q.gone_ms = AGO_S(600);
    assert_says(&f, "activity_queued", WAITS "; no poller since 13:50:00 (io-1 ended).", NULL);
    q.pollers = 1;
    q.last_poll_ms = AGO_S(120);
    assert_says(&f, "activity_queued",
                WAITS "; no poller, the last poll began at 13:58:00 (2 min ago).", NULL);
    q.last_poll_ms = AGO_S(0);
    q.backlog = 17;
    q.backlog_age_ms = 41000;
    assert_says(&f, "activity_queued",
                WAITS "; 1 worker polls it, about 17 tasks are before it or with it, the oldest "
                      "for 41 s.",
                NULL);
    q.backlog = 1;
    f.workers = workers;
    f.worker_count = COUNT(workers);
    assert_says(&f, "activity_queued",
                WAITS "; 1 worker polls it; io-1 is quiet, io-2 is busy (10 of 10 slots), io-3 is "
                      "lost (silent for 9 s).",
                NULL);
    f.worker_count = 0;
    q.refused = "not allowed";
    assert_says(&f, "activity_queued",
                WAITS "; the server does not say who polls it (not allowed).", NULL);
}

static void test_activity_runs(void **state)
{
    struct cli_explain_facts f = running();
    struct cli_explain_activity a = {.id = "1",
                                     .type = "charge",
                                     .queue = "payments",
                                     .state = CLI_EXPLAIN_RUNNING,
                                     .attempt = 1,
                                     .started_ms = AGO_S(180),
                                     .heartbeat_ms = AGO_S(40),
                                     .identity = "7@host"};
    const struct cli_explain_worker lost = {
        .name = "io-1", .identity = "7@host", .state = "lost", .silent_ms = 8000};
    (void)state;
    f.activities = &a;
    f.activity_count = 1;
    assert_says(&f, "activity_running",
                "It waits for activity charge on queue payments: running for 3 min on 7@host, "
                "last heartbeat 40 s ago.",
                NULL);
    a.heartbeat_ms = 0;
    a.attempt = 2;
    a.failure = "broke";
    f.workers = &lost;
    f.worker_count = 1;
    assert_says(&f, "activity_running",
                "It waits for activity charge on queue payments: running for 3 min on 7@host "
                "(which is lost: silent for 8 s), attempt 2, no heartbeat, after \"broke\".",
                NULL);
    f.worker_count = 0;
    a.attempt = 1;
    a.state = CLI_EXPLAIN_CANCELLING;
    assert_says(&f, "activity_cancelling",
                "It waits for activity charge on queue payments: running for 3 min on 7@host, no "
                "heartbeat; it has been told to stop.",
                NULL);
    a.state = CLI_EXPLAIN_PAUSED;
    assert_says(&f, "activity_paused",
                "It waits for activity charge on queue payments: paused before attempt 1, until "
                "somebody unpauses it.",
                NULL);
}

/* A fan-out is one sentence for each kind of wait, about the one that comes first. */
static void test_many_activities_are_counted(void **state)
{
    struct cli_explain_facts f = running();
    const struct cli_explain_activity a[] = {{.id = "1",
                                              .type = "x",
                                              .queue = "q",
                                              .state = CLI_EXPLAIN_RUNNING,
                                              .attempt = 1,
                                              .started_ms = AGO_S(2),
                                              .identity = "a"},
                                             {.id = "2",
                                              .type = "x",
                                              .queue = "q",
                                              .state = CLI_EXPLAIN_BACKOFF,
                                              .attempt = 2,
                                              .next_attempt_ms = IN_S(3),
                                              .failure = "e"},
                                             {.id = "3",
                                              .type = "x",
                                              .queue = "q",
                                              .state = CLI_EXPLAIN_RUNNING,
                                              .attempt = 1,
                                              .started_ms = AGO_S(9),
                                              .identity = "b"}};
    (void)state;
    f.activities = a;
    f.activity_count = COUNT(a);
    assert_says(&f, "activity_running",
                "It waits for 2 activities x on queue q; of 3: running for 9 s on b, no heartbeat.",
                "activity_backoff",
                "It waits for activity x on queue q: attempt 2 in 3 s, after \"e\".", NULL);
}

/* ---- the workflow task ---- */

static void test_workflow_task_is_not_picked_up(void **state)
{
    struct cli_explain_facts f = running();
    const struct cli_explain_queue q = {.name = "orders", .backlog = 1};
    (void)state;
    f.task.pending = true;
    f.task.attempt = 1;
    f.task.scheduled_ms = AGO_S(20);
    f.queues = &q;
    f.queue_count = 1;
    assert_says(&f, "workflow_task_queued",
                "Its workflow task waits for a worker on queue orders since 13:59:40 (20 s); no "
                "worker polls it.",
                NULL);
    f.first_task_ms = IN_S(3600);
    assert_says(&f, "start_delayed", "It starts at 15:00:00, in 60 min.", NULL);
    f.task.started = true;
    f.task.started_ms = AGO_S(5);
    f.task.identity = "7@host";
    assert_says(&f, "workflow_task_running",
                "Its workflow task has been running for 5 s on 7@host.", NULL);
}

static void test_workflow_task_fails_again_and_again(void **state)
{
    struct cli_explain_facts f = running();
    (void)state;
    f.task.pending = f.task.started = true;
    f.task.attempt = 12;
    f.task_failure = "expected ActivityTaskScheduled";
    f.task_failure_cause = "NON_DETERMINISTIC_ERROR";
    f.task_failure_identity = "7@host";
    assert_says(&f, "workflow_task_failing",
                "Its workflow task fails again and again (attempt 12): expected "
                "ActivityTaskScheduled (NON_DETERMINISTIC_ERROR), on 7@host; it is tried again "
                "until the workflow code matches its history.",
                NULL);
    f.task_failure = f.task_failure_cause = f.task_failure_identity = NULL;
    assert_says(&f, "workflow_task_failing",
                "Its workflow task fails again and again (attempt 12): no message; it is tried "
                "again until it works.",
                NULL);
}

/* ---- the rest ---- */

static void test_timers_children_signals(void **state)
{
    struct cli_explain_facts f = running();
    const struct cli_explain_timer timers[] = {{"1", IN_S(90)}, {"2", AGO_S(1)}};
    const struct cli_explain_child children[] = {
        {"a", "A"}, {"b", "B"}, {"c", "C"}, {"d", "D"}, {"e", "E"}};
    (void)state;
    f.last_event = "TIMER_FIRED";
    f.last_event_ms = AGO_S(60);
    assert_says(&f, "signal",
                "Nothing is pending: it waits for a signal or an update from outside; the newest "
                "event is TIMER_FIRED at 13:59:00.",
                NULL);
    f.timers = timers;
    f.timer_count = 1;
    assert_says(&f, "timer", "It waits for a timer: 1 fires in 90 s (14:01:30).", NULL);
    f.timer_count = 2;
    f.children = children;
    f.child_count = COUNT(children);
    f.external_count = 1;
    f.cancel_requested = true;
    assert_says(
        &f, "child",
        "It waits for child workflows: a (A), b (B), c (C) and 2 more; flotilla explain a "
        "says why that one does not end.",
        "timer", "It waits for timers: 1 fires in 90 s (14:01:30), 2 is due since 1 s.", "external",
        "It waits for the answer to 1 signal or cancel request that it sent to other "
        "workflows.",
        "cancel_requested",
        "It has been asked to cancel and has not ended yet: its code decides how it does.", NULL);
}

static void test_paused(void **state)
{
    struct cli_explain_facts f = running();
    const struct cli_explain_timer timer = {"1", IN_S(5)};
    (void)state;
    f.status = CLI_EXPLAIN_WF_PAUSED;
    f.timers = &timer;
    f.timer_count = 1;
    assert_says(&f, "paused", "It is paused, until somebody unpauses it.", "timer",
                "It waits for a timer: 1 fires in 5 s (14:00:05).", NULL);
}

/* A message of any length and any bytes becomes a text that is UTF-8. */
static void test_long_texts_are_cut_at_a_character(void **state)
{
    struct cli_explain_facts f = running();
    char *text = malloc(20001);
    (void)state;
    for (size_t i = 0; i < 20000; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    text[20000] = '\0';
    for (int shift = 0; shift < 2; shift++) {
        f.status = CLI_EXPLAIN_FAILED;
        f.failure = shift ? text + 2 : text;
        f.type = shift ? "x" : "";
        f.closed_ms = shift ? 0 : AGO_S(1);
        json_t *reasons = cli_explain_reasons(&f);
        const json_t *said = json_object_get(json_array_get(reasons, 0), "text");
        assert_true(json_string_length(said) > 4000);
        assert_true(json_string_length(said) < 4096);
        json_decref(reasons);
    }
    free(text);
}

static void test_durations(void **state)
{
    (void)state;
    assert_string_equal(cli_explain_duration(-5).text, "0 ms");
    assert_string_equal(cli_explain_duration(999).text, "999 ms");
    assert_string_equal(cli_explain_duration(119999).text, "119 s");
    assert_string_equal(cli_explain_duration(INT64_C(7199) * 1000).text, "119 min");
    assert_string_equal(cli_explain_duration(INT64_C(9000) * 1000).text, "2 h 30 min");
    assert_string_equal(cli_explain_duration(INT64_C(86400) * 4000).text, "4 days");
}

static void test_only_other_words_are_news(void **state)
{
    (void)state;
    assert_true(cli_explain_same("", ""));
    assert_true(cli_explain_same("waits on q1 since 14:02:10 (5 s); no worker polls it.",
                                 "waits on q1 since 14:02:10 (2 h 3 min); no worker polls it."));
    assert_true(cli_explain_same("fails (attempt 2): unknown", "fails (attempt 17): unknown"));
    assert_false(cli_explain_same("", "It waits."));
    assert_false(cli_explain_same("It waits.", "It waits now."));
    assert_false(cli_explain_same("waits on q1", "waits on q2"));
    assert_false(cli_explain_same("waits (5 s); no worker polls it", "waits (9 s); 1 polls it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_away_and_unknown_workflows),
        cmocka_unit_test(test_closed_workflows_say_how),
        cmocka_unit_test(test_activity_backs_off),
        cmocka_unit_test(test_activity_waits_for_a_worker),
        cmocka_unit_test(test_activity_runs),
        cmocka_unit_test(test_many_activities_are_counted),
        cmocka_unit_test(test_workflow_task_is_not_picked_up),
        cmocka_unit_test(test_workflow_task_fails_again_and_again),
        cmocka_unit_test(test_timers_children_signals),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_long_texts_are_cut_at_a_character),
        cmocka_unit_test(test_only_other_words_are_news),
        cmocka_unit_test(test_durations),
    };
    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
