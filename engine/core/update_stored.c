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
    bool accepted;
    FloApi__Outcome *outcome;
    int rc;
};

/* Look at one event; most are known to be about something else without being decoded. */
static void search_event(struct search *search, const uint8_t *data, size_t len)
{
    ProtobufCMessage *message;
    if (!memmem(data, len, search->update_id, search->id_len))
        return;
    search->rc = flo_wire_decode(&flo_api__history_event__descriptor, data, len,
                                 &search->core->scratch, &message, NULL);
    if (search->rc)
        return;
    const FloApi__HistoryEvent *event = (const FloApi__HistoryEvent *)message;
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
    const FloApi__WorkflowExecutionUpdateCompletedEventAttributes *completed =
        event->workflow_execution_update_completed_event_attributes;
    if (completed->meta && strcmp(completed->meta->update_id, search->update_id) == 0)
        search->outcome = completed->outcome;
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
    if (run->state->update_count)
        rc = core->env.store.history(core->env.store.ctx, run->stored.key, 1, false, search_batch,
                                     &search);
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
