/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - a history from a file's bytes; see history.h. */
#include "wire/history.h"

#include <stdbool.h>
#include <string.h>

#include "wire/json.h"
#include "wire/payload.h"

/* Nested failures take two levels each, and a payload in shorthand may be as deep as payloads get:
 * no deeper, so that neither jansson nor the reader can be led off the stack. */
#define MOST_LEVELS (2 * FLO_WIRE_DEPTH + FLO_JSON_DEPTH)

static bool too_deep(const char *text, size_t len)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > MOST_LEVELS)
                return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static int parse(const char *text, size_t len, json_t **out, struct flo_err *err)
{
    json_error_t where;
    if (too_deep(text, len))
        return flo_fail(err, FLO_ELIMIT, "the JSON nests deeper than %d levels", MOST_LEVELS);
    *out = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (*out)
        return 0;
    if (json_error_code(&where) == json_error_out_of_memory)
        return flo_fail(err, FLO_ENOMEM, "no memory for the JSON of a history");
    return flo_fail(err, FLO_EPROTO, "line %d, column %d: %s", where.line, where.column,
                    where.text);
}

static int read_json(const char *text, size_t len, struct flo_arena *arena,
                     ProtobufCMessage **out_history, struct flo_err *err)
{
    json_t *root, *history, *wrapped;
    int rc = parse(text, len, &root, err);
    if (rc)
        return rc;
    history = json_object_get(root, "history");
    history = history ? history : root;
    if (json_is_array(history)) {
        wrapped = json_pack("{s:O}", "events", history);
        rc = wrapped ? flo_wire_from_json(&flo_api__history__descriptor, wrapped, arena,
                                          out_history, err)
                     : flo_fail(err, FLO_ENOMEM, "no memory for the JSON of a history");
        json_decref(wrapped);
    } else if (!json_is_array(json_object_get(history, "events"))) {
        rc = flo_fail(err, FLO_EPROTO, "the JSON has no \"events\" array");
    } else {
        rc = flo_wire_from_json(&flo_api__history__descriptor, history, arena, out_history, err);
    }
    json_decref(root);
    return rc;
}

/* The text behind white space when it is JSON's, else NULL. The first byte of the binary form is a
 * line feed. */
static const char *json_start(const char *text, size_t len)
{
    static const char bom[] = {'\xef', '\xbb', '\xbf'};
    const char *end = text + len;
    if (len >= sizeof bom && memcmp(text, bom, sizeof bom) == 0)
        text += sizeof bom;
    while (text < end && (*text == ' ' || *text == '\t' || *text == '\r' || *text == '\n'))
        text++;
    return text < end && (*text == '{' || *text == '[') ? text : NULL;
}

int flo_history_read(const void *data, size_t len, const struct flo_wire_part *part,
                     struct flo_arena *arena, FloApi__History **out_history, struct flo_err *err)
{
    const char *text = data, *json = json_start(data, len);
    ProtobufCMessage *message = NULL;
    int rc = FLO_EPROTO;
    if (len == 0)
        return flo_fail(err, FLO_EPROTO, "the file is empty");
    if (len > FLO_HISTORY_FILE_MAX)
        return flo_fail(err, FLO_ELIMIT, "the file is larger than %u bytes", FLO_HISTORY_FILE_MAX);
    if (!json || *text == '\n')
        rc = flo_wire_decode_part(&flo_api__history__descriptor, part, data, len, arena, &message,
                                  json ? NULL : err);
    if (rc && !json && rc == FLO_EPROTO)
        flo_err_prefix(err, "this is neither JSON nor a packed history");
    if (rc && json)
        rc = read_json(json, len - (size_t)(json - text), arena, &message, err);
    if (rc)
        return rc;
    FloApi__History *history = (FloApi__History *)(void *)message;
    if (history->n_events == 0)
        return flo_fail(err, FLO_EPROTO, "the history has no events");
    *out_history = history;
    return 0;
}
