/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - traceparent, derived ids, sampling. */
#include "base/trace.h"

#include <stdarg.h>
#include <string.h>

#include "base/hex.h"
#include "base/siphash.h"

/* Offsets of the parts of a traceparent, and their lengths in digits. */
enum { AT_TRACE = 3, AT_SPAN = 36, AT_FLAGS = 53 };

/* len bytes from 2 x len hex digits; upper case is not allowed. */
static bool read_hex(const char *text, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = flo_hex_lower(text[2 * i]);
        int low = high < 0 ? -1 : flo_hex_lower(text[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

bool flo_traceparent_parse(const char *text, struct flo_trace_context *out)
{
    struct flo_trace_context context;
    uint8_t version;
    size_t len = strnlen(text, FLO_TRACEPARENT_LEN + 1);
    if (len < FLO_TRACEPARENT_LEN || text[AT_TRACE - 1] != '-' || text[AT_SPAN - 1] != '-' ||
        text[AT_FLAGS - 1] != '-')
        return false;
    if (!read_hex(text, &version, 1) || version == 0xff ||
        !read_hex(text + AT_TRACE, context.trace_id, sizeof context.trace_id) ||
        !read_hex(text + AT_SPAN, context.span_id, sizeof context.span_id) ||
        !read_hex(text + AT_FLAGS, &context.flags, 1))
        return false;
    if (len > FLO_TRACEPARENT_LEN && (version == 0 || text[FLO_TRACEPARENT_LEN] != '-'))
        return false;
    if (all_zero(context.trace_id, sizeof context.trace_id) ||
        all_zero(context.span_id, sizeof context.span_id))
        return false;
    context.flags &= FLO_TRACE_SAMPLED | FLO_TRACE_RANDOM;
    *out = context;
    return true;
}

void flo_traceparent_format(const struct flo_trace_context *context,
                            char out_text[FLO_TRACEPARENT_LEN + 1])
{
    out_text[0] = out_text[1] = '0';
    flo_hex_write(context->trace_id, sizeof context->trace_id, out_text + AT_TRACE);
    flo_hex_write(context->span_id, sizeof context->span_id, out_text + AT_SPAN);
    flo_hex_write(&context->flags, 1, out_text + AT_FLAGS);
    out_text[AT_TRACE - 1] = out_text[AT_SPAN - 1] = out_text[AT_FLAGS - 1] = '-';
}

/* The low half of the key, which is public: nobody gains by steering ids. Byte by byte, so that all
 * machines agree. */
static void store(uint8_t *to, uint64_t value)
{
    for (size_t i = 0; i < sizeof value; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

void flo_trace_derive(uint8_t *out_id, size_t len, const char *text, ...)
{
    uint8_t key[FLO_SIPHASH_KEY_BYTES] = "flotilla trace";
    uint8_t id[FLO_TRACE_ID_BYTES];
    va_list ap;

    va_start(ap, text);
    for (; text; text = va_arg(ap, const char *)) /* each is the next one's key, with its NUL */
        store(key, flo_siphash24(key, text, strlen(text) + 1));
    va_end(ap);
    store(id, flo_siphash24(key, "1", 1));
    store(id + sizeof(uint64_t), flo_siphash24(key, "2", 1));
    memcpy(out_id, id, len);
    if (all_zero(out_id, len))
        out_id[len - 1] = 1;
}

bool flo_trace_sample(const struct flo_trace_sampler *sampler,
                      const struct flo_trace_context *parent,
                      const uint8_t trace_id[FLO_TRACE_ID_BYTES])
{
    uint64_t low = 0;

    if (parent && sampler->parent_based)
        return (parent->flags & FLO_TRACE_SAMPLED) != 0;
    if (sampler->root != FLO_TRACE_RATIO)
        return sampler->root == FLO_TRACE_ALWAYS_ON;
    if (sampler->ratio >= 1)
        return true;
    for (size_t i = FLO_TRACE_ID_BYTES / 2; i < FLO_TRACE_ID_BYTES; i++)
        low = low << 8 | trace_id[i];
    return low >> 1 < (uint64_t)(sampler->ratio * 0x1p63); /* as the official SDKs decide */
}
