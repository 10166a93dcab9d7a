/* SPDX-License-Identifier: Apache-2.0 */
/* test_hello.c - the workflow with a mock, and with its own activity; no server is needed. */
#include <flotilla/testing.h>
#include <stdio.h>

#include "hello.h"

static void with_a_mock(void)
{
    struct flo_test_env *env = flo_test_env_new(&hello_module, NULL);
    flo_test_mock(env, "compose_greeting",
                  &(struct flo_test_mock){.result = "\"Hi\"", .fail_times = 2});
    struct flo_test_workflow *hello = flo_test_start(env, "Hello", NULL, NULL);
    flo_test_assert_completed(hello, "\"Hi\"");
    flo_test_assert_attempts(env, "compose_greeting", 3);
    flo_test_env_destroy(&env);
}

static void with_its_activity(void)
{
    struct flo_test_env *env =
        flo_test_env_new(&hello_module, &(struct flo_test_options){.real_activities = true});
    struct flo_test_workflow *ada =
        flo_test_start(env, "Hello", flo_test_json(env, "\"Ada\""), NULL);
    flo_test_assert_completed(ada, "\"Hello, Ada!\"");
    struct flo_test_workflow *nobody = flo_test_start(env, "Hello", NULL, NULL);
    flo_test_assert_ended(nobody, FLO_TEST_FAILED, "BadInput");
    flo_test_env_destroy(&env);
}

int main(void)
{
    with_a_mock();
    with_its_activity();
    puts("hello: all is well");
    return 0;
}
