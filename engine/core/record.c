/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - records on their way to the store and back.
 *
 * core->records holds what changed since the last batch, in order: live records through their own
 * node, deleted ones as a small block of ours, since their owner's struct is gone by then. One that
 * is deleted and made again is on the list twice, in the right order.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/internal.h"
#include "engine/core/job.h"
#include "engine/core/queue_config.h"
#include "engine/core/record.h"

struct deleted {
    struct flo_core_record record; /* encode NULL tells it from a live one */
    char text[];                   /* namespace id, id */
};

static struct flo_core_record *record_at(struct flo_node *node)
{
    return flo_container(node, struct flo_core_record, changed);
}

static void mark(struct flo_core *core, struct flo_core_record *record)
{
    record->dirty_seq = core->next_seq;
    if (!flo_node_linked(&record->changed))
        flo_list_push_back(&core->records, &record->changed);
    if (core->dirty_since_ns == INT64_MAX)
        core->dirty_since_ns = core->now_ns;
}

void flo_core_record_changed(struct flo_core *core, struct flo_core_record *record)
{
    mark(core, record);
}

uint64_t flo_core_record_after(const struct flo_core *core, const struct flo_core_record *record)
{
    return record->dirty_seq > core->committed_seq ? record->dirty_seq : 0;
}

void flo_core_record_forget(struct flo_core *core, struct flo_core_record *record)
{
    if (flo_node_linked(&record->changed))
        flo_list_remove(&core->records, &record->changed);
}

int flo_core_record_deleted(struct flo_core *core, struct flo_core_record *record)
{
    const size_t ns_size = strlen(record->namespace_id) + 1, id_size = strlen(record->id) + 1;
    struct deleted *deleted = flo_calloc(1, sizeof *deleted + ns_size + id_size);
    if (!deleted)
        return FLO_ENOMEM;
    memcpy(deleted->text, record->namespace_id, ns_size);
    memcpy(deleted->text + ns_size, record->id, id_size);
    deleted->record = (struct flo_core_record){
        .kind = record->kind, .namespace_id = deleted->text, .id = deleted->text + ns_size};
    flo_core_record_forget(core, record);
    mark(core, &deleted->record);
    return 0;
}

static int add_row(struct flo_core_batch *batch, const struct flo_core_record *record,
                   struct flo_core_record_row *row)
{
    *row = (struct flo_core_record_row){
        .kind = record->kind,
        .namespace_id = flo_arena_strdup(&batch->arena, record->namespace_id),
        .id = flo_arena_strdup(&batch->arena, record->id),
        .deleted = record->encode == NULL,
    };
    if (!row->namespace_id || !row->id)
        return FLO_ENOMEM;
    return row->deleted ? 0 : record->encode(record, &batch->arena, &row->state, &row->state_len);
}

int flo_core_batch_records(struct flo_core *core, struct flo_core_batch *batch)
{
    const size_t count = core->records.count;
    if (count == 0)
        return 0;
    struct flo_core_record_row *rows = flo_arena_calloc(&batch->arena, count, sizeof *rows);
    if (!rows)
        return FLO_ENOMEM;
    FLO_LIST_FOREACH(node, &core->records)
    {
        if (add_row(batch, record_at(node), &rows[batch->record_count]))
            return FLO_ENOMEM;
        batch->record_count++;
    }
    batch->records = rows;
    return 0;
}

void flo_core_records_taken(struct flo_core *core)
{
    for (struct flo_node *node; (node = flo_list_pop_front(&core->records));) {
        struct flo_core_record *record = record_at(node);
        if (!record->encode)
            flo_free(flo_container(record, struct deleted, record));
    }
}

void flo_core_records_fini(struct flo_core *core)
{
    flo_core_records_taken(core);
}

int flo_core_load_record(struct flo_core *core, const struct flo_core_record_row *row,
                         struct flo_err *err)
{
    switch (row->kind) { /* one line an owner: case KIND: return its function */
    case FLO_CORE_RECORD_QUEUE:
        return flo_queue_config_load(core, row, err);
    case FLO_CORE_RECORD_SCHEDULE:
        return flo_schedules_load(core, row, err);
    case FLO_CORE_RECORD_BATCH:
        return flo_job_load(core, row, err);
    default:
        return flo_fail(err, FLO_EDATA,
                        "the record %s is of kind %d, which this engine does not know", row->id,
                        row->kind);
    }
}
