/* SPDX-License-Identifier: Apache-2.0 */
/* value.c - the values of search attributes as SQLite compares them. */
#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/store/internal.h"

#define TYPE(name) FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_##name

/* ---- folding ---- */

/* The letter under the accents of U+00C0 to U+017F; '.': it stands for itself. */
static const char latin[] = "aaaaaa.ceeeeiiii.nooooo..uuuuy.."
                            "aaaaaa.ceeeeiiii.nooooo..uuuuy.y"
                            "aaaaaaccccccccdd..eeeeeeeeeegggg"
                            "gggghh..iiiiiiiii...jjkk.llllll."
                            "...nnnnnn...oooooo..rrrrrrssssss"
                            "sstttt..uuuuuuuuuuuuwwyyyzzzzzz.";
_Static_assert(sizeof latin - 1 == 0x180 - 0xc0, "a letter each");

/* The small letter of a character of two bytes, 0x80 to 0x7ff. */
static unsigned small(unsigned c)
{
    static const unsigned pairs[] = {0x110, 0x126, 0x132, 0x13f, 0x141, 0x14a, 0x152, 0x166};
    if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9) ||
        (c >= 0x410 && c <= 0x42f))
        return c + 0x20;
    if (c >= 0x400 && c <= 0x40f)
        return c + 0x50;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i] == c)
            return c + 1;
    return c;
}

void flo_store_fold(const char *text, char *out)
{
    const unsigned char *at = (const unsigned char *)text;
    for (; *at; at++) {
        if (*at >= 'A' && *at <= 'Z') {
            *out++ = (char)(*at + 32);
        } else if (*at >= 0xc3 && *at <= 0xdf && (at[1] & 0xc0) == 0x80) {
            const unsigned c = (unsigned)(*at & 0x1f) << 6 | (at[1] & 0x3f);
            at++;
            if (c < 0x180 && latin[c - 0xc0] != '.') {
                *out++ = latin[c - 0xc0];
            } else {
                *out++ = (char)(0xc0 | small(c) >> 6);
                *out++ = (char)(0x80 | (small(c) & 0x3f));
            }
        } else {
            *out++ = (char)*at;
        }
    }
    *out = '\0';
}

/* ---- JSON to values ---- */

static bool scalar(FloApi__IndexedValueType type, const json_t *value, struct flo_store_value *out)
{
    *out = (struct flo_store_value){.kind = FLO_STORE_INT};
    switch (type) {
    case TYPE(INT):
        out->integer = json_integer_value(value);
        return json_is_integer(value);
    case TYPE(BOOL):
        out->integer = json_is_true(value);
        return json_is_boolean(value);
    case TYPE(DOUBLE):
        out->kind = FLO_STORE_REAL;
        out->real = json_number_value(value);
        return json_is_number(value);
    case TYPE(DATETIME):
        return json_is_string(value) &&
               flo_clock_parse_rfc3339(json_string_value(value), &out->integer);
    default:
        out->kind = FLO_STORE_TEXT;
        out->text = json_string_value(value);
        return out->text != NULL;
    }
}

int flo_store_attribute_values(FloApi__IndexedValueType type, const uint8_t *json, size_t len,
                               flo_store_value_fn fn, void *ctx)
{
    json_t *whole = json_loadb((const char *)json, len, JSON_DECODE_ANY, NULL);
    const bool list = json_is_array(whole);
    const size_t count = list ? json_array_size(whole) : 1;
    int rc = 0;
    for (size_t i = 0; whole && i < count && !rc; i++) {
        struct flo_store_value value;
        if (scalar(type, list ? json_array_get(whole, i) : whole, &value))
            rc = fn(ctx, &value);
    }
    json_decref(whole);
    return rc;
}

bool flo_store_indexes_attribute(const char *name)
{
    return strcmp(name, "BuildIds") != 0;
}
