/* SPDX-License-Identifier: Apache-2.0 */
/* test_cron.c - a week of probes, pauses and other paces, in virtual time. */
#include <flotilla/testing.h>
#include <stdio.h>
#include <stdlib.h>

#include "cron.h"

#define HOUR_MS INT64_C(3600000)

static struct flo_err err;

static struct flo_test_workflow *begin(struct flo_test_env **out_env, enum flo_test_cache cache)
{
    *out_env = flo_test_env_new(
        &cron_module, &(struct flo_test_options){.real_activities = true, .cache = cache});
    return flo_test_start(*out_env, "Watch", flo_test_json(*out_env, "{\"target\": \"here\"}"),
                          NULL);
}

static void after(struct flo_test_env *env, int64_t ms)
{
    flo_test_assert_ok(flo_test_advance(env, ms, &err), &err);
}

static void tell(struct flo_test_env *env, struct flo_test_workflow *watch, const char *signal,
                 const char *input)
{
    json_t *value = input ? flo_test_json(env, input) : NULL;
    flo_test_assert_ok(flo_test_signal(watch, signal, value, &err), &err);
}

/* Each minute for so many hours, whatever the worker remembers; a run has a hundred rounds. */
static void hours(int count, enum flo_test_cache cache)
{
    struct flo_test_env *env;
    struct flo_test_workflow *watch = begin(&env, cache);
    char status[100];
    after(env, HOUR_MS * count);
    snprintf(status, sizeof status, "{\"done\": %d, \"failed\": 0, \"paused\": false}", count * 60);
    flo_test_assert_query(watch, "status", status);
    flo_test_assert_activities(env, "probe", (unsigned)count * 60);
    if (flo_test_runs(watch) != (unsigned)(count * 60 / 100 + 1)) {
        fprintf(stderr, "%u runs\n", flo_test_runs(watch));
        exit(1);
    }
    tell(env, watch, "stop", NULL);
    flo_test_assert_completed(watch, status);
    flo_test_env_destroy(&env);
}

/* A pause stops it, and holds over its runs; another pace counts at once; failures are counted. */
static void pauses_and_paces(void)
{
    struct flo_test_env *env;
    struct flo_test_workflow *watch = begin(&env, FLO_TEST_CACHE_RANDOM);
    after(env, INT64_C(10) * 60000);
    tell(env, watch, "pause", NULL);
    after(env, HOUR_MS * 24 * 7);
    flo_test_assert_query(watch, "status", "{\"done\": 10, \"failed\": 0, \"paused\": true}");
    flo_test_mock(env, "probe", &(struct flo_test_mock){.fail_times = FLO_TEST_ALWAYS});
    tell(env, watch, "every", "1000");
    tell(env, watch, "every", "\"fast\"");
    tell(env, watch, "resume", NULL);
    after(env, INT64_C(200) * 1000);
    flo_test_assert_query(watch, "status", "{\"done\": 210, \"failed\": 200, \"paused\": false}");
    tell(env, watch, "stop", NULL);
    flo_test_assert_completed(watch, "{\"done\": 210, \"failed\": 200, \"paused\": false}");
    flo_test_env_destroy(&env);
}

int main(void)
{
    hours(7 * 24, FLO_TEST_CACHE_ON);
    hours(3, FLO_TEST_CACHE_OFF);
    hours(3, FLO_TEST_CACHE_RANDOM);
    pauses_and_paces();
    puts("cron: all is well");
    return 0;
}
