/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.c - task tokens and page tokens: opaque bytes that name one start of one task, or a place
 * in a history.
 *
 *    version 1 byte | kind 1 | namespace id 16 | run id 16
 *    | varints: scheduled, started, start time, attempt, query
 *    | workflow id: varint length, bytes | activity id: same | SipHash-2-4 of all before, 8 bytes
 *
 * The engine keeps no list of tokens: what a token says is checked against the run. The keyed hash
 * is there so that nobody makes one up or flips a bit into another task; its key is stored with
 * the namespace, so that tokens stay valid when the engine restarts (async completion may take
 * days).
 */
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/siphash.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/token.h"
#include "wire/varint.h"

enum { VERSION = 1, UUID_BYTES = 16, MAC_BYTES = 8, HEAD_BYTES = 2 + 2 * UUID_BYTES };
enum { TOKEN_VARINTS = 7 };

/* ---- UUIDs as 16 bytes ---- */

/* Canonical lower-case text only, so that bytes and text correspond one to one. */
static bool uuid_pack(const char *text, uint8_t out[UUID_BYTES])
{
    size_t at = 0;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            if (text[at++] != '-')
                return false;
        const int high = flo_hex_lower(text[at]);
        if (high < 0)
            return false;
        const int low = flo_hex_lower(text[at + 1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return text[at] == '\0';
}

static void uuid_unpack(const uint8_t in[UUID_BYTES], char out[FLO_UUID_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = digits[in[i] >> 4];
        out[at++] = digits[in[i] & 15];
    }
    out[at] = '\0';
}

/* ---- writing ---- */

static uint8_t *put_text(uint8_t *p, const char *text, size_t len)
{
    p = flo_varint_put(p, len);
    memcpy(p, text, len);
    return p + len;
}

int flo_token_encode(struct flo_core *core, const struct flo_token *token, ProtobufCBinaryData *out)
{
    const char *activity_id = token->activity_id ? token->activity_id : "";
    const size_t workflow_len = strlen(token->workflow_id), activity_len = strlen(activity_id);
    uint8_t *data = flo_arena_alloc(&core->scratch, HEAD_BYTES + TOKEN_VARINTS * FLO_VARINT_MAX +
                                                        workflow_len + activity_len + MAC_BYTES);
    if (!data)
        return FLO_ENOMEM;
    data[0] = VERSION;
    data[1] = (uint8_t)token->kind;
    if (!uuid_pack(token->ns->id, data + 2) || !uuid_pack(token->run_id, data + 2 + UUID_BYTES))
        return FLO_EINVAL;
    uint8_t *p = data + HEAD_BYTES;
    p = flo_varint_put(p, (uint64_t)token->scheduled_event_id);
    p = flo_varint_put(p, (uint64_t)token->started_event_id);
    p = flo_varint_put(p, (uint64_t)token->started_ns);
    p = flo_varint_put(p, (uint32_t)token->attempt);
    p = flo_varint_put(p, token->query);
    p = put_text(p, token->workflow_id, workflow_len);
    p = put_text(p, activity_id, activity_len);
    const uint64_t mac = flo_siphash24(token->ns->token_secret, data, (size_t)(p - data));
    for (size_t i = 0; i < MAC_BYTES; i++)
        *p++ = (uint8_t)(mac >> (8 * i));
    *out = (ProtobufCBinaryData){.data = data, .len = (size_t)(p - data)};
    return 0;
}

/* ---- reading ---- */

static bool get_text(struct flo_core *core, const uint8_t **p, const uint8_t *end, const char **out)
{
    uint64_t len;
    if (!flo_varint_get(p, end, &len) || len > (uint64_t)(end - *p))
        return false;
    *out = flo_arena_strndup(&core->scratch, (const char *)*p, (size_t)len);
    *p += len;
    return *out != NULL;
}

static bool authentic(const struct flo_namespace *ns, const uint8_t *data, size_t body_len)
{
    const uint64_t mac = flo_siphash24(ns->token_secret, data, body_len);
    uint64_t said = 0;
    for (size_t i = 0; i < MAC_BYTES; i++)
        said |= (uint64_t)data[body_len + i] << (8 * i);
    return (mac ^ said) == 0; /* one comparison: no timing */
}

static bool parse(struct flo_core *core, const ProtobufCBinaryData *bytes, struct flo_token *out)
{
    if (bytes->len < HEAD_BYTES + TOKEN_VARINTS + MAC_BYTES || bytes->data[0] != VERSION)
        return false;
    char id[FLO_UUID_LEN + 1];
    uuid_unpack(bytes->data + 2, id);
    struct flo_namespace *ns = flo_namespace_by_id(core, id);
    const size_t body_len = bytes->len - MAC_BYTES;
    if (!ns || !authentic(ns, bytes->data, body_len))
        return false;
    *out = (struct flo_token){.kind = (enum flo_token_kind)bytes->data[1], .ns = ns};
    uuid_unpack(bytes->data + 2 + UUID_BYTES, id);
    out->run_id = flo_arena_strdup(&core->scratch, id);
    const uint8_t *p = bytes->data + HEAD_BYTES, *end = bytes->data + body_len;
    uint64_t scheduled, started, started_ns, attempt;
    if (!out->run_id || !flo_varint_get(&p, end, &scheduled) ||
        !flo_varint_get(&p, end, &started) || !flo_varint_get(&p, end, &started_ns) ||
        !flo_varint_get(&p, end, &attempt) || !flo_varint_get(&p, end, &out->query) ||
        !get_text(core, &p, end, &out->workflow_id) ||
        !get_text(core, &p, end, &out->activity_id) || p != end)
        return false;
    out->scheduled_event_id = (int64_t)scheduled;
    out->started_event_id = (int64_t)started;
    out->started_ns = (int64_t)started_ns;
    out->attempt = (int32_t)attempt;
    return true;
}

static int unreadable(struct flo_core *core, enum flo_token_kind kind, struct flo_status *status)
{
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "%s",
                          kind == FLO_TOKEN_HISTORY ? "Invalid NextPageToken."
                                                    : "Error deserializing task token.");
}

/* A token of ours, but not for this: there is no such task. */
static int of_another_kind(struct flo_core *core, enum flo_token_kind kind,
                           struct flo_status *status)
{
    switch (kind) {
    case FLO_TOKEN_WORKFLOW:
        return flo_status_not_found(core, status, "Workflow task not found.");
    case FLO_TOKEN_ACTIVITY:
        return flo_status_not_found(core, status,
                                    "invalid activityID or activity already timed out or invoking "
                                    "workflow is completed");
    case FLO_TOKEN_QUERY:
        return flo_status_not_found(core, status, "query task not found, or already expired");
    default:
        return unreadable(core, kind, status);
    }
}

int flo_token_decode(struct flo_core *core, const ProtobufCBinaryData *bytes,
                     enum flo_token_kind kind, const char *namespace_name, struct flo_token *out,
                     struct flo_status *status)
{
    struct flo_namespace *ns;
    int rc = namespace_name && namespace_name[0]
                 ? flo_namespace_named(core, namespace_name, &ns, status)
                 : 0;
    if (rc)
        return rc;
    if (bytes->len == 0)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Task token not set on request.");
    struct flo_token token;
    if (!parse(core, bytes, &token))
        return unreadable(core, kind, status);
    if (token.kind != kind)
        return of_another_kind(core, kind, status);
    if (namespace_name && namespace_name[0] && strcmp(namespace_name, token.ns->name) != 0)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Operation requested with a token from a different namespace.");
    *out = token;
    return 0;
}
