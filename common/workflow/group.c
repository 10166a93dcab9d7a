/* SPDX-License-Identifier: Apache-2.0 */
/* group.c - futures awaited together. */
#include <stdio.h>
#include <string.h>

#include "workflow/internal.h"

struct flo_group *flo_group_at(struct flo_group *group, const char *file, int line)
{
    flo_at(group->wf, file, line);
    return group;
}

struct flo_group *flo_group_new(struct flo_workflow *wf)
{
    struct flo_group *group = flo_heap_calloc(wf->run->heap, sizeof *group);
    if (!group) /* never NULL; the next waiting call stops this code for good */
        group = &wf->run->no_memory_group;
    group->wf = wf;
    return group;
}

void flo_group_add(struct flo_group *group, struct flo_future *future)
{
    if (group->count == group->capacity) {
        size_t capacity = group->capacity ? group->capacity * 2 : 8;
        struct flo_future **grown =
            flo_heap_alloc(group->wf->run->heap, capacity * sizeof(struct flo_future *));
        if (!grown)
            return;
        if (group->count)
            memcpy(grown, group->futures, group->count * sizeof(struct flo_future *));
        flo_heap_free(group->futures);
        group->futures = grown;
        group->capacity = capacity;
    }
    group->futures[group->count++] = future;
}

/* One that failed, else NULL; *out_all: are all ready? */
static struct flo_future *first_failed(const struct flo_group *group, bool *out_all)
{
    *out_all = true;
    for (size_t i = 0; i < group->count; i++) {
        if (!group->futures[i]->ready)
            *out_all = false;
        else if (group->futures[i]->rc)
            return group->futures[i];
    }
    return NULL;
}

/* A cancelled coroutine still waits for those that are being cancelled with it. */
static bool gives_up(const struct flo_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (!group->futures[i]->ready && flo_future_given_up(group->wf, group->futures[i]))
            return true;
    }
    return false;
}

static bool ready(void *ctx)
{
    bool all;
    return first_failed(ctx, &all) || all || gives_up(ctx);
}

static void describe(void *ctx, char *out_text, size_t size)
{
    const struct flo_group *group = ctx;
    size_t left = 0;
    for (size_t i = 0; i < group->count; i++)
        left += !group->futures[i]->ready;
    snprintf(out_text, size, "%zu of a group of %zu", left, group->count);
}

int flo_group_await_all(struct flo_group *group, json_t **out_results)
{
    static const struct flo_wait wait = {ready, describe};
    struct flo_workflow *wf = group->wf;
    bool all;
    flo_workflow_stop_without_memory(wf);
    int rc = ready(group) ? 0 : flo_workflow_wait(wf, &wait, group);
    if (rc)
        return rc;
    struct flo_future *failed = first_failed(group, &all);
    for (size_t i = 0; i < group->count; i++)
        group->futures[i]->heard = true;
    if (failed)
        return flo_await(wf, failed, NULL);
    if (!all)
        return flo_workflow_set_cancelled(wf);
    if (!out_results)
        return 0;
    json_t *results = json_array();
    for (size_t i = 0; i < group->count; i++) {
        if (json_array_append(results, group->futures[i]->result)) {
            json_decref(results);
            return flo_run_no_memory(wf->run);
        }
    }
    *out_results = results;
    return results ? 0 : flo_run_no_memory(wf->run);
}
