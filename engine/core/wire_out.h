/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_out.h - fields whose content is packed already: histories are kept so, and a message that
 * holds one is its packed other fields followed by the history field. (How an event is packed,
 * history.c says.)
 */
#ifndef FLO_ENGINE_CORE_WIRE_OUT_H
#define FLO_ENGINE_CORE_WIRE_OUT_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "flotilla/error.h"

/* A run of bytes, borrowed. */
struct flo_bytes {
    const uint8_t *data;
    size_t len;
};

/*
 * A length-delimited field (wire type 2) whose content is the parts, one after the other, in
 * arena memory. 0, FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_wire_out_field(struct flo_arena *arena, uint32_t field,
                                      const struct flo_bytes *parts, size_t count,
                                      struct flo_bytes *out);
/*
 * A length-delimited field that holds message and then raw, more of its fields already packed. 0,
 * FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_wire_out_message(struct flo_arena *arena, uint32_t field,
                                        const ProtobufCMessage *message, struct flo_bytes raw,
                                        struct flo_bytes *out);

#endif
