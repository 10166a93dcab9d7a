/* SPDX-License-Identifier: Apache-2.0 */
/* context.c - the functions that activity code calls (flotilla/activity.h). */
#include "activity/context.h"

#include <stdarg.h>
#include <stdio.h>

#include "activity/note.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"

#define LOG_LINE_BYTES 2048

const struct flo_activity_info *flo_activity_info(const struct flo_activity_context *ctx)
{
    return &ctx->info;
}

/* ---- heartbeats ---- */

static int beat(struct flo_activity_context *ctx, json_t *details)
{
    struct flo_arena arena;
    FloApi__Payloads *payloads;
    uint8_t *packed = NULL;
    size_t len = 0;
    int rc = 0;

    flo_arena_init(&arena, 0);
    payloads = details ? flo_payloads_from_json(&arena, details) : NULL;
    if (details && !payloads)
        rc = FLO_ENOMEM;
    if (payloads)
        rc = flo_wire_encode_arena(&payloads->base, &arena, &packed, &len);
    if (!rc && len > FLO_JOB_PROGRESS_MAX)
        rc = FLO_ELIMIT;
    if (!rc)
        flo_job_progress(ctx->io, packed, len);
    flo_arena_fini(&arena);
    flo_activity_tally_flush(ctx);
    if (flo_activity_cancelled(ctx))
        return FLO_ECANCELLED;
    return rc;
}

/* Interceptors that this thread's heartbeat has entered: heartbeats come from any thread. */
static _Thread_local size_t beat_depth;

int flo_activity_proceed_heartbeat(struct flo_activity_context *ctx, json_t *details)
{
    size_t entered = beat_depth;
    int rc;

    while (beat_depth < ctx->library->wrap_count) {
        const struct flo_activity_wrap *wrap = &ctx->library->wraps[beat_depth++];
        if (!wrap->by->heartbeat)
            continue;
        rc = wrap->by->heartbeat(ctx, *wrap->shared, details);
        beat_depth = entered;
        return rc;
    }
    rc = beat(ctx, details);
    beat_depth = entered;
    return rc;
}

int flo_activity_heartbeat(struct flo_activity_context *ctx, json_t *details)
{
    size_t entered = beat_depth;
    int rc;

    if (ctx->library->wrap_count == 0)
        return beat(ctx, details);
    beat_depth = 0; /* also of a heartbeat that an interceptor makes by itself */
    rc = flo_activity_proceed_heartbeat(ctx, details);
    beat_depth = entered;
    return rc;
}

json_t *flo_activity_last_heartbeat(const struct flo_activity_context *ctx)
{
    return ctx->last_heartbeat;
}

void flo_activity_heartbeat_every(struct flo_activity_context *ctx, int64_t interval_ms)
{
    const struct flo_note note = {.kind = FLO_NOTE_BEAT_EVERY,
                                  .every_ms = interval_ms > 0 ? interval_ms : 0};
    struct flo_buf out;

    flo_buf_init(&out, 0);
    if (flo_note_put(&out, &note) || flo_job_note(ctx->io, out.data, out.len))
        flo_activity_log(ctx, FLO_LOG_WARN, "the worker cannot heartbeat for the activity");
    flo_buf_fini(&out);
}

/* ---- cancellation ---- */

bool flo_activity_cancelled(const struct flo_activity_context *ctx)
{
    return flo_job_cancelled(ctx->io) != FLO_JOB_RUNNING;
}

enum flo_activity_cancel flo_activity_cancel_code(const struct flo_activity_context *ctx)
{
    static const enum flo_activity_cancel CODES[] = {
        [FLO_JOB_RUNNING] = FLO_ACTIVITY_RUNNING,
        [FLO_JOB_CANCEL_REQUESTED] = FLO_ACTIVITY_CANCEL_REQUESTED,
        [FLO_JOB_CANCEL_TIMED_OUT] = FLO_ACTIVITY_TIMED_OUT,
        [FLO_JOB_CANCEL_NOT_FOUND] = FLO_ACTIVITY_NOT_FOUND,
        [FLO_JOB_CANCEL_SHUTDOWN] = FLO_ACTIVITY_WORKER_SHUTDOWN,
        [FLO_JOB_CANCEL_PAUSED] = FLO_ACTIVITY_PAUSED,
        [FLO_JOB_CANCEL_RESET] = FLO_ACTIVITY_RESET,
    };

    return CODES[flo_job_cancelled(ctx->io)];
}

const char *flo_activity_cancel_reason(const struct flo_activity_context *ctx)
{
    static const char *const NAMES[] = {
        [FLO_ACTIVITY_RUNNING] = "",
        [FLO_ACTIVITY_CANCEL_REQUESTED] = "cancel_requested",
        [FLO_ACTIVITY_TIMED_OUT] = "timed_out",
        [FLO_ACTIVITY_NOT_FOUND] = "not_found",
        [FLO_ACTIVITY_WORKER_SHUTDOWN] = "worker_shutdown",
        [FLO_ACTIVITY_PAUSED] = "paused",
        [FLO_ACTIVITY_RESET] = "reset",
    };

    return NAMES[flo_activity_cancel_code(ctx)];
}

bool flo_activity_wait_cancelled(struct flo_activity_context *ctx, int64_t timeout_ms)
{
    return flo_job_wait_cancelled(ctx->io, timeout_ms) != FLO_JOB_RUNNING;
}

static bool stop_or_stopping(unsigned told)
{
    return (told & FLO_JOB_STOPPING) != 0 || FLO_JOB_REASON(told) != FLO_JOB_RUNNING;
}

bool flo_activity_worker_stopping(const struct flo_activity_context *ctx)
{
    unsigned told = flo_job_told(ctx->io);

    return (told & FLO_JOB_STOPPING) != 0 || FLO_JOB_REASON(told) == FLO_JOB_CANCEL_SHUTDOWN;
}

bool flo_activity_wait_stopping(struct flo_activity_context *ctx, int64_t timeout_ms)
{
    int64_t until_ns = flo_job_now_ns(ctx->io) + timeout_ms * FLO_NS_PER_MS;
    unsigned told = flo_job_told(ctx->io);

    while (!stop_or_stopping(told) && timeout_ms > 0) {
        told = flo_job_wait_told(ctx->io, told, timeout_ms);
        timeout_ms = (until_ns - flo_job_now_ns(ctx->io) + FLO_NS_PER_MS - 1) / FLO_NS_PER_MS;
    }
    return stop_or_stopping(told);
}

void flo_activity_cancel_details(struct flo_activity_context *ctx, json_t *details)
{
    ctx->cancel_details = flo_payloads_from_json(ctx->arena, details);
}

/* ---- failures ---- */

static char *format(const char *fmt, va_list args)
{
    va_list again;
    char *text;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    text = len < 0 ? NULL : flo_malloc((size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, fmt, args);
    return text;
}

int flo_activity_fail_with(struct flo_activity_context *ctx, const struct flo_failure *failure)
{
    ctx->failed = true;
    ctx->failure = flo_failure_from_user(ctx->arena, failure);
    return FLO_EFAILED;
}

int flo_activity_fail(struct flo_activity_context *ctx, const char *type, bool non_retryable,
                      json_t *details, const char *fmt, ...)
{
    struct flo_failure failure = {.type = type,
                                  .non_retryable = non_retryable,
                                  .details = &details,
                                  .detail_count = details ? 1 : 0};
    char *message = NULL;
    va_list args;

    va_start(args, fmt);
    message = format(fmt, args);
    va_end(args);
    failure.message = message ? message : "out of memory";
    flo_activity_fail_with(ctx, &failure);
    flo_free(message);
    return FLO_EFAILED;
}

void flo_activity_next_retry_delay(struct flo_activity_context *ctx, int64_t delay_ms)
{
    ctx->next_retry_ns = delay_ms > 0 ? delay_ms * FLO_NS_PER_MS : 0;
}

/* ---- the rest ---- */

void *flo_activity_shared(const struct flo_activity_context *ctx)
{
    return ctx->shared;
}

void flo_activity_log(struct flo_activity_context *ctx, enum flo_log_level level, const char *fmt,
                      ...)
{
    char line[LOG_LINE_BYTES];
    va_list args;

    if (!ctx->library->log)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    ctx->library->log(ctx->library->ctx, level, &ctx->info, line);
}

int flo_activity_proceed(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    size_t entered = ctx->depth;
    int rc;

    while (ctx->depth < ctx->library->wrap_count) {
        const struct flo_activity_wrap *wrap = &ctx->library->wraps[ctx->depth++];
        if (!wrap->by->execute)
            continue;
        rc = wrap->by->execute(ctx, *wrap->shared, input, out_result);
        ctx->depth = entered;
        return rc;
    }
    rc = ctx->run(ctx, input, out_result);
    ctx->depth = entered;
    return rc;
}

void flo_activity_context_fini(struct flo_activity_context *ctx)
{
    for (size_t i = 1; ctx->arguments && i < flo_activity_argument_count(ctx); i++)
        json_decref(ctx->arguments[i]);
    json_decref(ctx->input);
    json_decref(ctx->last_heartbeat);
}
