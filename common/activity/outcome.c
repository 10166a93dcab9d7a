/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.c - the wire form of an attempt's end; see outcome.h. */
#include "activity/outcome.h"

#include "wire/varint.h"

int flo_outcome_encode(const struct flo_outcome *outcome, struct flo_buf *out)
{
    uint8_t head[1 + FLO_VARINT_MAX] = {(uint8_t)outcome->kind};
    const uint8_t *end = flo_varint_put(head + 1, outcome->body_len);
    int rc = flo_buf_append(out, head, (size_t)(end - head));

    if (rc || outcome->body_len == 0)
        return rc;
    return flo_buf_append(out, outcome->body, outcome->body_len);
}

int flo_outcome_decode(const uint8_t *data, size_t len, struct flo_outcome *out)
{
    const uint8_t *at;
    uint64_t body_len;

    if (len < 2)
        return FLO_EPROTO;
    at = data + 1;
    if (data[0] < FLO_OUTCOME_COMPLETED || data[0] > FLO_OUTCOME_PENDING ||
        !flo_varint_get(&at, data + len, &body_len) || body_len != (uint64_t)(data + len - at))
        return FLO_EPROTO;
    out->kind = (enum flo_outcome_kind)data[0];
    out->body = at;
    out->body_len = (size_t)body_len;
    out->field = data + 1;
    out->field_len = len - 1;
    return 0;
}
