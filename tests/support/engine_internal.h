/* SPDX-License-Identifier: Apache-2.0 */
/* engine_internal.h - what the files of the engine's harness share; tests use engine_harness.h. */
#ifndef FLO_TESTS_SUPPORT_ENGINE_INTERNAL_H
#define FLO_TESTS_SUPPORT_ENGINE_INTERNAL_H

#include "support/engine_harness.h"

/* ---- memory; without it the test fails ---- */

void *engine_need(void *block);
/* Zeroed, until engine_free. */
void *engine_take(struct engine *engine, size_t bytes);
void *engine_dup(struct engine *engine, const void *data, size_t len);
char *engine_dup_text(struct engine *engine, const char *text);
/* Room for one more element of an array on the heap. */
void *engine_grow(void *array, size_t count, size_t *cap, size_t size);

/* A message of the type, initialised. */
#define NEW(engine, type, init)                                                                    \
    __extension__({                                                                                \
        type *message_ = engine_take(engine, sizeof *message_);                                    \
        init(message_);                                                                            \
        message_;                                                                                  \
    })

/* ---- the store (engine_store.c) ---- */

struct engine_stored_run {
    uint64_t key;
    char *namespace_id, *workflow_id, *run_id;
    int status;
    int64_t close_ns;
    uint8_t *state;
    size_t state_len;
    bool deleted;
};

struct engine_stored_record {
    int kind;
    char *namespace_id, *id;
    uint8_t *state;
    size_t state_len;
    bool deleted;
};

struct engine_stored_batch {
    uint64_t key;
    int64_t first_event_id;
    uint32_t event_count;
    uint8_t *events;
    size_t len;
};

/* What the core reads through; ctx is the engine. */
int engine_store_find(void *ctx, const char *namespace_id, const char *workflow_id,
                      const char *run_id, struct flo_core_stored_run *out);
int engine_store_history(void *ctx, uint64_t key, int64_t first_event_id, bool reverse,
                         bool (*batch)(void *batch_ctx, int64_t first_event_id,
                                       uint32_t event_count, const uint8_t *events, size_t len),
                         void *batch_ctx);
int engine_store_load(void *ctx, uint64_t key,
                      int (*run_fn)(void *run_ctx, const struct flo_core_stored_run *run,
                                    const struct flo_core_history_batch *batches, size_t count,
                                    struct flo_err *err),
                      void *run_ctx, struct flo_err *err);
int engine_store_locate(void *ctx, const char *namespace_id, const char *workflow_id,
                        const char *run_id, uint64_t *out_key);

#endif
