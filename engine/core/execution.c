/* SPDX-License-Identifier: Apache-2.0 */
/* execution.c - one run: its birth and end in memory, transitions, signals, cancel requests. */
#include "engine/core/execution.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/timers.h"
#include "engine/core/update.h"

/* ---- small things ---- */

int64_t flo_event_time(struct flo_core *core)
{
    core->last_event_ns =
        core->now_ns > core->last_event_ns ? core->now_ns : core->last_event_ns + 1;
    return core->last_event_ns;
}

int64_t flo_min_timeout(int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

int64_t flo_add_ns(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void flo_core_run_timer(struct flo_core *core, struct flo_core_timer *timer, int64_t deadline_ns,
                        flo_core_timer_fn fire)
{
    if (flo_core_timers_set(&core->timers, timer, deadline_ns, fire))
        flo_core_set_fatal(core);
}

void flo_set_text(struct flo_core *core, char **text, const char *value)
{
    if (!value)
        value = "";
    if (*text && !strcmp(*text, value))
        return;
    char *copy = flo_strdup(value);
    if (!copy) {
        flo_core_set_fatal(core);
        return;
    }
    flo_free(*text);
    *text = copy;
}

void flo_set_name(struct flo_core *core, const char **name, const char *value)
{
    if (*name && !strcmp(*name, value))
        return;
    flo_names_put(&core->names, name);
    *name = flo_names_get(&core->names, value);
    if (!*name)
        flo_core_set_fatal(core);
}

void flo_blob_clear(struct flo_blob *blob)
{
    flo_free(blob->data);
    *blob = (struct flo_blob){0};
}

void flo_blob_set(struct flo_core *core, struct flo_blob *blob, const ProtobufCMessage *message)
{
    flo_blob_clear(blob);
    if (!message)
        return;
    uint8_t *bytes;
    size_t len;
    if (flo_wire_encode_arena(message, &core->scratch, &bytes, &len))
        flo_core_set_fatal(core);
    else
        flo_blob_set_bytes(core, blob, bytes, len); /* an empty message is not an absent one */
}

void flo_blob_set_bytes(struct flo_core *core, struct flo_blob *blob, const void *data, size_t len)
{
    flo_blob_clear(blob);
    blob->data = flo_malloc(len + 1);
    if (!blob->data) {
        flo_core_set_fatal(core);
        return;
    }
    if (len)
        memcpy(blob->data, data, len);
    blob->len = len;
}

void *flo_blob_decode(struct flo_core *core, const struct flo_blob *blob,
                      const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message;
    if (!blob->data)
        return NULL;
    if (flo_wire_decode(descriptor, blob->data, blob->len, &core->scratch, &message, NULL)) {
        flo_core_set_fatal(core);
        return NULL;
    }
    return message;
}

struct flo_execution *flo_execution_find_open(struct flo_core *core, const struct flo_namespace *ns,
                                              const char *workflow_id, const char *run_id)
{
    struct flo_execution *execution = flo_core_find_resident(core, ns, workflow_id, run_id);
    return execution && flo_execution_is_open(execution) ? execution : NULL;
}

void flo_execution_unsettle(struct flo_core *core, struct flo_execution *execution)
{
    if (!flo_node_linked(&execution->unsettled))
        flo_list_push_back(&core->unsettled, &execution->unsettled);
}

/* ---- birth ---- */

/* The texts that a run keeps for itself: where they come from, where they go. */
static const struct {
    size_t from, to;
} kept[] = {
#define KEPT(name)                                                                                 \
    {                                                                                              \
        offsetof(struct flo_run_texts, name), offsetof(struct flo_execution, name)                 \
    }
    KEPT(workflow_id),     KEPT(start_request_id),    KEPT(first_run_id),
    KEPT(original_run_id), KEPT(parent_namespace_id), KEPT(parent_workflow_id),
    KEPT(parent_run_id),   KEPT(root_workflow_id),    KEPT(root_run_id),
#undef KEPT
};
#define KEPT_COUNT (sizeof kept / sizeof *kept)

static const char *kept_text(const struct flo_run_texts *texts, size_t i)
{
    const char *text = *(const char *const *)(const void *)((const char *)texts + kept[i].from);
    return text ? text : "";
}

/* Most runs are the first of their chain and their own root: such ids need no second copy. */
static bool is_known(const struct flo_run_texts *texts, size_t i)
{
    const char *text = kept_text(texts, i);
    return !*text || strcmp(text, texts->run_id) == 0 ||
           (i > 0 && strcmp(text, texts->workflow_id) == 0);
}

static const char *known(const struct flo_execution *execution, const char *text)
{
    if (!*text)
        return "";
    return strcmp(text, execution->run_id) == 0 ? execution->run_id : execution->workflow_id;
}

/* Put the texts into execution->text, which has room for them. */
static void keep_texts(struct flo_execution *execution, const struct flo_run_texts *texts)
{
    char *at = execution->text;
    for (size_t i = 0; i < KEPT_COUNT; i++) {
        const char *text = kept_text(texts, i);
        const char **to = (const char **)(void *)((char *)execution + kept[i].to);
        if (is_known(texts, i)) {
            *to = known(execution, text);
            continue;
        }
        const size_t size = strlen(text) + 1;
        *to = memcpy(at, text, size);
        at += size;
    }
}

struct flo_execution *flo_execution_blank(struct flo_core *core, struct flo_namespace *ns,
                                          const struct flo_run_texts *texts)
{
    size_t bytes = sizeof(struct flo_execution);
    for (size_t i = 0; i < KEPT_COUNT; i++)
        bytes += is_known(texts, i) ? 0 : strlen(kept_text(texts, i)) + 1;
    struct flo_execution *execution = flo_calloc(1, bytes);
    if (!execution)
        return NULL;
    flo_core_run_hooks_init(&execution->hooks, ns, execution);
    flo_history_init(&execution->history);
    flo_list_init(&execution->buffered);
    flo_list_init(&execution->outbound);
    execution->workflow_task.attempt = 1;
    execution->status = FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING;
    memcpy(execution->run_id, texts->run_id, FLO_UUID_LEN);
    keep_texts(execution, texts);
    execution->type = flo_names_get(&core->names, texts->type);
    execution->task_queue = flo_names_get(&core->names, texts->task_queue);
    if (!execution->type || !execution->task_queue)
        flo_execution_destroy(core, &execution);
    return execution;
}

static struct flo_execution *blank_of(struct flo_core *core, const struct flo_execution_args *args)
{
    const FloApi__WorkflowExecutionStartedEventAttributes *started = args->started;
    const FloApi__WorkflowExecution *parent = started->parent_workflow_execution;
    const FloApi__WorkflowExecution *root = started->root_workflow_execution;
    return flo_execution_blank(
        core, args->ns,
        &(struct flo_run_texts){
            .run_id = args->run_id,
            .workflow_id = started->workflow_id,
            .type = started->workflow_type->name,
            .task_queue = started->task_queue->name,
            .start_request_id = args->request_id,
            .first_run_id = started->first_execution_run_id,
            .original_run_id = started->original_execution_run_id,
            .parent_namespace_id = started->parent_workflow_namespace_id,
            .parent_workflow_id = parent ? parent->workflow_id : "",
            .parent_run_id = parent ? parent->run_id : "",
            .root_workflow_id = root ? root->workflow_id : started->workflow_id,
            .root_run_id = root ? root->run_id : args->run_id,
        });
}

static void keep_times(struct flo_execution *execution,
                       const FloApi__WorkflowExecutionStartedEventAttributes *started, int64_t now)
{
    execution->start_ns = now;
    execution->execution_ns =
        flo_add_ns(now, flo_duration_ns(started->first_workflow_task_backoff));
    execution->execution_timeout_ns = flo_duration_ns(started->workflow_execution_timeout);
    execution->run_timeout_ns = flo_duration_ns(started->workflow_run_timeout);
    execution->task_timeout_ns = flo_duration_ns(started->workflow_task_timeout);
    if (execution->task_timeout_ns <= 0)
        execution->task_timeout_ns = FLO_CORE_RUN_WORKFLOW_TASK_NS;
    execution->execution_deadline_ns =
        flo_timestamp_ns(started->workflow_execution_expiration_time);
    if (execution->execution_timeout_ns && !execution->execution_deadline_ns)
        execution->execution_deadline_ns =
            flo_add_ns(execution->execution_ns, execution->execution_timeout_ns);
    execution->first_task_pending = true; /* until flo_execution_begin says when */
    execution->attempt = started->attempt;
    execution->has_retry_policy = started->retry_policy != NULL;
    execution->has_cron = started->cron_schedule[0] != '\0';
}

struct flo_execution *flo_execution_born(struct flo_core *core,
                                         const struct flo_execution_args *args, int64_t now_ns)
{
    const FloApi__WorkflowExecutionStartedEventAttributes *started = args->started;
    struct flo_execution *execution = blank_of(core, args);
    if (!execution)
        return NULL;
    keep_times(execution, started, now_ns);
    execution->parent_initiated_id = started->parent_initiated_event_id;
    if (started->memo)
        flo_blob_set(core, &execution->memo, &started->memo->base);
    if (started->search_attributes) {
        flo_blob_set(core, &execution->search_attributes, &started->search_attributes->base);
        execution->attributes_changed = true;
    }
    if (started->prev_auto_reset_points)
        flo_blob_set(core, &execution->reset_points, &started->prev_auto_reset_points->base);
    if (started->priority)
        flo_run_set_priority(core, execution, started->priority);
    if (args->user_metadata)
        flo_blob_set(core, &execution->user_metadata, &args->user_metadata->base);
    return execution;
}

struct flo_execution *flo_execution_new(struct flo_core *core,
                                        const struct flo_execution_args *args)
{
    int64_t now = flo_event_time(core);
    struct flo_execution *execution = flo_execution_born(core, args, now);
    if (!execution)
        return NULL;
    if (flo_core_add_run(core, execution)) {
        flo_execution_destroy(core, &execution);
        return NULL;
    }
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        .attributes = (void *)(uintptr_t)args->started,
        .user_metadata = args->user_metadata,
        .links = args->links,
        .n_links = args->n_links,
        .time_ns = now,
    };
    flo_history_write(core, execution, &event);
    flo_execution_arm_run(core, execution);
    return execution;
}

void flo_execution_arm_run(struct flo_core *core, struct flo_execution *execution)
{
    int64_t deadline =
        execution->execution_deadline_ns ? execution->execution_deadline_ns : INT64_MAX;
    if (execution->run_timeout_ns) {
        int64_t run = flo_add_ns(execution->execution_ns, execution->run_timeout_ns);
        deadline = run < deadline ? run : deadline;
    }
    if (deadline != INT64_MAX)
        flo_core_run_timer(core, &execution->run_timer, deadline, flo_close_timed_out);
}

static void first_task_due(struct flo_core *core, struct flo_core_timer *timer)
{
    struct flo_execution *execution =
        flo_container(timer, struct flo_execution, workflow_task.timer);
    execution->first_task_pending = false;
    flo_core_workflow_task_schedule(core, execution);
    flo_execution_end(core, execution, true);
}

void flo_execution_arm_backoff(struct flo_core *core, struct flo_execution *execution)
{
    flo_core_run_timer(core, &execution->workflow_task.timer, execution->execution_ns,
                       first_task_due);
}

void flo_execution_begin(struct flo_core *core, struct flo_execution *execution, bool force)
{
    if (execution->execution_ns > execution->start_ns && !force) {
        flo_execution_arm_backoff(core, execution);
        return;
    }
    execution->first_task_pending = false;
    flo_core_timers_clear(&core->timers, &execution->workflow_task.timer);
    flo_core_workflow_task_schedule(core, execution);
}

/* ---- end ---- */

void flo_execution_quiesce(struct flo_core *core, struct flo_execution *execution)
{
    flo_core_timers_clear(&core->timers, &execution->workflow_task.timer);
    flo_core_timers_clear(&core->timers, &execution->run_timer);
    flo_user_timers_disarm(core, execution);
    flo_matching_remove(core, &execution->hooks.workflow_task);
    for (size_t i = 0; i < execution->activity_count; i++) {
        flo_core_timers_clear(&core->timers, &execution->activities[i]->timer);
        flo_matching_remove(core, &execution->activities[i]->task);
    }
}

static void free_lists(struct flo_core *core, struct flo_execution *execution)
{
    for (size_t i = 0; i < execution->activity_count; i++)
        flo_core_activity_free(core, execution->activities[i]);
    flo_free(execution->activities);
    for (size_t i = 0; i < execution->child_count; i++)
        flo_core_child_free(execution->children[i]);
    flo_free(execution->children);
    flo_user_timers_fini(core, execution);
    if (execution->signal_requests)
        flo_map_fini(execution->signal_requests);
    flo_free(execution->signal_requests);
    struct flo_node *node;
    while ((node = flo_list_pop_front(&execution->buffered)))
        flo_free(flo_container(node, struct flo_buffered_event, node));
    while ((node = flo_list_pop_front(&execution->outbound)))
        flo_free(flo_container(node, struct flo_outbound, node));
}

void flo_execution_destroy(struct flo_core *core, struct flo_execution **pexecution)
{
    struct flo_execution *execution = *pexecution;
    if (!execution)
        return;
    flo_execution_quiesce(core, execution);
    flo_core_remove_run(core, execution);
    flo_core_run_hooks_fini(core, &execution->hooks);
    flo_updates_fini(core, execution);
    if (flo_node_linked(&execution->unsettled))
        flo_list_remove(&core->unsettled, &execution->unsettled);
    free_lists(core, execution);
    flo_run_more_fini(execution);
    flo_free(execution->workflow_task.start);
    flo_free(execution->new_run_id);
    flo_free(execution->cancel_request_id);
    flo_names_put(&core->names, &execution->type);
    flo_names_put(&core->names, &execution->task_queue);
    flo_names_put(&core->names, &execution->sticky_queue);
    flo_names_put(&core->names, &execution->last_build);
    flo_blob_clear(&execution->memo);
    flo_blob_clear(&execution->search_attributes);
    flo_blob_clear(&execution->reset_points);
    flo_blob_clear(&execution->user_metadata);
    flo_history_fini(&execution->history);
    flo_free(execution);
    *pexecution = NULL;
}

/* ---- transitions ---- */

/* Too much waits behind the workflow task that is started: take it from its worker. */
static void check_buffer(struct flo_core *core, struct flo_execution *execution)
{
    if (execution->workflow_task.stage != FLO_CORE_WORKFLOW_TASK_STARTED ||
        (execution->buffered.count <= FLO_CORE_RUN_MAX_BUFFERED &&
         execution->buffered_bytes <= FLO_CORE_RUN_MAX_BUFFERED_BYTES))
        return;
    FloApi__WorkflowTaskFailedEventAttributes failed =
        FLO_API__WORKFLOW_TASK_FAILED_EVENT_ATTRIBUTES__INIT;
    failed.cause =
        FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND;
    failed.identity = (char *)(uintptr_t)FLO_CORE_RUN_IDENTITY;
    flo_core_workflow_task_fail(core, execution, &failed);
    flo_core_workflow_task_schedule(core, execution);
}

static void check_history(struct flo_core *core, struct flo_execution *execution)
{
    const struct flo_history *history = &execution->history;
    if (history->next_event_id - 1 > core->options.history_count_limit)
        flo_execution_terminate(core, execution, "Workflow history count exceeds limit.", NULL,
                                FLO_CORE_RUN_IDENTITY);
    else if ((int64_t)history->len > core->options.history_size_limit)
        flo_execution_terminate(core, execution, "Workflow history size exceeds limit.", NULL,
                                FLO_CORE_RUN_IDENTITY);
}

void flo_execution_end(struct flo_core *core, struct flo_execution *execution, bool store)
{
    if (flo_execution_is_open(execution))
        check_buffer(core, execution);
    if (flo_execution_is_open(execution))
        check_history(core, execution);
    flo_history_seal(&execution->history);
    flo_core_workflow_task_forget_start(execution);
    if (store) {
        execution->state_transitions++;
        core->transitions++;
    }
    flo_core_touch(core, execution, store);
}

void flo_execution_settle(struct flo_core *core)
{
    struct flo_node *node = flo_list_pop_front(&core->unsettled);
    if (node)
        flo_core_child_settle(core, flo_container(node, struct flo_execution, unsettled));
}

/* ---- signals and cancel requests ---- */

/* How the request of a signal is known: what its entry in signal_requests points to. */
static char by_event, by_state;

static int put_signal(struct flo_execution *execution, const char *request_id, char *how)
{
    if (!execution->signal_requests) {
        execution->signal_requests = flo_malloc(sizeof *execution->signal_requests);
        if (!execution->signal_requests)
            return FLO_ENOMEM;
        flo_map_init(execution->signal_requests);
    }
    return flo_map_put_str(execution->signal_requests, request_id, how);
}

static bool knows_signal(const struct flo_execution *execution, const char *request_id)
{
    return execution->signal_requests && flo_map_get_str(execution->signal_requests, request_id);
}

int flo_execution_note_signal(struct flo_execution *execution, const char *request_id)
{
    return request_id && *request_id ? put_signal(execution, request_id, &by_event) : 0;
}

void flo_execution_keep_signal(struct flo_core *core, struct flo_execution *execution,
                               const char *request_id)
{
    if (!request_id || !*request_id || knows_signal(execution, request_id))
        return;
    struct flo_run_more *more = flo_run_more_of(core, execution);
    if (!more || put_signal(execution, request_id, &by_state))
        flo_core_set_fatal(core);
    else
        more->kept_signals++;
}

const char *flo_execution_next_kept_signal(const struct flo_execution *execution,
                                           const struct flo_map_entry **at)
{
    if (!execution->more || !execution->more->kept_signals)
        return NULL;
    *at = *at ? flo_map_next(*at) : flo_map_first(execution->signal_requests);
    while (*at && flo_map_value(*at) != &by_state)
        *at = flo_map_next(*at);
    return *at ? flo_map_key(*at, NULL) : NULL;
}

void flo_execution_keep_signals_of(struct flo_core *core, struct flo_execution *execution,
                                   const struct flo_execution *other)
{
    const struct flo_map_entry *at = NULL;
    for (const char *id; (id = flo_execution_next_kept_signal(other, &at));)
        flo_execution_keep_signal(core, execution, id);
}

static void add_signal(struct flo_core *core, struct flo_execution *execution,
                       const FloApi__WorkflowExecutionSignaledEventAttributes *attributes,
                       FloApi__Link **links, size_t n_links)
{
    if (flo_execution_note_signal(execution, attributes->request_id))
        flo_core_set_fatal(core);
    execution->signal_count++;
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        .attributes = (void *)(uintptr_t)attributes,
        .links = links,
        .n_links = n_links,
    };
    flo_history_record(core, execution, &event, 0);
    flo_core_workflow_task_schedule(core, execution);
}

int flo_execution_signal(struct flo_core *core, struct flo_execution *execution,
                         const FloApi__WorkflowExecutionSignaledEventAttributes *attributes,
                         FloApi__Link **links, size_t n_links, struct flo_status *status)
{
    const char *request_id = attributes->request_id;
    if (request_id && *request_id && knows_signal(execution, request_id))
        return 0;
    if (execution->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_STARTED &&
        execution->workflow_task.close_attempted)
        return flo_status_exhausted(
            core, status, FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
            "workflow operation can not be applied because workflow is closing");
    if (execution->signal_count >= FLO_CORE_RUN_MAX_SIGNALS)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "exceeded workflow execution limit for signal events");
    add_signal(core, execution, attributes, links, n_links);
    return 0;
}

bool flo_execution_add_signal(struct flo_core *core, struct flo_execution *execution,
                              const FloApi__WorkflowExecutionSignaledEventAttributes *attributes)
{
    if (execution->signal_count >= FLO_CORE_RUN_MAX_SIGNALS)
        return false;
    add_signal(core, execution, attributes, NULL, 0);
    return true;
}

void flo_execution_request_cancel(
    struct flo_core *core, struct flo_execution *execution, const char *request_id,
    const FloApi__WorkflowExecutionCancelRequestedEventAttributes *attributes)
{
    if (execution->cancel_requested)
        return;
    execution->cancel_requested = true;
    if (request_id && *request_id)
        flo_set_text(core, &execution->cancel_request_id, request_id);
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        .attributes = (void *)(uintptr_t)attributes,
    };
    flo_history_record(core, execution, &event, 0);
    if (execution->first_task_pending) /* what waits for its time need not wait to be cancelled */
        flo_execution_begin(core, execution, true);
    else
        flo_core_workflow_task_schedule(core, execution);
}
