/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - reading the clocks. */
#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

#define SECONDS_PER_DAY 86400

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * FLO_NS_PER_S + ts.tv_nsec;
}

int64_t flo_clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t flo_clock_mono_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t flo_clock_thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* The date of a day after 1970-01-01, by arithmetic alone: gmtime_r takes a lock, and this is
 * wanted in signal handlers, too. Years begin in March here, so that the leap day is their last;
 * 400 of them are 146097 days. */
static void date_of_day(int64_t day, int64_t *out_year, int64_t *out_month, int64_t *out_day)
{
    const int64_t shifted = day + 719468; /* from 0000-03-01 */
    const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const int64_t of_era = shifted - era * 146097;
    const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    const int64_t month = (5 * of_year + 2) / 153; /* 0 = March */

    *out_day = of_year - (153 * month + 2) / 5 + 1;
    *out_month = month < 10 ? month + 3 : month - 9;
    *out_year = year + era * 400 + (*out_month <= 2);
}

void flo_clock_rfc3339(int64_t wall_ns, char *out_text, size_t size)
{
    int64_t seconds = wall_ns / FLO_NS_PER_S, ns = wall_ns % FLO_NS_PER_S;
    int64_t days, year, month, day;
    if (ns < 0) {
        ns += FLO_NS_PER_S;
        seconds--;
    }
    days = seconds / SECONDS_PER_DAY;
    seconds %= SECONDS_PER_DAY;
    if (seconds < 0) {
        seconds += SECONDS_PER_DAY;
        days--;
    }
    date_of_day(days, &year, &month, &day);
    snprintf(out_text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", (int)year, (int)month, (int)day,
             (int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60),
             (int)(ns / 1000));
}

/* ---- reading ---- */

/* Exactly count digits as a number. */
static bool digits(const char **at, int count, int64_t *out)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)(*at)[i]))
            return false;
        value = value * 10 + ((*at)[i] - '0');
    }
    *at += count;
    *out = value;
    return true;
}

static bool literal(const char **at, char c)
{
    if (**at != c)
        return false;
    ++*at;
    return true;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar (era arithmetic on 400 years). */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool fraction(const char **at, int64_t *out_ns)
{
    int64_t value = 0, scale = FLO_NS_PER_S;
    *out_ns = 0;
    if (!literal(at, '.') && !literal(at, ','))
        return true;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); ++*at) {
        if (scale > 1) {
            scale /= 10;
            value += (**at - '0') * scale;
        }
    }
    *out_ns = value;
    return true;
}

static bool zone(const char **at, int64_t *out_seconds)
{
    int64_t hours, minutes;
    *out_seconds = 0;
    if (literal(at, 'Z'))
        return true;
    int sign = literal(at, '+') ? 1 : literal(at, '-') ? -1 : 0;
    if (!sign || !digits(at, 2, &hours) || !literal(at, ':') || !digits(at, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *out_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool flo_clock_parse_rfc3339(const char *text, int64_t *out_ns)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *at = text;
    int64_t year, month, day, hour, minute, second, part, offset;
    if (!digits(&at, 4, &year) || !literal(&at, '-') || !digits(&at, 2, &month) ||
        !literal(&at, '-') || !digits(&at, 2, &day) || !literal(&at, 'T') ||
        !digits(&at, at[0] && at[1] == ':' ? 1 : 2, &hour) || !literal(&at, ':') ||
        !digits(&at, 2, &minute) || !literal(&at, ':') || !digits(&at, 2, &second) ||
        !fraction(&at, &part) || !zone(&at, &offset) || *at)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month < 1 || month > 12 || day < 1 || day > month_days[month - 1] ||
        (month == 2 && day == 29 && !leap) || hour > 23 || minute > 59 || second > 59)
        return false;
    int64_t seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    if (seconds > INT64_MAX / FLO_NS_PER_S - 1) /* past the year 2262: after everything */
        *out_ns = INT64_MAX;
    else if (seconds < INT64_MIN / FLO_NS_PER_S + 1)
        *out_ns = INT64_MIN;
    else
        *out_ns = seconds * FLO_NS_PER_S + part;
    return true;
}
