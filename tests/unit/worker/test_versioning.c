/* SPDX-License-Identifier: Apache-2.0 */
/* test_versioning.c - what a worker tells the server of its build and deployment. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "worker/worker.h"

#define BEHAVIOR(name) FLO_API__VERSIONING_BEHAVIOR__VERSIONING_BEHAVIOR_##name

static int workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)wf;
    (void)input;
    (void)out_result;
    return 0;
}

static const struct flo_module MODULE = {
    .abi = FLO_MODULE_ABI,
    .name = "test",
    .workflows = FLO_WORKFLOWS({"Says", workflow}, {"SaysNothing", workflow}),
    .versioning =
        (const struct flo_workflow_versioning[]){{"Says", FLO_VERSIONING_AUTO_UPGRADE}, {0}},
};

struct fixture {
    struct flo_role_config config;
    struct flo_worker worker;
};

static void setup(struct fixture *f, const char *build_id, const char *deployment, bool versioned)
{
    struct flo_err err = {0};

    memset(f, 0, sizeof *f);
    f->worker.config = &f->config;
    f->config.build_id = build_id;
    f->config.deployment.name = deployment;
    f->config.deployment.versioned = versioned;
    f->config.deployment.versioning_behavior = FLO_VERSIONING_PINNED;
    assert_int_equal(flo_registry_new(&f->worker.registry, &err), 0);
    assert_int_equal(flo_registry_add(f->worker.registry, FLO_ROLE_WORKFLOW, &MODULE, &err), 0);
    flo_versioning_init(&f->worker);
}

static void teardown(struct fixture *f)
{
    flo_registry_destroy(&f->worker.registry);
}

/* Without names the server is told nothing, and no run has a behaviour. */
static void test_worker_without_names_says_nothing(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, "", "", false);
    assert_null(flo_versioning_deployment(&f.worker));
    assert_null(flo_versioning_capabilities(&f.worker));
    assert_null(flo_versioning_stamp(&f.worker));
    assert_int_equal(flo_versioning_behavior(&f.worker, "Says"), BEHAVIOR(UNSPECIFIED));
    teardown(&f);
}

/* A build id alone goes into polls and answers, as one that decides nothing. */
static void test_build_id_alone_is_a_stamp(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, "build-7", "", false);
    assert_null(flo_versioning_deployment(&f.worker));
    assert_string_equal(flo_versioning_capabilities(&f.worker)->build_id, "build-7");
    assert_false(flo_versioning_capabilities(&f.worker)->use_versioning);
    assert_string_equal(flo_versioning_stamp(&f.worker)->build_id, "build-7");
    assert_false(flo_versioning_stamp(&f.worker)->use_versioning);
    assert_int_equal(flo_versioning_behavior(&f.worker, "Says"), BEHAVIOR(UNSPECIFIED));
    teardown(&f);
}

/* A deployment replaces the stamp; unversioned, no run has a behaviour: the server refuses one. */
static void test_unversioned_deployment_has_no_behaviors(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, "build-7", "shop", false);
    assert_null(flo_versioning_capabilities(&f.worker));
    assert_null(flo_versioning_stamp(&f.worker));
    assert_string_equal(flo_versioning_deployment(&f.worker)->deployment_name, "shop");
    assert_string_equal(flo_versioning_deployment(&f.worker)->build_id, "build-7");
    assert_int_equal(flo_versioning_deployment(&f.worker)->worker_versioning_mode,
                     FLO_API__WORKER_VERSIONING_MODE__WORKER_VERSIONING_MODE_UNVERSIONED);
    assert_int_equal(flo_versioning_behavior(&f.worker, "Says"), BEHAVIOR(UNSPECIFIED));
    teardown(&f);
}

/* Versioned, a type's own behaviour counts, else the configuration's. */
static void test_versioned_deployment_knows_each_types_behavior(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, "build-7", "shop", true);
    assert_int_equal(flo_versioning_deployment(&f.worker)->worker_versioning_mode,
                     FLO_API__WORKER_VERSIONING_MODE__WORKER_VERSIONING_MODE_VERSIONED);
    assert_int_equal(flo_versioning_behavior(&f.worker, "Says"), BEHAVIOR(AUTO_UPGRADE));
    assert_int_equal(flo_versioning_behavior(&f.worker, "SaysNothing"), BEHAVIOR(PINNED));
    assert_int_equal(flo_versioning_behavior(&f.worker, "Unknown"), BEHAVIOR(PINNED));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_without_names_says_nothing),
        cmocka_unit_test(test_build_id_alone_is_a_stamp),
        cmocka_unit_test(test_unversioned_deployment_has_no_behaviors),
        cmocka_unit_test(test_versioned_deployment_knows_each_types_behavior),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
