/* SPDX-License-Identifier: Apache-2.0 */
/* engine_text.c - messages and histories as text that tests compare. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "support/engine_internal.h"
#include "wire/payload.h"

/* ---- messages as text ---- */

/* Fields that differ from run to run. */
static bool left_out(const char *name)
{
    static const char *const names[] = {"identity",
                                        "request_id",
                                        "original_execution_run_id",
                                        "first_execution_run_id",
                                        "new_execution_run_id",
                                        "continued_execution_run_id",
                                        "namespace_id",
                                        "parent_workflow_namespace_id",
                                        "run_id",
                                        "history_size_bytes",
                                        "workflow_id",
                                        "stack_trace",
                                        "worker_version",
                                        "workflow_execution_expiration_time"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void write_message(const ProtobufCMessage *message, struct flo_buf *out);

static bool is_type(const ProtobufCFieldDescriptor *field, const char *name)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE &&
           strcmp(((const ProtobufCMessageDescriptor *)field->descriptor)->short_name, name) == 0;
}

static void write_payloads(const FloApi__Payloads *payloads, struct flo_buf *out)
{
    for (size_t i = 0; i < payloads->n_payloads; i++) {
        if (i)
            flo_buf_append_str(out, ",");
        flo_buf_append(out, payloads->payloads[i]->data.data, payloads->payloads[i]->data.len);
    }
}

static void write_submessage(const ProtobufCFieldDescriptor *field, const void *message,
                             struct flo_buf *out)
{
    if (is_type(field, "Duration")) {
        flo_buf_printf(out, "%s=%gs", field->name,
                       (double)flo_duration_ns(message) / (double)FLO_NS_PER_S);
    } else if (is_type(field, "Payloads")) {
        flo_buf_printf(out, "%s=", field->name);
        write_payloads(message, out);
    } else if (is_type(field, "TaskQueue")) {
        static const char *const kinds[] = {"?", "NORMAL", "STICKY"};
        flo_buf_printf(out, "%s=%s", field->name,
                       kinds[((const FloApi__TaskQueue *)message)->kind % 3]);
    } else {
        flo_buf_printf(out, "%s(", field->name);
        write_message(message, out);
        flo_buf_append_str(out, ")");
    }
}

/* A field that is set; false when it is not. */
static bool write_scalar(const ProtobufCFieldDescriptor *field, const void *at, struct flo_buf *out)
{
    const ProtobufCEnumValue *value;
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        if (!*(const protobuf_c_boolean *)at)
            return false;
        flo_buf_printf(out, "%s=True", field->name);
        return true;
    case PROTOBUF_C_TYPE_ENUM:
        if (!*(const int *)at)
            return false;
        value = protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)at);
        flo_buf_printf(out, "%s=%s", field->name, value ? value->name : "?");
        return true;
    case PROTOBUF_C_TYPE_INT64:
        if (!*(const int64_t *)at)
            return false;
        flo_buf_printf(out, "%s=%" PRId64, field->name, *(const int64_t *)at);
        return true;
    case PROTOBUF_C_TYPE_INT32:
        if (!*(const int32_t *)at)
            return false;
        flo_buf_printf(out, "%s=%" PRId32, field->name, *(const int32_t *)at);
        return true;
    case PROTOBUF_C_TYPE_DOUBLE: {
        const double number = *(const double *)at;
        if (number == 0)
            return false;
        flo_buf_printf(out, number == (double)(int64_t)number ? "%s=%.1f" : "%s=%g", field->name,
                       number);
        return true;
    }
    case PROTOBUF_C_TYPE_STRING:
        if (!*(char *const *)at || !**(char *const *)at)
            return false;
        flo_buf_printf(out, "%s=%s", field->name, *(char *const *)at);
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        if (!((const ProtobufCBinaryData *)at)->len)
            return false;
        flo_buf_printf(out, "%s=[%zu]", field->name, ((const ProtobufCBinaryData *)at)->len);
        return true;
    default:
        return false;
    }
}

static bool write_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                        struct flo_buf *out)
{
    const uint8_t *base = (const uint8_t *)message;
    const void *at = base + field->offset;
    if (left_out(field->name) || is_type(field, "Timestamp"))
        return false;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        const size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
        if (count)
            flo_buf_printf(out, "%s=[%zu]", field->name, count);
        return count > 0;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(const uint32_t *)(const void *)(base + field->quantifier_offset) != field->id)
        return false;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return write_scalar(field, at, out);
    const ProtobufCMessage *sub = *(ProtobufCMessage *const *)at;
    if (sub)
        write_submessage(field, sub, out);
    return sub != NULL;
}

static void write_message(const ProtobufCMessage *message, struct flo_buf *out)
{
    bool first = true;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const size_t before = out->len;
        if (!first)
            flo_buf_append_str(out, " ");
        if (write_field(message, &message->descriptor->fields[i], out))
            first = false;
        else
            out->len = before;
    }
}

static const char *keep(struct engine *engine, struct flo_buf *out)
{
    const char *text = engine_dup_text(engine, flo_buf_cstr(out));
    flo_buf_fini(out);
    return text;
}

const char *engine_text(struct engine *engine, const ProtobufCMessage *message)
{
    struct flo_buf out;
    flo_buf_init(&out, 0);
    write_message(message, &out);
    return keep(engine, &out);
}

/* ---- histories ---- */

static const char *event_name(const FloApi__HistoryEvent *event)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &flo_api__event_type__descriptor, (int)event->event_type);
    return value ? value->name + strlen("EVENT_TYPE_") : "?";
}

/* The attributes are the one member of the oneof that is set. */
static const ProtobufCMessage *attributes_of(const FloApi__HistoryEvent *event)
{
    const ProtobufCMessageDescriptor *type = event->base.descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            field->id == (uint32_t)event->attributes_case)
            return *(ProtobufCMessage *const *)(const void *)((const uint8_t *)event +
                                                              field->offset);
    }
    return NULL;
}

static FloApi__GetWorkflowExecutionHistoryResponse *read_history(struct engine *engine,
                                                                 const char *workflow_id,
                                                                 const char *run_id)
{
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    request.namespace_ = "default";
    request.execution = engine_run(engine, workflow_id, run_id);
    return engine_do(engine, "GetWorkflowExecutionHistory", &request.base);
}

const char *engine_history_of(struct engine *engine, const char *workflow_id, const char *run_id)
{
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        read_history(engine, workflow_id, run_id);
    struct flo_buf out;
    int64_t before_ns = 0;
    flo_buf_init(&out, 0);
    for (size_t i = 0; response->history && i < response->history->n_events; i++) {
        const FloApi__HistoryEvent *event = response->history->events[i];
        const ProtobufCMessage *attributes = attributes_of(event);
        const int64_t time_ns = flo_timestamp_ns(event->event_time);
        flo_buf_printf(&out, "%" PRId64 " %s%s ", event->event_id, event_name(event),
                       time_ns < before_ns ? " (earlier)" : "");
        before_ns = time_ns;
        if (attributes)
            write_message(attributes, &out);
        flo_buf_append_str(&out, "\n");
    }
    return keep(engine, &out);
}

const char *engine_history(struct engine *engine, const char *workflow_id)
{
    return engine_history_of(engine, workflow_id, NULL);
}

const char *engine_event_names(struct engine *engine, const char *workflow_id)
{
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        read_history(engine, workflow_id, NULL);
    struct flo_buf out;
    flo_buf_init(&out, 0);
    for (size_t i = 0; response->history && i < response->history->n_events; i++) {
        const FloApi__HistoryEvent *event = response->history->events[i];
        const char *name = event_name(event);
        if (strncmp(name, "WORKFLOW_", strlen("WORKFLOW_")) == 0)
            name += strlen("WORKFLOW_");
        flo_buf_printf(&out, "%s%" PRId64 " %s", i ? ", " : "", event->event_id, name);
    }
    return keep(engine, &out);
}
