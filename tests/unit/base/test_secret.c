/* SPDX-License-Identifier: Apache-2.0 */
/* test_secret.c - base/secret.c: names that speak of secrets, passwords in URLs. */
#include <string.h>

#include "base/secret.h"
#include "support/cmocka_env.h"

static bool named(const char *name)
{
    return flo_secret_name(name, strlen(name));
}

static void test_secret_names(void **state)
{
    (void)state;
    static const char *const secret[] = {"TEMPORAL_API_KEY", "password", "PGPASSWORD",
                                         "clientSecret",     "Token",    "AWS_CREDENTIALS",
                                         "sentry_dsn",       "KEY",      "ssh-passphrase"};
    static const char *const open[] = {"PATH", "PWD", "DATABASE_URL", "", "user", "ke"};
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
        assert_true(named(secret[i]));
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        assert_false(named(open[i]));
    assert_false(flo_secret_name("A=KEY", 1)); /* the name alone counts */
}

static void test_urls_are_masked(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"postgresql://u:hunter2@db:5432/x", "postgresql://u:***@db:5432/x"},
        {"postgresql://u:hun@ter2@db/x", "postgresql://u:***@db/x"},
        {"postgresql://u:hun/ter2@db/x", "postgresql://u:***@db/x"},
        {"redis://:hunter2@r", "redis://:***@r"},
        {"https://hunter2@host/", "https://***@host/"},
        {"postgresql://db/x?user=u&password=hunter2&a=b",
         "postgresql://db/x?user=u&password=***&a=b"},
        {"https://host:80/@user?q=1#x", "https://host:80/@user?q=1#x"},
        {"postgresql://u@h?", "postgresql://***@h?"},
        {"mail u:p@host", "mail u:p@host"},
        {"://", "://"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct flo_buf out;
        flo_buf_init(&out, 0);
        flo_secret_append_masked(&out, cases[i].text);
        assert_false(out.failed);
        assert_string_equal(flo_buf_cstr(&out), cases[i].shown);
        flo_buf_fini(&out);
    }
}

static void test_full_buffer_is_told(void **state)
{
    struct flo_buf out;

    (void)state;
    flo_buf_init(&out, 8);
    flo_secret_append_masked(&out, "postgresql://u:p@db/x");
    assert_true(out.failed);
    flo_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret_names),
        cmocka_unit_test(test_urls_are_masked),
        cmocka_unit_test(test_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
