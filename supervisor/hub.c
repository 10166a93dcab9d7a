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
#include "supervisor/gatekeeper.h"
#include "telemetry/curve.h"
#include "telemetry/log.h"
#include "telemetry/report.h"

#define QUEUE 1000
#define HANDSHAKE_MS 3000
#define BATCH 256

struct flo_hub {
    struct flo_gatekeeper *keeper; /* NULL without CURVE */
    zsock_t *router;
    struct event *edge;  /* of the socket's descriptor */
    struct event *again; /* continues a batch; expires old entries */
    struct flo_fleet *fleet;
    char *endpoint;
};

static void report_bad(enum flo_frame_verdict verdict)
{
    flo_log(FLO_LOG_WARN, "metrics.bad_frame", "A frame was dropped", "reason",
            flo_frame_verdict_name(verdict), NULL);
}

static void take_frame(struct flo_hub *hub, const void *data, size_t size)
{
    struct flo_fleet_entry *entry = NULL;
    bool new_duplicate = false;
    enum flo_frame_verdict verdict = flo_fleet_take(
        hub->fleet, data, size, flo_clock_mono_ns() / FLO_NS_PER_MS, &entry, &new_duplicate);
    if (verdict != FLO_FRAME_TAKEN)
        report_bad(verdict);
    if (new_duplicate)
        flo_log(FLO_LOG_WARN, "fleet.duplicate_identity", "Two live processes have one identity",
                "identity", json_string_value(json_object_get(entry->snapshot, "identity")), NULL);
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
    zmq_msg_t frame; /* the routing id is of no interest: the identity stands in the snapshot */
    zmq_msg_init(&frame);
    bool taken = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0;
    bool two = taken && zmq_msg_more(&frame) && zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0 &&
               !zmq_msg_more(&frame);
    if (two) {
        take_frame(hub, zmq_msg_data(&frame), zmq_msg_size(&frame));
    } else if (taken) {
        skip_rest(socket, &frame);
        flo_series_inc(flo_metrics_get(hub->fleet->metrics, FLO_METRIC_FLEET_BAD_FRAMES,
                                       flo_frame_verdict_name(FLO_FRAME_PARTS), NULL));
        report_bad(FLO_FRAME_PARTS);
    }
    zmq_msg_close(&frame);
    return taken;
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
    zsock_set_rcvhwm(hub->router, QUEUE);
    zsock_set_sndhwm(hub->router, QUEUE);
    zsock_set_maxmsgsize(hub->router, (int)FLO_REPORT_MAX_BYTES);
    zsock_set_handshake_ivl(hub->router, HANDSHAKE_MS);
    zsock_set_ipv6(hub->router, strncmp(endpoint, "tcp://", 6) == 0);
    if (options->secret_key_file && *options->secret_key_file) {
        rc = set_curve(hub, base, options, err);
        if (rc)
            return rc;
    }
    if (zsock_bind(hub->router, "%s", endpoint) < 0)
        return flo_fail(err, FLO_ECONN, "cannot listen on %s: %s", endpoint,
                        zmq_strerror(zmq_errno()));
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
    rc = bind_socket(hub, base, options, err);
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

int flo_hub_reload_keys(struct flo_hub *hub, struct flo_err *err)
{
    return hub->keeper ? flo_gatekeeper_reload(hub->keeper, err) : 0;
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
    flo_gatekeeper_destroy(&self->keeper);
    flo_free(self->endpoint);
    flo_free(self);
    *hub = NULL;
}
