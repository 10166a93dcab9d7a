/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll.c - where tasks come from. A poll is one HTTP/2 stream and one small struct; it is sent
 * only with a slot reserved, so a full worker polls less instead of queueing.
 *
 * Of the workflow polls a share goes to the normal queue (new runs, runs whose cache was lost),
 * the rest to this process's sticky queue; both always get at least one. When not all can be sent
 * (few slots free), the kind that is furthest below its target goes first, the sticky one when
 * even.
 *
 * Of several queues each has its own slots and polls; what they share is the capacity, which is
 * what the executor runs at once. The next poll is of the queue that holds least for its weight
 * (share.h), until no queue wants or may have one:
 *
 *   - a queue without a free slot of its own, or with all its polls out, is passed over;
 *   - one for which there are not enough tokens is passed over too, and so are those behind it that
 *     need any of the tokens that it lacks: else small needs would always be met before a large
 * one;
 *   - when the queues' slots together are more than the capacity, a queue whose last poll to end
 *     came back empty keeps one poll, not more: what it does not use is another's. Its first task
 *     ends that.
 *
 * So a weight is a share of the executor's places, not of tasks a second: a queue of long tasks
 * gets fewer tasks through than one of short tasks of the same weight. No queue starves: there are
 * at least as many places as queues, and one that holds none has the next turn.
 */
#include <event2/event.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "grpc/status.h"
#include "worker/control.h"

/* After a poll that the server refused for good (the client retries the rest on its own). */
#define PAUSE_MS 10000
/* How long a poll waits for the answer of the task that it follows, to be sent along with it. */
#define ALONG_US 1000

struct poll {
    struct flo_node node; /* group->polls */
    struct flo_task_queue *queue;
    enum flo_poller_kind kind;
    struct flo_client_call *call;
};

static const char *const KIND_NAMES[] = {
    [FLO_POLLER_WORKFLOW] = "workflow_task",
    [FLO_POLLER_STICKY] = "sticky_workflow_task",
    [FLO_POLLER_ACTIVITY] = "activity_task",
};

static void poll_end(struct poll *poll)
{
    struct flo_poller_group *group = &poll->queue->pollers[poll->kind];

    flo_list_remove(&group->polls, &poll->node);
    poll->queue->worker->polls--;
    flo_series_set(group->open, (double)group->polls.count);
    flo_free(poll);
}

static void on_pause_over(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_poller_group *group = ctx;

    (void)fd;
    (void)what;
    group->paused = false;
    flo_poll_fill(group->queue->worker);
}

/* The server refused: say so, wait, try again. What can heal (a role was missing) will. */
static void poll_refused(struct flo_task_queue *queue, enum flo_poller_kind kind,
                         const struct flo_grpc_status *status)
{
    const struct timeval pause = {.tv_sec = PAUSE_MS / 1000};
    struct flo_poller_group *group = &queue->pollers[kind];
    struct flo_worker *worker = queue->worker;

    if (worker->state != FLO_WORKER_RUNNING)
        return;
    flo_log(FLO_LOG_ERROR, "poll.refused", "The server refuses our polls", "poller",
            KIND_NAMES[kind], "task_queue", queue->name, "code", flo_grpc_code_name(status->code),
            "reason", status->message, NULL);
    flo_tell(worker, FLO_LOG_ERROR, "poll.refused", "The server refuses our polls", "poller",
             KIND_NAMES[kind], "task_queue", queue->name, "code", flo_grpc_code_name(status->code),
             "reason", status->message, NULL);
    worker->polls_refused = true;
    flo_health_set_ready(worker->health, "polls", false, flo_grpc_code_name(status->code));
    group->paused = true;
    event_add(group->retry, &pause);
}

static void scale(struct flo_poller_group *group, const struct flo_grpc_status *status,
                  bool has_task, const FloApi__PollerScalingDecision *advice)
{
    const struct flo_poll_end end = {
        .task = has_task,
        .refused = status->code != FLO_GRPC_OK,
        .exhausted = status->code == FLO_GRPC_RESOURCE_EXHAUSTED,
        .advised = advice != NULL,
        .advice = advice ? advice->poll_request_delta_suggestion : 0,
    };

    size_t before = group->pollers.target;

    if (flo_pollers_are_fixed(&group->pollers))
        return;
    flo_pollers_ended(&group->pollers, &end, flo_clock_mono_ns());
    if (group->pollers.target != before && flo_log_enabled(FLO_LOG_DEBUG))
        flo_log(FLO_LOG_DEBUG, "pollers.scaled", "Another number of polls", "task_queue",
                group->queue->name, "poller", KIND_NAMES[group - group->queue->pollers], "#polls",
                FLO_NUM(group->pollers.target), "#before", FLO_NUM(before), "#advice",
                FLO_NUM(end.advice), NULL);
}

/* Common end of each poll's callback: false when there is no task. */
static bool poll_done(struct poll *poll, const struct flo_grpc_status *status, bool has_task,
                      const FloApi__PollerScalingDecision *advice)
{
    struct flo_task_queue *queue = poll->queue;
    struct flo_worker *worker = queue->worker;
    enum flo_poller_kind kind = poll->kind;

    poll_end(poll);
    scale(&queue->pollers[kind], status, has_task, advice);
    if (status->code == FLO_GRPC_OK && worker->polls_refused) {
        worker->polls_refused = false;
        flo_health_set_ready(worker->health, "polls", true, NULL);
    }
    if (has_task) {
        queue->quiet = false;
        flo_queue_run(queue);
        return true;
    }
    queue->quiet = true;
    flo_queue_release(queue);
    if (status->code == FLO_GRPC_OK)
        flo_series_inc(kind == FLO_POLLER_ACTIVITY ? FLO_OWN_METRIC(queue, ACTIVITY_POLL_NO_TASK)
                                                   : FLO_OWN_METRIC(queue, WORKFLOW_POLL_EMPTY));
    else
        poll_refused(queue, kind, status);
    return false;
}

static void on_along_over(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flo_poll_fill(ctx);
}

/* A thread has the task, and most are through it in less time than a write takes: the next poll
 * goes along with the answer. Not while there are other tasks: then there is always something to go
 * along with, and the server can do with polls that are early. */
static void fill_along(struct flo_worker *worker)
{
    const struct timeval delay = {.tv_usec = ALONG_US};
    bool alone = worker->shards->options.count > 0 && worker->workflow_tasks.count == 1;

    if (alone && !worker->polls_along)
        worker->polls_along = evtimer_new(worker->base, on_along_over, worker);
    if (alone && worker->polls_along && event_add(worker->polls_along, &delay) == 0)
        worker->polls_due = true;
    else
        flo_poll_fill(worker);
}

static void on_workflow_poll(void *ctx, const struct flo_grpc_status *status,
                             const ProtobufCMessage *response)
{
    const FloApi__PollWorkflowTaskQueueResponse *task =
        (const FloApi__PollWorkflowTaskQueueResponse *)response;
    struct poll *poll = ctx;
    struct flo_task_queue *queue = poll->queue;
    struct flo_worker *worker = queue->worker;

    if (poll_done(poll, status, task && task->task_token.len > 0,
                  task ? task->poller_scaling_decision : NULL)) {
        flo_series_inc(FLO_OWN_METRIC(queue, WORKFLOW_POLL_SUCCEED));
        flo_execute_workflow_task(queue, task);
        fill_along(worker);
    } else {
        flo_poll_fill(worker);
    }
    flo_drain_check(worker);
}

static void on_activity_poll(void *ctx, const struct flo_grpc_status *status,
                             const ProtobufCMessage *response)
{
    const FloApi__PollActivityTaskQueueResponse *task =
        (const FloApi__PollActivityTaskQueueResponse *)response;
    struct poll *poll = ctx;
    struct flo_task_queue *queue = poll->queue;
    struct flo_worker *worker = queue->worker;

    if (poll_done(poll, status, task && task->task_token.len > 0,
                  task ? task->poller_scaling_decision : NULL))
        flo_execute_activity_task(queue, task);
    flo_poll_fill(worker);
    flo_drain_check(worker);
}

static int send_workflow_poll(struct poll *poll)
{
    struct flo_worker *worker = poll->queue->worker;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    FloApi__PollWorkflowTaskQueueRequest request = FLO_API__POLL_WORKFLOW_TASK_QUEUE_REQUEST__INIT;

    queue.name = poll->queue->name;
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    if (poll->kind == FLO_POLLER_STICKY) {
        queue.name = worker->sticky_queue;
        queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY;
        queue.normal_name = poll->queue->name;
    }
    request.task_queue = &queue;
    request.identity = worker->identity;
    request.worker_instance_key = worker->instance_key;
    request.worker_version_capabilities = flo_versioning_capabilities(worker);
    request.deployment_options = flo_versioning_deployment(worker);
    return flo_client_poll_workflow_task_queue(worker->client, &request, on_workflow_poll, poll,
                                               &poll->call);
}

static int send_activity_poll(struct poll *poll)
{
    struct flo_worker *worker = poll->queue->worker;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    FloApi__PollActivityTaskQueueRequest request = FLO_API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueueMetadata metadata = FLO_API__TASK_QUEUE_METADATA__INIT;
    Google__Protobuf__DoubleValue rate = GOOGLE__PROTOBUF__DOUBLE_VALUE__INIT;

    queue.name = poll->queue->name;
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    request.task_queue = &queue;
    request.identity = worker->identity;
    request.worker_instance_key = worker->instance_key;
    request.worker_version_capabilities = flo_versioning_capabilities(worker);
    request.deployment_options = flo_versioning_deployment(worker);
    rate.value = poll->queue->config->max_task_queue_activities_per_second;
    if (rate.value > 0) { /* 0 would stop the queue */
        metadata.max_tasks_per_second = &rate;
        request.task_queue_metadata = &metadata;
    }
    return flo_client_poll_activity_task_queue(worker->client, &request, on_activity_poll, poll,
                                               &poll->call);
}

/* Send one poll; its slot is reserved. */
static bool poll_send(struct flo_task_queue *queue, enum flo_poller_kind kind)
{
    struct flo_poller_group *group = &queue->pollers[kind];
    struct poll *poll = flo_calloc(1, sizeof *poll);

    if (!poll)
        return false;
    poll->queue = queue;
    poll->kind = kind;
    if (kind == FLO_POLLER_ACTIVITY ? send_activity_poll(poll) : send_workflow_poll(poll)) {
        flo_free(poll);
        return false;
    }
    flo_list_push_back(&group->polls, &poll->node);
    queue->worker->polls++;
    flo_series_set(group->open, (double)group->polls.count);
    return true;
}

/* The group of the queue that most lacks polls; NULL when all are full or paused. */
static struct flo_poller_group *group_in_need(struct flo_task_queue *queue)
{
    static const enum flo_poller_kind ORDER[] = {FLO_POLLER_STICKY, FLO_POLLER_WORKFLOW,
                                                 FLO_POLLER_ACTIVITY};
    struct flo_poller_group *best = NULL;

    for (size_t i = 0; i < sizeof ORDER / sizeof *ORDER; i++) {
        struct flo_poller_group *group = &queue->pollers[ORDER[i]];
        size_t target = group->pollers.target;
        if (group->paused || group->polls.count >= target)
            continue;
        if (!best || group->polls.count * best->pollers.target < best->polls.count * target)
            best = group;
    }
    return best;
}

static void on_next_poll(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flo_poll_fill(ctx);
}

/* The rate limit allows no poll: try again when it does. When all permits are with polls that are
 * out, the end of one of those does. */
static void await_permit(struct flo_worker *worker)
{
    struct flo_worker_limits *limits = worker->limits;
    int64_t wait_ns = flo_bucket_wait_ns(&limits->rate, flo_clock_mono_ns());
    struct timeval delay;

    if (wait_ns < 0)
        return;
    if (!limits->next_poll)
        limits->next_poll = evtimer_new(worker->base, on_next_poll, worker);
    if (!limits->next_poll || evtimer_pending(limits->next_poll, NULL))
        return;
    wait_ns += FLO_NS_PER_MS / 2; /* the loop's clock is a coarse one */
    delay.tv_sec = wait_ns / FLO_NS_PER_S;
    delay.tv_usec = wait_ns % FLO_NS_PER_S / 1000;
    event_add(limits->next_poll, &delay);
}

/* Send one poll of the queue when it wants one. */
static enum flo_lack queue_poll(struct flo_task_queue *queue)
{
    struct flo_poller_group *group = group_in_need(queue);
    enum flo_lack lack = group ? flo_queue_reserve(queue) : FLO_LACKS_SLOT;

    if (lack != FLO_LACKS_NOTHING)
        return lack;
    if (poll_send(queue, (enum flo_poller_kind)(group - queue->pollers)))
        return FLO_LACKS_NOTHING;
    flo_queue_release(queue);
    return FLO_LACKS_PLACE; /* out of memory: the next event tries again */
}

/* A queue that brings nothing keeps one poll only, when others could use the place. */
static bool has_enough(const struct flo_task_queue *queue, bool scarce)
{
    return scarce && queue->quiet && queue->slots.reserved > 0;
}

/* Whose turn it is, of the queues that were not passed over (bits); NULL: nobody's. */
static struct flo_task_queue *whose_turn(struct flo_worker *worker, uint64_t passed)
{
    struct flo_task_queue *turn = NULL;

    for (size_t i = 0; i < worker->queue_count; i++) {
        struct flo_task_queue *queue = &worker->queues[i];
        if (passed & UINT64_C(1) << i)
            continue;
        queue->share.held = queue->slots.reserved + queue->slots.running;
        if (!turn || flo_share_before(&queue->share, &turn->share))
            turn = queue;
    }
    return turn;
}

/* Several queues, in fair order. */
static enum flo_lack fill_fairly(struct flo_worker *worker)
{
    bool scarce = flo_capacity_scarce(worker, worker->queues[0].kind);
    uint32_t awaited = 0; /* tokens that a queue whose turn it was waits for */
    uint64_t passed = 0;
    struct flo_task_queue *queue;

    while ((queue = whose_turn(worker, passed))) {
        enum flo_lack lack = FLO_LACKS_SLOT;
        if (!has_enough(queue, scarce) && !(flo_token_need_pools(&queue->need) & awaited))
            lack = queue_poll(queue);
        if (lack == FLO_LACKS_NOTHING)
            queue->share.served = ++worker->places_given;
        else if (lack >= FLO_LACKS_PERMIT)
            return lack;
        else
            passed |= UINT64_C(1) << (queue - worker->queues);
        if (lack == FLO_LACKS_TOKENS)
            awaited |= flo_tokens_short(&worker->limits->tokens, &queue->need);
    }
    return FLO_LACKS_SLOT;
}

void flo_poll_fill(struct flo_worker *worker)
{
    enum flo_lack lack = FLO_LACKS_NOTHING;

    if (worker->polls_due) {
        worker->polls_due = false;
        event_del(worker->polls_along);
    }
    if (worker->state != FLO_WORKER_RUNNING)
        return;
    if (worker->queue_count == 1)
        while (lack == FLO_LACKS_NOTHING)
            lack = queue_poll(worker->queues);
    else
        lack = fill_fairly(worker);
    if (lack == FLO_LACKS_PERMIT)
        await_permit(worker);
}

static void group_cancel(struct flo_poller_group *group)
{
    struct flo_node *node;

    while ((node = flo_list_first(&group->polls))) {
        struct poll *poll = flo_container(node, struct poll, node);
        flo_client_call_cancel(&poll->call);
        poll_end(poll);
        flo_queue_release(group->queue);
    }
}

void flo_poll_cancel_all(struct flo_worker *worker)
{
    for (size_t i = 0; i < worker->queue_count; i++)
        for (int kind = 0; kind < FLO_POLLER_KINDS; kind++)
            group_cancel(&worker->queues[i].pollers[kind]);
}

static int64_t group_silence_ns(const struct flo_poller_group *group)
{
    int64_t longest = 0;

    FLO_LIST_FOREACH(node, &group->polls)
    {
        const struct poll *poll = flo_container(node, struct poll, node);
        int64_t silence = flo_client_call_silent_ns(poll->call);
        longest = silence > longest ? silence : longest;
    }
    return longest;
}

int64_t flo_poll_silence_ns(const struct flo_worker *worker, const char **out_kind,
                            const char **out_queue)
{
    int64_t longest = 0;

    for (size_t i = 0; i < worker->queue_count; i++) {
        for (int kind = 0; kind < FLO_POLLER_KINDS; kind++) {
            int64_t silence = group_silence_ns(&worker->queues[i].pollers[kind]);
            if (silence <= longest)
                continue;
            longest = silence;
            *out_kind = KIND_NAMES[kind];
            *out_queue = worker->queues[i].name;
        }
    }
    return longest;
}

const char *flo_poll_kind_name(enum flo_poller_kind kind)
{
    return KIND_NAMES[kind];
}

size_t flo_poll_ages_ms(const struct flo_poller_group *group, int64_t *out, size_t room)
{
    size_t count = 0;

    FLO_LIST_FOREACH(node, &group->polls)
    {
        const struct poll *poll = flo_container(node, struct poll, node);
        if (count == room)
            break;
        out[count++] = flo_client_call_silent_ns(poll->call) / FLO_NS_PER_MS;
    }
    return group->polls.count;
}

/* Of so many polls for workflow tasks, those that ask the normal queue. One of each kind at least,
 * and a slot for each, else one would starve: the configuration is refused with fewer than two. */
static size_t normal_polls(const struct flo_role_config *config, size_t polls)
{
    size_t normal = (size_t)((double)polls * config->nonsticky_to_sticky_poll_ratio + 0.5);

    return normal < 1 ? 1 : normal >= polls ? polls - 1 : normal;
}

static void set_group(struct flo_poller_group *group, size_t min, size_t max)
{
    size_t target = group->pollers.target;

    target = target < min ? min : target > max ? max : target;
    if (min == max)
        flo_pollers_fixed(&group->pollers, min);
    else
        flo_pollers_autoscale(&group->pollers, min, max, target, flo_clock_mono_ns());
}

void flo_poll_set_pollers(struct flo_task_queue *queue, size_t min, size_t max)
{
    bool sticky = queue->pollers[FLO_POLLER_STICKY].pollers.target > 0;

    for (int kind = 0; kind < FLO_POLLER_KINDS; kind++) {
        struct flo_poller_group *group = &queue->pollers[kind];
        size_t normal = sticky ? normal_polls(queue->worker->config, max) : max;
        if (group->pollers.target == 0)
            continue;
        if (min != max || kind == FLO_POLLER_ACTIVITY)
            set_group(group, min, max);
        else if (kind == FLO_POLLER_WORKFLOW)
            set_group(group, normal, normal);
        else
            set_group(group, max - normal, max - normal);
    }
    flo_poll_fill(queue->worker);
}

static int group_init(struct flo_task_queue *queue, enum flo_poller_kind kind, size_t polls,
                      struct flo_err *err)
{
    const struct flo_role_config *config = queue->worker->config;
    struct flo_poller_group *group = &queue->pollers[kind];

    if (config->pollers.kind == FLO_POLLERS_AUTOSCALE)
        flo_pollers_autoscale(&group->pollers, (size_t)config->pollers.min,
                              (size_t)config->pollers.max, (size_t)config->pollers.initial,
                              flo_clock_mono_ns());
    else
        flo_pollers_fixed(&group->pollers, polls);
    group->retry = evtimer_new(queue->worker->base, on_pause_over, group);
    group->open = FLO_METRIC(queue, NUM_POLLERS, KIND_NAMES[kind]);
    if (kind == FLO_POLLER_ACTIVITY) {
        (void)FLO_OWN_METRIC(queue, ACTIVITY_POLL_NO_TASK); /* from 0 on */
    } else {
        (void)FLO_OWN_METRIC(queue, WORKFLOW_POLL_EMPTY);
        (void)FLO_OWN_METRIC(queue, WORKFLOW_POLL_SUCCEED);
    }
    flo_series_add(FLO_METRIC(queue, POLLER_START, KIND_NAMES[kind]),
                   (double)group->pollers.target);
    return group->retry ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for pollers");
}

int flo_worker_poll_workflows(struct flo_worker *worker, size_t polls, size_t slots,
                              struct flo_err *err)
{
    const struct flo_role_config *config = worker->config;
    struct flo_task_queue *queue = worker->queues;
    size_t normal = polls;
    int rc = 0;

    worker->run_env.namespace_ = config->server.name_space;
    worker->run_env.identity = worker->identity;
    rc = flo_execute_start(worker, err);
    if (rc)
        return rc;
    if (worker->shards->caching) {
        normal = normal_polls(config, polls);
        rc = group_init(queue, FLO_POLLER_STICKY, polls - normal, err);
    }
    queue->slots_asked = slots;
    flo_slots_init(&queue->slots, slots);
    flo_slots_init(&worker->capacity[FLO_SLOT_WORKFLOW], slots);
    flo_slots_init(&worker->capacity[FLO_SLOT_LOCAL_ACTIVITY],
                   (size_t)config->max_concurrent_local_activities);
    return rc ? rc : group_init(queue, FLO_POLLER_WORKFLOW, normal, err);
}

int flo_worker_poll_activities(struct flo_worker *worker, struct flo_err *err)
{
    size_t most = worker->executor_jobs;
    int rc = flo_queues_limit(worker, err);

    /* The server's clocks run from the poll on: a task is fetched only when it can run at once. */
    flo_slots_init(&worker->capacity[FLO_SLOT_ACTIVITY], most);
    for (size_t i = 0; i < worker->queue_count && !rc; i++) {
        struct flo_task_queue *queue = &worker->queues[i];
        size_t slots = (size_t)queue->config->max_concurrent_activities;
        queue->slots_asked = slots;
        flo_slots_init(&queue->slots, slots < most ? slots : most);
        rc = group_init(queue, FLO_POLLER_ACTIVITY,
                        (size_t)queue->config->max_concurrent_activity_task_polls, err);
    }
    return rc;
}

void flo_poll_fini(struct flo_worker *worker)
{
    flo_poll_cancel_all(worker);
    for (size_t i = 0; i < worker->queue_count; i++) {
        for (int kind = 0; kind < FLO_POLLER_KINDS; kind++) {
            struct event *retry = worker->queues[i].pollers[kind].retry;
            if (retry)
                event_free(retry);
        }
    }
    if (worker->limits && worker->limits->next_poll)
        event_free(worker->limits->next_poll);
    if (worker->polls_along)
        event_free(worker->polls_along);
    worker->polls_along = NULL;
    worker->polls_due = false;
}
