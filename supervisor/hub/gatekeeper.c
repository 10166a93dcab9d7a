/* SPDX-License-Identifier: Apache-2.0 */
/* gatekeeper.c - the ZAP handler: a REP socket on the loop and a list of keys. */
#include "supervisor/hub/gatekeeper.h"

#include <czmq.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "telemetry/curve.h"
#include "telemetry/log.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_VERSION "1.0"
#define BATCH 64
#define LOG_EVERY_MS 10000 /* a refused peer comes back every second or so */

/* Frames of a request, in order. */
enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, FRAMES };

struct flo_gatekeeper {
    zsock_t *rep;
    struct event *edge;  /* of the socket's descriptor */
    struct event *again; /* continues a batch */
    struct flo_metrics *metrics;
    char *dir;
    uint8_t keys[FLO_GATEKEEPER_KEYS_MAX][FLO_CURVE_BYTES];
    size_t key_count;
    int64_t logged_ms; /* 0: nothing yet */
};

static bool has_key(const struct flo_gatekeeper *keeper, const uint8_t *key)
{
    for (size_t i = 0; i < keeper->key_count; i++)
        if (memcmp(keeper->keys[i], key, FLO_CURVE_BYTES) == 0)
            return true;
    return false;
}

static bool is_allowed(const struct flo_gatekeeper *keeper, zframe_t *mechanism, zframe_t *key)
{
    return zframe_streq(mechanism, "CURVE") && zframe_size(key) == FLO_CURVE_BYTES &&
           has_key(keeper, zframe_data(key));
}

bool flo_gatekeeper_allows(const struct flo_gatekeeper *keeper, const char *user_id)
{
    uint8_t key[FLO_CURVE_BYTES];
    return user_id && strlen(user_id) == FLO_CURVE_TEXT - 1 && zmq_z85_decode(key, user_id) &&
           has_key(keeper, key);
}

static void note_refusal(struct flo_gatekeeper *keeper, zframe_t *address, zframe_t *key)
{
    char text[FLO_CURVE_TEXT] = "", from[64];
    int64_t now = flo_clock_mono_ns() / FLO_NS_PER_MS;
    flo_series_inc(flo_metrics_get(keeper->metrics, FLO_METRIC_FLEET_PEERS_REFUSED, NULL));
    if (keeper->logged_ms && now - keeper->logged_ms < LOG_EVERY_MS)
        return;
    keeper->logged_ms = now;
    if (zframe_size(key) == FLO_CURVE_BYTES)
        zmq_z85_encode(text, zframe_data(key), FLO_CURVE_BYTES);
    snprintf(from, sizeof from, "%.*s", (int)zframe_size(address),
             (const char *)zframe_data(address));
    flo_log(FLO_LOG_WARN, "peer.refused", "A peer was refused: its key is not in the folder", "key",
            text, "address", from, NULL);
}

/* Answer one question. False: there is none. */
static bool answer(struct flo_gatekeeper *keeper)
{
    zmsg_t *request = zmsg_recv_nowait(keeper->rep);
    if (!request)
        return false;
    zframe_t *frames[FRAMES] = {0};
    size_t count = 0;
    for (zframe_t *f = zmsg_first(request); f && count < FRAMES; f = zmsg_next(request))
        frames[count++] = f;
    bool whole = count == FRAMES;
    bool allowed = whole && is_allowed(keeper, frames[MECHANISM], frames[CREDENTIALS]);
    char user_id[FLO_CURVE_TEXT] = "";
    if (allowed)
        zmq_z85_encode(user_id, zframe_data(frames[CREDENTIALS]), FLO_CURVE_BYTES);
    if (whole && !allowed)
        note_refusal(keeper, frames[ADDRESS], frames[CREDENTIALS]);
    zmsg_t *reply = zmsg_new();
    if (reply) {
        zmsg_addstr(reply, ZAP_VERSION);
        zmsg_addmem(reply, count > REQUEST_ID ? zframe_data(frames[REQUEST_ID]) : NULL,
                    count > REQUEST_ID ? zframe_size(frames[REQUEST_ID]) : 0);
        zmsg_addstr(reply, allowed ? "200" : "400");
        zmsg_addstr(reply, allowed ? "OK" : "unknown key");
        zmsg_addstr(reply, user_id);
        zmsg_addstr(reply, ""); /* metadata */
        zmsg_send(&reply, keeper->rep);
    }
    zmsg_destroy(&request);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_gatekeeper *keeper = ctx;
    (void)fd;
    (void)what;
    int taken = 0;
    while (taken < BATCH && (zsock_events(keeper->rep) & ZMQ_POLLIN) && answer(keeper))
        taken++;
    const struct timeval now = {0};
    if (taken == BATCH)
        event_add(keeper->again, &now);
}

static bool is_public_key(const char *name)
{
    size_t len = strlen(name);
    return *name != '.' && len > 7 && strcmp(name + len - 7, ".public") == 0;
}

static int read_keys(const char *dir_path, uint8_t keys[][FLO_CURVE_BYTES], size_t *out_count,
                     struct flo_err *err)
{
    char path[PATH_MAX], text[FLO_CURVE_TEXT];
    int rc = 0;
    size_t count = 0;
    DIR *dir = opendir(dir_path);
    if (!dir)
        return flo_fail(err, errno == ENOENT ? FLO_ENOENT : FLO_EPERM,
                        "cannot read the folder of allowed keys %s: %s", dir_path, strerror(errno));
    for (struct dirent *entry; !rc && (entry = readdir(dir));) {
        if (!is_public_key(entry->d_name))
            continue;
        if (count == FLO_GATEKEEPER_KEYS_MAX) {
            rc = flo_fail(err, FLO_ECONFIG, "%s holds more than %d keys", dir_path,
                          FLO_GATEKEEPER_KEYS_MAX);
            break;
        }
        snprintf(path, sizeof path, "%s/%s", dir_path, entry->d_name);
        rc = flo_curve_read_public(path, text, err);
        if (!rc)
            flo_curve_bytes(text, keys[count++]);
    }
    closedir(dir);
    if (!rc && !count)
        rc = flo_fail(err, FLO_ECONFIG, "%s holds no NAME.public: nobody could report", dir_path);
    if (!rc)
        *out_count = count;
    return rc;
}

int flo_gatekeeper_reload(struct flo_gatekeeper *keeper, struct flo_err *err)
{
    uint8_t keys[FLO_GATEKEEPER_KEYS_MAX][FLO_CURVE_BYTES];
    int rc = read_keys(keeper->dir, keys, &keeper->key_count, err);
    if (!rc)
        memcpy(keeper->keys, keys, keeper->key_count * FLO_CURVE_BYTES);
    return rc;
}

static int open_socket(struct flo_gatekeeper *keeper, struct event_base *base, struct flo_err *err)
{
    keeper->rep = zsock_new(ZMQ_REP);
    if (!keeper->rep)
        return flo_fail(err, FLO_ESYS, "cannot make a ZeroMQ socket");
    zsock_set_linger(keeper->rep, 0);
    if (zsock_bind(keeper->rep, "%s", ZAP_ENDPOINT) < 0)
        return flo_fail(err, FLO_ESYS, "cannot answer for keys: %s", zmq_strerror(zmq_errno()));
    keeper->edge = event_new(base, (evutil_socket_t)zsock_fd(keeper->rep), EV_READ | EV_PERSIST,
                             on_readable, keeper);
    keeper->again = event_new(base, -1, 0, on_readable, keeper);
    if (!keeper->edge || !keeper->again || event_add(keeper->edge, NULL))
        return flo_fail(err, FLO_ENOMEM, "no memory for the keys' events");
    return 0;
}

int flo_gatekeeper_new(struct event_base *base, const char *allowed_dir,
                       struct flo_metrics *metrics, struct flo_gatekeeper **out,
                       struct flo_err *err)
{
    int rc;
    struct flo_gatekeeper *keeper = flo_calloc(1, sizeof *keeper);
    if (!keeper || !(keeper->dir = flo_strdup(allowed_dir))) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the allowed keys");
        goto out;
    }
    keeper->metrics = metrics;
    rc = flo_gatekeeper_reload(keeper, err);
    if (!rc)
        rc = open_socket(keeper, base, err);
    if (rc)
        goto out;
    *out = keeper;
    keeper = NULL;
out:
    flo_gatekeeper_destroy(&keeper);
    return rc;
}

void flo_gatekeeper_destroy(struct flo_gatekeeper **keeper)
{
    struct flo_gatekeeper *self = *keeper;
    if (!self)
        return;
    if (self->edge)
        event_free(self->edge);
    if (self->again)
        event_free(self->again);
    if (self->rep)
        (void)zsock_unbind(self->rep, ZAP_ENDPOINT); /* at once: closing is done behind our back */
    zsock_destroy(&self->rep);
    flo_free(self->dir);
    flo_free(self);
    *keeper = NULL;
}
