/* SPDX-License-Identifier: Apache-2.0 */
/* update_stored.c - updates of runs that are only stored: what their histories tell of them. */
#include <string.h>

#include "engine/core/history_read.h"
#include "engine/core/internal.h"
#include "engine/core/reply.h"
#include "engine/core/runs.h"
#include "engine/core/update.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"
#include "wire/varint.h"

struct search {
    struct flo_core *core;
    const char *update_id;
    size_t id_len;
    struct flo_arena event_mem; /* of the event that is looked at */
    bool accepted;
    FloApi__Outcome *outcome; /* in core's scratch */
    int rc;
};

static const FloApi__HistoryEvent *decode(struct search *search, const uint8_t *data, size_t len,
                                          struct flo_arena *arena)
{
    ProtobufCMessage *message = NULL;
    search->rc =
        flo_wire_decode(&flo_api__history_event__descriptor, data, len, arena, &message, NULL);
    return (const FloApi__HistoryEvent *)message;
}

/* Look at one event; most are known to be about something else without being decoded. */
static void search_event(struct search *search, const uint8_t *data, size_t len)
{
    if (!memmem(data, len, search->update_id, search->id_len))
        return;
    flo_arena_reset(&search->event_mem);
    const FloApi__HistoryEvent *event = decode(search, data, len, &search->event_mem);
    if (search->rc)
        return;
    if (event->attributes_case ==
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_UPDATE_ACCEPTED_EVENT_ATTRIBUTES) {
        if (strcmp(event->workflow_execution_update_accepted_event_attributes->protocol_instance_id,
                   search->update_id) == 0)
            search->accepted = true;
        return;
    }
    if (event->attributes_case !=
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_UPDATE_COMPLETED_EVENT_ATTRIBUTES)
        return;
    const FloApi__Meta *meta = event->workflow_execution_update_completed_event_attributes->meta;
    if (!meta || strcmp(meta->update_id, search->update_id) != 0)
        return;
    event = decode(search, data, len, &search->core->scratch);
    if (!search->rc)
        search->outcome = event->workflow_execution_update_completed_event_attributes->outcome;
}

static bool search_batch(void *ctx, int64_t first_event_id, uint32_t event_count,
                         const uint8_t *events, size_t len)
{
    struct search *search = ctx;
    (void)first_event_id;
    for (uint32_t i = 0; i < event_count && !search->rc && !search->outcome; i++) {
        const size_t entry = flo_history_entry_len(events, len);
        uint64_t event_len;
        const uint8_t *at = events + 1;
        if (!entry || !flo_varint_get(&at, events + len, &event_len)) {
            search->rc = FLO_EDATA;
            break;
        }
        search_event(search, at, (size_t)event_len);
        events += entry;
        len -= entry;
    }
    return !search->rc && !search->outcome;
}

int flo_update_find_stored(struct flo_core *core, const struct flo_core_run_ref *run,
                           const char *update_id, FloApi__Outcome **out, struct flo_status *status)
{
    struct search search = {.core = core, .update_id = update_id, .id_len = strlen(update_id)};
    int rc = 0;
    flo_arena_init(&search.event_mem, 0);
    if (run->state->update_count)
        rc = core->env.store.history(core->env.store.ctx, run->stored.key, 1, false, search_batch,
                                     &search);
    flo_arena_fini(&search.event_mem);
    rc = rc ? rc : search.rc;
    *out = search.outcome;
    switch (rc) {
    case 0:
        return search.accepted ? 0 : FLO_ENOENT;
    case FLO_ENOMEM:
    case FLO_ELIMIT:
        return flo_status_no_memory(status);
    case FLO_EIO:
        flo_status_put(core, status, FLO_GRPC_UNAVAILABLE, "the store cannot be read");
        return rc;
    default:
        flo_status_put(core, status, FLO_GRPC_DATA_LOSS, "the stored history is damaged");
        return FLO_EDATA;
    }
}
