/* SPDX-License-Identifier: Apache-2.0 */
/* test_locks.c - mutex, semaphore and wait-group: who waits, who is next, and what is refused. */
#include "support/cmocka_env.h"
#include "support/story.h"

struct shared {
    struct flo_mutex *mutex;
    struct flo_semaphore *semaphore;
    struct flo_wait_group *group;
    json_t *seen;
};

struct part {
    struct shared *shared;
    int name, count;
};

static void see(const struct part *part, int what)
{
    json_array_append_new(part->shared->seen, json_integer(part->name * 10 + what));
}

static int locks(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    const struct part *part = arg;
    (void)out_result;
    int rc = flo_mutex_lock(wf, part->shared->mutex);
    if (rc)
        return rc;
    see(part, 1);
    rc = flo_sleep(wf, 10);
    see(part, 2);
    return rc ? rc : flo_mutex_unlock(wf, part->shared->mutex);
}

/* Three in the order of asking, though the first asks again at once. */
static int mutex(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct shared shared = {.mutex = flo_mutex_new(wf), .seen = json_array()};
    struct part a = {&shared, 1, 0}, b = {&shared, 2, 0};
    struct flo_group *group = flo_group_new(wf);
    int rc = flo_mutex_lock(wf, shared.mutex);
    if (rc)
        return rc;
    flo_group_add(group, flo_spawn(wf, "a", locks, &a));
    flo_group_add(group, flo_spawn(wf, "b", locks, &b));
    rc = flo_sleep(wf, 1);
    if (rc == 0)
        rc = flo_mutex_unlock(wf, shared.mutex);
    if (rc == 0)
        rc = flo_mutex_lock(wf, shared.mutex);
    json_array_append_new(shared.seen, json_integer(0));
    if (rc == 0)
        rc = flo_mutex_unlock(wf, shared.mutex);
    if (rc == 0)
        rc = flo_group_await_all(group, NULL);
    *out_result = shared.seen;
    return rc;
}

static int takes(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    const struct part *part = arg;
    struct flo_semaphore *semaphore = part->shared->semaphore;
    (void)out_result;
    int rc = flo_semaphore_acquire(wf, semaphore, (size_t)part->count);
    if (rc)
        return rc;
    see(part, 1);
    rc = flo_sleep(wf, 10 * part->name);
    see(part, 2);
    return rc ? rc : flo_semaphore_release(wf, semaphore, (size_t)part->count);
}

/* Of three permits: 1, 1, then one who wants 3, then one who wants 1 and is not let past. */
static int semaphore(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct shared shared = {.semaphore = flo_semaphore_new(wf, 3), .seen = json_array()};
    struct part parts[] = {{&shared, 1, 1}, {&shared, 2, 1}, {&shared, 3, 3}, {&shared, 4, 1}};
    struct flo_group *group = flo_group_new(wf);
    for (size_t i = 0; i < 4; i++)
        flo_group_add(group, flo_spawn(wf, "part", takes, &parts[i]));
    int rc = flo_group_await_all(group, NULL);
    *out_result = shared.seen;
    return rc;
}

/* One that waits in the way of another is cancelled: the other goes on. */
static int steps_aside(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct shared shared = {.semaphore = flo_semaphore_new(wf, 2), .seen = json_array()};
    struct part big = {&shared, 1, 2}, small = {&shared, 2, 1};
    int rc = flo_semaphore_acquire(wf, shared.semaphore, 1);
    struct flo_future *one = flo_spawn(wf, "big", takes, &big);
    struct flo_future *two = flo_spawn(wf, "small", takes, &small);
    if (rc == 0)
        rc = flo_sleep(wf, 1);
    if (rc)
        return rc;
    flo_future_cancel(wf, one);
    int first = flo_await(wf, one, NULL);
    rc = flo_await(wf, two, NULL);
    *out_result = json_pack("[i,o]", first, shared.seen);
    return rc;
}

static int does(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    const struct part *part = arg;
    (void)out_result;
    int rc = flo_sleep(wf, 10 * part->name);
    see(part, 1);
    return rc ? rc : flo_wait_group_done(wf, part->shared->group);
}

static int wait_group(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct shared shared = {.group = flo_wait_group_new(wf), .seen = json_array()};
    struct part parts[] = {{&shared, 1, 0}, {&shared, 2, 0}};
    flo_wait_group_add(wf, shared.group, 2);
    for (size_t i = 0; i < 2; i++)
        flo_spawn(wf, "part", does, &parts[i]);
    int rc = flo_wait_group_wait(wf, shared.group);
    *out_result = shared.seen;
    return rc;
}

static int tries(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct shared *shared = arg;
    bool locked = flo_mutex_try_lock(wf, shared->mutex);
    int unlocked = flo_mutex_unlock(wf, shared->mutex);
    bool took = flo_semaphore_try_acquire(wf, shared->semaphore, 1);
    *out_result = json_pack("[b,i,b]", locked, unlocked, took);
    return 0;
}

/* Mistakes, and the calls that do not wait. */
static int mistakes(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct shared shared = {.mutex = flo_mutex_new(wf),
                            .semaphore = flo_semaphore_new(wf, 1),
                            .group = flo_wait_group_new(wf)};
    bool locked = flo_mutex_try_lock(wf, shared.mutex);
    bool took = flo_semaphore_try_acquire(wf, shared.semaphore, 1);
    json_t *other = NULL;
    int rc = flo_await(wf, flo_spawn(wf, "other", tries, &shared), &other);
    int again = flo_mutex_lock(wf, shared.mutex);
    int too_many = flo_semaphore_acquire(wf, shared.semaphore, 2);
    int released = flo_semaphore_release(wf, shared.semaphore, 1);
    int once_more = flo_semaphore_release(wf, shared.semaphore, 1);
    int none = flo_wait_group_done(wf, shared.group);
    int nobody = flo_wait_group_wait(wf, shared.group);
    *out_result = json_pack("[b,b,o,i,i,i,i,i,i]", locked, took, other, again, too_many, released,
                            once_more, none, nobody);
    return rc;
}

static const struct flo_workflow_entry workflows[] = {
    {"Mutex", mutex},          {"Semaphore", semaphore}, {"StepsAside", steps_aside},
    {"WaitGroup", wait_group}, {"Mistakes", mistakes},   {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

static void test_mutex_is_fair(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Mutex; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=2 ms=10");
    story_tell(s, "WFTCompleted; TimerStarted id=2; TimerFired id=2; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=3 ms=10");
    story_tell(s, "WFTCompleted; TimerStarted id=3; TimerFired id=3; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[11,12,21,22,0]");
    story_expect_replayed(s, "Complete result=[11,12,21,22,0]");
}

static void test_semaphore_lets_nobody_past(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Semaphore; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=10\nStartTimer id=2 ms=20");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerStarted id=2; TimerFired id=1");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; TimerFired id=2; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=3 ms=30");
    story_tell(s, "WFTCompleted; TimerStarted id=3; TimerFired id=3; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=4 ms=40");
    story_tell(s, "WFTCompleted; TimerStarted id=4; TimerFired id=4; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[11,21,12,22,31,32,41,42]");
    story_expect_replayed(s, "Complete result=[11,21,12,22,31,32,41,42]");
}

static void test_cancelled_waiter_is_not_in_the_way(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=StepsAside; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=2 ms=20");
    story_tell(s, "WFTCompleted; TimerStarted id=2; TimerFired id=2; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[-8,[21,22]]");
    story_expect_replayed(s, "Complete result=[-8,[21,22]]");
}

static void test_wait_group_waits_for_all(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=WaitGroup; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=10\nStartTimer id=2 ms=20");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerStarted id=2; TimerFired id=2");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[21,11]");
    story_expect_replayed(s, "Complete result=[21,11]");
}

static void test_mistakes_are_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Mistakes; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[true,true,[false,-24,false],-24,-2,0,-24,-24,0]");
}

static void test_cancel_request_ends_the_wait(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Semaphore; WFTScheduled; WFTStarted");
    story_answer(s);
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerStarted id=2; CancelRequested");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=1\nCancelTimer id=2\nCancel");
    story_expect_replayed(s, "CancelTimer id=1\nCancelTimer id=2\nCancel");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown_dropping)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_mutex_is_fair),
        T(test_semaphore_lets_nobody_past),
        T(test_cancelled_waiter_is_not_in_the_way),
        T(test_wait_group_waits_for_all),
        T(test_mistakes_are_refused),
        T(test_cancel_request_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
