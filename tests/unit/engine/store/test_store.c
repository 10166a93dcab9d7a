/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c - what is committed is there after a restart, and damage is never silent. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "engine/store/crc32c.h"
#include "fault_vfs.h"
#include "support.h"

/* The check value that RFC 3720 and every catalogue give for "123456789". */
static void test_crc32c_known_text_gives_known_value(void **state)
{
    (void)state;
    assert_int_equal(flo_crc32c(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(flo_crc32c(flo_crc32c(0, "1234", 4), "56789", 5), 0xE3069283u);
}

struct collected {
    int batches;
    int64_t first[8];
    uint32_t events;
};

static bool collect(void *ctx, int64_t first, uint32_t count, const uint8_t *events, size_t len)
{
    struct collected *c = ctx;
    (void)events, (void)len;
    c->first[c->batches++] = first;
    c->events += count;
    return c->batches < 8;
}

static struct flo_core_store core_store(struct fixture *f)
{
    struct flo_core_store s;
    flo_store_as_core_store(f->store, &s);
    return s;
}

/* What was committed before a close is found after it, by run id and as the newest. */
static void test_commit_reopen_finds_run_and_history(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_core_stored_run run;
    struct collected c = {0};

    open_store(f);
    commit_ok(f, sample(&s, 1, "wf", "run-1"));
    s.namespace.state_len = 4;
    s.run.status = 2;
    s.run.close_ns = 2000;
    s.run.state_len = 9;
    s.history.first_event_id = 3;
    commit_ok(f, &s.batch);
    commit_ok(f, sample(&s, 2, "wf", "run-2"));
    flo_store_close(&f->store);

    open_store(f);
    struct flo_core_store reader = core_store(f);
    assert_int_equal(reader.find(reader.ctx, "ns", "wf", "", &run), 0);
    assert_string_equal(run.run_id, "run-2");
    assert_int_equal(reader.find(reader.ctx, "ns", "wf", "run-1", &run), 0);
    assert_int_equal(run.key, 1);
    assert_int_equal(run.status, 2);
    assert_int_equal(run.state_len, 9);
    assert_int_equal(reader.find(reader.ctx, "ns", "other", "run-1", &run), FLO_ENOENT);
    assert_int_equal(reader.find(reader.ctx, "ns", "nobody", "", &run), FLO_ENOENT);
    assert_int_equal(reader.history(reader.ctx, 1, 1, false, collect, &c), 0);
    assert_int_equal(c.batches, 2);
    assert_int_equal(c.first[1], 3);
    memset(&c, 0, sizeof c);
    assert_int_equal(reader.history(reader.ctx, 1, 4, true, collect, &c), 0);
    assert_int_equal(c.first[0], 3);
    assert_int_equal(c.first[1], 1);
}

static int count_namespace(void *ctx, const uint8_t *data, size_t len, struct flo_err *err)
{
    (void)data, (void)err;
    *(size_t *)ctx += len;
    return 0;
}

static int count_run(void *ctx, const struct flo_core_stored_run *run,
                     const struct flo_core_history_batch *batches, size_t count,
                     struct flo_err *err)
{
    (void)err, (void)batches;
    *(size_t *)ctx += run->key * 10 + count;
    return 0;
}

/* Recovery gives namespaces and open runs only, and the next free key. */
static void test_recovery_open_runs_are_given_with_history(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    size_t namespaces = 0, runs = 0;
    uint64_t key = 0;

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    s.run.close_ns = 5;
    s.batch.history_count = 0;
    commit_ok(f, &s.batch);
    commit_ok(f, sample(&s, 4, "b", "run-2"));
    flo_store_close(&f->store);

    open_store(f);
    assert_int_equal(flo_store_each_namespace(f->store, count_namespace, &namespaces, &err), 0);
    assert_int_equal(namespaces, 3);
    assert_int_equal(flo_store_each_open_run(f->store, count_run, &runs, &err), 0);
    assert_int_equal(runs, 41);
    assert_int_equal(flo_store_next_key(f->store, &key, &err), 0);
    assert_int_equal(key, 5);
}

/* Deleted runs are gone with their history. */
static void test_commit_deleted_keys_are_gone(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_core_stored_run run;
    struct collected c = {0};
    uint64_t key = 1;

    f->options.path = NULL;
    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    commit_ok(f, &(struct flo_core_batch){.deleted_keys = &key, .deleted_count = 1});
    struct flo_core_store reader = core_store(f);
    assert_int_equal(reader.find(reader.ctx, "ns", "a", "", &run), FLO_ENOENT);
    assert_int_equal(reader.history(reader.ctx, 1, 1, false, collect, &c), 0);
    assert_int_equal(c.batches, 0);
}

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
    struct flo_store_value open = {.kind = FLO_STORE_INT, .integer = 1};
    struct flo_store_filter by_type = {.sql = "type = ?", .values = &type, .value_count = 1};
    struct flo_store_filter by_status = {.sql = "status = ?", .values = &open, .value_count = 1};
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
    assert_int_equal(flo_store_count(f->store, "ns", &by_status, false, count_status, counts, &err),
                     0);
    assert_int_equal(counts[0], 2);
}

static int try_open(struct fixture *f, struct flo_err *err)
{
    struct flo_store *second = NULL;
    int rc = flo_store_open(&f->options, &second, err);
    flo_store_close(&second);
    return rc;
}

/* A second engine on the same file is refused and the first one goes on. */
static void test_open_in_use_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};

    open_store(f);
    assert_int_equal(try_open(f, &err), FLO_EEXIST);
    assert_non_null(strstr(err.message, "in use"));
    commit_ok(f, sample(&s, 1, "a", "run-1"));
}

/* A folder, a file that is no database, another program's database, a newer schema. */
static void test_open_wrong_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    sqlite3 *db;

    f->options.path = f->folder;
    assert_int_equal(try_open(f, &err), FLO_EEXIST);
    char side[128];
    f->options.path = f->path;
    FILE *file = fopen(f->path, "w");
    for (int i = 0; i < 200; i++)
        fputs("this is no database. ", file);
    fclose(file);
    assert_int_equal(try_open(f, &err), FLO_EDATA);
    unlink(f->path);
    snprintf(side, sizeof side, "%s-wal", f->path);
    unlink(side);

    assert_int_equal(sqlite3_open(f->path, &db), 0);
    sqlite3_exec(db, "CREATE TABLE theirs (x)", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_int_equal(try_open(f, &err), FLO_EDATA);
    assert_non_null(strstr(err.message, "another program"));
    unlink(f->path);

    open_store(f);
    flo_store_close(&f->store);
    assert_int_equal(sqlite3_open(f->path, &db), 0);
    sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_int_equal(try_open(f, &err), FLO_EDATA);
    assert_non_null(strstr(err.message, "99"));
}

/* The new file is the owner's only. */
static void test_open_new_file_is_private(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    open_store(f);
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

/* A database that lost its log's tail is behind its mark, and is served only on demand. */
static void test_open_lost_commits_are_noticed(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    char wal[128];

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    assert_int_equal(flo_store_checkpoint(f->store, true, &err), 0);
    commit_ok(f, sample(&s, 2, "b", "run-2"));
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    flo_store_close(&f->store); /* leaves the log */
    assert_int_equal(truncate(wal, 40), 0);

    assert_int_equal(try_open(f, &err), FLO_EDATA);
    assert_non_null(strstr(err.message, "1 commits are lost"));
    f->options.accept_data_loss = true;
    assert_int_equal(try_open(f, &err), 0);
    assert_non_null(strstr(f->warnings, "store.data_loss"));
    f->options.accept_data_loss = false;
    assert_int_equal(try_open(f, &err), 0);
}

/* Spoil a column behind SQLite's back, as rot would. */
static void spoil(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), 0);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), 0);
    sqlite3_close(db);
}

/* One changed byte of a history batch is FLO_EDATA for that run and harmless for others. */
static void test_history_changed_byte_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    struct collected c = {0};
    size_t runs = 0;

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    commit_ok(f, sample(&s, 2, "b", "run-2"));
    flo_store_close(&f->store);
    spoil(f, "UPDATE history SET events = x'3031323334353637383961626364656e' WHERE key = 1");

    open_store(f);
    struct flo_core_store reader = core_store(f);
    assert_int_equal(reader.history(reader.ctx, 1, 1, false, collect, &c), FLO_EDATA);
    assert_int_equal(reader.history(reader.ctx, 2, 1, false, collect, &c), 0);
    assert_int_equal(flo_store_each_open_run(f->store, count_run, &runs, &err), FLO_EDATA);
    flo_store_close(&f->store);
    f->options.accept_data_loss = true;
    open_store(f);
    runs = 0;
    assert_int_equal(flo_store_each_open_run(f->store, count_run, &runs, &err), 0);
    assert_int_equal(runs, 21);
    assert_non_null(strstr(f->warnings, "store.run_damaged"));
}

/* A history row that vanished leaves a gap, which recovery sees. */
static void test_history_missing_batch_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    size_t runs = 0;

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    s.history.first_event_id = 3;
    commit_ok(f, &s.batch);
    flo_store_close(&f->store);
    spoil(f, "DELETE FROM history WHERE first_event_id = 1");
    open_store(f);
    assert_int_equal(flo_store_each_open_run(f->store, count_run, &runs, &err), FLO_EDATA);
    assert_non_null(strstr(err.message, "lacks event 1"));
}

/* A changed byte of a run's state is FLO_EDATA. */
static void test_state_changed_byte_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_core_stored_run run;

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    flo_store_close(&f->store);
    spoil(f, "UPDATE run SET state = x'3031323335'");
    open_store(f);
    struct flo_core_store reader = core_store(f);
    assert_int_equal(reader.find(reader.ctx, "ns", "a", "", &run), FLO_EDATA);
}

/* A commit whose sync or write fails is neither acknowledged nor certain: fatal. */
static void test_commit_failed_sync_or_write_is_fatal(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    static const enum fault_kind kinds[] = {FAULT_SYNC, FAULT_WRITE};

    for (size_t i = 0; i < 2; i++) {
        fault_vfs_set(FAULT_NONE, 0, 0);
        open_store(f);
        commit_ok(f, sample(&s, i * 2 + 1, "a", i ? "run-3" : "run-1"));
        fault_vfs_set(kinds[i], 0, 1);
        assert_int_equal(
            flo_store_commit(f->store, sample(&s, i * 2 + 2, "b", i ? "r4" : "r2"), &err), FLO_EIO);
        fault_vfs_set(FAULT_NONE, 0, 0);
        flo_store_close(&f->store);
    }
}

/* A full disk changes nothing, reads go on, and the same batch fits once there is room. */
static void test_commit_full_disk_may_be_tried_again(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    struct flo_core_stored_run run;

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    fault_vfs_set(FAULT_FULL, 0, -1);
    assert_int_equal(flo_store_commit(f->store, sample(&s, 2, "b", "run-2"), &err), FLO_EFULL);
    struct flo_core_store reader = core_store(f);
    assert_int_equal(reader.find(reader.ctx, "ns", "a", "", &run), 0);
    assert_int_equal(reader.find(reader.ctx, "ns", "b", "", &run), FLO_ENOENT);
    fault_vfs_set(FAULT_NONE, 0, 0);
    commit_ok(f, &s.batch);
    assert_int_equal(reader.find(reader.ctx, "ns", "b", "", &run), 0);
}

/* Each write and sync of a commit fails once in turn: after a restart the commit is wholly there or
 * wholly absent, and what was acknowledged before it is there. */
static void test_commit_nth_failure_leaves_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    struct flo_core_stored_run run;
    bool failed = true;
    uint64_t key = 1;

    for (int nth = 0; failed && nth < 64; nth++) {
        char acked[32], maybe[32];
        snprintf(acked, sizeof acked, "acked-%d", nth);
        snprintf(maybe, sizeof maybe, "maybe-%d", nth);
        open_store(f);
        commit_ok(f, sample(&s, key++, acked, acked));
        fault_vfs_set(nth % 2 ? FAULT_SYNC : FAULT_WRITE, nth / 2, 1);
        failed = flo_store_commit(f->store, sample(&s, key++, maybe, maybe), &err) != 0;
        if (!failed && nth % 2)
            failed = nth < 3; /* there are fewer syncs than writes */
        fault_vfs_set(FAULT_NONE, 0, 0);
        flo_store_close(&f->store);

        open_store(f);
        struct flo_core_store reader = core_store(f);
        struct collected c = {0};
        assert_int_equal(reader.find(reader.ctx, "ns", acked, "", &run), 0);
        if (reader.find(reader.ctx, "ns", maybe, "", &run) == 0) {
            assert_int_equal(reader.history(reader.ctx, run.key, 1, false, collect, &c), 0);
            assert_int_equal(c.events, 2);
        }
        flo_store_close(&f->store);
    }
}

/* What was read before pins nothing: a list after it sees the commits that came between. */
static void test_list_after_find_is_fresh(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    struct flo_core_stored_run run;
    struct flo_store_filter all = {.sql = ""};
    char ids[IDS_SIZE] = "";

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    struct flo_core_store reads = core_store(f);
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

/* Past its bound the log is written back and starts again, though runs are looked up between. */
static void test_checkpoint_log_stays_small(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    struct flo_store_stats stats;
    struct flo_core_stored_run run;
    struct stat info;
    char wal[128], id[32];

    open_store(f);
    struct flo_core_store reads = core_store(f);
    for (uint64_t key = 1; key <= 700; key++) {
        snprintf(id, sizeof id, "id-%d", (int)key);
        commit_ok(f, sample(&s, key, id, id));
        if (key % 100 == 1)
            assert_int_equal(reads.find(reads.ctx, "ns", id, key % 200 == 1 ? id : "", &run), 0);
        assert_int_equal(flo_store_checkpoint(f->store, false, &err), 0);
    }
    flo_store_stats(f->store, &stats);
    assert_true(stats.checkpoints >= 2);
    assert_int_equal(stats.commit_seq, 700);
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    assert_int_equal(stat(wal, &info), 0);
    assert_true(info.st_size < 6 << 20);
}

/* Nothing is acknowledged into a file that was deleted. */
static void test_commit_deleted_files_are_noticed(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    unlink(f->path);
    assert_int_equal(flo_store_commit(f->store, sample(&s, 2, "b", "run-2"), &err), FLO_EIO);
    assert_non_null(strstr(err.message, "deleted"));
}

/* An empty database beside a full log was cut off: it is not silently made anew. */
static void test_open_empty_file_with_log_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    flo_store_close(&f->store);
    assert_int_equal(truncate(f->path, 0), 0);
    assert_int_equal(try_open(f, &err), FLO_EDATA);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_known_text_gives_known_value),
        STORE_TEST(test_commit_reopen_finds_run_and_history),
        STORE_TEST(test_recovery_open_runs_are_given_with_history),
        STORE_TEST(test_commit_deleted_keys_are_gone),
        STORE_TEST(test_list_order_and_pages),
        STORE_TEST(test_expired_oldest_closed_first),
        STORE_TEST(test_list_slow_query_is_stopped),
        STORE_TEST(test_list_common_filters_are_cheap),
        STORE_TEST(test_open_in_use_is_refused),
        STORE_TEST(test_open_wrong_file_is_refused),
        STORE_TEST(test_open_new_file_is_private),
        STORE_TEST(test_open_lost_commits_are_noticed),
        STORE_TEST(test_history_changed_byte_is_noticed),
        STORE_TEST(test_history_missing_batch_is_noticed),
        STORE_TEST(test_state_changed_byte_is_noticed),
        STORE_TEST(test_commit_failed_sync_or_write_is_fatal),
        STORE_TEST(test_commit_full_disk_may_be_tried_again),
        STORE_TEST(test_commit_nth_failure_leaves_all_or_nothing),
        STORE_TEST(test_list_after_find_is_fresh),
        STORE_TEST(test_checkpoint_log_stays_small),
        STORE_TEST(test_commit_deleted_files_are_noticed),
        STORE_TEST(test_open_empty_file_with_log_is_refused),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
