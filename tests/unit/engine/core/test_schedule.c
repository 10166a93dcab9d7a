/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules: when they come, and what becomes of them when the engine dies or time runs away. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/core/schedule/calendar.h"
#include "engine/core/schedule/spec.h"
#include "support/cmocka_env.h"
#include "support/engine_harness.h"

#define S FLO_NS_PER_S

/* ---- specifications ---- */

/* The next three moments of a cron string after 2026-01-01, as texts. */
static const char *crons(const char *text, const char *zone)
{
    static char out[160];
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    struct flo_zones zones;
    flo_zones_init(&zones, NULL, NULL);
    char *strings[] = {(char *)text};
    FloApi__ScheduleSpec spec = FLO_API__SCHEDULE_SPEC__INIT, *canonical;
    spec.cron_string = strings;
    spec.n_cron_string = 1;
    spec.timezone_name = (char *)zone;
    struct flo_spec *compiled;
    struct flo_err err;
    out[0] = '\0';
    if (flo_spec_canonical(&arena, &spec, &canonical, &err) ||
        flo_spec_new(&zones, canonical, &compiled, &err)) {
        snprintf(out, sizeof out, "%.150s", err.message);
    } else {
        int64_t at = ENGINE_EPOCH_NS;
        for (int i = 0; i < 3; i++) {
            at = flo_spec_next(compiled, "", at).nominal_ns;
            char time[32] = "never";
            if (at != FLO_SPEC_NEVER)
                flo_clock_rfc3339(at, time, sizeof time);
            snprintf(out + strlen(out), sizeof out - strlen(out), "%s%.16s", i ? " " : "", time);
            if (at == FLO_SPEC_NEVER)
                break;
        }
        flo_spec_destroy(&compiled);
    }
    flo_zones_fini(&zones);
    flo_arena_fini(&arena);
    return out;
}

/* Cron strings of five, six and seven fields, names, Sunday twice, and intervals. */
static void test_spec_cron_strings(void **state)
{
    (void)state;
    assert_string_equal(crons("0 12 * * MON", ""),
                        "2026-01-05T12:00 2026-01-12T12:00 2026-01-19T12:00");
    assert_string_equal(crons("0 0 13 * fri", ""), /* both day fields */
                        "2026-02-13T00:00 2026-03-13T00:00 2026-11-13T00:00");
    assert_string_equal(crons("0 0 * jan 6-7 2027", ""),
                        "2027-01-02T00:00 2027-01-03T00:00 2027-01-09T00:00");
    assert_string_equal(crons("30 0 0 1 1 * 2027-2028", ""),
                        "2027-01-01T00:00 2028-01-01T00:00 never");
    assert_string_equal(crons("@every 36h/5h", ""),
                        "2026-01-01T05:00 2026-01-02T17:00 2026-01-04T05:00");
    assert_string_equal(crons("0 0 30 2 *", ""), "never");
    assert_string_equal(crons("61 0 * * *", ""), "Minute is not in range [0-59]");
    assert_string_equal(crons("0 0 * * *", "Mars/Base"), "unknown time zone Mars/Base");
}

/* The same delays as a real server gave for this name. */
static void test_spec_jitter_is_the_servers(void **state)
{
    (void)state;
    static const char SEED[] = "01a2011a-3b10-7449-a4bb-6bda3e118885-jitter";
    static const int64_t DELAYS_MS[] = {1269437, 671995, 832919};
    Google__Protobuf__Duration hour = GOOGLE__PROTOBUF__DURATION__INIT, half = hour;
    hour.seconds = 3600;
    half.seconds = 1800;
    FloApi__IntervalSpec interval = FLO_API__INTERVAL_SPEC__INIT, *intervals[] = {&interval};
    interval.interval = &hour;
    FloApi__ScheduleSpec spec = FLO_API__SCHEDULE_SPEC__INIT;
    spec.interval = intervals;
    spec.n_interval = 1;
    spec.jitter = &half;
    struct flo_zones zones;
    flo_zones_init(&zones, NULL, NULL);
    struct flo_spec *compiled;
    assert_int_equal(flo_spec_new(&zones, &spec, &compiled, NULL), 0);
    int64_t at = ENGINE_EPOCH_NS;
    for (int i = 0; i < 3; i++) {
        const struct flo_spec_time next = flo_spec_next(compiled, SEED, at);
        assert_int_equal(next.nominal_ns, ENGINE_EPOCH_NS + (i + 1) * 3600 * S);
        assert_int_equal((next.due_ns - next.nominal_ns) / 1000000, DELAYS_MS[i]);
        at = next.due_ns;
    }
    flo_spec_destroy(&compiled);
    flo_zones_fini(&zones);
}

/* An exclusion of every moment ends the search; one of a part of each day is stepped over. */
static void test_spec_exclusions(void **state)
{
    (void)state;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    FloApi__CalendarSpec all = FLO_API__CALENDAR_SPEC__INIT, *words[] = {&all};
    all.second = all.minute = "*";
    all.hour = "0-22";
    FloApi__ScheduleSpec spec = FLO_API__SCHEDULE_SPEC__INIT, *canonical;
    Google__Protobuf__Duration second = GOOGLE__PROTOBUF__DURATION__INIT;
    second.seconds = 1;
    FloApi__IntervalSpec interval = FLO_API__INTERVAL_SPEC__INIT, *intervals[] = {&interval};
    interval.interval = &second;
    spec.interval = intervals;
    spec.n_interval = 1;
    spec.exclude_calendar = words;
    spec.n_exclude_calendar = 1;
    struct flo_zones zones;
    flo_zones_init(&zones, NULL, NULL);
    struct flo_spec *compiled;
    assert_int_equal(flo_spec_canonical(&arena, &spec, &canonical, NULL), 0);
    assert_int_equal(flo_spec_new(&zones, canonical, &compiled, NULL), 0);
    assert_int_equal(flo_spec_next(compiled, "", ENGINE_EPOCH_NS).due_ns,
                     ENGINE_EPOCH_NS + 23 * 3600 * S);
    flo_spec_destroy(&compiled);
    all.hour = "*";
    assert_int_equal(flo_spec_canonical(&arena, &spec, &canonical, NULL), 0);
    assert_int_equal(flo_spec_new(&zones, canonical, &compiled, NULL), 0);
    assert_int_equal(flo_spec_next(compiled, "", ENGINE_EPOCH_NS).due_ns, FLO_SPEC_NEVER);
    flo_spec_destroy(&compiled);
    flo_zones_fini(&zones);
    flo_arena_fini(&arena);
}

/* ---- schedules ---- */

/* A schedule "s" that starts "wf-<moment>" every minute. */
static void create(struct engine *e, FloApi__ScheduleOverlapPolicy overlap, int64_t catchup_s)
{
    Google__Protobuf__Duration minute = GOOGLE__PROTOBUF__DURATION__INIT, window = minute;
    FloApi__IntervalSpec interval = FLO_API__INTERVAL_SPEC__INIT, *intervals[] = {&interval};
    FloApi__ScheduleSpec spec = FLO_API__SCHEDULE_SPEC__INIT;
    FloApi__WorkflowType type = FLO_API__WORKFLOW_TYPE__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    FloApi__NewWorkflowExecutionInfo start = FLO_API__NEW_WORKFLOW_EXECUTION_INFO__INIT;
    FloApi__ScheduleAction action = FLO_API__SCHEDULE_ACTION__INIT;
    FloApi__SchedulePolicies policies = FLO_API__SCHEDULE_POLICIES__INIT;
    FloApi__Schedule schedule = FLO_API__SCHEDULE__INIT;
    FloApi__CreateScheduleRequest request = FLO_API__CREATE_SCHEDULE_REQUEST__INIT;
    minute.seconds = 60;
    window.seconds = catchup_s;
    interval.interval = &minute;
    spec.interval = intervals;
    spec.n_interval = 1;
    type.name = "T";
    queue.name = "queue";
    start.workflow_id = "wf";
    start.workflow_type = &type;
    start.task_queue = &queue;
    action.action_case = FLO_API__SCHEDULE_ACTION__ACTION_START_WORKFLOW;
    action.start_workflow = &start;
    policies.overlap_policy = overlap;
    policies.catchup_window = catchup_s ? &window : NULL;
    schedule.spec = &spec;
    schedule.action = &action;
    schedule.policies = &policies;
    request.namespace_ = "default";
    request.schedule_id = "s";
    request.request_id = "r";
    request.schedule = &schedule;
    engine_do(e, "CreateSchedule", &request.base);
}

static const FloApi__DescribeScheduleResponse *look(struct engine *e)
{
    FloApi__DescribeScheduleRequest request = FLO_API__DESCRIBE_SCHEDULE_REQUEST__INIT;
    request.namespace_ = "default";
    request.schedule_id = "s";
    return engine_do(e, "DescribeSchedule", &request.base);
}

/* Each minute one, named after it; the next moments follow. */
static void test_fires_at_each_moment(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    create(e, FLO_API__SCHEDULE_OVERLAP_POLICY__SCHEDULE_OVERLAP_POLICY_ALLOW_ALL, 0);
    engine_pass(e, 185 * S);
    const FloApi__ScheduleInfo *info = look(e)->info;
    assert_int_equal(info->action_count, 3);
    assert_int_equal(info->n_recent_actions, 3);
    assert_string_equal(info->recent_actions[2]->start_workflow_result->workflow_id,
                        "wf-2026-01-01T00:03:00Z");
    assert_int_equal(info->n_future_action_times, 10);
    assert_int_equal(info->future_action_times[0]->seconds, ENGINE_EPOCH_NS / S + 240);
    engine_free(e);
}

/* A crash between the start and its commit: as if it had not been; afterwards it is made, once. */
static void test_crash_between_fire_and_commit_starts_once(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    create(e, FLO_API__SCHEDULE_OVERLAP_POLICY__SCHEDULE_OVERLAP_POLICY_SKIP, 0);
    e->auto_commit = false;
    engine_pass(e, 60 * S);
    assert_int_equal(look(e)->info->action_count, 1);
    engine_restart(e);
    assert_int_equal(look(e)->info->action_count, 0);
    engine_pass(e, 0);
    assert_int_equal(look(e)->info->action_count, 1); /* made up for */
    engine_commit(e);
    engine_restart(e);
    const FloApi__ScheduleInfo *info = look(e)->info;
    assert_int_equal(info->action_count, 1);
    assert_int_equal(info->n_running_workflows, 1);
    assert_string_equal(info->running_workflows[0]->workflow_id, "wf-2026-01-01T00:01:00Z");
    assert_int_equal(flo_core_open_runs(e->core), 1);
    e->auto_commit = true;
    engine_free(e);
}

/* What was missed for longer than the catch-up window is counted and left out. */
static void test_catchup_window_leaves_out_what_is_old(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    create(e, FLO_API__SCHEDULE_OVERLAP_POLICY__SCHEDULE_OVERLAP_POLICY_ALLOW_ALL, 150);
    e->now_ns += 600 * S; /* down for ten minutes */
    engine_restart(e);
    engine_pass(e, 0);
    const FloApi__ScheduleInfo *info = look(e)->info;
    assert_int_equal(info->action_count, 3);
    assert_int_equal(info->missed_catchup_window, 7);
    engine_free(e);
}

/* With nothing left to do it is over after a week, and its id is free again a day later. */
static void test_idle_schedule_closes(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    FloApi__CreateScheduleRequest request = FLO_API__CREATE_SCHEDULE_REQUEST__INIT;
    FloApi__DescribeScheduleRequest describe = FLO_API__DESCRIBE_SCHEDULE_REQUEST__INIT;
    request.namespace_ = describe.namespace_ = "default";
    request.schedule_id = describe.schedule_id = "s";
    request.request_id = "r";
    engine_do(e, "CreateSchedule", &request.base);
    engine_pass(e, 7 * 86400 * S - S);
    engine_do(e, "DescribeSchedule", &describe.base);
    engine_pass(e, 2 * S);
    assert_string_equal(engine_try(e, "DescribeSchedule", &describe.base),
                        "NOT_FOUND | schedule not found | NotFoundFailure");
    engine_pass(e, 86400 * S);
    assert_string_equal(engine_try(e, "DescribeSchedule", &describe.base),
                        "NOT_FOUND | workflow not found for ID: temporal-sys-scheduler:s | "
                        "NotFoundFailure");
    engine_restart(e);
    assert_string_equal(engine_try(e, "DescribeSchedule", &describe.base),
                        "NOT_FOUND | workflow not found for ID: temporal-sys-scheduler:s | "
                        "NotFoundFailure");
    engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spec_cron_strings),
        cmocka_unit_test(test_spec_jitter_is_the_servers),
        cmocka_unit_test(test_spec_exclusions),
        cmocka_unit_test(test_fires_at_each_moment),
        cmocka_unit_test(test_crash_between_fire_and_commit_starts_once),
        cmocka_unit_test(test_catchup_window_leaves_out_what_is_old),
        cmocka_unit_test(test_idle_schedule_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
