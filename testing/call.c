/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - calls to the core. Requests go in as they are; answers come back packed, as the wire
 * would bring them, since parts of them are packed already. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "grpc/status.h"
#include "testing/kit.h"
#include "wire/decode.h"

/* Calls have a deadline so far away that only the core's own limits count. */
#define PATIENCE_NS (INT64_C(3600) * FLO_NS_PER_S)

static void call_free(struct kit_call *call)
{
    flo_list_remove(&call->env->calls, &call->node);
    flo_buf_fini(&call->body);
    flo_free(call);
}

static int decode(const struct kit_call *call, struct flo_arena *arena, ProtobufCMessage **out,
                  struct flo_err *err)
{
    return flo_wire_decode(call->type, call->body.data, call->body.len, arena, out, err);
}

static void deliver(struct flo_test_env *env, void *ctx, uint64_t arg)
{
    struct kit_call *call = ctx;
    struct flo_arena arena;
    struct kit_answer answer = {.code = call->code, .message = call->message};
    struct flo_err err = {0};
    (void)arg;
    flo_arena_init(&arena, 0);
    if (answer.code == FLO_GRPC_OK && decode(call, &arena, &answer.body, &err))
        kit_problem(env, err.code, "%s", err.message);
    else
        call->fn(env, call->ctx, &answer);
    call_free(call);
    flo_arena_fini(&arena);
}

/* flo_core_env.reply. */
void kit_core_reply(void *ctx, const struct flo_core_reply *reply)
{
    struct flo_test_env *env = ctx;
    struct kit_call *call = NULL;
    FLO_LIST_FOREACH(node, &env->calls)
    {
        call = flo_container(node, struct kit_call, node);
        if (call->id == reply->call)
            break;
        call = NULL;
    }
    if (!call || call->answered)
        return;
    call->answered = true;
    call->code = reply->code;
    if (reply->code != FLO_GRPC_OK)
        snprintf(call->message, sizeof call->message, "%s", reply->message ? reply->message : "");
    if (reply->code == FLO_GRPC_OK && reply->body)
        (void)!flo_wire_encode(reply->body, &call->body);
    if (reply->code == FLO_GRPC_OK && reply->raw_len)
        (void)flo_buf_append(&call->body, reply->raw, reply->raw_len);
    if (call->body.failed) {
        call->code = FLO_GRPC_RESOURCE_EXHAUSTED;
        snprintf(call->message, sizeof call->message, "no memory for an answer");
        kit_problem(env, FLO_ENOMEM, "%s", call->message);
    }
    if (call->fn)
        kit_after(env, 0, deliver, call, 0);
}

struct kit_call *kit_call(struct flo_test_env *env, const char *method,
                          const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                          kit_answer_fn fn, void *ctx)
{
    struct kit_call *call = flo_calloc(1, sizeof *call);
    if (!call) {
        kit_problem(env, FLO_ENOMEM, "no memory for a call");
        return NULL;
    }
    *call =
        (struct kit_call){.env = env, .id = ++env->next_call, .type = type, .fn = fn, .ctx = ctx};
    flo_buf_init(&call->body, 0);
    flo_list_push_front(&env->calls, &call->node);
    struct flo_core_call_info info = {.id = call->id,
                                      .deadline_ns = env->clock.now_ns + PATIENCE_NS,
                                      .client_name = "flotilla-testing",
                                      .follows_next_run_id = true};
    flo_core_begin(env->core, env->clock.now_ns);
    flo_core_call(env->core, method, &info, request);
    const char *why;
    if (flo_core_failed(env->core, &why))
        kit_problem(env, flo_core_failed(env->core, &why), "the engine's core has failed: %s", why);
    return call;
}

bool kit_call_cancel(struct kit_call *call)
{
    if (call->answered)
        return false;
    flo_core_begin(call->env->core, call->env->clock.now_ns);
    flo_core_cancel_call(call->env->core, call->id);
    call_free(call);
    return true;
}

void kit_calls_fini(struct flo_test_env *env)
{
    while (!flo_list_empty(&env->calls))
        call_free(flo_container(flo_list_first(&env->calls), struct kit_call, node));
}

int kit_refused(int code, const char *message, const char *method, struct flo_err *err)
{
    return flo_fail(err, code == FLO_GRPC_NOT_FOUND ? FLO_ENOENT : FLO_EFAILED, "%s: %s", method,
                    message);
}

/* The answer of a call that has one; frees the call. */
static int take(struct kit_call *call, const char *method, struct flo_arena *arena,
                void *out_message, struct flo_err *err)
{
    ProtobufCMessage *body = NULL;
    int rc = call->code == FLO_GRPC_OK ? decode(call, arena, &body, err)
                                       : kit_refused(call->code, call->message, method, err);
    call_free(call);
    if (rc == 0 && out_message)
        memcpy(out_message, &body, sizeof body);
    return rc;
}

int kit_ask(struct flo_test_env *env, const char *method, const ProtobufCMessage *request,
            const ProtobufCMessageDescriptor *type, struct flo_arena *arena, void *out_message,
            struct flo_err *err)
{
    struct kit_call *call = kit_call(env, method, request, type, NULL, NULL);
    if (!call)
        return flo_fail(err, FLO_ENOMEM, "%s: no memory", method);
    if (!call->answered) {
        (void)kit_call_cancel(call);
        return flo_fail(err, FLO_EPENDING, "%s: there is no answer yet", method);
    }
    return take(call, method, arena, out_message, err);
}

int kit_ask_and_wait(struct flo_test_env *env, const char *method, const ProtobufCMessage *request,
                     const ProtobufCMessageDescriptor *type, struct flo_arena *arena,
                     void *out_message, struct flo_err *err)
{
    struct kit_call *call = kit_call(env, method, request, type, NULL, NULL);
    int64_t until_ns = env->clock.now_ns + env->options.limit_ms * FLO_NS_PER_MS;
    if (!call)
        return flo_fail(err, FLO_ENOMEM, "%s: no memory", method);
    while (!call->answered && kit_step(env, until_ns)) {
    }
    if (call->answered)
        return take(call, method, arena, out_message, err);
    (void)kit_call_cancel(call);
    if (env->problem.code)
        return flo_fail(err, env->problem.code, "%s", env->problem.message);
    return flo_fail(err, FLO_EPENDING, "%s: no answer comes any more", method);
}
