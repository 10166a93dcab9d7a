/* SPDX-License-Identifier: Apache-2.0 */
/* handle.c - workflows that a test has started: what it asks for, and how they end. */
#include <string.h>

#include "base/alloc.h"
#include "grpc/status.h"
#include "testing/kit.h"
#include "wire/failure.h"
#include "wire/json.h"
#include "wire/payload.h"
#include "workflow/fill.h"

#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_##name

static const char *const STATUS_NAMES[] = {
    [FLO_TEST_RUNNING] = "running",       [FLO_TEST_COMPLETED] = "completed",
    [FLO_TEST_FAILED] = "failed",         [FLO_TEST_CANCELLED] = "cancelled",
    [FLO_TEST_TERMINATED] = "terminated", [FLO_TEST_TIMED_OUT] = "timed out",
    [FLO_TEST_REFUSED] = "refused",
};

const char *flo_test_status_name(enum flo_test_status status)
{
    return (size_t)status < sizeof STATUS_NAMES / sizeof *STATUS_NAMES ? STATUS_NAMES[status] : "?";
}

static struct flo_test_workflow *handle_new(struct flo_test_env *env, const char *workflow_id)
{
    static struct flo_test_workflow none = {
        .workflow_id = "", .run_id = "", .status = FLO_TEST_REFUSED};
    struct flo_test_workflow *workflow = flo_calloc(1, sizeof *workflow);
    if (!workflow) {
        kit_problem(env, FLO_ENOMEM, "no memory for a workflow");
        none.env = env;
        return &none;
    }
    workflow->env = env;
    workflow->workflow_id = kit_text(env, workflow_id);
    workflow->run_id = KIT_TEXT("");
    flo_list_push_back(&env->handles, &workflow->node);
    return workflow;
}

void kit_handles_fini(struct flo_test_env *env)
{
    while (!flo_list_empty(&env->handles)) {
        struct flo_test_workflow *workflow =
            flo_container(flo_list_pop_front(&env->handles), struct flo_test_workflow, node);
        flo_free(workflow);
    }
}

/* ---- starting ---- */

static FloApi__Payloads *arguments(struct flo_arena *arena, json_t *input, json_t *all)
{
    if (!all)
        return input ? flo_payloads_from_json(arena, input) : NULL;
    FloApi__Payloads *payloads = flo_arena_calloc(arena, 1, sizeof *payloads);
    FloApi__Payload **each = flo_arena_calloc(arena, json_array_size(all) + 1, sizeof *each);
    if (!payloads || !each)
        return NULL;
    flo_api__payloads__init(payloads);
    payloads->payloads = each;
    for (size_t i = 0; i < json_array_size(all); i++)
        each[payloads->n_payloads++] = flo_payload_from_json(arena, json_array_get(all, i));
    return payloads;
}

static FloApi__SearchAttributes *search_attributes(struct flo_arena *arena, json_t *from)
{
    FloApi__SearchAttributes *to = from ? flo_arena_calloc(arena, 1, sizeof *to) : NULL;
    FloApi__SearchAttributes__IndexedFieldsEntry **fields =
        to ? flo_arena_calloc(arena, json_object_size(from) + 1, sizeof *fields) : NULL;
    const char *key;
    json_t *value;
    if (!fields)
        return NULL;
    flo_api__search_attributes__init(to);
    to->indexed_fields = fields;
    json_object_foreach(from, key, value)
    {
        FloApi__SearchAttributes__IndexedFieldsEntry *entry =
            flo_arena_calloc(arena, 1, sizeof *entry);
        if (!entry)
            return NULL;
        flo_api__search_attributes__indexed_fields_entry__init(entry);
        entry->key = flo_arena_strdup(arena, key);
        entry->value = flo_payload_from_json(arena, value);
        fields[to->n_indexed_fields++] = entry;
    }
    return to;
}

/* Both start requests have these fields, of the same types. */
#define FILL(request, workflow, type_, queue_, input_, options, arena)                             \
    do {                                                                                           \
        bool none = false;                                                                         \
        (request).namespace_ = KIT_TEXT(KIT_NAMESPACE);                                            \
        (request).identity = KIT_TEXT("test");                                                     \
        (request).workflow_id = (workflow)->workflow_id;                                           \
        (request).workflow_type = (type_);                                                         \
        (request).task_queue = (queue_);                                                           \
        (request).input = arguments((arena), (input_), (options)->arguments);                      \
        (request).workflow_execution_timeout =                                                     \
            flo_fill_duration((arena), (options)->execution_timeout_ms, &none);                    \
        (request).workflow_run_timeout =                                                           \
            flo_fill_duration((arena), (options)->run_timeout_ms, &none);                          \
        (request).workflow_task_timeout =                                                          \
            flo_fill_duration((arena), (options)->task_timeout_ms, &none);                         \
        (request).workflow_start_delay =                                                           \
            flo_fill_duration((arena), (options)->start_delay_ms, &none);                          \
        (request).retry_policy = flo_fill_retry((arena), (options)->retry, &none);                 \
        (request).memo = flo_fill_memo((arena), (options)->memo, &none);                           \
        (request).search_attributes = search_attributes((arena), (options)->search_attributes);    \
        (request).header = flo_fill_header((arena), (options)->headers, &none);                    \
        (request).cron_schedule =                                                                  \
            KIT_TEXT((options)->cron_schedule ? (options)->cron_schedule : "");                    \
        (request).request_id = uuid(workflow->env, (arena));                                       \
    } while (0)

static char *uuid(struct flo_test_env *env, struct flo_arena *arena)
{
    char text[FLO_UUID_LEN + 1];
    flo_rng_uuid4(&env->rng, text);
    char *copy = flo_arena_strdup(arena, text);
    return copy ? copy : KIT_TEXT("");
}

/* The run's id, or NULL: refused. */
static const char *ask_start(struct flo_test_workflow *workflow, FloApi__WorkflowType *type,
                             FloApi__TaskQueue *queue, json_t *input,
                             const struct flo_test_start_options *options, struct flo_arena *arena)
{
    struct flo_test_env *env = workflow->env;
    if (options->signal) {
        FloApi__SignalWithStartWorkflowExecutionRequest request =
            FLO_API__SIGNAL_WITH_START_WORKFLOW_EXECUTION_REQUEST__INIT;
        FloApi__SignalWithStartWorkflowExecutionResponse *answer;
        FILL(request, workflow, type, queue, input, options, arena);
        request.signal_name = KIT_TEXT(options->signal);
        request.signal_input = arguments(arena, options->signal_input, NULL);
        return kit_ask(env, "SignalWithStartWorkflowExecution", &request.base,
                       &flo_api__signal_with_start_workflow_execution_response__descriptor, arena,
                       &answer, &workflow->why)
                   ? NULL
                   : answer->run_id;
    }
    FloApi__StartWorkflowExecutionRequest request = FLO_API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__StartWorkflowExecutionResponse *answer;
    FILL(request, workflow, type, queue, input, options, arena);
    return kit_ask(env, "StartWorkflowExecution", &request.base,
                   &flo_api__start_workflow_execution_response__descriptor, arena, &answer,
                   &workflow->why)
               ? NULL
               : answer->run_id;
}

struct flo_test_workflow *flo_test_start(struct flo_test_env *env, const char *type, json_t *input,
                                         const struct flo_test_start_options *options)
{
    static const struct flo_test_start_options defaults = {0};
    FloApi__WorkflowType type_name = FLO_API__WORKFLOW_TYPE__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    struct flo_arena arena;
    const struct flo_test_start_options *asked = options ? options : &defaults;
    const char *id = asked->workflow_id;
    flo_arena_init(&arena, 0);
    if (!id)
        id = flo_arena_printf(&arena, "%s-%u", type, ++env->next_workflow);
    struct flo_test_workflow *workflow = handle_new(env, id ? id : "");
    type_name.name = KIT_TEXT(type);
    queue.name = KIT_TEXT(asked->task_queue ? asked->task_queue : env->options.task_queue);
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    (void)kit_queue_know(env, queue.name);
    const char *run_id = ask_start(workflow, &type_name, &queue, input, asked, &arena);
    if (run_id) {
        workflow->run_id = kit_text(env, run_id);
        workflow->runs = 1;
    } else {
        workflow->status = FLO_TEST_REFUSED;
    }
    flo_arena_fini(&arena);
    return workflow;
}

struct flo_test_workflow *flo_test_find(struct flo_test_env *env, const char *workflow_id)
{
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__DescribeWorkflowExecutionResponse *answer;
    struct flo_test_workflow *workflow = NULL;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    execution.workflow_id = KIT_TEXT(workflow_id);
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.execution = &execution;
    if (kit_ask(env, "DescribeWorkflowExecution", &request.base,
                &flo_api__describe_workflow_execution_response__descriptor, &arena, &answer,
                NULL) == 0) {
        workflow = handle_new(env, workflow_id);
        workflow->run_id = kit_text(env, answer->workflow_execution_info->execution->run_id);
        workflow->runs = 1;
        workflow->seen = UINT64_MAX;
    }
    flo_arena_fini(&arena);
    return workflow;
}

/* ---- ending ---- */

static void keep_failure(struct flo_test_workflow *workflow, const FloApi__Failure *failure)
{
    struct flo_buf text;
    flo_buf_init(&text, 0);
    flo_failure_describe(failure, &text);
    workflow->failure = kit_keep(workflow->env, flo_wire_to_json(&failure->base));
    (void)flo_fail(&workflow->why, FLO_EFAILED, "the workflow %s failed: %s", workflow->workflow_id,
                   flo_buf_cstr(&text));
    flo_buf_fini(&text);
}

static void keep_result(struct flo_test_workflow *workflow, const FloApi__Payloads *payloads)
{
    json_t *value = NULL;
    struct flo_err err = {0};
    if (flo_payloads_show(payloads, false, &value, &err))
        kit_problem(workflow->env, err.code, "the result of %s: %s", workflow->workflow_id,
                    err.message);
    workflow->result = kit_keep(workflow->env, value);
}

/* The run that follows one that closed like this, "" for none. */
static const char *next_run(const FloApi__HistoryEvent *event)
{
    const char *id = NULL;
    switch (event->event_type) {
    case EVENT(COMPLETED):
        id = event->workflow_execution_completed_event_attributes->new_execution_run_id;
        break;
    case EVENT(FAILED):
        id = event->workflow_execution_failed_event_attributes->new_execution_run_id;
        break;
    case EVENT(TIMED_OUT):
        id = event->workflow_execution_timed_out_event_attributes->new_execution_run_id;
        break;
    case EVENT(CONTINUED_AS_NEW):
        id = event->workflow_execution_continued_as_new_event_attributes->new_execution_run_id;
        break;
    default:
        break;
    }
    return id ? id : "";
}

/* event is the last one of the newest run. False: that is open. */
static bool take_end(struct flo_test_workflow *workflow, const FloApi__HistoryEvent *event)
{
    const char *id = workflow->workflow_id;
    switch (event->event_type) {
    case EVENT(COMPLETED):
        workflow->status = FLO_TEST_COMPLETED;
        keep_result(workflow, event->workflow_execution_completed_event_attributes->result);
        return true;
    case EVENT(FAILED):
        workflow->status = FLO_TEST_FAILED;
        keep_failure(workflow, event->workflow_execution_failed_event_attributes->failure);
        return true;
    case EVENT(CANCELED):
        workflow->status = FLO_TEST_CANCELLED;
        (void)flo_fail(&workflow->why, FLO_ECANCELLED, "the workflow %s was cancelled", id);
        return true;
    case EVENT(TERMINATED):
        workflow->status = FLO_TEST_TERMINATED;
        (void)flo_fail(&workflow->why, FLO_ECLOSED, "the workflow %s was terminated: %s", id,
                       event->workflow_execution_terminated_event_attributes->reason);
        return true;
    case EVENT(TIMED_OUT):
        workflow->status = FLO_TEST_TIMED_OUT;
        (void)flo_fail(&workflow->why, FLO_ETIMEDOUT, "the workflow %s timed out", id);
        return true;
    default:
        return false;
    }
}

/* The last event of the newest run, in arena; NULL: none could be read. */
static const FloApi__HistoryEvent *last_event(struct flo_test_workflow *workflow,
                                              struct flo_arena *arena)
{
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    FloApi__WorkflowExecution run = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__GetWorkflowExecutionHistoryResponse *page;
    struct flo_err err = {0};
    run.workflow_id = workflow->workflow_id;
    run.run_id = workflow->run_id;
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.execution = &run;
    request.history_event_filter_type =
        FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    if (kit_ask(workflow->env, "GetWorkflowExecutionHistory", &request.base,
                &flo_api__get_workflow_execution_history_response__descriptor, arena, &page,
                &err)) {
        kit_problem(workflow->env, err.code, "%s", err.message);
        return NULL;
    }
    return page->history->n_events ? page->history->events[page->history->n_events - 1] : NULL;
}

void kit_handle_look(struct flo_test_workflow *workflow)
{
    struct flo_test_env *env = workflow->env;
    if (workflow->status != FLO_TEST_RUNNING || workflow->seen == env->changes)
        return;
    workflow->seen = env->changes;
    for (bool followed = true; followed;) {
        struct flo_arena arena;
        flo_arena_init(&arena, 0);
        const FloApi__HistoryEvent *event = last_event(workflow, &arena);
        const char *next = event ? next_run(event) : "";
        followed = *next != '\0';
        if (followed || (event && take_end(workflow, event)))
            kit_replay(env, workflow->workflow_id, workflow->run_id);
        if (followed) {
            workflow->run_id = kit_text(env, next);
            workflow->runs++;
        }
        flo_arena_fini(&arena);
    }
}

enum flo_test_status flo_test_status(struct flo_test_workflow *workflow)
{
    kit_handle_look(workflow);
    return workflow->status;
}

static int still_running(struct flo_test_workflow *workflow, bool limit, struct flo_err *err)
{
    struct flo_test_env *env = workflow->env;
    struct flo_buf waits;
    flo_buf_init(&waits, 0);
    kit_say_waits(env, &waits);
    int rc = limit ? flo_fail(err, FLO_ETIMEDOUT,
                              "the workflow %s has not ended in %lld ms of virtual time%s",
                              workflow->workflow_id, (long long)env->options.limit_ms,
                              flo_buf_cstr(&waits))
                   : flo_fail(err, FLO_EPENDING,
                              "the workflow %s waits for something that never comes%s",
                              workflow->workflow_id, flo_buf_cstr(&waits));
    flo_buf_fini(&waits);
    return rc;
}

int flo_test_result(struct flo_test_workflow *workflow, json_t **out_result, struct flo_err *err)
{
    struct flo_test_env *env = workflow->env;
    int64_t until_ns = env->clock.now_ns + env->options.limit_ms * FLO_NS_PER_MS;
    if (env->inside)
        return flo_fail(err, FLO_EINVAL, "a workflow cannot be waited for inside an activity");
    kit_handle_look(workflow);
    while (workflow->status == FLO_TEST_RUNNING && kit_step(env, until_ns))
        kit_handle_look(workflow);
    if (env->problem.code)
        return flo_fail(err, env->problem.code, "%s", env->problem.message);
    if (workflow->status == FLO_TEST_RUNNING)
        return still_running(workflow, !kit_quiet(env), err);
    if (workflow->status != FLO_TEST_COMPLETED)
        return flo_fail(err, workflow->why.code, "%s", workflow->why.message);
    if (out_result)
        *out_result = workflow->result;
    return 0;
}

json_t *flo_test_failure(struct flo_test_workflow *workflow)
{
    kit_handle_look(workflow);
    return workflow->failure;
}

const char *flo_test_workflow_id(const struct flo_test_workflow *workflow)
{
    return workflow->workflow_id;
}

const char *flo_test_run_id(struct flo_test_workflow *workflow)
{
    kit_handle_look(workflow);
    return workflow->run_id;
}

unsigned flo_test_runs(struct flo_test_workflow *workflow)
{
    kit_handle_look(workflow);
    return workflow->runs;
}
