/* SPDX-License-Identifier: Apache-2.0 */
/* event_text.c - see event_text.h. */
#include "cli/event_text.h"

#include <stdlib.h>
#include <string.h>

struct line {
    char *out;
    size_t size, len;
    int fields;
};

static void put(struct line *line, const char *text)
{
    for (; *text && line->len + 1 < line->size; text++)
        line->out[line->len++] = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;
    if (((unsigned char)*text & 0xc0) == 0x80) { /* cut within a character: leave it out */
        while (line->len > 0 && ((unsigned char)line->out[line->len - 1] & 0xc0) == 0x80)
            line->len--;
        line->len -= line->len > 0;
        line->size = line->len + 1;
    }
    line->out[line->len] = '\0';
}

/* key=value; a text that would not be seen as one word, a list and a map stand as JSON. */
static void put_field(struct line *line, const char *key, const json_t *value)
{
    const char *text = json_string_value(value);
    char *json = NULL;
    if (!text || !*text || strpbrk(text, " \"="))
        text = json = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
    put(line, line->fields++ ? " " : "  ");
    put(line, key);
    put(line, "=");
    put(line, text ? text : "?");
    free(json);
}

void cli_event_text(const json_t *event, char *out, size_t size)
{
    struct line line = {.out = out, .size = size};
    json_t *fields = json_object_get(event, "fields"), *value;
    const char *message = json_string_value(json_object_get(event, "message"));
    const char *failure = json_string_value(json_object_get(fields, "failure"));
    const char *key;
    out[0] = '\0';
    put(&line, message ? message : "");
    if (failure) {
        put(&line, ": ");
        put(&line, failure);
    }
    json_object_foreach(fields, key, value)
    {
        if (!json_is_null(value) && (!failure || strcmp(key, "failure") != 0))
            put_field(&line, key, value);
    }
}
