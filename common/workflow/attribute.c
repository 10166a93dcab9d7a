/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attribute.c - search attributes and their payloads: JSON with the type's name beside the
 * encoding. An attribute that is taken away travels as binary/null without a type.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "wire/payload.h"
#include "workflow/fill.h"

#define TYPE_KEY "type"
/* What flo_patched keeps. */
#define RESERVED "TemporalChangeVersion"

static const char *const kinds[] = {
    [FLO_ATTRIBUTE_KEYWORD] = "Keyword",
    [FLO_ATTRIBUTE_TEXT] = "Text",
    [FLO_ATTRIBUTE_INT] = "Int",
    [FLO_ATTRIBUTE_DOUBLE] = "Double",
    [FLO_ATTRIBUTE_BOOL] = "Bool",
    [FLO_ATTRIBUTE_DATETIME] = "Datetime",
    [FLO_ATTRIBUTE_KEYWORD_LIST] = "KeywordList",
};

/* ---- time: RFC 3339, proleptic Gregorian calendar ---- */

/* Days from 1970-01-01 to the first of March of year, and back; a year begins in March here, so
 * that the leap day is its last. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;
    *day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
    *month = (unsigned)(m < 10 ? m + 3 : m - 9);
    *year = y + era * 400 + (*month <= 2);
}

static void time_text(int64_t ms, char *out, size_t size)
{
    int64_t days = ms / 86400000, rest = ms % 86400000, year;
    unsigned month, day;
    if (rest < 0) {
        rest += 86400000;
        days--;
    }
    date_of(days, &year, &month, &day);
    snprintf(out, size, "%04" PRId64 "-%02u-%02uT%02d:%02d:%02d.%03dZ", year, month, day,
             (int)(rest / 3600000), (int)(rest / 60000 % 60), (int)(rest / 1000 % 60),
             (int)(rest % 1000));
}

bool flo_attribute_time_parse(const char *text, int64_t *out_ms)
{
    int year, month, day, hour, minute, second, used = 0, off_hour = 0, off_minute = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second,
               &used) != 6 ||
        used == 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 24 ||
        minute < 0 || minute > 59 || second < 0 || second > 60)
        return false;
    const char *at = text + used;
    int64_t ms = 0, unit = 100;
    if (*at == '.') {
        for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10)
            ms += (*at - '0') * unit;
    }
    int64_t sign = *at == '-' ? -1 : 1, offset = 0;
    if (*at == '+' || *at == '-') {
        if (sscanf(at + 1, "%2d:%2d", &off_hour, &off_minute) != 2)
            return false;
        offset = sign * (off_hour * 60 + off_minute);
    } else if (*at != 'Z') {
        return false;
    }
    int64_t days = days_of(year, (unsigned)month, (unsigned)day);
    *out_ms = ((days * 24 + hour) * 60 + minute - offset) * 60000 + second * INT64_C(1000) + ms;
    return true;
}

/* ---- payloads ---- */

static json_t *list_json(const char *const *list)
{
    json_t *array = json_array();
    for (; list && *list; list++) {
        if (json_array_append_new(array, json_string(*list))) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *value_json(const struct flo_search_attribute *a)
{
    char text[48];
    switch (a->kind) {
    case FLO_ATTRIBUTE_INT:
        return json_integer(a->integer);
    case FLO_ATTRIBUTE_DOUBLE:
        return json_real(a->number);
    case FLO_ATTRIBUTE_BOOL:
        return json_boolean(a->truth);
    case FLO_ATTRIBUTE_DATETIME:
        time_text(a->time_ms, text, sizeof text);
        return json_string(text);
    case FLO_ATTRIBUTE_KEYWORD_LIST:
        return list_json(a->list);
    default:
        return json_string(a->text);
    }
}

static bool add_type(struct flo_arena *arena, FloApi__Payload *payload,
                     enum flo_attribute_kind kind)
{
    static char key[] = TYPE_KEY;
    FloApi__Payload__MetadataEntry **entries =
        flo_arena_calloc(arena, payload->n_metadata + 1, sizeof *entries);
    FloApi__Payload__MetadataEntry *type = flo_arena_alloc(arena, sizeof *type);
    if (!entries || !type)
        return false;
    for (size_t i = 0; i < payload->n_metadata; i++)
        entries[i] = payload->metadata[i];
    flo_api__payload__metadata_entry__init(type);
    type->key = key;
    type->value = (ProtobufCBinaryData){strlen(kinds[kind]), (uint8_t *)(uintptr_t)kinds[kind]};
    entries[payload->n_metadata++] = type;
    payload->metadata = entries;
    return true;
}

FloApi__Payload *flo_attribute_payload(struct flo_arena *arena,
                                       const struct flo_search_attribute *attribute, bool untyped)
{
    if (attribute->unset)
        return flo_payload_from_json(arena, NULL);
    json_t *value = value_json(attribute);
    FloApi__Payload *payload = value ? flo_payload_from_json(arena, value) : NULL;
    json_decref(value);
    if (payload && !untyped && !add_type(arena, payload, attribute->kind))
        return NULL;
    return payload;
}

bool flo_attribute_kind_of(const FloApi__Payload *payload, enum flo_attribute_kind *out_kind)
{
    for (size_t i = 0; i < payload->n_metadata; i++) {
        const FloApi__Payload__MetadataEntry *entry = payload->metadata[i];
        if (strcmp(entry->key, TYPE_KEY) != 0)
            continue;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            if (entry->value.len == strlen(kinds[k]) &&
                memcmp(entry->value.data, kinds[k], entry->value.len) == 0) {
                *out_kind = (enum flo_attribute_kind)k;
                return true;
            }
        }
    }
    return false;
}

/* ---- what code may set ---- */

static int check_one(const struct flo_search_attribute *a, struct flo_err *err)
{
    bool text = a->kind == FLO_ATTRIBUTE_KEYWORD || a->kind == FLO_ATTRIBUTE_TEXT;
    if (!*a->name || !flo_is_text(a->name))
        return flo_fail(err, FLO_EINVAL, "a search attribute needs a name in UTF-8");
    if (strcmp(a->name, RESERVED) == 0)
        return flo_fail(err, FLO_EINVAL, "search attribute " RESERVED " is kept by flo_patched");
    if (a->unset)
        return 0;
    if ((unsigned)a->kind >= sizeof kinds / sizeof *kinds)
        return flo_fail(err, FLO_EINVAL, "search attribute %.100s has no known kind", a->name);
    if ((text && !a->text) || (a->kind == FLO_ATTRIBUTE_KEYWORD_LIST && !a->list))
        return flo_fail(err, FLO_EINVAL, "search attribute %.100s has no value", a->name);
    if (a->kind == FLO_ATTRIBUTE_DOUBLE && !isfinite(a->number))
        return flo_fail(err, FLO_EINVAL, "search attribute %.100s is not a finite number", a->name);
    bool valid = !text || flo_is_text(a->text);
    for (size_t i = 0; a->kind == FLO_ATTRIBUTE_KEYWORD_LIST && a->list[i]; i++)
        valid = valid && flo_is_text(a->list[i]);
    return valid ? 0
                 : flo_fail(err, FLO_EINVAL, "the value of search attribute %.100s is not UTF-8",
                            a->name);
}

int flo_attributes_check(const struct flo_search_attribute *list, struct flo_err *err)
{
    int rc = 0;
    for (; rc == 0 && list && list->name; list++)
        rc = check_one(list, err);
    return rc;
}
