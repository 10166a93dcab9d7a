/* SPDX-License-Identifier: Apache-2.0 */
/* random, clock. */
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "support/cmocka_env.h"

/* The same seed gives the same numbers, another seed others. */
static void test_rng_repeats_by_seed(void **state)
{
    (void)state;
    struct flo_rng a, b, c;
    flo_rng_seed(&a, 42);
    flo_rng_seed(&b, 42);
    flo_rng_seed(&c, 43);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t value = flo_rng_next(&a);
        assert_true(value == flo_rng_next(&b));
        same += value == flo_rng_next(&c);
    }
    assert_int_equal(same, 0);
}

/* The generator is the published one: first outputs for the state 1, 2, 3, 4. */
static void test_rng_matches_reference(void **state)
{
    (void)state;
    struct flo_rng rng = {{1, 2, 3, 4}};
    static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < 4; i++)
        assert_true(flo_rng_next(&rng) == expected[i]);
}

/* Bounded numbers stay in their range and reach all of it. */
static void test_rng_bounds(void **state)
{
    (void)state;
    struct flo_rng rng;
    flo_rng_seed(&rng, 1);
    unsigned seen[10] = {0};
    for (int i = 0; i < 10000; i++) {
        uint64_t value = flo_rng_below(&rng, 10);
        assert_true(value < 10);
        seen[value]++;
        double unit = flo_rng_unit(&rng);
        assert_true(unit >= 0 && unit < 1);
    }
    for (int i = 0; i < 10; i++)
        assert_true(seen[i] > 800 && seen[i] < 1200);
    assert_true(flo_rng_below(&rng, 0) == 0);
    assert_true(flo_rng_below(&rng, 1) == 0);
}

/* UUIDs are well formed, carry version and variant, and version 7 sorts by time. */
static void test_uuid_forms(void **state)
{
    (void)state;
    struct flo_rng rng;
    flo_rng_seed(&rng, 7);
    char early[FLO_UUID_LEN + 1], late[FLO_UUID_LEN + 1];
    for (int i = 0; i < 1000; i++) {
        flo_rng_uuid4(&rng, early);
        assert_true(flo_uuid_valid(early, strlen(early)));
        assert_int_equal(early[14], '4');
        assert_non_null(strchr("89ab", early[19]));
        int64_t now = INT64_C(1700000000) * FLO_NS_PER_S + i * FLO_NS_PER_MS;
        flo_rng_uuid7(&rng, now, early);
        flo_rng_uuid7(&rng, now + FLO_NS_PER_MS, late);
        assert_true(flo_uuid_valid(late, strlen(late)));
        assert_int_equal(late[14], '7');
        assert_non_null(strchr("89ab", late[19]));
        assert_true(strcmp(early, late) < 0);
    }
}

/* What is no UUID is told apart. */
static void test_uuid_valid(void **state)
{
    (void)state;
    assert_true(flo_uuid_valid("00000000-0000-0000-0000-00000000ABCD", 36));
    static const char *const bad[] = {
        "", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-0000000000000",
        "00000000-0000-0000-0000-00000000000g", "0000000000000-0000-0000-00000000000a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(flo_uuid_valid(bad[i], strlen(bad[i])));
}

/* The system's bytes come, also across sizes that getrandom gives in parts. */
static void test_random_bytes(void **state)
{
    (void)state;
    uint8_t a[1000] = {0}, b[1000] = {0};
    flo_random_bytes(a, sizeof a);
    flo_random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(flo_random_u64() != flo_random_u64());
}

/* Times print in UTC with microseconds, also before 1970. */
static void test_clock_rfc3339(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {INT64_C(1500000000123456789), "2017-07-14T02:40:00.123456Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {INT64_C(951782400000000000), "2000-02-29T00:00:00.000000Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145224Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[28];
        flo_clock_rfc3339(cases[i].ns, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

/* The clocks run forward. */
static void test_clocks_run(void **state)
{
    (void)state;
    int64_t first = flo_clock_mono_ns();
    assert_true(flo_clock_mono_ns() >= first);
    assert_true(flo_clock_wall_ns() > INT64_C(1600000000) * FLO_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rng_repeats_by_seed), cmocka_unit_test(test_rng_matches_reference),
        cmocka_unit_test(test_rng_bounds),          cmocka_unit_test(test_uuid_forms),
        cmocka_unit_test(test_uuid_valid),          cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_clock_rfc3339),       cmocka_unit_test(test_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
