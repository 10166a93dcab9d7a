/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside: what is accepted, and what it means, is what jansson says, by whichever of the
 * two parsers it was read. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "support/cmocka_env.h"
#include "wire/payload.h"

#define ROUNDS 200000

static const char *const seeds[] = {
    "{\"id\":12345,\"name\":\"a customer\",\"total\":99.5}",
    "[1,-2,3.25,0.1,-0.0,0,true,false,null,\"\",\"x\",{},[],[[]]]",
    " { \"a\" : { \"b\" : [ 1 , 2 ] , \"c\" : \"gr\xc3\xbc\xc3\x9f\" } , \"d\" : -7.125 } \n",
    "{\"a\":1,\"b\":2,\"a\":3}",
    "\"\\u00e9 \\n \\\"quoted\\\"\"",
    "123456789012345678",
    "9223372036854775807",
    "1e3",
    "9007199254740993.5",
    "0.30000000000000004",
    "179769313486231570814527423731704356798070567525844996598917476803157260780028538760.5",
    "[1.5e-3,2E+2,-12.000000000000000001]",
};

/* Our answer and jansson's on len bytes, which lie at the end of their block. */
static void check(const char *text, size_t len)
{
    char *exact = flo_memdup(text, len);
    json_t *ours = NULL;
    json_t *theirs = json_loadb(exact, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    int rc = flo_json_parse(exact, len, &ours, NULL);
    if ((rc == 0) != (theirs != NULL))
        fail_msg("%d for: %.*s", rc, (int)len, text);
    if (rc == 0) {
        char *a = json_dumps(ours, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        char *b = json_dumps(theirs, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        assert_string_equal(a, b); /* order of keys, bits of numbers, sign of zero */
        assert_true(json_equal(ours, theirs));
        free(a);
        free(b);
    }
    json_decref(ours);
    json_decref(theirs);
    flo_free(exact);
}

static void test_parse_seeds_as_jansson(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        for (size_t len = 0; len <= strlen(seeds[i]); len++)
            check(seeds[i], len);
}

/* The same for texts with a few bytes changed, taken out or doubled. */
static void test_parse_mutated_as_jansson(void **state)
{
    static const char bytes[] = "\"\\{}[],:0123456789-+.eE tfn\n\x1f\x80\xff";
    struct flo_rng rng;
    (void)state;
    flo_rng_seed(&rng, 20261121);
    for (int i = 0; i < ROUNDS; i++) {
        char text[256];
        const char *seed = seeds[flo_rng_below(&rng, sizeof seeds / sizeof *seeds)];
        size_t len = strlen(seed);
        memcpy(text, seed, len);
        for (uint64_t changes = flo_rng_below(&rng, 4); changes > 0 && len > 1; changes--) {
            size_t at = (size_t)flo_rng_below(&rng, len);
            switch (flo_rng_below(&rng, 3)) {
            case 0:
                text[at] = bytes[flo_rng_below(&rng, sizeof bytes)];
                break;
            case 1:
                memmove(text + at, text + at + 1, len - at - 1);
                len--;
                break;
            default:
                memmove(text + at + 1, text + at, len - at);
                len++;
                break;
            }
        }
        check(text, len);
    }
}

/* Decimal numbers get the bits that strtod gives. */
static void test_parse_decimals_as_jansson(void **state)
{
    struct flo_rng rng;
    (void)state;
    flo_rng_seed(&rng, 7);
    for (int i = 0; i < ROUNDS; i++) {
        char text[64];
        uint64_t whole = flo_rng_next(&rng) >> flo_rng_below(&rng, 64);
        uint64_t part = flo_rng_next(&rng) >> flo_rng_below(&rng, 64);
        int len = snprintf(text, sizeof text, "%s%llu.%0*llu", i % 2 ? "-" : "",
                           (unsigned long long)whole, (int)flo_rng_below(&rng, 20),
                           (unsigned long long)part);
        check(text, (size_t)len);
    }
}

/* As deep as permitted is accepted, one level more is refused. */
static void test_parse_deep_refused_by_both_parsers(void **state)
{
    char text[2 * FLO_JSON_DEPTH + 4];
    struct flo_err err = {0};
    json_t *value = NULL;
    (void)state;
    memset(text, '[', FLO_JSON_DEPTH + 1);
    memset(text + FLO_JSON_DEPTH + 1, ']', FLO_JSON_DEPTH + 1);
    assert_int_equal(flo_json_parse(text + 1, 2 * FLO_JSON_DEPTH, &value, &err), 0);
    json_decref(value);
    assert_int_equal(flo_json_parse(text, 2 * FLO_JSON_DEPTH + 2, &value, &err), FLO_EPROTO);
    assert_non_null(strstr(err.message, "nests deeper"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_seeds_as_jansson),
        cmocka_unit_test(test_parse_mutated_as_jansson),
        cmocka_unit_test(test_parse_decimals_as_jansson),
        cmocka_unit_test(test_parse_deep_refused_by_both_parsers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
