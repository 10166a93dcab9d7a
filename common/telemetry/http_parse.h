/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_parse.h - the head of an HTTP/1.x request, parsed strictly (RFC 9112). Pure.
 *
 * What two parsers could read differently is refused instead of read in one of the ways: lines that
 * do not end in CR LF, folded lines, spaces before a colon, control characters, several lengths, a
 * length beside a transfer coding. So no request can hide in another's body.
 */
#ifndef FLO_TELEMETRY_HTTP_PARSE_H
#define FLO_TELEMETRY_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#define FLO_HTTP_LINE_MAX ((size_t)8192)    /* the request line */
#define FLO_HTTP_HEADERS_MAX ((size_t)8192) /* all that follows it, up to the empty line */
#define FLO_HTTP_FIELDS_MAX 64

struct flo_http_field {
    const char *name, *value; /* value without the white space around it */
};

/* Points into the text that was parsed. */
struct flo_http_head {
    const char *method;
    const char *path;  /* decoded; "" when it holds what no path of ours has (control characters) */
    const char *query; /* as sent, NULL when absent */
    const char *host;  /* with port; NULL when absent (HTTP/1.0) */
    struct flo_http_field fields[FLO_HTTP_FIELDS_MAX];
    size_t field_count;
    size_t body_len;
    bool keep_alive;
    bool http10;
    bool expects_continue;
};

/*
 * Find the end of a head at the start of text. 0: it is whole and *out_len bytes long; -1: more is
 * needed; else the HTTP status to refuse it with.
 */
int flo_http_find_head(const char *text, size_t len, size_t *out_len);

/*
 * Parse a whole head, which is changed (text is cut into strings and decoded in place). Returns 0,
 * or the HTTP status to refuse the request with; the connection is then good for nothing more.
 */
int flo_http_parse_head(char *text, size_t len, struct flo_http_head *out);

/* Percent-decode text in place (its new length comes back). -1: malformed, or a control character.
 */
long flo_http_decode(char *text);

/* Does the comma-separated list of a header hold the word (any case)? */
bool flo_http_list_has(const char *list, const char *word);

#endif
