/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role_queues.c - which task queues a worker polls, and what its activities take of its tokens:
 * the file's `task_queue` or `queues`, `tokens` and `activities`, checked and made complete, so
 * that the worker reads one list of each.
 */
#include <string.h>

#include "config/internal.h"
#include "config/role_internal.h"

#define AT(member) offsetof(struct flo_queue_config, member)
#define TOKEN_MAX 1000000
#define TOKEN_NAME_MAX 64

const struct flo_setting flo_queue_settings[FLO_QUEUE_SETTINGS] = {
    {.key = "name",
     .type = FLO_SETTING_STRING,
     .offset = AT(name),
     .min = 1,
     .max = 1000,
     .flags = FLO_SETTING_REQUIRED,
     .help = "The task queue"},
    {.key = "weight",
     .type = FLO_SETTING_INT,
     .offset = AT(weight),
     .initial = "1",
     .min = 1,
     .max = 1000,
     .help = "Its share of the executor, next to the others' weights, when all want more than "
             "there is"},
    {.key = "max_concurrent_activities",
     .type = FLO_SETTING_INT,
     .offset = AT(max_concurrent_activities),
     .min = 1,
     .max = 10000,
     .help = "Its activities at work at once; empty: as the worker's"},
    {.key = "max_concurrent_activity_task_polls",
     .type = FLO_SETTING_INT,
     .offset = AT(max_concurrent_activity_task_polls),
     .min = 1,
     .max = 1000,
     .help = "Its long polls at once; empty: as the worker's"},
    {.key = "max_task_queue_activities_per_second",
     .type = FLO_SETTING_FLOAT,
     .offset = AT(max_task_queue_activities_per_second),
     .max = 1000000,
     .help = "Most activities that the server gives out a second from it; empty: as the worker's"},
    {.key = "activities",
     .type = FLO_SETTING_STRINGS,
     .offset = AT(activities),
     .help = "Activity types that it serves; empty: all of the worker's"},
};

static int no_memory(struct flo_err *err)
{
    return flo_fail(err, FLO_ENOMEM, "no memory for the configuration");
}

/* ---- queues ---- */

static struct flo_queue_config *queue_at(const struct flo_list_value *list, size_t i)
{
    return (struct flo_queue_config *)list->items + i;
}

static int check_names(struct flo_role_config *config, struct flo_err *err)
{
    for (size_t i = 0; i < config->queues.count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(queue_at(&config->queues, i)->name, queue_at(&config->queues, j)->name) == 0)
                return flo_config_refuse(
                    &config->config, "queues", err,
                    "\"%s\" stands twice, as queues[%zu] and queues[%zu]; each "
                    "queue once is allowed",
                    queue_at(&config->queues, i)->name, j, i);
    return 0;
}

/* One of task_queue and queues; and enough executors that each queue can have a poll. */
static int check_queues(struct flo_role_config *config, struct flo_err *err)
{
    size_t count = config->queues.count;
    if (count == 0 && !*config->task_queue)
        return flo_config_refuse(
            &config->config, "task_queue", err,
            "is missing; text of 1 to 1000 bytes must be given in the file, by "
            "the environment variable TEMPORAL_WORKER_TASK_QUEUE TASK_QUEUE or "
            "by --set, or queues must name some");
    if (count == 0)
        return 0;
    if (*config->task_queue)
        return flo_config_refuse(&config->config, "task_queue", err,
                                 "queues is given too; one of them is allowed");
    /* 0 workers: as many as there are cores, and as there are queues */
    if (config->executor.workers > 0 && (size_t)config->executor.workers < count)
        return flo_config_refuse(&config->config, "executor.workers", err,
                                 "%lld cannot serve %zu queues; at least one for each is allowed",
                                 (long long)config->executor.workers, count);
    return check_names(config, err);
}

static void warn_slots(struct flo_role_config *config, const char *where, int64_t slots)
{
    if (config->executor.workers > 0 && slots > config->executor.workers)
        flo_config_warn(
            &config->config,
            "%smax_concurrent_activities: %lld is more than executor.workers and counts "
            "as %lld: a task that waited inside the worker would lose its time",
            where, (long long)slots, (long long)config->executor.workers);
}

/* What a queue does not say is as the worker says. */
static void complete(struct flo_role_config *config, struct flo_queue_config *queue)
{
    if (!queue->max_concurrent_activities)
        queue->max_concurrent_activities = config->max_concurrent_activities;
    if (!queue->max_concurrent_activity_task_polls)
        queue->max_concurrent_activity_task_polls = config->max_concurrent_activity_task_polls;
    if (queue->max_task_queue_activities_per_second == 0)
        queue->max_task_queue_activities_per_second = config->max_task_queue_activities_per_second;
}

static int finish_queues(struct flo_role_config *config, struct flo_err *err)
{
    size_t count = config->queues.count ? config->queues.count : 1;
    struct flo_queue_config *polled =
        flo_arena_calloc(&config->config.arena, count, sizeof *polled);
    if (!polled)
        return no_memory(err);
    config->polled = (struct flo_list_value){.items = polled, .count = count};
    polled[0] = (struct flo_queue_config){.name = config->task_queue, .weight = 1};
    if (config->role != FLO_ROLE_WORKFLOW)
        warn_slots(config, "", config->max_concurrent_activities);
    for (size_t i = 0; i < config->queues.count; i++) {
        char where[48];
        polled[i] = *queue_at(&config->queues, i);
        snprintf(where, sizeof where, "queues[%zu].", i);
        warn_slots(config, where, polled[i].max_concurrent_activities);
    }
    for (size_t i = 0; i < count; i++)
        complete(config, &polled[i]);
    return 0;
}

/* ---- tokens ---- */

static struct flo_token_config *pool_at(const struct flo_role_config *config, size_t i)
{
    return (struct flo_token_config *)config->pools.items + i;
}

/* A whole number from 1 to TOKEN_MAX, or 0. */
static uint32_t amount_of(const json_t *value)
{
    json_int_t amount = json_is_integer(value) ? json_integer_value(value) : 0;
    return amount >= 1 && amount <= TOKEN_MAX ? (uint32_t)amount : 0;
}

static int finish_tokens(struct flo_role_config *config, struct flo_err *err)
{
    size_t count = json_object_size(config->tokens);
    struct flo_token_config *pools =
        flo_arena_calloc(&config->config.arena, count + 1, sizeof *pools);
    const char *name;
    json_t *value;
    if (!pools)
        return no_memory(err);
    if (count > FLO_TOKENS_MAX)
        return flo_config_refuse(&config->config, "tokens", err,
                                 "%zu kinds of tokens; at most %d are allowed", count,
                                 FLO_TOKENS_MAX);
    config->pools.items = pools;
    json_object_foreach(config->tokens, name, value)
    {
        struct flo_token_config *pool = &pools[config->pools.count++];
        pool->name = flo_arena_strdup(&config->config.arena, name);
        pool->total = amount_of(value);
        if (!pool->name)
            return no_memory(err);
        if (!*name || strlen(name) > TOKEN_NAME_MAX)
            return flo_config_refuse(&config->config, "tokens", err,
                                     "\"%.80s\" is no name; text of 1 to %d bytes is allowed", name,
                                     TOKEN_NAME_MAX);
        if (!pool->total)
            return flo_config_refuse(&config->config, "tokens", err,
                                     "%s: this is no amount; an integer from 1 to %d is allowed",
                                     name, TOKEN_MAX);
    }
    return 0;
}

static int unknown_token(struct flo_role_config *config, const char *type, const char *name,
                         struct flo_err *err)
{
    const char *names[FLO_TOKENS_MAX];
    for (size_t i = 0; i < config->pools.count; i++)
        names[i] = pool_at(config, i)->name;
    const char *meant = flo_did_you_mean(name, names, config->pools.count);
    if (meant)
        return flo_config_refuse(&config->config, "activities", err,
                                 "%s: unknown token \"%s\"; did you mean \"%s\"?", type, name,
                                 meant);
    return flo_config_refuse(&config->config, "activities", err,
                             "%s: unknown token \"%s\"; one of those in tokens is allowed", type,
                             name);
}

static int store_amount(struct flo_role_config *config, struct flo_activity_config *activity,
                        const char *name, const json_t *value, struct flo_err *err)
{
    size_t i = 0;
    while (i < config->pools.count && strcmp(pool_at(config, i)->name, name) != 0)
        i++;
    if (i == config->pools.count)
        return unknown_token(config, activity->type, name, err);
    activity->tokens[i] = amount_of(value);
    if (!activity->tokens[i] || activity->tokens[i] > pool_at(config, i)->total)
        return flo_config_refuse(&config->config, "activities", err,
                                 "%s: %s: an integer from 1 to %u, what tokens has of it, is "
                                 "allowed",
                                 activity->type, name, pool_at(config, i)->total);
    return 0;
}

/* `{tokens: {db: 1}}` of one type. */
static int store_activity(struct flo_role_config *config, struct flo_activity_config *activity,
                          const json_t *value, struct flo_err *err)
{
    static const char *const known[] = {"tokens"};
    const char *key, *name;
    json_t *member, *amount;
    if (!json_is_object(value))
        return flo_config_refuse(&config->config, "activities", err,
                                 "%s: a map, {tokens: {NAME: AMOUNT}}, is allowed", activity->type);
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        if (strcmp(key, known[0]) != 0) {
            const char *meant = flo_did_you_mean(key, known, 1);
            return flo_config_refuse(
                &config->config, "activities", err, "%s: unknown setting \"%s\"; %s\"tokens\"%s",
                activity->type, key, meant ? "did you mean " : "", meant ? "?" : " is allowed");
        }
        if (!json_is_object(member))
            return flo_config_refuse(&config->config, "activities", err,
                                     "%s: tokens: a map, {NAME: AMOUNT}, is allowed",
                                     activity->type);
        json_object_foreach(member, name, amount)
        {
            int rc = store_amount(config, activity, name, amount, err);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int finish_activities(struct flo_role_config *config, struct flo_err *err)
{
    size_t count = json_object_size(config->activities);
    struct flo_activity_config *types =
        flo_arena_calloc(&config->config.arena, count + 1, sizeof *types);
    const char *type;
    json_t *value;
    int rc;
    if (!types)
        return no_memory(err);
    config->types.items = types;
    json_object_foreach(config->activities, type, value)
    {
        struct flo_activity_config *activity = &types[config->types.count++];
        activity->type = flo_arena_strdup(&config->config.arena, type);
        if (!activity->type)
            return no_memory(err);
        rc = store_activity(config, activity, value, err);
        if (rc)
            return rc;
    }
    return 0;
}

int flo_role_finish_queues(struct flo_role_config *config, struct flo_err *err)
{
    int rc = check_queues(config, err);
    if (!rc)
        rc = finish_queues(config, err);
    if (!rc)
        rc = finish_tokens(config, err);
    if (!rc)
        rc = finish_activities(config, err);
    return rc;
}
