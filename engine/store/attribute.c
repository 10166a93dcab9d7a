/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attribute.c - SQL functions on a stored SearchAttributes message.
 *
 *    flo_attribute(blob, name)        the JSON of one attribute; NULL when it is not there or no
 * JSON flo_has_word(blob, name, words)  does the attribute, a text, have one of the words?
 */
#include <ctype.h>
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "engine/store/internal.h"
#include "wire/api.h"
#include "wire/decode.h"

#define BUDGET ((size_t)1 << 20) /* more than 40 KiB of attributes need */

/* What is no JSON must not make a whole list fail. */
static bool is_json(const ProtobufCBinaryData *data)
{
    json_t *value = json_loadb((const char *)data->data, data->len, JSON_DECODE_ANY, NULL);
    json_decref(value);
    return value != NULL;
}

/* The value of an attribute, in arena; NULL when it is not there. */
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

static void attribute(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct flo_arena arena;
    (void)count;
    flo_arena_init(&arena, BUDGET);
    const ProtobufCBinaryData *data = find(values[0], values[1], &arena);
    if (data && is_json(data))
        sqlite3_result_text64(context, (const char *)data->data, data->len, SQLITE_TRANSIENT,
                              SQLITE_UTF8);
    flo_arena_fini(&arena);
}

/* ---- words ---- */

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
        if (other_len == len && strncasecmp(other, word, len) == 0)
            return true;
    return false;
}

static bool has_any_word(const char *text, const char *words)
{
    size_t len;
    for (const char *word; (word = next_word(&words, &len));)
        if (has_word(text, word, len))
            return true;
    return false;
}

static void has_word_of(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct flo_arena arena;
    const char *words = (const char *)sqlite3_value_text(values[2]);
    (void)count;
    flo_arena_init(&arena, BUDGET);
    const ProtobufCBinaryData *data = find(values[0], values[1], &arena);
    json_t *value = data && words
                        ? json_loadb((const char *)data->data, data->len, JSON_DECODE_ANY, NULL)
                        : NULL;
    sqlite3_result_int(context,
                       json_is_string(value) && has_any_word(json_string_value(value), words));
    json_decref(value);
    flo_arena_fini(&arena);
}

int flo_store_add_functions(struct flo_store_connection *connection, struct flo_err *err)
{
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int rc = sqlite3_create_function_v2(connection->db, "flo_attribute", 2, flags, NULL, attribute,
                                        NULL, NULL, NULL);
    if (!rc)
        rc = sqlite3_create_function_v2(connection->db, "flo_has_word", 3, flags, NULL, has_word_of,
                                        NULL, NULL, NULL);
    return rc ? flo_store_error(connection->db, rc, "cannot set up SQLite", err) : 0;
}
