/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcome.h - how an activity attempt ended, on its way from the executor to the loop: a small
 * wire form of our own, since both ends are this program.
 *
 *   byte 0: kind; the length of the body as a protobuf number; the body, a packed message (see the
 *   enum). So what follows the kind can stand in another message as it is.
 */
#ifndef FLO_ACTIVITY_OUTCOME_H
#define FLO_ACTIVITY_OUTCOME_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "flotilla/error.h"

enum flo_outcome_kind {
    FLO_OUTCOME_COMPLETED = 1, /* body: Payloads, empty = no result */
    FLO_OUTCOME_FAILED,        /* body: Failure */
    FLO_OUTCOME_UNREGISTERED,  /* as FAILED: the type is not known here */
    FLO_OUTCOME_CANCELLED,     /* it accepted cancellation; body: Payloads, empty = no details */
    FLO_OUTCOME_PENDING,       /* body empty: somebody else will say how it ended */
};

struct flo_outcome {
    enum flo_outcome_kind kind;
    const uint8_t *body; /* borrowed from the bytes that were decoded */
    size_t body_len;
    /* Decoded: the body with its length before it, borrowed as well. */
    const uint8_t *field;
    size_t field_len;
};

/* Append the wire form. 0, or as flo_buf_append. */
FLO_MUST_CHECK int flo_outcome_encode(const struct flo_outcome *outcome, struct flo_buf *out);
/* FLO_EPROTO when the bytes are no outcome (an activity that wrote over memory). */
FLO_MUST_CHECK int flo_outcome_decode(const uint8_t *data, size_t len, struct flo_outcome *out);

#endif
