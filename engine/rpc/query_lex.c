/* SPDX-License-Identifier: Apache-2.0 */
/* query_lex.c - a query's tokens. */
#include <ctype.h>
#include <string.h>

#include "engine/rpc/query_tree.h"

static bool is_name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || c == '@';
}

static bool is_name_part(char c)
{
    return is_name_start(c) || isdigit((unsigned char)c) || c == '.';
}

/* Blanks and comments: "-- to the end of the line", "# to it", slash-star ones. */
static void skip_blanks(struct flo_query_lexer *lexer, size_t *out_end)
{
    const char *text = lexer->text;
    *out_end = lexer->at; /* blanks at the end do not count, comments do */
    for (;; *out_end = lexer->at) {
        while (isspace((unsigned char)text[lexer->at]))
            lexer->at++;
        const char *at = text + lexer->at;
        if ((at[0] == '-' && at[1] == '-') || at[0] == '#') {
            lexer->at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*' && strstr(at + 2, "*/")) {
            lexer->at = (size_t)(strstr(at + 2, "*/") + 2 - text);
        } else {
            return;
        }
    }
}

/* Inside quotes: a doubled quote or, in strings, a backslash stands for the next character. */
static int quoted(struct flo_query_lexer *lexer, char quote, struct flo_query_token *out)
{
    const char *text = lexer->text;
    size_t at = lexer->at + 1, len = 0;
    char *value = flo_arena_alloc(lexer->arena, strlen(text + at) + 1);
    if (!value)
        return FLO_ENOMEM;
    for (;; at++) {
        if (text[at] == '\0') {
            out->kind = FLO_TOKEN_BAD;
            break;
        }
        if (text[at] == '\\' && quote != '`' && text[at + 1]) {
            at++;
        } else if (text[at] == quote) {
            at++;
            if (text[at] != quote) {
                out->kind = quote == '`' ? FLO_TOKEN_QUOTED_NAME : FLO_TOKEN_STRING;
                break;
            }
        }
        value[len++] = text[at];
    }
    value[len] = '\0';
    out->text = value;
    lexer->at = at;
    return 0;
}

static size_t number_length(const char *at, enum flo_query_token_kind *out_kind)
{
    size_t len = 0;
    *out_kind = FLO_TOKEN_INT;
    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X') && isxdigit((unsigned char)at[2])) {
        *out_kind = FLO_TOKEN_HEX;
        for (len = 2; isxdigit((unsigned char)at[len]);)
            len++;
        return len;
    }
    while (isdigit((unsigned char)at[len]))
        len++;
    if (at[len] == '.') {
        *out_kind = FLO_TOKEN_FLOAT;
        for (len++; isdigit((unsigned char)at[len]);)
            len++;
    }
    if (at[len] == 'e' || at[len] == 'E') {
        *out_kind = FLO_TOKEN_FLOAT; /* "1e" too, which is no number when it is used */
        len += 1 + (at[len + 1] == '-' || at[len + 1] == '+');
        while (isdigit((unsigned char)at[len]))
            len++;
    }
    return len;
}

static size_t symbol_length(const char *at)
{
    static const char *const pairs[] = {"<=", ">=", "<>", "!=", "&&", "||", "<<", ">>", "->"};
    if (strncmp(at, "<=>", 3) == 0)
        return 3;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (at[0] == pairs[i][0] && at[1] == pairs[i][1])
            return 2;
    return strchr("()=<>!,+-*/%;|&^~", at[0]) ? 1 : 0;
}

int flo_query_next_token(struct flo_query_lexer *lexer, struct flo_query_token *out)
{
    size_t before;
    skip_blanks(lexer, &before);
    const char *at = lexer->text + lexer->at;
    size_t len = 0;
    *out = (struct flo_query_token){.kind = FLO_TOKEN_END, .text = "", .end = before};
    if (*at == '\0')
        return 0;
    if (*at == '\'' || *at == '"' || *at == '`') {
        int rc = quoted(lexer, *at, out);
        out->end = lexer->at;
        return rc;
    }
    if (is_name_start(*at)) {
        out->kind = FLO_TOKEN_NAME;
        while (is_name_part(at[len]))
            len++;
    } else if (isdigit((unsigned char)*at) || (*at == '.' && isdigit((unsigned char)at[1]))) {
        len = number_length(at, &out->kind);
        if (is_name_start(at[len]))
            out->kind = FLO_TOKEN_BAD;
    } else {
        out->kind = FLO_TOKEN_SYMBOL;
        len = symbol_length(at);
    }
    if (len == 0) {
        out->kind = FLO_TOKEN_BAD;
        len = 1;
    }
    lexer->at += len;
    out->end = lexer->at;
    out->text = flo_arena_strndup(lexer->arena, at, len);
    return out->text ? 0 : FLO_ENOMEM;
}
