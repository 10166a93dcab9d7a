/* SPDX-License-Identifier: Apache-2.0 */
/* test_flame.c - cli/flame.c: folded stacks become a picture. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cli/flame.h"

static void draw(const char *folded, struct flo_buf *out)
{
    struct flo_err err;
    flo_buf_init(out, 0);
    assert_int_equal(cli_flame_draw(folded, strlen(folded), "a <title>", out, &err), 0);
}

/* Each frame once, as wide as its share, with its samples in the title. */
static void test_frames_are_as_wide_as_their_share(void **state)
{
    struct flo_buf out;
    (void)state;
    draw("main;loop;poll 30\nmain;loop;work 60\nmain;idle 10\n", &out);
    const char *svg = flo_buf_cstr(&out);
    assert_non_null(strstr(svg, "a &lt;title&gt; (100 samples)"));
    assert_non_null(strstr(svg, "<title>main (100 samples, 100.0 %)</title><rect x=\"0.0\" "
                                "y=\"91\" width=\"1200.0\""));
    assert_non_null(strstr(svg, "<title>idle (10 samples, 10.0 %)</title><rect x=\"0.0\" y=\"74\" "
                                "width=\"120.0\""));
    assert_non_null(strstr(svg, "<title>loop (90 samples, 90.0 %)</title><rect x=\"120.0\""));
    assert_non_null(strstr(svg, "<title>work (60 samples, 60.0 %)</title><rect x=\"480.0\" "
                                "y=\"57\" width=\"720.0\""));
    assert_string_equal(svg + strlen(svg) - 7, "</svg>\n");
    flo_buf_fini(&out);
}

/* Names of C++ and worse are text, not markup; lines that are no stacks are left out. */
static void test_names_are_escaped_and_bad_lines_left_out(void **state)
{
    struct flo_buf out;
    (void)state;
    draw("f<int>&;operator\" 1 5\nnonsense\n 7\nx \n\na;b 5x\n\x01;y 5", &out);
    const char *svg = flo_buf_cstr(&out);
    assert_non_null(strstr(svg, "<title>f&lt;int&gt;&amp; (5 samples, 50.0 %)"));
    assert_non_null(strstr(svg, "<title>operator&quot; 1 (5 samples"));
    assert_non_null(strstr(svg, "<title>? (5 samples"));
    assert_null(strstr(svg, "nonsense"));
    flo_buf_fini(&out);
}

static void test_nothing_to_draw_is_said(void **state)
{
    struct flo_buf out;
    struct flo_err err;
    (void)state;
    flo_buf_init(&out, 0);
    assert_int_equal(cli_flame_draw("", 0, "x", &out, &err), FLO_EINVAL);
    assert_int_equal(cli_flame_draw("main 0\n", 7, "x", &out, &err), FLO_EINVAL);
    assert_string_equal(err.message, "there are no stacks to draw");
    flo_buf_fini(&out);
}

/* A stack of any depth is cut, not followed. */
static void test_deep_stacks_are_cut(void **state)
{
    struct flo_buf folded, out;
    struct flo_err err;
    (void)state;
    flo_buf_init(&folded, 0);
    flo_buf_init(&out, 0);
    for (int i = 0; i < 100000; i++)
        flo_buf_append_str(&folded, i ? ";f" : "f");
    flo_buf_append_str(&folded, " 1\n");
    assert_int_equal(cli_flame_draw((const char *)folded.data, folded.len, "x", &out, &err), 0);
    assert_true(out.len < 100000);
    flo_buf_fini(&folded);
    flo_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_are_as_wide_as_their_share),
        cmocka_unit_test(test_names_are_escaped_and_bad_lines_left_out),
        cmocka_unit_test(test_nothing_to_draw_is_said),
        cmocka_unit_test(test_deep_stacks_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
