/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists.c - how long the first page of a list takes among many workflows. Fills a database through
 * the store (once; it is kept), then asks each query several times and prints the median.
 *
 *    lists FILE [RUNS [PAGE]]        1,000,000 runs, pages of 100
 *
 * One run in a hundred is open, one in a thousand failed; there are ten types; each has a Keyword
 * of a hundred values, an Int, and one in ten a list. They started a second apart.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "engine/rpc/query.h"
#include "engine/store/store.h"

#define BATCH 1000
#define TIMES 5
#define BEGIN INT64_C(1767225600000000000) /* 2026-01-01T00:00:00Z */
#define TYPE(name) FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_##name

struct texts {
    char id[32], run_id[64], type[8], keyword[16], number[16];
    struct flo_core_attribute attributes[3];
    uint8_t blob[512];
};

static void die(const struct flo_err *err)
{
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* SearchAttributes of the three, packed. */
static size_t pack(const struct texts *texts, size_t count, uint8_t *out)
{
    FloApi__Payload payloads[3];
    FloApi__SearchAttributes__IndexedFieldsEntry entries[3], *list[3];
    FloApi__SearchAttributes all = FLO_API__SEARCH_ATTRIBUTES__INIT;
    for (size_t i = 0; i < count; i++) {
        const struct flo_core_attribute *attribute = &texts->attributes[i];
        flo_api__payload__init(&payloads[i]);
        flo_api__search_attributes__indexed_fields_entry__init(&entries[i]);
        payloads[i].data = (ProtobufCBinaryData){attribute->len, (uint8_t *)attribute->json};
        entries[i].key = (char *)(uintptr_t)attribute->name;
        entries[i].value = &payloads[i];
        list[i] = &entries[i];
    }
    all.indexed_fields = list;
    all.n_indexed_fields = count;
    return flo_api__search_attributes__pack(&all, out);
}

static void fill_row(uint64_t key, struct texts *texts, struct flo_core_run_row *row)
{
    static const uint8_t state[300];
    const bool open = key % 100 == 0, failed = key % 1000 == 1;
    const size_t attributes = key % 10 == 0 ? 3 : 2;
    snprintf(texts->id, sizeof texts->id, "order-%llu", (unsigned long long)key);
    snprintf(texts->run_id, sizeof texts->run_id, "01a1fde8-%012llx-7000-8000-00000000",
             (unsigned long long)key);
    snprintf(texts->type, sizeof texts->type, "Type%d", (int)(key % 10));
    snprintf(texts->keyword, sizeof texts->keyword, "\"customer-%d\"", (int)(key % 100));
    snprintf(texts->number, sizeof texts->number, "%llu", (unsigned long long)key);
    texts->attributes[0] = (struct flo_core_attribute){
        "Customer", TYPE(KEYWORD), (uint8_t *)texts->keyword, strlen(texts->keyword)};
    texts->attributes[1] = (struct flo_core_attribute){
        "Number", TYPE(INT), (uint8_t *)texts->number, strlen(texts->number)};
    texts->attributes[2] = (struct flo_core_attribute){"Tags", TYPE(KEYWORD_LIST),
                                                       (const uint8_t *)"[\"red\",\"blue\"]", 14};
    *row = (struct flo_core_run_row){
        .is_new = true,
        .key = key,
        .namespace_id = "01a1fde8-0000-7000-8000-000000000000",
        .workflow_id = texts->id,
        .run_id = texts->run_id,
        .first_run_id = texts->run_id,
        .type = texts->type,
        .task_queue = "orders",
        .status = open     ? 1
                  : failed ? 3
                           : 2,
        .start_ns = BEGIN + (int64_t)key * FLO_NS_PER_S,
        .execution_ns = BEGIN + (int64_t)key * FLO_NS_PER_S,
        .close_ns = open ? 0 : BEGIN + (int64_t)(key + key % 60) * FLO_NS_PER_S + 1,
        .history_length = 11,
        .history_bytes = 1400,
        .state_transitions = 7,
        .search_attributes = texts->blob,
        .search_attributes_len = pack(texts, attributes, texts->blob),
        .attributes = texts->attributes,
        .attribute_count = attributes,
        .attributes_changed = true,
        .has_attributes = true,
        .state = state,
        .state_len = sizeof state,
    };
}

static void fill(struct flo_store *store, uint64_t first, uint64_t runs)
{
    static struct flo_core_run_row rows[BATCH];
    static struct texts texts[BATCH];
    struct flo_err err = {0};
    for (uint64_t key = first; key <= runs; key += BATCH) {
        struct flo_core_batch batch = {.runs = rows};
        for (uint64_t i = 0; i < BATCH && key + i <= runs; i++)
            fill_row(key + i, &texts[i], &rows[batch.run_count++]);
        if (flo_store_commit(store, &batch, &err) || flo_store_checkpoint(store, false, &err))
            die(&err);
        if (key % 100000 == 1)
            fprintf(stderr, "\r%llu", (unsigned long long)key);
    }
    fprintf(stderr, "\r");
}

static FloApi__IndexedValueType type_of(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "Customer") == 0 ? TYPE(KEYWORD)
           : strcmp(name, "Number") == 0 ? TYPE(INT)
           : strcmp(name, "Tags") == 0   ? TYPE(KEYWORD_LIST)
                                         : TYPE(UNSPECIFIED);
}

static bool count_row(void *ctx, const struct flo_store_visible *run)
{
    *(size_t *)ctx += run->row.workflow_id != NULL;
    return true;
}

static void add(void *ctx, int status, int64_t count)
{
    (void)status;
    *(size_t *)ctx += (size_t)count;
}

static int by_value(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* The median in milliseconds; *out_rows: how many came. page 0: a count. -1: it took too long. */
static double measure(struct flo_store *store, const char *text, size_t page, size_t *out_rows)
{
    const struct flo_query_names names = {type_of, NULL};
    double times[TIMES];
    for (int i = 0; i < TIMES; i++) {
        struct flo_arena arena;
        struct flo_query query;
        struct flo_err err = {0};
        const char *ns = "01a1fde8-0000-7000-8000-000000000000";
        const int64_t begin = flo_clock_mono_ns();
        flo_arena_init(&arena, 0);
        *out_rows = 0;
        if (flo_query_compile(text, &names, &arena, &query, &err))
            die(&err);
        int rc =
            page ? flo_store_list(store, ns, &query.filter, NULL, page, count_row, out_rows, &err)
                 : flo_store_count(store, ns, &query.filter, query.group_by_status, add, out_rows,
                                   &err);
        flo_arena_fini(&arena);
        if (rc)
            return -1;
        times[i] = (double)(flo_clock_mono_ns() - begin) / FLO_NS_PER_MS;
    }
    qsort(times, TIMES, sizeof *times, by_value);
    return times[TIMES / 2];
}

int main(int argc, char **argv)
{
    static const char *const queries[] = {
        "",
        "WorkflowId = 'order-500000'",
        "WorkflowId IN ('order-1', 'order-2')",
        "WorkflowType = 'Type3'",
        "WorkflowType = 'Type0' AND ExecutionStatus = 'Running'",
        "WorkflowType = 'Nobody'",
        "ExecutionStatus = 'Running'",
        "ExecutionStatus = 'Failed'",
        "ExecutionStatus = 'Canceled'",
        "CloseTime < '2026-01-05T00:00:00Z'",
        "CloseTime BETWEEN '2026-01-05T00:00:00Z' AND '2026-01-05T01:00:00Z'",
        "StartTime > '2026-01-12T13:00:00Z'",
        "StartTime > '2026-01-05T00:00:00Z'",
        "StartTime BETWEEN '2026-01-05T00:00:00Z' AND '2026-01-05T00:20:00Z'",
        "StartTime < '2026-01-05T00:00:00Z'",
        "Customer = 'customer-42'",
        "Customer = 'customer-42' AND ExecutionStatus = 'Completed'",
        "Customer = 'nobody'",
        "Number = 4711",
        "Tags = 'red'",
        "Customer STARTS_WITH 'customer-4'",
        "Customer STARTS_WITH 'CUSTOMER-42' AND ExecutionStatus = 'Failed'",
        "Customer STARTS_WITH 'c'",
        "WorkflowId STARTS_WITH 'order-4'",
        "WorkflowId STARTS_WITH 'order-4242'",
        "WorkflowId STARTS_WITH 'nobody'",
    };
    struct flo_store_options options = {.path = argc > 1 ? argv[1] : NULL,
                                        .query_budget_ns = 10 * FLO_NS_PER_S};
    const uint64_t runs = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    const size_t page = argc > 3 ? strtoul(argv[3], NULL, 10) : 100;
    struct flo_store *store;
    struct flo_err err = {0};
    uint64_t next;
    size_t rows;
    if (flo_store_open(&options, &store, &err) || flo_store_next_key(store, &next, &err))
        die(&err);
    fill(store, next, runs);
    printf("%llu runs, pages of %zu; median of %d\n", (unsigned long long)runs, page, TIMES);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        const double ms = measure(store, queries[i], page, &rows);
        printf("%8.2f ms %6zu rows  %s\n", ms, rows, *queries[i] ? queries[i] : "(all)");
    }
    static const char *const counts[] = {"", "GROUP BY ExecutionStatus",
                                         "ExecutionStatus = 'Running'", "Customer = 'customer-42'",
                                         "WorkflowId STARTS_WITH 'order-4'"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const double ms = measure(store, counts[i], 0, &rows);
        printf("%8.2f ms count %zu  %s\n", ms, rows, *counts[i] ? counts[i] : "(all)");
    }
    flo_store_close(&store);
    return 0;
}
