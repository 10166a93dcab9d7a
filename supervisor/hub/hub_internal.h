/* SPDX-License-Identifier: Apache-2.0 */
/* hub_internal.h - what the files of the hub share. */
#ifndef FLO_SUPERVISOR_HUB_INTERNAL_H
#define FLO_SUPERVISOR_HUB_INTERNAL_H

#include <czmq.h>
#include <event2/event.h>

#include "base/clock.h"
#include "supervisor/fleet/fleet_frame.h"
#include "supervisor/hub/gatekeeper.h"
#include "supervisor/hub/hub.h"
#include "telemetry/curve.h"

#define FLO_HUB_ID_MAX 255 /* bytes of a routing id */

/*
 * One connection. Its descriptor is known from each message and from the socket's monitor; a
 * descriptor is used again, so a message with another routing id is another connection.
 */
struct flo_hub_peer {
    uint64_t connection;          /* rises with each */
    char user_id[FLO_CURVE_TEXT]; /* its key, "" without CURVE */
    bool shut_out;                /* its key is no longer allowed */
    char boot[40];                /* the run that it speaks for; "" before its first good frame */
    uint8_t id[FLO_HUB_ID_MAX];
    uint8_t id_len;
    bool
        owes_end; /* the monitor is still to tell of the end of the one before, of its descriptor */
    double frames, bytes; /* that may still come in this second */
    int64_t refilled_ms;
};

/* A command that waits for its answer. */
struct flo_hub_pending {
    struct flo_node node;
    uint64_t id;
    uint64_t connection;
    int64_t deadline_ms;
    flo_hub_done_fn done;
    void *ctx;
};

struct flo_hub {
    struct flo_gatekeeper *keeper; /* NULL without CURVE */
    zsock_t *router;
    void *monitor;               /* a PAIR that tells of connections */
    struct event *edge;          /* of the socket's descriptor */
    struct event *again;         /* continues a batch; looks for what is lost */
    struct event *monitor_edge;  /* of the monitor's descriptor */
    struct flo_fleet *fleet;     /* borrowed */
    struct flo_events *events;   /* borrowed; may be NULL */
    struct flo_hub_peer **peers; /* by descriptor; NULL where there is none */
    size_t peer_capacity;
    size_t peer_count;
    size_t ended;            /* connections, since their memory was given back */
    uint64_t connections;    /* the newest number */
    struct flo_list pending; /* commands, in the order of their ids */
    uint64_t command_id;     /* the newest */
    int64_t turned_ms;       /* when messages were taken */
    int64_t ticked_ms;       /* when entries were looked at */
    char *endpoint;
};

static inline int64_t flo_hub_now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

/* ---- hub.c ---- */
/* Take what has come, at most a batch. True: there may be more. */
bool flo_hub_take_messages(struct flo_hub *hub);

/* ---- hub_peer.c ---- */
/* The connection of that descriptor and routing id, made when it is new; user_id may be NULL.
 * NULL: no memory. */
struct flo_hub_peer *flo_hub_peer_get(struct flo_hub *hub, int fd, const void *id, size_t id_len,
                                      const char *user_id);
/* Shut out those whose key is no longer allowed, and forget what they said. */
void flo_hub_peers_check_keys(struct flo_hub *hub);
/* The one that speaks for the entry, or NULL. */
struct flo_hub_peer *flo_hub_peer_of(struct flo_hub *hub, const struct flo_fleet_entry *entry);
/* Is there room for one more frame of that size from it? */
bool flo_hub_peer_may_send(struct flo_hub_peer *peer, size_t size, int64_t now_ms);
/* Begin to watch connections; before the socket is bound. */
int flo_hub_monitor_open(struct flo_hub *hub, struct event_base *base, struct flo_err *err);
/* Take what it says; its descriptor has an edge only after all was read once. */
void flo_hub_monitor_read(struct flo_hub *hub);
void flo_hub_monitor_close(struct flo_hub *hub);
void flo_hub_peers_fini(struct flo_hub *hub);

/* ---- hub_command.c ---- */
void flo_hub_take_ack(struct flo_hub *hub, uint64_t connection, const struct flo_frame_ack *ack);
/* End what waited for too long, and what waits for this connection (0: none). */
void flo_hub_end_commands(struct flo_hub *hub, int64_t now_ms, uint64_t connection);
/* The process goes on with another connection: it answers there what it was told here. */
void flo_hub_move_commands(struct flo_hub *hub, uint64_t from, uint64_t to);
/* End all. */
void flo_hub_commands_fini(struct flo_hub *hub);

#endif
