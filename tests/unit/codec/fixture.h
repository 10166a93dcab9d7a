/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h - payloads of text, key files in a folder of their own. */
#ifndef FLO_TESTS_CODEC_FIXTURE_H
#define FLO_TESTS_CODEC_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/codec.h"
#include "support/cmocka_env.h"
#include "wire/payload.h"

#define KEY_A "a AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
#define KEY_B "b AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"

struct fixture {
    struct flo_arena arena;
    char folder[64], a[80], b[80];
};

static inline void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    flo_arena_init(&f->arena, 0);
    snprintf(f->folder, sizeof f->folder, "/tmp/flo-codec-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->a, sizeof f->a, "%s/a", f->folder);
    snprintf(f->b, sizeof f->b, "%s/b", f->folder);
    write_file(f->a, KEY_A, 0600);
    write_file(f->b, KEY_B, 0600);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    unlink(f->a);
    unlink(f->b);
    rmdir(f->folder);
    flo_arena_fini(&f->arena);
    free(f);
    return 0;
}

/* Payloads with one element, a JSON string of len times c. */
static inline FloApi__Payloads *payloads_of(struct fixture *f, char c, size_t len)
{
    char *text = flo_arena_calloc(&f->arena, 1, len + 1);
    memset(text, c, len);
    json_t *value = json_string(text);
    FloApi__Payloads *payloads = flo_payloads_from_json(&f->arena, value);
    json_decref(value);
    assert_non_null(payloads);
    return payloads;
}

static inline void assert_text(const FloApi__Payloads *payloads, char c, size_t len)
{
    json_t *value = NULL;
    assert_int_equal(flo_payloads_to_json(payloads, false, &value, NULL), 0);
    assert_true(json_is_string(value));
    assert_int_equal(json_string_length(value), len);
    assert_true(len == 0 || json_string_value(value)[len - 1] == c);
    json_decref(value);
}

static inline bool encoded_as(const FloApi__Payloads *payloads, const char *encoding)
{
    return flo_payload_encoded_as(flo_payload_veil(payloads->payloads[0]), encoding);
}

#endif
