/* SPDX-License-Identifier: Apache-2.0 */
/* test_options.c - the engine's command line, in its own form and as Temporal's dev server. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "config/exit_code.h"
#include "engine/options.h"
#include "support/cmocka_env.h"

#define PARSE(out, ...)                                                                            \
    parse((int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)), (char *[]){__VA_ARGS__}, out)

/* 0: it goes on; else the exit code. What is said goes nowhere. */
static int parse(int argc, char **argv, struct flo_engine_options *out)
{
    int code = 0, saved = dup(2), null = open("/dev/null", O_WRONLY);
    dup2(null, 2);
    const bool ok = flo_engine_options_parse(argc, argv, out, &code);
    dup2(saved, 2);
    close(saved);
    close(null);
    return ok ? 0 : code;
}

/* Nothing given: loopback, in memory, no pages, info. */
static void test_plain_engine_has_its_defaults(void **state)
{
    (void)state;
    struct flo_engine_options options;
    assert_int_equal(PARSE(&options, "flotilla-engine"), 0);
    assert_string_equal(options.shell.listen, "127.0.0.1:7233");
    assert_null(options.shell.db);
    assert_null(options.shell.http_listen);
    assert_null(options.shell.metrics_listen);
    assert_false(options.shell.banner);
    assert_false(options.shell.insecure);
    assert_int_equal(options.log_level, FLO_LOG_INFO);
    flo_engine_options_fini(&options);
}

/* What Go's, Rust's and so Python's, TypeScript's, Ruby's and .NET's helpers start. */
static void test_start_dev_of_sdk_helpers(void **state)
{
    (void)state;
    struct flo_engine_options options;
    assert_int_equal(PARSE(&options, "flotilla-engine", "server", "start-dev", "--port", "4711",
                           "--namespace", "first", "--ip", "127.0.0.1", "--log-format", "pretty",
                           "--log-level", "warn", "--dynamic-config-value",
                           "frontend.enableServerVersionCheck=false", "--dynamic-config-value",
                           "limit.historyCount.suggestContinueAsNew=50", "--db-filename", "x.db",
                           "--headless", "--search-attribute", "A=Int", "--search-attribute",
                           "B=Text", "-n", "second"),
                     0);
    assert_string_equal(options.shell.listen, "127.0.0.1:4711");
    assert_string_equal(options.shell.db, "x.db");
    assert_string_equal(options.shell.namespaces, "first,second");
    assert_string_equal(options.shell.search_attributes, "A=Int,B=Text");
    assert_null(options.shell.http_listen);
    assert_string_equal(options.shell.metrics_listen, "127.0.0.1:0");
    assert_int_equal(options.shell.core.history_count_suggest, 50);
    assert_true(options.shell.banner);
    assert_int_equal(options.log_level, FLO_LOG_WARN);
    flo_engine_options_fini(&options);
}

/* The pages are above the port, unless a port or another address is named, or there is no room. */
static void test_start_dev_pages(void **state)
{
    (void)state;
    struct flo_engine_options options;
    assert_int_equal(PARSE(&options, "flotilla-engine", "server", "start-dev"), 0);
    assert_string_equal(options.shell.listen, "localhost:7233");
    assert_string_equal(options.shell.http_listen, "localhost:8233");
    assert_true(options.shell.http_optional);
    flo_engine_options_fini(&options);
    assert_int_equal(PARSE(&options, "flotilla-engine", "server", "start-dev", "--ip", "::1",
                           "--ui-ip", "127.0.0.1", "--ui-port", "5", "-p", "65000"),
                     0);
    assert_string_equal(options.shell.listen, "[::1]:65000");
    assert_string_equal(options.shell.http_listen, "127.0.0.1:5");
    assert_false(options.shell.http_optional);
    flo_engine_options_fini(&options);
    assert_int_equal(PARSE(&options, "flotilla-engine", "server", "start-dev", "-p", "65000"), 0);
    assert_string_equal(options.shell.http_listen, "localhost:0");
    flo_engine_options_fini(&options);
}

/* As Temporal's test server: the port alone. */
static void test_port_alone_is_the_test_server(void **state)
{
    (void)state;
    struct flo_engine_options options;
    assert_int_equal(PARSE(&options, "flotilla-engine", "4711"), 0);
    assert_string_equal(options.shell.listen, "127.0.0.1:4711");
    assert_true(options.shell.time_skipping);
    assert_true(options.shell.time_locked);
    flo_engine_options_fini(&options);
}

/* What open workflows may take: in units, or a part of what there is. */
static void test_memory(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {{"1000", 1000}, {"64M", 64 << 20}, {"1.5K", 1536}, {"1GiB", 1 << 30}};
    struct flo_engine_options options;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(PARSE(&options, "e", "--max-memory", (char *)(uintptr_t)cases[i].text), 0);
        assert_int_equal(options.shell.core.memory_limit, cases[i].bytes);
        flo_engine_options_fini(&options);
    }
    assert_int_equal(PARSE(&options, "e"), 0);
    assert_true(options.shell.core.memory_limit > 16 << 20);
    flo_engine_options_fini(&options);
}

/* Options that begin alike are told apart: limits of namespaces make none. */
static void test_namespaces_are_those_of_their_option(void **state)
{
    (void)state;
    struct flo_engine_options options;
    assert_int_equal(PARSE(&options, "e", "--namespace-rps", "100", "-n", "a",
                           "--namespace-concurrent", "5", "--namespace", "b"),
                     0);
    assert_string_equal(options.shell.namespaces, "a,b");
    flo_engine_options_fini(&options);
    assert_int_equal(PARSE(&options, "e", "--namespace-rps", "100"), 0);
    assert_null(options.shell.namespaces);
    flo_engine_options_fini(&options);
}

static void test_misuse_is_64(void **state)
{
    (void)state;
    struct flo_engine_options options;
    assert_int_equal(PARSE(&options, "e", "--port", "70000"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--port", "x"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "server", "start-dev", "--prot", "1"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "server", "start"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--log-level", "loud"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--retention", "0s"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--max-memory", "much"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--max-memory", "1X"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--max-memory", "0"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--listen", "27402"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--listen", "localhost"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--http", "[::1]"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--dynamic-config-value", "a=b"), FLO_EXIT_USAGE);
    assert_int_equal(PARSE(&options, "e", "--dynamic-config-value"), FLO_EXIT_USAGE);
}

/* A slip in a key is noticed; a key that only the real server knows is none. */
static void test_dynamic_slip_is_noticed(void **state)
{
    (void)state;
    assert_string_equal(flo_engine_dynamic_near("frontend.namspaceRPS=5"), "frontend.namespaceRPS");
    assert_null(flo_engine_dynamic_near("limit.blobSize.warn=5")); /* the real server's */
    assert_null(flo_engine_dynamic_near("frontend.enableServerVersionCheck=false"));
}

/* Known keys are set whatever their case, others are left alone, wrong types are refused. */
static void test_dynamic_values(void **state)
{
    (void)state;
    struct flo_shell_options shell = {0};
    const struct flo_core_options *core = &shell.core;
    struct flo_err err = {0};
    bool known;
    assert_int_equal(flo_engine_dynamic_value(&shell, "Limit.BLOBsize.error=1e3", &known, &err), 0);
    assert_true(known);
    assert_int_equal(core->blob_size_limit, 1000);
    assert_int_equal(flo_engine_dynamic_value(&shell, "history.continueAsNewMinInterval=\"1m30s\"",
                                              &known, &err),
                     0);
    assert_int_equal(core->continue_as_new_min_interval_ns, INT64_C(90000000000));
    assert_int_equal(
        flo_engine_dynamic_value(&shell, "history.continueAsNewMinInterval=0", &known, &err), 0);
    assert_int_equal(core->continue_as_new_min_interval_ns, 1); /* 0 would be the default */
    assert_int_equal(
        flo_engine_dynamic_value(&shell, "system.enableEagerWorkflowStart=false", &known, &err), 0);
    assert_true(core->no_eager_start);
    assert_int_equal(flo_engine_dynamic_value(&shell, "some.other={\"a\":[1]}", &known, &err), 0);
    assert_false(known);
    assert_int_equal(flo_engine_dynamic_value(&shell, "frontend.namespaceRPS=12.5", &known, &err),
                     0);
    assert_int_equal(flo_engine_dynamic_value(&shell, "frontend.namespaceCount=3", &known, &err),
                     0);
    assert_true(shell.limits.rps > 12.4 && shell.limits.rps < 12.6);
    assert_int_equal(shell.limits.concurrent, 3);
    static const char *const wrong[] = {"limit.blobSize.error=\"many\"",
                                        "limit.blobSize.error=1.5",
                                        "limit.blobSize.error=true",
                                        "history.continueAsNewMinInterval=\"1 fortnight\"",
                                        "system.enableEagerWorkflowStart=3",
                                        "frontend.namespaceRPS=0",
                                        "=1",
                                        "x",
                                        "x=y"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(flo_engine_dynamic_value(&shell, wrong[i], &known, &err), FLO_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_engine_has_its_defaults),
        cmocka_unit_test(test_start_dev_of_sdk_helpers),
        cmocka_unit_test(test_start_dev_pages),
        cmocka_unit_test(test_port_alone_is_the_test_server),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_namespaces_are_those_of_their_option),
        cmocka_unit_test(test_misuse_is_64),
        cmocka_unit_test(test_dynamic_values),
        cmocka_unit_test(test_dynamic_slip_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
