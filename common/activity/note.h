/* SPDX-License-Identifier: Apache-2.0 */
/*
 * note.h - what an attempt tells the worker besides heartbeats (executor.h: notes): a stream of
 * records, each a kind, the length of its body as a protobuf number, and the body.
 *
 *   BEAT_EVERY  a number: heartbeat for me each so many ms (0: as the timeout asks for)
 *   SAMPLE      metric kind, a byte; value, a double; for histograms the counts, a number each;
 *               name, then names and values of the labels, each ended by NUL
 *
 * The reader trusts nothing: the writer may be a process that wrote over its memory.
 */
#ifndef FLO_ACTIVITY_NOTE_H
#define FLO_ACTIVITY_NOTE_H

#include "base/buf.h"
#include "telemetry/metrics.h"

enum flo_note_kind { FLO_NOTE_BEAT_EVERY = 1, FLO_NOTE_SAMPLE = 2 };

struct flo_note {
    enum flo_note_kind kind;
    int64_t every_ms;              /* BEAT_EVERY */
    struct flo_user_sample sample; /* SAMPLE; its texts are borrowed from the stream */
};

/* Append a record. 0, or as flo_buf_append. */
FLO_MUST_CHECK int flo_note_put(struct flo_buf *out, const struct flo_note *note);
/* Read the record at *at and move past it. False: the end, or bytes that are no record. A sample
 * has at most max_labels labels. */
bool flo_note_get(const uint8_t **at, const uint8_t *end, size_t max_labels,
                  struct flo_note *out_note);

#endif
