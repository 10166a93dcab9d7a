/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metadata.c - the queries that the runtime answers itself: where the coroutines stand, which
 * handlers there are. Their names and the form of their answers are those of the official SDKs, as
 * the web page and the command line ask for them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "flotilla/payload.h"
#include "wire/raw.h"
#include "workflow/messages.h"

/* ---- answers that are messages of protobuf, in their JSON form ---- */

/* In protobuf's JSON, fields that say nothing are left out. */
static void set_text(json_t *object, const char *key, const char *text)
{
    if (text && *text)
        json_object_set_new(object, key, json_string(text));
}

/* value, consumed, as the payload of a protobuf message in its JSON form. */
static int as_protobuf(json_t *value, const char *type, json_t **out_result)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_t *raw = text ? flo_raw_new("json/protobuf", text, strlen(text)) : NULL;
    json_t *metadata = json_object();
    flo_heap_free(text);
    json_decref(value);
    if (json_object_set_new(metadata, "messageType", flo_raw_base64(type, strlen(type))) ||
        json_object_set(flo_raw_content(raw), "metadata", metadata)) {
        json_decref(raw);
        raw = NULL;
    }
    json_decref(metadata);
    *out_result = raw;
    return raw ? 0 : FLO_ENOMEM;
}

/* ---- __stack_trace ---- */

static int stack_trace(struct flo_run *run, json_t **out_result)
{
    struct flo_buf text;
    flo_buf_init(&text, 0);
    int rc = flo_run_stack_text(run, &text);
    if (rc == 0 && !text.failed)
        *out_result = json_string(flo_buf_cstr(&text));
    flo_buf_fini(&text);
    return rc ? rc : *out_result ? 0 : FLO_ENOMEM;
}

/* ---- __enhanced_stack_trace ---- */

/* One place a coroutine: what is below it on its stack is the module's, and not known. */
static json_t *stack_of(const struct flo_workflow *wf)
{
    json_t *location = json_object(), *locations = json_array(), *stack = json_object();
    set_text(location, "filePath", wf->at.file);
    if (wf->at.line)
        json_object_set_new(location, "line", json_integer(wf->at.line));
    set_text(location, "functionName", wf->name);
    json_array_append_new(locations, location);
    json_object_set_new(stack, "locations", locations);
    return stack;
}

static int enhanced_stack_trace(struct flo_run *run, json_t **out_result)
{
    const struct flo_list *lists[] = {&run->coroutines, &run->fresh};
    json_t *trace = json_object(), *sdk = json_object(), *stacks = json_array();
    set_text(sdk, "name", "flotilla-c");
    set_text(sdk, "version", FLO_VERSION);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        FLO_LIST_FOREACH(node, lists[i])
        {
            json_array_append_new(stacks, stack_of(flo_container(node, struct flo_workflow, node)));
        }
    }
    json_object_set_new(trace, "sdk", sdk);
    json_object_set_new(trace, "stacks", stacks);
    if (flo_heap_failed(run->heap)) { /* which jansson's calls do not all tell */
        json_decref(trace);
        return FLO_ENOMEM;
    }
    return as_protobuf(trace, "temporal.api.sdk.v1.EnhancedStackTrace", out_result);
}

/* ---- __temporal_workflow_metadata ---- */

static int by_name(const void *a, const void *b)
{
    const struct flo_handler *x = *(const struct flo_handler *const *)a;
    const struct flo_handler *y = *(const struct flo_handler *const *)b;
    return strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

/* Handlers of one kind, sorted, the one for all others first and without a name. */
static int add_definitions(const struct flo_run *run, enum flo_message_kind kind, json_t *list)
{
    const struct flo_list *handlers = run->messages ? &run->messages->handlers[kind] : NULL;
    if (!handlers || flo_list_empty(handlers))
        return 0;
    const struct flo_handler **sorted =
        flo_heap_calloc(run->heap, handlers->count * sizeof(struct flo_handler *));
    size_t count = 0;
    if (!sorted)
        return FLO_ENOMEM;
    FLO_LIST_FOREACH(node, handlers)
    {
        sorted[count++] = flo_container(node, struct flo_handler, node);
    }
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        json_t *definition = json_object();
        set_text(definition, "name", sorted[i]->name);
        set_text(definition, "description", sorted[i]->description);
        json_array_append_new(list, definition);
    }
    flo_heap_free((void *)(uintptr_t)sorted);
    return 0;
}

static void add_builtins(json_t *list);

static int workflow_metadata(struct flo_run *run, json_t **out_result)
{
    static const char *const keys[] = {"signalDefinitions", "queryDefinitions",
                                       "updateDefinitions"};
    json_t *definition = json_object(), *metadata = json_object();
    int rc = 0;
    set_text(definition, "type", run->info.type);
    for (size_t kind = 0; kind < FLO_MESSAGE_KINDS && rc == 0; kind++) {
        json_t *list = json_array();
        if (kind == FLO_QUERY)
            add_builtins(list);
        rc = add_definitions(run, (enum flo_message_kind)kind, list);
        if (json_array_size(list) > 0)
            json_object_set(definition, keys[kind], list);
        json_decref(list);
    }
    json_object_set_new(metadata, "definition", definition);
    set_text(metadata, "currentDetails", run->messages ? run->messages->details : NULL);
    if (rc == 0 && !flo_heap_failed(run->heap)) /* which jansson's calls do not all tell */
        return as_protobuf(metadata, "temporal.api.sdk.v1.WorkflowMetadata", out_result);
    json_decref(metadata);
    return FLO_ENOMEM;
}

/* ---- the table ---- */

static const struct {
    const char *name, *description;
    flo_query_builtin_fn answer;
} builtins[] = {
    {"__stack_trace", "Where each coroutine of the workflow stands.", stack_trace},
    {"__enhanced_stack_trace", "The same for programs.", enhanced_stack_trace},
    {"__temporal_workflow_metadata", "Which handlers there are, and the current details.",
     workflow_metadata},
};

#define BUILTIN_COUNT (sizeof builtins / sizeof *builtins)

static void add_builtins(json_t *list)
{
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        json_t *definition = json_object();
        set_text(definition, "name", builtins[i].name);
        set_text(definition, "description", builtins[i].description);
        json_array_append_new(list, definition);
    }
}

flo_query_builtin_fn flo_query_builtin(const char *name)
{
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        if (strcmp(builtins[i].name, name) == 0)
            return builtins[i].answer;
    }
    return NULL;
}

void flo_query_builtin_names(struct flo_buf *out)
{
    for (size_t i = 0; i < BUILTIN_COUNT; i++)
        flo_buf_printf(out, "%s%s", i ? " " : "", builtins[i].name);
}
