/* SPDX-License-Identifier: Apache-2.0 */
/* test_html.c - what gets into a page, and how. */
#include "engine/web/html.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void assert_text(const char *text, size_t len, const char *want)
{
    struct flo_buf out;
    flo_buf_init(&out, 0);
    flo_html_text(&out, text, len);
    assert_string_equal(flo_buf_cstr(&out), want);
    flo_buf_fini(&out);
}

/* Markup is text, in elements and in both kinds of quotes. */
static void test_text_is_escaped(void **state)
{
    (void)state;
    assert_text("<b a=\"1\" c='2'>&amp;", 20, "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
    assert_text("grün 木 \xf0\x9f\x9a\xa2\n\t", strlen("grün 木 \xf0\x9f\x9a\xa2\n\t"),
                "grün 木 \xf0\x9f\x9a\xa2\n\t");
    assert_text("", 0, "");
}

/* Bytes that are no text, and control characters, become U+FFFD, one by one. */
static void test_broken_text_is_replaced(void **state)
{
    (void)state;
    assert_text("a\0b\x1b\x7f", 5,
                "a\xef\xbf\xbd"
                "b\xef\xbf\xbd\xef\xbf\xbd");
    assert_text("\xff<\xc3", 3, "\xef\xbf\xbd&lt;\xef\xbf\xbd");
    assert_text("\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_text("\xe2\x82", 2, "\xef\xbf\xbd\xef\xbf\xbd");
}

/* Characters that turn the text around them do not get into a page; marks beside them do. */
static void test_directions_are_replaced(void **state)
{
    (void)state;
    assert_text("a\xe2\x80\xae"
                "b\xe2\x81\xa6<",
                9,
                "a\xef\xbf\xbd"
                "b\xef\xbf\xbd&lt;");
    assert_text("\xe2\x80\xa9\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa", 12,
                "\xe2\x80\xa9\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa");
}

/* %s escapes, %u makes a part of a URL, %d a number. */
static void test_formats(void **state)
{
    (void)state;
    struct flo_buf out;
    flo_buf_init(&out, 0);
    flo_html(&out, "<a href=\"/?id=%u\">%s</a> %d%%%s", "a b&\"c/\xc3\xbc", "<i>", INT64_C(-7),
             NULL);
    assert_string_equal(flo_buf_cstr(&out),
                        "<a href=\"/?id=a%20b%26%22c%2F%C3%BC\">&lt;i&gt;</a> -7%");
    flo_buf_fini(&out);
}

/* Durations and sizes as people read them. */
static void test_quantities(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } durations[] = {{0, "0 ms"},
                     {999999999, "999 ms"},
                     {INT64_C(1500000000), "1.5 s"},
                     {INT64_C(245000000000), "4 m 05 s"},
                     {INT64_C(7380000000000), "2 h 03 m"},
                     {INT64_C(446400000000000), "5 d 04 h"},
                     {-1, "\xe2\x80\x93"}};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        struct flo_buf out;
        flo_buf_init(&out, 0);
        flo_html_duration(&out, durations[i].ns);
        assert_string_equal(flo_buf_cstr(&out), durations[i].text);
        flo_buf_fini(&out);
    }
    struct flo_buf out;
    flo_buf_init(&out, 0);
    flo_html_bytes(&out, 17);
    flo_html_bytes(&out, 4300);
    flo_html_time(&out, 0);
    flo_html_time(&out, INT64_C(1000000000));
    assert_string_equal(flo_buf_cstr(&out), "17 B4.2 KiB\xe2\x80\x93<time "
                                            "datetime=\"1970-01-01T00:00:01.000000Z\">1970-01-01 "
                                            "00:00:01</time>");
    flo_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_escaped),
        cmocka_unit_test(test_broken_text_is_replaced),
        cmocka_unit_test(test_directions_are_replaced),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_quantities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
