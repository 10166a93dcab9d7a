/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub.h - the supervisor's end of the connections to the fleet: a ROUTER socket. Snapshots go to
 * struct flo_fleet, events to struct flo_events, commands go down and their acknowledgements come
 * back; what is wrong with a frame, or too much, is counted and logged. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_HUB_H
#define FLO_SUPERVISOR_HUB_H

#include "flotilla/error.h"
#include "supervisor/fleet/fleet.h"
#include "supervisor/hub/events.h"

struct event_base;
struct flo_hub; /* opaque */

struct flo_hub_options {
    const char *endpoint; /* "ipc:///path", "tcp://host:port" */
    /* CURVE: both or none ("" or NULL). Without them all who reach the endpoint may report. */
    const char *secret_key_file;
    const char *allowed_keys_dir; /* the peers' public keys, NAME.public */
    struct flo_events *events;    /* borrowed; may be NULL: events are dropped */
};

#define FLO_HUB_COMMANDS_MAX 4096 /* that wait for an answer, all processes together */
#define FLO_HUB_COMMAND_MS 5000   /* a usual timeout */

/* Bind. options is not kept, fleet is borrowed. FLO_ECONN: cannot bind; FLO_EINVAL: no endpoint;
 * those of curve.h and gatekeeper.h. */
FLO_MUST_CHECK int flo_hub_new(struct event_base *base, const struct flo_hub_options *options,
                               struct flo_fleet *fleet, struct flo_hub **out, struct flo_err *err);
/* Read the allowed keys again; nothing without CURVE. On failure the old ones stay. */
FLO_MUST_CHECK int flo_hub_reload_keys(struct flo_hub *hub, struct flo_err *err);
/* Where workers connect: the endpoint with a port that the kernel chose. Until destroy. */
const char *flo_hub_endpoint(const struct flo_hub *hub);
/*
 * How a command ended: the process's own answer, or ok false and why there is none (no answer
 * within the timeout, its connection closed, the supervisor stops). data is borrowed, NULL without.
 */
typedef void (*flo_hub_done_fn)(void *ctx, bool ok, const char *message, json_t *data);
/*
 * Send a command to the process of entry: args is an object, borrowed (NULL: none). done (may be
 * NULL) is called exactly once, later, never from within this call; entry may be gone by then. On
 * failure done is not called: FLO_ECONN: it is not connected; FLO_EFULL: FLO_HUB_COMMANDS_MAX
 * wait already, or its connection takes no more; FLO_ELIMIT: args too long; FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_hub_command(struct flo_hub *hub, const struct flo_fleet_entry *entry,
                                   const char *name, json_t *args, int64_t timeout_ms,
                                   flo_hub_done_fn done, void *ctx, struct flo_err *err);
/* Ends the commands that wait. NULL is fine. */
void flo_hub_destroy(struct flo_hub **hub);

#endif
