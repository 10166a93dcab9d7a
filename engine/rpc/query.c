/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.c - from the syntax tree to SQL: conditions. Names become column expressions, every value
 * becomes a `?`.
 *
 * Search attributes that are no columns are read out of the stored SearchAttributes message by the
 * store's functions flo_attribute(blob, name, type), flo_has_item and flo_has_word. query_path.c
 * says how the store finds the runs.
 */
#include "engine/rpc/query.h"

#include <string.h>

#include "engine/rpc/query_compile.h"

#define TYPE FLO_QUERY_TYPE
#define INVALID FLO_QUERY_INVALID

/* type: of the attribute that cannot be compared so; NULL: nothing can. */
static int fail_comparison(struct flo_query_compiler *c, const struct flo_query_node *node,
                           const char *type)
{
    struct flo_buf text;
    flo_buf_init(&text, 512);
    flo_query_print(&text, node->child);
    flo_buf_printf(&text, " %s ", node->text);
    flo_query_print(&text, node->child->next);
    int rc = type ? INVALID(c,
                            "invalid expression: operator '%s' not supported for %s type search "
                            "attribute in `%s`",
                            node->text, type, flo_buf_cstr(&text))
                  : INVALID(c, "invalid expression: invalid operator '%s' in `%s`", node->text,
                            flo_buf_cstr(&text));
    flo_buf_fini(&text);
    return rc;
}

static int fail_expected_string(struct flo_query_compiler *c, const struct flo_query_node *node,
                                bool in_tuple)
{
    struct flo_buf text;
    flo_buf_init(&text, 512);
    flo_query_print(&text, node);
    int rc = INVALID(c, "invalid expression: unexpected value type%s (expected string, got %s)",
                     in_tuple ? " in tuple" : "", flo_buf_cstr(&text));
    flo_buf_fini(&text);
    return rc;
}

/* The attribute as an SQL value. */
static int put_attribute(struct flo_query_compiler *c, const struct flo_query_attribute *attribute,
                         bool for_null)
{
    const char *sql = for_null && attribute->null_sql ? attribute->null_sql : attribute->sql;
    if (sql) {
        flo_buf_append_str(&c->sql, sql);
        return 0;
    }
    flo_buf_printf(&c->sql, "flo_attribute(search_attributes, ?, %d)", (int)attribute->type);
    return flo_query_bind_text(c, attribute->name);
}

/* "?" or "(?, ?, ...)" with its values. */
static int put_operand(struct flo_query_compiler *c, const struct flo_query_node *node,
                       const struct flo_query_attribute *attribute)
{
    if (node->kind != FLO_NODE_TUPLE) {
        flo_buf_append_str(&c->sql, "?");
        return flo_query_bind_operand(c, node, attribute);
    }
    int rc = 0;
    flo_buf_append_str(&c->sql, "(");
    for (const struct flo_query_node *item = node->child; item && !rc; item = item->next) {
        flo_buf_append_str(&c->sql, item->next ? "?, " : "?");
        rc = flo_query_bind_operand(c, item, attribute);
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

/* A list has one of the values (=, IN), or has none of them (!=, NOT IN). */
static int compile_list_test(struct flo_query_compiler *c, const struct flo_query_node *node,
                             const struct flo_query_attribute *attribute)
{
    static const char *const allowed[] = {"=", "!=", "in", "not in", NULL};
    const struct flo_query_node *right = node->child->next, *item = right;
    const bool is_in = strstr(node->text, "in") != NULL;
    int rc = 0;
    if (!is_one_of(node->text, allowed))
        return fail_comparison(c, node, "KeywordList");
    if (is_in)
        item = right->child;
    else if (right->kind == FLO_NODE_TUPLE)
        return fail_expected_string(c, right, false);
    flo_buf_append_str(&c->sql, node->text[0] == '!' || node->text[0] == 'n' ? "NOT (" : "(");
    for (const char *join = ""; item && !rc; item = is_in ? item->next : NULL, join = " OR ") {
        if (item->kind == FLO_NODE_INT || item->kind == FLO_NODE_FLOAT ||
            item->kind == FLO_NODE_BOOL)
            return fail_expected_string(c, item, is_in);
        flo_buf_printf(&c->sql, "%sflo_has_item(search_attributes, ?, ?)", join);
        rc = flo_query_bind_text(c, attribute->name);
        if (!rc)
            rc = flo_query_bind_operand(c, item, attribute);
    }
    flo_buf_append_str(&c->sql, ")");
    return rc;
}

/* A text has (=) or has not (!=) one of the words asked for. */
static int compile_text_test(struct flo_query_compiler *c, const struct flo_query_node *node,
                             const struct flo_query_attribute *attribute)
{
    static const char *const allowed[] = {"=", "!=", NULL};
    const struct flo_query_node *right = node->child->next;
    if (!is_one_of(node->text, allowed))
        return fail_comparison(c, node, "Text");
    if (right->kind == FLO_NODE_TUPLE || right->kind == FLO_NODE_INT ||
        right->kind == FLO_NODE_FLOAT || right->kind == FLO_NODE_BOOL)
        return fail_expected_string(c, right, false);
    if (right->kind == FLO_NODE_STRING && right->text[strspn(right->text, " \t\r\n")] == '\0')
        return INVALID(c,
                       "invalid expression: unexpected value for Text type search attribute (no "
                       "tokens found in '%s')",
                       right->text);
    flo_buf_append_str(&c->sql, node->text[0] == '!' ? "NOT flo_has_word(search_attributes, ?, "
                                                     : "flo_has_word(search_attributes, ?, ");
    int rc = flo_query_bind_text(c, attribute->name);
    if (!rc)
        rc = put_operand(c, right, attribute);
    flo_buf_append_str(&c->sql, ")");
    return rc;
}

/* The value is understood first, as the server does it; then it must be a text. */
static int compile_starts_with(struct flo_query_compiler *c, const struct flo_query_node *node,
                               const struct flo_query_attribute *attribute)
{
    const struct flo_query_node *right = node->child->next;
    const size_t before = c->count;
    int rc = right->kind == FLO_NODE_TUPLE ? 0 : flo_query_bind_operand(c, right, attribute);
    if (rc)
        return rc;
    const bool is_status = strcmp(attribute->name, "ExecutionStatus") == 0;
    if (right->kind != FLO_NODE_STRING || is_status) {
        struct flo_buf text;
        flo_buf_init(&text, 256);
        if (is_status && right->kind == FLO_NODE_STRING)
            flo_buf_printf(&text, "%d", (int)c->values[before].integer);
        else
            flo_query_print(&text, right);
        rc = INVALID(c,
                     "invalid expression: right-hand side of '%s' must be a literal string "
                     "(got: %s)",
                     node->text, flo_buf_cstr(&text));
        flo_buf_fini(&text);
        return rc;
    }
    c->count = before;
    flo_buf_append_str(&c->sql, "substr(");
    rc = put_attribute(c, attribute, false);
    if (!rc)
        rc = flo_query_bind_text(c, right->text);
    if (!rc)
        rc = flo_query_bind_text(c, right->text);
    flo_buf_append_str(&c->sql, node->text[0] == 'n' ? ", 1, length(?)) <> ? COLLATE NOCASE"
                                                     : ", 1, length(?)) = ? COLLATE NOCASE");
    return rc;
}

/*
 * One status: those of closed runs have an index, which SQLite takes only when the condition of the
 * index stands in the query; open runs are at the begin of every list.
 */
static int compile_status(struct flo_query_compiler *c, const struct flo_query_node *right,
                          const struct flo_query_attribute *attribute)
{
    const size_t before = c->count;
    int rc = flo_query_bind_operand(c, right, attribute);
    if (rc)
        return rc;
    const int64_t status = c->values[before].integer;
    c->count = before;
    flo_buf_printf(&c->sql, "status = %lld", (long long)status);
    if (status == FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING)
        flo_buf_append_str(&c->sql, " AND " FLO_STORE_IS_OPEN);
    else if (status > 1)
        flo_buf_append_str(&c->sql, " AND " FLO_STORE_IS_CLOSED);
    return 0;
}

/* What starts at some time or later ends not before it: that bounds the part of a list to look at.
 */
static int put_close_bound(struct flo_query_compiler *c, const struct flo_query_node *start,
                           const struct flo_query_attribute *attribute)
{
    flo_buf_append_str(&c->sql, " AND close_order >= ?");
    return flo_query_bind_operand(c, start, attribute);
}

static int compile_comparison(struct flo_query_compiler *c, const struct flo_query_node *node)
{
    static const char *const allowed[] = {
        "=", "!=", "<", ">", "<=", ">=", "in", "not in", "starts_with", "not starts_with", NULL};
    struct flo_query_attribute attribute = {0};
    const struct flo_query_node *right = node->child->next;
    if (!is_one_of(node->text, allowed))
        return fail_comparison(c, node, NULL);
    int rc = flo_query_resolve(c, node->child, &attribute);
    if (rc)
        return rc;
    if (attribute.type == TYPE(KEYWORD_LIST))
        return compile_list_test(c, node, &attribute);
    if (attribute.type == TYPE(TEXT))
        return compile_text_test(c, node, &attribute);
    if (strstr(node->text, "starts_with"))
        return compile_starts_with(c, node, &attribute);
    if (right->kind == FLO_NODE_TUPLE && !strstr(node->text, "in"))
        return INVALID(c, "invalid expression: unexpected value type %s",
                       flo_query_node_type(right));
    if (strcmp(attribute.name, "ExecutionStatus") == 0 && strcmp(node->text, "=") == 0)
        return compile_status(c, right, &attribute);
    rc = put_attribute(c, &attribute, false);
    if (rc)
        return rc;
    flo_buf_printf(&c->sql, " %s ", node->text);
    rc = put_operand(c, right, &attribute);
    if (!rc && strcmp(attribute.name, "StartTime") == 0 && strchr(">=", node->text[0]))
        rc = put_close_bound(c, right, &attribute);
    return rc;
}

static int compile_range(struct flo_query_compiler *c, const struct flo_query_node *node)
{
    struct flo_query_attribute attribute = {0};
    const struct flo_query_node *from = node->child->next;
    int rc = flo_query_resolve(c, node->child, &attribute);
    if (rc)
        return rc;
    switch (attribute.type) {
    case TYPE(DATETIME):
    case TYPE(DOUBLE):
    case TYPE(INT):
    case TYPE(KEYWORD):
        break;
    default:
        return INVALID(c,
                       "invalid expression: cannot do range condition on search attribute '%s' of "
                       "type %s",
                       attribute.name, flo_query_type_name(attribute.type));
    }
    rc = put_attribute(c, &attribute, false);
    if (rc)
        return rc;
    flo_buf_printf(&c->sql, " %s ", node->text);
    rc = put_operand(c, from, &attribute);
    if (rc)
        return rc;
    flo_buf_append_str(&c->sql, " AND ");
    rc = put_operand(c, from->next, &attribute);
    if (!rc && strcmp(attribute.name, "StartTime") == 0 && node->text[0] == 'b')
        rc = put_close_bound(c, from, &attribute);
    return rc;
}

static int compile_is(struct flo_query_compiler *c, const struct flo_query_node *node)
{
    struct flo_query_attribute attribute = {0};
    int rc = flo_query_resolve(c, node->child, &attribute);
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
static int compile(struct flo_query_compiler *c, const struct flo_query_node *node)
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
        return INVALID(c, "operation is not supported: expression of type %s",
                       flo_query_node_type(node));
    }
}

static int check_group_by(struct flo_query_compiler *c, const struct flo_query_node *group_by)
{
    struct flo_query_attribute attribute = {.name = ""};
    if (group_by->next)
        return INVALID(c, "operation is not supported: 'group by' clause supports only a single "
                          "field");
    int rc = flo_query_resolve(c, group_by, &attribute);
    if (rc)
        return rc;
    if (strcmp(attribute.name, "ExecutionStatus") != 0)
        return INVALID(c, "operation is not supported: 'group by' clause is only supported for "
                          "ExecutionStatus search attribute");
    return 0;
}

static int finish(struct flo_query_compiler *c, const struct flo_query_tree *tree,
                  struct flo_query *out)
{
    const char *sql = flo_arena_strdup(c->arena, flo_buf_cstr(&c->sql));
    if (!sql || c->sql.failed)
        return flo_fail(c->err, FLO_ENOMEM, "no memory for the query");
    const size_t count = c->count;
    if (tree->where)
        flo_query_find_path(c, tree->where);
    *out = (struct flo_query){.filter = c->found, .group_by_status = tree->group_by != NULL};
    out->filter.sql = sql;
    out->filter.values = c->values;
    out->filter.value_count = count;
    out->filter.all_divisions = c->names_division;
    out->filter.only_status = !c->names_other;
    return 0;
}

int flo_query_compile(const char *text, const struct flo_query_names *names,
                      struct flo_arena *arena, struct flo_query *out_query, struct flo_err *err)
{
    struct flo_query_compiler c = {.arena = arena, .names = names, .err = err};
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
    if (!rc)
        rc = finish(&c, &tree, out_query);
    flo_buf_fini(&c.sql);
    return rc;
}
