/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skip_driver.c - asks the test service of an engine that was started with a port alone:
 *
 *   engine_skip_driver ADDRESS      exit code 0 when its clock did all that it should
 */
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "grpc/client.h"
#include "wire/api.h"
#include "wire/decode.h"

#define TESTS "/temporal.api.testservice.v1.TestService/"
#define WORKFLOWS "/temporal.api.workflowservice.v1.WorkflowService/"
#define DAY INT64_C(86400)
#define TIMEOUT_MS 60000
#define TEXT(literal) ((char *)(uintptr_t)(literal))

struct driver {
    struct event_base *base;
    struct flo_grpc_channel *channel;
    struct flo_arena arena; /* answers */
};

struct call {
    struct driver *driver;
    const ProtobufCMessageDescriptor *type; /* of the answer */
    bool done;
    int code;
    ProtobufCMessage *body; /* of an OK */
};

static void fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void on_done(void *ctx, const struct flo_grpc_status *status, const uint8_t *body,
                    size_t len)
{
    struct call *call = ctx;
    struct flo_err err;
    call->done = true;
    call->code = status->code;
    if (status->code == FLO_GRPC_OK &&
        flo_wire_decode(call->type, body, len, &call->driver->arena, &call->body, &err))
        fail("%s", err.message);
}

/* Begin a call; call lives until it is done. */
static void begin(struct call *call, const char *path, const ProtobufCMessage *request)
{
    struct flo_buf body;
    struct flo_grpc_call_options options = {.path = path,
                                            .timeout_ms = TIMEOUT_MS,
                                            .wait_for_ready = true,
                                            .done = on_done,
                                            .ctx = call};
    flo_buf_init(&body, 0);
    if (flo_wire_encode(request, &body))
        fail("no memory");
    options.body = body.data;
    options.body_len = body.len;
    if (flo_grpc_call_start(call->driver->channel, &options, NULL))
        fail("cannot call %s", path);
    flo_buf_fini(&body);
}

static int await(struct call *call)
{
    while (!call->done)
        event_base_loop(call->driver->base, EVLOOP_ONCE);
    return call->code;
}

static int64_t now_s(struct driver *d)
{
    Google__Protobuf__Empty request;
    struct call call = {.driver = d, .type = &flo_api__get_current_time_response__descriptor};
    google__protobuf__empty__init(&request);
    begin(&call, TESTS "GetCurrentTime", &request.base);
    if (await(&call))
        fail("GetCurrentTime: code %d", call.code);
    return ((const FloApi__GetCurrentTimeResponse *)call.body)->time->seconds;
}

static int lock(struct driver *d)
{
    FloApi__LockTimeSkippingRequest request;
    struct call call = {.driver = d, .type = &flo_api__lock_time_skipping_response__descriptor};
    flo_api__lock_time_skipping_request__init(&request);
    begin(&call, TESTS "LockTimeSkipping", &request.base);
    return await(&call);
}

static int unlock(struct driver *d)
{
    FloApi__UnlockTimeSkippingRequest request;
    struct call call = {.driver = d, .type = &flo_api__unlock_time_skipping_response__descriptor};
    flo_api__unlock_time_skipping_request__init(&request);
    begin(&call, TESTS "UnlockTimeSkipping", &request.base);
    return await(&call);
}

static void begin_sleep(struct call *call, const char *path, int64_t seconds, int32_t nanos)
{
    Google__Protobuf__Duration duration;
    FloApi__SleepRequest request;
    google__protobuf__duration__init(&duration);
    flo_api__sleep_request__init(&request);
    duration.seconds = seconds;
    duration.nanos = nanos;
    request.duration = &duration;
    call->type = &flo_api__sleep_response__descriptor;
    begin(call, path, &request.base);
}

static int sleep_for(struct driver *d, const char *path, int64_t seconds, int32_t nanos)
{
    struct call call = {.driver = d};
    begin_sleep(&call, path, seconds, nanos);
    return await(&call);
}

static int sleep_until(struct driver *d, int64_t seconds)
{
    Google__Protobuf__Timestamp timestamp;
    FloApi__SleepUntilRequest request;
    struct call call = {.driver = d, .type = &flo_api__sleep_response__descriptor};
    google__protobuf__timestamp__init(&timestamp);
    flo_api__sleep_until_request__init(&request);
    timestamp.seconds = seconds;
    request.timestamp = &timestamp;
    begin(&call, TESTS "SleepUntil", &request.base);
    return await(&call);
}

/* A workflow whose first task is due in a month. */
static void start_in_a_month(struct driver *d)
{
    FloApi__StartWorkflowExecutionRequest request;
    FloApi__WorkflowType type;
    FloApi__TaskQueue queue;
    Google__Protobuf__Duration delay;
    struct call call = {.driver = d,
                        .type = &flo_api__start_workflow_execution_response__descriptor};
    flo_api__start_workflow_execution_request__init(&request);
    flo_api__workflow_type__init(&type);
    flo_api__task_queue__init(&queue);
    google__protobuf__duration__init(&delay);
    type.name = queue.name = request.workflow_id = request.request_id = TEXT("month");
    request.namespace_ = TEXT("default");
    request.workflow_type = &type;
    request.task_queue = &queue;
    delay.seconds = 30 * DAY;
    request.workflow_start_delay = &delay;
    begin(&call, WORKFLOWS "StartWorkflowExecution", &request.base);
    if (await(&call))
        fail("StartWorkflowExecution: code %d", call.code);
}

static void begin_poll(struct call *call)
{
    FloApi__PollWorkflowTaskQueueRequest request;
    FloApi__TaskQueue queue;
    flo_api__poll_workflow_task_queue_request__init(&request);
    flo_api__task_queue__init(&queue);
    queue.name = TEXT("month");
    request.namespace_ = TEXT("default");
    request.task_queue = &queue;
    call->type = &flo_api__poll_workflow_task_queue_response__descriptor;
    begin(call, WORKFLOWS "PollWorkflowTaskQueue", &request.base);
}

/* The clock stands at `least` at least; not more than a minute later. */
static void expect_time(struct driver *d, int64_t least, const char *when)
{
    int64_t now = now_s(d);
    if (now < least || now > least + 60)
        fail("%s the clock shows %lld, not %lld", when, (long long)now, (long long)least);
}

static void expect(int code, int wanted, const char *what)
{
    if (code != wanted)
        fail("%s: code %d, not %d", what, code, wanted);
}

static void check_sleeps(struct driver *d)
{
    const int64_t begun = now_s(d);
    const int64_t mono = flo_clock_mono_ns();
    expect(sleep_for(d, TESTS "Sleep", 0, 200000000), FLO_GRPC_OK, "a sleep under the lock");
    if (flo_clock_mono_ns() - mono < INT64_C(200000000))
        fail("a sleep under the lock was too short");
    expect(sleep_until(d, begun - DAY), FLO_GRPC_OK, "a sleep until yesterday");
    expect(sleep_for(d, TESTS "UnlockTimeSkippingWithSleep", DAY, 0), FLO_GRPC_OK, "a day");
    expect_time(d, begun + DAY, "after a day");
    expect(lock(d), FLO_GRPC_OK, "a second lock");
    expect(unlock(d), FLO_GRPC_OK, "its end");
    expect_time(d, begun + DAY, "with a lock left");
    expect(unlock(d), FLO_GRPC_OK, "the last lock's end");
    expect(unlock(d), FLO_GRPC_UNKNOWN, "the end of a lock that is not there");
    expect(sleep_for(d, TESTS "UnlockTimeSkippingWithSleep", 1, 0), FLO_GRPC_UNKNOWN,
           "the same with a sleep");
    expect(sleep_for(d, TESTS "Sleep", DAY, 0), FLO_GRPC_OK, "a day without a lock");
    expect(sleep_until(d, begun + 3 * DAY), FLO_GRPC_OK, "a third day");
    expect_time(d, begun + 3 * DAY, "after three days");
    expect(lock(d), FLO_GRPC_OK, "the lock again");
}

/* A month until the first task, then a day that must wait for that task's end. */
static void check_workflow(struct driver *d)
{
    const int64_t begun = now_s(d);
    struct call poll = {.driver = d}, sleep = {.driver = d};
    start_in_a_month(d);
    begin_poll(&poll);
    expect_time(d, begun, "while the clock is locked");
    expect(unlock(d), FLO_GRPC_OK, "the lock's end");
    expect(await(&poll), FLO_GRPC_OK, "the poll");
    if (((const FloApi__PollWorkflowTaskQueueResponse *)poll.body)->task_token.len == 0)
        fail("the poll was answered without a task");
    expect_time(d, begun + 30 * DAY, "at the first task");
    begin_sleep(&sleep, TESTS "Sleep", DAY, 0);
    expect_time(d, begun + 30 * DAY, "while a task is started");
    expect_time(d, begun + 30 * DAY, "still");

    FloApi__TerminateWorkflowExecutionRequest request;
    FloApi__WorkflowExecution execution;
    struct call end = {.driver = d,
                       .type = &flo_api__terminate_workflow_execution_response__descriptor};
    flo_api__terminate_workflow_execution_request__init(&request);
    flo_api__workflow_execution__init(&execution);
    execution.workflow_id = TEXT("month");
    request.namespace_ = TEXT("default");
    request.workflow_execution = &execution;
    if (sleep.done)
        fail("the clock did not wait for the task");
    begin(&end, WORKFLOWS "TerminateWorkflowExecution", &request.base);
    expect(await(&end), FLO_GRPC_OK, "the end of the workflow");
    expect(await(&sleep), FLO_GRPC_OK, "the sleep behind it");
    expect_time(d, begun + 31 * DAY, "at the end");
}

int main(int argc, char **argv)
{
    struct driver d = {.base = event_base_new()};
    struct flo_grpc_channel_options options = {.address = argc > 1 ? argv[1] : ""};
    struct flo_err err = {0};
    if (!d.base || flo_grpc_channel_new(d.base, &options, &d.channel, &err))
        fail("%s", err.message);
    flo_arena_init(&d.arena, 0);
    check_sleeps(&d);
    check_workflow(&d);
    flo_arena_fini(&d.arena);
    flo_grpc_channel_destroy(&d.channel);
    event_base_free(d.base);
    return 0;
}
