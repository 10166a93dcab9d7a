/* SPDX-License-Identifier: Apache-2.0 */
/* test_record.c - records in the store. */
#include <sqlite3.h>

#include "support.h"

/* All records as "kind namespace id state\n" in order. */
static int write_down(void *ctx, const struct flo_core_record_row *record, struct flo_err *err)
{
    char *text = ctx;
    const size_t used = strlen(text);
    (void)err;
    snprintf(text + used, 512 - used, "%d %s %s %.*s\n", record->kind, record->namespace_id,
             record->id, (int)record->state_len, (const char *)record->state);
    return 0;
}

static const char *records(struct fixture *f)
{
    static char text[512];
    struct flo_err err = {0};
    text[0] = '\0';
    if (flo_store_each_record(f->store, write_down, text, &err))
        fail_msg("records: %s", err.message);
    return text;
}

static struct flo_core_record_row record(int kind, const char *id, const char *state)
{
    return (struct flo_core_record_row){.kind = kind,
                                        .namespace_id = "ns",
                                        .id = id,
                                        .state = (const uint8_t *)state,
                                        .state_len = state ? strlen(state) : 0,
                                        .deleted = state == NULL};
}

static void commit_records(struct fixture *f, const struct flo_core_record_row *rows, size_t count)
{
    const struct flo_core_batch batch = {.seq = 1, .records = rows, .record_count = count};
    commit_ok(f, &batch);
}

static void spoil(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), 0);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), 0);
    sqlite3_close(db);
}

/* Rows are applied front to back: put, replaced, deleted, made again; and are there afterwards. */
static void test_records_are_kept_in_order_of_change(void **state)
{
    struct fixture *f = *state;
    const struct flo_core_record_row first[] = {record(1, "b", "one"), record(1, "a", "two"),
                                                record(2, "a", ""), record(3, "gone", "x")};
    const struct flo_core_record_row second[] = {record(1, "b", "new"), record(3, "gone", NULL),
                                                 record(1, "a", NULL), record(1, "a", "again")};
    open_store(f);
    commit_records(f, first, 4);
    assert_string_equal(records(f), "1 ns a two\n1 ns b one\n2 ns a \n3 ns gone x\n");
    commit_records(f, second, 4);
    flo_store_close(&f->store);
    open_store(f);
    assert_string_equal(records(f), "1 ns a again\n1 ns b new\n2 ns a \n");
}

/* A changed byte, and a state that belongs to another record, are noticed; with leave to lose
 * data, the damaged one alone is left out. */
static void test_damaged_record_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    char text[512] = "";
    const struct flo_core_record_row rows[] = {record(1, "a", "one"), record(1, "b", "two")};
    open_store(f);
    commit_records(f, rows, 2);
    flo_store_close(&f->store);
    spoil(f, "UPDATE record SET id = 'c' WHERE id = 'a'");

    open_store(f);
    assert_int_equal(flo_store_each_record(f->store, write_down, text, &err), FLO_EDATA);
    assert_non_null(strstr(err.message, "record c"));
    flo_store_close(&f->store);
    f->options.accept_data_loss = true;
    open_store(f);
    assert_string_equal(records(f), "1 ns b two\n");
    assert_non_null(strstr(f->warnings, "store.record_damaged"));
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_records_are_kept_in_order_of_change),
        STORE_TEST(test_damaged_record_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
