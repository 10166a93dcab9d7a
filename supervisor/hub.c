/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub.c - ROUTER in, fleet state out.
 *
 * libzmq's defaults are generous to attackers (no size limit, 30 s handshakes, endless linger), so
 * each is set. Each wake-up handles a bounded number of messages, so that a flood cannot keep the
 * loop from its other work; the rest is taken on the next turn.
 */
#include "supervisor/hub.h"

#include <czmq.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "telemetry/log.h"
#include "telemetry/report.h"

#define QUEUE 1000
#define HANDSHAKE_MS 3000
#define BATCH 256

struct flo_hub {
    zsock_t *router;
    struct event *edge;  /* of the socket's descriptor */
    struct event *again; /* continues a batch; expires old entries */
    struct flo_fleet *fleet;
    char *endpoint;
};

static void report_bad(struct flo_hub *hub, enum flo_frame_verdict verdict)
{
    (void)hub;
    flo_log(FLO_LOG_WARN, "metrics.bad_frame", "A frame was dropped", "reason",
            flo_frame_verdict_name(verdict), NULL);
}

static void take_frame(struct flo_hub *hub, zframe_t *frame)
{
    struct flo_fleet_entry *entry = NULL;
    bool new_duplicate = false;
    enum flo_frame_verdict verdict =
        flo_fleet_take(hub->fleet, zframe_data(frame), zframe_size(frame),
                       flo_clock_mono_ns() / FLO_NS_PER_MS, &entry, &new_duplicate);
    if (verdict != FLO_FRAME_TAKEN)
        report_bad(hub, verdict);
    if (new_duplicate)
        flo_log(FLO_LOG_WARN, "fleet.duplicate_identity", "Two live processes have one identity",
                "identity", json_string_value(json_object_get(entry->snapshot, "identity")), NULL);
}

/* One message: routing id and one frame. False: nothing there. */
static bool take_message(struct flo_hub *hub)
{
    zmsg_t *message = zmsg_recv_nowait(hub->router);
    if (!message)
        return false;
    zframe_t *id = zmsg_pop(message);
    if (zmsg_size(message) == 1) {
        zframe_t *frame = zmsg_pop(message);
        take_frame(hub, frame);
        zframe_destroy(&frame);
    } else {
        flo_series_inc(flo_metrics_get(hub->fleet->metrics, FLO_METRIC_FLEET_BAD_FRAMES,
                                       flo_frame_verdict_name(FLO_FRAME_PARTS), NULL));
        report_bad(hub, FLO_FRAME_PARTS);
    }
    zframe_destroy(&id);
    zmsg_destroy(&message);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_hub *hub = ctx;
    (void)fd;
    (void)what;
    int taken = 0;
    while (taken < BATCH && (zsock_events(hub->router) & ZMQ_POLLIN) && take_message(hub))
        taken++;
    flo_fleet_expire(hub->fleet, flo_clock_mono_ns() / FLO_NS_PER_MS);
    const struct timeval now = {0}, second = {.tv_sec = 1};
    event_add(hub->again, taken == BATCH ? &now : &second);
}

static int bind_socket(struct flo_hub *hub, const char *endpoint, struct flo_err *err)
{
    if (strncmp(endpoint, "ipc://", 6) != 0 && strncmp(endpoint, "tcp://", 6) != 0)
        return flo_fail(err, FLO_EINVAL, "\"%s\" is no endpoint: ipc:///path or tcp://host:port",
                        endpoint);
    setenv("ZSYS_SIGHANDLER", "false", 1); /* signals are the program's */
    hub->router = zsock_new(ZMQ_ROUTER);
    if (!hub->router)
        return flo_fail(err, FLO_ESYS, "cannot make a ZeroMQ socket");
    zsock_set_linger(hub->router, 0);
    zsock_set_rcvhwm(hub->router, QUEUE);
    zsock_set_sndhwm(hub->router, QUEUE);
    zsock_set_maxmsgsize(hub->router, (int)FLO_REPORT_MAX_BYTES);
    zsock_set_handshake_ivl(hub->router, HANDSHAKE_MS);
    zsock_set_ipv6(hub->router, strncmp(endpoint, "tcp://", 6) == 0);
    if (zsock_bind(hub->router, "%s", endpoint) < 0)
        return flo_fail(err, FLO_ECONN, "cannot listen on %s: %s", endpoint,
                        zmq_strerror(zmq_errno()));
    char *bound = zsock_last_endpoint(hub->router);
    hub->endpoint = flo_strdup(bound ? bound : endpoint);
    zstr_free(&bound);
    return hub->endpoint ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for the hub");
}

int flo_hub_new(struct event_base *base, const char *endpoint, struct flo_fleet *fleet,
                struct flo_hub **out, struct flo_err *err)
{
    int rc;
    const struct timeval now = {0};
    struct flo_hub *hub = flo_calloc(1, sizeof *hub);
    if (!hub)
        return flo_fail(err, FLO_ENOMEM, "no memory for the hub");
    hub->fleet = fleet;
    rc = bind_socket(hub, endpoint, err);
    if (rc)
        goto out;
    hub->edge = event_new(base, (evutil_socket_t)zsock_fd(hub->router), EV_READ | EV_PERSIST,
                          on_readable, hub);
    hub->again = event_new(base, -1, 0, on_readable, hub);
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
    zsock_destroy(&self->router);
    flo_free(self->endpoint);
    flo_free(self);
    *hub = NULL;
}
