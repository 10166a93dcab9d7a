/* SPDX-License-Identifier: Apache-2.0 */
/* html.c - escaping. */
#include "engine/web/html.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\n':
    case '\t':
        return NULL;
    default:
        return (unsigned char)c < 0x20 || c == 0x7f ? REPLACEMENT : NULL;
    }
}

/* How many bytes the character at text takes; 0: it is none. */
static size_t character(const char *text, size_t len)
{
    unsigned char first = (unsigned char)*text;
    size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    return size <= len && flo_utf8_valid(text, size) ? size : 0;
}

/* Does the character say which way others run (U+202A-E, U+2066-9)? One that is not ended turns
 * what stands behind its element, too. */
static bool is_direction(const char *text, size_t size)
{
    const unsigned char *c = (const unsigned char *)text;
    return size == 3 && c[0] == 0xe2 &&
           ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
            (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
}

void flo_html_text(struct flo_buf *out, const char *text, size_t len)
{
    size_t from = 0, at = 0; /* text[from..at) is fine as it is */
    while (at < len) {
        size_t size = character(text + at, len - at);
        const char *instead = size == 1 ? entity(text[at]) : NULL;
        if (size == 0 || is_direction(text + at, size))
            instead = REPLACEMENT;
        if (size == 0)
            size = 1;
        if (instead) {
            flo_buf_append(out, text + from, at - from);
            flo_buf_append_str(out, instead);
            from = at + size;
        }
        at += size;
    }
    flo_buf_append(out, text + from, at - from);
}

static void put_query(struct flo_buf *out, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;
        const char coded[] = {'%', digits[byte >> 4], digits[byte & 15]};
        if (strchr(plain, byte))
            flo_buf_append(out, text, 1);
        else
            flo_buf_append(out, coded, sizeof coded);
    }
}

void flo_html(struct flo_buf *out, const char *fmt, ...)
{
    const char *text;
    char number[24];
    va_list args;
    va_start(args, fmt);
    for (;;) {
        const size_t len = strcspn(fmt, "%");
        flo_buf_append(out, fmt, len);
        if (!fmt[len])
            break;
        switch (fmt[len + 1]) {
        case 's':
            text = va_arg(args, const char *);
            if (text)
                flo_html_text(out, text, strlen(text));
            break;
        case 'u':
            text = va_arg(args, const char *);
            put_query(out, text ? text : "");
            break;
        case 'd':
            snprintf(number, sizeof number, "%" PRId64, va_arg(args, int64_t));
            flo_buf_append_str(out, number);
            break;
        default:
            assert(fmt[len + 1] == '%');
            flo_buf_append_str(out, "%");
            break;
        }
        fmt += len + 2;
    }
    va_end(args);
}

void flo_html_time(struct flo_buf *out, int64_t wall_ns)
{
    char text[48];
    if (wall_ns <= 0) {
        flo_buf_append_str(out, "\xe2\x80\x93");
        return;
    }
    flo_clock_rfc3339(wall_ns / FLO_NS_PER_MS * FLO_NS_PER_MS, text, sizeof text);
    /* "2026-11-22T02:05:35.503000Z": seconds are enough to read. */
    flo_html(out, "<time datetime=\"%s\">", text);
    text[10] = ' ';
    text[19] = '\0';
    flo_html(out, "%s</time>", text);
}

void flo_html_duration(struct flo_buf *out, int64_t ns)
{
    const int64_t ms = ns / FLO_NS_PER_MS, s = ms / 1000;
    if (ns < 0)
        flo_buf_append_str(out, "\xe2\x80\x93");
    else if (ms < 1000)
        flo_html(out, "%d ms", ms);
    else if (s < 60)
        flo_html(out, "%d.%d s", s, ms % 1000 / 100);
    else if (s < 3600)
        flo_buf_printf(out, "%d m %02d s", (int)(s / 60), (int)(s % 60));
    else if (s < 86400)
        flo_buf_printf(out, "%d h %02d m", (int)(s / 3600), (int)(s / 60 % 60));
    else
        flo_buf_printf(out, "%d d %02d h", (int)(s / 86400), (int)(s / 3600 % 24));
}

void flo_html_bytes(struct flo_buf *out, int64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    double size = (double)bytes;
    size_t i = 0;
    if (bytes < 1024) {
        flo_html(out, "%d B", bytes);
        return;
    }
    for (size /= 1024; size >= 1024 && i + 1 < sizeof units / sizeof *units; i++)
        size /= 1024;
    flo_buf_printf(out, "%.1f %s", size, units[i]);
}
