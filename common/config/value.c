/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c - one scalar setting: text to value, value to text, and what is allowed in words.
 *
 * YAML 1.1 reads yes, 010, 1e3, 0x10 and .inf in ways that surprise people, so values are judged
 * here, from their text: true and false, decimal integers without leading zeros, decimal fractions,
 * numbers with a unit.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "config/internal.h"

#define SHOWN_MAX 60 /* bytes of a wrong value that an error shows */

struct unit {
    const char *suffix;
    int64_t factor;
};
static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct unit size_units[] = {{"", 1},          {"KiB", 1 << 10}, {"Ki", 1 << 10},
                                         {"MiB", 1 << 20}, {"Mi", 1 << 20},  {"GiB", 1 << 30},
                                         {"Gi", 1 << 30},  {NULL, 0}};

/* ---- errors ---- */

static int refuse(const struct flo_setting *row, const struct flo_value_text *value,
                  const char *wrong, struct flo_err *err)
{
    struct flo_buf allowed;
    flo_buf_init(&allowed, 512);
    flo_value_print_allowed(row, &allowed);
    char shown[SHOWN_MAX + 8] = "the value";
    if (!(row->flags & FLO_SETTING_SECRET)) {
        size_t n = 0;
        shown[n++] = '"';
        for (const char *p = value->text; *p && n < SHOWN_MAX; p++)
            shown[n++] = (unsigned char)*p < 0x20 || *p == 0x7f || *p == '"' ? '?' : *p;
        shown[n++] = '"';
        shown[n] = '\0';
    }
    int rc = flo_fail(err, FLO_ECONFIG, "%s: %s: %s %s; %s is allowed", value->where, value->key,
                      shown, wrong, flo_buf_cstr(&allowed));
    flo_buf_fini(&allowed);
    return rc;
}

static bool in_bounds(const struct flo_setting *row, double number)
{
    if (row->min == 0 && row->max == 0)
        return true;
    if (row->flags & FLO_SETTING_OPEN_MIN ? number <= row->min : number < row->min)
        return false;
    return number <= row->max;
}

/* ---- numbers ---- */

/* -?(0|[1-9][0-9]*) at the start of text; *out_end behind it. False when none or past int64. */
static bool read_integer(const char *text, int64_t *out, const char **out_end, bool *out_overflow)
{
    *out_overflow = false;
    const char *p = text + (*text == '-');
    size_t digits = strspn(p, "0123456789");
    if (!digits || (*p == '0' && digits > 1))
        return false;
    errno = 0;
    char *end;
    *out = strtoll(text, &end, 10);
    *out_end = end;
    *out_overflow = errno == ERANGE;
    return true;
}

static int parse_int(const struct flo_setting *row, const struct flo_value_text *value,
                     int64_t *out, struct flo_err *err)
{
    int64_t number;
    const char *end;
    bool overflow;
    if (value->quoted || !read_integer(value->text, &number, &end, &overflow) || *end)
        return refuse(row, value, "is no integer", err);
    if (overflow || !in_bounds(row, (double)number))
        return refuse(row, value, "is out of range", err);
    *out = number;
    return 0;
}

static int parse_float(const struct flo_setting *row, const struct flo_value_text *value,
                       double *out, struct flo_err *err)
{
    int64_t whole;
    const char *end;
    bool overflow;
    bool good = !value->quoted && read_integer(value->text, &whole, &end, &overflow) && !overflow;
    if (good && *end == '.') {
        size_t digits = strspn(end + 1, "0123456789");
        end += 1 + digits;
        good = digits > 0;
    }
    if (!good || *end)
        return refuse(row, value, "is no number", err);
    double number = strtod(value->text, NULL);
    if (!in_bounds(row, number))
        return refuse(row, value, "is out of range", err);
    *out = number;
    return 0;
}

static int parse_with_unit(const struct flo_setting *row, const struct flo_value_text *value,
                           const struct unit *units, int64_t *out, struct flo_err *err)
{
    int64_t number;
    const char *end;
    bool overflow;
    bool duration = units == duration_units;
    if (value->quoted || !read_integer(value->text, &number, &end, &overflow))
        return refuse(row, value, duration ? "is no duration" : "is no size", err);
    const struct unit *unit = units;
    while (unit->suffix && strcmp(unit->suffix, end) != 0)
        unit++;
    if (!unit->suffix)
        return refuse(row, value, *end ? "has an unknown unit" : "has no unit", err);
    if (overflow || number > INT64_MAX / unit->factor || number < INT64_MIN / unit->factor ||
        !in_bounds(row, (double)(number * unit->factor)))
        return refuse(row, value, "is out of range", err);
    *out = number * unit->factor;
    return 0;
}

/* ---- words ---- */

static int parse_bool(const struct flo_setting *row, const struct flo_value_text *value, bool *out,
                      struct flo_err *err)
{
    bool is_true = strcmp(value->text, "true") == 0;
    if (value->quoted || (!is_true && strcmp(value->text, "false") != 0))
        return refuse(row, value, "is no boolean", err);
    *out = is_true;
    return 0;
}

/* Copy choice number i of "a|b|c" to word; false past the last. */
static bool choice_at(const char *choices, int i, char word[32])
{
    for (; i > 0; i--) {
        choices = strchr(choices, '|');
        if (!choices)
            return false;
        choices++;
    }
    size_t len = strcspn(choices, "|");
    memcpy(word, choices, len < 31 ? len : 31);
    word[len < 31 ? len : 31] = '\0';
    return true;
}

static int parse_enum(const struct flo_setting *row, const struct flo_value_text *value, int *out,
                      struct flo_err *err)
{
    char words[16][32];
    const char *candidates[16];
    int count = 0;
    for (; count < 16 && choice_at(row->choices, count, words[count]); count++) {
        candidates[count] = words[count];
        if (strcmp(words[count], value->text) == 0) {
            *out = count;
            return 0;
        }
    }
    char wrong[96] = "is none of the choices";
    const char *meant = flo_did_you_mean(value->text, candidates, (size_t)count);
    if (meant)
        snprintf(wrong, sizeof wrong, "is none of the choices; did you mean \"%s\"?", meant);
    return refuse(row, value, wrong, err);
}

static int parse_string(const struct flo_setting *row, const struct flo_value_text *value,
                        struct flo_arena *arena, const char **out, struct flo_err *err)
{
    if (!value->quoted && (strcmp(value->text, "~") == 0 || strcmp(value->text, "null") == 0))
        return refuse(row, value, "is no text", err);
    for (const char *p = value->text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return refuse(row, value, "holds a newline or control character", err);
    if (!in_bounds(row, (double)strlen(value->text)))
        return refuse(row, value, *value->text ? "is too long" : "is empty", err);
    const char *copy = flo_arena_strdup(arena, value->text);
    if (!copy)
        return flo_fail(err, FLO_ENOMEM, "%s: no memory", value->where);
    *out = copy;
    return 0;
}

/* "a, b,c" from a variable or the command line. */
static int parse_strings(const struct flo_value_text *value, struct flo_arena *arena,
                         struct flo_strings *out, struct flo_err *err)
{
    size_t most = 1;
    for (const char *p = value->text; *p; p++)
        most += *p == ',';
    struct flo_strings list = {.items = flo_arena_calloc(arena, most, sizeof *list.items)};
    for (const char *p = value->text; list.items && *p;) {
        p += strspn(p, " ,");
        size_t len = strcspn(p, ",");
        while (len && p[len - 1] == ' ')
            len--;
        if (len && !(list.items[list.count++] = flo_arena_strndup(arena, p, len)))
            list.items = NULL;
        p += strcspn(p, ",");
    }
    if (!list.items)
        return flo_fail(err, FLO_ENOMEM, "%s: no memory", value->where);
    *out = list;
    return 0;
}

int flo_value_parse(const struct flo_setting *row, const struct flo_value_text *value,
                    struct flo_arena *arena, void *field, struct flo_err *err)
{
    switch (row->type) {
    case FLO_SETTING_STRING:
        return parse_string(row, value, arena, field, err);
    case FLO_SETTING_BOOL:
        return parse_bool(row, value, field, err);
    case FLO_SETTING_INT:
        return parse_int(row, value, field, err);
    case FLO_SETTING_FLOAT:
        return parse_float(row, value, field, err);
    case FLO_SETTING_DURATION:
        return parse_with_unit(row, value, duration_units, field, err);
    case FLO_SETTING_SIZE:
        return parse_with_unit(row, value, size_units, field, err);
    case FLO_SETTING_ENUM:
        return parse_enum(row, value, field, err);
    case FLO_SETTING_STRINGS:
        return parse_strings(value, arena, field, err);
    case FLO_SETTING_JSON:
    case FLO_SETTING_LIST:
        break;
    }
    return refuse(row, value, "is a single value", err);
}

/* ---- printing ---- */

static void print_with_unit(const struct unit *units, int64_t number, struct flo_buf *out)
{
    const struct unit *best = units;
    for (const struct unit *unit = units; unit->suffix; unit++)
        if (number && number % unit->factor == 0 && unit->factor > best->factor)
            best = unit;
    flo_buf_printf(out, "%lld%s", (long long)(number / best->factor), best->suffix);
}

static void print_number(const struct flo_setting *row, double number, struct flo_buf *out)
{
    if (row->type == FLO_SETTING_DURATION)
        print_with_unit(duration_units, (int64_t)number, out);
    else if (row->type == FLO_SETTING_SIZE)
        print_with_unit(size_units, (int64_t)number, out);
    else if (row->type == FLO_SETTING_FLOAT)
        flo_buf_printf(out, "%g", number);
    else
        flo_buf_printf(out, "%.0f", number);
}

static void print_bounds(const struct flo_setting *row, struct flo_buf *out)
{
    if (row->min == 0 && row->max == 0)
        return;
    flo_buf_append_str(out, row->flags & FLO_SETTING_OPEN_MIN ? " above " : " from ");
    print_number(row, row->min, out);
    flo_buf_append_str(out, " to ");
    print_number(row, row->max, out);
}

void flo_value_print_allowed(const struct flo_setting *row, struct flo_buf *out)
{
    static const char *const kinds[] = {
        [FLO_SETTING_STRING] = "text",
        [FLO_SETTING_BOOL] = "true or false",
        [FLO_SETTING_INT] = "an integer",
        [FLO_SETTING_FLOAT] = "a number",
        [FLO_SETTING_DURATION] = "a duration (250ms, 30s, 5m, 1h)",
        [FLO_SETTING_SIZE] = "a size (65536, 64KiB, 64MiB, 1GiB)",
        [FLO_SETTING_ENUM] = "one of ",
        [FLO_SETTING_STRINGS] = "a list of text",
        [FLO_SETTING_JSON] = "a map",
        [FLO_SETTING_LIST] = "a list of maps",
    };
    flo_buf_append_str(out, kinds[row->type]);
    if (row->type == FLO_SETTING_ENUM) {
        char word[32];
        for (int i = 0; choice_at(row->choices, i, word); i++)
            flo_buf_printf(out, "%s%s", i ? ", " : "", word);
    } else if (row->type == FLO_SETTING_STRING) {
        if (row->max > 0)
            flo_buf_printf(out, " of %.0f to %.0f bytes", row->min, row->max);
    } else {
        print_bounds(row, out);
    }
}

static void print_text(const char *text, struct flo_buf *out)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_./@:+-";
    size_t len = strlen(text);
    bool safe = len && strspn(text, plain) == len && !strchr("-:@+.", text[0]) &&
                text[len - 1] != ':' && strcmp(text, "null") != 0;
    if (safe) {
        flo_buf_append_str(out, text);
        return;
    }
    flo_buf_append_str(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            flo_buf_append_str(out, "\\");
        flo_buf_append(out, text, 1);
    }
    flo_buf_append_str(out, "\"");
}

/* A setting's own text: without the password of a URL. */
static void print_masked(const char *text, struct flo_buf *out)
{
    struct flo_buf masked;
    flo_buf_init(&masked, 0);
    flo_secret_append_masked(&masked, text);
    print_text(flo_buf_cstr(&masked), out);
    flo_buf_fini(&masked);
}

static void print_strings(const struct flo_strings *list, struct flo_buf *out)
{
    flo_buf_append_str(out, "[");
    for (size_t i = 0; i < list->count; i++) {
        flo_buf_append_str(out, i ? ", " : "");
        print_masked(list->items[i], out);
    }
    flo_buf_append_str(out, "]");
}

static void print_list(const struct flo_setting *row, const struct flo_list_value *list,
                       struct flo_buf *out)
{
    flo_buf_append_str(out, "[");
    for (size_t i = 0; i < list->count; i++) {
        const char *item = (const char *)list->items + i * row->item_size;
        flo_buf_append_str(out, i ? ", {" : "{");
        for (size_t j = 0; j < row->item_count; j++) {
            flo_buf_printf(out, "%s%s: ", j ? ", " : "", row->items[j].key);
            flo_value_print(&row->items[j], item + row->items[j].offset, out);
        }
        flo_buf_append_str(out, "}");
    }
    flo_buf_append_str(out, "]");
}

static json_t *masked_copy(const json_t *json);

static json_t *masked_text(const char *text)
{
    struct flo_buf masked;
    flo_buf_init(&masked, 0);
    flo_secret_append_masked(&masked, text);
    json_t *copy = masked.failed ? NULL : json_string(flo_buf_cstr(&masked));
    flo_buf_fini(&masked);
    return copy;
}

/* Whole numbers by name are amounts, as in {tokens: {db: 1}}: no secret. */
static bool are_amounts(const json_t *json)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        if (!json_is_integer(value))
            return false;
    }
    return json_object_size(json) > 0;
}

static json_t *masked_object(const json_t *json)
{
    json_t *copy = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        bool secret = flo_secret_name(key, strlen(key)) && !are_amounts(value);
        if (json_object_set_new(copy, key,
                                secret ? json_string(FLO_SECRET_MASK) : masked_copy(value))) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

/* A copy in which "***" stands for members whose name says that they are secret, whatever they
 * are, and for passwords in URLs; NULL without memory. Its depth is that of a checked document. */
static json_t *masked_copy(const json_t *json)
{
    if (json_is_string(json))
        return masked_text(json_string_value(json));
    if (json_is_object(json))
        return masked_object(json);
    if (!json_is_array(json))
        return json_deep_copy(json);
    json_t *copy = json_array();
    for (size_t i = 0; copy && i < json_array_size(json); i++) {
        if (json_array_append_new(copy, masked_copy(json_array_get(json, i)))) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

static void print_json(const json_t *json, struct flo_buf *out)
{
    json_t *masked = masked_copy(json);
    char *text = masked ? json_dumps(masked, 0) : NULL;
    flo_buf_append_str(out, text ? text : "{}");
    free(text); /* jansson's */
    json_decref(masked);
}

void flo_value_print(const struct flo_setting *row, const void *field, struct flo_buf *out)
{
    char word[32];
    if (row->flags & FLO_SETTING_SECRET) {
        flo_buf_append_str(out, **(const char *const *)field ? "\"***\"" : "\"\"");
        return;
    }
    switch (row->type) {
    case FLO_SETTING_STRING:
        print_masked(*(const char *const *)field, out);
        break;
    case FLO_SETTING_BOOL:
        flo_buf_append_str(out, *(const bool *)field ? "true" : "false");
        break;
    case FLO_SETTING_INT:
        flo_buf_printf(out, "%lld", (long long)*(const int64_t *)field);
        break;
    case FLO_SETTING_FLOAT:
        flo_buf_printf(out, "%g", *(const double *)field);
        break;
    case FLO_SETTING_DURATION:
        print_with_unit(duration_units, *(const int64_t *)field, out);
        break;
    case FLO_SETTING_SIZE:
        print_with_unit(size_units, *(const int64_t *)field, out);
        break;
    case FLO_SETTING_ENUM:
        if (choice_at(row->choices, *(const int *)field, word))
            flo_buf_append_str(out, word);
        break;
    case FLO_SETTING_STRINGS:
        print_strings(field, out);
        break;
    case FLO_SETTING_JSON:
        print_json(*(json_t *const *)field, out);
        break;
    case FLO_SETTING_LIST:
        print_list(row, field, out);
        break;
    }
}
