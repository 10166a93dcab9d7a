/* SPDX-License-Identifier: Apache-2.0 */
/* note.c - the wire form of an attempt's notes; see note.h. */
#include "activity/note.h"

#include <string.h>

#include "wire/varint.h"

static void put_number(struct flo_buf *out, uint64_t value)
{
    uint8_t bytes[FLO_VARINT_MAX];

    flo_buf_append(out, bytes, (size_t)(flo_varint_put(bytes, value) - bytes));
}

static void put_text(struct flo_buf *out, const char *text)
{
    flo_buf_append(out, text, strlen(text) + 1);
}

static void put_sample(struct flo_buf *out, const struct flo_user_sample *sample)
{
    const uint8_t kind = (uint8_t)sample->kind;

    flo_buf_append(out, &kind, 1);
    flo_buf_append(out, &sample->value, sizeof sample->value);
    for (size_t i = 0; sample->kind == FLO_HISTOGRAM && i <= FLO_USER_BUCKETS; i++)
        put_number(out, sample->counts[i]);
    put_text(out, sample->name);
    for (size_t i = 0; i < sample->label_count; i++) {
        put_text(out, sample->label_names[i]);
        put_text(out, sample->label_values[i]);
    }
}

int flo_note_put(struct flo_buf *out, const struct flo_note *note)
{
    const uint8_t kind = (uint8_t)note->kind;
    struct flo_buf body;
    int rc;

    flo_buf_init(&body, 0);
    if (note->kind == FLO_NOTE_BEAT_EVERY)
        put_number(&body, (uint64_t)note->every_ms);
    else
        put_sample(&body, &note->sample);
    rc = body.failed ? FLO_ENOMEM : flo_buf_append(out, &kind, 1);
    if (!rc) {
        put_number(out, body.len);
        rc = flo_buf_append(out, body.data, body.len);
    }
    flo_buf_fini(&body);
    return rc;
}

/* A text that ends before end. */
static const char *get_text(const uint8_t **at, const uint8_t *end)
{
    const char *text = (const char *)*at;
    const uint8_t *nul = *at < end ? memchr(*at, '\0', (size_t)(end - *at)) : NULL;

    if (!nul)
        return NULL;
    *at = nul + 1;
    return text;
}

static bool get_sample(const uint8_t *at, const uint8_t *end, size_t max_labels,
                       struct flo_user_sample *out)
{
    *out = (struct flo_user_sample){0};
    if ((size_t)(end - at) < 1 + sizeof out->value || at[0] > FLO_HISTOGRAM)
        return false;
    out->kind = (enum flo_metric_kind)at[0];
    memcpy(&out->value, at + 1, sizeof out->value);
    at += 1 + sizeof out->value;
    for (size_t i = 0; out->kind == FLO_HISTOGRAM && i <= FLO_USER_BUCKETS; i++)
        if (!flo_varint_get(&at, end, &out->counts[i]))
            return false;
    out->name = get_text(&at, end);
    while (out->name && at < end && out->label_count < max_labels) {
        out->label_names[out->label_count] = get_text(&at, end);
        out->label_values[out->label_count] = get_text(&at, end);
        if (!out->label_values[out->label_count])
            return false;
        out->label_count++;
    }
    return out->name && at == end;
}

bool flo_note_get(const uint8_t **at, const uint8_t *end, size_t max_labels,
                  struct flo_note *out_note)
{
    const uint8_t *body = *at;
    uint64_t len, every;

    if (body == end)
        return false;
    out_note->kind = (enum flo_note_kind) * body++;
    if (!flo_varint_get(&body, end, &len) || len > (uint64_t)(end - body))
        return false;
    *at = body + len;
    if (out_note->kind == FLO_NOTE_SAMPLE)
        return get_sample(body, *at, max_labels, &out_note->sample);
    if (out_note->kind != FLO_NOTE_BEAT_EVERY || !flo_varint_get(&body, *at, &every) ||
        every > INT64_MAX / 1000000)
        return false;
    out_note->every_ms = (int64_t)every;
    return true;
}
