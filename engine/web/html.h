/* SPDX-License-Identifier: Apache-2.0 */
/*
 * html.h - writing HTML: what is not markup of ours is escaped, always. A buffer that could not
 * take something says so in `failed`.
 */
#ifndef FLO_ENGINE_WEB_HTML_H
#define FLO_ENGINE_WEB_HTML_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Append text as text: markup characters become entities, control characters (those of direction,
 * too) and what is no UTF-8 become U+FFFD. Fine inside of quoted attributes. */
void flo_html_text(struct flo_buf *out, const char *text, size_t len);
/*
 * Append fmt, which is markup, with
 *   %s  a string as text, escaped; NULL is nothing
 *   %u  a string as part of a URL's query, percent-encoded
 *   %d  an int64_t
 *   %%  a percent sign
 * Not a printf: widths and other letters are bugs, and assert.
 */
void flo_html(struct flo_buf *out, const char *fmt, ...);

/* A time: <time> with what a script needs to show it in another zone. 0: a dash. */
void flo_html_time(struct flo_buf *out, int64_t wall_ns);
/* "12 ms", "3.2 s", "4 m 05 s", "2 h 03 m", "5 d 04 h". */
void flo_html_duration(struct flo_buf *out, int64_t ns);
/* "17 B", "4.2 KiB". */
void flo_html_bytes(struct flo_buf *out, int64_t bytes);

#endif
