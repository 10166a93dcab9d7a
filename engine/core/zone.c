/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone.c - zone files (RFC 9636): a list of changes of the offset from UTC, and a rule (the TZ
 * variable of POSIX, e.g. "CET-1CEST,M3.5.0,M10.5.0/3") for the years after the last of them.
 *
 * From a moment to the clock is a search in that list. The way back guesses: the clock taken for
 * UTC finds an offset; when the moment that it leads to lies outside of that offset's span, the
 * offset there counts. So each clock time has one answer, also those that are skipped or repeated.
 */
#include "engine/core/zone.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"

enum {
    DAY_S = 86400,
    ZONE_MAX_BYTES = 1 << 20, /* the largest there is has 4 KiB */
    HEADER_BYTES = 44,
};

/* When a rule's half of the year begins: `Jn`, `n` or `Mm.w.d`, and the time of that day. */
struct turn {
    enum { TURN_JULIAN, TURN_DAY, TURN_WEEKDAY } kind;
    int day, week, month;
    int32_t time_s;
};

struct rule {
    bool has_summer;
    int32_t standard_s, summer_s; /* offsets, east of UTC */
    struct turn to_summer, to_standard;
};

struct kind {
    int32_t offset_s;
    bool summer;
};

struct change {
    int64_t at;
    uint8_t kind;
};

struct flo_zone {
    size_t kind_count, change_count;
    struct kind *kinds;
    struct change *changes;
    size_t first_kind; /* before the first change */
    bool has_rule;
    struct rule rule; /* after the last change */
};

/* An offset and the span in which it holds: from start, before end. */
struct span {
    int32_t offset_s;
    int64_t start, end;
};

/* ---- the calendar ---- */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int64_t flo_civil_days(int64_t year, int month, int64_t day)
{
    /* Years that begin in March put the leap day last; 400 of them are 146,097 days. */
    const int64_t y = month <= 2 ? year - 1 : year;
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t in_era = y - era * 400;
    const int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year + day - 1 - 719468;
}

static struct flo_civil civil_of(int64_t local_s)
{
    int64_t days = local_s / DAY_S;
    int64_t rest = local_s % DAY_S;
    if (rest < 0) {
        rest += DAY_S;
        days--;
    }
    const int64_t shifted = days + 719468;
    const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const int64_t in_era = shifted - era * 146097;
    const int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    const int month = (int)((5 * in_year + 2) / 153);
    struct flo_civil civil = {
        .year = (int)(era * 400 + year + (month >= 10)),
        .month = month < 10 ? month + 3 : month - 9,
        .day = (int)(in_year - (153 * month + 2) / 5 + 1),
        .hour = (int)(rest / 3600),
        .minute = (int)(rest / 60 % 60),
        .second = (int)(rest % 60),
        .weekday = (int)(((days % 7) + 11) % 7), /* 1970-01-01 was a Thursday */
    };
    return civil;
}

/* ---- the rule for the years to come ---- */

static int month_days(int64_t year, int month)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return DAYS[month - 1] + (month == 2 && is_leap(year));
}

/* The moment of a turn in a year; offset_s: what is in force until then. */
static int64_t turn_at(const struct turn *turn, int64_t year, int32_t offset_s)
{
    const int64_t first = flo_civil_days(year, 1, 1);
    int64_t day = first;
    switch (turn->kind) {
    case TURN_JULIAN: /* 1 to 365, without leap days */
        day += turn->day - 1 + (is_leap(year) && turn->day >= 60);
        break;
    case TURN_DAY:
        day += turn->day;
        break;
    case TURN_WEEKDAY: {
        const int64_t begin = flo_civil_days(year, turn->month, 1);
        const int weekday = (int)(((begin % 7) + 11) % 7);
        int in_month = (turn->day - weekday + 7) % 7;
        for (int week = 1; week < turn->week; week++)
            if (in_month + 7 < month_days(year, turn->month))
                in_month += 7;
        day = begin + in_month;
        break;
    }
    }
    return day * DAY_S + turn->time_s - offset_s;
}

static struct span rule_span(const struct rule *rule, int64_t unix_s, int64_t since)
{
    if (!rule->has_summer)
        return (struct span){rule->standard_s, since, INT64_MAX};
    const int64_t year = civil_of(unix_s).year;
    int64_t start = turn_at(&rule->to_summer, year, rule->standard_s);
    int64_t end = turn_at(&rule->to_standard, year, rule->summer_s);
    int32_t outside = rule->standard_s, inside = rule->summer_s;
    if (end < start) { /* the south: summer goes over the new year */
        const int64_t swap = start;
        start = end;
        end = swap;
        outside = rule->summer_s;
        inside = rule->standard_s;
    }
    if (unix_s < start)
        return (struct span){outside, flo_civil_days(year, 1, 1) * DAY_S, start};
    if (unix_s >= end) /* to the end of the year: that is as far as anybody asks */
        return (struct span){outside, end, (flo_civil_days(year, 1, 1) + 365) * DAY_S};
    return (struct span){inside, start, end};
}

/* ---- lookups ---- */

static struct span span_of(const struct flo_zone *zone, int64_t unix_s)
{
    if (!zone->kind_count)
        return (struct span){0, INT64_MIN, INT64_MAX};
    if (!zone->change_count || unix_s < zone->changes[0].at)
        return (struct span){zone->kinds[zone->first_kind].offset_s, INT64_MIN,
                             zone->change_count ? zone->changes[0].at : INT64_MAX};
    size_t low = 0, high = zone->change_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (unix_s < zone->changes[middle].at)
            high = middle;
        else
            low = middle;
    }
    const bool last = low + 1 == zone->change_count;
    if (last && zone->has_rule)
        return rule_span(&zone->rule, unix_s, zone->changes[low].at);
    return (struct span){zone->kinds[zone->changes[low].kind].offset_s, zone->changes[low].at,
                         last ? INT64_MAX : zone->changes[low + 1].at};
}

struct flo_civil flo_zone_civil(const struct flo_zone *zone, int64_t unix_s)
{
    return civil_of(unix_s + span_of(zone, unix_s).offset_s);
}

int64_t flo_zone_unix(const struct flo_zone *zone, const struct flo_civil *civil)
{
    const int months = civil->month - 1;
    const int carry = months >= 0 ? months / 12 : -((11 - months) / 12);
    const int64_t days =
        flo_civil_days((int64_t)civil->year + carry, months - carry * 12 + 1, 1) + civil->day - 1;
    const int64_t local =
        days * DAY_S + (int64_t)civil->hour * 3600 + (int64_t)civil->minute * 60 + civil->second;
    const struct span guess = span_of(zone, local);
    if (guess.offset_s == 0)
        return local;
    const int64_t moment = local - guess.offset_s;
    if (moment >= guess.start && moment < guess.end)
        return moment;
    return local - span_of(zone, moment).offset_s;
}

/* ---- reading the rule ---- */

static bool read_number(const char **at, int max, int *out)
{
    if (**at < '0' || **at > '9')
        return false;
    int value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        value = value * 10 + (**at - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return true;
}

static bool read_name(const char **at)
{
    if (**at == '<') {
        const char *end = strchr(*at, '>');
        if (!end)
            return false;
        *at = end + 1;
        return true;
    }
    const char *begin = *at;
    while (**at && !strchr("0123456789,-+", **at))
        (*at)++;
    return *at - begin >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool read_offset(const char **at, int32_t *out_s)
{
    const bool negative = **at == '-';
    if (**at == '-' || **at == '+')
        (*at)++;
    int hours, minutes = 0, seconds = 0;
    if (!read_number(at, 24 * 7, &hours))
        return false;
    if (**at == ':') {
        (*at)++;
        if (!read_number(at, 59, &minutes))
            return false;
        if (**at == ':') {
            (*at)++;
            if (!read_number(at, 59, &seconds))
                return false;
        }
    }
    const int32_t sum = hours * 3600 + minutes * 60 + seconds;
    *out_s = negative ? -sum : sum;
    return true;
}

static bool expect(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool read_turn(const char **at, struct turn *out)
{
    struct turn turn = {.time_s = 2 * 3600};
    if (**at == 'J') {
        (*at)++;
        turn.kind = TURN_JULIAN;
        if (!read_number(at, 365, &turn.day) || turn.day < 1)
            return false;
    } else if (**at == 'M') {
        (*at)++;
        turn.kind = TURN_WEEKDAY;
        if (!read_number(at, 12, &turn.month) || turn.month < 1 || !expect(at, '.') ||
            !read_number(at, 5, &turn.week) || turn.week < 1 || !expect(at, '.') ||
            !read_number(at, 6, &turn.day))
            return false;
    } else {
        turn.kind = TURN_DAY;
        if (!read_number(at, 365, &turn.day))
            return false;
    }
    if (**at == '/') {
        (*at)++;
        if (!read_offset(at, &turn.time_s))
            return false;
    }
    *out = turn;
    return true;
}

static bool read_rule(const char *at, struct rule *out)
{
    struct rule rule = {0};
    if (!read_name(&at) || !read_offset(&at, &rule.standard_s))
        return false;
    rule.standard_s = -rule.standard_s; /* POSIX counts west */
    if (*at && *at != ',') {
        rule.has_summer = true;
        if (!read_name(&at))
            return false;
        rule.summer_s = rule.standard_s + 3600;
        if (*at && *at != ',') {
            if (!read_offset(&at, &rule.summer_s))
                return false;
            rule.summer_s = -rule.summer_s;
        }
        if (!*at)
            at = ",M3.2.0,M11.1.0";
        if (!expect(&at, ',') || !read_turn(&at, &rule.to_summer) || !expect(&at, ',') ||
            !read_turn(&at, &rule.to_standard) || *at)
            return false;
    }
    *out = rule;
    return true;
}

/* ---- reading the file ---- */

struct reader {
    const uint8_t *at;
    size_t left;
};

/* The counts of a header, in its order. */
struct counts {
    uint32_t ut, standard, leaps, changes, kinds, names;
};

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t be64(const uint8_t *at)
{
    return (int64_t)((uint64_t)be32(at) << 32 | be32(at + 4));
}

static const uint8_t *take(struct reader *reader, size_t bytes)
{
    if (bytes > reader->left)
        return NULL;
    const uint8_t *at = reader->at;
    reader->at += bytes;
    reader->left -= bytes;
    return at;
}

static bool read_header(struct reader *reader, uint8_t *out_version, struct counts *out)
{
    const uint8_t *at = take(reader, HEADER_BYTES);
    if (!at || memcmp(at, "TZif", 4) != 0)
        return false;
    *out_version = at[4];
    *out = (struct counts){be32(at + 20), be32(at + 24), be32(at + 28),
                           be32(at + 32), be32(at + 36), be32(at + 40)};
    const uint32_t most = ZONE_MAX_BYTES;
    return out->ut <= most && out->standard <= most && out->leaps <= most && out->changes <= most &&
           out->kinds <= 256 && out->names <= most;
}

static size_t body_bytes(const struct counts *counts, size_t time_bytes)
{
    return (size_t)counts->changes * (time_bytes + 1) + (size_t)counts->kinds * 6 + counts->names +
           (size_t)counts->leaps * (time_bytes + 4) + counts->standard + counts->ut;
}

/* The kind in force before the first change: one that no change leads to, or else standard time. */
static size_t first_kind(const struct flo_zone *zone)
{
    bool zero_used = false;
    for (size_t i = 0; i < zone->change_count; i++)
        zero_used = zero_used || zone->changes[i].kind == 0;
    if (!zero_used)
        return 0;
    if (zone->kinds[zone->changes[0].kind].summer)
        for (size_t i = zone->changes[0].kind; i-- > 0;)
            if (!zone->kinds[i].summer)
                return i;
    for (size_t i = 0; i < zone->kind_count; i++)
        if (!zone->kinds[i].summer)
            return i;
    return 0;
}

static int fill(struct flo_zone *zone, struct reader *reader, const struct counts *counts,
                size_t time_bytes)
{
    const uint8_t *body = take(reader, body_bytes(counts, time_bytes));
    if (!body || !counts->kinds)
        return FLO_EDATA;
    zone->kinds = flo_calloc(counts->kinds, sizeof *zone->kinds);
    zone->changes = flo_calloc(counts->changes + 1, sizeof *zone->changes);
    if (!zone->kinds || !zone->changes)
        return FLO_ENOMEM;
    const uint8_t *index = body + counts->changes * time_bytes;
    const uint8_t *kind = index + counts->changes;
    for (size_t i = 0; i < counts->changes; i++) {
        const uint8_t *at = body + i * time_bytes;
        zone->changes[i].at = time_bytes == 8 ? be64(at) : (int32_t)be32(at);
        zone->changes[i].kind = index[i];
        if (index[i] >= counts->kinds || (i && zone->changes[i].at <= zone->changes[i - 1].at))
            return FLO_EDATA;
    }
    for (size_t i = 0; i < counts->kinds; i++)
        zone->kinds[i] = (struct kind){(int32_t)be32(kind + 6 * i), kind[6 * i + 4] != 0};
    zone->kind_count = counts->kinds;
    zone->change_count = counts->changes;
    if (!zone->change_count) /* one kind for all time; what follows it is the rule's */
        zone->changes[zone->change_count++] = (struct change){INT64_MIN, 0};
    zone->first_kind = first_kind(zone);
    return 0;
}

static int read_file(struct flo_zone *zone, const uint8_t *data, size_t len)
{
    struct reader reader = {data, len};
    struct counts counts;
    uint8_t version;
    if (!read_header(&reader, &version, &counts))
        return FLO_EDATA;
    if (version == 0)
        return fill(zone, &reader, &counts, 4);
    /* Later versions say everything twice: what comes first is for readers of before. */
    if (!take(&reader, body_bytes(&counts, 4)) || !read_header(&reader, &version, &counts))
        return FLO_EDATA;
    int rc = fill(zone, &reader, &counts, 8);
    if (rc)
        return rc;
    char rule[128];
    if (reader.left > 2 && reader.left < sizeof rule && reader.at[0] == '\n' &&
        reader.at[reader.left - 1] == '\n') {
        memcpy(rule, reader.at + 1, reader.left - 2);
        rule[reader.left - 2] = '\0';
        zone->has_rule = read_rule(rule, &zone->rule);
    }
    return 0;
}

int flo_zone_parse(const uint8_t *data, size_t len, struct flo_zone **out_zone, struct flo_err *err)
{
    struct flo_zone *zone = flo_calloc(1, sizeof *zone);
    if (!zone)
        return flo_fail(err, FLO_ENOMEM, "no memory for a time zone");
    const int rc = len > ZONE_MAX_BYTES ? FLO_EDATA : read_file(zone, data, len);
    if (rc) {
        flo_zone_destroy(&zone);
        return flo_fail(err, rc, "%s",
                        rc == FLO_EDATA ? "malformed time zone information" : flo_error_text(rc));
    }
    *out_zone = zone;
    return 0;
}

void flo_zone_destroy(struct flo_zone **pzone)
{
    struct flo_zone *zone = *pzone;
    if (!zone)
        return;
    flo_free(zone->kinds);
    flo_free(zone->changes);
    flo_free(zone);
    *pzone = NULL;
}

const struct flo_zone *flo_zone_utc(void)
{
    static const struct flo_zone UTC = {0};
    return &UTC;
}

/* ---- zones by name ---- */

void flo_zones_init(struct flo_zones *zones, flo_zone_load_fn load, void *ctx)
{
    zones->load = load;
    zones->ctx = ctx;
    flo_map_init(&zones->by_name);
}

void flo_zones_fini(struct flo_zones *zones)
{
    for (struct flo_map_entry *it = flo_map_first(&zones->by_name); it; it = flo_map_next(it)) {
        struct flo_zone *zone = flo_map_value(it);
        flo_zone_destroy(&zone);
    }
    flo_map_fini(&zones->by_name);
}

/* A path below the folder of zones: relative, without steps up. */
static bool is_name(const char *name)
{
    if (name[0] == '/' || strchr(name, '\\'))
        return false;
    for (const char *at = name; (at = strstr(at, "..")); at += 2) {
        const bool begins = at == name || at[-1] == '/';
        if (begins && (at[2] == '\0' || at[2] == '/'))
            return false;
    }
    return true;
}

int flo_zones_find(struct flo_zones *zones, const char *name, const struct flo_zone **out_zone,
                   struct flo_err *err)
{
    if (!*name || strcmp(name, "UTC") == 0) {
        *out_zone = flo_zone_utc();
        return 0;
    }
    if (!is_name(name))
        return flo_fail(err, FLO_ENOENT, "time: invalid location name");
    struct flo_zone *zone = flo_map_get_str(&zones->by_name, name);
    if (zone) {
        *out_zone = zone;
        return 0;
    }
    struct flo_buf file;
    flo_buf_init(&file, ZONE_MAX_BYTES);
    int rc = zones->load ? zones->load(zones->ctx, name, &file) : FLO_ENOENT;
    if (rc)
        rc = flo_fail(err, rc == FLO_ENOMEM ? rc : FLO_ENOENT, "unknown time zone %s", name);
    else
        rc = flo_zone_parse(file.data, file.len, &zone, err);
    if (!rc && flo_map_put_str(&zones->by_name, name, zone)) {
        flo_zone_destroy(&zone);
        rc = flo_fail(err, FLO_ENOMEM, "no memory for a time zone");
    }
    flo_buf_fini(&file);
    if (!rc)
        *out_zone = zone;
    return rc;
}
