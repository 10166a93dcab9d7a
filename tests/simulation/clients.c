/* SPDX-License-Identifier: Apache-2.0 */
/* clients.c - each client starts one workflow, sends its signals, waits for its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "simulation/feature.h"
#include "simulation/workers.h"
#include "wire/api.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))

unsigned program_of(const char *workflow_id, enum step out_steps[STEPS_MAX])
{
    struct flo_rng rng;
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const char *at = workflow_id; *at; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    flo_rng_seed(&rng, hash);
    /* A child has no children, and nobody signals it. */
    unsigned kinds = strchr(workflow_id, '/') ? STEP_SIGNAL : workflow_step_kinds();
    unsigned count = 1 + (unsigned)flo_rng_below(&rng, STEPS_MAX);
    for (unsigned i = 0; i < count; i++)
        out_steps[i] = (enum step)flo_rng_below(&rng, kinds);
    return count;
}

enum fate fate_of(const char *workflow_id)
{
    static const enum fate fates[] = {FATE_CONTINUES, FATE_CANCELED, FATE_TIMES_OUT, FATE_RETRIES};
    unsigned sum = 0;
    for (const char *at = workflow_id; *at; at++)
        sum = sum * 31 + (uint8_t)*at;
    bool plain = workflow_step_kinds() < STEP_KINDS || strchr(workflow_id, '/') || sum % 7 > 3;
    return plain ? FATE_PLAIN : fates[sum % 7];
}

enum fate fate_of_parent(const char *workflow_id)
{
    char parent[64];
    snprintf(parent, sizeof parent, "%.*s", (int)strcspn(workflow_id, "/"), workflow_id);
    return fate_of(parent);
}

bool has_runs(enum fate fate)
{
    return fate == FATE_CONTINUES || fate == FATE_RETRIES;
}

struct client *client_of(struct cast *cast, const char *workflow_id)
{
    const size_t len = strcspn(workflow_id, "/");
    for (unsigned i = 0; i < cast->client_count; i++)
        if (strlen(cast->clients[i].id) == len &&
            memcmp(cast->clients[i].id, workflow_id, len) == 0)
            return &cast->clients[i];
    return NULL;
}

const struct disk_run *newest_run(const struct cast *cast, const char *workflow_id)
{
    const struct disk *disk = &cast->world->disk;
    for (size_t i = disk->run_count; i-- > 0;)
        if (!disk->runs[i]->deleted && strcmp(disk->runs[i]->workflow_id, workflow_id) == 0)
            return disk->runs[i];
    return NULL;
}

static void start(struct world *world, void *ctx, uint64_t arg);
static void wait_end(struct world *world, void *ctx, uint64_t arg);
static void send_signal(struct world *world, void *ctx, uint64_t number);
static void send_cancel(struct world *world, void *ctx, uint64_t arg);

static bool is_unknown(int code)
{
    return code == FLO_GRPC_UNAVAILABLE || code == FLO_GRPC_DEADLINE_EXCEEDED;
}

/* ---- start ---- */

/* From here on the client signals its workflow and waits for its end. */
static void go_on(struct client *client)
{
    struct world *world = client->cast->world;
    for (unsigned i = 0; i < client->signals; i++)
        world_after(world, (int64_t)world_random(world, 20 * SECOND), send_signal, client, i);
    if (client->fate == FATE_CANCELED)
        world_after(world, (int64_t)world_random(world, 20 * SECOND), send_cancel, client, 0);
    world_after(world, 0, wait_end, client, 0);
}

/* The newest run is the client's now. */
static void follow_newest(struct client *client)
{
    const struct disk_run *run = newest_run(client->cast, client->id);
    if (run)
        snprintf(client->run_id, sizeof client->run_id, "%s", run->run_id);
}

/* The start was answered by nobody, and its run was followed by another one since: request ids are
 * a run's, so the repeated start is refused. The failure's detail would name the run. */
static bool has_continued(struct client *client, int code)
{
    if (code != FLO_GRPC_ALREADY_EXISTS || !(has_runs(client->fate) || client->reset))
        return false;
    follow_newest(client);
    return true;
}

static void started(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct client *client = ctx;
    if (is_unknown(code)) {
        world_after(world, 100 * MS, start, client, 0);
        return;
    }
    if (has_continued(client, code)) {
        go_on(client);
        return;
    }
    if (code != FLO_GRPC_OK) {
        world_fail(world, "start of %s: code %d", client->id, code);
        return;
    }
    struct flo_arena arena;
    const FloApi__StartWorkflowExecutionResponse *response =
        decode_answer(&flo_api__start_workflow_execution_response__descriptor, body, len, &arena);
    snprintf(client->run_id, sizeof client->run_id, "%s", response->run_id);
    flo_arena_fini(&arena);
    go_on(client);
}

static void start(struct world *world, void *ctx, uint64_t arg)
{
    struct client *client = ctx;
    FloApi__StartWorkflowExecutionRequest request;
    FloApi__WorkflowType type;
    FloApi__TaskQueue queue;
    (void)arg;
    flo_api__start_workflow_execution_request__init(&request);
    flo_api__workflow_type__init(&type);
    flo_api__task_queue__init(&queue);
    queue.name = NAME(QUEUE);
    type.name = NAME("Program");
    request.namespace_ = NAME("default");
    request.workflow_id = client->id;
    request.workflow_type = &type;
    request.task_queue = &queue;
    request.request_id = client->id; /* the same with each attempt */
    char other_id[64];
    snprintf(other_id, sizeof other_id, "%s-%u", client->id, client->starts++);
    if (world->broken == BROKEN_I6) {
        request.request_id = other_id;
        request.workflow_id_conflict_policy =
            FLO_API__WORKFLOW_ID_CONFLICT_POLICY__WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING;
    }
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    timeout.seconds = 15;
    if (client->fate == FATE_TIMES_OUT)
        request.workflow_run_timeout = &timeout;
    FloApi__RetryPolicy retries = FLO_API__RETRY_POLICY__INIT;
    retries.maximum_attempts = 3;
    if (client->fate == FATE_RETRIES)
        request.retry_policy = &retries;
    world_call(world, "StartWorkflowExecution", &request.base, started, client);
}

/* ---- signals ---- */

/* The number of a signal travels in a small struct of its own. */
struct signal {
    struct client *client;
    unsigned number;
};

static void signalled(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct signal *signal = ctx;
    struct client *client = signal->client;
    (void)body, (void)len;
    /* A workflow that is about to close refuses signals for the moment. */
    if (is_unknown(code) || code == FLO_GRPC_RESOURCE_EXHAUSTED) {
        world_after(world, 100 * MS, send_signal, client, signal->number);
    } else if (code == FLO_GRPC_OK) {
        client->acknowledged[signal->number] = true;
        client->sent++;
    } else if (code == FLO_GRPC_NOT_FOUND) {
        client->sent++; /* it had arrived before, and the workflow has ended */
    } else {
        world_fail(world, "signal to %s: code %d", client->id, code);
    }
}

static void send_signal(struct world *world, void *ctx, uint64_t number)
{
    struct client *client = ctx;
    struct signal *signal = flo_arena_alloc(&world->arena, sizeof *signal);
    FloApi__SignalWorkflowExecutionRequest request;
    FloApi__WorkflowExecution execution;
    char name[16], request_id[64];
    if (!signal)
        abort();
    *signal = (struct signal){.client = client, .number = (unsigned)number};
    snprintf(name, sizeof name, "s%u", signal->number);
    snprintf(request_id, sizeof request_id, "%s/%s", client->id, name);
    flo_api__signal_workflow_execution_request__init(&request);
    flo_api__workflow_execution__init(&execution);
    execution.workflow_id = client->id;
    request.namespace_ = NAME("default");
    request.workflow_execution = &execution;
    request.signal_name = name;
    request.request_id = request_id;
    world_call(world, "SignalWorkflowExecution", &request.base, signalled, signal);
}

/* ---- cancel ---- */

static void cancel_sent(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct client *client = ctx;
    (void)body, (void)len;
    if (is_unknown(code))
        world_after(world, 100 * MS, send_cancel, client, 0);
    else if (code != FLO_GRPC_OK && code != FLO_GRPC_NOT_FOUND)
        world_fail(world, "cancel of %s: code %d", client->id, code);
}

static void send_cancel(struct world *world, void *ctx, uint64_t arg)
{
    struct client *client = ctx;
    FloApi__RequestCancelWorkflowExecutionRequest request;
    FloApi__WorkflowExecution execution;
    (void)arg;
    flo_api__request_cancel_workflow_execution_request__init(&request);
    flo_api__workflow_execution__init(&execution);
    execution.workflow_id = client->id;
    request.namespace_ = NAME("default");
    request.workflow_execution = &execution;
    request.request_id = client->id;
    world_call(world, "RequestCancelWorkflowExecution", &request.base, cancel_sent, client);
}

/* ---- the end ---- */

/* The run has closed, but it is not the last one. */
static void go_on_with(struct client *client, const char *run_id)
{
    if (run_id)
        snprintf(client->run_id, sizeof client->run_id, "%s", run_id);
    else
        follow_newest(client);
    world_after(client->cast->world, 0, wait_end, client, 0);
}

/* The run has closed; does that fit the workflow's fate? */
static void ended(struct client *client, const FloApi__HistoryEvent *event)
{
    struct world *world = client->cast->world;
    bool fits;
    switch (event->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        fits = true; /* perhaps before the cancel request, or the timeout */
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        fits = client->fate == FATE_CANCELED;
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        fits = client->fate == FATE_TIMES_OUT;
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        go_on_with(
            client,
            event->workflow_execution_continued_as_new_event_attributes->new_execution_run_id);
        if (client->fate != FATE_CONTINUES)
            world_fail(world, "%s continued as new", client->id);
        return;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        go_on_with(client, event->workflow_execution_failed_event_attributes->new_execution_run_id);
        if (client->fate != FATE_RETRIES)
            world_fail(world, "%s failed", client->id);
        return;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        if (world->broken == BROKEN_I6 || client->reset) {
            go_on_with(client, NULL);
            return;
        }
        fits = false;
        break;
    default:
        fits = false;
    }
    if (!fits)
        world_fail(world, "%s ended with event type %d", client->id, (int)event->event_type);
    client->ended = true;
    client->cast->ended++;
}

static void saw_end(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct client *client = ctx;
    struct flo_arena arena;
    if (is_unknown(code)) {
        world_after(world, 100 * MS, wait_end, client, 0);
        return;
    }
    if (code != FLO_GRPC_OK) {
        world_fail(world, "history of %s: code %d", client->id, code);
        return;
    }
    const FloApi__GetWorkflowExecutionHistoryResponse *response = decode_answer(
        &flo_api__get_workflow_execution_history_response__descriptor, body, len, &arena);
    if (!response->history || !response->history->n_events) {
        world_after(world, 0, wait_end, client, 0); /* the long poll ended without news */
    } else {
        ended(client, response->history->events[0]);
    }
    flo_arena_fini(&arena);
}

static void wait_end(struct world *world, void *ctx, uint64_t arg)
{
    struct client *client = ctx;
    FloApi__GetWorkflowExecutionHistoryRequest request;
    FloApi__WorkflowExecution execution;
    (void)arg;
    flo_api__get_workflow_execution_history_request__init(&request);
    flo_api__workflow_execution__init(&execution);
    execution.workflow_id = client->id;
    execution.run_id = client->run_id;
    request.namespace_ = NAME("default");
    request.execution = &execution;
    request.wait_new_event = true;
    request.history_event_filter_type =
        FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    world_call(world, "GetWorkflowExecutionHistory", &request.base, saw_end, client);
}

void cast_init(struct cast *cast, struct world *world, unsigned clients)
{
    memset(cast, 0, sizeof *cast);
    cast->world = world;
    cast->clients = flo_calloc(clients, sizeof *cast->clients);
    if (!cast->clients)
        abort();
    cast->client_count = clients;
    for (unsigned i = 0; i < clients; i++) {
        struct client *client = &cast->clients[i];
        enum step steps[STEPS_MAX];
        client->cast = cast;
        snprintf(client->id, sizeof client->id, "wf-%llu-%u", (unsigned long long)world->seed, i);
        unsigned count = program_of(client->id, steps);
        client->fate = fate_of(client->id);
        for (unsigned step = 0; step < count; step++)
            client->signals += steps[step] == STEP_SIGNAL;
        world_after(world, (int64_t)world_random(world, 20 * SECOND), start, client, 0);
    }
    features_begin(cast);
    activity_workers_start(cast);
    workflow_workers_start(cast);
}

void cast_fini(struct cast *cast)
{
    workflow_workers_end(cast);
    flo_free(cast->clients);
}
