/* SPDX-License-Identifier: Apache-2.0 */
/* engine_harness.c - the engine's core, driven by tests in virtual time; see the header. */
#include "support/engine_harness.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "support/cmocka_env.h"
#include "wire/decode.h"
#include "wire/payload.h"

struct engine_stored_run {
    uint64_t key;
    char *namespace_id, *workflow_id, *run_id;
    int status;
    int64_t close_ns;
    uint8_t *state;
    size_t state_len;
    bool deleted;
};

struct engine_stored_batch {
    uint64_t key;
    int64_t first_event_id;
    uint32_t event_count;
    uint8_t *events;
    size_t len;
};

static void *need(void *block)
{
    if (!block)
        fail_msg("out of memory");
    return block;
}

static void *take(struct engine *engine, size_t bytes)
{
    return memset(need(flo_arena_alloc(&engine->arena, bytes ? bytes : 1)), 0, bytes);
}

static void *dup_bytes(struct engine *engine, const void *data, size_t len)
{
    void *copy = take(engine, len + 1);
    if (len)
        memcpy(copy, data, len);
    return copy;
}

static char *dup_text(struct engine *engine, const char *text)
{
    return dup_bytes(engine, text, strlen(text));
}

const char *engine_format(struct engine *engine, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return dup_text(engine, text);
}

static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    *cap = *cap ? 2 * *cap : 64;
    return need(flo_reallocarray(array, *cap, size));
}

/* ---- the store ---- */

static int store_find(void *ctx, const char *namespace_id, const char *workflow_id,
                      const char *run_id, struct flo_core_stored_run *out)
{
    struct engine *engine = ctx;
    const struct engine_stored_run *found = NULL;
    if (engine->fail_store)
        return engine->fail_store;
    for (size_t i = 0; i < engine->run_count; i++) {
        const struct engine_stored_run *run = &engine->runs[i];
        if (run->deleted || strcmp(run->namespace_id, namespace_id) != 0 ||
            strcmp(run->workflow_id, workflow_id) != 0 ||
            (run_id[0] && strcmp(run->run_id, run_id) != 0))
            continue;
        if (!found || run->key > found->key)
            found = run;
    }
    if (!found)
        return FLO_ENOENT;
    *out = (struct flo_core_stored_run){.key = found->key,
                                        .namespace_id = found->namespace_id,
                                        .workflow_id = found->workflow_id,
                                        .run_id = found->run_id,
                                        .status = found->status,
                                        .state = found->state,
                                        .state_len = found->state_len};
    return 0;
}

static int store_history(void *ctx, uint64_t key, int64_t first_event_id, bool reverse,
                         bool (*batch)(void *batch_ctx, int64_t first_event_id,
                                       uint32_t event_count, const uint8_t *events, size_t len),
                         void *batch_ctx)
{
    struct engine *engine = ctx;
    if (engine->fail_store)
        return engine->fail_store;
    for (size_t i = 0; i < engine->batch_count; i++) {
        const struct engine_stored_batch *b =
            &engine->batches[reverse ? engine->batch_count - 1 - i : i];
        const int64_t last = b->first_event_id + (int64_t)b->event_count - 1;
        if (b->key != key || (reverse ? b->first_event_id > first_event_id : last < first_event_id))
            continue;
        if (!batch(batch_ctx, b->first_event_id, b->event_count, b->events, b->len))
            break;
    }
    return 0;
}

static void store_run(struct engine *engine, const struct flo_core_run_row *row)
{
    struct engine_stored_run *run = NULL;
    for (size_t i = 0; i < engine->run_count && !run; i++)
        if (engine->runs[i].key == row->key)
            run = &engine->runs[i];
    if (!run) {
        engine->runs =
            grow(engine->runs, engine->run_count, &engine->run_cap, sizeof *engine->runs);
        run = &engine->runs[engine->run_count++];
    }
    *run = (struct engine_stored_run){.key = row->key,
                                      .namespace_id = dup_text(engine, row->namespace_id),
                                      .workflow_id = dup_text(engine, row->workflow_id),
                                      .run_id = dup_text(engine, row->run_id),
                                      .status = row->status,
                                      .close_ns = row->close_ns,
                                      .state = dup_bytes(engine, row->state, row->state_len),
                                      .state_len = row->state_len};
}

static void store_batch(struct engine *engine, const struct flo_core_history_row *row)
{
    engine->batches =
        grow(engine->batches, engine->batch_count, &engine->batch_cap, sizeof *engine->batches);
    engine->batches[engine->batch_count++] =
        (struct engine_stored_batch){.key = row->key,
                                     .first_event_id = row->first_event_id,
                                     .event_count = row->event_count,
                                     .events = dup_bytes(engine, row->events, row->len),
                                     .len = row->len};
}

static void store_namespace(struct engine *engine, const struct flo_core_namespace_row *row)
{
    size_t i = 0;
    while (i < engine->namespace_count && strcmp(engine->namespaces[i].id, row->id) != 0)
        i++;
    assert_true(i < sizeof engine->namespaces / sizeof *engine->namespaces);
    engine->namespaces[i].id = dup_text(engine, row->id);
    engine->namespaces[i].data = dup_bytes(engine, row->state, row->state_len);
    engine->namespaces[i].len = row->state_len;
    if (i == engine->namespace_count)
        engine->namespace_count++;
}

uint64_t engine_store_batch(struct engine *engine, struct flo_core_batch **pbatch)
{
    const struct flo_core_batch *batch = *pbatch;
    const uint64_t seq = batch->seq;
    for (size_t i = 0; i < batch->namespace_count; i++)
        store_namespace(engine, &batch->namespaces[i]);
    for (size_t i = 0; i < batch->run_count; i++)
        store_run(engine, &batch->runs[i]);
    for (size_t i = 0; i < batch->history_count; i++)
        store_batch(engine, &batch->histories[i]);
    for (size_t i = 0; i < batch->deleted_count; i++)
        for (size_t j = 0; j < engine->run_count; j++)
            if (engine->runs[j].key == batch->deleted_keys[i])
                engine->runs[j].deleted = true;
    flo_core_batch_free(pbatch);
    engine->durable_seq = seq;
    flo_core_committed(engine->core, seq);
    return seq;
}

uint64_t engine_commit(struct engine *engine)
{
    struct flo_core_batch *batch;
    if (!engine->dead)
        engine->dead = flo_core_take_batch(engine->core, &batch);
    return engine->dead || !batch ? 0 : engine_store_batch(engine, &batch);
}

/* ---- life ---- */

static void on_reply(void *ctx, const struct flo_core_reply *reply)
{
    struct engine *engine = ctx;
    assert_null(engine_reply(engine, reply->call)); /* one answer a call */
    engine->replies =
        grow(engine->replies, engine->reply_count, &engine->reply_cap, sizeof *engine->replies);
    struct engine_reply *out = &engine->replies[engine->reply_count++];
    *out = (struct engine_reply){.call = reply->call, .after = reply->after, .code = reply->code};
    out->message = dup_text(engine, reply->code ? reply->message : "");
    out->detail = reply->detail ? reply->detail->descriptor->short_name : "";
    if (reply->detail) {
        uint8_t *bytes = take(engine, protobuf_c_message_get_packed_size(reply->detail) + 1);
        out->detail_len = protobuf_c_message_pack(reply->detail, bytes);
        out->detail_bytes = bytes;
    }
    if (reply->code)
        return;
    const size_t packed = protobuf_c_message_get_packed_size(reply->body);
    uint8_t *body = take(engine, packed + reply->raw_len + 1);
    protobuf_c_message_pack(reply->body, body);
    if (reply->raw_len)
        memcpy(body + packed, reply->raw, reply->raw_len);
    out->body = body;
    out->body_len = packed + reply->raw_len;
    out->type = reply->body->descriptor;
}

static void core_up(struct engine *engine)
{
    const struct flo_core_env env = {
        .ctx = engine,
        .reply = on_reply,
        .store = {.ctx = engine, .find = store_find, .history = store_history},
        .seed = engine->seed};
    assert_int_equal(flo_core_new(&env, &engine->options, &engine->core), 0);
    flo_core_begin(engine->core, engine->now_ns);
}

static void reserve(struct engine *engine, size_t bytes)
{
    enum { ROWS = 4096 };
    need(flo_arena_alloc(&engine->arena, bytes));
    flo_arena_reset(&engine->arena);
    engine->replies = need(flo_reallocarray(NULL, ROWS, sizeof *engine->replies));
    engine->runs = need(flo_reallocarray(NULL, ROWS, sizeof *engine->runs));
    engine->batches = need(flo_reallocarray(NULL, ROWS, sizeof *engine->batches));
    engine->reply_cap = engine->run_cap = engine->batch_cap = ROWS;
}

static struct engine *create(uint64_t seed, const struct flo_core_options *options, size_t bytes)
{
    struct engine *engine = need(flo_calloc(1, sizeof *engine));
    flo_arena_init(&engine->arena, 0);
    if (bytes)
        reserve(engine, bytes);
    if (options)
        engine->options = *options;
    engine->seed = seed;
    engine->now_ns = ENGINE_EPOCH_NS;
    engine->auto_commit = true;
    engine->call_timeout_ns = 60 * FLO_NS_PER_S;
    engine->client_name = "test";
    engine->identity = "me";
    core_up(engine);
    assert_int_equal(flo_core_ensure_namespace(engine->core, "default", 0), 0);
    engine_commit(engine);
    return engine;
}

struct engine *engine_new_with(uint64_t seed, const struct flo_core_options *options)
{
    return create(seed, options, 0);
}

struct engine *engine_new(uint64_t seed)
{
    return create(seed, NULL, 0);
}

struct engine *engine_new_reserved(uint64_t seed, size_t bytes)
{
    return create(seed, NULL, bytes);
}

void engine_free(struct engine *engine)
{
    flo_core_destroy(&engine->core);
    flo_free(engine->replies);
    flo_free(engine->runs);
    flo_free(engine->batches);
    flo_arena_fini(&engine->arena);
    flo_free(engine);
}

static void load_run(struct engine *engine, const struct engine_stored_run *run)
{
    struct flo_core_history_batch *batches =
        need(flo_calloc(engine->batch_count + 1, sizeof *batches));
    size_t count = 0;
    for (size_t i = 0; i < engine->batch_count; i++)
        if (engine->batches[i].key == run->key)
            batches[count++] =
                (struct flo_core_history_batch){.first_event_id = engine->batches[i].first_event_id,
                                                .event_count = engine->batches[i].event_count,
                                                .events = engine->batches[i].events,
                                                .len = engine->batches[i].len};
    const struct flo_core_stored_run stored = {.key = run->key,
                                               .namespace_id = run->namespace_id,
                                               .workflow_id = run->workflow_id,
                                               .run_id = run->run_id,
                                               .status = run->status,
                                               .state = run->state,
                                               .state_len = run->state_len};
    struct flo_err err = {0};
    if (flo_core_load_run(engine->core, &stored, batches, count, &err))
        fail_msg("load %s: %s", run->workflow_id, err.message);
    flo_free(batches);
}

void engine_restart(struct engine *engine)
{
    struct flo_err err = {0};
    uint64_t next_key = 1;
    flo_core_destroy(&engine->core);
    engine->dead = 0;
    engine->durable_seq = 0;
    engine->reply_count = 0;
    engine->seed++;
    core_up(engine);
    for (size_t i = 0; i < engine->namespace_count; i++)
        assert_int_equal(flo_core_load_namespace(engine->core, engine->namespaces[i].data,
                                                 engine->namespaces[i].len, &err),
                         0);
    for (size_t i = 0; i < engine->run_count; i++) {
        if (engine->runs[i].key >= next_key)
            next_key = engine->runs[i].key + 1;
        if (!engine->runs[i].deleted && engine->runs[i].close_ns == 0)
            load_run(engine, &engine->runs[i]);
    }
    if (flo_core_recovered(engine->core, next_key, &err))
        fail_msg("recover: %s", err.message);
    if (engine->auto_commit)
        engine_commit(engine);
}

/* ---- calls ---- */

static void after_step(struct engine *engine)
{
    if (engine->auto_commit)
        while (!engine->dead && flo_core_wants_commit(engine->core))
            engine_commit(engine);
}

uint64_t engine_call(struct engine *engine, const char *name, const ProtobufCMessage *request,
                     int64_t timeout_ns)
{
    const ProtobufCMessageDescriptor *type = flo_core_method(name);
    if (!type)
        fail_msg("no method %s", name);
    assert_ptr_equal(type, request->descriptor);
    if (timeout_ns == 0)
        timeout_ns = engine->call_timeout_ns;
    const struct flo_core_call_info info = {
        .id = ++engine->last_call,
        .deadline_ns = timeout_ns < 0 ? INT64_MAX : engine->now_ns + timeout_ns,
        .client_name = engine->client_name,
        .follows_next_run_id = engine->follows_next_run_id};
    flo_core_begin(engine->core, engine->now_ns);
    flo_core_call(engine->core, name, &info, request);
    after_step(engine);
    return info.id;
}

const struct engine_reply *engine_reply(struct engine *engine, uint64_t call)
{
    for (size_t i = engine->reply_count; i-- > 0;)
        if (engine->replies[i].call == call)
            return &engine->replies[i];
    return NULL;
}

static const char *code_name(int code)
{
    static const char *const names[] = {"OK",
                                        "CANCELLED",
                                        "UNKNOWN",
                                        "INVALID_ARGUMENT",
                                        "DEADLINE_EXCEEDED",
                                        "NOT_FOUND",
                                        "ALREADY_EXISTS",
                                        "PERMISSION_DENIED",
                                        "RESOURCE_EXHAUSTED",
                                        "FAILED_PRECONDITION",
                                        "ABORTED",
                                        "OUT_OF_RANGE",
                                        "UNIMPLEMENTED",
                                        "INTERNAL",
                                        "UNAVAILABLE",
                                        "DATA_LOSS"};
    return code >= 0 && (size_t)code < sizeof names / sizeof *names ? names[code] : "?";
}

const char *engine_outcome(struct engine *engine, uint64_t call)
{
    const struct engine_reply *reply = engine_reply(engine, call);
    if (!reply)
        return "waits";
    if (!reply->code)
        return "OK";
    return engine_format(engine, "%s | %s%s%s", code_name(reply->code), reply->message,
                         reply->detail[0] ? " | " : "", reply->detail);
}

void *engine_body(struct engine *engine, uint64_t call)
{
    const struct engine_reply *reply = engine_reply(engine, call);
    if (!reply || reply->code)
        fail_msg("call %" PRIu64 ": %s", call, engine_outcome(engine, call));
    ProtobufCMessage *body;
    struct flo_err err = {0};
    if (flo_wire_decode(reply->type, reply->body, reply->body_len, &engine->arena, &body, &err))
        fail_msg("%s", err.message);
    return body;
}

void *engine_do(struct engine *engine, const char *name, const ProtobufCMessage *request)
{
    return engine_body(engine, engine_call(engine, name, request, 0));
}

const char *engine_try(struct engine *engine, const char *name, const ProtobufCMessage *request)
{
    return engine_outcome(engine, engine_call(engine, name, request, 0));
}

void engine_pass(struct engine *engine, int64_t ns)
{
    const int64_t until = engine->now_ns + ns;
    int64_t next;
    while (!engine->dead && (next = flo_core_next_deadline(engine->core)) <= until) {
        if (next > engine->now_ns)
            engine->now_ns = next;
        flo_core_begin(engine->core, engine->now_ns);
        flo_core_fire(engine->core);
        if (engine->auto_commit)
            after_step(engine);
        else if (flo_core_next_deadline(engine->core) <= engine->now_ns)
            break; /* only a commit is due */
    }
    engine->now_ns = until;
    flo_core_begin(engine->core, until);
    flo_core_fire(engine->core);
    after_step(engine);
}

/* ---- clients ---- */

#define NEW(engine, type, init)                                                                    \
    __extension__({                                                                                \
        type *message_ = take(engine, sizeof *message_);                                           \
        init(message_);                                                                            \
        message_;                                                                                  \
    })

static FloApi__TaskQueue *task_queue(struct engine *engine, const char *name, bool sticky)
{
    FloApi__TaskQueue *queue = NEW(engine, FloApi__TaskQueue, flo_api__task_queue__init);
    queue->name = sticky ? (char *)engine_format(engine, "%s-sticky", name) : (char *)name;
    queue->kind = sticky ? FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY
                         : FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    if (sticky)
        queue->normal_name = (char *)name;
    return queue;
}

FloApi__Payloads *engine_payloads(struct engine *engine, const char *json)
{
    FloApi__Payloads *payloads = NEW(engine, FloApi__Payloads, flo_api__payloads__init);
    FloApi__Payload *payload = NEW(engine, FloApi__Payload, flo_api__payload__init);
    FloApi__Payload__MetadataEntry *entry =
        NEW(engine, FloApi__Payload__MetadataEntry, flo_api__payload__metadata_entry__init);
    entry->key = "encoding";
    entry->value = (ProtobufCBinaryData){.data = (uint8_t *)"json/plain", .len = 10};
    payload->metadata = take(engine, sizeof *payload->metadata);
    payload->metadata[0] = entry;
    payload->n_metadata = 1;
    payload->data = (ProtobufCBinaryData){.data = (uint8_t *)json, .len = strlen(json)};
    payloads->payloads = take(engine, sizeof *payloads->payloads);
    payloads->payloads[0] = payload;
    payloads->n_payloads = 1;
    return payloads;
}

FloApi__WorkflowExecution *engine_run(struct engine *engine, const char *workflow_id,
                                      const char *run_id)
{
    FloApi__WorkflowExecution *run =
        NEW(engine, FloApi__WorkflowExecution, flo_api__workflow_execution__init);
    run->workflow_id = (char *)workflow_id;
    run->run_id = run_id ? (char *)run_id : (char *)"";
    return run;
}

FloApi__StartWorkflowExecutionRequest *engine_start_request(struct engine *engine,
                                                            const char *workflow_id,
                                                            const char *queue)
{
    FloApi__StartWorkflowExecutionRequest *request =
        NEW(engine, FloApi__StartWorkflowExecutionRequest,
            flo_api__start_workflow_execution_request__init);
    request->namespace_ = "default";
    request->workflow_id = (char *)workflow_id;
    request->workflow_type = NEW(engine, FloApi__WorkflowType, flo_api__workflow_type__init);
    request->workflow_type->name = "T";
    request->task_queue = task_queue(engine, queue, false);
    request->identity = (char *)engine->identity;
    request->request_id = (char *)engine_format(engine, "request-%" PRIu64, engine->last_call + 1);
    return request;
}

const char *engine_start(struct engine *engine, const char *workflow_id, const char *queue)
{
    const FloApi__StartWorkflowExecutionResponse *response = engine_do(
        engine, "StartWorkflowExecution", &engine_start_request(engine, workflow_id, queue)->base);
    return response->run_id;
}

void engine_signal(struct engine *engine, const char *workflow_id, const char *name)
{
    FloApi__SignalWorkflowExecutionRequest request =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(engine, workflow_id, NULL);
    request.signal_name = (char *)name;
    request.identity = (char *)engine->identity;
    engine_do(engine, "SignalWorkflowExecution", &request.base);
}

void engine_terminate(struct engine *engine, const char *workflow_id)
{
    FloApi__TerminateWorkflowExecutionRequest request =
        FLO_API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(engine, workflow_id, NULL);
    request.reason = "r";
    request.identity = (char *)engine->identity;
    engine_do(engine, "TerminateWorkflowExecution", &request.base);
}

/* ---- workers ---- */

static uint64_t poll_workflow(struct engine *engine, const char *queue, bool sticky)
{
    FloApi__PollWorkflowTaskQueueRequest request = FLO_API__POLL_WORKFLOW_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_queue = task_queue(engine, queue, sticky);
    request.identity = (char *)engine->identity;
    return engine_call(engine, "PollWorkflowTaskQueue", &request.base, 0);
}

uint64_t engine_poll(struct engine *engine, const char *queue)
{
    return poll_workflow(engine, queue, false);
}

uint64_t engine_poll_sticky(struct engine *engine, const char *queue)
{
    return poll_workflow(engine, queue, true);
}

uint64_t engine_poll_activity(struct engine *engine, const char *queue)
{
    FloApi__PollActivityTaskQueueRequest request = FLO_API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_queue = task_queue(engine, queue, false);
    request.identity = (char *)engine->identity;
    return engine_call(engine, "PollActivityTaskQueue", &request.base, 0);
}

FloApi__PollWorkflowTaskQueueResponse *engine_task(struct engine *engine, uint64_t poll)
{
    FloApi__PollWorkflowTaskQueueResponse *task = engine_body(engine, poll);
    if (!task->task_token.len)
        fail_msg("poll %" PRIu64 " brought no task", poll);
    return task;
}

FloApi__PollActivityTaskQueueResponse *engine_activity(struct engine *engine, uint64_t poll)
{
    FloApi__PollActivityTaskQueueResponse *task = engine_body(engine, poll);
    if (!task->task_token.len)
        fail_msg("poll %" PRIu64 " brought no task", poll);
    return task;
}

const char *engine_task_line(struct engine *engine,
                             const FloApi__PollWorkflowTaskQueueResponse *task)
{
    if (!task->task_token.len)
        return "empty";
    const size_t n = task->history ? task->history->n_events : 0;
    const char *events = "none";
    if (n)
        events = engine_format(engine, "%" PRId64 "-%" PRId64, task->history->events[0]->event_id,
                               task->history->events[n - 1]->event_id);
    for (size_t i = 1; i < n; i++)
        assert_int_equal(task->history->events[i]->event_id,
                         task->history->events[i - 1]->event_id + 1);
    return engine_format(
        engine, "prev=%" PRId64 " started=%" PRId64 " attempt=%d events=%s%s%s%s%s",
        task->previous_started_event_id, task->started_event_id, task->attempt, events,
        task->query ? " query=" : "", task->query ? task->query->query_type : "",
        task->n_queries ? engine_format(engine, " queries=%zu", task->n_queries) : "",
        task->next_page_token.len ? " page" : "");
}

const char *engine_task_text(struct engine *engine, uint64_t poll)
{
    if (!engine_reply(engine, poll))
        return "waits";
    return engine_task_line(engine, engine_body(engine, poll));
}

FloApi__RespondWorkflowTaskCompletedRequest *engine_completion(
    struct engine *engine, const FloApi__PollWorkflowTaskQueueResponse *task)
{
    FloApi__RespondWorkflowTaskCompletedRequest *request =
        NEW(engine, FloApi__RespondWorkflowTaskCompletedRequest,
            flo_api__respond_workflow_task_completed_request__init);
    request->namespace_ = "default";
    request->task_token = task->task_token;
    request->identity = (char *)engine->identity;
    return request;
}

void engine_add_command(struct engine *engine, FloApi__RespondWorkflowTaskCompletedRequest *request,
                        const FloApi__Command *command)
{
    FloApi__Command **commands = take(engine, (request->n_commands + 1) * sizeof *commands);
    for (size_t i = 0; i < request->n_commands; i++)
        commands[i] = request->commands[i];
    commands[request->n_commands++] = (FloApi__Command *)command;
    request->commands = commands;
}

void engine_stick(struct engine *engine, FloApi__RespondWorkflowTaskCompletedRequest *request,
                  const char *queue)
{
    request->sticky_attributes =
        NEW(engine, FloApi__StickyExecutionAttributes, flo_api__sticky_execution_attributes__init);
    request->sticky_attributes->worker_task_queue = task_queue(engine, queue, true);
    request->sticky_attributes->schedule_to_start_timeout =
        flo_duration_new(&engine->arena, 5 * FLO_NS_PER_S);
}

FloApi__Command *engine_cmd_complete(struct engine *engine)
{
    FloApi__Command *command = NEW(engine, FloApi__Command, flo_api__command__init);
    FloApi__CompleteWorkflowExecutionCommandAttributes *attributes =
        NEW(engine, FloApi__CompleteWorkflowExecutionCommandAttributes,
            flo_api__complete_workflow_execution_command_attributes__init);
    attributes->result = engine_payloads(engine, "\"r\"");
    command->command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION;
    command->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command->complete_workflow_execution_command_attributes = attributes;
    return command;
}

FloApi__Command *engine_cmd_timer(struct engine *engine, const char *id, int64_t ns)
{
    FloApi__Command *command = NEW(engine, FloApi__Command, flo_api__command__init);
    FloApi__StartTimerCommandAttributes *attributes = NEW(
        engine, FloApi__StartTimerCommandAttributes, flo_api__start_timer_command_attributes__init);
    attributes->timer_id = (char *)id;
    attributes->start_to_fire_timeout = flo_duration_new(&engine->arena, ns);
    command->command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_START_TIMER;
    command->attributes_case = FLO_API__COMMAND__ATTRIBUTES_START_TIMER_COMMAND_ATTRIBUTES;
    command->start_timer_command_attributes = attributes;
    return command;
}

FloApi__Command *engine_cmd_activity(struct engine *engine, const char *id, const char *queue)
{
    FloApi__Command *command = NEW(engine, FloApi__Command, flo_api__command__init);
    FloApi__ScheduleActivityTaskCommandAttributes *attributes =
        NEW(engine, FloApi__ScheduleActivityTaskCommandAttributes,
            flo_api__schedule_activity_task_command_attributes__init);
    attributes->activity_id = (char *)id;
    attributes->activity_type = NEW(engine, FloApi__ActivityType, flo_api__activity_type__init);
    attributes->activity_type->name = "A";
    attributes->task_queue = task_queue(engine, queue, false);
    attributes->input = engine_payloads(engine, "1");
    attributes->start_to_close_timeout = flo_duration_new(&engine->arena, 5 * FLO_NS_PER_S);
    command->command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK;
    command->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    command->schedule_activity_task_command_attributes = attributes;
    return command;
}

FloApi__RespondWorkflowTaskCompletedResponse *engine_complete(
    struct engine *engine, const FloApi__PollWorkflowTaskQueueResponse *task,
    const FloApi__Command *first, const FloApi__Command *second)
{
    FloApi__RespondWorkflowTaskCompletedRequest *request = engine_completion(engine, task);
    if (first)
        engine_add_command(engine, request, first);
    if (second)
        engine_add_command(engine, request, second);
    return engine_do(engine, "RespondWorkflowTaskCompleted", &request->base);
}

/* ---- messages as text ---- */

/* Fields that differ from run to run. */
static bool left_out(const char *name)
{
    static const char *const names[] = {"identity",
                                        "request_id",
                                        "original_execution_run_id",
                                        "first_execution_run_id",
                                        "new_execution_run_id",
                                        "continued_execution_run_id",
                                        "namespace_id",
                                        "parent_workflow_namespace_id",
                                        "run_id",
                                        "history_size_bytes",
                                        "workflow_id",
                                        "stack_trace",
                                        "worker_version",
                                        "workflow_execution_expiration_time"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void write_message(const ProtobufCMessage *message, struct flo_buf *out);

static bool is_type(const ProtobufCFieldDescriptor *field, const char *name)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE &&
           strcmp(((const ProtobufCMessageDescriptor *)field->descriptor)->short_name, name) == 0;
}

static void write_payloads(const FloApi__Payloads *payloads, struct flo_buf *out)
{
    for (size_t i = 0; i < payloads->n_payloads; i++) {
        if (i)
            flo_buf_append_str(out, ",");
        flo_buf_append(out, payloads->payloads[i]->data.data, payloads->payloads[i]->data.len);
    }
}

static void write_submessage(const ProtobufCFieldDescriptor *field, const void *message,
                             struct flo_buf *out)
{
    if (is_type(field, "Duration")) {
        flo_buf_printf(out, "%s=%gs", field->name,
                       (double)flo_duration_ns(message) / (double)FLO_NS_PER_S);
    } else if (is_type(field, "Payloads")) {
        flo_buf_printf(out, "%s=", field->name);
        write_payloads(message, out);
    } else if (is_type(field, "TaskQueue")) {
        static const char *const kinds[] = {"?", "NORMAL", "STICKY"};
        flo_buf_printf(out, "%s=%s", field->name,
                       kinds[((const FloApi__TaskQueue *)message)->kind % 3]);
    } else {
        flo_buf_printf(out, "%s(", field->name);
        write_message(message, out);
        flo_buf_append_str(out, ")");
    }
}

/* A field that is set; false when it is not. */
static bool write_scalar(const ProtobufCFieldDescriptor *field, const void *at, struct flo_buf *out)
{
    const ProtobufCEnumValue *value;
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        if (!*(const protobuf_c_boolean *)at)
            return false;
        flo_buf_printf(out, "%s=True", field->name);
        return true;
    case PROTOBUF_C_TYPE_ENUM:
        if (!*(const int *)at)
            return false;
        value = protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)at);
        flo_buf_printf(out, "%s=%s", field->name, value ? value->name : "?");
        return true;
    case PROTOBUF_C_TYPE_INT64:
        if (!*(const int64_t *)at)
            return false;
        flo_buf_printf(out, "%s=%" PRId64, field->name, *(const int64_t *)at);
        return true;
    case PROTOBUF_C_TYPE_INT32:
        if (!*(const int32_t *)at)
            return false;
        flo_buf_printf(out, "%s=%" PRId32, field->name, *(const int32_t *)at);
        return true;
    case PROTOBUF_C_TYPE_DOUBLE: {
        const double number = *(const double *)at;
        if (number == 0)
            return false;
        flo_buf_printf(out, number == (double)(int64_t)number ? "%s=%.1f" : "%s=%g", field->name,
                       number);
        return true;
    }
    case PROTOBUF_C_TYPE_STRING:
        if (!*(char *const *)at || !**(char *const *)at)
            return false;
        flo_buf_printf(out, "%s=%s", field->name, *(char *const *)at);
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        if (!((const ProtobufCBinaryData *)at)->len)
            return false;
        flo_buf_printf(out, "%s=[%zu]", field->name, ((const ProtobufCBinaryData *)at)->len);
        return true;
    default:
        return false;
    }
}

static bool write_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                        struct flo_buf *out)
{
    const uint8_t *base = (const uint8_t *)message;
    const void *at = base + field->offset;
    if (left_out(field->name) || is_type(field, "Timestamp"))
        return false;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        const size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
        if (count)
            flo_buf_printf(out, "%s=[%zu]", field->name, count);
        return count > 0;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(const uint32_t *)(const void *)(base + field->quantifier_offset) != field->id)
        return false;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return write_scalar(field, at, out);
    const ProtobufCMessage *sub = *(ProtobufCMessage *const *)at;
    if (sub)
        write_submessage(field, sub, out);
    return sub != NULL;
}

static void write_message(const ProtobufCMessage *message, struct flo_buf *out)
{
    bool first = true;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const size_t before = out->len;
        if (!first)
            flo_buf_append_str(out, " ");
        if (write_field(message, &message->descriptor->fields[i], out))
            first = false;
        else
            out->len = before;
    }
}

static const char *keep(struct engine *engine, struct flo_buf *out)
{
    const char *text = dup_text(engine, flo_buf_cstr(out));
    flo_buf_fini(out);
    return text;
}

const char *engine_text(struct engine *engine, const ProtobufCMessage *message)
{
    struct flo_buf out;
    flo_buf_init(&out, 0);
    write_message(message, &out);
    return keep(engine, &out);
}

/* ---- histories ---- */

static const char *event_name(const FloApi__HistoryEvent *event)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &flo_api__event_type__descriptor, (int)event->event_type);
    return value ? value->name + strlen("EVENT_TYPE_") : "?";
}

/* The attributes are the one member of the oneof that is set. */
static const ProtobufCMessage *attributes_of(const FloApi__HistoryEvent *event)
{
    const ProtobufCMessageDescriptor *type = event->base.descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            field->id == (uint32_t)event->attributes_case)
            return *(ProtobufCMessage *const *)(const void *)((const uint8_t *)event +
                                                              field->offset);
    }
    return NULL;
}

static FloApi__GetWorkflowExecutionHistoryResponse *read_history(struct engine *engine,
                                                                 const char *workflow_id,
                                                                 const char *run_id)
{
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    request.namespace_ = "default";
    request.execution = engine_run(engine, workflow_id, run_id);
    return engine_do(engine, "GetWorkflowExecutionHistory", &request.base);
}

const char *engine_history_of(struct engine *engine, const char *workflow_id, const char *run_id)
{
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        read_history(engine, workflow_id, run_id);
    struct flo_buf out;
    int64_t before_ns = 0;
    flo_buf_init(&out, 0);
    for (size_t i = 0; response->history && i < response->history->n_events; i++) {
        const FloApi__HistoryEvent *event = response->history->events[i];
        const ProtobufCMessage *attributes = attributes_of(event);
        const int64_t time_ns = flo_timestamp_ns(event->event_time);
        flo_buf_printf(&out, "%" PRId64 " %s%s ", event->event_id, event_name(event),
                       time_ns < before_ns ? " (earlier)" : "");
        before_ns = time_ns;
        if (attributes)
            write_message(attributes, &out);
        flo_buf_append_str(&out, "\n");
    }
    return keep(engine, &out);
}

const char *engine_history(struct engine *engine, const char *workflow_id)
{
    return engine_history_of(engine, workflow_id, NULL);
}

const char *engine_event_names(struct engine *engine, const char *workflow_id)
{
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        read_history(engine, workflow_id, NULL);
    struct flo_buf out;
    flo_buf_init(&out, 0);
    for (size_t i = 0; response->history && i < response->history->n_events; i++) {
        const FloApi__HistoryEvent *event = response->history->events[i];
        const char *name = event_name(event);
        if (strncmp(name, "WORKFLOW_", strlen("WORKFLOW_")) == 0)
            name += strlen("WORKFLOW_");
        flo_buf_printf(&out, "%s%" PRId64 " %s", i ? ", " : "", event->event_id, name);
    }
    return keep(engine, &out);
}
