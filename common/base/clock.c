/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - reading the clocks. */
#include "base/clock.h"

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
