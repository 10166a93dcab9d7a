/* SPDX-License-Identifier: Apache-2.0 */
/* test_loadtest.c - the parameters of load tests, and what their seeds foretell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "loadtest/parameters.h"

static json_t *filled(const char *type, const char *given)
{
    struct flo_err err = {0};
    json_t *input = json_loads(given, JSON_DECODE_ANY, NULL), *out = NULL;
    if (loadtest_fill(loadtest_type(type), input, &out, &err))
        fail_msg("%s", err.message);
    json_decref(input);
    return out;
}

static void refused(const char *type, const char *given, const char *needle)
{
    struct flo_err err = {0};
    json_t *input = json_loads(given, JSON_DECODE_ANY, NULL), *out = NULL;
    assert_int_equal(loadtest_fill(loadtest_type(type), input, &out, &err), FLO_EINVAL);
    assert_null(out);
    assert_non_null(strstr(err.message, needle));
    json_decref(input);
}

/* Every initial value is one that is allowed, and has help. */
static void test_fill_initial_values(void **state)
{
    (void)state;
    for (const struct loadtest_type *type = loadtest_types(); type->name; type++) {
        size_t count = 0;
        for (const struct loadtest_parameter *p = type->parameters; p->name; p++, count++)
            assert_true(*p->help);
        json_t *all = filled(type->name, "null");
        assert_int_equal(json_object_size(all), count);
        assert_true(*type->help);
        json_decref(all);
    }
    assert_null(loadtest_type("nothing"));
}

/* What is given stays; what does not fit is refused with what is allowed. */
static void test_fill_given_values(void **state)
{
    (void)state;
    json_t *all = filled("io_simulation", "{\"delay_ms\": 0, \"io\": \"file\"}");
    assert_int_equal(loadtest_number(all, "delay_ms"), 0);
    assert_string_equal(loadtest_text(all, "io"), "file");
    assert_int_equal(loadtest_number(all, "operations"), 10);
    json_decref(all);
    refused("io_simulation", "{\"delay\": 0}", "it has operations, concurrent, delay_ms");
    refused("io_simulation", "{\"io\": \"\"}", "mixed|wait|file|socket");
    refused("io_simulation", "{\"bytes\": -1}", "from 0 to 1048576");
    refused("io_simulation", "{\"bytes\": \"1\"}", "whole number");
    refused("io_simulation", "[]", "an object");
    refused("failure_testing", "{\"failure_rate\": 1.5}", "from 0 to 1");
    refused("failure_testing", "{\"kinds\": \"timeout,\"}", "kinds is a list");
}

/* Texts of a command line. */
static void test_parse_texts(void **state)
{
    const struct loadtest_type *type = loadtest_type("failure_testing");
    struct flo_err err;
    json_t *value = NULL;
    (void)state;
    assert_int_equal(loadtest_parse(loadtest_parameter(type, "attempts"), "7", &value, &err), 0);
    assert_int_equal(json_integer_value(value), 7);
    json_decref(value);
    assert_int_equal(loadtest_parse(loadtest_parameter(type, "failure_rate"), "1", &value, &err),
                     0);
    json_decref(value);
    static const char *const bad[] = {"", "x", "7x", "1e3", "99999999999999999999", "0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(loadtest_parse(loadtest_parameter(type, "attempts"), bad[i], &value, &err),
                         FLO_EINVAL);
}

/* About as many attempts fail as the rate says, in all of the kinds, and always the same ones. */
static void test_failure_follows_rate_and_seed(void **state)
{
    size_t seen[8] = {0};
    (void)state;
    json_t *all = filled("failure_testing", "{\"failure_rate\": 0.25, \"seed\": 42}");
    for (int i = 0; i < 4000; i++) {
        json_object_set_new(all, "index", json_integer(i));
        enum loadtest_failure failure = loadtest_failure(all, 1);
        assert_int_equal(failure, loadtest_failure(all, 1));
        seen[failure]++;
    }
    assert_in_range(seen[LOADTEST_SUCCESS], 2850, 3150);
    assert_int_equal(seen[LOADTEST_FAILURE_CRASH], 0);
    for (int kind = LOADTEST_FAILURE_RUNTIME_ERROR; kind < LOADTEST_FAILURE_CRASH; kind++)
        assert_in_range(seen[kind], 190, 310);
    json_object_set_new(all, "failure_rate", json_real(0));
    assert_int_equal(loadtest_failure(all, 1), LOADTEST_SUCCESS);
    json_object_set_new(all, "failure_rate", json_integer(1));
    json_object_set_new(all, "kinds", json_string("crash"));
    assert_int_equal(loadtest_failure(all, 9), LOADTEST_FAILURE_CRASH);
    assert_true(loadtest_may_crash(all));
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill_initial_values),
        cmocka_unit_test(test_fill_given_values),
        cmocka_unit_test(test_parse_texts),
        cmocka_unit_test(test_failure_follows_rate_and_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
