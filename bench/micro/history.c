/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - a long history of activities, one after the other, as a server writes it. */
#include "base/arena.h"
#include "micro.h"
#include "wire/api.h"
#include "wire/decode.h"

#define START_EVENTS 3 /* started, task scheduled, task started */
#define STEP_EVENTS 6  /* task completed; activity scheduled, started, completed; the next task */

struct history {
    struct flo_arena arena;
    FloApi__History message;
};

static void *make(struct history *h, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = flo_arena_alloc(&h->arena, descriptor->sizeof_message);
    micro_check(message ? 0 : FLO_ENOMEM, "history");
    descriptor->message_init(message);
    return message;
}
#define MAKE(h, lower) make(h, &flo_api__##lower##__descriptor)

static Google__Protobuf__Duration *seconds(struct history *h, int64_t value)
{
    Google__Protobuf__Duration *duration = make(h, &google__protobuf__duration__descriptor);
    duration->seconds = value;
    return duration;
}

static FloApi__TaskQueue *queue(struct history *h)
{
    FloApi__TaskQueue *queue = MAKE(h, task_queue);
    queue->name = "orders";
    queue->kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    return queue;
}

static FloApi__Payloads *payloads(struct history *h)
{
    static const char json[] = "{\"id\":12345,\"name\":\"a customer\",\"total\":99.5}";
    FloApi__Payload__MetadataEntry *encoding = MAKE(h, payload__metadata_entry);
    encoding->key = "encoding";
    encoding->value = (ProtobufCBinaryData){.len = 10, .data = (uint8_t *)"json/plain"};
    FloApi__Payload *payload = MAKE(h, payload);
    payload->n_metadata = 1;
    payload->metadata = flo_arena_memdup(&h->arena, &encoding, sizeof(void *));
    payload->data = (ProtobufCBinaryData){.len = sizeof json - 1, .data = (uint8_t *)json};
    FloApi__Payloads *payloads = MAKE(h, payloads);
    payloads->n_payloads = 1;
    payloads->payloads = flo_arena_memdup(&h->arena, &payload, sizeof(void *));
    return payloads;
}

/* The next event, with attributes of which the first letters are given in three spellings. */
#define ADD(h, lower, upper, type)                                                                 \
    FloApi__##type##EventAttributes *a = MAKE(h, lower##_event_attributes);                        \
    do {                                                                                           \
        FloApi__HistoryEvent *event = add(h, FLO_API__EVENT_TYPE__EVENT_TYPE_##upper);             \
        event->attributes_case = FLO_API__HISTORY_EVENT__ATTRIBUTES_##upper##_EVENT_ATTRIBUTES;    \
        event->lower##_event_attributes = a;                                                       \
    } while (0)

static FloApi__HistoryEvent *add(struct history *h, FloApi__EventType type)
{
    FloApi__HistoryEvent *event = MAKE(h, history_event);
    event->event_type = type;
    event->event_time = make(h, &google__protobuf__timestamp__descriptor);
    event->event_time->seconds = 1767225600 + (int64_t)h->message.n_events / 100;
    event->event_time->nanos = 123456789;
    event->task_id = 1048576 + (int64_t)h->message.n_events;
    h->message.events[h->message.n_events++] = event;
    event->event_id = (int64_t)h->message.n_events;
    return event;
}

static void add_task(struct history *h)
{
    {
        ADD(h, workflow_task_scheduled, WORKFLOW_TASK_SCHEDULED, WorkflowTaskScheduled);
        a->task_queue = queue(h);
        a->start_to_close_timeout = seconds(h, 10);
        a->attempt = 1;
    }
    const int64_t scheduled = (int64_t)h->message.n_events;
    {
        ADD(h, workflow_task_started, WORKFLOW_TASK_STARTED, WorkflowTaskStarted);
        a->scheduled_event_id = scheduled;
        a->identity = "4711@worker-1";
        a->request_id = "5c6a2d9e-3a44-4d6b-9d2f-0f6f1d1b7a10";
        a->history_size_bytes = 120 * scheduled;
    }
}

static void add_start(struct history *h)
{
    ADD(h, workflow_execution_started, WORKFLOW_EXECUTION_STARTED, WorkflowExecutionStarted);
    a->workflow_type = MAKE(h, workflow_type);
    a->workflow_type->name = "Steps";
    a->task_queue = queue(h);
    a->input = payloads(h);
    a->workflow_task_timeout = seconds(h, 10);
    a->original_execution_run_id = "0195f5a0-0000-7000-8000-000000000001";
    a->first_execution_run_id = a->original_execution_run_id;
    a->identity = "4712@client-1";
    a->attempt = 1;
    a->workflow_id = "order-12345";
    add_task(h);
}

static void add_step(struct history *h, int number)
{
    const int64_t last = (int64_t)h->message.n_events;
    {
        ADD(h, workflow_task_completed, WORKFLOW_TASK_COMPLETED, WorkflowTaskCompleted);
        a->scheduled_event_id = last - 1;
        a->started_event_id = last;
        a->identity = "4711@worker-1";
    }
    {
        ADD(h, activity_task_scheduled, ACTIVITY_TASK_SCHEDULED, ActivityTaskScheduled);
        a->activity_id = flo_arena_printf(&h->arena, "%d", number);
        a->activity_type = MAKE(h, activity_type);
        a->activity_type->name = "echo";
        a->task_queue = queue(h);
        a->input = payloads(h);
        a->schedule_to_close_timeout = seconds(h, 0);
        a->schedule_to_start_timeout = seconds(h, 0);
        a->start_to_close_timeout = seconds(h, 30);
        a->heartbeat_timeout = seconds(h, 0);
        a->workflow_task_completed_event_id = last + 1;
        a->retry_policy = MAKE(h, retry_policy);
        a->retry_policy->initial_interval = seconds(h, 1);
        a->retry_policy->backoff_coefficient = 2;
        a->retry_policy->maximum_interval = seconds(h, 100);
    }
    {
        ADD(h, activity_task_started, ACTIVITY_TASK_STARTED, ActivityTaskStarted);
        a->scheduled_event_id = last + 2;
        a->identity = "4713@worker-2";
        a->request_id = "c1f3a0de-77f1-4a0e-8f3b-3f7d9a2c5e21";
        a->attempt = 1;
    }
    {
        ADD(h, activity_task_completed, ACTIVITY_TASK_COMPLETED, ActivityTaskCompleted);
        a->result = payloads(h);
        a->scheduled_event_id = last + 2;
        a->started_event_id = last + 3;
        a->identity = "4713@worker-2";
    }
    add_task(h);
}

void micro_history(size_t events, const uint8_t **out_data, size_t *out_len)
{
    static struct history h;
    static uint8_t *data;
    static size_t len;
    flo_arena_fini(&h.arena);
    flo_arena_init(&h.arena, 0);
    flo_api__history__init(&h.message);
    h.message.events = flo_arena_alloc(&h.arena, (events + STEP_EVENTS) * sizeof(void *));
    micro_check(h.message.events ? 0 : FLO_ENOMEM, "history");
    add_start(&h);
    for (int i = 1; h.message.n_events + STEP_EVENTS <= events; i++)
        add_step(&h, i);
    micro_check(flo_wire_encode_arena(&h.message.base, &h.arena, &data, &len), "history");
    *out_data = data;
    *out_len = len;
}
