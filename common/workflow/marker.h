/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marker.h - the marker that records how a local activity ended, in the form that the official
 * SDKs write and that tools show: the name core_local_activity; details "data", a JSON object, and
 * "result", its payload; or a failure.
 */
#ifndef FLO_WORKFLOW_MARKER_H
#define FLO_WORKFLOW_MARKER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_marker {
    uint64_t seq; /* which local activity of the run */
    int32_t attempt;
    const char *activity_id, *type;
    int64_t complete_ns; /* workflow time from then on; 0 = unknown */
    int64_t backoff_ns;  /* > 0: it is tried again after that */
    int64_t original_schedule_ns;
    int64_t step; /* how often the code had been run in that task before; -1 = not recorded.
                   * Markers with the same one were handed to the code together. */
    const FloApi__Payloads *result; /* when failure is NULL; NULL = none */
    const FloApi__Failure *failure;
    json_t *data; /* decoded: holds the texts; owned */
};

/* Is this MarkerRecorded event (its attributes are there) about a local activity? */
bool flo_marker_is_local(const FloApi__HistoryEvent *event);
/* Read it; result and failure are borrowed from the event. FLO_EPROTO with a sentence, FLO_ENOMEM.
 * After 0: flo_marker_fini. */
FLO_MUST_CHECK int flo_marker_decode(const FloApi__HistoryEvent *event, struct flo_marker *out,
                                     struct flo_err *err);
void flo_marker_fini(struct flo_marker *marker);
/* Fill a RecordMarker command in arena; result and failure are copied. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_marker_fill(const struct flo_marker *marker, struct flo_arena *arena,
                                   FloApi__Command *message);
/* " (local activity 3, type echo)", " (marker Version)" */
void flo_marker_describe(const FloApi__HistoryEvent *event, char *out_text, size_t size);

#endif
