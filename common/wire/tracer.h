/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracer.h - the trace context that calls carry: header "_tracer-data", a json/plain map of what a
 * text map propagator writes ({"traceparent": ..., "tracestate": ..., "baggage": ...}), as the
 * OpenTelemetry interceptors of the official SDKs do it, in both directions.
 */
#ifndef FLO_WIRE_TRACER_H
#define FLO_WIRE_TRACER_H

#include "base/arena.h"
#include "base/trace.h"
#include "wire/api.h"

#define FLO_TRACER_HEADER "_tracer-data"

struct flo_tracer_data {
    struct flo_trace_context context;
    const char *tracestate, *baggage; /* passed on as they came; NULL when there is none */
};

/* Read it. False: there is none, or none that can be read (also without memory): the call has no
 * trace, which is no reason to fail it. Texts are in arena. */
bool flo_tracer_read(const FloApi__Header *header, struct flo_arena *arena,
                     struct flo_tracer_data *out);

/* A header with that one field, in arena. NULL: no memory. */
FloApi__Header *flo_tracer_header(const struct flo_tracer_data *data, struct flo_arena *arena);

#endif
