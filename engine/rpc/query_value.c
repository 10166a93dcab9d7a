/* SPDX-License-Identifier: Apache-2.0 */
/* query_value.c - times and durations as people write them in queries. */
#include <ctype.h>
#include <string.h>

#include "engine/rpc/query.h"

#define NS INT64_C(1000000000)

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
    int64_t value = 0, scale = NS;
    *out_ns = 0;
    if (!literal(at, '.'))
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

bool flo_query_parse_time(const char *text, int64_t *out_ns)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *at = text;
    int64_t year, month, day, hour, minute, second, part, offset;
    if (!digits(&at, 4, &year) || !literal(&at, '-') || !digits(&at, 2, &month) ||
        !literal(&at, '-') || !digits(&at, 2, &day) || !literal(&at, 'T') ||
        !digits(&at, 2, &hour) || !literal(&at, ':') || !digits(&at, 2, &minute) ||
        !literal(&at, ':') || !digits(&at, 2, &second) || !fraction(&at, &part) ||
        !zone(&at, &offset) || *at)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month < 1 || month > 12 || day < 1 || day > month_days[month - 1] ||
        (month == 2 && day == 29 && !leap) || hour > 23 || minute > 59 || second > 59)
        return false;
    int64_t seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    if (seconds > INT64_MAX / NS - 1) /* past the year 2262: after everything */
        *out_ns = INT64_MAX;
    else if (seconds < INT64_MIN / NS + 1)
        *out_ns = INT64_MIN;
    else
        *out_ns = seconds * NS + part;
    return true;
}

/* "hh:mm:ss", hours of any length. */
static bool clock_duration(const char *text, int64_t *out_ns)
{
    const char *at = text;
    int64_t hours = 0, minutes, seconds;
    int count = 0;
    for (; isdigit((unsigned char)*at) && count < 7; at++, count++)
        hours = hours * 10 + (*at - '0');
    if (count == 0 || !literal(&at, ':') || !digits(&at, 2, &minutes) || !literal(&at, ':') ||
        !digits(&at, 2, &seconds) || *at || minutes > 59 || seconds > 59)
        return false;
    return !__builtin_mul_overflow(hours * 3600 + minutes * 60 + seconds, NS, out_ns);
}

static int64_t unit_ns(const char **at)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        {"ns", 1}, {"us", 1000},   {"\xc2\xb5s", 1000}, {"ms", 1000000},
        {"s", NS}, {"m", 60 * NS}, {"h", 3600 * NS},    {"d", 86400 * NS},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t len = strlen(units[i].name);
        if (strncmp(*at, units[i].name, len) == 0) {
            *at += len;
            return units[i].ns;
        }
    }
    return 0;
}

bool flo_query_parse_duration(const char *text, int64_t *out_ns)
{
    const char *at = text;
    int64_t total = 0;
    bool negative = false;
    if (clock_duration(text, out_ns))
        return true;
    negative = literal(&at, '-');
    if (*at == '\0')
        return false;
    while (*at) {
        int64_t whole = 0, part_ns = 0, value;
        bool any = false;
        for (; isdigit((unsigned char)*at); at++, any = true)
            if (__builtin_mul_overflow(whole, 10, &whole) ||
                __builtin_add_overflow(whole, *at - '0', &whole))
                return false;
        if (*at == '.' && !fraction(&at, &part_ns))
            return false;
        if (!any && !part_ns)
            return false;
        int64_t unit = *at ? unit_ns(&at) : total == 0 && part_ns == 0 ? 1 : 0;
        if (!unit || __builtin_mul_overflow(whole, unit, &value) ||
            __builtin_add_overflow(total, value, &total) ||
            __builtin_add_overflow(total, (int64_t)((double)part_ns / (double)NS * (double)unit),
                                   &total))
            return false;
    }
    *out_ns = negative ? -total : total;
    return true;
}
