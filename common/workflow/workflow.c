/* SPDX-License-Identifier: Apache-2.0 */
/* workflow.c - the calls of flotilla/workflow.h that are not about waiting. */
#include "flotilla/workflow.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "wire/failure.h"
#include "workflow/intercept.h"

/* ---- activities and timers ---- */

struct flo_future *flo_activity_start(struct flo_workflow *wf, const char *type, json_t *input,
                                      const struct flo_activity_options *options)
{
    if (flo_read_only_check(wf->run, "starts an activity"))
        return &wf->run->no_memory;
    struct flo_future *future = flo_activity_new(wf, type, input, options);
    if (!future)
        flo_run_no_memory(wf->run);
    return future ? future : &wf->run->no_memory;
}

int flo_activity(struct flo_workflow *wf, const char *type, json_t *input,
                 const struct flo_activity_options *options, json_t **out_result)
{
    struct flo_future *future = flo_activity_start(wf, type, input, options);
    int rc = flo_await(wf, future, out_result);
    flo_future_unref(future);
    return rc;
}

struct flo_future *flo_local_activity_start(struct flo_workflow *wf, const char *type,
                                            json_t *input,
                                            const struct flo_local_activity_options *options)
{
    if (flo_read_only_check(wf->run, "starts a local activity"))
        return &wf->run->no_memory;
    struct flo_future *future = flo_local_new(wf, type, input, options);
    if (!future)
        flo_run_no_memory(wf->run);
    return future ? future : &wf->run->no_memory;
}

int flo_local_activity(struct flo_workflow *wf, const char *type, json_t *input,
                       const struct flo_local_activity_options *options, json_t **out_result)
{
    struct flo_future *future = flo_local_activity_start(wf, type, input, options);
    int rc = flo_await(wf, future, out_result);
    flo_future_unref(future);
    return rc;
}

static struct flo_future *timer_intercepted(struct flo_workflow *wf, int64_t ms,
                                            const char *summary)
{
    struct flo_outbound out = {
        .call = {
            .kind = FLO_OUTBOUND_TIMER, .name = "", .task_queue = "", .workflow_id = "", .ms = ms}};
    int rc = flo_workflow_cancelled(wf) ? 0 : flo_outbound_run(wf, &out);
    flo_outbound_fini(&out);
    return rc ? flo_outbound_refused(wf, rc) : flo_timer_new(wf->run, wf->scope, ms, summary);
}

struct flo_future *flo_timer_start_with(struct flo_workflow *wf, int64_t ms,
                                        const struct flo_timer_options *options)
{
    if (flo_read_only_check(wf->run, "starts a timer"))
        return &wf->run->no_memory;
    const char *summary = options ? options->summary : NULL;
    struct flo_future *future = wf->run->interception
                                    ? timer_intercepted(wf, ms, summary)
                                    : flo_timer_new(wf->run, wf->scope, ms, summary);
    if (!future)
        flo_run_no_memory(wf->run);
    return future ? future : &wf->run->no_memory;
}

struct flo_future *flo_timer_start(struct flo_workflow *wf, int64_t ms)
{
    return flo_timer_start_with(wf, ms, NULL);
}

int flo_sleep_with(struct flo_workflow *wf, int64_t ms, const struct flo_timer_options *options)
{
    struct flo_future *future = flo_timer_start_with(wf, ms, options);
    int rc = flo_await(wf, future, NULL);
    flo_future_unref(future);
    return rc;
}

int flo_sleep(struct flo_workflow *wf, int64_t ms)
{
    return flo_sleep_with(wf, ms, NULL);
}

int64_t flo_workflow_now_ms(const struct flo_workflow *wf)
{
    return wf->run->now_ns / FLO_NS_PER_MS;
}

/* ---- failing ---- */

static char *format(struct flo_arena *arena, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    char *text = flo_arena_alloc(arena, len < 0 ? 1 : (size_t)len + 1);
    if (text) {
        *text = '\0';
        if (len > 0)
            vsnprintf(text, (size_t)len + 1, fmt, again);
    }
    va_end(again);
    return text;
}

int flo_workflow_fail(struct flo_workflow *wf, const char *type, bool non_retryable,
                      json_t *details, const char *fmt, ...)
{
    struct flo_arena scratch;
    flo_arena_init(&scratch, 0);
    va_list ap;
    va_start(ap, fmt);
    char *message = format(&scratch, fmt, ap), *kind = flo_arena_strdup(&scratch, type ? type : "");
    va_end(ap);
    FloApi__Failure *failure = NULL;
    if (message && kind) {
        flo_text_repair(message);
        flo_text_repair(kind);
        failure = flo_failure_application(&scratch, message, kind, non_retryable, details, 0);
    }
    int rc =
        failure ? flo_workflow_set_failure(wf, FLO_EFAILED, failure) : flo_run_no_memory(wf->run);
    flo_arena_fini(&scratch);
    return rc;
}

const char *flo_failure_message(const struct flo_workflow *wf)
{
    /* The text is made when it is first asked for; that changes nothing that the caller sees. */
    struct flo_workflow *self = (struct flo_workflow *)(uintptr_t)wf;
    if (!wf->failure)
        return "";
    if (!wf->failure_text) {
        struct flo_buf text;
        flo_buf_init(&text, 0);
        flo_failure_describe(wf->failure, &text);
        if (!text.failed)
            self->failure_text = flo_arena_strdup(&self->failure_mem, flo_buf_cstr(&text));
        flo_buf_fini(&text);
    }
    if (!wf->failure_text) {
        flo_run_no_memory(wf->run);
        return "";
    }
    return wf->failure_text;
}

const char *flo_failure_type_name(const struct flo_workflow *wf)
{
    const FloApi__Failure *failure = wf->failure, *last = failure;
    for (; failure; failure = failure->cause) {
        last = failure;
        if (failure->failure_info_case == FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO)
            break;
    }
    return last ? flo_failure_type(last) : "";
}

/* ---- about this execution ---- */

const struct flo_workflow_info *flo_workflow_info(const struct flo_workflow *wf)
{
    return &wf->run->info;
}

bool flo_workflow_replaying(const struct flo_workflow *wf)
{
    return wf->run->replaying;
}

uint64_t flo_workflow_random(struct flo_workflow *wf)
{
    if (flo_read_only_check(wf->run, "draws a random number"))
        return 0;
    return flo_rng_next(&wf->run->rng);
}

void flo_workflow_uuid(struct flo_workflow *wf, char out_text[37])
{
    if (flo_read_only_check(wf->run, "draws a random number")) {
        *out_text = '\0';
        return;
    }
    flo_rng_uuid4(&wf->run->rng, out_text);
}

void *flo_workflow_alloc(struct flo_workflow *wf, size_t bytes)
{
    return flo_heap_calloc(wf->run->heap, bytes);
}

void flo_workflow_free(struct flo_workflow *wf, void *block)
{
    (void)wf;
    flo_heap_free(block);
}

char *flo_json_text(struct flo_workflow *wf, const json_t *value)
{
    (void)wf; /* json_dumps asks jansson's allocator, which is the run's while its code runs */
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

void flo_workflow_log(struct flo_workflow *wf, enum flo_log_level level, const char *fmt, ...)
{
    const struct flo_run *run = wf->run;
    if (run->replaying || !run->env.log)
        return;
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct flo_heap *heap = flo_heap_enter(NULL); /* the logger's json values are not the run's */
    run->env.log(run->env.log_ctx, level, run->info.workflow_id, run->info.run_id, run->info.type,
                 run->info.traceparent, text);
    flo_heap_enter(heap);
}
