/* SPDX-License-Identifier: Apache-2.0 */
/* test_channels.c - channels between coroutines, and select over all that can be waited for. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

struct pipe {
    struct flo_channel *channel;
    json_t *seen; /* what happened, in order */
};

static int sends(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    const struct pipe *pipe = arg;
    int rc = 0;
    for (int i = 1; i <= 4 && rc == 0; i++) {
        json_t *value = json_integer(i);
        rc = flo_channel_send(wf, pipe->channel, value);
        json_decref(value);
        json_array_append_new(pipe->seen, json_integer(-i));
    }
    flo_channel_close(wf, pipe->channel);
    *out_result = json_true();
    return rc;
}

/* Main receives what another coroutine sends, until the channel is closed. */
static int receive_all(struct flo_workflow *wf, size_t capacity, json_t **out_result)
{
    struct pipe pipe = {flo_channel_new(wf, capacity), json_array()};
    struct flo_future *sender = flo_spawn(wf, "sender", sends, &pipe);
    json_t *value;
    int rc;
    while ((rc = flo_channel_receive(wf, pipe.channel, &value)) == 0)
        json_array_append_new(pipe.seen, value);
    if (rc == FLO_ECLOSED)
        rc = flo_await(wf, sender, NULL);
    *out_result = pipe.seen;
    return rc;
}

static int unbuffered(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    return receive_all(wf, 0, out_result);
}

static int buffered(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    return receive_all(wf, 2, out_result);
}

static int works(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    const struct pipe *pipe = arg;
    json_t *order, *done;
    int rc, count = 0;
    while ((rc = flo_channel_receive(wf, pipe->channel, &order)) == 0) {
        rc = flo_activity(wf, "work", order, &options, &done);
        json_decref(order);
        if (rc)
            return rc;
        json_array_append_new(pipe->seen, done);
        count++;
    }
    *out_result = json_integer(count);
    return rc == FLO_ECLOSED ? 0 : rc;
}

/* Two workers share three orders, which come from signals. */
static int pool(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct pipe pipe = {flo_channel_new(wf, 0), json_array()};
    struct flo_group *workers = flo_group_new(wf);
    int rc = 0;
    (void)input;
    for (int i = 0; i < 2; i++)
        flo_group_add(workers, flo_spawn(wf, "worker", works, &pipe));
    for (int i = 0; i < 3 && rc == 0; i++) {
        json_t *order;
        rc = flo_signal_await(wf, "order", -1, &order);
        if (rc == 0) {
            rc = flo_channel_send(wf, pipe.channel, order);
            json_decref(order);
        }
    }
    flo_channel_close(wf, pipe.channel);
    json_t *counts = NULL;
    if (rc == 0)
        rc = flo_group_await_all(workers, &counts);
    *out_result = json_pack("{s:o,s:o*}", "done", pipe.seen, "counts", counts);
    return rc;
}

/* What the calls that do not wait say. */
static int tries(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct flo_channel *channel = flo_channel_new(wf, 1);
    json_t *value = json_string("v"), *got = NULL;
    int empty = flo_channel_try_receive(wf, channel, &got);
    int sent = flo_channel_try_send(wf, channel, value);
    int full = flo_channel_try_send(wf, channel, value);
    size_t count = flo_channel_count(channel);
    flo_channel_close(wf, channel);
    flo_channel_close(wf, channel);
    int closed = flo_channel_send(wf, channel, value);
    int received = flo_channel_try_receive(wf, channel, &got);
    int over = flo_channel_receive(wf, channel, NULL);
    json_decref(value);
    *out_result =
        json_pack("[i,i,i,i,i,i,i,o]", empty, sent, full, (int)count, closed, received, over, got);
    return 0;
}

/* One of four: an activity, a signal, a value, or time; until it has seen each. */
static int select_all(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct pipe pipe = {flo_channel_new(wf, 0), json_array()};
    json_t *value = NULL, *signal = NULL, *seen = json_array();
    struct flo_future *work = flo_activity_start(wf, "work", input, &options);
    struct flo_future *sender = flo_spawn(wf, "sender", sends, &pipe);
    const struct flo_case cases[] = {
        {.kind = FLO_CASE_FUTURE, .future = work},
        {.kind = FLO_CASE_SIGNAL, .signal = "stop", .out_value = &signal},
        {.kind = FLO_CASE_RECEIVE, .channel = pipe.channel, .out_value = &value},
    };
    for (;;) {
        size_t which;
        /* Once the channel is closed it is left out: it could be received from for ever. */
        int rc = flo_select(wf, cases, json_array_size(seen) < 5 ? 3 : 2, 5000, &which);
        if (rc == FLO_ETIMEDOUT)
            json_array_append_new(seen, json_string("time"));
        else if (rc == 0 && which == 1) {
            json_array_append_new(seen, signal);
            break;
        } else if (rc == 0 && which == 0) {
            json_array_append_new(seen, json_string("work"));
            break;
        } else if (rc && rc != FLO_ECLOSED)
            return rc;
        else
            json_array_append_new(seen, rc ? json_string("closed") : value);
    }
    *out_result = seen;
    return flo_await(wf, sender, NULL);
}

static int offers(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct flo_channel *const *channels = arg;
    json_t *a = json_string("a"), *b = json_string("b");
    const struct flo_case cases[] = {
        {.kind = FLO_CASE_SEND, .channel = channels[0], .value = a},
        {.kind = FLO_CASE_SEND, .channel = channels[1], .value = b},
    };
    size_t which;
    int rc = flo_select(wf, cases, 2, -1, &which);
    json_decref(a);
    json_decref(b);
    *out_result = json_integer((json_int_t)which);
    return rc;
}

/* A select that offers a value on two channels gives it to one of them alone. */
static int rendezvous(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct flo_channel *channels[] = {flo_channel_new(wf, 0), flo_channel_new(wf, 0)};
    struct flo_future *one = flo_spawn(wf, "one", offers, channels);
    struct flo_future *two = flo_spawn(wf, "two", offers, channels);
    json_t *first = NULL, *second = NULL, *a = NULL, *b = NULL;
    const struct flo_case either[] = {
        {.kind = FLO_CASE_RECEIVE, .channel = channels[1], .out_value = &a},
        {.kind = FLO_CASE_RECEIVE, .channel = channels[0], .out_value = &a},
    };
    size_t which;
    int rc = flo_sleep(wf, 1);
    if (rc == 0)
        rc = flo_select(wf, either, 2, -1, &which);
    if (rc == 0)
        rc = flo_channel_receive(wf, channels[0], &b);
    if (rc == 0)
        rc = flo_await(wf, one, &first);
    if (rc == 0)
        rc = flo_await(wf, two, &second);
    if (rc == 0)
        *out_result = json_pack("[o,o,o,o,i]", a, b, first, second,
                                flo_channel_try_receive(wf, channels[1], NULL));
    return rc;
}

/* Cases that cannot be, and a select that does not wait. */
static int bad_cases(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct flo_channel *channel = flo_channel_new(wf, 0);
    const struct flo_case send = {.kind = FLO_CASE_SEND, .channel = channel};
    const struct flo_case future = {.kind = FLO_CASE_FUTURE};
    const struct flo_case receive = {.kind = FLO_CASE_RECEIVE, .channel = channel};
    const struct flo_case many[6] = {receive, receive, receive, receive, receive, receive};
    size_t which;
    int first = flo_select(wf, &send, 1, -1, &which),
        second = flo_select(wf, &future, 1, 0, &which);
    int third = flo_select(wf, &receive, 1, 0, &which),
        fourth = flo_select(wf, many, 6, 10, &which);
    *out_result = json_pack("[i,i,i,i]", first, second, third, fourth);
    return 0;
}

static const struct flo_workflow_entry workflows[] = {{"Unbuffered", unbuffered},
                                                      {"Buffered", buffered},
                                                      {"Pool", pool},
                                                      {"Tries", tries},
                                                      {"Select", select_all},
                                                      {"Rendezvous", rendezvous},
                                                      {"BadCases", bad_cases},
                                                      {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

#define WORK(id, input) "ScheduleActivity id=" id " type=work queue=queue stc=30000 input=" input

/* A sender is let go when its value was taken. */
static void test_unbuffered_channel_hands_over(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Unbuffered; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[-1,1,2,-2,-3,3,4,-4]");
    story_expect_replayed(s, "Complete result=[-1,1,2,-2,-3,3,4,-4]");
}

/* A sender runs ahead as far as there is room. */
static void test_buffered_channel_keeps_values(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Buffered; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[-1,-2,-3,1,2,3,4,-4]");
}

static void test_channel_shares_work(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Pool; WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; Signaled name=order input=1; Signaled name=order input=2");
    story_tell(s, "Signaled name=order input=3; WFTScheduled; WFTStarted");
    story_expect(s, WORK("1", "1") "\n" WORK("2", "2"));
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work");
    story_tell(s, "ActivityScheduled id=2 type=work; ActivityCompleted scheduled=12 result=20");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, WORK("3", "3"));
    story_tell(s, "WFTCompleted; ActivityScheduled id=3 type=work");
    story_tell(s, "ActivityCompleted scheduled=11 result=10");
    story_tell(s, "ActivityCompleted scheduled=17 result=30; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result={'done':[20,10,30],'counts':[1,2]}");
    story_expect_replayed(s, "Complete result={'done':[20,10,30],'counts':[1,2]}");
}

static void test_calls_that_do_not_wait(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Tries; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[-3,0,-5,1,-6,0,-6,'v']");
}

static void test_select_takes_what_comes_first(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Select input=1; WFTScheduled; WFTStarted");
    story_expect(s, WORK("1", "1") "\nStartTimer id=4 ms=5000");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; TimerStarted id=4");
    story_tell(s, "TimerFired id=4; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=5 ms=5000");
    story_tell(s, "WFTCompleted; TimerStarted id=5; Signaled name=stop input='enough'");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=5\nComplete result=[1,2,3,4,'closed','time','enough']");
    story_expect_replayed(s,
                          "CancelTimer id=5\nComplete result=[1,2,3,4,'closed','time','enough']");
}

static void test_value_of_a_select_goes_to_one_receiver(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Rendezvous; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=['b','a',1,0,-3]");
    story_expect_replayed(s, "Complete result=['b','a',1,0,-3]");
}

static void test_cases_that_lack_something_are_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=BadCases; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=10");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[-2,-2,-7,-7]");
}

/* Whatever the code waits for, a cancel request ends the wait. */
static void test_cancel_request_ends_each_wait(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Pool; WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "Cancel");
    story_drop_at_each_task(s);
    s->event_count = s->delivered = 0;
    s->previous_started = 0;
    story_tell(s, "Started type=Select input=1; WFTScheduled; WFTStarted");
    story_answer(s);
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; TimerStarted id=4");
    story_tell(s, "CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=5\nCancelTimer id=4\nCancel");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown_dropping)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_unbuffered_channel_hands_over),
        T(test_buffered_channel_keeps_values),
        T(test_channel_shares_work),
        T(test_calls_that_do_not_wait),
        T(test_select_takes_what_comes_first),
        T(test_value_of_a_select_goes_to_one_receiver),
        T(test_cases_that_lack_something_are_refused),
        T(test_cancel_request_ends_each_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
