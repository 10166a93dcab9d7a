/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump.c - all that a worker knows of itself, for somebody who asks why it does what it does.
 *
 * It is made with lists of at most so many elements, then with half as many, until it is small
 * enough for a frame; each list says how many of its elements were left out.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "config/process.h"
#include "worker/control.h"
#include "worker/local.h"
#include "worker/parked.h"

#define LIST_ROOM 256
#define STUCK_ROOM 16
#define VALUE_MAX_BYTES 256 /* of a setting, and of where it stands */
#define VALUE_LEAST_BYTES 48

/* Members of an object: text that is no UTF-8 becomes null. */
static void put(json_t *object, const char *key, json_t *value)
{
    (void)!json_object_set_new(object, key, value ? value : json_null());
}

static void put_text(json_t *object, const char *key, const char *text)
{
    put(object, key, json_string(text ? text : ""));
}

static void put_number(json_t *object, const char *key, int64_t value)
{
    put(object, key, json_integer(value));
}

static int64_t age_ms(int64_t since_ns)
{
    return (flo_clock_mono_ns() - since_ns) / FLO_NS_PER_MS;
}

/* An object in list, or NULL when the list is full: then it is counted as left out. */
static json_t *add(json_t *list, size_t room, size_t *left_out)
{
    json_t *element = json_array_size(list) < room ? json_object() : NULL;

    if (!element || json_array_append_new(list, element)) {
        ++*left_out;
        return NULL;
    }
    return element;
}

static void put_list(json_t *object, const char *key, json_t *list, size_t left_out)
{
    json_t *both = json_object();

    put(both, "list", list);
    put_number(both, "left_out", (int64_t)left_out);
    put(object, key, both);
}

/* ---- settings ---- */

/* At most so many bytes of it. */
static json_t *cut(struct flo_buf *buf, size_t most)
{
    const char *text = flo_buf_cstr(buf);
    size_t len = strlen(text);

    return json_stringn(text, len > most ? flo_utf8_cut(text, len, most) : len);
}

/* most: bytes of each. */
static json_t *settings(const struct flo_config *config, size_t most)
{
    json_t *all = json_object();
    struct flo_buf value, source;

    flo_buf_init(&value, 0);
    flo_buf_init(&source, 0);
    for (size_t i = 0; i < config->count; i++) {
        const struct flo_setting *row = &config->table[i];
        if (row->roles && !(row->roles & config->role))
            continue;
        flo_buf_clear(&value);
        flo_buf_clear(&source);
        flo_config_print_row(config, i, &value, &source);
        json_t *both = json_object();
        put(both, "value", cut(&value, most));
        put(both, "from", cut(&source, most));
        put(all, row->key, both);
    }
    flo_buf_fini(&value);
    flo_buf_fini(&source);
    return all;
}

/* ---- slots and polls ---- */

static json_t *slots(const struct flo_slots *slots)
{
    json_t *all = json_object();

    put_number(all, "total", (int64_t)slots->total);
    put_number(all, "reserved", (int64_t)slots->reserved);
    put_number(all, "running", (int64_t)slots->running);
    put_number(all, "answering", (int64_t)slots->answering);
    return all;
}

static json_t *pollers(const struct flo_task_queue *queue, size_t room)
{
    json_t *groups = json_array();

    for (int kind = 0; kind < FLO_POLLER_KINDS; kind++) {
        const struct flo_poller_group *group = &queue->pollers[kind];
        int64_t ages[LIST_ROOM];
        size_t count, left_out = 0;
        json_t *one, *list;
        if (group->pollers.target == 0)
            continue;
        one = json_object();
        list = json_array();
        put_text(one, "kind", flo_poll_kind_name((enum flo_poller_kind)kind));
        put_number(one, "target", (int64_t)group->pollers.target);
        put_number(one, "min", (int64_t)group->pollers.min);
        put_number(one, "max", (int64_t)group->pollers.max);
        put(one, "paused", json_boolean(group->paused));
        count = flo_poll_ages_ms(group, ages, room);
        for (size_t i = 0; i < count && i < room; i++)
            (void)!json_array_append_new(list, json_integer(ages[i]));
        left_out = count > room ? count - room : 0;
        put_list(one, "silent_ms", list, left_out);
        (void)!json_array_append_new(groups, one);
    }
    return groups;
}

static void put_queues(const struct flo_worker *worker, size_t room, json_t *dump)
{
    json_t *list = json_array();
    size_t left_out = 0;

    for (size_t i = 0; i < worker->queue_count; i++) {
        const struct flo_task_queue *queue = &worker->queues[i];
        json_t *one = add(list, room, &left_out);
        if (!one)
            continue;
        put_text(one, "name", queue->name);
        put_number(one, "weight", queue->share.weight);
        put(one, "slots", slots(&queue->slots));
        put(one, "pollers", pollers(queue, room));
    }
    put_list(dump, "queues", list, left_out);
}

static void put_capacity(const struct flo_worker *worker, json_t *dump)
{
    json_t *all = json_object();

    for (int kind = 0; kind < FLO_SLOT_KINDS; kind++)
        if (worker->capacity[kind].total > 0)
            put(all, flo_slot_kind_name((enum flo_slot_kind)kind), slots(&worker->capacity[kind]));
    put(dump, "capacity", all);
    put(dump, "tuned", json_boolean(worker->tuning != NULL));
}

/* ---- tasks ---- */

static void put_ids(json_t *one, const char *type, const char *workflow_id, const char *run_id,
                    int32_t attempt, int64_t began_ns)
{
    put_text(one, "type", type);
    put_text(one, "workflow_id", workflow_id);
    put_text(one, "run_id", run_id);
    put_number(one, "attempt", attempt);
    put_number(one, "age_ms", age_ms(began_ns));
}

static void put_activities(const struct flo_worker *worker, size_t room, json_t *dump)
{
    json_t *list = json_array();
    size_t left_out = 0;

    FLO_LIST_FOREACH(node, &worker->activity_tasks)
    {
        const struct flo_activity_task *at = flo_container(node, struct flo_activity_task, node);
        json_t *one = add(list, room, &left_out);
        if (!one)
            continue;
        put_ids(one, at->type, at->workflow_id, at->run_id, at->attempt, at->began_ns);
        put_text(one, "activity_id", at->activity_id);
        put_text(one, "task_queue", at->queue->name);
        put_text(one, "state", at->running ? "running" : "answering");
    }
    put_list(dump, "activity_tasks", list, left_out);
}

static const char *workflow_state(const struct flo_workflow_task *wt)
{
    if (wt->replay == FLO_REPLAY_WAITS)
        return "waiting for its replay";
    if (wt->at_work)
        return wt->replay == FLO_REPLAY_RUNS ? "replaying" : "in its code";
    return wt->local ? "local activities" : "answering";
}

static void put_workflows(const struct flo_worker *worker, size_t room, json_t *dump)
{
    json_t *list = json_array();
    size_t left_out = 0;

    FLO_LIST_FOREACH(node, &worker->workflow_tasks)
    {
        const struct flo_workflow_task *wt = flo_container(node, struct flo_workflow_task, node);
        json_t *one = add(list, room, &left_out);
        if (!one)
            continue;
        put_ids(one, wt->type, wt->workflow_id, wt->run_id, wt->attempt, wt->began_ns);
        put_text(one, "state", workflow_state(wt));
    }
    put_list(dump, "workflow_tasks", list, left_out);
}

static void put_locals(const struct flo_worker *worker, size_t room, json_t *dump)
{
    json_t *list = json_array();
    size_t left_out = 0;

    if (worker->locals) {
        FLO_LIST_FOREACH(node, &worker->locals->jobs)
        {
            const struct flo_local_job *job = flo_container(node, struct flo_local_job, node);
            const FloApi__WorkflowExecution *run = job->task->workflow_execution;
            json_t *one = add(list, room, &left_out);
            if (!one)
                continue;
            put_ids(one, job->task->activity_type->name, run ? run->workflow_id : "",
                    run ? run->run_id : "", job->task->attempt, job->began_ns);
            put_text(one, "activity_id", job->task->activity_id);
        }
    }
    put_list(dump, "local_activities", list, left_out);
}

/* ---- the rest ---- */

struct cached {
    json_t *list;
    size_t room, left_out;
};

static void add_cached(void *ctx, const struct flo_run *run)
{
    struct cached *cached = ctx;
    json_t *one = add(cached->list, cached->room, &cached->left_out);

    if (!one)
        return;
    put_text(one, "workflow_id", flo_run_workflow_id(run));
    put_text(one, "run_id", flo_run_id(run));
}

static void put_cache(const struct flo_worker *worker, size_t room, json_t *dump)
{
    struct cached cached = {.list = json_array(), .room = room};
    struct flo_run_cache_stats stats = {0};
    json_t *all = json_object();

    if (worker->shards) {
        flo_shards_cache_stats(worker->shards, &stats);
        flo_shards_cache_each(worker->shards, add_cached, &cached);
    }
    put_number(all, "entries", (int64_t)stats.entries);
    put_number(all, "bytes", (int64_t)stats.bytes);
    put_number(all, "hits", (int64_t)stats.hits);
    put_number(all, "misses", (int64_t)stats.misses);
    put_number(all, "evictions", (int64_t)stats.evictions);
    put_list(all, "runs", cached.list, cached.left_out);
    put(dump, "cache", all);
}

static void put_executors(const struct flo_worker *worker, json_t *dump)
{
    struct flo_stuck_job stuck[STUCK_ROOM];
    json_t *all = json_object(), *list = json_array();
    size_t count = 0, left_out = 0;

    if (worker->executor)
        count = flo_executor_stuck(worker->executor, stuck, STUCK_ROOM);
    put_text(all, "kind",
             !worker->executor          ? "none"
             : worker->executor_threads ? "threads"
                                        : "processes");
    put_number(all, "workers", (int64_t)worker->executor_jobs);
    put_number(all, "running",
               worker->executor ? (int64_t)flo_executor_running(worker->executor) : 0);
    for (size_t i = 0; i < count; i++) {
        json_t *one = add(list, STUCK_ROOM, &left_out);
        if (!one)
            continue;
        put_text(one, "thread", stuck[i].unit);
        put_number(one, "told_ms", stuck[i].told_ms);
        put_text(one, "doing", stuck[i].doing);
    }
    put_list(all, "stuck", list, left_out);
    put(dump, "executor", all);
}

/* What each thread of workflow code is at. A job that a thread has is freed by the loop only, which
 * is here. */
static void put_workflow_threads(const struct flo_worker *worker, json_t *dump)
{
    json_t *all = json_object(), *list = json_array();
    size_t left_out = 0;

    for (unsigned i = 0; worker->shards && i < worker->shards->count; i++) {
        struct flo_shard *shard = &worker->shards->of[i];
        const struct flo_workflow_task *wt;
        struct flo_shard_at at;
        json_t *one;
        flo_shard_look(shard, &at);
        if (!at.name[0] || !(one = add(list, LIST_ROOM, &left_out)))
            continue;
        put_text(one, "thread", at.name);
        put_number(one, "jobs", (int64_t)shard->out);
        if (!at.job || at.job->kind != FLO_SHARD_JOB_TASK)
            continue;
        wt =
            flo_container((struct flo_shard_job *)(uintptr_t)at.job, struct flo_workflow_task, job);
        put_text(one, "workflow_id", wt->workflow_id);
        put_text(one, "type", wt->type);
        put_number(one, "for_ms", age_ms(at.began_ns));
    }
    put_list(all, "threads", list, left_out);
    put_number(all, "given_up", worker->shards ? (int64_t)worker->shards->given_up : 0);
    put_number(all, "replays", (int64_t)worker->replays.running);
    put_number(all, "replays_waiting", (int64_t)worker->replays.waiting.count);
    put(dump, "workflow_code", all);
}

static void put_quarantine(const struct flo_worker *worker, json_t *dump)
{
    json_t *all = json_object();

    put_number(all, "parked", worker->poison ? (int64_t)worker->poison->parked : 0);
    put_text(all, "folder", worker->poison ? worker->poison->path : "");
    put(dump, "quarantine", all);
}

static void put_errors(size_t room, json_t *dump)
{
    struct flo_log_trouble troubles[FLO_LOG_TROUBLES];
    size_t count = flo_log_troubles(troubles, FLO_LOG_TROUBLES), left_out = 0;
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *one = add(list, room, &left_out);
        char ts[32];
        if (!one)
            continue;
        flo_clock_rfc3339(troubles[i].ts_ns, ts, sizeof ts);
        put_text(one, "ts", ts);
        put_text(one, "level", flo_log_level_name(troubles[i].level));
        put_text(one, "event", troubles[i].event);
        put_text(one, "message", troubles[i].message);
        put_text(one, "reason", troubles[i].reason);
    }
    put_list(dump, "last_errors", list, left_out);
}

static void put_head(const struct flo_worker *worker, json_t *dump)
{
    const struct flo_role_config *config = worker->config;
    json_t *server = json_object();

    put_text(dump, "version", flo_version());
    put_text(dump, "identity", worker->identity);
    put_text(dump, "role", flo_role_name(config->role));
    put_text(dump, "state", flo_worker_state_name(worker->state));
    put(dump, "ready", json_boolean(flo_health_is_ready(worker->health)));
    put_text(server, "address", config->server.address);
    put_text(server, "namespace", config->server.name_space);
    put(server, "connected", json_boolean(worker->connected));
    put(dump, "server", server);
    put_number(dump, "polls", (int64_t)worker->polls);
    put_number(dump, "tasks_received", (int64_t)worker->counts.received);
}

static json_t *make(const struct flo_worker *worker, size_t room)
{
    json_t *dump = json_object();

    if (!dump)
        return NULL;
    put_head(worker, dump);
    put(dump, "settings",
        settings(&worker->config->config, room > 0 ? VALUE_MAX_BYTES : VALUE_LEAST_BYTES));
    put_capacity(worker, dump);
    put_queues(worker, room, dump);
    put_workflows(worker, room, dump);
    put_activities(worker, room, dump);
    put_locals(worker, room, dump);
    put_cache(worker, room, dump);
    put_executors(worker, dump);
    if (worker->shards)
        put_workflow_threads(worker, dump);
    put_quarantine(worker, dump);
    put_errors(room, dump);
    return dump;
}

json_t *flo_dump(struct flo_worker *worker)
{
    for (size_t room = LIST_ROOM;; room /= 2) {
        json_t *dump = make(worker, room);
        if (!dump || room == 0 || json_dumpb(dump, NULL, 0, JSON_COMPACT) <= FLO_DUMP_MAX_BYTES)
            return dump;
        json_decref(dump);
    }
}
