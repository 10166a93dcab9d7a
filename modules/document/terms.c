/* SPDX-License-Identifier: Apache-2.0 */
/* terms.c - words and their counts. */
#include "terms.h"

#include <locale.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "language.h"

static locale_t utf8; /* C.UTF-8: Unicode's classes, no language's habits */
static pthread_once_t utf8_once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static bool is_letter(wint_t c)
{
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return utf8 ? iswalnum_l(c, utf8) != 0 : true;
}

static wint_t lower(wint_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return utf8 ? towlower_l(c, utf8) : c;
}

/* Decode the character at p; the text is UTF-8 (extract.c sees to it), a cut end reads as bytes. */
static size_t decode(const unsigned char *p, size_t left, wint_t *out)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 1;
    if (n == 1 || n > left) {
        *out = p[0] < 0x80 ? p[0] : ' ';
        return 1;
    }
    wint_t c = p[0] & (0x7f >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    *out = c;
    return n;
}

static size_t encode(wint_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00 >> n) | c);
    return n;
}

size_t word_next(struct word_reader *reader, char out_word[TERM_MAX_BYTES + 1])
{
    pthread_once(&utf8_once, make_locale);
    const unsigned char *p = (const unsigned char *)reader->text;
    size_t n = 0;
    while (reader->at < reader->len) {
        wint_t c, next = ' ';
        size_t step = decode(p + reader->at, reader->len - reader->at, &c);
        if (c == 0x2019)
            c = '\'';
        bool inner = false;
        if (c == '\'' && n && reader->at + step < reader->len) {
            decode(p + reader->at + step, reader->len - reader->at - step, &next);
            inner = is_letter(next);
        }
        if (!is_letter(c) && !inner) {
            reader->at += step;
            if (n)
                break;
            continue;
        }
        if (n + 4 <= TERM_MAX_BYTES)
            n += encode(lower(c), out_word + n);
        reader->at += step;
    }
    out_word[n] = '\0';
    return n;
}

int term_count(json_t *counts, const char *term, json_int_t n)
{
    json_t *count = json_object_get(counts, term);
    if (count)
        return json_integer_set(count, json_integer_value(count) + n);
    return json_object_set_new(counts, term, json_integer(n));
}

struct top {
    const char *term;
    json_int_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct top *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return strcmp(x->term, y->term);
}

json_t *terms_top(const json_t *counts, size_t most)
{
    size_t n = 0;
    struct top *all = calloc(json_object_size(counts) + 1, sizeof *all);
    json_t *result = json_array(), *count;
    const char *term;
    if (!all)
        return result;
    json_object_foreach((json_t *)(uintptr_t)counts, term, count)
    {
        if (strlen(term) >= 3 && !is_stop_word(term) && !(term[0] >= '0' && term[0] <= '9'))
            all[n++] = (struct top){term, json_integer_value(count)};
    }
    qsort(all, n, sizeof *all, by_count);
    for (size_t i = 0; i < n && i < most; i++)
        json_array_append_new(result,
                              json_pack("{s:s, s:I}", "term", all[i].term, "count", all[i].count));
    free(all);
    return result;
}
