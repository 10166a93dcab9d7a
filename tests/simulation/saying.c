/* SPDX-License-Identifier: Apache-2.0 */
/* saying.c - a request that is repeated while its answer is unknown; SDKs give up at last. */
#include <stdlib.h>

#include "simulation/workers.h"
#include "wire/decode.h"

#define ATTEMPTS 20

struct saying {
    const char *method;
    ProtobufCMessage *request;
    unsigned attempts;
    struct cast *cast;
    said_fn done;
    void *ctx;
};

static void say(struct world *world, void *ctx, uint64_t arg);

static void said(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct saying *saying = ctx;
    bool unknown = code == FLO_GRPC_UNAVAILABLE || code == FLO_GRPC_DEADLINE_EXCEEDED;
    if (unknown && saying->attempts < ATTEMPTS) {
        int64_t backoff = world->now_ns < world->faults_end_ns ? 3 * SECOND : 400 * MS;
        world_after(world, (int64_t)world_random(world, (uint64_t)backoff), say, saying, 0);
        return;
    }
    if (code != FLO_GRPC_OK && !unknown && code != FLO_GRPC_NOT_FOUND &&
        code != FLO_GRPC_INVALID_ARGUMENT)
        world_fail(world, "%s: code %d", saying->method, code);
    if (saying->done)
        saying->done(saying->cast, saying->ctx, code, body, len);
}

static void say(struct world *world, void *ctx, uint64_t arg)
{
    struct saying *saying = ctx;
    (void)arg;
    saying->attempts++;
    world_call(world, saying->method, saying->request, said, saying);
}

void say_until_heard(struct cast *cast, const char *method, const ProtobufCMessage *request,
                     said_fn done, void *ctx)
{
    struct flo_arena *arena = &cast->world->arena;
    struct saying *saying = flo_arena_calloc(arena, 1, sizeof *saying);
    if (!saying)
        abort();
    *saying = (struct saying){.cast = cast, .method = method, .done = done, .ctx = ctx};
    saying->request = flo_wire_copy(request, arena);
    if (!saying->request)
        abort();
    say(cast->world, saying, 0);
}

void *decode_answer(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t len,
                    struct flo_arena *arena)
{
    ProtobufCMessage *message;
    flo_arena_init(arena, 0);
    if (flo_wire_decode(type, body, len, arena, &message, NULL))
        abort();
    return message;
}
