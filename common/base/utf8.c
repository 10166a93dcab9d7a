/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.c - UTF-8 validation: ASCII eight bytes at a time, the rest by RFC 3629's table. */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* The length of the character at p, or 0 when it is malformed or runs past left bytes. */
static size_t character_len(const uint8_t *p, size_t left)
{
    uint8_t lead = p[0];
    uint8_t low = 0x80, high = 0xBF; /* what the second byte may be */
    size_t len;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF) {
        len = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        len = 3;
        if (lead == 0xE0)
            low = 0xA0; /* below: overlong */
        if (lead == 0xED)
            high = 0x9F; /* above: surrogates */
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        len = 4;
        if (lead == 0xF0)
            low = 0x90; /* below: overlong */
        if (lead == 0xF4)
            high = 0x8F; /* above: past U+10FFFF */
    } else {
        return 0;
    }
    if (left < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

bool flo_utf8_valid(const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t at = 0;
    while (at < len) {
        uint64_t word;
        if (len - at >= sizeof word) {
            memcpy(&word, p + at, sizeof word);
            if (!(word & HIGH_BITS)) {
                at += sizeof word;
                continue;
            }
        }
        size_t step = p[at] < 0x80 ? 1 : character_len(p + at, len - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

size_t flo_utf8_cut(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max > 0 && ((uint8_t)text[max] & 0xC0) == 0x80)
        max--;
    return max;
}

char *flo_utf8_mend(char *text)
{
    size_t len = strlen(text);

    if (flo_utf8_valid(text, len))
        return text;
    for (size_t at = 0; at < len;) {
        size_t step = character_len((const uint8_t *)text + at, len - at);
        if (step == 0)
            text[at] = '?';
        at += step ? step : 1;
    }
    return text;
}
