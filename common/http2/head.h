/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.h - the headers of a client's requests in HPACK (RFC 7541), coded by ourselves. Pure: fields
 * in, bytes out.
 *
 * nghttp2's encoder is general: it hashes and compares each field of each request, and never puts
 * a :path into the dynamic table, so that its 60 bytes go through the Huffman code each time, on
 * both sides. Our requests are always the same dozen fields and one of two dozen paths. Each goes
 * into the table once; from then on it is one byte, and the bytes of the shared fields are kept
 * as a whole. Nothing is ever evicted: what does not fit is sent as a literal.
 *
 * One thread.
 */
#ifndef FLO_HTTP2_HEAD_H
#define FLO_HTTP2_HEAD_H

#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FLO_H2_FRAME_HEADER 9
#define FLO_H2_FRAME_MAX 16384 /* payload that every peer takes (RFC 9113, 4.2) */
#define FLO_H2_TABLE_MAX 4096  /* of the dynamic table, counted as RFC 7541 4.1 does */

/*
 * The fields of a request, in the order in which they are sent; shared begins with the other
 * pseudo fields. "authorization" and fields flagged NGHTTP2_NV_FLAG_NO_INDEX are sent as literals
 * that nobody on the way may put into a table either.
 */
struct flo_h2_head {
    nghttp2_nv path;
    const nghttp2_nv *shared; /* the same array in each request of a connection */
    size_t shared_count;
    const nghttp2_nv *own;
    size_t own_count;
};

/* What the peer's decoder remembers. */
struct flo_h2_coder; /* opaque: head.c */

/* NULL without memory. */
struct flo_h2_coder *flo_h2_coder_new(void);
/* NULL is fine; clears the pointer. */
void flo_h2_coder_destroy(struct flo_h2_coder **coder);
/* The peer's SETTINGS_HEADER_TABLE_SIZE, each time that it says one, also twice in one frame: its
 * decoder must hear of the smallest (RFC 7541, 4.2). A table that was made smaller stays so. */
void flo_h2_coder_limit(struct flo_h2_coder *coder, uint32_t table_bytes);
/*
 * The block of head: *out_block is borrowed until the next call. It must be sent, and in this
 * order. After FLO_ENOMEM the connection cannot go on.
 */
FLO_MUST_CHECK int flo_h2_coder_encode(struct flo_h2_coder *coder, const struct flo_h2_head *head,
                                       const uint8_t **out_block, size_t *out_len);

/*
 * Append the HEADERS frame that begins with frame_header, with block as its payload, continued in
 * CONTINUATION frames when it is long. FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_h2_head_frames(const uint8_t frame_header[FLO_H2_FRAME_HEADER],
                                      const uint8_t *block, size_t len, struct flo_buf *out);

#endif
