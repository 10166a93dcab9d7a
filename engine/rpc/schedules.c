/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedules.c - ListSchedules: newest first. A page token is the place of the page's last schedule
 * in that order (when it was made, and its run id), so that pages stay right while schedules come
 * and go between them.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/rpc/routes.h"
#include "engine/rpc/schedule_query.h"
#include "grpc/status.h"

enum { PAGE_MAX = 1000, TOKEN_SIZE = 9 + FLO_UUID_LEN, TOKEN_VERSION = 1 };

struct found {
    struct flo_arena *arena;
    const struct flo_query_tree *tree;
    const struct flo_query_names *names;
    struct flo_core_schedule after; /* list those that come after it; run_id NULL: all */
    struct flo_core_schedule *list;
    size_t count, cap;
    bool failed; /* memory */
};

/* The order of lists. */
static int compare(const void *left, const void *right)
{
    const struct flo_core_schedule *a = left, *b = right;
    if (a->create_ns != b->create_ns)
        return a->create_ns > b->create_ns ? -1 : 1;
    return -strcmp(a->run_id, b->run_id);
}

static void add(void *ctx, const struct flo_core_schedule *schedule)
{
    struct found *found = ctx;
    if (found->failed || (found->after.run_id && compare(schedule, &found->after) <= 0) ||
        !flo_schedule_query_matches(found->tree, found->names, schedule))
        return;
    if (found->count == found->cap) {
        const size_t cap = found->cap ? 2 * found->cap : 64;
        struct flo_core_schedule *bigger = flo_arena_calloc(found->arena, cap, sizeof *bigger);
        if (!bigger) {
            found->failed = true;
            return;
        }
        if (found->count)
            memcpy(bigger, found->list, found->count * sizeof *bigger);
        found->list = bigger;
        found->cap = cap;
    }
    found->list[found->count++] = *schedule;
}

/* ---- tokens: version, when it was made, little endian, and the run id ---- */

static bool put_token(const struct flo_core_schedule *last, struct flo_arena *arena,
                      ProtobufCBinaryData *out)
{
    uint8_t *bytes = flo_arena_alloc_bytes(arena, TOKEN_SIZE);
    if (!bytes)
        return false;
    bytes[0] = TOKEN_VERSION;
    for (int i = 0; i < 8; i++)
        bytes[1 + i] = (uint8_t)((uint64_t)last->create_ns >> (8 * i));
    memcpy(bytes + 9, last->run_id, FLO_UUID_LEN);
    *out = (ProtobufCBinaryData){.len = TOKEN_SIZE, .data = bytes};
    return true;
}

static bool get_token(const ProtobufCBinaryData *token, struct flo_arena *arena,
                      struct flo_core_schedule *out)
{
    if (token->len != TOKEN_SIZE || token->data[0] != TOKEN_VERSION)
        return false;
    uint64_t create = 0;
    for (int i = 0; i < 8; i++)
        create |= (uint64_t)token->data[1 + i] << (8 * i);
    out->create_ns = (int64_t)create;
    out->run_id = flo_arena_strndup(arena, (const char *)token->data + 9, FLO_UUID_LEN);
    return out->run_id != NULL;
}

/* ---- the call ---- */

struct in_namespace {
    const struct flo_core *core;
    const char *name;
};

static FloApi__IndexedValueType type_of(void *ctx, const char *name)
{
    const struct in_namespace *in = ctx;
    return flo_core_attribute_type(in->core, in->name, name);
}

static void answer_page(const struct found *found, int32_t page_size,
                        struct flo_route_answer *answer)
{
    struct flo_arena *arena = found->arena;
    const size_t limit = page_size > 0 && page_size < PAGE_MAX ? (size_t)page_size : PAGE_MAX;
    const size_t count = found->count < limit ? found->count : limit;
    FloApi__ListSchedulesResponse *response = flo_arena_alloc(arena, sizeof *response);
    if (response)
        flo_api__list_schedules_response__init(response);
    if (response)
        response->schedules = flo_arena_calloc(arena, count + 1, sizeof *response->schedules);
    if (!response || !response->schedules) {
        flo_route_out_of_memory(answer);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (flo_core_show_schedule(&found->list[i], arena, &response->schedules[i])) {
            flo_route_out_of_memory(answer);
            return;
        }
        response->n_schedules++;
    }
    /* A full page may have a next one: as the real server's, which does not look ahead. */
    if (count == limit && !put_token(&found->list[count - 1], arena, &response->next_page_token)) {
        flo_route_out_of_memory(answer);
        return;
    }
    answer->body = &response->base;
}

void flo_route_list_schedules(struct flo_route_context *context, const void *message,
                              struct flo_arena *arena, struct flo_route_answer *answer)
{
    const FloApi__ListSchedulesRequest *request = message;
    struct in_namespace in = {context->core, request->namespace_};
    const struct flo_query_names names = {type_of, &in};
    struct flo_query_tree tree = {0};
    struct flo_err err;
    struct found found = {.arena = arena, .tree = &tree, .names = &names};
    const char *id = flo_route_namespace(context, request->namespace_, arena, answer);
    if (!id)
        return;
    int rc =
        flo_schedule_query_parse(request->query, request->namespace_, &names, arena, &tree, &err);
    if (rc == FLO_EINVAL)
        flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT, "%s", err.message);
    else if (rc)
        flo_route_out_of_memory(answer);
    else if (request->next_page_token.len &&
             !get_token(&request->next_page_token, arena, &found.after))
        flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT, "Invalid NextPageToken.");
    if (answer->code != FLO_GRPC_OK)
        return;
    flo_core_each_schedule(context->core, id, add, &found);
    if (found.failed) {
        flo_route_out_of_memory(answer);
        return;
    }
    if (found.count)
        qsort(found.list, found.count, sizeof *found.list, compare);
    answer_page(&found, request->maximum_page_size, answer);
}
