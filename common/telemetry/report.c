/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - the reporter: a timer, a DEALER socket, one JSON frame a second.
 *
 * Events and acknowledgements wait in a queue of their own (report_queue.c) and leave as soon as
 * the socket takes them; what comes down is read in report_command.c; the socket and its successors
 * are report_link.c's.
 *
 * ZMQ_IMMEDIATE keeps frames from being queued for a supervisor that is not there: a send without a
 * connection fails at once and is counted as dropped, so that a supervisor that comes back gets the
 * newest snapshot and not a backlog. When the socket becomes writable after a drop (the edge of its
 * descriptor), a fresh snapshot is sent without waiting for the timer.
 */
#include "telemetry/report.h"

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "telemetry/json_text.h"
#include "telemetry/log.h"
#include "telemetry/procstat.h"
#include "telemetry/report_internal.h"

#define AWAY_SNAPSHOTS 10 /* so many that nobody took are worth a line */
#define METRICS_MAX_BYTES (FLO_REPORT_MAX_BYTES - 64) /* where the frame may stand after them */
#define BUILD_MAX_BYTES ((size_t)1048576)             /* a family that is cut again included */

static const char *copy(struct flo_reporter *reporter, const char *text)
{
    char *twin = flo_strdup(text ? text : "");
    if (twin)
        reporter->strings[reporter->string_count++] = twin;
    return twin;
}

static bool copy_options(struct flo_reporter *reporter, const struct flo_report_options *options)
{
    struct flo_report_options *own = &reporter->options;
    *own = *options;
    own->secret_key_file = own->server_key_file = NULL;
    return (own->endpoint = copy(reporter, options->endpoint)) &&
           (own->identity = copy(reporter, options->identity)) &&
           (own->role = copy(reporter, options->role)) &&
           (own->name = copy(reporter, options->name)) &&
           (own->version = copy(reporter, options->version)) &&
           (own->server = copy(reporter, options->server)) &&
           (own->name_space = copy(reporter, options->name_space)) &&
           (own->task_queue = copy(reporter, options->task_queue)) &&
           (own->http_address = copy(reporter, options->http_address));
}

static void put_field(struct flo_buf *out, const char *key, const char *value)
{
    flo_buf_printf(out, ",\"%s\":", key);
    flo_json_append_string(out, value);
}

static void put_sample(struct flo_buf *out, const struct flo_report_sample *sample)
{
    flo_buf_printf(out, ",\"ready\":%s,\"done\":%llu,\"failed\":%llu,\"polls\":%u,\"slots\":[",
                   sample->ready ? "true" : "false", (unsigned long long)sample->tasks_done,
                   (unsigned long long)sample->tasks_failed, sample->polls);
    for (unsigned i = 0; i < sample->slot_count && i < FLO_REPORT_SLOT_KINDS; i++) {
        flo_buf_append_str(out, i ? ",{\"kind\":" : "{\"kind\":");
        flo_json_append_string(out, sample->slots[i].kind);
        flo_buf_printf(out, ",\"used\":%u,\"total\":%u}", sample->slots[i].used,
                       sample->slots[i].total);
    }
    flo_buf_append_str(out, "]");
}

static int build(struct flo_reporter *reporter, struct flo_buf *out)
{
    const struct flo_report_options *o = &reporter->options;
    struct flo_report_sample sample = {.ready = true};
    if (o->sample)
        o->sample(o->sample_ctx, &sample);
    struct flo_procstat stat = {0};
    (void)!flo_procstat_read(0, &stat); /* zeros are shown when /proc is not there */

    flo_buf_printf(out, "{\"v\":%d,\"type\":\"snapshot\",\"boot\":\"%s\",\"seq\":%llu",
                   FLO_REPORT_VERSION, reporter->boot_id, (unsigned long long)reporter->seq);
    put_field(out, "identity", o->identity);
    put_field(out, "role", o->role);
    put_field(out, "name", o->name);
    put_field(out, "version", o->version);
    put_field(out, "server", o->server);
    put_field(out, "namespace", o->name_space);
    put_field(out, "task_queue", o->task_queue);
    put_field(out, "http", o->http_address);
    put_field(out, "state",
              reporter->stopped ? "stopped"
              : sample.draining ? "draining"
              : sample.quiet    ? "quiet"
                                : "running");
    flo_buf_printf(out, ",\"pid\":%d,\"started_ms\":%lld,\"cpu_ms\":%.0f,\"rss_bytes\":%llu",
                   (int)getpid(), (long long)reporter->started_ms, stat.cpu_seconds * 1e3,
                   (unsigned long long)stat.resident_bytes);
    flo_buf_printf(out, ",\"threads\":%lld", (long long)stat.threads);
    put_sample(out, &sample);
    flo_buf_append_str(out, ",\"metrics\":");
    size_t left_out = 0;
    if (!o->metrics)
        flo_buf_append_str(out, "[]");
    else if (flo_metrics_render_json(o->metrics, METRICS_MAX_BYTES, out, &left_out))
        return FLO_ENOMEM;
    flo_buf_printf(out, ",\"left_out\":%zu}", left_out);
    return out->failed ? FLO_ENOMEM : 0;
}

/* Once when nobody has taken reports for a while, and once when somebody does again. */
static void note(struct flo_reporter *reporter, bool sent)
{
    const char *endpoint = reporter->options.endpoint;
    const int64_t now_ms = flo_clock_mono_ns() / FLO_NS_PER_MS;
    const bool told = reporter->drops >= AWAY_SNAPSHOTS;
    if (sent) {
        reporter->drops = 0;
        if (told)
            flo_log(FLO_LOG_INFO, "supervisor.back", "The supervisor takes reports again",
                    "endpoint", endpoint, "#away_ms", FLO_NUM(now_ms - reporter->away_ms), NULL);
        return;
    }
    if (reporter->drops == 0)
        reporter->away_ms = now_ms;
    if (!told && ++reporter->drops == AWAY_SNAPSHOTS)
        flo_log(FLO_LOG_WARN, "supervisor.away",
                "The supervisor takes no reports; work goes on without it", "endpoint", endpoint,
                NULL);
}

void flo_reporter_send(struct flo_reporter *reporter)
{
    struct flo_buf frame;
    flo_buf_init(&frame, BUILD_MAX_BYTES);
    reporter->seq++;
    int sent = -1;
    if (build(reporter, &frame) == 0 && frame.len <= FLO_REPORT_MAX_BYTES)
        sent = reporter->zmq->send(reporter->link.sock, frame.data, frame.len, ZMQ_DONTWAIT);
    flo_buf_fini(&frame);
    reporter->dropped = sent < 0;
    if (!reporter->stopped)
        note(reporter, sent >= 0);
    if (sent >= 0)
        flo_report_queue_flush(reporter);
    flo_series_inc(flo_metrics_get(reporter->options.metrics,
                                   sent < 0 ? FLO_METRIC_REPORTS_DROPPED : FLO_METRIC_REPORTS_SENT,
                                   NULL));
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flo_report_link_age(ctx);
    flo_reporter_send(ctx);
    flo_report_link_leave(ctx);
    flo_report_receive(ctx); /* the send may have taken the descriptor's edge */
}

void flo_report_on_edge(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_reporter *reporter = ctx;
    (void)fd;
    (void)what;
    flo_report_receive(reporter);
    if ((reporter->dropped || reporter->queue.count) && flo_report_link_writable(reporter)) {
        if (reporter->dropped)
            flo_reporter_send(reporter);
        flo_report_queue_flush(reporter);
    }
    flo_report_receive(reporter); /* as above */
}

int flo_reporter_new(struct event_base *base, const struct flo_report_options *options,
                     struct flo_reporter **out, struct flo_err *err)
{
    int rc = FLO_ENOMEM;
    struct flo_reporter *reporter = flo_calloc(1, sizeof *reporter);
    if (!reporter || !copy_options(reporter, options)) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the reporter");
        goto out;
    }
    flo_rng_seed(&reporter->rng, flo_random_u64());
    flo_rng_uuid4(&reporter->rng, reporter->boot_id);
    reporter->started_ms = flo_clock_wall_ns() / FLO_NS_PER_MS;
    reporter->base = base;
    rc = flo_report_link_init(reporter, options, err);
    if (rc)
        goto out;
    int64_t interval_ms = options->interval_ms > 0 ? options->interval_ms : 1000;
    const struct timeval interval = {.tv_sec = interval_ms / 1000,
                                     .tv_usec = (interval_ms % 1000) * 1000};
    reporter->timer = event_new(base, -1, EV_PERSIST, on_timer, reporter);
    if (!reporter->timer || event_add(reporter->timer, &interval)) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the reporter's events");
        goto out;
    }
    flo_reporter_send(reporter);
    *out = reporter;
    reporter = NULL;
out:
    flo_reporter_destroy(&reporter);
    return rc;
}

void flo_reporter_destroy(struct flo_reporter **reporter)
{
    struct flo_reporter *self = *reporter;
    if (!self)
        return;
    if (self->timer)
        event_free(self->timer);
    if (self->link.sock) {
        self->stopped = true;
        flo_reporter_send(self);
    }
    flo_report_link_fini(self);
    flo_report_queue_fini(&self->queue);
    for (size_t i = 0; i < self->string_count; i++)
        flo_free(self->strings[i]);
    flo_free(self);
    *reporter = NULL;
}
