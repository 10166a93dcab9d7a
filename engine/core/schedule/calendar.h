/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calendar.h - calendars of schedules: words to ranges, ranges to moments.
 *
 * A calendar matches a moment when every field does (also both day fields, unlike cron). Its words
 * and a schedule's cron strings are cron's with three differences: a seventh field, seconds, may
 * stand first and a year last; names may be written out ("january", "thu"); 7 is Sunday, too.
 */
#ifndef FLO_ENGINE_CORE_SCHEDULE_CALENDAR_H
#define FLO_ENGINE_CORE_SCHEDULE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/core/zone.h"
#include "flotilla/error.h"
#include "wire/api.h"

enum { FLO_CALENDAR_MIN_YEAR = 2000, FLO_CALENDAR_MAX_YEAR = 2100 };

/* No (further) moment. */
#define FLO_CALENDAR_NEVER INT64_MAX

/* ---- words to ranges; made in arena. FLO_EINVAL with the server's sentence, FLO_ENOMEM ---- */

FLO_MUST_CHECK int flo_calendar_parse(struct flo_arena *arena, const FloApi__CalendarSpec *words,
                                      FloApi__StructuredCalendarSpec **out, struct flo_err *err);
/* A cron string: a calendar, or (`@every`) an interval; the other is NULL. *out_zone "" = it names
 * none. */
FLO_MUST_CHECK int flo_calendar_parse_cron(struct flo_arena *arena, const char *text,
                                           FloApi__StructuredCalendarSpec **out_calendar,
                                           FloApi__IntervalSpec **out_interval,
                                           const char **out_zone, struct flo_err *err);
/* Are all ranges within their fields? FLO_EINVAL: a sentence that names all that are not. */
FLO_MUST_CHECK int flo_calendar_check(const FloApi__StructuredCalendarSpec *calendar,
                                      struct flo_err *err);

/* ---- moments ---- */

/* A calendar, ready for searches: bit n is value n, years from FLO_CALENDAR_MIN_YEAR. */
struct flo_calendar {
    uint64_t second, minute;
    uint32_t hour, day, month, weekday;
    uint64_t years[2];
    bool any_year;
};

/* calendar has passed flo_calendar_check. */
void flo_calendar_compile(const FloApi__StructuredCalendarSpec *calendar, struct flo_calendar *out);
bool flo_calendar_matches(const struct flo_calendar *calendar, const struct flo_civil *civil);
/* The first moment after after_s (seconds since 1970), to the end of the last year. */
int64_t flo_calendar_next(const struct flo_calendar *calendar, const struct flo_zone *zone,
                          int64_t after_s);

#endif
