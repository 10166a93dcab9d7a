/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_encode.c - spans, attributes and the resource in OTLP's JSON form. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "telemetry/json_text.h"
#include "telemetry/otlp_internal.h"

#define HOST_MAX 256

void flo_otlp_put_attribute(struct flo_buf *out, bool first, const char *key, const char *value)
{
    flo_buf_append_str(out, first ? "{\"key\":" : ",{\"key\":");
    flo_json_append_string(out, key);
    flo_buf_append_str(out, ",\"value\":{\"stringValue\":");
    flo_json_append_string(out, value);
    flo_buf_append_str(out, "}}");
}

static const char *first_of(const char *a, const char *b, const char *c)
{
    if (a && *a)
        return a;
    return b && *b ? b : c;
}

void flo_otlp_put_resource(struct flo_buf *out, const struct flo_otlp_options *o,
                           const struct flo_pairs *more)
{
    char host[HOST_MAX] = "", pid[16];
    const struct flo_pair own[] = {
        {"service.name", NULL},
        {"service.instance.id", NULL},
        {"service.version", NULL},
        {"host.name", host},
        {"process.pid", pid},
        {"telemetry.sdk.name", NULL},
        {"telemetry.sdk.language", NULL},
        {"telemetry.sdk.version", NULL},
    };
    const size_t count = sizeof own / sizeof *own;
    const char *values[] = {first_of(o->service, flo_pairs_get(more, "service.name"), o->program),
                            o->instance,
                            o->version,
                            host,
                            NULL,
                            "flotilla",
                            "c",
                            o->version};

    if (gethostname(host, sizeof host - 1))
        host[0] = '\0';
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    flo_buf_append_str(out, "{\"attributes\":[");
    for (size_t i = 0; i < count; i++) {
        const char *said =
            i ? flo_pairs_get(more, own[i].key) : NULL; /* the user's word goes first */
        if (strcmp(own[i].key, "process.pid") == 0)
            flo_buf_printf(out, ",{\"key\":\"process.pid\",\"value\":{\"intValue\":\"%s\"}}", pid);
        else
            flo_otlp_put_attribute(out, i == 0, own[i].key,
                                   said ? said : first_of(values[i], "", ""));
    }
    for (size_t i = 0; i < more->count; i++) {
        bool ours = false;
        for (size_t k = 0; k < count; k++)
            ours = ours || strcmp(own[k].key, more->items[i].key) == 0;
        if (!ours)
            flo_otlp_put_attribute(out, false, more->items[i].key, more->items[i].value);
    }
    flo_buf_append_str(out, "]}");
}

static void put_id(struct flo_buf *out, const char *before, const uint8_t *id, size_t len)
{
    char hex[2 * FLO_TRACE_ID_BYTES + 1];

    flo_hex_write(id, len, hex);
    flo_buf_append_str(out, before);
    flo_buf_append(out, hex, 2 * len);
}

/* An exception event, as the semantic conventions name its parts. */
static void put_exception(struct flo_buf *out, const struct flo_otlp_span *span)
{
    flo_buf_printf(out,
                   ",\"events\":[{\"timeUnixNano\":\"%" PRId64
                   "\",\"name\":\"exception\",\"attributes\":[",
                   span->end_ns);
    flo_otlp_put_attribute(out, true, "exception.type", span->error_type);
    flo_otlp_put_attribute(out, false, "exception.message", span->error);
    flo_buf_append_str(out, "]}]");
}

static void put_link(struct flo_buf *out, const struct flo_trace_context *link)
{
    put_id(out, ",\"links\":[{\"traceId\":\"", link->trace_id, sizeof link->trace_id);
    put_id(out, "\",\"spanId\":\"", link->span_id, sizeof link->span_id);
    flo_buf_append_str(out, "\"}]");
}

/* verb:what, escaped as a whole. */
static void put_name(struct flo_buf *out, const struct flo_otlp_span *span)
{
    flo_buf_printf(out, "\"%s:", span->verb);
    size_t quote = out->len;
    flo_json_append_string(out, span->what);
    if (!out->failed) { /* its opening quote goes */
        memmove(out->data + quote, out->data + quote + 1, out->len - quote - 1);
        out->len--;
    }
}

void flo_otlp_put_span(struct flo_buf *out, const struct flo_otlp_span *span)
{
    const struct flo_trace_context *c = &span->context;

    put_id(out, "{\"traceId\":\"", c->trace_id, sizeof c->trace_id);
    put_id(out, "\",\"spanId\":\"", c->span_id, sizeof c->span_id);
    if (span->parent_id)
        put_id(out, "\",\"parentSpanId\":\"", span->parent_id, FLO_SPAN_ID_BYTES);
    flo_buf_append_str(out, "\"");
    if (span->tracestate && *span->tracestate) {
        flo_buf_append_str(out, ",\"traceState\":");
        flo_json_append_string(out, span->tracestate);
    }
    flo_buf_printf(out,
                   ",\"flags\":%u,\"kind\":%d,\"startTimeUnixNano\":\"%" PRId64
                   "\",\"endTimeUnixNano\":\"%" PRId64 "\",\"name\":",
                   c->flags, (int)span->kind, span->start_ns,
                   span->end_ns < span->start_ns ? span->start_ns : span->end_ns);
    put_name(out, span);
    flo_buf_append_str(out, ",\"attributes\":[");
    for (size_t i = 0; i < span->attribute_count; i++)
        flo_otlp_put_attribute(out, i == 0, span->attributes[i].key, span->attributes[i].value);
    flo_buf_append_str(out, "]");
    if (span->error && span->error_type)
        put_exception(out, span);
    if (span->link)
        put_link(out, span->link);
    if (span->error) {
        flo_buf_append_str(out, ",\"status\":{\"code\":2,\"message\":");
        flo_json_append_string(out, span->error);
        flo_buf_append_str(out, "}");
    }
    flo_buf_append_str(out, "}");
}
