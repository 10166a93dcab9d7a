/* SPDX-License-Identifier: Apache-2.0 */
/* codec.c - the small codings of gRPC over HTTP/2, and the table of codes. */
#include "grpc/codec.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "grpc/status.h"

const char *flo_grpc_code_name(int code)
{
    switch (code) {
#define FLO_GRPC_NAME(name, value)                                                                 \
    case value:                                                                                    \
        return #name;
        FLO_GRPC_CODES(FLO_GRPC_NAME)
#undef FLO_GRPC_NAME
    default:
        return "UNKNOWN_CODE";
    }
}

nghttp2_nv flo_grpc_nv(const char *name, const void *value, size_t value_len, unsigned flags)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .namelen = strlen(name),
                        .value = (uint8_t *)(uintptr_t)value,
                        .valuelen = value_len,
                        .flags = (uint8_t)flags};
}

/* At most eight digits and a unit; a call pays for this, so no printf. */
static void write_timeout(uint64_t n, char unit, char out_text[FLO_GRPC_TIMEOUT_MAX])
{
    char digits[8];
    size_t count = 0, len = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0 && count < sizeof digits);
    while (count > 0)
        out_text[len++] = digits[--count];
    out_text[len++] = unit;
    out_text[len] = '\0';
}

void flo_grpc_timeout_format(int64_t ms, char out_text[FLO_GRPC_TIMEOUT_MAX])
{
    static const struct {
        int64_t unit_ms;
        char name;
    } units[] = {{1, 'm'}, {1000, 'S'}, {60 * 1000L, 'M'}, {3600 * 1000L, 'H'}};
    if (ms < 1)
        ms = 1;
    if (ms % 1000 == 0 && ms / 1000 <= 99999999) { /* whole seconds: shorter and always equal */
        write_timeout((uint64_t)(ms / 1000), 'S', out_text);
        return;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        int64_t n = (ms - 1) / units[i].unit_ms + 1;
        if (n <= 99999999) {
            write_timeout((uint64_t)n, units[i].name, out_text);
            return;
        }
    }
    write_timeout(99999999, 'H', out_text);
}

int flo_grpc_timeout_parse(const uint8_t *text, size_t len, int64_t *out_ns)
{
    if (len < 2 || len > 9)
        return FLO_EPROTO;
    int64_t n = 0;
    for (size_t i = 0; i < len - 1; i++) {
        if (text[i] < '0' || text[i] > '9')
            return FLO_EPROTO;
        n = n * 10 + (text[i] - '0');
    }
    int64_t unit_ns;
    switch (text[len - 1]) {
    case 'H':
        unit_ns = INT64_C(3600000000000);
        break;
    case 'M':
        unit_ns = INT64_C(60000000000);
        break;
    case 'S':
        unit_ns = 1000000000;
        break;
    case 'm':
        unit_ns = 1000000;
        break;
    case 'u':
        unit_ns = 1000;
        break;
    case 'n':
        unit_ns = 1;
        break;
    default:
        return FLO_EPROTO;
    }
    int64_t ns;
    if (__builtin_mul_overflow(n, unit_ns, &ns) || ns > FLO_GRPC_TIMEOUT_CAP_NS)
        ns = FLO_GRPC_TIMEOUT_CAP_NS;
    *out_ns = ns;
    return 0;
}

int flo_grpc_percent_encode(struct flo_buf *buf, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = strlen(text);
    uint8_t *out = flo_buf_reserve(buf, len * 3);
    if (!out)
        return FLO_ENOMEM;
    for (const char *c = text; *c; c++) {
        uint8_t byte = (uint8_t)*c;
        if (byte >= 0x20 && byte <= 0x7e && byte != '%') {
            *out++ = byte;
            continue;
        }
        *out++ = '%';
        *out++ = (uint8_t)hex[byte >> 4];
        *out++ = (uint8_t)hex[byte & 15];
    }
    buf->len = (size_t)(out - buf->data);
    return 0;
}

int flo_grpc_percent_decode(struct flo_buf *buf, const uint8_t *text, size_t len)
{
    uint8_t *out = flo_buf_reserve(buf, len);
    if (!out)
        return FLO_ENOMEM;
    for (size_t i = 0; i < len; i++) {
        bool encoded = text[i] == '%' && i + 2 < len;
        int high = encoded ? flo_hex_digit((char)text[i + 1]) : -1;
        int low = high < 0 ? -1 : flo_hex_digit((char)text[i + 2]);
        *out++ = low < 0 ? text[i] : (uint8_t)(high << 4 | low);
        i += low < 0 ? 0 : 2;
    }
    buf->len = (size_t)(out - buf->data);
    return 0;
}

bool flo_grpc_is_bin(const char *name, size_t len)
{
    return len >= 4 && memcmp(name + len - 4, "-bin", 4) == 0;
}

bool flo_grpc_is_grpc_type(const uint8_t *type, size_t len)
{
    static const char want[] = "application/grpc";
    size_t want_len = sizeof want - 1;
    if (len < want_len || memcmp(type, want, want_len) != 0)
        return false;
    return len == want_len || type[want_len] == '+' || type[want_len] == ';';
}

int flo_grpc_code_from_http(int http_status)
{
    switch (http_status) {
    case 400:
    case 431:
        return FLO_GRPC_INTERNAL;
    case 401:
        return FLO_GRPC_UNAUTHENTICATED;
    case 403:
        return FLO_GRPC_PERMISSION_DENIED;
    case 404:
        return FLO_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return FLO_GRPC_UNAVAILABLE;
    default:
        return FLO_GRPC_UNKNOWN;
    }
}

int flo_grpc_code_from_h2(uint32_t h2_error)
{
    switch (h2_error) {
    case NGHTTP2_REFUSED_STREAM:
        return FLO_GRPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return FLO_GRPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return FLO_GRPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return FLO_GRPC_PERMISSION_DENIED;
    default:
        return FLO_GRPC_INTERNAL;
    }
}

const char *flo_grpc_h2_error_name(uint32_t h2_error)
{
    return nghttp2_http2_strerror(h2_error);
}
