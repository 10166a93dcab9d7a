/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule_query.c - a syntax tree meets a schedule. Truth has three values, as in SQL: what is
 * asked of an attribute that is not there is unknown.
 */
#include "engine/rpc/schedule_query.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "engine/core/search_attributes.h"
#include "wire/payload.h"

#define SCHEDULE_ID "ScheduleId"
#define TYPE(name) FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_##name

enum truth { NO, YES, UNKNOWN };

static enum truth from_bool(bool value)
{
    return value ? YES : NO;
}

static enum truth not(enum truth value) {
    return value == UNKNOWN ? UNKNOWN : from_bool(value == NO);
}

/* ---- what may be asked for ---- */

static bool is_predefined(const char *name)
{
    static const char *const COLUMNS[] = {"CloseTime",
                                          "ExecutionDuration",
                                          "ExecutionStatus",
                                          "ExecutionTime",
                                          "HistoryLength",
                                          "HistorySizeBytes",
                                          "ParentRunId",
                                          "ParentWorkflowId",
                                          "RootRunId",
                                          "RootWorkflowId",
                                          "RunId",
                                          "StartTime",
                                          "StateTransitionCount",
                                          "TaskQueue",
                                          "WorkflowId",
                                          "WorkflowType"};
    for (size_t i = 0; i < sizeof COLUMNS / sizeof *COLUMNS; i++)
        if (strcmp(COLUMNS[i], name) == 0)
            return true;
#define PREDEFINED(attribute, type, settable)                                                      \
    if (strcmp(#attribute, name) == 0)                                                             \
        return true;
    FLO_SEARCH_ATTRIBUTES(PREDEFINED)
#undef PREDEFINED
    return false;
}

/* The first predefined name that schedules do not have, or NULL. */
static const char *forbidden(const struct flo_query_node *node)
{
    for (; node; node = node->next) {
        if (node->kind == FLO_NODE_COLUMN && is_predefined(node->text) &&
            strcmp(node->text, "TemporalSchedulePaused") != 0)
            return node->text;
        const char *inside = forbidden(node->child);
        if (inside)
            return inside;
    }
    return NULL;
}

#define CONVERT "unable to convert filter expression: "

/* The names of a namespace, and the one that only schedules have. */
static FloApi__IndexedValueType type_with_id(void *ctx, const char *name)
{
    const struct flo_query_names *names = ctx;
    return strcmp(name, SCHEDULE_ID) == 0 ? TYPE(KEYWORD) : names->type_of(names->ctx, name);
}

/* A condition that the namespace has a name for. */
static int check_name(const struct flo_query_node *node, const char *namespace_name,
                      const struct flo_query_names *names, struct flo_err *err)
{
    if (node->kind != FLO_NODE_COLUMN || is_predefined(node->text) ||
        names->type_of(names->ctx, node->text) != TYPE(UNSPECIFIED))
        return 0;
    return flo_fail(err, FLO_EINVAL, "Namespace %s has no mapping defined for search attribute %s",
                    namespace_name, node->text);
}

/* Conditions from left to right: the first one that is wrong is told. Trees are as deep as the
 * parser lets them be. */
static int check_conditions(const struct flo_query_node *node, // NOLINT(misc-no-recursion)
                            const char *namespace_name, const struct flo_query_names *names,
                            struct flo_err *err)
{
    int rc = 0;
    if (!node)
        return 0;
    switch (node->kind) {
    case FLO_NODE_AND:
    case FLO_NODE_OR:
    case FLO_NODE_PAREN:
        for (const struct flo_query_node *child = node->child; child && !rc; child = child->next)
            rc = check_conditions(child, namespace_name, names, err);
        return rc;
    case FLO_NODE_NOT:
        return flo_fail(err, FLO_EINVAL,
                        "invalid query: " CONVERT "operation is not supported: 'not' expression");
    case FLO_NODE_COLUMN:
        return flo_fail(err, FLO_EINVAL, "invalid query: " CONVERT "incomplete expression");
    case FLO_NODE_COMPARE:
    case FLO_NODE_RANGE:
    case FLO_NODE_IS:
        return check_name(node->child, namespace_name, names, err);
    default:
        return 0; /* flo_query_compile says what it is */
    }
}

/* What is wrong with a condition is said here with one more part in front than for workflows. */
static int compile(const char *text, const struct flo_query_names *names, struct flo_arena *arena,
                   struct flo_err *err)
{
    static const char START[] = "invalid query: ";
    struct flo_query compiled; /* for its checks alone */
    struct flo_err plain = {0};
    int rc = flo_query_compile(text, names, arena, &compiled, &plain);
    if (!rc)
        return 0;
    if (strncmp(plain.message, START, sizeof START - 1) != 0)
        return flo_fail(err, rc, "%s", plain.message);
    return flo_fail(err, rc, "%s" CONVERT "%s", START, plain.message + sizeof START - 1);
}

int flo_schedule_query_parse(const char *text, const char *namespace_name,
                             const struct flo_query_names *names, struct flo_arena *arena,
                             struct flo_query_tree *out, struct flo_err *err)
{
    const struct flo_query_names with_id = {type_with_id, (void *)(uintptr_t)names};
    int rc = flo_query_parse(text, arena, out, err);
    if (!rc)
        rc = check_conditions(out->where, namespace_name, &with_id, err);
    if (rc)
        return rc;
    const char *name = forbidden(out->where);
    if (!name && out->order_by)
        name = "StartTime";
    if (!name)
        name = forbidden(out->group_by);
    if (name)
        return flo_fail(err, FLO_EINVAL,
                        "invalid query filter for schedules: cannot filter on \"%s\"", name);
    if (out->group_by)
        return flo_fail(err, FLO_EINVAL,
                        "invalid query: unable to convert 'group by' column name: 'group by' "
                        "clause is only supported for ExecutionStatus search attribute");
    return compile(text, &with_id, arena, err);
}

/* ---- values ---- */

static FloApi__IndexedValueType type_of(const struct flo_query_names *names, const char *name)
{
    if (strcmp(name, "TemporalSchedulePaused") == 0)
        return TYPE(BOOL);
    return strcmp(name, SCHEDULE_ID) == 0 ? TYPE(KEYWORD) : names->type_of(names->ctx, name);
}

/* The value of an attribute, a new reference; NULL: it has none. */
static json_t *value_of(const struct flo_core_schedule *schedule, const char *name)
{
    json_t *value = NULL;
    if (strcmp(name, "TemporalSchedulePaused") == 0)
        return json_boolean(schedule->paused);
    if (strcmp(name, SCHEDULE_ID) == 0)
        return json_string(schedule->id);
    const FloApi__SearchAttributes *all = schedule->attributes;
    for (size_t i = 0; all && i < all->n_indexed_fields; i++)
        if (strcmp(all->indexed_fields[i]->key, name) == 0 &&
            flo_payload_to_json(all->indexed_fields[i]->value, &value, NULL))
            value = NULL;
    if (json_is_null(value)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

/* A literal against one value: negative, 0, positive; false: they cannot be compared. */
static bool compare(const json_t *value, const struct flo_query_node *literal,
                    FloApi__IndexedValueType type, int *out)
{
    if (type == TYPE(BOOL)) {
        *out = json_is_true(value) - (strcmp(literal->text, "true") == 0);
        return json_is_boolean(value);
    }
    if (type == TYPE(INT) || type == TYPE(DOUBLE)) {
        char *end;
        const double right = strtod(literal->text, &end), left = json_number_value(value);
        *out = (left > right) - (left < right);
        return json_is_number(value) && !*end;
    }
    if (!json_is_string(value))
        return false;
    if (type == TYPE(DATETIME)) {
        int64_t left, right;
        if (!flo_clock_parse_rfc3339(json_string_value(value), &left) ||
            !flo_clock_parse_rfc3339(literal->text, &right))
            return false;
        *out = (left > right) - (left < right);
        return true;
    }
    *out = strcmp(json_string_value(value), literal->text);
    return true;
}

/* Has the text one of the words? */
static bool has_word(const char *text, const char *words)
{
    static const char BETWEEN[] = " \t\n.,;:!?-_/()'\"";
    for (const char *word = words; *(word += strspn(word, BETWEEN));) {
        const size_t len = strcspn(word, BETWEEN);
        for (const char *at = text; *(at += strspn(at, BETWEEN));) {
            const size_t at_len = strcspn(at, BETWEEN);
            if (at_len == len && strncasecmp(at, word, len) == 0)
                return true;
            at += at_len;
        }
        word += len;
    }
    return false;
}

static bool equals(const json_t *value, const struct flo_query_node *literal,
                   FloApi__IndexedValueType type)
{
    int order;
    if (type == TYPE(TEXT))
        return json_is_string(value) && has_word(json_string_value(value), literal->text);
    if (type == TYPE(KEYWORD_LIST) && json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            if (compare(json_array_get(value, i), literal, TYPE(KEYWORD), &order) && order == 0)
                return true;
        return false;
    }
    return compare(value, literal, type, &order) && order == 0;
}

static enum truth test_value(const json_t *value, const struct flo_query_node *node,
                             FloApi__IndexedValueType type)
{
    const struct flo_query_node *right = node->child->next;
    const char *op = node->text;
    int order;
    if (strcmp(op, "=") == 0 || strcmp(op, "!=") == 0)
        return from_bool(equals(value, right, type) == (*op == '='));
    if (strcmp(op, "in") == 0 || strcmp(op, "not in") == 0) {
        bool found = false;
        for (const struct flo_query_node *item = right->child; item; item = item->next)
            found = found || equals(value, item, type);
        return from_bool(found == (*op == 'i'));
    }
    if (strstr(op, "starts_with")) {
        const char *text = json_string_value(value);
        const bool begins = text && strncmp(text, right->text, strlen(right->text)) == 0;
        return from_bool(begins == (*op == 's'));
    }
    if (!compare(value, right, type, &order))
        return UNKNOWN;
    const bool or_equal = op[1] == '=' && order == 0;
    return from_bool(or_equal || (*op == '<' ? order < 0 : order > 0));
}

static enum truth test_range(const json_t *value, const struct flo_query_node *node,
                             FloApi__IndexedValueType type)
{
    const struct flo_query_node *from = node->child->next;
    int low, high;
    if (!compare(value, from, type, &low) || !compare(value, from->next, type, &high))
        return UNKNOWN;
    return from_bool((low >= 0 && high <= 0) == (node->text[0] == 'b'));
}

/* ---- conditions ---- */

/* AND and OR: `decides` is the value of an operand that settles it. */
static enum truth join(enum truth left, enum truth right, enum truth decides)
{
    if (left == decides || right == decides)
        return decides;
    return left == UNKNOWN || right == UNKNOWN ? UNKNOWN : not(decides);
}

static enum truth test(const struct flo_query_node *node, const struct flo_query_names *names,
                       const struct flo_core_schedule *schedule)
{
    if (node->kind == FLO_NODE_PAREN)
        return test(node->child, names, schedule);
    if (node->kind == FLO_NODE_AND || node->kind == FLO_NODE_OR) {
        const enum truth decides = node->kind == FLO_NODE_AND ? NO : YES;
        enum truth all = not(decides);
        for (const struct flo_query_node *child = node->child; child; child = child->next)
            all = join(all, test(child, names, schedule), decides);
        return all;
    }
    if (!node->child || node->child->kind != FLO_NODE_COLUMN)
        return UNKNOWN;
    json_t *value = value_of(schedule, node->child->text);
    const FloApi__IndexedValueType type = type_of(names, node->child->text);
    enum truth result = UNKNOWN;
    if (node->kind == FLO_NODE_IS)
        result = from_bool((value == NULL) == (strcmp(node->text, "is null") == 0));
    else if (value && node->kind == FLO_NODE_COMPARE)
        result = test_value(value, node, type);
    else if (value && node->kind == FLO_NODE_RANGE)
        result = test_range(value, node, type);
    json_decref(value);
    return result;
}

bool flo_schedule_query_matches(const struct flo_query_tree *tree,
                                const struct flo_query_names *names,
                                const struct flo_core_schedule *schedule)
{
    return !tree->where || test(tree->where, names, schedule) == YES;
}
