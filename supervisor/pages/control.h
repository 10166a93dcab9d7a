/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - steering the fleet over HTTP: POST /v1/commands goes to workers through the hub, POST
 * /v1/processes to the process manager.
 *
 * Who may: whoever shows the token ("Authorization: Bearer TOKEN"), under a Host that is ours, with
 * a JSON body. The token is that of supervisor.token_file; in local mode without one it is made
 * once, STATE_DIR/control.token. Without a token nothing is accepted (403, saying which setting is
 * missing). Which hosts are ours is the HTTP server's matter (http.h): this adds the hosts of the
 * health and metrics addresses, and supervisor.allowed_hosts.
 *
 * Every accepted command is a line of the log and an event of the fleet, with who sent it; what is
 * refused is counted (flotilla_control_denied_total) and logged as control.denied. The token is
 * never logged. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_CONTROL_H
#define FLO_SUPERVISOR_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "config/fleet_config.h"
#include "flotilla/error.h"
#include "supervisor/fleet/fleet.h"
#include "supervisor/hub/events.h"
#include "supervisor/hub/hub.h"
#include "supervisor/processes/manager.h"
#include "telemetry/http.h"
#include "telemetry/metrics.h"

struct flo_control; /* opaque */

#define FLO_CONTROL_TOKEN_BYTES 32             /* of one that we make; hexadecimal in the file */
#define FLO_CONTROL_TOKEN_FILE "control.token" /* in the state folder */
#define FLO_CONTROL_TIMEOUT_MS 5000            /* no answer for so long: ok = false, "no answer" */

struct flo_control_options {
    const struct flo_fleet_config *config; /* borrowed: token_file, allowed_hosts, addresses */
    const char *state_dir;                 /* absolute */
    bool local;                            /* make a token when the configuration names none */
    struct flo_fleet *fleet;               /* borrowed, as all below */
    struct flo_hub *hub;
    struct flo_events *events;          /* may be NULL */
    struct flo_manager *const *manager; /* *manager is NULL without local mode, or not made yet */
    struct flo_metrics *metrics;        /* may be NULL */
};

/*
 * Read the token, or make it. FLO_EPERM: others may read the file; FLO_ENOENT, FLO_ECONFIG: it is
 * not there, or holds no token (16 to 512 visible characters in one line).
 */
FLO_MUST_CHECK int flo_control_new(const struct flo_control_options *options,
                                   struct flo_control **out, struct flo_err *err);
/* Put the two paths on http, and the hosts that are ours. Control outlives http and the hub, whose
 * last answers it takes. FLO_EFULL, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_control_install(struct flo_control *control, struct flo_http *http);
/* Is there a token, so that commands can be accepted at all? */
bool flo_control_enabled(const struct flo_control *control);
/* NULL is fine. */
void flo_control_destroy(struct flo_control **control);

#endif
