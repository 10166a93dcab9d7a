/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally.c - the metrics of activity code, on the executor's side: summed up for an attempt and sent
 * as notes, so that a loop which counts a million times sends a few hundred bytes. The same for
 * threads and processes.
 */
#include <stdarg.h>
#include <string.h>

#include "activity/context.h"
#include "activity/note.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/utf8.h"

#define FLUSH_NS FLO_NS_PER_S
#define ENTRIES_MAX 64 /* then they are sent before another one is begun */
#define USER_LABELS_MAX 4
#define NOTE_BYTES (FLO_JOB_NOTES_MAX / 4) /* of samples, in one note */
#define KEY_BYTES_MAX ((2 * USER_LABELS_MAX + 1) * (FLO_METRIC_LABEL_VALUE_MAX + 1) + 1)

/* One series; key: the kind, then the name and the labels as they are sent. */
struct entry {
    double value;
    uint64_t counts[]; /* histograms only */
};

struct flo_activity_tally {
    struct flo_map entries;
    int64_t flushed_ns;
    bool complained;
};

/* ---- sending ---- */

/* The sample that a key and its entry stand for; texts are the key's. */
static void to_sample(const char *key, size_t key_len, const struct entry *entry,
                      struct flo_user_sample *out)
{
    const char *at = key + 1, *end = key + key_len;

    *out = (struct flo_user_sample){
        .kind = (enum flo_metric_kind)key[0], .name = at, .value = entry->value};
    for (at += strlen(at) + 1; at < end; at += strlen(at) + 1) {
        out->label_names[out->label_count] = at;
        at += strlen(at) + 1;
        out->label_values[out->label_count++] = at;
    }
    if (out->kind == FLO_HISTOGRAM)
        memcpy(out->counts, entry->counts, sizeof out->counts);
}

static void send_note(struct flo_activity_context *ctx, struct flo_buf *out)
{
    if (out->len > 0)
        (void)!flo_job_note(ctx->io, out->data, out->len); /* the loop is far behind: lost */
    flo_buf_clear(out);
}

static void flush_locked(struct flo_activity_context *ctx, struct flo_activity_tally *tally)
{
    struct flo_buf out;

    flo_buf_init(&out, 0);
    for (struct flo_map_entry *it = flo_map_first(&tally->entries); it; it = flo_map_next(it)) {
        struct flo_note note = {.kind = FLO_NOTE_SAMPLE};
        size_t key_len;
        const char *key = flo_map_key(it, &key_len);
        to_sample(key, key_len, flo_map_value(it), &note.sample);
        if (flo_note_put(&out, &note) || out.len > NOTE_BYTES)
            send_note(ctx, &out);
        flo_free(flo_map_value(it));
    }
    send_note(ctx, &out);
    flo_buf_fini(&out);
    flo_map_fini(&tally->entries);
    flo_map_init(&tally->entries);
    tally->flushed_ns = flo_clock_mono_ns();
}

void flo_activity_tally_flush(struct flo_activity_context *ctx)
{
    pthread_mutex_lock(&ctx->mu);
    if (ctx->tally && ctx->tally->entries.count > 0)
        flush_locked(ctx, ctx->tally);
    pthread_mutex_unlock(&ctx->mu);
}

void flo_activity_tally_end(struct flo_activity_context *ctx)
{
    if (!ctx->tally)
        return;
    flo_activity_tally_flush(ctx);
    flo_map_fini(&ctx->tally->entries);
    flo_free(ctx->tally);
    ctx->tally = NULL;
}

/* ---- counting ---- */

static char *put_text(char *to, const char *text)
{
    size_t len = strnlen(text, FLO_METRIC_LABEL_VALUE_MAX + 4);

    if (len > FLO_METRIC_LABEL_VALUE_MAX)
        len = flo_utf8_cut(text, len, FLO_METRIC_LABEL_VALUE_MAX);
    memcpy(to, text, len);
    to[len] = '\0';
    return to + len + 1;
}

/* The key, and its length; 0: names that cannot be, or too many labels. */
static size_t make_key(char *key, enum flo_metric_kind kind, const char *name, va_list labels)
{
    const char *label, *value;
    char *at = key + 1;

    if (!name || !flo_metric_name_ok(name))
        return 0;
    key[0] = (char)kind;
    at = put_text(at, name);
    for (int count = 0; (label = va_arg(labels, const char *)); count++) {
        value = va_arg(labels, const char *);
        if (!value || count == USER_LABELS_MAX || !flo_metric_name_ok(label))
            return 0;
        at = put_text(put_text(at, label), value);
    }
    return (size_t)(at - key);
}

static struct entry *entry_locked(struct flo_activity_context *ctx, const char *key, size_t len)
{
    struct flo_activity_tally *tally = ctx->tally;
    struct entry *entry = flo_map_get(&tally->entries, key, len);
    size_t counts = key[0] == FLO_HISTOGRAM ? FLO_USER_BUCKETS + 1 : 0;

    if (entry)
        return entry;
    if (tally->entries.count >= ENTRIES_MAX)
        flush_locked(ctx, tally);
    entry = flo_calloc(1, sizeof *entry + counts * sizeof entry->counts[0]);
    if (entry && flo_map_put(&tally->entries, key, len, entry, NULL)) {
        flo_free(entry);
        entry = NULL;
    }
    return entry;
}

static void count(struct entry *entry, enum flo_metric_kind kind, double value)
{
    const double *bounds = flo_user_metric_bounds();
    size_t bucket = 0;

    if (kind == FLO_GAUGE)
        entry->value = value;
    else
        entry->value += value;
    if (kind != FLO_HISTOGRAM)
        return;
    while (bounds[bucket] > 0 && value > bounds[bucket])
        bucket++;
    entry->counts[bucket]++;
}

static bool tally_ready_locked(struct flo_activity_context *ctx)
{
    if (ctx->tally)
        return true;
    ctx->tally = flo_calloc(1, sizeof *ctx->tally);
    if (!ctx->tally)
        return false;
    flo_map_init(&ctx->tally->entries);
    ctx->tally->flushed_ns = flo_clock_mono_ns();
    return true;
}

static void add(struct flo_activity_context *ctx, enum flo_metric_kind kind, const char *name,
                double value, va_list labels)
{
    char key[KEY_BYTES_MAX];
    size_t len = make_key(key, kind, name, labels);
    bool complain = false;

    if (value != value || (kind != FLO_GAUGE && value < 0))
        return; /* no number, or one that does not go up */
    pthread_mutex_lock(&ctx->mu);
    if (tally_ready_locked(ctx)) {
        struct entry *entry = len > 0 ? entry_locked(ctx, key, len) : NULL;
        if (entry)
            count(entry, kind, value);
        complain = len == 0 && !ctx->tally->complained;
        ctx->tally->complained |= complain;
        if (entry && flo_clock_mono_ns() - ctx->tally->flushed_ns >= FLUSH_NS)
            flush_locked(ctx, ctx->tally);
    }
    pthread_mutex_unlock(&ctx->mu);
    if (complain)
        flo_activity_log(ctx, FLO_LOG_WARN,
                         "a metric is not counted: '%.128s' or one of its labels is no name, or "
                         "it has more than %d labels",
                         name ? name : "", USER_LABELS_MAX);
}

void flo_activity_counter(struct flo_activity_context *ctx, const char *name, double amount, ...)
{
    va_list labels;

    va_start(labels, amount);
    add(ctx, FLO_COUNTER, name, amount, labels);
    va_end(labels);
}

void flo_activity_gauge(struct flo_activity_context *ctx, const char *name, double value, ...)
{
    va_list labels;

    va_start(labels, value);
    add(ctx, FLO_GAUGE, name, value, labels);
    va_end(labels);
}

void flo_activity_histogram(struct flo_activity_context *ctx, const char *name, double value, ...)
{
    va_list labels;

    va_start(labels, value);
    add(ctx, FLO_HISTOGRAM, name, value, labels);
    va_end(labels);
}
