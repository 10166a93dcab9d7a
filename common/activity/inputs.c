/* SPDX-License-Identifier: Apache-2.0 */
/* inputs.c - what an attempt was given (arguments, headers) and the bytes that it gives back. */
#include <string.h>

#include "activity/context.h"
#include "base/base64.h"
#include "wire/decode.h"
#include "wire/payload.h"

size_t flo_activity_argument_count(const struct flo_activity_context *ctx)
{
    return ctx->task->input ? ctx->task->input->n_payloads : 0;
}

json_t *flo_activity_argument(struct flo_activity_context *ctx, size_t i)
{
    size_t count = flo_activity_argument_count(ctx);

    if (i >= count)
        return NULL;
    if (i == 0)
        return ctx->input;
    if (!ctx->arguments)
        ctx->arguments = flo_arena_calloc(ctx->arena, count, sizeof(json_t *));
    if (ctx->arguments && !ctx->arguments[i] &&
        flo_payload_to_json(ctx->task->input->payloads[i], &ctx->arguments[i], NULL))
        ctx->arguments[i] = NULL; /* json/plain that does not parse */
    return ctx->arguments ? ctx->arguments[i] : NULL;
}

const struct flo_payload *flo_activity_argument_payload(const struct flo_activity_context *ctx,
                                                        size_t i)
{
    return i < flo_activity_argument_count(ctx) ? flo_payload_veil(ctx->task->input->payloads[i])
                                                : NULL;
}

const struct flo_payload *flo_activity_header(const struct flo_activity_context *ctx,
                                              const char *key)
{
    const FloApi__Header *header = ctx->task->header;

    for (size_t i = 0; header && i < header->n_fields; i++)
        if (header->fields[i]->value && strcmp(header->fields[i]->key, key) == 0)
            return flo_payload_veil(header->fields[i]->value);
    return NULL;
}

int flo_activity_result_bytes(struct flo_activity_context *ctx, const char *encoding,
                              const void *data, size_t len)
{
    FloApi__Payloads *payloads;

    if (len > FLO_ACTIVITY_RESULT_MAX)
        return FLO_ELIMIT;
    payloads = flo_arena_alloc(ctx->arena, sizeof *payloads);
    if (!payloads)
        return FLO_ENOMEM;
    flo_api__payloads__init(payloads);
    payloads->payloads = flo_arena_calloc(ctx->arena, 1, sizeof(void *));
    if (!payloads->payloads)
        return FLO_ENOMEM;
    payloads->payloads[0] = flo_payload_from_bytes(ctx->arena, encoding, data, len);
    payloads->n_payloads = 1;
    if (!payloads->payloads[0])
        return FLO_ENOMEM;
    ctx->result = payloads;
    return 0;
}

const char *flo_activity_token(struct flo_activity_context *ctx)
{
    const ProtobufCBinaryData *token = &ctx->task->task_token;
    char *text;

    if (ctx->token)
        return ctx->token;
    text = flo_arena_alloc(ctx->arena, FLO_BASE64_TEXT_MAX(token->len) + 1);
    if (!text)
        return NULL;
    text[flo_base64_encode(token->data, token->len, true, text)] = '\0';
    ctx->token = text;
    return text;
}

int flo_activity_complete_async(struct flo_activity_context *ctx)
{
    (void)ctx;
    return FLO_EPENDING;
}
