/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow.c - the document workflow, in a module file of its own: workflow workers load
 * document.workflows.so, which imports nothing that a workflow may not use; activity workers load
 * document.so, whose activities may do what they like.
 */
#include <flotilla/worker.h>

#define IO_QUEUE "document-io-activity-queue"
#define CPU_QUEUE "document-cpu-activity-queue"
/* How long a worker may be gone before its activity is given to another one. Every activity here
 * gives a sign at least every two seconds. */
#define HEARTBEAT_MS 6000

static const char *json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* The queues may be named in the input ({"uri": ..., "queues": {"io": ..., "cpu": ...}}), so that
 * one module serves several fleets. */
static const char *queue(json_t *input, const char *key, const char *fallback)
{
    const char *name = json_text(json_object_get(input, "queues"), key);
    return name ? name : fallback;
}

static int analyze_chunks(struct flo_workflow *wf, json_t *text,
                          const struct flo_activity_options *cpu, json_t **out_chunks)
{
    struct flo_group *group = flo_group_new(wf);
    size_t i;
    json_t *chunk;
    json_array_foreach(json_object_get(text, "chunks"), i, chunk)
    {
        flo_group_add(group, flo_activity_start(wf, "analyze_chunk", chunk, cpu));
    }
    return flo_group_await_all(group, out_chunks);
}

static int document_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const char *uri = json_text(input, "uri");
    if (!uri)
        return flo_workflow_fail(
            wf, "InvalidInput", true, NULL,
            "DocumentWorkflow takes {\"uri\": \"file:///... or http(s)://...\"}");

    /* A worker that dies costs an attempt, so a few more than a bad network deserves. */
    const struct flo_retry_policy patient = {.maximum_attempts = 10};
    const struct flo_retry_policy fetching = {.initial_interval_ms = 500, .maximum_attempts = 5};
    const struct flo_activity_options fetch = {.task_queue = queue(input, "io", IO_QUEUE),
                                               .start_to_close_ms = 60000,
                                               .heartbeat_ms = HEARTBEAT_MS,
                                               .retry = &fetching};
    const struct flo_activity_options index = {.task_queue = fetch.task_queue,
                                               .start_to_close_ms = 60000,
                                               .heartbeat_ms = HEARTBEAT_MS,
                                               .retry = &patient};
    const struct flo_activity_options cpu = {.task_queue = queue(input, "cpu", CPU_QUEUE),
                                             .start_to_close_ms = 60000,
                                             .heartbeat_ms = HEARTBEAT_MS,
                                             .retry = &patient};
    json_t *document, *text, *chunks;
    int rc = flo_activity(wf, "fetch_document", input, &fetch, &document);
    if (rc)
        return rc;
    rc = flo_activity(wf, "extract_text", document, &cpu, &text);
    if (rc)
        return rc;
    rc = analyze_chunks(wf, text, &cpu, &chunks);
    if (rc)
        return rc;

    json_object_set_new(document, "chunks", chunks);
    return flo_activity(wf, "index_document", document, &index, out_result);
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "document",
    .workflows = FLO_WORKFLOWS({"DocumentWorkflow", document_workflow}),
};
