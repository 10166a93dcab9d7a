/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.h - when a schedule is due: the moments of all its calendars and intervals that no exclusion
 * matches, between its start and its end, each later by its jitter.
 *
 * Jitter is no dice: it is a hash of the moment and of the schedule's name, and so the same
 * whenever it is asked for, here and on the real server.
 */
#ifndef FLO_ENGINE_CORE_SCHEDULE_SPEC_H
#define FLO_ENGINE_CORE_SCHEDULE_SPEC_H

#include <stdint.h>

#include "base/arena.h"
#include "engine/core/zone.h"
#include "flotilla/error.h"
#include "wire/api.h"

/* No (further) moment. */
#define FLO_SPEC_NEVER INT64_MAX

/*
 * The form in which a specification is kept: calendars in words and cron strings have become
 * structured calendars and intervals, a zone of cron strings timezone_name. In arena; parts that
 * stay as they are still belong to spec. 0; FLO_EINVAL with the server's sentence; FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_spec_canonical(struct flo_arena *arena, const FloApi__ScheduleSpec *spec,
                                      FloApi__ScheduleSpec **out, struct flo_err *err);
/* Ranges as they are shown: each with its end and step. Changes them. NULL is fine. */
void flo_spec_show(FloApi__ScheduleSpec *spec);

struct flo_spec; /* opaque: spec.c */

/* Make a canonical spec ready for searches; nothing of it is kept. 0; FLO_EINVAL: its time zone is
 * unknown or no zone file, with the server's sentence; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_spec_new(struct flo_zones *zones, const FloApi__ScheduleSpec *canonical,
                                struct flo_spec **out, struct flo_err *err);
void flo_spec_destroy(struct flo_spec **spec);

/* A moment as the specification says it, and when it is due with its jitter; nanoseconds. */
struct flo_spec_time {
    int64_t nominal_ns, due_ns; /* FLO_SPEC_NEVER both: there is none */
};
/* The first one whose nominal time is after after_ns. seed: what the jitter is hashed with. */
struct flo_spec_time flo_spec_next(const struct flo_spec *spec, const char *seed, int64_t after_ns);

/* The hash of jitter: FarmHash's 32-bit fingerprint; of at least 25 bytes. */
uint32_t flo_spec_fingerprint(const uint8_t *data, size_t len);

#endif
