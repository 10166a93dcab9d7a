/* SPDX-License-Identifier: Apache-2.0 */
/* test_shards.c - the threads that run workflow code: hand-over, order, one that is given up. */
#include <event2/event.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "worker/shards.h"

#define JOBS 400

struct job {
    struct flo_shard_job job;
    unsigned number;
    bool holds; /* until somebody posts release */
    pthread_t ran_on;
    unsigned order; /* in its shard */
    bool late;
    unsigned returned;
};

struct fixture {
    struct event_base *base;
    struct flo_shards *shards;
    struct job jobs[JOBS];
    unsigned dropped;
    unsigned back;                /* jobs */
    unsigned ran[FLO_SHARDS_MAX]; /* of each shard, by its thread */
    sem_t began, release;
};

static struct fixture *current; /* of the one test at a time */

static void run(struct flo_shard *shard, struct flo_shard_job *job)
{
    struct job *mine = flo_container(job, struct job, job);

    mine->ran_on = pthread_self();
    mine->order = current->ran[shard->index]++;
    if (mine->holds) {
        sem_post(&current->began);
        sem_wait(&current->release);
    }
}

static void done(void *ctx, struct flo_shard_job *job, bool late)
{
    struct fixture *f = ctx;
    struct job *mine = flo_container(job, struct job, job);

    mine->late = late;
    mine->returned++;
    f->back++;
    event_base_loopbreak(f->base);
}

static void drop(void *ctx, struct flo_shard_job *job)
{
    struct fixture *f = ctx;

    (void)job;
    f->dropped++;
}

static void setup(struct fixture *f, unsigned count)
{
    struct flo_err err = {0};

    memset(f, 0, sizeof *f);
    current = f;
    sem_init(&f->began, 0, 0);
    sem_init(&f->release, 0, 0);
    f->base = event_base_new();
    const struct flo_shards_options options = {
        .base = f->base, .count = count, .run = run, .done = done, .drop = drop, .ctx = f};
    assert_int_equal(flo_shards_new(&options, 1 << 20, 100, &f->shards, &err), 0);
    for (unsigned i = 0; i < JOBS; i++)
        f->jobs[i].number = i;
}

static void teardown(struct fixture *f)
{
    assert_int_equal(flo_shards_stop(f->shards, 10000), 0);
    flo_shards_destroy(&f->shards);
    assert_null(f->shards);
    event_base_free(f->base);
    sem_destroy(&f->began);
    sem_destroy(&f->release);
}

static void await(struct fixture *f, unsigned back)
{
    while (f->back < back)
        event_base_dispatch(f->base);
}

static struct flo_shard *shard_of(struct fixture *f, unsigned number)
{
    char run_id[32];

    snprintf(run_id, sizeof run_id, "run-%u", number % 16);
    return flo_shards_of_run(f->shards, run_id);
}

/* Each job comes back once; those of a run are done on one thread, in their order. */
static void test_jobs_of_a_run_stay_on_a_thread_in_order(void **state)
{
    static struct fixture f;

    (void)state;
    setup(&f, 3);
    for (unsigned i = 0; i < JOBS; i++) {
        flo_shards_submit(shard_of(&f, i), &f.jobs[i].job);
        if (i % 50 == 49)
            await(&f, i - 20); /* some at once, some over turns */
    }
    await(&f, JOBS);
    for (unsigned i = 16; i < JOBS; i++) {
        assert_int_equal(f.jobs[i].returned, 1);
        assert_true(pthread_equal(f.jobs[i].ran_on, f.jobs[i - 16].ran_on));
        assert_true(f.jobs[i].order > f.jobs[i - 16].order);
        assert_false(pthread_equal(f.jobs[i].ran_on, pthread_self()));
    }
    teardown(&f);
}

/* Without threads the loop does the work, behind what submitted it. */
static void test_no_threads_the_loop_does_it(void **state)
{
    static struct fixture f;

    (void)state;
    setup(&f, 0);
    flo_shards_submit(shard_of(&f, 0), &f.jobs[0].job);
    flo_shards_submit(shard_of(&f, 1), &f.jobs[1].job);
    assert_int_equal(f.back, 0);
    await(&f, 2);
    assert_true(pthread_equal(f.jobs[0].ran_on, pthread_self()));
    assert_true(flo_list_empty(&f.shards->threads));
    teardown(&f);
}

/* What is done goes back to the loop although the job behind it does not end. */
static void test_long_job_does_not_hold_back_what_was_done_before(void **state)
{
    static struct fixture f;

    (void)state;
    setup(&f, 1);
    f.jobs[8].holds = true;
    for (unsigned i = 0; i < 10; i++)
        flo_shards_submit(&f.shards->of[0], &f.jobs[i].job);
    await(&f, 8);
    sem_wait(&f.began);
    assert_int_equal(f.back, 8);
    sem_post(&f.release);
    await(&f, 10);
    teardown(&f);
}

/* Nothing to do: no thread. */
static void test_idle_has_no_threads(void **state)
{
    static struct fixture f;

    (void)state;
    setup(&f, 4);
    assert_true(flo_list_empty(&f.shards->threads));
    flo_shards_submit(&f.shards->of[2], &f.jobs[0].job);
    await(&f, 1);
    assert_int_equal(f.shards->threads.count, 1);
    teardown(&f);
}

/* A thread that is given up: what waits behind its job goes on, the job comes back late. */
static void test_given_up_thread_is_replaced(void **state)
{
    static struct fixture f;
    struct flo_shard_at at;
    struct flo_err err = {0};

    (void)state;
    setup(&f, 1);
    f.jobs[0].holds = true;
    for (unsigned i = 0; i < 3; i++)
        flo_shards_submit(&f.shards->of[0], &f.jobs[i].job);
    event_base_loop(f.base, EVLOOP_NONBLOCK);
    sem_wait(&f.began);
    flo_shard_look(&f.shards->of[0], &at);
    assert_ptr_equal(at.job, &f.jobs[0].job);
    assert_int_equal(flo_shard_give_up(&f.shards->of[0], &f.jobs[1].job, &err), FLO_ENOENT);
    assert_int_equal(flo_shard_give_up(&f.shards->of[0], &f.jobs[0].job, &err), 0);
    assert_int_equal(f.shards->given_up, 1);
    await(&f, 2);
    assert_int_equal(f.jobs[0].returned, 0);
    assert_false(pthread_equal(f.jobs[1].ran_on, f.jobs[0].ran_on));
    sem_post(&f.release);
    await(&f, 3);
    assert_true(f.jobs[0].late);
    assert_false(f.jobs[1].late || f.jobs[2].late);
    assert_int_equal(f.shards->given_up, 0);
    teardown(&f);
}

/* A thread that does not end in time is counted; once it has, all can be freed. */
static void test_stop_counts_who_does_not_end(void **state)
{
    static struct fixture f;

    (void)state;
    setup(&f, 2);
    f.jobs[0].holds = true;
    flo_shards_submit(&f.shards->of[1], &f.jobs[0].job);
    flo_shards_submit(&f.shards->of[1], &f.jobs[1].job);
    event_base_loop(f.base, EVLOOP_NONBLOCK);
    sem_wait(&f.began);
    flo_shards_submit(&f.shards->of[0], &f.jobs[2].job);
    assert_int_equal(flo_shards_stop(f.shards, 1), 1);
    assert_int_equal(f.dropped, 0);
    sem_post(&f.release);
    teardown(&f);
    assert_int_equal(f.dropped, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_of_a_run_stay_on_a_thread_in_order),
        cmocka_unit_test(test_no_threads_the_loop_does_it),
        cmocka_unit_test(test_long_job_does_not_hold_back_what_was_done_before),
        cmocka_unit_test(test_idle_has_no_threads),
        cmocka_unit_test(test_given_up_thread_is_replaced),
        cmocka_unit_test(test_stop_counts_who_does_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
