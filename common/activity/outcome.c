/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.c - the wire form of an attempt's end; see outcome.h. */
#include "activity/outcome.h"

int flo_outcome_encode(const struct flo_outcome *outcome, struct flo_buf *out)
{
    uint8_t kind = (uint8_t)outcome->kind;
    int rc = flo_buf_append(out, &kind, 1);

    if (rc || outcome->body_len == 0)
        return rc;
    return flo_buf_append(out, outcome->body, outcome->body_len);
}

int flo_outcome_decode(const uint8_t *data, size_t len, struct flo_outcome *out)
{
    if (len < 1 || data[0] < FLO_OUTCOME_COMPLETED || data[0] > FLO_OUTCOME_CANCELLED)
        return FLO_EPROTO;
    out->kind = (enum flo_outcome_kind)data[0];
    out->body = data + 1;
    out->body_len = len - 1;
    return 0;
}
