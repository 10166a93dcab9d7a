/* SPDX-License-Identifier: Apache-2.0 */
/* test_document.c - the pure parts of the document module, its blob folder, index and pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "document.h"
#include "index.h"
#include "language.h"
#include "markup.h"
#include "minhash.h"
#include "terms.h"

char *document_text_of_html(const char *data, size_t len, bool (*keep_going)(void *ctx), void *ctx,
                            size_t *out_len);
char *document_text_of_markdown(const char *data, size_t len, bool (*keep_going)(void *ctx),
                                void *ctx, size_t *out_len);

/* Says yes as often as *ctx says. */
static bool go_on(void *ctx)
{
    return (*(int *)ctx)-- > 0;
}

/* The pool asks for a backend by name; here there is only SQLite. */
const struct index_backend *index_backend_for(const char *database, struct flo_err *err)
{
    (void)database;
    (void)err;
    return &index_sqlite;
}

struct fixture {
    char dir[64];
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/flo-document-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static void words_of(const char *text, char *out, size_t size)
{
    struct word_reader reader = {.text = text, .len = strlen(text)};
    char word[TERM_MAX_BYTES + 1];
    size_t n = 0;
    out[0] = '\0';
    while (word_next(&reader, word))
        n += (size_t)snprintf(out + n, size - n, "%s|", word);
}

/* Words are lower case, keep inner apostrophes and letters of all scripts. */
static void test_word_next_mixed_text_splits(void **state)
{
    (void)state;
    char words[256];
    words_of("Don't STOP -- it's 42, 'quoted' Ärger; naïve?", words, sizeof words);
    assert_string_equal(words, "don't|stop|it's|42|quoted|ärger|naïve|");
    words_of("", words, sizeof words);
    assert_string_equal(words, "");
    words_of("\xe2\x80\x94 \xff\xc3", words, sizeof words);
    assert_string_equal(words, "");
}

/* Top terms leave small words out and break ties by the alphabet. */
static void test_terms_top_counts_orders(void **state)
{
    (void)state;
    json_t *counts =
        json_pack("{s:i,s:i,s:i,s:i,s:i}", "the", 99, "beta", 3, "alpha", 3, "gamma", 7, "ab", 50);
    json_t *top = terms_top(counts, 2);
    char *text = json_dumps(top, JSON_COMPACT);
    assert_string_equal(text,
                        "[{\"term\":\"gamma\",\"count\":7},{\"term\":\"alpha\",\"count\":3}]");
    free(text);
    json_decref(top);
    json_decref(counts);
}

static void assert_language(const char *text, const char *expected)
{
    struct word_reader reader = {.text = text, .len = strlen(text)};
    char word[TERM_MAX_BYTES + 1];
    json_t *votes = json_object();
    json_int_t words = 0;
    while (word_next(&reader, word)) {
        words++;
        language_vote(votes, word);
    }
    assert_string_equal(language_guess(votes, words), expected);
    json_decref(votes);
}

static void test_language_guess_prose_finds_language(void **state)
{
    (void)state;
    assert_language("the quick brown fox jumps over the lazy dog and is not seen by it", "en");
    assert_language("der Hund und die Katze sind nicht auf dem Dach, sondern in dem Haus", "de");
    assert_language("le chat et la souris sont dans une maison avec des amis", "fr");
    assert_language("xyzzy plugh frobnicate quux", "unknown");
}

static struct minhash signature_of(const char *text)
{
    struct minhash signature;
    minhash_init(&signature);
    for (size_t i = 0; i + 8 <= strlen(text); i++)
        minhash_add(&signature, fnv1a(FNV1A_START, text + i, 8));
    return signature;
}

/* Equal texts have equal signatures, near ones are near, others far; the text form is exact. */
static void test_minhash_similarity_follows_overlap(void **state)
{
    (void)state;
    const char *text = "Whereas recognition of the inherent dignity and of the equal rights of all "
                       "members of the human family is the foundation of freedom in the world";
    char changed[256], hex[MINHASH_HEX_LEN + 1];
    snprintf(changed, sizeof changed, "%s, truly", text);
    struct minhash a = signature_of(text), b = signature_of(changed), parsed;
    struct minhash c = signature_of("An entirely different sentence about other things, and long "
                                    "enough to have many shingles of its own to compare");
    assert_true(minhash_similarity(&a, &a) == 1.0);
    assert_true(minhash_similarity(&a, &b) > 0.8);
    assert_true(minhash_similarity(&a, &c) < 0.3);
    minhash_format(&a, hex);
    assert_true(minhash_parse(hex, &parsed));
    assert_memory_equal(&a, &parsed, sizeof a);
    hex[3] = 'x';
    assert_false(minhash_parse(hex, &parsed));
    struct minhash merged = a;
    minhash_merge(&merged, &a);
    assert_memory_equal(&merged, &a, sizeof a);
}

/* A blob comes back whole under its SHA-256; damage and nonsense are told apart. */
static void test_blob_put_get_round_trip(void **state)
{
    struct fixture *f = *state;
    char hash[DOCUMENT_HASH_LEN + 1], path[256], *data;
    size_t len;
    struct flo_err err;
    assert_int_equal(blob_put(f->dir, "hello", 5, hash, &err), 0);
    assert_string_equal(hash, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_int_equal(blob_put(f->dir, "hello", 5, hash, &err), 0);
    assert_int_equal(blob_get(f->dir, hash, &data, &len, &err), 0);
    assert_int_equal(len, 5);
    assert_string_equal(data, "hello");
    free(data);

    assert_int_equal(blob_get(f->dir, "../../etc/passwd", &data, &len, &err), FLO_EINVAL);
    hash[0] = '3';
    assert_int_equal(blob_get(f->dir, hash, &data, &len, &err), FLO_ENOENT);
    hash[0] = '2';
    snprintf(path, sizeof path, "%s/2c/%s", f->dir, hash + 2);
    FILE *file = fopen(path, "w");
    fputs("jello", file);
    fclose(file);
    assert_int_equal(blob_get(f->dir, hash, &data, &len, &err), FLO_EDATA);
}

/* HTML loses its tags and what no reader sees; entities are decoded; nesting costs no stack. */
static void test_html_page_becomes_text(void **state)
{
    (void)state;
    const char *page = "<html><head><style>p{}</style><title>T</title></head><body><p>One &amp; "
                       "<b>two</b></p><script>var x = 1;</script><p>three&#33;</p></body></html>";
    size_t len;
    int yes = 10;
    char *text = document_text_of_html(page, strlen(page), go_on, &yes, &len);
    assert_non_null(text);
    assert_non_null(strstr(text, "One & two"));
    assert_non_null(strstr(text, "three!"));
    assert_null(strstr(text, "var x"));
    assert_null(strstr(text, "p{}"));
    free(text);

    size_t deep = 200000;
    char *nested = malloc(deep * 5 + 1);
    for (size_t i = 0; i < deep; i++)
        memcpy(nested + i * 5, "<div>", 5);
    text = document_text_of_html(nested, deep * 5, go_on, &yes, &len);
    assert_non_null(text);
    free(text);
    yes = 0; /* told to stop */
    assert_null(document_text_of_html(nested, deep * 5, go_on, &yes, &len));
    free(nested);
}

static void test_markdown_becomes_text(void **state)
{
    (void)state;
    const char *page =
        "# Title\n\nSome *emphasis* and a [link](http://x.example/).\n\n```\ncode\n```\n";
    size_t len;
    int yes = 10;
    char *text = document_text_of_markdown(page, strlen(page), go_on, &yes, &len);
    assert_string_equal(text, "Title\n\nSome emphasis and a link.\n\ncode\n\n");
    free(text);
}

struct found {
    unsigned count;
    char uri[64];
};

static void on_found(void *ctx, const char *uri, const char *signature)
{
    (void)signature;
    struct found *found = ctx;
    found->count++;
    snprintf(found->uri, sizeof found->uri, "%s", uri);
}

/* Indexing twice leaves one row; a twin is found, the document itself is not. */
static void test_index_twin_is_found_once(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct flo_err err;
    struct index_pool *pool = NULL;
    struct index_connection connection;
    snprintf(path, sizeof path, "%s/sub/index.db", f->dir);
    assert_int_equal(index_pool_new(path, 2, 0, &pool, &err), 0);
    assert_int_equal(index_pool_take(pool, 1000, &connection, &err), 0);
    json_t *top = json_array();
    struct index_document one = {.uri = "file:///one",
                                 .blob = "b",
                                 .language = "en",
                                 .words = 3,
                                 .top_terms = top,
                                 .signature = signature_of("the very same text in both of them")};
    struct index_document two = one;
    two.uri = "file:///two";
    struct found found = {0};
    assert_int_equal(connection.backend->upsert(connection.handle, &one, &err), 0);
    assert_int_equal(connection.backend->upsert(connection.handle, &one, &err), 0);
    assert_int_equal(
        connection.backend->candidates(connection.handle, &one, on_found, &found, &err), 0);
    assert_int_equal(found.count, 0);
    assert_int_equal(connection.backend->upsert(connection.handle, &two, &err), 0);
    assert_int_equal(
        connection.backend->candidates(connection.handle, &one, on_found, &found, &err), 0);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.uri, "file:///two");
    index_pool_give(pool, connection, false);
    index_pool_destroy(&pool);
    json_decref(top);
}

/* One connection more than the pool may have is refused after the wait. */
static void test_pool_exhausted_times_out(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct flo_err err;
    struct index_pool *pool = NULL;
    struct index_connection a, b, c;
    snprintf(path, sizeof path, "%s/index.db", f->dir);
    assert_int_equal(index_pool_new(path, 1, 1, &pool, &err), 0);
    assert_int_equal(index_pool_take(pool, 1000, &a, &err), 0);
    assert_int_equal(index_pool_take(pool, 1000, &b, &err), 0);
    assert_int_equal(index_pool_take(pool, 10, &c, &err), FLO_ETIMEDOUT);
    index_pool_give(pool, a, false); /* the overflow one: closed */
    assert_int_equal(index_pool_take(pool, 1000, &c, &err), 0);
    index_pool_give(pool, b, false);
    index_pool_give(pool, c, true);
    index_pool_destroy(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_word_next_mixed_text_splits),
        cmocka_unit_test(test_terms_top_counts_orders),
        cmocka_unit_test(test_language_guess_prose_finds_language),
        cmocka_unit_test(test_minhash_similarity_follows_overlap),
        cmocka_unit_test_setup_teardown(test_blob_put_get_round_trip, setup, teardown),
        cmocka_unit_test(test_html_page_becomes_text),
        cmocka_unit_test(test_markdown_becomes_text),
        cmocka_unit_test_setup_teardown(test_index_twin_is_found_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pool_exhausted_times_out, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
