/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub_peer.c - who is connected, and how much each may send.
 *
 * A connection speaks for one run of one process, the one of its first good frame. That is what
 * makes an answer to a command, or a report, its own: another connection can neither answer nor
 * report in its place. libzmq tells of closed connections on a monitor socket, so a process that
 * was killed is missed at once and not when its next report is overdue.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/hub/hub_internal.h"
#include "telemetry/log.h"

#define FRAMES_A_SECOND 50.0 /* a process sends one snapshot and at most some events */
#define FRAMES_BURST 200.0   /* the queue of one that was cut off for a while */
#define BYTES_A_SECOND 524288.0
#define BYTES_BURST 2097152.0
#define MONITOR_BATCH 1024
#define PEERS_MAX 65536 /* descriptors above this are not served */

static void remove_peer(struct flo_hub *hub, size_t fd)
{
    struct flo_hub_peer *peer = hub->peers[fd];
    struct flo_fleet_entry *entry = *peer->boot ? flo_fleet_by_boot(hub->fleet, peer->boot) : NULL;
    int64_t now = flo_hub_now_ms();
    uint64_t connection = peer->connection;
    if (entry && entry->connection == connection)
        flo_fleet_closed(hub->fleet, entry, now);
    hub->peers[fd] = NULL;
    hub->peer_count--;
    hub->ended++;
    flo_free(peer);
    flo_hub_end_commands(hub, now, connection);
}

static bool grow(struct flo_hub *hub, size_t fd)
{
    if (fd < hub->peer_capacity)
        return true;
    if (fd >= PEERS_MAX)
        return false;
    size_t capacity = hub->peer_capacity ? hub->peer_capacity : 64;
    while (capacity <= fd)
        capacity *= 2;
    struct flo_hub_peer **peers = flo_reallocarray(hub->peers, capacity, sizeof(*peers));
    if (!peers)
        return false;
    memset(peers + hub->peer_capacity, 0, (capacity - hub->peer_capacity) * sizeof(*peers));
    hub->peers = peers;
    hub->peer_capacity = capacity;
    return true;
}

static bool is_shut_out(const struct flo_hub *hub, const struct flo_hub_peer *peer)
{
    return hub->keeper && !flo_gatekeeper_allows(hub->keeper, peer->user_id);
}

void flo_hub_peers_check_keys(struct flo_hub *hub)
{
    for (size_t i = 0; i < hub->peer_capacity; i++) {
        struct flo_hub_peer *peer = hub->peers[i];
        if (!peer)
            continue;
        bool was = peer->shut_out;
        peer->shut_out = is_shut_out(hub, peer);
        struct flo_fleet_entry *entry =
            *peer->boot ? flo_fleet_by_boot(hub->fleet, peer->boot) : NULL;
        if (was || !peer->shut_out || !entry || entry->connection != peer->connection)
            continue;
        flo_log(FLO_LOG_WARN, "peer.shut_out", "A process was put out: its key was removed",
                "identity", entry->identity, "key", peer->user_id, NULL);
        flo_fleet_forget(hub->fleet, entry);
        flo_hub_end_commands(hub, flo_hub_now_ms(), peer->connection);
    }
}

struct flo_hub_peer *flo_hub_peer_get(struct flo_hub *hub, int fd, const void *id, size_t id_len,
                                      const char *user_id)
{
    if (fd < 0 || id_len > FLO_HUB_ID_MAX || !grow(hub, (size_t)fd))
        return NULL;
    struct flo_hub_peer *peer = hub->peers[fd];
    if (peer && peer->id_len == id_len && memcmp(peer->id, id, id_len) == 0)
        return peer;
    const bool owes_end = peer != NULL;
    if (peer)
        remove_peer(hub, (size_t)fd);
    peer = flo_calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->connection = ++hub->connections;
    peer->owes_end = owes_end;
    peer->id_len = (uint8_t)id_len;
    memcpy(peer->id, id, id_len);
    snprintf(peer->user_id, sizeof peer->user_id, "%s", user_id ? user_id : "");
    peer->shut_out = is_shut_out(hub, peer);
    peer->frames = FRAMES_BURST;
    peer->bytes = BYTES_BURST;
    peer->refilled_ms = flo_hub_now_ms();
    hub->peers[fd] = peer;
    hub->peer_count++;
    return peer;
}

struct flo_hub_peer *flo_hub_peer_of(struct flo_hub *hub, const struct flo_fleet_entry *entry)
{
    for (size_t i = 0; entry->connection && i < hub->peer_capacity; i++)
        if (hub->peers[i] && hub->peers[i]->connection == entry->connection)
            return hub->peers[i];
    return NULL;
}

bool flo_hub_peer_may_send(struct flo_hub_peer *peer, size_t size, int64_t now_ms)
{
    double seconds = (double)(now_ms - peer->refilled_ms) / 1000.0;
    peer->refilled_ms = now_ms;
    peer->frames += seconds * FRAMES_A_SECOND;
    peer->bytes += seconds * BYTES_A_SECOND;
    if (peer->frames > FRAMES_BURST)
        peer->frames = FRAMES_BURST;
    if (peer->bytes > BYTES_BURST)
        peer->bytes = BYTES_BURST;
    if (peer->frames < 1 || peer->bytes < (double)size)
        return false;
    peer->frames -= 1;
    peer->bytes -= (double)size;
    return true;
}

/* The connection with that descriptor closed. What it sent before is taken first: libzmq handed it
 * over before it told of the end. */
static void take_end(struct flo_hub *hub, uint32_t fd)
{
    bool known = fd < hub->peer_capacity && hub->peers[fd];
    if (known && hub->peers[fd]->owes_end) {
        hub->peers[fd]->owes_end = false;
        return;
    }
    uint64_t connection = known ? hub->peers[fd]->connection : 0;
    (void)flo_hub_take_messages(hub);
    if (fd >= hub->peer_capacity || !hub->peers[fd])
        flo_series_inc(
            flo_metrics_get(hub->fleet->metrics, FLO_METRIC_FLEET_HANDSHAKES_FAILED, NULL));
    else if (!known || hub->peers[fd]->connection == connection)
        remove_peer(hub, fd);
}

/* One event of the monitor: a frame with its number and value, and one with the address. */
static bool take_monitor_event(struct flo_hub *hub)
{
    uint8_t event[6], address[512];
    uint16_t number;
    uint32_t value;
    int size = zmq_recv(hub->monitor, event, sizeof event, ZMQ_DONTWAIT);
    if (size < 0)
        return false;
    (void)zmq_recv(hub->monitor, address, sizeof address, ZMQ_DONTWAIT);
    if (size != (int)sizeof event)
        return true;
    memcpy(&number, event, sizeof number);
    memcpy(&value, event + sizeof number, sizeof value);
    if (number == ZMQ_EVENT_DISCONNECTED)
        take_end(hub, value);
    return true;
}

void flo_hub_monitor_read(struct flo_hub *hub)
{
    int taken = 0;
    while (taken < MONITOR_BATCH && take_monitor_event(hub))
        taken++;
    if (taken == MONITOR_BATCH)
        event_active(hub->monitor_edge, EV_READ, 0);
}

static void on_monitor(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flo_hub_monitor_read(ctx);
}

int flo_hub_monitor_open(struct flo_hub *hub, struct event_base *base, struct flo_err *err)
{
    const int none = 0;   /* no bound: a full queue would make libzmq's own thread wait for us */
    static unsigned hubs; /* an address is not free at once when a hub ends */
    char address[64];
    evutil_socket_t fd = -1;
    size_t size = sizeof fd;
    snprintf(address, sizeof address, "inproc://flotilla.hub.%u", ++hubs);
    if (zmq_socket_monitor(zsock_resolve(hub->router), address, ZMQ_EVENT_DISCONNECTED) == 0)
        hub->monitor = zmq_socket(zsys_init(), ZMQ_PAIR);
    if (!hub->monitor || zmq_setsockopt(hub->monitor, ZMQ_RCVHWM, &none, sizeof none) ||
        zmq_setsockopt(hub->monitor, ZMQ_LINGER, &none, sizeof none) ||
        zmq_connect(hub->monitor, address) || zmq_getsockopt(hub->monitor, ZMQ_FD, &fd, &size))
        return flo_fail(err, FLO_ESYS, "cannot watch the connections: %s", zmq_strerror(errno));
    hub->monitor_edge = event_new(base, fd, EV_READ | EV_PERSIST, on_monitor, hub);
    if (!hub->monitor_edge || event_add(hub->monitor_edge, NULL))
        return flo_fail(err, FLO_ENOMEM, "no memory for the hub's events");
    return 0;
}

void flo_hub_monitor_close(struct flo_hub *hub)
{
    if (hub->monitor_edge)
        event_free(hub->monitor_edge);
    if (hub->router)
        (void)zmq_socket_monitor(zsock_resolve(hub->router), NULL, 0);
    if (hub->monitor)
        zmq_close(hub->monitor);
}

void flo_hub_peers_fini(struct flo_hub *hub)
{
    for (size_t i = 0; i < hub->peer_capacity; i++)
        flo_free(hub->peers[i]);
    flo_free(hub->peers);
}
