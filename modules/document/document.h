/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document.h - what the files of this module share: the state made once per worker process, the
 * blob folder, and the activities.
 */
#ifndef DOCUMENT_H
#define DOCUMENT_H

#include <flotilla/worker.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOCUMENT_HASH_LEN 64 /* SHA-256 in hex, without the NUL */

struct index_pool; /* index.h */

/* Made by start(), given to every activity; read-only afterwards. */
struct document_shared {
    char *blob_dir;
    char *database; /* path or postgresql:// DSN */
    unsigned pool_size, max_overflow;
    size_t max_bytes;        /* largest document */
    size_t chunk_bytes;      /* text per chunk */
    struct index_pool *pool; /* connections are opened on first use */
};

/* ---- activities (one file each) ---- */
int fetch_document(struct flo_activity_context *ctx, json_t *input, json_t **out_result);
int extract_text(struct flo_activity_context *ctx, json_t *input, json_t **out_result);
int analyze_chunk(struct flo_activity_context *ctx, json_t *input, json_t **out_result);
int index_document(struct flo_activity_context *ctx, json_t *input, json_t **out_result);
int health_check(struct flo_activity_context *ctx, json_t *input, json_t **out_result);

/* ---- blob.c: content by hash ---- */

/* Store data under its SHA-256 (temporary file, fsync, rename; storing twice is fine). 0,
 * FLO_EIO with a sentence. Any thread. */
int blob_put(const char *dir, const void *data, size_t len, char out_hash[DOCUMENT_HASH_LEN + 1],
             struct flo_err *err);
/* Read a blob whole; *out_data is the caller's to free(), NUL-terminated past len. FLO_ENOENT,
 * FLO_EDATA (content does not match the hash), FLO_EIO. Any thread. */
int blob_get(const char *dir, const char *hash, char **out_data, size_t *out_len,
             struct flo_err *err);

/* ---- extract.c, for tests ---- */

/* Where to cut text into chunks: fills offsets[] (at most max) with the starts, at white space
 * where there is some; returns how many. */
size_t text_cut(const char *text, size_t len, size_t chunk_bytes, size_t *offsets, size_t max);

/* ---- plugin.c: shared objects that are loaded when first needed ---- */

/* The symbol of the shared object `name`.so that lies beside this module; loads it once. NULL
 * with a sentence. Any thread. */
void *plugin_symbol(const char *name, const char *symbol, struct flo_err *err);

/* text of an object's member, or NULL. Borrowed. */
const char *json_text(const json_t *object, const char *key);

#endif
