/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages_live.c - what the pages do by themselves: every five seconds the totals are noted and the
 * history grows; while somebody listens to /v1/stream the fleet is rendered each second, once for
 * all, and events are passed on as they come.
 *
 * The stream's events: `fleet` (as /v1/fleet), `point` (the history's newest, as /v1/history with
 * lists of one), `event` (as in /v1/events, its number as the id).
 */
#include <event2/event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "supervisor/pages/pages.h"

#define RETRY_MS 2000

static const char *role_name(int role)
{
    return flo_fleet_role_name((enum flo_fleet_role)role);
}

/* ---- every five seconds ---- */

/* Have the server asked about all queues that the process polls. */
static void watch_queues(struct flo_pages *pages, const struct flo_fleet_entry *entry)
{
    for (const char *at = entry->task_queue; *at;) {
        char name[FLO_HISTORY_NAME_MAX];
        size_t len = strcspn(at, ",");
        if (len && len < sizeof name) {
            memcpy(name, at, len);
            name[len] = '\0';
            (void)flo_backlogs_watch(pages->backlogs, entry->name_space, name,
                                     entry->role != FLO_FLEET_WORKFLOW);
        }
        at += len;
        at += strspn(at, ", ");
    }
}

static void note_queues(struct flo_pages *pages, int64_t now_ms)
{
    if (!pages->backlogs)
        return;
    for (int role = FLO_FLEET_WORKFLOW; role <= FLO_FLEET_CPU; role++) {
        FLO_LIST_FOREACH(node, &pages->fleet->entries[role])
        {
            const struct flo_fleet_entry *entry = FLO_FLEET_ENTRY(node);
            if (flo_fleet_entry_live(entry, now_ms))
                watch_queues(pages, entry);
        }
    }
    FLO_LIST_FOREACH(node, flo_backlogs_queues(pages->backlogs))
    {
        const struct flo_backlog_queue *queue = flo_container(node, struct flo_backlog_queue, node);
        if (flo_backlogs_known(pages->backlogs, queue))
            flo_history_queue(pages->history, queue->name, queue->activity, (double)queue->count);
    }
}

static void note_role(struct flo_pages *pages, enum flo_fleet_role role, int64_t now_ms)
{
    struct flo_rates rates;
    int64_t rss_bytes = 0;
    int processes = 0;
    uint64_t used = 0, total = 0;
    flo_measure_role(pages->measure, role, true, &rates, &rss_bytes, &processes);
    if (!processes)
        return;
    flo_fleet_slots(pages->fleet, (int)role, NULL, NULL, now_ms, &used, &total);
    bool reports = role != FLO_FLEET_ENGINE;
    const struct flo_history_figures figures = {
        .tasks_s = rates.known && reports ? (float)rates.tasks_s : NAN,
        .failures_s = rates.known && reports ? (float)rates.failures_s : NAN,
        .p50_s = (float)rates.p50_s,
        .p99_s = (float)rates.p99_s,
        .slots_used = reports ? (float)used : NAN,
        .slots_total = reports ? (float)total : NAN,
        .processes = (float)processes,
        .cpu = rates.known ? (float)rates.cpu : NAN,
        .rss_bytes = (float)rss_bytes};
    flo_history_role(pages->history, (int)role, &figures);
}

/* Send json (consumed) as an event of that name. */
static void send_json(struct flo_pages *pages, const char *name, const char *id, json_t *json)
{
    struct flo_buf event;
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    flo_buf_init(&event, 0);
    if (text) {
        flo_http_event(&event, name, id, text, strlen(text));
        flo_http_channel_send(pages->stream, &event);
    }
    flo_buf_fini(&event);
    free(text); /* jansson's */
    json_decref(json);
}

static void on_step(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_pages *pages = ctx;
    int64_t now = flo_clock_mono_ns() / FLO_NS_PER_MS;
    (void)fd;
    (void)what;
    flo_http_metrics_expire(&pages->metrics_page);
    flo_measure_step(pages->measure, now);
    flo_history_begin(pages->history, flo_clock_wall_ns() / FLO_NS_PER_MS);
    for (int role = 0; role < FLO_FLEET_ROLES; role++)
        note_role(pages, (enum flo_fleet_role)role, now);
    note_queues(pages, now);
    if (flo_http_channel_listeners(pages->stream))
        send_json(pages, "point", NULL,
                  flo_history_json(pages->history, FLO_HISTORY_STEP_MS / 1000, role_name));
}

/* ---- the stream ---- */

static void put_fleet(struct flo_pages *pages, struct flo_buf *out)
{
    struct flo_http_text *text = flo_pages_fleet_text(pages);
    size_t len = 0;
    const char *data = text ? flo_http_text_data(text, &len) : NULL;
    if (len && data[len - 1] == '\n')
        len--;
    if (data)
        flo_http_event(out, "fleet", NULL, data, len);
    flo_http_text_unref(&text);
}

static void on_second(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_pages *pages = ctx;
    struct flo_buf event;
    (void)fd;
    (void)what;
    if (!flo_http_channel_listeners(pages->stream)) {
        event_del(pages->second);
        flo_http_text_unref(&pages->fleet_text);
        return;
    }
    flo_http_text_unref(&pages->fleet_text); /* a new one for all */
    flo_buf_init(&event, 0);
    put_fleet(pages, &event);
    flo_http_channel_send(pages->stream, &event);
    flo_buf_fini(&event);
}

void flo_pages_serve_stream(void *ctx, const struct flo_http_request *request,
                            struct flo_http_reply *reply)
{
    struct flo_pages *pages = ctx;
    struct flo_buf first;
    const struct timeval second = {.tv_sec = 1};
    flo_buf_init(&first, 0);
    put_fleet(pages, &first);
    if (flo_http_channel_join(pages->stream, request, reply, &first) &&
        !event_pending(pages->second, EV_TIMEOUT, NULL))
        event_add(pages->second, &second);
    flo_buf_fini(&first);
}

static void on_fleet_event(void *ctx, const struct flo_event *event)
{
    struct flo_pages *pages = ctx;
    char id[24];
    if (!flo_http_channel_listeners(pages->stream))
        return;
    snprintf(id, sizeof id, "%llu", (unsigned long long)event->seq);
    send_json(pages, "event", id, flo_event_json(event));
}

/* ---- start and end ---- */

int flo_pages_live_start(struct flo_pages *pages, struct event_base *base, struct flo_http *http)
{
    const struct flo_http_channel_options options = {.listeners_max = FLO_STREAM_LISTENERS_MAX,
                                                     .backlog_bytes = FLO_STREAM_BACKLOG_BYTES,
                                                     .retry_ms = RETRY_MS};
    const struct timeval step = {.tv_sec = FLO_HISTORY_STEP_MS / 1000};
    int rc = flo_measure_new(pages->fleet, &pages->manager, &pages->measure);
    if (!rc)
        rc = flo_history_new(&pages->history);
    if (!rc)
        rc = flo_http_channel_new(http, &options, &pages->stream);
    if (!rc && pages->events)
        rc = flo_events_listen(pages->events, on_fleet_event, pages);
    pages->step = event_new(base, -1, EV_PERSIST, on_step, pages);
    pages->second = event_new(base, -1, EV_PERSIST, on_second, pages);
    if (!rc && (!pages->step || !pages->second || event_add(pages->step, &step)))
        rc = FLO_ENOMEM;
    return rc;
}

void flo_pages_live_stop(struct flo_pages *pages)
{
    if (pages->events)
        flo_events_unlisten(pages->events, on_fleet_event, pages);
    flo_http_channel_destroy(&pages->stream);
    if (pages->step)
        event_free(pages->step);
    if (pages->second)
        event_free(pages->second);
    pages->step = pages->second = NULL;
    flo_history_destroy(&pages->history);
    flo_measure_destroy(&pages->measure);
}
