/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity.c - activities: which function plays a type (a mock, or the module's own), and the tasks
 * of those that are not local. Each heartbeat goes to the server at once, not throttled.
 */
#include <stdio.h>
#include <string.h>

#include "activity/outcome.h"
#include "activity/task.h"
#include "base/alloc.h"
#include "testing/kit.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"

#define BEATS_PER_TIMEOUT 5
#define BEAT_MS 1000

struct mock {
    struct flo_test_mock as; /* result and failure: copies below */
    json_t *result;          /* kept */
};

struct count {
    unsigned attempts, activities;
    json_t *inputs; /* kept array */
};

/* What the runner of attempts knows (activity/task.h). */
struct kit_activities {
    struct flo_activity_library libraries[2]; /* [1]: of local ones */
    struct flo_activity_wrap *wraps;
};

/* ---- mocks ---- */

static const struct flo_failure default_failure = {.type = "MockFailure",
                                                   .message = "a failure of the mock"};

/* Virtual time; FLO_ECANCELLED when the attempt was told to stop meanwhile. */
static int take_time(struct flo_activity_context *ctx, const struct flo_test_mock *mock)
{
    const struct flo_activity_info *info = flo_activity_info(ctx);
    int64_t each_ms = info->heartbeat_ms ? info->heartbeat_ms / BEATS_PER_TIMEOUT : BEAT_MS;
    int64_t left_ms = mock->hangs ? INT64_MAX : mock->takes_ms;
    if (each_ms < 1)
        each_ms = 1;
    while (left_ms > 0) {
        int64_t ms = mock->heartbeats && each_ms < left_ms ? each_ms : left_ms;
        if (mock->hangs && !mock->heartbeats)
            ms = INT64_C(1000) * 3600 * 24 * 365;
        if (flo_activity_wait_cancelled(ctx, ms) ||
            (mock->heartbeats && flo_activity_heartbeat(ctx, NULL) == FLO_ECANCELLED))
            return FLO_ECANCELLED;
        if (!mock->hangs)
            left_ms -= ms;
    }
    return 0;
}

/* The function of mocks that have none of their own. */
static int play(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct mock *mock = flo_activity_shared(ctx);
    unsigned attempt = (unsigned)flo_activity_info(ctx)->attempt;
    (void)input;
    int rc = take_time(ctx, &mock->as);
    if (rc)
        return rc;
    if (mock->as.fail_times == FLO_TEST_ALWAYS || attempt <= mock->as.fail_times)
        return flo_activity_fail_with(ctx, mock->as.failure);
    *out_result = json_deep_copy(mock->result);
    return 0;
}

static struct flo_failure *copy_failure(struct flo_test_env *env, const struct flo_failure *from)
{
    struct flo_failure *to = flo_arena_memdup(&env->arena, from, sizeof *from);
    if (!to)
        return NULL;
    to->type = from->type ? kit_text(env, from->type) : NULL;
    to->message = from->message ? kit_text(env, from->message) : NULL;
    to->stack_trace = from->stack_trace ? kit_text(env, from->stack_trace) : NULL;
    to->cause = from->cause ? copy_failure(env, from->cause) : NULL;
    if (!from->detail_count)
        return to;
    json_t **details = flo_arena_calloc(&env->arena, from->detail_count, sizeof *details);
    for (size_t i = 0; details && i < from->detail_count; i++)
        details[i] = kit_keep(env, json_deep_copy(from->details[i]));
    to->details = details;
    return details ? to : NULL;
}

void flo_test_mock(struct flo_test_env *env, const char *type, const struct flo_test_mock *mock)
{
    if (!mock) {
        flo_map_remove_str(&env->mocks, type);
        return;
    }
    struct mock *own = flo_arena_calloc(&env->arena, 1, sizeof *own);
    if (!own) {
        kit_problem(env, FLO_ENOMEM, "no memory for a mock");
        return;
    }
    own->as = *mock;
    own->as.failure = copy_failure(env, mock->failure ? mock->failure : &default_failure);
    own->result = mock->result ? flo_test_json(env, mock->result) : NULL;
    if (!own->as.failure || flo_map_put_str(&env->mocks, type, own))
        kit_problem(env, FLO_ENOMEM, "no memory for a mock");
}

/* ---- counting ---- */

static struct count *count_of(const struct flo_test_env *env, const char *type)
{
    return flo_map_get_str(&env->counts, type);
}

void kit_activity_count(struct flo_test_env *env, const char *type, int32_t attempt,
                        const FloApi__Payloads *input)
{
    struct count *count = count_of(env, type);
    json_t *value = NULL;
    if (!count) {
        count = flo_arena_calloc(&env->arena, 1, sizeof *count);
        if (count)
            count->inputs = kit_keep(env, json_array());
        if (!count || !count->inputs || flo_map_put_str(&env->counts, type, count)) {
            kit_problem(env, FLO_ENOMEM, "no memory to count activities");
            return;
        }
    }
    count->attempts++;
    if (attempt > 1)
        return;
    count->activities++;
    if (flo_payloads_show(input, false, &value, NULL))
        value = json_null();
    (void)json_array_append_new(count->inputs, value);
}

unsigned flo_test_attempts(const struct flo_test_env *env, const char *type)
{
    const struct count *count = count_of(env, type);
    return count ? count->attempts : 0;
}

unsigned flo_test_activities(const struct flo_test_env *env, const char *type)
{
    const struct count *count = count_of(env, type);
    return count ? count->activities : 0;
}

json_t *flo_test_activity_input(const struct flo_test_env *env, const char *type, unsigned n)
{
    const struct count *count = count_of(env, type);
    return count ? json_array_get(count->inputs, n) : NULL;
}

/* ---- the library ---- */

static int start_module(struct flo_test_env *env, struct kit_module *module)
{
    const struct flo_module_env at = {
        .role = "test", .identity = "test", .settings = env->options.settings};
    struct flo_err err = {0};
    if (module->started)
        return 0;
    module->started = true;
    int rc = module->module->start ? module->module->start(&at, &module->shared, &err) : 0;
    return rc ? kit_problem(env, rc, "the module %s does not start: %s", module->module->name,
                            err.message)
              : 0;
}

static bool find(void *ctx, const char *type, flo_activity_fn *out_fn, void **out_shared)
{
    struct flo_test_env *env = ctx;
    struct mock *mock = flo_map_get_str(&env->mocks, type);
    struct kit_module *module;
    if (mock) {
        *out_fn = mock->as.run ? mock->as.run : play;
        *out_shared = mock->as.run ? mock->as.shared : mock;
        return true;
    }
    const struct flo_activity_entry *entry = kit_find_activity(env, type, &module);
    if (entry && env->options.real_activities && start_module(env, module) == 0) {
        *out_fn = entry->run;
        *out_shared = module->shared;
        return true;
    }
    kit_problem(env, FLO_ENOENT, "the activity %s has no mock: give it one with flo_test_mock%s",
                type, entry ? ", or set real_activities to run the module's own function" : "");
    return false;
}

static void names(void *ctx, struct flo_buf *out)
{
    const struct flo_test_env *env = ctx;
    for (struct flo_map_entry *it = flo_map_first(&env->mocks); it; it = flo_map_next(it))
        (void)flo_buf_printf(out, "%s%s", out->len ? ", " : "", flo_map_key(it, NULL));
}

static void log_line(void *ctx, enum flo_log_level level, const struct flo_activity_info *info,
                     const char *message)
{
    const struct flo_test_env *env = ctx;
    (void)level;
    if (env->options.log)
        fprintf(stderr, "activity %s of %s, attempt %d: %s\n", info->activity_type,
                info->workflow_id, (int)info->attempt, message);
}

/* The interceptors of all modules, in the order of adding. */
static int wrap(struct flo_test_env *env, struct flo_activity_library *library)
{
    size_t count = 0;
    FLO_LIST_FOREACH(node, &env->modules)
    {
        const struct flo_activity_interceptor *by =
            flo_container(node, struct kit_module, node)->module->interceptors;
        for (; by && (by->execute || by->heartbeat); by++)
            count++;
    }
    if (!count || !env->options.real_activities)
        return 0;
    struct flo_activity_wrap *wraps = flo_arena_calloc(&env->arena, count, sizeof *wraps);
    if (!wraps)
        return FLO_ENOMEM;
    library->wraps = wraps;
    FLO_LIST_FOREACH(node, &env->modules)
    {
        struct kit_module *module = flo_container(node, struct kit_module, node);
        const struct flo_activity_interceptor *by = module->module->interceptors;
        for (; by && (by->execute || by->heartbeat); by++)
            wraps[library->wrap_count++] =
                (struct flo_activity_wrap){.by = by, .shared = &module->shared};
        if (by && start_module(env, module))
            return FLO_ENOMEM;
    }
    return 0;
}

const struct flo_activity_library *kit_library(struct flo_test_env *env, bool local)
{
    if (env->library)
        return &env->library->libraries[local];
    struct kit_activities *made = flo_arena_calloc(&env->arena, 1, sizeof *made);
    if (!made)
        return NULL;
    made->libraries[0] = (struct flo_activity_library){.find = find,
                                                       .names = names,
                                                       .log = log_line,
                                                       .ctx = env,
                                                       .identity = "test",
                                                       .task_queue = env->options.task_queue};
    if (wrap(env, &made->libraries[0]))
        return NULL;
    made->libraries[1] = made->libraries[0];
    made->libraries[1].local = true;
    env->library = made;
    return &made->libraries[local];
}

/* ---- tasks of the server ---- */

struct task {
    struct flo_node node; /* env->activities */
    struct flo_test_env *env;
    ProtobufCBinaryData token;
    struct kit_attempt *attempt;
    struct flo_arena arena;
    bool unwanted; /* the server no longer waits for it */
};

/* kit_attempt_ops.beat. */
static unsigned beat(void *ctx, const uint8_t *details, size_t len)
{
    struct task *task = ctx;
    FloApi__RecordActivityTaskHeartbeatRequest request =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_REQUEST__INIT;
    FloApi__RecordActivityTaskHeartbeatResponse *answer;
    ProtobufCMessage *payloads = NULL;
    struct flo_arena arena;
    struct flo_err err = {0};
    unsigned told = FLO_JOB_RUNNING;
    flo_arena_init(&arena, 0);
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.task_token = task->token;
    if (len &&
        flo_wire_decode(&flo_api__payloads__descriptor, details, len, &arena, &payloads, NULL) == 0)
        request.details = (void *)payloads;
    int rc = kit_ask(task->env, "RecordActivityTaskHeartbeat", &request.base,
                     &flo_api__record_activity_task_heartbeat_response__descriptor, &arena, &answer,
                     &err);
    if (rc == FLO_ENOENT)
        told = FLO_JOB_CANCEL_NOT_FOUND;
    else if (rc)
        kit_problem(task->env, rc, "%s", err.message);
    else if (answer->cancel_requested)
        told = FLO_JOB_CANCEL_REQUESTED;
    else if (answer->activity_reset)
        told = FLO_JOB_CANCEL_RESET;
    else if (answer->activity_paused)
        told = FLO_JOB_CANCEL_PAUSED;
    task->unwanted |= rc == FLO_ENOENT;
    flo_arena_fini(&arena);
    return told;
}

static ProtobufCMessage *body_of(struct task *task, const struct flo_outcome *outcome,
                                 const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message = NULL;
    if (outcome->body_len &&
        flo_wire_decode(type, outcome->body, outcome->body_len, &task->arena, &message, NULL))
        kit_problem(task->env, FLO_ENOMEM, "no memory for the answer of an activity");
    return message;
}

static int complete(struct task *task, const struct flo_outcome *outcome, struct flo_err *err)
{
    FloApi__RespondActivityTaskCompletedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.task_token = task->token;
    request.result = (void *)body_of(task, outcome, &flo_api__payloads__descriptor);
    return kit_ask(task->env, "RespondActivityTaskCompleted", &request.base,
                   &flo_api__respond_activity_task_completed_response__descriptor, &task->arena,
                   NULL, err);
}

static int fail(struct task *task, const struct flo_outcome *outcome, struct flo_err *err)
{
    FloApi__RespondActivityTaskFailedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_FAILED_REQUEST__INIT;
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.task_token = task->token;
    request.failure = (void *)body_of(task, outcome, &flo_api__failure__descriptor);
    return kit_ask(task->env, "RespondActivityTaskFailed", &request.base,
                   &flo_api__respond_activity_task_failed_response__descriptor, &task->arena, NULL,
                   err);
}

static int cancelled(struct task *task, const struct flo_outcome *outcome, struct flo_err *err)
{
    FloApi__RespondActivityTaskCanceledRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_CANCELED_REQUEST__INIT;
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.task_token = task->token;
    request.details = (void *)body_of(task, outcome, &flo_api__payloads__descriptor);
    return kit_ask(task->env, "RespondActivityTaskCanceled", &request.base,
                   &flo_api__respond_activity_task_canceled_response__descriptor, &task->arena,
                   NULL, err);
}

/* kit_attempt_ops.done. */
static void done(void *ctx, unsigned told, const uint8_t *reply, size_t len)
{
    struct task *task = ctx;
    struct flo_test_env *env = task->env;
    struct flo_outcome outcome;
    struct flo_err err = {0};
    int rc = flo_outcome_decode(reply, len, &outcome);
    /* Of an attempt whose time is over only a result may still count. */
    if (rc == 0 && told == FLO_JOB_CANCEL_TIMED_OUT && outcome.kind != FLO_OUTCOME_COMPLETED)
        task->unwanted = true;
    if (rc == 0 && !task->unwanted) {
        switch (outcome.kind) {
        case FLO_OUTCOME_COMPLETED:
            rc = complete(task, &outcome, &err);
            break;
        case FLO_OUTCOME_FAILED:
        case FLO_OUTCOME_UNREGISTERED:
            rc = fail(task, &outcome, &err);
            break;
        case FLO_OUTCOME_CANCELLED:
            rc = cancelled(task, &outcome, &err);
            break;
        case FLO_OUTCOME_PENDING:
            break;
        }
    }
    if (rc && rc != FLO_ENOENT) /* that: its time was over, or the workflow is */
        kit_problem(env, rc, "the answer of an activity was not taken: %s",
                    err.code ? err.message : flo_error_text(rc));
    flo_list_remove(&env->activities, &task->node);
    flo_arena_fini(&task->arena);
    flo_free(task);
}

/* The shorter of what is left of both timeouts; INT64_MAX: neither is set. */
static int64_t time_left(const struct flo_test_env *env,
                         const FloApi__PollActivityTaskQueueResponse *message)
{
    int64_t one_ns = flo_duration_ns(message->start_to_close_timeout);
    int64_t all_ns = flo_duration_ns(message->schedule_to_close_timeout);
    int64_t left_ns = one_ns > 0 ? one_ns : INT64_MAX;
    if (all_ns > 0) {
        all_ns += flo_timestamp_ns(message->scheduled_time) - env->clock.now_ns;
        left_ns = all_ns < left_ns ? all_ns : left_ns;
    }
    return left_ns > 0 ? left_ns : 0;
}

void kit_activity_task(struct flo_test_env *env,
                       const FloApi__PollActivityTaskQueueResponse *message)
{
    static const struct kit_attempt_ops ops = {.beat = beat, .done = done};
    struct task *task = flo_calloc(1, sizeof *task);
    if (!task) {
        kit_problem(env, FLO_ENOMEM, "no memory for an activity");
        return;
    }
    task->env = env;
    flo_arena_init(&task->arena, 0);
    flo_list_push_back(&env->activities, &task->node);
    task->token.len = message->task_token.len;
    task->token.data =
        flo_arena_memdup(&task->arena, message->task_token.data, message->task_token.len);
    if (task->token.data)
        task->attempt = kit_attempt_begin(env, false, message, time_left(env, message), &ops, task);
    else
        kit_problem(env, FLO_ENOMEM, "no memory for an activity");
}

void kit_activity_fini(struct flo_test_env *env)
{
    FLO_LIST_FOREACH_SAFE(node, &env->activities)
    {
        struct task *task = flo_container(node, struct task, node);
        flo_arena_fini(&task->arena);
        flo_free(task);
    }
    FLO_LIST_FOREACH_SAFE(node, &env->modules)
    {
        struct kit_module *module = flo_container(node, struct kit_module, node);
        if (module->started && module->module->stop)
            module->module->stop(module->shared);
        flo_free(module);
    }
    flo_map_fini(&env->mocks);
    flo_map_fini(&env->counts);
}
