/* SPDX-License-Identifier: Apache-2.0 */
/* document.c - the module's settings, what its activities share, and their table. */
#include "document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"

const char *json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
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
    .activities =
        FLO_ACTIVITIES({"fetch_document", fetch_document}, {"extract_text", extract_text},
                       {"analyze_chunk", analyze_chunk}, {"index_document", index_document},
                       {"health_check", health_check}),
    .start = start,
    .stop = stop,
};
