/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cron.c - a search from the largest field to the smallest: step the month until it matches, then
 * the day, hour and minute; a step that carries into the next larger field begins again there. The
 * first step sets all smaller fields to their beginning.
 */
#include "engine/core/cron.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "engine/core/duration_text.h"

#define STAR (UINT64_C(1) << 63)
#define SPACE " \t\n\v\f\r"

enum { FIELDS = 5, TEXT_MAX = 1024, YEARS_AHEAD = 5 };

struct field {
    unsigned min, max;
    const char *const *names; /* of min, min + 1, ...; NULL: none */
};

static const char *const MONTHS[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                     "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const WEEKDAYS[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field MINUTE = {0, 59, NULL}, HOUR = {0, 23, NULL}, DAY = {1, 31, NULL},
                          MONTH = {1, 12, MONTHS}, WEEKDAY = {0, 6, WEEKDAYS};

/* ---- parsing ---- */

static int read_int(const char *text, unsigned *out, struct flo_err *err)
{
    const char *at = *text == '+' ? text + 1 : text;
    char *end;
    if (*at < '0' || *at > '9')
        return flo_fail(err, FLO_EINVAL, "failed to parse int from %s", text);
    const unsigned long value = strtoul(at, &end, 10);
    if (*end || value > INT32_MAX)
        return flo_fail(err, FLO_EINVAL, "failed to parse int from %s", text);
    *out = (unsigned)value;
    return 0;
}

static int read_value(const char *text, const struct field *field, unsigned *out,
                      struct flo_err *err)
{
    for (unsigned i = 0; field->names && field->names[i]; i++) {
        if (strcasecmp(field->names[i], text) == 0) {
            *out = field->min + i;
            return 0;
        }
    }
    return read_int(text, out, err);
}

/* Cut text at the first c; NULL = there is none. */
static char *cut(char *text, char c)
{
    char *at = strchr(text, c);
    if (at)
        *at++ = '\0';
    return at;
}

/* One element of a field's list: `*`, `a`, `a-b`, each with `/step`. */
static int read_range(char *text, const struct field *field, uint64_t *bits, struct flo_err *err)
{
    char *step_text = cut(text, '/');
    char *high = cut(text, '-');
    unsigned start = field->min, end = field->max, step = 1;
    bool star = strcmp(text, "*") == 0 || strcmp(text, "?") == 0;
    int rc = 0;
    if (!star) {
        rc = read_value(text, field, &start, err);
        end = start;
        if (!rc && high)
            rc = strchr(high, '-') ? flo_fail(err, FLO_EINVAL, "too many hyphens: %s", text)
                                   : read_value(high, field, &end, err);
    }
    if (!rc && step_text) {
        rc = strchr(step_text, '/') ? flo_fail(err, FLO_EINVAL, "too many slashes: %s", text)
                                    : read_int(step_text, &step, err);
        if (!high)
            end = field->max;
        star = star && step <= 1;
    }
    if (rc)
        return rc;
    if (start < field->min)
        return flo_fail(err, FLO_EINVAL, "beginning of range (%u) below minimum (%u): %s", start,
                        field->min, text);
    if (end > field->max)
        return flo_fail(err, FLO_EINVAL, "end of range (%u) above maximum (%u): %s", end,
                        field->max, text);
    if (start > end)
        return flo_fail(err, FLO_EINVAL, "beginning of range (%u) beyond end of range (%u): %s",
                        start, end, text);
    if (step == 0)
        return flo_fail(err, FLO_EINVAL, "step of range should be a positive number: %s", text);
    for (unsigned value = start; value <= end; value += step) {
        *bits |= UINT64_C(1) << value;
        if (step > end)
            break;
    }
    if (star)
        *bits |= STAR;
    return 0;
}

static int read_field(char *text, const struct field *field, uint64_t *out, struct flo_err *err)
{
    uint64_t bits = 0;
    char *rest = text;
    while (rest) {
        char *element = rest;
        rest = cut(rest, ',');
        int rc = *element ? read_range(element, field, &bits, err) : 0;
        if (rc)
            return rc;
    }
    *out = bits;
    return 0;
}

static int read_fields(char *text, struct flo_cron *out, struct flo_err *err)
{
    char *fields[FIELDS];
    size_t count = 0;
    for (char *at = text + strspn(text, SPACE); *at; at += strspn(at, SPACE)) {
        if (count < FIELDS)
            fields[count] = at;
        count++;
        at += strcspn(at, SPACE);
        if (*at)
            *at++ = '\0';
    }
    if (count != FIELDS)
        return flo_fail(err, FLO_EINVAL, "expected exactly 5 fields, found %zu", count);
    int rc = read_field(fields[0], &MINUTE, &out->minute, err);
    if (!rc)
        rc = read_field(fields[1], &HOUR, &out->hour, err);
    if (!rc)
        rc = read_field(fields[2], &DAY, &out->day, err);
    if (!rc)
        rc = read_field(fields[3], &MONTH, &out->month, err);
    return rc ? rc : read_field(fields[4], &WEEKDAY, &out->weekday, err);
}

static int read_every(const char *text, struct flo_cron *out, struct flo_err *err)
{
    int64_t ns;
    int rc = flo_duration_text(text, false, &ns, err);
    if (rc)
        return rc;
    out->every_s = ns < FLO_NS_PER_S ? 1 : ns / FLO_NS_PER_S;
    return 0;
}

/* `@daily` and its like stand for fields. */
static const char *spelled_out(const char *text)
{
    static const struct {
        const char *name, *fields;
    } ALIASES[] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
    };
    for (size_t i = 0; i < sizeof ALIASES / sizeof *ALIASES; i++)
        if (strcmp(ALIASES[i].name, text) == 0)
            return ALIASES[i].fields;
    return NULL;
}

static char *trim(char *text)
{
    text += strspn(text, SPACE);
    size_t len = strlen(text);
    while (len && strchr(SPACE, text[len - 1]))
        text[--len] = '\0';
    return text;
}

int flo_cron_parse(struct flo_zones *zones, const char *text, struct flo_cron *out,
                   struct flo_err *err)
{
    static const char EVERY[] = "@every ";
    char copy[TEXT_MAX];
    struct flo_cron cron = {.zone = flo_zone_utc()};
    const size_t len = strlen(text);
    if (!len)
        return flo_fail(err, FLO_EINVAL, "empty spec string");
    if (len >= sizeof copy)
        return flo_fail(err, FLO_EINVAL, "a cron expression of more than %d bytes", TEXT_MAX - 1);
    memcpy(copy, text, len + 1);
    char *at = copy;
    int rc = 0;
    if (strncmp(at, "TZ=", 3) == 0 || strncmp(at, "CRON_TZ=", 8) == 0) {
        char *name = strchr(at, '=') + 1;
        at = cut(name, ' ');
        if (!at)
            return flo_fail(err, FLO_EINVAL, "no fields after the time zone");
        at = trim(at);
        rc = flo_zones_find(zones, name, &cron.zone, err);
        if (rc)
            return rc == FLO_ENOMEM ? rc : flo_fail(err, FLO_EINVAL, "bad location %s", name);
    }
    if (*at != '@') {
        rc = read_fields(at, &cron, err);
    } else if (strncmp(at, EVERY, sizeof EVERY - 1) == 0) {
        rc = read_every(at + sizeof EVERY - 1, &cron, err);
    } else {
        const char *fields = spelled_out(at);
        if (!fields)
            return flo_fail(err, FLO_EINVAL, "unrecognized descriptor: %s", at);
        memcpy(copy, fields, strlen(fields) + 1);
        rc = read_fields(copy, &cron, err);
    }
    if (!rc)
        *out = cron;
    return rc;
}

int flo_cron_check(struct flo_zones *zones, const char *text, int64_t now_ns, struct flo_err *err)
{
    struct flo_cron cron;
    if (!*text)
        return 0;
    int rc = flo_cron_parse(zones, text, &cron, NULL);
    if (rc == FLO_ENOMEM)
        return flo_fail(err, rc, "no memory for a cron expression");
    if (rc)
        return flo_fail(err, FLO_EINVAL, "invalid CronSchedule.");
    if (flo_cron_next(&cron, now_ns) == FLO_CRON_NEVER)
        return flo_fail(err, FLO_EINVAL,
                        "invalid CronSchedule, no time can be found to satisfy the schedule");
    return 0;
}

/* ---- the next time ---- */

static bool has(uint64_t bits, int value)
{
    return (bits >> value & 1) != 0;
}

static bool day_matches(const struct flo_cron *cron, const struct flo_civil *at)
{
    const bool day = has(cron->day, at->day), weekday = has(cron->weekday, at->weekday);
    return (cron->day & STAR) || (cron->weekday & STAR) ? day && weekday : day || weekday;
}

/* A moment and its fields, which go together. */
struct at {
    const struct flo_zone *zone;
    int64_t unix_s;
    struct flo_civil civil;
    bool stepped; /* smaller fields are at their beginning */
};

static void move_to(struct at *at, int64_t unix_s)
{
    at->unix_s = unix_s;
    at->civil = flo_zone_civil(at->zone, unix_s);
}

static void move_to_civil(struct at *at, const struct flo_civil *civil)
{
    move_to(at, flo_zone_unix(at->zone, civil));
}

/* Before the first step: to the beginning of the month, day or hour that is left. */
static void begin(struct at *at, int day, int hour)
{
    const struct flo_civil civil = {
        .year = at->civil.year, .month = at->civil.month, .day = day, .hour = hour};
    if (!at->stepped)
        move_to_civil(at, &civil);
    at->stepped = true;
}

static void step_month(struct at *at)
{
    begin(at, 1, 0);
    struct flo_civil next = at->civil;
    next.month++;
    move_to_civil(at, &next);
}

static void step_day(struct at *at)
{
    begin(at, at->civil.day, 0);
    struct flo_civil next = at->civil;
    next.day++;
    move_to_civil(at, &next);
    const int hour = at->civil.hour; /* not 0: midnight is skipped or repeated on that day */
    if (hour > 12)
        move_to(at, at->unix_s + (int64_t)(24 - hour) * 3600);
    else if (hour != 0)
        move_to(at, at->unix_s - (int64_t)hour * 3600);
}

static void step_hour(struct at *at)
{
    begin(at, at->civil.day, at->civil.hour);
    move_to(at, at->unix_s + 3600);
}

static void step_minute(struct at *at)
{
    const int64_t from = at->stepped ? at->unix_s : at->unix_s - at->civil.second;
    at->stepped = true;
    move_to(at, from + 60);
}

/* Step what does not match; false: a step carried over, all is to be looked at again. */
static bool match(const struct flo_cron *cron, struct at *at)
{
    while (!has(cron->month, at->civil.month)) {
        step_month(at);
        if (at->civil.month == 1)
            return false;
    }
    while (!day_matches(cron, &at->civil)) {
        step_day(at);
        if (at->civil.day == 1)
            return false;
    }
    while (!has(cron->hour, at->civil.hour)) {
        step_hour(at);
        if (at->civil.hour == 0)
            return false;
    }
    while (!has(cron->minute, at->civil.minute)) {
        step_minute(at);
        if (at->civil.minute == 0)
            return false;
    }
    if (at->civil.second == 0)
        return true;
    at->stepped = true;
    move_to(at, at->unix_s + 60 - at->civil.second);
    return false;
}

static int64_t floor_s(int64_t ns)
{
    const int64_t s = ns / FLO_NS_PER_S;
    return ns % FLO_NS_PER_S < 0 ? s - 1 : s;
}

int64_t flo_cron_next(const struct flo_cron *cron, int64_t after_ns)
{
    const int64_t after_s = floor_s(after_ns);
    if (cron->every_s)
        return (after_s + cron->every_s) * FLO_NS_PER_S;
    struct at at = {.zone = cron->zone};
    move_to(&at, after_s + 1);
    const int last_year = at.civil.year + YEARS_AHEAD;
    while (at.civil.year <= last_year)
        if (match(cron, &at))
            return at.unix_s * FLO_NS_PER_S;
    return FLO_CRON_NEVER;
}

int64_t flo_cron_backoff(const struct flo_cron *cron, int64_t scheduled_ns, int64_t now_ns)
{
    int64_t next_ns = scheduled_ns;
    if (now_ns >= scheduled_ns) {
        if (cron->every_s) { /* counts from when it was due, on whole seconds */
            const int64_t from = floor_s(scheduled_ns), late = floor_s(now_ns - 1) + 1 - from;
            const int64_t periods = (late + cron->every_s - 1) / cron->every_s;
            next_ns = (from + (periods > 0 ? periods : 1) * cron->every_s) * FLO_NS_PER_S;
        } else {
            next_ns = flo_cron_next(cron, now_ns > scheduled_ns ? now_ns - 1 : scheduled_ns);
        }
        if (next_ns == FLO_CRON_NEVER)
            return -1;
    }
    return (floor_s(next_ns - now_ns - 1) + 1) * FLO_NS_PER_S;
}
