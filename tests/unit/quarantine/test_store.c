/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c - the folder: two processes at once, damage, bounds, a lock that is held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "quarantine/record.h"
#include "quarantine/store.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ROUNDS 200

static const struct flo_quarantine_room plenty = {.max_records = 100, .window_ms = 1000};

struct fixture {
    char dir[64], path[96];
    struct flo_quarantine_store *store;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct flo_err err;
    snprintf(f->dir, sizeof f->dir, "/tmp/flo-quarantine-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/a/b", f->dir);
    assert_int_equal(flo_quarantine_store_open(f->path, false, &f->store, &err), FLO_ENOENT);
    if (flo_quarantine_store_open(f->path, true, &f->store, &err))
        fail_msg("%s", err.message);
    *state = f;
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_quarantine_store_close(&f->store);
    nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

struct change {
    const char *id;
    int64_t at_ms;
    int64_t crashes; /* that park */
};

static json_t *crash(void *ctx, const json_t *before)
{
    const struct change *change = ctx;
    const struct flo_quarantine_limits limits = {.crashes = change->crashes, .window_ms = 1000};
    const struct flo_quarantine_crash crash = {.attempt = {.at_ms = change->at_ms},
                                               .name_space = "default",
                                               .activity_type = "boom",
                                               .task_queue = "q",
                                               .signal = 11};
    return flo_quarantine_after_crash(before, change->id, &limits, &crash);
}

static int count(struct flo_quarantine_store *store, const char *id, int64_t at_ms, bool parks,
                 const struct flo_quarantine_room *room)
{
    struct change change = {.id = id, .at_ms = at_ms, .crashes = parks ? 1 : 1000};
    return flo_quarantine_store_change(store, id, room, crash, &change, NULL, NULL);
}

static int64_t crashes_of(struct flo_quarantine_store *store, const char *id)
{
    struct flo_quarantine_view view;
    json_t *record;
    if (flo_quarantine_store_read(store, id, &record, NULL))
        return -1;
    assert_int_equal(flo_quarantine_view(record, id, &view, NULL), 0);
    json_decref(record);
    return view.crashes;
}

/* What is written is read back; files and folder are the user's alone. */
static void test_change_is_read_back(void **state)
{
    struct fixture *f = *state;
    char path[256];
    struct stat st;
    json_t *record;

    assert_int_equal(flo_quarantine_store_read(f->store, ID, &record, NULL), FLO_ENOENT);
    assert_int_equal(count(f->store, ID, 1, false, &plenty), 0);
    assert_int_equal(count(f->store, ID, 2, false, &plenty), 0);
    assert_int_equal(crashes_of(f->store, ID), 2);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/" ID ".json", f->path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(flo_quarantine_store_drop(f->store, ID, NULL), 0);
    assert_int_equal(flo_quarantine_store_drop(f->store, ID, NULL), FLO_ENOENT);
}

static json_t *bloat(void *ctx, const json_t *before)
{
    json_t *record = json_deep_copy(before);
    char *text = calloc(1, (600 << 10) + 1);

    (void)ctx;
    memset(text, 'x', 600 << 10);
    json_object_set_new(record, "stackTrace", json_string(text));
    free(text);
    return record;
}

/* A record that could not be read back, and so would never park anything, is not written. */
static void test_change_too_large_keeps_the_old_record(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(count(f->store, ID, 1, false, &plenty), 0);
    assert_int_equal(flo_quarantine_store_change(f->store, ID, &plenty, bloat, NULL, NULL, NULL),
                     FLO_EFULL);
    assert_int_equal(crashes_of(f->store, ID), 1);
}

/* Counts so often in a process of its own; a lock that the other holds for long is tried again. */
static pid_t counter(const struct fixture *f)
{
    pid_t pid = fork();
    struct flo_quarantine_store *own;
    int rc;

    if (pid)
        return pid;
    rc = flo_quarantine_store_open(f->path, true, &own, NULL);
    for (int k = 0; k < ROUNDS && rc == 0; k++)
        while ((rc = count(own, ID, 1, false, &plenty)) == FLO_ETIMEDOUT)
            ;
    _exit(rc ? 1 : 0);
}

/* Two processes count the same input: no crash is lost. */
static void test_change_two_processes(void **state)
{
    struct fixture *f = *state;
    pid_t children[2] = {counter(f), counter(f)};

    for (int i = 0; i < 2; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(crashes_of(f->store, ID), 2 * ROUNDS);
}

static void put(struct fixture *f, const char *name, const char *data, size_t len)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    fclose(file);
}

/* A damaged file is no record, whatever it holds; the next crash replaces it. */
static void test_read_damaged_files(void **state)
{
    static const char *const bad[] = {"", "{", "[]", "null", "{\"version\":1}", "\xff", "{}{}"};
    struct fixture *f = *state;
    struct flo_err err;
    json_t *record;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(f, ID ".json", bad[i], strlen(bad[i]));
        assert_int_equal(flo_quarantine_store_read(f->store, ID, &record, &err), FLO_EDATA);
        assert_non_null(strstr(err.message, "damaged"));
    }
    char *large = calloc(1, 600u << 10);
    put(f, ID ".json", large, 600u << 10);
    free(large);
    assert_int_equal(flo_quarantine_store_read(f->store, ID, &record, &err), FLO_EDATA);
    assert_int_equal(count(f->store, ID, 1, false, &plenty), 0);
    assert_int_equal(crashes_of(f->store, ID), 1);
}

/* A link or a pipe in a file's place is not followed or waited for. */
static void test_read_no_regular_file(void **state)
{
    struct fixture *f = *state;
    char path[256];
    json_t *record;

    snprintf(path, sizeof path, "%s/" ID ".json", f->path);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_int_equal(flo_quarantine_store_read(f->store, ID, &record, NULL), FLO_EDATA);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(flo_quarantine_store_read(f->store, ID, &record, NULL), FLO_EDATA);
}

static void id_number(int i, char out[FLO_QUARANTINE_ID_LEN + 1])
{
    snprintf(out, FLO_QUARANTINE_ID_LEN + 1, "%064x", (unsigned)i);
}

/* At the bound the oldest that only count go, a tenth at once; parked ones stay, to the last. */
static void test_change_full_folder(void **state)
{
    const struct flo_quarantine_room room = {.max_records = 20, .window_ms = 1000, .now_ms = 100};
    struct fixture *f = *state;
    char id[FLO_QUARANTINE_ID_LEN + 1];

    for (int i = 0; i < 20; i++) { /* the odd ones are parked */
        id_number(i, id);
        assert_int_equal(count(f->store, id, i, i % 2, &room), 0);
    }
    id_number(20, id);
    assert_int_equal(count(f->store, id, 20, true, &room), 0);
    for (int i = 0; i < 20; i++) { /* 0, 2 and 4 went */
        id_number(i, id);
        assert_int_equal(crashes_of(f->store, id), i % 2 == 0 && i < 6 ? -1 : 1);
    }
    for (int i = 21; i < 30; i++) {
        id_number(i, id);
        assert_int_equal(count(f->store, id, i, true, &room), 0);
    }
    id_number(30, id);
    assert_int_equal(count(f->store, id, 30, true, &room), FLO_EFULL);
    assert_int_equal(crashes_of(f->store, id), -1);
    id_number(1, id);
    assert_int_equal(count(f->store, id, 31, true, &room), 0); /* one that is there may change */
}

/* At the bound all that did not change for longer than the window go. */
static void test_change_expired_records(void **state)
{
    const struct flo_quarantine_room room = {.max_records = 20, .window_ms = 1000, .now_ms = 5000};
    struct fixture *f = *state;
    char id[FLO_QUARANTINE_ID_LEN + 1];

    for (int i = 0; i < 21; i++) {
        id_number(i, id);
        assert_int_equal(count(f->store, id, i < 15 ? i : 4500, false, &room), 0);
    }
    for (int i = 0; i < 21; i++) {
        id_number(i, id);
        assert_int_equal(crashes_of(f->store, id), i < 15 ? -1 : 1);
    }
}

/* A lock that somebody holds is given up on, not waited for without end. */
static void test_change_lock_held(void **state)
{
    struct fixture *f = *state;
    char path[256];

    snprintf(path, sizeof path, "%s/.lock", f->path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(count(f->store, ID, 1, false, &plenty), FLO_ETIMEDOUT);
    close(fd);
    assert_int_equal(count(f->store, ID, 1, false, &plenty), 0);
}

static bool tally(void *ctx, const char *id, const json_t *record, const struct flo_err *err)
{
    int *seen = ctx;
    (void)id;
    seen[record ? 0 : 1]++;
    assert_true(record || err->code == FLO_EDATA);
    return true;
}

/* A file that cannot be written leaves the record that was there. */
static void test_change_disk_full(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, none;

    assert_int_equal(count(f->store, ID, 1, false, &plenty), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 10; /* bytes of a file */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int rc = count(f->store, ID, 2, false, &plenty);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_not_equal(rc, 0);
    assert_int_equal(crashes_of(f->store, ID), 1);
    assert_int_equal(count(f->store, ID, 2, false, &plenty), 0);
    assert_int_equal(crashes_of(f->store, ID), 2);
}

/* Each allocation fails in turn: an error or a count, never half of one. */
static void test_change_without_memory(void **state)
{
    struct fixture *f = *state;
    int64_t counted = 0;
    bool failed = true;

    for (int64_t n = 0; failed && n < 100; n++) {
        struct flo_quarantine_store *store = NULL;
        flo_alloc_fail_after(n, 0);
        int rc = flo_quarantine_store_open(f->path, true, &store, NULL);
        if (!rc)
            rc = count(store, ID, 1, false, &plenty);
        failed = rc != 0;
        flo_alloc_fail_after(-1, 0);
        flo_quarantine_store_close(&store);
        counted += rc == 0;
        assert_int_equal(crashes_of(f->store, ID), counted ? counted : -1);
    }
    assert_false(failed);
}

/* A walk shows records and what should be one, and nothing else. */
static void test_walk_other_files(void **state)
{
    struct fixture *f = *state;
    int seen[2] = {0};

    assert_int_equal(count(f->store, ID, 1, false, &plenty), 0);
    put(f, "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789.json", "x", 1);
    put(f, "notes.json", "x", 1);
    put(f, ".new", "x", 1);
    assert_int_equal(flo_quarantine_store_walk(f->store, tally, seen, NULL), 0);
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 1);
}

/* The folder of `flotilla up` first, then the user's. */
static void test_default_path(void **state)
{
    char path[128];
    (void)state;
    setenv("FLOTILLA_STATE_DIR", "/s", 1);
    setenv("XDG_STATE_HOME", "/x", 1);
    setenv("HOME", "/h", 1);
    assert_true(flo_quarantine_store_default_path(path, sizeof path));
    assert_string_equal(path, "/s/quarantine");
    unsetenv("FLOTILLA_STATE_DIR");
    assert_true(flo_quarantine_store_default_path(path, sizeof path));
    assert_string_equal(path, "/x/flotilla/quarantine");
    setenv("XDG_STATE_HOME", "relative", 1);
    assert_true(flo_quarantine_store_default_path(path, sizeof path));
    assert_string_equal(path, "/h/.local/state/flotilla/quarantine");
    assert_false(flo_quarantine_store_default_path(path, 8));
    unsetenv("HOME");
    assert_false(flo_quarantine_store_default_path(path, sizeof path));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_change_is_read_back),    TEST(test_change_too_large_keeps_the_old_record),
        TEST(test_change_two_processes),   TEST(test_read_damaged_files),
        TEST(test_read_no_regular_file),   TEST(test_change_full_folder),
        TEST(test_change_expired_records), TEST(test_change_disk_full),
        TEST(test_change_without_memory),  TEST(test_change_lock_held),
        TEST(test_walk_other_files),       cmocka_unit_test(test_default_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
