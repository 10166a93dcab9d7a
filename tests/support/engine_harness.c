/* SPDX-License-Identifier: Apache-2.0 */
/* engine_harness.c - an engine's core, its life, its calls and its time; see the header. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/zoneinfo.h"
#include "support/cmocka_env.h"
#include "support/engine_internal.h"
#include "wire/decode.h"

/* ---- memory ---- */

void *engine_need(void *block)
{
    if (!block)
        fail_msg("out of memory");
    return block;
}

void *engine_take(struct engine *engine, size_t bytes)
{
    return memset(engine_need(flo_arena_alloc(&engine->arena, bytes ? bytes : 1)), 0, bytes);
}

void *engine_dup(struct engine *engine, const void *data, size_t len)
{
    void *copy = engine_take(engine, len + 1);
    if (len)
        memcpy(copy, data, len);
    return copy;
}

char *engine_dup_text(struct engine *engine, const char *text)
{
    return engine_dup(engine, text, strlen(text));
}

const char *engine_format(struct engine *engine, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return engine_dup_text(engine, text);
}

void *engine_grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    *cap = *cap ? 2 * *cap : 64;
    return engine_need(flo_reallocarray(array, *cap, size));
}

/* ---- life ---- */

static void on_reply(void *ctx, const struct flo_core_reply *reply)
{
    struct engine *engine = ctx;
    assert_null(engine_reply(engine, reply->call)); /* one answer a call */
    engine->replies = engine_grow(engine->replies, engine->reply_count, &engine->reply_cap,
                                  sizeof *engine->replies);
    struct engine_reply *out = &engine->replies[engine->reply_count++];
    *out = (struct engine_reply){.call = reply->call, .after = reply->after, .code = reply->code};
    out->message = engine_dup_text(engine, reply->code ? reply->message : "");
    out->detail = reply->detail ? reply->detail->descriptor->short_name : "";
    if (reply->detail) {
        uint8_t *bytes = engine_take(engine, protobuf_c_message_get_packed_size(reply->detail) + 1);
        out->detail_len = protobuf_c_message_pack(reply->detail, bytes);
        out->detail_bytes = bytes;
    }
    if (reply->code)
        return;
    const size_t packed = protobuf_c_message_get_packed_size(reply->body);
    uint8_t *body = engine_take(engine, packed + reply->raw_len + 1);
    protobuf_c_message_pack(reply->body, body);
    if (reply->raw_len)
        memcpy(body + packed, reply->raw, reply->raw_len);
    out->body = body;
    out->body_len = packed + reply->raw_len;
    out->type = reply->body->descriptor;
}

static void core_up(struct engine *engine)
{
    const struct flo_core_env env = {.ctx = engine,
                                     .reply = on_reply,
                                     .store = {.ctx = engine,
                                               .find = engine_store_find,
                                               .history = engine_store_history,
                                               .load = engine_store_load,
                                               .locate = engine_store_locate},
                                     .zone = flo_zoneinfo_read,
                                     .seed = engine->seed};
    if (getenv("FLO_TEST_COLD") && !engine->options.memory_limit)
        engine->options.memory_limit = 1; /* whatever can leave memory, does */
    assert_int_equal(flo_core_new(&env, &engine->options, &engine->core), 0);
    flo_core_begin(engine->core, engine->now_ns);
}

static void reserve(struct engine *engine, size_t bytes)
{
    enum { ROWS = 4096 };
    engine_need(flo_arena_alloc(&engine->arena, bytes));
    flo_arena_reset(&engine->arena);
    engine->replies = engine_need(flo_reallocarray(NULL, ROWS, sizeof *engine->replies));
    engine->runs = engine_need(flo_reallocarray(NULL, ROWS, sizeof *engine->runs));
    engine->batches = engine_need(flo_reallocarray(NULL, ROWS, sizeof *engine->batches));
    engine->reply_cap = engine->run_cap = engine->batch_cap = ROWS;
}

static struct engine *create(uint64_t seed, const struct flo_core_options *options, size_t bytes)
{
    struct engine *engine = engine_need(flo_calloc(1, sizeof *engine));
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
    flo_free(engine->records);
    flo_free(engine->batches);
    flo_arena_fini(&engine->arena);
    flo_free(engine);
}

static void load_run(struct engine *engine, const struct engine_stored_run *run)
{
    struct flo_core_history_batch *batches =
        engine_need(flo_calloc(engine->batch_count + 1, sizeof *batches));
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
    size_t unseen = 0;
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
    for (size_t i = 0; i < engine->record_count; i++) {
        const struct engine_stored_record *it = &engine->records[i];
        const struct flo_core_record_row row = {.kind = it->kind,
                                                .namespace_id = it->namespace_id,
                                                .id = it->id,
                                                .state = it->state,
                                                .state_len = it->state_len};
        if (!it->deleted && flo_core_load_record(engine->core, &row, &err))
            fail_msg("recover: %s", err.message);
    }
    for (size_t i = 0; i < engine->run_count; i++) {
        if (engine->runs[i].key >= next_key)
            next_key = engine->runs[i].key + 1;
        if (!engine->runs[i].deleted && engine->runs[i].close_ns == 0) {
            if (engine->lazy)
                unseen++;
            else
                load_run(engine, &engine->runs[i]);
        }
    }
    flo_core_expect(engine->core, unseen);
    if (flo_core_recovered(engine->core, next_key, &err))
        fail_msg("recover: %s", err.message);
    if (engine->auto_commit)
        engine_commit(engine);
}

void engine_wake_all(struct engine *engine)
{
    for (size_t i = 0; i < engine->run_count; i++)
        if (!engine->runs[i].deleted && engine->runs[i].close_ns == 0)
            flo_core_wake(engine->core, engine->runs[i].key);
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
