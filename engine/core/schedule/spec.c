/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.c - the next moment of a specification: the least of those of its parts, and again while an
 * exclusion matches it. An exclusion that covers all of a day, hour or minute is stepped over at
 * once, so that "every second, but not in August" does not look at each second of August.
 */
#include "engine/core/schedule/spec.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/core/schedule/calendar.h"
#include "wire/payload.h"

enum {
    /* Moments looked at for one answer; then there is none: a few tenths of a second. */
    TRIES = 1000000,
    SEED_MAX = 1200,
    NEAR_S = 2 * 86400,
};

/* ---- the canonical form ---- */

static int no_memory(struct flo_err *err)
{
    return flo_fail(err, FLO_ENOMEM, "no memory for a schedule's specification");
}

static int conflicting_zones(struct flo_err *err)
{
    return flo_fail(err, FLO_EINVAL, "conflicting timezone names");
}

/* Append what words say to a list that has room for it. */
static int add_words(struct flo_arena *arena, FloApi__CalendarSpec *const *words, size_t count,
                     FloApi__StructuredCalendarSpec **list, size_t *n, struct flo_err *err)
{
    for (size_t i = 0; i < count; i++) {
        int rc = flo_calendar_parse(arena, words[i], &list[*n], err);
        if (rc)
            return rc;
        (*n)++;
    }
    return 0;
}

static int add_crons(struct flo_arena *arena, const FloApi__ScheduleSpec *spec,
                     FloApi__ScheduleSpec *out, struct flo_err *err)
{
    const char *zone = NULL;
    for (size_t i = 0; i < spec->n_cron_string; i++) {
        FloApi__StructuredCalendarSpec *calendar;
        FloApi__IntervalSpec *interval;
        const char *named;
        int rc =
            flo_calendar_parse_cron(arena, spec->cron_string[i], &calendar, &interval, &named, err);
        if (rc)
            return rc;
        if (zone && strcmp(zone, named) != 0)
            return conflicting_zones(err);
        zone = named;
        if (calendar)
            out->structured_calendar[out->n_structured_calendar++] = calendar;
        else
            out->interval[out->n_interval++] = interval;
    }
    if (!zone || !*zone)
        return 0;
    if ((*spec->timezone_name && strcmp(spec->timezone_name, zone) != 0) || spec->timezone_data.len)
        return conflicting_zones(err);
    out->timezone_name = flo_arena_strdup(arena, zone);
    return out->timezone_name ? 0 : no_memory(err);
}

static int check_interval(const FloApi__IntervalSpec *interval, struct flo_err *err)
{
    const int64_t every = flo_duration_ns(interval->interval);
    const int64_t phase = flo_duration_ns(interval->phase);
    if (every < FLO_NS_PER_S)
        return flo_fail(err, FLO_EINVAL, "interval is too small");
    if (phase < 0)
        return flo_fail(err, FLO_EINVAL, "phase is negative");
    if (phase >= every)
        return flo_fail(err, FLO_EINVAL, "phase cannot be greater than Interval");
    return 0;
}

/* A copy of a list of pointers with room for more. */
static void *roomy(struct flo_arena *arena, const void *list, size_t count, size_t more)
{
    void **copy = flo_arena_calloc(arena, count + more + 1, sizeof *copy);
    if (copy && count)
        memcpy(copy, list, count * sizeof *copy);
    return copy;
}

int flo_spec_canonical(struct flo_arena *arena, const FloApi__ScheduleSpec *spec,
                       FloApi__ScheduleSpec **out_spec, struct flo_err *err)
{
    FloApi__ScheduleSpec *out = flo_arena_memdup(arena, spec, sizeof *spec);
    if (!out)
        return no_memory(err);
    out->structured_calendar = roomy(arena, spec->structured_calendar, spec->n_structured_calendar,
                                     spec->n_calendar + spec->n_cron_string);
    out->interval = roomy(arena, spec->interval, spec->n_interval, spec->n_cron_string);
    out->exclude_structured_calendar =
        roomy(arena, spec->exclude_structured_calendar, spec->n_exclude_structured_calendar,
              spec->n_exclude_calendar);
    if (!out->structured_calendar || !out->interval || !out->exclude_structured_calendar)
        return no_memory(err);
    int rc = add_words(arena, spec->calendar, spec->n_calendar, out->structured_calendar,
                       &out->n_structured_calendar, err);
    if (!rc)
        rc = add_words(arena, spec->exclude_calendar, spec->n_exclude_calendar,
                       out->exclude_structured_calendar, &out->n_exclude_structured_calendar, err);
    if (!rc)
        rc = add_crons(arena, spec, out, err);
    out->n_calendar = out->n_exclude_calendar = out->n_cron_string = 0;
    for (size_t i = 0; !rc && i < out->n_structured_calendar; i++)
        rc = flo_calendar_check(out->structured_calendar[i], err);
    for (size_t i = 0; !rc && i < out->n_interval; i++)
        rc = check_interval(out->interval[i], err);
    if (!rc)
        *out_spec = out;
    return rc;
}

static void show_ranges(FloApi__Range *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i]->end < list[i]->start)
            list[i]->end = list[i]->start;
        if (list[i]->step == 0)
            list[i]->step = 1;
    }
}

static void show_calendars(FloApi__StructuredCalendarSpec *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const FloApi__StructuredCalendarSpec *calendar = list[i];
        show_ranges(calendar->second, calendar->n_second);
        show_ranges(calendar->minute, calendar->n_minute);
        show_ranges(calendar->hour, calendar->n_hour);
        show_ranges(calendar->day_of_month, calendar->n_day_of_month);
        show_ranges(calendar->month, calendar->n_month);
        show_ranges(calendar->year, calendar->n_year);
        show_ranges(calendar->day_of_week, calendar->n_day_of_week);
    }
}

void flo_spec_show(FloApi__ScheduleSpec *spec)
{
    if (!spec)
        return;
    show_calendars(spec->structured_calendar, spec->n_structured_calendar);
    show_calendars(spec->exclude_structured_calendar, spec->n_exclude_structured_calendar);
}

/* ---- ready for searches ---- */

struct interval {
    int64_t every_s, phase_s;
};

/* A calendar's last answer: from from_s to before next_s it is next_s. Searches that go far (to the
 * end of the last year, when nothing matches any more) are made once so, not for each moment of a
 * list. */
struct memo {
    int64_t from_s, next_s;
};

struct flo_spec {
    struct memo *memos; /* of calendars */
    const struct flo_zone *zone;
    struct flo_zone *own_zone; /* from zone data of the specification; NULL: zone is the core's */
    struct flo_calendar *calendars, *excludes;
    struct interval *intervals;
    size_t calendar_count, exclude_count, interval_count;
    int64_t start_ns, end_ns; /* end FLO_SPEC_NEVER: none */
    int64_t jitter_ns;
};

static struct flo_calendar *compile(FloApi__StructuredCalendarSpec *const *list, size_t count)
{
    struct flo_calendar *made = flo_calloc(count + 1, sizeof *made);
    for (size_t i = 0; made && i < count; i++)
        flo_calendar_compile(list[i], &made[i]);
    return made;
}

static int find_zone(struct flo_zones *zones, const FloApi__ScheduleSpec *from,
                     struct flo_spec *spec, struct flo_err *err)
{
    int rc;
    if (from->timezone_data.len) {
        rc =
            flo_zone_parse(from->timezone_data.data, from->timezone_data.len, &spec->own_zone, err);
        spec->zone = spec->own_zone;
    } else {
        rc = flo_zones_find(zones, from->timezone_name, &spec->zone, err);
    }
    if (rc && rc != FLO_ENOMEM && err)
        err->code = FLO_EINVAL;
    return rc && rc != FLO_ENOMEM ? FLO_EINVAL : rc;
}

int flo_spec_new(struct flo_zones *zones, const FloApi__ScheduleSpec *from, struct flo_spec **out,
                 struct flo_err *err)
{
    struct flo_spec *spec = flo_calloc(1, sizeof *spec);
    if (!spec)
        return no_memory(err);
    spec->calendars = compile(from->structured_calendar, from->n_structured_calendar);
    spec->excludes =
        compile(from->exclude_structured_calendar, from->n_exclude_structured_calendar);
    spec->intervals = flo_calloc(from->n_interval + 1, sizeof *spec->intervals);
    spec->memos = flo_calloc(from->n_structured_calendar + 1, sizeof *spec->memos);
    int rc = 0;
    if (!spec->calendars || !spec->excludes || !spec->intervals || !spec->memos)
        rc = no_memory(err);
    else
        rc = find_zone(zones, from, spec, err);
    if (rc) {
        flo_spec_destroy(&spec);
        return rc;
    }
    spec->calendar_count = from->n_structured_calendar;
    spec->exclude_count = from->n_exclude_structured_calendar;
    for (size_t i = 0; i < from->n_interval; i++) {
        const int64_t every_s = flo_duration_ns(from->interval[i]->interval) / FLO_NS_PER_S;
        spec->intervals[i].every_s = every_s < 1 ? 1 : every_s;
        spec->intervals[i].phase_s = flo_duration_ns(from->interval[i]->phase) / FLO_NS_PER_S;
    }
    spec->interval_count = from->n_interval;
    spec->start_ns = flo_timestamp_ns(from->start_time);
    spec->end_ns = from->end_time ? flo_timestamp_ns(from->end_time) : FLO_SPEC_NEVER;
    spec->jitter_ns = flo_duration_ns(from->jitter);
    *out = spec;
    return 0;
}

void flo_spec_destroy(struct flo_spec **pspec)
{
    struct flo_spec *spec = *pspec;
    if (!spec)
        return;
    flo_zone_destroy(&spec->own_zone);
    flo_free(spec->calendars);
    flo_free(spec->excludes);
    flo_free(spec->intervals);
    flo_free(spec->memos);
    flo_free(spec);
    *pspec = NULL;
}

/* ---- the next moment ---- */

static int64_t next_of_interval(const struct interval *interval, int64_t after_s)
{
    return ((after_s - interval->phase_s) / interval->every_s + 1) * interval->every_s +
           interval->phase_s;
}

static int64_t next_of_calendar(const struct flo_spec *spec, size_t i, int64_t after_s)
{
    struct memo *memo = &spec->memos[i];
    /* Near its moment it is asked again: clocks that change are its own to know. */
    if (after_s >= memo->from_s && after_s < memo->next_s && memo->next_s - after_s > NEAR_S)
        return memo->next_s;
    *memo = (struct memo){after_s, flo_calendar_next(&spec->calendars[i], spec->zone, after_s)};
    return memo->next_s;
}

/* Of all parts, without exclusions and bounds. */
static int64_t next_raw(const struct flo_spec *spec, int64_t after_s)
{
    int64_t first = FLO_SPEC_NEVER;
    for (size_t i = 0; i < spec->calendar_count; i++) {
        const int64_t next = next_of_calendar(spec, i, after_s);
        first = next < first ? next : first;
    }
    for (size_t i = 0; i < spec->interval_count; i++) {
        const int64_t next = next_of_interval(&spec->intervals[i], after_s);
        first = next < first ? next : first;
    }
    return first;
}

/* How many seconds from at_s on an exclusion that matches there surely covers: 1, or the rest of
 * the minute, hour or day. */
static int64_t covered(const struct flo_spec *spec, const struct flo_calendar *exclude,
                       const struct flo_civil *civil, int64_t at_s)
{
    const uint64_t sixty = (UINT64_C(1) << 60) - 1;
    int64_t rest = 1;
    if (exclude->second != sixty)
        return rest;
    rest = 60 - civil->second;
    if (exclude->minute == sixty)
        rest += (int64_t)(59 - civil->minute) * 60;
    if (exclude->minute == sixty && exclude->hour == (1U << 24) - 1)
        rest += (int64_t)(23 - civil->hour) * 3600;
    /* A clock that changes meanwhile: look closely. */
    const struct flo_civil end = flo_zone_civil(spec->zone, at_s + rest - 1);
    const int64_t passed = (int64_t)(end.hour - civil->hour) * 3600 +
                           (int64_t)(end.minute - civil->minute) * 60 + end.second - civil->second;
    return end.day == civil->day && passed == rest - 1 ? rest : 1;
}

/* 0 = no exclusion matches; else how many seconds one of them covers. */
static int64_t excluded(const struct flo_spec *spec, int64_t at_s)
{
    if (!spec->exclude_count)
        return 0;
    const struct flo_civil civil = flo_zone_civil(spec->zone, at_s);
    int64_t most = 0;
    for (size_t i = 0; i < spec->exclude_count; i++) {
        if (!flo_calendar_matches(&spec->excludes[i], &civil))
            continue;
        const int64_t here = covered(spec, &spec->excludes[i], &civil, at_s);
        most = here > most ? here : most;
    }
    return most;
}

static uint32_t rotate(uint32_t value, int by)
{
    return value >> by | value << (32 - by);
}

static uint32_t word_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

#define HASH_A UINT32_C(0xcc9e2d51)
#define HASH_B UINT32_C(0x1b873593)

static uint32_t scramble(uint32_t word)
{
    return rotate(word * HASH_A, 17) * HASH_B;
}

static uint32_t stir(uint32_t hash)
{
    return rotate(hash, 19) * 5 + UINT32_C(0xe6546b64);
}

static uint32_t mix(uint32_t word, uint32_t hash)
{
    return stir(hash ^ scramble(word));
}

/* Three lanes over blocks of 20 bytes; the last 20 begin them. */
uint32_t flo_spec_fingerprint(const uint8_t *data, size_t len)
{
    const uint32_t size = (uint32_t)len;
    uint32_t h = mix(word_at(data + len - 4), size);
    h = mix(word_at(data + len - 16), h);
    uint32_t g = mix(word_at(data + len - 8), HASH_A * size);
    g = mix(word_at(data + len - 12), g);
    uint32_t f = rotate(HASH_A * size + scramble(word_at(data + len - 20)), 19) + 113;
    for (size_t blocks = (len - 1) / 20; blocks; blocks--, data += 20) {
        const uint32_t a = word_at(data), b = word_at(data + 4), c = word_at(data + 8),
                       d = word_at(data + 12), e = word_at(data + 16);
        h = mix(d, h + a) + e;
        g = mix(c, g + b) + a;
        f = mix(b + e * HASH_A, f + c) + d;
        f += g;
        g += f;
    }
    g = rotate(rotate(g, 11) * HASH_A, 17) * HASH_A;
    f = rotate(rotate(f, 11) * HASH_A, 17) * HASH_A;
    h = rotate(stir(h + g), 17) * HASH_A;
    return rotate(stir(h + f), 17) * HASH_A;
}

/* A moment as the real server hashes it: version, seconds since the year 1, nanoseconds, UTC. */
static size_t put_moment(uint8_t *out, int64_t unix_s)
{
    const uint64_t seconds = (uint64_t)(unix_s + INT64_C(62135596800));
    size_t len = 0;
    out[len++] = 1;
    for (int shift = 56; shift >= 0; shift -= 8)
        out[len++] = (uint8_t)(seconds >> shift);
    for (int i = 0; i < 4; i++)
        out[len++] = 0;
    out[len++] = 0xff;
    out[len++] = 0xff;
    return len;
}

/* The part of max_ns that a moment is put off by; whole milliseconds. */
static int64_t jitter_of(const char *seed, int64_t nominal_s, int64_t max_ns)
{
    uint8_t text[16 + SEED_MAX];
    size_t len = put_moment(text, nominal_s);
    const size_t seed_len = strnlen(seed, SEED_MAX);
    memcpy(text + len, seed, seed_len);
    len += seed_len;
    if (max_ns <= 0 || len <= 24)
        return 0;
    const uint64_t max_ms = (uint64_t)(max_ns / 1000000);
    const uint64_t part = max_ms < UINT32_MAX ? max_ms : UINT32_MAX;
    return (int64_t)(flo_spec_fingerprint(text, len) * part >> 32) * 1000000;
}

static int64_t floor_s(int64_t ns)
{
    const int64_t s = ns / FLO_NS_PER_S;
    return ns % FLO_NS_PER_S < 0 ? s - 1 : s;
}

struct flo_spec_time flo_spec_next(const struct flo_spec *spec, const char *seed, int64_t after_ns)
{
    static const struct flo_spec_time NEVER = {FLO_SPEC_NEVER, FLO_SPEC_NEVER};
    const int64_t floor_ns = spec->start_ns - FLO_NS_PER_S; /* the start itself may match */
    int64_t after_s = floor_s(after_ns > floor_ns ? after_ns : floor_ns);
    int64_t nominal_s = 0;
    const int64_t last_s = flo_civil_days(FLO_CALENDAR_MAX_YEAR + 1, 1, 1) * 86400;
    for (int tries = 0;; tries++) {
        nominal_s = next_raw(spec, after_s);
        if (nominal_s >= last_s || nominal_s * FLO_NS_PER_S > spec->end_ns || tries == TRIES)
            return NEVER;
        const int64_t covers = excluded(spec, nominal_s);
        if (!covers)
            break;
        after_s = nominal_s + covers - 1;
    }
    int64_t jitter_ns = spec->jitter_ns;
    if (jitter_ns > 0) { /* never past the next one */
        const int64_t following_s = next_raw(spec, nominal_s);
        if (following_s != FLO_SPEC_NEVER &&
            (following_s - nominal_s) < jitter_ns / FLO_NS_PER_S + 1) {
            const int64_t gap_ns = (following_s - nominal_s) * FLO_NS_PER_S;
            jitter_ns = gap_ns < jitter_ns ? gap_ns : jitter_ns;
        }
        jitter_ns = jitter_of(seed, nominal_s, jitter_ns);
    }
    const int64_t nominal_ns = nominal_s * FLO_NS_PER_S;
    return (struct flo_spec_time){nominal_ns, nominal_ns + (jitter_ns > 0 ? jitter_ns : 0)};
}
