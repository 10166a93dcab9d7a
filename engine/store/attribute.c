/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attribute.c - SQL functions on a stored SearchAttributes message.
 *
 *    flo_attribute(blob, name, type)  its first value, as that IndexedValueType; NULL without one
 *    flo_has_item(blob, name, text)   is the text in the attribute, a list? Case does not count
 *    flo_has_word(blob, name, words)  has the attribute, a text, one of the words?
 */
#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/store/internal.h"
#include "wire/api.h"
#include "wire/decode.h"

#define BUDGET ((size_t)1 << 20) /* more than 40 KiB of attributes need */

/* The JSON of an attribute, in arena; NULL when it is not there. */
static const ProtobufCBinaryData *find(sqlite3_value *message_value, sqlite3_value *name_value,
                                       struct flo_arena *arena)
{
    ProtobufCMessage *message;
    const void *blob = sqlite3_value_blob(message_value);
    const size_t len = (size_t)sqlite3_value_bytes(message_value);
    const char *name = (const char *)sqlite3_value_text(name_value);
    if (!blob || !name ||
        flo_wire_decode(&flo_api__search_attributes__descriptor, blob, len, arena, &message, NULL))
        return NULL;
    const FloApi__SearchAttributes *attributes = (const void *)message;
    for (size_t i = 0; i < attributes->n_indexed_fields; i++) {
        const FloApi__SearchAttributes__IndexedFieldsEntry *entry = attributes->indexed_fields[i];
        if (strcmp(entry->key, name) == 0 && entry->value)
            return &entry->value->data;
    }
    return NULL;
}

#define STOP 1 /* one value is enough */

static int result_is(void *ctx, const struct flo_store_value *value)
{
    sqlite3_context *context = ctx;
    switch (value->kind) {
    case FLO_STORE_INT:
        sqlite3_result_int64(context, value->integer);
        break;
    case FLO_STORE_REAL:
        sqlite3_result_double(context, value->real);
        break;
    case FLO_STORE_TEXT:
        sqlite3_result_text(context, value->text, -1, SQLITE_TRANSIENT);
        break;
    }
    return STOP;
}

static void attribute(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct flo_arena arena;
    (void)count;
    flo_arena_init(&arena, BUDGET);
    const ProtobufCBinaryData *data = find(values[0], values[1], &arena);
    if (data && data->len >= 2 && data->data[0] == '[') /* a list is there, be it empty */
        sqlite3_result_text(context, "", 0, SQLITE_STATIC);
    if (data)
        flo_store_attribute_values((FloApi__IndexedValueType)sqlite3_value_int(values[2]),
                                   data->data, data->len, result_is, context);
    flo_arena_fini(&arena);
}

/* ---- lists and words ---- */

struct search {
    struct flo_arena arena;
    char *wanted; /* folded */
    bool found;
};

/* The next run of letters and digits; bytes beyond ASCII count as letters. NULL: none is left. */
static const char *next_word(const char **at, size_t *out_len)
{
    const char *from = *at;
    while (*from && !isalnum((unsigned char)*from) && (unsigned char)*from < 0x80)
        from++;
    const char *to = from;
    while (isalnum((unsigned char)*to) || (unsigned char)*to >= 0x80)
        to++;
    *at = to;
    *out_len = (size_t)(to - from);
    return *out_len ? from : NULL;
}

static bool has_word(const char *text, const char *word, size_t len)
{
    size_t other_len;
    for (const char *other; (other = next_word(&text, &other_len));)
        if (other_len == len && memcmp(other, word, len) == 0)
            return true;
    return false;
}

static char *folded_copy(struct flo_arena *arena, const char *text)
{
    char *copy = flo_arena_strdup(arena, text);
    if (copy)
        flo_store_fold(copy, copy);
    return copy;
}

static int look_for_item(void *ctx, const struct flo_store_value *value)
{
    struct search *search = ctx;
    const char *item = folded_copy(&search->arena, value->text);
    search->found = item && strcmp(item, search->wanted) == 0;
    return search->found ? STOP : 0;
}

static int look_for_words(void *ctx, const struct flo_store_value *value)
{
    struct search *search = ctx;
    const char *text = folded_copy(&search->arena, value->text), *words = search->wanted;
    size_t len;
    for (const char *word; text && !search->found && (word = next_word(&words, &len));)
        search->found = has_word(text, word, len);
    return STOP;
}

/* Is wanted in the attribute, as look finds it? */
static void search(sqlite3_context *context, sqlite3_value **values, flo_store_value_fn look)
{
    struct search search = {.found = false};
    const char *wanted = (const char *)sqlite3_value_text(values[2]);
    flo_arena_init(&search.arena, BUDGET);
    const ProtobufCBinaryData *data = find(values[0], values[1], &search.arena);
    if (data && wanted)
        search.wanted = folded_copy(&search.arena, wanted);
    if (data && search.wanted)
        flo_store_attribute_values(FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD_LIST,
                                   data->data, data->len, look, &search);
    sqlite3_result_int(context, search.found);
    flo_arena_fini(&search.arena);
}

static void has_item(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    search(context, values, look_for_item);
}

static void has_word_of(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    search(context, values, look_for_words);
}

int flo_store_add_functions(struct flo_store_connection *connection, struct flo_err *err)
{
    static const struct {
        const char *name;
        void (*fn)(sqlite3_context *context, int count, sqlite3_value **values);
    } functions[] = {
        {"flo_attribute", attribute}, {"flo_has_item", has_item}, {"flo_has_word", has_word_of}};
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int rc = 0;
    for (size_t i = 0; i < sizeof functions / sizeof *functions && !rc; i++)
        rc = sqlite3_create_function_v2(connection->db, functions[i].name, 3, flags, NULL,
                                        functions[i].fn, NULL, NULL, NULL);
    return rc ? flo_store_error(connection->db, rc, "cannot set up SQLite", err) : 0;
}
