/* SPDX-License-Identifier: Apache-2.0 */
/* health_internal.h - the health checks as the HTTP server shows them. */
#ifndef FLO_TELEMETRY_HEALTH_INTERNAL_H
#define FLO_TELEMETRY_HEALTH_INTERNAL_H

#include "telemetry/http.h"

/* Which checks count. */
enum flo_health_scope {
    FLO_HEALTH_LIVE,    /* the live ones */
    FLO_HEALTH_READY,   /* all */
    FLO_HEALTH_STARTED, /* the live ones, and the ready check "started" where there is one */
};

/* Append the JSON of the checks of scope; true when all of them hold. health may be NULL. Any
 * thread. */
bool flo_health_render(struct flo_health *health, enum flo_health_scope scope, struct flo_buf *out);
/* The same for people, as the pages of Kubernetes' own servers show it: a line "[+]name ok" or
 * "[-]name failed: reason" a check, then the verdict. */
bool flo_health_render_text(struct flo_health *health, enum flo_health_scope scope,
                            struct flo_buf *out);

#endif
