/* SPDX-License-Identifier: Apache-2.0 */
/* error sentences, base64, hex digits, UTF-8. */
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/hex.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "flotilla/error.h"
#include "support/cmocka_env.h"

/* Codes have names and texts, also those that are none. */
static void test_error_names(void **state)
{
    (void)state;
    assert_string_equal(flo_error_name(0), "FLO_OK");
    assert_string_equal(flo_error_name(FLO_EPROTO), "FLO_EPROTO");
    assert_string_equal(flo_error_name(-999), "FLO_E?");
    assert_string_equal(flo_error_text(0), "ok");
    assert_string_equal(flo_error_text(FLO_ENOMEM), "out of memory");
    assert_string_equal(flo_error_text(1), "unknown error");
}

/* A sentence is filled, prefixed, and never empty. */
static void test_error_sentence(void **state)
{
    (void)state;
    struct flo_err err = {0};
    assert_int_equal(flo_fail(&err, FLO_EINVAL, "%s is %d", "x", 3), FLO_EINVAL);
    assert_int_equal(err.code, FLO_EINVAL);
    assert_string_equal(err.message, "x is 3");
    flo_err_prefix(&err, "file %d", 7);
    assert_string_equal(err.message, "file 7: x is 3");
    assert_int_equal(flo_fail(NULL, FLO_EIO, "unread"), FLO_EIO);
    flo_err_prefix(NULL, "unread");
    assert_int_equal(flo_fail(&err, FLO_EIO, "%s", ""), FLO_EIO);
    assert_string_equal(err.message, flo_error_text(FLO_EIO));
}

/* A long sentence is cut between characters, whatever its length. */
static void test_error_long_sentence_cut_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"a", "\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < 4; c++) {
        for (size_t shift = 0; shift < 4; shift++) {
            char text[1024] = "xxx";
            size_t len = shift;
            while (len + 5 < sizeof text) {
                memcpy(text + len, characters[c], strlen(characters[c]) + 1);
                len += strlen(characters[c]);
            }
            struct flo_err err;
            flo_fail(&err, FLO_EINVAL, "%s", text);
            assert_true(strlen(err.message) > sizeof err.message - 5);
            assert_true(flo_utf8_valid(err.message, strlen(err.message)));
            flo_err_prefix(&err, "pre");
            assert_true(strncmp(err.message, "pre: ", 5) == 0);
            assert_true(flo_utf8_valid(err.message, strlen(err.message)));
            flo_err_prefix(&err, "%s", text);
            assert_true(flo_utf8_valid(err.message, strlen(err.message)));
        }
    }
}

/* RFC 4648's own examples, with and without padding. */
static void test_base64_known_texts(void **state)
{
    (void)state;
    static const struct {
        const char *data, *padded, *bare;
    } cases[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff", "+/8=", "+/8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[16];
        uint8_t data[16];
        size_t len = flo_base64_encode(cases[i].data, strlen(cases[i].data), true, text);
        assert_int_equal(len, strlen(cases[i].padded));
        assert_memory_equal(text, cases[i].padded, len);
        len = flo_base64_encode(cases[i].data, strlen(cases[i].data), false, text);
        assert_int_equal(len, strlen(cases[i].bare));
        assert_memory_equal(text, cases[i].bare, len);
        const char *texts[] = {cases[i].padded, cases[i].bare};
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(flo_base64_decode(texts[k], strlen(texts[k]), data, &len), 0);
            assert_int_equal(len, strlen(cases[i].data));
            assert_memory_equal(data, cases[i].data, len);
        }
    }
}

/* Every length and byte round trips, in place too. */
static void test_base64_round_trip(void **state)
{
    (void)state;
    uint8_t data[256], back[FLO_BASE64_DATA_MAX(FLO_BASE64_TEXT_MAX(256))];
    char text[FLO_BASE64_TEXT_MAX(256)];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 167 + 13);
    for (size_t len = 0; len <= sizeof data; len++) {
        size_t text_len = flo_base64_encode(data, len, len % 2, text), back_len;
        assert_true(text_len <= FLO_BASE64_TEXT_MAX(len));
        assert_int_equal(flo_base64_decode(text, text_len, back, &back_len), 0);
        assert_int_equal(back_len, len);
        assert_memory_equal(back, data, len);
        uint8_t *same = (uint8_t *)text;
        assert_int_equal(flo_base64_decode(text, text_len, same, &back_len), 0);
        assert_memory_equal(same, data, len);
    }
}

/* What is not exactly base64 is refused and leaves the length alone. */
static void test_base64_malformed_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"A",    "AB-_", "A===", "AB=",  "=",     "====",  "AA==AA",
                                        "AB==", "AAB=", "A B=", "AA=A", "AAAAA", "AA==\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t data[16];
        size_t len = 77;
        if (flo_base64_decode(texts[i], strlen(texts[i]), data, &len) != FLO_EPROTO)
            fail_msg("%s was taken", texts[i]);
        assert_int_equal(len, 77);
    }
}

/* Valid and invalid forms, alone and behind a run of ASCII that the fast path takes. */
static void test_utf8_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"plain", true},
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xef\xbf\xbf", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\x80", false},             /* continuation alone */
        {"\xc0\x80", false},         /* overlong NUL */
        {"\xc1\xbf", false},         /* overlong */
        {"\xe0\x9f\xbf", false},     /* overlong */
        {"\xed\xa0\x80", false},     /* surrogate */
        {"\xed\xbf\xbf", false},     /* surrogate */
        {"\xf0\x8f\xbf\xbf", false}, /* overlong */
        {"\xf4\x90\x80\x80", false}, /* past U+10FFFF */
        {"\xf5\x80\x80\x80", false},
        {"\xff", false},
        {"\xc3", false}, /* cut */
        {"\xe4\xb8", false},
        {"\xf0\x9f\x98", false},
        {"\xe4\xb8x", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t pad = 0; pad < 20; pad++) {
            char text[64];
            int len = snprintf(text, sizeof text, "%.*s%s%.*s", (int)pad, "aaaaaaaaaaaaaaaaaaaa",
                               cases[i].text, (int)pad, "bbbbbbbbbbbbbbbbbbbb");
            assert_true(flo_utf8_valid(text, (size_t)len) == cases[i].valid);
        }
    }
    assert_true(flo_utf8_valid(NULL, 0));
    assert_true(flo_utf8_valid("a\0b", 3));
}

/* Shortening never cuts a character. */
static void test_utf8_cut(void **state)
{
    (void)state;
    static const char text[] = "a\xc3\xa9\xf0\x9f\x98\x80z";
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};
    for (size_t max = 0; max < 10; max++)
        assert_int_equal(flo_utf8_cut(text, sizeof text - 1, max), expected[max]);
}

/* The examples of FIPS 180-4, and pieces that end at every place of a block. */
static void test_sha256_known_digests(void **state)
{
    static const struct {
        const char *text, *hex;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    uint8_t digest[FLO_SHA256_BYTES], again[FLO_SHA256_BYTES];
    struct flo_sha256 sha;
    char hex[2 * FLO_SHA256_BYTES + 1];
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        flo_sha256_init(&sha);
        flo_sha256_add(&sha, known[i].text, strlen(known[i].text));
        flo_sha256_final(&sha, digest);
        for (size_t k = 0; k < sizeof digest; k++)
            snprintf(hex + 2 * k, 3, "%02x", digest[k]);
        assert_string_equal(hex, known[i].hex);
    }
    char text[200];
    memset(text, 'a', sizeof text);
    flo_sha256_init(&sha);
    flo_sha256_add(&sha, text, sizeof text);
    flo_sha256_final(&sha, digest);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        flo_sha256_init(&sha);
        flo_sha256_add(&sha, text, cut);
        flo_sha256_add(&sha, text + cut, sizeof text - cut);
        flo_sha256_final(&sha, again);
        assert_memory_equal(digest, again, sizeof digest);
    }
}

/* What is no character becomes '?', the rest stays. */
static void test_utf8_mend(void **state)
{
    char good[] = "gr\u00fcn", bad[] = "caf\xe9 gr\u00fcn \xf0\x9f\x98", empty[] = "";

    (void)state;
    assert_string_equal(flo_utf8_mend(good), "gr\u00fcn");
    assert_string_equal(flo_utf8_mend(bad), "caf? gr\u00fcn ???");
    assert_string_equal(flo_utf8_mend(empty), "");
}

/* Digits in both cases, and what is none; bytes in lower case. */
static void test_hex(void **state)
{
    static const uint8_t bytes[] = {0x00, 0x9f, 0xa0, 0xff};
    char text[2 * sizeof bytes + 1];
    (void)state;
    for (int c = 0; c < 256; c++) {
        int lower = c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= '0' && c <= '9' ? c - '0' : -1;
        assert_int_equal(flo_hex_lower((char)c), lower);
        assert_int_equal(flo_hex_digit((char)c), c >= 'A' && c <= 'F' ? c - 'A' + 10 : lower);
    }
    flo_hex_write(bytes, sizeof bytes, text);
    assert_string_equal(text, "009fa0ff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_names),
        cmocka_unit_test(test_error_sentence),
        cmocka_unit_test(test_error_long_sentence_cut_between_characters),
        cmocka_unit_test(test_base64_known_texts),
        cmocka_unit_test(test_base64_round_trip),
        cmocka_unit_test(test_base64_malformed_refused),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_utf8_forms),
        cmocka_unit_test(test_utf8_cut),
        cmocka_unit_test(test_utf8_mend),
        cmocka_unit_test(test_sha256_known_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
