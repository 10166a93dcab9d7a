/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otlp.c - what is sent when: the batches of spans, the metrics, pauses after failures, the end.
 *
 * Each signal has one sender, which is in one of these states:
 *
 *   idle      nothing to send (spans), or the interval runs (metrics)
 *   waiting   timer: the spans' delay, the metrics' interval, or the pause after a failure
 *   sending   post
 *
 * Batches are a ring: spans are put into the one at `tail`, the one at `head` is sent. A batch that
 * is being sent, or was and is to be sent again, gets no more spans.
 */
#include "telemetry/otlp.h"

#include <event2/buffer.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "telemetry/json_text.h"
#include "telemetry/log.h"
#include "telemetry/otlp_internal.h"

#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS 30000
#define METRICS_MAX_BYTES ((size_t)16 << 20)

struct batch {
    struct flo_buf spans; /* of JSON, commas between them */
    size_t count;
    int64_t first_try_ns; /* monotonic; 0: not tried yet, takes more spans */
};

enum signal { METRICS, TRACES, SIGNALS };
static const char *const NAMES[] = {"metrics", "traces"};

struct sender {
    struct flo_otlp *otlp;
    enum signal signal;
    bool on;
    struct flo_otlp_peer peer;
    struct event *timer;
    struct flo_otlp_post *post; /* NULL: not sending */
    int64_t pause_ms;           /* the last one; 0: the last try went well */
    bool away;                  /* and that has been said */
    bool over;                  /* finishing: there is nothing more to send */
};

struct flo_otlp {
    struct event_base *base;
    struct evdns_base *dns;
    struct flo_otlp_tls *tls;
    struct flo_pairs headers;
    struct sender senders[SIGNALS];
    struct batch batches[FLO_OTLP_BATCHES];
    size_t head, tail; /* equal: one batch at most has spans */
    char *agent, *resource, *scope;
    struct flo_metrics *metrics;
    int64_t interval_ms, delay_ms, patience_ms, start_ns;
    struct flo_rng rng;
    /* the end */
    bool finishing;
    struct event *limit;
    void (*done)(void *ctx);
    void *done_ctx;
};

static void send_now(struct sender *sender);
static void finish_look(struct flo_otlp *otlp);

static struct batch *head_of(struct flo_otlp *otlp)
{
    return &otlp->batches[otlp->head];
}

static void arm(struct event *timer, int64_t ms)
{
    const struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    event_add(timer, &delay);
}

static void count(struct sender *sender, const char *outcome)
{
    flo_series_inc(flo_metrics_get(sender->otlp->metrics, FLO_METRIC_OTLP_REQUESTS,
                                   NAMES[sender->signal], outcome, NULL));
}

static void count_spans(struct flo_otlp *otlp, const char *outcome, size_t spans)
{
    flo_series_add(flo_metrics_get(otlp->metrics, FLO_METRIC_OTLP_SPANS, outcome, NULL),
                   (double)spans);
}

/* ---- spans ---- */

bool flo_otlp_traces(const struct flo_otlp *otlp)
{
    return otlp && otlp->senders[TRACES].on;
}

static bool takes_more(const struct batch *batch)
{
    return batch->first_try_ns == 0 && batch->count < FLO_OTLP_BATCH_SPANS;
}

/* Put it at the end of the batch at the tail. False: it does not fit. */
static bool put(struct flo_otlp *otlp, const struct flo_otlp_span *span)
{
    struct batch *batch = &otlp->batches[otlp->tail];
    size_t before = batch->spans.len;

    if (!takes_more(batch))
        return false;
    flo_buf_append_str(&batch->spans, batch->count ? "," : "");
    flo_otlp_put_span(&batch->spans, span);
    if (batch->spans.failed) {
        batch->spans.len = before;
        batch->spans.failed = false;
        return false;
    }
    batch->count++;
    return true;
}

void flo_otlp_record(struct flo_otlp *otlp, const struct flo_otlp_span *span)
{
    struct sender *sender = &otlp->senders[TRACES];
    size_t next = (otlp->tail + 1) % FLO_OTLP_BATCHES;

    if (!sender->on)
        return;
    if (!put(otlp, span)) {
        if (next == otlp->head || otlp->batches[otlp->tail].count == 0) {
            count_spans(otlp, "queue_full", 1); /* or it is too large by itself */
            return;
        }
        otlp->tail = next;
        if (!put(otlp, span)) {
            count_spans(otlp, "queue_full", 1);
            return;
        }
    }
    if (sender->post || sender->pause_ms || otlp->finishing)
        return;
    if (!takes_more(head_of(otlp)))
        send_now(sender);
    else if (!event_pending(sender->timer, EV_TIMEOUT, NULL))
        arm(sender->timer, otlp->delay_ms);
}

/* The batch at the head is done with. */
static void batch_over(struct flo_otlp *otlp, const char *outcome)
{
    struct batch *batch = head_of(otlp);

    count_spans(otlp, outcome, batch->count);
    batch->count = 0;
    batch->first_try_ns = 0;
    flo_buf_fini(&batch->spans); /* a worker that is idle again keeps nothing */
    flo_buf_init(&batch->spans, FLO_OTLP_BATCH_BYTES);
    if (otlp->head != otlp->tail)
        otlp->head = (otlp->head + 1) % FLO_OTLP_BATCHES;
}

/* ---- bodies ---- */

static int put_text(struct evbuffer *body, const char *text)
{
    return evbuffer_add(body, text, strlen(text));
}

static int spans_body(struct flo_otlp *otlp, struct evbuffer *body)
{
    struct batch *batch = head_of(otlp);
    int rc = evbuffer_add_printf(body,
                                 "{\"resourceSpans\":[{\"resource\":%s,\"scopeSpans\":[{%s,"
                                 "\"spans\":[",
                                 otlp->resource, otlp->scope) < 0;

    if (batch->first_try_ns == 0)
        batch->first_try_ns = flo_clock_mono_ns();
    rc |= evbuffer_add(body, batch->spans.data, batch->spans.len);
    rc |= put_text(body, "]}]}]}");
    return rc ? FLO_ENOMEM : 0;
}

static int metrics_body(struct flo_otlp *otlp, struct evbuffer *body)
{
    struct flo_buf text;
    int rc;

    flo_buf_init(&text, METRICS_MAX_BYTES);
    flo_buf_printf(&text,
                   "{\"resourceMetrics\":[{\"resource\":%s,\"scopeMetrics\":[{%s,\"metrics\":[",
                   otlp->resource, otlp->scope);
    rc = flo_otlp_put_metrics(&text, otlp->metrics, otlp->start_ns, flo_clock_wall_ns());
    flo_buf_append_str(&text, "]}]}]}");
    if (!rc && (text.failed || evbuffer_add(body, text.data, text.len)))
        rc = FLO_ENOMEM;
    flo_buf_fini(&text);
    return rc;
}

/* ---- sending ---- */

/* 200 may say that a part was not taken, and why. */
static void read_partial(struct sender *sender, const char *body)
{
    const char *key = sender->signal == TRACES ? "rejectedSpans" : "rejectedDataPoints";
    json_t *answer = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    const json_t *partial = json_object_get(answer, "partialSuccess");
    const json_t *rejected = json_object_get(partial, key);
    const char *why = json_string_value(json_object_get(partial, "errorMessage"));
    /* int64 is a string in protobuf's JSON; collectors write numbers, too. */
    const char *number = json_string_value(rejected);
    double refused = number ? strtod(number, NULL) : json_number_value(rejected);

    if (refused > 0 || (why && *why))
        flo_log(FLO_LOG_WARN, "otlp.partial", "The collector took not all that was exported",
                "signal", NAMES[sender->signal], "reason", why ? why : "", "#rejected",
                FLO_NUM(refused), NULL);
    count(sender, refused > 0 ? "partial" : "ok");
    json_decref(answer);
}

static bool worth_retrying(int status)
{
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

/* When next, after all went well or there is nothing to be done about it. */
static void rest(struct sender *sender)
{
    struct flo_otlp *otlp = sender->otlp;

    sender->pause_ms = 0;
    if (sender->signal == METRICS)
        arm(sender->timer, otlp->interval_ms);
    else if (head_of(otlp)->count > 0 && !takes_more(head_of(otlp)))
        send_now(sender);
    else if (head_of(otlp)->count > 0)
        arm(sender->timer, otlp->delay_ms);
}

static void say_away(struct sender *sender, const struct flo_otlp_reply *reply)
{
    if (!sender->away)
        flo_log(FLO_LOG_WARN, "otlp.unreachable", "The collector takes nothing for now", "signal",
                NAMES[sender->signal], "collector", sender->peer.url.authority, "reason",
                reply->status ? "" : reply->reason, "#status", FLO_NUM(reply->status), NULL);
    sender->away = true;
}

/* Once more, later: what is sent then is the same batch, but metrics as they are then. */
static void try_again(struct sender *sender, const struct flo_otlp_reply *reply)
{
    struct flo_otlp *otlp = sender->otlp;
    const struct batch *batch = head_of(otlp);
    int64_t tried_ms = (flo_clock_mono_ns() - batch->first_try_ns) / FLO_NS_PER_MS;
    int64_t pause_ms;

    say_away(sender, reply);
    count(sender, "unavailable");
    if (sender->signal == TRACES && tried_ms >= otlp->patience_ms)
        batch_over(otlp, "undelivered");
    sender->pause_ms = sender->pause_ms ? sender->pause_ms * 2 : PAUSE_FIRST_MS;
    if (sender->pause_ms > PAUSE_MAX_MS)
        sender->pause_ms = PAUSE_MAX_MS;
    /* Not all workers of a fleet at the same moment. */
    pause_ms = sender->pause_ms / 2 +
               (int64_t)flo_rng_below(&otlp->rng, (uint64_t)sender->pause_ms / 2 + 1);
    arm(sender->timer, reply->retry_ms > pause_ms ? reply->retry_ms : pause_ms);
}

static void refused(struct sender *sender, const struct flo_otlp_reply *reply)
{
    const char *path = sender->peer.url.path;
    char start[256];      /* of what the collector says */
    char shown_path[256]; /* without the query, which may have a key in it */

    snprintf(shown_path, sizeof shown_path, "%.*s", (int)strcspn(path, "?"), path);
    snprintf(start, sizeof start, "%s", reply->body);
    flo_log(FLO_LOG_ERROR, "otlp.refused", "The collector refuses what is exported", "signal",
            NAMES[sender->signal], "collector", sender->peer.url.authority, "path", shown_path,
            "reason", start, "#status", FLO_NUM(reply->status), NULL);
    count(sender, "refused");
    if (sender->signal == TRACES)
        batch_over(sender->otlp, "refused");
    rest(sender);
}

static void taken(struct sender *sender, const struct flo_otlp_reply *reply)
{
    if (sender->away)
        flo_log(FLO_LOG_INFO, "otlp.recovered", "The collector takes what is exported again",
                "signal", NAMES[sender->signal], "collector", sender->peer.url.authority, NULL);
    sender->away = false;
    read_partial(sender, reply->body);
    if (sender->signal == TRACES)
        batch_over(sender->otlp, "sent");
    rest(sender);
}

static void on_reply(void *ctx, const struct flo_otlp_reply *reply)
{
    struct sender *sender = ctx;
    struct flo_otlp *otlp = sender->otlp;

    sender->post = NULL;
    if (reply->status / 100 == 2)
        taken(sender, reply);
    else if (!worth_retrying(reply->status))
        refused(sender, reply);
    else
        try_again(sender, reply);
    if (otlp->finishing) {
        if (reply->status / 100 != 2)
            sender->over = true;
        finish_look(otlp);
    }
}

static void send_now(struct sender *sender)
{
    static const struct flo_otlp_reply no_memory = {.reason = "out of memory", .retry_ms = -1};
    struct flo_otlp *otlp = sender->otlp;
    struct evbuffer *body = evbuffer_new();
    int rc = FLO_ENOMEM;

    event_del(sender->timer);
    if (body)
        rc = sender->signal == TRACES ? spans_body(otlp, body) : metrics_body(otlp, body);
    if (!rc)
        rc = flo_otlp_post_start(&sender->peer, body, on_reply, sender, &sender->post);
    if (body)
        evbuffer_free(body);
    if (rc && otlp->finishing)
        sender->over = true;
    else if (rc)
        try_again(sender, &no_memory);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct sender *sender = ctx;

    (void)fd;
    (void)what;
    if (sender->signal == TRACES && head_of(sender->otlp)->count == 0)
        sender->pause_ms = 0; /* the pause after a batch that was given up */
    else if (!sender->post)
        send_now(sender);
}

/* ---- the end ---- */

static void on_limit(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_otlp *otlp = ctx;
    void (*done)(void *) = otlp->done;

    (void)fd;
    (void)what;
    otlp->done = NULL;
    if (done)
        done(otlp->done_ctx);
}

/* Finishing: go on with what is idle; when all is over, say so, from the loop. */
static void finish_look(struct flo_otlp *otlp)
{
    bool over = true;

    for (size_t i = 0; i < SIGNALS; i++) {
        struct sender *sender = &otlp->senders[i];
        event_del(sender->timer);
        if (sender->signal == TRACES && head_of(otlp)->count == 0)
            sender->over = true;
        if (!sender->post && !sender->over && sender->on)
            send_now(sender);
        if (sender->signal == METRICS)
            sender->over = true; /* one export is enough */
        over = over && !sender->post;
    }
    if (over)
        event_active(otlp->limit, EV_TIMEOUT, 1);
}

void flo_otlp_finish(struct flo_otlp *otlp, int64_t max_ms, void (*done)(void *ctx), void *ctx)
{
    otlp->finishing = true;
    otlp->done = done;
    otlp->done_ctx = ctx;
    arm(otlp->limit, max_ms > 0 ? max_ms : 0);
    flo_otlp_post_cancel(&otlp->senders[METRICS].post); /* a newer one follows */
    finish_look(otlp);
}

/* ---- making and freeing ---- */

static char *resource_text(const struct flo_otlp_options *options, struct flo_err *err)
{
    struct flo_pairs more = {0};
    struct flo_buf text;
    char *copy;

    if (flo_pairs_parse(options->resource, false, &more, err))
        return NULL;
    flo_buf_init(&text, 0);
    flo_otlp_put_resource(&text, options, &more);
    copy = text.failed ? NULL : flo_strdup(flo_buf_cstr(&text));
    flo_buf_fini(&text);
    flo_pairs_fini(&more);
    return copy;
}

static int start_sender(struct flo_otlp *otlp, enum signal signal, const char *url,
                        const struct flo_otlp_options *options, struct flo_err *err)
{
    struct sender *sender = &otlp->senders[signal];
    int rc;

    sender->otlp = otlp;
    sender->signal = signal;
    sender->timer = evtimer_new(otlp->base, on_timer, sender);
    if (!sender->timer)
        return flo_fail(err, FLO_ENOMEM, "no memory for a timer");
    if (!url || !*url)
        return 0;
    rc = flo_otlp_url_parse(url, &sender->peer.url, err);
    if (!rc && sender->peer.url.tls && !otlp->tls)
        rc = flo_otlp_tls_new(options->ca_file, &otlp->tls, err);
    if (rc)
        return rc;
    sender->on = true;
    sender->peer.base = otlp->base;
    sender->peer.headers = &otlp->headers;
    sender->peer.agent = otlp->agent;
    sender->peer.tls = sender->peer.url.tls ? otlp->tls : NULL;
    sender->peer.dns = &otlp->dns;
    sender->peer.timeout_ms = options->timeout_ms;
    if (signal == METRICS)
        arm(sender->timer, otlp->interval_ms);
    return 0;
}

int flo_otlp_new(struct event_base *base, const struct flo_otlp_options *options,
                 struct flo_otlp **out, struct flo_err *err)
{
    struct flo_otlp *otlp = flo_calloc(1, sizeof *otlp);
    int rc = FLO_ENOMEM;

    if (!otlp)
        return flo_fail(err, FLO_ENOMEM, "no memory for the exporter");
    otlp->base = base;
    otlp->metrics = options->metrics;
    otlp->interval_ms = options->interval_ms;
    otlp->delay_ms = options->delay_ms;
    otlp->patience_ms = options->patience_ms > 0 ? options->patience_ms : FLO_OTLP_PATIENCE_MS;
    otlp->start_ns = flo_clock_wall_ns();
    flo_rng_seed(&otlp->rng, flo_random_u64());
    for (size_t i = 0; i < FLO_OTLP_BATCHES; i++)
        flo_buf_init(&otlp->batches[i].spans, FLO_OTLP_BATCH_BYTES);
    otlp->limit = evtimer_new(base, on_limit, otlp);
    otlp->agent = flo_asprintf("flotilla-otlp/%s", options->version);
    otlp->scope =
        flo_asprintf("\"scope\":{\"name\":\"flotilla\",\"version\":\"%s\"}", options->version);
    otlp->resource = resource_text(options, err);
    if (!otlp->limit || !otlp->agent || !otlp->scope || !otlp->resource) {
        rc = err && err->code ? err->code : flo_fail(err, FLO_ENOMEM, "no memory for the exporter");
        goto out;
    }
    rc = flo_pairs_parse(options->headers, true, &otlp->headers, err);
    if (!rc)
        rc = start_sender(otlp, METRICS, options->metrics_url, options, err);
    if (!rc)
        rc = start_sender(otlp, TRACES, options->traces_url, options, err);
    if (rc)
        goto out;
    *out = otlp;
    otlp = NULL;
out:
    flo_otlp_destroy(&otlp);
    return rc;
}

void flo_otlp_destroy(struct flo_otlp **otlp)
{
    struct flo_otlp *gone = *otlp;

    *otlp = NULL;
    if (!gone)
        return;
    for (size_t i = 0; i < SIGNALS; i++) {
        flo_otlp_post_cancel(&gone->senders[i].post);
        if (gone->senders[i].timer)
            event_free(gone->senders[i].timer);
        flo_otlp_url_fini(&gone->senders[i].peer.url);
    }
    for (size_t i = 0; i < FLO_OTLP_BATCHES; i++)
        flo_buf_fini(&gone->batches[i].spans);
    if (gone->limit)
        event_free(gone->limit);
    if (gone->dns)
        evdns_base_free(gone->dns, 0);
    flo_otlp_tls_free(&gone->tls);
    flo_pairs_fini(&gone->headers);
    flo_free(gone->agent);
    flo_free(gone->scope);
    flo_free(gone->resource);
    flo_free(gone);
}
