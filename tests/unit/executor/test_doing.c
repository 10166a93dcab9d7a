/* SPDX-License-Identifier: Apache-2.0 */
/* test_doing.c - executor/doing.c: what /proc says of a thread, as a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "executor/doing.h"

static void check(const char *stat, const char *wchan, const char *call, const char *descriptor,
                  const char *expected)
{
    char said[160];

    flo_doing_sentence(stat, wchan, call, descriptor, said, sizeof said);
    assert_string_equal(said, expected);
}

/* State, place in the kernel, call and descriptor, as far as each is shown. */
static void test_sentence_says_what_is_shown(void **state)
{
    char futex[64], receive[64];

    (void)state;
    snprintf(futex, sizeof futex, "%d 0x7f00 0x80 0x0 0x0 0x0 0x0 0x7ffd 0x7f01\n", SYS_futex);
    snprintf(receive, sizeof receive, "%d 0x1f 0x7f 0x10 0x0 0x0 0x0 0x7ffd 0x7f01\n",
             SYS_recvfrom);
    check("12 (io-3) R 1 2", "0", "running\n", "", "computing");
    check("12 (io-3) S 1 2", "futex_wait_queue", futex, "",
          "sleeping in futex_wait_queue, system call futex");
    check("12 (io-3) S 1 2", "0", receive, "socket:[77]",
          "sleeping, system call recvfrom of descriptor 31 (socket:[77])");
    check("12 (io-3) D 1 2", "", "", "", "waiting for a device");
    check("12 (a) b) (c) S 1 2", "", "9999 0x0\n", "", "sleeping, system call number 9999");
}

/* A thread that is gone, or a /proc that cannot be read, is said nothing of. */
static void test_sentence_without_anything_is_empty(void **state)
{
    (void)state;
    check("", "", "", "", "");
    check("rubbish", "x", "1 0x1", "y", "");
}

/* The calling thread is computing (it asks). */
static void test_doing_of_a_running_thread(void **state)
{
    char said[160];

    (void)state;
    flo_doing((pid_t)syscall(SYS_gettid), said, sizeof said);
    assert_int_equal(strncmp(said, "computing", 9), 0);
    flo_doing(0x7ffffff0, said, sizeof said);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentence_says_what_is_shown),
        cmocka_unit_test(test_sentence_without_anything_is_empty),
        cmocka_unit_test(test_doing_of_a_running_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
