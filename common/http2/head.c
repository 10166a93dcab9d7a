/* SPDX-License-Identifier: Apache-2.0 */
/* head.c - the encoder of request headers: a table that only grows, and a block that is kept. */
#include "http2/head.h"

#include <string.h>

#include "base/alloc.h"

enum {
    ENTRIES_MAX = 64,    /* two dozen paths and fields, and as many again */
    ENTRY_OVERHEAD = 32, /* RFC 7541, 4.1 */
    STATIC_ENTRIES = 61, /* the indices in front of the dynamic table */
};

/* RFC 7541, 6: the first byte of a representation, and the bits of its integer. */
enum {
    INDEXED = 0x80,
    INDEXED_BITS = 7,
    LITERAL_KEPT = 0x40,
    LITERAL = 0x00,
    LITERAL_NEVER = 0x10,
    TABLE_SIZE = 0x20,
    TABLE_SIZE_BITS = 5,
    TEXT_BITS = 7,
};

struct entry {
    size_t at; /* of the name in text; the value follows it */
    size_t name_len, value_len;
};

struct flo_h2_coder {
    struct entry entries[ENTRIES_MAX]; /* oldest first */
    size_t count;
    struct flo_buf text;
    size_t used, limit; /* bytes of the table */
    bool resized;       /* the peer must hear of limit, and has forgotten the entries by then */
    struct flo_buf block;
    struct flo_buf shared; /* the bytes of shared_for, while there are shared_count entries */
    const nghttp2_nv *shared_for; /* NULL: none */
    size_t shared_count;
};

struct flo_h2_coder *flo_h2_coder_new(void)
{
    struct flo_h2_coder *coder = flo_calloc(1, sizeof *coder);
    if (!coder)
        return NULL;
    coder->limit = FLO_H2_TABLE_MAX;
    flo_buf_init(&coder->text, 0);
    flo_buf_init(&coder->block, 0);
    flo_buf_init(&coder->shared, 0);
    return coder;
}

void flo_h2_coder_destroy(struct flo_h2_coder **coder)
{
    struct flo_h2_coder *self = *coder;
    *coder = NULL;
    if (!self)
        return;
    flo_buf_fini(&self->text);
    flo_buf_fini(&self->block);
    flo_buf_fini(&self->shared);
    flo_free(self);
}

void flo_h2_coder_limit(struct flo_h2_coder *coder, uint32_t table_bytes)
{
    if (table_bytes >= coder->limit)
        return; /* more is never used */
    coder->limit = table_bytes;
    coder->resized = true;
    coder->count = 0;
    coder->used = 0;
    coder->shared_for = NULL;
    flo_buf_clear(&coder->text);
}

/* RFC 7541, 5.1 */
static int add_int(struct flo_buf *out, uint8_t first, unsigned bits, size_t value)
{
    uint8_t bytes[12];
    size_t len = 0, most = ((size_t)1 << bits) - 1;
    if (value < most) {
        bytes[len++] = (uint8_t)(first | value);
        return flo_buf_append(out, bytes, len);
    }
    bytes[len++] = (uint8_t)(first | most);
    for (value -= most; value >= 0x80; value >>= 7)
        bytes[len++] = (uint8_t)(value | 0x80);
    bytes[len++] = (uint8_t)value;
    return flo_buf_append(out, bytes, len);
}

/* RFC 7541, 5.2, without the Huffman code: it is sent once. */
static int add_text(struct flo_buf *out, const uint8_t *text, size_t len)
{
    int rc = add_int(out, 0, TEXT_BITS, len);
    return rc ? rc : flo_buf_append(out, text, len);
}

static int add_literal(struct flo_buf *out, uint8_t kind, const nghttp2_nv *nv)
{
    int rc = flo_buf_append(out, &kind, 1);
    if (!rc)
        rc = add_text(out, nv->name, nv->namelen);
    return rc ? rc : add_text(out, nv->value, nv->valuelen);
}

static bool same(const struct flo_h2_coder *coder, const struct entry *entry, const nghttp2_nv *nv)
{
    const uint8_t *name = coder->text.data + entry->at;
    return memcmp(name, nv->name, nv->namelen) == 0 &&
           memcmp(name + nv->namelen, nv->value, nv->valuelen) == 0;
}

/* Credentials must not be found out by guessing what compresses well (RFC 7541, 7.1). */
static bool secret(const nghttp2_nv *nv)
{
    static const char name[] = "authorization";
    return (nv->flags & NGHTTP2_NV_FLAG_NO_INDEX) ||
           (nv->namelen == sizeof name - 1 && memcmp(nv->name, name, nv->namelen) == 0);
}

/* Put nv into the table. False: there is no room. */
static bool keep(struct flo_h2_coder *coder, const nghttp2_nv *nv)
{
    size_t len = nv->namelen + nv->valuelen;
    if (coder->count == ENTRIES_MAX || len + ENTRY_OVERHEAD > coder->limit - coder->used)
        return false;
    uint8_t *to = flo_buf_reserve(&coder->text, len);
    if (!to)
        return false;
    memcpy(to, nv->name, nv->namelen);
    if (nv->valuelen > 0)
        memcpy(to + nv->namelen, nv->value, nv->valuelen);
    coder->entries[coder->count++] = (struct entry){coder->text.len, nv->namelen, nv->valuelen};
    coder->text.len += len;
    coder->used += len + ENTRY_OVERHEAD;
    return true;
}

static int add_field(struct flo_h2_coder *coder, const nghttp2_nv *nv, struct flo_buf *out)
{
    if (secret(nv))
        return add_literal(out, LITERAL_NEVER, nv);
    for (size_t i = 0; i < coder->count; i++) {
        const struct entry *entry = &coder->entries[i];
        if (entry->value_len == nv->valuelen && entry->name_len == nv->namelen &&
            same(coder, entry, nv))
            return add_int(out, INDEXED, INDEXED_BITS, STATIC_ENTRIES + coder->count - i);
    }
    return add_literal(out, keep(coder, nv) ? LITERAL_KEPT : LITERAL, nv);
}

/* The shared fields: their indices stay as they are until the table grows. */
static int add_shared(struct flo_h2_coder *coder, const struct flo_h2_head *head)
{
    struct flo_buf *shared = &coder->shared;
    if (coder->shared_for != head->shared || coder->shared_count != coder->count) {
        size_t before = coder->count;
        flo_buf_clear(shared);
        for (size_t i = 0; i < head->shared_count; i++)
            if (add_field(coder, &head->shared[i], shared))
                return FLO_ENOMEM;
        coder->shared_for = coder->count == before ? head->shared : NULL;
        coder->shared_count = before;
    }
    return flo_buf_append(&coder->block, shared->data, shared->len);
}

int flo_h2_coder_encode(struct flo_h2_coder *coder, const struct flo_h2_head *head,
                        const uint8_t **out_block, size_t *out_len)
{
    struct flo_buf *block = &coder->block;
    flo_buf_clear(block);
    if (coder->resized && (add_int(block, TABLE_SIZE, TABLE_SIZE_BITS, 0) ||
                           add_int(block, TABLE_SIZE, TABLE_SIZE_BITS, coder->limit)))
        return FLO_ENOMEM;
    coder->resized = false;
    int rc = add_field(coder, &head->path, block);
    if (!rc)
        rc = add_shared(coder, head);
    for (size_t i = 0; !rc && i < head->own_count; i++)
        rc = add_field(coder, &head->own[i], block);
    if (rc)
        return FLO_ENOMEM;
    *out_block = block->data;
    *out_len = block->len;
    return 0;
}

int flo_h2_head_frames(const uint8_t frame_header[FLO_H2_FRAME_HEADER], const uint8_t *block,
                       size_t len, struct flo_buf *out)
{
    uint8_t header[FLO_H2_FRAME_HEADER];
    memcpy(header, frame_header, sizeof header);
    do {
        size_t n = len < FLO_H2_FRAME_MAX ? len : FLO_H2_FRAME_MAX;
        header[0] = (uint8_t)(n >> 16);
        header[1] = (uint8_t)(n >> 8);
        header[2] = (uint8_t)n;
        header[4] = (uint8_t)(header[4] & ~NGHTTP2_FLAG_END_HEADERS);
        if (n == len)
            header[4] |= NGHTTP2_FLAG_END_HEADERS;
        if (flo_buf_append(out, header, sizeof header) || flo_buf_append(out, block, n))
            return FLO_ENOMEM;
        block += n;
        len -= n;
        header[3] = NGHTTP2_CONTINUATION;
        header[4] = 0;
    } while (len > 0);
    return 0;
}
