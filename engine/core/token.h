/* SPDX-License-Identifier: Apache-2.0 */
/* token.h - task and page tokens (token.c). */
#ifndef FLO_ENGINE_CORE_TOKEN_H
#define FLO_ENGINE_CORE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/core.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_namespace; /* namespace.h */
struct flo_status;    /* reply.h */

enum flo_token_kind {
    FLO_TOKEN_WORKFLOW = 1,
    FLO_TOKEN_ACTIVITY = 2,
    FLO_TOKEN_QUERY = 3,
    FLO_TOKEN_HISTORY = 4, /* next_page_token; scheduled_event_id is the next event */
};

struct flo_token {
    enum flo_token_kind kind;
    struct flo_namespace *ns;
    const char *workflow_id, *run_id, *activity_id; /* scratch; "" when it has none */
    int64_t scheduled_event_id, started_event_id;
    int64_t started_ns; /* start time: tells two starts of one attempt apart */
    int32_t attempt;
    uint64_t query; /* FLO_TOKEN_QUERY: which; FLO_TOKEN_HISTORY: flags of history_read.c */
};

/* Bytes in scratch. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_token_encode(struct flo_core *core, const struct flo_token *token,
                                    ProtobufCBinaryData *out);
/*
 * Check and take apart. namespace_name is what the request says ("" = nothing). Status:
 * INVALID_ARGUMENT `Task token not set on request.`, `Error deserializing task token.` (pages:
 * `Invalid NextPageToken.`), also for a kind that does not fit or a namespace that is not the
 * token's.
 */
FLO_MUST_CHECK int flo_token_decode(struct flo_core *core, const ProtobufCBinaryData *bytes,
                                    enum flo_token_kind kind, const char *namespace_name,
                                    struct flo_token *out, struct flo_status *status);

#endif
