/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.c - answers: statuses with their details, and the one way out, env->reply.
 *
 * A reply that tells of something not yet on disk carries the number of the commit it waits for;
 * one that waits for the batch now collecting makes the core want a commit.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/core/internal.h"
#include "engine/core/reply.h"

static const char *format(struct flo_core *core, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *text = len < 0 ? NULL : flo_arena_alloc(&core->scratch, (size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

static void fill(struct flo_core *core, struct flo_status *status, int code,
                 const ProtobufCMessage *detail, const char *fmt, va_list args)
{
    const char *text = format(core, fmt, args);
    if (text)
        *status = (struct flo_status){.code = code, .message = text, .detail = detail};
    else
        flo_status_no_memory(status);
}

void flo_status_put(struct flo_core *core, struct flo_status *status, int code, const char *fmt,
                    ...)
{
    va_list args;
    va_start(args, fmt);
    fill(core, status, code, NULL, fmt, args);
    va_end(args);
}

void flo_status_put_not_found(struct flo_core *core, struct flo_status *status, const char *fmt,
                              ...)
{
    static const FloApi__NotFoundFailure detail = FLO_API__NOT_FOUND_FAILURE__INIT;
    va_list args;
    va_start(args, fmt);
    fill(core, status, FLO_GRPC_NOT_FOUND, &detail.base, fmt, args);
    va_end(args);
}

void flo_status_put_exhausted(struct flo_core *core, struct flo_status *status,
                              FloApi__ResourceExhaustedCause cause, const char *fmt, ...)
{
    FloApi__ResourceExhaustedFailure *detail = flo_arena_alloc(&core->scratch, sizeof *detail);
    if (!detail) {
        flo_status_no_memory(status);
        return;
    }
    flo_api__resource_exhausted_failure__init(detail);
    detail->cause = cause;
    detail->scope = FLO_API__RESOURCE_EXHAUSTED_SCOPE__RESOURCE_EXHAUSTED_SCOPE_NAMESPACE;
    va_list args;
    va_start(args, fmt);
    fill(core, status, FLO_GRPC_RESOURCE_EXHAUSTED, &detail->base, fmt, args);
    va_end(args);
}

int flo_status_not_ready(struct flo_core *core, struct flo_status *status, const char *message)
{
    static const FloApi__WorkflowNotReadyFailure detail = FLO_API__WORKFLOW_NOT_READY_FAILURE__INIT;
    (void)core;
    *status = (struct flo_status){
        .code = FLO_GRPC_FAILED_PRECONDITION, .message = message, .detail = &detail.base};
    return FLO_ERPC;
}

static void emit(struct flo_core *core, struct flo_core_reply *reply)
{
    if (reply->after <= core->committed_seq)
        reply->after = 0;
    else if (reply->after == core->next_seq)
        core->commit_wanted = true;
    if (core->fatal) {
        struct flo_status status;
        flo_status_no_memory(&status);
        const struct flo_core_reply lost = {
            .call = reply->call, .code = status.code, .message = status.message};
        core->env.reply(core->env.ctx, &lost);
        return;
    }
    core->env.reply(core->env.ctx, reply);
}

void flo_reply_ok(struct flo_core *core, uint64_t call, uint64_t after,
                  const ProtobufCMessage *body)
{
    flo_reply_raw(core, call, after, body, NULL, 0);
}

void flo_reply_raw(struct flo_core *core, uint64_t call, uint64_t after,
                   const ProtobufCMessage *body, const uint8_t *raw, size_t raw_len)
{
    struct flo_core_reply reply = {
        .call = call, .after = after, .body = body, .raw = raw, .raw_len = raw_len};
    emit(core, &reply);
}

void flo_reply_status(struct flo_core *core, uint64_t call, uint64_t after,
                      const struct flo_status *status)
{
    struct flo_core_reply reply = {.call = call,
                                   .after = after,
                                   .code = status->code,
                                   .message = status->message ? status->message : "",
                                   .detail = status->detail};
    emit(core, &reply);
}
