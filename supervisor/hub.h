/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub.h - the ROUTER socket that the fleet reports to. Frames go to struct flo_fleet; what is
 * wrong with them is counted and logged. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_HUB_H
#define FLO_SUPERVISOR_HUB_H

#include "flotilla/error.h"
#include "supervisor/fleet.h"

struct event_base;
struct flo_hub; /* opaque */

struct flo_hub_options {
    const char *endpoint; /* "ipc:///path", "tcp://host:port" */
    /* CURVE: both or none ("" or NULL). Without them all who reach the endpoint may report. */
    const char *secret_key_file;
    const char *allowed_keys_dir; /* the peers' public keys, NAME.public */
};

/* Bind. options is not kept, fleet is borrowed. FLO_ECONN: cannot bind; FLO_EINVAL: no endpoint;
 * those of curve.h and gatekeeper.h. */
FLO_MUST_CHECK int flo_hub_new(struct event_base *base, const struct flo_hub_options *options,
                               struct flo_fleet *fleet, struct flo_hub **out, struct flo_err *err);
/* Read the allowed keys again; nothing without CURVE. On failure the old ones stay. */
FLO_MUST_CHECK int flo_hub_reload_keys(struct flo_hub *hub, struct flo_err *err);
/* Where workers connect: the endpoint with a port that the kernel chose. Until destroy. */
const char *flo_hub_endpoint(const struct flo_hub *hub);
/* NULL is fine. */
void flo_hub_destroy(struct flo_hub **hub);

#endif
