/* SPDX-License-Identifier: Apache-2.0 */
/* scale_pages.c - /v1/scale: what the scaling knows and wants, for KEDA's metrics-api trigger, for
 * the dashboard and for people (docs/autoscaling.md has the members). */
#include <stdlib.h>
#include <string.h>

#include "supervisor/scaling/scale.h"

#define PREFIX "/v1/scale/"
#define BY_WORKER "worker/"

static void set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value);
}

static void set_int(json_t *object, const char *key, int64_t value)
{
    set(object, key, json_integer(value));
}

json_t *flo_scale_group_json(const struct flo_scale *scale, const struct flo_scale_view *view)
{
    const struct flo_scale_sample *sample = &view->sample;
    json_t *out = json_object(), *queues = json_array();
    (void)scale;
    for (size_t i = 0; i < view->queue_count; i++)
        (void)json_array_append_new(queues, json_string(view->queues[i]->name));
    set(out, "role", json_string(view->role));
    if (*view->worker)
        set(out, "worker", json_string(view->worker));
    set(out, "queues", queues);
    set(out, "known", json_boolean(sample->known));
    set(out, "backlog", sample->known ? json_integer(sample->backlog) : json_null());
    set_int(out, "in_flight", sample->in_flight);
    set_int(out, "slots", sample->slots);
    set(out, "utilization",
        json_real(sample->slots ? (double)sample->in_flight / (double)sample->slots : 0));
    set(out, "task_seconds", sample->task_s > 0 ? json_real(sample->task_s) : json_null());
    set(out, "active", json_boolean(flo_scale_active(view)));
    set_int(out, "replicas", sample->replicas);
    set_int(out, "ready", sample->ready);
    set_int(out, "desired_replicas", view->decision.desired);
    set_int(out, "min", view->limits.min);
    set_int(out, "max", view->limits.max);
    set(out, "autoscaled", json_boolean(view->autoscaled));
    set(out, "reason", json_string(view->decision.reason));
    return out;
}

static json_t *queue_json(struct flo_backlogs *backlogs, const struct flo_backlog_queue *queue)
{
    bool known = flo_backlogs_known(backlogs, queue);
    json_t *out = json_object();
    set(out, "namespace", json_string(queue->name_space));
    set(out, "queue", json_string(queue->name));
    set(out, "type", json_string(queue->activity ? "activity" : "workflow"));
    set(out, "known", json_boolean(known));
    set(out, "backlog", known ? json_integer(queue->count) : json_null());
    set(out, "age_seconds", known ? json_real(queue->age_s) : json_null());
    set(out, "pollers", known ? json_integer(queue->pollers) : json_null());
    set(out, "added_per_second", known ? json_real(queue->added_s) : json_null());
    set(out, "dispatched_per_second", known ? json_real(queue->started_s) : json_null());
    return out;
}

/* A role of which there is nothing is left out. */
static void add_group(struct flo_scale *scale, json_t *out, const char *name,
                      const struct flo_scale_filter *filter)
{
    struct flo_scale_view view;
    if (flo_scale_get(scale, filter, &view, NULL))
        return;
    if (filter->worker || view.queue_count || view.sample.ready)
        set(out, name, flo_scale_group_json(scale, &view));
}

json_t *flo_scale_json(struct flo_scale *scale)
{
    struct flo_backlogs *backlogs = flo_scale_backlogs(scale);
    const struct flo_fleet_config *config = flo_scale_config(scale);
    json_t *out = json_object(), *roles = json_object(), *workers = json_object(),
           *queues = json_array();
    for (int i = 0; i < FLO_FLEET_ENGINE; i++) {
        const char *role = flo_fleet_role_name((enum flo_fleet_role)i);
        add_group(scale, roles, role, &(struct flo_scale_filter){.role = role});
    }
    for (size_t i = 0; i < config->workers.count; i++) {
        const char *worker = flo_fleet_config_worker(config, i)->name;
        add_group(scale, workers, worker, &(struct flo_scale_filter){.worker = worker});
    }
    if (backlogs) {
        FLO_LIST_FOREACH(node, flo_backlogs_queues(backlogs))
        (void)json_array_append_new(
            queues,
            queue_json(backlogs, flo_container(node, const struct flo_backlog_queue, node)));
    }
    set_int(out, "v", 1);
    set(out, "connected", json_boolean(backlogs && flo_backlogs_connected(backlogs)));
    set(out, "roles", roles);
    set(out, "workers", workers);
    set(out, "queues", queues);
    return out;
}

/* ---- serving ---- */

static void answer(struct flo_http_reply *reply, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    if (text) {
        flo_buf_append_str(&reply->body, text);
        flo_buf_append_str(&reply->body, "\n");
    } else {
        flo_http_error(reply, 503, "no memory");
    }
    free(text); /* jansson's */
    json_decref(json);
}

static void serve_all(void *ctx, const struct flo_http_request *request,
                      struct flo_http_reply *reply)
{
    (void)request;
    answer(reply, flo_scale_json(ctx));
}

/* A role's name is a role; another name, or any behind worker/, is a worker of fleet.yaml. */
static void serve_one(void *ctx, const struct flo_http_request *request,
                      struct flo_http_reply *reply)
{
    struct flo_scale *scale = ctx;
    const char *name = request->path + strlen(PREFIX);
    struct flo_scale_filter filter = {.role = name};
    struct flo_scale_view view;
    struct flo_err err = {0};
    char queue[1024];
    (void)flo_http_parameter(request, "queue", queue, sizeof queue);
    filter.queue = queue;
    bool by_worker = strncmp(name, BY_WORKER, strlen(BY_WORKER)) == 0;
    int rc = by_worker ? FLO_ENOENT : flo_scale_get(scale, &filter, &view, &err);
    if (rc == FLO_ENOENT) {
        filter.role = NULL;
        filter.worker = by_worker ? name + strlen(BY_WORKER) : name;
        if (flo_scale_get(scale, &filter, &view, by_worker ? &err : NULL) == 0)
            rc = 0;
    }
    if (rc)
        flo_http_error(reply, rc == FLO_ENOENT ? 404 : 503, "%s", err.message);
    else if (view.warming)
        flo_http_error(reply, 503,
                       "the supervisor has just started: its workers may not all have reported");
    else
        answer(reply, flo_scale_group_json(scale, &view));
}

int flo_scale_install(struct flo_scale *scale, struct flo_http *http)
{
    const struct flo_http_route one = {
        .path = PREFIX, .prefix = true, .fn = serve_one, .ctx = scale};
    int rc = flo_http_handle(http, "/v1/scale", serve_all, scale);
    return rc ? rc : flo_http_route(http, &one);
}
