/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extract.c - the extract_text activity: a fetched document to plain UTF-8 text, stored as a blob,
 * with the places where it is cut into chunks.
 */
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "markup.h"

#define MAX_CHUNKS 256

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

size_t text_cut(const char *text, size_t len, size_t chunk_bytes, size_t *offsets, size_t max)
{
    if (len / max >= chunk_bytes)
        chunk_bytes = len / max + 1;
    size_t count = 0, at = 0;
    while (at < len && count < max) {
        offsets[count++] = at;
        size_t end = at + chunk_bytes;
        if (end >= len || count == max)
            break;
        size_t cut = end;
        while (cut > at + chunk_bytes / 2 && !is_space(text[cut]))
            cut--;
        if (!is_space(text[cut])) { /* one endless word: cut between characters at least */
            cut = end;
            while (cut > at + 1 && ((unsigned char)text[cut] & 0xc0) == 0x80)
                cut--;
        }
        at = cut;
    }
    return count;
}

/* The length of the UTF-8 sequence at p (of left bytes), or 0 when it is not one. */
static size_t sequence(const unsigned char *p, size_t left)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || n > left || (n == 2 && p[0] < 0xc2))
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((n == 3 && p[0] == 0xe0 && p[1] < 0xa0) || (n == 3 && p[0] == 0xed && p[1] > 0x9f) ||
        (n == 4 && p[0] == 0xf0 && p[1] < 0x90) || (n == 4 && p[0] == 0xf4 && p[1] > 0x8f) ||
        (n == 4 && p[0] > 0xf4))
        return 0;
    return n;
}

/* A copy in which what is not UTF-8 is taken as Latin-1: old text files are mostly that. */
static char *to_utf8(const char *data, size_t len, size_t *out_len)
{
    const unsigned char *p = (const unsigned char *)data;
    char *text = malloc(len * 2 + 1);
    size_t n = 0;
    if (!text)
        return NULL;
    for (size_t i = 0; i < len;) {
        size_t seq = sequence(p + i, len - i);
        if (seq) {
            memcpy(text + n, p + i, seq);
            n += seq;
            i += seq;
        } else {
            text[n++] = (char)(0xc0 | p[i] >> 6);
            text[n++] = (char)(0x80 | (p[i] & 0x3f));
            i++;
        }
    }
    text[n] = '\0';
    *out_len = n;
    return text;
}

static bool keep_going(void *ctx)
{
    return flo_activity_heartbeat(ctx, NULL) == 0;
}

/* HTML and Markdown go through the plugin. NULL with a sentence, or without one when the activity
 * is to stop. */
static char *strip_markup(struct flo_activity_context *ctx, const char *kind, const char *data,
                          size_t len, size_t *out_len, struct flo_err *err)
{
    const char *symbol =
        strcmp(kind, "text/html") == 0 ? "document_text_of_html" : "document_text_of_markdown";
    union {
        void *symbol;
        text_of_markup_fn call;
    } strip = {plugin_symbol("document-markup", symbol, err)};
    if (!strip.symbol)
        return NULL;
    char *text = strip.call(data, len, keep_going, ctx, out_len);
    if (!text && !flo_activity_cancelled(ctx))
        flo_fail(err, FLO_ENOMEM, "out of memory");
    return text;
}

static json_t *chunk_list(const char *hash, const char *text, size_t len, size_t chunk_bytes)
{
    size_t offsets[MAX_CHUNKS];
    size_t count = text_cut(text, len, chunk_bytes, offsets, MAX_CHUNKS);
    json_t *chunks = json_array();
    for (size_t i = 0; i < count; i++) {
        size_t end = i + 1 < count ? offsets[i + 1] : len;
        json_array_append_new(chunks, json_pack("{s:s, s:I, s:I}", "text", hash, "offset",
                                                (json_int_t)offsets[i], "bytes",
                                                (json_int_t)(end - offsets[i])));
    }
    return chunks;
}

int extract_text(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct document_shared *shared = flo_activity_shared(ctx);
    const char *blob = json_text(input, "blob"), *kind = json_text(input, "kind");
    char *data = NULL, *raw = NULL, *text = NULL, hash[DOCUMENT_HASH_LEN + 1];
    size_t raw_len = 0, data_len = 0, len = 0;
    struct flo_err err = {0};
    int rc = 0;

    if (!blob || !kind)
        return flo_activity_fail(ctx, "InvalidInput", true, NULL,
                                 "extract_text takes what fetch_document returned");
    rc = blob_get(shared->blob_dir, blob, &raw, &raw_len, &err);
    if (rc) {
        rc = flo_activity_fail(ctx, "BlobStore", rc == FLO_EINVAL, NULL, "%s", err.message);
        goto out;
    }
    flo_activity_heartbeat(ctx, NULL);
    data = to_utf8(raw, raw_len, &data_len);
    if (data && strcmp(kind, "text/plain") == 0) {
        text = data;
        len = data_len;
        data = NULL;
    } else if (data) {
        text = strip_markup(ctx, kind, data, data_len, &len, &err);
    }
    if (!text && flo_activity_cancelled(ctx)) {
        rc = FLO_ECANCELLED;
        goto out;
    }
    if (!text) {
        rc = flo_activity_fail(ctx, "ExtractFailed", false, NULL, "cannot extract text: %s",
                               err.code ? err.message : "out of memory");
        goto out;
    }
    if (flo_activity_heartbeat(ctx, NULL)) {
        rc = FLO_ECANCELLED;
        goto out;
    }
    if (blob_put(shared->blob_dir, text, len, hash, &err)) {
        rc = flo_activity_fail(ctx, "BlobStore", false, NULL, "%s", err.message);
        goto out;
    }
    *out_result = json_pack("{s:s, s:I, s:o}", "text", hash, "bytes", (json_int_t)len, "chunks",
                            chunk_list(hash, text, len, shared->chunk_bytes));
out:
    free(raw);
    free(data);
    free(text);
    return rc;
}
