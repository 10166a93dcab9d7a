/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terms.h - splitting text into words, and counting them. A word is a run of letters, digits and
 * inner apostrophes, lower-cased by Unicode's rules whatever the process's locale is.
 */
#ifndef DOCUMENT_TERMS_H
#define DOCUMENT_TERMS_H

#include <jansson.h>
#include <stddef.h>

#define TERM_MAX_BYTES 64 /* longer words are cut */

/* Reads words from UTF-8 text one after another. */
struct word_reader {
    const char *text;
    size_t len, at;
};

/* The next word, lower case, NUL-terminated, into out_word; its length, 0 at the end. */
size_t word_next(struct word_reader *reader, char out_word[TERM_MAX_BYTES + 1]);

/* Count one more of term in the object counts ({"term": n}). 0 or -1 without memory. */
int term_count(json_t *counts, const char *term, json_int_t n);

/* The `most` most frequent terms of counts that are worth showing (no stop words, three letters or
 * more), as an array of {"term", "count"}; ties by alphabet. A new reference. */
json_t *terms_top(const json_t *counts, size_t most);

#endif
