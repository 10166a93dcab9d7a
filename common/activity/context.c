/* SPDX-License-Identifier: Apache-2.0 */
/* context.c - the functions that activity code calls (flotilla/activity.h). */
#include "activity/context.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define LOG_LINE_BYTES 2048

const struct flo_activity_info *flo_activity_info(const struct flo_activity_context *ctx)
{
    return &ctx->info;
}

int flo_activity_heartbeat(struct flo_activity_context *ctx, json_t *details)
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
    if (flo_activity_cancelled(ctx))
        return FLO_ECANCELLED;
    return rc;
}

json_t *flo_activity_last_heartbeat(const struct flo_activity_context *ctx)
{
    return ctx->last_heartbeat;
}

bool flo_activity_cancelled(const struct flo_activity_context *ctx)
{
    return flo_job_cancelled(ctx->io) != FLO_JOB_RUNNING;
}

const char *flo_activity_cancel_reason(const struct flo_activity_context *ctx)
{
    static const char *const NAMES[] = {
        [FLO_JOB_RUNNING] = "",
        [FLO_JOB_CANCEL_REQUESTED] = "cancel_requested",
        [FLO_JOB_CANCEL_TIMED_OUT] = "timed_out",
        [FLO_JOB_CANCEL_NOT_FOUND] = "not_found",
        [FLO_JOB_CANCEL_SHUTDOWN] = "worker_shutdown",
    };

    return NAMES[flo_job_cancelled(ctx->io)];
}

bool flo_activity_wait_cancelled(struct flo_activity_context *ctx, int64_t timeout_ms)
{
    return flo_job_wait_cancelled(ctx->io, timeout_ms) != FLO_JOB_RUNNING;
}

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

int flo_activity_fail(struct flo_activity_context *ctx, const char *type, bool non_retryable,
                      json_t *details, const char *fmt, ...)
{
    va_list args;

    flo_activity_context_fini(ctx); /* a later failure replaces an earlier one */
    va_start(args, fmt);
    ctx->failure_message = format(fmt, args);
    va_end(args);
    ctx->failure_type = flo_strdup(type ? type : "");
    ctx->failure_details = json_incref(details);
    ctx->non_retryable = non_retryable;
    ctx->failed = true;
    return FLO_EFAILED;
}

void flo_activity_next_retry_delay(struct flo_activity_context *ctx, int64_t delay_ms)
{
    ctx->next_retry_ns = delay_ms > 0 ? delay_ms * FLO_NS_PER_MS : 0;
}

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

void flo_activity_context_fini(struct flo_activity_context *ctx)
{
    flo_free(ctx->failure_type);
    flo_free(ctx->failure_message);
    json_decref(ctx->failure_details);
    ctx->failure_type = ctx->failure_message = NULL;
    ctx->failure_details = NULL;
    ctx->failed = false;
}
