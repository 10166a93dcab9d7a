/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growable byte buffer with a bound. After a failed append the buffer is unchanged and
 * `failed` stays set, so that a writer may append many times and check once.
 */
#ifndef FLO_BASE_BUF_H
#define FLO_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

struct flo_buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t max;  /* most bytes that len may reach; 0 = no bound */
    bool failed; /* an append was refused (bound or memory) */
};

void flo_buf_init(struct flo_buf *buf, size_t max);
void flo_buf_fini(struct flo_buf *buf);
/* Forget the content, keep the memory. */
void flo_buf_clear(struct flo_buf *buf);
/* 0, FLO_ELIMIT past max, FLO_ENOMEM. */
int flo_buf_append(struct flo_buf *buf, const void *data, size_t len);
int flo_buf_append_str(struct flo_buf *buf, const char *text);
int flo_buf_printf(struct flo_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for len more bytes at data + len, for a writer that then adds to len itself. NULL on
 * failure. */
uint8_t *flo_buf_reserve(struct flo_buf *buf, size_t len);
/* Drop the first len bytes (moves the rest). */
void flo_buf_consume(struct flo_buf *buf, size_t len);
/* Hand the heap block to the caller (flo_free) and leave the buffer empty. */
uint8_t *flo_buf_take(struct flo_buf *buf, size_t *out_len);
/* The content as a C string (adds a NUL past the end, not counted); "" when empty or failed. */
const char *flo_buf_cstr(struct flo_buf *buf);

#endif
