/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_grpc_message.c - length-prefixed messages, plain and gzip, cut anywhere: what comes out does
 * not depend on the cuts and never passes the limit; and the codings of headers. The first byte
 * says where to cut and whether gzip is allowed.
 */
#include <string.h>

#include "fuzz.h"
#include "grpc/codec.h"
#include "grpc/message.h"

enum { MAX_BYTES = 64 * 1024 };

static int run(const uint8_t *data, size_t size, size_t piece, bool gzip, struct flo_buf *out)
{
    struct flo_grpc_message message;
    struct flo_grpc_message_error error = {0};
    const uint8_t *body = NULL;
    size_t len = 0;
    int rc = 0;
    flo_grpc_message_init(&message, MAX_BYTES);
    message.gzip = gzip;
    for (size_t off = 0; off < size && !rc; off += piece)
        rc = flo_grpc_message_add(&message, data + off, size - off < piece ? size - off : piece,
                                  &error);
    if (!rc)
        rc = flo_grpc_message_end(&message, &body, &len, &error);
    if (rc) {
        FUZZ_CHECK(error.code > 0 && error.message[0]);
    } else {
        FUZZ_CHECK(len <= MAX_BYTES);
        FUZZ_CHECK(flo_buf_append(out, body, len) == 0);
    }
    flo_grpc_message_fini(&message);
    return rc;
}

static void check_codings(const uint8_t *data, size_t size)
{
    struct flo_buf coded, plain, again;
    int64_t ns;
    flo_buf_init(&coded, 0);
    flo_buf_init(&plain, 0);
    flo_buf_init(&again, 0);
    if (flo_grpc_timeout_parse(data, size, &ns) == 0)
        FUZZ_CHECK(ns >= 0 && ns <= FLO_GRPC_TIMEOUT_CAP_NS);
    FUZZ_CHECK(flo_grpc_percent_decode(&plain, data, size) == 0 && plain.len <= size);
    const char *text = flo_buf_cstr(&plain);
    FUZZ_CHECK(flo_grpc_percent_encode(&coded, text) == 0);
    FUZZ_CHECK(flo_grpc_percent_decode(&again, coded.data, coded.len) == 0);
    FUZZ_CHECK(strcmp(flo_buf_cstr(&again), text) == 0);
    flo_buf_fini(&coded);
    flo_buf_fini(&plain);
    flo_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool gzip = data[0] & 1;
    struct flo_buf whole, pieces;
    flo_buf_init(&whole, 0);
    flo_buf_init(&pieces, 0);
    int rc = run(data + 1, size - 1, size, gzip, &whole);
    FUZZ_CHECK(run(data + 1, size - 1, 1 + data[0] / 2, gzip, &pieces) == rc);
    FUZZ_CHECK(whole.len == pieces.len);
    FUZZ_CHECK(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
    flo_buf_fini(&whole);
    flo_buf_fini(&pieces);
    check_codings(data + 1, size - 1);
    return 0;
}
