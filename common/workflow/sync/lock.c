/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - mutex, semaphore, wait-group. All are fair: what becomes free is handed to the one that
 * has waited longest, there and then, so that nobody who comes later is first.
 */
#include <stdio.h>

#include "workflow/internal.h"

/* A coroutine that waits, on its own stack. */
struct waiter {
    struct flo_node node; /* on the list of what it waits for, until granted */
    struct flo_workflow *wf;
    size_t count; /* permits */
    bool granted;
    const char *what; /* it waits for */
};

static bool waiter_ready(void *ctx)
{
    const struct waiter *waiter = ctx;
    return waiter->granted || flo_workflow_cancelled(waiter->wf);
}

static void waiter_describe(void *ctx, char *out_text, size_t size)
{
    snprintf(out_text, size, "%s", ((const struct waiter *)ctx)->what);
}

/* 0: granted. Else waiter is off the list. */
static int wait_on(struct flo_list *list, struct waiter *waiter)
{
    static const struct flo_wait wait = {waiter_ready, waiter_describe};
    struct flo_workflow *wf = waiter->wf;
    if (flo_workflow_cancelled(wf))
        return flo_workflow_set_cancelled(wf);
    flo_list_push_back(list, &waiter->node);
    int rc = flo_workflow_wait(wf, &wait, waiter);
    if (waiter->granted)
        return 0;
    flo_list_remove(list, &waiter->node);
    return rc ? rc : flo_workflow_set_cancelled(wf);
}

static struct waiter *first_of(const struct flo_list *list)
{
    struct flo_node *node = flo_list_first(list);
    return node ? flo_container(node, struct waiter, node) : NULL;
}

static void grant(struct flo_list *list, struct waiter *waiter)
{
    flo_list_remove(list, &waiter->node);
    waiter->granted = true;
}

/* ---- mutex ---- */

struct flo_mutex {
    uint64_t owner; /* the coroutine's number; 0: free */
    struct flo_list waiting;
};

struct flo_mutex *flo_mutex_new(struct flo_workflow *wf)
{
    struct flo_mutex *mutex = flo_workflow_take(wf, sizeof *mutex);
    if (mutex)
        flo_list_init(&mutex->waiting);
    return mutex;
}

bool flo_mutex_try_lock(struct flo_workflow *wf, struct flo_mutex *mutex)
{
    if (mutex->owner || flo_read_only_check(wf->run, "locks a mutex"))
        return false;
    mutex->owner = wf->number;
    return true;
}

int flo_mutex_lock(struct flo_workflow *wf, struct flo_mutex *mutex)
{
    struct waiter waiter = {.wf = wf, .what = "a mutex"};
    if (flo_read_only_check(wf->run, "locks a mutex")) /* before it is on any list */
        return FLO_ESTATE;
    if (mutex->owner == wf->number)
        return flo_workflow_refuse(wf, FLO_ESTATE, "this coroutine holds the mutex already");
    return flo_mutex_try_lock(wf, mutex) ? 0 : wait_on(&mutex->waiting, &waiter);
}

int flo_mutex_unlock(struct flo_workflow *wf, struct flo_mutex *mutex)
{
    struct waiter *next = first_of(&mutex->waiting);
    if (flo_read_only_check(wf->run, "unlocks a mutex"))
        return FLO_ESTATE;
    if (mutex->owner != wf->number)
        return flo_workflow_refuse(wf, FLO_ESTATE, "this coroutine does not hold the mutex");
    mutex->owner = next ? next->wf->number : 0;
    if (next)
        grant(&mutex->waiting, next);
    return 0;
}

/* ---- semaphore ---- */

struct flo_semaphore {
    size_t permits, free;
    struct flo_list waiting;
};

struct flo_semaphore *flo_semaphore_new(struct flo_workflow *wf, size_t permits)
{
    struct flo_semaphore *semaphore = flo_workflow_take(wf, sizeof *semaphore);
    if (!semaphore)
        return NULL;
    semaphore->permits = semaphore->free = permits;
    flo_list_init(&semaphore->waiting);
    return semaphore;
}

/* What is free goes to those that wait, first come, first served. */
static void serve(struct flo_semaphore *semaphore)
{
    struct waiter *next;
    while ((next = first_of(&semaphore->waiting)) && next->count <= semaphore->free) {
        semaphore->free -= next->count;
        grant(&semaphore->waiting, next);
    }
}

bool flo_semaphore_try_acquire(struct flo_workflow *wf, struct flo_semaphore *semaphore,
                               size_t count)
{
    if (!flo_list_empty(&semaphore->waiting) || count > semaphore->free ||
        flo_read_only_check(wf->run, "acquires a semaphore"))
        return false;
    semaphore->free -= count;
    return true;
}

int flo_semaphore_acquire(struct flo_workflow *wf, struct flo_semaphore *semaphore, size_t count)
{
    struct waiter waiter = {.wf = wf, .count = count, .what = "a semaphore"};
    if (flo_read_only_check(wf->run, "acquires a semaphore")) /* before it is on any list */
        return FLO_ESTATE;
    if (count > semaphore->permits)
        return flo_workflow_refuse(wf, FLO_EINVAL, "the semaphore has not that many permits");
    if (flo_semaphore_try_acquire(wf, semaphore, count))
        return 0;
    int rc = wait_on(&semaphore->waiting, &waiter);
    if (rc)
        serve(semaphore); /* it may have stood in the way of those behind it */
    return rc;
}

int flo_semaphore_release(struct flo_workflow *wf, struct flo_semaphore *semaphore, size_t count)
{
    if (flo_read_only_check(wf->run, "releases a semaphore"))
        return FLO_ESTATE;
    if (count > semaphore->permits - semaphore->free)
        return flo_workflow_refuse(wf, FLO_ESTATE, "more permits are released than are taken");
    semaphore->free += count;
    serve(semaphore);
    return 0;
}

/* ---- wait-group ---- */

struct flo_wait_group {
    size_t count; /* under way */
};

struct flo_wait_group *flo_wait_group_new(struct flo_workflow *wf)
{
    return flo_workflow_take(wf, sizeof(struct flo_wait_group));
}

void flo_wait_group_add(struct flo_workflow *wf, struct flo_wait_group *group, size_t count)
{
    if (flo_read_only_check(wf->run, "adds to a wait-group") == 0)
        group->count += count;
}

int flo_wait_group_done(struct flo_workflow *wf, struct flo_wait_group *group)
{
    if (flo_read_only_check(wf->run, "takes from a wait-group"))
        return FLO_ESTATE;
    if (group->count == 0)
        return flo_workflow_refuse(wf, FLO_ESTATE, "nothing is under way in the wait-group");
    group->count--;
    return 0;
}

struct group_wait {
    const struct flo_workflow *wf;
    const struct flo_wait_group *group;
};

static bool group_ready(void *ctx)
{
    const struct group_wait *waiting = ctx;
    return waiting->group->count == 0 || flo_workflow_cancelled(waiting->wf);
}

static void group_describe(void *ctx, char *out_text, size_t size)
{
    snprintf(out_text, size, "%zu of a wait-group", ((const struct group_wait *)ctx)->group->count);
}

int flo_wait_group_wait(struct flo_workflow *wf, struct flo_wait_group *group)
{
    static const struct flo_wait wait = {group_ready, group_describe};
    struct group_wait waiting = {wf, group};
    int rc = group_ready(&waiting) ? 0 : flo_workflow_wait(wf, &wait, &waiting);
    if (rc || group->count == 0)
        return rc;
    return flo_workflow_set_cancelled(wf);
}
