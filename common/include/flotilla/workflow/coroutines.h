/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutines.h - several things at once in one workflow: coroutines, and what they meet at. A part
 * of flotilla/workflow.h, whose rules hold here.
 *
 * Coroutines of a workflow never run at the same time: one runs until it waits, then the next that
 * can go on, in an order that is the same in each replay. So plain variables that they share need
 * no lock between two waiting calls; what must stay together across one takes a mutex.
 *
 * Everything here is in the memory of the run and goes with it; nothing needs to be freed. Names
 * are copied. What is made is never NULL.
 */
#ifndef FLOTILLA_WORKFLOW_COROUTINES_H
#define FLOTILLA_WORKFLOW_COROUTINES_H

#include "flotilla/workflow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- coroutines ---- */

/* What a coroutine runs. wf is its own. As a workflow function: 0 with *out_result set (NULL: JSON
 * null), or a negative code with its failure on wf. */
typedef int (*flo_coroutine_fn)(struct flo_workflow *wf, void *arg, json_t **out_result);

/*
 * Start a coroutine; it begins when the caller waits for something. name is for stack traces.
 * flo_await on what is returned joins it: its result or its failure; flo_future_cancel cancels its
 * scope, which is inside the scope where it was spawned. A failure that nobody awaits does not fail
 * the workflow: it is logged as a warning when the workflow ends. When the workflow function
 * returns, coroutines that still run are dropped where they stand. More than 5000 at a time fail
 * the workflow task.
 *
 * arg must live as long as the coroutine: memory of flo_workflow_alloc, or the caller's variable
 * when the caller joins before it returns.
 *
 *     static int ship(struct flo_workflow *wf, void *arg, json_t **out_result)
 *     {
 *         return flo_activity(wf, "ship", arg, &options, out_result);
 *     }
 *     struct flo_future *shipping = flo_spawn(wf, "ship", ship, parcel);
 *     ...
 *     int rc = flo_await(wf, shipping, &receipt);
 */
FLO_API struct flo_future *flo_spawn(struct flo_workflow *wf, const char *name, flo_coroutine_fn fn,
                                     void *arg);

/* ---- channels ---- */

/* JSON values from coroutine to coroutine, first in first out; senders and receivers are served in
 * the order in which they came. */
struct flo_channel;

/* capacity values wait in the channel; with 0 a sender waits until a receiver takes the value. */
FLO_API struct flo_channel *flo_channel_new(struct flo_workflow *wf, size_t capacity);
/*
 * Send value (borrowed; the channel takes a reference of its own). 0, FLO_ECLOSED, FLO_ECANCELLED.
 *
 *     for (int i = 0; i < 3; i++)
 *         flo_spawn(wf, "packer", packer, orders);       each receives until FLO_ECLOSED
 *     rc = flo_channel_send(wf, orders, order);
 *     flo_channel_close(wf, orders);
 */
FLO_API int flo_channel_send(struct flo_workflow *wf, struct flo_channel *channel, json_t *value);
/* Receive the next value (a new reference; NULL out_value discards it). What was sent before the
 * channel was closed is still received. 0, FLO_ECLOSED, FLO_ECANCELLED. */
FLO_API int flo_channel_receive(struct flo_workflow *wf, struct flo_channel *channel,
                                json_t **out_value);
/* The same without waiting: FLO_EFULL when it would have to wait. */
FLO_API int flo_channel_try_send(struct flo_workflow *wf, struct flo_channel *channel,
                                 json_t *value);
/* The same without waiting: FLO_ENOENT when there is nothing. */
FLO_API int flo_channel_try_receive(struct flo_workflow *wf, struct flo_channel *channel,
                                    json_t **out_value);
/* No more is sent: those that wait to send, and later ones, get FLO_ECLOSED; so do receivers when
 * the channel is empty. Twice is fine. */
FLO_API void flo_channel_close(struct flo_workflow *wf, struct flo_channel *channel);
/* How many values wait in it. */
FLO_API size_t flo_channel_count(const struct flo_channel *channel);

/* ---- mutex ---- */

struct flo_mutex;

FLO_API struct flo_mutex *flo_mutex_new(struct flo_workflow *wf);
/*
 * Wait for the mutex and hold it; coroutines get it in the order in which they asked. Not twice by
 * one coroutine. 0, FLO_ECANCELLED; FLO_ESTATE: this coroutine holds it already.
 *
 *     int rc = flo_mutex_lock(wf, ledger);
 *     if (rc)
 *         return rc;
 *     rc = flo_activity(wf, "post", entry, &options, NULL);
 *     flo_mutex_unlock(wf, ledger);
 */
FLO_API int flo_mutex_lock(struct flo_workflow *wf, struct flo_mutex *mutex);
/* Take it if it is free now. */
FLO_API bool flo_mutex_try_lock(struct flo_workflow *wf, struct flo_mutex *mutex);
/* Give it to the next one. 0; FLO_ESTATE: this coroutine does not hold it. */
FLO_API int flo_mutex_unlock(struct flo_workflow *wf, struct flo_mutex *mutex);

/* ---- semaphore ---- */

struct flo_semaphore;

/* With that many permits. */
FLO_API struct flo_semaphore *flo_semaphore_new(struct flo_workflow *wf, size_t permits);
/*
 * Wait until count permits are free and take them, all at once; in the order of asking, so that
 * one who wants many is not overtaken by those who want few. 0, FLO_ECANCELLED; FLO_EINVAL: more
 * than there are.
 *
 *     struct flo_semaphore *three = flo_semaphore_new(wf, 3);     at most three at a time
 *     rc = flo_semaphore_acquire(wf, three, 1);
 *     ...
 *     flo_semaphore_release(wf, three, 1);
 */
FLO_API int flo_semaphore_acquire(struct flo_workflow *wf, struct flo_semaphore *semaphore,
                                  size_t count);
/* Take them if they are free now and nobody waits. */
FLO_API bool flo_semaphore_try_acquire(struct flo_workflow *wf, struct flo_semaphore *semaphore,
                                       size_t count);
/* Give count permits back. 0; FLO_ESTATE: that many are not taken. */
FLO_API int flo_semaphore_release(struct flo_workflow *wf, struct flo_semaphore *semaphore,
                                  size_t count);

/* ---- wait-group ---- */

struct flo_wait_group;

FLO_API struct flo_wait_group *flo_wait_group_new(struct flo_workflow *wf);
/*
 * Count that many more that are under way.
 *
 *     flo_wait_group_add(wf, packed, 3);
 *     for (int i = 0; i < 3; i++)
 *         flo_spawn(wf, "packer", packer, packed);        each ends with flo_wait_group_done
 *     rc = flo_wait_group_wait(wf, packed);
 */
FLO_API void flo_wait_group_add(struct flo_workflow *wf, struct flo_wait_group *group,
                                size_t count);
/* One is done. 0; FLO_ESTATE: none was under way. */
FLO_API int flo_wait_group_done(struct flo_workflow *wf, struct flo_wait_group *group);
/* Wait until none is under way. 0, FLO_ECANCELLED. */
FLO_API int flo_wait_group_wait(struct flo_workflow *wf, struct flo_wait_group *group);

#ifndef FLO_NO_CALL_SITES
#define flo_spawn(wf, ...) flo_spawn(FLO_HERE(wf), __VA_ARGS__)
#define flo_channel_send(wf, ...) flo_channel_send(FLO_HERE(wf), __VA_ARGS__)
#define flo_channel_receive(wf, ...) flo_channel_receive(FLO_HERE(wf), __VA_ARGS__)
#define flo_mutex_lock(wf, ...) flo_mutex_lock(FLO_HERE(wf), __VA_ARGS__)
#define flo_semaphore_acquire(wf, ...) flo_semaphore_acquire(FLO_HERE(wf), __VA_ARGS__)
#define flo_wait_group_wait(wf, ...) flo_wait_group_wait(FLO_HERE(wf), __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
