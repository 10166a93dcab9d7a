/* SPDX-License-Identifier: Apache-2.0 */
/* test_approval.c - decisions, bad ones, late ones and none, in virtual time. */
#include <flotilla/testing.h>
#include <stdio.h>
#include <stdlib.h>

#include "approval.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct flo_err err;

static struct flo_test_workflow *begin(struct flo_test_env **out_env)
{
    *out_env =
        flo_test_env_new(&approval_module, &(struct flo_test_options){.real_activities = true});
    return flo_test_start(*out_env, "Approval",
                          flo_test_json(*out_env, "{\"owner\": \"Ada\", \"amount\": 120}"), NULL);
}

static int decide(struct flo_test_env *env, struct flo_test_workflow *expense, const char *what)
{
    return flo_test_update(expense, "decide", flo_test_json(env, what), NULL, &err);
}

static void approved_on_the_third_day(void)
{
    struct flo_test_env *env;
    struct flo_test_workflow *expense = begin(&env);
    flo_test_assert_ok(flo_test_advance(env, 5 * DAY_MS / 2, &err), &err);
    flo_test_assert_query(expense, "status", "{\"decided\": false, \"reminders\": 2}");
    flo_test_assert_ok(decide(env, expense, "{\"by\": \"Grace\", \"approve\": true}"), &err);
    flo_test_assert_completed(expense, "\"paid 120\"");
    flo_test_assert_query(expense, "status", "{\"decided\": true, \"reminders\": 2}");
    flo_test_assert_events(expense, "WorkflowExecutionUpdateCompleted", 1);
    flo_test_env_destroy(&env);
}

/* Bad decisions are refused at once, and leave nothing behind. */
static void bad_decisions(void)
{
    struct flo_test_env *env;
    struct flo_test_workflow *expense = begin(&env);
    if (!decide(env, expense, "{\"by\": \"Ada\", \"approve\": true}") ||
        !decide(env, expense, "\"yes\"")) {
        fputs("a bad decision was taken\n", stderr);
        exit(1);
    }
    flo_test_assert_query(expense, "status", "{\"decided\": false, \"reminders\": 0}");
    flo_test_assert_ok(decide(env, expense, "{\"by\": \"Grace\", \"approve\": false}"), &err);
    flo_test_assert_completed(expense, "\"rejected\"");
    flo_test_env_destroy(&env);
}

static void nobody_decides(void)
{
    struct flo_test_env *env;
    struct flo_test_workflow *expense = begin(&env);
    flo_test_assert_completed(expense, "\"rejected: nobody decided\"");
    flo_test_assert_activities(env, "remind", 7);
    flo_test_assert_activities(env, "pay", 0);
    flo_test_env_destroy(&env);
}

int main(void)
{
    approved_on_the_third_day();
    bad_decisions();
    nobody_decides();
    puts("approval: all is well");
    return 0;
}
