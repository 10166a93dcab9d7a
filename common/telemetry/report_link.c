/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_link.c - the reporter's connection, and its successors.
 *
 * No connection is used for long: after some 30 to 58 snapshots (each time another number, so that
 * a fleet that started at once does not do it at once) a second socket connects, and once it is
 * there the first one says that it leaves, and the next snapshot goes by the second one. That
 * bounds what libzmq holds for a connection at the supervisor: its queues touch more memory with
 * each message, up to two blocks of 256. And it heals what a socket never notices: a supervisor
 * whose name has another address now, a peer that was refused (libzmq does not try again) and is
 * allowed now, one that was shut out.
 *
 *   link ---- next made ---- next connected: a snapshot and "leave" by link ---- one interval later
 *                       \--- not after NEXT_PATIENCE snapshots ----------------- last <- link <-
 * next last ---- one interval later: closed. Until then commands that were under way are read from
 * it.
 *
 * The interval between goodbye and the first word by the other connection is for order: nothing
 * else orders what comes by two connections. A link that has no connection is replaced at once.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "telemetry/report_internal.h"

#define SEND_QUEUE 4
#define RECEIVE_QUEUE 64
#define HANDSHAKE_MS 3000
#define RECONNECT_MIN_MS 100
#define RECONNECT_MAX_MS 500 /* a supervisor that is back knows all within two seconds */
#define LAST_FRAME_MS 100
#define LINK_SNAPSHOTS_MIN 30
#define LINK_SNAPSHOTS_SPREAD 29
#define NEXT_PATIENCE 10

/* Only of options that every libzmq knows, with values that fit. */
static void set(struct flo_reporter *reporter, void *sock, int option, int value)
{
    reporter->zmq->setsockopt(sock, option, &value, sizeof value);
}

static int get(struct flo_reporter *reporter, void *sock, int option)
{
    int value = 0;
    size_t size = sizeof value;
    return reporter->zmq->getsockopt(sock, option, &value, &size) ? 0 : value;
}

static bool is_writable(struct flo_reporter *reporter, const struct flo_report_link *link)
{
    return get(reporter, link->sock, ZMQ_EVENTS) & ZMQ_POLLOUT;
}

bool flo_report_link_writable(struct flo_reporter *reporter)
{
    return is_writable(reporter, &reporter->link);
}

static int read_keys(struct flo_reporter *reporter, const struct flo_report_options *options,
                     struct flo_err *err)
{
    if (!options->secret_key_file || !*options->secret_key_file)
        return 0;
    int rc = flo_curve_read_public(options->server_key_file, reporter->server_key, err);
    if (!rc)
        rc = flo_curve_read_secret(options->secret_key_file, reporter->secret_key,
                                   reporter->public_key, err);
    reporter->has_keys = rc == 0;
    return rc;
}

static bool set_keys(struct flo_reporter *reporter, void *sock)
{
    const struct flo_zeromq *zmq = reporter->zmq;
    return !reporter->has_keys || (!zmq->setsockopt(sock, ZMQ_CURVE_SERVERKEY, reporter->server_key,
                                                    sizeof reporter->server_key) &&
                                   !zmq->setsockopt(sock, ZMQ_CURVE_PUBLICKEY, reporter->public_key,
                                                    sizeof reporter->public_key) &&
                                   !zmq->setsockopt(sock, ZMQ_CURVE_SECRETKEY, reporter->secret_key,
                                                    sizeof reporter->secret_key));
}

static void close_link(struct flo_reporter *reporter, struct flo_report_link *link, int linger_ms)
{
    if (link->readable)
        event_free(link->readable);
    if (link->sock) {
        set(reporter, link->sock, ZMQ_LINGER, linger_ms);
        reporter->zmq->close(link->sock);
    }
    *link = (struct flo_report_link){.sock = NULL};
}

/* A socket that connects, in the background. */
static int open_link(struct flo_reporter *reporter, struct flo_report_link *link,
                     struct flo_err *err)
{
    const char *endpoint = reporter->options.endpoint;
    const int64_t message_max = (int64_t)FLO_REPORT_MAX_BYTES;
    const struct flo_zeromq *zmq = reporter->zmq;
    void *sock = zmq->socket(reporter->context, ZMQ_DEALER);
    if (!sock)
        return flo_fail(err, FLO_ESYS, "cannot make a ZeroMQ socket: %s", zmq->strerror(errno));
    link->sock = sock;
    set(reporter, sock, ZMQ_IMMEDIATE, 1);
    set(reporter, sock, ZMQ_LINGER, 0);
    set(reporter, sock, ZMQ_SNDHWM, SEND_QUEUE);
    set(reporter, sock, ZMQ_RCVHWM, RECEIVE_QUEUE);
    set(reporter, sock, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set(reporter, sock, ZMQ_RECONNECT_IVL, RECONNECT_MIN_MS);
    set(reporter, sock, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    set(reporter, sock, ZMQ_IPV6, strncmp(endpoint, "tcp://", 6) == 0);
    zmq->setsockopt(sock, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max);
    int rc = 0;
    if (!set_keys(reporter, sock))
        rc = flo_fail(err, FLO_ESYS, "ZeroMQ takes no keys: %s", zmq->strerror(errno));
    else if (zmq->connect(sock, endpoint))
        rc = flo_fail(err, FLO_EINVAL, "cannot connect to \"%s\": %s", endpoint,
                      zmq->strerror(errno));
    if (rc)
        close_link(reporter, link, 0);
    return rc;
}

/* Hear of what happens at the link in use. */
static int watch(struct flo_reporter *reporter, struct flo_report_link *link, struct flo_err *err)
{
    link->readable = event_new(reporter->base, (evutil_socket_t)get(reporter, link->sock, ZMQ_FD),
                               EV_READ | EV_PERSIST, flo_report_on_edge, reporter);
    if (link->readable && !event_add(link->readable, NULL))
        return 0;
    return flo_fail(err, FLO_ENOMEM, "no memory for the reporter's events");
}

static unsigned draw_age(struct flo_reporter *reporter)
{
    return LINK_SNAPSHOTS_MIN + (unsigned)(flo_rng_next(&reporter->rng) % LINK_SNAPSHOTS_SPREAD);
}

static void go_over(struct flo_reporter *reporter)
{
    const bool said = reporter->said_leave;
    if (watch(reporter, &reporter->next, NULL)) {
        close_link(reporter, &reporter->next, 0);
    } else {
        if (said)
            reporter->last = reporter->link;
        else
            close_link(reporter, &reporter->link, 0);
        reporter->link = reporter->next;
        reporter->next = (struct flo_report_link){.sock = NULL};
    }
    reporter->said_leave = false;
    reporter->link_left = draw_age(reporter);
}

void flo_report_link_age(struct flo_reporter *reporter)
{
    close_link(reporter, &reporter->last, LAST_FRAME_MS);
    bool due = --reporter->link_left == 0 || reporter->said_leave;
    if (!due)
        return;
    const bool waited = reporter->next.sock != NULL;
    if (!waited && open_link(reporter, &reporter->next, NULL))
        reporter->link_left = draw_age(reporter); /* no descriptors, no memory: another time */
    else if (waited || reporter->dropped)
        go_over(reporter);
    else
        reporter->link_left = NEXT_PATIENCE;
}

void flo_report_link_leave(struct flo_reporter *reporter)
{
    char frame[128];
    if (!reporter->next.sock || reporter->said_leave || !is_writable(reporter, &reporter->next))
        return;
    int len = snprintf(frame, sizeof frame, "{\"v\":%d,\"type\":\"leave\",\"boot\":\"%s\"}",
                       FLO_REPORT_VERSION, reporter->boot_id);
    reporter->said_leave =
        reporter->zmq->send(reporter->link.sock, frame, (size_t)len, ZMQ_DONTWAIT) >= 0;
}

int flo_report_link_init(struct flo_reporter *reporter, const struct flo_report_options *options,
                         struct flo_err *err)
{
    int rc = flo_report_check_endpoint(reporter->options.endpoint, err);
    if (rc)
        return rc;
    reporter->zmq = flo_zeromq(err);
    if (!reporter->zmq)
        return FLO_ESYS;
    rc = read_keys(reporter, options, err);
    if (rc)
        return rc;
    reporter->link_left = draw_age(reporter);
    reporter->context = reporter->zmq->ctx_new();
    if (!reporter->context)
        return flo_fail(err, FLO_ESYS, "cannot make a ZeroMQ context: %s",
                        reporter->zmq->strerror(errno));
    rc = open_link(reporter, &reporter->link, err);
    return rc ? rc : watch(reporter, &reporter->link, err);
}

void flo_report_link_fini(struct flo_reporter *reporter)
{
    close_link(reporter, &reporter->next, 0);
    close_link(reporter, &reporter->last, LAST_FRAME_MS);
    close_link(reporter, &reporter->link, LAST_FRAME_MS);
    if (reporter->context)
        reporter->zmq->ctx_term(reporter->context); /* waits for the last frame */
    explicit_bzero(reporter->secret_key, sizeof reporter->secret_key);
}

int flo_report_check_endpoint(const char *endpoint, struct flo_err *err)
{
    if (strncmp(endpoint, "ipc://", 6) != 0 && strncmp(endpoint, "tcp://", 6) != 0)
        return flo_fail(err, FLO_EINVAL, "\"%s\" is no endpoint: ipc:///path or tcp://host:port",
                        endpoint);
    return 0;
}
