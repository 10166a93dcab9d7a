/* SPDX-License-Identifier: Apache-2.0 */
/* h2raw.c - a frame writer without manners. */
#include "support/h2raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "h2raw: %s: %s\n", what, strerror(errno));
    abort();
}

static void start(struct h2raw *raw)
{
    fcntl(raw->fd, F_SETFL, O_NONBLOCK);
    int on = 1;
    setsockopt(raw->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    flo_buf_init(&raw->out, 0);
    flo_buf_init(&raw->in, 0);
    must(nghttp2_hd_deflate_new(&raw->deflater, 4096) == 0, "deflater");
    must(nghttp2_hd_inflate_new(&raw->inflater) == 0, "inflater");
}

void h2raw_open(struct h2raw *raw, struct event_base *base, const char *address)
{
    *raw = (struct h2raw){.base = base, .reading = true};
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port =
                                 htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10))};
    raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(raw->fd >= 0, "socket");
    must(connect(raw->fd, (struct sockaddr *)&in, sizeof in) == 0, "connect");
    start(raw);
}

void h2raw_accept(struct h2raw *raw, struct event_base *base, int listen_fd)
{
    *raw = (struct h2raw){.base = base, .reading = true, .skip = NGHTTP2_CLIENT_MAGIC_LEN};
    fcntl(listen_fd, F_SETFL, O_NONBLOCK);
    while ((raw->fd = accept(listen_fd, NULL, NULL)) < 0) {
        must(errno == EAGAIN, "accept");
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    start(raw);
    h2raw_frame(raw, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

void h2raw_close(struct h2raw *raw)
{
    close(raw->fd);
    nghttp2_hd_deflate_del(raw->deflater);
    nghttp2_hd_inflate_del(raw->inflater);
    flo_buf_fini(&raw->out);
    flo_buf_fini(&raw->in);
}

void h2raw_bytes(struct h2raw *raw, const void *data, size_t len)
{
    must(flo_buf_append(&raw->out, data, len) == 0, "memory");
}

void h2raw_frame(struct h2raw *raw, uint8_t type, uint8_t flags, int32_t stream,
                 const void *payload, size_t len)
{
    uint8_t head[9] = {(uint8_t)(len >> 16),
                       (uint8_t)(len >> 8),
                       (uint8_t)len,
                       type,
                       flags,
                       (uint8_t)((uint32_t)stream >> 24),
                       (uint8_t)((uint32_t)stream >> 16),
                       (uint8_t)((uint32_t)stream >> 8),
                       (uint8_t)stream};
    h2raw_bytes(raw, head, sizeof head);
    h2raw_bytes(raw, payload, len);
}

void h2raw_preface(struct h2raw *raw)
{
    h2raw_bytes(raw, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    h2raw_frame(raw, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

/* Code the fields and send them as HEADERS and CONTINUATION. */
static void send_block(struct h2raw *raw, int32_t stream, uint8_t flags, const nghttp2_nv *nv,
                       size_t count)
{
    static uint8_t block[1 << 17];
    ssize_t len = nghttp2_hd_deflate_hd(raw->deflater, block, sizeof block, nv, count);
    must(len > 0, "deflate");
    size_t off = 0, left = (size_t)len;
    for (bool first = true; first || left > 0; first = false) {
        size_t part = left > 16384 ? 16384 : left;
        uint8_t end = part == left ? NGHTTP2_FLAG_END_HEADERS : 0;
        h2raw_frame(raw, first ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION,
                    (uint8_t)((first ? flags : 0) | end), stream, block + off, part);
        off += part;
        left -= part;
    }
}

void h2raw_request(struct h2raw *raw, int32_t stream, uint8_t flags, const char *path,
                   const char *const *extra)
{
    const char *usual[][2] = {{":method", "POST"}, {":scheme", "http"},
                              {":path", path},     {":authority", "test"},
                              {"te", "trailers"},  {"content-type", "application/grpc"}};
    nghttp2_nv nv[64];
    size_t n = 0, usual_count = sizeof usual / sizeof usual[0];
    for (size_t i = 0; i < usual_count; i++)
        nv[n++] = (nghttp2_nv){(uint8_t *)(uintptr_t)usual[i][0], (uint8_t *)(uintptr_t)usual[i][1],
                               strlen(usual[i][0]), strlen(usual[i][1]), NGHTTP2_NV_FLAG_NO_INDEX};
    for (; extra && extra[0]; extra += 2) {
        size_t at = 0;
        while (at < usual_count && strcmp(usual[at][0], extra[0]) != 0)
            at++;
        if (at == usual_count)
            at = n++;
        nv[at] = (nghttp2_nv){(uint8_t *)(uintptr_t)extra[0], (uint8_t *)(uintptr_t)extra[1],
                              strlen(extra[0]), strlen(extra[1]), NGHTTP2_NV_FLAG_NO_INDEX};
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (nv[i].valuelen > 0)
            nv[kept++] = nv[i];
    send_block(raw, stream, flags, nv, kept);
}

void h2raw_fields(struct h2raw *raw, int32_t stream, uint8_t flags, const char *const *fields)
{
    nghttp2_nv nv[64];
    size_t n = 0;
    for (; fields[0]; fields += 2)
        nv[n++] = (nghttp2_nv){(uint8_t *)(uintptr_t)fields[0], (uint8_t *)(uintptr_t)fields[1],
                               strlen(fields[0]), strlen(fields[1]), NGHTTP2_NV_FLAG_NO_INDEX};
    send_block(raw, stream, flags, nv, n);
}

void h2raw_message(struct h2raw *raw, int32_t stream, uint8_t flags, uint8_t compressed,
                   uint32_t announced, const void *body, size_t len)
{
    uint8_t *payload = malloc(5 + len);
    must(payload != NULL, "memory");
    payload[0] = compressed;
    payload[1] = (uint8_t)(announced >> 24);
    payload[2] = (uint8_t)(announced >> 16);
    payload[3] = (uint8_t)(announced >> 8);
    payload[4] = (uint8_t)announced;
    if (len > 0)
        memcpy(payload + 5, body, len);
    h2raw_frame(raw, NGHTTP2_DATA, flags, stream, payload, 5 + len);
    free(payload);
}

static struct h2raw_answer *slot(struct h2raw *raw, int32_t stream)
{
    struct h2raw_answer *answer =
        stream == 0 ? &raw->connection : &raw->answers[(stream / 2) % H2RAW_STREAMS];
    if (answer->id != stream)
        *answer = (struct h2raw_answer){.id = stream};
    return answer;
}

const struct h2raw_answer *h2raw_answer(struct h2raw *raw, int32_t stream)
{
    return slot(raw, stream);
}

static void on_headers(struct h2raw *raw, struct h2raw_answer *answer, const uint8_t *data,
                       size_t len)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(raw->inflater, &nv, &flags, data, len, 1);
        must(n >= 0, "inflate");
        data += n;
        len -= (size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            size_t used = strlen(answer->headers);
            snprintf(answer->headers + used, sizeof answer->headers - used, "%s: %s\n", nv.name,
                     nv.value);
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            nghttp2_hd_inflate_end_headers(raw->inflater);
            return;
        }
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && len == 0)
            return;
    }
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void on_frame(struct h2raw *raw, const uint8_t *head, const uint8_t *payload, size_t len)
{
    int32_t stream = (int32_t)(get32(head + 5) & 0x7fffffff);
    raw->frames[head[3]]++;
    struct h2raw_answer *answer = slot(raw, stream);
    switch (head[3]) {
    case NGHTTP2_HEADERS:
        on_headers(raw, answer, payload, len);
        if (stream > raw->last_request) {
            raw->last_request = stream;
            raw->requests++;
        }
        break;
    case NGHTTP2_DATA:
        answer->data_bytes += len;
        break;
    case NGHTTP2_RST_STREAM:
        raw->resets++;
        raw->last_reset_code = answer->reset_code = get32(payload);
        answer->reset = true;
        return;
    case NGHTTP2_GOAWAY:
        raw->goaway = true;
        raw->goaway_code = get32(payload + 4);
        snprintf(raw->goaway_debug, sizeof raw->goaway_debug, "%.*s", (int)(len - 8), payload + 8);
        return;
    case NGHTTP2_SETTINGS:
        if (!(head[4] & NGHTTP2_FLAG_ACK) && !raw->silent)
            h2raw_frame(raw, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
        return;
    default:
        return;
    }
    if (head[4] & NGHTTP2_FLAG_END_STREAM)
        answer->ended = true;
}

static void take_frames(struct h2raw *raw)
{
    size_t off = 0;
    while (raw->in.len - off >= 9) {
        const uint8_t *head = raw->in.data + off;
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (raw->in.len - off < 9 + len)
            break;
        on_frame(raw, head, head + 9, len);
        off += 9 + len;
    }
    flo_buf_consume(&raw->in, off);
}

static void take_bytes(struct h2raw *raw, const uint8_t *data, size_t len)
{
    size_t skip = len < raw->skip ? len : raw->skip;
    raw->skip -= skip;
    must(flo_buf_append(&raw->in, data + skip, len - skip) == 0, "memory");
    take_frames(raw);
}

void h2raw_turn(struct h2raw *raw)
{
    uint8_t data[16384];
    ssize_t n = 1;
    if (raw->out.len > 0) {
        n = send(raw->fd, raw->out.data, raw->out.len, MSG_NOSIGNAL);
        if (n > 0)
            flo_buf_consume(&raw->out, (size_t)n);
        else if (n < 0 && errno != EAGAIN)
            flo_buf_clear(&raw->out);
    }
    event_base_loop(raw->base, EVLOOP_NONBLOCK);
    while (raw->reading && (n = recv(raw->fd, data, sizeof data, 0)) > 0)
        take_bytes(raw, data, (size_t)n);
    if (raw->reading && (n == 0 || (n < 0 && errno != EAGAIN)))
        raw->closed = true;
}
