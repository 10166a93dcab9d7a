/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.c - malloc with a switch that lets one allocation fail. */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local int64_t fail_after = -1;
static _Thread_local int fail_forever;

void flo_alloc_fail_after(int64_t after, int forever)
{
    fail_after = after;
    fail_forever = forever;
}

static int must_fail(void)
{
    if (__builtin_expect(fail_after < 0, 1))
        return 0;
    if (fail_after > 0) {
        fail_after--;
        return 0;
    }
    if (!fail_forever)
        fail_after = -1;
    return 1;
}

int flo_alloc_seam_fails(void)
{
    return must_fail();
}

void *flo_malloc(size_t bytes)
{
    return must_fail() ? NULL : malloc(bytes ? bytes : 1);
}

void *flo_calloc(size_t count, size_t bytes)
{
    size_t total; /* checked here: sanitizers end the process instead of returning NULL */
    if (must_fail() || __builtin_mul_overflow(count, bytes, &total))
        return NULL;
    return total ? calloc(count, bytes) : calloc(1, 1);
}

void *flo_reallocarray(void *block, size_t count, size_t bytes)
{
    size_t total;
    if (must_fail() || __builtin_mul_overflow(count, bytes, &total))
        return NULL;
    return realloc(block, total ? total : 1);
}

void *flo_memdup(const void *data, size_t bytes)
{
    void *copy = flo_malloc(bytes);
    if (copy && bytes)
        memcpy(copy, data, bytes);
    return copy;
}

char *flo_strndup(const char *text, size_t len)
{
    char *copy = flo_malloc(len + 1);
    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

char *flo_strdup(const char *text)
{
    return flo_strndup(text, strlen(text));
}

char *flo_asprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = len < 0 ? NULL : flo_malloc((size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

void flo_free(void *block)
{
    free(block);
}
