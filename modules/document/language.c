/* SPDX-License-Identifier: Apache-2.0 */
/* language.c - small words vote for their languages. */
#include "language.h"

#include <string.h>

#include "terms.h"

#define LANGUAGES 7

static const struct {
    const char *code;
    const char *const words[32]; /* ends with NULL */
} languages[LANGUAGES] = {
    {"en", {"the",  "of",   "and",  "to",   "in",  "is",   "that", "for", "it",   "with",
            "as",   "be",   "this", "are",  "by",  "not",  "or",   "you", "from", "which",
            "have", "your", "any",  "such", "may", "will", "has",  "was", NULL}},
    {"de", {"der",  "die",  "und", "das",  "ist", "nicht", "den",  "von", "mit",
            "ein",  "eine", "auf", "dem",  "des", "sich",  "auch", "als", "werden",
            "oder", "wird", "für", "sind", "im",  "zu",    NULL}},
    {"fr", {"le",  "la", "les",  "et",  "des",  "est",   "une", "que", "dans", "pour", "pas", "qui",
            "sur", "du", "avec", "par", "sont", "cette", "ou",  "au",  "nous", "vous", NULL}},
    {"es", {"el",  "los", "las", "que",  "y",    "en",  "una",  "por",  "con", "para", "es",
            "del", "se",  "lo",  "como", "pero", "sus", "este", "esta", "al",  NULL}},
    {"it", {"il",    "di",  "che", "e",  "gli",  "per",    "una",   "sono", "con", "non",
            "della", "del", "nel", "si", "alla", "questo", "anche", "più",  "dei", NULL}},
    {"nl", {"de",   "het", "een", "van", "en",    "dat",  "niet", "op",   "te",   "zijn",
            "voor", "met", "aan", "ook", "wordt", "naar", "bij",  "maar", "deze", NULL}},
    {"pt", {"o",   "os",  "as",  "que", "do",   "da",   "em",  "um",  "uma", "para", "com",
            "não", "por", "dos", "das", "mais", "como", "foi", "são", "ao",  NULL}},
};

static bool speaks(unsigned language, const char *word)
{
    for (const char *const *w = languages[language].words; *w; w++)
        if (strcmp(*w, word) == 0)
            return true;
    return false;
}

void language_vote(json_t *votes, const char *word)
{
    if (strlen(word) > 8)
        return;
    for (unsigned i = 0; i < LANGUAGES; i++)
        if (speaks(i, word))
            term_count(votes, languages[i].code, 1);
}

const char *language_guess(const json_t *votes, json_int_t words)
{
    const char *best = "unknown";
    json_int_t most = words / 20; /* prose has one small word in five or more */
    for (unsigned i = 0; i < LANGUAGES; i++) {
        json_int_t n = json_integer_value(json_object_get(votes, languages[i].code));
        if (n > most) {
            most = n;
            best = languages[i].code;
        }
    }
    return best;
}

bool is_stop_word(const char *word)
{
    for (unsigned i = 0; i < LANGUAGES; i++)
        if (speaks(i, word))
            return true;
    return false;
}
