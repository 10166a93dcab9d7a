/* SPDX-License-Identifier: Apache-2.0 */
/* prom.c - see prom.h. NAME{LABEL="VALUE",...} NUMBER [TIME], comments after '#'. */
#include "cli/prom.h"

#include <stdlib.h>
#include <string.h>

/* The value that begins after the quote at *at, unescaped in place; *at goes behind its end. NULL:
 * it has none. */
static char *take_value(char **at)
{
    char *value = *at, *to = *at, *from = *at;

    for (; *from && *from != '"'; from++) {
        if (*from == '\\' && from[1])
            *to++ = *++from == 'n' ? '\n' : *from;
        else
            *to++ = *from;
    }
    if (!*from)
        return NULL;
    *to = '\0';
    *at = from + 1;
    return value;
}

/* The labels between the braces; *at goes behind the closing one. */
static bool take_labels(char **at, struct cli_prom_sample *sample)
{
    char *p = *at;

    while (*p != '}') {
        char *name = p, *value;
        p = strchr(p, '=');
        if (!p || p[1] != '"' || sample->label_count == CLI_PROM_LABELS_MAX)
            return false;
        *p = '\0';
        p += 2;
        value = take_value(&p);
        if (!value)
            return false;
        sample->labels[sample->label_count].name = name;
        sample->labels[sample->label_count++].value = value;
        p += *p == ',';
    }
    *at = p + 1;
    return true;
}

static bool read_line(char *line, struct cli_prom_sample *sample)
{
    char *p = line + strcspn(line, "{ "), *end;
    const bool labels = *p == '{';

    *sample = (struct cli_prom_sample){.name = line};
    if (p == line || !*p)
        return false;
    *p++ = '\0';
    if (labels && !take_labels(&p, sample))
        return false;
    sample->value = strtod(p, &end);
    return end != p && (*end == '\0' || *end == ' ');
}

bool cli_prom_read(char *text, cli_prom_fn fn, void *ctx)
{
    struct cli_prom_sample sample;
    char *next;

    for (char *line = text; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (line[0] == '#' || !line[0])
            continue;
        if (!read_line(line, &sample))
            return false;
        fn(ctx, &sample);
    }
    return true;
}

const char *cli_prom_label(const struct cli_prom_sample *sample, const char *name)
{
    for (size_t i = 0; i < sample->label_count; i++)
        if (strcmp(sample->labels[i].name, name) == 0)
            return sample->labels[i].value;
    return "";
}
