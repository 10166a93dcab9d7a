/* SPDX-License-Identifier: Apache-2.0 */
/* Codecs in a row: what is written comes back, what is not theirs is left alone, what is damaged is
 * refused. */
#include "base/utf8.h"
#include "codec/internal.h"
#include "unit/codec/fixture.h"

static struct flo_codec_row *row_of(struct flo_codec_options options)
{
    struct flo_codec_row *row = NULL;
    struct flo_err err = {0};
    if (flo_codec_row_new(&options, &row, &err))
        fail_msg("%s", err.message);
    return row;
}

static void encode(struct fixture *f, const struct flo_codec_row *row, FloApi__Payloads *payloads)
{
    struct flo_err err = {0};
    if (flo_codec_encode(row, &payloads->base, &f->arena, &err))
        fail_msg("%s", err.message);
}

static void decode(struct fixture *f, const struct flo_codec_row *row, FloApi__Payloads *payloads)
{
    struct flo_err err = {0};
    if (flo_codec_decode(row, &payloads->base, &f->arena, &err))
        fail_msg("%s", err.message);
}

/* Decoding fails with that code, and a sentence that has the words. */
static void assert_refused(struct fixture *f, const struct flo_codec_row *row,
                           FloApi__Payloads *payloads, int code, const char *words)
{
    struct flo_err err = {0};
    assert_int_equal(flo_codec_decode(row, &payloads->base, &f->arena, &err), code);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" is not in: %s", words, err.message);
}

static void an_empty_row_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row = row_of((struct flo_codec_options){0});
    FloApi__Payloads *payloads = payloads_of(f, 'x', 5000);
    FloApi__Payload *before = payloads->payloads[0];
    assert_true(flo_codec_row_empty(row) && flo_codec_row_empty(NULL));
    encode(f, row, payloads);
    assert_ptr_equal(payloads->payloads[0], before);
    flo_codec_row_destroy(&row);
    assert_null(row);
}

static void long_payloads_are_compressed(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row =
        row_of((struct flo_codec_options){.zstd = true, .zstd_level = 3, .zstd_above = 100});
    FloApi__Payloads *large = payloads_of(f, 'x', 5000), *small = payloads_of(f, 'y', 10);
    encode(f, row, large);
    encode(f, row, small);
    assert_true(encoded_as(large, "binary/zstd"));
    assert_true(large->payloads[0]->data.len < 200);
    assert_true(encoded_as(small, "json/plain"));
    struct flo_codec_row *reader = row_of((struct flo_codec_options){.zstd_read = true});
    decode(f, reader, large);
    decode(f, row, small);
    assert_text(large, 'x', 5000);
    encode(f, reader, large);
    assert_true(encoded_as(large, "json/plain"));
    flo_codec_row_destroy(&reader);
    assert_text(small, 'y', 10);
    flo_codec_row_destroy(&row);
}

static void damaged_frames_are_refused(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row = row_of((struct flo_codec_options){.zstd = true, .zstd_level = 3});
    FloApi__Payloads *payloads = payloads_of(f, 'x', 5000);
    encode(f, row, payloads);
    ProtobufCBinaryData *data = &payloads->payloads[0]->data;
    data->data[data->len - 1] ^= 1;
    assert_refused(f, row, payloads, FLO_EPROTO, "codec zstd: a binary/zstd payload");
    data->len = 3;
    assert_refused(f, row, payloads, FLO_EPROTO, "says its size");
    flo_codec_row_destroy(&row);
}

/* Frames of a few thousand bytes that become 4 MiB each: one is honest, a message full of them is
 * refused before it has taken the machine's memory. */
static void bombs_are_refused(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row = row_of((struct flo_codec_options){.zstd = true, .zstd_level = 3});
    FloApi__Payloads *payloads = payloads_of(f, 'x', 4 << 20);
    FloApi__Payload *many[100];
    encode(f, row, payloads);
    assert_true(payloads->payloads[0]->data.len < 10000);
    for (size_t i = 0; i < 100; i++)
        many[i] = payloads->payloads[0];
    payloads->payloads = many;
    payloads->n_payloads = 100;
    size_t before = f->arena.held_bytes;
    assert_refused(f, row, payloads, FLO_ELIMIT, "become more than 128 MiB");
    assert_true(f->arena.held_bytes - before < (size_t)384 << 20);
    flo_codec_row_destroy(&row);
}

/* The largest payload that is encrypted is not too large to be decrypted. */
static void the_largest_payload_comes_back(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row = row_of((struct flo_codec_options){.key_file = f->a});
    FloApi__Payloads *payloads = payloads_of(f, 'x', 1);
    const size_t around = 31; /* in the packed form: the metadata, and how long the data is */
    const size_t len = FLO_CODEC_PAYLOAD_MAX - around;
    uint8_t *bytes = flo_arena_calloc(&f->arena, 1, len + 1);
    payloads->payloads[0] = flo_payload_from_bytes(&f->arena, "binary/plain", bytes, len);
    encode(f, row, payloads);
    assert_int_equal(payloads->payloads[0]->data.len, FLO_CODEC_PAYLOAD_MAX + 28);
    decode(f, row, payloads);
    assert_int_equal(payloads->payloads[0]->data.len, len);
    struct flo_err err = {0};
    payloads->payloads[0] = flo_payload_from_bytes(&f->arena, "binary/plain", bytes, len + 1);
    assert_int_equal(flo_codec_encode(row, &payloads->base, &f->arena, &err), FLO_ELIMIT);
    flo_codec_row_destroy(&row);
}

/* What a server says a key is called becomes part of a sentence that goes back to it: text only. */
static void names_of_keys_that_are_no_text_are_not_repeated(void **state)
{
    static uint8_t bytes[] = {'k', 0xff, 0x00, 'x'};
    static uint8_t letters[52] = "aa";
    struct fixture *f = *state;
    struct flo_codec_row *row = row_of((struct flo_codec_options){.key_file = f->a});
    FloApi__Payloads *payloads = payloads_of(f, 'x', 10);
    encode(f, row, payloads);
    payloads->payloads[0]->metadata[1]->value = (ProtobufCBinaryData){sizeof bytes, bytes};
    assert_refused(f, row, payloads, FLO_EPERM, "with a key whose name is no text");
    for (size_t i = 1; i + 1 < sizeof letters; i += 2)
        memcpy(letters + i, "\xc3\xa9", 2); /* a, then e with an accent, cut in the middle at 50 */
    payloads->payloads[0]->metadata[1]->value = (ProtobufCBinaryData){51, letters};
    struct flo_err err = {0};
    assert_int_equal(flo_codec_decode(row, &payloads->base, &f->arena, &err), FLO_EPERM);
    assert_true(flo_utf8_valid(err.message, strlen(err.message)));
    flo_codec_row_destroy(&row);
}

static void encrypted_payloads_need_their_key(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row_a = row_of((struct flo_codec_options){.key_file = f->a});
    struct flo_codec_row *row_b = row_of((struct flo_codec_options){.key_file = f->b});
    struct flo_codec_row *rotated =
        row_of((struct flo_codec_options){.key_file = f->b, .keys_dir = f->folder});
    FloApi__Payloads *one = payloads_of(f, 'x', 100), *two = payloads_of(f, 'x', 100);
    encode(f, row_a, one);
    encode(f, row_a, two);
    assert_true(encoded_as(one, "binary/encrypted"));
    assert_memory_not_equal(one->payloads[0]->data.data, two->payloads[0]->data.data, 12);
    assert_refused(f, row_b, one, FLO_EPERM, "encrypted with the key \"a\"");
    two->payloads[0]->data.data[20] ^= 1;
    assert_refused(f, row_a, two, FLO_EPROTO, "was changed");
    two->payloads[0]->data.len = 27;
    assert_refused(f, row_a, two, FLO_EPROTO, "cannot have 27 bytes");
    decode(f, rotated, one);
    assert_text(one, 'x', 100);
    encode(f, rotated, one);
    assert_refused(f, row_a, one, FLO_EPERM, "\"b\"");
    flo_codec_row_destroy(&row_a);
    flo_codec_row_destroy(&row_b);
    flo_codec_row_destroy(&rotated);
}

/* From the encryption sample of Temporal's SDKs: AES-256-GCM, nonce first, tag last, of the packed
 * payload; made with another implementation (Python's cryptography). */
static void the_samples_of_the_sdks_are_read(void **state)
{
    struct fixture *f = *state;
    static uint8_t sealed[] = {
        0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x42, 0x0d, 0xd4,
        0x6e, 0x1c, 0x87, 0x35, 0xf1, 0x5a, 0x0b, 0x31, 0x8f, 0xc8, 0x6f, 0x00, 0x8e, 0x2d, 0xac,
        0x29, 0x7a, 0xe7, 0x0d, 0x9a, 0x1c, 0xb5, 0xd7, 0x8e, 0x3b, 0x9e, 0xc2, 0xc9, 0x6a, 0xd6,
        0xea, 0x07, 0x64, 0x1a, 0x86, 0xf6, 0xa6, 0x6a, 0x4e, 0x44, 0xa0, 0x0c, 0x0b, 0xa8, 0x1f};
    struct flo_codec_row *row = row_of((struct flo_codec_options){.key_file = f->a});
    FloApi__Payloads *payloads = payloads_of(f, 'x', 1);
    FloApi__Payload *payload =
        flo_payload_from_bytes(&f->arena, "binary/encrypted", sealed, sizeof sealed);
    FloApi__Payload__MetadataEntry key_id = FLO_API__PAYLOAD__METADATA_ENTRY__INIT;
    FloApi__Payload__MetadataEntry *entries[] = {payload->metadata[0], &key_id};
    key_id.key = (char *)(uintptr_t) "encryption-key-id";
    key_id.value = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "a"};
    payload->metadata = entries;
    payload->n_metadata = 2;
    payloads->payloads[0] = payload;
    decode(f, row, payloads);
    assert_text(payloads, 'l', 4);
    flo_codec_row_destroy(&row);
}

static void bad_key_files_are_named(void **state)
{
    struct fixture *f = *state;
    const struct {
        const char *text;
        mode_t mode;
        const char *words;
    } cases[] = {
        {"a AAEC\n", 0600, "holds no payload key"},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", 0600, "holds no payload key"},
        {KEY_A, 0604, "/b"},
        {"a AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n", 0600, "another payload key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct flo_codec_row *row = NULL;
        struct flo_err err = {0};
        write_file(f->b, cases[i].text, cases[i].mode);
        assert_int_equal(
            flo_codec_row_new(&(struct flo_codec_options){.key_file = f->a, .keys_dir = f->folder},
                              &row, &err),
            FLO_ECONFIG);
        if (!strstr(err.message, cases[i].words))
            fail_msg("\"%s\" is not in: %s", cases[i].words, err.message);
        assert_null(row);
    }
}

/* ---- codecs of modules ---- */

static int shout(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                 struct flo_err *err)
{
    size_t len;
    const char *data = flo_payload_data(in, &len);
    if (!flo_payload_encoded_as(in, "json/plain"))
        return FLO_CODEC_PASS;
    if (memchr(data, '?', len))
        return flo_fail(err, FLO_EINVAL, "no questions");
    char *room = flo_payload_write_room(out, len + 1);
    memcpy(room, data, len);
    room[len - 1] = *(const char *)ctx;
    room[len] = '"';
    return flo_payload_write_metadata(out, "encoding", "json/plain", 10);
}

static int whisper(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                   struct flo_err *err)
{
    size_t len;
    const char *data = flo_payload_data(in, &len);
    (void)err;
    if (!flo_payload_encoded_as(in, "json/plain") || len < 3 || data[len - 2] != *(const char *)ctx)
        return FLO_CODEC_PASS;
    char *room = flo_payload_write_room(out, len - 1);
    memcpy(room, data, len - 1);
    room[len - 2] = '"';
    return flo_payload_write_metadata(out, "encoding", "json/plain", 10);
}

static void modules_come_first_and_in_order(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row = row_of((struct flo_codec_options){.key_file = f->a});
    static char one[] = "1", two[] = "2";
    const struct flo_codec first = {"first", shout, whisper, one},
                           second = {"second", shout, whisper, two};
    assert_int_equal(flo_codec_row_add(row, &first), 0);
    assert_int_equal(flo_codec_row_add(row, &second), 0);
    FloApi__Payloads *payloads = payloads_of(f, 'x', 3);
    encode(f, row, payloads);
    assert_true(encoded_as(payloads, "binary/encrypted"));
    struct flo_codec_row *open = row_of((struct flo_codec_options){.key_file = f->a});
    FloApi__Payload *sealed = payloads->payloads[0];
    decode(f, open, payloads);
    assert_memory_equal(payloads->payloads[0]->data.data, "\"xxx12\"", 7);
    payloads->payloads[0] = sealed;
    decode(f, row, payloads);
    assert_text(payloads, 'x', 3);
    struct flo_err err = {0};
    FloApi__Payloads *asks = payloads_of(f, '?', 1);
    assert_int_equal(flo_codec_encode(row, &asks->base, &f->arena, &err), FLO_EINVAL);
    assert_string_equal(err.message, "codec first: no questions");
    flo_codec_row_destroy(&open);
    flo_codec_row_destroy(&row);
}

static int fail_silently(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                         struct flo_err *err)
{
    (void)ctx, (void)in, (void)out, (void)err;
    return FLO_EIO;
}

/* A codec that fails without a sentence is named all the same, whatever the caller's err held. */
static void silent_failures_are_named(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row = row_of((struct flo_codec_options){0});
    const struct flo_codec silent = {"silent", fail_silently, fail_silently, NULL};
    struct flo_err err = {.code = FLO_EINVAL, .message = "of another time"};
    assert_int_equal(flo_codec_row_add(row, &silent), 0);
    FloApi__Payloads *payloads = payloads_of(f, 'x', 1);
    assert_int_equal(flo_codec_decode(row, &payloads->base, &f->arena, &err), FLO_EIO);
    assert_memory_equal(err.message, "codec silent: ", 14);
    assert_null(strstr(err.message, "of another time"));
    flo_codec_row_destroy(&row);
}

/* Keys to read with make no encryption: whoever names only those has forgotten the other. */
static void keys_to_read_need_one_to_write(void **state)
{
    struct fixture *f = *state;
    struct flo_codec_row *row = NULL;
    struct flo_err err = {0};
    const struct flo_codec_options options = {.keys_dir = f->folder};
    assert_int_equal(flo_codec_row_new(&options, &row, &err), FLO_ECONFIG);
    assert_non_null(strstr(err.message, "codec.keys_dir is set, codec.key_file is not"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_row_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_payloads_are_compressed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_frames_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bombs_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_largest_payload_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_of_keys_that_are_no_text_are_not_repeated, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(encrypted_payloads_need_their_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_samples_of_the_sdks_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_key_files_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_failures_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_to_read_need_one_to_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(modules_come_first_and_in_order, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
