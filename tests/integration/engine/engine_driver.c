/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_driver.c - plays clients and workers of an engine below any SDK, over the real gRPC
 * client.
 *
 *   engine_driver start ADDRESS PREFIX COUNT IN_FLIGHT FILE   start workflows; after each
 *       acknowledgement append "workflow-id run-id" to FILE. Stops when COUNT are started or the
 *       engine is gone; prints how many were acknowledged, at the end and after each 20.
 *   engine_driver sleep ADDRESS PREFIX COUNT IN_FLIGHT FILE SECONDS
 *       the same, but their first task comes so much later
 *   engine_driver signal ADDRESS FILE
 *       signals every run in FILE
 *   engine_driver verify ADDRESS FILE
 *       every run in FILE is there, with the run id that was given
 *   engine_driver terminate ADDRESS FILE
 *       terminates every run in FILE
 *   engine_driver echo ADDRESS COUNT IN_FLIGHT
 *       whole echo workflows: one activity, sticky queue
 *   engine_driver poll ADDRESS COUNT
 *       hold COUNT polls; prints "polling"; ends when all have ended
 *
 * One loop, one connection. Exit code 0 when the mode's promise held.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/random.h"
#include "grpc/client.h"
#include "wire/api.h"
#include "wire/decode.h"

#define SERVICE "/temporal.api.workflowservice.v1.WorkflowService/"
#define QUEUE "driver"
#define STICKY "driver-sticky"
#define POLLS 8

struct driver {
    struct event_base *base;
    struct flo_grpc_channel *channel;
    const char *prefix;
    FILE *file;
    long count, in_flight, started, acknowledged, finished, failed;
    long delay_s; /* of the first task of those that are started */
    bool stopped; /* the connection is gone or the work is done */
    int64_t *latencies;
};

struct call;
typedef void (*done_fn)(struct call *call, const struct flo_grpc_status *status,
                        const uint8_t *body, size_t len);

struct call {
    struct driver *driver;
    done_fn done;
    int64_t begun_ns;
    char id[96];
    char run_id[64];
};

static void stop(struct driver *d)
{
    d->stopped = true;
    event_base_loopbreak(d->base);
}

static void on_done(void *ctx, const struct flo_grpc_status *status, const uint8_t *body,
                    size_t len)
{
    struct call *call = ctx;
    call->done(call, status, body, len);
    flo_free(call);
}

static void die(const char *what)
{
    fprintf(stderr, "engine_driver: %s\n", what);
    exit(2);
}

static struct call *new_call(struct driver *d, done_fn done)
{
    struct call *call = flo_calloc(1, sizeof *call);
    if (!call)
        die("out of memory");
    call->driver = d;
    call->done = done;
    call->begun_ns = flo_clock_mono_ns();
    return call;
}

static void send_call(struct call *call, const char *path, const ProtobufCMessage *request,
                      int64_t timeout_ms)
{
    struct flo_buf body;
    flo_buf_init(&body, 0);
    const struct driver *d = call->driver;
    struct flo_grpc_call_options options = {.path = path,
                                            .timeout_ms = timeout_ms,
                                            /* later, an engine that is gone stays gone */
                                            .wait_for_ready = d->acknowledged + d->finished == 0,
                                            .done = on_done,
                                            .ctx = call};
    if (flo_wire_encode(request, &body))
        die("cannot encode a request");
    options.body = body.data;
    options.body_len = body.len;
    if (flo_grpc_call_start(call->driver->channel, &options, NULL))
        die("cannot start a call");
    flo_buf_fini(&body);
}

/* The response, decoded into arena. */
static void *decode(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t len,
                    struct flo_arena *arena)
{
    ProtobufCMessage *message;
    struct flo_err err;
    flo_arena_init(arena, 0);
    if (flo_wire_decode(type, body, len, arena, &message, &err))
        die(err.message);
    return message;
}

#define TEXT(literal) ((char *)(uintptr_t)(literal))

static void init_queue(FloApi__TaskQueue *queue, bool sticky)
{
    flo_api__task_queue__init(queue);
    queue->name = TEXT(sticky ? STICKY : QUEUE);
    queue->kind = sticky ? FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY
                         : FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    if (sticky)
        queue->normal_name = TEXT(QUEUE);
}

/* ---- start ---- */

static void start_next(struct driver *d, done_fn done)
{
    FloApi__StartWorkflowExecutionRequest request;
    FloApi__WorkflowType type;
    FloApi__TaskQueue queue;
    struct call *call = new_call(d, done);
    snprintf(call->id, sizeof call->id, "%s-%ld", d->prefix, d->started++);
    flo_api__start_workflow_execution_request__init(&request);
    flo_api__workflow_type__init(&type);
    init_queue(&queue, false);
    type.name = TEXT("Echo");
    request.namespace_ = TEXT("default");
    request.workflow_id = call->id;
    request.workflow_type = &type;
    request.task_queue = &queue;
    request.request_id = call->id;
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    delay.seconds = d->delay_s;
    request.workflow_start_delay = d->delay_s ? &delay : NULL;
    send_call(call, SERVICE "StartWorkflowExecution", &request.base, 10000);
}

static void started_for_file(struct call *call, const struct flo_grpc_status *status,
                             const uint8_t *body, size_t len)
{
    struct driver *d = call->driver;
    struct flo_arena arena;
    if (status->code != FLO_GRPC_OK) {
        stop(d);
        return;
    }
    const FloApi__StartWorkflowExecutionResponse *response =
        decode(&flo_api__start_workflow_execution_response__descriptor, body, len, &arena);
    fprintf(d->file, "%s %s\n", call->id, response->run_id);
    fflush(d->file);
    flo_arena_fini(&arena);
    if (++d->acknowledged % 20 == 0) {
        printf("%ld\n", d->acknowledged);
        fflush(stdout);
    }
    if (d->acknowledged == d->count)
        stop(d);
    else if (d->started < d->count)
        start_next(d, started_for_file);
}

static int run_start(struct driver *d, char **args)
{
    d->prefix = args[0];
    d->count = strtol(args[1], NULL, 10);
    d->in_flight = strtol(args[2], NULL, 10);
    d->file = fopen(args[3], "a");
    if (!d->file)
        die("cannot open the file");
    for (long i = 0; i < d->in_flight && d->started < d->count; i++)
        start_next(d, started_for_file);
    event_base_dispatch(d->base);
    fclose(d->file);
    printf("%ld acknowledged\n", d->acknowledged);
    return 0;
}

static int run_sleep(struct driver *d, char **args)
{
    d->delay_s = strtol(args[4], NULL, 10);
    return run_start(d, args);
}

/* ---- verify, signal, terminate ---- */

/* Count an answer about a run of the file. Was it OK? */
static bool count_answer(const struct call *call, const struct flo_grpc_status *status)
{
    struct driver *d = call->driver;
    d->in_flight--;
    d->finished++;
    if (status->code == FLO_GRPC_OK)
        return true;
    fprintf(stderr, "%s: %s: %s\n", call->id, flo_grpc_code_name(status->code), status->message);
    d->failed++;
    return false;
}

static void described(struct call *call, const struct flo_grpc_status *status, const uint8_t *body,
                      size_t len)
{
    struct flo_arena arena;
    if (!count_answer(call, status))
        return;
    const FloApi__DescribeWorkflowExecutionResponse *response =
        decode(&flo_api__describe_workflow_execution_response__descriptor, body, len, &arena);
    const FloApi__WorkflowExecutionInfo *info = response->workflow_execution_info;
    if (!info || !info->execution || strcmp(info->execution->run_id, call->run_id) != 0) {
        fprintf(stderr, "%s: another run than %s\n", call->id, call->run_id);
        call->driver->failed++;
    }
    flo_arena_fini(&arena);
}

/* A call about a run, and the run as its request names it. */
static struct call *new_call_about(struct driver *d, done_fn done, const char *id,
                                   const char *run_id, FloApi__WorkflowExecution *out_execution)
{
    struct call *call = new_call(d, done);
    snprintf(call->id, sizeof call->id, "%s", id);
    snprintf(call->run_id, sizeof call->run_id, "%s", run_id);
    flo_api__workflow_execution__init(out_execution);
    out_execution->workflow_id = call->id;
    out_execution->run_id = call->run_id;
    return call;
}

static void describe(struct driver *d, const char *id, const char *run_id)
{
    FloApi__DescribeWorkflowExecutionRequest request;
    FloApi__WorkflowExecution execution;
    struct call *call = new_call_about(d, described, id, run_id, &execution);
    execution.run_id = TEXT(""); /* the newest: is it this one? */
    flo_api__describe_workflow_execution_request__init(&request);
    request.namespace_ = TEXT("default");
    request.execution = &execution;
    send_call(call, SERVICE "DescribeWorkflowExecution", &request.base, 30000);
}

static void answered(struct call *call, const struct flo_grpc_status *status, const uint8_t *body,
                     size_t len)
{
    (void)body, (void)len;
    (void)count_answer(call, status);
}

static void terminate(struct driver *d, const char *id, const char *run_id)
{
    FloApi__TerminateWorkflowExecutionRequest request;
    FloApi__WorkflowExecution execution;
    struct call *call = new_call_about(d, answered, id, run_id, &execution);
    flo_api__terminate_workflow_execution_request__init(&request);
    request.namespace_ = TEXT("default");
    request.workflow_execution = &execution;
    send_call(call, SERVICE "TerminateWorkflowExecution", &request.base, 30000);
}

static void signal_run(struct driver *d, const char *id, const char *run_id)
{
    FloApi__SignalWorkflowExecutionRequest request;
    FloApi__WorkflowExecution execution;
    struct call *call = new_call_about(d, answered, id, run_id, &execution);
    flo_api__signal_workflow_execution_request__init(&request);
    request.namespace_ = TEXT("default");
    request.workflow_execution = &execution;
    request.signal_name = TEXT("wake");
    request.request_id = call->id;
    send_call(call, SERVICE "SignalWorkflowExecution", &request.base, 30000);
}

/* Send a call about each run of the file, up to a hundred at a time. */
static int each_run(struct driver *d, const char *path,
                    void (*send)(struct driver *d, const char *id, const char *run_id))
{
    FILE *file = fopen(path, "r");
    char line[256], id[96], run_id[64];
    if (!file)
        die("cannot open the file");
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%95s %63s", id, run_id) != 2)
            die("a bad line in the file");
        send(d, id, run_id);
        for (d->in_flight++; d->in_flight > 100;)
            event_base_loop(d->base, EVLOOP_ONCE);
    }
    while (d->in_flight > 0)
        event_base_loop(d->base, EVLOOP_ONCE);
    fclose(file);
    return d->failed ? 1 : 0;
}

static int run_verify(struct driver *d, char **args)
{
    int code = each_run(d, args[0], describe);
    printf("%ld there, %ld not\n", d->finished - d->failed, d->failed);
    return code;
}

static int run_signal(struct driver *d, char **args)
{
    int code = each_run(d, args[0], signal_run);
    printf("%ld signalled, %ld not\n", d->finished - d->failed, d->failed);
    return code;
}

static int run_terminate(struct driver *d, char **args)
{
    int code = each_run(d, args[0], terminate);
    printf("%ld terminated, %ld not\n", d->finished - d->failed, d->failed);
    return code;
}

/* ---- echo: client, workflow worker and activity worker in one ---- */

static void poll_workflow(struct driver *d, bool sticky);
static void poll_activity(struct driver *d);

static void check(const struct driver *d, const struct flo_grpc_status *status, const char *what)
{
    if (status->code == FLO_GRPC_OK || d->stopped)
        return;
    fprintf(stderr, "engine_driver: %s: %s: %s\n", what, flo_grpc_code_name(status->code),
            status->message);
    exit(1);
}

static void responded(struct call *call, const struct flo_grpc_status *status, const uint8_t *body,
                      size_t len)
{
    (void)body, (void)len;
    check(call->driver, status, "respond");
}

/* Complete a workflow task with one command; sticky may be NULL. */
static void respond_task(struct driver *d, ProtobufCBinaryData token, FloApi__Command *command,
                         FloApi__StickyExecutionAttributes *sticky)
{
    FloApi__RespondWorkflowTaskCompletedRequest request;
    flo_api__respond_workflow_task_completed_request__init(&request);
    request.namespace_ = TEXT("default");
    request.task_token = token;
    request.sticky_attributes = sticky;
    request.commands = &command;
    request.n_commands = 1;
    send_call(new_call(d, responded), SERVICE "RespondWorkflowTaskCompleted", &request.base, 10000);
}

static void schedule_activity(struct driver *d, ProtobufCBinaryData token)
{
    FloApi__StickyExecutionAttributes sticky;
    FloApi__TaskQueue sticky_queue, queue;
    FloApi__Command command;
    FloApi__ScheduleActivityTaskCommandAttributes attributes;
    FloApi__ActivityType type;
    Google__Protobuf__Duration timeout;

    flo_api__sticky_execution_attributes__init(&sticky);
    flo_api__command__init(&command);
    flo_api__schedule_activity_task_command_attributes__init(&attributes);
    flo_api__activity_type__init(&type);
    google__protobuf__duration__init(&timeout);
    init_queue(&sticky_queue, true);
    init_queue(&queue, false);
    timeout.seconds = 10;
    type.name = TEXT("echo");
    attributes.activity_id = TEXT("1");
    attributes.activity_type = &type;
    attributes.task_queue = &queue;
    attributes.start_to_close_timeout = &timeout;
    command.command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK;
    command.attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    command.schedule_activity_task_command_attributes = &attributes;
    sticky.worker_task_queue = &sticky_queue;
    sticky.schedule_to_start_timeout = &timeout;
    respond_task(d, token, &command, &sticky);
}

static void complete_workflow(struct driver *d, ProtobufCBinaryData token)
{
    FloApi__Command command;
    FloApi__CompleteWorkflowExecutionCommandAttributes attributes;
    flo_api__command__init(&command);
    flo_api__complete_workflow_execution_command_attributes__init(&attributes);
    command.command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION;
    command.attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command.complete_workflow_execution_command_attributes = &attributes;
    respond_task(d, token, &command, NULL);
}

static void workflow_task(struct call *call, const struct flo_grpc_status *status,
                          const uint8_t *body, size_t len)
{
    struct driver *d = call->driver;
    struct flo_arena arena;
    if (d->stopped)
        return;
    check(d, status, "poll of a workflow task");
    poll_workflow(d, *call->id != '\0');
    const FloApi__PollWorkflowTaskQueueResponse *task =
        decode(&flo_api__poll_workflow_task_queue_response__descriptor, body, len, &arena);
    if (task->task_token.len && task->previous_started_event_id == 0)
        schedule_activity(d, task->task_token);
    else if (task->task_token.len)
        complete_workflow(d, task->task_token);
    flo_arena_fini(&arena);
}

static void poll_workflow(struct driver *d, bool sticky)
{
    FloApi__PollWorkflowTaskQueueRequest request;
    FloApi__TaskQueue queue;
    struct call *call = new_call(d, workflow_task);
    call->id[0] = sticky ? 's' : '\0';
    flo_api__poll_workflow_task_queue_request__init(&request);
    init_queue(&queue, sticky);
    request.namespace_ = TEXT("default");
    request.task_queue = &queue;
    request.identity = TEXT("driver");
    send_call(call, SERVICE "PollWorkflowTaskQueue", &request.base, 70000);
}

static void activity_task(struct call *call, const struct flo_grpc_status *status,
                          const uint8_t *body, size_t len)
{
    struct driver *d = call->driver;
    struct flo_arena arena;
    FloApi__RespondActivityTaskCompletedRequest request;
    if (d->stopped)
        return;
    check(d, status, "poll of an activity task");
    poll_activity(d);
    const FloApi__PollActivityTaskQueueResponse *task =
        decode(&flo_api__poll_activity_task_queue_response__descriptor, body, len, &arena);
    if (task->task_token.len) {
        flo_api__respond_activity_task_completed_request__init(&request);
        request.namespace_ = TEXT("default");
        request.task_token = task->task_token;
        send_call(new_call(d, responded), SERVICE "RespondActivityTaskCompleted", &request.base,
                  10000);
    }
    flo_arena_fini(&arena);
}

static void poll_activity(struct driver *d)
{
    FloApi__PollActivityTaskQueueRequest request;
    FloApi__TaskQueue queue;
    flo_api__poll_activity_task_queue_request__init(&request);
    init_queue(&queue, false);
    request.namespace_ = TEXT("default");
    request.task_queue = &queue;
    request.identity = TEXT("driver");
    send_call(new_call(d, activity_task), SERVICE "PollActivityTaskQueue", &request.base, 70000);
}

static void started_for_result(struct call *call, const struct flo_grpc_status *status,
                               const uint8_t *body, size_t len);

static void result_seen(struct call *call, const struct flo_grpc_status *status,
                        const uint8_t *body, size_t len)
{
    struct driver *d = call->driver;
    (void)body, (void)len;
    check(d, status, "wait for a result");
    d->latencies[d->finished++] = flo_clock_mono_ns() - call->begun_ns;
    if (d->finished == d->count)
        stop(d);
    else if (d->started < d->count)
        start_next(d, started_for_result);
}

static void started_for_result(struct call *call, const struct flo_grpc_status *status,
                               const uint8_t *body, size_t len)
{
    FloApi__GetWorkflowExecutionHistoryRequest request;
    FloApi__WorkflowExecution execution;
    struct flo_arena arena;
    check(call->driver, status, "start");
    const FloApi__StartWorkflowExecutionResponse *response =
        decode(&flo_api__start_workflow_execution_response__descriptor, body, len, &arena);
    struct call *wait = new_call(call->driver, result_seen);
    wait->begun_ns = call->begun_ns;
    flo_api__get_workflow_execution_history_request__init(&request);
    flo_api__workflow_execution__init(&execution);
    execution.workflow_id = call->id;
    execution.run_id = response->run_id;
    request.namespace_ = TEXT("default");
    request.execution = &execution;
    request.wait_new_event = true;
    request.history_event_filter_type =
        FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    send_call(wait, SERVICE "GetWorkflowExecutionHistory", &request.base, 70000);
    flo_arena_fini(&arena);
}

static int by_value(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int run_echo(struct driver *d, char **args)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "echo-%llx", (unsigned long long)flo_random_u64());
    d->prefix = prefix;
    d->count = strtol(args[0], NULL, 10);
    d->in_flight = strtol(args[1], NULL, 10);
    d->latencies = flo_calloc((size_t)d->count + 1, sizeof *d->latencies);
    if (!d->latencies || d->count < 1)
        die("a bad count");
    for (int i = 0; i < POLLS; i++) {
        poll_workflow(d, false);
        poll_workflow(d, true);
        poll_activity(d);
    }
    int64_t begun = flo_clock_mono_ns();
    for (long i = 0; i < d->in_flight && d->started < d->count; i++)
        start_next(d, started_for_result);
    event_base_dispatch(d->base);
    double seconds = (double)(flo_clock_mono_ns() - begun) / 1e9;
    qsort(d->latencies, (size_t)d->finished, sizeof *d->latencies, by_value);
    printf("%ld workflows, %.0f/s, p50 %.2f ms, p99 %.2f ms\n", d->finished,
           (double)d->finished / seconds, (double)d->latencies[d->finished / 2] / 1e6,
           (double)d->latencies[d->finished * 99 / 100] / 1e6);
    flo_free(d->latencies);
    return d->finished == d->count ? 0 : 1;
}

/* ---- poll ---- */

static void poll_ended(struct call *call, const struct flo_grpc_status *status, const uint8_t *body,
                       size_t len)
{
    struct driver *d = call->driver;
    (void)body, (void)len;
    if (status->code != FLO_GRPC_OK)
        d->failed++;
    if (++d->finished == d->count)
        stop(d);
}

static int run_poll(struct driver *d, char **args)
{
    d->count = strtol(args[0], NULL, 10);
    while (!flo_grpc_channel_connected(d->channel))
        event_base_loop(d->base, EVLOOP_ONCE);
    for (long i = 0; i < d->count; i++) {
        FloApi__PollActivityTaskQueueRequest request;
        FloApi__TaskQueue queue;
        flo_api__poll_activity_task_queue_request__init(&request);
        init_queue(&queue, false);
        queue.name = TEXT("held"); /* nobody else's tasks */
        request.namespace_ = TEXT("default");
        request.task_queue = &queue;
        send_call(new_call(d, poll_ended), SERVICE "PollActivityTaskQueue", &request.base, 70000);
    }
    puts("polling");
    fflush(stdout);
    event_base_dispatch(d->base);
    printf("%ld ended, %ld not with an empty answer\n", d->finished, d->failed);
    return d->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int args;
        int (*run)(struct driver *d, char **args);
    } modes[] = {
        {"start", 4, run_start},   {"verify", 1, run_verify}, {"terminate", 1, run_terminate},
        {"echo", 2, run_echo},     {"poll", 1, run_poll},     {"sleep", 5, run_sleep},
        {"signal", 1, run_signal},
    };
    struct driver d = {.base = event_base_new()};
    struct flo_err err = {0};
    for (size_t i = 0; argc > 2 && i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(argv[1], modes[i].name) != 0 || argc - 3 != modes[i].args)
            continue;
        struct flo_grpc_channel_options options = {.address = argv[2]};
        if (!d.base || flo_grpc_channel_new(d.base, &options, &d.channel, &err))
            die(err.message);
        int rc = modes[i].run(&d, argv + 3);
        d.stopped = true;
        flo_grpc_channel_destroy(&d.channel);
        event_base_free(d.base);
        return rc;
    }
    die("usage: start|sleep|signal|verify|terminate|echo|poll ADDRESS ...");
    return 2;
}
