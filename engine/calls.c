/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.c - a table of slots with a free list; an id is (serial << 24 | slot), so that finding a
 * call costs no hash and an id is never used twice.
 */
#include "engine/calls.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "wire/decode.h"

#define SLOT_BITS 24
#define SLOT_MASK ((UINT64_C(1) << SLOT_BITS) - 1)

struct held_reply {
    struct flo_node node; /* in flo_calls.held */
    uint64_t call, after;
    int code;
    size_t message_len; /* message, NUL, then body or details */
    size_t body_len;
    size_t cost_bytes; /* part of flo_calls.held_bytes */
    char data[];
};

struct flo_call_slot {
    uint64_t id; /* 0 = free */
    struct flo_grpc_server_call *grpc;
    struct flo_call_method *method;
    struct held_reply *held; /* NULL while OPEN */
    int64_t begun_ns;
    size_t request_bytes;
    unsigned *open; /* a count that this call is part of; NULL = none */
    uint32_t next_free;
};

void flo_calls_init(struct flo_calls *calls, struct flo_metrics *metrics)
{
    *calls = (struct flo_calls){.metrics = metrics};
    flo_list_init(&calls->held);
    flo_buf_init(&calls->scratch, 0);
}

void flo_calls_fini(struct flo_calls *calls)
{
    struct flo_node *node;
    while ((node = flo_list_pop_front(&calls->held)))
        flo_free(flo_container(node, struct held_reply, node));
    flo_buf_fini(&calls->scratch);
    while (calls->method_count > 0)
        flo_free(calls->methods[--calls->method_count]);
    flo_free(calls->slots);
    calls->slots = NULL;
    calls->slot_count = 0;
}

struct flo_call_method *flo_calls_method(struct flo_calls *calls, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < calls->method_count; i++)
        if (strcmp(calls->methods[i]->name, name) == 0)
            return calls->methods[i];
    if (calls->method_count == FLO_CALLS_METHODS_MAX)
        return NULL;
    struct flo_call_method *method = flo_calloc(1, sizeof *method + len + 1);
    if (!method)
        return NULL;
    memcpy(method->name, name, len + 1);
    method->task_poll = strncmp(name, "Poll", 4) == 0;
    method->long_poll = method->task_poll || strcmp(name, "GetWorkflowExecutionHistory") == 0;
    method->client = !method->task_poll && strncmp(name, "Respond", 7) != 0 &&
                     strncmp(name, "Record", 6) != 0 && strcmp(name, "ShutdownWorker") != 0 &&
                     strcmp(name, "UnlockTimeSkipping") != 0;
    calls->methods[calls->method_count++] = method;
    return method;
}

static int grow(struct flo_calls *calls)
{
    size_t count = calls->slot_count ? calls->slot_count * 2 : 64;
    if (count > SLOT_MASK)
        return FLO_EFULL;
    struct flo_call_slot *slots = flo_reallocarray(calls->slots, count, sizeof *slots);
    if (!slots)
        return FLO_ENOMEM;
    for (size_t i = count; i-- > calls->slot_count;) {
        slots[i] = (struct flo_call_slot){.next_free = calls->first_free};
        calls->first_free = (uint32_t)i + 1;
    }
    calls->slots = slots;
    calls->slot_count = count;
    return 0;
}

uint64_t flo_calls_add(struct flo_calls *calls, struct flo_grpc_server_call *grpc,
                       struct flo_call_method *method, size_t request_bytes)
{
    if (!calls->first_free && grow(calls))
        return 0;
    uint32_t index = calls->first_free - 1;
    struct flo_call_slot *slot = &calls->slots[index];
    calls->first_free = slot->next_free;
    *slot = (struct flo_call_slot){
        .id = ++calls->serial << SLOT_BITS | index,
        .grpc = grpc,
        .method = method,
        .begun_ns = flo_clock_mono_ns(),
        .request_bytes = request_bytes,
    };
    flo_grpc_server_call_set_user(grpc, slot->id);
    return slot->id;
}

static struct flo_call_slot *find(struct flo_calls *calls, uint64_t id)
{
    size_t index = id & SLOT_MASK;
    if (!id || index >= calls->slot_count || calls->slots[index].id != id)
        return NULL;
    return &calls->slots[index];
}

static void free_slot(struct flo_calls *calls, struct flo_call_slot *slot)
{
    if (slot->open)
        --*slot->open;
    *slot = (struct flo_call_slot){.next_free = calls->first_free};
    calls->first_free = (uint32_t)(slot - calls->slots) + 1;
}

static void drop_held(struct flo_calls *calls, struct held_reply *held)
{
    if (!held)
        return;
    flo_list_remove(&calls->held, &held->node);
    calls->held_bytes -= held->cost_bytes;
    flo_free(held);
}

void flo_calls_count(struct flo_calls *calls, uint64_t id, unsigned *open)
{
    struct flo_call_slot *slot = find(calls, id);
    if (slot)
        slot->open = open;
    else
        --*open;
}

void flo_calls_forget(struct flo_calls *calls, uint64_t id)
{
    struct flo_call_slot *slot = find(calls, id);
    if (!slot)
        return;
    drop_held(calls, slot->held);
    free_slot(calls, slot);
}

static void count_answer(struct flo_calls *calls, const struct flo_call_slot *slot, int code)
{
    struct flo_call_method *method = slot->method;
    if (!calls->metrics)
        return;
    struct flo_series **answers = &method->answers[code];
    if (!*answers)
        *answers = flo_metrics_get(calls->metrics, FLO_METRIC_ENGINE_CALLS, method->name,
                                   flo_grpc_code_name(code), NULL);
    flo_series_inc(*answers);
    if (method->long_poll)
        return;
    if (!method->latency)
        method->latency =
            flo_metrics_get(calls->metrics, FLO_METRIC_ENGINE_CALL_LATENCY, method->name, NULL);
    flo_series_observe(method->latency, (double)(flo_clock_mono_ns() - slot->begun_ns) / 1e9);
}

/* The one way out. data is the body, or with an error its details. */
static void send(struct flo_calls *calls, struct flo_call_slot *slot, int code, const char *message,
                 const uint8_t *data, size_t len)
{
    struct flo_grpc_server_call *grpc = slot->grpc;
    if (code < 0 || code >= FLO_CALLS_CODES)
        code = FLO_GRPC_UNKNOWN;
    count_answer(calls, slot, code);
    calls->client_answers += slot->method->client;
    free_slot(calls, slot); /* first: answering may call back */
    if (code == FLO_GRPC_OK)
        flo_grpc_respond(grpc, data, len);
    else
        flo_grpc_respond_error(grpc, code, message, len ? data : NULL, len, NULL, 0);
}

/* Append google.rpc.Status with detail as its one Any. */
static int pack_status(const struct flo_core_reply *reply, struct flo_buf *out)
{
    static const char prefix[] = "type.googleapis.com/";
    int rc = FLO_ENOMEM;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    Google__Protobuf__Any any;
    Google__Protobuf__Any *details[] = {&any};
    Google__Rpc__Status status;
    google__protobuf__any__init(&any);
    google__rpc__status__init(&status);
    status.code = reply->code;
    status.message = flo_arena_strdup(&arena, reply->message ? reply->message : "");
    any.type_url = flo_arena_printf(&arena, "%s%s", prefix, reply->detail->descriptor->name);
    if (!status.message || !any.type_url)
        goto out;
    rc = flo_wire_encode_arena(reply->detail, &arena, &any.value.data, &any.value.len);
    if (rc)
        goto out;
    status.details = details;
    status.n_details = 1;
    rc = flo_wire_encode(&status.base, out);
out:
    flo_arena_fini(&arena);
    return rc;
}

/* The bytes of a reply: its body and raw fields, or its details. */
static int pack(const struct flo_core_reply *reply, struct flo_buf *out)
{
    flo_buf_clear(out);
    out->failed = false;
    if (reply->code != FLO_GRPC_OK)
        return reply->detail ? pack_status(reply, out) : 0;
    int rc = reply->body ? flo_wire_encode(reply->body, out) : 0;
    if (!rc && reply->raw_len)
        rc = flo_buf_append(out, reply->raw, reply->raw_len);
    return rc;
}

/* Keep the packed reply until its commit. Most are the newest, so the search starts at the end. */
static int hold(struct flo_calls *calls, struct flo_call_slot *slot,
                const struct flo_core_reply *reply)
{
    const char *message = reply->message ? reply->message : "";
    size_t message_len = strlen(message), body_len = calls->scratch.len;
    size_t size = sizeof(struct held_reply) + message_len + 1 + body_len;
    struct held_reply *held = flo_malloc(size);
    if (!held)
        return FLO_ENOMEM;
    *held = (struct held_reply){.call = slot->id,
                                .after = reply->after,
                                .code = reply->code,
                                .message_len = message_len,
                                .body_len = body_len,
                                .cost_bytes = size + slot->request_bytes};
    memcpy(held->data, message, message_len + 1);
    if (body_len)
        memcpy(held->data + message_len + 1, calls->scratch.data, body_len);
    struct flo_node *at = &calls->held.head;
    while (at->prev != &calls->held.head &&
           flo_container(at->prev, struct held_reply, node)->after > reply->after)
        at = at->prev;
    flo_list_insert_before(&calls->held, at, &held->node);
    calls->held_bytes += held->cost_bytes;
    slot->held = held;
    return 0;
}

void flo_calls_reply(struct flo_calls *calls, const struct flo_core_reply *reply)
{
    struct flo_call_slot *slot = find(calls, reply->call);
    if (!slot || slot->held)
        return;
    int rc = pack(reply, &calls->scratch);
    if (!rc && reply->after > calls->durable) {
        rc = hold(calls, slot, reply);
        if (!rc)
            return;
    }
    if (rc) /* what was done stands or not: the client must ask */
        send(calls, slot, FLO_GRPC_UNAVAILABLE, "the engine is out of memory", NULL, 0);
    else
        send(calls, slot, reply->code, reply->message, calls->scratch.data, calls->scratch.len);
    if (calls->scratch.cap > 1 << 20) /* one large reply must not stay for ever */
        flo_buf_fini(&calls->scratch), flo_buf_init(&calls->scratch, 0);
}

void flo_calls_durable(struct flo_calls *calls, uint64_t seq)
{
    struct flo_node *node;
    if (seq > calls->durable)
        calls->durable = seq;
    while ((node = flo_list_first(&calls->held))) {
        struct held_reply *held = flo_container(node, struct held_reply, node);
        if (held->after > seq)
            break;
        flo_list_remove(&calls->held, node);
        calls->held_bytes -= held->cost_bytes;
        send(calls, find(calls, held->call), held->code, held->data,
             (const uint8_t *)held->data + held->message_len + 1, held->body_len);
        flo_free(held);
    }
}

bool flo_calls_holding(const struct flo_calls *calls)
{
    return !flo_list_empty(&calls->held);
}

bool flo_calls_full(const struct flo_calls *calls)
{
    return calls->held_bytes >= FLO_CALLS_HELD_MAX;
}

void flo_calls_end(struct flo_calls *calls, bool held, const char *message,
                   void (*open)(void *ctx, uint64_t id), void *ctx)
{
    for (size_t i = 0; i < calls->slot_count; i++) {
        struct flo_call_slot *slot = &calls->slots[i];
        if (!slot->id || (slot->held && !held))
            continue;
        bool task_poll = !slot->held && slot->method->task_poll;
        if (!slot->held)
            open(ctx, slot->id);
        slot = &calls->slots[i];
        if (!slot->id) /* the core answered it meanwhile */
            continue;
        drop_held(calls, slot->held);
        if (task_poll && !held)
            send(calls, slot, FLO_GRPC_OK, NULL, NULL, 0); /* an empty response: no task */
        else
            send(calls, slot, FLO_GRPC_UNAVAILABLE, message, NULL, 0);
    }
}
