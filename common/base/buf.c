/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - growable bounded byte buffer. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

void flo_buf_init(struct flo_buf *buf, size_t max)
{
    *buf = (struct flo_buf){.max = max};
}

void flo_buf_fini(struct flo_buf *buf)
{
    flo_free(buf->data);
    flo_buf_init(buf, buf->max);
}

void flo_buf_clear(struct flo_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

static int grow(struct flo_buf *buf, size_t len)
{
    size_t need;
    if (__builtin_add_overflow(buf->len, len, &need) || (buf->max && need > buf->max)) {
        buf->failed = true;
        return FLO_ELIMIT;
    }
    if (need <= buf->cap && buf->data)
        return 0;
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    uint8_t *data = flo_reallocarray(buf->data, cap, 1);
    if (!data) {
        buf->failed = true;
        return FLO_ENOMEM;
    }
    buf->data = data;
    buf->cap = cap;
    return 0;
}

uint8_t *flo_buf_reserve(struct flo_buf *buf, size_t len)
{
    return grow(buf, len) ? NULL : buf->data + buf->len;
}

int flo_buf_append(struct flo_buf *buf, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    int rc = grow(buf, len);
    if (rc)
        return rc;
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return 0;
}

int flo_buf_append_str(struct flo_buf *buf, const char *text)
{
    return flo_buf_append(buf, text, strlen(text));
}

int flo_buf_printf(struct flo_buf *buf, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    int rc = len < 0 ? FLO_EINVAL : grow(buf, (size_t)len);
    if (rc == 0 && buf->cap - buf->len <= (size_t)len) { /* room for vsnprintf's NUL */
        uint8_t *data = flo_reallocarray(buf->data, buf->cap + 1, 1);
        if (data) {
            buf->data = data;
            buf->cap++;
        } else {
            buf->failed = true;
            rc = FLO_ENOMEM;
        }
    }
    if (rc == 0) {
        vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, fmt, again);
        buf->len += (size_t)len;
    }
    va_end(again);
    return rc;
}

void flo_buf_consume(struct flo_buf *buf, size_t len)
{
    if (len >= buf->len) {
        buf->len = 0;
        return;
    }
    memmove(buf->data, buf->data + len, buf->len - len);
    buf->len -= len;
}

uint8_t *flo_buf_take(struct flo_buf *buf, size_t *out_len)
{
    uint8_t *data = buf->data;
    *out_len = buf->len;
    flo_buf_init(buf, buf->max);
    return data;
}

const char *flo_buf_cstr(struct flo_buf *buf)
{
    if (buf->failed || buf->len == 0)
        return "";
    if (buf->len == buf->cap) {
        uint8_t *data = flo_reallocarray(buf->data, buf->cap + 1, 1);
        if (!data)
            return "";
        buf->data = data;
        buf->cap++;
    }
    buf->data[buf->len] = '\0';
    return (const char *)buf->data;
}
