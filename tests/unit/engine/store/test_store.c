/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c - what is committed is there after a restart, and damage is never silent. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "engine/store/care.h"
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

/* Write text often enough to make a file of some pages. */
static void write_text(const char *path, const char *text, int times)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < times; i++)
        fputs(text, file);
    fclose(file);
}

/* The file is refused as damaged with that word, and the folder holds nothing but it. */
static void assert_refused_alone(struct fixture *f, const char *word)
{
    struct flo_err err = {0};
    int found = 0;
    assert_int_equal(try_open(f, &err), FLO_EDATA);
    if (!strstr(err.message, word) || !strstr(err.message, f->path))
        fail_msg("not refused with %s: %s", word, err.message);
    DIR *folder = opendir(f->folder);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        found += entry->d_name[0] != '.';
    closedir(folder);
    assert_int_equal(found, 1);
    unlink(f->path);
}

/* What is no database of an engine is refused before anything is made beside it. */
static void test_open_foreign_file_stays_alone(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    sqlite3 *db;

    write_text(f->path, "short", 1);
    assert_refused_alone(f, "not a database");
    write_text(f->path, "this is no database. ", 1000);
    assert_refused_alone(f, "not a database");

    static const char *const modes[] = {"PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = WAL",
                                        "PRAGMA user_version = 3"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(sqlite3_open(f->path, &db), 0);
        sqlite3_exec(db, modes[i], NULL, NULL, NULL);
        sqlite3_exec(db, "CREATE TABLE theirs (x)", NULL, NULL, NULL);
        sqlite3_close(db);
        assert_refused_alone(f, "another program");
    }

    open_store(f);
    assert_int_equal(flo_store_checkpoint(f->store, true, &err), 0);
    flo_store_close(&f->store);
    static const char *const ends[] = {"-wal", "-shm", ".lock", ".mark"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", f->path, ends[i]);
        unlink(name);
    }
    assert_int_equal(truncate(f->path, 9000), 0);
    assert_refused_alone(f, "9000 of its");
}

/* A folder, a newer schema. */
static void test_open_wrong_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    sqlite3 *db;

    f->options.path = f->folder;
    assert_int_equal(try_open(f, &err), FLO_EEXIST);
    f->options.path = f->path;
    open_store(f);
    flo_store_close(&f->store);
    assert_int_equal(sqlite3_open(f->path, &db), 0);
    sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_int_equal(try_open(f, &err), FLO_EDATA);
    assert_non_null(strstr(err.message, "99"));
}

/* Where SQLite cannot keep a write-ahead log, nothing is opened, and it is said. */
static void test_open_without_log_is_refused(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};

    fault_vfs_hide_shm(1);
    assert_int_equal(flo_store_open(&f->options, &f->store, &err), FLO_ESYS);
    fault_vfs_hide_shm(0);

    assert_null(f->store);
    assert_non_null(strstr(err.message, f->path));
    assert_non_null(strstr(err.message, "write-ahead log"));
    open_store(f); /* and nothing is in the way afterwards */
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

static int read_from(struct fixture *f, int64_t event_id, bool reverse)
{
    struct collected c = {0};
    const struct flo_core_store reader = core_store(f);
    return reader.history(reader.ctx, 1, event_id, reverse, collect, &c);
}

/* A missing batch is noticed by whoever reads past it, from the front, the middle or the end. */
static void test_history_missing_batch_is_never_skipped(void **state)
{
    struct fixture *f = *state;
    struct sample s;

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    for (s.history.first_event_id = 3; s.history.first_event_id <= 7; s.history.first_event_id += 2)
        commit_ok(f, &s.batch);
    assert_int_equal(read_from(f, 1, false), 0);
    assert_int_equal(read_from(f, 8, true), 0);
    flo_store_close(&f->store);
    spoil(f, "DELETE FROM history WHERE first_event_id = 5");
    open_store(f);
    assert_int_equal(read_from(f, 1, false), FLO_EDATA);
    assert_int_equal(read_from(f, 5, false), FLO_EDATA);
    assert_int_equal(read_from(f, 8, true), FLO_EDATA);
    assert_int_equal(read_from(f, 6, true), FLO_EDATA);
    assert_int_equal(read_from(f, 7, false), 0);
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

static void unlink_log(const struct fixture *f)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal", ".mark"};
    char name[128];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", f->path, ends[i]);
        unlink(name);
    }
}

/* A new database on a disk that is full from some write on: it is said, and nothing is in the way
 * when there is room. */
static void test_open_full_disk_is_no_obstacle_afterwards(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    int rc = FLO_EIO;

    for (int after = 0; rc; after++) {
        fault_vfs_set(FAULT_FULL, after, -1);
        rc = try_open(f, &err);
        fault_vfs_set(FAULT_NONE, 0, 0);
        if (rc)
            assert_int_equal(rc, FLO_EIO);
        open_store(f);
        flo_store_close(&f->store);
        unlink(f->path);
        unlink_log(f);
        assert_true(after < 1000);
    }
}

/* A compaction that fails at some write leaves the database as it was. */
static void test_compact_full_disk_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    struct flo_core_stored_run run;
    uint64_t before, now;
    int rc = FLO_EIO;
    static const char *const run_ids[] = {"r1", "r2", "r3", "r4", "r5"};

    open_store(f);
    for (uint64_t key = 1; key <= 5; key++)
        commit_ok(f, sample(&s, key, key == 1 ? "a" : "b", run_ids[key - 1]));
    flo_store_close(&f->store);
    for (int after = 0; rc; after++) {
        fault_vfs_set(FAULT_FULL, after, -1);
        rc = flo_store_compact(f->path, &before, &now, &err);
        fault_vfs_set(FAULT_NONE, 0, 0);
        if (rc)
            assert_true(rc == FLO_EFULL || rc == FLO_EIO);
        open_store(f);
        struct flo_core_store reader = core_store(f);
        assert_int_equal(reader.find(reader.ctx, "ns", "a", "", &run), 0);
        assert_int_equal(run.key, 1);
        flo_store_close(&f->store);
        assert_true(after < 1000);
    }
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

/* A log without its database holds what was acknowledged: it is left alone, so that the database
 * can be brought back. */
static void test_open_log_without_database_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err = {0};
    char aside[128];

    open_store(f);
    commit_ok(f, sample(&s, 1, "a", "run-1"));
    flo_store_close(&f->store);
    snprintf(aside, sizeof aside, "%.63s/aside", f->folder);
    assert_int_equal(rename(f->path, aside), 0);
    f->options.accept_data_loss = true; /* no, not even then */
    assert_int_equal(try_open(f, &err), FLO_EDATA);
    assert_non_null(strstr(err.message, "-wal"));
    assert_int_not_equal(access(f->path, F_OK), 0);

    f->options.accept_data_loss = false;
    assert_int_equal(rename(aside, f->path), 0);
    assert_int_equal(try_open(f, &err), 0);
    assert_null(strstr(f->warnings, "store.data_loss"));
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_known_text_gives_known_value),
        STORE_TEST(test_commit_reopen_finds_run_and_history),
        STORE_TEST(test_recovery_open_runs_are_given_with_history),
        STORE_TEST(test_commit_deleted_keys_are_gone),
        STORE_TEST(test_open_in_use_is_refused),
        STORE_TEST(test_open_foreign_file_stays_alone),
        STORE_TEST(test_open_wrong_file_is_refused),
        STORE_TEST(test_open_without_log_is_refused),
        STORE_TEST(test_open_new_file_is_private),
        STORE_TEST(test_open_lost_commits_are_noticed),
        STORE_TEST(test_history_changed_byte_is_noticed),
        STORE_TEST(test_history_missing_batch_is_noticed),
        STORE_TEST(test_history_missing_batch_is_never_skipped),
        STORE_TEST(test_state_changed_byte_is_noticed),
        STORE_TEST(test_commit_failed_sync_or_write_is_fatal),
        STORE_TEST(test_commit_full_disk_may_be_tried_again),
        STORE_TEST(test_open_full_disk_is_no_obstacle_afterwards),
        STORE_TEST(test_compact_full_disk_changes_nothing),
        STORE_TEST(test_commit_nth_failure_leaves_all_or_nothing),
        STORE_TEST(test_checkpoint_log_stays_small),
        STORE_TEST(test_commit_deleted_files_are_noticed),
        STORE_TEST(test_open_empty_file_with_log_is_refused),
        STORE_TEST(test_open_log_without_database_is_refused),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
