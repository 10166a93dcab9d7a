/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_headers.c - the headers of a request, kept until its handler asks for them: one buffer of
 * entries [struct entry][name NUL][value NUL].
 */
#include <string.h>

#include "base/base64.h"
#include "grpc/codec.h"
#include "grpc/server_internal.h"

enum { HEADERS_RESERVE = 512 }; /* room for the usual request's headers at once */

struct entry {
    uint32_t name_len, value_len;
};

int flo_grpc_headers_add(struct flo_buf *buf, const uint8_t *name, size_t name_len,
                         const uint8_t *value, size_t value_len)
{
    struct entry entry = {(uint32_t)name_len, (uint32_t)value_len};
    size_t need = sizeof entry + name_len + value_len + FLO_BASE64_DATA_MAX(0) + 2;
    if (!flo_buf_reserve(buf, buf->len == 0 && need < HEADERS_RESERVE ? HEADERS_RESERVE : need))
        return FLO_ENOMEM;
    uint8_t *at = buf->data + buf->len;
    uint8_t *value_at = at + sizeof entry + name_len + 1;
    memcpy(at + sizeof entry, name, name_len);
    value_at[-1] = '\0';
    memcpy(value_at, value, value_len);
    if (flo_grpc_is_bin((const char *)name, name_len)) {
        /* Values of repeated fields may be joined by commas: the first one is kept. */
        const uint8_t *comma = memchr(value_at, ',', value_len);
        size_t text_len = comma ? (size_t)(comma - value_at) : value_len, len;
        if (flo_base64_decode((const char *)value_at, text_len, value_at, &len))
            return FLO_EPROTO;
        entry.value_len = (uint32_t)len;
    }
    memcpy(at, &entry, sizeof entry);
    value_at[entry.value_len] = '\0';
    buf->len += sizeof entry + name_len + 1 + entry.value_len + 1;
    return 0;
}

const char *flo_grpc_server_call_header_len(const struct flo_grpc_server_call *call,
                                            const char *name, size_t *out_len)
{
    size_t want = strlen(name);
    const uint8_t *at = call->headers.data, *end = at + call->headers.len;
    while (at < end) {
        struct entry entry;
        memcpy(&entry, at, sizeof entry);
        const uint8_t *entry_name = at + sizeof entry;
        const uint8_t *value = entry_name + entry.name_len + 1;
        if (entry.name_len == want && memcmp(entry_name, name, want) == 0) {
            *out_len = entry.value_len;
            return (const char *)value;
        }
        at = value + entry.value_len + 1;
    }
    return NULL;
}

const char *flo_grpc_server_call_header(const struct flo_grpc_server_call *call, const char *name)
{
    size_t len;
    return flo_grpc_server_call_header_len(call, name, &len);
}
