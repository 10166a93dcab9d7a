/* SPDX-License-Identifier: Apache-2.0 */
/* Trace contexts, derived ids, sampling; lists of key=value. */
#include <stdio.h>
#include <string.h>

#include "base/pairs.h"
#include "base/trace.h"
#include "support/cmocka_env.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

/* The examples of the specification, and every way in which a text can be none. */
static void test_traceparent(void **state)
{
    static const char *const good[] = {
        "00-" TRACE "-" SPAN "-01", "00-" TRACE "-" SPAN "-00",
        "00-" TRACE "-" SPAN "-03", "00-" TRACE "-" SPAN "-ff",
        "01-" TRACE "-" SPAN "-01", "cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like",
    };
    static const uint8_t flags[] = {1, 0, 3, 3, 1, 1};
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-01 ",
        "cc-" TRACE "-" SPAN "-01.what",
        "ff-" TRACE "-" SPAN "-01",
        "0g-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-0x",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "--" SPAN "01",
    };
    struct flo_trace_context context;
    char text[FLO_TRACEPARENT_LEN + 1], expected[FLO_TRACEPARENT_LEN + 1];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(flo_traceparent_parse(good[i], &context));
        assert_int_equal(context.flags, flags[i]);
        flo_traceparent_format(&context, text);
        snprintf(expected, sizeof expected, "00-" TRACE "-" SPAN "-%02x", flags[i]);
        assert_string_equal(text, expected);
    }
    memset(&context, 7, sizeof context);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (flo_traceparent_parse(bad[i], &context))
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(context.flags, 7);
    }
}

/* The same texts give the same id, other texts another one; where a text ends matters. */
static void test_derive(void **state)
{
    uint8_t a[8], b[8], c[16];

    (void)state;
    flo_trace_derive(a, sizeof a, "StartActivity", "run", "1", NULL);
    flo_trace_derive(b, sizeof b, "StartActivity", "run", "1", NULL);
    flo_trace_derive(c, sizeof c, "StartActivity", "run", "1", NULL);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(a, c, sizeof a);
    flo_trace_derive(b, sizeof b, "StartActivity", "run1", "", NULL);
    assert_memory_not_equal(a, b, sizeof a);
    flo_trace_derive(b, sizeof b, "StartActivity", "run", "2", NULL);
    assert_memory_not_equal(a, b, sizeof a);
    /* Runs that an older version began hold ids that are made in this way: it must not change. */
    static const uint8_t known[8] = {0xd0, 0xe7, 0x5f, 0xf0, 0x8e, 0x74, 0x99, 0xb8};
    assert_memory_equal(a, known, sizeof a);
}

static bool sampled(enum flo_trace_sampling root, bool parent_based, double ratio, int parent_flags,
                    uint64_t low)
{
    const struct flo_trace_sampler sampler = {root, parent_based, ratio};
    struct flo_trace_context parent = {.flags = (uint8_t)parent_flags};
    uint8_t trace_id[16] = {0xff, 0xff};

    for (int i = 0; i < 8; i++)
        trace_id[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    return flo_trace_sample(&sampler, parent_flags < 0 ? NULL : &parent, trace_id);
}

/* Parents decide for samplers that heed them; a ratio goes by the lower half of the trace id. */
static void test_sample(void **state)
{
    (void)state;
    assert_true(sampled(FLO_TRACE_ALWAYS_ON, true, 0, -1, 0));
    assert_true(sampled(FLO_TRACE_ALWAYS_OFF, true, 0, 1, 0));
    assert_false(sampled(FLO_TRACE_ALWAYS_ON, true, 0, 0, 0));
    assert_false(sampled(FLO_TRACE_ALWAYS_OFF, false, 0, 1, 0));
    assert_true(sampled(FLO_TRACE_ALWAYS_ON, false, 0, 0, 0));
    assert_true(sampled(FLO_TRACE_RATIO, true, 1, -1, UINT64_MAX));
    assert_false(sampled(FLO_TRACE_RATIO, true, 0, -1, 0));
    assert_true(sampled(FLO_TRACE_RATIO, true, 0.5, -1, UINT64_C(0x7ffffffffffffffe)));
    assert_false(sampled(FLO_TRACE_RATIO, true, 0.5, -1, UINT64_C(0x8000000000000000)));
    assert_true(sampled(FLO_TRACE_RATIO, true, 0, 1, 0));
}

/* Spaces go, percent signs are decoded, nothing between commas is nothing; the last one counts. */
static void test_pairs(void **state)
{
    struct flo_pairs pairs;
    struct flo_err err = {0};

    (void)state;
    assert_int_equal(flo_pairs_parse(" a = 1%2C%202 ,, b=x=y ,a=,c=%C3%BC", false, &pairs, &err),
                     0);
    assert_int_equal(pairs.count, 4);
    assert_string_equal(pairs.items[0].value, "1, 2");
    assert_string_equal(flo_pairs_get(&pairs, "b"), "x=y");
    assert_string_equal(flo_pairs_get(&pairs, "a"), "");
    assert_string_equal(flo_pairs_get(&pairs, "c"), "\xc3\xbc");
    assert_null(flo_pairs_get(&pairs, "d"));
    flo_pairs_fini(&pairs);
    assert_int_equal(flo_pairs_parse(NULL, true, &pairs, &err), 0);
    assert_int_equal(pairs.count, 0);
    flo_pairs_fini(&pairs);
}

/* One sentence that names the pair, and shows nothing of it. */
static void test_pairs_refused(void **state)
{
    static const char *const bad[] = {"a=1,secret", "a=1,=secret", "a=1,b=%",        "a=1,b=%4",
                                      "a=1,b=%zz",  "a=1,b=%00",   "a=1,b=%0Asecret"};
    struct flo_pairs pairs;
    struct flo_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (struct flo_err){0};
        if (flo_pairs_parse(bad[i], false, &pairs, &err) != FLO_EINVAL)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(err.message,
                            "pair 2 of the list is no key=value with percent-encoding");
    }
    err = (struct flo_err){0};
    assert_int_equal(flo_pairs_parse("two words=1", true, &pairs, &err), FLO_EINVAL);
    assert_string_equal(err.message, "pair 1 of the list is no header=value with percent-encoding");
    assert_int_equal(flo_pairs_parse("two words=1", false, &pairs, &err), 0);
    flo_pairs_fini(&pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traceparent),   cmocka_unit_test(test_derive),
        cmocka_unit_test(test_sample),        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_pairs_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
