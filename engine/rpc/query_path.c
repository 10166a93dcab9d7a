/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query_path.c - how the store finds the runs of a query: by the best term of the topmost AND that
 * an index stands for. Whatever is chosen, the whole condition is checked for each run.
 */
#include <string.h>

#include "engine/rpc/query_compile.h"

#define TYPE FLO_QUERY_TYPE

/* The better a path, the fewer runs it is likely to give. */
static int rank(enum flo_store_path path)
{
    static const int ranks[] = {
        [FLO_STORE_IN_ORDER] = 0,    [FLO_STORE_BY_START] = 1, [FLO_STORE_BY_PREFIX] = 2,
        [FLO_STORE_BY_STATUS] = 3,   [FLO_STORE_BY_TYPE] = 4,  [FLO_STORE_BY_ATTRIBUTE] = 5,
        [FLO_STORE_BY_WORKFLOW] = 6, [FLO_STORE_BY_RUN] = 7,
    };
    return ranks[path];
}

static void offer(struct flo_query_compiler *c, enum flo_store_path path)
{
    if (rank(path) > rank(c->found.path))
        c->found.path = path;
}

static void offer_attribute(struct flo_query_compiler *c,
                            const struct flo_query_attribute *attribute,
                            struct flo_store_value value)
{
    if (attribute->sql || attribute->type == TYPE(TEXT) ||
        !flo_store_indexes_attribute(attribute->name) || c->found.attribute)
        return;
    if (attribute->type == TYPE(KEYWORD_LIST)) {
        char *folded = flo_arena_strdup(c->arena, value.text);
        if (!folded)
            return;
        flo_store_fold(folded, folded);
        value.text = folded;
    }
    c->found.attribute = attribute->name;
    c->found.equals = value;
    offer(c, FLO_STORE_BY_ATTRIBUTE);
}

/* Of an attribute whose values are texts and have an index, or of the workflow id. */
static void offer_prefix(struct flo_query_compiler *c, const struct flo_query_attribute *attribute,
                         const char *prefix)
{
    const bool is_workflow_id = strcmp(attribute->name, "WorkflowId") == 0;
    if (!*prefix || c->found.prefix || attribute->type != TYPE(KEYWORD) ||
        (!is_workflow_id && (attribute->sql || !flo_store_indexes_attribute(attribute->name))))
        return;
    c->found.prefix_of = is_workflow_id ? NULL : attribute->name;
    c->found.prefix = prefix;
    offer(c, FLO_STORE_BY_PREFIX);
}

static void offer_start(struct flo_query_compiler *c, int64_t from_ns, int64_t to_ns)
{
    if (c->found.start_to_ns == 0 && c->found.start_from_ns == 0) {
        c->found.start_from_ns = INT64_MIN;
        c->found.start_to_ns = INT64_MAX;
    }
    if (from_ns > c->found.start_from_ns)
        c->found.start_from_ns = from_ns;
    if (to_ns < c->found.start_to_ns)
        c->found.start_to_ns = to_ns;
    if (c->found.start_to_ns < INT64_MAX) /* else the begin of the list has them */
        offer(c, FLO_STORE_BY_START);
}

static void offer_close(struct flo_query_compiler *c, int64_t to_ns)
{
    if (to_ns > 0 && (c->found.close_to_ns == 0 || to_ns < c->found.close_to_ns))
        c->found.close_to_ns = to_ns;
}

/* The value of an operand that was bound before without an error. */
static bool value_of(struct flo_query_compiler *c, const struct flo_query_node *node,
                     const struct flo_query_attribute *attribute, struct flo_store_value *out)
{
    const size_t before = c->count;
    if (node->kind == FLO_NODE_TUPLE || flo_query_bind_operand(c, node, attribute))
        return false;
    c->count = before;
    *out = c->values[before];
    return true;
}

static void look_at_comparison(struct flo_query_compiler *c, const struct flo_query_node *node)
{
    const struct flo_query_node *right = node->child->next;
    struct flo_query_attribute attribute = {.name = ""};
    struct flo_store_value value = {0};
    const bool equal = strcmp(node->text, "=") == 0;
    if (flo_query_resolve(c, node->child, &attribute))
        return;
    if (equal || strcmp(node->text, "in") == 0) {
        if (strcmp(attribute.name, "RunId") == 0)
            offer(c, FLO_STORE_BY_RUN);
        else if (strcmp(attribute.name, "WorkflowId") == 0)
            offer(c, FLO_STORE_BY_WORKFLOW);
    }
    if (strcmp(node->text, "starts_with") == 0) {
        if (right->kind == FLO_NODE_STRING)
            offer_prefix(c, &attribute, right->text);
        return;
    }
    if (!value_of(c, right, &attribute, &value))
        return;
    if (strcmp(attribute.name, "StartTime") == 0) {
        const char first = node->text[0];
        if (first == '<' || first == '>' || equal)
            offer_start(c, first == '<' ? INT64_MIN : value.integer,
                        first == '>' ? INT64_MAX : value.integer);
    } else if (strcmp(attribute.name, "CloseTime") == 0) {
        if (node->text[0] == '<' || equal)
            offer_close(c, value.integer);
    } else if (equal && strcmp(attribute.name, "WorkflowType") == 0) {
        offer(c, FLO_STORE_BY_TYPE);
    } else if (equal && strcmp(attribute.name, "ExecutionStatus") == 0) {
        if (value.integer > 1)
            offer(c, FLO_STORE_BY_STATUS);
    } else if (equal) {
        offer_attribute(c, &attribute, value);
    }
}

static void look_at_range(struct flo_query_compiler *c, const struct flo_query_node *node)
{
    const struct flo_query_node *from = node->child->next;
    struct flo_query_attribute attribute = {.name = ""};
    struct flo_store_value first = {0}, last = {0};
    if (node->text[0] != 'b' || flo_query_resolve(c, node->child, &attribute) ||
        attribute.type != TYPE(DATETIME) || !attribute.sql ||
        !value_of(c, from, &attribute, &first) || !value_of(c, from->next, &attribute, &last))
        return;
    if (strcmp(attribute.name, "StartTime") == 0)
        offer_start(c, first.integer, last.integer);
    else if (strcmp(attribute.name, "CloseTime") == 0)
        offer_close(c, last.integer);
}

static void look_at(struct flo_query_compiler *c, const struct flo_query_node *node)
{
    while (node->kind == FLO_NODE_PAREN)
        node = node->child;
    if (node->kind == FLO_NODE_COMPARE)
        look_at_comparison(c, node);
    else if (node->kind == FLO_NODE_RANGE)
        look_at_range(c, node);
}

void flo_query_find_path(struct flo_query_compiler *c, const struct flo_query_node *where)
{
    while (where->kind == FLO_NODE_PAREN)
        where = where->child;
    if (where->kind != FLO_NODE_AND) {
        look_at(c, where);
        return;
    }
    for (const struct flo_query_node *item = where->child; item; item = item->next)
        look_at(c, item);
}
