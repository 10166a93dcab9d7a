/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loadtest.c - workflows whose shape is known, for load tests and benchmarks. The input says how
 * much: {"n": 10}; the result can be computed from it, so that every run can be checked. Their
 * activity is `echo` of the module echo, which the activity worker of the queue has to serve.
 * And the task types of tasks.h, each a workflow and an activity of one name.
 * These are the workflows, loadtest.workflows.so; the activities are loadtest.so (activities.c).
 */
#include "loadtest/tasks.h"

#define N_MAX 10000
#define TIMER_MS_MAX 3600000

static const struct flo_activity_options options = {.start_to_close_ms = 10000};

/* The whole number input[key] in 1..max, or a failure that no retry mends. */
static int read_number(struct flo_workflow *wf, const json_t *input, const char *key,
                       json_int_t max, json_int_t *out)
{
    json_int_t n = json_integer_value(json_object_get(input, key)); /* 0 when it is none */
    if (n < 1 || n > max)
        return flo_workflow_fail(wf, "InvalidInput", true, NULL,
                                 "the input needs \"%s\", a whole number from 1 to %lld", key,
                                 (long long)max);
    *out = n;
    return 0;
}

/* N echoes of 0 .. N-1, one after the other; the sum of what came back. */
static int chain_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_int_t n = 0, sum = 0;
    int rc = read_number(wf, input, "n", N_MAX, &n);
    for (json_int_t i = 0; rc == 0 && i < n; i++) {
        json_t *number = json_integer(i), *answer = NULL;
        rc = flo_activity(wf, "echo", number, &options, &answer);
        sum += json_integer_value(answer);
        json_decref(answer);
        json_decref(number);
    }
    if (rc == 0)
        *out_result = json_integer(sum);
    return rc;
}

/* The same N echoes, all at once. */
static int fan_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_int_t n = 0, sum = 0;
    json_t *answers = NULL, *answer;
    size_t i;
    int rc = read_number(wf, input, "n", N_MAX, &n);
    if (rc)
        return rc;
    struct flo_group *group = flo_group_new(wf);
    for (json_int_t k = 0; k < n; k++) {
        json_t *number = json_integer(k);
        flo_group_add(group, flo_activity_start(wf, "echo", number, &options));
        json_decref(number);
    }
    rc = flo_group_await_all(group, &answers);
    if (rc)
        return rc;
    json_array_foreach(answers, i, answer) sum += json_integer_value(answer);
    json_decref(answers);
    *out_result = json_integer(sum);
    return 0;
}

/* N signals `ping`; how many came. */
static int signal_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_int_t n = 0;
    int rc = read_number(wf, input, "n", N_MAX, &n);
    for (json_int_t i = 0; rc == 0 && i < n; i++) {
        json_t *value = NULL;
        rc = flo_signal_await(wf, "ping", -1, &value);
        json_decref(value);
    }
    if (rc == 0)
        *out_result = json_integer(n);
    return rc;
}

/* N timers of "ms" milliseconds, all at once; how many fired. */
static int timer_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_int_t n = 0, ms = 0;
    int rc = read_number(wf, input, "n", N_MAX, &n);
    if (rc == 0)
        rc = read_number(wf, input, "ms", TIMER_MS_MAX, &ms);
    if (rc)
        return rc;
    struct flo_group *group = flo_group_new(wf);
    for (json_int_t i = 0; i < n; i++)
        flo_group_add(group, flo_timer_start(wf, ms));
    rc = flo_group_await_all(group, NULL);
    if (rc == 0)
        *out_result = json_integer(n);
    return rc;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "loadtest",
    .workflows = FLO_WORKFLOWS(
        {"ChainWorkflow", chain_workflow}, {"FanWorkflow", fan_workflow},
        {"SignalWorkflow", signal_workflow}, {"TimerWorkflow", timer_workflow},
        {"io_simulation", loadtest_task_workflow}, {"cpu_intensive", loadtest_task_workflow},
        {"memory_operations", loadtest_task_workflow}, {"failure_testing", loadtest_task_workflow}),
};
