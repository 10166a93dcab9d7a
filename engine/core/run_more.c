/* SPDX-License-Identifier: Apache-2.0 */
/* run_more.c - what few runs have: resets, options that were changed, attached requests. */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/run.h"

struct flo_run_more *flo_run_more_of(struct flo_core *core, struct flo_execution *execution)
{
    if (!execution->more)
        execution->more = flo_calloc(1, sizeof *execution->more);
    if (!execution->more)
        flo_core_set_fatal(core);
    return execution->more;
}

void flo_run_more_fini(struct flo_execution *execution)
{
    struct flo_run_more *more = execution->more;
    if (!more)
        return;
    for (size_t i = 0; i < more->request_count; i++)
        flo_free(more->requests[i].id);
    flo_free(more->requests);
    flo_free(more->reset_run_id);
    flo_free(more->priority);
    flo_blob_clear(&more->versioning_override);
    flo_free(more);
    execution->more = NULL;
}

void flo_run_set_priority(struct flo_core *core, struct flo_execution *execution,
                          const FloApi__Priority *message)
{
    struct flo_priority *priority;
    if (flo_priority_new(message, &priority)) {
        flo_core_set_fatal(core);
        return;
    }
    struct flo_run_more *more = priority ? flo_run_more_of(core, execution) : execution->more;
    if (!more) {
        flo_free(priority);
        return;
    }
    flo_free(more->priority);
    more->priority = priority;
}

void flo_run_request_add(struct flo_core *core, struct flo_execution *execution, const char *id,
                         int64_t event_id)
{
    struct flo_run_more *more = flo_run_more_of(core, execution);
    if (!more)
        return;
    struct flo_run_request *list =
        flo_reallocarray(more->requests, more->request_count + 1, sizeof *list);
    char *copy = flo_strdup(id);
    if (list)
        more->requests = list;
    if (!list || !copy) {
        flo_free(copy);
        flo_core_set_fatal(core);
        return;
    }
    list[more->request_count++] = (struct flo_run_request){.id = copy, .event_id = event_id};
}

void flo_run_request_placed(struct flo_execution *execution, int64_t event_id)
{
    struct flo_run_more *more = execution->more;
    for (size_t i = 0; more && i < more->request_count; i++)
        if (more->requests[i].event_id == 0) {
            more->requests[i].event_id = event_id;
            return;
        }
}

bool flo_run_request_known(const struct flo_execution *execution, const char *id)
{
    const struct flo_run_more *more = execution->more;
    if (strcmp(execution->start_request_id, id) == 0)
        return true;
    for (size_t i = 0; more && i < more->request_count; i++)
        if (strcmp(more->requests[i].id, id) == 0)
            return true;
    return false;
}
