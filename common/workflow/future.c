/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future.c - results to come, and waiting for them.
 *
 * A waiting call is a loop: is it there? else yield; the runtime resumes the coroutine after
 * each activation that brought something, and the call looks again. So the order of the jobs in an
 * activation decides nothing but what is ready when the code goes on.
 */
#include <string.h>

#include "base/utf8.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/internal.h"

void flo_future_init(struct flo_future *future, struct flo_workflow *wf,
                     void (*cancel)(struct flo_future *future))
{
    *future = (struct flo_future){
        .run = wf->run, .refs = 1, .shielded = wf->shield > 0, .cancel = cancel};
    flo_list_push_back(&wf->run->pending, &future->node);
}

void flo_future_ref(struct flo_future *future)
{
    future->refs++;
}

void flo_future_unref(struct flo_future *future)
{
    if (!future || future == &future->run->no_memory || --future->refs)
        return;
    if (flo_node_linked(&future->node))
        flo_list_remove(&future->run->pending, &future->node);
    json_decref(future->result);
    flo_heap_free(future->failure);
    flo_heap_free(future);
}

static void make_ready(struct flo_future *future, int rc)
{
    future->ready = true;
    future->rc = rc;
    if (flo_node_linked(&future->node)) /* the runtime's own timers are not */
        flo_list_remove(&future->run->pending, &future->node);
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

void flo_future_cancel_all(struct flo_run *run)
{
    FLO_LIST_FOREACH_SAFE(node, &run->pending)
    {
        struct flo_future *future = flo_container(node, struct flo_future, node);
        if (!future->shielded && future->cancel)
            future->cancel(future);
    }
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

/* ---- waiting ---- */

bool flo_workflow_cancelled(const struct flo_workflow *wf)
{
    return wf->run->cancel_requested && wf->shield == 0;
}

/* Memory was out: what this code does from here on could differ from its history, so it stops
 * until the run is evicted, which the worker does after an activation without memory. */
static void stop_without_memory(struct flo_workflow *wf)
{
    while (wf->run->out_of_memory || flo_heap_failed(wf->run->heap))
        flo_coroutine_yield(wf->coroutine);
}

void flo_workflow_yield(struct flo_workflow *wf)
{
    stop_without_memory(wf);
    flo_coroutine_yield(wf->coroutine);
}

bool flo_future_ready(const struct flo_future *future)
{
    return future->ready;
}

void flo_future_cancel(struct flo_workflow *wf, struct flo_future *future)
{
    (void)wf;
    if (!future->ready && future->cancel)
        future->cancel(future);
}

/* A cancelled workflow stops waiting, except for what is being cancelled with it: that is pending
 * only as long as its cancellation type says so. */
static bool give_up(const struct flo_workflow *wf, const struct flo_future *future)
{
    return flo_workflow_cancelled(wf) && future->shielded;
}

int flo_await(struct flo_workflow *wf, struct flo_future *future, json_t **out_result)
{
    stop_without_memory(wf);
    while (!future->ready) {
        if (give_up(wf, future))
            return flo_workflow_set_cancelled(wf);
        flo_workflow_yield(wf);
    }
    if (future->rc)
        return set_packed_failure(wf, future->rc, future->failure, future->failure_len);
    if (out_result)
        *out_result = json_incref(future->result);
    return 0;
}

static bool any_ready(struct flo_future *const *futures, size_t count, size_t *out_index)
{
    for (size_t i = 0; i < count; i++) {
        if (futures[i]->ready) {
            *out_index = i;
            return true;
        }
    }
    return false;
}

int flo_await_any(struct flo_workflow *wf, struct flo_future *const *futures, size_t count,
                  size_t *out_index)
{
    if (any_ready(futures, count, out_index))
        return 0;
    for (;;) {
        if (flo_workflow_cancelled(wf))
            return flo_workflow_set_cancelled(wf);
        flo_workflow_yield(wf);
        if (!flo_workflow_cancelled(wf) && any_ready(futures, count, out_index))
            return 0;
    }
}

int flo_await_condition(struct flo_workflow *wf, bool (*predicate)(void *ctx), void *ctx,
                        int64_t timeout_ms)
{
    if (predicate(ctx))
        return 0;
    if (flo_workflow_cancelled(wf))
        return flo_workflow_set_cancelled(wf);
    if (timeout_ms == 0)
        return FLO_ETIMEDOUT;
    struct flo_future *timer = timeout_ms > 0 ? flo_timer_start(wf, timeout_ms) : NULL;
    int rc;
    for (;;) {
        flo_workflow_yield(wf);
        rc = 0;
        if (predicate(ctx))
            break;
        if (flo_workflow_cancelled(wf))
            rc = flo_workflow_set_cancelled(wf);
        else if (timer && timer->ready)
            rc = timer->rc ? timer->rc : FLO_ETIMEDOUT;
        if (rc)
            break;
    }
    if (timer)
        flo_future_cancel(wf, timer);
    flo_future_unref(timer);
    return rc;
}

/* ---- groups ---- */

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

/* A cancelled workflow still waits for those that are being cancelled with it. */
static bool group_gives_up(const struct flo_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (!group->futures[i]->ready && give_up(group->wf, group->futures[i]))
            return true;
    }
    return false;
}

int flo_group_await_all(struct flo_group *group, json_t **out_results)
{
    struct flo_workflow *wf = group->wf;
    struct flo_future *failed;
    bool all;
    stop_without_memory(wf);
    while (!(failed = first_failed(group, &all)) && !all) {
        if (group_gives_up(group))
            return flo_workflow_set_cancelled(wf);
        flo_workflow_yield(wf);
    }
    if (failed)
        return flo_await(wf, failed, NULL);
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
