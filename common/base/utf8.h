/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - is it UTF-8 (RFC 3629)? */
#ifndef FLO_BASE_UTF8_H
#define FLO_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True when the bytes are well-formed UTF-8: no stray or missing continuation bytes, no overlong
 * forms, no surrogates, nothing above U+10FFFF. NUL counts as any other character. Linear.
 */
bool flo_utf8_valid(const void *data, size_t len);

/* The longest prefix of text, at most max bytes, that does not cut a character: for shortening
 * valid UTF-8. */
size_t flo_utf8_cut(const char *text, size_t len, size_t max);

/* Put '?' for each byte of text that belongs to no character: for messages, which are better
 * readable in part than not at all. Returns text. */
char *flo_utf8_mend(char *text);

#endif
