/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_parse.c - JSON from outside, with caps on depth and numbers, and nothing ambiguous.
 *
 * jansson parses recursively up to 2,048 levels, which overflows the small stacks that workflow
 * code runs on; so the nesting is measured on the text before it is parsed.
 */
#include <stdbool.h>

#include "wire/payload.h"

/* Does the text nest arrays and objects deeper than FLO_JSON_DEPTH? Brackets inside strings do not
 * count. A text that is no JSON may be misjudged; the parser refuses it anyway. */
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
            if (++depth > FLO_JSON_DEPTH)
                return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

int flo_json_parse(const char *text, size_t len, json_t **out_value, struct flo_err *err)
{
    if (len == 0)
        return flo_fail(err, FLO_EPROTO, "JSON is empty");
    if (too_deep(text, len))
        return flo_fail(err, FLO_EPROTO, "JSON nests deeper than %d levels", FLO_JSON_DEPTH);
    json_error_t where;
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);
    if (!value) {
        if (json_error_code(&where) == json_error_out_of_memory)
            return flo_fail(err, FLO_ENOMEM, "no memory for a JSON value");
        return flo_fail(err, FLO_EPROTO, "JSON does not parse at %d:%d: %s", where.line,
                        where.column, where.text);
    }
    *out_value = value;
    return 0;
}
