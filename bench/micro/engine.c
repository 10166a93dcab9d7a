/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - echo workflows (one activity each, 50 at once) through the engine's core, without
 * network and disk; and the batches that this makes, committed to a database on disk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/core/core.h"
#include "engine/store/store.h"
#include "micro.h"

enum {
    AT_ONCE = 50,
    BATCHES = 4, /* of one round: started; first task done; activity done; closed */
    TOKEN_BYTES = 512,
};

/* What the last call answered. */
static struct {
    uint8_t token[TOKEN_BYTES];
    size_t token_len;
    int code;
    bool answered;
} last;

static struct flo_core *core;
static uint64_t calls, started;
static int64_t now_ns;
static FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;

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

static void call(const char *name, const ProtobufCMessage *request)
{
    const struct flo_core_call_info info = {
        .id = ++calls, .deadline_ns = now_ns + 60 * FLO_NS_PER_S, .client_name = ""};
    now_ns += 1000;
    last.answered = false;
    flo_core_begin(core, now_ns);
    flo_core_call(core, name, &info, request);
    if (!last.answered || last.code)
        micro_check(FLO_EPROTO, name);
}

static void start(void)
{
    FloApi__StartWorkflowExecutionRequest request = FLO_API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WorkflowType type = FLO_API__WORKFLOW_TYPE__INIT;
    char id[32];
    snprintf(id, sizeof id, "wf-%06u", (unsigned)started++);
    type.name = "Echo";
    request.namespace_ = "default";
    request.workflow_id = id;
    request.workflow_type = &type;
    request.task_queue = &queue;
    request.request_id = id;
    call("StartWorkflowExecution", &request.base);
}

static void complete_task(FloApi__Command *command)
{
    FloApi__PollWorkflowTaskQueueRequest poll = FLO_API__POLL_WORKFLOW_TASK_QUEUE_REQUEST__INIT;
    poll.namespace_ = "default";
    poll.task_queue = &queue;
    poll.identity = "bench";
    call("PollWorkflowTaskQueue", &poll.base);
    FloApi__RespondWorkflowTaskCompletedRequest done =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__INIT;
    done.task_token = (ProtobufCBinaryData){.data = last.token, .len = last.token_len};
    done.identity = "bench";
    done.commands = &command;
    done.n_commands = 1;
    call("RespondWorkflowTaskCompleted", &done.base);
}

static void first_task(void)
{
    FloApi__Command command = FLO_API__COMMAND__INIT;
    FloApi__ScheduleActivityTaskCommandAttributes schedule =
        FLO_API__SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES__INIT;
    FloApi__ActivityType type = FLO_API__ACTIVITY_TYPE__INIT;
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    type.name = "echo";
    timeout.seconds = 10;
    schedule.activity_id = "1";
    schedule.activity_type = &type;
    schedule.task_queue = &queue;
    schedule.start_to_close_timeout = &timeout;
    command.command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK;
    command.attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    command.schedule_activity_task_command_attributes = &schedule;
    complete_task(&command);
}

static void last_task(void)
{
    FloApi__Command command = FLO_API__COMMAND__INIT;
    FloApi__CompleteWorkflowExecutionCommandAttributes complete =
        FLO_API__COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES__INIT;
    command.command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION;
    command.attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command.complete_workflow_execution_command_attributes = &complete;
    complete_task(&command);
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

static struct flo_core_batch *take_batch(void)
{
    struct flo_core_batch *batch = NULL;
    micro_check(flo_core_take_batch(core, &batch), "batch");
    micro_check(batch ? 0 : FLO_ENOENT, "batch");
    return batch;
}

/* 50 echoes from start to end; what() gets each of their four batches, which counts as durable. */
static void round_of_echoes(void (*what)(struct flo_core_batch *batch))
{
    static void (*const steps[BATCHES])(void) = {start, first_task, activity_task, last_task};
    for (int step = 0; step < BATCHES; step++) {
        for (int i = 0; i < AT_ONCE; i++)
            steps[step]();
        struct flo_core_batch *batch = take_batch();
        const uint64_t seq = batch->seq;
        what(batch);
        flo_core_committed(core, seq);
    }
}

static void setup_core(unsigned rounds)
{
    (void)rounds;
    const struct flo_core_env env = {.reply = on_reply, .store = {.find = find_nothing}, .seed = 1};
    queue.name = "queue";
    now_ns = INT64_C(1767225600000000000);
    micro_check(flo_core_new(&env, NULL, &core), "core");
    flo_core_begin(core, now_ns);
    micro_check(flo_core_ensure_namespace(core, "default", 0), "namespace");
}

static void teardown_core(void)
{
    flo_core_destroy(&core);
}

static void drop(struct flo_core_batch *batch)
{
    flo_core_batch_free(&batch);
}

static void core_echoes(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++)
        round_of_echoes(drop);
}

/* ---- the store ---- */

static char folder[4096];
static struct flo_store *store;
static struct flo_core_batch **batches; /* made beforehand: only their commits count */
static size_t made, committed;

static void keep(struct flo_core_batch *batch)
{
    batches[made++] = batch;
}

static void file_in_folder(const char *name, char *out, size_t size)
{
    micro_check(snprintf(out, size, "%s/%s", folder, name) < (int)size ? 0 : FLO_EINVAL, folder);
}

static void setup_store(unsigned rounds)
{
    const char *below = getenv("TMPDIR");
    char path[sizeof folder];
    snprintf(folder, sizeof folder, "%s/bench_micro.XXXXXX", below ? below : "/tmp");
    micro_check(mkdtemp(folder) ? 0 : FLO_ESYS, folder);
    file_in_folder("db", path, sizeof path);
    const struct flo_store_options options = {.path = path};
    micro_check(flo_store_open(&options, &store, NULL), path);
    batches = calloc((size_t)rounds * BATCHES, sizeof(void *));
    micro_check(batches ? 0 : FLO_ENOMEM, "batches");
    setup_core(rounds);
    for (unsigned i = 0; i < rounds; i++)
        round_of_echoes(keep);
}

static void commits(unsigned rounds)
{
    for (unsigned i = 0; i < rounds * BATCHES; i++) {
        struct flo_core_batch *batch = batches[committed++];
        micro_check(flo_store_commit(store, batch, NULL), "commit");
        micro_check(flo_store_checkpoint(store, false, NULL), "checkpoint");
        flo_core_batch_free(&batch);
    }
}

static void teardown_store(void)
{
    static const char *const files[] = {"db", "db-wal", "db-shm", "db.lock", "db.mark"};
    char path[sizeof folder];
    teardown_core();
    flo_store_close(&store);
    free(batches);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        file_in_folder(files[i], path, sizeof path);
        unlink(path);
    }
    rmdir(folder);
}

const struct micro_part micro_core_echo = {.name = "core_echo",
                                           .unit = "workflow",
                                           .units = AT_ONCE,
                                           .warm = 2,
                                           .times = 10,
                                           .setup = setup_core,
                                           .run = core_echoes,
                                           .teardown = teardown_core};
const struct micro_part micro_store_commit = {.name = "store_commit_50",
                                              .unit = "commit",
                                              .units = BATCHES,
                                              .warm = 4,
                                              .times = 10,
                                              .setup = setup_store,
                                              .run = commits,
                                              .teardown = teardown_store};
