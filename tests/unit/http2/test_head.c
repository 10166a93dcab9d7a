/* SPDX-License-Identifier: Apache-2.0 */
/* test_head.c - request headers that we code are what an independent HPACK decoder reads. */
#include "support/cmocka_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http2/head.h"

struct fixture {
    struct flo_h2_coder *coder;
    nghttp2_hd_inflater *decoder;
    char read[40000]; /* "name: value\n" of the last block; "!" before fields never to be indexed */
    size_t block_len;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->coder = flo_h2_coder_new();
    assert_non_null(f->coder);
    assert_int_equal(nghttp2_hd_inflate_new(&f->decoder), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    nghttp2_hd_inflate_del(f->decoder);
    flo_h2_coder_destroy(&f->coder);
    assert_null(f->coder);
    free(f);
    return 0;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static void decode(struct fixture *f, const uint8_t *block, size_t len)
{
    char *to = f->read;
    f->block_len = len;
    *to = '\0';
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(f->decoder, &nv, &flags, block, len, 1);
        assert_true(n >= 0);
        block += n;
        len -= (size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            to += snprintf(to, (size_t)(f->read + sizeof f->read - to), "%s%s: %s\n",
                           nv.flags & NGHTTP2_NV_FLAG_NO_INDEX ? "!" : "", nv.name, nv.value);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    assert_int_equal(len, 0);
    nghttp2_hd_inflate_end_headers(f->decoder);
}

static void code(struct fixture *f, const char *path, const nghttp2_nv *shared, size_t shared_count,
                 const nghttp2_nv *own, size_t own_count)
{
    struct flo_h2_head head = {.path = field(":path", path),
                               .shared = shared,
                               .shared_count = shared_count,
                               .own = own,
                               .own_count = own_count};
    const uint8_t *block;
    size_t len;
    assert_int_equal(flo_h2_coder_encode(f->coder, &head, &block, &len), 0);
    decode(f, block, len);
}

/* The second request with the same fields is a byte a field, whatever came between. */
static void test_fields_that_come_again_are_one_byte(void **state)
{
    struct fixture *f = *state;
    nghttp2_nv shared[] = {field(":method", "POST"), field("te", "trailers"), field("empty", "")};
    nghttp2_nv own[] = {field("grpc-timeout", "70S")};
    code(f, "/a.B/Poll", shared, 3, own, 1);
    assert_string_equal(f->read, ":path: /a.B/Poll\n:method: POST\nte: trailers\nempty: \n"
                                 "grpc-timeout: 70S\n");
    assert_true(f->block_len > 50);
    code(f, "/a.B/Respond", shared, 3, own, 1);
    code(f, "/a.B/Poll", shared, 3, own, 1);
    assert_string_equal(f->read, ":path: /a.B/Poll\n:method: POST\nte: trailers\nempty: \n"
                                 "grpc-timeout: 70S\n");
    assert_int_equal(f->block_len, 5);
    code(f, "/a.B/Respond", shared, 3, NULL, 0);
    assert_string_equal(f->read, ":path: /a.B/Respond\n:method: POST\nte: trailers\nempty: \n");
    assert_int_equal(f->block_len, 4);
}

/* Credentials and what is flagged go as literals, each time, and are marked so. */
static void test_secrets_stay_out_of_the_table(void **state)
{
    struct fixture *f = *state;
    nghttp2_nv shared[] = {field("authorization", "Bearer x")};
    nghttp2_nv own[] = {field("grpc-timeout", "1234m")};
    own[0].flags = NGHTTP2_NV_FLAG_NO_INDEX;
    for (int i = 0; i < 3; i++) {
        code(f, "/a", shared, 1, own, 1);
        assert_string_equal(f->read, ":path: /a\n!authorization: Bearer x\n!grpc-timeout: 1234m\n");
    }
    assert_int_equal(nghttp2_hd_inflate_get_num_table_entries(f->decoder), 61 + 1);
}

/* What does not fit into the table is sent all the same; nothing is pushed out of it. */
static void test_full_table_sends_literals(void **state)
{
    struct fixture *f = *state;
    nghttp2_nv shared[] = {field("te", "trailers")};
    char path[300], want[400];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++) {
            snprintf(path, sizeof path, "/%0*d", 10 + i, i);
            snprintf(want, sizeof want, ":path: %s\nte: trailers\n", path);
            code(f, path, shared, 1, NULL, 0);
            assert_string_equal(f->read, want);
        }
        assert_true(nghttp2_hd_inflate_get_dynamic_table_size(f->decoder) <= FLO_H2_TABLE_MAX);
    }
    code(f, "/0000000000", shared, 1, NULL, 0); /* the first one is still there */
    assert_int_equal(f->block_len, 2);
}

/* The peer makes its table smaller, to nothing at last: said first, and obeyed. */
static void test_smaller_tables_are_announced(void **state)
{
    struct fixture *f = *state;
    nghttp2_nv shared[] = {field("te", "trailers"), field("user-agent", "test")};
    static const uint32_t sizes[] = {8192, 4096, 130, 130, 0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        code(f, "/a", shared, 2, NULL, 0);
        assert_int_equal(nghttp2_hd_inflate_change_table_size(f->decoder, sizes[i]), 0);
        flo_h2_coder_limit(f->coder, sizes[i]);
        for (int again = 0; again < 3; again++) {
            code(f, "/a", shared, 2, NULL, 0);
            assert_string_equal(f->read, ":path: /a\nte: trailers\nuser-agent: test\n");
        }
        assert_true(nghttp2_hd_inflate_get_dynamic_table_size(f->decoder) <= sizes[i]);
    }
}

/* To nothing and back within one SETTINGS: the smallest size is announced, and kept to. */
static void test_table_to_nothing_and_back_is_announced(void **state)
{
    struct fixture *f = *state;
    nghttp2_nv shared[] = {field("te", "trailers"), field("user-agent", "test")};
    static const uint32_t sizes[] = {0, 4096};
    code(f, "/a", shared, 2, NULL, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(nghttp2_hd_inflate_change_table_size(f->decoder, sizes[i]), 0);
        flo_h2_coder_limit(f->coder, sizes[i]);
    }
    for (int again = 0; again < 2; again++) {
        code(f, "/a", shared, 2, NULL, 0);
        assert_string_equal(f->read, ":path: /a\nte: trailers\nuser-agent: test\n");
        assert_int_equal(nghttp2_hd_inflate_get_dynamic_table_size(f->decoder), 0);
    }
}

/* A block of more than a frame goes on in CONTINUATION; only the last frame ends the headers. */
static void test_long_blocks_are_continued(void **state)
{
    struct fixture *f = *state;
    static char value[36000];
    static const uint8_t given[FLO_H2_FRAME_HEADER] = {
        0, 0, 1, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 0, 0, 0, 7};
    memset(value, 'v', sizeof value - 1);
    nghttp2_nv own[] = {field("long", value)};
    struct flo_h2_head head = {.path = field(":path", "/a"), .own = own, .own_count = 1};
    const uint8_t *block;
    size_t len, at = 0, frames = 0;
    struct flo_buf out, joined;
    flo_buf_init(&out, 0);
    flo_buf_init(&joined, 0);
    assert_int_equal(flo_h2_coder_encode(f->coder, &head, &block, &len), 0);
    assert_int_equal(flo_h2_head_frames(given, block, len, &out), 0);
    while (at < out.len) {
        const uint8_t *header = out.data + at;
        size_t n = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
        bool last = at + FLO_H2_FRAME_HEADER + n == out.len;
        assert_true(n <= FLO_H2_FRAME_MAX);
        assert_int_equal(header[3], frames == 0 ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION);
        assert_int_equal(header[4], (frames == 0 ? NGHTTP2_FLAG_END_STREAM : 0) |
                                        (last ? NGHTTP2_FLAG_END_HEADERS : 0));
        assert_int_equal(header[8], 7);
        assert_int_equal(flo_buf_append(&joined, header + FLO_H2_FRAME_HEADER, n), 0);
        at += FLO_H2_FRAME_HEADER + n;
        frames++;
    }
    assert_int_equal(frames, 3);
    decode(f, joined.data, joined.len);
    assert_non_null(strstr(f->read, "long: vvv"));
    flo_buf_fini(&out);
    flo_buf_fini(&joined);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_fields_that_come_again_are_one_byte),
        CASE(test_secrets_stay_out_of_the_table),
        CASE(test_full_table_sends_literals),
        CASE(test_smaller_tables_are_announced),
        CASE(test_table_to_nothing_and_back_is_announced),
        CASE(test_long_blocks_are_continued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
