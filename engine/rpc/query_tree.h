/* SPDX-License-Identifier: Apache-2.0 */
/* query_tree.h - tokens and the syntax tree of a query; for the query*.c files only. */
#ifndef FLO_ENGINE_RPC_QUERY_TREE_H
#define FLO_ENGINE_RPC_QUERY_TREE_H

#include "engine/rpc/query.h"

/* ---- query_lex.c ---- */

enum flo_query_token_kind {
    FLO_TOKEN_END,
    FLO_TOKEN_BAD, /* an unfinished string or a stray character */
    FLO_TOKEN_NAME,
    FLO_TOKEN_QUOTED_NAME, /* `name`: never a keyword */
    FLO_TOKEN_STRING,
    FLO_TOKEN_INT,
    FLO_TOKEN_FLOAT,
    FLO_TOKEN_HEX,
    FLO_TOKEN_SYMBOL, /* text is "<=", "(", "&&", ... */
};

struct flo_query_token {
    enum flo_query_token_kind kind;
    const char *text; /* arena's, unquoted */
    size_t end;       /* offset behind it */
};

struct flo_query_lexer {
    const char *text;
    size_t at;
    struct flo_arena *arena;
};

/* The next token. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_query_next_token(struct flo_query_lexer *lexer, struct flo_query_token *out);

/* ---- query_parse.c ---- */

enum flo_query_node_kind {
    FLO_NODE_AND,     /* children: two or more */
    FLO_NODE_OR,      /* children: two or more */
    FLO_NODE_NOT,     /* child */
    FLO_NODE_PAREN,   /* child */
    FLO_NODE_COMPARE, /* text: operator as printed; children: left, right */
    FLO_NODE_RANGE,   /* text: "between" or "not between"; children: what, from, to */
    FLO_NODE_IS,      /* text: "is null", "is not null", "is true", ...; child */
    FLO_NODE_BINARY,  /* arithmetic, which is never allowed; children: left, right */
    FLO_NODE_UNARY,   /* child */
    FLO_NODE_FUNCTION,
    FLO_NODE_TUPLE, /* children */
    FLO_NODE_COLUMN,
    FLO_NODE_STRING,
    FLO_NODE_INT,
    FLO_NODE_FLOAT,
    FLO_NODE_HEX,
    FLO_NODE_BOOL,
    FLO_NODE_NULL,
};

struct flo_query_node {
    enum flo_query_node_kind kind;
    const char *text;
    struct flo_query_node *child, *next; /* first child; next sibling */
};

struct flo_query_tree {
    struct flo_query_node *where;    /* NULL = none */
    struct flo_query_node *group_by; /* columns, linked by next */
    bool order_by, limit;
};

FLO_MUST_CHECK int flo_query_parse(const char *text, struct flo_arena *arena,
                                   struct flo_query_tree *out, struct flo_err *err);

#endif
