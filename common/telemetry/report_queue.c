/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_queue.c - events and acknowledgements on their way to the supervisor.
 *
 * Both go at most once. They wait while there is no connection, bounded in number and in bytes; the
 * oldest make room. An event takes its number before it is known whether there is room for it, so
 * that the supervisor sees from the gap how many it never got.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "telemetry/json_text.h"
#include "telemetry/log.h"
#include "telemetry/report_internal.h"

#define QUEUE_MAX_BYTES ((size_t)262144)
#define EVENT_MESSAGE_MAX 512
#define EVENT_FIELDS_MAX 4096
#define ACK_MESSAGE_MAX 1024
#define BURST_SECONDS 3

static void count_dropped(struct flo_reporter *reporter)
{
    flo_series_inc(
        flo_metrics_get(reporter->options.metrics, FLO_METRIC_REPORT_EVENTS_DROPPED, NULL));
}

static void drop_oldest(struct flo_report_queue *queue)
{
    flo_free(queue->frames[queue->first].data);
    queue->bytes -= queue->frames[queue->first].len;
    queue->first = (queue->first + 1) % FLO_REPORT_QUEUE;
    queue->count--;
}

void flo_report_queue_fini(struct flo_report_queue *queue)
{
    while (queue->count)
        drop_oldest(queue);
}

void flo_report_queue_flush(struct flo_reporter *reporter)
{
    struct flo_report_queue *queue = &reporter->queue;
    if (reporter->dropped)
        return; /* a connection begins with a snapshot: before it the supervisor knows us not */
    while (queue->count && reporter->link.sock &&
           reporter->zmq->send(reporter->link.sock, queue->frames[queue->first].data,
                               queue->frames[queue->first].len, ZMQ_DONTWAIT) >= 0)
        drop_oldest(queue);
}

/* Takes the content of frame. */
static void enqueue(struct flo_reporter *reporter, struct flo_buf *frame)
{
    struct flo_report_queue *queue = &reporter->queue;
    size_t len = 0;
    uint8_t *data = frame->failed ? NULL : flo_buf_take(frame, &len);
    flo_buf_fini(frame);
    if (!data) {
        count_dropped(reporter);
        return;
    }
    while (queue->count &&
           (queue->count == FLO_REPORT_QUEUE || queue->bytes + len > QUEUE_MAX_BYTES)) {
        drop_oldest(queue);
        count_dropped(reporter);
    }
    size_t at = (queue->first + queue->count) % FLO_REPORT_QUEUE;
    queue->frames[at].data = data;
    queue->frames[at].len = len;
    queue->count++;
    queue->bytes += len;
    flo_report_queue_flush(reporter);
}

/* At most max bytes of text as a JSON member; NULL counts as "". */
static void put_text(struct flo_buf *out, const char *key, const char *text, size_t max)
{
    char *cut = NULL;
    size_t len = text ? strnlen(text, max + 1) : 0;
    if (len > max) {
        for (len = max; len && ((unsigned char)text[len] & 0xC0) == 0x80;)
            len--; /* not within a character */
        cut = flo_strndup(text, len);
    }
    flo_buf_printf(out, ",\"%s\":", key);
    flo_json_append_string(out, cut ? cut : text && len <= max ? text : "");
    flo_free(cut);
}

/* value as a member of at most max bytes. False: too long, nothing was put. */
static bool put_json(struct flo_buf *out, const char *key, const json_t *value, size_t max)
{
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    size_t len = json_dumpb(value, NULL, 0, flags), before = out->len;
    if (!len || len > max)
        return false;
    flo_buf_printf(out, ",\"%s\":", key);
    uint8_t *place = flo_buf_reserve(out, len);
    if (!place) {
        out->len = before;
        return false;
    }
    out->len += json_dumpb(value, (char *)place, len, flags);
    return true;
}

static bool may_send_event(struct flo_reporter *reporter)
{
    const double most = (double)FLO_REPORT_EVENTS_A_SECOND * BURST_SECONDS;
    int64_t now = flo_clock_mono_ns() / FLO_NS_PER_MS;
    double tokens = reporter->tokens +
                    (double)(now - reporter->tokens_ms) * FLO_REPORT_EVENTS_A_SECOND / 1000.0;
    if (!reporter->tokens_ms || tokens > most)
        tokens = most;
    reporter->tokens_ms = now;
    reporter->tokens = tokens < 1 ? tokens : tokens - 1;
    return tokens >= 1;
}

void flo_reporter_event(struct flo_reporter *reporter, enum flo_log_level level, const char *kind,
                        const char *message, json_t *fields)
{
    struct flo_buf frame;
    if (!reporter) {
        json_decref(fields);
        return;
    }
    reporter->event_seq++;
    if (!may_send_event(reporter)) {
        count_dropped(reporter);
        json_decref(fields);
        return;
    }
    const struct flo_report_options *o = &reporter->options;
    flo_buf_init(&frame, FLO_REPORT_MAX_BYTES);
    flo_buf_printf(&frame,
                   "{\"v\":%d,\"type\":\"event\",\"boot\":\"%s\",\"seq\":%llu,\"ts_ms\":%lld",
                   FLO_REPORT_VERSION, reporter->boot_id, (unsigned long long)reporter->event_seq,
                   (long long)(flo_clock_wall_ns() / FLO_NS_PER_MS));
    put_text(&frame, "identity", o->identity, 255);
    put_text(&frame, "role", o->role, 32);
    put_text(&frame, "name", o->name, 255);
    put_text(&frame, "level", flo_log_level_name(level < FLO_LOG_INFO ? FLO_LOG_INFO : level), 8);
    put_text(&frame, "kind", kind, 64);
    put_text(&frame, "message", message, EVENT_MESSAGE_MAX);
    if (json_is_object(fields))
        (void)put_json(&frame, "fields", fields, EVENT_FIELDS_MAX);
    flo_buf_append_str(&frame, "}");
    json_decref(fields);
    enqueue(reporter, &frame);
}

void flo_reporter_ack(struct flo_reporter *reporter, uint64_t id, bool ok, const char *message,
                      json_t *data)
{
    struct flo_buf answer, frame;
    bool too_long = false;
    if (!reporter) {
        json_decref(data);
        return;
    }
    flo_buf_init(&answer, FLO_REPORT_MAX_BYTES);
    if (data)
        too_long = !put_json(&answer, "data", data, FLO_REPORT_MAX_BYTES - 4096);
    json_decref(data);
    flo_buf_init(&frame, FLO_REPORT_MAX_BYTES);
    flo_buf_printf(&frame, "{\"v\":%d,\"type\":\"ack\",\"boot\":\"%s\",\"id\":%llu,\"ok\":%s",
                   FLO_REPORT_VERSION, reporter->boot_id, (unsigned long long)id,
                   ok && !too_long ? "true" : "false");
    put_text(&frame, "message", too_long ? "the answer is too long for one frame" : message,
             ACK_MESSAGE_MAX);
    if (!too_long && answer.len)
        flo_buf_append(&frame, answer.data, answer.len);
    flo_buf_append_str(&frame, "}");
    flo_buf_fini(&answer);
    enqueue(reporter, &frame);
}
