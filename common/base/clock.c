/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - reading the clocks. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

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

void flo_clock_rfc3339(int64_t wall_ns, char *out_text, size_t size)
{
    int64_t seconds = wall_ns / FLO_NS_PER_S, ns = wall_ns % FLO_NS_PER_S;
    if (ns < 0) {
        ns += FLO_NS_PER_S;
        seconds--;
    }
    time_t t = (time_t)seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    char date[24];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out_text, size, "%s.%06dZ", date, (int)(ns / 1000));
}
