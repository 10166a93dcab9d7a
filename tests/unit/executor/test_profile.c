/* SPDX-License-Identifier: Apache-2.0 */
/* test_profile.c - samples on their way to the loop, also from writers that die or do not stop. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "executor/profile.h"
#include "executor_fixture.h"

/* What was taken out. */
struct taken {
    struct flo_profile_ring *ring;
    unsigned count, empty;
    uint64_t last_pc;
    bool write_on; /* as each is taken, all slots are written again */
};

static void take(void *ctx, const struct flo_profile_sample *sample)
{
    struct taken *taken = ctx;

    taken->count++;
    taken->empty += sample->depth == 0;
    taken->last_pc = sample->depth ? sample->pc[0] : 0;
    for (size_t i = 0; i < FLO_PROFILE_SLOTS && taken->write_on; i++)
        atomic_store(&taken->ring->slots[i].ready, true);
}

static struct taken drain(struct flo_profile_ring *ring)
{
    struct taken taken = {.ring = ring};

    flo_profile_ring_drain(ring, take, &taken);
    return taken;
}

/* As the handler does: the next slot is claimed, and, perhaps, written. */
static unsigned claim(struct flo_profile_ring *ring)
{
    return atomic_fetch_add(&ring->head, 1) % FLO_PROFILE_SLOTS;
}

static void fill(struct flo_profile_ring *ring, unsigned slot, uint64_t pc)
{
    ring->slots[slot].sample = (struct flo_profile_sample){.thread = "t", .depth = 1, .pc = {pc}};
    atomic_store(&ring->slots[slot].ready, true);
}

/* A writer that died within a sample holds up those behind it until the ring is mended. */
static void test_mend_writer_died_frees_the_others(void **state)
{
    static struct flo_profile_ring ring;
    struct taken taken;

    (void)state;
    flo_profile_ring_open(&ring, 99);
    (void)claim(&ring);
    fill(&ring, claim(&ring), 7);
    assert_int_equal(drain(&ring).count, 0);

    flo_profile_ring_mend(&ring);

    taken = drain(&ring);
    assert_int_equal(taken.count, 2);
    assert_int_equal(taken.empty, 1);
    assert_int_equal(taken.last_pc, 7);
    flo_profile_ring_mend(&ring); /* nothing is begun */
    assert_int_equal(drain(&ring).count, 0);
}

/* One profile ends while a thread writes, the next begins: the late sample is harmless. */
static void test_open_amid_a_sample_goes_on(void **state)
{
    static struct flo_profile_ring ring;
    unsigned late;

    (void)state;
    flo_profile_ring_open(&ring, 99);
    fill(&ring, claim(&ring), 1);
    late = claim(&ring);

    flo_profile_ring_open(&ring, 99);

    fill(&ring, late, 2);
    for (unsigned i = 0; i + 1 < FLO_PROFILE_SLOTS; i++)
        fill(&ring, claim(&ring), 3);
    assert_int_equal(atomic_load(&ring.head) - atomic_load(&ring.tail), FLO_PROFILE_SLOTS);
    assert_int_equal(drain(&ring).count, FLO_PROFILE_SLOTS);
}

/* The memory is shared: one that never lets the ring be empty must not hold the loop. */
static void test_drain_endless_writer_ends(void **state)
{
    static struct flo_profile_ring ring;
    struct taken taken = {.ring = &ring, .write_on = true};

    (void)state;
    flo_profile_ring_open(&ring, 99);
    fill(&ring, claim(&ring), 1);

    flo_profile_ring_drain(&ring, take, &taken);

    assert_int_equal(taken.count, FLO_PROFILE_SLOTS);
}

static unsigned samples_of_work(struct fixture *f)
{
    struct taken taken = {0};

    for (int i = 0; i < 100 && taken.count == 0; i++) {
        assert_int_equal(fixture_submit(f, (uint64_t)f->done, "work", 0, 0), 0);
        fixture_wait(f, f->done + 1);
        flo_executor_profile_drain(f->executor, take, &taken);
    }
    return taken.count;
}

/* The process that takes the place of one that died is sampled too; none is when it is over. */
static void test_process_dies_next_is_sampled(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct taken taken = {0};

    (void)state;
    fixture_init(f, 1);
    fixture_processes(f, false);
    flo_executor_profile(f->executor, 99);
    assert_true(samples_of_work(f) > 0);

    assert_int_equal(fixture_submit(f, (uint64_t)f->done, "abort", 0, 0), 0);
    fixture_wait(f, f->done + 1);
    assert_true(samples_of_work(f) > 0);

    flo_executor_profile(f->executor, 0);
    flo_executor_profile_drain(f->executor, take, &taken);
    taken.count = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fixture_submit(f, (uint64_t)f->done, "work", 0, 0), 0);
        fixture_wait(f, f->done + 1);
    }
    flo_executor_profile_drain(f->executor, take, &taken);
    assert_int_equal(taken.count, 0);
    fixture_fini(f);
    free(f);
}

/* Who has no job is told of, too; who was asked to end is not. */
static struct idle_death {
    int count, status;
} idle;

static void on_idle_death(void *ctx, unsigned index, int status)
{
    struct fixture *f = ctx;

    assert_int_equal(index, 0);
    idle.count++;
    idle.status = status;
    event_base_loopbreak(f->base);
}

static void test_process_dies_idle_is_told(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    (void)state;
    fixture_init(f, 1);
    f->options.on_idle_death = on_idle_death;
    fixture_processes(f, false);
    assert_int_equal(fixture_submit(f, 0, "pid", 0, 0), 0);
    fixture_wait(f, 1);

    assert_int_equal(kill((pid_t)strtol(f->jobs[0].reply, NULL, 10), SIGKILL), 0);
    while (idle.count == 0)
        assert_int_equal(event_base_dispatch(f->base), 0);
    assert_true(WIFSIGNALED(idle.status) && WTERMSIG(idle.status) == SIGKILL);

    assert_int_equal(fixture_submit(f, 1, "echo:again", 0, 0), 0);
    fixture_wait(f, 2);
    fixture_fini(f);
    assert_int_equal(idle.count, 1);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mend_writer_died_frees_the_others),
        cmocka_unit_test(test_open_amid_a_sample_goes_on),
        cmocka_unit_test(test_drain_endless_writer_ends),
        cmocka_unit_test(test_process_dies_next_is_sampled),
        cmocka_unit_test(test_process_dies_idle_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
