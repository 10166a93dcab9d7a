/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.h - the filter language of the list calls: text -> syntax tree -> SQL condition with bound
 * values (never text of the caller).
 *
 *   query      = [ condition ] [ "ORDER BY" ... ] [ "GROUP BY" name { "," name } ] [ "LIMIT" n ]
 *   condition  = and { "OR" and } ;  and = not { "AND" not } ;  not = "NOT" not | test
 *   test       = operand [ op operand | [NOT] "IN" "(" operand, ... ")"
 *              | [NOT] "BETWEEN" operand "AND" operand | [NOT] "STARTS_WITH" operand
 *              | "IS" [NOT] "NULL" ]
 *   operand    = "(" condition ")" | name | 'text' | "text" | number | true | false | null
 *
 * The whole text is parsed before any name is looked up. The sentences of errors are those of
 * Temporal's server 1.29, which tests of clients compare; it parses SQL, so positions count from
 * the start of the statement that it puts in front, and types are named as in its parser.
 */
#ifndef FLO_ENGINE_RPC_QUERY_H
#define FLO_ENGINE_RPC_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/store/store.h"
#include "wire/api.h"

/* Runs that belong to a division are only seen by queries that name this attribute. */
#define FLO_QUERY_DIVISION "TemporalNamespaceDivision"

struct flo_query {
    struct flo_store_filter filter;
    bool group_by_status; /* GROUP BY ExecutionStatus */
};

/* Where names that are not predefined come from: the search attributes of a namespace. */
struct flo_query_names {
    /* The type of an attribute; UNSPECIFIED: there is none. */
    FloApi__IndexedValueType (*type_of)(void *ctx, const char *name);
    void *ctx;
};

/*
 * Compile text. names NULL: predefined attributes only. Memory is arena's. FLO_EINVAL with the
 * whole sentence for the client ("invalid query: ..."), FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_query_compile(const char *text, const struct flo_query_names *names,
                                     struct flo_arena *arena, struct flo_query *out_query,
                                     struct flo_err *err);

/* query_value.c: "1h2m3.5s" (also d), "hh:mm:ss" or plain nanoseconds to nanoseconds. False when
 * text is none; *out_why, static, may then say why (": ..."). */
bool flo_query_parse_duration(const char *text, int64_t *out_ns, const char **out_why);

#endif
