/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.c - the health_check activity: can this worker do its work? It answers, healthy or not,
 * with a word for each of the things it needs; it fails only when it cannot even answer.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "document.h"
#include "index.h"

#define POOL_WAIT_MS 2000

static void check(json_t *checks, const char *name, int rc, const struct flo_err *err)
{
    char text[600];
    snprintf(text, sizeof text, "%s%s", rc ? "unhealthy: " : "healthy", rc ? err->message : "");
    json_object_set_new(checks, name, json_string(text));
}

static int check_database(const struct document_shared *shared, struct flo_err *err)
{
    struct index_connection connection;
    int rc = index_pool_take(shared->pool, POOL_WAIT_MS, &connection, err);
    if (rc)
        return rc;
    rc = connection.backend->ping(connection.handle, err);
    index_pool_give(shared->pool, connection, rc != 0);
    return rc;
}

static int check_blobs(const struct document_shared *shared, struct flo_err *err)
{
    static const char probe[] = "health";
    char hash[DOCUMENT_HASH_LEN + 1];
    return blob_put(shared->blob_dir, probe, strlen(probe), hash, err);
}

int health_check(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    const struct document_shared *shared = flo_activity_shared(ctx);
    struct flo_err err = {0};
    json_t *checks = json_object();
    check(checks, "database", check_database(shared, &err), &err);
    check(checks, "blob_store", check_blobs(shared, &err), &err);
    *out_result = json_pack("{s:s, s:I, s:o}", "worker_id", flo_activity_info(ctx)->worker_identity,
                            "timestamp", (json_int_t)time(NULL), "checks", checks);
    return *out_result ? 0 : FLO_ENOMEM;
}
