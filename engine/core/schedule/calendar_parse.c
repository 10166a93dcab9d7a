/* SPDX-License-Identifier: Apache-2.0 */
/* calendar_parse.c - calendars and cron strings as people write them become ranges. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "engine/core/duration_text.h"
#include "engine/core/schedule/calendar.h"
#include "wire/payload.h"

#define SPACE " \t\n\v\f\r"

enum { CRON_FIELDS_MIN = 5, CRON_FIELDS_MAX = 7, COMMENT_MAX = 200 };

struct field {
    const char *name;
    int min, max;
    const char *unset;        /* what "" means */
    const char *const *names; /* of the first values; NULL: numbers only */
    int name_letters;         /* fewest letters of a name */
    int first_name;           /* value of names[0] */
    bool years;               /* "*" is no range at all */
    bool weekdays;            /* 7 is 0 */
};

static const char *const MONTHS[] = {"january",  "february", "march",  "april",     "may",
                                     "june",     "july",     "august", "september", "october",
                                     "november", "december", NULL};
static const char *const WEEKDAYS[] = {"sunday",   "monday", "tuesday",  "wednesday",
                                       "thursday", "friday", "saturday", NULL};

static const struct field SECOND = {.name = "Second", .max = 59, .unset = "0"},
                          MINUTE = {.name = "Minute", .max = 59, .unset = "0"},
                          HOUR = {.name = "Hour", .max = 23, .unset = "0"},
                          DAY = {.name = "DayOfMonth", .min = 1, .max = 31, .unset = "*"},
                          MONTH = {.name = "Month",
                                   .min = 1,
                                   .max = 12,
                                   .unset = "*",
                                   .names = MONTHS,
                                   .name_letters = 3,
                                   .first_name = 1},
                          YEAR = {.name = "Year",
                                  .min = FLO_CALENDAR_MIN_YEAR,
                                  .max = FLO_CALENDAR_MAX_YEAR,
                                  .unset = "*",
                                  .years = true},
                          WEEKDAY = {.name = "DayOfWeek",
                                     .max = 7,
                                     .unset = "*",
                                     .names = WEEKDAYS,
                                     .name_letters = 2,
                                     .weekdays = true};

/* ---- values ---- */

/* An integer in decimal, with a sign or without. FLO_EINVAL with Go's sentence. */
static int read_int(const char *text, int *out, struct flo_err *err)
{
    const char *digits = *text == '+' || *text == '-' ? text + 1 : text;
    if (!*digits || digits[strspn(digits, "0123456789")])
        return flo_fail(err, FLO_EINVAL, "strconv.Atoi: parsing \"%s\": invalid syntax", text);
    errno = 0;
    const long long value = strtoll(text, NULL, 10);
    if (errno == ERANGE)
        return flo_fail(err, FLO_EINVAL, "strconv.Atoi: parsing \"%s\": value out of range", text);
    *out = value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int)value;
    return 0;
}

/* A value between min and the field's max: a number or the beginning of a name. */
static bool read_value(const char *text, const struct field *field, int min, int *out)
{
    const size_t len = strlen(text);
    int value;
    bool named = false;
    if (field->names && len >= (size_t)field->name_letters) {
        for (int i = 0; field->names[i] && !named; i++) {
            named = strncasecmp(field->names[i], text, len) == 0;
            value = i + field->first_name;
        }
    }
    if (!named && read_int(text, &value, NULL))
        return false;
    if (value < min || value > field->max)
        return false;
    *out = value;
    return true;
}

/* ---- one field ---- */

struct ranges {
    struct flo_arena *arena;
    FloApi__Range **list;
    size_t count, cap;
};

static int add_range(struct ranges *ranges, int start, int end, int step)
{
    FloApi__Range *range = flo_arena_alloc(ranges->arena, sizeof *range);
    if (!range || ranges->count == ranges->cap)
        return FLO_ENOMEM;
    flo_api__range__init(range);
    range->start = start;
    range->end = end == start ? 0 : end; /* defaults stay unset */
    range->step = step == 1 ? 0 : step;
    ranges->list[ranges->count++] = range;
    return 0;
}

/* 7 is Sunday, which is 0: it leaves the range, and 0 joins it when 7 was in it. */
static int add_weekdays(struct ranges *ranges, int start, int end, int step)
{
    if (end == 7) {
        if ((7 - start) % step == 0 && (step > 1 || start > 1)) {
            int rc = add_range(ranges, 0, 0, 1);
            if (rc || start == 7)
                return rc;
        }
        end = 6;
    }
    return add_range(ranges, start, end, step);
}

/* `*`, `a`, `a-b`, each with `/step`. part is cut up. */
static int add_part(struct ranges *ranges, const struct field *field, char *part,
                    struct flo_err *err)
{
    int start = field->min, end = field->max, step = 1;
    char *step_text = strchr(part, '/');
    if (step_text) {
        *step_text++ = '\0';
        if (strchr(step_text, '/'))
            return flo_fail(err, FLO_EINVAL, "%s has too many slashes", field->name);
        if (!*step_text)
            return flo_fail(err, FLO_EINVAL, "%s missing step value", field->name);
        int rc = read_int(step_text, &step, err);
        if (rc)
            return rc;
        if (step < 1)
            return flo_fail(err, FLO_EINVAL, "%s has invalid Step", field->name);
    }
    char *dash = strchr(part, '-');
    if (strcmp(part, "*") != 0 && dash) {
        *dash++ = '\0';
        if (strchr(dash, '-'))
            return flo_fail(err, FLO_EINVAL, "%s has too many dashes", field->name);
        if (!read_value(part, field, field->min, &start))
            return flo_fail(err, FLO_EINVAL, "%s Start is not in range [%d-%d]", field->name,
                            field->min, field->max);
        if (!read_value(dash, field, start, &end))
            return flo_fail(err, FLO_EINVAL, "%s End is before Start or not in range [%d-%d]",
                            field->name, field->min, field->max);
    } else if (strcmp(part, "*") != 0) {
        if (!read_value(part, field, field->min, &start))
            return flo_fail(err, FLO_EINVAL, "%s is not in range [%d-%d]", field->name, field->min,
                            field->max);
        if (!step_text)
            end = start;
    }
    return field->weekdays ? add_weekdays(ranges, start, end, step)
                           : add_range(ranges, start, end, step);
}

static int read_field(struct flo_arena *arena, const struct field *field, const char *text,
                      FloApi__Range ***out, size_t *out_count, struct flo_err *err)
{
    text += strspn(text, SPACE);
    char *copy = flo_arena_strdup(arena, *text ? text : field->unset);
    if (!copy)
        return flo_fail(err, FLO_ENOMEM, "no memory for a calendar");
    for (size_t len = strlen(copy); len && strchr(SPACE, copy[len - 1]); len--)
        copy[len - 1] = '\0';
    if (field->years && strcmp(copy, "*") == 0)
        return 0;
    struct ranges ranges = {.arena = arena, .cap = 2};
    for (const char *at = copy; *at; at++)
        ranges.cap += *at == ',' ? 2 : 0;
    ranges.list = flo_arena_calloc(arena, ranges.cap, sizeof *ranges.list);
    int rc = ranges.list ? 0 : FLO_ENOMEM;
    for (char *part = copy; part && !rc;) {
        char *next = strchr(part, ',');
        if (next)
            *next++ = '\0';
        rc = add_part(&ranges, field, part, err);
        part = next;
    }
    if (rc)
        return rc == FLO_ENOMEM ? flo_fail(err, rc, "no memory for a calendar") : rc;
    *out = ranges.list;
    *out_count = ranges.count;
    return 0;
}

/* ---- a calendar ---- */

/* Sentences, joined by commas. */
struct complaints {
    char text[480];
};

static void complain(struct complaints *all, const char *sentence)
{
    const size_t len = strlen(all->text), room = sizeof all->text - len;
    const int need = snprintf(all->text + len, room, "%s%s", len ? ", " : "", sentence);
    if (need < 0 || (size_t)need >= room)
        all->text[len] = '\0'; /* what does not fit is left out */
}

int flo_calendar_parse(struct flo_arena *arena, const FloApi__CalendarSpec *words,
                       FloApi__StructuredCalendarSpec **out, struct flo_err *err)
{
    FloApi__StructuredCalendarSpec *made = flo_arena_alloc(arena, sizeof *made);
    if (!made)
        return flo_fail(err, FLO_ENOMEM, "no memory for a calendar");
    flo_api__structured_calendar_spec__init(made);
    const struct {
        const struct field *field;
        const char *text;
        FloApi__Range ***list;
        size_t *count;
    } fields[] = {
        {&SECOND, words->second, &made->second, &made->n_second},
        {&MINUTE, words->minute, &made->minute, &made->n_minute},
        {&HOUR, words->hour, &made->hour, &made->n_hour},
        {&WEEKDAY, words->day_of_week, &made->day_of_week, &made->n_day_of_week},
        {&DAY, words->day_of_month, &made->day_of_month, &made->n_day_of_month},
        {&MONTH, words->month, &made->month, &made->n_month},
        {&YEAR, words->year, &made->year, &made->n_year},
    };
    struct complaints complaints = {""};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct flo_err why;
        int rc = read_field(arena, fields[i].field, fields[i].text, fields[i].list, fields[i].count,
                            &why);
        if (rc == FLO_ENOMEM)
            return flo_fail(err, rc, "%s", why.message);
        if (rc)
            complain(&complaints, why.message);
    }
    if (complaints.text[0])
        return flo_fail(err, FLO_EINVAL, "%s", complaints.text);
    made->comment = words->comment;
    *out = made;
    return 0;
}

static void check_ranges(struct complaints *all, const struct field *field, FloApi__Range **list,
                         size_t count)
{
    char text[128];
    const int max = field->weekdays ? 6 : field->max;
    for (size_t i = 0; i < count; i++) {
        const FloApi__Range *range = list[i];
        if (range->start < field->min || range->start > max) {
            (void)snprintf(text, sizeof text, "%s Start is not in range [%d-%d]", field->name,
                           field->min, max);
            complain(all, text);
        }
        if (range->end != 0 && (range->end < range->start || range->end > max)) {
            (void)snprintf(text, sizeof text, "%s End is before Start or not in range [%d-%d]",
                           field->name, field->min, max);
            complain(all, text);
        }
        if (range->step < 0) {
            (void)snprintf(text, sizeof text, "%s has invalid Step", field->name);
            complain(all, text);
        }
    }
}

int flo_calendar_check(const FloApi__StructuredCalendarSpec *calendar, struct flo_err *err)
{
    struct complaints all = {""};
    check_ranges(&all, &SECOND, calendar->second, calendar->n_second);
    check_ranges(&all, &MINUTE, calendar->minute, calendar->n_minute);
    check_ranges(&all, &HOUR, calendar->hour, calendar->n_hour);
    check_ranges(&all, &DAY, calendar->day_of_month, calendar->n_day_of_month);
    check_ranges(&all, &MONTH, calendar->month, calendar->n_month);
    check_ranges(&all, &YEAR, calendar->year, calendar->n_year);
    check_ranges(&all, &WEEKDAY, calendar->day_of_week, calendar->n_day_of_week);
    if (strlen(calendar->comment) > COMMENT_MAX)
        complain(&all, "comment is too long");
    return all.text[0] ? flo_fail(err, FLO_EINVAL, "invalid calendar spec: %s", all.text) : 0;
}

/* ---- cron strings ---- */

static int parse_every(struct flo_arena *arena, char *text, FloApi__IntervalSpec **out,
                       struct flo_err *err)
{
    char *interval = strchr(text, ' ');
    if (!interval)
        return flo_fail(err, FLO_EINVAL, "CronString does not have interval after @every");
    *interval++ = '\0';
    char *phase = strchr(interval, '/');
    if (phase)
        *phase++ = '\0';
    int64_t interval_ns, phase_ns = 0;
    int rc = flo_duration_text(interval, true, &interval_ns, err);
    if (!rc && phase && *phase)
        rc = flo_duration_text(phase, true, &phase_ns, err);
    if (rc)
        return rc;
    FloApi__IntervalSpec *made = flo_arena_alloc(arena, sizeof *made);
    if (!made)
        return flo_fail(err, FLO_ENOMEM, "no memory for an interval");
    flo_api__interval_spec__init(made);
    made->interval = flo_duration_new(arena, interval_ns);
    if (phase && *phase)
        made->phase = flo_duration_new(arena, phase_ns);
    if (!made->interval || (phase && *phase && !made->phase))
        return flo_fail(err, FLO_ENOMEM, "no memory for an interval");
    *out = made;
    return 0;
}

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
    return text;
}

/* Trimmed, in place. */
static char *trim(char *text)
{
    text += strspn(text, SPACE);
    for (size_t len = strlen(text); len && strchr(SPACE, text[len - 1]); len--)
        text[len - 1] = '\0';
    return text;
}

static int parse_fields(struct flo_arena *arena, char *text, char *comment,
                        FloApi__StructuredCalendarSpec **out, struct flo_err *err)
{
    char *fields[CRON_FIELDS_MAX];
    size_t count = 0;
    for (char *at = text + strspn(text, SPACE); *at; at += strspn(at, SPACE)) {
        if (count < CRON_FIELDS_MAX)
            fields[count] = at;
        count++;
        at += strcspn(at, SPACE);
        if (*at)
            *at++ = '\0';
    }
    if (count < CRON_FIELDS_MIN || count > CRON_FIELDS_MAX)
        return flo_fail(err, FLO_EINVAL, "CronString does not have 5-7 fields");
    FloApi__CalendarSpec words = FLO_API__CALENDAR_SPEC__INIT;
    char **at = fields;
    if (count == CRON_FIELDS_MAX)
        words.second = *at++;
    words.minute = *at++;
    words.hour = *at++;
    words.day_of_month = *at++;
    words.month = *at++;
    words.day_of_week = *at++;
    if (count > CRON_FIELDS_MIN)
        words.year = *at;
    words.comment = comment;
    return flo_calendar_parse(arena, &words, out, err);
}

int flo_calendar_parse_cron(struct flo_arena *arena, const char *text,
                            FloApi__StructuredCalendarSpec **out_calendar,
                            FloApi__IntervalSpec **out_interval, const char **out_zone,
                            struct flo_err *err)
{
    *out_calendar = NULL;
    *out_interval = NULL;
    *out_zone = "";
    char *copy = flo_arena_strdup(arena, text);
    if (!copy)
        return flo_fail(err, FLO_ENOMEM, "no memory for a cron string");
    char *at = trim(copy);
    const char *zone = "";
    if (strncmp(at, "TZ=", 3) == 0 || strncmp(at, "CRON_TZ=", 8) == 0) {
        zone = strchr(at, '=') + 1;
        at = strchr(at, ' ');
        if (!at)
            return flo_fail(err, FLO_EINVAL, "CronString has time zone but missing fields");
        *at++ = '\0';
    }
    char *comment = strchr(at, '#');
    if (comment)
        *comment++ = '\0';
    comment = comment ? trim(comment) : at + strlen(at);
    at = trim(at);
    if (strncmp(at, "@every", strlen("@every")) == 0)
        return parse_every(arena, at, out_interval, err); /* its zone does not count */
    char *fields = flo_arena_strdup(arena, spelled_out(at));
    int rc = fields ? parse_fields(arena, fields, comment, out_calendar, err)
                    : flo_fail(err, FLO_ENOMEM, "no memory for a cron string");
    if (!rc)
        *out_zone = zone;
    return rc;
}
