/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - where something stands in a distributed trace: W3C Trace Context's traceparent, ids
 * that are the same in each replay, and whether a trace is recorded. Pure; any thread.
 *
 * Specification: W3C Trace Context, Level 1 (traceparent) with Level 2's random flag; OpenTelemetry
 * Trace SDK, "Built-in samplers".
 */
#ifndef FLO_BASE_TRACE_H
#define FLO_BASE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLO_TRACE_ID_BYTES 16
#define FLO_SPAN_ID_BYTES 8
#define FLO_TRACEPARENT_LEN 55 /* "00-<32 hex>-<16 hex>-<2 hex>", without the NUL */

#define FLO_TRACE_SAMPLED 0x01 /* flag: somebody records this trace */
#define FLO_TRACE_RANDOM 0x02  /* flag: the trace id was drawn at random */

/* One span of one trace, as others name it. */
struct flo_trace_context {
    uint8_t trace_id[FLO_TRACE_ID_BYTES], span_id[FLO_SPAN_ID_BYTES];
    uint8_t flags;
};

/* Read a traceparent. False, and nothing written: it is none. Later versions than 00 are read as
 * far as that goes, flags that are not known are dropped. */
bool flo_traceparent_parse(const char *text, struct flo_trace_context *out);
/* Write it, version 00, NUL-terminated. */
void flo_traceparent_format(const struct flo_trace_context *context,
                            char out_text[FLO_TRACEPARENT_LEN + 1]);

/* An id (of a trace or a span, by len, at most 16) made from texts, ended by NULL: whoever asks
 * with the same texts gets the same one, on any machine. Never all zeros. */
void flo_trace_derive(uint8_t *out_id, size_t len, const char *text, ...) __attribute__((sentinel));

enum flo_trace_sampling { FLO_TRACE_ALWAYS_ON, FLO_TRACE_ALWAYS_OFF, FLO_TRACE_RATIO };

/* Which traces are recorded. */
struct flo_trace_sampler {
    enum flo_trace_sampling root; /* of those that begin here */
    bool parent_based;            /* a parent has decided already; else root decides again */
    double ratio;                 /* 0 to 1, for RATIO: by the trace id, so all decide alike */
};

/* Is the trace recorded? parent: the span that the new one belongs under, NULL without one. */
bool flo_trace_sample(const struct flo_trace_sampler *sampler,
                      const struct flo_trace_context *parent,
                      const uint8_t trace_id[FLO_TRACE_ID_BYTES]);

#endif
