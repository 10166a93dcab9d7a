/* SPDX-License-Identifier: Apache-2.0 */
/* payload.c - payloads, durations and timestamps. */
#include "wire/payload.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "flotilla/payload.h"
#include "wire/raw.h"

#define ENCODING "encoding"
#define JSON_PLAIN "json/plain"
#define BINARY_NULL "binary/null"
#define BINARY_ENCRYPTED "binary/encrypted"
#define KEY_ID "encryption-key-id"
#define KEY_ID_SHOWN 100

/* Text up to this size is serialised once, onto the stack. */
#define SHORT_TEXT 1024

#define CENTURY_S (INT64_C(100) * 365 * 24 * 3600)

static FloApi__Payload__MetadataEntry *new_metadata(struct flo_arena *arena, const char *key,
                                                    const void *value, size_t len)
{
    FloApi__Payload__MetadataEntry *entry = flo_arena_alloc(arena, sizeof *entry);
    if (!entry)
        return NULL;
    flo_api__payload__metadata_entry__init(entry);
    entry->key = flo_arena_strdup(arena, key);
    entry->value.data = flo_arena_memdup(arena, value, len);
    entry->value.len = len;
    return entry->key && entry->value.data ? entry : NULL;
}

/* A payload with room for extra metadata entries after the encoding. */
static FloApi__Payload *new_payload(struct flo_arena *arena, const char *encoding, size_t extra)
{
    FloApi__Payload *payload = flo_arena_alloc(arena, sizeof *payload);
    if (!payload)
        return NULL;
    flo_api__payload__init(payload);
    payload->metadata = flo_arena_calloc(arena, extra + 1, sizeof(void *));
    if (!payload->metadata)
        return NULL;
    if (!*encoding)
        return payload;
    payload->metadata[0] = new_metadata(arena, ENCODING, encoding, strlen(encoding));
    payload->n_metadata = 1;
    return payload->metadata[0] ? payload : NULL;
}

FloApi__Payload *flo_payload_from_bytes(struct flo_arena *arena, const char *encoding,
                                        const void *data, size_t len)
{
    FloApi__Payload *payload = new_payload(arena, encoding, 0);
    if (!payload || len == 0)
        return payload;
    payload->data.data = flo_arena_memdup(arena, data, len);
    payload->data.len = len;
    return payload->data.data ? payload : NULL;
}

/* The bytes that a base64 JSON string stands for, in arena memory. */
static int decode_base64(struct flo_arena *arena, const json_t *text, ProtobufCBinaryData *out)
{
    size_t len = json_string_length(text);
    uint8_t *data = flo_arena_alloc(arena, FLO_BASE64_DATA_MAX(len));
    if (!data)
        return FLO_ENOMEM;
    int rc = flo_base64_decode(json_string_value(text), len, data, &out->len);
    if (rc == 0)
        out->data = data;
    return rc;
}

/* The payload of a raw value; NULL also when its texts are no base64. */
static FloApi__Payload *payload_from_raw(struct flo_arena *arena, const json_t *content)
{
    json_t *metadata = json_object_get(content, "metadata");
    FloApi__Payload *payload = new_payload(
        arena, json_string_value(json_object_get(content, "encoding")), json_object_size(metadata));
    if (!payload || decode_base64(arena, json_object_get(content, "data"), &payload->data))
        return NULL;
    const char *key;
    json_t *text;
    json_object_foreach(metadata, key, text)
    {
        ProtobufCBinaryData value;
        if (!json_is_string(text) || decode_base64(arena, text, &value))
            return NULL;
        FloApi__Payload__MetadataEntry *entry = new_metadata(arena, key, value.data, value.len);
        if (!entry)
            return NULL;
        payload->metadata[payload->n_metadata++] = entry;
    }
    return payload;
}

FloApi__Payload *flo_payload_from_json(struct flo_arena *arena, const json_t *value)
{
    if (!value || json_is_null(value))
        return new_payload(arena, BINARY_NULL, 0);
    const json_t *raw = flo_raw_content(value);
    if (raw)
        return payload_from_raw(arena, raw);
    FloApi__Payload *payload = new_payload(arena, JSON_PLAIN, 0);
    if (!payload)
        return NULL;
    char text[SHORT_TEXT];
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    size_t len = json_dumpb(value, text, sizeof text, flags);
    if (len == 0)
        return NULL;
    payload->data.len = len;
    if (len <= sizeof text) {
        payload->data.data = flo_arena_memdup(arena, text, len);
    } else {
        payload->data.data = flo_arena_alloc(arena, len);
        if (payload->data.data && json_dumpb(value, (char *)payload->data.data, len, flags) != len)
            return NULL;
    }
    return payload->data.data ? payload : NULL;
}

FloApi__Payloads *flo_payloads_from_json(struct flo_arena *arena, const json_t *value)
{
    FloApi__Payloads *payloads = flo_arena_alloc(arena, sizeof *payloads);
    if (!payloads)
        return NULL;
    flo_api__payloads__init(payloads);
    payloads->payloads = flo_arena_calloc(arena, 1, sizeof(void *));
    if (!payloads->payloads)
        return NULL;
    payloads->payloads[0] = flo_payload_from_json(arena, value);
    payloads->n_payloads = 1;
    return payloads->payloads[0] ? payloads : NULL;
}

static const FloApi__Payload__MetadataEntry *find_metadata(const FloApi__Payload *payload,
                                                           const char *key)
{
    for (size_t i = 0; i < payload->n_metadata; i++)
        if (strcmp(payload->metadata[i]->key, key) == 0)
            return payload->metadata[i];
    return NULL;
}

/* Is the payload's encoding this one? */
static bool has_encoding(const FloApi__Payload *payload, const char *encoding)
{
    const FloApi__Payload__MetadataEntry *entry = find_metadata(payload, ENCODING);
    return entry && entry->value.len == strlen(encoding) &&
           memcmp(entry->value.data, encoding, entry->value.len) == 0;
}

/* Is the encoding's name printable ASCII, as all that are in use? (It is bytes to protobuf.) */
static bool encoding_is_text(const FloApi__Payload *payload)
{
    const FloApi__Payload__MetadataEntry *entry = find_metadata(payload, ENCODING);
    for (size_t i = 0; entry && i < entry->value.len; i++) {
        if (entry->value.data[i] < 0x20 || entry->value.data[i] > 0x7e)
            return false;
    }
    return true;
}

/* The payload as a raw value; NULL when memory is out. */
static json_t *raw_from_payload(const FloApi__Payload *payload)
{
    const FloApi__Payload__MetadataEntry *encoding = find_metadata(payload, ENCODING);
    json_t *name = encoding && encoding->value.len
                       ? json_stringn((const char *)encoding->value.data, encoding->value.len)
                       : json_string("");
    if (!name)
        return NULL;
    json_t *value = flo_raw_new(json_string_value(name), payload->data.data, payload->data.len);
    json_decref(name);
    json_t *content = json_object_get(value, FLO_RAW_KEY);
    json_t *metadata = NULL;
    for (size_t i = 0; value && i < payload->n_metadata; i++) {
        const FloApi__Payload__MetadataEntry *entry = payload->metadata[i];
        if (strcmp(entry->key, ENCODING) == 0)
            continue;
        if (!metadata) {
            metadata = json_object();
            if (json_object_set_new(content, "metadata", metadata))
                goto no_memory;
        }
        if (json_object_set_new(metadata, entry->key,
                                flo_raw_base64(entry->value.data, entry->value.len)))
            goto no_memory;
    }
    return value;
no_memory:
    json_decref(value);
    return NULL;
}

/* Nobody here had a codec for it: whoever takes it for a value goes wrong. */
static int refuse_encrypted(const FloApi__Payload *payload, struct flo_err *err)
{
    const FloApi__Payload__MetadataEntry *key = find_metadata(payload, KEY_ID);
    char id[KEY_ID_SHOWN + 1] = "";
    if (key && key->value.len <= KEY_ID_SHOWN && flo_utf8_valid(key->value.data, key->value.len))
        snprintf(id, sizeof id, "%.*s", (int)key->value.len, (const char *)key->value.data);
    return flo_fail(err, FLO_EPERM,
                    "the payload is encrypted with key \"%s\" and this process has no codec that "
                    "reads it: set codec.key_file",
                    id);
}

static int to_json(const FloApi__Payload *payload, bool show, json_t **out_value,
                   struct flo_err *err)
{
    json_t *value = NULL;
    if (has_encoding(payload, BINARY_NULL)) {
        value = json_null();
    } else if (has_encoding(payload, JSON_PLAIN)) {
        int rc = flo_json_parse((const char *)payload->data.data, payload->data.len, &value, err);
        if (rc) {
            flo_err_prefix(err, "json/plain payload");
            return rc;
        }
        if (flo_raw_is(value)) { /* looks like one of ours: keep the text itself */
            json_decref(value);
            value = flo_raw_new(JSON_PLAIN, payload->data.data, payload->data.len);
        }
    } else if (!encoding_is_text(payload)) {
        return flo_fail(err, FLO_EPROTO, "a payload's encoding is not ASCII text");
    } else if (!show && has_encoding(payload, BINARY_ENCRYPTED)) {
        return refuse_encrypted(payload, err);
    } else {
        value = raw_from_payload(payload);
    }
    if (!value)
        return flo_fail(err, FLO_ENOMEM, "no memory for a payload's value");
    *out_value = value;
    return 0;
}

static int all_to_json(const FloApi__Payloads *payloads, bool as_array, bool show,
                       json_t **out_value, struct flo_err *err)
{
    if (!payloads || payloads->n_payloads == 0) {
        *out_value = json_null();
        return 0;
    }
    if (payloads->n_payloads == 1 || !as_array)
        return to_json(payloads->payloads[0], show, out_value, err);
    json_t *array = json_array();
    for (size_t i = 0; i < payloads->n_payloads; i++) {
        json_t *value = NULL;
        int rc = to_json(payloads->payloads[i], show, &value, err);
        if (rc == 0 && json_array_append_new(array, value))
            rc = flo_fail(err, FLO_ENOMEM, "no memory for a payload's value");
        if (rc) {
            json_decref(array);
            return rc;
        }
    }
    *out_value = array;
    return 0;
}

int flo_payload_to_json(const FloApi__Payload *payload, json_t **out_value, struct flo_err *err)
{
    return to_json(payload, false, out_value, err);
}

int flo_payload_readable(const FloApi__Payload *payload, struct flo_err *err)
{
    return has_encoding(payload, BINARY_ENCRYPTED) ? refuse_encrypted(payload, err) : 0;
}

int flo_payload_show(const FloApi__Payload *payload, json_t **out_value, struct flo_err *err)
{
    return to_json(payload, true, out_value, err);
}

int flo_payloads_to_json(const FloApi__Payloads *payloads, bool as_array, json_t **out_value,
                         struct flo_err *err)
{
    return all_to_json(payloads, as_array, false, out_value, err);
}

int flo_payloads_show(const FloApi__Payloads *payloads, bool as_array, json_t **out_value,
                      struct flo_err *err)
{
    return all_to_json(payloads, as_array, true, out_value, err);
}

int64_t flo_duration_ns(const Google__Protobuf__Duration *duration)
{
    if (!duration)
        return 0;
    int64_t nanos = duration->nanos; /* |nanos| < 2^31: at most 2.1 s */
    if (duration->seconds >= CENTURY_S)
        return CENTURY_S * FLO_NS_PER_S;
    if (duration->seconds <= -CENTURY_S)
        return -CENTURY_S * FLO_NS_PER_S;
    return duration->seconds * FLO_NS_PER_S + nanos;
}

Google__Protobuf__Duration *flo_duration_new(struct flo_arena *arena, int64_t ns)
{
    Google__Protobuf__Duration *duration = flo_arena_alloc(arena, sizeof *duration);
    if (!duration)
        return NULL;
    google__protobuf__duration__init(duration);
    duration->seconds = ns / FLO_NS_PER_S;
    duration->nanos = (int32_t)(ns % FLO_NS_PER_S);
    return duration;
}

int64_t flo_timestamp_ns(const Google__Protobuf__Timestamp *timestamp)
{
    if (!timestamp)
        return 0;
    int64_t ns;
    if (__builtin_mul_overflow(timestamp->seconds, FLO_NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, timestamp->nanos, &ns))
        return timestamp->seconds < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

Google__Protobuf__Timestamp *flo_timestamp_new(struct flo_arena *arena, int64_t wall_ns)
{
    Google__Protobuf__Timestamp *timestamp = flo_arena_alloc(arena, sizeof *timestamp);
    if (!timestamp)
        return NULL;
    google__protobuf__timestamp__init(timestamp);
    int64_t seconds = wall_ns / FLO_NS_PER_S, nanos = wall_ns % FLO_NS_PER_S;
    if (nanos < 0) {
        nanos += FLO_NS_PER_S;
        seconds--;
    }
    timestamp->seconds = seconds;
    timestamp->nanos = (int32_t)nanos;
    return timestamp;
}
