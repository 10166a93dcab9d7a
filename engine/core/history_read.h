/* SPDX-License-Identifier: Apache-2.0 */
/* history_read.h - what history_page.c and history_read.c share. */
#ifndef FLO_ENGINE_CORE_HISTORY_READ_H
#define FLO_ENGINE_CORE_HISTORY_READ_H

#include "engine/core/core.h"
#include "engine/core/wire_out.h"

struct flo_core;         /* internal.h */
struct flo_core_run_ref; /* runs.h */
struct flo_execution;    /* execution.h */
struct flo_namespace;    /* namespace.h */

/* Bounds. */
#define FLO_CORE_MAX_HISTORY_WAITS 10000 /* calls that wait for new events in one namespace */
#define FLO_CORE_PAGE_BATCHES 256        /* batches in a history page */
#define FLO_CORE_PAGE_BYTES (3u << 20)   /* bytes in a history page, cut at a batch's end */

/* Flags of a page token. */
enum {
    FLO_HISTORY_OF_TASK = 1, /* the last page ends with the synthetic events of the task */
    FLO_HISTORY_REVERSE = 2, /* the token's event is the next one downwards */
};

/* The token of the page that begins with next_event_id, in scratch. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_history_token(struct flo_core *core, struct flo_namespace *ns,
                                     const char *workflow_id, const char *run_id,
                                     int64_t next_event_id, unsigned flags,
                                     ProtobufCBinaryData *out);
/* Last event of the page of a resident run that begins with event first: whole batches. first - 1
 * when there is nothing. */
int64_t flo_history_page_last(const struct flo_execution *execution, int64_t first,
                              size_t max_batches);
/* Length of the first `0x0A len HistoryEvent` of data, 0 when it is damaged. */
size_t flo_history_entry_len(const uint8_t *data, size_t len);
/* That entry, of that length, decoded into arena; NULL: damaged, or no memory. */
FloApi__HistoryEvent *flo_history_entry_decode(const uint8_t *data, size_t len,
                                               struct flo_arena *arena);
/* Events of a stored run from first on: whole batches, at most max_batches and about 3 MiB, in
 * scratch; *out_next is the event after them. 0, FLO_ENOMEM, FLO_EDATA, FLO_EIO. */
FLO_MUST_CHECK int flo_history_read_stored(struct flo_core *core,
                                           const struct flo_core_run_ref *run, int64_t first,
                                           size_t max_batches, struct flo_bytes *out,
                                           int64_t *out_next);

/* The end of a step: a run changed, long polls that wait for its events are answered. */
void flo_history_settle(struct flo_core *core, struct flo_execution *execution);
/* The run leaves memory: answer what waits on it. */
void flo_history_run_gone(struct flo_core *core, struct flo_execution *execution);

#endif
