/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_parse.c - JSON from outside, with caps.
 *
 * Two parsers. The first one reads what almost every payload is made of: texts without escapes,
 * whole and short decimal numbers, arrays, objects. It gives up on anything else, right or wrong,
 * and then jansson reads the text from the start; so what is accepted, and what an error says, is
 * jansson's in each case. jansson takes its text byte by byte through a callback, some hundred
 * instructions a byte, and the payloads of a history are most of what its replay costs.
 *
 * jansson parses recursively up to 2,048 levels, which overflows the small stacks that workflow
 * code runs on; so the nesting is measured on the text before it is parsed.
 */
#include <float.h>
#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "wire/payload.h"

#define DIGITS_MAX 18                          /* of a number that cannot overflow */
#define EXACT_MAX (INT64_C(1) << DBL_MANT_DIG) /* whole numbers that a double holds exactly */

struct parser {
    const char *at, *end;
    unsigned depth;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
        p->at++;
}

/* Is the next byte, after white space, c? Then move past it. */
static bool take(struct parser *p, char c)
{
    skip_space(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

/* A text behind its opening quote; false when it has escapes or is not well-formed. */
static bool scan_text(struct parser *p, const char **out_text, size_t *out_len)
{
    const char *start = p->at, *at = start;
    unsigned char bits = 0;
    for (; at < p->end && *at != '"'; at++) {
        if (*at == '\\' || (unsigned char)*at < 0x20)
            return false;
        bits |= (unsigned char)*at;
    }
    if (at == p->end || (bits >= 0x80 && !flo_utf8_valid(start, (size_t)(at - start))))
        return false;
    *out_text = start;
    *out_len = (size_t)(at - start);
    p->at = at + 1;
    return true;
}

/* Digits into *value; false: none, or too many. */
static bool scan_digits(struct parser *p, int64_t *value, int *digits)
{
    const char *start = p->at;
    for (; p->at < p->end && is_digit(*p->at); p->at++) {
        if (++*digits > DIGITS_MAX)
            return false;
        *value = *value * 10 + (*p->at - '0');
    }
    return p->at > start;
}

/*
 * A whole number, or a decimal one that is a quotient of two numbers that a double holds exactly:
 * then one division rounds it as strtod would.
 */
static json_t *parse_number(struct parser *p)
{
    static const double powers[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    bool negative = *p->at == '-';
    p->at += negative;
    const char *first = p->at;
    int64_t value = 0;
    int digits = 0, places = 0;
    if (!scan_digits(p, &value, &digits) || (*first == '0' && p->at - first > 1))
        return NULL;
    bool whole = p->at == p->end || *p->at != '.';
    if (!whole) {
        int before = digits;
        p->at++;
        if (!scan_digits(p, &value, &digits) || value > EXACT_MAX || FLT_EVAL_METHOD != 0)
            return NULL;
        places = digits - before;
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E'))
        return NULL;
    if (whole)
        return json_integer(negative ? -value : value);
    double number = (double)value / powers[places];
    return json_real(negative ? -number : number);
}

static json_t *parse_value(struct parser *p);

static json_t *parse_array(struct parser *p)
{
    json_t *array = json_array();
    if (take(p, ']'))
        return array;
    do {
        if (json_array_append_new(array, parse_value(p)))
            goto give_up;
    } while (take(p, ','));
    if (take(p, ']'))
        return array;
give_up:
    json_decref(array);
    return NULL;
}

static json_t *parse_object(struct parser *p)
{
    json_t *object = json_object();
    const char *key;
    size_t len;
    if (take(p, '}'))
        return object;
    for (size_t count = 1;; count++) {
        if (!take(p, '"') || !scan_text(p, &key, &len) || !take(p, ':') ||
            json_object_setn_new_nocheck(object, key, len, parse_value(p)) ||
            json_object_size(object) != count) /* a key twice */
            break;
        if (take(p, ','))
            continue;
        if (take(p, '}'))
            return object;
        break;
    }
    json_decref(object);
    return NULL;
}

/* Is this word next? Then move past it. */
static bool take_word(struct parser *p, const char *word, size_t len)
{
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0)
        return false;
    p->at += len;
    return true;
}

/* NULL: jansson is to judge. */
static json_t *parse_value(struct parser *p)
{
    const char *text;
    size_t len;
    json_t *value = NULL;
    if (take(p, '"'))
        return scan_text(p, &text, &len) ? json_stringn_nocheck(text, len) : NULL;
    if (p->at == p->end)
        return NULL;
    switch (*p->at) {
    case '{':
    case '[':
        if (++p->depth > FLO_JSON_DEPTH)
            return NULL;
        value = *p->at++ == '{' ? parse_object(p) : parse_array(p);
        p->depth--;
        return value;
    case 't':
        return take_word(p, "true", 4) ? json_true() : NULL;
    case 'f':
        return take_word(p, "false", 5) ? json_false() : NULL;
    case 'n':
        return take_word(p, "null", 4) ? json_null() : NULL;
    default:
        return *p->at == '-' || is_digit(*p->at) ? parse_number(p) : NULL;
    }
}

/* A whole text of the simple kind, else NULL. */
static json_t *parse_simple(const char *text, size_t len)
{
    struct parser p = {.at = text, .end = text + len};
    json_t *value = parse_value(&p);
    skip_space(&p);
    if (p.at == p.end)
        return value;
    json_decref(value);
    return NULL;
}

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
    json_t *value = parse_simple(text, len);
    if (value) {
        *out_value = value;
        return 0;
    }
    if (too_deep(text, len))
        return flo_fail(err, FLO_EPROTO, "JSON nests deeper than %d levels", FLO_JSON_DEPTH);
    json_error_t where;
    value = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);
    if (!value) {
        if (json_error_code(&where) == json_error_out_of_memory)
            return flo_fail(err, FLO_ENOMEM, "no memory for a JSON value");
        return flo_fail(err, FLO_EPROTO, "JSON does not parse at %d:%d: %s", where.line,
                        where.column, where.text);
    }
    *out_value = value;
    return 0;
}
