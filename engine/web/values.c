/* SPDX-License-Identifier: Apache-2.0 */
/* values.c - parts of messages as HTML: statuses, payloads, failures, any message field by field.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/web/page.h"
#include "wire/payload.h"

enum {
    VALUE_MAX_BYTES = 8 * 1024, /* more of one value is cut */
    DEPTH_MAX = 12,             /* messages in messages */
};

const char *flo_web_status(FloApi__WorkflowExecutionStatus status)
{
    static const char *const names[] = {"Unspecified",    "Running",  "Completed",
                                        "Failed",         "Canceled", "Terminated",
                                        "ContinuedAsNew", "TimedOut", "Paused"};
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "Unspecified";
}

void flo_web_badge(struct flo_web_page *page, FloApi__WorkflowExecutionStatus status)
{
    const char *name = flo_web_status(status);
    flo_html(page->out, "<span class=\"badge %s\">%s</span>", name, name);
}

void flo_web_workflow_link(struct flo_web_page *page, const char *workflow_id, const char *run_id)
{
    flo_html(page->out,
             "<a class=\"id\" href=\"/workflow?namespace=%u&amp;id=%u&amp;run=%u\">%s</a>",
             page->namespace_name, workflow_id, run_id, workflow_id);
}

/* ---- payloads ---- */

/* The beginning of text, which is part of something of whole_bytes. */
static void put_text(struct flo_web_page *page, const char *text, size_t len, size_t whole_bytes)
{
    const size_t shown = flo_utf8_cut(text, len, VALUE_MAX_BYTES);
    flo_html(page->out, "<pre>");
    flo_html_text(page->out, text, shown);
    flo_html(page->out, "</pre>");
    if (shown < len) {
        flo_html(page->out, "<p class=\"note\">the beginning of ");
        flo_html_bytes(page->out, (int64_t)whole_bytes);
        flo_html(page->out, "</p>");
    }
}

/* Take some of a JSON text; enough is enough: indented, a deep value has no end. */
static int take_json(const char *text, size_t len, void *ctx)
{
    struct flo_buf *out = ctx;
    return flo_buf_append(out, text, len) || out->len > VALUE_MAX_BYTES ? -1 : 0;
}

static const char *encoding_of(struct flo_web_page *page, const FloApi__Payload *payload)
{
    for (size_t i = 0; i < payload->n_metadata; i++)
        if (strcmp(payload->metadata[i]->key, "encoding") == 0) {
            const ProtobufCBinaryData *value = &payload->metadata[i]->value;
            return value->len < 64 && flo_utf8_valid(value->data, value->len)
                       ? flo_arena_strndup(&page->arena, (const char *)value->data, value->len)
                       : NULL;
        }
    return NULL;
}

void flo_web_payload(struct flo_web_page *page, const FloApi__Payload *payload)
{
    json_t *value = NULL;
    struct flo_err err;
    struct flo_buf text;
    const char *encoding = encoding_of(page, payload);
    const bool json = encoding && strncmp(encoding, "json/", 5) == 0;
    flo_buf_init(&text, 0);
    if (json && !flo_payload_show(payload, &value, &err))
        (void)json_dump_callback(value, take_json, &text,
                                 JSON_ENCODE_ANY | JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    if (text.len > 0) {
        put_text(page, (const char *)text.data, text.len, payload->data.len);
    } else if (json && flo_utf8_valid(payload->data.data, payload->data.len)) {
        put_text(page, (const char *)payload->data.data, payload->data.len, payload->data.len);
    } else if (encoding && strcmp(encoding, "binary/null") == 0) {
        flo_html(page->out, "<pre>null</pre>");
    } else {
        flo_html(page->out, "<p class=\"note\">%s, ", encoding ? encoding : "no encoding");
        flo_html_bytes(page->out, (int64_t)payload->data.len);
        flo_html(page->out, "</p>");
    }
    flo_buf_fini(&text);
    json_decref(value);
}

void flo_web_payloads(struct flo_web_page *page, const FloApi__Payloads *payloads)
{
    if (!payloads || payloads->n_payloads == 0)
        flo_html(page->out, "<p class=\"note\">nothing</p>");
    for (size_t i = 0; payloads && i < payloads->n_payloads; i++)
        flo_web_payload(page, payloads->payloads[i]);
}

void flo_web_failure(struct flo_web_page *page, const FloApi__Failure *failure)
{
    for (int depth = 0; failure && depth < DEPTH_MAX; depth++, failure = failure->cause) {
        const char *type = NULL;
        if (failure->failure_info_case == FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO)
            type = failure->application_failure_info->type;
        flo_html(page->out, "<p class=\"failure\">%s", depth ? "caused by " : "");
        if (type && *type)
            flo_html(page->out, "<b>%s</b>: ", type);
        flo_html(page->out, "%s</p>", failure->message);
        if (failure->stack_trace && *failure->stack_trace) {
            flo_html(page->out, "<details><summary>stack trace</summary>");
            put_text(page, failure->stack_trace, strlen(failure->stack_trace),
                     strlen(failure->stack_trace));
            flo_html(page->out, "</details>");
        }
    }
}

/* ---- any message ---- */

static void put_message(struct flo_web_page *page, const ProtobufCMessage *message, int depth);

static bool is(const ProtobufCMessage *message, const ProtobufCMessageDescriptor *descriptor)
{
    return message->descriptor == descriptor;
}

static void put_submessage(struct flo_web_page *page, const ProtobufCMessage *message, int depth)
{
    if (is(message, &flo_api__payload__descriptor))
        flo_web_payload(page, (const FloApi__Payload *)message);
    else if (is(message, &flo_api__payloads__descriptor))
        flo_web_payloads(page, (const FloApi__Payloads *)message);
    else if (is(message, &google__protobuf__timestamp__descriptor))
        flo_html_time(page->out, flo_timestamp_ns((const Google__Protobuf__Timestamp *)message));
    else if (is(message, &google__protobuf__duration__descriptor))
        flo_html_duration(page->out, flo_duration_ns((const Google__Protobuf__Duration *)message));
    else if (depth < DEPTH_MAX)
        put_message(page, message, depth + 1);
}

static void put_enum(struct flo_web_page *page, const ProtobufCEnumDescriptor *descriptor,
                     int value)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(descriptor, value);
    if (known)
        flo_html(page->out, "%s", known->name);
    else
        flo_html(page->out, "%d", (int64_t)value);
}

static void put_double(struct flo_web_page *page, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.9g", value);
    flo_html(page->out, "%s", text);
}

/* One value of a field, which lies at `at`. */
static void put_value(struct flo_web_page *page, const ProtobufCFieldDescriptor *field,
                      const void *at, int depth)
{
    const ProtobufCBinaryData *bytes = at;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(const char *const *)at;
        flo_html(page->out, "<span class=\"id\">");
        flo_html_text(page->out, text,
                      strlen(text) > VALUE_MAX_BYTES
                          ? flo_utf8_cut(text, strlen(text), VALUE_MAX_BYTES)
                          : strlen(text));
        flo_html(page->out, "</span>");
        break;
    }
    case PROTOBUF_C_TYPE_BYTES:
        flo_html_bytes(page->out, (int64_t)bytes->len);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_submessage(page, *(const ProtobufCMessage *const *)at, depth);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(page, field->descriptor, *(const int *)at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        flo_html(page->out, *(const protobuf_c_boolean *)at ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        put_double(page, (double)*(const float *)at);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        put_double(page, *(const double *)at);
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        flo_html(page->out, "%d", (int64_t) * (const int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        flo_html(page->out, "%d", (int64_t) * (const uint32_t *)at);
        break;
    default: /* 64 bits */
        flo_html(page->out, "%d", *(const int64_t *)at);
        break;
    }
}

static size_t size_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
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

/* Does the field say something? */
static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    static const char zeros[sizeof(ProtobufCBinaryData)];
    const char *base = (const char *)message, *at = base + field->offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)(const void *)(base + field->quantifier_offset) > 0;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(const void *)(base + field->quantifier_offset) == field->id;
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(const char *const *)(const void *)at;
        return text && *text;
    }
    return memcmp(at, zeros, size_of(field->type)) != 0;
}

static void put_field(struct flo_web_page *page, const ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field, int depth)
{
    const char *at = (const char *)message + field->offset;
    flo_html(page->out, "<dt>%s</dt><dd>", field->name);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        const size_t count =
            *(const size_t *)(const void *)((const char *)message + field->quantifier_offset);
        const char *items = *(const char *const *)(const void *)at;
        for (size_t i = 0; i < count; i++) {
            flo_html(page->out, i ? "<br>" : "");
            put_value(page, field, items + i * size_of(field->type), depth);
        }
    } else {
        put_value(page, field, at, depth);
    }
    flo_html(page->out, "</dd>");
}

static void put_message(struct flo_web_page *page, const ProtobufCMessage *message, int depth)
{
    flo_html(page->out, "<dl>");
    for (unsigned i = 0; i < message->descriptor->n_fields; i++)
        if (is_set(message, &message->descriptor->fields[i]))
            put_field(page, message, &message->descriptor->fields[i], depth);
    flo_html(page->out, "</dl>");
}

void flo_web_message(struct flo_web_page *page, const ProtobufCMessage *message)
{
    put_message(page, message, 0);
}
