/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages_fleet.c - the fleet as JSON.
 *
 * A process can be known in two ways: as a child that the manager runs (its name, state, restarts,
 * CPU and memory as the kernel counts them) and as a reporter (slots, tasks, readiness). They are
 * joined by process id; workers elsewhere are known only by their reports, the engine only as a
 * child.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/process.h"
#include "supervisor/pages/pages.h"
#include "telemetry/procstat.h"

#define TEXT_MAX_AGE_MS 100 /* scripts that wait for something want it soon */

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

/* A figure, or null for what is not known. */
static void set_figure(json_t *object, const char *key, double value)
{
    (void)json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

static void add_rates(json_t *out, const struct flo_rates *rates, bool tasks)
{
    set_figure(out, "cpu", rates->known ? rates->cpu : NAN);
    if (!tasks)
        return;
    set_figure(out, "tasks_s", rates->known ? rates->tasks_s : NAN);
    set_figure(out, "failures_s", rates->known ? rates->failures_s : NAN);
    set_figure(out, "p50_s", rates->p50_s);
    set_figure(out, "p99_s", rates->p99_s);
}

/* ---- health: "ok", "wait" (it will pass), "bad", and why ---- */

static void set_health(json_t *out, const char *health, const char *why)
{
    set_text(out, "health", health);
    set_text(out, "why", why);
}

static void judge_report(json_t *out, const struct flo_fleet_entry *entry, int64_t now)
{
    const char *state = flo_fleet_entry_state(entry, now);
    char why[200];
    flo_fleet_entry_reason(entry, now, why, sizeof why);
    if (strcmp(state, "lost") == 0)
        set_health(out, "bad", why);
    else if (strcmp(state, "running") != 0)
        set_health(out, "wait", *why ? why : state);
    else if (!entry->ready)
        set_health(out, "bad", *why ? why : "not ready: see its /ready page");
    else if (entry->duplicate)
        set_health(out, "wait", "another process has the same identity");
    else
        set_health(out, "ok", "");
}

/* "the server does not answer since 14:02:10Z", or "" */
static bool server_is_silent(const struct flo_pages *pages, char *out, size_t size)
{
    const int64_t ms = pages->backlogs ? flo_backlogs_silent_ms(pages->backlogs) : 0;
    const time_t since = (time_t)((flo_clock_wall_ns() / FLO_NS_PER_MS - ms + 500) / 1000);
    struct tm tm;
    *out = '\0';
    if (!ms || !gmtime_r(&since, &tm))
        return false;
    snprintf(out, size, "the server does not answer since %02d:%02d:%02dZ", tm.tm_hour, tm.tm_min,
             tm.tm_sec);
    return true;
}

static void judge_child(const struct flo_pages *pages, json_t *out,
                        const struct flo_process_view *view, const struct flo_fleet_entry *entry,
                        int64_t now)
{
    char why[160];
    if (view->crash_loop) {
        snprintf(why, sizeof why, "dies again and again, started again %llu times%s%s",
                 (unsigned long long)view->restarts, *view->ended ? "; the last time " : "",
                 view->ended);
        set_health(out, "bad", why);
    } else if (view->state != FLO_PROCESS_UP) {
        if (view->state == FLO_PROCESS_WAITING && *view->ended)
            snprintf(why, sizeof why, "%s; again in %.1f s", view->ended,
                     (double)view->again_in_ms / 1e3);
        else
            snprintf(why, sizeof why, "%s", flo_process_state_name(view->state));
        set_health(out, view->wanted && view->state == FLO_PROCESS_STOPPED ? "bad" : "wait", why);
    } else if (entry) {
        judge_report(out, entry, now);
    } else if (view->engine) {
        const bool silent = server_is_silent(pages, why, sizeof why);
        set_health(out, silent ? "bad" : "ok", why);
    } else {
        set_health(out, "wait", "has not reported yet");
    }
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

static json_t *reported_json(const struct flo_pages *pages, const struct flo_fleet_entry *entry,
                             int64_t now)
{
    json_t *out = json_object();
    struct flo_rates rates;
    set_text(out, "name", entry->name);
    set_text(out, "http", entry->http);
    set_int(out, "pid", entry->pid);
    add_report(out, entry, now);
    set_text(out, "state", flo_fleet_entry_state(entry, now));
    flo_measure_process(pages->measure, entry, 0, &rates);
    add_rates(out, &rates, true);
    judge_report(out, entry, now);
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
    struct flo_rates rates;
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
    if (view->pid) {
        add_usage(out, view->pid);
        flo_measure_process(pages->measure, entry, view->pid, &rates);
        add_rates(out, &rates, entry != NULL);
    }
    judge_child(pages, out, view, entry, now);
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

/* A tree (consumed) as text; the buffer's `failed` says whether it fitted. */
static int put_text(const char *text, size_t len, void *ctx)
{
    return flo_buf_append(ctx, text, len) ? -1 : 0;
}

static void put_json(struct flo_buf *out, json_t *json)
{
    if (!json || json_dump_callback(json, put_text, out, JSON_COMPACT))
        out->failed = true;
    json_decref(json);
}

static void put_process(struct flo_buf *out, json_t *json, size_t *count)
{
    flo_buf_append_str(out, (*count)++ ? "," : "");
    put_json(out, json);
}

/* One process after the other: a tree of all would be the largest thing in the supervisor. */
static void put_processes(struct flo_pages *pages, struct flo_buf *out)
{
    int64_t now = now_ms();
    size_t count = 0;
    struct flo_process_view view;
    for (size_t i = 0; pages->manager && i < flo_manager_count(pages->manager); i++) {
        flo_manager_view(pages->manager, i, &view);
        put_process(out, child_json(pages, &view, now), &count);
    }
    for (int role = 0; role < FLO_FLEET_ROLES; role++) {
        FLO_LIST_FOREACH(node, &pages->fleet->entries[role])
        {
            const struct flo_fleet_entry *entry = FLO_FLEET_ENTRY(node);
            bool gone_child = pages->manager && !flo_fleet_entry_live(entry, now);
            if (!is_child(pages, entry) && !gone_child)
                put_process(out, reported_json(pages, entry, now), &count);
        }
    }
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

/* ---- sums ---- */

static json_t *role_json(struct flo_pages *pages, enum flo_fleet_role role, int64_t now)
{
    struct flo_rates rates;
    int64_t rss_bytes = 0;
    int processes = 0;
    uint64_t used = 0, total = 0;
    flo_measure_role(pages->measure, role, false, &rates, &rss_bytes, &processes);
    if (!processes)
        return NULL;
    json_t *out = json_object();
    set_text(out, "role", flo_fleet_role_name(role));
    set_int(out, "processes", processes);
    set_int(out, "rss_bytes", rss_bytes);
    add_rates(out, &rates, role != FLO_FLEET_ENGINE);
    if (role == FLO_FLEET_ENGINE)
        return out;
    flo_fleet_slots(pages->fleet, (int)role, NULL, NULL, now, &used, &total);
    set_int(out, "slots_used", (int64_t)used);
    set_int(out, "slots_total", (int64_t)total);
    set_int(out, "done", (int64_t)pages->fleet->totals[role].done);
    set_int(out, "failed", (int64_t)pages->fleet->totals[role].failed);
    return out;
}

static json_t *roles_json(struct flo_pages *pages, int64_t now)
{
    json_t *list = json_array();
    for (int role = 0; role < FLO_FLEET_ROLES; role++) {
        json_t *json = role_json(pages, (enum flo_fleet_role)role, now);
        if (json)
            (void)json_array_append_new(list, json);
    }
    return list;
}

static json_t *queues_json(const struct flo_pages *pages)
{
    json_t *list = json_array();
    if (!pages->backlogs)
        return list;
    FLO_LIST_FOREACH(node, flo_backlogs_queues(pages->backlogs))
    {
        const struct flo_backlog_queue *queue = flo_container(node, struct flo_backlog_queue, node);
        bool known = flo_backlogs_known(pages->backlogs, queue);
        json_t *out = json_object();
        set_text(out, "queue", queue->name);
        set_text(out, "namespace", queue->name_space);
        set_text(out, "kind", queue->activity ? "activity" : "workflow");
        set_figure(out, "depth", known ? (double)queue->count : NAN);
        set_figure(out, "pollers", known ? (double)queue->pollers : NAN);
        set_figure(out, "age_s", known ? queue->age_s : NAN);
        set_figure(out, "added_s", known ? queue->added_s : NAN);
        set_figure(out, "started_s", known ? queue->started_s : NAN);
        (void)json_array_append_new(list, out);
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
        set_int(out, "rolls", (int64_t)view.rolls);
        set_text(out, "roll_error", view.roll_error);
        (void)json_array_append_new(list, out);
    }
    return list;
}

/* All but the processes. */
static json_t *summary_json(struct flo_pages *pages)
{
    char reason[160];
    json_t *out = json_object();
    set_int(out, "v", 1);
    set_int(out, "now_ms", flo_clock_wall_ns() / FLO_NS_PER_MS);
    set_bool(out, "ready", flo_pages_fleet_ready(pages, reason, sizeof reason));
    set_text(out, "reason", reason);
    set_text(out, "server", server_address(pages));
    set_text(out, "workflow_url", pages->workflow_url ? pages->workflow_url : "");
    set_bool(out, "commands", pages->commands);
    (void)json_object_set_new(out, "supervisor", supervisor_json(pages));
    (void)json_object_set_new(out, "roles", roles_json(pages, now_ms()));
    (void)json_object_set_new(out, "queues", queues_json(pages));
    if (pages->manager)
        (void)json_object_set_new(out, "workers", workers_json(pages));
    return out;
}

struct flo_http_text *flo_pages_fleet_text(struct flo_pages *pages)
{
    int64_t now = now_ms();
    struct flo_buf text;
    if (pages->fleet_text && now - pages->fleet_text_ms < TEXT_MAX_AGE_MS)
        return flo_http_text_ref(pages->fleet_text);
    flo_http_text_unref(&pages->fleet_text);
    flo_buf_init(&text, 0);
    put_json(&text, summary_json(pages));
    if (!text.failed)
        text.len--; /* its closing brace: one member more */
    flo_buf_append_str(&text, ",\"processes\":[");
    put_processes(pages, &text);
    flo_buf_append_str(&text, "]}\n");
    if (!text.failed)
        pages->fleet_text = flo_http_text_new(&text);
    pages->fleet_text_ms = now;
    flo_buf_fini(&text);
    return pages->fleet_text ? flo_http_text_ref(pages->fleet_text) : NULL;
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
    return !server_is_silent(pages, out_reason, size);
}
