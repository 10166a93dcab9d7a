/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c - the supervisor's paths, and the pages that need little. */
#include "supervisor/pages/pages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define HISTORY_SECONDS 3600

static int64_t now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

/* ---- JSON ---- */

/* Serve json (consumed; NULL: no memory). */
static void serve_json(struct flo_http_reply *reply, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) {
        flo_buf_append_str(&reply->body, text);
        flo_buf_append_str(&reply->body, "\n");
    } else {
        flo_http_error(reply, 503, "no memory for the page");
    }
    free(text); /* jansson's */
    json_decref(json);
}

/* A parameter that is a number from min to max; false: the reply says what is wrong with it. */
static bool number_parameter(const struct flo_http_request *request, const char *name, int64_t min,
                             int64_t max, int64_t *value, struct flo_http_reply *reply)
{
    char text[24];
    char *end = NULL;
    if (!flo_http_parameter(request, name, text, sizeof text))
        return true; /* the default */
    long long number = strtoll(text, &end, 10);
    if (!*text || *end || number < min || number > max) {
        flo_http_error(reply, 400, "%s must be a number from %lld to %lld", name, (long long)min,
                       (long long)max);
        return false;
    }
    *value = number;
    return true;
}

static void serve_fleet(void *ctx, const struct flo_http_request *request,
                        struct flo_http_reply *reply)
{
    (void)request;
    reply->text = flo_pages_fleet_text(ctx);
    if (!reply->text)
        flo_http_error(reply, 503, "no memory for the page");
}

static const char *role_name(int role)
{
    return flo_fleet_role_name((enum flo_fleet_role)role);
}

static void serve_history(void *ctx, const struct flo_http_request *request,
                          struct flo_http_reply *reply)
{
    const struct flo_pages *pages = ctx;
    int64_t seconds = HISTORY_SECONDS;
    if (number_parameter(request, "seconds", 1, HISTORY_SECONDS, &seconds, reply))
        serve_json(reply, flo_history_json(pages->history, seconds, role_name));
}

static void serve_events(void *ctx, const struct flo_http_request *request,
                         struct flo_http_reply *reply)
{
    const struct flo_pages *pages = ctx;
    int64_t after = 0, limit = FLO_EVENTS_PAGE_MAX;
    if (!number_parameter(request, "after", 0, INT64_MAX, &after, reply) ||
        !number_parameter(request, "limit", 1, FLO_EVENTS_PAGE_MAX, &limit, reply))
        return;
    json_t *list = json_array();
    const struct flo_event *event = flo_events_after(pages->events, (uint64_t)after);
    for (; event && limit > 0; event = flo_events_after(pages->events, event->seq), limit--)
        (void)json_array_append_new(list, flo_event_json(event));
    serve_json(reply, json_pack("{s:i, s:I, s:o}", "v", 1, "last",
                                (json_int_t)flo_events_last(pages->events), "events", list));
}

/* A number, or null for what is not known. */
static json_t *known(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void add_activity(void *ctx, const struct flo_activity_row *row)
{
    json_t *json =
        json_pack("{s:s, s:b, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "type", row->type,
                  "local", (int)row->local, "attempts", row->attempts, "failed", row->failed,
                  "cancelled", row->cancelled, "crashed", row->crashed, "attempts_s",
                  row->attempts_s, "failures_s", row->failures_s, "read_bytes", row->read_bytes,
                  "written_bytes", row->written_bytes, "system_cpu_s", row->system_cpu_s);
    (void)json_object_set_new(json, "cpu_s", row->local ? json_null() : json_real(row->cpu_s));
    (void)json_object_set_new(json, "max_rss_bytes",
                              row->max_rss_bytes > 0 ? json_real(row->max_rss_bytes) : json_null());
    (void)json_object_set_new(json, "mean_s", known(row->mean_s));
    (void)json_object_set_new(json, "p50_s", known(row->p50_s));
    (void)json_object_set_new(json, "p99_s", known(row->p99_s));
    (void)json_array_append_new(ctx, json);
}

static void serve_activities(void *ctx, const struct flo_http_request *request,
                             struct flo_http_reply *reply)
{
    struct flo_pages *pages = ctx;
    (void)request;
    json_t *list = json_array();
    if (flo_measure_activities(pages->measure, now_ms(), add_activity, list)) {
        json_decref(list);
        list = NULL;
    }
    serve_json(reply, list ? json_pack("{s:i, s:o}", "v", 1, "activities", list) : NULL);
}

/* ---- others ---- */

static int render_metrics(void *ctx, const struct flo_metrics_form *form, struct flo_buf *out)
{
    struct flo_pages *pages = ctx;
    return flo_fleet_render_metrics(pages->fleet, pages->metrics, pages->identity, now_ms(), form,
                                    out);
}

static void serve_metrics(void *ctx, const struct flo_http_request *request,
                          struct flo_http_reply *reply)
{
    struct flo_pages *pages = ctx;
    flo_http_metrics_serve(&pages->metrics_page, flo_metrics_naming(pages->metrics), render_metrics,
                           pages, request, reply);
}

int flo_pages_install(struct flo_pages *pages, struct event_base *base, struct flo_http *http)
{
    static const struct {
        const char *path;
        flo_http_handler_fn fn;
    } paths[] = {{"/metrics", serve_metrics},          {"/v1/fleet", serve_fleet},
                 {"/v1/history", serve_history},       {"/v1/events", serve_events},
                 {"/v1/activities", serve_activities}, {"/v1/stream", flo_pages_serve_stream}};
    int rc = flo_pages_live_start(pages, base, http);
    for (size_t i = 0; i < sizeof paths / sizeof *paths && !rc; i++)
        rc = flo_http_handle(http, paths[i].path, paths[i].fn, pages);
    if (!rc)
        rc = flo_http_serve_colours(http);
    return rc ? rc : flo_http_serve_files(http, &flo_dashboard_files);
}

void flo_pages_fini(struct flo_pages *pages)
{
    flo_pages_live_stop(pages);
    flo_http_metrics_fini(&pages->metrics_page);
    flo_http_text_unref(&pages->fleet_text);
}
