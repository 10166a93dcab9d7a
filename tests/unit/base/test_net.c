/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses taken apart, loopback recognised, ports had and refused; folders made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/net.h"
#include "support/cmocka_env.h"

/* Each form of an address, and what is none. */
static void test_split(void **state)
{
    static const struct {
        const char *address, *host;
        int port; /* -1: refused */
    } cases[] = {
        {"a:1", "a", 1},     {"a", "a", 7},
        {":80", "", 80},     {"[::1]:65535", "::1", 65535},
        {"[::1]", "::1", 7}, {"a:65536", NULL, -1},
        {"a:", NULL, -1},    {"a:x", NULL, -1},
        {"a:+1", NULL, -1},  {"::1", NULL, -1},
        {"[::1", NULL, -1},  {"[::1]x", NULL, -1},
        {"a: 1", NULL, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char host[FLO_NET_HOST_MAX] = "";
        uint16_t port = 0;
        int rc = flo_net_split(cases[i].address, 7, host, &port, NULL);
        assert_int_equal(rc, cases[i].port < 0 ? FLO_EINVAL : 0);
        if (rc)
            continue;
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
}

/* A name that begins like a loopback address is not one. */
static void test_loopback(void **state)
{
    (void)state;
    assert_true(flo_net_is_loopback("127.0.0.1"));
    assert_true(flo_net_is_loopback("127.9.9.9"));
    assert_true(flo_net_is_loopback("::1"));
    assert_true(flo_net_is_loopback("localhost"));
    assert_false(flo_net_is_loopback("127.0.0.1.example.org"));
    assert_false(flo_net_is_loopback("0.0.0.0"));
    assert_false(flo_net_is_loopback(""));
    assert_false(flo_net_is_loopback("*"));
    assert_false(flo_net_is_loopback("::"));
}

/* The kernel's port is told; a second listener on it is refused, as is an address of others. */
static void test_listen(void **state)
{
    int fd = -1, other = -1;
    char address[FLO_NET_ADDRESS_MAX], host[FLO_NET_HOST_MAX];
    uint16_t port = 0;
    (void)state;
    assert_int_equal(flo_net_listen("127.0.0.1", 0, 8, &fd, NULL), 0);
    flo_net_local_address(fd, address);
    assert_int_equal(flo_net_split(address, 0, host, &port, NULL), 0);
    assert_true(port > 0);
    struct flo_err err = {0};
    assert_int_equal(flo_net_listen("127.0.0.1", port, 8, &other, &err), FLO_ECONN);
    assert_non_null(strstr(err.message, "127.0.0.1"));
    assert_int_equal(flo_net_listen("192.0.2.1", 0, 8, &other, &err), FLO_ECONN);
    assert_int_equal(other, -1);
    close(fd);
}

/* Missing folders are made for the owner alone; a file in the way is an error. */
static void test_make_folders(void **state)
{
    char dir[] = "/tmp/flo-test-XXXXXX", path[64];
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a/b/c", dir);
    assert_int_equal(flo_file_make_folders(path, NULL), 0);
    assert_int_equal(flo_file_make_folders(path, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(flo_file_make_folders("/dev/null/a", NULL), FLO_ESYS);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rmdir(path), 0);
        *strrchr(path, '/') = '\0';
    }
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_make_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
