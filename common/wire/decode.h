/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h - the one door through which protobuf bytes enter the program, and the way out.
 *
 * protobuf-c's unpacker has no recursion limit, so that 3 KB of nested failures overflow a stack of
 * 256 KiB, no memory limit, and accepts any bytes in strings. flo_wire_decode fills the same
 * generated structs with limits: depth <= FLO_WIRE_DEPTH, well-formed numbers and lengths, no
 * groups, UTF-8 without NUL in strings, memory from an arena whose budget bounds it. Calling any
 * *__unpack( elsewhere is a failed test (scripts/check_layers). Never call *__free_unpacked on what
 * comes from here.
 */
#ifndef FLO_WIRE_DECODE_H
#define FLO_WIRE_DECODE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "flotilla/error.h"

/* Most levels of messages below the root: what C++, Java and Python accept by default. */
#define FLO_WIRE_DEPTH 100

/*
 * Decode len bytes as a message of type descriptor. The message and all it points to live in
 * arena (never call __free_unpacked on it); set the arena's budget to bound it. data is not kept.
 * Unknown fields are kept, and packed again with the message.
 * 0; FLO_EPROTO: malformed, too deep or bad UTF-8; FLO_EINVAL: NUL in a string; both name the
 * field path, e.g. "StartWorkflowExecutionRequest.workflow_id: invalid UTF-8"; FLO_ELIMIT: the
 * budget (or memory) is used up. After a failure the arena holds garbage: reset it. Any thread.
 */
FLO_MUST_CHECK int flo_wire_decode(const ProtobufCMessageDescriptor *descriptor,
                                   const uint8_t *data, size_t len, struct flo_arena *arena,
                                   ProtobufCMessage **out_message, struct flo_err *err);

/*
 * What somebody reads of messages inside those of one type: of the message in field number n of a
 * `type`, the fields whose bits are set in keep[n] (bit m: number m; numbers of 64 and more are
 * always kept), and everything for n >= count. A history event holds a message of some fifty
 * fields, of which a reader may need two.
 */
struct flo_wire_part {
    const ProtobufCMessageDescriptor *type;
    const uint64_t *keep;
    size_t count; /* of keep */
};

/* As flo_wire_decode, but what part (NULL: nothing) leaves out is not stored, and checked for
 * nothing but where it ends. part is borrowed during the call. */
FLO_MUST_CHECK int flo_wire_decode_part(const ProtobufCMessageDescriptor *descriptor,
                                        const struct flo_wire_part *part, const uint8_t *data,
                                        size_t len, struct flo_arena *arena,
                                        ProtobufCMessage **out_message, struct flo_err *err);

/* Budget for a request of len bytes: 16 x its size, at least 64 KiB, at most 64 MiB. */
size_t flo_wire_budget(size_t len);

/* The bytes that message takes when it is packed. */
size_t flo_wire_size(const ProtobufCMessage *message);
/* Pack message to to; len is what flo_wire_size() said. */
void flo_wire_pack(const ProtobufCMessage *message, uint8_t *to, size_t len);
/* Append message, packed, to out: cheaper than the two above, unless it is long. 0, FLO_ENOMEM,
 * FLO_ELIMIT (out's bound). */
FLO_MUST_CHECK int flo_wire_encode(const ProtobufCMessage *message, struct flo_buf *out);
/* As above into arena memory. */
FLO_MUST_CHECK int flo_wire_encode_arena(const ProtobufCMessage *message, struct flo_arena *arena,
                                         uint8_t **out_data, size_t *out_len);
/*
 * Deep copy through the wire form into arena, NULL when memory or budget is out. For messages
 * that outlive the request that they came with. message must be one that flo_wire_decode would
 * take (depth, UTF-8); NULL otherwise.
 */
ProtobufCMessage *flo_wire_copy(const ProtobufCMessage *message, struct flo_arena *arena);

#endif
