/* SPDX-License-Identifier: Apache-2.0 */
/* http_parse.c - see http_parse.h. */
#include "telemetry/http_parse.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"

#define LENGTH_DIGITS_MAX 15

int flo_http_find_head(const char *text, size_t len, size_t *out_len)
{
    const char *line_end = memchr(text, '\n', len);
    size_t line = line_end ? (size_t)(line_end - text) + 1 : len;
    if (line > FLO_HTTP_LINE_MAX)
        return 414;
    if (len && (text[0] < 'A' || text[0] > 'Z'))
        return 400; /* no method begins so: TLS, for one */
    if (!line_end)
        return -1;
    if (line_end == text || line_end[-1] != '\r')
        return 400;
    /* The search begins at the line's own CR LF: a head may have no headers. */
    const char *from = line_end - 1;
    const char *end = memmem(from, len - (size_t)(from - text), "\r\n\r\n", 4);
    size_t total = end ? (size_t)(end - text) + 4 : len;
    if (total - line > FLO_HTTP_HEADERS_MAX + 2)
        return 431;
    if (!end)
        return -1;
    *out_len = total;
    return 0;
}

/* ---- words ---- */

static bool is_token(const char *text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    if (!*text)
        return false;
    for (; *text; text++) {
        bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
        if (!letter && !(*text >= '0' && *text <= '9') && !strchr(others, *text))
            return false;
    }
    return true;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

long flo_http_decode(char *text)
{
    char *to = text;
    bool control = false;
    for (const char *from = text; *from; from++) {
        char c = *from;
        if (c == '%') {
            int high = flo_hex_digit(from[1]);
            int low = high < 0 ? -1 : flo_hex_digit(from[2]);
            if (low < 0)
                return -1;
            c = (char)(high << 4 | low);
            from += 2;
        }
        control = control || is_control(c);
        *to++ = c;
    }
    *to = '\0';
    return control ? -1 : (long)(to - text);
}

bool flo_http_list_has(const char *list, const char *word)
{
    size_t word_len = strlen(word);
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t len = strcspn(list, ",");
        size_t trimmed = len;
        while (trimmed && (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t'))
            trimmed--;
        if (trimmed == word_len && strncasecmp(list, word, word_len) == 0)
            return true;
        list += len;
    }
    return false;
}

/* ---- the request line ---- */

/* Cut the path out of the target and decode it. */
static int parse_target(char *target, struct flo_http_head *out)
{
    if (target[0] != '/')
        return strcmp(target, "*") == 0 ? 0 : 400; /* "*": no path of ours */
    char *query = strchr(target, '?');
    if (query) {
        *query = '\0';
        out->query = query + 1;
    }
    for (const char *at = target; *at; at++)
        if (*at == '%' && (flo_hex_digit(at[1]) < 0 || flo_hex_digit(at[2]) < 0))
            return 400;
    if (flo_http_decode(target) >= 0)
        out->path = target;
    return 0;
}

static int parse_line(char *line, struct flo_http_head *out)
{
    for (const char *at = line; *at; at++)
        if (is_control(*at))
            return 400;
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;
    if (!version)
        return 400; /* HTTP/0.9 too */
    *target++ = '\0';
    *version++ = '\0';
    out->method = line;
    if (!is_token(line))
        return 400;
    out->http10 = strcmp(version, "HTTP/1.0") == 0;
    if (!out->http10 && strcmp(version, "HTTP/1.1") != 0)
        return 400; /* HTTP/2's preface among them */
    return parse_target(target, out);
}

/* ---- headers ---- */

/* The length in digits alone, or -1. */
static int64_t parse_length(const char *text)
{
    int64_t length = 0;
    if (!*text || strlen(text) > LENGTH_DIGITS_MAX)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        length = length * 10 + (*text - '0');
    }
    return length;
}

static int parse_field(char *line, struct flo_http_field *out)
{
    char *colon = strchr(line, ':');
    if (!colon)
        return 400;
    *colon = '\0';
    if (!is_token(line)) /* a folded line, or a space before the colon, is none */
        return 400;
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t len = strlen(value);
    while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        value[--len] = '\0';
    for (size_t i = 0; i < len; i++)
        if (is_control(value[i]) && value[i] != '\t')
            return 400;
    *out = (struct flo_http_field){.name = line, .value = value};
    return 0;
}

/* What the fields say about the message itself. */
struct framing {
    const char *connection, *length, *coding;
};

static int note_field(const struct flo_http_field *field, struct flo_http_head *out,
                      struct framing *framing)
{
    struct {
        const char *name;
        const char **value;
    } once[] = {{"Host", &out->host},
                {"Content-Length", &framing->length},
                {"Transfer-Encoding", &framing->coding}};
    for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
        if (strcasecmp(field->name, once[i].name) != 0)
            continue;
        if (*once[i].value)
            return 400; /* which of the two? */
        *once[i].value = field->value;
    }
    if (strcasecmp(field->name, "Connection") == 0)
        framing->connection = field->value;
    if (strcasecmp(field->name, "Expect") == 0)
        out->expects_continue = strcasecmp(field->value, "100-continue") == 0;
    return 0;
}

static int check_framing(const struct framing *framing, struct flo_http_head *out)
{
    if (!out->http10 && !out->host)
        return 400;
    if (framing->coding)
        return framing->length || out->http10 ? 400 : 411;
    if (framing->length) {
        int64_t length = parse_length(framing->length);
        if (length < 0)
            return 400;
        out->body_len = (size_t)length;
    }
    out->keep_alive = out->http10 ? flo_http_list_has(framing->connection, "keep-alive")
                                  : !flo_http_list_has(framing->connection, "close");
    return 0;
}

int flo_http_parse_head(char *text, size_t len, struct flo_http_head *out)
{
    struct framing framing = {0};
    *out = (struct flo_http_head){.path = ""};
    if (memchr(text, '\0', len))
        return 400;
    char *line = text, *stop = text + len - 2; /* the empty line */
    for (bool first = true; line < stop; first = false) {
        char *end = memchr(line, '\n', (size_t)(stop - line));
        if (!end || end == line || end[-1] != '\r')
            return 400;
        end[-1] = '\0';
        int status = 0;
        if (first) {
            status = parse_line(line, out);
        } else if (out->field_count == FLO_HTTP_FIELDS_MAX) {
            status = 431;
        } else {
            struct flo_http_field *field = &out->fields[out->field_count++];
            status = parse_field(line, field);
            if (!status)
                status = note_field(field, out, &framing);
        }
        if (status)
            return status;
        line = end + 1;
    }
    return out->method ? check_framing(&framing, out) : 400;
}
