/* SPDX-License-Identifier: Apache-2.0 */
/* Two loads of one table: which rows differ, and a value that is taken over, with where it is from.
 */
#include <stdlib.h>
#include <string.h>

#include "settings_fixture.h"

static size_t row_of(const struct flo_config *config, const char *key)
{
    for (size_t i = 0; i < config->count; i++)
        if (strcmp(config->table[i].key, key) == 0 &&
            (!config->table[i].roles || config->table[i].roles & config->role))
            return i;
    fail_msg("no row %s", key);
    return 0;
}

/* "key key" of the rows that differ. */
static void assert_differ(const struct flo_role_config *a, const struct flo_role_config *b,
                          const char *keys)
{
    struct flo_buf found;

    flo_buf_init(&found, 0);
    for (size_t i = 0; i < a->config.count; i++)
        if (!flo_config_same(&a->config, &b->config, i))
            flo_buf_printf(&found, "%s%s", found.len ? " " : "", a->config.table[i].key);
    assert_string_equal(flo_buf_cstr(&found), keys);
    flo_buf_fini(&found);
}

/* Each type of setting is seen to differ, and only what differs. */
static void test_rows_that_differ(void **state)
{
    struct fixture *f = *state;
    struct flo_role_config *a =
        load(f, FLO_ROLE_IO_ACTIVITY, "queues: [{name: q, activities: [x]}]\ntokens: {db: 1}\n");
    struct flo_role_config *same =
        load(f, FLO_ROLE_IO_ACTIVITY,
             "# elsewhere\ntokens: {db: 1}\nqueues:\n- {name: q, activities: [x]}\n");
    struct flo_role_config *b = load(f, FLO_ROLE_IO_ACTIVITY,
                                     "queues: [{name: q, activities: [x, y]}]\ntokens: {db: 2}\n"
                                     "server: {namespace: n, api_key: k, tls: {enabled: true}}\n"
                                     "max_activities_per_second: 1.5\nlog: {level: debug}\n"
                                     "executor: {grace: 9s, stack_size: 2MiB, workers: 3}\n");

    assert_differ(a, same, "");
    assert_differ(a, b,
                  "server.namespace server.api_key server.tls.enabled executor.workers queues "
                  "max_activities_per_second tokens executor.stack_size executor.grace log.level");
    flo_role_config_destroy(&a);
    flo_role_config_destroy(&same);
    flo_role_config_destroy(&b);
}

/* What is taken over is a copy, and says where it comes from. */
static void test_adopted_value_outlives_its_load(void **state)
{
    static const char *const keys[] = {"server.namespace", "queues", "tokens", "log.level",
                                       "executor.grace"};
    struct fixture *f = *state;
    struct flo_role_config *a = load(f, FLO_ROLE_IO_ACTIVITY, "task_queue: q\n");
    struct flo_role_config *b =
        load(f, FLO_ROLE_IO_ACTIVITY,
             "server: {namespace: other}\nqueues: [{name: r, activities: [x, y], weight: 3}]\n"
             "tokens: {gpu: 2}\nlog: {level: warn}\nexecutor: {grace: 9s}\n");
    const struct flo_queue_config *queue;
    struct flo_buf value, source;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_int_equal(flo_config_adopt(&a->config, &b->config, row_of(&a->config, keys[i])), 0);
    flo_role_config_destroy(&b);
    assert_string_equal(a->server.name_space, "other");
    assert_int_equal(a->queues.count, 1);
    queue = a->queues.items;
    assert_string_equal(queue->name, "r");
    assert_int_equal(queue->weight, 3);
    assert_string_equal(queue->activities.items[1], "y");
    assert_int_equal(json_integer_value(json_object_get(a->tokens, "gpu")), 2);
    assert_int_equal(a->executor.grace_ms, 9000);
    flo_buf_init(&value, 0);
    flo_buf_init(&source, 0);
    flo_config_print_row(&a->config, row_of(&a->config, "log.level"), &value, &source);
    assert_string_equal(flo_buf_cstr(&value), "warn");
    assert_string_equal(flo_buf_cstr(&source), "w.yaml:4");
    flo_buf_fini(&value);
    flo_buf_fini(&source);
    flo_role_config_destroy(&a);
}

/* --log-level is as good as a --set, and is checked as one. */
static void test_log_options(void **state)
{
    struct fixture *f = *state;

    f->cmdline.log_level = "trace";
    f->cmdline.log_format = "logfmt";
    struct flo_role_config *a =
        load(f, FLO_ROLE_IO_ACTIVITY, "task_queue: q\nlog: {level: error, format: json}\n");
    assert_int_equal(a->log.level, 0);
    assert_int_equal(a->log.format, 3);
    assert_int_equal(flo_config_source(&a->config, "log.level")->kind, FLO_FROM_FLAG);
    flo_role_config_destroy(&a);
    f->cmdline.log_format = "xml";
    assert_refused(f, "",
                   "--log-format: log.format: \"xml\" is none of the choices; one of auto, json, "
                   "text, logfmt is allowed");
}

int main(void)
{
    clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_that_differ, setup, teardown),
        cmocka_unit_test_setup_teardown(test_adopted_value_outlives_its_load, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_options, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
