/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.c - the fleet as JSON, metrics and a dashboard.
 *
 * A process can be known in two ways: as a child that the manager runs (its name, state, restarts,
 * CPU and memory as the kernel counts them) and as a reporter (slots, tasks, readiness). They are
 * joined by process id; workers elsewhere are known only by their reports, the engine only as a
 * child.
 */
#include "supervisor/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/process.h"
#include "telemetry/procstat.h"

#define DASHBOARD_CSP                                                                              \
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "                  \
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

static int64_t now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

static void set_int(json_t *object, const char *key, int64_t value)
{
    (void)json_object_set_new(object, key, json_integer(value));
}

static void set_text(json_t *object, const char *key, const char *value)
{
    (void)json_object_set_new(object, key, json_string(value));
}

static void set_bool(json_t *object, const char *key, bool value)
{
    (void)json_object_set_new(object, key, json_boolean(value));
}

/* ---- one process ---- */

static json_t *slots_json(const struct flo_fleet_entry *entry)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < entry->slot_count; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "kind", entry->slots[i].kind,
                                                    "used", (json_int_t)entry->slots[i].used,
                                                    "total", (json_int_t)entry->slots[i].total));
    return list;
}

/* What the process says of itself. */
static void add_report(json_t *out, const struct flo_fleet_entry *entry, int64_t now)
{
    char reason[160];
    set_text(out, "identity", entry->identity);
    set_text(out, "version", entry->version);
    set_text(out, "server", entry->server);
    set_text(out, "namespace", entry->name_space);
    set_text(out, "task_queue", entry->task_queue);
    set_int(out, "started_ms", entry->started_ms);
    set_bool(out, "ready", entry->ready);
    (void)json_object_set_new(out, "slots", slots_json(entry));
    set_int(out, "polls", (int64_t)entry->polls);
    set_int(out, "done", (int64_t)entry->done);
    set_int(out, "failed", (int64_t)entry->failed);
    set_int(out, "threads", entry->threads);
    set_int(out, "cpu_ms", entry->cpu_ms);
    set_int(out, "rss_bytes", entry->rss_bytes);
    set_text(out, "role", flo_fleet_role_name(entry->role));
    set_text(out, "boot", entry->boot);
    set_text(out, "report", flo_fleet_entry_state(entry, now));
    flo_fleet_entry_reason(entry, now, reason, sizeof reason);
    set_text(out, "reason", reason);
    set_int(out, "last_seen_ms", now - entry->last_seen_ms);
    set_int(out, "gaps", (int64_t)entry->gaps);
    set_int(out, "events_lost", (int64_t)entry->events_lost);
    set_bool(out, "duplicate_identity", entry->duplicate);
}

static json_t *reported_json(const struct flo_fleet_entry *entry, int64_t now)
{
    json_t *out = json_object();
    set_text(out, "name", entry->name);
    set_text(out, "http", entry->http);
    set_int(out, "pid", entry->pid);
    add_report(out, entry, now);
    set_text(out, "state", flo_fleet_entry_state(entry, now));
    return out;
}

/* CPU and memory as the kernel counts them, executors of a CPU worker included. */
static void add_usage(json_t *out, pid_t pid)
{
    struct flo_procstat own, tree;
    int processes = 0;
    if (flo_procstat_read(pid, &own) || flo_procstat_tree(pid, &tree, &processes))
        return;
    set_int(out, "cpu_ms", (int64_t)(tree.cpu_seconds * 1e3));
    set_int(out, "rss_bytes", (int64_t)own.resident_bytes);
    set_int(out, "group_rss_bytes", (int64_t)tree.resident_bytes);
    set_int(out, "processes", processes);
    set_int(out, "threads", own.threads);
}

static json_t *child_json(struct flo_pages *pages, const struct flo_process_view *view, int64_t now)
{
    json_t *out = json_object();
    set_text(out, "name", view->name);
    set_text(out, "http", view->http);
    set_int(out, "pid", view->pid);
    if (view->engine) {
        set_text(out, "role", "engine");
        set_text(out, "address", flo_manager_engine_address(pages->manager));
    }
    struct flo_fleet_entry *entry =
        view->pid ? flo_fleet_by_pid(pages->fleet, view->pid, now) : NULL;
    if (entry) {
        add_report(out, entry, now);
        set_text(out, "worker_state", flo_fleet_entry_state(entry, now));
    }
    if (view->pid)
        add_usage(out, view->pid);
    set_text(out, "state", flo_process_state_name(view->state));
    set_text(out, "program", view->program);
    set_text(out, "worker", view->worker);
    set_int(out, "replica", view->replica);
    set_bool(out, "wanted", view->wanted);
    set_int(out, "restarts", (int64_t)view->restarts);
    set_int(out, "up_ms", view->up_ms);
    set_bool(out, "crash_loop", view->crash_loop);
    return out;
}

/* ---- the fleet ---- */

static bool is_child(const struct flo_pages *pages, const struct flo_fleet_entry *entry)
{
    struct flo_process_view view;
    for (size_t i = 0; pages->manager && i < flo_manager_count(pages->manager); i++) {
        flo_manager_view(pages->manager, i, &view);
        if (view.pid == entry->pid)
            return true;
    }
    return false;
}

static json_t *processes_json(struct flo_pages *pages)
{
    json_t *list = json_array();
    int64_t now = now_ms();
    struct flo_process_view view;
    for (size_t i = 0; pages->manager && i < flo_manager_count(pages->manager); i++) {
        flo_manager_view(pages->manager, i, &view);
        (void)json_array_append_new(list, child_json(pages, &view, now));
    }
    for (int role = 0; role < FLO_FLEET_ROLES; role++) {
        FLO_LIST_FOREACH(node, &pages->fleet->entries[role])
        {
            const struct flo_fleet_entry *entry = flo_container(node, struct flo_fleet_entry, node);
            bool gone_child = pages->manager && !flo_fleet_entry_live(entry, now);
            if (!is_child(pages, entry) && !gone_child)
                (void)json_array_append_new(list, reported_json(entry, now));
        }
    }
    return list;
}

/* Entries of fleet.yaml: how many of each there are to be, and are. */
static json_t *workers_json(const struct flo_pages *pages)
{
    json_t *list = json_array();
    struct flo_worker_view view;
    for (size_t i = 0; pages->manager && i < flo_manager_worker_count(pages->manager); i++) {
        flo_manager_worker_view(pages->manager, i, &view);
        json_t *out = json_object();
        set_text(out, "name", view.name);
        set_text(out, "program", view.program);
        set_int(out, "configured", view.configured);
        set_int(out, "replicas", view.replicas);
        set_int(out, "up", view.up);
        set_int(out, "ready", view.ready);
        set_int(out, "leaving", view.leaving);
        set_bool(out, "rolling", view.rolling);
        set_int(out, "roll_done", (int64_t)view.roll_done);
        set_int(out, "roll_total", (int64_t)view.roll_total);
        set_text(out, "roll_error", view.roll_error);
        (void)json_array_append_new(list, out);
    }
    return list;
}

static const char *server_address(const struct flo_pages *pages)
{
    const char *engine = pages->manager ? flo_manager_engine_address(pages->manager) : "";
    return *engine ? engine : pages->server;
}

static json_t *supervisor_json(const struct flo_pages *pages)
{
    json_t *out = json_object();
    set_int(out, "pid", getpid());
    set_text(out, "version", flo_version());
    set_bool(out, "local", pages->manager != NULL);
    set_int(out, "started_ms", pages->started_ms);
    set_text(out, "http", pages->health_address);
    set_text(out, "metrics", pages->metrics_address);
    set_text(out, "endpoint", pages->endpoint);
    struct flo_procstat own; /* alone: its group may be a shell's */
    if (flo_procstat_read(0, &own) == 0) {
        set_int(out, "cpu_ms", (int64_t)(own.cpu_seconds * 1e3));
        set_int(out, "rss_bytes", (int64_t)own.resident_bytes);
    }
    return out;
}

json_t *flo_pages_fleet_json(struct flo_pages *pages)
{
    char reason[160];
    json_t *out = json_object();
    set_int(out, "v", 1);
    set_int(out, "now_ms", flo_clock_wall_ns() / FLO_NS_PER_MS);
    set_bool(out, "ready", flo_pages_fleet_ready(pages, reason, sizeof reason));
    set_text(out, "reason", reason);
    set_text(out, "server", server_address(pages));
    (void)json_object_set_new(out, "supervisor", supervisor_json(pages));
    if (pages->manager)
        (void)json_object_set_new(out, "workers", workers_json(pages));
    (void)json_object_set_new(out, "processes", processes_json(pages));
    return out;
}

json_t *flo_pages_addresses_json(struct flo_pages *pages)
{
    json_t *list = json_array();
    struct flo_process_view view;
    for (size_t i = 0; pages->manager && i < flo_manager_count(pages->manager); i++) {
        flo_manager_view(pages->manager, i, &view);
        (void)json_array_append_new(
            list, json_pack("{s:s, s:i, s:s, s:s}", "name", view.name, "pid", (int)view.pid,
                            "state", flo_process_state_name(view.state), "http", view.http));
    }
    return json_pack("{s:i, s:i, s:s, s:s, s:s, s:s, s:o}", "v", 1, "pid", (int)getpid(), "server",
                     server_address(pages), "http", pages->health_address, "metrics",
                     pages->metrics_address, "endpoint", pages->endpoint, "processes", list);
}

bool flo_pages_fleet_ready(struct flo_pages *pages, char *out_reason, size_t size)
{
    int64_t now = now_ms();
    struct flo_process_view view;
    *out_reason = '\0';
    for (size_t i = 0; pages->manager && i < flo_manager_count(pages->manager); i++) {
        flo_manager_view(pages->manager, i, &view);
        if (!view.wanted)
            continue;
        if (view.state != FLO_PROCESS_UP) {
            snprintf(out_reason, size, "%s is %s", view.name, flo_process_state_name(view.state));
            return false;
        }
        if (view.engine)
            continue;
        const struct flo_fleet_entry *entry = flo_fleet_by_pid(pages->fleet, view.pid, now);
        if (!entry) {
            snprintf(out_reason, size, "%s has not reported yet", view.name);
            return false;
        }
        if (!entry->ready) {
            const char *state = flo_fleet_entry_state(entry, now);
            snprintf(out_reason, size, "%s is %s", view.name,
                     state && strcmp(state, "running") != 0 ? state : "not ready");
            return false;
        }
    }
    return true;
}

/* ---- serving ---- */

static void serve_fleet(void *ctx, const struct flo_http_request *request,
                        struct flo_http_reply *reply)
{
    (void)request;
    json_t *json = flo_pages_fleet_json(ctx);
    char *text = json_dumps(json, JSON_COMPACT);
    if (text) {
        flo_buf_append_str(&reply->body, text);
        flo_buf_append_str(&reply->body, "\n");
    } else {
        reply->status = 503;
    }
    free(text); /* jansson's */
    json_decref(json);
}

static int render_metrics(void *ctx, bool openmetrics, struct flo_buf *out)
{
    struct flo_pages *pages = ctx;
    (void)openmetrics;
    return flo_fleet_render_metrics(pages->fleet, pages->metrics, pages->identity, now_ms(), out);
}

static void serve_metrics(void *ctx, const struct flo_http_request *request,
                          struct flo_http_reply *reply)
{
    struct flo_pages *pages = ctx;
    flo_http_metrics_serve(&pages->metrics_page, render_metrics, pages, request, reply);
    reply->content_type = FLO_METRICS_CONTENT_TYPE;
}

static void serve_dashboard(void *ctx, const struct flo_http_request *request,
                            struct flo_http_reply *reply)
{
    (void)ctx;
    (void)request;
    reply->content_type = "text/html; charset=utf-8";
    reply->csp = DASHBOARD_CSP;
    flo_buf_append(&reply->body, flo_dashboard_html, flo_dashboard_html_len);
}

int flo_pages_install(struct flo_pages *pages, struct flo_http *http)
{
    int rc = flo_http_handle(http, "/metrics", serve_metrics, pages);
    if (!rc)
        rc = flo_http_handle(http, "/v1/fleet", serve_fleet, pages);
    if (!rc)
        rc = flo_http_handle(http, "/", serve_dashboard, pages);
    return rc;
}

void flo_pages_fini(struct flo_pages *pages)
{
    flo_http_metrics_fini(&pages->metrics_page);
}
