/* SPDX-License-Identifier: Apache-2.0 */
/* hub_command.c - commands down, and who waits for their acknowledgements. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/hub/hub_internal.h"

#define ARGS_MAX 8192 /* bytes of JSON */

static struct flo_hub_pending *pending_of(struct flo_node *node)
{
    return flo_container(node, struct flo_hub_pending, node);
}

static void finish(struct flo_hub *hub, struct flo_hub_pending *pending, const char *result,
                   bool ok, const char *message, json_t *data)
{
    flo_list_remove(&hub->pending, &pending->node);
    flo_series_inc(flo_metrics_get(hub->fleet->metrics, FLO_METRIC_FLEET_COMMANDS, result, NULL));
    if (pending->done)
        pending->done(pending->ctx, ok, message, data);
    flo_free(pending);
}

void flo_hub_take_ack(struct flo_hub *hub, uint64_t connection, const struct flo_frame_ack *ack)
{
    FLO_LIST_FOREACH(node, &hub->pending)
    {
        struct flo_hub_pending *pending = pending_of(node);
        if (pending->id != ack->id || pending->connection != connection)
            continue;
        finish(hub, pending, ack->ok ? "done" : "refused", ack->ok, ack->message, ack->data);
        return;
    }
}

/* The first that waits for the connection, or for too long. done() may send further commands, so
 * the list is looked at anew for each. */
static struct flo_hub_pending *find_ended(struct flo_hub *hub, int64_t now_ms, uint64_t connection)
{
    FLO_LIST_FOREACH(node, &hub->pending)
    {
        struct flo_hub_pending *pending = pending_of(node);
        if (pending->deadline_ms <= now_ms || (connection && pending->connection == connection))
            return pending;
    }
    return NULL;
}

void flo_hub_end_commands(struct flo_hub *hub, int64_t now_ms, uint64_t connection)
{
    struct flo_hub_pending *pending;
    while ((pending = find_ended(hub, now_ms, connection))) {
        bool gone = connection && pending->connection == connection;
        finish(hub, pending, gone ? "gone" : "timeout", false,
               gone ? "its connection closed" : "no answer in time", NULL);
    }
}

void flo_hub_move_commands(struct flo_hub *hub, uint64_t from, uint64_t to)
{
    FLO_LIST_FOREACH(node, &hub->pending)
    {
        struct flo_hub_pending *pending = pending_of(node);
        if (pending->connection == from)
            pending->connection = to;
    }
}

void flo_hub_commands_fini(struct flo_hub *hub)
{
    struct flo_node *first;
    while ((first = flo_list_first(&hub->pending)))
        finish(hub, pending_of(first), "gone", false, "the supervisor stops", NULL);
}

/* {"v":1,"type":"command",...}; free() it. NULL: no memory. */
static char *command_text(const struct flo_hub *hub, const char *boot, const char *name,
                          json_t *args)
{
    json_t *json =
        json_pack("{s:i, s:s, s:s, s:I, s:s}", "v", FLO_REPORT_VERSION, "type", "command", "boot",
                  boot, "id", (json_int_t)hub->command_id, "command", name);
    if (json && args)
        (void)json_object_set(json, "args", args);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

static int send_to(struct flo_hub *hub, const struct flo_hub_peer *peer, const char *text,
                   struct flo_err *err)
{
    void *socket = zsock_resolve(hub->router);
    if (zmq_send(socket, peer->id, peer->id_len, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0 &&
        zmq_send(socket, text, strlen(text), ZMQ_DONTWAIT) >= 0)
        return 0;
    if (errno == EHOSTUNREACH)
        return flo_fail(err, FLO_ECONN, "it is not connected");
    return flo_fail(err, FLO_EFULL, "its connection takes no more: %s", zmq_strerror(errno));
}

int flo_hub_command(struct flo_hub *hub, const struct flo_fleet_entry *entry, const char *name,
                    json_t *args, int64_t timeout_ms, flo_hub_done_fn done, void *ctx,
                    struct flo_err *err)
{
    const struct flo_hub_peer *peer = flo_hub_peer_of(hub, entry);
    if (!peer)
        return flo_fail(err, FLO_ECONN, "it is not connected");
    if (hub->pending.count >= FLO_HUB_COMMANDS_MAX)
        return flo_fail(err, FLO_EFULL, "%d commands wait for answers already",
                        FLO_HUB_COMMANDS_MAX);
    if (args && json_dumpb(args, NULL, 0, JSON_COMPACT) > ARGS_MAX)
        return flo_fail(err, FLO_ELIMIT, "the arguments are longer than %d bytes", ARGS_MAX);
    struct flo_hub_pending *pending = flo_calloc(1, sizeof *pending);
    hub->command_id++;
    char *text = pending ? command_text(hub, entry->boot, name, args) : NULL;
    int rc = text ? send_to(hub, peer, text, err)
                  : flo_fail(err, FLO_ENOMEM, "no memory for the command");
    free(text); /* jansson's */
    if (rc) {
        flo_free(pending);
        return rc;
    }
    *pending = (struct flo_hub_pending){.id = hub->command_id,
                                        .connection = peer->connection,
                                        .deadline_ms = flo_hub_now_ms() + timeout_ms,
                                        .done = done,
                                        .ctx = ctx};
    flo_list_push_back(&hub->pending, &pending->node);
    return 0;
}
