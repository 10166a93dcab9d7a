/* SPDX-License-Identifier: Apache-2.0 */
/* testing_kit.h - tests on the testing kit: each runs with its runs kept, never kept, and kept by
 * chance; nothing may be left behind. */
#ifndef FLO_SUPPORT_TESTING_KIT_H
#define FLO_SUPPORT_TESTING_KIT_H

#include <stdlib.h>

#include "flotilla/testing.h"
#include "support/cmocka_env.h"
#include "workflow/heap.h"

/* The seed is FLO_SEED of the environment, else 1; said once. */
static inline uint64_t kit_seed(void)
{
    static bool said;
    const char *given = getenv("FLO_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
    if (!said)
        print_message("FLO_SEED=%llu\n", (unsigned long long)seed);
    said = true;
    return seed;
}

static enum flo_test_cache kit_caches[] = {FLO_TEST_CACHE_ON, FLO_TEST_CACHE_OFF,
                                           FLO_TEST_CACHE_RANDOM};

static inline struct flo_test_env *kit_env(void **state, const struct flo_module *module)
{
    const struct flo_test_options options = {.cache = *(enum flo_test_cache *)*state,
                                             .seed = kit_seed()};
    struct flo_test_env *env = flo_test_env_new(module, &options);
    assert_non_null(env);
    return env;
}

static inline void kit_env_end(struct flo_test_env *env)
{
    assert_string_equal(flo_test_problem(env), "");
    flo_test_env_destroy(&env);
    assert_null(env);
    assert_int_equal(flo_heap_total_bytes(), 0);
}

#define KIT_TEST(name)                                                                             \
    {#name "_cached", name, NULL, NULL, &kit_caches[0]},                                           \
        {#name "_uncached", name, NULL, NULL, &kit_caches[1]},                                     \
    {                                                                                              \
#name "_evicted", name, NULL, NULL, &kit_caches[2]                                         \
    }

#endif
