/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c - RFC 4648 base64, standard alphabet. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t flo_base64_encode(const void *data, size_t len, bool padded, char *out_text)
{
    const uint8_t *in = data;
    char *out = out_text;
    for (; len >= 3; len -= 3, in += 3) {
        uint32_t group = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = alphabet[group >> 6 & 63];
        *out++ = alphabet[group & 63];
    }
    if (len > 0) {
        uint32_t group = (uint32_t)in[0] << 16 | (len == 2 ? (uint32_t)in[1] << 8 : 0);
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        if (len == 2)
            *out++ = alphabet[group >> 6 & 63];
        if (padded) {
            *out++ = '=';
            if (len == 1)
                *out++ = '=';
        }
    }
    return (size_t)(out - out_text);
}

/* The six bits that c stands for, or -1. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    if (c == '/')
        return 63;
    return -1;
}

int flo_base64_decode(const char *text, size_t len, uint8_t *out_data, size_t *out_len)
{
    if (len > 0 && len % 4 == 0 && text[len - 1] == '=') {
        len--;
        if (text[len - 1] == '=')
            len--;
    }
    if (len % 4 == 1)
        return FLO_EPROTO;
    uint32_t bits = 0;
    unsigned held = 0; /* bits not written yet: 0, 2, 4 or 6 */
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        int value = value_of(text[i]);
        if (value < 0)
            return FLO_EPROTO;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out_data[count++] = (uint8_t)(bits >> held);
        }
    }
    if (bits & ((1u << held) - 1))
        return FLO_EPROTO;
    *out_len = count;
    return 0;
}
