/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c - protobuf messages as JSON (the proto3 JSON mapping,
 * protobuf.dev/programming-guides/json), by walking the descriptors.
 *
 * protobuf-c's descriptors do not say which messages are map entries. protoc makes an entry of
 * field foo_bar in message M a nested message M.FooBarEntry with the fields key and value, and no
 * .proto author may declare such a name next to that map, so name and shape identify them.
 */
#include "wire/json.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "wire/api.h"
#include "wire/json_read.h"
#include "wire/raw.h"

/* Deepest nesting that is converted; decoded messages are never deeper (wire/decode.h). */
#define MOST_DEPTH 200

static json_t *message_to_json(const ProtobufCMessage *message, unsigned depth);

/* foo_bar as fooBar, or FooBar when upper_first. */
static void camel_case(const char *name, bool upper_first, char out[FLO_JSON_NAME_SIZE])
{
    size_t len = 0;
    bool upper = upper_first;
    for (; *name && len < FLO_JSON_NAME_SIZE - 1; name++) {
        if (*name == '_') {
            upper = true;
            continue;
        }
        out[len++] = upper ? (char)toupper((unsigned char)*name) : *name;
        upper = false;
    }
    out[len] = '\0';
}

bool flo_json_is_map(const ProtobufCMessageDescriptor *parent,
                     const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    if (entry->n_fields != 2 || strcmp(entry->fields[0].name, "key") != 0 ||
        strcmp(entry->fields[1].name, "value") != 0)
        return false;
    char camel[FLO_JSON_NAME_SIZE], full[3 * FLO_JSON_NAME_SIZE];
    camel_case(field->name, true, camel);
    snprintf(full, sizeof full, "%s.%sEntry", parent->name, camel);
    return strcmp(entry->name, full) == 0;
}

static json_t *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static json_t *format(const char *fmt, ...)
{
    char text[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return json_string(text);
}

/* ".5" of a second as "", ".500", ".500000" or ".500000000": as few of 0, 3, 6, 9 digits as say it
 * all. nanos is 0 to 999999999. */
static void format_fraction(int32_t nanos, char out[16])
{
    out[0] = '\0';
    if (nanos == 0)
        return;
    if (nanos % 1000000 == 0)
        snprintf(out, 16, ".%03d", nanos / 1000000);
    else if (nanos % 1000 == 0)
        snprintf(out, 16, ".%06d", nanos / 1000);
    else
        snprintf(out, 16, ".%09d", nanos);
}

/* Text for valid values; an object with the raw fields for what the mapping has no text for. */
static json_t *out_of_range(int64_t seconds, int32_t nanos)
{
    return json_pack("{s:o, s:i}", "seconds", format("%lld", (long long)seconds), "nanos",
                     (int)nanos);
}

static json_t *timestamp_to_json(const Google__Protobuf__Timestamp *timestamp)
{
    static const int64_t first_s = INT64_C(-62135596800); /* 0001-01-01T00:00:00Z */
    static const int64_t last_s = INT64_C(253402300799);  /* 9999-12-31T23:59:59Z */
    int32_t nanos = timestamp->nanos;
    if (timestamp->seconds < first_s || timestamp->seconds > last_s || nanos < 0 ||
        nanos >= FLO_NS_PER_S)
        return out_of_range(timestamp->seconds, nanos);
    time_t seconds = (time_t)timestamp->seconds;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char fraction[16];
    format_fraction(nanos, fraction);
    return format("%04d-%02d-%02dT%02d:%02d:%02d%sZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                  tm.tm_hour, tm.tm_min, tm.tm_sec, fraction);
}

static json_t *duration_to_json(const Google__Protobuf__Duration *duration)
{
    static const int64_t most_s = INT64_C(315576000000); /* 10,000 years */
    int64_t seconds = duration->seconds;
    int32_t nanos = duration->nanos;
    if (seconds < -most_s || seconds > most_s || nanos <= -FLO_NS_PER_S || nanos >= FLO_NS_PER_S ||
        (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0))
        return out_of_range(seconds, nanos);
    bool negative = seconds < 0 || nanos < 0;
    char fraction[16];
    format_fraction(negative ? -nanos : nanos, fraction);
    return format("%s%lld%ss", negative ? "-" : "", (long long)(negative ? -seconds : seconds),
                  fraction);
}

static json_t *real_to_json(double value)
{
    if (isnan(value))
        return json_string("NaN");
    if (isinf(value))
        return json_string(value > 0 ? "Infinity" : "-Infinity");
    return json_real(value);
}

/* The double whose shortest text is the float's own: 0.1f as 0.1, not 0.10000000149. */
static json_t *float_to_json(float value)
{
    if (!isfinite(value))
        return real_to_json((double)value);
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    return json_real(strtod(text, NULL));
}

static json_t *enum_to_json(const ProtobufCEnumDescriptor *descriptor, int32_t number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);
    return value ? json_string(value->name) : json_integer(number);
}

/* One value of the field's type, at the address at. */
static json_t *value_to_json(const ProtobufCFieldDescriptor *field, const void *at, unsigned depth)
{
    union {
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        float f;
        double d;
        const char *text;
        const ProtobufCMessage *message;
        ProtobufCBinaryData bytes;
    } v;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        memcpy(&v.i32, at, sizeof v.i32);
        return json_integer(v.i32);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        memcpy(&v.u32, at, sizeof v.u32);
        return json_integer(v.u32);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        memcpy(&v.i64, at, sizeof v.i64);
        return format("%lld", (long long)v.i64);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        memcpy(&v.u64, at, sizeof v.u64);
        return format("%llu", (unsigned long long)v.u64);
    case PROTOBUF_C_TYPE_FLOAT:
        memcpy(&v.f, at, sizeof v.f);
        return float_to_json(v.f);
    case PROTOBUF_C_TYPE_DOUBLE:
        memcpy(&v.d, at, sizeof v.d);
        return real_to_json(v.d);
    case PROTOBUF_C_TYPE_BOOL:
        memcpy(&v.i32, at, sizeof v.i32);
        return json_boolean(v.i32);
    case PROTOBUF_C_TYPE_ENUM:
        memcpy(&v.i32, at, sizeof v.i32);
        return enum_to_json(field->descriptor, v.i32);
    case PROTOBUF_C_TYPE_STRING:
        memcpy(&v.text, at, sizeof v.text);
        return json_string(v.text ? v.text : "");
    case PROTOBUF_C_TYPE_BYTES:
        memcpy(&v.bytes, at, sizeof v.bytes);
        return flo_raw_base64(v.bytes.data, v.bytes.len);
    case PROTOBUF_C_TYPE_MESSAGE:
        memcpy(&v.message, at, sizeof(void *));
        return v.message ? message_to_json(v.message, depth + 1) : json_null();
    }
    return NULL;
}

static size_t element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    default:
        return 4;
    }
}

/* Is the value at `at` the one that proto3 does not send? */
static bool is_default(ProtobufCType type, const void *at)
{
    static const uint8_t zero[8];
    if (type == PROTOBUF_C_TYPE_STRING) {
        const char *text;
        memcpy(&text, at, sizeof text);
        return !text || !*text;
    }
    if (type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData bytes;
        memcpy(&bytes, at, sizeof bytes);
        return bytes.len == 0;
    }
    return memcmp(at, zero, element_size(type)) == 0;
}

/* A map's entries as one object; of equal keys the last wins. */
static json_t *map_to_json(const ProtobufCMessage *const *entries, size_t count, unsigned depth)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < count; i++) {
        const ProtobufCFieldDescriptor *key = &entries[i]->descriptor->fields[0];
        const ProtobufCFieldDescriptor *value = &entries[i]->descriptor->fields[1];
        json_t *name = value_to_json(key, (const uint8_t *)entries[i] + key->offset, depth);
        if (json_is_integer(name)) {
            json_int_t number = json_integer_value(name);
            json_decref(name);
            name = format("%" JSON_INTEGER_FORMAT, number);
        }
        json_t *content = value_to_json(value, (const uint8_t *)entries[i] + value->offset, depth);
        if (!name || json_object_set_new(object, json_string_value(name), content)) {
            json_decref(object);
            object = NULL;
        }
        json_decref(name);
    }
    return object;
}

static json_t *repeated_to_json(const ProtobufCMessage *message,
                                const ProtobufCFieldDescriptor *field, size_t count, unsigned depth)
{
    const uint8_t *values;
    memcpy(&values, (const uint8_t *)message + field->offset, sizeof(void *));
    if (flo_json_is_map(message->descriptor, field))
        return map_to_json((const ProtobufCMessage *const *)(const void *)values, count, depth);
    json_t *array = json_array();
    for (size_t i = 0; array && i < count; i++) {
        json_t *value = value_to_json(field, values + i * element_size(field->type), depth);
        if (json_array_append_new(array, value)) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

/* The field's JSON, or NULL; *out_absent: it is not set and is left out. */
static json_t *field_to_json(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                             unsigned depth, bool *out_absent)
{
    const uint8_t *base = (const uint8_t *)message;
    const void *at = base + field->offset;
    *out_absent = false;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count;
        memcpy(&count, base + field->quantifier_offset, sizeof count);
        *out_absent = count == 0;
        return count ? repeated_to_json(message, field, count, depth) : NULL;
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t which;
        memcpy(&which, base + field->quantifier_offset, sizeof which);
        *out_absent = which != field->id;
    } else {
        *out_absent = is_default(field->type, at);
    }
    return *out_absent ? NULL : value_to_json(field, at, depth);
}

static json_t *any_to_json(const Google__Protobuf__Any *any)
{
    if (!*any->type_url && any->value.len == 0)
        return json_object();
    return json_pack("{s:s, s:o}", "@type", any->type_url, "value",
                     flo_raw_base64(any->value.data, any->value.len));
}

bool flo_json_is_wrapper(const ProtobufCMessageDescriptor *descriptor)
{
    static const char package[] = "google.protobuf.";
    size_t len = strlen(descriptor->name);
    return strncmp(descriptor->name, package, sizeof package - 1) == 0 && len > 5 &&
           strcmp(descriptor->name + len - 5, "Value") == 0 && descriptor->n_fields == 1;
}

static json_t *message_to_json(const ProtobufCMessage *message, unsigned depth)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (depth > MOST_DEPTH)
        return NULL;
    if (descriptor == &google__protobuf__timestamp__descriptor)
        return timestamp_to_json((const Google__Protobuf__Timestamp *)(const void *)message);
    if (descriptor == &google__protobuf__duration__descriptor)
        return duration_to_json((const Google__Protobuf__Duration *)(const void *)message);
    if (descriptor == &google__protobuf__any__descriptor)
        return any_to_json((const Google__Protobuf__Any *)(const void *)message);
    if (flo_json_is_wrapper(descriptor)) {
        const ProtobufCFieldDescriptor *value = &descriptor->fields[0];
        return value_to_json(value, (const uint8_t *)message + value->offset, depth);
    }
    json_t *object = json_object();
    for (unsigned i = 0; object && i < descriptor->n_fields; i++) {
        bool absent;
        json_t *value = field_to_json(message, &descriptor->fields[i], depth, &absent);
        if (absent)
            continue;
        char name[FLO_JSON_NAME_SIZE];
        camel_case(descriptor->fields[i].name, false, name);
        if (json_object_set_new(object, name, value)) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

json_t *flo_wire_to_json(const ProtobufCMessage *message)
{
    return message_to_json(message, 0);
}
