/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - files in a folder, one lock; see store.h. */
#include "quarantine/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "quarantine/record.h"
#include "wire/payload.h"

#define SUFFIX ".json"
#define LOCK_FILE ".lock"
#define NEW_FILE ".new" /* the next version of a record; written under the lock only */
#define LOCK_WAIT_MS 250
#define FILE_MAX (512u << 10)
#define NAME_BYTES (FLO_QUARANTINE_ID_LEN + sizeof SUFFIX)

struct flo_quarantine_store {
    int dir_fd;
    int lock_fd; /* open from the first change on; else -1 */
    char path[PATH_MAX];
};

static int error_code(int error)
{
    return error == ENOENT                                       ? FLO_ENOENT
           : error == EACCES || error == EPERM || error == EROFS ? FLO_EPERM
           : error == EIO || error == ENOSPC || error == EDQUOT  ? FLO_EIO
                                                                 : FLO_ESYS;
}

bool flo_quarantine_store_default_path(char *out, size_t size)
{
    const char *fleet = getenv("FLOTILLA_STATE_DIR"), *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int len = -1;

    if (fleet && *fleet)
        len = snprintf(out, size, "%s/quarantine", fleet);
    else if (state && *state == '/')
        len = snprintf(out, size, "%s/flotilla/quarantine", state);
    else if (home && *home == '/')
        len = snprintf(out, size, "%s/.local/state/flotilla/quarantine", home);
    return len > 0 && (size_t)len < size;
}

int flo_quarantine_store_open(const char *path, bool create, struct flo_quarantine_store **out,
                              struct flo_err *err)
{
    struct flo_quarantine_store *store;
    int rc = create ? flo_file_make_folders(path, err) : 0;

    if (rc)
        return rc;
    store = flo_calloc(1, sizeof *store);
    if (!store)
        return flo_fail(err, FLO_ENOMEM, "no memory for the quarantine");
    store->lock_fd = -1;
    snprintf(store->path, sizeof store->path, "%s", path);
    store->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->dir_fd < 0) {
        rc = flo_fail(err, error_code(errno), "cannot open the quarantine folder %s: %s", path,
                      strerror(errno));
        flo_quarantine_store_close(&store);
        return rc;
    }
    *out = store;
    return 0;
}

void flo_quarantine_store_close(struct flo_quarantine_store **store)
{
    if (!*store)
        return;
    if ((*store)->lock_fd >= 0)
        close((*store)->lock_fd);
    if ((*store)->dir_fd >= 0)
        close((*store)->dir_fd);
    flo_free(*store);
    *store = NULL;
}

int64_t flo_quarantine_store_changed_ns(const struct flo_quarantine_store *store)
{
    struct stat st;

    if (fstat(store->dir_fd, &st))
        return 0;
    return (int64_t)st.st_mtim.tv_sec * FLO_NS_PER_S + st.st_mtim.tv_nsec;
}

/* ---- names ---- */

static void file_name(const char *id, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%.*s" SUFFIX, FLO_QUARANTINE_ID_LEN, id);
}

bool flo_quarantine_store_file_id(const char *name, char out_id[FLO_QUARANTINE_ID_LEN + 1])
{
    if (strlen(name) != NAME_BYTES - 1 || strcmp(name + FLO_QUARANTINE_ID_LEN, SUFFIX) != 0 ||
        !flo_quarantine_id_digits(name, FLO_QUARANTINE_ID_LEN))
        return false;
    memcpy(out_id, name, FLO_QUARANTINE_ID_LEN);
    out_id[FLO_QUARANTINE_ID_LEN] = '\0';
    return true;
}

/* ---- the lock ---- */

static int lock(struct flo_quarantine_store *store, struct flo_err *err)
{
    const struct timespec pause = {.tv_nsec = FLO_NS_PER_MS};
    int64_t give_up_ns = flo_clock_mono_ns() + LOCK_WAIT_MS * FLO_NS_PER_MS;

    if (store->lock_fd < 0)
        store->lock_fd = openat(store->dir_fd, LOCK_FILE,
                                O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (store->lock_fd < 0)
        return flo_fail(err, error_code(errno), "cannot write in the quarantine folder %s: %s",
                        store->path, strerror(errno));
    while (flock(store->lock_fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return flo_fail(err, error_code(errno), "cannot lock the quarantine folder %s: %s",
                            store->path, strerror(errno));
        if (flo_clock_mono_ns() > give_up_ns)
            return flo_fail(err, FLO_ETIMEDOUT,
                            "somebody holds the lock of the quarantine folder %s", store->path);
        nanosleep(&pause, NULL);
    }
    return 0;
}

static void unlock(struct flo_quarantine_store *store)
{
    flock(store->lock_fd, LOCK_UN);
}

/* ---- one file ---- */

static ssize_t read_all(int fd, char *out, size_t size)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = read(fd, out + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static int parse(const char *id, const char *data, size_t len, json_t **out, struct flo_err *err)
{
    struct flo_quarantine_view view;
    json_t *record = NULL;
    int rc = flo_json_parse(data, len, &record, err);

    if (rc == FLO_EPROTO) {
        flo_err_prefix(err, "the record %s is damaged: ", id);
        if (err)
            err->code = FLO_EDATA;
        return FLO_EDATA;
    }
    if (!rc)
        rc = flo_quarantine_view(record, id, &view, err);
    if (rc) {
        json_decref(record);
        return rc;
    }
    *out = record;
    return 0;
}

int flo_quarantine_store_read(struct flo_quarantine_store *store, const char *id, json_t **out,
                              struct flo_err *err)
{
    char name[NAME_BYTES];
    struct stat st;
    char *data = NULL;
    ssize_t len;
    int rc;

    file_name(id, name);
    int fd = openat(store->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return flo_fail(err, errno == ELOOP ? FLO_EDATA : error_code(errno),
                        "cannot read the record %s: %s", id, strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        rc = flo_fail(err, FLO_EDATA, "the record %s is damaged: no file of at most %u bytes", id,
                      FILE_MAX);
        goto out;
    }
    data = flo_malloc(FILE_MAX + 1);
    if (!data) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory for a record");
        goto out;
    }
    len = read_all(fd, data, FILE_MAX + 1);
    if (len < 0)
        rc = flo_fail(err, error_code(errno), "cannot read the record %s: %s", id, strerror(errno));
    else if (len > (ssize_t)FILE_MAX)
        rc = flo_fail(err, FLO_EDATA, "the record %s is damaged: it is too large", id);
    else
        rc = parse(id, data, (size_t)len, out, err);
out:
    flo_free(data);
    close(fd);
    return rc;
}

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static int write_record(struct flo_quarantine_store *store, const char *id, const json_t *record,
                        struct flo_err *err)
{
    char name[NAME_BYTES];
    char *text = json_dumps(record, JSON_COMPACT);
    bool good;

    if (!text)
        return flo_fail(err, FLO_ENOMEM, "no memory for a record");
    if (strlen(text) > FILE_MAX) { /* it could not be read back */
        free(text);
        return flo_fail(err, FLO_EFULL, "the record %s is larger than %u bytes", id, FILE_MAX);
    }
    file_name(id, name);
    unlinkat(store->dir_fd, NEW_FILE, 0); /* of one that died while it wrote */
    int fd = openat(store->dir_fd, NEW_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    good = fd >= 0 && write_all(fd, text, strlen(text));
    free(text);
    if (fd >= 0 && close(fd))
        good = false;
    if (good && renameat(store->dir_fd, NEW_FILE, store->dir_fd, name) == 0)
        return 0;
    int error = errno;
    unlinkat(store->dir_fd, NEW_FILE, 0);
    return flo_fail(err, error_code(error), "cannot write a record in the quarantine folder %s: %s",
                    store->path, strerror(error));
}

/* ---- all files ---- */

int flo_quarantine_store_walk(struct flo_quarantine_store *store, flo_quarantine_visit_fn visit,
                              void *ctx, struct flo_err *err)
{
    int fd = openat(store->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    char id[FLO_QUARANTINE_ID_LEN + 1];
    struct dirent *entry;
    bool go_on = true;

    if (!dir) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return flo_fail(err, error_code(error), "cannot read the quarantine folder %s: %s",
                        store->path, strerror(error));
    }
    while (go_on && (entry = readdir(dir))) {
        json_t *record = NULL;
        struct flo_err why = {0};
        if (!flo_quarantine_store_file_id(entry->d_name, id) ||
            flo_quarantine_store_read(store, id, &record, &why) == FLO_ENOENT)
            continue; /* another's, or gone meanwhile */
        go_on = visit(ctx, id, record, &why);
        json_decref(record);
    }
    closedir(dir);
    return 0;
}

static size_t count_files(struct flo_quarantine_store *store)
{
    int fd = openat(store->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    char id[FLO_QUARANTINE_ID_LEN + 1];
    struct dirent *entry;
    size_t count = 0;

    while (dir && (entry = readdir(dir)))
        count += flo_quarantine_store_file_id(entry->d_name, id);
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    return count;
}

/* ---- room ---- */

struct old_record {
    char id[FLO_QUARANTINE_ID_LEN + 1];
    int64_t changed_ms;
};

struct old_records {
    const struct flo_quarantine_room *room;
    struct old_record *items;
    size_t count, capacity, expired;
};

/* Only what counts may go; what is no record goes first. */
static bool note_old(void *ctx, const char *id, const json_t *record, const struct flo_err *err)
{
    struct old_records *old = ctx;
    struct flo_quarantine_view view = {0};

    if (!record && err->code != FLO_EDATA)
        return true; /* it may be parked */
    if (record && (flo_quarantine_view(record, id, &view, NULL) || view.parked))
        return true;
    if (old->count == old->capacity) {
        size_t capacity = old->capacity ? old->capacity * 2 : 64;
        struct old_record *items = flo_reallocarray(old->items, capacity, sizeof *items);
        if (!items)
            return false;
        old->items = items;
        old->capacity = capacity;
    }
    snprintf(old->items[old->count].id, sizeof old->items->id, "%s", id);
    old->items[old->count++].changed_ms = view.changed_ms;
    old->expired += old->room->now_ms - view.changed_ms > old->room->window_ms;
    return true;
}

static int by_age(const void *a, const void *b)
{
    const struct old_record *x = a, *y = b;

    return x->changed_ms < y->changed_ms ? -1 : x->changed_ms > y->changed_ms;
}

/* Under the lock: is there room for one more? */
static int make_room(struct flo_quarantine_store *store, const struct flo_quarantine_room *room,
                     struct flo_err *err)
{
    struct old_records old = {.room = room};
    size_t files = count_files(store), goes;
    int rc;

    if (files < room->max_records)
        return 0;
    rc = flo_quarantine_store_walk(store, note_old, &old, err);
    goes = files - room->max_records + 1 + room->max_records / 10;
    goes = goes < old.expired ? old.expired : goes;
    goes = goes > old.count ? old.count : goes;
    if (!rc && files - goes >= room->max_records)
        rc = flo_fail(err, FLO_EFULL,
                      "the quarantine folder %s holds %zu parked inputs, the most "
                      "that quarantine.max_inputs allows",
                      store->path, files);
    if (!rc) {
        qsort(old.items, old.count, sizeof *old.items, by_age);
        for (size_t i = 0; i < goes; i++) {
            char name[NAME_BYTES];
            file_name(old.items[i].id, name);
            unlinkat(store->dir_fd, name, 0);
        }
    }
    flo_free(old.items);
    return rc;
}

/* ---- changing ---- */

static int change_locked(struct flo_quarantine_store *store, const char *id,
                         const struct flo_quarantine_room *room, flo_quarantine_change_fn change,
                         void *ctx, json_t **out, struct flo_err *err)
{
    json_t *before = NULL, *after;
    int rc = flo_quarantine_store_read(store, id, &before, err);
    bool is_new = rc == FLO_ENOENT;

    if (rc && rc != FLO_ENOENT && rc != FLO_EDATA)
        return rc;
    rc = 0;
    after = change(ctx, before);
    if (after && is_new)
        rc = make_room(store, room, err);
    if (after && !rc)
        rc = write_record(store, id, after, err);
    if (!rc && out)
        *out = json_incref(after ? after : before);
    json_decref(before);
    json_decref(after);
    return rc;
}

int flo_quarantine_store_change(struct flo_quarantine_store *store, const char *id,
                                const struct flo_quarantine_room *room,
                                flo_quarantine_change_fn change, void *ctx, json_t **out,
                                struct flo_err *err)
{
    int rc = lock(store, err);

    if (rc)
        return rc;
    rc = change_locked(store, id, room, change, ctx, out, err);
    unlock(store);
    return rc;
}

int flo_quarantine_store_drop(struct flo_quarantine_store *store, const char *id,
                              struct flo_err *err)
{
    char name[NAME_BYTES];
    int rc = lock(store, err);

    if (rc)
        return rc;
    file_name(id, name);
    if (unlinkat(store->dir_fd, name, 0))
        rc = flo_fail(err, error_code(errno), "cannot drop the record %s: %s", id, strerror(errno));
    unlock(store);
    return rc;
}
