/* SPDX-License-Identifier: Apache-2.0 */
/* test_notices.c - callbacks of activity code: a wish to cancel, a worker that stops. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#include "attempt.h"

struct heard {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int cancels, stops; /* guarded by mu */
};

static void on_cancel(struct flo_activity_context *ctx, void *arg)
{
    struct heard *heard = arg;

    assert_true(flo_activity_cancelled(ctx));
    pthread_mutex_lock(&heard->mu);
    heard->cancels++;
    pthread_cond_signal(&heard->changed);
    pthread_mutex_unlock(&heard->mu);
}

static void on_stopping(struct flo_activity_context *ctx, void *arg)
{
    struct heard *heard = arg;

    flo_activity_off(ctx, on_stopping, arg); /* of itself: does not wait */
    pthread_mutex_lock(&heard->mu);
    heard->stops++;
    pthread_cond_signal(&heard->changed);
    pthread_mutex_unlock(&heard->mu);
}

static void wait_count(struct heard *heard, const int *count, int value)
{
    pthread_mutex_lock(&heard->mu);
    while (*count < value)
        pthread_cond_wait(&heard->changed, &heard->mu);
    pthread_mutex_unlock(&heard->mu);
}

static int hear(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct heard heard = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

    (void)input;
    (void)out_result;
    assert_int_equal(flo_activity_on_stopping(ctx, on_stopping, &heard), 0);
    assert_int_equal(flo_activity_on_cancel(ctx, on_cancel, &heard), 0);
    assert_false(flo_activity_worker_stopping(ctx));
    attempt_tell(attempt_io, FLO_JOB_STOPPING);
    wait_count(&heard, &heard.stops, 1);
    assert_true(flo_activity_worker_stopping(ctx));
    assert_true(flo_activity_wait_stopping(ctx, 1000));
    assert_int_equal(flo_activity_on_stopping(ctx, on_stopping, &heard), 0); /* late: at once */
    wait_count(&heard, &heard.stops, 2);
    flo_activity_off(ctx, on_cancel, &heard);
    attempt_tell(attempt_io, FLO_JOB_CANCEL_REQUESTED);
    assert_int_equal(flo_activity_on_cancel(ctx, on_cancel, &heard), 0);
    wait_count(&heard, &heard.cancels, 1); /* not the one that was taken back */
    flo_activity_off(ctx, on_cancel, &heard);
    assert_int_equal(heard.cancels, 1);
    return 0;
}

/* Callbacks run once each, also when what they wait for has been, and not after they were taken
 * back. */
static void test_notices_run_once(void **state)
{
    struct attempt a = {0};

    (void)state;
    attempt_run(&a, hear);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_COMPLETED);
    attempt_end(&a);
}

struct look {
    sem_t done;
    sigset_t mask;
};

static void look_at_mask(struct flo_activity_context *ctx, void *arg)
{
    struct look *look = arg;

    (void)ctx;
    pthread_sigmask(SIG_SETMASK, NULL, &look->mask);
    sem_post(&look->done);
}

static int register_look(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct look look;

    (void)input;
    (void)out_result;
    sem_init(&look.done, 0, 0);
    attempt_tell(attempt_io, FLO_JOB_CANCEL_REQUESTED);
    assert_int_equal(flo_activity_on_cancel(ctx, look_at_mask, &look), 0);
    while (sem_wait(&look.done) < 0)
        ;
    assert_int_equal(sigismember(&look.mask, SIGSEGV), 0);
    assert_int_equal(sigismember(&look.mask, SIGABRT), 0);
    assert_int_equal(sigismember(&look.mask, SIGTERM), 1);
    sem_destroy(&look.done);
    return 0;
}

/* A callback that faults is told of like any other code; signals to the process are not its. */
static void test_notices_do_not_block_faults(void **state)
{
    struct attempt a = {0};

    (void)state;
    attempt_run(&a, register_look);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_COMPLETED);
    attempt_end(&a);
}

static int register_many(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    static struct heard heard[17];

    (void)input;
    (void)out_result;
    for (int i = 0; i < 16; i++)
        assert_int_equal(flo_activity_on_cancel(ctx, on_cancel, &heard[i]), 0);
    assert_int_equal(flo_activity_on_cancel(ctx, on_cancel, &heard[16]), FLO_EFULL);
    return 0; /* with callbacks that never ran */
}

/* There is a bound, and an attempt that ends takes its callbacks along. */
static void test_notices_bounded(void **state)
{
    struct attempt a = {0};

    (void)state;
    attempt_run(&a, register_many);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_COMPLETED);
    attempt_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notices_run_once),
        cmocka_unit_test(test_notices_do_not_block_faults),
        cmocka_unit_test(test_notices_bounded),
    };

    return cmocka_run_group_tests_name("activity/notices", tests, NULL, NULL);
}
