/* SPDX-License-Identifier: Apache-2.0 */
/* language.h - a guess at a text's language by its most common small words. */
#ifndef DOCUMENT_LANGUAGE_H
#define DOCUMENT_LANGUAGE_H

#include <jansson.h>
#include <stdbool.h>

/* Count word (lower case) as votes in the object votes ({"en": n, ...}). */
void language_vote(json_t *votes, const char *word);
/* The winner ("en", "de", ...) when it has enough of the words, else "unknown". Static. */
const char *language_guess(const json_t *votes, json_int_t words);
/* Is it one of the small words of any of the languages? */
bool is_stop_word(const char *word);

#endif
