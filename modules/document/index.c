/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c - the index_document activity: merges what the chunks found, writes the document into
 * the index (by uri, so running twice is harmless) and looks for near-duplicates.
 */
#include "index.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "language.h"
#include "terms.h"

#define TOP_TERMS 10
#define NEAR_DUPLICATE 0.8 /* estimated share of common shingles */
#define WAIT_MS 2000       /* at most so long without a sign of life */
#define TRIES 15           /* for a connection, and again for a busy database */

const struct index_backend *index_backend_for(const char *database, struct flo_err *err)
{
    if (strncmp(database, "postgresql://", 13) != 0 && strncmp(database, "postgres://", 11) != 0)
        return &index_sqlite;
    return plugin_symbol("document-postgres", "index_postgres", err);
}

struct merged {
    json_t *counts, *votes;
    json_int_t words;
    struct minhash signature;
};

static int merge_counts(json_t *into, const json_t *from)
{
    const char *term;
    json_t *count;
    json_object_foreach((json_t *)(uintptr_t)from, term, count)
    {
        if (term_count(into, term, json_integer_value(count)))
            return FLO_ENOMEM;
    }
    return 0;
}

static int merge_chunk(struct flo_activity_context *ctx, const char *blob_dir, const json_t *chunk,
                       struct merged *into)
{
    struct minhash signature;
    struct flo_err err;
    char *data = NULL;
    size_t len = 0;
    const char *terms = json_text(chunk, "terms");
    if (!terms || !minhash_parse(json_text(chunk, "minhash"), &signature))
        return flo_activity_fail(ctx, "InvalidInput", true, NULL,
                                 "index_document takes the chunks that analyze_chunk returned");
    if (blob_get(blob_dir, terms, &data, &len, &err))
        return flo_activity_fail(ctx, "BlobStore", false, NULL, "%s", err.message);
    json_t *counts = json_loadb(data, len, 0, NULL);
    int rc = counts ? merge_counts(into->counts, counts) : FLO_EDATA;
    if (rc == 0)
        rc = merge_counts(into->votes, json_object_get(chunk, "languages"));
    into->words += json_integer_value(json_object_get(chunk, "words"));
    minhash_merge(&into->signature, &signature);
    json_decref(counts);
    free(data);
    return rc;
}

struct search {
    const struct minhash *signature;
    json_t *found; /* array of {"uri", "similarity"} */
};

static void on_candidate(void *ctx, const char *uri, const char *hex)
{
    struct search *search = ctx;
    struct minhash other;
    if (!minhash_parse(hex, &other))
        return;
    double similarity = minhash_similarity(search->signature, &other);
    if (similarity >= NEAR_DUPLICATE)
        json_array_append_new(search->found,
                              json_pack("{s:s, s:f}", "uri", uri, "similarity", similarity));
}

/* A connection from the pool, waiting in slices between signs of life. */
static int take_connection(struct flo_activity_context *ctx, struct index_pool *pool,
                           struct index_connection *out)
{
    struct flo_err err;
    int rc = FLO_ETIMEDOUT;
    for (int i = 0; rc == FLO_ETIMEDOUT && i < TRIES; i++) {
        if (flo_activity_heartbeat(ctx, NULL))
            return FLO_ECANCELLED;
        rc = index_pool_take(pool, WAIT_MS, out, &err);
    }
    return rc ? flo_activity_fail(ctx, "DatabaseUnavailable", false, NULL, "%s", err.message) : 0;
}

/* Write the document and look for others like it; FLO_ETIMEDOUT while others hold the database. */
static int write_and_search(const struct index_connection *connection,
                            const struct index_document *document, struct search *search,
                            struct flo_err *err)
{
    int rc = connection->backend->upsert(connection->handle, document, err);
    if (rc == 0 && document->words)
        rc = connection->backend->candidates(connection->handle, document, on_candidate, search,
                                             err);
    return rc;
}

static int store(struct flo_activity_context *ctx, struct index_pool *pool,
                 const struct index_document *document, json_t **out_duplicates)
{
    struct index_connection connection;
    struct flo_err err;
    int rc = take_connection(ctx, pool, &connection);
    if (rc)
        return rc;
    struct search search = {.signature = &document->signature, .found = json_array()};
    rc = FLO_ETIMEDOUT;
    for (int i = 0; rc == FLO_ETIMEDOUT && i < TRIES; i++) {
        json_array_clear(search.found);
        rc = flo_activity_heartbeat(ctx, NULL);
        if (rc == 0)
            rc = write_and_search(&connection, document, &search, &err);
    }
    index_pool_give(pool, connection, rc != 0);
    if (rc == 0)
        *out_duplicates = json_incref(search.found);
    else if (rc != FLO_ECANCELLED)
        rc = flo_activity_fail(ctx, "DatabaseError", false, NULL, "%s", err.message);
    json_decref(search.found);
    return rc;
}

static int index_merged(struct flo_activity_context *ctx, const struct document_shared *shared,
                        json_t *input, struct merged *merged, json_t **out_result)
{
    json_t *top = terms_top(merged->counts, TOP_TERMS), *duplicates = NULL;
    const struct index_document document = {
        .uri = json_text(input, "uri"),
        .blob = json_text(input, "blob"),
        .language = language_guess(merged->votes, merged->words),
        .bytes = json_integer_value(json_object_get(input, "bytes")),
        .words = merged->words,
        .distinct_terms = (int64_t)json_object_size(merged->counts),
        .top_terms = top,
        .signature = merged->signature,
    };
    int rc = document.uri && document.blob
                 ? store(ctx, shared->pool, &document, &duplicates)
                 : flo_activity_fail(ctx, "InvalidInput", true, NULL,
                                     "index_document takes what fetch_document returned");
    if (rc == 0)
        *out_result =
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:O, s:O}", "uri", document.uri, "blob",
                      document.blob, "bytes", document.bytes, "words", document.words,
                      "distinct_terms", document.distinct_terms, "language", document.language,
                      "top_terms", top, "near_duplicates", duplicates);
    json_decref(top);
    json_decref(duplicates);
    return rc;
}

int index_document(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct document_shared *shared = flo_activity_shared(ctx);
    struct merged merged = {.counts = json_object(), .votes = json_object()};
    minhash_init(&merged.signature);
    int rc = merged.counts && merged.votes ? 0 : FLO_ENOMEM;
    size_t i;
    json_t *chunk;
    json_array_foreach(json_object_get(input, "chunks"), i, chunk)
    {
        if (rc == 0)
            rc = flo_activity_heartbeat(ctx, NULL);
        if (rc == 0)
            rc = merge_chunk(ctx, shared->blob_dir, chunk, &merged);
    }
    if (rc == 0)
        rc = index_merged(ctx, shared, input, &merged, out_result);
    json_decref(merged.counts);
    json_decref(merged.votes);
    return rc;
}
