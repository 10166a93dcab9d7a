/* SPDX-License-Identifier: Apache-2.0 */
/* hex.h - hexadecimal digits. Pure; any thread. */
#ifndef FLO_BASE_HEX_H
#define FLO_BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

/* The value of a digit in lower case; -1: it is none. */
static inline int flo_hex_lower(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The same in either case. */
static inline int flo_hex_digit(char c)
{
    return flo_hex_lower(c >= 'A' && c <= 'F' ? (char)(c | 0x20) : c);
}

/* Bytes in lower case, NUL-terminated: 2 x len + 1 bytes at out_text. */
static inline void flo_hex_write(const uint8_t *bytes, size_t len, char *out_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out_text[2 * i] = digits[bytes[i] >> 4];
        out_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    out_text[2 * len] = '\0';
}

#endif
