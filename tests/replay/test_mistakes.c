/* SPDX-License-Identifier: Apache-2.0 */
/* test_mistakes.c - code that uses the calls as it must not: it is told so, and nothing breaks. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

/* ---- a query handler that takes what others hold ---- */

struct locks {
    struct flo_mutex *mutex;
    struct flo_semaphore *semaphore;
    struct flo_future *timer;
};

static bool naps(void *ctx)
{
    return flo_sleep(ctx, 1) == 0;
}

static int grabs(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                 json_t **out_result)
{
    struct locks *locks = ctx;
    (void)out_result;
    if (strcmp(m->name, "mutex") == 0)
        return flo_mutex_lock(wf, locks->mutex);
    if (strcmp(m->name, "semaphore") == 0)
        return flo_semaphore_acquire(wf, locks->semaphore, 1);
    if (strcmp(m->name, "condition") == 0)
        return flo_await_condition(wf, naps, wf, 1000);
    flo_future_release(wf, locks->timer);
    return 0;
}

static int holds(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct locks *locks = flo_workflow_alloc(wf, sizeof *locks);
    (void)input;
    locks->mutex = flo_mutex_new(wf);
    locks->semaphore = flo_semaphore_new(wf, 1);
    locks->timer = flo_timer_start(wf, 1000);
    flo_query_handle(wf, NULL, grabs, locks, NULL);
    int rc = flo_mutex_lock(wf, locks->mutex);
    if (rc == 0)
        rc = flo_semaphore_acquire(wf, locks->semaphore, 1);
    if (rc == 0)
        rc = flo_await(wf, locks->timer, NULL);
    int mutex = flo_mutex_unlock(wf, locks->mutex);
    int semaphore = flo_semaphore_release(wf, locks->semaphore, 1);
    *out_result = json_pack("[i,i,b,b]", mutex, semaphore, flo_mutex_try_lock(wf, locks->mutex),
                            flo_semaphore_try_acquire(wf, locks->semaphore, 1));
    return rc;
}

/* ---- the struct flo_workflow of a coroutine that has ended ---- */

static int tells_itself(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)out_result;
    *(struct flo_workflow **)arg = wf;
    return 0;
}

static int uses_ended(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_workflow *ended = NULL;
    (void)input;
    int rc = flo_await(wf, flo_spawn(wf, "short", tells_itself, &ended), NULL);
    struct flo_future *timer = flo_timer_start(wf, 1000);
    int awaited = flo_await(ended, timer, NULL), slept = flo_sleep(ended, 1);
    struct flo_scope *scope = flo_scope_begin(ended, NULL);
    int closed = flo_scope_end(ended, scope);
    *out_result = json_pack("[b,b,i,s]", awaited == FLO_ESTATE, slept == FLO_ESTATE, closed,
                            flo_scope_cancel_reason(ended, NULL));
    return rc ? rc : flo_await(wf, timer, NULL);
}

/* ---- coroutines without end ---- */

static int spawns(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)out_result;
    flo_spawn(wf, "another", spawns, arg);
    return flo_sleep(wf, 1000);
}

static int without_end(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    flo_spawn(wf, "first", spawns, NULL);
    return flo_signal_await(wf, "never", -1, NULL);
}

/* ---- nothing sent ---- */

static int sends_nothing(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_channel *channel = flo_channel_new(wf, 1);
    (void)input;
    int sent = flo_channel_send(wf, channel, NULL);
    int tried = flo_channel_try_send(wf, channel, NULL);
    *out_result = json_pack("[b,b,i]", sent == FLO_EINVAL, tried == FLO_EINVAL,
                            (int)flo_channel_count(channel));
    return 0;
}

static const struct flo_workflow_entry workflows[] = {
    {"Holds", holds},
    {"UsesEnded", uses_ended},
    {"WithoutEnd", without_end},
    {"SendsNothing", sends_nothing},
    {NULL, NULL},
};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

static void expect_refusal(struct story *s, const char *query, const char *says)
{
    s->legacy_query = query;
    const char *answer = story_answer(s);
    if (!strstr(answer, says))
        fail_msg("%s: %s", query, answer);
}

/* Its offers and waits do not outlive it, and the run goes on as if nobody had asked. */
static void test_query_that_takes_locks_fails_alone(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Holds; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=1");
    expect_refusal(s, "mutex", "may only look, but it locks a mutex");
    expect_refusal(s, "semaphore", "may only look, but it acquires a semaphore");
    expect_refusal(s, "condition", "may only look, but it starts a timer");
    expect_refusal(s, "release", "may only look, but it releases a future");
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[0,0,true,true]");
    story_expect_replayed(s, "Complete result=[0,0,true,true]");
}

/* It belongs to nobody any more, but looking at it is safe. */
static void test_ended_coroutine_is_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=UsesEnded; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1000\nStartTimer id=2 ms=1");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerStarted id=2; TimerFired id=1");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[true,true,0,'']");
}

/* The task fails with a sentence, long before the machine is out of memory. */
static void test_coroutines_without_end_fail_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=WithoutEnd; WFTScheduled; WFTStarted");
    const char *answer = story_answer(s);
    if (!strstr(answer, "coroutines at a time"))
        fail_msg("%s", answer);
}

static void test_channel_is_not_sent_nothing(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=SendsNothing; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[true,true,0]");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, story_teardown)
    const struct CMUnitTest tests[] = {
        T(test_query_that_takes_locks_fails_alone),
        T(test_ended_coroutine_is_refused),
        T(test_coroutines_without_end_fail_the_task),
        T(test_channel_is_not_sent_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
