/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiting.h - futures, timers, and waiting for one, for all, or for the first of several things. A
 * part of flotilla/workflow.h, whose rules hold here.
 *
 * A waiting call gives the processor to the workflow's other coroutines, and to the runtime when
 * none can go on. When its cancellation scope (flotilla/workflow/scopes.h) is cancelled it returns
 * FLO_ECANCELLED.
 */
#ifndef FLOTILLA_WORKFLOW_WAITING_H
#define FLOTILLA_WORKFLOW_WAITING_H

#include "flotilla/workflow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct flo_channel; /* flotilla/workflow/coroutines.h */
struct flo_group;   /* futures awaited together */

/* ---- futures ---- */

/* Wait for one future. Results as flo_activity. May be called again: the answer stays. */
FLO_API int flo_await(struct flo_workflow *wf, struct flo_future *future, json_t **out_result);
/*
 * Wait until any of count futures is ready; *out_index is the first ready one of the list, which
 * flo_await then takes without waiting. The others go on: cancel what is not wanted any more. 0, or
 * FLO_ECANCELLED (the scope was cancelled while waiting).
 *
 *     struct flo_future *both[] = {work, flo_timer_start(wf, 60000)};
 *     size_t first;
 *     int rc = flo_await_any(wf, both, 2, &first);
 */
FLO_API int flo_await_any(struct flo_workflow *wf, struct flo_future *const *futures, size_t count,
                          size_t *out_index);
/* Is it ready (await would not wait)? */
FLO_API bool flo_future_ready(const struct flo_future *future);
/* Ask for the cancellation of one activity, local activity, timer or coroutine (by cancelling the
 * coroutine's scope). Nothing when it is ready already. */
FLO_API void flo_future_cancel(struct flo_workflow *wf, struct flo_future *future);
/* The code needs this future no more: its memory goes when what it is the result of is over. A
 * workflow that starts things for months should; else a future lives as long as the run. */
FLO_API void flo_future_release(struct flo_workflow *wf, struct flo_future *future);

/*
 * A group awaits many futures. Never NULL.
 *
 *     struct flo_group *group = flo_group_new(wf);
 *     for (size_t i = 0; i < json_array_size(parts); i++)
 *         flo_group_add(group, flo_activity_start(wf, "render", json_array_get(parts, i), &o));
 *     int rc = flo_group_await_all(group, &rendered);
 */
FLO_API struct flo_group *flo_group_new(struct flo_workflow *wf);
FLO_API void flo_group_add(struct flo_group *group, struct flo_future *future);
/* Wait for all; *out_results is an array in the order of adding (NULL discards). The first
 * failure ends the wait and is returned; the others go on. Being cancelled is a failure: when the
 * scope around is cancelled, the first of them that has ended so ends the wait. Who must see all of
 * them end awaits the futures one by one. Only from the coroutine that made the group. */
FLO_API int flo_group_await_all(struct flo_group *group, json_t **out_results);
/* As flo_at. Not called by hand. */
FLO_API struct flo_group *flo_group_at(struct flo_group *group, const char *file, int line);

/* ---- conditions ---- */

/*
 * Wait until predicate(ctx) is true, looking again after each event of the workflow and whenever
 * one of its coroutines has run. The predicate only looks: it starts nothing, waits for nothing
 * and changes nothing. timeout_ms < 0 = without end; the timer behind it is cancelled when the
 * condition comes true. 0, FLO_ETIMEDOUT, FLO_ECANCELLED.
 *
 *     static bool approved(void *ctx) { return ((struct order *)ctx)->approved; }
 *     int rc = flo_await_condition(wf, approved, order, 24 * 3600 * 1000);
 */
FLO_API int flo_await_condition(struct flo_workflow *wf, bool (*predicate)(void *ctx), void *ctx,
                                int64_t timeout_ms);

/* ---- select ---- */

enum flo_case_kind {
    FLO_CASE_FUTURE = 0, /* future is ready; then flo_await takes its result without waiting */
    FLO_CASE_RECEIVE,    /* something can be received from channel, or it is closed */
    FLO_CASE_SEND,       /* value can be sent to channel, or it is closed */
    FLO_CASE_SIGNAL,     /* a signal of that name has come and is taken */
};

/* One of the things that flo_select waits for. */
struct flo_case {
    enum flo_case_kind kind;
    struct flo_future *future;   /* FUTURE */
    struct flo_channel *channel; /* RECEIVE, SEND */
    const char *signal;          /* SIGNAL: its name */
    json_t *value;               /* SEND: borrowed */
    /* RECEIVE, SIGNAL: where a new reference to what came is put when this case is the one that
     * happened; NULL discards it. */
    json_t **out_value;
};

/*
 * Wait until one of the cases can happen and do that one, the first of the list when there are
 * several. timeout_ms < 0 = without end, 0 = do not wait. *out_index says which, except after
 * FLO_ETIMEDOUT and FLO_ECANCELLED.
 * 0; FLO_ECLOSED: the case's channel is closed (and, to receive, empty); FLO_ETIMEDOUT;
 * FLO_ECANCELLED; FLO_EINVAL: a case lacks what its kind needs.
 *
 *     json_t *item = NULL;
 *     struct flo_case cases[] = {{.kind = FLO_CASE_RECEIVE, .channel = orders, .out_value = &item},
 *                                {.kind = FLO_CASE_SIGNAL, .signal = "stop"}};
 *     size_t which;
 *     int rc = flo_select(wf, cases, 2, 60000, &which);
 */
FLO_API int flo_select(struct flo_workflow *wf, const struct flo_case *cases, size_t count,
                       int64_t timeout_ms, size_t *out_index);

/* ---- time ---- */

struct flo_timer_options {
    const char *summary; /* one line for the web page; may be NULL */
};

/* Sleep. 0 or FLO_ECANCELLED. ms < 1 counts as 1. */
FLO_API int flo_sleep(struct flo_workflow *wf, int64_t ms);
/* With options (NULL = none). */
FLO_API int flo_sleep_with(struct flo_workflow *wf, int64_t ms,
                           const struct flo_timer_options *options);
/* A timer as a future (its result is JSON null). */
FLO_API struct flo_future *flo_timer_start(struct flo_workflow *wf, int64_t ms);
/* With options (NULL = none). */
FLO_API struct flo_future *flo_timer_start_with(struct flo_workflow *wf, int64_t ms,
                                                const struct flo_timer_options *options);
/* Time of the current workflow task, milliseconds since 1970; the same in each replay. */
FLO_API int64_t flo_workflow_now_ms(const struct flo_workflow *wf);

#ifndef FLO_NO_CALL_SITES
#define flo_await(wf, ...) flo_await(FLO_HERE(wf), __VA_ARGS__)
#define flo_await_any(wf, ...) flo_await_any(FLO_HERE(wf), __VA_ARGS__)
#define flo_future_cancel(wf, ...) flo_future_cancel(FLO_HERE(wf), __VA_ARGS__)
#define flo_group_await_all(group, ...)                                                            \
    flo_group_await_all(flo_group_at((group), __FILE__, __LINE__), __VA_ARGS__)
#define flo_await_condition(wf, ...) flo_await_condition(FLO_HERE(wf), __VA_ARGS__)
#define flo_select(wf, ...) flo_select(FLO_HERE(wf), __VA_ARGS__)
#define flo_sleep(wf, ...) flo_sleep(FLO_HERE(wf), __VA_ARGS__)
#define flo_sleep_with(wf, ...) flo_sleep_with(FLO_HERE(wf), __VA_ARGS__)
#define flo_timer_start(wf, ...) flo_timer_start(FLO_HERE(wf), __VA_ARGS__)
#define flo_timer_start_with(wf, ...) flo_timer_start_with(FLO_HERE(wf), __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
