/* SPDX-License-Identifier: Apache-2.0 */
/* duration_text.c - one sum of numbers with units; fractions count to the nanosecond. */
#include "engine/core/duration_text.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { TEXT_MAX = 256 };

static const struct unit {
    const char *name;
    int64_t ns;
} UNITS[] = {
    {"ns", 1},           {"us", 1000},        {"\xc2\xb5s", 1000}, /* U+00B5 */
    {"\xce\xbcs", 1000},                                           /* U+03BC */
    {"ms", 1000000},     {"s", FLO_NS_PER_S}, {"m", 60 * FLO_NS_PER_S}, {"h", 3600 * FLO_NS_PER_S},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The length of a number at text: digits with an optional fraction; 0 = none. */
static size_t number_length(const char *text)
{
    size_t digits = 0, at = 0;
    for (; is_digit(text[at]); at++)
        digits++;
    if (text[at] == '.')
        for (at++; is_digit(text[at]); at++)
            digits++;
    return digits ? at : 0;
}

/* Write days as hours: the real server does so before it reads on, and its messages show it. */
static int days_to_hours(const char *text, char *out, size_t size)
{
    size_t len = 0;
    while (*text) {
        const size_t number = number_length(text);
        int wrote;
        if (number && text[number] == 'd') {
            wrote = snprintf(out + len, size - len, "%fh", 24 * strtod(text, NULL));
            text += number + 1;
        } else {
            const size_t step = number ? number : 1;
            wrote = snprintf(out + len, size - len, "%.*s", (int)step, text);
            text += step;
        }
        if (wrote < 0 || (size_t)wrote >= size - len)
            return FLO_ELIMIT;
        len += (size_t)wrote;
    }
    return 0;
}

/* What a number with its fraction counts in a unit. false: past 64 bits. */
static bool number_value(const char *text, size_t len, int64_t unit_ns, int64_t *out)
{
    int64_t whole = 0;
    size_t at = 0;
    for (; at < len && text[at] != '.'; at++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, text[at] - '0', &whole))
            return false;
    double fraction = 0, scale = 1;
    for (at++; at < len; at++) {
        fraction = fraction * 10 + (text[at] - '0');
        scale *= 10;
    }
    const int64_t part = (int64_t)(fraction * ((double)unit_ns / scale));
    return !__builtin_mul_overflow(whole, unit_ns, &whole) &&
           !__builtin_add_overflow(whole, part, out);
}

static const struct unit *find_unit(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
        if (strlen(UNITS[i].name) == len && memcmp(UNITS[i].name, name, len) == 0)
            return &UNITS[i];
    return NULL;
}

static int read_sum(const char *text, int64_t *out_ns, struct flo_err *err)
{
    const char *at = text;
    const bool negative = *at == '-';
    if (*at == '-' || *at == '+')
        at++;
    if (strcmp(at, "0") == 0) {
        *out_ns = 0;
        return 0;
    }
    int64_t sum = 0;
    do {
        const size_t number = number_length(at);
        if (!number)
            return flo_fail(err, FLO_EINVAL, "time: invalid duration \"%s\"", text);
        const char *name = at + number;
        size_t len = 0;
        while (name[len] && name[len] != '.' && !is_digit(name[len]))
            len++;
        if (!len)
            return flo_fail(err, FLO_EINVAL, "time: missing unit in duration \"%s\"", text);
        const struct unit *unit = find_unit(name, len);
        if (!unit)
            return flo_fail(err, FLO_EINVAL, "time: unknown unit \"%.*s\" in duration \"%s\"",
                            (int)len, name, text);
        int64_t part;
        if (!number_value(at, number, unit->ns, &part) || __builtin_add_overflow(sum, part, &sum))
            return flo_fail(err, FLO_EINVAL, "time: invalid duration \"%s\"", text);
        at = name + len;
    } while (*at);
    *out_ns = negative ? -sum : sum;
    return 0;
}

int flo_duration_text(const char *text, bool days, int64_t *out_ns, struct flo_err *err)
{
    char hours[TEXT_MAX] = "";
    if (days && strchr(text, 'd')) {
        if (days_to_hours(text, hours, sizeof hours))
            return flo_fail(err, FLO_EINVAL, "time: invalid duration \"%.200s\"", text);
        text = hours;
    }
    return read_sum(text, out_ns, err);
}
