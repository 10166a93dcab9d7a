/* SPDX-License-Identifier: Apache-2.0 */
/* document.c - the document workflow, the module's settings and its table. */
#include "document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"

#define IO_QUEUE "document-io-activity-queue"
#define CPU_QUEUE "document-cpu-activity-queue"
/* How long a worker may be gone before its activity is given to another one. Every activity here
 * gives a sign at least every two seconds. */
#define HEARTBEAT_MS 6000

const char *json_text(const json_t *object, const char *key)
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

/* name in the fleet's state folder, or without a fleet in the current one. */
static char *in_state_dir(const char *name)
{
    const char *folder = getenv("FLOTILLA_STATE_DIR");
    char *path;
    if (!folder || !*folder)
        return strdup(name);
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static char *setting(const json_t *settings, const char *key, const char *env, const char *fallback)
{
    const char *value = json_text(settings, key);
    if (!value)
        value = getenv(env);
    return value && *value ? strdup(value) : in_state_dir(fallback);
}

/* A whole number from the settings or the environment, within [min, max]. */
static int number(const json_t *settings, const char *key, const char *env, size_t fallback,
                  size_t min, size_t max, size_t *out, struct flo_err *err)
{
    const json_t *value = json_object_get(settings, key);
    const char *text = env ? getenv(env) : NULL;
    *out = fallback;
    if (json_is_integer(value)) {
        *out = (size_t)json_integer_value(value);
    } else if (value) {
        return flo_fail(err, FLO_ECONFIG, "document: %s must be a whole number", key);
    } else if (text && *text) {
        char *end;
        errno = 0;
        unsigned long long n = strtoull(text, &end, 10);
        if (errno || *end || text[0] == '-')
            return flo_fail(err, FLO_ECONFIG, "document: %s must be a whole number", env);
        *out = (size_t)n;
    }
    if (*out < min || *out > max)
        return flo_fail(err, FLO_ECONFIG, "document: %s must be between %zu and %zu", key, min,
                        max);
    return 0;
}

static void stop(void *state)
{
    struct document_shared *shared = state;
    if (!shared)
        return;
    index_pool_destroy(&shared->pool);
    free(shared->blob_dir);
    free(shared->database);
    free(shared);
}

static int start(const struct flo_module_env *env, void **out_shared, struct flo_err *err)
{
    struct document_shared *shared = calloc(1, sizeof *shared);
    if (!shared)
        return flo_fail(err, FLO_ENOMEM, "document: out of memory");
    size_t pool_size = 0, max_overflow = 0;
    const json_t *set = env->settings;
    shared->blob_dir = setting(set, "blob_dir", "FLOTILLA_BLOB_DIR", "blobs");
    shared->database = setting(set, "database", "DATABASE_URL", "documents.db");
    int rc = number(set, "db_pool_size", "DB_POOL_SIZE", 20, 1, 1000, &pool_size, err);
    if (rc == 0)
        rc = number(set, "db_max_overflow", "DB_MAX_OVERFLOW", 30, 0, 1000, &max_overflow, err);
    if (rc == 0)
        rc = number(set, "max_bytes", NULL, 64 << 20, 1, 1 << 30, &shared->max_bytes, err);
    if (rc == 0)
        rc = number(set, "chunk_bytes", NULL, 32 << 10, 64, 16 << 20, &shared->chunk_bytes, err);
    shared->pool_size = (unsigned)pool_size;
    shared->max_overflow = (unsigned)max_overflow;
    if (rc == 0 && (!shared->blob_dir || !shared->database))
        rc = flo_fail(err, FLO_ENOMEM, "document: out of memory");
    if (rc == 0)
        rc = index_pool_new(shared->database, shared->pool_size, shared->max_overflow,
                            &shared->pool, err);
    if (rc == 0) {
        *out_shared = shared;
        shared = NULL; /* handed over */
    }
    stop(shared);
    return rc;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "document",
    .workflows = FLO_WORKFLOWS({"DocumentWorkflow", document_workflow}),
    .activities =
        FLO_ACTIVITIES({"fetch_document", fetch_document}, {"extract_text", extract_text},
                       {"analyze_chunk", analyze_chunk}, {"index_document", index_document},
                       {"health_check", health_check}),
    .start = start,
    .stop = stop,
};
