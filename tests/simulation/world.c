/* SPDX-License-Identifier: Apache-2.0 */
/* world.c - the queue of events, the network, the engine's lives and deaths. */
#include "simulation/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/zoneinfo.h"
#include "wire/decode.h"

#define START_NS (INT64_C(1800000000) * SECOND) /* some day in 2027 */
#define CALL_TIMEOUT (10 * SECOND)
#define POLL_TIMEOUT (70 * SECOND)

enum call_state { CALL_SENT, CALL_OPEN, CALL_HELD, CALL_ANSWERED };

/* SENT -> OPEN (the core has it) -> [HELD until a commit] -> ANSWERED (on its way back) -> gone */
struct call {
    struct world *world;
    uint64_t id;
    enum call_state state;
    const char *method;
    struct flo_buf request, body;
    int code;
    uint64_t after; /* while HELD */
    world_reply_fn reply;
    void *ctx;
};

static void *must(void *block)
{
    if (!block)
        abort();
    return block;
}

/* FNV-1a over what happened and when. */
static void record(struct world *world, const char *what, uint64_t number)
{
    if (world->traced)
        printf("%12.6f %s %llu\n", (double)(world->now_ns - START_NS) / 1e9, what,
               (unsigned long long)number);
    uint64_t parts[] = {(uint64_t)world->now_ns, number};
    for (const char *at = what; *at; at++)
        world->hash = (world->hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    for (size_t i = 0; i < sizeof parts; i++)
        world->hash = (world->hash ^ ((const uint8_t *)parts)[i]) * UINT64_C(1099511628211);
}

void world_fail(struct world *world, const char *fmt, ...)
{
    va_list args;
    if (world->failure)
        return;
    va_start(args, fmt);
    vsnprintf(world->failure_text, sizeof world->failure_text, fmt, args);
    va_end(args);
    world->failure = world->failure_text;
}

uint64_t world_random(struct world *world, uint64_t bound)
{
    return flo_rng_below(&world->rng, bound);
}

bool world_fault(struct world *world, unsigned per_mille)
{
    return world->now_ns < world->faults_end_ns && world_random(world, 1000) < per_mille;
}

/* ---- the queue: a binary heap ---- */

static bool before(const struct world_event *a, const struct world_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void world_after(struct world *world, int64_t delay_ns, world_fn fn, void *ctx, uint64_t arg)
{
    if (world->event_count == world->event_capacity) {
        world->event_capacity = world->event_capacity ? world->event_capacity * 2 : 256;
        world->events =
            must(flo_reallocarray(world->events, world->event_capacity, sizeof *world->events));
    }
    size_t at = world->event_count++;
    struct world_event event = {world->now_ns + delay_ns, world->next_order++, fn, ctx, arg};
    for (; at > 0 && before(&event, &world->events[(at - 1) / 2]); at = (at - 1) / 2)
        world->events[at] = world->events[(at - 1) / 2];
    world->events[at] = event;
}

static struct world_event pop(struct world *world)
{
    struct world_event first = world->events[0];
    struct world_event last = world->events[--world->event_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= world->event_count)
            break;
        if (child + 1 < world->event_count &&
            before(&world->events[child + 1], &world->events[child]))
            child++;
        if (!before(&world->events[child], &last))
            break;
        world->events[at] = world->events[child];
        at = child;
    }
    if (world->event_count)
        world->events[at] = last;
    return first;
}

bool world_step(struct world *world)
{
    if (!world->event_count)
        return false;
    struct world_event event = pop(world);
    world->now_ns = event.at_ns;
    event.fn(world, event.ctx, event.arg);
    if (world->disk.failure)
        world_fail(world, "%s", world->disk.failure);
    return true;
}

/* What the engine's clock shows. */
static int64_t engine_now(const struct world *world)
{
    return world->now_ns + world->ahead_ns;
}

/* ---- calls ---- */

static struct call *find_call(struct world *world, uint64_t id)
{
    return flo_map_get(&world->calls, &id, sizeof id);
}

static void free_call(struct call *call)
{
    flo_map_remove(&call->world->calls, &call->id, sizeof call->id);
    flo_buf_fini(&call->request);
    flo_buf_fini(&call->body);
    flo_free(call);
}

static int64_t network_delay(struct world *world)
{
    if (world_fault(world, 20))
        return (int64_t)world_random(world, 3 * SECOND);
    return (int64_t)world_random(world, 5 * MS);
}

static void arrive_reply(struct world *world, void *ctx, uint64_t id)
{
    struct call *call = find_call(world, id);
    (void)ctx;
    if (!call)
        return;
    record(world, call->method, (uint64_t)call->code);
    call->reply(world, call->ctx, call->code, call->body.data, call->body.len);
    free_call(call);
}

/* The answer leaves for its client, or is lost on the way, which the client notices later. */
static void send_reply(struct call *call)
{
    struct world *world = call->world;
    int64_t delay = network_delay(world);
    call->state = CALL_ANSWERED;
    if (world_fault(world, world->broken == BROKEN_I6 ? 200 : 20)) {
        call->code = FLO_GRPC_UNAVAILABLE;
        flo_buf_clear(&call->body);
        delay += SECOND;
    }
    world_after(world, delay, arrive_reply, NULL, call->id);
}

static void answer(struct call *call, int code)
{
    call->code = code;
    send_reply(call);
}

static void on_core_reply(void *ctx, const struct flo_core_reply *reply)
{
    struct world *world = ctx;
    struct call *call = find_call(world, reply->call);
    if (!call || call->state != CALL_OPEN) {
        world_fail(world, "the core answered a call that was not open");
        return;
    }
    call->code = reply->code;
    if (reply->code == FLO_GRPC_OK) {
        if (reply->body && flo_wire_encode(reply->body, &call->body))
            abort();
        if (reply->raw_len && flo_buf_append(&call->body, reply->raw, reply->raw_len))
            abort();
    }
    if (reply->after > world->durable && world->broken != BROKEN_I1) {
        call->state = CALL_HELD;
        call->after = reply->after;
    } else {
        send_reply(call);
    }
}

static void after_core(struct world *world);

static void deadline(struct world *world, void *ctx, uint64_t id)
{
    struct call *call = find_call(world, id);
    (void)ctx;
    if (!call || (call->state != CALL_OPEN && call->state != CALL_HELD))
        return;
    flo_core_begin(world->core, engine_now(world));
    flo_core_cancel_call(world->core, id);
    answer(call, FLO_GRPC_DEADLINE_EXCEEDED);
    after_core(world);
}

/* The request is at the engine. */
static void arrive_request(struct world *world, void *ctx, uint64_t id)
{
    struct call *call = find_call(world, id);
    (void)ctx;
    if (!world->core) {
        answer(call, FLO_GRPC_UNAVAILABLE);
        return;
    }
    struct flo_arena arena;
    ProtobufCMessage *request;
    struct flo_err err;
    int64_t timeout = strncmp(call->method, "Poll", 4) == 0 ||
                              strcmp(call->method, "GetWorkflowExecutionHistory") == 0
                          ? POLL_TIMEOUT
                          : CALL_TIMEOUT;
    struct flo_core_call_info info = {.id = id,
                                      .deadline_ns = engine_now(world) + timeout,
                                      .client_name = "simulation",
                                      .follows_next_run_id = true};
    flo_arena_init(&arena, 0);
    if (flo_wire_decode(flo_core_method(call->method), call->request.data, call->request.len,
                        &arena, &request, &err))
        abort();
    call->state = CALL_OPEN;
    flo_core_begin(world->core, engine_now(world));
    flo_core_call(world->core, call->method, &info, request);
    flo_arena_fini(&arena);
    world_after(world, timeout, deadline, NULL, id);
    after_core(world);
}

static struct call *new_call(struct world *world, const char *method,
                             const ProtobufCMessage *request, world_reply_fn reply, void *ctx)
{
    struct call *call = must(flo_calloc(1, sizeof *call));
    call->world = world;
    call->id = ++world->next_call;
    call->method = method;
    call->reply = reply;
    call->ctx = ctx;
    flo_buf_init(&call->request, 0);
    flo_buf_init(&call->body, 0);
    if (flo_wire_encode(request, &call->request) ||
        flo_map_put(&world->calls, &call->id, sizeof call->id, call, NULL))
        abort();
    return call;
}

/* The answer to a request that arrived a second time: its client has got one, or given up. */
static void ignore(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    (void)world, (void)ctx, (void)code, (void)body, (void)len;
}

void world_call(struct world *world, const char *method, const ProtobufCMessage *request,
                world_reply_fn reply, void *ctx)
{
    struct call *call = new_call(world, method, request, reply, ctx);
    if (world->broken == BROKEN_I12 && strncmp(method, "Poll", 4) == 0 &&
        world->now_ns >= world->faults_end_ns)
        return;
    if (world_fault(world, 10)) {
        const struct call *again = new_call(world, method, request, ignore, NULL);
        world_after(world, network_delay(world), arrive_request, NULL, again->id);
    }
    if (world_fault(world, 20)) {
        call->code = FLO_GRPC_UNAVAILABLE; /* never arrives */
        call->state = CALL_ANSWERED;
        world_after(world, SECOND, arrive_reply, NULL, call->id);
    } else {
        world_after(world, network_delay(world), arrive_request, NULL, call->id);
    }
}

/* ---- the engine: commits, timers, death and return ---- */

static void release_held(struct world *world)
{
    for (struct flo_map_entry *it = flo_map_first(&world->calls); it; it = flo_map_next(it)) {
        struct call *call = flo_map_value(it);
        if (call->state == CALL_HELD && call->after <= world->durable)
            send_reply(call);
    }
}

static void die(struct world *world, void *ctx, uint64_t life);

static void committed(struct world *world, void *ctx, uint64_t life)
{
    (void)ctx;
    if (life != world->life || !world->committing)
        return;
    if (world_fault(world, 3)) { /* a write or a sync failed: the engine ends */
        die(world, NULL, life);
        return;
    }
    disk_apply(&world->disk, world->committing);
    world->durable = world->committing->seq;
    flo_core_batch_free(&world->committing);
    record(world, "committed", world->durable);
    flo_core_begin(world->core, engine_now(world));
    flo_core_committed(world->core, world->durable);
    release_held(world);
    after_core(world);
}

static void fire(struct world *world, void *ctx, uint64_t life)
{
    (void)ctx;
    if (life != world->life || !world->core)
        return;
    world->timer_ns = INT64_MAX;
    flo_core_begin(world->core, engine_now(world));
    flo_core_fire(world->core);
    after_core(world);
}

/* How long a commit takes; now and then a disk is very slow. */
static int64_t commit_time(struct world *world)
{
    if (world->broken == BROKEN_I1) /* so that it is seen */
        return (int64_t)world_random(world, SECOND);
    return (int64_t)world_random(world, world_fault(world, 5) ? 3 * SECOND : 2 * MS);
}

/* What the shell does at the end of a turn. */
static void after_core(struct world *world)
{
    const char *why;
    if (flo_core_failed(world->core, &why) == FLO_EIO) {
        die(world, NULL, world->life);
        return;
    }
    if (!world->committing && flo_core_wants_commit(world->core)) {
        int rc = flo_core_take_batch(world->core, &world->committing);
        if (rc == FLO_EIO) { /* the engine ends, and is started anew */
            die(world, NULL, world->life);
            return;
        }
        if (rc)
            abort();
        if (world->committing)
            world_after(world, commit_time(world), committed, NULL, world->life);
    }
    int64_t next = flo_core_next_deadline(world->core);
    if (next != INT64_MAX)
        next -= world->ahead_ns;
    if (next < world->timer_ns) {
        world->timer_ns = next;
        world_after(world, next > world->now_ns ? next - world->now_ns : 0, fire, NULL,
                    world->life);
    }
}

/* The machine was suspended, or its clock was set: it jumps forward, sometimes back. */
static void jump(struct world *world, void *ctx, uint64_t arg)
{
    (void)ctx, (void)arg;
    if (world->now_ns >= world->faults_end_ns)
        return;
    world->ahead_ns += world_random(world, 3) ? (int64_t)world_random(world, 30 * SECOND)
                                              : -(int64_t)world_random(world, 20 * SECOND);
    world_after(world, (int64_t)world_random(world, 30 * SECOND), jump, NULL, 0);
    fire(world, NULL, world->life);
}

static bool read_fails(void *ctx)
{
    return world_fault(ctx, 30);
}

/* Some of the runs that were not loaded at the start have their turn. */
static void wake(struct world *world, void *ctx, uint64_t life)
{
    (void)ctx;
    if (life != world->life)
        return;
    flo_core_begin(world->core, engine_now(world));
    const bool more = disk_wake(&world->disk, world->core, 1 + world_random(world, 3));
    after_core(world);
    if (more && world->life == life)
        world_after(world, (int64_t)world_random(world, SECOND), wake, NULL, life);
}

static void boot(struct world *world, void *ctx, uint64_t arg)
{
    struct flo_core_env env = {
        .ctx = world, .reply = on_core_reply, .zone = flo_zoneinfo_read, .seed = world->seed + arg};
    struct flo_core_options options = {0};
    struct flo_err err = {0};
    (void)ctx;
    if (world->seed % 2) /* whatever can leave memory, does */
        options.memory_limit = 1 + (int64_t)world_random(world, 20000);
    world->life++;
    world->durable = 0;
    world->timer_ns = INT64_MAX;
    disk_as_store(&world->disk, &env.store);
    world->disk.damage_unseen = world->broken == BROKEN_I13;
    record(world, "boot", world->life);
    if (flo_core_new(&env, &options, &world->core))
        abort();
    flo_core_begin(world->core, engine_now(world));
    if (disk_recover(&world->disk, world->core, world->seed % 3 ? SIZE_MAX : world_random(world, 3),
                     &err)) {
        world_fail(world, "recovery: %s", err.message);
        return;
    }
    if (flo_core_ensure_namespace(world->core, "default", 0))
        abort();
    after_core(world);
    world_after(world, (int64_t)world_random(world, SECOND), wake, NULL, world->life);
    if (world->now_ns < world->faults_end_ns)
        world_after(world, (int64_t)world_random(world, 12 * SECOND), die, NULL, world->life);
}

/* Everything that is not on disk is gone. */
static void die(struct world *world, void *ctx, uint64_t life)
{
    (void)ctx;
    if (life != world->life || world->now_ns >= world->faults_end_ns)
        return;
    record(world, "die", life);
    world->deaths++;
    if (world->committing && world_random(world, 2))
        disk_apply(&world->disk, world->committing);
    if (world->broken == BROKEN_I2)
        disk_reopen(&world->disk);
    flo_core_batch_free(&world->committing);
    flo_core_destroy(&world->core);
    world->life++; /* its timers and commits are nobody's now */
    for (struct flo_map_entry *it = flo_map_first(&world->calls); it; it = flo_map_next(it)) {
        struct call *call = flo_map_value(it);
        if (call->state == CALL_OPEN || call->state == CALL_HELD) {
            flo_buf_clear(&call->body);
            answer(call, FLO_GRPC_UNAVAILABLE);
        }
    }
    world_after(world, (int64_t)world_random(world, 2 * SECOND), boot, NULL, world->life);
}

void world_init(struct world *world, uint64_t seed, int64_t faults_ns, enum broken broken,
                bool traced)
{
    memset(world, 0, sizeof *world);
    world->broken = broken;
    world->traced = traced;
    world->seed = seed;
    world->now_ns = START_NS;
    world->faults_end_ns = START_NS + faults_ns;
    world->hash = UINT64_C(14695981039346656037);
    flo_rng_seed(&world->rng, seed);
    flo_map_init(&world->calls);
    flo_arena_init(&world->arena, 0);
    disk_init(&world->disk);
    world->disk.fails = read_fails;
    world->disk.fails_ctx = world;
    world_after(world, (int64_t)world_random(world, 30 * SECOND), jump, NULL, 0);
    boot(world, NULL, 0);
}

void world_fini(struct world *world)
{
    struct flo_map_entry *it;
    if (world->core)
        flo_core_destroy(&world->core);
    flo_core_batch_free(&world->committing);
    while ((it = flo_map_first(&world->calls)))
        free_call(flo_map_value(it));
    flo_map_fini(&world->calls);
    flo_free(world->events);
    flo_arena_fini(&world->arena);
    disk_fini(&world->disk);
}
