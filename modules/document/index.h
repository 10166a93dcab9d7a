/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - the document index: a bounded pool of database connections over one of two backends.
 *
 * Sizes follow the convention of DB_POOL_SIZE and DB_MAX_OVERFLOW: `size` connections stay open,
 * up to `overflow` more are opened under load and closed when they come back; beyond that a caller
 * waits its turn.
 */
#ifndef DOCUMENT_INDEX_H
#define DOCUMENT_INDEX_H

#include <flotilla/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "minhash.h"

/* One document as it is stored. Strings borrowed. */
struct index_document {
    const char *uri, *blob, *language;
    int64_t bytes, words, distinct_terms;
    const json_t *top_terms; /* array of {"term", "count"} */
    struct minhash signature;
};

/* A database connection, behind the two backends. */
struct index_connection {
    const struct index_backend *backend;
    void *handle;
};

struct index_backend {
    /* Open and see to the schema. FLO_EIO with a sentence that names no password. */
    int (*open)(const char *database, void **out_handle, struct flo_err *err);
    void (*close)(void *handle);
    /* Insert or replace by uri, with its LSH bands, in one transaction. FLO_ETIMEDOUT: others hold
     * the database for seconds now; try again. Else FLO_EIO. */
    int (*upsert)(void *handle, const struct index_document *document, struct flo_err *err);
    /* Calls found(ctx, uri, signature as hex) for each other document that shares an LSH band. */
    int (*candidates)(void *handle, const struct index_document *document,
                      void (*found)(void *ctx, const char *uri, const char *signature), void *ctx,
                      struct flo_err *err);
    int (*ping)(void *handle, struct flo_err *err);
};

extern const struct index_backend index_sqlite; /* index_sqlite.c */
/* The backend of a database name: SQLite here, PostgreSQL from its plugin. */
const struct index_backend *index_backend_for(const char *database, struct flo_err *err);

struct index_pool; /* pool.c */

/* No connection is opened yet. */
int index_pool_new(const char *database, unsigned size, unsigned overflow,
                   struct index_pool **out_pool, struct flo_err *err);
/* All connections must be back. NULL is fine. */
void index_pool_destroy(struct index_pool **pool);
/* Take a connection, opening one or waiting up to wait_ms. FLO_ETIMEDOUT, FLO_EIO. Any thread. */
int index_pool_take(struct index_pool *pool, int64_t wait_ms, struct index_connection *out,
                    struct flo_err *err);
/* Give it back; broken ones are closed. Any thread. */
void index_pool_give(struct index_pool *pool, struct index_connection connection, bool broken);

#endif
