/* SPDX-License-Identifier: Apache-2.0 */
/* test_procstat.c - telemetry/procstat.c: a process with all that it started. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "telemetry/procstat.h"

/* Descendants count, also those in a session of their own; strangers and the dead do not. */
static void test_tree_counts_descendants(void **state)
{
    struct flo_procstat own, before, with;
    int alone = 0, together = 0, ready[2];
    char said[2];
    pid_t child;

    (void)state;
    assert_int_equal(flo_procstat_read(0, &own), 0);
    assert_int_equal(own.parent, getppid());
    assert_int_equal(flo_procstat_tree(getpid(), &before, &alone), 0);
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        setsid();
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* the grandchild goes with its parent */
        (void)!write(ready[1], ".", 1);
        pause();
        _exit(grandchild > 0);
    }
    for (int i = 0; i < 2; i++) /* each of the two has said so */
        assert_int_equal(read(ready[0], &said[i], 1), 1);
    assert_int_equal(flo_procstat_tree(getpid(), &with, &together), 0);
    assert_int_equal(together, alone + 2);
    assert_true(with.resident_bytes > before.resident_bytes);
    assert_int_equal(flo_procstat_tree(child, &with, &together), 0);
    assert_int_equal(together, 2);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(flo_procstat_tree(child, &with, &together), FLO_ENOENT);
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tree_counts_descendants)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
