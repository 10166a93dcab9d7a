/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - histories for tests: as JSON, as a story of one line an event, counted; and what an
 * environment that has come to rest waits for. */
#include <ctype.h>
#include <string.h>

#include "testing/kit.h"
#include "wire/json.h"

#define KIND_BYTES 64

json_t *flo_test_history(struct flo_test_workflow *workflow)
{
    struct flo_arena arena;
    FloApi__History *history;
    struct flo_err err = {0};
    json_t *events = json_array();
    kit_handle_look(workflow);
    flo_arena_init(&arena, 0);
    if (kit_history(workflow->env, workflow->workflow_id, workflow->run_id, &arena, &history,
                    &err) == 0) {
        for (size_t i = 0; i < history->n_events; i++)
            (void)json_array_append_new(events, flo_wire_to_json(&history->events[i]->base));
    }
    flo_arena_fini(&arena);
    return kit_keep(workflow->env, events);
}

/* "TimerStarted" of "EVENT_TYPE_TIMER_STARTED". */
static void kind_of(const json_t *event, char out[KIND_BYTES])
{
    const char *type = json_string_value(json_object_get(event, "eventType"));
    size_t len = 0;
    bool first = true;
    if (type && strncmp(type, "EVENT_TYPE_", 11) == 0)
        type += 11;
    for (; type && *type && len < KIND_BYTES - 1; type++) {
        if (*type != '_')
            out[len++] = (char)(first ? *type : tolower((unsigned char)*type));
        first = *type == '_';
    }
    out[len] = '\0';
}

unsigned flo_test_event_count(struct flo_test_workflow *workflow, const char *kind)
{
    const json_t *events = flo_test_history(workflow);
    unsigned count = 0;
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event)
    {
        char name[KIND_BYTES];
        kind_of(event, name);
        count += strcmp(name, kind) == 0;
    }
    return count;
}

/* ---- the story ---- */

static const json_t *attributes_of(const json_t *event)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)event, key, value)
    {
        size_t len = strlen(key);
        if (len > 10 && strcmp(key + len - 10, "Attributes") == 0)
            return value;
    }
    return NULL;
}

static const char *member(const json_t *attributes, const char *key, const char *inner)
{
    const json_t *value = json_object_get(attributes, key);
    return json_string_value(inner ? json_object_get(value, inner) : value);
}

/* What names an event: its own, or that of the event which it answers; NULL: nothing does. */
static const char *name_of(const json_t *events, const json_t *event, unsigned depth)
{
    static const char *const back[] = {"scheduledEventId", "initiatedEventId"};
    static const char *const names[][2] = {
        {"activityType", "name"}, {"signalName", NULL},     {"startToFireTimeout", NULL},
        {"markerName", NULL},     {"workflowType", "name"},
    };
    const json_t *attributes = attributes_of(event);
    const char *name = NULL;
    for (size_t i = 0; !name && i < sizeof names / sizeof *names; i++)
        name = member(attributes, names[i][0], names[i][1]);
    for (size_t i = 0; !name && i < 2 && depth == 0; i++) {
        const char *id = member(attributes, back[i], NULL);
        size_t number = id ? (size_t)strtoull(id, NULL, 10) : 0;
        if (number)
            name = name_of(events, json_array_get(events, number - 1), 1);
    }
    const char *timer = member(attributes, "timerId", NULL);
    const char *started = member(attributes, "startedEventId", NULL);
    if (!name && timer && started && depth == 0)
        name = name_of(events, json_array_get(events, (size_t)strtoull(started, NULL, 10) - 1), 1);
    return name;
}

const char *flo_test_story(struct flo_test_workflow *workflow)
{
    const json_t *events = flo_test_history(workflow);
    struct flo_buf story;
    size_t i;
    json_t *event;
    flo_buf_init(&story, 0);
    json_array_foreach(events, i, event)
    {
        char kind[KIND_BYTES];
        kind_of(event, kind);
        const char *name = name_of(events, event, 0);
        if (strncmp(kind, "WorkflowTask", 12) != 0)
            (void)flo_buf_printf(&story, "%s%s%s%s", story.len ? "\n" : "", kind, name ? " " : "",
                                 name ? name : "");
    }
    char *text = kit_text(workflow->env, flo_buf_cstr(&story));
    flo_buf_fini(&story);
    return text;
}

/* ---- what is waited for ---- */

static void say_pending(struct flo_test_workflow *workflow, struct flo_buf *out)
{
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__DescribeWorkflowExecutionResponse *answer;
    struct flo_arena arena;
    execution.workflow_id = workflow->workflow_id;
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.execution = &execution;
    flo_arena_init(&arena, 0);
    if (kit_ask(workflow->env, "DescribeWorkflowExecution", &request.base,
                &flo_api__describe_workflow_execution_response__descriptor, &arena, &answer,
                NULL) == 0) {
        for (size_t i = 0; i < answer->n_pending_activities; i++) {
            const FloApi__PendingActivityInfo *activity = answer->pending_activities[i];
            (void)flo_buf_printf(out, "; the activity %s is open, attempt %d",
                                 activity->activity_type->name, (int)activity->attempt);
            if (activity->last_failure)
                (void)flo_buf_printf(out, " (%s)", activity->last_failure->message);
        }
        for (size_t i = 0; i < answer->n_pending_children; i++)
            (void)flo_buf_printf(out, "; the child %s is open",
                                 answer->pending_children[i]->workflow_id);
    }
    flo_arena_fini(&arena);
}

void kit_say_waits(struct flo_test_env *env, struct flo_buf *out)
{
    FLO_LIST_FOREACH(node, &env->handles)
    {
        struct flo_test_workflow *workflow = flo_container(node, struct flo_test_workflow, node);
        if (workflow->status != FLO_TEST_RUNNING)
            continue;
        kit_say_stack(workflow, out);
        say_pending(workflow, out);
    }
}
