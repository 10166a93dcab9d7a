/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calendar.c - the search for the next moment of a calendar. Like an odometer: the largest field
 * that does not match steps, all smaller ones begin again.
 *
 * Clocks that change: a time that the zone skips does not happen that day (the next hour is tried).
 * A repeated hour happens twice; its second half is found by an offset of an hour on top of what
 * the zone says, which is on from the moment the search enters it until the hour is over.
 */
#include "engine/core/schedule/calendar.h"

enum { HOUR_S = 3600, EVERY_DAY = 0x7f };

static uint64_t bits_of(FloApi__Range *const *list, size_t count, int base)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        const int end = list[i]->end < list[i]->start ? list[i]->start : list[i]->end;
        const int step = list[i]->step ? list[i]->step : 1;
        for (int value = list[i]->start; value <= end; value += step) {
            if (value >= base && value < base + 64)
                bits |= UINT64_C(1) << (value - base);
            if (step > end - value)
                break;
        }
    }
    return bits;
}

void flo_calendar_compile(const FloApi__StructuredCalendarSpec *calendar, struct flo_calendar *out)
{
    *out = (struct flo_calendar){
        .second = bits_of(calendar->second, calendar->n_second, 0),
        .minute = bits_of(calendar->minute, calendar->n_minute, 0),
        .hour = (uint32_t)bits_of(calendar->hour, calendar->n_hour, 0),
        .day = (uint32_t)bits_of(calendar->day_of_month, calendar->n_day_of_month, 0),
        .month = (uint32_t)bits_of(calendar->month, calendar->n_month, 0),
        .weekday = (uint32_t)bits_of(calendar->day_of_week, calendar->n_day_of_week, 0),
        .years = {bits_of(calendar->year, calendar->n_year, FLO_CALENDAR_MIN_YEAR),
                  bits_of(calendar->year, calendar->n_year, FLO_CALENDAR_MIN_YEAR + 64)},
        .any_year = calendar->n_year == 0,
    };
}

static bool has(uint64_t bits, int value)
{
    return (bits >> value & 1) != 0;
}

static bool year_matches(const struct flo_calendar *calendar, int year)
{
    if (calendar->any_year)
        return true;
    if (year < FLO_CALENDAR_MIN_YEAR || year > FLO_CALENDAR_MAX_YEAR)
        return false;
    const int bit = year - FLO_CALENDAR_MIN_YEAR;
    return has(calendar->years[bit / 64], bit % 64);
}

bool flo_calendar_matches(const struct flo_calendar *calendar, const struct flo_civil *civil)
{
    return year_matches(calendar, civil->year) && has(calendar->month, civil->month) &&
           has(calendar->day, civil->day) && has(calendar->weekday, civil->weekday) &&
           has(calendar->hour, civil->hour) && has(calendar->minute, civil->minute) &&
           has(calendar->second, civil->second);
}

static int days_in_month(int month, int year)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return DAYS[month - 1] + (month == 2 && leap);
}

struct search {
    const struct flo_calendar *calendar;
    const struct flo_zone *zone;
    struct flo_civil at;
    bool second_pass; /* of an hour that is repeated */
};

/* By the moment that the zone makes of it, as the real server: where midnight is skipped, that may
 * be the day before. */
static bool weekday_matches(const struct search *search)
{
    const int64_t moment = flo_zone_unix(search->zone, &search->at);
    return has(search->calendar->weekday, flo_zone_civil(search->zone, moment).weekday);
}

static int64_t hour_moment(const struct search *search, int hour)
{
    const struct flo_civil civil = {
        .year = search->at.year, .month = search->at.month, .day = search->at.day, .hour = hour};
    return flo_zone_unix(search->zone, &civil);
}

/* The minutes of an hour are over: the next one, or the same again when the clock goes back. */
static void next_hour(struct search *search)
{
    const int64_t here = hour_moment(search, search->at.hour);
    search->at.minute = 0;
    if (!search->second_pass && hour_moment(search, search->at.hour + 1) - here > HOUR_S) {
        search->second_pass = true;
        return;
    }
    search->at.hour++;
    search->second_pass = false;
}

/* Carry fields past their end into the next larger one. */
static void carry(struct search *search)
{
    struct flo_civil *at = &search->at;
    if (at->second >= 60) {
        at->minute++;
        at->second = 0;
    }
    if (at->minute >= 60)
        next_hour(search);
    if (at->hour >= 24) {
        at->day++;
        at->hour = 0;
    }
    if (at->month <= 12 && at->day > days_in_month(at->month, at->year)) {
        at->month++;
        at->day = 1;
    }
    if (at->month > 12) {
        at->year++;
        at->month = 1;
    }
}

/* Step the largest field that does not match; false = all match. */
static bool step(struct search *search)
{
    const struct flo_calendar *calendar = search->calendar;
    struct flo_civil *at = &search->at;
    if (!year_matches(calendar, at->year))
        *at = (struct flo_civil){.year = at->year + 1, .month = 1, .day = 1};
    else if (!has(calendar->month, at->month))
        *at = (struct flo_civil){.year = at->year, .month = at->month + 1, .day = 1};
    else if (!has(calendar->day, at->day) ||
             (calendar->weekday != EVERY_DAY && !weekday_matches(search)))
        *at = (struct flo_civil){.year = at->year, .month = at->month, .day = at->day + 1};
    else if (!has(calendar->hour, at->hour)) {
        at->hour++;
        at->minute = at->second = 0;
    } else if (!has(calendar->minute, at->minute)) {
        at->minute++;
        at->second = 0;
        return true;
    } else if (!has(calendar->second, at->second)) {
        at->second++;
        return true;
    } else {
        return false;
    }
    search->second_pass = false;
    return true;
}

int64_t flo_calendar_next(const struct flo_calendar *calendar, const struct flo_zone *zone,
                          int64_t after_s)
{
    if (!calendar->second || !calendar->minute || !calendar->hour || !calendar->day ||
        !calendar->month || !calendar->weekday)
        return FLO_CALENDAR_NEVER; /* a field without ranges: no need to look at 2.4e9 seconds */
    struct search search = {
        .calendar = calendar, .zone = zone, .at = flo_zone_civil(zone, after_s)};
    search.second_pass = flo_zone_civil(zone, after_s - HOUR_S).hour == search.at.hour;
    search.at.second++;
    for (;;) {
        carry(&search);
        if (search.at.year > FLO_CALENDAR_MAX_YEAR)
            return FLO_CALENDAR_NEVER;
        if (step(&search))
            continue;
        const int64_t moment = flo_zone_unix(zone, &search.at);
        if (flo_zone_civil(zone, moment).hour == search.at.hour)
            return moment + (search.second_pass ? HOUR_S : 0);
        search.at.hour++; /* the zone skips it */
        search.at.minute = search.at.second = 0;
    }
}
