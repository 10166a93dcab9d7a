/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec.h - the small codings of gRPC over HTTP/2 (gRPC's document PROTOCOL-HTTP2): grpc-timeout,
 * percent-encoded grpc-message, -bin header values, content types, HTTP and HTTP/2 errors as gRPC
 * codes. Pure; shared by both halves.
 */
#ifndef FLO_GRPC_CODEC_H
#define FLO_GRPC_CODEC_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Longest grpc-timeout, with NUL. */
#define FLO_GRPC_TIMEOUT_MAX 10
/* Deadlines are capped here: a year. */
#define FLO_GRPC_TIMEOUT_CAP_NS (INT64_C(365) * 24 * 3600 * 1000000000)

/* For header fields whose bytes live as long as the stream. */
#define FLO_GRPC_NO_COPY (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)

/* A header field; name and value are borrowed. flags: nghttp2's. */
nghttp2_nv flo_grpc_nv(const char *name, const void *value, size_t value_len, unsigned flags);

/* "70S", "1500m": 1 to 8 digits and a unit. ms > 0. */
void flo_grpc_timeout_format(int64_t ms, char out_text[FLO_GRPC_TIMEOUT_MAX]);
/* Nanoseconds, at most the cap. FLO_EPROTO when it is not 1 to 8 digits and a unit. */
FLO_MUST_CHECK int flo_grpc_timeout_parse(const uint8_t *text, size_t len, int64_t *out_ns);

/* Append text percent-encoded: bytes outside 0x20..0x7e and '%' as %XX. */
FLO_MUST_CHECK int flo_grpc_percent_encode(struct flo_buf *buf, const char *text);
/* Append the decoded text; a broken escape stands for itself. */
FLO_MUST_CHECK int flo_grpc_percent_decode(struct flo_buf *buf, const uint8_t *text, size_t len);

/* Does the name end in "-bin"? */
bool flo_grpc_is_bin(const char *name, size_t len);
/* "application/grpc", also with "+proto" or ";..." after it, but not application/grpc-web. */
bool flo_grpc_is_grpc_type(const uint8_t *type, size_t len);

/* The gRPC code for an HTTP status without grpc-status (its document http-grpc-status-mapping). */
int flo_grpc_code_from_http(int http_status);
/* The gRPC code for a stream that ended with an HTTP/2 error code. */
int flo_grpc_code_from_h2(uint32_t h2_error);
/* "NO_ERROR", ... for messages. Static. */
const char *flo_grpc_h2_error_name(uint32_t h2_error);

#endif
