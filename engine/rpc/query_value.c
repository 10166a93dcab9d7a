/* SPDX-License-Identifier: Apache-2.0 */
/* query_value.c - durations as people write them in queries. */
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

/* "hh:mm:ss", hours of any length. */
static bool clock_duration(const char *text, int64_t *out_ns, const char **out_why)
{
    const char *at = text;
    int64_t hours = 0, minutes, seconds;
    int count = 0;
    for (; isdigit((unsigned char)*at) && count < 7; at++, count++)
        hours = hours * 10 + (*at - '0');
    if (count == 0 || !literal(&at, ':') || !digits(&at, 2, &minutes) || !literal(&at, ':') ||
        !digits(&at, 2, &seconds) || *at)
        return false;
    if (minutes > 59 || seconds > 59) {
        *out_why =
            minutes > 59 ? ": minutes must be from 0 to 59" : ": seconds must be from 0 to 59";
        return false;
    }
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

bool flo_query_parse_duration(const char *text, int64_t *out_ns, const char **out_why)
{
    const char *at = text;
    int64_t total = 0;
    bool negative = false;
    if (clock_duration(text, out_ns, out_why))
        return true;
    negative = literal(&at, '-');
    if (!negative)
        literal(&at, '+');
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
