/* SPDX-License-Identifier: Apache-2.0 */
/* test_committer.c - the commit thread: results come through the descriptor, failures are final. */
#include <poll.h>

#include "engine/store/committer.h"
#include "fault_vfs.h"
#include "support.h"

/* Wait for the result of the batch in the slot. */
static int collect(struct flo_committer *committer, struct flo_core_batch *expected)
{
    struct flo_core_batch *batch = NULL;
    struct flo_err err = {0};
    struct pollfd fd = {.fd = flo_committer_fd(committer), .events = POLLIN};
    int rc = -100;
    do
        assert_int_equal(poll(&fd, 1, 10000), 1);
    while (!flo_committer_collect(committer, &batch, &rc, &err));
    assert_ptr_equal(batch, expected);
    return rc;
}

static struct flo_committer *start(struct fixture *f)
{
    struct flo_committer *committer = NULL;
    struct flo_err err = {0};
    open_store(f);
    assert_int_equal(flo_committer_new(f->store, &committer, &err), 0);
    return committer;
}

/* A submitted batch comes back durable, on a thread or, in memory, at once. */
static void test_submit_batch_is_committed(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_core_stored_run run;
    struct flo_core_store reader;
    struct flo_committer_stats stats;

    for (int in_memory = 0; in_memory < 2; in_memory++) {
        f->options.path = in_memory ? NULL : f->path;
        struct flo_committer *committer = start(f);
        assert_true(flo_committer_idle(committer));
        flo_committer_submit(committer, sample(&s, 1, "a", "run-1"));
        assert_false(flo_committer_idle(committer));
        assert_int_equal(collect(committer, &s.batch), 0);
        assert_true(flo_committer_idle(committer));
        flo_store_as_core_store(f->store, &reader);
        assert_int_equal(reader.find(reader.ctx, "ns", "a", "", &run), 0);
        flo_committer_stats(committer, &stats);
        assert_int_equal(stats.commits, 1);
        flo_committer_destroy(&committer);
        flo_store_close(&f->store);
    }
}

/* A failed sync comes back as the fatal code. */
static void test_submit_failed_sync_is_fatal(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_committer *committer = start(f);
    fault_vfs_set(FAULT_SYNC, 0, 1);
    flo_committer_submit(committer, sample(&s, 1, "a", "run-1"));
    assert_int_equal(collect(committer, &s.batch), FLO_EIO);
    fault_vfs_set(FAULT_NONE, 0, 0);
    flo_committer_destroy(&committer);
}

/* On a full disk the batch waits, says so, and goes through when there is room. */
static void test_submit_full_disk_waits_for_room(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_committer *committer = start(f);
    fault_vfs_set(FAULT_FULL, 0, 2); /* two attempts find no room */
    flo_committer_submit(committer, sample(&s, 1, "a", "run-1"));
    assert_int_equal(collect(committer, &s.batch), 0);
    assert_false(flo_committer_stalled(committer));
    flo_committer_destroy(&committer);
}

/* The loop is told when a batch begins to wait for room, so that it can refuse writes. */
static void test_submit_full_disk_wakes_the_loop(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_core_batch *batch;
    struct flo_err err;
    int rc;
    struct flo_committer *committer = start(f);
    struct pollfd fd = {.fd = flo_committer_fd(committer), .events = POLLIN};
    fault_vfs_set(FAULT_FULL, 0, -1);
    flo_committer_submit(committer, sample(&s, 1, "a", "run-1"));
    assert_int_equal(poll(&fd, 1, 10000), 1);
    assert_true(flo_committer_stalled(committer));
    assert_false(flo_committer_collect(committer, &batch, &rc, &err));
    assert_int_equal(poll(&fd, 1, 0), 0);
    fault_vfs_set(FAULT_NONE, 0, 0);
    assert_int_equal(collect(committer, &s.batch), 0);
    flo_committer_destroy(&committer);
}

/* Stopping while the disk is full gives the batch back, not committed. */
static void test_stop_full_disk_gives_batch_up(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_committer *committer = start(f);
    fault_vfs_set(FAULT_FULL, 0, -1);
    flo_committer_submit(committer, sample(&s, 1, "a", "run-1"));
    flo_committer_stop(committer);
    assert_int_equal(collect(committer, &s.batch), FLO_EFULL);
    fault_vfs_set(FAULT_NONE, 0, 0);
    flo_committer_destroy(&committer);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_submit_batch_is_committed),
        STORE_TEST(test_submit_failed_sync_is_fatal),
        STORE_TEST(test_submit_full_disk_waits_for_room),
        STORE_TEST(test_submit_full_disk_wakes_the_loop),
        STORE_TEST(test_stop_full_disk_gives_batch_up),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
