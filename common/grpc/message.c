/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - length-prefixed messages and gzip. */
#include "grpc/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "grpc/status.h"

/* zlib: a gzip wrapper around the largest window. */
#define GZIP_WINDOW_BITS (15 + 16)

__attribute__((format(printf, 5, 6))) static int reject(struct flo_grpc_message *message,
                                                        struct flo_grpc_message_error *out_error,
                                                        int rc, int code, const char *fmt, ...)
{
    message->rejected = true;
    va_list ap;
    va_start(ap, fmt);
    out_error->code = code;
    vsnprintf(out_error->message, sizeof out_error->message, fmt, ap);
    va_end(ap);
    return rc;
}

static int too_large(struct flo_grpc_message *message, struct flo_grpc_message_error *out_error,
                     size_t len)
{
    return reject(message, out_error, FLO_ELIMIT, FLO_GRPC_RESOURCE_EXHAUSTED,
                  "grpc: received message larger than max (%zu vs. %zu)", len, message->max_bytes);
}

static int no_memory(struct flo_grpc_message *message, struct flo_grpc_message_error *out_error)
{
    return reject(message, out_error, FLO_ENOMEM, FLO_GRPC_RESOURCE_EXHAUSTED,
                  "out of memory for a message");
}

void flo_grpc_message_prefix(uint8_t out[FLO_GRPC_PREFIX], size_t len)
{
    out[0] = 0;
    out[1] = (uint8_t)(len >> 24);
    out[2] = (uint8_t)(len >> 16);
    out[3] = (uint8_t)(len >> 8);
    out[4] = (uint8_t)len;
}

static size_t prefix_length(const uint8_t *prefix)
{
    return (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
}

void flo_grpc_message_init(struct flo_grpc_message *message, size_t max_bytes)
{
    *message = (struct flo_grpc_message){.max_bytes = max_bytes};
}

void flo_grpc_message_fini(struct flo_grpc_message *message)
{
    flo_buf_fini(&message->data);
}

/* Check the prefix when it is complete. */
static int check_prefix(struct flo_grpc_message *message, struct flo_grpc_message_error *out_error)
{
    const uint8_t *prefix = message->data.data;
    if (prefix[0] > 1)
        return reject(message, out_error, FLO_EPROTO, FLO_GRPC_INTERNAL,
                      "grpc: invalid compressed flag %u", prefix[0]);
    if (prefix[0] == 1 && !message->gzip)
        return reject(message, out_error, FLO_EPROTO, FLO_GRPC_INTERNAL,
                      "grpc: compressed flag set with identity or empty encoding");
    size_t len = prefix_length(prefix);
    return len > message->max_bytes ? too_large(message, out_error, len) : 0;
}

int flo_grpc_message_take(struct flo_grpc_message *message, const uint8_t *data, size_t len,
                          size_t *out_used, bool *out_whole,
                          struct flo_grpc_message_error *out_error)
{
    struct flo_buf *buf = &message->data;
    size_t used = 0;
    *out_whole = false;
    *out_used = len;
    if (message->rejected)
        return 0;
    if (buf->len < FLO_GRPC_PREFIX) {
        if (!flo_buf_reserve(buf, len)) /* prefix and message mostly come together: one block */
            return no_memory(message, out_error);
        size_t want = FLO_GRPC_PREFIX - buf->len;
        used = len < want ? len : want;
        if (flo_buf_append(buf, data, used))
            return no_memory(message, out_error);
        if (buf->len < FLO_GRPC_PREFIX)
            return 0;
        int rc = check_prefix(message, out_error);
        if (rc)
            return rc;
    }
    size_t left = FLO_GRPC_PREFIX + prefix_length(buf->data) - buf->len;
    size_t n = len - used < left ? len - used : left;
    if (n > 0 && flo_buf_append(buf, data + used, n))
        return no_memory(message, out_error);
    *out_used = used + n;
    *out_whole = n == left;
    return 0;
}

int flo_grpc_message_add(struct flo_grpc_message *message, const uint8_t *data, size_t len,
                         struct flo_grpc_message_error *out_error)
{
    size_t used;
    bool whole;
    int rc = flo_grpc_message_take(message, data, len, &used, &whole, out_error);
    if (!rc && used < len)
        rc = reject(message, out_error, FLO_EPROTO, FLO_GRPC_INTERNAL,
                    "grpc: more than one message in a unary call");
    return rc;
}

static int inflate_failed(struct flo_grpc_message *message,
                          struct flo_grpc_message_error *out_error, const char *why)
{
    return reject(message, out_error, FLO_EPROTO, FLO_GRPC_INTERNAL,
                  "grpc: failed to decompress the message: %s", why);
}

/* Inflate into out, at most max_bytes. */
static int inflate_into(struct flo_grpc_message *message, z_stream *zs, struct flo_buf *out,
                        struct flo_grpc_message_error *out_error)
{
    size_t step = 4 * (size_t)zs->avail_in + 256;
    for (;;) {
        /* One byte past the bound tells a message of exactly the bound from a longer one. */
        size_t room = message->max_bytes + 1 - out->len;
        if (step > room)
            step = room;
        uint8_t *to = flo_buf_reserve(out, step);
        if (!to)
            return no_memory(message, out_error);
        zs->next_out = to;
        zs->avail_out = (uInt)step;
        int rc = inflate(zs, Z_NO_FLUSH);
        out->len += step - zs->avail_out;
        if (out->len > message->max_bytes)
            return too_large(message, out_error, out->len);
        if (rc == Z_STREAM_END)
            return zs->avail_in == 0 ? 0 : inflate_failed(message, out_error, "bytes after gzip");
        if (rc == Z_MEM_ERROR)
            return no_memory(message, out_error);
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return inflate_failed(message, out_error, zs->msg ? zs->msg : "not gzip");
        if (zs->avail_in == 0 && zs->avail_out > 0)
            return inflate_failed(message, out_error, "unexpected end");
        step = out->len + 256;
    }
}

/* Replace the compressed message by the inflated one, without its prefix. */
static int gunzip(struct flo_grpc_message *message, struct flo_grpc_message_error *out_error)
{
    struct flo_buf out;
    z_stream zs = {.next_in = message->data.data + FLO_GRPC_PREFIX,
                   .avail_in = (uInt)(message->data.len - FLO_GRPC_PREFIX)};
    flo_buf_init(&out, 0);
    if (inflateInit2(&zs, GZIP_WINDOW_BITS) != Z_OK)
        return no_memory(message, out_error);
    int rc = inflate_into(message, &zs, &out, out_error);
    inflateEnd(&zs);
    if (rc) {
        flo_buf_fini(&out);
        return rc;
    }
    flo_buf_fini(&message->data);
    message->data = out;
    return 0;
}

int flo_grpc_message_end(struct flo_grpc_message *message, const uint8_t **out_body,
                         size_t *out_len, struct flo_grpc_message_error *out_error)
{
    struct flo_buf *buf = &message->data;
    if (buf->len == 0)
        return reject(message, out_error, FLO_ENOENT, FLO_GRPC_INTERNAL,
                      "grpc: no message in a unary call");
    if (buf->len < FLO_GRPC_PREFIX || buf->len < FLO_GRPC_PREFIX + prefix_length(buf->data))
        return reject(message, out_error, FLO_EPROTO, FLO_GRPC_INTERNAL,
                      "grpc: the stream ended inside a message");
    if (buf->data[0] == 0) {
        *out_body = buf->data + FLO_GRPC_PREFIX;
        *out_len = buf->len - FLO_GRPC_PREFIX;
        return 0;
    }
    int rc = gunzip(message, out_error);
    if (rc)
        return rc;
    *out_body = buf->data;
    *out_len = buf->len;
    return 0;
}
