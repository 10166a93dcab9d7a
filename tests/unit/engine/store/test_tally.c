/* SPDX-License-Identifier: Apache-2.0 */
/* test_tally.c - the numbers of runs by status: right after each kind of change, and never sought.
 */
#include <sqlite3.h>

#include "engine/store/care.h"
#include "support.h"

/* One commit of a run; deleted_key is taken away by the same one when it is not 0. */
static void put(struct fixture *f, uint64_t key, bool is_new, int status, uint64_t deleted_key)
{
    struct sample s;
    char id[16];
    snprintf(id, sizeof id, "w%d", (int)key);
    sample(&s, key, id, id);
    s.run.is_new = is_new;
    s.run.status = status;
    s.run.close_ns = status == 1 || status == 8 ? 0 : 100 + (int64_t)key;
    s.batch.history_count = is_new;
    s.batch.deleted_keys = &deleted_key;
    s.batch.deleted_count = deleted_key != 0;
    commit_ok(f, &s.batch);
}

static void write_count(void *ctx, int status, int64_t count)
{
    char *text = ctx;
    const size_t used = strlen(text);
    snprintf(text + used, 64 - used, "%d:%d ", status, (int)count);
}

/* "STATUS:COUNT " for each status, or "0:COUNT " for all. */
static const char *counts(struct fixture *f, const char *namespace_id,
                          const struct flo_store_filter *filter, bool by_status)
{
    static char text[64];
    struct flo_err err = {0};
    text[0] = '\0';
    if (flo_store_count(f->store, namespace_id, filter, by_status, write_count, text, &err))
        fail_msg("count: %s", err.message);
    return text;
}

static const struct flo_store_filter all = {.sql = ""};

static void ignore(void *ctx, const char *sentence)
{
    (void)ctx, (void)sentence;
}

/* Starts, ends, other changes and deletions, in commits of their own and in the same one. */
static void test_numbers_follow_each_change(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    assert_string_equal(counts(f, "ns", &all, true), "");
    assert_string_equal(counts(f, "ns", &all, false), "0:0 ");
    put(f, 1, true, 1, 0);
    put(f, 2, true, 1, 0);
    put(f, 3, true, 2, 0); /* over within one commit */
    assert_string_equal(counts(f, "ns", &all, true), "1:2 2:1 ");
    put(f, 1, false, 1, 0); /* nothing that counts */
    put(f, 2, false, 8, 0); /* open, another status */
    assert_string_equal(counts(f, "ns", &all, true), "1:1 2:1 8:1 ");
    put(f, 2, false, 3, 0); /* ends from there */
    put(f, 1, false, 2, 0);
    put(f, 1, false, 2, 0); /* written once more when it is over */
    put(f, 3, false, 5, 0);
    assert_string_equal(counts(f, "ns", &all, true), "2:1 3:1 5:1 ");
    put(f, 4, false, 1, 3); /* not there yet: inserted; and one is deleted */
    assert_string_equal(counts(f, "ns", &all, true), "1:1 2:1 3:1 ");
    put(f, 5, true, 1, 5);   /* made and deleted by one commit */
    put(f, 4, false, 1, 77); /* nothing is there to delete */
    assert_string_equal(counts(f, "ns", &all, false), "0:3 ");
    assert_string_equal(counts(f, "other", &all, false), "0:0 ");
    flo_store_close(&f->store);
    open_store(f);
    assert_string_equal(counts(f, "ns", &all, true), "1:1 2:1 3:1 ");
}

/* Conditions on the status alone. */
static void test_numbers_by_status(void **state)
{
    struct fixture *f = *state;
    struct flo_store_value two = {.kind = FLO_STORE_INT, .integer = 2};
    const struct flo_store_filter open = {.sql = "status = 1 AND " FLO_STORE_IS_OPEN,
                                          .only_status = true};
    const struct flo_store_filter failed = {.sql = "status = 3 AND " FLO_STORE_IS_CLOSED,
                                            .only_status = true};
    const struct flo_store_filter not_two = {
        .sql = "NOT (status IN (?))", .values = &two, .value_count = 1, .only_status = true};
    open_store(f);
    for (uint64_t key = 1; key <= 9; key++)
        put(f, key, true, 1 + (int)(key % 3), 0);
    put(f, 10, true, 1, 0);
    assert_string_equal(counts(f, "ns", &open, false), "0:4 ");
    assert_string_equal(counts(f, "ns", &failed, false), "0:3 ");
    assert_string_equal(counts(f, "ns", &not_two, true), "1:4 3:3 ");
}

/* Runs of divisions are not counted, unless they are asked for. */
static void test_numbers_leave_divisions_out(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    const struct flo_core_attribute division = {
        .name = "TemporalNamespaceDivision",
        .type = FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD,
        .json = (const uint8_t *)"\"hidden\"",
        .len = 8};
    struct flo_store_filter with = all;
    with.all_divisions = true;
    open_store(f);
    put(f, 1, true, 1, 0);
    sample(&s, 2, "hidden", "hidden");
    s.run.is_new = s.run.attributes_changed = s.run.has_attributes = true;
    s.run.attributes = &division;
    s.run.attribute_count = 1;
    commit_ok(f, &s.batch);
    assert_string_equal(counts(f, "ns", &all, true), "1:1 ");
    assert_string_equal(counts(f, "ns", &with, true), "1:2 ");
    put(f, 3, true, 1, 2);
    assert_string_equal(counts(f, "ns", &with, true), "1:2 ");
}

/* However many runs there are, no count of all or by status looks at them. */
static void test_numbers_need_no_run(void **state)
{
    struct fixture *f = *state;
    f->options.path = NULL;
    f->options.query_budget_ns = 1; /* nothing that takes a thousand steps goes through */
    open_store(f);
    for (uint64_t key = 1; key <= 500; key++)
        put(f, key, true, 2, 0);
    assert_string_equal(counts(f, "ns", &all, false), "0:500 ");
    assert_string_equal(counts(f, "ns", &all, true), "2:500 ");
}

/* A check tells of a number that is wrong. */
static void test_wrong_number_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct flo_store_report before = {0}, after = {0};
    struct flo_err err = {0};
    sqlite3 *db;
    open_store(f);
    put(f, 1, true, 1, 0);
    flo_store_close(&f->store);
    assert_int_equal(flo_store_check(f->path, ignore, NULL, &before, &err), 0);
    assert_int_equal(sqlite3_open(f->path, &db), 0);
    assert_int_equal(
        sqlite3_exec(db, "UPDATE meta SET value = 5 WHERE name = 'runs/ns/1'", NULL, NULL, NULL),
        0);
    sqlite3_close(db);
    assert_int_equal(flo_store_check(f->path, ignore, NULL, &after, &err), 0);
    assert_int_equal(after.damages, before.damages + 1);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_numbers_follow_each_change),  STORE_TEST(test_numbers_by_status),
        STORE_TEST(test_numbers_leave_divisions_out), STORE_TEST(test_numbers_need_no_run),
        STORE_TEST(test_wrong_number_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
