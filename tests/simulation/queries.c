/* SPDX-License-Identifier: Apache-2.0 */
/* queries.c - clients that ask their workflows how many signals they have had: at least as many as
 * were acknowledged when they asked. */
#include <stdlib.h>
#include <string.h>

#include "simulation/feature.h"
#include "simulation/workers.h"
#include "wire/api.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))

/* One question. */
struct query {
    struct client *client;
    char run_id[64];   /* of the run that was asked */
    unsigned expected; /* signals that were acknowledged then */
};

static void ask(struct world *world, void *ctx, uint64_t arg);

static void check_answer(const struct query *query, const FloApi__QueryWorkflowResponse *answer)
{
    unsigned signals = 0;
    if (answer->query_result && answer->query_result->n_payloads == 1 &&
        answer->query_result->payloads[0]->data.len == sizeof signals)
        memcpy(&signals, answer->query_result->payloads[0]->data.data, sizeof signals);
    if (signals < query->expected)
        world_fail(query->client->cast->world, "I1: a query of %s has seen %u of %u signals",
                   query->client->id, signals, query->expected);
}

static void asked(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    const struct query *query = ctx;
    struct flo_arena arena;
    switch (code) {
    case FLO_GRPC_OK:
        check_answer(
            query, decode_answer(&flo_api__query_workflow_response__descriptor, body, len, &arena));
        flo_arena_fini(&arena);
        break;
    case FLO_GRPC_UNAVAILABLE:
    case FLO_GRPC_DEADLINE_EXCEEDED:
    case FLO_GRPC_NOT_FOUND:           /* not started yet */
    case FLO_GRPC_FAILED_PRECONDITION: /* no workflow task has been done yet */
    case FLO_GRPC_INVALID_ARGUMENT:    /* the worker failed the task that carried it */
    case FLO_GRPC_RESOURCE_EXHAUSTED:  /* too many wait */
    case FLO_GRPC_DATA_LOSS:           /* its history is damaged (readers.c) */
        break;
    default:
        world_fail(world, "query of %s: code %d", query->client->id, code);
    }
    world_after(world, (int64_t)world_random(world, 20 * SECOND), ask, query->client, 0);
}

static void ask(struct world *world, void *ctx, uint64_t arg)
{
    struct client *client = ctx;
    FloApi__QueryWorkflowRequest request;
    FloApi__WorkflowExecution execution;
    FloApi__WorkflowQuery what;
    struct query *query = flo_arena_calloc(&world->arena, 1, sizeof *query);
    (void)arg;
    if (!query)
        abort();
    query->client = client;
    flo_api__query_workflow_request__init(&request);
    flo_api__workflow_execution__init(&execution);
    flo_api__workflow_query__init(&what);
    execution.workflow_id = client->id;
    what.query_type = NAME("signals");
    request.namespace_ = NAME("default");
    request.execution = &execution;
    request.query = &what;
    /* The signals of one run: those of a run before it are not its own. */
    if (!has_runs(client->fate) && !client->reset)
        for (unsigned i = 0; i < client->signals; i++)
            query->expected += client->acknowledged[i];
    world_call(world, "QueryWorkflow", &request.base, asked, query);
}

static void begin(struct cast *cast)
{
    if (workflow_step_kinds() < STEP_KINDS) /* the real runtime's programs know no queries */
        return;
    for (unsigned i = 0; i < cast->client_count; i += 3)
        world_after(cast->world, (int64_t)world_random(cast->world, 30 * SECOND), ask,
                    &cast->clients[i], 0);
}

const struct feature queries_feature = {.name = "queries", .begin = begin};
