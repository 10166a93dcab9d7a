/* SPDX-License-Identifier: Apache-2.0 */
/* test_list.c - lists, counts and the search for what is over: order, pages, freshness, cost. */
#include "support.h"

#define IDS_SIZE 64

/* Append the row's workflow id to the IDS_SIZE bytes of text at ctx. */
static bool note_row(void *ctx, const struct flo_store_visible *run)
{
    size_t used = strlen(ctx);
    snprintf((char *)ctx + used, IDS_SIZE - used, "%s", run->row.workflow_id);
    return true;
}

struct page {
    char ids[IDS_SIZE];
    struct flo_store_cursor end;
};

static bool note_page(void *ctx, const struct flo_store_visible *run)
{
    struct page *page = ctx;
    note_row(page->ids, run);
    page->end = run->cursor;
    return true;
}

static void put_closed(struct fixture *f, uint64_t key, const char *id, int status, int64_t close)
{
    struct sample s;
    char run_id[48];
    snprintf(run_id, sizeof run_id, "run-%s", id);
    sample(&s, key, id, run_id);
    s.run.status = status;
    s.run.close_ns = close;
    commit_ok(f, &s.batch);
}

static void count_status(void *ctx, int status, int64_t count)
{
    ((int64_t *)ctx)[status] += count;
}

/* Open runs come first, then the last closed; pages continue where the last one ended. */
static void test_list_order_and_pages(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    struct flo_store_filter all = {.sql = ""};
    char ids[IDS_SIZE] = "";
    int64_t counts[8] = {0};

    f->options.path = NULL;
    open_store(f);
    put_closed(f, 1, "a", 2, 50);
    put_closed(f, 2, "b", 1, 0);
    put_closed(f, 3, "c", 3, 90);
    put_closed(f, 4, "d", 1, 0);
    assert_int_equal(flo_store_list(f->store, "ns", &all, NULL, 10, note_row, ids, &err), 0);
    assert_string_equal(ids, "dbca");
    struct page page = {0};
    assert_int_equal(flo_store_list(f->store, "ns", &all, NULL, 3, note_page, &page, &err), 0);
    assert_string_equal(page.ids, "dbc");
    struct flo_store_cursor after = page.end;
    assert_int_equal(flo_store_list(f->store, "ns", &all, &after, 3, note_page, &page, &err), 0);
    assert_string_equal(page.ids, "dbca");

    struct flo_store_value two = {.kind = FLO_STORE_INT, .integer = 2};
    struct flo_store_filter filter = {.sql = "status >= ?", .values = &two, .value_count = 1};
    ids[0] = '\0';
    assert_int_equal(flo_store_list(f->store, "ns", &filter, NULL, 9, note_row, ids, &err), 0);
    assert_string_equal(ids, "ca");
    assert_int_equal(flo_store_count(f->store, "ns", &all, true, count_status, counts, &err), 0);
    assert_int_equal(counts[1], 2);
    assert_int_equal(counts[3], 1);
    ids[0] = '\0';
    assert_int_equal(flo_store_list(f->store, "other", &all, NULL, 9, note_row, ids, &err), 0);
    assert_string_equal(ids, "");
}

/* Many closed runs of type T, and two open ones, one of them of type U. */
static void put_many(struct fixture *f, uint64_t closed)
{
    struct sample s;
    char id[32];
    put_closed(f, 1, "a", 1, 0);
    sample(&s, 2, "b", "run-b");
    s.run.type = "U";
    commit_ok(f, &s.batch);
    for (uint64_t key = 3; key < 3 + closed; key++) {
        snprintf(id, sizeof id, "c%d", (int)key);
        put_closed(f, key, id, 2, 100 + (int64_t)key);
    }
}

/* A query that must look at all runs is stopped when its time is over; it can be asked again. */
static void test_list_slow_query_is_stopped(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    struct flo_store_value value = {.kind = FLO_STORE_TEXT, .text = "nobody"};
    struct flo_store_filter slow = {.sql = "task_queue = ?", .values = &value, .value_count = 1};
    char ids[IDS_SIZE] = "";
    int64_t counts[8] = {0};

    f->options.path = NULL;
    f->options.query_budget_ns = 1;
    open_store(f);
    put_many(f, 500);
    assert_int_equal(flo_store_list(f->store, "ns", &slow, NULL, 9, note_row, ids, &err),
                     FLO_ELIMIT);
    assert_non_null(strstr(err.message, "too long"));
    assert_int_equal(flo_store_count(f->store, "ns", &slow, false, count_status, counts, &err),
                     FLO_ELIMIT);
    put_closed(f, 1000, "z", 2, 999); /* the writer, which is the same connection, is free of it */
    flo_store_close(&f->store);
    f->options.query_budget_ns = 0;
    open_store(f);
    put_many(f, 500);
    assert_int_equal(flo_store_list(f->store, "ns", &slow, NULL, 9, note_row, ids, &err), 0);
    assert_string_equal(ids, "");
}

/* Append "KEY " to the text at ctx. */
static void note_expired(void *ctx, uint64_t key, const char *run_id)
{
    size_t used = strlen(ctx);
    snprintf((char *)ctx + used, IDS_SIZE - used, "%d:%s ", (int)key, run_id);
}

/* The oldest closed runs come first; open ones and those of other namespaces never. */
static void test_expired_oldest_closed_first(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    char ids[IDS_SIZE] = "";

    open_store(f);
    put_closed(f, 1, "a", 2, 50);
    put_closed(f, 2, "b", 1, 0);
    put_closed(f, 3, "c", 3, 90);
    put_closed(f, 4, "d", 3, 40);
    assert_int_equal(flo_store_expired(f->store, "ns", 90, 9, note_expired, ids, &err), 0);
    assert_string_equal(ids, "4:run-d 1:run-a ");
    ids[0] = '\0';
    assert_int_equal(flo_store_expired(f->store, "ns", 91, 1, note_expired, ids, &err), 0);
    assert_string_equal(ids, "4:run-d ");
    assert_int_equal(flo_store_expired(f->store, "other", 99, 9, note_expired, ids, &err), 0);
    assert_string_equal(ids, "4:run-d ");
}

/* Lists by type or status find their few runs among many others without looking at those. */
static void test_list_common_filters_are_cheap(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    struct flo_store_value type = {.kind = FLO_STORE_TEXT, .text = "U"};
    struct flo_store_filter by_type = {
        .sql = "type = ?", .values = &type, .value_count = 1, .path = FLO_STORE_BY_TYPE};
    struct flo_store_filter by_status = {.sql = "status = 1 AND " FLO_STORE_IS_OPEN};
    struct flo_store_filter failed = {.sql = "status = 3 AND " FLO_STORE_IS_CLOSED,
                                      .path = FLO_STORE_BY_STATUS};
    char ids[IDS_SIZE] = "";
    int64_t counts[8] = {0};

    f->options.path = NULL;
    f->options.query_budget_ns = 1; /* nothing that takes a thousand steps goes through */
    open_store(f);
    put_many(f, 500);
    assert_int_equal(flo_store_list(f->store, "ns", &by_type, NULL, 9, note_row, ids, &err), 0);
    assert_string_equal(ids, "b");
    ids[0] = '\0';
    assert_int_equal(flo_store_list(f->store, "ns", &by_status, NULL, 9, note_row, ids, &err), 0);
    assert_string_equal(ids, "ba");
    put_closed(f, 2000, "d", 3, 50);
    ids[0] = '\0';
    assert_int_equal(flo_store_list(f->store, "ns", &failed, NULL, 9, note_row, ids, &err), 0);
    assert_string_equal(ids, "d");
    assert_int_equal(flo_store_count(f->store, "ns", &by_status, false, count_status, counts, &err),
                     0);
    assert_int_equal(counts[0], 2);
}

/* What was read before pins nothing: a list after it sees the commits that came between. */
static void test_list_after_find_is_fresh(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    struct flo_core_stored_run run;
    struct flo_core_store reads;
    struct flo_store_filter all = {.sql = ""};
    char ids[IDS_SIZE] = "";

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    flo_store_as_core_store(f->store, &reads);
    assert_int_equal(reads.find(reads.ctx, "ns", "a", "", &run), 0);
    commit_ok(f, sample(&s, 2, "b", "run-2"));
    assert_int_equal(flo_store_list(f->store, "ns", &all, NULL, 10, note_row, ids, &err), 0);
    assert_string_equal(ids, "ba");
    /* The found run stays readable until the next read of its kind. */
    assert_int_equal(run.key, 1);
    assert_string_equal(run.run_id, "run-1");
    assert_int_equal(run.state_len, 5);
    assert_memory_equal(run.state, EVENTS, 5);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_list_order_and_pages),       STORE_TEST(test_expired_oldest_closed_first),
        STORE_TEST(test_list_slow_query_is_stopped), STORE_TEST(test_list_common_filters_are_cheap),
        STORE_TEST(test_list_after_find_is_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
