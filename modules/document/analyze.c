/* SPDX-License-Identifier: Apache-2.0 */
/*
 * analyze.c - the analyze_chunk activity: words, term counts, MinHash over shingles of three words
 * and votes for a language, of one chunk. Term counts go to a blob, since a chunk has thousands.
 */
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "language.h"
#include "minhash.h"
#include "terms.h"

#define SHINGLE_WORDS 3
#define WORDS_PER_HEARTBEAT 20000

struct analysis {
    json_t *counts, *votes;
    json_int_t words;
    struct minhash signature;
};

/* The last words' hashes, oldest first; a shingle is the hash of all three. */
static void shingle(struct analysis *a, uint64_t window[SHINGLE_WORDS], const char *word)
{
    memmove(window, window + 1, (SHINGLE_WORDS - 1) * sizeof *window);
    window[SHINGLE_WORDS - 1] = fnv1a(FNV1A_START, word, strlen(word));
    if (a->words >= SHINGLE_WORDS) {
        uint64_t hash = FNV1A_START;
        for (unsigned i = 0; i < SHINGLE_WORDS; i++)
            hash = (hash ^ window[i]) * UINT64_C(0x9e3779b97f4a7c15);
        minhash_add(&a->signature, hash);
    }
}

static int read_words(struct flo_activity_context *ctx, const char *text, size_t len,
                      struct analysis *a)
{
    struct word_reader reader = {.text = text, .len = len};
    char word[TERM_MAX_BYTES + 1];
    uint64_t window[SHINGLE_WORDS] = {0};
    while (word_next(&reader, word)) {
        a->words++;
        if (term_count(a->counts, word, 1))
            return FLO_ENOMEM;
        language_vote(a->votes, word);
        shingle(a, window, word);
        if (a->words % WORDS_PER_HEARTBEAT == 0 && flo_activity_heartbeat(ctx, NULL))
            return FLO_ECANCELLED;
    }
    return 0;
}

static int answer(struct flo_activity_context *ctx, const struct document_shared *shared,
                  const struct analysis *a, json_t **out_result)
{
    char hash[DOCUMENT_HASH_LEN + 1], hex[MINHASH_HEX_LEN + 1];
    struct flo_err err;
    char *counts = json_dumps(a->counts, JSON_COMPACT | JSON_SORT_KEYS);
    if (!counts)
        return FLO_ENOMEM;
    int rc = blob_put(shared->blob_dir, counts, strlen(counts), hash, &err);
    free(counts);
    if (rc)
        return flo_activity_fail(ctx, "BlobStore", false, NULL, "%s", err.message);
    minhash_format(&a->signature, hex);
    *out_result = json_pack("{s:I, s:s, s:s, s:O}", "words", a->words, "terms", hash, "minhash",
                            hex, "languages", a->votes);
    return *out_result ? 0 : FLO_ENOMEM;
}

int analyze_chunk(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct document_shared *shared = flo_activity_shared(ctx);
    const char *hash = json_text(input, "text");
    json_int_t offset = json_integer_value(json_object_get(input, "offset"));
    json_int_t bytes = json_integer_value(json_object_get(input, "bytes"));
    struct analysis a = {.counts = json_object(), .votes = json_object()};
    struct flo_err err;
    char *text = NULL;
    size_t len = 0;
    minhash_init(&a.signature);

    int rc = hash ? blob_get(shared->blob_dir, hash, &text, &len, &err) : FLO_EINVAL;
    if (!hash) {
        rc = flo_activity_fail(ctx, "InvalidInput", true, NULL,
                               "analyze_chunk takes {\"text\", \"offset\", \"bytes\"}");
    } else if (rc) {
        rc = flo_activity_fail(ctx, "BlobStore", rc == FLO_EINVAL, NULL, "%s", err.message);
    } else if (offset < 0 || bytes < 0 || (size_t)offset > len ||
               (size_t)bytes > len - (size_t)offset) {
        rc = flo_activity_fail(ctx, "InvalidInput", true, NULL, "the chunk lies outside its text");
    } else {
        rc = a.counts && a.votes ? read_words(ctx, text + offset, (size_t)bytes, &a) : FLO_ENOMEM;
        if (rc == 0)
            rc = answer(ctx, shared, &a, out_result);
    }
    json_decref(a.counts);
    json_decref(a.votes);
    free(text);
    return rc;
}
