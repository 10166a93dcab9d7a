/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future.c - results to come, and waiting for them.
 *
 * A waiting call looks whether what it waits for is there; if not, it leaves its question with the
 * scheduler, which asks it after all jobs of an activation were applied. So the order of those
 * decides nothing but what is ready when the code goes on.
 */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/internal.h"

void flo_future_init(struct flo_future *future, struct flo_run *run, struct flo_scope *scope,
                     const struct flo_future_ops *ops)
{
    *future = (struct flo_future){.run = run, .refs = 1, .ops = ops, .scope = scope};
    if (!scope)
        return;
    flo_list_push_back(&scope->pending, &future->node);
    flo_scope_ref(scope);
}

static void leave_scope(struct flo_future *future)
{
    struct flo_scope *scope = future->scope;
    if (!scope)
        return;
    future->scope = NULL;
    flo_list_remove(&scope->pending, &future->node);
    flo_scope_unref(scope);
}

void flo_future_ref(struct flo_future *future)
{
    future->refs++;
}

void flo_future_unref(struct flo_future *future)
{
    if (!future || future == &future->run->no_memory || --future->refs)
        return;
    leave_scope(future);
    if (future->ops && future->ops->freed)
        future->ops->freed(future);
    json_decref(future->result);
    flo_heap_free(future->failure);
    flo_heap_free(future);
}

static void make_ready(struct flo_future *future, int rc)
{
    future->ready = true;
    future->rc = rc;
    leave_scope(future);
}

int flo_future_succeed(struct flo_future *future, const FloApi__Payloads *result,
                       struct flo_err *err)
{
    if (future->ready)
        return 0;
    int rc = flo_payloads_to_json(result, false, &future->result, err);
    if (rc == 0)
        make_ready(future, 0);
    return rc;
}

void flo_future_succeed_with(struct flo_future *future, json_t *result)
{
    if (future->ready) {
        json_decref(result);
        return;
    }
    future->result = result;
    make_ready(future, 0);
}

int flo_future_fail(struct flo_future *future, int rc, const FloApi__Failure *failure)
{
    if (future->ready)
        return 0;
    if (failure) {
        size_t len = flo_wire_size(&failure->base);
        future->failure = flo_heap_alloc(future->run->heap, len);
        if (!future->failure)
            return FLO_ENOMEM;
        flo_wire_pack(&failure->base, future->failure, len);
        future->failure_len = len;
    }
    make_ready(future, rc);
    return 0;
}

/* An application failure on the stack of the caller; the texts are borrowed. */
static void application_failure(FloApi__Failure *failure, FloApi__ApplicationFailureInfo *info,
                                const char *type, const char *message)
{
    flo_api__failure__init(failure);
    flo_api__application_failure_info__init(info);
    info->type = (char *)(uintptr_t)type;
    failure->message = (char *)(uintptr_t)message;
    failure->source = (char *)(uintptr_t)FLO_FAILURE_SOURCE;
    failure->failure_info_case = FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure->application_failure_info = info;
}

void flo_future_refuse(struct flo_future *future, const struct flo_err *err)
{
    FloApi__Failure failure;
    FloApi__ApplicationFailureInfo info;
    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    flo_text_repair(message);
    application_failure(&failure, &info, flo_error_name(err->code), message);
    if (flo_future_fail(future, err->code, &failure))
        make_ready(future, flo_run_no_memory(future->run));
}

int flo_run_no_memory(struct flo_run *run)
{
    run->out_of_memory = true;
    return FLO_ENOMEM;
}

void flo_text_repair(char *text)
{
    if (flo_utf8_valid(text, strlen(text)))
        return;
    for (; *text; text++) {
        if ((unsigned char)*text >= 0x80)
            *text = '?';
    }
}

/* ---- the failure on wf ---- */

static void failure_reset(struct flo_workflow *wf)
{
    wf->failure = NULL;
    wf->failure_text = NULL;
    wf->failure_rc = 0;
    flo_arena_reset(&wf->failure_mem);
}

void flo_failure_clear(struct flo_workflow *wf)
{
    failure_reset(wf);
}

static int set_packed_failure(struct flo_workflow *wf, int rc, const uint8_t *packed, size_t len)
{
    ProtobufCMessage *message = NULL;
    failure_reset(wf);
    if (packed && flo_wire_decode(&flo_api__failure__descriptor, packed, len, &wf->failure_mem,
                                  &message, NULL))
        return flo_run_no_memory(wf->run); /* we packed it: nothing else can fail */
    wf->failure = (FloApi__Failure *)message;
    wf->failure_rc = rc;
    wf->failures++;
    return rc;
}

int flo_workflow_set_failure(struct flo_workflow *wf, int rc, const FloApi__Failure *failure)
{
    failure_reset(wf);
    if (failure) {
        wf->failure = (FloApi__Failure *)flo_wire_copy(&failure->base, &wf->failure_mem);
        if (!wf->failure)
            return flo_run_no_memory(wf->run);
    }
    wf->failure_rc = rc;
    wf->failures++;
    return rc;
}

void flo_failure_cancelled_init(FloApi__Failure *failure, FloApi__CanceledFailureInfo *info,
                                const char *message)
{
    flo_api__failure__init(failure);
    flo_api__canceled_failure_info__init(info);
    failure->message = (char *)(uintptr_t)message;
    failure->source = (char *)(uintptr_t)FLO_FAILURE_SOURCE;
    failure->failure_info_case = FLO_API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO;
    failure->canceled_failure_info = info;
}

int flo_workflow_set_cancelled(struct flo_workflow *wf)
{
    FloApi__Failure failure;
    FloApi__CanceledFailureInfo info;
    flo_failure_cancelled_init(&failure, &info, "Workflow cancelled");
    return flo_workflow_set_failure(wf, FLO_ECANCELLED, &failure);
}

FloApi__Failure *flo_workflow_failure_of(const struct flo_workflow *wf, struct flo_arena *arena)
{
    int rc = wf->rc;
    if (wf->failure && wf->failure_rc == rc)
        return (FloApi__Failure *)flo_wire_copy(&wf->failure->base, arena);
    if (rc > 0 || strcmp(flo_error_name(rc), "FLO_E?") == 0) {
        char text[80];
        snprintf(text, sizeof text, "the %s function returned %d, which is no error code",
                 wf == &wf->run->main ? "workflow" : "coroutine's", rc);
        return flo_failure_application(arena, text, "FLO_EINVAL", false, NULL, 0);
    }
    const char *text = rc == FLO_EFAILED
                           ? "FLO_EFAILED was returned without a failure that says why"
                           : flo_error_text(rc);
    return flo_failure_application(arena, text, flo_error_name(rc), false, NULL, 0);
}

int flo_workflow_refuse(struct flo_workflow *wf, int code, const char *sentence)
{
    FloApi__Failure failure;
    FloApi__ApplicationFailureInfo info;
    application_failure(&failure, &info, flo_error_name(code), sentence);
    return flo_workflow_set_failure(wf, code, &failure);
}

/* ---- waiting for one ---- */

bool flo_future_ready(const struct flo_future *future)
{
    return future->ready;
}

void flo_future_cancel(struct flo_workflow *wf, struct flo_future *future)
{
    if (flo_read_only_check(wf->run, "cancels something"))
        return;
    if (!future->ready && future->ops->cancel)
        future->ops->cancel(future);
}

void flo_future_release(struct flo_workflow *wf, struct flo_future *future)
{
    if (flo_read_only_check(wf->run, "releases a future") == 0)
        flo_future_unref(future);
}

void flo_future_describe(const struct flo_future *future, char *out_text, size_t size)
{
    if (future->ops && future->ops->describe)
        future->ops->describe(future, out_text, size);
    else
        snprintf(out_text, size, "a result");
}

/* A cancelled coroutine stops waiting, except for what was cancelled as well: that is pending only
 * as long as its cancellation type says so. */
bool flo_future_given_up(const struct flo_workflow *wf, const struct flo_future *future)
{
    return flo_workflow_cancelled(wf) &&
           !(future->scope && future->scope->cancelled && future->ops->cancel);
}

struct one {
    const struct flo_workflow *wf;
    const struct flo_future *future;
};

static bool one_ready(void *ctx)
{
    const struct one *one = ctx;
    return one->future->ready || flo_future_given_up(one->wf, one->future);
}

static void one_describe(void *ctx, char *out_text, size_t size)
{
    flo_future_describe(((const struct one *)ctx)->future, out_text, size);
}

int flo_await(struct flo_workflow *wf, struct flo_future *future, json_t **out_result)
{
    static const struct flo_wait wait = {one_ready, one_describe};
    flo_workflow_stop_without_memory(wf);
    if (!future->ready) {
        struct one one = {wf, future};
        int rc = one_ready(&one) ? 0 : flo_workflow_wait(wf, &wait, &one);
        if (rc)
            return rc;
        if (!future->ready)
            return flo_workflow_set_cancelled(wf);
    }
    future->heard = true;
    if (future->rc)
        return set_packed_failure(wf, future->rc, future->failure, future->failure_len);
    if (out_result)
        *out_result = json_incref(future->result);
    return 0;
}

/* ---- any ---- */

struct any {
    const struct flo_workflow *wf;
    struct flo_future *const *futures;
    size_t count;
};

static size_t first_ready(const struct any *any)
{
    size_t i = 0;
    while (i < any->count && !any->futures[i]->ready)
        i++;
    return i;
}

static bool any_ready(void *ctx)
{
    const struct any *any = ctx;
    return flo_workflow_cancelled(any->wf) || first_ready(any) < any->count;
}

static void any_describe(void *ctx, char *out_text, size_t size)
{
    const struct any *any = ctx;
    char first[120] = "";
    if (any->count)
        flo_future_describe(any->futures[0], first, sizeof first);
    snprintf(out_text, size, "any of %zu: %s%s", any->count, first, any->count > 1 ? ", ..." : "");
}

int flo_await_any(struct flo_workflow *wf, struct flo_future *const *futures, size_t count,
                  size_t *out_index)
{
    static const struct flo_wait wait = {any_ready, any_describe};
    struct any any = {wf, futures, count};
    size_t first = first_ready(&any);
    if (first == count) {
        int rc = any_ready(&any) ? 0 : flo_workflow_wait(wf, &wait, &any);
        if (rc)
            return rc;
        if (flo_workflow_cancelled(wf)) /* what is ready now is so because it was cancelled */
            return flo_workflow_set_cancelled(wf);
        first = first_ready(&any);
    }
    *out_index = first;
    return 0;
}

/* ---- a condition ---- */

struct condition {
    struct flo_workflow *wf;
    bool (*predicate)(void *ctx);
    void *ctx;
    const struct flo_future *timer; /* NULL: without end */
    const char *what, *name;
};

static bool holds(const struct condition *condition)
{
    struct flo_run *run = condition->wf->run;
    const struct flo_read_only guard = {.what = "a condition", .name = ""};
    const struct flo_read_only *outer = run->read_only;
    if (!outer) /* else it is a query's or a validator's breach, and stays that */
        run->read_only = &guard;
    bool result = condition->predicate(condition->ctx);
    run->read_only = outer;
    return result;
}

static bool condition_ready(void *ctx)
{
    const struct condition *condition = ctx;
    return holds(condition) || flo_workflow_cancelled(condition->wf) ||
           (condition->timer && condition->timer->ready);
}

static void condition_describe(void *ctx, char *out_text, size_t size)
{
    const struct condition *condition = ctx;
    char timer[64] = "";
    if (condition->timer)
        flo_future_describe(condition->timer, timer, sizeof timer);
    snprintf(out_text, size, "%s%s%.60s%s%s", condition->what, *condition->name ? " " : "",
             condition->name, *timer ? " or " : "", timer);
}

static int await_condition(struct condition *condition)
{
    static const struct flo_wait wait = {condition_ready, condition_describe};
    struct flo_workflow *wf = condition->wf;
    int rc = flo_workflow_wait(wf, &wait, condition);
    if (rc || holds(condition))
        return rc;
    if (flo_workflow_cancelled(wf))
        return flo_workflow_set_cancelled(wf);
    return condition->timer->rc ? condition->timer->rc : FLO_ETIMEDOUT;
}

int flo_await_condition_for(struct flo_workflow *wf, bool (*predicate)(void *ctx), void *ctx,
                            int64_t timeout_ms, const char *what, const char *name)
{
    struct condition condition = {wf, predicate, ctx, NULL, what, name};
    if (holds(&condition))
        return 0;
    if (flo_workflow_cancelled(wf))
        return flo_workflow_set_cancelled(wf);
    if (timeout_ms == 0)
        return FLO_ETIMEDOUT;
    struct flo_future *timer = timeout_ms > 0 ? flo_timer_start(wf, timeout_ms) : NULL;
    condition.timer = timer;
    int rc = await_condition(&condition);
    if (timer)
        flo_future_cancel(wf, timer);
    flo_future_unref(timer);
    return rc;
}

int flo_await_condition(struct flo_workflow *wf, bool (*predicate)(void *ctx), void *ctx,
                        int64_t timeout_ms)
{
    return flo_await_condition_for(wf, predicate, ctx, timeout_ms, "a condition", "");
}
