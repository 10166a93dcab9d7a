/* SPDX-License-Identifier: Apache-2.0 */
/* markup.h - what the markup plugin offers: marked-up UTF-8 to plain text. */
#ifndef DOCUMENT_MARKUP_H
#define DOCUMENT_MARKUP_H

#include <stddef.h>

/* The text of data, malloc'ed and NUL-terminated past *out_len; NULL without memory. */
typedef char *(*text_of_markup_fn)(const char *data, size_t len, size_t *out_len);

#endif
