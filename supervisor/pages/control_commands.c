/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_commands.c - POST /v1/commands: from a target to the hub, and the answers back.
 *
 * A command to several processes is one batch: it waits until each of them has answered, or its
 * time is over (the hub sees to that), and then answers all together, in the order of role, name
 * and identity. A client that goes away leaves the batch to end by itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "supervisor/pages/control_internal.h"
#include "supervisor/pages/control_request.h"

#define BATCHES_MAX 64
#define ANSWER_MARGIN_MS 5000 /* for a command that takes its own time */

/* One process that a command went to. */
struct call {
    struct batch *batch;
    size_t index; /* of its result */
};

/* One command that is being carried out. */
struct batch {
    struct flo_node node;
    struct flo_control *control;
    struct flo_http_later *later; /* NULL: answered at once, or the client is gone */
    const char *command;          /* static */
    json_t *results;
    size_t pending; /* calls without an answer */
    size_t count;
    struct call calls[];
};

/* ---- results ---- */

static void set_result(struct batch *batch, size_t index, bool ok, const char *message,
                       json_t *data)
{
    json_t *result = json_array_get(batch->results, index);
    (void)json_object_set_new(result, "ok", json_boolean(ok));
    (void)json_object_set_new(result, "message", json_string(message ? message : ""));
    if (data)
        (void)json_object_set(result, "data", data);
    flo_series_inc(flo_metrics_get(batch->control->options.metrics, FLO_METRIC_CONTROL_COMMANDS,
                                   batch->command, ok ? "ok" : "failed", NULL));
}

static void free_batch(struct batch *batch)
{
    flo_list_remove(&batch->control->batches, &batch->node);
    json_decref(batch->results);
    flo_free(batch);
}

static json_t *batch_json(struct batch *batch)
{
    return json_pack("{s:O}", "results", batch->results);
}

static void on_done(void *ctx, bool ok, const char *message, json_t *data)
{
    struct call *call = ctx;
    struct batch *batch = call->batch;
    set_result(batch, call->index, ok, message, data);
    if (--batch->pending)
        return;
    if (batch->later) {
        struct flo_http_reply reply;
        flo_http_reply_init(&reply);
        flo_control_put_json(&reply, batch_json(batch));
        flo_http_answer(&batch->later, &reply);
    }
    free_batch(batch);
}

static void on_gone(void *ctx)
{
    struct batch *batch = ctx;
    batch->later = NULL;
}

/* ---- commands ---- */

static const char *role_of(const struct flo_fleet_entry *entry)
{
    return flo_fleet_role_name(entry->role);
}

static int compare(const void *a, const void *b)
{
    const struct flo_fleet_entry *const *x = a, *const *y = b;
    int order = (int)(*x)->role - (int)(*y)->role;
    if (!order)
        order = strcmp((*x)->name, (*y)->name);
    if (!order)
        order = strcmp((*x)->identity, (*y)->identity);
    return order ? order : strcmp((*x)->boot, (*y)->boot);
}

/* The live processes that target names, in order; *out (flo_free) has count of them. */
static int find_targets(struct flo_control *control, const char *target,
                        const struct flo_fleet_entry ***out, size_t *out_count)
{
    struct flo_fleet *fleet = control->options.fleet;
    const int64_t now = flo_clock_mono_ns() / FLO_NS_PER_MS;
    size_t most = 0, count = 0;
    int best = 1;
    for (int role = 0; role < FLO_FLEET_ROLES; role++)
        most += fleet->entries[role].count;
    const struct flo_fleet_entry **found = flo_calloc(most + 1, sizeof *found);
    if (!found)
        return FLO_ENOMEM;
    for (int role = 0; role < FLO_FLEET_ROLES; role++) {
        FLO_LIST_FOREACH(node, &fleet->entries[role])
        {
            const struct flo_fleet_entry *entry = flo_container(node, struct flo_fleet_entry, node);
            int rank = flo_fleet_entry_live(entry, now) && entry->role != FLO_FLEET_ENGINE
                           ? flo_control_names(target, entry->boot, entry->identity, entry->name,
                                               role_of(entry))
                           : 0;
            if (rank > best) {
                best = rank;
                count = 0;
            }
            if (rank && rank == best)
                found[count++] = entry;
        }
    }
    qsort(found, count, sizeof *found, compare);
    *out = found;
    *out_count = count;
    return 0;
}

static struct batch *new_batch(struct flo_control *control, const char *command, size_t count)
{
    struct batch *batch = flo_calloc(1, sizeof *batch + count * sizeof batch->calls[0]);
    if (!batch)
        return NULL;
    batch->control = control;
    batch->command = command;
    batch->count = count;
    batch->results = json_array();
    flo_list_push_back(&control->batches, &batch->node);
    return batch;
}

/* Hand the command to the hub once for each; those that it does not take have their result. */
static void send_all(struct batch *batch, const struct flo_control_command *command,
                     const struct flo_fleet_entry *const *entries)
{
    const int64_t timeout_ms =
        command->work_ms ? command->work_ms + ANSWER_MARGIN_MS : FLO_CONTROL_TIMEOUT_MS;
    for (size_t i = 0; i < batch->count; i++) {
        const struct flo_fleet_entry *entry = entries[i];
        struct flo_err err = {0};
        (void)json_array_append_new(
            batch->results, json_pack("{s:s, s:s, s:s, s:s}", "identity", entry->identity, "name",
                                      entry->name, "role", role_of(entry), "boot", entry->boot));
        batch->calls[i] = (struct call){.batch = batch, .index = i};
        if (flo_hub_command(batch->control->options.hub, entry, command->command, command->args,
                            timeout_ms, on_done, &batch->calls[i], &err))
            set_result(batch, i, false, err.message, NULL);
        else
            batch->pending++;
    }
}

static void tell_command(struct flo_control *control, const struct flo_http_request *request,
                         const struct flo_control_command *command, size_t count)
{
    char message[600];
    snprintf(message, sizeof message, "%s was sent to %s (%zu process%s)", command->command,
             command->target, count, count == 1 ? "" : "es");
    flo_control_tell(control, request, message, command->target,
                     json_pack("{s:s, s:s, s:O?, s:I}", "command", command->command, "target",
                               command->target, "args", command->args, "processes",
                               (json_int_t)count));
}

static void run_command(struct flo_control *control, const struct flo_http_request *request,
                        const struct flo_control_command *command, struct flo_http_reply *reply)
{
    const struct flo_fleet_entry **entries = NULL;
    struct batch *batch = NULL;
    size_t count = 0;
    int rc = find_targets(control, command->target, &entries, &count);
    if (!rc && !count) {
        const bool engine = strcmp(command->target, "engine") == 0;
        flo_http_error(reply, 404, "no live worker of the fleet is called '%.200s'%s",
                       command->target, engine ? ": the engine takes no commands" : "");
        goto out;
    }
    batch = rc ? NULL : new_batch(control, command->command, count);
    if (!batch) {
        flo_http_error(reply, 503, "no memory for the command");
        goto out;
    }
    tell_command(control, request, command, count);
    send_all(batch, command, entries);
    if (batch->pending) {
        batch->later = flo_http_later(request, on_gone, batch);
        if (!batch->later)
            flo_http_error(reply, 503, "no memory to wait for the answers; the command was sent");
    } else {
        flo_control_put_json(reply, batch_json(batch));
        free_batch(batch);
    }
out:
    flo_free((void *)entries);
}

void flo_control_serve_commands(void *ctx, const struct flo_http_request *request,
                                struct flo_http_reply *reply)
{
    struct flo_control *control = ctx;
    struct flo_control_command command;
    struct flo_err err = {0};
    if (!flo_control_allowed(control, request, reply))
        return;
    if (flo_control_read_command(request->body, request->body_len, &command, &err)) {
        flo_http_error(reply, 400, "%s", err.message);
        return;
    }
    if (control->batches.count >= BATCHES_MAX)
        flo_http_error(reply, 503, "%d commands are being carried out; try again", BATCHES_MAX);
    else
        run_command(control, request, &command, reply);
    flo_control_command_fini(&command);
}

void flo_control_drop_batches(struct flo_control *control)
{
    FLO_LIST_FOREACH_SAFE(node, &control->batches)
    free_batch(flo_container(node, struct batch, node));
}
