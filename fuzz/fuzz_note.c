/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_note.c - what an executor process tells its worker about an attempt. Its bytes may be
 * anything; a record that is read and written again reads the same.
 */
#include <string.h>

#include "activity/note.h"
#include "fuzz.h"

static void check_same(const struct flo_note *a, const struct flo_note *b)
{
    FUZZ_CHECK(a->kind == b->kind);
    if (a->kind == FLO_NOTE_BEAT_EVERY) {
        FUZZ_CHECK(a->every_ms == b->every_ms && a->every_ms >= 0);
        return;
    }
    FUZZ_CHECK(a->sample.kind == b->sample.kind);
    FUZZ_CHECK(memcmp(&a->sample.value, &b->sample.value, sizeof a->sample.value) == 0);
    FUZZ_CHECK(memcmp(a->sample.counts, b->sample.counts, sizeof a->sample.counts) == 0);
    FUZZ_CHECK(strcmp(a->sample.name, b->sample.name) == 0);
    FUZZ_CHECK(a->sample.label_count == b->sample.label_count && a->sample.label_count <= 4);
    for (size_t i = 0; i < a->sample.label_count; i++) {
        FUZZ_CHECK(strcmp(a->sample.label_names[i], b->sample.label_names[i]) == 0);
        FUZZ_CHECK(strcmp(a->sample.label_values[i], b->sample.label_values[i]) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *at = data;
    struct flo_note note, again;

    while (flo_note_get(&at, data + size, 4, &note)) {
        const uint8_t *copy;
        struct flo_buf out;
        flo_buf_init(&out, 0);
        FUZZ_CHECK(flo_note_put(&out, &note) == 0);
        copy = out.data;
        FUZZ_CHECK(flo_note_get(&copy, out.data + out.len, 4, &again));
        FUZZ_CHECK(copy == out.data + out.len);
        check_same(&note, &again);
        if (note.kind == FLO_NOTE_SAMPLE) { /* what is read may be used */
            struct flo_metrics *metrics = NULL;
            if (flo_metrics_new(&metrics, NULL) == 0)
                (void)!flo_metrics_user_add(metrics, &note.sample, NULL);
            flo_metrics_destroy(&metrics);
        }
        flo_buf_fini(&out);
    }
    return 0;
}
