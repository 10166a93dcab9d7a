/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cron.h - cron expressions of workflows: `minute hour day-of-month month day-of-week`.
 *
 * A field is a comma list of values, ranges `a-b`, steps (`a-b/n`, and `a/n` up to the field's
 * end) and `*` or `?`; months and weekdays also by three letters (any case), weekdays 0 to 6 from
 * Sunday. Days match when both day fields do, or, with neither given as `*`, when either does.
 * Also `@yearly` (`@annually`), `@monthly`, `@weekly`, `@daily` (`@midnight`), `@hourly` and
 * `@every <duration>` (Go's form, as `1h30m`). `CRON_TZ=<zone> ` or `TZ=<zone> ` before it all
 * names a time zone; without one it is UTC.
 *
 * (The cron strings of schedules are another dialect: schedule/calendar.h.)
 */
#ifndef FLO_ENGINE_CORE_CRON_H
#define FLO_ENGINE_CORE_CRON_H

#include <stdint.h>

#include "engine/core/zone.h"
#include "flotilla/error.h"

/* There is no further time within five years. */
#define FLO_CRON_NEVER INT64_MAX

/* An expression, parsed. Bits 0 to 62: the values that match; the top bit: it was given as `*`. */
struct flo_cron {
    uint64_t minute, hour, day, month, weekday;
    int64_t every_s;             /* @every: at least 1; 0 = the fields count */
    const struct flo_zone *zone; /* of the zones that it was parsed with */
};

/*
 * Parse text. 0; FLO_EINVAL with the reason (a request that is refused for it says only `invalid
 * CronSchedule.`); FLO_ENOMEM. zones: core->zones.
 */
FLO_MUST_CHECK int flo_cron_parse(struct flo_zones *zones, const char *text, struct flo_cron *out,
                                  struct flo_err *err);
/*
 * What a request's cron_schedule must be: "" or an expression that has a next time. 0; FLO_EINVAL,
 * err->text is the server's message (`invalid CronSchedule.`, `invalid CronSchedule, no time can be
 * found to satisfy the schedule`); FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_cron_check(struct flo_zones *zones, const char *text, int64_t now_ns,
                                  struct flo_err *err);
/* The first time strictly after after_ns, on a whole second; wall clock nanoseconds.
 * FLO_CRON_NEVER. */
int64_t flo_cron_next(const struct flo_cron *cron, int64_t after_ns);
/*
 * How long from now_ns to the start of the next run of a chain whose last run was due at
 * scheduled_ns (start time plus its backoff): times already past are left out. Whole seconds,
 * rounded up, in nanoseconds; 0 is possible. Negative: never.
 */
int64_t flo_cron_backoff(const struct flo_cron *cron, int64_t scheduled_ns, int64_t now_ns);

#endif
