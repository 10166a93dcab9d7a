/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gatekeeper.h - which keys may report: answers libzmq's question about each peer (ZAP, RFC 27 of
 * ZeroMQ) from a folder of public keys. Without it CURVE would let any key in.
 *
 * libzmq asks at one address of the process, so there is one gatekeeper a process, and it is made
 * before the socket that it guards is bound. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_GATEKEEPER_H
#define FLO_SUPERVISOR_GATEKEEPER_H

#include <stdbool.h>
#include <stddef.h>

#include "flotilla/error.h"
#include "telemetry/metrics.h"

struct event_base;
struct flo_gatekeeper; /* opaque */

#define FLO_GATEKEEPER_KEYS_MAX 64

/* Read every *.public in allowed_dir and answer from now on. metrics is borrowed. FLO_ECONFIG: no
 * key, too many, or a file without one; FLO_ENOENT; FLO_ESYS. */
FLO_MUST_CHECK int flo_gatekeeper_new(struct event_base *base, const char *allowed_dir,
                                      struct flo_metrics *metrics, struct flo_gatekeeper **out,
                                      struct flo_err *err);
/* Read the folder again; on failure the old keys stay. Peers that are in stay connected, so the hub
 * asks flo_gatekeeper_allows for each. */
FLO_MUST_CHECK int flo_gatekeeper_reload(struct flo_gatekeeper *keeper, struct flo_err *err);
/* Is the peer with this user id (the Z85 text of its key, which libzmq adds to each of its
 * messages) still allowed? NULL: no. */
bool flo_gatekeeper_allows(const struct flo_gatekeeper *keeper, const char *user_id);
/* NULL is fine. */
void flo_gatekeeper_destroy(struct flo_gatekeeper **keeper);

#endif
