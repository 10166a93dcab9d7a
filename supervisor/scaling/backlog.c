/* SPDX-License-Identifier: Apache-2.0 */
/* backlog.c - see backlog.h. One timer looks at all queues; answers come when they come. */
#include "supervisor/scaling/backlog.h"

#include <event2/event.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "client/client.h"
#include "telemetry/log.h"

#define STALE_INTERVALS 3
#define STALE_EXTRA_MS 2000
#define TICKS 4 /* the timer fires so often in an interval */
#define TICK_MIN_MS 50
#define COUNT_MAX INT64_C(1000000000000) /* more says a broken server; sums do not overflow */

struct queue {
    struct flo_backlog_queue view;
    struct flo_backlogs *owner;
    struct flo_client_call *call; /* under way, or NULL */
    int64_t asked_ms, next_ms;
    int64_t wait_ms; /* the last one; grows with failures */
    int64_t watched_ms;
    struct flo_series *series[6]; /* depth, count, age, pollers, added, started */
    bool shown;
    bool failing; /* the last question came to nothing; said once */
    char key[];   /* "w|a" namespace NUL name NUL */
};

struct flo_backlogs {
    struct flo_backlog_options options;
    struct event_base *base;
    struct event *timer;
    struct flo_client *client;
    char *address;
    struct flo_list queues; /* of struct queue */
    struct flo_map by_key;
    bool connected;
    bool answered;           /* this server, once */
    int64_t silent_since_ms; /* monotonic: asked, or disconnected, then, and no answer since; 0 */
};

static int64_t now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

static struct queue *queue_of(struct flo_node *node)
{
    return flo_container(flo_container(node, struct flo_backlog_queue, node), struct queue, view);
}

bool flo_backlogs_known(const struct flo_backlogs *self, const struct flo_backlog_queue *queue)
{
    int64_t stale_ms = STALE_INTERVALS * self->options.interval_ms + STALE_EXTRA_MS;
    return queue->answered_ms && now_ms() - queue->answered_ms < stale_ms;
}

/* ---- the series ---- */

static void find_series(struct queue *queue)
{
    struct flo_metrics *metrics = queue->owner->options.metrics;
    const char *ns = queue->view.name_space, *name = queue->view.name;
    bool activity = queue->view.activity;
    static const enum flo_metric ids[] = {FLO_METRIC_QUEUE_BACKLOG, FLO_METRIC_QUEUE_BACKLOG_AGE,
                                          FLO_METRIC_QUEUE_POLLERS, FLO_METRIC_QUEUE_ADD_RATE,
                                          FLO_METRIC_QUEUE_DISPATCH_RATE};
    queue->series[0] = flo_metrics_get(
        metrics, activity ? FLO_METRIC_ACTIVITY_QUEUE_DEPTH : FLO_METRIC_WORKFLOW_QUEUE_DEPTH, ns,
        name, name, NULL);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        queue->series[i + 1] =
            flo_metrics_get(metrics, ids[i], ns, name, activity ? "Activity" : "Workflow", NULL);
}

/* What is not known is absent from the pages. */
static void show(struct queue *queue, bool known)
{
    const struct flo_backlog_queue *view = &queue->view;
    if (!queue->series[0])
        find_series(queue);
    const double values[] = {(double)view->count,   (double)view->count, view->age_s,
                             (double)view->pollers, view->added_s,       view->started_s};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (known)
            flo_series_set(queue->series[i], values[i]);
        else
            flo_series_clear(queue->series[i]);
    queue->shown = known;
}

static void show_and_tell(struct queue *queue, bool known)
{
    const struct flo_backlog_options *options = &queue->owner->options;
    show(queue, known);
    if (options->on_change)
        options->on_change(options->ctx, &queue->view);
}

/* ---- asking ---- */

static void begin_silence(struct flo_backlogs *self, int64_t now)
{
    if (self->answered && !self->silent_since_ms)
        self->silent_since_ms = now;
}

/* No wait of the last trouble's. */
static void ask_all_again(struct flo_backlogs *self)
{
    FLO_LIST_FOREACH(node, &self->queues)
    {
        struct queue *queue = queue_of(node);
        queue->wait_ms = self->options.interval_ms;
        queue->next_ms = 0;
    }
}

/* It said something, be it an error. */
static void end_silence(struct flo_backlogs *self)
{
    const bool was_silent = flo_backlogs_silent_ms(self) > 0;
    self->answered = true;
    self->silent_since_ms = 0;
    if (was_silent)
        ask_all_again(self);
}

static double seconds(const Google__Protobuf__Duration *duration)
{
    return duration ? (double)duration->seconds + duration->nanos / 1e9 : 0;
}

/* A server may say anything; no quantity here is negative. */
static double sane(double value)
{
    return isfinite(value) && value > 0 ? value : 0;
}

static void on_failure(struct queue *queue, const char *what)
{
    struct flo_backlogs *self = queue->owner;
    queue->wait_ms *= 2;
    if (queue->wait_ms > FLO_BACKLOG_BACKOFF_MS)
        queue->wait_ms = FLO_BACKLOG_BACKOFF_MS;
    /* One goes on asking, to see when a silent server is back. */
    if (queue->wait_ms < self->options.interval_ms ||
        (self->silent_since_ms && flo_list_first(&self->queues) == &queue->view.node))
        queue->wait_ms = self->options.interval_ms;
    queue->next_ms = now_ms() + queue->wait_ms;
    if (!queue->failing)
        flo_log(FLO_LOG_WARN, "backlog.unknown",
                "The server does not say how much waits in a queue", "task_queue", queue->view.name,
                "reason", what, NULL);
    queue->failing = true;
}

static void on_answer(void *ctx, const struct flo_grpc_status *status,
                      const ProtobufCMessage *response)
{
    const FloApi__DescribeTaskQueueResponse *answer =
        (const FloApi__DescribeTaskQueueResponse *)response;
    struct queue *queue = ctx;
    struct flo_backlog_queue *view = &queue->view;
    queue->call = NULL;
    if (status->code != FLO_GRPC_UNAVAILABLE && status->code != FLO_GRPC_DEADLINE_EXCEEDED)
        end_silence(queue->owner);
    if (status->code != FLO_GRPC_OK || !answer->stats) {
        on_failure(queue, status->code != FLO_GRPC_OK ? status->message : "it is too old for it");
        return;
    }
    int64_t count = answer->stats->approximate_backlog_count;
    view->count = count < 0 ? 0 : count > COUNT_MAX ? COUNT_MAX : count;
    view->age_s = view->count ? sane(seconds(answer->stats->approximate_backlog_age)) : 0;
    view->added_s = sane(answer->stats->tasks_add_rate);
    view->started_s = sane(answer->stats->tasks_dispatch_rate);
    view->pollers = (int64_t)answer->n_pollers;
    view->answered_ms = now_ms();
    queue->wait_ms = queue->owner->options.interval_ms;
    queue->failing = false;
    show_and_tell(queue, true);
}

static void ask(struct queue *queue, int64_t now)
{
    FloApi__DescribeTaskQueueRequest request = FLO_API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueue of = FLO_API__TASK_QUEUE__INIT;
    of.name = (char *)queue->view.name;
    of.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    request.namespace_ = (char *)queue->view.name_space;
    request.task_queue = &of;
    request.task_queue_type = queue->view.activity
                                  ? FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY
                                  : FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW;
    request.report_stats = true;
    queue->asked_ms = now;
    queue->next_ms = now + queue->wait_ms;
    begin_silence(queue->owner, now);
    if (flo_client_describe_task_queue(queue->owner->client, &request, on_answer, queue,
                                       &queue->call))
        on_failure(queue, "no memory");
}

static void forget(struct queue *queue)
{
    struct flo_backlogs *self = queue->owner;
    flo_client_call_cancel(&queue->call);
    if (queue->shown)
        show(queue, false);
    flo_list_remove(&self->queues, &queue->view.node);
    flo_map_remove_str(&self->by_key, queue->key);
    flo_free(queue);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_backlogs *self = ctx;
    int64_t now = now_ms();
    (void)fd;
    (void)what;
    FLO_LIST_FOREACH_SAFE(node, &self->queues)
    {
        struct queue *queue = queue_of(node);
        if (queue->call && now - queue->asked_ms >= FLO_BACKLOG_DEADLINE_MS) {
            flo_client_call_cancel(&queue->call);
            on_failure(queue, "no answer in time");
        }
        if (queue->shown && !flo_backlogs_known(self, &queue->view))
            show_and_tell(queue, false);
        if (now - queue->watched_ms >= FLO_BACKLOG_FORGET_MS)
            forget(queue);
        else if (self->connected && !queue->call && now + TICK_MIN_MS >= queue->next_ms)
            ask(queue, now);
    }
}

/* ---- the connection ---- */

static void on_state(void *ctx, bool connected, const char *reason)
{
    struct flo_backlogs *self = ctx;
    (void)reason;
    self->connected = connected;
    if (connected)
        ask_all_again(self);
    else
        begin_silence(self, now_ms());
}

static const char *or_null(const char *text)
{
    return text && *text ? text : NULL;
}

static void disconnect(struct flo_backlogs *self)
{
    FLO_LIST_FOREACH(node, &self->queues)
    flo_client_call_cancel(&queue_of(node)->call);
    flo_client_destroy(&self->client);
    self->connected = false;
}

void flo_backlogs_set_address(struct flo_backlogs *self, const char *address)
{
    const struct flo_backlog_options *options = &self->options;
    struct flo_err err = {0};
    if (strcmp(self->address ? self->address : "", address) == 0)
        return;
    disconnect(self);
    self->answered = false;
    self->silent_since_ms = 0;
    flo_free(self->address);
    self->address = flo_strdup(address);
    if (!*address)
        return;
    const struct flo_client_options client = {
        .channel = {.address = address,
                    .tls = {.enabled = options->tls->enabled,
                            .ca_file = or_null(options->tls->ca_file),
                            .cert_file = or_null(options->tls->cert_file),
                            .key_file = or_null(options->tls->key_file),
                            .server_name = or_null(options->tls->server_name)},
                    .on_state = on_state,
                    .on_state_ctx = self},
        .namespace_ = options->name_space,
        .identity = options->identity,
        .api_key = or_null(options->api_key),
        .fail_fast = true};
    if (flo_client_new(self->base, &client, &self->client, &err))
        flo_log(FLO_LOG_ERROR, "backlog.no_client", err.message, "address", address, NULL);
}

bool flo_backlogs_connected(const struct flo_backlogs *self)
{
    return self->connected;
}

int64_t flo_backlogs_silent_ms(const struct flo_backlogs *self)
{
    const int64_t ms = self->silent_since_ms ? now_ms() - self->silent_since_ms : 0;
    return self->queues.count && ms >= FLO_BACKLOG_SILENT_MS ? ms : 0;
}

/* ---- queues ---- */

static struct queue *add(struct flo_backlogs *self, const char *name_space, const char *name,
                         bool activity)
{
    size_t ns_len = strlen(name_space), name_len = strlen(name);
    if (self->queues.count >= FLO_BACKLOG_QUEUES_MAX)
        return NULL;
    struct queue *queue = flo_calloc(1, sizeof *queue + 3 * (ns_len + name_len + 3));
    if (!queue)
        return NULL;
    int key_len = snprintf(queue->key, ns_len + name_len + 3, "%c%s/%s", activity ? 'a' : 'w',
                           name_space, name);
    char *text = queue->key + key_len + 1;
    memcpy(text, name_space, ns_len + 1);
    memcpy(text + ns_len + 1, name, name_len + 1);
    queue->view.name_space = text;
    queue->view.name = text + ns_len + 1;
    queue->view.activity = activity;
    queue->owner = self;
    queue->wait_ms = self->options.interval_ms;
    if (flo_map_put_str(&self->by_key, queue->key, queue)) {
        flo_free(queue);
        return NULL;
    }
    flo_list_push_back(&self->queues, &queue->view.node);
    return queue;
}

const struct flo_backlog_queue *flo_backlogs_watch(struct flo_backlogs *self,
                                                   const char *name_space, const char *name,
                                                   bool activity)
{
    char key[2200];
    if (!*name_space)
        name_space = self->options.name_space;
    size_t len =
        (size_t)snprintf(key, sizeof key, "%c%s/%s", activity ? 'a' : 'w', name_space, name);
    if (!*name || len >= sizeof key)
        return NULL;
    struct queue *queue = flo_map_get_str(&self->by_key, key);
    if (!queue)
        queue = add(self, name_space, name, activity);
    if (!queue)
        return NULL;
    queue->watched_ms = now_ms();
    return &queue->view;
}

const struct flo_list *flo_backlogs_queues(const struct flo_backlogs *self)
{
    return &self->queues;
}

/* ---- life ---- */

int flo_backlogs_new(struct event_base *base, const struct flo_backlog_options *options,
                     struct flo_backlogs **out, struct flo_err *err)
{
    int64_t tick =
        options->interval_ms / TICKS < TICK_MIN_MS ? TICK_MIN_MS : options->interval_ms / TICKS;
    const struct timeval tv = {.tv_sec = tick / 1000, .tv_usec = tick % 1000 * 1000};
    struct flo_backlogs *self = flo_calloc(1, sizeof *self);
    if (self) {
        self->options = *options;
        self->base = base;
        flo_list_init(&self->queues);
        flo_map_init(&self->by_key);
        self->timer = event_new(base, -1, EV_PERSIST, on_timer, self);
    }
    if (!self || !self->timer || event_add(self->timer, &tv)) {
        flo_backlogs_destroy(&self);
        return flo_fail(err, FLO_ENOMEM, "no memory to ask for backlogs");
    }
    *out = self;
    return 0;
}

void flo_backlogs_destroy(struct flo_backlogs **backlogs)
{
    struct flo_backlogs *self = *backlogs;
    if (!self)
        return;
    *backlogs = NULL;
    while (self->queues.count)
        forget(queue_of(flo_list_first(&self->queues)));
    flo_map_fini(&self->by_key);
    flo_client_destroy(&self->client);
    if (self->timer)
        event_free(self->timer);
    flo_free(self->address);
    flo_free(self);
}
