/* SPDX-License-Identifier: Apache-2.0 */
/* test_access.c - API keys: the file, whose key it is, for which namespace. */
#include "engine/access.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

/* sha256 of "one", "two" and "root". */
#define ONE "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
#define TWO "sha256:3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
#define ROOT "sha256:4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2"

static char path[] = "/tmp/flo-access-XXXXXX";

static void write_file(const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct flo_access *read_file(const char *text)
{
    struct flo_access *access = NULL;
    struct flo_err err = {0};
    write_file(text);
    if (flo_access_new(path, &access, &err))
        fail_msg("%s", err.message);
    return access;
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* A key is good for its namespaces, any of several, and "*" for everything. */
static void test_keys_are_good_for_their_namespaces(void **state)
{
    (void)state;
    struct flo_access *access =
        read_file("# who\n\n a " ONE " ci\na " TWO "\r\nb " TWO "\n* " ROOT);
    assert_int_equal(flo_access_count(access), 4);
    assert_true(flo_access_identify(access, "Bearer one"));
    assert_true(flo_access_may(access, "a"));
    assert_false(flo_access_may(access, "b"));
    assert_false(flo_access_may(access, ""));
    assert_false(flo_access_may(access, FLO_ACCESS_ALL));
    assert_true(flo_access_identify(access, "bearer  two"));
    assert_true(flo_access_may(access, "a") && flo_access_may(access, "b"));
    assert_true(flo_access_identify(access, "BEARER root"));
    assert_true(flo_access_may(access, "c") && flo_access_may(access, "") &&
                flo_access_may(access, FLO_ACCESS_ALL));
    flo_access_destroy(&access);
}

/* Nobody's key, none, another scheme: unknown, and what was known before is forgotten. */
static void test_unknown_keys_may_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {NULL,        "",          "Bearer", "Bearer ",
                                        "Bearer on", "Basic one", "one",    "Bearer one two",
                                        "Bearerone"};
    struct flo_access *access = read_file("a " ONE "\n* " ROOT "\n");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_true(flo_access_identify(access, "Bearer root"));
        assert_false(flo_access_identify(access, wrong[i]));
        assert_false(flo_access_may(access, "a"));
    }
    flo_access_destroy(&access);
}

/* A file that cannot be taken is refused with its line; the keys of before stay. */
static void test_a_bad_file_changes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "# none\n", "a\n", "a one\n", "a " ONE " name more\n", "a sha256:76\n", "a " ONE "0\n"};
    struct flo_access *access = read_file("a " ONE "\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct flo_err err = {0};
        write_file(bad[i]);
        assert_int_equal(flo_access_reload(access, &err), FLO_ECONFIG);
        assert_non_null(strstr(err.message, path));
        assert_true(flo_access_identify(access, "Bearer one"));
    }
    struct flo_err err = {0};
    write_file("a " ONE "\n");
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(flo_access_reload(access, &err), FLO_EPERM);
    assert_int_equal(chmod(path, 0600), 0);
    flo_access_destroy(&access);
}

/* What is no file of keys is refused at once: nobody waits for who writes into a pipe. */
static void test_no_file_is_refused(void **state)
{
    (void)state;
    struct flo_access *access = NULL;
    struct flo_err err = {0};
    char fifo[sizeof path + 8];
    snprintf(fifo, sizeof fifo, "%s.fifo", path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(flo_access_new(fifo, &access, &err), FLO_ECONFIG);
    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(flo_access_new(fifo, &access, &err), FLO_ENOENT);
    assert_int_equal(flo_access_new("/tmp", &access, &err), FLO_ECONFIG);
}

/* A changed file is noticed, and its keys replace those of before. */
static void test_changes_are_noticed(void **state)
{
    (void)state;
    struct flo_access *access = read_file("a " ONE "\n");
    struct flo_err err = {0};
    assert_false(flo_access_changed(access));
    write_file("a " ONE "\na " TWO "\n");
    assert_true(flo_access_changed(access));
    assert_int_equal(flo_access_reload(access, &err), 0);
    assert_false(flo_access_changed(access));
    assert_true(flo_access_identify(access, "Bearer two"));
    write_file("a " TWO "\n");
    assert_int_equal(flo_access_reload(access, &err), 0);
    assert_false(flo_access_identify(access, "Bearer one"));
    flo_access_destroy(&access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_good_for_their_namespaces),
        cmocka_unit_test(test_unknown_keys_may_nothing),
        cmocka_unit_test(test_a_bad_file_changes_nothing),
        cmocka_unit_test(test_no_file_is_refused),
        cmocka_unit_test(test_changes_are_noticed),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
