/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2raw.h - a hostile HTTP/2 peer, client or server: writes any bytes and any frames to the other
 * side, which runs on the same event loop, and keeps count of what comes back. Nothing here obeys
 * the protocol by itself.
 */
#ifndef FLO_TEST_H2RAW_H
#define FLO_TEST_H2RAW_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct event_base;

#define H2RAW_STREAMS 64

/* What came back on one stream. */
struct h2raw_answer {
    int32_t id;
    char headers[1024]; /* "name: value\n" of all header blocks */
    size_t data_bytes;
    bool ended, reset;
    uint32_t reset_code;
};

struct h2raw {
    int fd;
    struct event_base *base;
    nghttp2_hd_deflater *deflater;
    nghttp2_hd_inflater *inflater;
    struct flo_buf out, in;
    bool closed;        /* by the server */
    bool reading;       /* false: leave the answers in the socket */
    bool silent;        /* do not even acknowledge SETTINGS */
    size_t frames[256]; /* received, by type */
    size_t resets;
    uint32_t last_reset_code;
    size_t requests;      /* HEADERS that opened a stream (server) */
    int32_t last_request; /* the newest stream */
    size_t skip;          /* bytes of the client preface that are still to come (server) */
    bool goaway;
    uint32_t goaway_code;
    char goaway_debug[64];
    struct h2raw_answer connection;             /* stream 0 */
    struct h2raw_answer answers[H2RAW_STREAMS]; /* the last ones, by (id / 2) % H2RAW_STREAMS */
};

/* Play the server on an accepted socket: the client's preface is skipped, SETTINGS are sent. */
void h2raw_accept(struct h2raw *raw, struct event_base *base, int listen_fd);
/* Connect to "127.0.0.1:port". */
void h2raw_open(struct h2raw *raw, struct event_base *base, const char *address);
void h2raw_close(struct h2raw *raw);
/* Queue bytes; they are written while the loop turns. */
void h2raw_bytes(struct h2raw *raw, const void *data, size_t len);
/* The client preface and an empty SETTINGS. */
void h2raw_preface(struct h2raw *raw);
void h2raw_frame(struct h2raw *raw, uint8_t type, uint8_t flags, int32_t stream,
                 const void *payload, size_t len);
/* HEADERS of a gRPC request to path with extra fields (NULL-terminated name, value pairs; a value
 * for a name of the usual ones replaces it, an empty value leaves the field out). */
void h2raw_request(struct h2raw *raw, int32_t stream, uint8_t flags, const char *path,
                   const char *const *extra);
/* HEADERS with just these fields (NULL-terminated name, value pairs). */
void h2raw_fields(struct h2raw *raw, int32_t stream, uint8_t flags, const char *const *fields);
/* DATA with one gRPC message. */
void h2raw_message(struct h2raw *raw, int32_t stream, uint8_t flags, uint8_t compressed,
                   uint32_t announced, const void *body, size_t len);
/* One turn of the loop: write, let the server work, read. */
void h2raw_turn(struct h2raw *raw);
const struct h2raw_answer *h2raw_answer(struct h2raw *raw, int32_t stream);

/* Turn until cond holds; fails the test after 20 s. */
#define H2RAW_UNTIL(raw, cond)                                                                     \
    do {                                                                                           \
        int64_t give_up_ = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;                                \
        while (!(cond)) {                                                                          \
            if (flo_clock_mono_ns() > give_up_)                                                    \
                fail_msg("still waiting for: %s", #cond);                                          \
            h2raw_turn(raw);                                                                       \
        }                                                                                          \
    } while (0)

#endif
