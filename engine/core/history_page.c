/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_page.c - pages of histories: whole batches, at most 256 of them and about 3 MiB, so
 * that an answer stays below the 4 MiB that every client takes.
 *
 * A resident run's page is a range of its bytes; a stored run's batches are copied as the store
 * reads them.
 */
#include "engine/core/history_page.h"

#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/history_read.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/runs.h"
#include "engine/core/token.h"
#include "engine/core/wire_out.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"
#include "wire/varint.h"

int flo_history_token(struct flo_core *core, struct flo_namespace *ns, const char *workflow_id,
                      const char *run_id, int64_t next_event_id, unsigned flags,
                      ProtobufCBinaryData *out)
{
    const struct flo_token token = {.kind = FLO_TOKEN_HISTORY,
                                    .ns = ns,
                                    .workflow_id = workflow_id,
                                    .run_id = run_id,
                                    .scheduled_event_id = next_event_id,
                                    .query = flags};
    return flo_token_encode(core, &token, out);
}

/* ---- resident runs ---- */

int64_t flo_history_page_last(const struct flo_execution *execution, int64_t first,
                              size_t max_batches)
{
    const struct flo_history *history = &execution->history;
    const int64_t end = history->next_event_id - 1;
    int64_t last = first - 1;
    const uint8_t *data;
    size_t len, batches = 0;
    int64_t batch_first, batch_last;
    for (int64_t id = first; flo_history_batch(history, id, &batch_first, &batch_last);
         id = batch_last + 1) {
        flo_history_range(history, first, batch_last, &data, &len);
        if (batches++ == max_batches || (batches > 1 && len > FLO_CORE_PAGE_BYTES))
            return last;
        last = batch_last;
    }
    return end; /* with what is in the open batch, if there is one */
}

int flo_history_page_for_task(struct flo_core *core, const struct flo_execution *execution,
                              int64_t first, struct flo_history_page *out)
{
    *out = (struct flo_history_page){0};
    const int64_t end = execution->history.next_event_id - 1;
    const int64_t last = flo_history_page_last(execution, first, FLO_CORE_PAGE_BATCHES);
    if (first <= last) {
        flo_history_range(&execution->history, first, last, &out->parts[0].data,
                          &out->parts[0].len);
        out->part_count = 1;
    }
    if (last < end)
        return flo_history_token(core, execution->hooks.ns, execution->workflow_id,
                                 execution->run_id, last + 1, FLO_HISTORY_OF_TASK,
                                 &out->next_page_token);
    struct flo_bytes *synthetic = &out->parts[out->part_count];
    int rc = flo_core_workflow_task_synthetic(core, execution, &synthetic->data, &synthetic->len);
    if (!rc && synthetic->len)
        out->part_count++;
    return rc;
}

/* ---- stored runs ---- */

size_t flo_history_entry_len(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    const uint8_t *at = data + 1, *end = data + len; /* after the tag of History.events */
    uint64_t size;
    if (!flo_varint_get(&at, end, &size) || size > (uint64_t)(end - at))
        return 0;
    return (size_t)(at - data) + (size_t)size;
}

FloApi__HistoryEvent *flo_history_entry_decode(const uint8_t *data, size_t len,
                                               struct flo_arena *arena)
{
    const uint8_t *at = data + 1;
    uint64_t size;
    ProtobufCMessage *message;
    if (!flo_varint_get(&at, data + len, &size) ||
        flo_wire_decode(&flo_api__history_event__descriptor, at, (size_t)size, arena, &message,
                        NULL))
        return NULL;
    return (FloApi__HistoryEvent *)message;
}

/* Gathers batches into one block of scratch. */
struct gather {
    struct flo_core *core;
    struct flo_bytes *chunks; /* copied batches */
    size_t count, max;
    size_t bytes;
    int64_t first; /* events before it are left out */
    int64_t next;  /* after the last event that was taken */
    bool failed;   /* out of memory */
    bool damaged;
};

static bool gather_batch(void *ctx, int64_t first_event_id, uint32_t event_count,
                         const uint8_t *events, size_t len)
{
    struct gather *g = ctx;
    if (g->count == g->max || (g->count > 0 && g->bytes + len > FLO_CORE_PAGE_BYTES))
        return false;
    for (int64_t id = first_event_id; id < g->first && len > 0; id++) {
        const size_t entry = flo_history_entry_len(events, len);
        if (!entry) {
            g->damaged = true;
            return false;
        }
        events += entry;
        len -= entry;
    }
    const uint8_t *copy = flo_arena_memdup(&g->core->scratch, events, len);
    if (!copy) {
        g->failed = true;
        return false;
    }
    g->chunks[g->count++] = (struct flo_bytes){copy, len};
    g->bytes += len;
    g->next = first_event_id + event_count;
    return true;
}

int flo_history_read_stored(struct flo_core *core, const struct flo_core_run_ref *run,
                            int64_t first, size_t max_batches, struct flo_bytes *out,
                            int64_t *out_next)
{
    struct gather g = {.core = core, .max = max_batches, .first = first, .next = first};
    g.chunks = flo_arena_calloc(&core->scratch, max_batches, sizeof *g.chunks);
    if (!g.chunks)
        return FLO_ENOMEM;
    int rc = core->env.store.history(core->env.store.ctx, run->stored.key, first, false,
                                     gather_batch, &g);
    if (rc || g.failed || g.damaged)
        return rc ? rc : g.failed ? FLO_ENOMEM : FLO_EDATA;
    uint8_t *data = flo_arena_alloc(&core->scratch, g.bytes + 1);
    if (!data)
        return FLO_ENOMEM;
    size_t at = 0;
    for (size_t i = 0; i < g.count; i++) {
        memcpy(data + at, g.chunks[i].data, g.chunks[i].len);
        at += g.chunks[i].len;
    }
    *out = (struct flo_bytes){data, at};
    *out_next = g.next;
    return 0;
}

int flo_history_page_stored(struct flo_core *core, struct flo_namespace *ns,
                            const struct flo_core_run_ref *run, int64_t first,
                            struct flo_history_page *out)
{
    *out = (struct flo_history_page){.part_count = 1};
    int64_t next;
    int rc =
        flo_history_read_stored(core, run, first, FLO_CORE_PAGE_BATCHES, &out->parts[0], &next);
    if (!rc && next < run->state->next_event_id)
        rc = flo_history_token(core, ns, run->stored.workflow_id, run->stored.run_id, next, 0,
                               &out->next_page_token);
    return rc;
}
