/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue.c - worker/queue.c: queues and the capacity that they share are counted together. */
#include "support/cmocka_env.h"
#include "worker/worker.h"

static struct flo_queue_config configs[2];
static struct flo_task_queue queues[2];
static struct flo_worker worker;

/* Two queues of three slots, an executor for four. */
static int setup(void **state)
{
    (void)state;
    worker = (struct flo_worker){.queues = queues, .queue_count = 2};
    for (int i = 0; i < 2; i++) {
        queues[i] = (struct flo_task_queue){
            .worker = &worker, .config = &configs[i], .kind = FLO_SLOT_ACTIVITY};
        flo_slots_init(&queues[i].slots, 3);
    }
    flo_slots_init(&worker.capacity[FLO_SLOT_ACTIVITY], 4);
    return 0;
}

static size_t reserve_all(struct flo_task_queue *queue, enum flo_lack *out_lack)
{
    size_t got = 0;

    while ((*out_lack = flo_queue_reserve(queue)) == FLO_LACKS_NOTHING)
        got++;
    return got;
}

/* A queue has its own slots, and no more than are left of the capacity. */
static void test_reserve_needs_a_slot_and_a_place(void **state)
{
    enum flo_lack lack;

    (void)state;
    assert_true(flo_capacity_scarce(&worker, FLO_SLOT_ACTIVITY));
    assert_int_equal(reserve_all(&queues[0], &lack), 3);
    assert_int_equal(lack, FLO_LACKS_SLOT);
    assert_int_equal(reserve_all(&queues[1], &lack), 1);
    assert_int_equal(lack, FLO_LACKS_PLACE);
    flo_queue_release(&queues[0]);
    assert_int_equal(reserve_all(&queues[1], &lack), 1);
}

/* The capacity falls below what runs: nothing is lost, and polls begin again below the new one. */
static void test_capacity_shrinks_and_grows_without_losing_a_count(void **state)
{
    struct flo_slots *capacity = &worker.capacity[FLO_SLOT_ACTIVITY];
    enum flo_lack lack;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(flo_queue_reserve(&queues[i % 2]), FLO_LACKS_NOTHING);
        flo_queue_run(&queues[i % 2]);
    }
    flo_capacity_set(&worker, FLO_SLOT_ACTIVITY, 2);
    assert_int_equal(flo_capacity_busy(&worker), 4);
    for (int i = 0; i < 2; i++) {
        flo_queue_answer(&queues[0], NULL);
        flo_queue_answered(&queues[0]);
        assert_int_equal(flo_queue_reserve(&queues[0]), FLO_LACKS_PLACE);
    }
    flo_queue_finish(&queues[1], NULL);
    assert_int_equal(reserve_all(&queues[0], &lack), 1);
    flo_capacity_set(&worker, FLO_SLOT_ACTIVITY, 4);
    assert_int_equal(capacity->reserved + capacity->running, 2);
    assert_int_equal(reserve_all(&queues[0], &lack), 2);
    assert_int_equal(flo_capacity_total(&worker, FLO_SLOT_ACTIVITY), 4);
    flo_capacity_set(&worker, FLO_SLOT_ACTIVITY, 100);
    assert_int_equal(flo_capacity_total(&worker, FLO_SLOT_ACTIVITY), 6);
    assert_false(flo_capacity_scarce(&worker, FLO_SLOT_ACTIVITY));
}

/* There is always a place for each queue, except when there shall be none at all. */
static void test_capacity_never_below_one_for_each_queue(void **state)
{
    enum flo_lack lack;

    (void)state;
    flo_capacity_set(&worker, FLO_SLOT_ACTIVITY, 1);
    assert_int_equal(worker.capacity[FLO_SLOT_ACTIVITY].total, 2);
    flo_capacity_set(&worker, FLO_SLOT_ACTIVITY, 0);
    assert_int_equal(reserve_all(&queues[0], &lack), 0);
    assert_int_equal(lack, FLO_LACKS_PLACE);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_reserve_needs_a_slot_and_a_place),
        T(test_capacity_shrinks_and_grows_without_losing_a_count),
        T(test_capacity_never_below_one_for_each_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
