/* SPDX-License-Identifier: Apache-2.0 */
/* explain_fleet.c - what the supervisor knows that the server does not: who is quiet, busy, lost.
 */
#include <string.h>

#include "cli/explain_gather.h"
#include "cli/supervisor.h"

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* Slots of what it works on: workflow tasks, or activities. */
static void take_slots(const json_t *process, struct cli_explain_worker *out)
{
    size_t i;
    json_t *slot;
    json_array_foreach(json_object_get(process, "slots"), i, slot)
    {
        if (strcmp(text_of(slot, "kind"), out->activities ? "activity" : "workflow") != 0)
            continue;
        out->used += json_integer_value(json_object_get(slot, "used"));
        out->total += json_integer_value(json_object_get(slot, "total"));
    }
}

/* One worker for each of its queues, whose names are joined by commas. */
static void take_process(struct cli_explain_gather *gather, const json_t *process,
                         struct cli_explain_worker *workers, size_t *count)
{
    const char *role = text_of(process, "role"), *queues = text_of(process, "task_queue");
    const char *report = text_of(process, "report"), *name = text_of(process, "name");
    struct cli_explain_worker worker = {
        .identity = text_of(process, "identity"),
        .state = *report ? report : text_of(process, "state"),
        .activities = strcmp(role, "workflow") != 0,
        .silent_ms = json_integer_value(json_object_get(process, "last_seen_ms"))};
    if (strcmp(role, "engine") == 0)
        return;
    worker.name = *name ? name : worker.identity;
    take_slots(process, &worker);
    while (*queues && *count < CLI_EXPLAIN_WORKERS_MAX) {
        size_t len = strcspn(queues, ",");
        worker.queue = flo_arena_strndup(gather->arena, queues, len);
        workers[(*count)++] = worker;
        queues += len + (queues[len] == ',');
        queues += strspn(queues, " ");
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Is the event about the end of a worker of that queue? Its identity tells the queue where nobody
 * chose another one: pid@host@queue. */
static bool concerns(const struct cli_explain_facts *facts, const json_t *event,
                     const struct cli_explain_queue *queue)
{
    static const char *const ends[] = {".lost",       ".exited", ".stopped",
                                       ".crash_loop", ".quiet",  ".draining"};
    const char *kind = text_of(event, "kind"), *identity = text_of(event, "identity");
    const char *name = text_of(event, "name"), *role = text_of(event, "role");
    const char *at = strrchr(identity, '@');
    bool is_end = false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        is_end |= ends_with(kind, ends[i]);
    if (!is_end || (*role && queue->activities != (strcmp(role, "workflow") != 0)))
        return false;
    if (at && strcmp(at + 1, queue->name) == 0)
        return true;
    for (size_t i = 0; i < facts->worker_count; i++) {
        const struct cli_explain_worker *w = &facts->workers[i];
        if (w->queue && w->activities == queue->activities && strcmp(w->queue, queue->name) == 0 &&
            ((*identity && strcmp(w->identity, identity) == 0) ||
             (*name && strcmp(w->name, name) == 0)))
            return true;
    }
    return false;
}

/* Events come oldest first: the newest that concerns a queue stays. */
static void take_events(struct cli_explain_gather *gather, const json_t *events)
{
    struct cli_explain_queue *queues = (struct cli_explain_queue *)(uintptr_t)gather->facts->queues;
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event)
    {
        for (size_t k = 0; k < gather->facts->queue_count; k++) {
            if (!concerns(gather->facts, event, &queues[k]))
                continue;
            queues[k].gone_ms = json_integer_value(json_object_get(event, "ts_ms"));
            queues[k].gone = flo_arena_strdup(gather->arena, text_of(event, "message"));
        }
    }
}

void cli_explain_ask_fleet(struct cli_explain_gather *gather)
{
    struct cli_explain_facts *facts = gather->facts;
    struct cli_supervisor supervisor;
    struct cli_explain_worker *workers;
    struct flo_err err;
    json_t *fleet = NULL, *events = NULL, *process;
    size_t i, count = 0;
    if (facts->trouble != CLI_EXPLAIN_FOUND ||
        cli_supervisor_find("explain", gather->options, &supervisor, &err) ||
        cli_supervisor_get(&supervisor, "/v1/fleet", &fleet, &err))
        return;
    workers = flo_arena_calloc(gather->arena, CLI_EXPLAIN_WORKERS_MAX, sizeof *workers);
    json_t *kept = json_object_get(fleet, "processes");
    json_array_foreach(kept, i, process)
    {
        if (workers)
            take_process(gather, process, workers, &count);
    }
    facts->fleet = true;
    facts->workers = workers;
    facts->worker_count = count;
    if (cli_supervisor_get(&supervisor, "/v1/events", &events, &err) == 0)
        take_events(gather, json_object_get(events, "events"));
    json_decref(events);
    gather->fleet = fleet; /* its texts are in use */
}

void cli_explain_gather_fini(struct cli_explain_gather *gather)
{
    json_decref(gather->fleet);
    gather->fleet = NULL;
}
