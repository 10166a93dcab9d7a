/* SPDX-License-Identifier: Apache-2.0 */
/* test_cgroup.c - base/cgroup.c on folders that look like /proc and /sys/fs/cgroup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cgroup.h"
#include "support/tree.h"

static char root[TREE_ROOT_SIZE], proc[80];

static void put(const char *name, const char *text)
{
    tree_put(root, name, "%s", text);
}

static int make_root(void **state)
{
    int rc = tree_make(root);

    (void)state;
    snprintf(proc, sizeof proc, "%s/proc", root);
    return rc;
}

static int remove_root(void **state)
{
    (void)state;
    return tree_remove(root);
}

/* What a path is called below the root. */
static const char *below(const char *path)
{
    assert_memory_equal(path, root, strlen(root));
    return path + strlen(root);
}

/* v2: the group's own folder, then those above it up to the mount point. */
static void test_find_v2_and_up(void **state)
{
    struct flo_cgroup group;

    (void)state;
    put("/proc/self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n"
                                "26 25 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    put("/proc/self/cgroup", "0::/pod/box\n");
    put("/sys/fs/cgroup/pod/box/cpu.max", "150000 100000\n");
    put("/sys/fs/cgroup/pod/cpu.max", "max 100000\n");
    assert_true(flo_cgroup_find(proc, root, NULL, &group));
    assert_string_equal(below(group.folder), "/sys/fs/cgroup/pod/box");
    assert_string_equal(below(group.top), "/sys/fs/cgroup");
    assert_true(flo_cgroup_cpu_quota(group.folder, false) == 1.5);
    assert_true(flo_cgroup_up(&group));
    assert_string_equal(below(group.folder), "/sys/fs/cgroup/pod");
    assert_true(flo_cgroup_cpu_quota(group.folder, false) == 0);
    assert_true(flo_cgroup_up(&group));
    assert_true(flo_cgroup_cpu_quota(group.folder, false) == 0);
    assert_false(flo_cgroup_up(&group));
    assert_false(flo_cgroup_find(proc, root, "cpu", &group));
}

/* v1 inside a container: the path is the host's, the files are at the top of what is mounted. */
static void test_find_v1_of_a_container(void **state)
{
    struct flo_cgroup group;

    (void)state;
    put("/proc/self/mountinfo",
        "33 25 0:29 /docker/x /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n");
    put("/proc/self/cgroup", "5:cpuset:/docker/x\n4:cpu,cpuacct:/docker/x\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_true(flo_cgroup_find(proc, root, "cpu", &group));
    assert_string_equal(below(group.folder), "/sys/fs/cgroup/cpu");
    assert_true(flo_cgroup_cpu_quota(group.folder, true) == 2.5);
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    assert_true(flo_cgroup_cpu_quota(group.folder, true) == 0);
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "0\n");
    assert_true(flo_cgroup_cpu_quota(group.folder, true) == 0);
}

/* Behind more mounts than a page holds it is found as well. */
static void test_find_behind_many_mounts(void **state)
{
    static char mounts[80 * 1024];
    struct flo_cgroup group;
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(mounts + len, sizeof mounts - len,
                                "%d 1 0:%d / /volumes/of-a-container/%d rw - tmpfs tmpfs rw\n", i,
                                i, i);
    snprintf(mounts + len, sizeof mounts - len,
             "26 25 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    put("/proc/self/mountinfo", mounts);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    assert_true(flo_cgroup_find(proc, root, NULL, &group));
    assert_true(flo_cgroup_cpu_quota(group.folder, false) == 0.5);
}

/* No files, or a mount point that is not there: no group. */
static void test_find_nothing(void **state)
{
    struct flo_cgroup group;

    (void)state;
    assert_false(flo_cgroup_find(proc, root, NULL, &group));
    put("/proc/self/mountinfo", "26 25 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    assert_false(flo_cgroup_find(proc, root, NULL, &group));
    put("/proc/self/cgroup", "0::/pod\n");
    assert_false(flo_cgroup_find(proc, root, NULL, &group));
}

/* A file is cut at the space there is. */
static void test_read_cuts(void **state)
{
    char text[6];

    (void)state;
    put("/file", "123456789\n");
    put("/empty", "");
    assert_true(flo_cgroup_read(text, sizeof text, "%s/%s", root, "file"));
    assert_string_equal(text, "12345");
    assert_false(flo_cgroup_read(text, sizeof text, "%s/%s", root, "empty"));
    assert_false(flo_cgroup_read(text, sizeof text, "%s/%s", root, "none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_find_v2_and_up, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_find_v1_of_a_container, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_find_behind_many_mounts, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_find_nothing, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_read_cuts, make_root, remove_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
