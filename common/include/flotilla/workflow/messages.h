/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages.h - what others say to a running workflow: signals (told, no answer), queries (asked,
 * nothing changes), updates (asked to do something, with an answer). A part of flotilla/workflow.h,
 * whose rules hold here.
 *
 * A workflow registers its handlers by code, most often as the first thing that it does:
 *
 *     struct order *order = flo_workflow_alloc(wf, sizeof *order);
 *     flo_signal_handle(wf, "approve", on_approve, order, NULL);
 *     flo_query_handle(wf, "status", get_status, order, NULL);
 *     flo_update_handle(wf, "set_address", check_address, set_address, order, NULL);
 *
 * Each signal and each update runs its handler on a coroutine of its own, begun in the order in
 * which they came, and before code that waits goes on. A handler may call all that workflow code
 * may: activities, timers, waiting. So several can be at work at a time, each between two waits of
 * the others; flo_mutex keeps them apart where that matters. What came before its handler was
 * registered is kept: signals for good, updates until all coroutines of the workflow wait, and then
 * they are rejected.
 *
 * Context: ctx is passed to the handler as it is. It must be memory that lives as long as the run,
 * from flo_workflow_alloc(), or NULL: queries are answered after the workflow has ended, when its
 * function's variables are gone. A pointer into the stack of the calling coroutine is refused with
 * FLO_EINVAL.
 *
 * Read-only code: query handlers and validators may look and compute, and no more. A call that
 * waits, starts something, draws a random number or registers a handler ends them at once; the
 * query then fails, a validator's task fails, with a sentence that names the call and its place.
 */
#ifndef FLOTILLA_WORKFLOW_MESSAGES_H
#define FLOTILLA_WORKFLOW_MESSAGES_H

#include "flotilla/workflow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One message. All borrowed until its handler has returned; json_incref() what is to be kept. */
struct flo_message {
    const char *name;
    const char *id;  /* of an update: chosen by its caller, unique in the run; else "" */
    json_t *input;   /* the first argument; JSON null when there is none */
    json_t *args;    /* an array of all arguments */
    json_t *headers; /* what interceptors of the caller sent along, by key; NULL: nothing */
};

/* About a handler. All zero is fine. */
struct flo_handler_options {
    const char *description; /* for people who look at the workflow's metadata; may be NULL */
    /* Signals and updates: the workflow may end while the handler is at work, without a warning in
     * the log. */
    bool abandon;
};

/* ---- signals ---- */

/*
 * Handles one signal. Return 0. Another code ends the workflow as if its function had returned it;
 * but FLO_ECANCELLED after a cancel request just ends the handler.
 *
 *     static int on_approve(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
 *     {
 *         struct order *order = ctx;
 *         order->approved_by = json_incref(m->input);
 *         return 0;
 *     }
 */
typedef int (*flo_signal_fn)(struct flo_workflow *wf, const struct flo_message *message, void *ctx);

/*
 * From now on signals of this name run fn, first those that are kept already. name NULL: all
 * signals that no handler by name takes, also those that flo_signal_await() would find. The last
 * registration of a name counts; fn NULL takes it back. name and options are copied; ctx: above.
 * A signal whose input cannot be decoded is logged and dropped.
 * 0; FLO_EINVAL, a failure on wf: ctx, or a name that begins with "__"; FLO_ENOMEM.
 *
 *     flo_signal_handle(wf, "approve", on_approve, order, NULL);
 *     flo_signal_handle(wf, NULL, on_any_other, order,
 *                       &(struct flo_handler_options){.description = "kept for the audit"});
 */
FLO_API int flo_signal_handle(struct flo_workflow *wf, const char *name, flo_signal_fn fn,
                              void *ctx, const struct flo_handler_options *options);

/*
 * Without a handler: take the next signal of this name, waiting for it; signals are kept until they
 * are taken. timeout_ms < 0 = without end. *out_value is its first argument, a new reference (NULL
 * out_value discards). 0, FLO_ETIMEDOUT, FLO_ECANCELLED.
 *
 *     json_t *approval;
 *     int rc = flo_signal_await(wf, "approve", 24 * 3600 * 1000, &approval);
 */
FLO_API int flo_signal_await(struct flo_workflow *wf, const char *name, int64_t timeout_ms,
                             json_t **out_value);
/*
 * Take the next signal of this name if there is one.
 *
 *     while (flo_signal_take(wf, "add", &item))
 *         json_array_append_new(items, item);
 */
FLO_API bool flo_signal_take(struct flo_workflow *wf, const char *name, json_t **out_value);
/* How many wait: `if (flo_signal_count(wf, "add") > 100) ...`. */
FLO_API size_t flo_signal_count(const struct flo_workflow *wf, const char *name);

/* ---- queries ---- */

/*
 * Answers a query, read-only and at once. Return 0 with *out_result set (a reference that the
 * runtime takes over; NULL for JSON null), or a negative code: the caller gets the failure on wf,
 * or the code itself when there is none. It runs whenever somebody asks, also after the workflow
 * has ended, and is not replayed: what it logs is logged each time.
 *
 *     static int get_status(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
 *                           json_t **out_result)
 *     {
 *         const struct order *order = ctx;
 *         *out_result = json_string(order->approved_by ? "approved" : "waiting");
 *         return 0;
 *     }
 */
typedef int (*flo_query_fn)(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                            json_t **out_result);

/*
 * Answer queries of this name; name NULL: all that no handler by name takes. Names that begin with
 * "__" are the runtime's: `__stack_trace` and `__enhanced_stack_trace` tell where each coroutine
 * waits, `__temporal_workflow_metadata` which handlers there are. As flo_signal_handle otherwise.
 *
 *     flo_query_handle(wf, "status", get_status, order, NULL);
 */
FLO_API int flo_query_handle(struct flo_workflow *wf, const char *name, flo_query_fn fn, void *ctx,
                             const struct flo_handler_options *options);

/*
 * A text for people about where the workflow stands (Markdown), shown by the web page as its
 * current details. Copied; NULL or "" for none. 0, FLO_ENOMEM.
 *
 *     flo_workflow_set_details(wf, "waits for the **approval** of order 17");
 */
FLO_API int flo_workflow_set_details(struct flo_workflow *wf, const char *text);

/* ---- updates ---- */

/*
 * Says whether an update is to be taken on: 0, or a code, and its caller gets the failure on wf (or
 * the code itself); nothing of a rejected update is ever in the history. Read-only. Not run while
 * replaying: what was accepted stays accepted.
 *
 *     static int check_address(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
 *     {
 *         if (!json_is_string(m->input))
 *             return flo_workflow_fail(wf, "BadAddress", true, NULL, "an address is a text");
 *         return 0;
 *     }
 */
typedef int (*flo_update_validator_fn)(struct flo_workflow *wf, const struct flo_message *message,
                                       void *ctx);
/*
 * Carries out an accepted update; may wait. Return 0 with *out_result set (a reference that the
 * runtime takes over; NULL for JSON null), or a negative code: the update fails with the failure on
 * wf, or with the code itself. The workflow goes on in both cases.
 *
 *     static int set_address(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
 *                            json_t **out_result)
 *     {
 *         struct order *order = ctx;
 *         int rc = flo_activity(wf, "normalise", m->input, &quick, out_result);
 *         if (rc == 0)
 *             order->address = json_incref(*out_result);
 *         return rc;
 *     }
 */
typedef int (*flo_update_fn)(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                             json_t **out_result);

/*
 * Take updates of this name; name NULL: all that no handler by name takes. validator NULL: all are
 * accepted. As flo_signal_handle otherwise; what cannot be decoded is rejected.
 *
 *     flo_update_handle(wf, "set_address", check_address, set_address, order, NULL);
 */
FLO_API int flo_update_handle(struct flo_workflow *wf, const char *name,
                              flo_update_validator_fn validator, flo_update_fn fn, void *ctx,
                              const struct flo_handler_options *options);

/* ---- ending ---- */

/*
 * Has each signal and update handler that began returned? A workflow that ends earlier cuts the
 * others off: a caller whose update was accepted gets a failure. (What has come by then does begin,
 * and is cut off where it waits first.) Before the end, then:
 *
 *     flo_handlers_await(wf, -1);
 *
 * A handler that asks this is itself at work: the answer is false.
 */
FLO_API bool flo_all_handlers_finished(const struct flo_workflow *wf);
/* Wait until that is so. timeout_ms < 0 = without end. 0, FLO_ETIMEDOUT, FLO_ECANCELLED. */
FLO_API int flo_handlers_await(struct flo_workflow *wf, int64_t timeout_ms);

#ifndef FLO_NO_CALL_SITES
#define flo_signal_handle(wf, ...) flo_signal_handle(FLO_HERE(wf), __VA_ARGS__)
#define flo_signal_await(wf, ...) flo_signal_await(FLO_HERE(wf), __VA_ARGS__)
#define flo_query_handle(wf, ...) flo_query_handle(FLO_HERE(wf), __VA_ARGS__)
#define flo_update_handle(wf, ...) flo_update_handle(FLO_HERE(wf), __VA_ARGS__)
#define flo_workflow_set_details(wf, ...) flo_workflow_set_details(FLO_HERE(wf), __VA_ARGS__)
#define flo_handlers_await(wf, ...) flo_handlers_await(FLO_HERE(wf), __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
