/* SPDX-License-Identifier: Apache-2.0 */
/* test_log_writer.c - the log is written with few calls, and what goes wrong then is not lost. */
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/random.h"
#include "fault_vfs.h"
#include "support.h"

/* Larger than the log writer's buffer, and than SQLite's page cache, which then spills into the
 * log. */
#define BEYOND_BUFFER ((size_t)300 << 10)
#define BEYOND_CACHE ((size_t)12 << 20)

/* A batch whose history is so many bytes of a pattern of its own; the caller frees them. */
static struct flo_core_batch *sample_of(struct sample *s, uint64_t key, const char *id, size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 4096 + key);
    sample(s, key, id, id);
    s->history.events = bytes;
    s->history.len = len;
    return &s->batch;
}

static void free_sample(struct sample *s)
{
    free((void *)(uintptr_t)s->history.events);
}

struct expected {
    uint64_t key;
    size_t len;
    bool met;
};

static bool compare(void *ctx, int64_t first, uint32_t count, const uint8_t *events, size_t len)
{
    struct expected *e = ctx;
    (void)first, (void)count;
    assert_int_equal(len, e->len);
    for (size_t i = 0; i < len; i++)
        if (events[i] != (uint8_t)(i * 31 + i / 4096 + e->key))
            fail_msg("byte %zu differs", i);
    e->met = true;
    return true;
}

/* Is the run there, with its whole history? */
static bool stored(struct fixture *f, uint64_t key, const char *id, size_t len)
{
    struct flo_core_store reader;
    struct flo_core_stored_run run;
    struct expected expected = {.key = key, .len = len};
    flo_store_as_core_store(f->store, &reader);
    int rc = reader.find(reader.ctx, "ns", id, "", &run);
    if (rc) {
        assert_int_equal(rc, FLO_ENOENT);
        return false;
    }
    assert_int_equal(reader.history(reader.ctx, key, 1, false, compare, &expected), 0);
    assert_true(expected.met);
    return true;
}

/* A commit of many pages is one write and one sync, and readers see it at once. */
static void test_commit_small_is_one_write(void **state)
{
    struct fixture *f = *state;
    struct sample s;

    open_store(f);
    commit_ok(f, sample_of(&s, 1, "first", 100)); /* begins the log */
    free_sample(&s);
    fault_vfs_set(FAULT_NONE, 0, 0);
    commit_ok(f, sample_of(&s, 2, "second", 10000));
    free_sample(&s);
    assert_int_equal(fault_vfs_writes(), 1);
    assert_int_equal(fault_vfs_syncs(), 1);
    assert_true(stored(f, 1, "first", 100));
    assert_true(stored(f, 2, "second", 10000));
}

/* Transactions that do not fit the buffer, or the page cache, are whole, now and after a restart,
 * and after the log was written back. */
static void test_commit_large_is_whole(void **state)
{
    static const size_t sizes[] = {BEYOND_BUFFER, BEYOND_CACHE, BEYOND_BUFFER};
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err;

    open_store(f);
    for (uint64_t key = 1; key <= 3; key++) {
        char id[32];
        snprintf(id, sizeof id, "id-%d", (int)key);
        commit_ok(f, sample_of(&s, key, id, sizes[key - 1]));
        free_sample(&s);
        assert_true(stored(f, key, id, sizes[key - 1]));
        assert_int_equal(flo_store_checkpoint(f->store, key == 2, &err), 0);
    }
    for (int turn = 0; turn < 2; turn++) {
        assert_true(stored(f, 1, "id-1", BEYOND_BUFFER));
        assert_true(stored(f, 2, "id-2", BEYOND_CACHE));
        assert_true(stored(f, 3, "id-3", BEYOND_BUFFER));
        flo_store_close(&f->store);
        open_store(f);
    }
}

/* The disk is full at each write of a large commit in turn: nothing has changed, and the same batch
 * goes through once there is room. */
static void test_commit_full_at_each_write_is_undone(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err;
    int nth = 0;

    open_store(f);
    commit_ok(f, sample(&s, 1000, "before", "before"));
    for (bool full = true; full; nth++) {
        char id[32];
        snprintf(id, sizeof id, "id-%d", nth);
        sample_of(&s, (uint64_t)nth + 1, id, BEYOND_BUFFER);
        fault_vfs_set(FAULT_FULL, nth, 1);
        int rc = flo_store_commit(f->store, &s.batch, &err);
        full = rc != 0;
        if (full) {
            assert_int_equal(rc, FLO_EFULL);
            assert_false(stored(f, (uint64_t)nth + 1, id, BEYOND_BUFFER));
            commit_ok(f, &s.batch);
        }
        fault_vfs_set(FAULT_NONE, 0, 0);
        assert_true(stored(f, (uint64_t)nth + 1, id, BEYOND_BUFFER));
        free_sample(&s);
    }
    assert_true(nth > 4); /* it takes several writes */
    flo_store_close(&f->store);
    open_store(f);
    for (int i = 0; i < nth; i++) {
        char id[32];
        snprintf(id, sizeof id, "id-%d", i);
        assert_true(stored(f, (uint64_t)i + 1, id, BEYOND_BUFFER));
    }
}

/* Each write, or the sync, of a large commit fails in turn: it is neither acknowledged nor shown to
 * readers, and after a restart it is there as a whole or not at all, and all before it is there. */
static void test_commit_failed_at_each_write_is_fatal(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct flo_err err;
    uint64_t key = 1;

    for (int nth = -1, failed = 1; failed; nth++, key += 2) {
        char acked[32], maybe[32];
        snprintf(acked, sizeof acked, "acked-%d", nth);
        snprintf(maybe, sizeof maybe, "maybe-%d", nth);
        open_store(f);
        commit_ok(f, sample_of(&s, key, acked, 500));
        free_sample(&s);
        sample_of(&s, key + 1, maybe, BEYOND_BUFFER);
        fault_vfs_set(nth < 0 ? FAULT_SYNC : FAULT_WRITE, nth < 0 ? 0 : nth, 1);
        int rc = flo_store_commit(f->store, &s.batch, &err);
        failed = rc != 0;
        fault_vfs_set(FAULT_NONE, 0, 0);
        if (failed) {
            assert_int_equal(rc, FLO_EIO);
            assert_false(stored(f, key + 1, maybe, BEYOND_BUFFER)); /* whatever the log holds */
        }
        free_sample(&s);
        flo_store_close(&f->store);

        open_store(f);
        assert_true(stored(f, key, acked, 500));
        (void)stored(f, key + 1, maybe, BEYOND_BUFFER); /* whole if it is there */
        flo_store_close(&f->store);
    }
    assert_true(key > 8);
}

/* ---- the file by itself ---- */

#define FILE_MAX (256 << 10)

static const char *log_name; /* of the open log, as long as it is open */

/* The log of the fixture's database, empty, opened as SQLite would. */
static sqlite3_file *open_log(struct fixture *f, char path[128])
{
    struct flo_err err;
    open_store(f); /* makes the VFS known, and the database */
    assert_int_equal(flo_store_checkpoint(f->store, true, &err), 0);
    flo_store_close(&f->store);
    sqlite3_vfs *vfs = sqlite3_vfs_find("flotilla-log");
    assert_non_null(vfs);
    snprintf(path, 128, "%s-wal", f->path);
    unlink(path);
    log_name = sqlite3_create_filename(f->path, "", path, 0, NULL);
    assert_non_null(log_name);
    sqlite3_file *file = calloc(1, (size_t)vfs->szOsFile);
    assert_non_null(file);
    int out_flags;
    assert_int_equal(vfs->xOpen(vfs, sqlite3_filename_wal(log_name), file,
                                SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                &out_flags),
                     SQLITE_OK);
    return file;
}

static void close_log(sqlite3_file *file)
{
    assert_int_equal(file->pMethods->xClose(file), SQLITE_OK);
    sqlite3_free_filename(log_name);
    free(file);
}

/* What the system has of the file is what was written, up to len bytes. */
static void check_real(const char *path, const uint8_t *expected, size_t len)
{
    static uint8_t real[FILE_MAX];
    struct stat info;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(real, 1, sizeof real, file), len);
    fclose(file);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, len);
    assert_memory_equal(real, expected, len);
}

/* Writes, mostly but not always one behind the other, reads, syncs, cuts and looks at the size, in
 * any order: the file is always what it would be without the buffer. */
static void test_file_random_use_is_as_without_buffer(void **state)
{
    static uint8_t model[FILE_MAX], bytes[FILE_MAX];
    struct fixture *f = *state;
    struct flo_rng rng;
    char path[128];
    size_t size = 0, at = 0;
    sqlite3_file *file = open_log(f, path);
    const sqlite3_io_methods *methods = file->pMethods;

    flo_rng_seed(&rng, 20261121);
    for (int step = 0; step < 5000; step++) {
        const uint64_t kind = flo_rng_below(&rng, 100);
        size_t len = flo_rng_below(&rng, 50) ? flo_rng_below(&rng, 5000) + 1
                                             : flo_rng_below(&rng, 100 << 10) + 1;
        sqlite3_int64 seen = -1;
        if (kind < 80) {
            if (kind < 8 || at + len > FILE_MAX)
                at = flo_rng_below(&rng, size + 1);
            if (at + len > FILE_MAX)
                len = FILE_MAX - at;
            if (!len)
                continue;
            memset(bytes, (int)flo_rng_below(&rng, 256), len);
            assert_int_equal(methods->xWrite(file, bytes, (int)len, (sqlite3_int64)at), SQLITE_OK);
            memcpy(model + at, bytes, len);
            at += len;
            size = at > size ? at : size;
        } else if (kind < 90 && size) {
            const size_t from = flo_rng_below(&rng, size);
            len = len > size - from ? size - from : len;
            assert_int_equal(methods->xRead(file, bytes, (int)len, (sqlite3_int64)from), SQLITE_OK);
            assert_memory_equal(bytes, model + from, len);
        } else if (kind < 94) {
            assert_int_equal(methods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
            check_real(path, model, size);
        } else if (kind < 97) {
            assert_int_equal(methods->xFileSize(file, &seen), SQLITE_OK);
            assert_int_equal(seen, size);
        } else if (kind == 97) {
            size = flo_rng_below(&rng, size + 1);
            memset(model + size, 0, FILE_MAX - size);
            assert_int_equal(methods->xTruncate(file, (sqlite3_int64)size), SQLITE_OK);
        }
    }
    close_log(file);
    check_real(path, model, size);
}

/* What could not be written is said by the call that had to write it, and is not tried again. */
static void test_file_failed_flush_is_said_once(void **state)
{
    struct fixture *f = *state;
    char path[128], byte;
    sqlite3_int64 size;
    sqlite3_file *file = open_log(f, path);
    const sqlite3_io_methods *methods = file->pMethods;

    for (int call = 0; call < 5; call++) {
        fault_vfs_set(FAULT_FULL, 0, 1);
        assert_int_equal(methods->xWrite(file, "x", 1, 0), SQLITE_OK);
        int rc = -1;
        switch (call) {
        case 0:
            rc = methods->xSync(file, SQLITE_SYNC_NORMAL);
            break;
        case 1:
            rc = methods->xRead(file, &byte, 1, 0);
            break;
        case 2:
            rc = methods->xFileSize(file, &size);
            break;
        case 3:
            rc = methods->xTruncate(file, 0);
            break;
        case 4:
            rc = methods->xWrite(file, "y", 1, 100);
            break;
        }
        assert_int_equal(rc, SQLITE_FULL);
        assert_int_equal(methods->xFileSize(file, &size), SQLITE_OK);
        assert_int_equal(size, 0);
    }
    fault_vfs_set(FAULT_NONE, 0, 0);
    close_log(file);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_commit_small_is_one_write),
        STORE_TEST(test_commit_large_is_whole),
        STORE_TEST(test_commit_full_at_each_write_is_undone),
        STORE_TEST(test_commit_failed_at_each_write_is_fatal),
        STORE_TEST(test_file_random_use_is_as_without_buffer),
        STORE_TEST(test_file_failed_flush_is_said_once),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
