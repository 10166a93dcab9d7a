/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_random_requests.c - requests made up along their descriptors: fields left out, odd numbers,
 * names that fit what is there and names that do not, tokens that are real. The core must answer
 * each call at most once, keep time, and still serve a plain workflow afterwards.
 */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/engine_harness.h"

#include "base/clock.h"
#include "base/random.h"

enum { SEEDS = 60, CALLS = 400, DEPTH = 6, MOST_REPEATED = 3, TOKENS = 2 };

/* Drawn from evenly: the ones that move things come several times. */
static const char *const METHODS[] = {"GetSystemInfo",
                                      "GetClusterInfo",
                                      "GetSearchAttributes",
                                      "DescribeNamespace",
                                      "ListNamespaces",
                                      "UpdateNamespace",
                                      "StartWorkflowExecution",
                                      "StartWorkflowExecution",
                                      "StartWorkflowExecution",
                                      "SignalWithStartWorkflowExecution",
                                      "SignalWithStartWorkflowExecution",
                                      "SignalWorkflowExecution",
                                      "SignalWorkflowExecution",
                                      "RequestCancelWorkflowExecution",
                                      "TerminateWorkflowExecution",
                                      "DeleteWorkflowExecution",
                                      "GetWorkflowExecutionHistory",
                                      "GetWorkflowExecutionHistory",
                                      "GetWorkflowExecutionHistoryReverse",
                                      "DescribeWorkflowExecution",
                                      "DescribeTaskQueue",
                                      "QueryWorkflow",
                                      "QueryWorkflow",
                                      "UpdateWorkflowExecution",
                                      "UpdateWorkflowExecution",
                                      "UpdateWorkflowExecution",
                                      "PollWorkflowExecutionUpdate",
                                      "ExecuteMultiOperation",
                                      "ExecuteMultiOperation",
                                      "AddSearchAttributes",
                                      "RemoveSearchAttributes",
                                      "RespondQueryTaskCompleted",
                                      "RespondQueryTaskCompleted",
                                      "PollWorkflowTaskQueue",
                                      "PollWorkflowTaskQueue",
                                      "PollWorkflowTaskQueue",
                                      "PollWorkflowTaskQueue",
                                      "PollActivityTaskQueue",
                                      "PollActivityTaskQueue",
                                      "PollActivityTaskQueue",
                                      "ShutdownWorker",
                                      "ResetStickyTaskQueue",
                                      "RespondWorkflowTaskCompleted",
                                      "RespondWorkflowTaskCompleted",
                                      "RespondWorkflowTaskCompleted",
                                      "RespondWorkflowTaskCompleted",
                                      "RespondWorkflowTaskCompleted",
                                      "RespondWorkflowTaskFailed",
                                      "RespondActivityTaskCompleted",
                                      "RespondActivityTaskCompletedById",
                                      "RespondActivityTaskFailed",
                                      "RespondActivityTaskFailedById",
                                      "RespondActivityTaskCanceled",
                                      "RespondActivityTaskCanceledById",
                                      "RecordActivityTaskHeartbeat",
                                      "RecordActivityTaskHeartbeatById"};
enum { METHOD_COUNT = sizeof METHODS / sizeof *METHODS };

enum token_kind { TOKEN_WORKFLOW, TOKEN_ACTIVITY, TOKEN_QUERY, TOKEN_PAGE, TOKEN_KINDS };

/* What the generator draws from. */
struct source {
    struct engine *engine;
    struct flo_rng rng;
    ProtobufCBinaryData tokens[TOKEN_KINDS][TOKENS]; /* seen lately */
    size_t token_counts[TOKEN_KINDS];
    enum token_kind wanted; /* by the method that is called */
    const char *run_id;     /* one that was seen */
    size_t learned;         /* answers that were looked at */
};

static bool chance(struct source *s, unsigned percent)
{
    return flo_rng_below(&s->rng, 100) < percent;
}

static const char *text_for(struct source *s, const char *field)
{
    static const char *const names[] = {"wf", "a", "q", "q-sticky", "1", "x'; DROP TABLE run; --"};
    if (strcmp(field, "namespace_") == 0 || strcmp(field, "namespace") == 0)
        return chance(s, 95) ? "default" : "";
    if (strstr(field, "run_id"))
        return chance(s, 30) && s->run_id ? s->run_id : chance(s, 90) ? "" : "not-a-uuid";
    if (strcmp(field, "cron_schedule") == 0)
        return chance(s, 97) ? "" : "* * * * *";
    if (strcmp(field, "type_url") == 0) {
        static const char *const types[] = {"Acceptance", "Rejection", "Response", "Request"};
        return engine_format(s->engine, "x/temporal.api.update.v1.%s",
                             types[flo_rng_below(&s->rng, 4)]);
    }
    if (strstr(field, "update_id") || strstr(field, "protocol_instance_id"))
        return chance(s, 70) ? "a" : names[flo_rng_below(&s->rng, 6)];
    if (strstr(field, "task_queue") || strcmp(field, "name") == 0)
        return chance(s, 90) ? "q" : names[flo_rng_below(&s->rng, 6)];
    if (strcmp(field, "workflow_id") == 0)
        return chance(s, 60) ? "wf" : names[flo_rng_below(&s->rng, 6)];
    return chance(s, 10) ? "" : names[flo_rng_below(&s->rng, 6)];
}

/* Fields that make most requests void are mostly left out. */
static bool left_out(struct source *s, const char *field)
{
    static const char *const rare[] = {"search_attributes",      "retry_policy",
                                       "first_execution_run_id", "workflow_start_delay",
                                       "workflow_run_timeout",   "workflow_execution_timeout",
                                       "workflow_task_timeout"};
    for (size_t i = 0; i < sizeof rare / sizeof *rare; i++)
        if (strcmp(rare[i], field) == 0)
            return !chance(s, 10);
    return chance(s, 4);
}

static int64_t number(struct source *s)
{
    static const int64_t odd[] = {-1, INT64_MAX, INT64_MIN, INT32_MAX, 1000000000};
    return chance(s, 90) ? (int64_t)flo_rng_below(&s->rng, 12) : odd[flo_rng_below(&s->rng, 5)];
}

/* Mostly one of the kind that fits. */
static ProtobufCBinaryData token_for(struct source *s)
{
    const size_t kind = chance(s, 95) ? s->wanted : flo_rng_below(&s->rng, TOKEN_KINDS);
    return s->tokens[kind][chance(s, 80) ? (s->token_counts[kind] + TOKENS - 1) % TOKENS
                                         : flo_rng_below(&s->rng, TOKENS)];
}

static enum token_kind kind_for(const char *method)
{
    if (strstr(method, "RespondQuery"))
        return TOKEN_QUERY;
    if (strstr(method, "ActivityTask"))
        return TOKEN_ACTIVITY;
    return strstr(method, "WorkflowTask") ? TOKEN_WORKFLOW : TOKEN_PAGE;
}

static ProtobufCMessage *make(struct source *s, const ProtobufCMessageDescriptor *type, int depth);

static void fill_value(struct source *s, const ProtobufCFieldDescriptor *field, void *at, int depth)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)at = make(s, field->descriptor, depth - 1);
        break;
    case PROTOBUF_C_TYPE_STRING:
        *(const char **)at = text_for(s, field->name);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        if (strstr(field->name, "token"))
            *(ProtobufCBinaryData *)at = token_for(s);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = chance(s, 30);
        break;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *values = field->descriptor;
        *(int *)at = chance(s, 97) ? values->values[flo_rng_below(&s->rng, values->n_values)].value
                                   : (int)number(s);
        break;
    }
    case PROTOBUF_C_TYPE_INT32:
        *(int32_t *)at = (int32_t)number(s);
        break;
    case PROTOBUF_C_TYPE_INT64:
        *(int64_t *)at = number(s);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)at = chance(s, 90) ? flo_rng_unit(&s->rng) * 4 : (double)number(s) / 0.0;
        break;
    default:
        break;
    }
}

static size_t value_bytes(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_INT32:
        return sizeof(int32_t);
    default:
        return sizeof(int64_t);
    }
}

static void *take(struct source *s, size_t bytes)
{
    void *block = flo_arena_calloc(&s->engine->arena, 1, bytes ? bytes : 1);
    assert_non_null(block);
    return block;
}

static void fill_field(struct source *s, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field, int depth)
{
    uint8_t *base = (uint8_t *)message;
    const bool nested = field->type == PROTOBUF_C_TYPE_MESSAGE;
    if (nested && depth == 0)
        return;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        const size_t count = flo_rng_below(&s->rng, MOST_REPEATED + 1);
        uint8_t *values = take(s, count * value_bytes(field));
        for (size_t i = 0; i < count; i++) {
            if (field->type == PROTOBUF_C_TYPE_STRING)
                *(const char **)(void *)(values + i * sizeof(char *)) = "";
            fill_value(s, field, values + i * value_bytes(field), depth);
        }
        *(size_t *)(void *)(base + field->quantifier_offset) = count;
        *(void **)(void *)(base + field->offset) = values;
        return;
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        *(uint32_t *)(void *)(base + field->quantifier_offset) = field->id;
    fill_value(s, field, base + field->offset, depth);
}

/* A command whose type fits its attributes. */
static ProtobufCMessage *make_command(struct source *s, int depth)
{
    static const struct {
        FloApi__CommandType type;
        uint32_t field;
    } kinds[] = {{1, 2}, {1, 2}, {1, 2}, {2, 6},  {3, 3},   {3, 3},   {4, 4},   {5, 5},
                 {6, 7}, {7, 8}, {8, 9}, {9, 10}, {10, 11}, {11, 12}, {12, 13}, {16, 17}};
    const size_t kind = flo_rng_below(&s->rng, sizeof kinds / sizeof *kinds);
    FloApi__Command *command = take(s, sizeof *command);
    flo_api__command__init(command);
    command->command_type = kinds[kind].type;
    fill_field(s, &command->base,
               protobuf_c_message_descriptor_get_field(command->base.descriptor, kinds[kind].field),
               depth);
    return &command->base;
}

static ProtobufCMessage *make(struct source *s, const ProtobufCMessageDescriptor *type, int depth)
{
    if (type == &flo_api__command__descriptor && chance(s, 95))
        return make_command(s, depth);
    ProtobufCMessage *message = take(s, type->sizeof_message);
    type->message_init(message);
    if (type == &google__protobuf__duration__descriptor && chance(s, 95)) {
        ((Google__Protobuf__Duration *)message)->seconds = (int64_t)flo_rng_below(&s->rng, 20);
        return message;
    }
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        /* The last member of a oneof that is drawn wins, as on the wire; earlier ones are void. */
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            if (*(const uint32_t *)(const void *)((uint8_t *)message + field->quantifier_offset) ||
                !chance(s, 15))
                continue;
        } else if (left_out(s, field->name)) {
            continue;
        }
        fill_field(s, message, field, depth);
    }
    return message;
}

static void keep_token(struct source *s, enum token_kind kind, ProtobufCBinaryData token)
{
    if (token.len)
        s->tokens[kind][s->token_counts[kind]++ % TOKENS] = token;
}

static void learn_from(struct source *s, const struct engine_reply *reply)
{
    if (reply->code || !reply->body_len)
        return;
    void *body = engine_body(s->engine, reply->call);
    if (reply->type == &flo_api__poll_workflow_task_queue_response__descriptor) {
        const FloApi__PollWorkflowTaskQueueResponse *task = body;
        keep_token(s, task->query ? TOKEN_QUERY : TOKEN_WORKFLOW, task->task_token);
    } else if (reply->type == &flo_api__poll_activity_task_queue_response__descriptor) {
        keep_token(s, TOKEN_ACTIVITY, ((FloApi__PollActivityTaskQueueResponse *)body)->task_token);
    } else if (reply->type == &flo_api__get_workflow_execution_history_response__descriptor) {
        keep_token(s, TOKEN_PAGE,
                   ((FloApi__GetWorkflowExecutionHistoryResponse *)body)->next_page_token);
    } else if (reply->type == &flo_api__start_workflow_execution_response__descriptor) {
        s->run_id = ((FloApi__StartWorkflowExecutionResponse *)body)->run_id;
    }
}

/* Remember the tokens and run ids of new answers, for later requests. */
static void learn(struct source *s)
{
    if (s->learned > s->engine->reply_count)
        s->learned = 0; /* it was restarted */
    while (s->learned < s->engine->reply_count)
        learn_from(s, &s->engine->replies[s->learned++]);
}

static void plain_workflow(struct engine *e)
{
    engine_start(e, "plain", "plain");
    engine_complete(e, engine_task(e, engine_poll(e, "plain")), engine_cmd_complete(e), NULL);
    assert_non_null(strstr(engine_event_names(e, "plain"), "EXECUTION_COMPLETED"));
}

static void test_random_requests_break_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct source s = {.engine = engine_new(seed)};
        flo_rng_seed(&s.rng, seed);
        for (int i = 0; i < CALLS; i++) {
            const char *name = METHODS[flo_rng_below(&s.rng, METHOD_COUNT)];
            if ((strstr(name, "Terminate") || strstr(name, "Delete")) && chance(&s, 80))
                continue;
            s.wanted = kind_for(name);
            const ProtobufCMessage *request = make(&s, flo_core_method(name), DEPTH);
            const uint64_t call = engine_call(s.engine, name, request, 0);
            learn(&s);
            if (chance(&s, 10))
                flo_core_cancel_call(s.engine->core, 1 + flo_rng_below(&s.rng, call));
            if (chance(&s, 20))
                engine_pass(s.engine, (int64_t)flo_rng_below(&s.rng, (chance(&s, 5) ? 60 : 1) *
                                                                         FLO_NS_PER_S));
            if (chance(&s, 1))
                engine_restart(s.engine);
        }
        plain_workflow(s.engine);
        engine_free(s.engine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_requests_break_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
