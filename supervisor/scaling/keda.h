/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keda.h - an external scaler for KEDA over gRPC: service externalscaler.ExternalScaler, for
 * triggers of the kinds external and external-push; and grpc.health.v1.Health/Check.
 *
 * The trigger's metadata says which group of supervisor/scaling/scale.h is meant and what of it
 * KEDA is to see: `role` or `worker`; `queue` (only those that poll it); `metric`: replicas (how
 * many the policy wants, one for each replica: the default) or backlog (what waits and runs);
 * `target`: of that for one replica. KEDA's own keys (scalerAddress, tlsCertFile ...) are passed
 * over; another one is refused.
 *
 * StreamIsActive answers at once, then with each change; the first task that waits is told within a
 * round of the backlog's questions. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_KEDA_H
#define FLO_SUPERVISOR_KEDA_H

#include "supervisor/scaling/scale.h"

struct flo_keda; /* opaque: keda.c */

#define FLO_KEDA_STREAMS_MAX 256

struct flo_keda_options {
    const char *listen;                                /* "host:port" */
    const char *cert_file, *key_file, *client_ca_file; /* "" = none: plain text */
    struct flo_scale *scale;                           /* borrowed; its listener is taken */
    struct flo_metrics *metrics;                       /* may be NULL */
};

/* Bind and serve. FLO_ECONN, FLO_EPERM, FLO_EINVAL, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_keda_new(struct event_base *base, const struct flo_keda_options *options,
                                struct flo_keda **out, struct flo_err *err);
/* NULL is fine. */
void flo_keda_destroy(struct flo_keda **keda);
/* Where it listens. Borrowed. */
const char *flo_keda_address(const struct flo_keda *keda);

#endif
