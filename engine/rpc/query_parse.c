/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query_parse.c - recursive descent over the tokens, one function a rule. Depth and size are
 * bounded, since a query may be 4 MiB of "((((".
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/rpc/query_tree.h"

#define MAX_DEPTH 100
#define MAX_NODES 4000

struct parser {
    struct flo_query_lexer lexer;
    struct flo_query_token token; /* the next one */
    size_t prefix;                /* length of the statement that stands in front in the server */
    struct flo_arena *arena;
    struct flo_err *err;
    int rc;
    int depth, nodes;
};

static struct flo_query_node *parse_or(struct parser *p);

static void advance(struct parser *p)
{
    if (p->rc)
        return;
    p->rc = flo_query_next_token(&p->lexer, &p->token);
    if (p->rc)
        flo_fail(p->err, p->rc, "no memory for the query");
}

/* The next token fits no rule. Only words and strings are quoted back, words in lower case. */
static void *syntax_error(struct parser *p)
{
    char near[64] = "";
    const struct flo_query_token *token = &p->token;
    if (p->rc)
        return NULL;
    if (token->kind == FLO_TOKEN_BAD && (unsigned char)*token->text >= 0x80) {
        snprintf(near, sizeof near, "%s", "\xef\xbf\xbd"); /* one byte is no character */
    } else if (token->kind != FLO_TOKEN_END && token->kind != FLO_TOKEN_SYMBOL && *token->text) {
        size_t len = 0;
        for (; token->text[len] && len < sizeof near - 1; len++) {
            char c = token->text[len];
            near[len] = token->kind == FLO_TOKEN_NAME && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
        near[len] = '\0';
    }
    p->rc = flo_fail(p->err, FLO_EINVAL,
                     "invalid query: malformed SQL query: syntax error at position %zu%s%s%s",
                     p->prefix + token->end + 1, *near ? " near '" : "", near, *near ? "'" : "");
    return NULL;
}

static bool at_word(const struct parser *p, const char *word)
{
    return p->token.kind == FLO_TOKEN_NAME && strcasecmp(p->token.text, word) == 0;
}

static bool at_symbol(const struct parser *p, const char *symbol)
{
    return p->token.kind == FLO_TOKEN_SYMBOL && strcmp(p->token.text, symbol) == 0;
}

static bool take_word(struct parser *p, const char *word)
{
    if (p->rc || !at_word(p, word))
        return false;
    advance(p);
    return true;
}

static bool take_symbol(struct parser *p, const char *symbol)
{
    if (p->rc || !at_symbol(p, symbol))
        return false;
    advance(p);
    return true;
}

static struct flo_query_node *node(struct parser *p, enum flo_query_node_kind kind,
                                   const char *text, struct flo_query_node *child)
{
    struct flo_query_node *made;
    if (p->rc)
        return NULL;
    if (++p->nodes > MAX_NODES) {
        p->rc = flo_fail(p->err, FLO_EINVAL,
                         "invalid query: malformed SQL query: the query is too long");
        return NULL;
    }
    made = flo_arena_alloc(p->arena, sizeof *made);
    if (!made) {
        p->rc = flo_fail(p->err, FLO_ENOMEM, "no memory for the query");
        return NULL;
    }
    *made = (struct flo_query_node){.kind = kind, .text = text, .child = child};
    return made;
}

static bool enter(struct parser *p)
{
    if (p->rc)
        return false;
    if (++p->depth > MAX_DEPTH) {
        p->rc = flo_fail(p->err, FLO_EINVAL,
                         "invalid query: malformed SQL query: the query is nested too deep");
        return false;
    }
    return true;
}

/* What the server's grammar, a dialect of SQL, keeps for itself: no names unless backquoted. */
static bool is_keyword(const char *word)
{
    static const char *const words[] = {
        "add",      "against",     "all",           "alter",     "analyze",
        "and",      "as",          "asc",           "between",   "by",
        "call",     "cascade",     "change",        "check",     "column",
        "create",   "cross",       "database",      "delete",    "desc",
        "describe", "distinct",    "div",           "drop",      "else",
        "end",      "escape",      "exists",        "explain",   "fetch",
        "for",      "force",       "foreign",       "from",      "fulltext",
        "grant",    "group",       "having",        "if",        "ignore",
        "in",       "index",       "inner",         "insert",    "interval",
        "into",     "is",          "join",          "key",       "keys",
        "kill",     "left",        "like",          "limit",     "load",
        "lock",     "match",       "mod",           "natural",   "not",
        "null",     "on",          "option",        "or",        "order",
        "outer",    "primary",     "range",         "read",      "regexp",
        "rename",   "replace",     "require",       "revoke",    "right",
        "rlike",    "schema",      "select",        "separator", "set",
        "show",     "starts_with", "straight_join", "table",     "then",
        "to",       "trigger",     "union",         "unique",    "unlock",
        "update",   "usage",       "use",           "using",     "values",
        "when",     "where",       "while",         "with",      "write",
        "xor",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(word, words[i]) == 0)
            return true;
    return false;
}

static void append(struct flo_query_node ***tail, struct flo_query_node *item)
{
    if (!item)
        return;
    **tail = item;
    *tail = &item->next;
}

/* "(" list ")" of operands; at least one. */
static struct flo_query_node *parse_tuple(struct parser *p)
{
    struct flo_query_node *items = NULL, **tail = &items;
    if (!take_symbol(p, "("))
        return syntax_error(p);
    do
        append(&tail, parse_or(p));
    while (take_symbol(p, ","));
    if (!p->rc && !take_symbol(p, ")"))
        return syntax_error(p);
    return node(p, FLO_NODE_TUPLE, NULL, items);
}

static struct flo_query_node *parse_name(struct parser *p)
{
    const char *name = p->token.text;
    bool plain = p->token.kind == FLO_TOKEN_NAME;
    if (plain && (strcasecmp(name, "true") == 0 || strcasecmp(name, "false") == 0)) {
        advance(p);
        return node(p, FLO_NODE_BOOL, strcasecmp(name, "true") == 0 ? "true" : "false", NULL);
    }
    if (plain && strcasecmp(name, "null") == 0) {
        advance(p);
        return node(p, FLO_NODE_NULL, "null", NULL);
    }
    if (plain && is_keyword(name))
        return syntax_error(p);
    advance(p);
    if (!plain || !at_symbol(p, "("))
        return node(p, FLO_NODE_COLUMN, name, NULL);
    advance(p);
    if (take_symbol(p, "*") && !at_symbol(p, ")"))
        return syntax_error(p);
    if (!take_symbol(p, ")")) {
        do
            parse_or(p);
        while (take_symbol(p, ","));
        if (!p->rc && !take_symbol(p, ")"))
            return syntax_error(p);
    }
    return node(p, FLO_NODE_FUNCTION, name, NULL);
}

/* Behind "(": a condition, an operand, or a list. */
static struct flo_query_node *parse_parenthesis(struct parser *p)
{
    struct flo_query_node *items = NULL, **tail = &items;
    size_t count = 0;
    do {
        append(&tail, parse_or(p));
        count++;
    } while (take_symbol(p, ","));
    if (!p->rc && !take_symbol(p, ")"))
        return syntax_error(p);
    return node(p, count > 1 ? FLO_NODE_TUPLE : FLO_NODE_PAREN, NULL, items);
}

static struct flo_query_node *parse_primary(struct parser *p);

/* Behind a sign, which becomes part of a number. */
static struct flo_query_node *parse_signed(struct parser *p, const char *sign)
{
    bool number = p->token.kind == FLO_TOKEN_INT || p->token.kind == FLO_TOKEN_FLOAT;
    struct flo_query_node *operand = enter(p) ? parse_primary(p) : NULL;
    p->depth--;
    if (!operand || !number)
        return node(p, FLO_NODE_UNARY, sign, operand);
    if (*sign == '+')
        return operand;
    operand->text = flo_arena_printf(p->arena, "-%s", operand->text);
    if (!operand->text)
        p->rc = flo_fail(p->err, FLO_ENOMEM, "no memory for the query");
    return operand;
}

static struct flo_query_node *parse_primary(struct parser *p)
{
    static const enum flo_query_node_kind kinds[] = {
        [FLO_TOKEN_STRING] = FLO_NODE_STRING,
        [FLO_TOKEN_INT] = FLO_NODE_INT,
        [FLO_TOKEN_FLOAT] = FLO_NODE_FLOAT,
        [FLO_TOKEN_HEX] = FLO_NODE_HEX,
    };
    if (p->rc)
        return NULL;
    const struct flo_query_token token = p->token;
    switch (token.kind) {
    case FLO_TOKEN_NAME:
    case FLO_TOKEN_QUOTED_NAME:
        return parse_name(p);
    case FLO_TOKEN_STRING:
    case FLO_TOKEN_INT:
    case FLO_TOKEN_FLOAT:
    case FLO_TOKEN_HEX:
        advance(p);
        return node(p, kinds[token.kind], token.text, NULL);
    default:
        break;
    }
    if (take_symbol(p, "("))
        return parse_parenthesis(p);
    if (take_symbol(p, "-") || take_symbol(p, "+"))
        return parse_signed(p, token.text);
    if (take_symbol(p, "!") || take_symbol(p, "~")) {
        struct flo_query_node *operand = enter(p) ? parse_primary(p) : NULL;
        p->depth--;
        return node(p, FLO_NODE_UNARY, token.text, operand);
    }
    return syntax_error(p);
}

static bool at_arithmetic(const struct parser *p)
{
    static const char *const symbols[] = {"+", "-", "*", "/", "%", "|", "&", "^", "<<", ">>", "->"};
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
        if (at_symbol(p, symbols[i]))
            return true;
    return at_word(p, "div") || at_word(p, "mod");
}

/* Arithmetic is understood only to be refused by its name. */
static struct flo_query_node *parse_operand(struct parser *p)
{
    struct flo_query_node *left = parse_primary(p);
    while (!p->rc && at_arithmetic(p)) {
        advance(p);
        parse_primary(p);
        left = node(p, FLO_NODE_BINARY, NULL, left);
    }
    return left;
}

static struct flo_query_node *pair(struct parser *p, enum flo_query_node_kind kind,
                                   const char *text, struct flo_query_node *left,
                                   struct flo_query_node *right)
{
    if (left)
        left->next = right;
    return node(p, kind, text, left);
}

static struct flo_query_node *parse_is(struct parser *p, struct flo_query_node *left)
{
    static const struct {
        const char *word, *plain, *negated;
    } forms[] = {
        {"null", "is null", "is not null"},
        {"true", "is true", "is not true"},
        {"false", "is false", "is not false"},
    };
    bool negated = take_word(p, "not");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (take_word(p, forms[i].word))
            return node(p, FLO_NODE_IS, negated ? forms[i].negated : forms[i].plain, left);
    return syntax_error(p);
}

/* What may follow an operand after an optional NOT. */
static struct flo_query_node *parse_word_test(struct parser *p, struct flo_query_node *left,
                                              bool negated)
{
    if (take_word(p, "in"))
        return pair(p, FLO_NODE_COMPARE, negated ? "not in" : "in", left, parse_tuple(p));
    if (take_word(p, "like"))
        return pair(p, FLO_NODE_COMPARE, negated ? "not like" : "like", left, parse_operand(p));
    if (take_word(p, "regexp") || take_word(p, "rlike"))
        return pair(p, FLO_NODE_COMPARE, negated ? "not regexp" : "regexp", left, parse_operand(p));
    if (take_word(p, "starts_with"))
        return pair(p, FLO_NODE_COMPARE, negated ? "not starts_with" : "starts_with", left,
                    parse_operand(p));
    if (take_word(p, "between")) {
        struct flo_query_node *from = parse_operand(p);
        if (!p->rc && !take_word(p, "and"))
            return syntax_error(p);
        struct flo_query_node *to = parse_operand(p);
        if (from)
            from->next = to;
        return pair(p, FLO_NODE_RANGE, negated ? "not between" : "between", left, from);
    }
    return negated ? syntax_error(p) : left;
}

static struct flo_query_node *parse_test(struct parser *p)
{
    static const char *const operators[] = {"=", "!=", "<>", "<=>", "<=", ">=", "<", ">"};
    struct flo_query_node *left = parse_operand(p);
    if (p->rc)
        return NULL;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (take_symbol(p, operators[i]))
            return pair(p, FLO_NODE_COMPARE, strcmp(operators[i], "<>") == 0 ? "!=" : operators[i],
                        left, parse_operand(p));
    if (take_word(p, "is"))
        return parse_is(p, left);
    return parse_word_test(p, left, take_word(p, "not"));
}

static struct flo_query_node *parse_not(struct parser *p)
{
    if (!take_word(p, "not"))
        return parse_test(p);
    struct flo_query_node *inner = enter(p) ? parse_not(p) : NULL;
    p->depth--;
    return node(p, FLO_NODE_NOT, NULL, inner);
}

static struct flo_query_node *parse_and(struct parser *p)
{
    struct flo_query_node *first = parse_not(p), *items = NULL, **tail = &items;
    if (p->rc || !(at_word(p, "and") || at_symbol(p, "&&")))
        return first;
    append(&tail, first);
    while (take_word(p, "and") || take_symbol(p, "&&"))
        append(&tail, parse_not(p));
    return node(p, FLO_NODE_AND, NULL, items);
}

static struct flo_query_node *parse_or(struct parser *p)
{
    struct flo_query_node *result = NULL, *items = NULL, **tail = &items;
    if (!enter(p))
        return NULL;
    result = parse_and(p);
    if (!p->rc && (at_word(p, "or") || at_symbol(p, "||"))) {
        append(&tail, result);
        while (take_word(p, "or") || take_symbol(p, "||"))
            append(&tail, parse_and(p));
        result = node(p, FLO_NODE_OR, NULL, items);
    }
    p->depth--;
    return result;
}

static void parse_group_by(struct parser *p, struct flo_query_tree *tree)
{
    struct flo_query_node **tail = &tree->group_by;
    if (!take_word(p, "by"))
        syntax_error(p);
    do
        append(&tail, parse_operand(p));
    while (take_symbol(p, ","));
}

static void parse_order_by(struct parser *p, struct flo_query_tree *tree)
{
    tree->order_by = true;
    if (!take_word(p, "by"))
        syntax_error(p);
    do {
        parse_operand(p);
        if (!take_word(p, "asc"))
            take_word(p, "desc");
    } while (take_symbol(p, ","));
}

int flo_query_parse(const char *text, struct flo_arena *arena, struct flo_query_tree *out,
                    struct flo_err *err)
{
    struct flo_query_tree tree = {0};
    struct parser p = {.arena = arena, .err = err};
    text += strspn(text, " \t\r\n");
    p.lexer = (struct flo_query_lexer){.text = text, .arena = arena};
    advance(&p);
    bool no_where = strncasecmp(text, "order by", 8) == 0 || strncasecmp(text, "group by", 8) == 0;
    p.prefix = strlen(no_where ? "select * from table1 " : "select * from table1 where ");
    if (!no_where && *text)
        tree.where = parse_or(&p);
    if (take_word(&p, "group"))
        parse_group_by(&p, &tree);
    if (take_word(&p, "order"))
        parse_order_by(&p, &tree);
    if (take_word(&p, "limit")) {
        tree.limit = true;
        parse_operand(&p);
        if (take_word(&p, "offset") || take_symbol(&p, ","))
            parse_operand(&p);
    }
    take_symbol(&p, ";");
    if (!p.rc && p.token.kind != FLO_TOKEN_END)
        syntax_error(&p);
    if (!p.rc)
        *out = tree;
    return p.rc;
}
