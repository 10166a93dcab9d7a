/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale.c - see scale.h. Once an interval: read the reports, watch the queues, sample each group,
 * let the policy decide, and tell the manager.
 *
 * The queues of a group are those that its workers report; those that their YAML files name, since
 * a worker that is scaled to zero reports nothing; and those of scaling.queues.
 */
#include "supervisor/scaling/scale.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "supervisor/scaling/scale_known.h"
#include "supervisor/scaling/scale_read.h"
#include "telemetry/log.h"

#define ROUND_MIN_MS 100
#define ROUND_MAX_MS 1000

struct group {
    struct flo_node node;
    struct flo_scale_view view;
    struct flo_scale_state state;
    int64_t asked_ms;
    int64_t set;  /* the count that we last had the manager have; -1: none */
    bool failing; /* what was decided could not be done; said once */
    bool blind;   /* a queue of it cannot be watched */
    const struct flo_backlog_queue **queues;
    size_t capacity; /* of queues */
    char text[];     /* role, worker, queue */
};

struct flo_scale {
    struct flo_scale_options options;
    struct event *timer;
    struct flo_backlogs *backlogs; /* NULL: none are asked for */
    struct flo_scale_reader reader;
    struct flo_list groups;
    struct flo_scale_known known;
    int64_t started_ms;
    void (*listener)(void *ctx);
    void *listener_ctx;
};

static int64_t now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

static struct group *group_of(struct flo_node *node)
{
    return flo_container(node, struct group, node);
}

static struct flo_manager *manager_of(const struct flo_scale *scale)
{
    return scale->options.manager ? *scale->options.manager : NULL;
}

const struct flo_fleet_config *flo_scale_config(const struct flo_scale *scale)
{
    struct flo_manager *manager = manager_of(scale);
    return manager ? flo_manager_config(manager) : scale->options.config;
}

struct flo_backlogs *flo_scale_backlogs(struct flo_scale *scale)
{
    return scale->backlogs;
}

static int know(struct flo_scale *scale)
{
    return flo_scale_known_read(&scale->known, flo_scale_config(scale), scale->options.manager);
}

/* ---- who belongs to a group ---- */

static const struct flo_fleet_worker *find_worker(const struct flo_scale *scale, const char *name)
{
    const struct flo_fleet_config *config = flo_scale_config(scale);
    for (size_t i = 0; i < config->workers.count; i++)
        if (strcmp(flo_fleet_config_worker(config, i)->name, name) == 0)
            return flo_fleet_config_worker(config, i);
    return NULL;
}

/* Processes are called as their worker, or NAME-2 and so on. */
static bool is_replica(const struct flo_scale *scale, const char *process, const char *worker)
{
    size_t len = strlen(worker);
    if (strncmp(process, worker, len) != 0)
        return false;
    if (!process[len])
        return true;
    return process[len] == '-' && process[len + 1] &&
           strspn(process + len + 1, "0123456789") == strlen(process + len + 1) &&
           !find_worker(scale, process);
}

static bool belongs(const struct flo_scale *scale, const struct flo_scale_worker *worker,
                    const struct flo_scale_view *group)
{
    if (*group->role && strcmp(flo_fleet_role_name(worker->role), group->role) != 0)
        return false;
    if (*group->worker && !is_replica(scale, worker->name, group->worker))
        return false;
    return !*group->queue || flo_scale_worker_polls(worker, group->queue);
}

/* ---- queues ---- */

static bool make_room(struct group *group)
{
    if (group->view.queue_count < group->capacity)
        return true;
    size_t capacity = group->capacity ? 2 * group->capacity : 4;
    const struct flo_backlog_queue **queues =
        flo_reallocarray(group->queues, capacity, sizeof group->queues[0]);
    if (!queues)
        return false;
    group->queues = queues;
    group->capacity = capacity;
    return true;
}

static void watch(struct flo_scale *scale, struct group *group, const char *name_space,
                  const char *name, bool activity)
{
    struct flo_scale_view *view = &group->view;
    if (!scale->backlogs || (*view->queue && strcmp(view->queue, name) != 0))
        return;
    const struct flo_backlog_queue *queue =
        flo_backlogs_watch(scale->backlogs, name_space, name, activity);
    for (size_t i = 0; i < view->queue_count; i++)
        if (group->queues[i] == queue)
            return;
    if (!queue || !make_room(group))
        group->blind = true;
    else
        group->queues[view->queue_count++] = queue;
}

static void watch_known(struct flo_scale *scale, struct group *group)
{
    const struct flo_scale_view *view = &group->view;
    FLO_LIST_FOREACH(node, &scale->known.queues)
    {
        const struct flo_scale_known_queue *known =
            flo_container(node, const struct flo_scale_known_queue, node);
        if (*view->worker ? strcmp(view->worker, known->worker) == 0
                          : strcmp(view->role, flo_fleet_role_name(known->role)) == 0)
            watch(scale, group, known->name_space, known->name, known->role != FLO_FLEET_WORKFLOW);
    }
}

/* ---- one group's sample ---- */

static void sum_workers(struct flo_scale *scale, struct group *group)
{
    struct flo_scale_sample *sample = &group->view.sample;
    double weights = 0, spent = 0;
    FLO_LIST_FOREACH(node, &scale->reader.workers)
    {
        const struct flo_scale_worker *worker =
            flo_container(node, const struct flo_scale_worker, node);
        if (!belongs(scale, worker, &group->view))
            continue;
        for (size_t i = 0; i < worker->queue_count; i++)
            watch(scale, group, worker->name_space, worker->queues[i],
                  worker->role != FLO_FLEET_WORKFLOW);
        weights += worker->weight;
        spent += worker->weight * worker->task_s;
        if (!worker->running)
            continue;
        sample->in_flight += worker->used;
        sample->slots += worker->slots;
        sample->ready++;
    }
    sample->task_s = weights > 0 ? spent / weights : 0;
}

static void sum_backlogs(const struct flo_scale *scale, struct group *group)
{
    struct flo_scale_sample *sample = &group->view.sample;
    sample->known = group->view.queue_count > 0 && !group->blind;
    for (size_t i = 0; i < group->view.queue_count; i++) {
        if (flo_backlogs_known(scale->backlogs, group->queues[i]))
            sample->backlog += group->queues[i]->count;
        else
            sample->known = false;
    }
}

static bool find_view(const struct flo_scale *scale, const char *worker,
                      struct flo_worker_view *out)
{
    struct flo_manager *manager = manager_of(scale);
    for (size_t i = 0; manager && i < flo_manager_worker_count(manager); i++) {
        flo_manager_worker_view(manager, i, out);
        if (strcmp(out->name, worker) == 0)
            return true;
    }
    return false;
}

static struct flo_scale_limits limits_of(const struct flo_scale *scale,
                                         const struct flo_scale_view *view, bool *out_auto)
{
    const struct flo_fleet_config *config = flo_scale_config(scale);
    const struct flo_fleet_worker *worker = *view->worker ? find_worker(scale, view->worker) : NULL;
    size_t kind = *view->role && strcmp(view->role, flo_fleet_role_name(FLO_FLEET_WORKFLOW)) != 0;
    struct flo_scale_limits limits = {.min = config->scaling.min,
                                      .max = config->scaling.max,
                                      .up_backlog = config->scaling.up_backlog[kind],
                                      .down_backlog = config->scaling.down_backlog[kind],
                                      .drain_target_ms = config->scaling.drain_target_ms,
                                      .target_utilization = config->scaling.target_utilization,
                                      .cooldown_ms = config->scaling.cooldown_ms,
                                      .zero_cooldown_ms = config->scaling.zero_cooldown_ms,
                                      .settle_ms = config->scaling.settle_ms};
    *out_auto = worker && worker->autoscale.enabled == FLO_AUTOSCALE_ON && manager_of(scale);
    if (worker) {
        limits.min = worker->autoscale.min;
        limits.max = worker->autoscale.max;
        limits.up_backlog = worker->autoscale.up_backlog;
        limits.down_backlog = worker->autoscale.down_backlog;
        limits.cooldown_ms = worker->autoscale.cooldown_ms;
    }
    return limits;
}

static void sample_group(struct flo_scale *scale, struct group *group, int64_t now)
{
    struct flo_scale_view *view = &group->view;
    struct flo_worker_view managed;
    view->sample = (struct flo_scale_sample){.known = false};
    view->queue_count = 0;
    group->blind = false;
    watch_known(scale, group);
    sum_workers(scale, group);
    sum_backlogs(scale, group);
    view->queues = group->queues;
    view->limits = limits_of(scale, view, &view->autoscaled);
    view->sample.replicas = view->sample.ready;
    view->sample.reported_only = !view->autoscaled;
    if (view->autoscaled && find_view(scale, view->worker, &managed))
        view->sample.replicas = managed.replicas;
    view->warming = now - scale->started_ms < scale->options.warmup_ms;
    flo_scale_decide(&view->limits, &view->sample, &group->state, now, &view->decision);
}

bool flo_scale_active(const struct flo_scale_view *view)
{
    const struct flo_scale_sample *sample = &view->sample;
    return sample->in_flight > 0 || (sample->known ? sample->backlog > 0 : sample->ready > 0);
}

/* ---- carrying it out ---- */

/* Who has the least to lose: one that does not work yet, else the least busy; of equals the
 * newest. */
static size_t pick(void *ctx, const struct flo_process_view *candidates, size_t count)
{
    struct flo_scale *scale = ctx;
    size_t best = count;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct flo_scale_worker *worker =
            flo_scale_reader_by_pid(&scale->reader, candidates[i].pid);
        int64_t busy = worker ? worker->used : -1;
        if (busy <= least) {
            least = busy;
            best = i;
        }
    }
    return best;
}

static void tell(struct flo_scale *scale, struct group *group, enum flo_log_level level,
                 const char *message, int64_t before, int64_t after, const char *reason)
{
    const struct flo_scale_view *view = &group->view;
    const char *kind = level == FLO_LOG_INFO ? "worker.autoscaled" : "worker.autoscale_failed";
    flo_log(level, kind, message, "worker", view->worker, "#from", FLO_NUM(before), "#to",
            FLO_NUM(after), "reason", reason, NULL);
    json_t *fields = json_pack("{s:I, s:I, s:s}", "from", (json_int_t)before, "to",
                               (json_int_t)after, "reason", reason);
    const struct flo_event event = {.ts_ms = flo_clock_wall_ns() / FLO_NS_PER_MS,
                                    .level = level,
                                    .kind = kind,
                                    .message = message,
                                    .role = view->role,
                                    .name = view->worker,
                                    .fields = fields};
    flo_events_add(scale->options.events, &event);
    json_decref(fields);
}

static void carry_out(struct flo_scale *scale, struct group *group, int64_t now)
{
    struct flo_scale_view *view = &group->view;
    int64_t have = view->sample.replicas, want = view->decision.desired;
    struct flo_metrics *metrics = scale->options.metrics;
    struct flo_err err = {0};
    struct flo_worker_view managed;
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_SCALE_DESIRED, view->worker, NULL),
                   (double)want);
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_SCALE_REPLICAS, view->worker, NULL),
                   (double)have);
    if (group->set >= 0 && group->set != have) {
        flo_scale_hold(&group->state, &view->limits, now); /* somebody else set it */
        group->set = have;
        return;
    }
    if (want == have) {
        group->set = have;
        return;
    }
    int rc = flo_manager_scale(manager_of(scale), view->worker, want, pick, scale, &err);
    group->set = find_view(scale, view->worker, &managed) ? managed.replicas : want;
    if (rc) {
        if (!group->failing)
            tell(scale, group, FLO_LOG_ERROR, err.message, have, want, view->decision.reason);
        group->failing = true;
        return;
    }
    group->failing = false;
    flo_series_inc(flo_metrics_get(metrics, FLO_METRIC_SCALE_CHANGES, view->worker,
                                   want > have ? "up" : "down", NULL));
    char message[FLO_SCALE_NAME_MAX + 80];
    snprintf(message, sizeof message, "%.100s: %lld replica%s become%s %lld", view->worker,
             (long long)have, have == 1 ? "" : "s", have == 1 ? "s" : "", (long long)want);
    tell(scale, group, FLO_LOG_INFO, message, have, want, view->decision.reason);
}

/* ---- groups ---- */

static bool same(const struct flo_scale_view *view, const struct flo_scale_filter *filter)
{
    return strcmp(view->role, filter->role) == 0 && strcmp(view->worker, filter->worker) == 0 &&
           strcmp(view->queue, filter->queue) == 0;
}

static struct group *add_group(struct flo_scale *scale, const struct flo_scale_filter *filter,
                               int64_t now)
{
    size_t role = strlen(filter->role) + 1, worker = strlen(filter->worker) + 1,
           queue = strlen(filter->queue) + 1;
    struct group *group = flo_calloc(1, sizeof *group + role + worker + queue);
    if (!group)
        return NULL;
    group->view.role = memcpy(group->text, filter->role, role);
    group->view.worker = memcpy(group->text + role, filter->worker, worker);
    group->view.queue = memcpy(group->text + role + worker, filter->queue, queue);
    group->set = -1;
    flo_list_push_back(&scale->groups, &group->node);
    sample_group(scale, group, now);
    return group;
}

static void free_group(struct flo_scale *scale, struct group *group)
{
    flo_list_remove(&scale->groups, &group->node);
    flo_free(group->queues);
    flo_free(group);
}

/* Groups of one queue are what strangers can ask for: they are bounded, and those of a queue that
 * nobody polls make room for others. */
static bool has_room(struct flo_scale *scale)
{
    size_t count = 0;
    FLO_LIST_FOREACH(node, &scale->groups)
    count += *group_of(node)->view.queue != '\0';
    if (count < FLO_SCALE_GROUPS_MAX)
        return true;
    FLO_LIST_FOREACH_SAFE(node, &scale->groups)
    {
        struct group *group = group_of(node);
        if (!*group->view.queue || group->view.queue_count)
            continue;
        free_group(scale, group);
        count--;
    }
    return count < FLO_SCALE_GROUPS_MAX;
}

static struct group *get_group(struct flo_scale *scale, const struct flo_scale_filter *filter)
{
    int64_t now = now_ms();
    struct group *found = NULL;
    FLO_LIST_FOREACH(node, &scale->groups)
    if (same(&group_of(node)->view, filter))
        found = group_of(node);
    if (!found && (!*filter->queue || has_room(scale)))
        found = add_group(scale, filter, now);
    if (found)
        found->asked_ms = now;
    return found;
}

static bool is_role(const char *name)
{
    for (int i = 0; i < FLO_FLEET_ENGINE; i++)
        if (strcmp(flo_fleet_role_name((enum flo_fleet_role)i), name) == 0)
            return true;
    return false;
}

int flo_scale_get(struct flo_scale *scale, const struct flo_scale_filter *filter,
                  struct flo_scale_view *out, struct flo_err *err)
{
    enum flo_role role;
    struct flo_scale_filter full = {filter->role ? filter->role : "",
                                    filter->worker ? filter->worker : "",
                                    filter->queue ? filter->queue : ""};
    if (*full.role && !is_role(full.role))
        return flo_fail(err, FLO_ENOENT,
                        "there is no role \"%.60s\", and no worker of fleet.yaml; roles are "
                        "workflow, io-activity and cpu-activity",
                        full.role);
    if (*full.worker) {
        const struct flo_fleet_worker *worker = find_worker(scale, full.worker);
        if (!worker)
            return flo_fail(err, FLO_ENOENT, "fleet.yaml has no worker \"%.60s\"", full.worker);
        if (flo_fleet_worker_role(worker, &role))
            full.role = flo_fleet_role_name((enum flo_fleet_role)role);
    }
    if (!*full.role && !*full.worker)
        return flo_fail(err, FLO_ENOENT, "a role or a worker must be named");
    if (strlen(full.queue) > 1000)
        return flo_fail(err, FLO_ENOENT, "that is no name of a task queue");
    struct group *group = get_group(scale, &full);
    if (!group)
        return flo_fail(err, FLO_EFULL, "too many groups are asked for");
    *out = group->view;
    return 0;
}

void flo_scale_listen(struct flo_scale *scale, void (*fn)(void *ctx), void *ctx)
{
    scale->listener = fn;
    scale->listener_ctx = ctx;
}

/* ---- rounds ---- */

/* Where the server is: the engine that we run, or as configured, or as workers say. */
static const char *server_address(const struct flo_scale *scale)
{
    struct flo_manager *manager = manager_of(scale);
    const struct flo_fleet_config *config = scale->options.config;
    if (manager && config->engine.enabled)
        return flo_manager_engine_address(manager);
    if (*config->server.address)
        return config->server.address;
    for (int role = 0; role < FLO_FLEET_ENGINE; role++) {
        FLO_LIST_FOREACH(node, &scale->options.fleet->entries[role])
        {
            const struct flo_fleet_entry *entry = flo_container(node, struct flo_fleet_entry, node);
            if (*entry->server)
                return entry->server;
        }
    }
    return "";
}

static void keep(struct flo_scale *scale, const char *role, const char *worker)
{
    const struct flo_scale_filter filter = {.role = role, .worker = worker};
    struct flo_scale_view view;
    struct flo_err err = {0};
    if (flo_scale_get(scale, &filter, &view, &err))
        flo_log(FLO_LOG_ERROR, "scale.no_group", err.message, NULL);
}

/* Groups that must be there without anybody asking: of autoscaled workers, and of each role, so
 * that its queues are watched. */
static void keep_groups(struct flo_scale *scale)
{
    const struct flo_fleet_config *config = flo_scale_config(scale);
    for (int i = 0; i < FLO_FLEET_ENGINE; i++)
        keep(scale, flo_fleet_role_name((enum flo_fleet_role)i), NULL);
    for (size_t i = 0; manager_of(scale) && i < config->workers.count; i++) {
        const struct flo_fleet_worker *worker = flo_fleet_config_worker(config, i);
        if (worker->autoscale.enabled == FLO_AUTOSCALE_ON)
            keep(scale, NULL, worker->name);
    }
}

static void round_of(struct flo_scale *scale)
{
    int64_t now = now_ms();
    if (scale->backlogs)
        flo_backlogs_set_address(scale->backlogs, server_address(scale));
    if (flo_scale_config(scale) != scale->known.of && know(scale))
        flo_log(FLO_LOG_ERROR, "scale.no_queues", "No memory for the queues of fleet.yaml", NULL);
    flo_scale_reader_update(&scale->reader, scale->options.fleet, now);
    keep_groups(scale);
    FLO_LIST_FOREACH_SAFE(node, &scale->groups)
    {
        struct group *group = group_of(node);
        if (now - group->asked_ms >= FLO_SCALE_GROUP_FORGET_MS) {
            free_group(scale, group);
            continue;
        }
        sample_group(scale, group, now);
        if (group->view.autoscaled && !*group->view.queue)
            carry_out(scale, group, now);
    }
    if (scale->listener)
        scale->listener(scale->listener_ctx);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    round_of(ctx);
}

/* Work for a worker that is not there is told at once; the rest can wait for the round. */
static void on_backlog(void *ctx, const struct flo_backlog_queue *queue)
{
    struct flo_scale *scale = ctx;
    bool news = false;
    if (!scale->listener || !queue->count)
        return;
    FLO_LIST_FOREACH(node, &scale->groups)
    {
        struct group *group = group_of(node);
        bool mine = false;
        for (size_t i = 0; i < group->view.queue_count && !mine; i++)
            mine = group->queues[i] == queue;
        if (!mine || flo_scale_active(&group->view))
            continue;
        sample_group(scale, group, now_ms());
        news = true;
    }
    if (news)
        scale->listener(scale->listener_ctx);
}

/* ---- making ---- */

static int open_backlogs(struct flo_scale *scale, struct event_base *base, struct flo_err *err)
{
    const struct flo_fleet_config *config = scale->options.config;
    if (!config->scaling.interval_ms)
        return 0;
    const struct flo_backlog_options options = {.name_space = config->server.name_space,
                                                .identity = scale->options.identity,
                                                .api_key = config->server.api_key,
                                                .tls = &config->server.tls,
                                                .interval_ms = config->scaling.interval_ms,
                                                .metrics = scale->options.metrics,
                                                .on_change = on_backlog,
                                                .ctx = scale};
    return flo_backlogs_new(base, &options, &scale->backlogs, err);
}

int flo_scale_new(struct event_base *base, const struct flo_scale_options *options,
                  struct flo_scale **out, struct flo_err *err)
{
    int64_t wait = options->config->scaling.interval_ms;
    wait = wait < ROUND_MIN_MS ? ROUND_MIN_MS : wait > ROUND_MAX_MS ? ROUND_MAX_MS : wait;
    const struct timeval tv = {.tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000};
    struct flo_scale *scale = flo_calloc(1, sizeof *scale);
    if (!scale)
        return flo_fail(err, FLO_ENOMEM, "no memory for the scaling");
    scale->options = *options;
    scale->started_ms = now_ms();
    flo_list_init(&scale->groups);
    flo_scale_known_init(&scale->known);
    flo_scale_reader_init(&scale->reader);
    int rc = know(scale);
    scale->timer = event_new(base, -1, EV_PERSIST, on_timer, scale);
    if (rc || !scale->timer || event_add(scale->timer, &tv))
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the scaling");
    if (!rc)
        rc = open_backlogs(scale, base, err);
    if (!rc) {
        *out = scale;
        scale = NULL;
    }
    flo_scale_destroy(&scale);
    return rc;
}

void flo_scale_destroy(struct flo_scale **scale)
{
    struct flo_scale *self = *scale;
    if (!self)
        return;
    *scale = NULL;
    self->listener = NULL;
    flo_backlogs_destroy(&self->backlogs);
    while (self->groups.count)
        free_group(self, group_of(flo_list_first(&self->groups)));
    flo_scale_reader_fini(&self->reader);
    flo_scale_known_fini(&self->known);
    if (self->timer)
        event_free(self->timer);
    flo_free(self);
}
