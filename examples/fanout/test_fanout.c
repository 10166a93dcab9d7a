/* SPDX-License-Identifier: Apache-2.0 */
/* test_fanout.c - the sum, the limit of items at a time, and items that fail. */
#include <flotilla/testing.h>
#include <stdio.h>
#include <stdlib.h>

#include "fanout.h"

static void all_are_counted(void)
{
    struct flo_test_env *env =
        flo_test_env_new(&fanout_module, &(struct flo_test_options){.real_activities = true});
    json_t *texts = flo_test_json(env, "[\"a cup of tea\", 7, \"\", \"one  two\"]");
    flo_test_assert_completed(flo_test_start(env, "CountWords", texts, NULL),
                              "{\"words\": 6, \"failed\": [7]}");
    flo_test_assert_ended(flo_test_start(env, "CountWords", NULL, NULL), FLO_TEST_FAILED,
                          "BadInput");
    flo_test_env_destroy(&env);
}

/* A hundred items of a second each, four at a time, take 25 seconds; the cache does not matter. */
static void four_at_a_time(enum flo_test_cache cache)
{
    struct flo_test_env *env =
        flo_test_env_new(&fanout_module, &(struct flo_test_options){.cache = cache});
    json_t *texts = json_array();
    for (int i = 0; i < 100; i++)
        json_array_append_new(texts, json_integer(i));
    flo_test_mock(env, "count_words", &(struct flo_test_mock){.result = "2", .takes_ms = 1000});
    flo_test_assert_completed(flo_test_start(env, "CountWords", texts, NULL),
                              "{\"words\": 200, \"failed\": []}");
    flo_test_assert_activities(env, "count_words", 100);
    if (flo_test_elapsed_ms(env) != 25000) {
        fprintf(stderr, "it took %lld ms\n", (long long)flo_test_elapsed_ms(env));
        exit(1);
    }
    json_decref(texts);
    flo_test_env_destroy(&env);
}

int main(void)
{
    all_are_counted();
    four_at_a_time(FLO_TEST_CACHE_ON);
    four_at_a_time(FLO_TEST_CACHE_OFF);
    four_at_a_time(FLO_TEST_CACHE_RANDOM);
    puts("fanout: all is well");
    return 0;
}
