/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone.h - time zones: from a moment to the calendar and the clock there, and back.
 *
 * The rules come as the bytes of a zone file (RFC 9636, "TZif", what /usr/share/zoneinfo holds):
 * the core reads no files, its environment hands them in (flo_core_env.zone), or a schedule brings
 * its own. Moments are seconds since 1970 in UTC. A clock time that a zone skips or repeats is
 * resolved as the real server does it, so that schedules fire at the same moments: with the offset
 * that was in force before the change, when it was about then, else with the one after it.
 */
#ifndef FLO_ENGINE_CORE_ZONE_H
#define FLO_ENGINE_CORE_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "flotilla/error.h"

struct flo_zone; /* opaque: zone.c */

/* A day and a time of day in some zone, of the Gregorian calendar. */
struct flo_civil {
    int year, month, day;     /* month and day from 1 */
    int hour, minute, second; /* second to 59: there are no leap seconds */
    int weekday;              /* 0 = Sunday */
};

/* Appends the zone file of this name to out: 0, FLO_ENOENT, FLO_ENOMEM, FLO_EIO. name is relative
 * and has no "..". */
typedef int (*flo_zone_load_fn)(void *ctx, const char *name, struct flo_buf *out);

/* The zones that were asked for by name, kept until the end; there are some 600 in the world. */
struct flo_zones {
    flo_zone_load_fn load; /* NULL: only UTC is known */
    void *ctx;
    struct flo_map by_name; /* -> struct flo_zone */
};

void flo_zones_init(struct flo_zones *zones, flo_zone_load_fn load, void *ctx);
void flo_zones_fini(struct flo_zones *zones);
/* A zone by its name ("Europe/Berlin"; "" and "UTC" are UTC), borrowed for the life of zones. 0;
 * FLO_ENOENT, FLO_EDATA with a sentence; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_zones_find(struct flo_zones *zones, const char *name,
                                  const struct flo_zone **out_zone, struct flo_err *err);

/* The zone that these bytes describe, the caller's. 0; FLO_EDATA: they are no zone file, with a
 * sentence; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_zone_parse(const uint8_t *data, size_t len, struct flo_zone **out_zone,
                                  struct flo_err *err);
void flo_zone_destroy(struct flo_zone **zone);
const struct flo_zone *flo_zone_utc(void);

/* The calendar and clock of zone at a moment. */
struct flo_civil flo_zone_civil(const struct flo_zone *zone, int64_t unix_s);
/* The moment of a day and time there; fields past their range carry over (month 13 is January,
 * hour 24 the next day); weekday is ignored. */
int64_t flo_zone_unix(const struct flo_zone *zone, const struct flo_civil *civil);
/* Days since 1970-01-01 of a day of the calendar; month 1 to 12, any day. */
int64_t flo_civil_days(int64_t year, int month, int64_t day);

#endif
