/* SPDX-License-Identifier: Apache-2.0 */
/* test_registry.c - worker/registry.c: loading modules, and one clear line for each bad one. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/imports.h"
#include "worker/registry.h"

static const char GOOD[] = TEST_MODULES "/good.so";

static struct flo_registry *registry_new(void)
{
    struct flo_registry *registry = NULL;

    assert_int_equal(flo_registry_new(&registry, NULL), 0);
    return registry;
}

/* Load path for role; the sentence must hold word when it fails. */
static void check_refused(const char *path, const char *word)
{
    struct flo_registry *registry = registry_new();
    const struct flo_module_config config = {.path = path};
    struct flo_err err = {0};

    assert_int_equal(flo_registry_load(registry, FLO_ROLE_IO_ACTIVITY, &config, &err), FLO_ECONFIG);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, word));
    flo_registry_destroy(&registry);
}

/* The role decides which half of a module is registered. */
static void test_load_registers_the_roles_half(void **state)
{
    const struct flo_module_config config = {.path = GOOD};
    struct flo_registry *workflows = registry_new(), *activities = registry_new();
    struct flo_err err = {0};
    struct flo_buf names;
    flo_activity_fn run;
    void *shared;

    (void)state;
    flo_buf_init(&names, 0);
    assert_int_equal(flo_registry_load(workflows, FLO_ROLE_WORKFLOW, &config, &err), 0);
    assert_int_equal(flo_registry_load(activities, FLO_ROLE_IO_ACTIVITY, &config, &err), 0);
    assert_non_null(flo_registry_workflow(workflows, "Workflow"));
    assert_null(flo_registry_workflow(workflows, "Other"));
    assert_null(flo_registry_workflow(activities, "Workflow"));
    assert_int_equal(flo_registry_start(activities, "io-activity", "me", &err), 0);
    assert_true(flo_registry_activity(activities, "first", &run, &shared));
    assert_non_null(shared);
    assert_false(flo_registry_activity(workflows, "first", &run, &shared));
    assert_non_null(flo_registry_types(activities));
    flo_registry_names(activities, &names);
    assert_string_equal(flo_buf_cstr(&names), "first, second");
    flo_buf_fini(&names);
    flo_registry_stop(activities);
    flo_registry_destroy(&workflows);
    flo_registry_destroy(&activities);
}

/* Only the listed types are served; a listed type that the module has not is a mistake. */
static void test_load_serves_only_what_is_listed(void **state)
{
    const char *first = "first", *typo = "frist";
    const struct flo_module_config one = {.path = GOOD, .activities = {&first, 1}};
    const struct flo_module_config wrong = {.path = GOOD, .activities = {&typo, 1}};
    struct flo_registry *registry = registry_new(), *other = registry_new();
    struct flo_err err = {0};

    (void)state;
    assert_int_equal(flo_registry_load(registry, FLO_ROLE_CPU_ACTIVITY, &one, &err), 0);
    assert_int_equal(flo_registry_count(registry), 1);
    assert_int_equal(flo_registry_load(other, FLO_ROLE_CPU_ACTIVITY, &wrong, &err), FLO_ECONFIG);
    assert_non_null(strstr(err.message, "frist"));
    flo_registry_destroy(&registry);
    flo_registry_destroy(&other);
}

/* A file that is not there, is no shared object, is no module, or does not load. */
static void test_load_bad_file_is_refused_with_its_reason(void **state)
{
    (void)state;
    check_refused(TEST_MODULES "/absent.so", "No such file");
    check_refused(TEST_SOURCE "/CMakeLists.txt", "not a shared object");
    check_refused(TEST_SOURCE, "not a regular file");
    check_refused(TEST_MODULES "/wrong_abi.so", "ABI");
    check_refused(TEST_MODULES "/no_abi.so", "set .abi = FLO_MODULE_ABI");
    check_refused(TEST_MODULES "/no_table.so", "flo_module");
    check_refused(TEST_MODULES "/unresolved.so", "flo_test_function_that_nobody_has");
}

static int load_workflows(const char *path, bool unchecked, struct flo_err *err)
{
    struct flo_registry *registry = registry_new();
    const struct flo_module_config config = {.path = path, .unchecked = unchecked};
    int rc = flo_registry_load(registry, FLO_ROLE_WORKFLOW, &config, err);
    flo_registry_destroy(&registry);
    return rc;
}

/* Workflows that take from the C library what replays differently: refused, with the way out. */
static void test_load_workflows_that_ask_the_machine_is_refused(void **state)
{
    static const struct {
        const char *call, *instead;
    } kinds[] = {
        {"time", "flo_workflow_now_ms"}, {"rand", "flo_workflow_random"}, {"getenv", "the input"},
        {"socket", "an activity"},       {"pthread_create", "flo_spawn"}, {"usleep", "flo_sleep"},
        {"system", "an activity"},       {"fork", "an activity"},         {"localtime", "gmtime_r"},
    };
    char path[300], word[60];
    struct flo_err err;

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(path, sizeof path, "%s/impure_%s.so", TEST_MODULES, kinds[i].call);
        snprintf(word, sizeof word, "%s (instead: %s", kinds[i].call, kinds[i].instead);
        err = (struct flo_err){0};
        assert_int_equal(load_workflows(path, false, &err), FLO_ECONFIG);
        assert_non_null(strstr(err.message, path));
        assert_non_null(strstr(err.message, word));
        assert_null(strstr(err.message, "unchecked"));
    }
}

/* One that has activities, too, may say that only those do; for other roles it does not matter. */
static void test_load_mixed_module_may_be_unchecked(void **state)
{
    static const char mixed[] = TEST_MODULES "/impure_open.so";
    const struct flo_module_config config = {.path = mixed};
    struct flo_registry *activities = registry_new();
    struct flo_err err = {0};

    (void)state;
    assert_int_equal(load_workflows(mixed, false, &err), FLO_ECONFIG);
    assert_non_null(strstr(err.message, "open (instead: an activity)"));
    assert_non_null(strstr(err.message, "or set unchecked: true for it"));
    assert_int_equal(load_workflows(mixed, true, &err), 0);
    assert_int_equal(flo_registry_load(activities, FLO_ROLE_IO_ACTIVITY, &config, &err), 0);
    flo_registry_destroy(&activities);
}

/* The spellings that headers give calls (large files, fortified ones) are known. */
static void test_imports_know_other_spellings(void **state)
{
    (void)state;
    assert_string_equal(flo_imports_instead("open64"), "an activity");
    assert_string_equal(flo_imports_instead("__open_2"), "an activity");
    assert_string_equal(flo_imports_instead("__read_chk"), "an activity");
    assert_string_equal(flo_imports_instead("__isoc99_fscanf"), "an activity");
    assert_string_equal(flo_imports_instead("epoll_wait"), "an activity");
    assert_null(flo_imports_instead("snprintf"));
    assert_null(flo_imports_instead("__snprintf_chk"));
    assert_null(flo_imports_instead("tim"));
    assert_null(flo_imports_instead("timegm"));
    assert_null(flo_imports_instead("|"));
}

/* A workflow worker finds the activities of its modules, those that its list names. */
static void test_local_finds_the_modules_activities(void **state)
{
    const char *first = "first", *typo = "frist";
    const struct flo_module_config all = {.path = GOOD},
                                   some = {.path = GOOD, .activities = {&first, 1}},
                                   none = {.path = GOOD, .activities = {&typo, 1}};
    struct flo_registry *registry = registry_new();
    struct flo_err err = {0};
    struct flo_buf names;
    flo_activity_fn run;
    void *shared;

    (void)state;
    flo_buf_init(&names, 0);
    assert_int_equal(flo_registry_load(registry, FLO_ROLE_WORKFLOW, &all, &err), 0);
    assert_true(flo_registry_local(registry, "second", &run, &shared));
    assert_false(flo_registry_local(registry, "Workflow", &run, &shared));
    flo_registry_local_names(registry, &names);
    assert_string_equal(flo_buf_cstr(&names), "second, first");
    flo_registry_destroy(&registry);

    registry = registry_new();
    assert_int_equal(flo_registry_load(registry, FLO_ROLE_WORKFLOW, &some, &err), 0);
    assert_true(flo_registry_local(registry, "first", &run, &shared));
    assert_false(flo_registry_local(registry, "second", &run, &shared));
    flo_registry_destroy(&registry);

    registry = registry_new();
    assert_int_equal(flo_registry_load(registry, FLO_ROLE_WORKFLOW, &none, &err), FLO_ECONFIG);
    assert_non_null(strstr(err.message, "has no activity of type frist"));
    flo_registry_destroy(&registry);
    flo_buf_fini(&names);
}

/* A file that anybody may change is not run. */
static void test_load_writable_file_is_refused(void **state)
{
    char path[] = "/tmp/flotilla-module-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0666), 0);
    close(fd);
    check_refused(path, "writable by everybody");
    unlink(path);
}

/* Two modules with the same type: the second is refused, naming both. */
static void test_load_same_type_twice_is_refused(void **state)
{
    const struct flo_module_config config = {.path = GOOD};
    struct flo_registry *registry = registry_new();
    struct flo_err err = {0};

    (void)state;
    assert_int_equal(flo_registry_load(registry, FLO_ROLE_WORKFLOW, &config, &err), 0);
    assert_int_equal(flo_registry_load(registry, FLO_ROLE_WORKFLOW, &config, &err), FLO_ECONFIG);
    assert_non_null(strstr(err.message, "already registered by module good"));
    flo_registry_destroy(&registry);
}

/* A start that fails says which module and why. */
static void test_start_failing_module_is_named(void **state)
{
    struct flo_module_config config = {.path = GOOD};
    struct flo_registry *registry = registry_new();
    struct flo_err err = {0};

    (void)state;
    config.settings = json_pack("{s:b}", "broken", 1);
    assert_int_equal(flo_registry_load(registry, FLO_ROLE_IO_ACTIVITY, &config, &err), 0);
    assert_int_equal(flo_registry_start(registry, "io-activity", "me", &err), FLO_ECONN);
    assert_non_null(strstr(err.message, "module good"));
    assert_non_null(strstr(err.message, "the database is away"));
    flo_registry_stop(registry);
    flo_registry_destroy(&registry);
    json_decref(config.settings);
}

static int starts, stops;

static int counted_start(const struct flo_module_env *env, void **out_shared, struct flo_err *err)
{
    (void)env, (void)err;
    starts++;
    *out_shared = &starts;
    return 0;
}

static void counted_stop(void *shared)
{
    assert_ptr_equal(shared, &starts);
    stops++;
}

static int broken_start(const struct flo_module_env *env, void **out_shared, struct flo_err *err)
{
    (void)env, (void)out_shared;
    return flo_fail(err, FLO_ECONN, "no");
}

/* What started before a module that does not start is stopped again. */
static void test_start_failing_module_stops_the_others(void **state)
{
    static const struct flo_module first = {
        .abi = FLO_MODULE_ABI, .name = "first", .start = counted_start, .stop = counted_stop};
    static const struct flo_module second = {
        .abi = FLO_MODULE_ABI, .name = "second", .start = broken_start, .stop = counted_stop};
    struct flo_registry *registry = registry_new();
    struct flo_err err = {0};

    (void)state;
    assert_int_equal(flo_registry_add(registry, FLO_ROLE_IO_ACTIVITY, &first, &err), 0);
    assert_int_equal(flo_registry_add(registry, FLO_ROLE_IO_ACTIVITY, &second, &err), 0);
    assert_int_equal(flo_registry_start(registry, "io-activity", "me", &err), FLO_ECONN);
    assert_int_equal(starts, 1);
    assert_int_equal(stops, 1);
    flo_registry_stop(registry);
    assert_int_equal(stops, 1);
    flo_registry_destroy(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_registers_the_roles_half),
        cmocka_unit_test(test_load_serves_only_what_is_listed),
        cmocka_unit_test(test_load_bad_file_is_refused_with_its_reason),
#ifndef FLO_COVERAGE /* whose counters write files from every module */
        cmocka_unit_test(test_load_workflows_that_ask_the_machine_is_refused),
        cmocka_unit_test(test_load_mixed_module_may_be_unchecked),
#endif
        cmocka_unit_test(test_imports_know_other_spellings),
        cmocka_unit_test(test_local_finds_the_modules_activities),
        cmocka_unit_test(test_load_writable_file_is_refused),
        cmocka_unit_test(test_load_same_type_twice_is_refused),
        cmocka_unit_test(test_start_failing_module_is_named),
        cmocka_unit_test(test_start_failing_module_stops_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
