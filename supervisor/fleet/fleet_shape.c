/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_shape.c - the text of a report's metrics: its numbers and the rest.
 *
 * The text is compact JSON. Between the numbers it must equal, byte for byte, a text that was
 * parsed and checked in full before, so what is left to check is that each number is one (by the
 * grammar of JSON) and fits its place. The bounds of histograms ("b") belong to the shape.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/fleet/fleet_store.h"

#define NUMBER_MAX 40   /* characters */
#define EXACT_DIGITS 15 /* a double holds them all */
/* In compact JSON nothing else reads so: strings are skipped whole. */
#define BOUNDS_KEY "\"b\":["
#define COUNT_MAX                                                                                  \
    9223372036854775808.0 /* 2^63: what a bucket holds is below, and fits a uint64_t */

void flo_fleet_numbers_fini(struct flo_fleet_numbers *numbers)
{
    flo_free(numbers->values);
    flo_free(numbers->classes);
    *numbers = (struct flo_fleet_numbers){0};
}

static bool reserve(struct flo_fleet_numbers *numbers, size_t count)
{
    if (count <= numbers->capacity)
        return true;
    size_t capacity = count < 512 ? 512 : count * 2;
    double *values = flo_reallocarray(numbers->values, capacity, sizeof *values);
    if (values)
        numbers->values = values;
    char *classes = flo_reallocarray(numbers->classes, capacity, 1);
    if (classes)
        numbers->classes = classes;
    if (!values || !classes)
        return false;
    numbers->capacity = capacity;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The characters of a JSON number from p on; 0: there is none. */
static size_t number_length(const char *p, const char *end, bool *out_whole)
{
    const char *start = p;
    if (p < end && *p == '-')
        p++;
    const char *digits = p;
    while (p < end && is_digit(*p))
        p++;
    if (p == digits || (*digits == '0' && p - digits > 1))
        return 0;
    *out_whole = p == end || (*p != '.' && *p != 'e' && *p != 'E');
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        while (p < end && is_digit(*p))
            p++;
        if (p == fraction)
            return 0;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        const char *power = p;
        while (p < end && is_digit(*p))
            p++;
        if (p == power)
            return 0;
    }
    return (size_t)(p - start);
}

/* Most numbers are short and without a power of ten: digits and a point are exact in a double. */
static bool simple_value(const char *p, size_t len, double *out)
{
    static const double powers[EXACT_DIGITS + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool minus = *p == '-';
    uint64_t digits = 0;
    size_t point = 0;
    if (len > EXACT_DIGITS + 1)
        return false;
    for (size_t i = minus; i < len; i++) {
        if (is_digit(p[i]))
            digits = digits * 10 + (uint64_t)(p[i] - '0');
        else if (p[i] == '.')
            point = i;
        else
            return false;
    }
    double value = (double)digits / powers[point ? len - point - 1 : 0];
    *out = minus ? -value : value;
    return true;
}

/* One number at *p. False: none, not finite, or too long. */
static bool read_number(const char **p, const char *end, double *out_value, char *out_class)
{
    char text[NUMBER_MAX + 1];
    bool whole = false;
    if (*p < end && is_digit(**p) && (*p + 1 == end || !is_digit((*p)[1])) &&
        (*p + 1 == end || (*p)[1] == ',' || (*p)[1] == ']')) {
        *out_value = **p - '0'; /* nearly all counts of buckets are */
        *out_class = 'n';
        (*p)++;
        return true;
    }
    size_t len = number_length(*p, end, &whole);
    if (!len || len > NUMBER_MAX)
        return false;
    if (!simple_value(*p, len, out_value)) {
        memcpy(text, *p, len);
        text[len] = '\0';
        *out_value = strtod(text, NULL);
    }
    if (!isfinite(*out_value))
        return false;
    *out_class = **p == '-' ? 'g' : whole ? 'n' : 'c';
    *p += len;
    return true;
}

static bool add_number(struct flo_fleet_numbers *numbers, const char **p, const char *end)
{
    if (numbers->count == numbers->capacity && !reserve(numbers, numbers->count + 1))
        return false;
    if (!read_number(p, end, &numbers->values[numbers->count], &numbers->classes[numbers->count]))
        return false;
    numbers->count++;
    return true;
}

bool flo_fleet_shape_match(const struct flo_fleet_shape *shape, const char *text, size_t len,
                           struct flo_fleet_numbers *out)
{
    const char *p = text, *end = text + len;
    const char *want = shape->text, *want_end = shape->text + shape->text_len;
    out->count = 0;
    if (!reserve(out, shape->value_count))
        return false;
    while (want < want_end) {
        if (*want == FLO_SHAPE_PLACE) {
            if (!add_number(out, &p, end))
                return false;
            want++;
        } else {
            if (p == end || *p != *want)
                return false;
            p++;
            want++;
        }
    }
    return p == end && flo_fleet_shape_accepts(shape, out);
}

/* The end of the string that begins at p, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\')
            p++;
    }
    return p < end ? p + 1 : NULL;
}

static const char *skip_bounds(const char *p, const char *end)
{
    if ((size_t)(end - p) <= strlen(BOUNDS_KEY) || memcmp(p, BOUNDS_KEY, strlen(BOUNDS_KEY)) != 0)
        return NULL;
    const char *close = memchr(p, ']', (size_t)(end - p));
    return close ? close + 1 : NULL;
}

bool flo_fleet_shape_split(const char *text, size_t len, struct flo_buf *out_text,
                           struct flo_fleet_numbers *out)
{
    const char *p = text, *end = text + len, *plain = text;
    const char place = FLO_SHAPE_PLACE;
    out->count = 0;
    flo_buf_clear(out_text);
    while (p < end) {
        if (*p == '"') {
            const char *after = skip_bounds(p, end);
            p = after ? after : skip_string(p, end);
            if (!p)
                return false;
        } else if (is_digit(*p) || *p == '-') {
            flo_buf_append(out_text, plain, (size_t)(p - plain));
            flo_buf_append(out_text, &place, 1);
            if (!add_number(out, &p, end))
                return false;
            plain = p;
        } else if ((unsigned char)*p <= ' ') {
            return false; /* not compact */
        } else {
            p++;
        }
    }
    flo_buf_append(out_text, plain, (size_t)(p - plain));
    return !out_text->failed;
}

bool flo_fleet_shape_accepts(const struct flo_fleet_shape *shape,
                             const struct flo_fleet_numbers *numbers)
{
    if (numbers->count != shape->value_count)
        return false;
    for (size_t i = 0; i < numbers->count; i++) {
        char kind = shape->kinds[i], is = numbers->classes[i];
        if ((kind == 'n' && (is != 'n' || numbers->values[i] >= COUNT_MAX)) ||
            (kind == 'c' && is == 'g' && numbers->values[i] < 0))
            return false;
    }
    return true;
}

/* ---- parsing one that is new ---- */

static bool is_number(const json_t *json)
{
    return json_is_number(json) && isfinite(json_number_value(json));
}

static const char *copy_text(struct flo_fleet_shape *shape, const json_t *json, size_t max)
{
    if (!json_is_string(json) || json_string_length(json) > max ||
        strlen(json_string_value(json)) != json_string_length(json))
        return NULL;
    return flo_arena_strdup(&shape->arena, json_string_value(json));
}

/* [a-zA-Z_:][a-zA-Z0-9_:]*; labels without the colon. */
static bool is_name(const json_t *json, bool label)
{
    const char *text = json_string_value(json);
    size_t len = json_string_length(json);
    if (!text || !len || len > 128)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c == ':' && !label);
        if (!letter && !(is_digit(c) && i))
            return false;
    }
    return true;
}

static enum flo_frame_verdict parse_labels(struct flo_fleet_shape *shape,
                                           struct flo_fleet_family *family, const json_t *labels)
{
    size_t count = json_array_size(labels);
    if (!json_is_array(labels) || count > FLO_METRIC_LABELS_MAX)
        return FLO_FRAME_METRICS;
    family->label_count = (uint8_t)count;
    family->labels = flo_arena_calloc(&shape->arena, count + 1, sizeof *family->labels);
    if (!family->labels)
        return FLO_FRAME_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const json_t *label = json_array_get(labels, i);
        if (!is_name(label, true))
            return FLO_FRAME_METRICS;
        for (size_t j = 0; j < i; j++)
            if (strcmp(family->labels[j], json_string_value(label)) == 0)
                return FLO_FRAME_METRICS;
        if (strcmp(json_string_value(label), "le") == 0)
            return FLO_FRAME_METRICS; /* the page's own */
        family->labels[i] = copy_text(shape, label, 128);
        if (!family->labels[i])
            return FLO_FRAME_MEMORY;
    }
    return FLO_FRAME_TAKEN;
}

static enum flo_frame_verdict parse_bounds(struct flo_fleet_shape *shape,
                                           struct flo_fleet_family *family, const json_t *bounds)
{
    size_t count = json_array_size(bounds);
    if (!count || count > FLO_METRIC_BUCKETS_MAX)
        return FLO_FRAME_METRICS;
    double *copy = flo_arena_calloc(&shape->arena, count, sizeof *copy);
    if (!copy)
        return FLO_FRAME_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const json_t *bound = json_array_get(bounds, i);
        if (!is_number(bound) || (i && json_number_value(bound) <= copy[i - 1]))
            return FLO_FRAME_METRICS;
        copy[i] = json_number_value(bound);
    }
    family->bounds = copy;
    family->bound_count = (uint8_t)count;
    return FLO_FRAME_TAKEN;
}

static bool series_has_form(const struct flo_fleet_family *family, const json_t *series)
{
    const json_t *values = json_array_get(series, 0), *counts = json_array_get(series, 2);
    bool histogram = family->kind == 'h';
    if (json_array_size(series) != (histogram ? 3 : 2) || !json_is_array(values) ||
        json_array_size(values) != family->label_count || !is_number(json_array_get(series, 1)))
        return false;
    if (!histogram)
        return true;
    for (size_t i = 0; i < json_array_size(counts); i++)
        if (!json_is_integer(json_array_get(counts, i)))
            return false;
    return json_array_size(counts) == (size_t)family->bound_count + 1;
}

/* Are no two series of the family, or families of the shape, the same? A page with both would not
 * be one. */
static enum flo_frame_verdict check_distinct(const struct flo_fleet_shape *shape,
                                             const struct flo_fleet_family *family)
{
    enum flo_frame_verdict verdict = FLO_FRAME_TAKEN;
    struct flo_map seen;
    struct flo_buf key;
    for (const struct flo_fleet_family *other = shape->families; other < family; other++)
        if (strcmp(other->name, family->name) == 0)
            return FLO_FRAME_METRICS;
    flo_map_init(&seen);
    flo_buf_init(&key, 0);
    for (uint32_t i = 0; i < family->series_count && verdict == FLO_FRAME_TAKEN; i++) {
        void *old = NULL;
        flo_buf_clear(&key);
        for (size_t j = 0; j < family->label_count; j++) {
            const char *value = family->label_values[(size_t)i * family->label_count + j];
            flo_buf_append(&key, value, strlen(value) + 1);
        }
        if (key.failed || flo_map_put(&seen, flo_buf_cstr(&key), key.len, (void *)family, &old))
            verdict = FLO_FRAME_MEMORY;
        else if (old)
            verdict = FLO_FRAME_METRICS;
    }
    flo_map_fini(&seen);
    flo_buf_fini(&key);
    return verdict;
}

static enum flo_frame_verdict parse_series(struct flo_fleet_shape *shape,
                                           struct flo_fleet_family *family, const json_t *all)
{
    size_t count = json_array_size(all);
    if (!json_is_array(all))
        return FLO_FRAME_METRICS;
    family->series_count = (uint32_t)count;
    family->stride = family->kind == 'h' ? 2U + family->bound_count : 1U;
    family->first = (uint32_t)shape->value_count;
    family->label_values = flo_arena_calloc(&shape->arena, count * family->label_count + 1,
                                            sizeof *family->label_values);
    if (!family->label_values)
        return FLO_FRAME_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const json_t *series = json_array_get(all, i);
        if (!series_has_form(family, series))
            return FLO_FRAME_METRICS;
        for (size_t j = 0; j < family->label_count; j++) {
            const char *value = copy_text(shape, json_array_get(json_array_get(series, 0), j), 256);
            if (!value)
                return FLO_FRAME_METRICS;
            family->label_values[i * family->label_count + j] = value;
        }
    }
    shape->value_count += count * family->stride;
    return FLO_FRAME_TAKEN;
}

static enum flo_frame_verdict parse_family(struct flo_fleet_shape *shape,
                                           struct flo_fleet_family *family, const json_t *json)
{
    const char *kind = json_string_value(json_object_get(json, "k"));
    const json_t *name = json_object_get(json, "n");
    if (!is_name(name, false) || !kind || !*kind || kind[1] || !strchr("cgh", *kind))
        return FLO_FRAME_METRICS;
    family->kind = *kind;
    family->name = copy_text(shape, name, 128);
    if (!family->name)
        return FLO_FRAME_MEMORY;
    enum flo_frame_verdict verdict = parse_labels(shape, family, json_object_get(json, "l"));
    if (verdict == FLO_FRAME_TAKEN && *kind == 'h')
        verdict = parse_bounds(shape, family, json_object_get(json, "b"));
    if (verdict == FLO_FRAME_TAKEN)
        verdict = parse_series(shape, family, json_object_get(json, "s"));
    if (verdict == FLO_FRAME_TAKEN)
        verdict = check_distinct(shape, family);
    return verdict;
}

/* What each number is, and which families are past the bound. */
static bool fill_kinds(struct flo_fleet_shape *shape)
{
    size_t at = 0, series = 0;
    shape->kinds = flo_arena_alloc_bytes(&shape->arena, shape->value_count + 1);
    if (!shape->kinds)
        return false;
    for (size_t i = 0; i < shape->family_count; i++) {
        struct flo_fleet_family *family = &shape->families[i];
        for (uint32_t j = 0; j < family->series_count; j++) {
            shape->kinds[at++] = family->kind == 'h' ? 's' : family->kind;
            for (uint32_t k = 1; k < family->stride; k++)
                shape->kinds[at++] = 'n';
        }
        if (series + family->series_count > FLO_FLEET_SERIES_MAX) {
            family->hidden = true;
            shape->series_over += family->series_count;
        } else {
            series += family->series_count;
        }
    }
    return true;
}

enum flo_frame_verdict flo_fleet_shape_parse(const char *text, size_t len,
                                             struct flo_fleet_shape **out)
{
    enum flo_frame_verdict verdict = FLO_FRAME_MEMORY;
    struct flo_fleet_shape *shape = flo_calloc(1, sizeof *shape);
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (!shape)
        goto out;
    flo_arena_init(&shape->arena, 0); /* its input is bounded, and it is a small multiple of that */
    verdict = FLO_FRAME_METRICS;
    if (!json_is_array(json))
        goto out;
    verdict = FLO_FRAME_MEMORY;
    shape->family_count = json_array_size(json);
    shape->families =
        flo_arena_calloc(&shape->arena, shape->family_count + 1, sizeof *shape->families);
    if (!shape->families)
        goto out;
    verdict = FLO_FRAME_TAKEN;
    for (size_t i = 0; i < shape->family_count && verdict == FLO_FRAME_TAKEN; i++)
        verdict = parse_family(shape, &shape->families[i], json_array_get(json, i));
    if (verdict == FLO_FRAME_TAKEN && !fill_kinds(shape))
        verdict = FLO_FRAME_MEMORY;
    if (verdict == FLO_FRAME_TAKEN) {
        shape->bytes = sizeof *shape + shape->arena.held_bytes;
        *out = shape;
        shape = NULL;
    }
out:
    json_decref(json);
    flo_fleet_shape_destroy(&shape);
    return verdict;
}

void flo_fleet_shape_destroy(struct flo_fleet_shape **shape)
{
    if (!*shape)
        return;
    flo_arena_fini(&(*shape)->arena);
    flo_free(*shape);
    *shape = NULL;
}
