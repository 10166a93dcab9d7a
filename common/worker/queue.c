/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - the worker's task queues and what all of them share; see queue.h. */
#include "worker/queue.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "worker/local.h"
#include "worker/worker.h"

static const struct flo_token_need NOTHING;

const char *flo_slot_kind_name(enum flo_slot_kind kind)
{
    static const char *const NAMES[FLO_SLOT_KINDS] = {"workflow", "activity", "local-activity"};

    return NAMES[kind];
}

static struct flo_slots *capacity_of(const struct flo_task_queue *queue)
{
    return &queue->worker->capacity[queue->kind];
}

/* ---- a poll and its task ---- */

/* Whether tokens and a rate limit are there to be looked at. */
static bool has_limits(const struct flo_task_queue *queue)
{
    return queue->worker->limits != NULL;
}

/* Does a further poll of the queue leave one to each that has none out? A poll holds what it took
 * for up to a minute when nothing comes: so long the other could not be polled. */
static bool leaves_others_a_poll(const struct flo_task_queue *queue)
{
    const struct flo_worker *worker = queue->worker;
    const struct flo_worker_limits *limits = worker->limits;
    struct flo_token_need all = queue->need;
    size_t polls = 1;

    for (size_t i = 0; i < worker->queue_count; i++) {
        if (worker->queues[i].slots.reserved > 0)
            continue;
        flo_token_need_add(&all, &worker->queues[i].need);
        polls++;
    }
    return polls == 1 || (!flo_tokens_short(&limits->tokens, &all) &&
                          (limits->rate.rate <= 0 || flo_bucket_holds(&limits->rate, polls)));
}

static enum flo_lack reserve_limits(struct flo_task_queue *queue)
{
    struct flo_worker_limits *limits = queue->worker->limits;

    if (queue->slots.reserved > 0 && !leaves_others_a_poll(queue))
        return FLO_LACKS_TURN;
    if (flo_tokens_short(&limits->tokens, &queue->need))
        return FLO_LACKS_TOKENS;
    if (limits->rate.rate > 0 && !flo_bucket_reserve(&limits->rate, flo_clock_mono_ns()))
        return FLO_LACKS_PERMIT;
    (void)flo_tokens_take(&limits->tokens, &queue->need); /* they are there */
    return FLO_LACKS_NOTHING;
}

enum flo_lack flo_queue_reserve(struct flo_task_queue *queue)
{
    if (flo_slots_free(capacity_of(queue)) == 0)
        return FLO_LACKS_PLACE;
    if (flo_slots_free(&queue->slots) == 0)
        return FLO_LACKS_SLOT;
    if (has_limits(queue)) {
        enum flo_lack lack = reserve_limits(queue);
        if (lack != FLO_LACKS_NOTHING)
            return lack;
    }
    (void)flo_slots_reserve(&queue->slots); /* both are there */
    (void)flo_slots_reserve(capacity_of(queue));
    return FLO_LACKS_NOTHING;
}

void flo_queue_release(struct flo_task_queue *queue)
{
    flo_slots_release(&queue->slots);
    flo_slots_release(capacity_of(queue));
    if (!has_limits(queue))
        return;
    flo_tokens_give(&queue->worker->limits->tokens, &queue->need);
    if (queue->worker->limits->rate.rate > 0)
        flo_bucket_release(&queue->worker->limits->rate);
}

void flo_queue_run(struct flo_task_queue *queue)
{
    flo_slots_run(&queue->slots);
    flo_slots_run(capacity_of(queue));
    if (queue->worker->tuning)
        flo_tuning_wake(queue->worker);
    if (has_limits(queue) && queue->worker->limits->rate.rate > 0)
        flo_bucket_use(&queue->worker->limits->rate, flo_clock_mono_ns());
}

const struct flo_token_need *flo_queue_narrow(struct flo_task_queue *queue, const char *type)
{
    struct flo_worker_limits *limits = queue->worker->limits;
    const struct flo_token_need *need = &NOTHING;

    if (!limits)
        return need;
    /* A type that the queue does not serve will not run. */
    if (flo_queue_serves(queue, type) && flo_map_get_str(&limits->needs, type))
        need = flo_map_get_str(&limits->needs, type);
    flo_tokens_narrow(&limits->tokens, &queue->need, need);
    return need;
}

static void tokens_back(struct flo_task_queue *queue, const struct flo_token_need *need)
{
    if (has_limits(queue))
        flo_tokens_give(&queue->worker->limits->tokens, need);
}

void flo_queue_finish(struct flo_task_queue *queue, const struct flo_token_need *need)
{
    flo_slots_finish(&queue->slots);
    flo_slots_finish(capacity_of(queue));
    tokens_back(queue, need);
}

void flo_queue_answer(struct flo_task_queue *queue, const struct flo_token_need *need)
{
    flo_slots_answer(&queue->slots);
    flo_slots_answer(capacity_of(queue));
    tokens_back(queue, need);
}

void flo_queue_answered(struct flo_task_queue *queue)
{
    flo_slots_answered(&queue->slots);
    flo_slots_answered(capacity_of(queue));
}

bool flo_queue_serves(const struct flo_task_queue *queue, const char *type)
{
    const struct flo_strings *types = &queue->config->activities;

    for (size_t i = 0; i < types->count; i++)
        if (strcmp(types->items[i], type) == 0)
            return true;
    return types->count == 0;
}

/* ---- capacity ---- */

static size_t own_slots(const struct flo_worker *worker, enum flo_slot_kind kind)
{
    size_t own = 0;

    for (size_t i = 0; i < worker->queue_count; i++)
        if (worker->queues[i].kind == kind)
            own += worker->queues[i].slots.total;
    return own;
}

void flo_capacity_set(struct flo_worker *worker, enum flo_slot_kind kind, size_t total)
{
    size_t least = 0, before = worker->capacity[kind].total;

    for (size_t i = 0; i < worker->queue_count; i++)
        if (worker->queues[i].kind == kind)
            least += 1 + (worker->queues[i].pollers[FLO_POLLER_STICKY].pollers.target > 0);
    flo_slots_resize(&worker->capacity[kind], total > least || total == 0 ? total : least);
    if (worker->capacity[kind].total > before && kind == FLO_SLOT_LOCAL_ACTIVITY)
        flo_local_fill(worker);
    else if (worker->capacity[kind].total > before)
        flo_poll_fill(worker);
}

bool flo_capacity_scarce(const struct flo_worker *worker, enum flo_slot_kind kind)
{
    return own_slots(worker, kind) > worker->capacity[kind].total;
}

size_t flo_capacity_busy(const struct flo_worker *worker)
{
    size_t busy = 0;

    for (int kind = 0; kind < FLO_SLOT_KINDS; kind++)
        busy += flo_slots_busy(&worker->capacity[kind]);
    return busy;
}

size_t flo_capacity_total(const struct flo_worker *worker, enum flo_slot_kind kind)
{
    size_t own = own_slots(worker, kind);

    return own > 0 && own < worker->capacity[kind].total ? own : worker->capacity[kind].total;
}

/* ---- limits ---- */

static int unknown_type(struct flo_worker *worker, const char *where, const char *type,
                        struct flo_err *err)
{
    const char *const *names = flo_registry_types(worker->registry);
    const char *meant =
        names ? flo_did_you_mean(type, names, flo_registry_count(worker->registry)) : NULL;

    if (meant)
        return flo_fail(err, FLO_ECONFIG,
                        "%s: no module has the activity \"%s\"; did you mean \"%s\"?", where, type,
                        meant);
    return flo_fail(err, FLO_ECONFIG, "%s: no module has the activity \"%s\"", where, type);
}

static bool is_registered(const struct flo_worker *worker, const char *type)
{
    flo_activity_fn run;
    void *shared;

    return flo_registry_activity(worker->registry, type, &run, &shared);
}

/* Each type that a queue lists must be there: a misspelt one would never be served. */
static int check_served(struct flo_worker *worker, struct flo_err *err)
{
    for (size_t i = 0; i < worker->queue_count; i++) {
        const struct flo_strings *types = &worker->queues[i].config->activities;
        char where[64];
        snprintf(where, sizeof where, "queues[%zu].activities", i);
        for (size_t j = 0; j < types->count; j++)
            if (!is_registered(worker, types->items[j]))
                return unknown_type(worker, where, types->items[j], err);
    }
    return 0;
}

static int add_need(struct flo_worker *worker, const struct flo_activity_config *activity,
                    struct flo_err *err)
{
    struct flo_token_need *need = flo_calloc(1, sizeof *need);

    if (!need || flo_map_put_str(&worker->limits->needs, activity->type, need)) {
        flo_free(need);
        return flo_fail(err, FLO_ENOMEM, "no memory for the tokens");
    }
    memcpy(need->of, activity->tokens, sizeof need->of);
    for (size_t i = 0; i < worker->queue_count; i++)
        if (flo_queue_serves(&worker->queues[i], activity->type))
            flo_token_need_raise(&worker->queues[i].need, need);
    return 0;
}

/* A poll keeps its tokens while it waits: with fewer than one poll of each queue takes, an idle
 * queue's poll keeps another from being polled until it comes back. */
static void warn_short(const struct flo_worker *worker)
{
    const struct flo_tokens *tokens = &worker->limits->tokens;

    for (size_t i = 0; i < tokens->count; i++) {
        uint64_t polls = 0;
        for (size_t j = 0; j < worker->queue_count; j++)
            polls += worker->queues[j].need.of[i];
        if (polls > tokens->pools[i].total)
            flo_log(FLO_LOG_WARN, "tokens.short",
                    "There are fewer of a token than a poll of each queue takes: while one waits, "
                    "others are not polled; see queues[].activities",
                    "token", tokens->pools[i].name, "#tokens", FLO_NUM(tokens->pools[i].total),
                    "#needed", FLO_NUM(polls), NULL);
    }
}

int flo_queues_limit(struct flo_worker *worker, struct flo_err *err)
{
    const struct flo_role_config *config = worker->config;
    const struct flo_activity_config *types = config->types.items;
    const struct flo_token_config *pools = config->pools.items;
    int rc = check_served(worker, err);

    for (size_t i = 0; i < config->types.count && !rc; i++)
        if (!is_registered(worker, types[i].type))
            rc = unknown_type(worker, "activities", types[i].type, err);
    if (rc || (config->pools.count == 0 && config->max_activities_per_second == 0))
        return rc;
    worker->limits = flo_calloc(1, sizeof *worker->limits);
    if (!worker->limits)
        return flo_fail(err, FLO_ENOMEM, "no memory for the tokens");
    flo_map_init(&worker->limits->needs);
    flo_bucket_init(&worker->limits->rate, config->max_activities_per_second, worker->queue_count,
                    flo_clock_mono_ns());
    for (size_t i = 0; i < config->pools.count; i++)
        worker->limits->tokens.pools[i] =
            (struct flo_token_pool){.name = pools[i].name, .total = pools[i].total};
    worker->limits->tokens.count = config->pools.count;
    for (size_t i = 0; i < config->types.count && !rc; i++)
        rc = add_need(worker, &types[i], err);
    if (!rc)
        warn_short(worker);
    return rc;
}

int flo_queues_set_rate(struct flo_worker *worker, double rate)
{
    size_t reserved = 0;

    if (!worker->limits && rate > 0) {
        worker->limits = flo_calloc(1, sizeof *worker->limits);
        if (!worker->limits)
            return FLO_ENOMEM;
        flo_map_init(&worker->limits->needs);
    }
    if (!worker->limits)
        return 0;
    for (size_t i = 0; i < worker->queue_count; i++)
        reserved += worker->queues[i].slots.reserved;
    if (rate > 0)
        flo_bucket_set_rate(&worker->limits->rate, rate, worker->queue_count, reserved,
                            flo_clock_mono_ns());
    else
        worker->limits->rate.rate = 0;
    flo_poll_fill(worker);
    return 0;
}

static void limits_free(struct flo_worker *worker)
{
    if (!worker->limits)
        return;
    for (struct flo_map_entry *it = flo_map_first(&worker->limits->needs); it;
         it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&worker->limits->needs);
    flo_free(worker->limits);
    worker->limits = NULL;
}

/* ---- the list ---- */

static int queue_init(struct flo_task_queue *queue, struct flo_worker *worker, size_t i)
{
    queue->worker = worker;
    queue->config = flo_role_config_queue(worker->config, i);
    queue->kind = worker->role->role == FLO_ROLE_WORKFLOW ? FLO_SLOT_WORKFLOW : FLO_SLOT_ACTIVITY;
    queue->share.weight = (uint32_t)queue->config->weight;
    queue->quiet = true;
    flo_map_init(&queue->type_series);
    for (int kind = 0; kind < FLO_POLLER_KINDS; kind++) {
        queue->pollers[kind].queue = queue;
        flo_list_init(&queue->pollers[kind].polls);
    }
    queue->name = flo_strdup(queue->config->name);
    return queue->name ? 0 : FLO_ENOMEM;
}

int flo_queues_new(struct flo_worker *worker, struct flo_err *err)
{
    size_t count = worker->config->polled.count;

    assert(count <= 64); /* the bits of a set of them; a list of the configuration has no more */
    worker->queues = flo_calloc(count, sizeof *worker->queues);
    if (!worker->queues)
        return flo_fail(err, FLO_ENOMEM, "no memory for the task queues");
    for (; worker->queue_count < count; worker->queue_count++)
        if (queue_init(&worker->queues[worker->queue_count], worker, worker->queue_count))
            return flo_fail(err, FLO_ENOMEM, "no memory for the task queues");
    if (count == 1)
        return 0;
    worker->queue_names = flo_calloc(count, sizeof *worker->queue_names);
    if (!worker->queue_names)
        return flo_fail(err, FLO_ENOMEM, "no memory for the task queues");
    for (size_t i = 0; i < count; i++)
        worker->queue_names[i] = worker->queues[i].name;
    return 0;
}

void flo_queues_names(const struct flo_worker *worker, struct flo_buf *out)
{
    for (size_t i = 0; i < worker->queue_count; i++)
        flo_buf_printf(out, "%s%s", i ? ", " : "", worker->queues[i].name);
}

void flo_queues_destroy(struct flo_worker *worker)
{
    for (size_t i = 0; i < worker->queue_count; i++) {
        flo_series_fini(&worker->queues[i]);
        flo_free(worker->queues[i].name);
    }
    flo_free(worker->queue_names);
    flo_free(worker->queues);
    worker->queue_names = NULL;
    worker->queues = NULL;
    worker->queue_count = 0;
    limits_free(worker);
}
