/* SPDX-License-Identifier: Apache-2.0 */
/* support.h - a store in a folder of its own, and small batches for it. */
#ifndef FLO_TESTS_STORE_SUPPORT_H
#define FLO_TESTS_STORE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/store/store.h"

struct fixture {
    char folder[64], path[96];
    struct flo_store *store;
    struct flo_store_options options;
    char warnings[1024];
};

static inline void note_warning(void *ctx, const char *event, const char *message)
{
    struct fixture *f = ctx;
    size_t used = strlen(f->warnings);
    (void)message;
    snprintf(f->warnings + used, sizeof f->warnings - used, "%s ", event);
}

static inline int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    memset(f, 0, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/flo-store-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(f->path, sizeof f->path, "%.63s/engine.db", f->folder);
    f->options = (struct flo_store_options){.path = f->path, .on_warning = note_warning, .ctx = f};
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock", ".mark"};
    struct fixture *f = *state;
    char name[128];
    flo_store_close(&f->store);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", f->path, ends[i]);
        unlink(name);
    }
    return rmdir(f->folder);
}

static inline void open_store(struct fixture *f)
{
    struct flo_err err = {0};
    int rc = flo_store_open(&f->options, &f->store, &err);
    if (rc)
        fail_msg("open: %s", err.message);
}

#define EVENTS ((const uint8_t *)"0123456789abcdef")

/* One namespace "ns", one run with a batch of two events. */
struct sample {
    struct flo_core_batch batch;
    struct flo_core_namespace_row namespace;
    struct flo_core_run_row run;
    struct flo_core_history_row history;
};

static inline struct flo_core_batch *sample(struct sample *s, uint64_t key, const char *workflow_id,
                                            const char *run_id)
{
    memset(s, 0, sizeof *s);
    s->namespace = (struct flo_core_namespace_row){
        .id = "ns", .name = "default", .state = EVENTS, .state_len = 3};
    s->run = (struct flo_core_run_row){
        .key = key,
        .namespace_id = "ns",
        .workflow_id = workflow_id,
        .run_id = run_id,
        .type = "T",
        .task_queue = "q",
        .start_request_id = "req",
        .first_run_id = run_id,
        .parent_workflow_id = "",
        .parent_run_id = "",
        .root_workflow_id = workflow_id,
        .root_run_id = run_id,
        .status = 1,
        .start_ns = 1000 + (int64_t)key,
        .execution_ns = 1000 + (int64_t)key,
        .history_length = 2,
        .history_bytes = 16,
        .state_transitions = 1,
        .state = EVENTS,
        .state_len = 5,
    };
    s->history = (struct flo_core_history_row){
        .key = key, .first_event_id = 1, .event_count = 2, .events = EVENTS, .len = 16};
    s->batch = (struct flo_core_batch){
        .seq = 1,
        .namespaces = &s->namespace,
        .namespace_count = 1,
        .runs = &s->run,
        .run_count = 1,
        .histories = &s->history,
        .history_count = 1,
    };
    return &s->batch;
}

static inline void commit_ok(struct fixture *f, const struct flo_core_batch *batch)
{
    struct flo_err err = {0};
    if (flo_store_commit(f->store, batch, &err))
        fail_msg("commit: %s", err.message);
}

#endif
