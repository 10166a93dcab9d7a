/* SPDX-License-Identifier: Apache-2.0 */
/* health_internal.h - the health checks as the HTTP server shows them. */
#ifndef FLO_TELEMETRY_HEALTH_INTERNAL_H
#define FLO_TELEMETRY_HEALTH_INTERNAL_H

#include "telemetry/http.h"

/* Append the JSON of the checks (only live ones when live_only); true when all of them hold.
 * health may be NULL. Any thread. */
bool flo_health_render(struct flo_health *health, bool live_only, struct flo_buf *out);
/* The same for people, as the pages of Kubernetes' own servers show it: a line "[+]name ok" or
 * "[-]name reason" a check, then the verdict. */
bool flo_health_render_text(struct flo_health *health, bool live_only, struct flo_buf *out);

#endif
