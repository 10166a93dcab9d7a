/* SPDX-License-Identifier: Apache-2.0 */
/* query_operand.c - the values of a query: what a literal means for an attribute of some type. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/rpc/query_compile.h"

#define TYPE FLO_QUERY_TYPE
#define INVALID FLO_QUERY_INVALID
#define MAX_VALUES 2000

int flo_query_bind(struct flo_query_compiler *c, struct flo_store_value value)
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

static int bind_int(struct flo_query_compiler *c, int64_t value)
{
    return flo_query_bind(c, (struct flo_store_value){.kind = FLO_STORE_INT, .integer = value});
}

static int bind_real(struct flo_query_compiler *c, double value)
{
    return flo_query_bind(c, (struct flo_store_value){.kind = FLO_STORE_REAL, .real = value});
}

int flo_query_bind_text(struct flo_query_compiler *c, const char *text)
{
    return flo_query_bind(c, (struct flo_store_value){.kind = FLO_STORE_TEXT, .text = text});
}

static bool is(const struct flo_query_attribute *attribute, const char *name)
{
    return strcmp(attribute->name, name) == 0;
}

static bool is_number_type(const struct flo_query_attribute *attribute)
{
    return attribute->type == TYPE(INT) || attribute->type == TYPE(DOUBLE);
}

/* "Running", or "WORKFLOW_EXECUTION_STATUS_RUNNING". */
static int bind_status(struct flo_query_compiler *c, const char *text)
{
    static const char *const names[] = {"Unspecified", "Running",    "Completed",      "Failed",
                                        "Canceled",    "Terminated", "ContinuedAsNew", "TimedOut"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], text) == 0)
            return bind_int(c, (int64_t)i);
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value_by_name(
        &flo_api__workflow_execution_status__descriptor, text);
    if (value && value->value < (int)(sizeof names / sizeof *names))
        return bind_int(c, value->value);
    return INVALID(c, "invalid expression: invalid ExecutionStatus value '%s'", text);
}

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

static bool parse_real(const char *text, double *out)
{
    char *end;
    if (!text[strspn(text, "+-0123456789.eE")]) {
        *out = strtod(text, &end);
        return end != text && !*end;
    }
    return false;
}

static int bind_number(struct flo_query_compiler *c, const struct flo_query_node *node,
                       const struct flo_query_attribute *attribute)
{
    int64_t integer;
    double real;
    if (!parse_real(node->text, &real))
        return flo_fail(c->err, FLO_EINVAL, "invalid expression: unable to parse %s", node->text);
    if (node->kind == FLO_NODE_INT && parse_int(node->text, &integer) &&
        (attribute->type != TYPE(KEYWORD) || is(attribute, "ExecutionStatus")))
        return bind_int(c, integer);
    if (attribute->type == TYPE(DATETIME) || is(attribute, "ExecutionStatus"))
        return INVALID(c,
                       "invalid expression: unexpected value type float64 for search attribute %s",
                       attribute->name);
    if (is_number_type(attribute))
        return bind_real(c, real);
    return flo_query_bind_text(c, node->text);
}

static int bind_duration(struct flo_query_compiler *c, const char *text)
{
    const char *why = "";
    int64_t ns;
    if (flo_query_parse_duration(text, &ns, &why))
        return bind_int(c, ns);
    return INVALID(c,
                   "invalid value for search attribute ExecutionDuration: %s (invalid duration%s)",
                   text, why);
}

static int bind_string(struct flo_query_compiler *c, const char *text,
                       const struct flo_query_attribute *attribute)
{
    int64_t integer;
    double real;
    if (is(attribute, "ExecutionStatus"))
        return bind_status(c, text);
    if (is(attribute, "ExecutionDuration"))
        return bind_duration(c, text);
    if (attribute->type == TYPE(DATETIME)) {
        if (!flo_clock_parse_rfc3339(text, &integer))
            return INVALID(c, "invalid expression: unable to parse datetime '%s'", text);
        return bind_int(c, integer);
    }
    if (is_number_type(attribute) && parse_int(text, &integer))
        return bind_int(c, integer);
    if (is_number_type(attribute) && parse_real(text, &real))
        return bind_real(c, real);
    return flo_query_bind_text(c, text);
}

int flo_query_bind_operand(struct flo_query_compiler *c, const struct flo_query_node *node,
                           const struct flo_query_attribute *attribute)
{
    bool truth;
    switch (node->kind) {
    case FLO_NODE_STRING:
        return bind_string(c, node->text, attribute);
    case FLO_NODE_INT:
    case FLO_NODE_FLOAT:
        return bind_number(c, node, attribute);
    case FLO_NODE_BOOL:
        truth = strcmp(node->text, "true") == 0;
        return attribute->type == TYPE(KEYWORD) && !is(attribute, "ExecutionStatus")
                   ? flo_query_bind_text(c, truth ? "1" : "0")
                   : bind_int(c, truth);
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
        return INVALID(c, "invalid expression: unexpected value type %s",
                       flo_query_node_type(node));
    }
}
