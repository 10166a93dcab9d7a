/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.c - from the syntax tree to SQL. Names become column expressions of the table below; every
 * value becomes a `?`. Search attributes that are no columns are read out of the stored
 * SearchAttributes message by the store's function flo_attribute(blob, name), which gives JSON.
 */
#include "engine/rpc/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/core/search_attributes.h"
#include "engine/rpc/query_tree.h"

#define MAX_VALUES 2000

struct attribute {
    const char *name;
    FloApi__IndexedValueType type;
    const char *sql;      /* NULL: read from the stored search attributes */
    const char *null_sql; /* for IS NULL when it differs */
};

struct compiler {
    struct flo_arena *arena;
    const struct flo_query_names *names; /* or NULL */
    struct flo_buf sql;
    struct flo_store_value *values;
    size_t count, capacity;
    struct flo_err *err;
};

static const struct attribute columns[] = {
    /* An open run counts as closed after everything else, as on the server. */
    {"CloseTime", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_DATETIME, "close_order",
     "nullif(close_ns, 0)"},
    {"ExecutionDuration", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT,
     "CASE WHEN close_ns > 0 THEN close_ns - execution_ns END", NULL},
    {"ExecutionStatus", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD, "status", NULL},
    {"ExecutionTime", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_DATETIME, "execution_ns",
     NULL},
    {"HistoryLength", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT, "history_length", NULL},
    {"HistorySizeBytes", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT, "history_bytes",
     NULL},
    {"ParentRunId", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD,
     "nullif(parent_run_id, '')", NULL},
    {"ParentWorkflowId", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD,
     "nullif(parent_workflow_id, '')", NULL},
    {"RootRunId", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD,
     "nullif(root_run_id, '')", NULL},
    {"RootWorkflowId", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD,
     "nullif(root_workflow_id, '')", NULL},
    {"RunId", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD, "run_id", NULL},
    {"StartTime", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_DATETIME, "start_ns", NULL},
    {"StateTransitionCount", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT,
     "state_transitions", NULL},
    {"TaskQueue", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD, "task_queue", NULL},
    {"WorkflowId", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD, "workflow_id", NULL},
    {"WorkflowType", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD, "type", NULL},
};

static const char *type_name(FloApi__IndexedValueType type)
{
    static const char *const names[] = {"Unspecified", "Text", "Keyword",  "Int",
                                        "Double",      "Bool", "Datetime", "KeywordList"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "Unspecified";
}

/* A sentence of the server about a query that parses but cannot be served. */
#define INVALID(c, ...) flo_fail((c)->err, FLO_EINVAL, "invalid query: " __VA_ARGS__)

/* What the server's parser calls a node. */
static const char *node_type(const struct flo_query_node *node)
{
    switch (node->kind) {
    case FLO_NODE_AND:
        return "*sqlparser.AndExpr";
    case FLO_NODE_OR:
        return "*sqlparser.OrExpr";
    case FLO_NODE_NOT:
        return "*sqlparser.NotExpr";
    case FLO_NODE_PAREN:
        return "*sqlparser.ParenExpr";
    case FLO_NODE_COMPARE:
        return "*sqlparser.ComparisonExpr";
    case FLO_NODE_RANGE:
        return "*sqlparser.RangeCond";
    case FLO_NODE_IS:
        return "*sqlparser.IsExpr";
    case FLO_NODE_BINARY:
        return "*sqlparser.BinaryExpr";
    case FLO_NODE_UNARY:
        return "*sqlparser.UnaryExpr";
    case FLO_NODE_FUNCTION:
        return "*sqlparser.FuncExpr";
    case FLO_NODE_TUPLE:
        return "sqlparser.ValTuple";
    case FLO_NODE_COLUMN:
        return "*sqlparser.ColName";
    case FLO_NODE_BOOL:
        return "sqlparser.BoolVal";
    case FLO_NODE_NULL:
        return "*sqlparser.NullVal";
    default:
        return "*sqlparser.SQLVal";
    }
}

/* An operand as the server prints it back. */
static void print_operand(struct flo_buf *out, const struct flo_query_node *node)
{
    if (!node)
        return;
    switch (node->kind) {
    case FLO_NODE_STRING:
        flo_buf_printf(out, "'%s'", node->text);
        break;
    case FLO_NODE_TUPLE:
        flo_buf_append_str(out, "(");
        for (const struct flo_query_node *item = node->child; item; item = item->next) {
            print_operand(out, item);
            if (item->next)
                flo_buf_append_str(out, ", ");
        }
        flo_buf_append_str(out, ")");
        break;
    default:
        flo_buf_append_str(out, node->text ? node->text : node_type(node));
    }
}

static int fail_comparison(struct compiler *c, const struct flo_query_node *node,
                           const char *sentence)
{
    struct flo_buf text;
    flo_buf_init(&text, 512);
    print_operand(&text, node->child);
    flo_buf_printf(&text, " %s ", node->text);
    print_operand(&text, node->child->next);
    int rc = INVALID(c, "invalid expression: %s in `%s`", sentence, flo_buf_cstr(&text));
    flo_buf_fini(&text);
    return rc;
}

/* ---- names ---- */

static bool find_attribute(const struct compiler *c, const char *name, struct attribute *out)
{
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        if (strcmp(columns[i].name, name) == 0) {
            *out = columns[i];
            return true;
        }
    }
    const struct flo_search_attribute *found = flo_search_attribute_find(name);
    *out = (struct attribute){.name = name};
    if (found)
        out->type = found->type;
    else if (c->names)
        out->type = c->names->type_of(c->names->ctx, name);
    return out->type != FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_UNSPECIFIED;
}

static int resolve(struct compiler *c, const struct flo_query_node *node, struct attribute *out)
{
    if (node->kind != FLO_NODE_COLUMN)
        return INVALID(c, "invalid expression: must be a column name but was %s", node_type(node));
    if (!find_attribute(c, node->text, out))
        return INVALID(c, "invalid expression: column name '%s' is not a valid search attribute",
                       node->text);
    return 0;
}

/* ---- values ---- */

static int add_value(struct compiler *c, struct flo_store_value value)
{
    if (c->count == MAX_VALUES)
        return INVALID(c, "malformed SQL query: the query is too long");
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 16;
        struct flo_store_value *grown = flo_arena_alloc(c->arena, capacity * sizeof *grown);
        if (!grown)
            return flo_fail(c->err, FLO_ENOMEM, "no memory for the query");
        if (c->count)
            memcpy(grown, c->values, c->count * sizeof *grown);
        c->values = grown;
        c->capacity = capacity;
    }
    c->values[c->count++] = value;
    return 0;
}

static int add_int(struct compiler *c, int64_t value)
{
    return add_value(c, (struct flo_store_value){.kind = FLO_STORE_INT, .integer = value});
}

static int add_text(struct compiler *c, const char *text)
{
    return add_value(c, (struct flo_store_value){.kind = FLO_STORE_TEXT, .text = text});
}

static int status_value(struct compiler *c, const char *text, int64_t *out)
{
    static const char *const names[] = {"Unspecified",    "Running",  "Completed",
                                        "Failed",         "Canceled", "Terminated",
                                        "ContinuedAsNew", "TimedOut", "Paused"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (int64_t)i;
            return 0;
        }
    }
    return INVALID(c, "invalid expression: invalid ExecutionStatus value '%s'", text);
}

/* A whole number that fits, or a real. */
static bool parse_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        return false;
    *out = value;
    return true;
}

static int add_number(struct compiler *c, const struct flo_query_node *node,
                      const struct attribute *attribute)
{
    int64_t integer;
    if (node->kind == FLO_NODE_INT && parse_int(node->text, &integer) &&
        (attribute->type != FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD ||
         strcmp(attribute->name, "ExecutionStatus") == 0))
        return add_int(c, integer);
    if (attribute->type == FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_DATETIME)
        return INVALID(c,
                       "invalid expression: unexpected value type float64 for search attribute %s",
                       attribute->name);
    if (attribute->type == FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT ||
        attribute->type == FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_DOUBLE)
        return add_value(
            c, (struct flo_store_value){.kind = FLO_STORE_REAL, .real = strtod(node->text, NULL)});
    return add_text(c, node->text);
}

static int add_string(struct compiler *c, const char *text, const struct attribute *attribute)
{
    int64_t number;
    if (strcmp(attribute->name, "ExecutionStatus") == 0) {
        int rc = status_value(c, text, &number);
        return rc ? rc : add_int(c, number);
    }
    if (strcmp(attribute->name, "ExecutionDuration") == 0) {
        if (!flo_query_parse_duration(text, &number))
            return INVALID(c,
                           "invalid value for search attribute ExecutionDuration: %s "
                           "(invalid duration)",
                           text);
        return add_int(c, number);
    }
    if (attribute->type == FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_DATETIME) {
        if (!flo_query_parse_time(text, &number))
            return INVALID(c, "invalid expression: unable to parse datetime '%s'", text);
        return add_int(c, number);
    }
    if (attribute->type == FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT &&
        parse_int(text, &number))
        return add_int(c, number);
    return add_text(c, text);
}

static int add_operand(struct compiler *c, const struct flo_query_node *node,
                       const struct attribute *attribute)
{
    switch (node->kind) {
    case FLO_NODE_STRING:
        return add_string(c, node->text, attribute);
    case FLO_NODE_INT:
    case FLO_NODE_FLOAT:
        return add_number(c, node, attribute);
    case FLO_NODE_BOOL:
        return add_int(c, strcmp(node->text, "true") == 0);
    case FLO_NODE_HEX:
        return flo_fail(c->err, FLO_EINVAL, "invalid expression: unable to parse %s", node->text);
    case FLO_NODE_FUNCTION:
        return INVALID(c, "operation is not supported: nested func");
    case FLO_NODE_COLUMN:
        return INVALID(c,
                       "operation is not supported: column name on the right side of comparison "
                       "expression (did you forget to quote '%s'?)",
                       node->text);
    default:
        return INVALID(c, "invalid expression: unexpected value type %s", node_type(node));
    }
}

/* ---- conditions ---- */

/* The attribute as an SQL value. Its name is ours (the table's), yet it is bound too. */
static int put_attribute(struct compiler *c, const struct attribute *attribute, bool for_null)
{
    const char *sql = for_null && attribute->null_sql ? attribute->null_sql : attribute->sql;
    if (sql) {
        flo_buf_append_str(&c->sql, sql);
        return 0;
    }
    /* Times are stored as texts; milliseconds are as exact as SQLite reads them. */
    flo_buf_append_str(
        &c->sql,
        attribute->type == FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_DATETIME && !for_null
            ? "CAST(round((julianday(json_extract(flo_attribute(search_attributes, ?), '$'))"
              " - 2440587.5) * 86400000.0) AS INTEGER) * 1000000"
            : "json_extract(flo_attribute(search_attributes, ?), '$')");
    return add_text(c, attribute->name);
}

/* "?" or "(?, ?, ...)" with its values. */
static int put_operand(struct compiler *c, const struct flo_query_node *node,
                       const struct attribute *attribute)
{
    if (node->kind != FLO_NODE_TUPLE) {
        flo_buf_append_str(&c->sql, "?");
        return add_operand(c, node, attribute);
    }
    int rc = 0;
    flo_buf_append_str(&c->sql, "(");
    for (const struct flo_query_node *item = node->child; item && !rc; item = item->next) {
        flo_buf_append_str(&c->sql, item->next ? "?, " : "?");
        rc = add_operand(c, item, attribute);
    }
    flo_buf_append_str(&c->sql, ")");
    return rc;
}

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(text, *list) == 0)
            return true;
    return false;
}

/* A list has a value (=, IN) or has none of them (!=, NOT IN). */
static int compile_list_test(struct compiler *c, const struct flo_query_node *node,
                             const struct attribute *attribute)
{
    static const char *const allowed[] = {"=", "!=", "in", "not in", NULL};
    const struct flo_query_node *right = node->child->next;
    if (!is_one_of(node->text, allowed)) {
        struct flo_buf sentence;
        flo_buf_init(&sentence, 256);
        flo_buf_printf(&sentence,
                       "operator '%s' not supported for KeywordList type search attribute",
                       node->text);
        int rc = fail_comparison(c, node, flo_buf_cstr(&sentence));
        flo_buf_fini(&sentence);
        return rc;
    }
    bool negated = node->text[0] == '!' || node->text[0] == 'n';
    flo_buf_printf(&c->sql,
                   "%s (SELECT 1 FROM json_each(flo_attribute(search_attributes, ?)) AS item"
                   " WHERE item.value %s ",
                   negated ? "NOT EXISTS" : "EXISTS", right->kind == FLO_NODE_TUPLE ? "IN" : "=");
    int rc = add_text(c, attribute->name);
    if (!rc)
        rc = put_operand(c, right, attribute);
    flo_buf_append_str(&c->sql, ")");
    return rc;
}

/* A text has (=) or has not (!=) one of the words asked for. */
static int compile_text_test(struct compiler *c, const struct flo_query_node *node,
                             const struct attribute *attribute)
{
    static const char *const allowed[] = {"=", "!=", NULL};
    const struct flo_query_node *right = node->child->next;
    if (!is_one_of(node->text, allowed)) {
        struct flo_buf sentence;
        flo_buf_init(&sentence, 256);
        flo_buf_printf(&sentence, "operator '%s' not supported for Text type search attribute",
                       node->text);
        int rc = fail_comparison(c, node, flo_buf_cstr(&sentence));
        flo_buf_fini(&sentence);
        return rc;
    }
    flo_buf_append_str(&c->sql, node->text[0] == '!' ? "NOT flo_has_word(search_attributes, ?, "
                                                     : "flo_has_word(search_attributes, ?, ");
    int rc = add_text(c, attribute->name);
    if (!rc)
        rc = put_operand(c, right, attribute);
    flo_buf_append_str(&c->sql, ")");
    return rc;
}

/* The values are checked first, as the server does it; then they must be one text. */
static int compile_starts_with(struct compiler *c, const struct flo_query_node *node,
                               const struct attribute *attribute)
{
    const struct flo_query_node *right = node->child->next;
    size_t before = c->count;
    int rc = add_operand(c, right, attribute);
    if (rc)
        return rc;
    if (right->kind != FLO_NODE_STRING) {
        struct flo_buf text;
        flo_buf_init(&text, 256);
        print_operand(&text, right);
        rc = INVALID(c,
                     "invalid expression: right-hand side of '%s' must be a literal string "
                     "(got: %s)",
                     node->text, flo_buf_cstr(&text));
        flo_buf_fini(&text);
        return rc;
    }
    struct flo_store_value value = c->values[before];
    c->count = before;
    flo_buf_append_str(&c->sql, "substr(");
    rc = put_attribute(c, attribute, false);
    if (!rc)
        rc = add_value(c, value);
    if (!rc)
        rc = add_value(c, value);
    flo_buf_append_str(&c->sql,
                       node->text[0] == 'n' ? ", 1, length(?)) <> ?" : ", 1, length(?)) = ?");
    return rc;
}

static int compile_comparison(struct compiler *c, const struct flo_query_node *node)
{
    static const char *const allowed[] = {
        "=", "!=", "<", ">", "<=", ">=", "in", "not in", "starts_with", "not starts_with", NULL};
    struct attribute attribute = {0};
    if (!is_one_of(node->text, allowed)) {
        struct flo_buf sentence;
        flo_buf_init(&sentence, 128);
        flo_buf_printf(&sentence, "invalid operator '%s'", node->text);
        int rc = fail_comparison(c, node, flo_buf_cstr(&sentence));
        flo_buf_fini(&sentence);
        return rc;
    }
    int rc = resolve(c, node->child, &attribute);
    if (rc)
        return rc;
    if (attribute.type == FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD_LIST)
        return compile_list_test(c, node, &attribute);
    if (attribute.type == FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_TEXT)
        return compile_text_test(c, node, &attribute);
    if (strstr(node->text, "starts_with"))
        return compile_starts_with(c, node, &attribute);
    rc = put_attribute(c, &attribute, false);
    if (rc)
        return rc;
    flo_buf_printf(&c->sql, " %s ", node->text);
    return put_operand(c, node->child->next, &attribute);
}

static int compile_range(struct compiler *c, const struct flo_query_node *node)
{
    struct attribute attribute = {0};
    const struct flo_query_node *from = node->child->next;
    int rc = resolve(c, node->child, &attribute);
    if (rc)
        return rc;
    switch (attribute.type) {
    case FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_DATETIME:
    case FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_DOUBLE:
    case FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT:
    case FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD:
        break;
    default:
        return INVALID(c,
                       "invalid expression: cannot do range condition on search attribute '%s' of "
                       "type %s",
                       attribute.name, type_name(attribute.type));
    }
    rc = put_attribute(c, &attribute, false);
    if (rc)
        return rc;
    flo_buf_printf(&c->sql, " %s ", node->text);
    rc = put_operand(c, from, &attribute);
    if (rc)
        return rc;
    flo_buf_append_str(&c->sql, " AND ");
    return put_operand(c, from->next, &attribute);
}

static int compile_is(struct compiler *c, const struct flo_query_node *node)
{
    struct attribute attribute = {0};
    int rc = resolve(c, node->child, &attribute);
    if (rc)
        return rc;
    if (strcmp(node->text, "is null") != 0 && strcmp(node->text, "is not null") != 0)
        return INVALID(c, "invalid expression: 'IS' operator can only be used with 'NULL' or "
                          "'NOT NULL'");
    rc = put_attribute(c, &attribute, true);
    flo_buf_printf(&c->sql, " %s", node->text);
    return rc;
}

/* Depth is bounded by the parser. */
static int compile(struct compiler *c, const struct flo_query_node *node)
{
    int rc = 0;
    switch (node->kind) {
    case FLO_NODE_AND:
    case FLO_NODE_OR:
        for (const struct flo_query_node *item = node->child; item && !rc; item = item->next) {
            if (item != node->child)
                flo_buf_append_str(&c->sql, node->kind == FLO_NODE_AND ? " AND " : " OR ");
            flo_buf_append_str(&c->sql, "(");
            rc = compile(c, item);
            flo_buf_append_str(&c->sql, ")");
        }
        return rc;
    case FLO_NODE_NOT:
        flo_buf_append_str(&c->sql, "NOT (");
        rc = compile(c, node->child);
        flo_buf_append_str(&c->sql, ")");
        return rc;
    case FLO_NODE_PAREN:
        return compile(c, node->child);
    case FLO_NODE_COMPARE:
        return compile_comparison(c, node);
    case FLO_NODE_RANGE:
        return compile_range(c, node);
    case FLO_NODE_IS:
        return compile_is(c, node);
    case FLO_NODE_FUNCTION:
        return INVALID(c, "operation is not supported: function expression");
    case FLO_NODE_COLUMN:
        return INVALID(c, "invalid expression: incomplete expression");
    default:
        return INVALID(c, "operation is not supported: expression of type %s", node_type(node));
    }
}

static int check_group_by(struct compiler *c, const struct flo_query_node *group_by)
{
    struct attribute attribute = {.name = ""};
    if (group_by->next)
        return INVALID(c, "operation is not supported: 'group by' clause supports only a single "
                          "field");
    int rc = resolve(c, group_by, &attribute);
    if (rc)
        return rc;
    if (strcmp(attribute.name, "ExecutionStatus") != 0)
        return INVALID(c, "operation is not supported: 'group by' clause is only supported for "
                          "ExecutionStatus search attribute");
    return 0;
}

int flo_query_compile(const char *text, const struct flo_query_names *names,
                      struct flo_arena *arena, struct flo_query *out_query, struct flo_err *err)
{
    struct compiler c = {.arena = arena, .names = names, .err = err};
    struct flo_query_tree tree = {0};
    flo_buf_init(&c.sql, 1 << 20);
    int rc = flo_query_parse(text, arena, &tree, err);
    if (!rc && tree.order_by)
        rc = INVALID(&c, "operation is not supported: 'order by' clause");
    if (!rc && tree.limit)
        rc = INVALID(&c, "operation is not supported: 'limit' clause");
    if (!rc && tree.where)
        rc = compile(&c, tree.where);
    if (!rc && tree.group_by)
        rc = check_group_by(&c, tree.group_by);
    if (!rc) {
        const char *sql = flo_arena_strdup(arena, flo_buf_cstr(&c.sql));
        if (!sql || c.sql.failed)
            rc = flo_fail(err, FLO_ENOMEM, "no memory for the query");
        else
            *out_query = (struct flo_query){
                .filter = {.sql = sql, .values = c.values, .value_count = c.count},
                .group_by_status = tree.group_by != NULL,
            };
    }
    flo_buf_fini(&c.sql);
    return rc;
}
