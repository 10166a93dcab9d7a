/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_query.c - the filter language. The sentences of REFUSED were recorded from Temporal's server
 * 1.29.1; what ACCEPTED says is checked by running it on a small store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/rpc/query.h"
#include "wire/api.h"
#include "wire/decode.h"

#define MALFORMED "invalid query: malformed SQL query: syntax error at position "
#define EXPRESSION "invalid query: invalid expression: "
#define UNSUPPORTED "invalid query: operation is not supported: "

static const struct {
    const char *query, *error;
} refused[] = {
    {"foo = 1", EXPRESSION "column name 'foo' is not a valid search attribute"},
    {"workflowid='a'", EXPRESSION "column name 'workflowid' is not a valid search attribute"},
    {"FooBar IS NULL", EXPRESSION "column name 'FooBar' is not a valid search attribute"},
    {"TemporalWorkflowId = 'a'",
     EXPRESSION "column name 'TemporalWorkflowId' is not a valid search attribute"},
    {"WorkflowId = ", MALFORMED "40"},
    {"WorkflowId = 'a' AND", MALFORMED "48"},
    {"(WorkflowId = 'a'", MALFORMED "45"},
    {"WorkflowId == 'a'", MALFORMED "41"},
    {"WorkflowId = 'a", MALFORMED "43 near 'a'"},
    {"WorkflowId IN 'a'", MALFORMED "45 near 'a'"},
    {"WorkflowId IN ()", MALFORMED "44"},
    {"WorkflowId='a' XOR RunId='b'", MALFORMED "46 near 'xor'"},
    {"WorkflowId = 'a'; drop table x", MALFORMED "50 near 'drop'"},
    {"WorkflowId", EXPRESSION "incomplete expression"},
    {"WorkflowId = abc", UNSUPPORTED "column name on the right side of comparison expression "
                                     "(did you forget to quote 'abc'?)"},
    {"WorkflowId in ('a', b)", UNSUPPORTED "column name on the right side of comparison "
                                           "expression (did you forget to quote 'b'?)"},
    {"WorkflowId = lower('a')", UNSUPPORTED "nested func"},
    {"WorkflowId LIKE 'a'", EXPRESSION "invalid operator 'like' in `WorkflowId like 'a'`"},
    {"WorkflowId REGEXP 'a'", EXPRESSION "invalid operator 'regexp' in `WorkflowId regexp 'a'`"},
    {"ExecutionStatus = 'Foo'", EXPRESSION "invalid ExecutionStatus value 'Foo'"},
    {"ExecutionStatus='running'", EXPRESSION "invalid ExecutionStatus value 'running'"},
    {"ExecutionStatus STARTS_WITH 'Run'", EXPRESSION "invalid ExecutionStatus value 'Run'"},
    {"StartTime > 'x'", EXPRESSION "unable to parse datetime 'x'"},
    {"StartTime > '2024-01-01'", EXPRESSION "unable to parse datetime '2024-01-01'"},
    {"StartTime STARTS_WITH '2'", EXPRESSION "unable to parse datetime '2'"},
    {"StartTime > 1.5", EXPRESSION "unexpected value type float64 for search attribute StartTime"},
    {"ExecutionDuration > 'xx'",
     "invalid query: invalid value for search attribute ExecutionDuration: xx (invalid duration)"},
    {"StateTransitionCount>0x10", "invalid expression: unable to parse 0x10"},
    {"ORDER BY StartTime", UNSUPPORTED "'order by' clause"},
    {"WorkflowId = 'a' ORDER BY StartTime", UNSUPPORTED "'order by' clause"},
    {"WorkflowId = 'a' LIMIT 5", UNSUPPORTED "'limit' clause"},
    {"GROUP BY WorkflowType",
     UNSUPPORTED "'group by' clause is only supported for ExecutionStatus search attribute"},
    {"GROUP BY ExecutionStatus, WorkflowType",
     UNSUPPORTED "'group by' clause supports only a single field"},
    {"GROUP BY foo", EXPRESSION "column name 'foo' is not a valid search attribute"},
    {"CloseTime is true", EXPRESSION "'IS' operator can only be used with 'NULL' or 'NOT NULL'"},
    {"WorkflowId STARTS_WITH 5",
     EXPRESSION "right-hand side of 'starts_with' must be a literal string (got: 5)"},
    {"'a' = WorkflowId", EXPRESSION "must be a column name but was *sqlparser.SQLVal"},
    {"1 = 1", EXPRESSION "must be a column name but was *sqlparser.SQLVal"},
    {"-1 = WorkflowId", EXPRESSION "must be a column name but was *sqlparser.SQLVal"},
    {"! WorkflowId = 'a'", EXPRESSION "must be a column name but was *sqlparser.UnaryExpr"},
    {"WorkflowId <=> 'a'", EXPRESSION "invalid operator '<=>' in `WorkflowId <=> 'a'`"},
    {"(WorkflowId, RunId) = ('a','b')",
     EXPRESSION "must be a column name but was sqlparser.ValTuple"},
    {"WorkflowId STARTS_WITH ('a','b')",
     EXPRESSION "right-hand side of 'starts_with' must be a literal string (got: ('a', 'b'))"},
    {"BuildIds = 5", EXPRESSION "unexpected value type (expected string, got 5)"},
    {"BuildIds IN (5)", EXPRESSION "unexpected value type in tuple (expected string, got 5)"},
    {"BuildIds = ('a','b')", EXPRESSION "unexpected value type (expected string, got ('a', 'b'))"},
    {"ExecutionStatus = 1.5",
     EXPRESSION "unexpected value type float64 for search attribute ExecutionStatus"},
    {"ExecutionStatus STARTS_WITH 'Running'",
     EXPRESSION "right-hand side of 'starts_with' must be a literal string (got: 1)"},
    {"ExecutionDuration < '00:00:60'", "invalid query: invalid value for search attribute "
                                       "ExecutionDuration: 00:00:60 (invalid duration: seconds "
                                       "must be from 0 to 59)"},
    {"count(*) > 1", EXPRESSION "must be a column name but was *sqlparser.FuncExpr"},
    {"ORDER", MALFORMED "33 near 'order'"},
    {"GROUP ExecutionStatus", MALFORMED "33 near 'group'"},
    {"WorkflowId = 5abc", MALFORMED "42 near '5'"},
    {"WorkflowId = 1e", "invalid expression: unable to parse 1e"},
    {"WorkflowId & 1 = 1", EXPRESSION "must be a column name but was *sqlparser.BinaryExpr"},
    {"\xc3\xbc = 'y'", MALFORMED "29 near '\xef\xbf\xbd'"},
    {"#", MALFORMED "29"},
    {"lower(WorkflowId) = 'a'", EXPRESSION "must be a column name but was *sqlparser.FuncExpr"},
    {"WorkflowId + 1 = 2", EXPRESSION "must be a column name but was *sqlparser.BinaryExpr"},
    {"WorkflowId = null", EXPRESSION "unexpected value type *sqlparser.NullVal"},
    {"TemporalChangeVersion > 'a'",
     EXPRESSION "operator '>' not supported for KeywordList type search attribute in "
                "`TemporalChangeVersion > 'a'`"},
    {"BuildIds BETWEEN 'a' AND 'b'",
     EXPRESSION "cannot do range condition on search attribute 'BuildIds' of type KeywordList"},
};

struct fixture {
    struct flo_store *store;
    struct flo_arena arena;
};

/* Each query is refused with the server's own sentence. */
static void test_compile_bad_query_gives_servers_sentence(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct flo_query query;
        struct flo_err err = {0};
        flo_arena_reset(&f->arena);
        assert_int_equal(flo_query_compile(refused[i].query, NULL, &f->arena, &query, &err),
                         FLO_EINVAL);
        assert_string_equal(err.message, refused[i].error);
    }
}

/*
 * The runs of the store. a: open, queue q1. b: completed after 10 s, child of a. c: failed after
 * 2 h, list attributes. d: open, started in 2030, odd id.
 */
static const char *const ids[] = {"a-1", "b-2", "c-3", "it's%_"};

static const struct {
    const char *query, *expected; /* ids in list order, first letters */
} accepted[] = {
    {"", "iacb"},
    {"   ", "iacb"},
    {"WorkflowId = 'a-1'", "a"},
    {"WorkflowId <> 'a-1'", "icb"},
    {"`WorkflowId` = \"a-1\"", "a"},
    {"WorkflowId = 'it''s%_'", "i"},
    {"WorkflowId IN ('a-1', 'b-2', 'x')", "ab"},
    {"WorkflowId NOT IN ('a-1')", "icb"},
    {"WorkflowId BETWEEN 'a' AND 'c'", "ab"},
    {"RunId not between 'run-0' and 'run-1'", "icb"},
    {"WorkflowId STARTS_WITH 'it''s%'", "i"},
    {"WorkflowId STARTS_WITH '%'", ""},
    {"WorkflowId NOT STARTS_WITH 'a'", "icb"},
    {"ExecutionStatus = 'Running'", "ia"},
    {"ExecutionStatus IN ('Completed', 3)", "cb"},
    {"ExecutionStatus != 1 AND NOT WorkflowType = 'U'", "b"},
    {"TaskQueue='q1' OR TaskQueue='q2' AND ExecutionStatus='Failed'", "ac"},
    {"(TaskQueue='q1' OR TaskQueue='q2') && ExecutionStatus='Failed'", "c"},
    {"CloseTime IS NULL", "ia"},
    {"CloseTime is not null", "cb"},
    {"CloseTime < '2025-01-01T00:30:00Z'", "b"},
    {"StartTime > '2026-01-01T00:00:00.5Z'", "i"},
    {"StartTime BETWEEN '2024-12-31T23:00:00-01:00' AND '2025-01-01T00:00:00Z'", "acb"},
    {"ExecutionDuration > '1h'", "c"},
    {"ExecutionDuration = '00:00:10'", "b"},
    {"ExecutionDuration <= 10000000000", "b"},
    {"HistoryLength >= '2'", "cb"}, /* of closed runs only */
    {"HistoryLength IS NULL", "ia"},
    {"ExecutionStatus = 'WORKFLOW_EXECUTION_STATUS_FAILED'", "c"},
    {"ExecutionStatus = 2 OR ExecutionStatus = 'Running'", "iab"},
    {"WorkflowId STARTS_WITH 'A'", "a"}, /* case does not count */
    {"BuildIds = 'V2'", "c"},
    {"TemporalScheduledById = 's' AND WorkflowType = 'U'", "c"},
    {"TemporalScheduledById = 's' AND WorkflowType = 'T'", ""},
    {"TemporalScheduledById != 's'", ""},
    {"RootWorkflowId = 'a-1'", "a"},
    {"HistoryLength = +2", "cb"},
    {"WorkflowId = 'a-1' # the first", "a"},
    {"HistoryLength = 'x'", ""},
    {"ParentWorkflowId = 'a-1'", "b"},
    {"ParentWorkflowId IS NULL", "iac"},
    {"BuildIds = 'v1'", "c"},
    {"BuildIds != 'v1'", "iab"},
    {"BuildIds IN ('v0', 'v2')", "c"},
    {"BuildIds IS NULL", "iab"},
    {"TemporalScheduledById = 's'", "c"},
    {"WorkflowId = 'a-1' -- the first", "a"},
};

static bool note(void *ctx, const struct flo_store_visible *run)
{
    strncat(ctx, run->row.workflow_id, 1);
    return true;
}

/* Each query finds what it says, with its values bound and not pasted. */
static void test_compile_good_query_finds_runs(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        struct flo_query query;
        struct flo_err err = {0};
        char found[16] = "";
        flo_arena_reset(&f->arena);
        if (flo_query_compile(accepted[i].query, NULL, &f->arena, &query, &err))
            fail_msg("%s: %s", accepted[i].query, err.message);
        if (flo_store_list(f->store, "ns", &query.filter, NULL, 10, note, found, &err))
            fail_msg("%s: %s", accepted[i].query, err.message);
        if (strcmp(found, accepted[i].expected) != 0)
            fail_msg("%s: found %s", accepted[i].query, found);
        assert_null(strstr(query.filter.sql, "a-1"));
    }
}

/* Deep, long or endless queries are refused, whatever they are. */
static void test_compile_hostile_query_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const pieces[] = {"(", "NOT ", "- ", "a,", "f(", "WorkflowId='a' AND "};
    char *text = malloc(200001);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct flo_query query;
        struct flo_err err = {0};
        size_t len = strlen(pieces[i]), at = 0;
        for (; at + len < 200000; at += len)
            memcpy(text + at, pieces[i], len);
        text[at] = '\0';
        flo_arena_reset(&f->arena);
        assert_int_equal(flo_query_compile(text, NULL, &f->arena, &query, &err), FLO_EINVAL);
    }
    free(text);
}

static void test_group_by_status_is_noted(void **state)
{
    struct fixture *f = *state;
    struct flo_query query;
    struct flo_err err = {0};
    assert_int_equal(
        flo_query_compile("TaskQueue='q1' GROUP BY ExecutionStatus", NULL, &f->arena, &query, &err),
        0);
    assert_true(query.group_by_status);
    assert_int_equal(query.filter.value_count, 1);
}

/* Times and durations at their edges. */
static void test_values_edges(void **state)
{
    const char *why = "";
    int64_t ns;
    (void)state;
    assert_true(flo_clock_parse_rfc3339("1970-01-01T00:00:00Z", &ns));
    assert_int_equal(ns, 0);
    assert_true(flo_clock_parse_rfc3339("2024-02-29T12:00:00.000000001+02:00", &ns));
    assert_int_equal(ns, INT64_C(1709200800000000001));
    assert_true(flo_clock_parse_rfc3339("9999-12-31T23:59:59Z", &ns));
    assert_int_equal(ns, INT64_MAX);
    assert_false(flo_clock_parse_rfc3339("2023-02-29T12:00:00Z", &ns));
    assert_false(flo_clock_parse_rfc3339("2023-02-28T24:00:00Z", &ns));
    assert_false(flo_clock_parse_rfc3339("2023-02-28T12:00:00", &ns));
    assert_true(flo_query_parse_duration("1h2m3.5s", &ns, &why));
    assert_int_equal(ns, INT64_C(3723500000000));
    assert_true(flo_query_parse_duration("-1.5h", &ns, &why));
    assert_int_equal(ns, INT64_C(-5400000000000));
    assert_true(flo_query_parse_duration("100:00:01", &ns, &why));
    assert_int_equal(ns, INT64_C(360001000000000));
    assert_true(flo_query_parse_duration("5", &ns, &why));
    assert_int_equal(ns, 5);
    assert_false(flo_query_parse_duration("", &ns, &why));
    assert_false(flo_query_parse_duration("5x", &ns, &why));
    assert_false(flo_query_parse_duration("9999999999h", &ns, &why));
}

/* SearchAttributes with one entry a call. */
static size_t pack_attributes(uint8_t *out, size_t size)
{
    static char *const names[] = {"BuildIds", "TemporalScheduledById", "Broken"};
    static const char *const values[] = {"[\"v1\",\"v2\"]", "\"s\"", "{no json"};
    FloApi__Payload payloads[3];
    FloApi__SearchAttributes__IndexedFieldsEntry entries[3], *list[3];
    FloApi__SearchAttributes attributes;
    flo_api__search_attributes__init(&attributes);
    for (size_t i = 0; i < 3; i++) {
        flo_api__payload__init(&payloads[i]);
        flo_api__search_attributes__indexed_fields_entry__init(&entries[i]);
        payloads[i].data.data = (uint8_t *)(uintptr_t)values[i];
        payloads[i].data.len = strlen(values[i]);
        entries[i].key = names[i];
        entries[i].value = &payloads[i];
        list[i] = &entries[i];
    }
    attributes.indexed_fields = list;
    attributes.n_indexed_fields = 3;
    assert_true(flo_api__search_attributes__get_packed_size(&attributes) <= size);
    return flo_api__search_attributes__pack(&attributes, out);
}

#define T2025 INT64_C(1735689600000000000)
#define T2030 INT64_C(1893456000000000000)
#define S INT64_C(1000000000)

static int set_up(void **state)
{
    static struct fixture fixture;
    static uint8_t attributes[256];
    static char run_ids[4][8];
    struct flo_core_run_row rows[4];
    struct flo_err err = {0};

    memset(&fixture, 0, sizeof fixture);
    flo_arena_init(&fixture.arena, 0);
    for (size_t i = 0; i < 4; i++) {
        snprintf(run_ids[i], sizeof run_ids[i], "run-%d", (int)i + 1);
        rows[i] = (struct flo_core_run_row){
            .key = i + 1,
            .namespace_id = "ns",
            .workflow_id = ids[i],
            .run_id = run_ids[i],
            .type = i == 2 ? "U" : "T",
            .task_queue = i == 0   ? "q1"
                          : i == 2 ? "q2"
                                   : "q3",
            .status = 1,
            .start_ns = T2025,
            .execution_ns = T2025,
            .history_length = 2,
        };
    }
    rows[1].status = 2;
    rows[1].close_ns = T2025 + 10 * S;
    rows[1].parent_workflow_id = "a-1";
    rows[2].status = 3;
    rows[2].close_ns = T2025 + 7200 * S;
    rows[2].search_attributes = attributes;
    rows[2].search_attributes_len = pack_attributes(attributes, sizeof attributes);
    static const struct flo_core_attribute indexed[] = {
        {"BuildIds", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD_LIST,
         (const uint8_t *)"[\"v1\",\"v2\"]", 11},
        {"TemporalScheduledById", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD,
         (const uint8_t *)"\"s\"", 3},
    };
    rows[2].attributes = indexed;
    rows[2].attribute_count = 2;
    rows[2].attributes_changed = rows[2].has_attributes = true;
    rows[3].start_ns = rows[3].execution_ns = T2030;
    rows[3].history_length = 3;
    struct flo_core_batch batch = {.seq = 1, .runs = rows, .run_count = 4};
    if (flo_store_open(&(struct flo_store_options){0}, &fixture.store, &err) ||
        flo_store_commit(fixture.store, &batch, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    flo_store_close(&f->store);
    flo_arena_fini(&f->arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compile_bad_query_gives_servers_sentence),
        cmocka_unit_test(test_compile_good_query_finds_runs),
        cmocka_unit_test(test_compile_hostile_query_is_refused),
        cmocka_unit_test(test_group_by_status_is_noted),
        cmocka_unit_test(test_values_edges),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
