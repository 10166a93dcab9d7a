/* SPDX-License-Identifier: Apache-2.0 */
/* test_thread_stack.c - asking another thread where it is. */
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "executor/thread_stack.h"

struct asked {
    pthread_t thread;
    sem_t began, release, told;
    struct asked *other; /* let go as soon as this one has been asked */
};

static void hold_back(int how)
{
    sigset_t ask;

    sigemptyset(&ask);
    sigaddset(&ask, FLO_THREAD_STACK_SIGNAL);
    pthread_sigmask(how, &ask, NULL);
}

/* Does not hear the question until it is released. */
static void *deaf(void *arg)
{
    struct asked *self = arg;

    flo_thread_stack_prepare();
    hold_back(SIG_BLOCK);
    sem_post(&self->began);
    if (self->other) {
        sigset_t pending;
        do {
            sched_yield();
            sigpending(&pending);
        } while (!sigismember(&pending, FLO_THREAD_STACK_SIGNAL));
        sem_post(&self->other->release);
    }
    while (sem_wait(&self->release) < 0)
        ;
    hold_back(SIG_UNBLOCK); /* a question that waits is heard here */
    sem_post(&self->told);
    flo_thread_stack_release();
    return NULL;
}

static void begin(struct asked *self, struct asked *other)
{
    self->other = other;
    sem_init(&self->began, 0, 0);
    sem_init(&self->release, 0, 0);
    sem_init(&self->told, 0, 0);
    assert_int_equal(pthread_create(&self->thread, NULL, deaf, self), 0);
    sem_wait(&self->began);
}

/* A thread that hears a question only when another one is asked does not answer for that. */
static void test_late_answer_is_not_taken_for_anothers(void **state)
{
    uint64_t pc[FLO_THREAD_STACK_DEPTH];
    struct asked first, second;

    (void)state;
    begin(&first, NULL);
    assert_int_equal(flo_thread_stack_take(first.thread, NULL, pc), 0);
    begin(&second, &first);
    assert_int_equal(flo_thread_stack_take(second.thread, NULL, pc), 0);
    sem_wait(&first.told);
    sem_post(&second.release);
    pthread_join(first.thread, NULL);
    pthread_join(second.thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late_answer_is_not_taken_for_anothers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
