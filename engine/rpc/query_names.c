/* SPDX-License-Identifier: Apache-2.0 */
/* query_names.c - the names of a query: which attribute of a run is meant, and its column. */
#include <string.h>

#include "engine/core/search_attributes.h"
#include "engine/rpc/query_compile.h"

#define TYPE FLO_QUERY_TYPE
/* What is only known of a closed run, as on the server. */
#define CLOSED(column) "CASE WHEN close_ns > 0 THEN " column " END"

static const struct flo_query_attribute columns[] = {
    /* An open run counts as closed after everything else, as on the server. */
    {"CloseTime", TYPE(DATETIME), "close_order", "nullif(close_ns, 0)"},
    {"ExecutionDuration", TYPE(INT), CLOSED("close_ns - execution_ns"), NULL},
    {"ExecutionStatus", TYPE(KEYWORD), "status", NULL},
    {"ExecutionTime", TYPE(DATETIME), "execution_ns", NULL},
    {"HistoryLength", TYPE(INT), CLOSED("history_length"), NULL},
    {"HistorySizeBytes", TYPE(INT), CLOSED("history_bytes"), NULL},
    {"ParentRunId", TYPE(KEYWORD), "nullif(parent_run_id, '')", NULL},
    {"ParentWorkflowId", TYPE(KEYWORD), "nullif(parent_workflow_id, '')", NULL},
    {"RootRunId", TYPE(KEYWORD), "CASE WHEN root_run_id = '' THEN run_id ELSE root_run_id END",
     NULL},
    {"RootWorkflowId", TYPE(KEYWORD),
     "CASE WHEN root_workflow_id = '' THEN workflow_id ELSE root_workflow_id END", NULL},
    {"RunId", TYPE(KEYWORD), "run_id", NULL},
    {"StartTime", TYPE(DATETIME), "start_ns", NULL},
    {"StateTransitionCount", TYPE(INT), CLOSED("state_transitions"), NULL},
    {"TaskQueue", TYPE(KEYWORD), "task_queue", NULL},
    {"WorkflowId", TYPE(KEYWORD), "workflow_id", NULL},
    {"WorkflowType", TYPE(KEYWORD), "type", NULL},
};

const char *flo_query_type_name(FloApi__IndexedValueType type)
{
    static const char *const names[] = {"Unspecified", "Text", "Keyword",  "Int",
                                        "Double",      "Bool", "Datetime", "KeywordList"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "Unspecified";
}

const char *flo_query_node_type(const struct flo_query_node *node)
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

void flo_query_print(struct flo_buf *out, const struct flo_query_node *node)
{
    if (!node)
        return;
    switch (node->kind) {
    case FLO_NODE_STRING:
        flo_buf_printf(out, "'%s'", node->text);
        break;
    case FLO_NODE_TUPLE:
    case FLO_NODE_PAREN:
        flo_buf_append_str(out, "(");
        for (const struct flo_query_node *item = node->child; item; item = item->next) {
            flo_query_print(out, item);
            if (item->next)
                flo_buf_append_str(out, ", ");
        }
        flo_buf_append_str(out, ")");
        break;
    default:
        flo_buf_append_str(out, node->text ? node->text : flo_query_node_type(node));
    }
}

static bool find_attribute(const struct flo_query_compiler *c, const char *name,
                           struct flo_query_attribute *out)
{
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        if (strcmp(columns[i].name, name) == 0) {
            *out = columns[i];
            return true;
        }
    }
    const struct flo_search_attribute *found = flo_search_attribute_find(name);
    *out = (struct flo_query_attribute){.name = name};
    if (found)
        out->type = found->type;
    else if (c->names)
        out->type = c->names->type_of(c->names->ctx, name);
    return out->type != TYPE(UNSPECIFIED);
}

int flo_query_resolve(struct flo_query_compiler *c, const struct flo_query_node *node,
                      struct flo_query_attribute *out)
{
    if (node->kind != FLO_NODE_COLUMN)
        return FLO_QUERY_INVALID(c, "invalid expression: must be a column name but was %s",
                                 flo_query_node_type(node));
    if (!find_attribute(c, node->text, out))
        return FLO_QUERY_INVALID(
            c, "invalid expression: column name '%s' is not a valid search attribute", node->text);
    if (strcmp(out->name, FLO_QUERY_DIVISION) == 0)
        c->names_division = true;
    if (strcmp(out->name, "ExecutionStatus") != 0)
        c->names_other = true;
    return 0;
}
