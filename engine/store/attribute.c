/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attribute.c - the SQL function flo_attribute(blob, name): the JSON of one search attribute out of
 * a stored SearchAttributes message, NULL when it is not there or no JSON.
 */
#include <jansson.h>
#include <string.h>

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

static void attribute(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct flo_arena arena;
    ProtobufCMessage *message;
    const void *blob = sqlite3_value_blob(values[0]);
    size_t len = (size_t)sqlite3_value_bytes(values[0]);
    const char *name = (const char *)sqlite3_value_text(values[1]);

    (void)count;
    if (!blob || !name)
        return; /* NULL */
    flo_arena_init(&arena, BUDGET);
    if (flo_wire_decode(&flo_api__search_attributes__descriptor, blob, len, &arena, &message,
                        NULL) == 0) {
        const FloApi__SearchAttributes *attributes = (const void *)message;
        for (size_t i = 0; i < attributes->n_indexed_fields; i++) {
            const FloApi__SearchAttributes__IndexedFieldsEntry *entry =
                attributes->indexed_fields[i];
            if (strcmp(entry->key, name) == 0 && entry->value && is_json(&entry->value->data))
                sqlite3_result_text64(context, (const char *)entry->value->data.data,
                                      entry->value->data.len, SQLITE_TRANSIENT, SQLITE_UTF8);
        }
    }
    flo_arena_fini(&arena);
}

int flo_store_add_functions(struct flo_store_connection *connection, struct flo_err *err)
{
    int rc = sqlite3_create_function_v2(connection->db, "flo_attribute", 2,
                                        SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
                                        NULL, attribute, NULL, NULL, NULL);
    return rc ? flo_store_error(connection->db, rc, "cannot set up SQLite", err) : 0;
}
