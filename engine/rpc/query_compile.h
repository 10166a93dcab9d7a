/* SPDX-License-Identifier: Apache-2.0 */
/* query_compile.h - what the files that make SQL of a query's tree share; nobody else includes it.
 */
#ifndef FLO_ENGINE_RPC_QUERY_COMPILE_H
#define FLO_ENGINE_RPC_QUERY_COMPILE_H

#include "base/buf.h"
#include "engine/rpc/query.h"
#include "engine/rpc/query_tree.h"

#define FLO_QUERY_TYPE(name) FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_##name

struct flo_query_attribute {
    const char *name;
    FloApi__IndexedValueType type;
    const char *sql;      /* NULL: read from the stored search attributes */
    const char *null_sql; /* for IS NULL when it differs */
};

struct flo_query_compiler {
    struct flo_arena *arena;
    const struct flo_query_names *names; /* or NULL */
    struct flo_buf sql;
    struct flo_store_value *values;
    size_t count, capacity;
    bool names_division;           /* the query speaks of TemporalNamespaceDivision itself */
    bool names_other;              /* ... of anything but ExecutionStatus */
    struct flo_store_filter found; /* how runs are found: path and what belongs to it */
    struct flo_err *err;
};

/* A sentence of the server about a query that parses but cannot be served. */
#define FLO_QUERY_INVALID(c, ...) flo_fail((c)->err, FLO_EINVAL, "invalid query: " __VA_ARGS__)

/* ---- query_names.c ---- */

/* The attribute that a column node names. FLO_EINVAL with the server's sentence. */
FLO_MUST_CHECK int flo_query_resolve(struct flo_query_compiler *c,
                                     const struct flo_query_node *node,
                                     struct flo_query_attribute *out);
/* "Keyword", ...; what the server's parser calls a node. */
const char *flo_query_type_name(FloApi__IndexedValueType type);
const char *flo_query_node_type(const struct flo_query_node *node);
/* An operand as the server prints it back. */
void flo_query_print(struct flo_buf *out, const struct flo_query_node *node);

/* ---- query_operand.c ---- */

/* Bind a value for the next `?`. */
FLO_MUST_CHECK int flo_query_bind(struct flo_query_compiler *c, struct flo_store_value value);
FLO_MUST_CHECK int flo_query_bind_text(struct flo_query_compiler *c, const char *text);
/* Bind what an operand means for an attribute: a literal of its type, or what the server takes for
 * one. */
FLO_MUST_CHECK int flo_query_bind_operand(struct flo_query_compiler *c,
                                          const struct flo_query_node *node,
                                          const struct flo_query_attribute *attribute);

/* ---- query_path.c ---- */

/* Fill c->found for a tree that was compiled, and so is right. */
void flo_query_find_path(struct flo_query_compiler *c, const struct flo_query_node *where);

#endif
