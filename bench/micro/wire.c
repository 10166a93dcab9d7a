/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - checked decode of a workflow task and of a long history, as a worker does it, and of the
 * answer to a task, as the engine does; and packing of that answer.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "micro.h"
#include "wire/api.h"
#include "wire/decode.h"
#include "workflow/names.h"

#define TASK_EVENTS 9 /* the history that comes with the second task of an echo */

static struct flo_arena arena; /* of the messages that are made here */
static uint8_t *data;
static size_t len;

static void task_setup(unsigned times)
{
    (void)times;
    FloApi__PollWorkflowTaskQueueResponse task = FLO_API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT;
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__WorkflowType type = FLO_API__WORKFLOW_TYPE__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    static uint8_t token[96];
    const uint8_t *history;
    size_t history_len;
    ProtobufCMessage *decoded;
    flo_arena_init(&arena, 0);
    micro_history(TASK_EVENTS, &history, &history_len);
    micro_check(flo_wire_decode(&flo_api__history__descriptor, history, history_len, &arena,
                                &decoded, NULL),
                "history");
    execution.workflow_id = "order-12345";
    execution.run_id = "0195f5a0-0000-7000-8000-000000000001";
    type.name = "Steps";
    queue.name = "orders";
    task.task_token = (ProtobufCBinaryData){.len = sizeof token, .data = token};
    task.workflow_execution = &execution;
    task.workflow_type = &type;
    task.previous_started_event_id = 3;
    task.started_event_id = TASK_EVENTS;
    task.attempt = 1;
    task.history = (FloApi__History *)decoded;
    task.workflow_execution_task_queue = &queue;
    micro_check(flo_wire_encode_arena(&task.base, &arena, &data, &len), "task");
}

static void history_setup(unsigned times)
{
    (void)times;
    const uint8_t *history;
    flo_arena_init(&arena, 0);
    micro_history(MICRO_HISTORY_EVENTS, &history, &len);
    data = flo_arena_memdup(&arena, history, len);
    micro_check(data ? 0 : FLO_ENOMEM, "history");
}

static void teardown(void)
{
    flo_arena_fini(&arena);
}

static void decode(const ProtobufCMessageDescriptor *descriptor, const struct flo_wire_part *part,
                   unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct flo_arena scratch;
        ProtobufCMessage *message;
        flo_arena_init(&scratch, flo_wire_budget(len));
        micro_check(flo_wire_decode_part(descriptor, part, data, len, &scratch, &message, NULL),
                    "decode");
        flo_arena_fini(&scratch);
    }
}

static void decode_task(unsigned times)
{
    decode(&flo_api__poll_workflow_task_queue_response__descriptor, &flo_workflow_part, times);
}

static void decode_history(unsigned times)
{
    decode(&flo_api__history__descriptor, &flo_workflow_part, times);
}

static ProtobufCMessage *answer; /* of a workflow task */

static void pack_setup(unsigned times)
{
    (void)times;
    static FloApi__RespondWorkflowTaskCompletedRequest request =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__INIT;
    static FloApi__Command command = FLO_API__COMMAND__INIT, *commands[] = {&command};
    static FloApi__ScheduleActivityTaskCommandAttributes schedule =
        FLO_API__SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES__INIT;
    static FloApi__ActivityType type = FLO_API__ACTIVITY_TYPE__INIT;
    static FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    static Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    static FloApi__Payload payload = FLO_API__PAYLOAD__INIT, *one[] = {&payload};
    static FloApi__Payloads input = FLO_API__PAYLOADS__INIT;
    static FloApi__Payload__MetadataEntry encoding = FLO_API__PAYLOAD__METADATA_ENTRY__INIT,
                                          *metadata[] = {&encoding};
    static uint8_t token[96], json[] = "{\"id\":12345,\"name\":\"a customer\",\"total\":99.5}";
    encoding.key = "encoding";
    encoding.value = (ProtobufCBinaryData){.len = 10, .data = (uint8_t *)"json/plain"};
    payload.metadata = metadata;
    payload.n_metadata = 1;
    payload.data = (ProtobufCBinaryData){.len = sizeof json - 1, .data = json};
    input.payloads = one;
    input.n_payloads = 1;
    type.name = "echo";
    queue.name = "orders";
    timeout.seconds = 30;
    schedule.activity_id = "1";
    schedule.activity_type = &type;
    schedule.task_queue = &queue;
    schedule.input = &input;
    schedule.start_to_close_timeout = &timeout;
    command.command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK;
    command.attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    command.schedule_activity_task_command_attributes = &schedule;
    request.task_token = (ProtobufCBinaryData){.len = sizeof token, .data = token};
    request.commands = commands;
    request.n_commands = 1;
    request.identity = "4711@worker-1";
    request.namespace_ = "default";
    answer = &request.base;
}

static void answer_setup(unsigned times)
{
    pack_setup(times);
    flo_arena_init(&arena, 0);
    micro_check(flo_wire_encode_arena(answer, &arena, &data, &len), "answer");
}

static void decode_answer(unsigned times)
{
    decode(&flo_api__respond_workflow_task_completed_request__descriptor, NULL, times);
}

static void pack(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct flo_buf out;
        flo_buf_init(&out, 0);
        micro_check(flo_wire_encode(answer, &out), "pack");
        flo_buf_fini(&out);
    }
}

const struct micro_part micro_decode_task = {.name = "decode_task",
                                             .unit = "message",
                                             .units = 1,
                                             .warm = 100,
                                             .times = 2000,
                                             .setup = task_setup,
                                             .run = decode_task,
                                             .teardown = teardown};
const struct micro_part micro_decode_history = {.name = "decode_history",
                                                .unit = "event",
                                                .units = MICRO_HISTORY_EVENTS,
                                                .warm = 1,
                                                .times = 3,
                                                .setup = history_setup,
                                                .run = decode_history,
                                                .teardown = teardown};
const struct micro_part micro_decode_answer = {.name = "decode_answer",
                                               .unit = "message",
                                               .units = 1,
                                               .warm = 100,
                                               .times = 5000,
                                               .setup = answer_setup,
                                               .run = decode_answer,
                                               .teardown = teardown};
const struct micro_part micro_pack = {.name = "pack",
                                      .unit = "message",
                                      .units = 1,
                                      .warm = 100,
                                      .times = 5000,
                                      .setup = pack_setup,
                                      .run = pack};
