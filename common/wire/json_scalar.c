/* SPDX-License-Identifier: Apache-2.0 */
/* json_scalar.c - numbers, texts, bytes, enumerators, times from their JSON; see json_read.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/clock.h"
#include "wire/json_read.h"

/* Writes the part of the path above place, then its own; returns what is used of size. */
static size_t print_place(const struct flo_json_place *place, char *text, size_t size)
{
    size_t used = place->up ? print_place(place->up, text, size) : 0;
    size_t room = used < size ? size - used : 0;
    int len = place->name ? snprintf(text + (room ? used : 0), room, "%s%.60s", used ? "." : "",
                                     place->name)
                          : snprintf(text + (room ? used : 0), room, "[%zu]", place->index);
    return used + (len > 0 ? (size_t)len : 0);
}

int flo_json_wrong(struct flo_json_reader *reader, const struct flo_json_place *place,
                   const char *fmt, ...)
{
    char path[240] = "", what[240];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (place)
        print_place(place, path, sizeof path);
    return flo_fail(reader->err, FLO_EPROTO, "%s%s%s", path, *path ? ": " : "", what);
}

int flo_json_no_memory(struct flo_json_reader *reader)
{
    return flo_fail(reader->err, FLO_ELIMIT, "the JSON becomes more than there is memory for");
}

static const char *kind_of(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "a text", "a whole number",
                                        "a number",  "true",     "false",  "null"};
    return names[json_typeof(value)];
}

/* ---- numbers ---- */

/* A whole number between least and most, as a number or as a text. */
static int read_signed(struct flo_json_reader *reader, const struct flo_json_place *place,
                       const json_t *value, int64_t least, int64_t most, int64_t *out)
{
    int64_t number = 0;
    if (json_is_integer(value)) {
        number = json_integer_value(value);
    } else if (json_is_real(value)) {
        double real = json_real_value(value);
        if (!(fabs(real) <= 9e15) || real != (double)(int64_t)real)
            return flo_json_wrong(reader, place, "%g is no whole number", real);
        number = (int64_t)real;
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        char *end;
        errno = 0;
        number = strtoll(text, &end, 10);
        if (!*text || *end || errno || isspace((unsigned char)*text))
            return flo_json_wrong(reader, place, "\"%.40s\" is no whole number in range", text);
    } else {
        return flo_json_wrong(reader, place, "a whole number was expected, not %s", kind_of(value));
    }
    if (number < least || number > most)
        return flo_json_wrong(reader, place, "%" PRId64 " is out of range", number);
    *out = number;
    return 0;
}

static int read_uint64(struct flo_json_reader *reader, const struct flo_json_place *place,
                       const json_t *value, uint64_t *out)
{
    int64_t small = 0;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        char *end;
        errno = 0;
        uint64_t number = strtoull(text, &end, 10);
        if (!isdigit((unsigned char)*text) || *end || errno)
            return flo_json_wrong(reader, place, "\"%.40s\" is no whole number in range", text);
        *out = number;
        return 0;
    }
    int rc = read_signed(reader, place, value, 0, INT64_MAX, &small);
    if (rc == 0)
        *out = (uint64_t)small;
    return rc;
}

static int read_real(struct flo_json_reader *reader, const struct flo_json_place *place,
                     const json_t *value, double *out)
{
    if (json_is_number(value)) {
        *out = json_number_value(value);
        return 0;
    }
    const char *text = json_string_value(value);
    char *end = NULL;
    double number = text && *text && !isspace((unsigned char)*text) ? strtod(text, &end) : 0;
    if (!end || *end)
        return flo_json_wrong(reader, place, "a number was expected, not %s", kind_of(value));
    *out = number; /* strtod knows NaN, Infinity and -Infinity */
    return 0;
}

/* ---- enumerators ---- */

/* Behind prefix in text, when text begins with it: cases and '_' make no difference. NULL: it does
 * not. */
static const char *behind_loosely(const char *text, const char *prefix)
{
    for (;; text++, prefix++) {
        text += *text == '_';
        prefix += *prefix == '_';
        if (!*prefix)
            return text;
        if (tolower((unsigned char)*text) != tolower((unsigned char)*prefix))
            return NULL;
    }
}

/* EVENT_TYPE_TIMER_FIRED, or TimerFired, as it was spelled until 2023. A name that we do not know
 * (a newer server's) leaves the field as if it were not there. */
static int read_enum(struct flo_json_reader *reader, const struct flo_json_place *place,
                     const ProtobufCEnumDescriptor *descriptor, const json_t *value, int32_t *out)
{
    const char *text = json_string_value(value);
    int64_t number = 0;
    if (!text) {
        int rc = read_signed(reader, place, value, INT32_MIN, INT32_MAX, &number);
        if (rc == 0)
            *out = (int32_t)number;
        return rc;
    }
    const ProtobufCEnumValue *found =
        protobuf_c_enum_descriptor_get_value_by_name(descriptor, text);
    for (unsigned i = 0; !found && i < descriptor->n_values; i++) {
        const char *bare = behind_loosely(descriptor->values[i].name, descriptor->short_name);
        const char *rest = bare ? behind_loosely(text, bare) : NULL;
        if (rest && !*rest)
            found = &descriptor->values[i];
    }
    *out = found ? found->value : 0;
    return 0;
}

/* ---- texts and bytes ---- */

static int read_text(struct flo_json_reader *reader, const struct flo_json_place *place,
                     const json_t *value, char **out)
{
    if (!json_is_string(value))
        return flo_json_wrong(reader, place, "a text was expected, not %s", kind_of(value));
    *out = flo_arena_strndup(reader->arena, json_string_value(value), json_string_length(value));
    return *out ? 0 : flo_json_no_memory(reader);
}

/* Base64, of either alphabet. */
static int read_bytes(struct flo_json_reader *reader, const struct flo_json_place *place,
                      const json_t *value, ProtobufCBinaryData *out)
{
    if (!json_is_string(value))
        return flo_json_wrong(reader, place, "a text was expected, not %s", kind_of(value));
    size_t len = json_string_length(value);
    char *text = flo_arena_alloc_bytes(reader->arena, FLO_BASE64_DATA_MAX(len) + len + 1);
    if (!text)
        return flo_json_no_memory(reader);
    memcpy(text, json_string_value(value), len);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '-')
            text[i] = '+';
        else if (text[i] == '_')
            text[i] = '/';
    }
    out->data = (uint8_t *)text;
    if (flo_base64_decode(text, len, out->data, &out->len))
        return flo_json_wrong(reader, place, "this is no base64");
    return 0;
}

int flo_json_read_scalar(struct flo_json_reader *reader, const struct flo_json_place *place,
                         const ProtobufCFieldDescriptor *field, const json_t *value, void *to)
{
    int64_t number = 0;
    double real = 0;
    int rc = 0;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        rc = read_signed(reader, place, value, INT32_MIN, INT32_MAX, &number);
        memcpy(to, &(int32_t){(int32_t)number}, sizeof(int32_t));
        return rc;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        rc = read_signed(reader, place, value, 0, UINT32_MAX, &number);
        memcpy(to, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
        return rc;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_signed(reader, place, value, INT64_MIN, INT64_MAX, to);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_uint64(reader, place, value, to);
    case PROTOBUF_C_TYPE_FLOAT:
        rc = read_real(reader, place, value, &real);
        memcpy(to, &(float){(float)real}, sizeof(float));
        return rc;
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_real(reader, place, value, to);
    case PROTOBUF_C_TYPE_BOOL:
        if (!json_is_boolean(value))
            return flo_json_wrong(reader, place, "true or false was expected, not %s",
                                  kind_of(value));
        memcpy(to, &(protobuf_c_boolean){json_is_true(value)}, sizeof(protobuf_c_boolean));
        return 0;
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(reader, place, field->descriptor, value, to);
    case PROTOBUF_C_TYPE_STRING:
        return read_text(reader, place, value, to);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(reader, place, value, to);
    case PROTOBUF_C_TYPE_MESSAGE:
        break; /* not here */
    }
    return flo_json_wrong(reader, place, "this is no scalar");
}

int flo_json_read_key(struct flo_json_reader *reader, const struct flo_json_place *place,
                      const ProtobufCFieldDescriptor *field, const char *text, void *to)
{
    json_t *value = field->type == PROTOBUF_C_TYPE_BOOL ? json_boolean(strcmp(text, "true") == 0)
                                                        : json_string(text);
    int rc =
        value ? flo_json_read_scalar(reader, place, field, value, to) : flo_json_no_memory(reader);
    json_decref(value);
    return rc;
}

/* ---- times ---- */

/* ".5" and on into nanoseconds; past the digits. */
static const char *read_fraction(const char *text, int32_t *out_nanos)
{
    int32_t nanos = 0, unit = 100000000;
    if (*text != '.')
        return text;
    for (text++; isdigit((unsigned char)*text); text++, unit /= 10)
        nanos += unit * (*text - '0');
    *out_nanos = nanos;
    return text;
}

int flo_json_read_timestamp(struct flo_json_reader *reader, const struct flo_json_place *place,
                            const char *text, int64_t *out_seconds, int32_t *out_nanos)
{
    struct tm tm = {0};
    int used = 0, hours = 0, minutes = 0;
    const char *rest = text;
    if (sscanf(text, "%4d-%2d-%2d%*1[Tt]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) < 6 ||
        used < 19)
        return flo_json_wrong(reader, place, "\"%.40s\" is no timestamp", text);
    *out_nanos = 0;
    rest = read_fraction(text + used, out_nanos);
    int64_t offset_s = 0;
    if (*rest == '+' || *rest == '-') {
        if (sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &used) < 2)
            return flo_json_wrong(reader, place, "\"%.40s\" is no timestamp", text);
        offset_s = (hours * INT64_C(3600) + minutes * INT64_C(60)) * (*rest == '-' ? -1 : 1);
        rest += 1 + used;
    } else if (*rest == 'Z' || *rest == 'z') {
        rest++;
    } else {
        rest = "no zone";
    }
    if (*rest || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31)
        return flo_json_wrong(reader, place, "\"%.40s\" is no timestamp", text);
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *out_seconds = (int64_t)timegm(&tm) - offset_s;
    return 0;
}

int flo_json_read_duration(struct flo_json_reader *reader, const struct flo_json_place *place,
                           const char *text, int64_t *out_seconds, int32_t *out_nanos)
{
    bool negative = *text == '-';
    const char *at = text + negative;
    int64_t seconds = 0;
    int digits = 0;
    for (; isdigit((unsigned char)*at) && digits < 15; at++, digits++)
        seconds = seconds * 10 + (*at - '0');
    *out_nanos = 0;
    at = read_fraction(at, out_nanos);
    if (!digits || strcmp(at, "s") != 0)
        return flo_json_wrong(reader, place, "\"%.40s\" is no duration (such as \"1.5s\")", text);
    *out_seconds = negative ? -seconds : seconds;
    *out_nanos = negative ? -*out_nanos : *out_nanos;
    return 0;
}
