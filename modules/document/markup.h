/* SPDX-License-Identifier: Apache-2.0 */
/* markup.h - what the markup plugin offers: marked-up UTF-8 to plain text. */
#ifndef DOCUMENT_MARKUP_H
#define DOCUMENT_MARKUP_H

#include <stdbool.h>
#include <stddef.h>

/* The text of data, malloc'ed and NUL-terminated past *out_len; NULL without memory, or when
 * keep_going(ctx), which is asked once a megabyte, said no. */
typedef char *(*text_of_markup_fn)(const char *data, size_t len, bool (*keep_going)(void *ctx),
                                   void *ctx, size_t *out_len);

#endif
