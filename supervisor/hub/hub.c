/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub.c - ROUTER in, fleet state out.
 *
 * libzmq's defaults are generous to attackers (no size limit, 30 s handshakes, endless linger), so
 * each is set. Each wake-up handles a bounded number of messages, so that a flood cannot keep the
 * loop from its other work; the rest is taken on the next turn.
 */
#include "supervisor/hub/hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/random.h"
#include "config/process.h"
#include "supervisor/hub/hub_internal.h"
#include "telemetry/curve.h"
#include "telemetry/log.h"

/* A peer sends one frame a second. What a supervisor that does not get to run piles up is bounded
 * by this for each peer; then libzmq stops reading from it, and the peer drops its own. */
#define RECEIVE_QUEUE 16
#define SEND_QUEUE 64
#define HANDSHAKE_MS 3000
#define BATCH 256
/* Ids of commands begin somewhere below 2^48, so that no late answer to the supervisor before this
 * one is taken for one to this one. */
#define COMMAND_ID_SPARE_BITS 16
/* libzmq allocates some 60 KB for a connection and touches a third of it. Were the next ones to
 * come from memory that was touched before, in time all of it would be; so what ended ones leave is
 * given back, after so many. */
#define TRIM_AFTER 32
#define GATHER_MS 20 /* reports are taken together for so long */
#define TICK_MS 250  /* how late the loss of a process may be seen */

/* ---- frames ---- */

static void add_event(struct flo_hub *hub, enum flo_log_level level, const char *kind,
                      const struct flo_fleet_entry *entry, const char *message)
{
    const struct flo_event event = {.ts_ms = flo_clock_wall_ns() / FLO_NS_PER_MS,
                                    .level = level,
                                    .kind = kind,
                                    .message = message,
                                    .identity = entry->identity,
                                    .role = flo_fleet_role_name(entry->role),
                                    .name = entry->name,
                                    .boot = entry->boot};
    flo_events_add(hub->events, &event);
}

/* After a goodbye the next connection must have the same key as the one that said it. */
static bool may_follow(struct flo_hub *hub, const struct flo_fleet_entry *entry,
                       const struct flo_hub_peer *peer)
{
    const struct flo_hub_peer *before = flo_hub_peer_of(hub, entry);
    return !before || strcmp(before->user_id, peer->user_id) == 0;
}

static enum flo_frame_verdict take_snapshot(struct flo_hub *hub, const struct flo_hub_peer *peer,
                                            const struct flo_frame *frame)
{
    const uint64_t connection = peer->connection;
    struct flo_fleet_entry *entry = flo_fleet_by_boot(hub->fleet, frame->boot);
    const uint64_t left = entry && entry->leaving ? entry->connection : 0;
    bool new_duplicate = false;
    if (left && left != connection && !may_follow(hub, entry, peer))
        return FLO_FRAME_PEER;
    enum flo_frame_verdict verdict = flo_fleet_take_snapshot(
        hub->fleet, frame, connection, flo_hub_now_ms(), &entry, &new_duplicate);
    if (verdict != FLO_FRAME_TAKEN)
        return verdict;
    if (left && left != connection)
        flo_hub_move_commands(hub, left, connection);
    if (new_duplicate) {
        flo_log(FLO_LOG_WARN, "fleet.duplicate_identity", "Two live processes have one identity",
                "identity", entry->identity, NULL);
        add_event(hub, FLO_LOG_WARN, "fleet.duplicate_identity", entry,
                  "Two live processes have one identity");
    }
    if (entry->said == FLO_SAID_STOPPED)
        add_event(hub, FLO_LOG_INFO, "process.stopped", entry, "The process stopped as told");
    return verdict;
}

static enum flo_frame_verdict take_event(struct flo_hub *hub, uint64_t connection,
                                         const struct flo_frame *frame)
{
    enum flo_fleet_role role;
    struct flo_event event;
    uint64_t seq;
    struct flo_fleet_entry *entry = flo_fleet_by_boot(hub->fleet, frame->boot);
    if (entry && entry->connection && entry->connection != connection)
        return FLO_FRAME_PEER;
    enum flo_frame_verdict verdict = flo_fleet_frame_role(frame, &role, &seq);
    if (verdict == FLO_FRAME_TAKEN)
        verdict = flo_fleet_frame_event(frame, &event);
    if (verdict == FLO_FRAME_TAKEN)
        verdict = flo_fleet_take_event(hub->fleet, entry, role, seq);
    if (verdict == FLO_FRAME_TAKEN)
        flo_events_add(hub->events, &event);
    return verdict;
}

static enum flo_frame_verdict take_ack(struct flo_hub *hub, uint64_t connection,
                                       const struct flo_frame *frame)
{
    struct flo_frame_ack ack;
    enum flo_frame_verdict verdict = flo_fleet_frame_ack(frame, &ack);
    if (verdict == FLO_FRAME_TAKEN)
        flo_hub_take_ack(hub, connection, &ack);
    return verdict;
}

static enum flo_frame_verdict take_by_type(struct flo_hub *hub, const struct flo_hub_peer *peer,
                                           const struct flo_frame *frame)
{
    const uint64_t connection = peer->connection;
    switch (frame->type) {
    case FLO_FRAME_SNAPSHOT:
        return take_snapshot(hub, peer, frame);
    case FLO_FRAME_EVENT:
        return take_event(hub, connection, frame);
    case FLO_FRAME_ACK:
        return take_ack(hub, connection, frame);
    case FLO_FRAME_LEAVE:
        return flo_fleet_leave(hub->fleet, frame->boot, connection);
    }
    return FLO_FRAME_TYPE;
}

static enum flo_frame_verdict take_frame(struct flo_hub *hub, struct flo_hub_peer *peer,
                                         const void *data, size_t size)
{
    struct flo_frame frame;
    char boot[sizeof peer->boot] = "";
    enum flo_frame_verdict verdict = flo_fleet_frame_read(data, size, &frame);
    if (verdict == FLO_FRAME_TAKEN && *peer->boot && strcmp(peer->boot, frame.boot) != 0)
        verdict = FLO_FRAME_PEER;
    if (verdict == FLO_FRAME_TAKEN) {
        snprintf(boot, sizeof boot, "%s", frame.boot);
        verdict = take_by_type(hub, peer, &frame);
    }
    if (verdict == FLO_FRAME_TAKEN)
        memcpy(peer->boot, boot, sizeof boot);
    flo_fleet_frame_fini(&frame);
    return verdict;
}

/* ---- messages ---- */

static void refuse(struct flo_hub *hub, enum flo_frame_verdict verdict)
{
    flo_fleet_count_bad(hub->fleet, verdict);
    if (verdict == FLO_FRAME_CONTROL)
        flo_log(FLO_LOG_WARN, "control.denied", "A peer would command the supervisor", NULL);
    else
        flo_log(FLO_LOG_WARN, "metrics.bad_frame", "A frame was dropped", "reason",
                flo_frame_verdict_name(verdict), NULL);
}

/* Who sent it: the connection, when libzmq knows its descriptor (of peers that speak ZMTP 3) and
 * its key is still allowed. */
static enum flo_frame_verdict find_peer(struct flo_hub *hub, zmq_msg_t *id, zmq_msg_t *frame,
                                        struct flo_hub_peer **out)
{
    int fd = zmq_msg_get(frame, ZMQ_SRCFD);
    if (fd < 0)
        return FLO_FRAME_PEER;
    *out = flo_hub_peer_get(hub, fd, zmq_msg_data(id), zmq_msg_size(id),
                            zmq_msg_gets(frame, "User-Id"));
    if (!*out)
        return FLO_FRAME_MEMORY;
    if ((*out)->shut_out)
        return FLO_FRAME_KEY;
    return flo_hub_peer_may_send(*out, zmq_msg_size(frame), flo_hub_now_ms()) ? FLO_FRAME_TAKEN
                                                                              : FLO_FRAME_RATE;
}

/* Read what is left of a message, one frame at a time, and keep none of it. */
static void skip_rest(void *socket, zmq_msg_t *frame)
{
    while (zmq_msg_more(frame) && zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) >= 0)
        ;
}

/* One message: routing id and one frame. False: nothing there. */
static bool take_message(struct flo_hub *hub)
{
    void *socket = zsock_resolve(hub->router);
    struct flo_hub_peer *peer = NULL;
    zmq_msg_t id, frame;
    zmq_msg_init(&id);
    zmq_msg_init(&frame);
    bool taken = zmq_msg_recv(&id, socket, ZMQ_DONTWAIT) >= 0;
    bool two = taken && zmq_msg_more(&id) && zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0;
    enum flo_frame_verdict verdict = FLO_FRAME_PARTS;
    if (two && !zmq_msg_more(&frame)) {
        verdict = find_peer(hub, &id, &frame, &peer);
        if (verdict == FLO_FRAME_TAKEN)
            verdict = take_frame(hub, peer, zmq_msg_data(&frame), zmq_msg_size(&frame));
    } else if (taken) {
        skip_rest(socket, two ? &frame : &id);
    }
    if (taken && verdict != FLO_FRAME_TAKEN)
        refuse(hub, verdict);
    zmq_msg_close(&id);
    zmq_msg_close(&frame);
    return taken;
}

bool flo_hub_take_messages(struct flo_hub *hub)
{
    int taken = 0;
    while (taken < BATCH && (zsock_events(hub->router) & ZMQ_POLLIN) && take_message(hub))
        taken++;
    return taken == BATCH;
}

/* ---- the loop ---- */

static void on_lost(void *ctx, const struct flo_fleet_entry *entry, const char *reason)
{
    char message[256];
    struct flo_hub *hub = ctx;
    snprintf(message, sizeof message, "The process is lost: %s", reason);
    flo_log(FLO_LOG_WARN, "process.lost", message, "identity", entry->identity, "role",
            flo_fleet_role_name(entry->role), "boot", entry->boot, "#pid", FLO_NUM(entry->pid),
            NULL);
    add_event(hub, FLO_LOG_ERROR, "process.lost", entry, message);
}

static void tick(struct flo_hub *hub, int64_t now)
{
    hub->ticked_ms = now;
    flo_fleet_expire(hub->fleet, now, on_lost, hub);
    flo_hub_end_commands(hub, now, 0);
    if (hub->ended >= TRIM_AFTER) {
        hub->ended = 0;
        flo_process_trim();
    }
    flo_series_set(flo_metrics_get(hub->fleet->metrics, FLO_METRIC_FLEET_PEERS, NULL),
                   (double)hub->peer_count);
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_hub *hub = ctx;
    const struct timeval at_once = {0}, later = {.tv_usec = TICK_MS * 1000L};
    (void)fd;
    (void)what;
    flo_hub_monitor_read(hub); /* first: a descriptor that is told of may be another's by now */
    bool more = flo_hub_take_messages(hub);
    hub->turned_ms = flo_hub_now_ms();
    if (hub->turned_ms - hub->ticked_ms >= TICK_MS)
        tick(hub, hub->turned_ms);
    event_add(hub->edge, NULL);
    event_add(hub->again, more ? &at_once : &later);
}

/* A fleet of hundreds would wake this thread for each report; what comes within GATHER_MS of the
 * last turn is taken together. After a quiet time the first is taken at once. */
static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_hub *hub = ctx;
    int64_t since_ms = flo_hub_now_ms() - hub->turned_ms;
    if (since_ms >= GATHER_MS) {
        on_turn(fd, what, hub);
        return;
    }
    const struct timeval rest = {.tv_usec = (GATHER_MS - since_ms) * 1000};
    event_del(hub->edge);
    event_add(hub->again, &rest);
}

/* CURVE on the socket, and who answers for keys. */
static int set_curve(struct flo_hub *hub, struct event_base *base,
                     const struct flo_hub_options *options, struct flo_err *err)
{
    char secret[FLO_CURVE_TEXT];
    int rc = flo_curve_read_secret(options->secret_key_file, secret, NULL, err);
    if (!rc)
        rc = flo_gatekeeper_new(base, options->allowed_keys_dir, hub->fleet->metrics, &hub->keeper,
                                err);
    if (!rc) {
        zsock_set_zap_domain(hub->router, "flotilla");
        zsock_set_curve_server(hub->router, 1);
        zsock_set_curve_secretkey(hub->router, secret);
    }
    explicit_bzero(secret, sizeof secret);
    return rc;
}

static int bind_socket(struct flo_hub *hub, struct event_base *base,
                       const struct flo_hub_options *options, struct flo_err *err)
{
    const char *endpoint = options->endpoint;
    int rc = flo_report_check_endpoint(endpoint, err);
    if (rc)
        return rc;
    setenv("ZSYS_SIGHANDLER", "false", 1); /* signals are the program's */
    hub->router = zsock_new(ZMQ_ROUTER);
    if (!hub->router)
        return flo_fail(err, FLO_ESYS, "cannot make a ZeroMQ socket");
    zsock_set_linger(hub->router, 0);
    zsock_set_rcvhwm(hub->router, RECEIVE_QUEUE);
    zsock_set_sndhwm(hub->router, SEND_QUEUE);
    zsock_set_router_mandatory(hub->router, 1); /* a command to nobody fails */
    zsock_set_maxmsgsize(hub->router, (int)FLO_REPORT_MAX_BYTES);
    zsock_set_handshake_ivl(hub->router, HANDSHAKE_MS);
    zsock_set_ipv6(hub->router, strncmp(endpoint, "tcp://", 6) == 0);
    if (options->secret_key_file && *options->secret_key_file) {
        rc = set_curve(hub, base, options, err);
        if (rc)
            return rc;
    }
    rc = flo_hub_monitor_open(hub, base, err);
    if (rc)
        return rc;
    if (zsock_bind(hub->router, "%s", endpoint) < 0)
        return flo_fail(err, FLO_ECONN, "cannot listen on %s: %s", endpoint,
                        zmq_strerror(zmq_errno()));
    if (strncmp(endpoint, "ipc://", 6) == 0 && endpoint[6] != '@' && chmod(endpoint + 6, 0600))
        return flo_fail(err, FLO_EPERM, "cannot close %s to others: %s", endpoint + 6,
                        strerror(errno));
    char *bound = zsock_last_endpoint(hub->router);
    hub->endpoint = flo_strdup(bound ? bound : endpoint);
    zstr_free(&bound);
    return hub->endpoint ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for the hub");
}

int flo_hub_new(struct event_base *base, const struct flo_hub_options *options,
                struct flo_fleet *fleet, struct flo_hub **out, struct flo_err *err)
{
    int rc;
    const struct timeval now = {0};
    struct flo_hub *hub = flo_calloc(1, sizeof *hub);
    if (!hub)
        return flo_fail(err, FLO_ENOMEM, "no memory for the hub");
    hub->fleet = fleet;
    hub->events = options->events;
    hub->command_id = flo_random_u64() >> COMMAND_ID_SPARE_BITS;
    flo_list_init(&hub->pending);
    rc = bind_socket(hub, base, options, err);
    if (rc)
        goto out;
    hub->edge = event_new(base, (evutil_socket_t)zsock_fd(hub->router), EV_READ | EV_PERSIST,
                          on_readable, hub);
    hub->again = event_new(base, -1, 0, on_turn, hub);
    if (!hub->edge || !hub->again || event_add(hub->edge, NULL) || event_add(hub->again, &now)) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the hub's events");
        goto out;
    }
    *out = hub;
    hub = NULL;
out:
    flo_hub_destroy(&hub);
    return rc;
}

int flo_hub_reload_keys(struct flo_hub *hub, struct flo_err *err)
{
    int rc = hub->keeper ? flo_gatekeeper_reload(hub->keeper, err) : 0;
    if (!rc)
        flo_hub_peers_check_keys(hub);
    return rc;
}

const char *flo_hub_endpoint(const struct flo_hub *hub)
{
    return hub->endpoint;
}

void flo_hub_destroy(struct flo_hub **hub)
{
    struct flo_hub *self = *hub;
    if (!self)
        return;
    if (self->edge)
        event_free(self->edge);
    if (self->again)
        event_free(self->again);
    flo_hub_commands_fini(self);
    flo_hub_monitor_close(self);
    zsock_destroy(&self->router);
    flo_gatekeeper_destroy(&self->keeper);
    flo_hub_peers_fini(self);
    flo_free(self->endpoint);
    flo_free(self);
    *hub = NULL;
}
