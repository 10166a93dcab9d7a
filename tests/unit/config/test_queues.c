/* SPDX-License-Identifier: Apache-2.0 */
/* test_queues.c - config/role_queues.c: task queues, tokens, pollers: what is read and refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/role_config.h"
#include "support/cmocka_env.h"

static char dir[32];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/flo-test-XXXXXX");
    return !mkdtemp(dir) || chdir(dir);
}

static int teardown(void **state)
{
    (void)state;
    unlink("w.yaml");
    return chdir("/") || rmdir(dir);
}

static int load(const char *text, struct flo_role_config **out, struct flo_err *err)
{
    struct flo_cmdline cmdline = {.config = "w.yaml"};
    FILE *file = fopen("w.yaml", "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return flo_role_config_load(FLO_ROLE_IO_ACTIVITY, &cmdline, out, err);
}

static struct flo_role_config *loaded(const char *text)
{
    struct flo_role_config *config = NULL;
    struct flo_err err = {0};

    if (load(text, &config, &err))
        fail_msg("%s", err.message);
    return config;
}

static void refused(const char *text, const char *message)
{
    struct flo_role_config *config = NULL;
    struct flo_err err = {0};

    assert_int_equal(load(text, &config, &err), FLO_ECONFIG);
    assert_string_equal(err.message, message);
}

/* Without a list there is one queue, with the worker's own settings. */
static void test_task_queue_is_a_list_of_one(void **state)
{
    struct flo_role_config *config = loaded("task_queue: q\nmax_concurrent_activities: 7\n");
    const struct flo_queue_config *queue = flo_role_config_queue(config, 0);

    (void)state;
    assert_int_equal(config->polled.count, 1);
    assert_string_equal(queue->name, "q");
    assert_int_equal(queue->weight, 1);
    assert_int_equal(queue->max_concurrent_activities, 7);
    assert_int_equal(queue->max_concurrent_activity_task_polls, 2);
    flo_role_config_destroy(&config);
}

/* What a queue does not say is as the worker says; the identity has the first one's name. */
static void test_queues_are_completed_by_the_worker(void **state)
{
    struct flo_role_config *config =
        loaded("queues:\n"
               "  - plain\n"
               "  - {name: own, weight: 4, max_concurrent_activities: 3, activities: [a, b],\n"
               "     max_concurrent_activity_task_polls: 6,\n"
               "     max_task_queue_activities_per_second: 0.5}\n"
               "max_task_queue_activities_per_second: 20\n");
    const struct flo_queue_config *plain = flo_role_config_queue(config, 0), *own = plain + 1;

    (void)state;
    assert_int_equal(config->polled.count, 2);
    assert_string_equal(plain->name, "plain");
    assert_int_equal(plain->weight, 1);
    assert_int_equal(plain->max_concurrent_activities, 5);
    assert_true(plain->max_task_queue_activities_per_second == 20);
    assert_int_equal(own->weight, 4);
    assert_int_equal(own->max_concurrent_activities, 3);
    assert_int_equal(own->max_concurrent_activity_task_polls, 6);
    assert_true(own->max_task_queue_activities_per_second == 0.5);
    assert_int_equal(own->activities.count, 2);
    assert_non_null(strstr(config->identity, "@plain"));
    flo_role_config_destroy(&config);
}

/* Lists of queues that cannot be meant. */
static void test_queues_refused(void **state)
{
    (void)state;
    refused("log: {level: warn}\n",
            "configuration: task_queue: is missing; text of 1 to 1000 bytes must be given in the "
            "file, by the environment variable TEMPORAL_WORKER_TASK_QUEUE TASK_QUEUE or by --set, "
            "or queues must name some");
    refused("task_queue: q\nqueues: [a]\n",
            "w.yaml:1:13: task_queue: queues is given too; one of them is allowed");
    refused("queues: [a, b, a]\n",
            "w.yaml:1:9: queues: \"a\" stands twice, as queues[0] and queues[2]; each queue once "
            "is allowed");
    refused("queues: [{name: a, weight: 0}]\n",
            "w.yaml:1:28: queues[0].weight: \"0\" is out of range; an integer from 1 to 1000 is "
            "allowed");
    refused("queues: [{nam: a}]\n",
            "w.yaml:1:11: queues[0].nam: unknown setting; did you mean \"name\"?");
    refused("queues: [{weight: 2}]\n", "w.yaml:1:10: queues[0].name: is missing; it must be given");
    refused("queues: [a, b]\nexecutor: {workers: 1}\n",
            "w.yaml:2:21: executor.workers: 1 cannot serve 2 queues; at least one for each is "
            "allowed");
}

/* Types get their amounts in the order of the tokens. */
static void test_tokens_are_read(void **state)
{
    struct flo_role_config *config = loaded("task_queue: q\n"
                                            "tokens: {db: 20, gpu: 1}\n"
                                            "activities:\n"
                                            "  render: {tokens: {gpu: 1, db: 2}}\n"
                                            "  read: {tokens: {db: 1}}\n");
    const struct flo_token_config *pools = config->pools.items;
    const struct flo_activity_config *types = config->types.items;
    struct flo_buf printed;

    (void)state;
    assert_int_equal(config->pools.count, 2);
    assert_string_equal(pools[0].name, "db");
    assert_int_equal(pools[0].total, 20);
    assert_int_equal(config->types.count, 2);
    assert_string_equal(types[0].type, "render");
    assert_int_equal(types[0].tokens[0], 2);
    assert_int_equal(types[0].tokens[1], 1);
    assert_int_equal(types[1].tokens[1], 0);
    /* They are no secrets, whatever they are called. */
    flo_buf_init(&printed, 0);
    assert_int_equal(flo_config_print(&config->config, &printed), 0);
    assert_non_null(strstr(flo_buf_cstr(&printed), "\"tokens\": {\"db\": 1}"));
    flo_buf_fini(&printed);
    flo_role_config_destroy(&config);
}

/* Amounts and names that cannot be meant. */
static void test_tokens_refused(void **state)
{
#define HEAD "task_queue: q\ntokens: {database: 2}\nactivities: "
    (void)state;
    refused("task_queue: q\ntokens: {db: 0}\n",
            "w.yaml:2:9: tokens: db: this is no amount; an integer from 1 to 1000000 is allowed");
    refused("task_queue: q\ntokens: {db: many}\n",
            "w.yaml:2:9: tokens: db: this is no amount; an integer from 1 to 1000000 is allowed");
    refused(HEAD "{read: {tokens: {databse: 1}}}\n",
            "w.yaml:3:13: activities: read: unknown token \"databse\"; did you mean \"database\"?");
    refused(HEAD "{read: {tokens: {gpu: 1}}}\n",
            "w.yaml:3:13: activities: read: unknown token \"gpu\"; one of those in tokens is "
            "allowed");
    refused(HEAD "{read: {tokens: {database: 3}}}\n",
            "w.yaml:3:13: activities: read: database: an integer from 1 to 2, what tokens has of "
            "it, is allowed");
    refused(HEAD "{read: {token: {database: 1}}}\n",
            "w.yaml:3:13: activities: read: unknown setting \"token\"; did you mean \"tokens\"?");
    refused(HEAD "{read: 1}\n",
            "w.yaml:3:13: activities: read: a map, {tokens: {NAME: AMOUNT}}, is allowed");
    refused(HEAD "{read: {tokens: 1}}\n",
            "w.yaml:3:13: activities: read: tokens: a map, {NAME: AMOUNT}, is allowed");
}

/* Bounds that contradict each other; and a warning for those that do nothing. */
static void test_pollers_refused(void **state)
{
    struct flo_role_config *config = loaded("task_queue: q\npollers: {max: 3}\n");

    (void)state;
    assert_int_equal(config->config.warning_count, 1);
    assert_string_equal(config->config.warnings[0],
                        "pollers.max: has no effect while pollers.kind is fixed");
    flo_role_config_destroy(&config);
    refused("task_queue: q\npollers: {kind: autoscale, min: 9, max: 3}\n",
            "w.yaml:2:33: pollers.min: 9 is more than the maximum, 3");
    refused("task_queue: q\npollers: {kind: autoscale, max: 3, initial: 5}\n",
            "w.yaml:2:45: pollers.initial: 5 is not from pollers.min to pollers.max, 1 to 3");
    /* What nobody gave is no mistake. */
    config = loaded("task_queue: q\npollers: {kind: autoscale, max: 3}\n");
    assert_int_equal(config->pollers.initial, 3);
    flo_role_config_destroy(&config);
    config = loaded("task_queue: q\npollers: {kind: autoscale, min: 9}\n");
    assert_int_equal(config->pollers.initial, 9);
    flo_role_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_task_queue_is_a_list_of_one),
        cmocka_unit_test(test_queues_are_completed_by_the_worker),
        cmocka_unit_test(test_queues_refused),
        cmocka_unit_test(test_tokens_are_read),
        cmocka_unit_test(test_tokens_refused),
        cmocka_unit_test(test_pollers_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
