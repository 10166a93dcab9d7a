/* SPDX-License-Identifier: Apache-2.0 */
/* entities.c - what the rarer machines share. */
#include "workflow/entities.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire/failure.h"
#include "workflow/fill.h"

struct flo_entities *flo_entities_of(struct flo_run *run)
{
    if (run->entities)
        return run->entities;
    struct flo_entities *e = flo_heap_calloc(run->heap, sizeof *e);
    if (!e) {
        flo_run_no_memory(run);
        return NULL;
    }
    flo_map_init(&e->related);
    flo_map_init(&e->patches);
    flo_map_init(&e->effects);
    flo_map_init(&e->mutables);
    flo_map_init(&e->attributes);
    flo_arena_init(&e->header_mem, 0);
    return run->entities = e;
}

void flo_entities_fini(struct flo_run *run)
{
    struct flo_entities *e = run->entities;
    if (!e)
        return;
    flo_map_fini(&e->related);
    flo_map_fini(&e->patches);
    flo_map_fini(&e->effects);
    flo_map_fini(&e->mutables);
    flo_map_fini(&e->attributes);
    flo_arena_fini(&e->header_mem);
    run->entities = NULL; /* the rest is in the heap */
}

size_t flo_entities_bytes(const struct flo_run *run)
{
    const struct flo_entities *e = run->entities;
    if (!e)
        return 0;
    const struct flo_map *maps[] = {&e->related, &e->patches, &e->effects, &e->mutables,
                                    &e->attributes};
    size_t bytes = e->header_mem.held_bytes;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        bytes += flo_index_bytes(&maps[i]->index) + maps[i]->count * 96;
    return bytes;
}

int flo_related_moved(struct flo_related *related)
{
    struct flo_entities *e = flo_entities_of(related->future.run);
    if (!e)
        return FLO_ENOMEM;
    if (related->machine.state == FLO_RELATED_INITIATED)
        return flo_map_put(&e->related, &related->initiated_event_id,
                           sizeof related->initiated_event_id, related, NULL);
    if (flo_machine_final(&related->machine)) {
        flo_map_remove(&e->related, &related->initiated_event_id,
                       sizeof related->initiated_event_id);
        flo_future_unref(&related->future);
    }
    return 0;
}

int flo_related_find(struct flo_run *run, const FloApi__HistoryEvent *event,
                     enum flo_related_kind kind, int64_t initiated_event_id,
                     struct flo_related **out, struct flo_err *err)
{
    struct flo_related *related =
        run->entities
            ? flo_map_get(&run->entities->related, &initiated_event_id, sizeof initiated_event_id)
            : NULL;
    if (!related || related->kind != kind)
        return flo_fail(err, FLO_ENONDET,
                        "history event %" PRId64 " (%s) answers event %" PRId64
                        ", which the code never asked for or which was answered before",
                        event->event_id, flo_event_kind(event->event_type)->name,
                        initiated_event_id);
    *out = related;
    return 0;
}

int flo_external_fail(struct flo_future *future, const char *what, const char *workflow_id, int rc,
                      const char *type, const char *why)
{
    FloApi__Failure failure;
    FloApi__ApplicationFailureInfo info;
    char message[320];
    snprintf(message, sizeof message, "%s workflow %.150s: %s", what, workflow_id, why);
    flo_text_repair(message); /* it may have been cut inside a letter */
    flo_api__failure__init(&failure);
    flo_api__application_failure_info__init(&info);
    info.type = (char *)(uintptr_t)type;
    info.non_retryable = true;
    failure.message = message;
    failure.source = (char *)(uintptr_t)FLO_FAILURE_SOURCE;
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure.application_failure_info = &info;
    return flo_future_fail(future, rc, &failure);
}

int flo_workflow_refuse_err(struct flo_workflow *wf, struct flo_err *err)
{
    flo_text_repair(err->message);
    return flo_workflow_refuse(wf, err->code, err->message);
}

int flo_may_issue(struct flo_run *run, struct flo_err *err)
{
    return flo_read_only_check(run, "changes something")
               ? flo_fail(err, FLO_ESTATE, "what only looks may not change anything")
               : 0;
}

/* Flag 2 of the SDKs that are built on Core: patches change TemporalChangeVersion. They count on it
 * when they replay a history of ours. */
const FloApi__WorkflowTaskCompletedMetadata *flo_sdk_metadata(struct flo_run *run, bool first)
{
    static char name[] = "flotilla-c", version[] = FLO_VERSION;
    static uint32_t patch_flag[] = {2};
    struct flo_entities *e = run->entities;
    bool flag = e && e->flag_patch && !e->flag_told;
    if (!first && !flag)
        return NULL;
    FloApi__WorkflowTaskCompletedMetadata *metadata =
        flo_arena_alloc(run->answer, sizeof *metadata);
    if (!metadata)
        return NULL;
    flo_api__workflow_task_completed_metadata__init(metadata);
    if (first) {
        metadata->sdk_name = name;
        metadata->sdk_version = version;
    }
    if (flag) {
        metadata->core_used_flags = patch_flag;
        metadata->n_core_used_flags = 1;
        e->flag_told = true;
    }
    return metadata;
}
