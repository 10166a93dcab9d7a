/* SPDX-License-Identifier: Apache-2.0 */
/* test_migration.c - databases of older schemas: brought up, and as useful as new ones. */
#include <sqlite3.h>

#include "flotilla/engine_state.pb-c.h"
#include "support.h"
#include "wire/api.h"

/* The first schema, as engines wrote it. */
static const char version_1[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO meta (name, value) VALUES ('commit_seq', 0);"
    "CREATE TABLE namespace (id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,"
    " state BLOB NOT NULL) STRICT;"
    "CREATE TABLE run (key INTEGER PRIMARY KEY,"
    " status INTEGER NOT NULL, execution_ns INTEGER NOT NULL, history_length INTEGER NOT NULL,"
    " history_bytes INTEGER NOT NULL, state_transitions INTEGER NOT NULL, memo BLOB,"
    " search_attributes BLOB, state BLOB NOT NULL, state_crc INTEGER NOT NULL,"
    " close_ns INTEGER NOT NULL, close_order INTEGER NOT NULL,"
    " namespace_id TEXT NOT NULL, workflow_id TEXT NOT NULL, run_id TEXT NOT NULL,"
    " type TEXT NOT NULL, task_queue TEXT NOT NULL, start_request_id TEXT NOT NULL,"
    " first_run_id TEXT NOT NULL, parent_workflow_id TEXT NOT NULL, parent_run_id TEXT NOT NULL,"
    " root_workflow_id TEXT NOT NULL, root_run_id TEXT NOT NULL, start_ns INTEGER NOT NULL) STRICT;"
    "CREATE INDEX run_workflow ON run (namespace_id, workflow_id);"
    "CREATE UNIQUE INDEX run_id ON run (namespace_id, run_id);"
    "CREATE INDEX run_list ON run (namespace_id, close_order DESC, start_ns DESC, key DESC);"
    "CREATE INDEX run_type ON run (namespace_id, type, close_order DESC, start_ns DESC, key DESC);"
    "CREATE INDEX run_status ON run"
    " (namespace_id, status, close_order DESC, start_ns DESC, key DESC);"
    "CREATE TABLE history (key INTEGER NOT NULL, first_event_id INTEGER NOT NULL,"
    " event_count INTEGER NOT NULL, crc32c INTEGER NOT NULL, events BLOB NOT NULL,"
    " PRIMARY KEY (key, first_event_id)) STRICT, WITHOUT ROWID;"
    "PRAGMA application_id = 1179406129; PRAGMA user_version = 1";

static void insert_namespace(sqlite3 *db)
{
    FloEngine__SearchAttribute city = FLO_ENGINE__SEARCH_ATTRIBUTE__INIT, *list[] = {&city};
    FloEngine__NamespaceState state = FLO_ENGINE__NAMESPACE_STATE__INIT;
    sqlite3_stmt *statement;
    uint8_t blob[256];
    city.name = "City";
    city.type = FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD;
    state.id = "ns";
    state.name = "default";
    state.search_attributes = list;
    state.n_search_attributes = 1;
    const size_t len = flo_engine__namespace_state__pack(&state, blob);
    assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO namespace VALUES ('ns', 'default', ?)", -1,
                                        &statement, NULL),
                     0);
    sqlite3_bind_blob(statement, 1, blob, (int)len, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
}

/* A run with City, TemporalChangeVersion and an attribute that is not defined any more. */
static void insert_run(sqlite3 *db, int key, const char *city, int status, int64_t close_ns)
{
    static const char sql[] =
        "INSERT INTO run SELECT ?1, ?2, ?1, 2, 16, 1, NULL, ?3, x'00', 0, ?4,"
        " iif(?4, ?4, 9223372036854775807), 'ns', 'w' || ?1, 'run-' || ?1, 'T', 'q', 'req',"
        " 'run-' || ?1, '', '', 'w' || ?1, 'run-' || ?1, 1000 + ?1";
    const char *const names[] = {"City", "TemporalChangeVersion", "Gone"};
    const char *const values[] = {city, "[\"Fix-1\",\"fix-2\"]", "7"};
    FloApi__Payload payloads[3];
    FloApi__SearchAttributes__IndexedFieldsEntry entries[3], *list[3];
    FloApi__SearchAttributes all = FLO_API__SEARCH_ATTRIBUTES__INIT;
    sqlite3_stmt *statement;
    uint8_t blob[256];
    for (size_t i = 0; i < 3; i++) {
        flo_api__payload__init(&payloads[i]);
        flo_api__search_attributes__indexed_fields_entry__init(&entries[i]);
        payloads[i].data = (ProtobufCBinaryData){strlen(values[i]), (uint8_t *)values[i]};
        entries[i].key = (char *)names[i];
        entries[i].value = &payloads[i];
        list[i] = &entries[i];
    }
    all.indexed_fields = list;
    all.n_indexed_fields = 3;
    const size_t len = flo_api__search_attributes__pack(&all, blob);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), 0);
    sqlite3_bind_int(statement, 1, key);
    sqlite3_bind_int(statement, 2, status);
    sqlite3_bind_blob(statement, 3, blob, (int)len, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, close_ns);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
}

static void make_version_1(struct fixture *f)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), 0);
    assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), 0);
    insert_namespace(db);
    insert_run(db, 1, "\"Bern\"", 1, 0);
    insert_run(db, 2, "\"Rome\"", 1, 0);
    insert_run(db, 3, "\"Bern\"", 3, 500);
    insert_run(db, 4, "\"Bern\"", 2, 600);
    sqlite3_close(db);
}

static bool note_row(void *ctx, const struct flo_store_visible *run)
{
    strncat(ctx, run->row.workflow_id, 4);
    return true;
}

/* The runs that have that value of an attribute, by its index. */
static const char *with_value(struct fixture *f, const char *attribute, const char *value)
{
    static char ids[64];
    struct flo_err err = {0};
    const struct flo_store_filter filter = {
        .sql = "",
        .path = FLO_STORE_BY_ATTRIBUTE,
        .attribute = attribute,
        .equals = {.kind = FLO_STORE_TEXT, .text = value},
    };
    ids[0] = '\0';
    if (flo_store_list(f->store, "ns", &filter, NULL, 10, note_row, ids, &err))
        fail_msg("list: %s", err.message);
    return ids;
}

static void add_count(void *ctx, int status, int64_t count)
{
    ((int64_t *)ctx)[status] += count;
}

/* A database of version 1 is brought up once, keeps what it has, and can hold what is new. */
static void test_open_version_1_is_migrated(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    uint64_t next_key = 0;
    struct flo_err err = {0};

    make_version_1(f);
    open_store(f);
    assert_non_null(strstr(f->warnings, "store.migrated"));
    assert_int_equal(flo_store_next_key(f->store, &next_key, &err), 0);
    assert_int_equal(next_key, 5);
    sample(&s, 5, "w5", "run-5");
    s.batch.namespace_count = 0;
    const struct flo_core_record_row record = {
        .kind = 1, .namespace_id = "ns", .id = "a", .state = EVENTS, .state_len = 3};
    s.batch.records = &record;
    s.batch.record_count = 1;
    commit_ok(f, &s.batch);
    flo_store_close(&f->store);
    f->warnings[0] = '\0';
    open_store(f);
    assert_null(strstr(f->warnings, "store.migrated"));
}

/* Runs that are older than the table of attributes are found by theirs, in the order of lists. */
static void test_runs_of_version_1_are_found_by_attribute(void **state)
{
    struct fixture *f = *state;
    make_version_1(f);
    open_store(f);
    assert_string_equal(with_value(f, "City", "Bern"), "w1w4w3");
    assert_string_equal(with_value(f, "City", "Rome"), "w2");
    assert_string_equal(with_value(f, "TemporalChangeVersion", "fix-1"), "w2w1w4w3");
    assert_string_equal(with_value(f, "Gone", "7"), "");
}

/* The runs of an old database are counted. */
static void test_runs_of_version_1_are_counted(void **state)
{
    struct fixture *f = *state;
    const struct flo_store_filter all = {.sql = ""};
    int64_t counts[8] = {0};
    struct flo_err err = {0};
    make_version_1(f);
    open_store(f);
    assert_int_equal(flo_store_count(f->store, "ns", &all, true, add_count, counts, &err), 0);
    assert_int_equal(counts[1], 2);
    assert_int_equal(counts[2], 1);
    assert_int_equal(counts[3], 1);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_open_version_1_is_migrated),
        STORE_TEST(test_runs_of_version_1_are_found_by_attribute),
        STORE_TEST(test_runs_of_version_1_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
