/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_core.c - the core's own cost: echo workflows (one activity each) through flo_core_call,
 * without network and disk. usage: bench_engine_core [WORKFLOWS [AT_ONCE]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "engine/core/core.h"

enum { TOKEN_BYTES = 512, CALLS_PER_ECHO = 7 };

/* What the last call answered. */
static struct {
    uint8_t token[TOKEN_BYTES];
    size_t token_len;
    int code;
    bool answered;
} last;

static void on_reply(void *ctx, const struct flo_core_reply *reply)
{
    (void)ctx;
    const ProtobufCBinaryData *token = NULL;
    last.answered = true;
    last.code = reply->code;
    if (reply->code)
        return;
    if (reply->body->descriptor == &flo_api__poll_workflow_task_queue_response__descriptor)
        token = &((const FloApi__PollWorkflowTaskQueueResponse *)reply->body)->task_token;
    else if (reply->body->descriptor == &flo_api__poll_activity_task_queue_response__descriptor)
        token = &((const FloApi__PollActivityTaskQueueResponse *)reply->body)->task_token;
    if (!token || token->len > sizeof last.token)
        return;
    memcpy(last.token, token->data, token->len);
    last.token_len = token->len;
}

static int find_nothing(void *ctx, const char *namespace_id, const char *workflow_id,
                        const char *run_id, struct flo_core_stored_run *out)
{
    (void)ctx, (void)namespace_id, (void)workflow_id, (void)run_id, (void)out;
    return FLO_ENOENT;
}

static struct flo_core *core;
static uint64_t calls;
static int64_t now_ns = INT64_C(1767225600000000000);

static void commit(void)
{
    struct flo_core_batch *batch;
    if (flo_core_take_batch(core, &batch) || !batch)
        return;
    const uint64_t seq = batch->seq;
    flo_core_batch_free(&batch);
    flo_core_committed(core, seq);
}

static void call(const char *name, const ProtobufCMessage *request)
{
    const struct flo_core_call_info info = {
        .id = ++calls, .deadline_ns = now_ns + 60 * FLO_NS_PER_S, .client_name = ""};
    now_ns += 1000;
    last.answered = false;
    flo_core_begin(core, now_ns);
    flo_core_call(core, name, &info, request);
    if (!last.answered || last.code) {
        fprintf(stderr, "%s: %s\n", name, last.answered ? "refused" : "waits");
        exit(1);
    }
}

static FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;

static void start(int number)
{
    FloApi__StartWorkflowExecutionRequest request = FLO_API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WorkflowType type = FLO_API__WORKFLOW_TYPE__INIT;
    char id[32];
    snprintf(id, sizeof id, "wf-%d", number);
    type.name = "Echo";
    request.namespace_ = "default";
    request.workflow_id = id;
    request.workflow_type = &type;
    request.task_queue = &queue;
    request.request_id = id;
    call("StartWorkflowExecution", &request.base);
}

static void workflow_task(bool first)
{
    FloApi__PollWorkflowTaskQueueRequest poll = FLO_API__POLL_WORKFLOW_TASK_QUEUE_REQUEST__INIT;
    poll.namespace_ = "default";
    poll.task_queue = &queue;
    poll.identity = "bench";
    call("PollWorkflowTaskQueue", &poll.base);
    FloApi__RespondWorkflowTaskCompletedRequest done =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__INIT;
    FloApi__Command command = FLO_API__COMMAND__INIT, *commands[] = {&command};
    FloApi__ScheduleActivityTaskCommandAttributes schedule =
        FLO_API__SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES__INIT;
    FloApi__CompleteWorkflowExecutionCommandAttributes complete =
        FLO_API__COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES__INIT;
    FloApi__ActivityType type = FLO_API__ACTIVITY_TYPE__INIT;
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    type.name = "echo";
    timeout.seconds = 10;
    schedule.activity_id = "1";
    schedule.activity_type = &type;
    schedule.task_queue = &queue;
    schedule.start_to_close_timeout = &timeout;
    if (first) {
        command.command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK;
        command.attributes_case =
            FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
        command.schedule_activity_task_command_attributes = &schedule;
    } else {
        command.command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION;
        command.attributes_case =
            FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
        command.complete_workflow_execution_command_attributes = &complete;
    }
    done.task_token = (ProtobufCBinaryData){.data = last.token, .len = last.token_len};
    done.identity = "bench";
    done.commands = commands;
    done.n_commands = 1;
    call("RespondWorkflowTaskCompleted", &done.base);
}

static void activity_task(void)
{
    FloApi__PollActivityTaskQueueRequest poll = FLO_API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    poll.namespace_ = "default";
    poll.task_queue = &queue;
    poll.identity = "bench";
    call("PollActivityTaskQueue", &poll.base);
    FloApi__RespondActivityTaskCompletedRequest done =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    done.task_token = (ProtobufCBinaryData){.data = last.token, .len = last.token_len};
    done.identity = "bench";
    call("RespondActivityTaskCompleted", &done.base);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    const int workflows = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 50000;
    const int at_once = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 50;
    const struct flo_core_env env = {.reply = on_reply, .store = {.find = find_nothing}, .seed = 1};
    queue.name = "queue";
    if (workflows < 1 || at_once < 1 || flo_core_new(&env, NULL, &core) ||
        flo_core_ensure_namespace(core, "default", 0))
        return 1;
    const double before = cpu_seconds();
    for (int done = 0; done < workflows; done += at_once) {
        for (int i = 0; i < at_once; i++)
            start(done + i);
        commit();
        for (int i = 0; i < at_once; i++)
            workflow_task(true);
        commit();
        for (int i = 0; i < at_once; i++)
            activity_task();
        commit();
        for (int i = 0; i < at_once; i++)
            workflow_task(false);
        commit();
    }
    const double seconds = cpu_seconds() - before;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%d echo workflows, %d at once: %.1f us of CPU each, %.1f us a call; %ld MiB at most\n",
           workflows, at_once, 1e6 * seconds / workflows,
           1e6 * seconds / workflows / CALLS_PER_ECHO, usage.ru_maxrss / 1024);
    flo_core_destroy(&core);
    return 0;
}
