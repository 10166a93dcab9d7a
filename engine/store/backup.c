/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.c - a copy of one moment, and a database without its free pages.
 *
 * A backup copies pages within one read transaction: what an engine commits meanwhile stays in its
 * log, which is written back when the copy is done. The copy grows as TO.partial and is renamed
 * when it was checked and synced; it cannot be resumed, a new attempt begins anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/store/care.h"
#include "engine/store/care_internal.h"
#include "engine/store/internal.h"

static int system_error(struct flo_err *err, const char *what, const char *path)
{
    const int number = errno;
    const int code = number == EACCES || number == EPERM || number == EROFS ? FLO_EPERM
                     : number == ENOSPC                                     ? FLO_EFULL
                     : number == EIO                                        ? FLO_EIO
                                                                            : FLO_ESYS;
    return flo_fail(err, code, "%s %s: %s", what, path, strerror(number));
}

/* All pages of the moment that look stands at, to the empty file at path. */
static int copy_pages(struct flo_store_look *look, const char *path, struct flo_err *err)
{
    sqlite3 *copy = NULL;
    int rc = sqlite3_open_v2(path, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (!rc) {
        sqlite3_backup *backup = sqlite3_backup_init(copy, "main", look->connection.db, "main");
        if (backup)
            (void)sqlite3_backup_step(backup, -1);
        rc = backup ? sqlite3_backup_finish(backup) : sqlite3_errcode(copy);
    }
    if (!rc) /* one file, without a log beside it */
        rc = sqlite3_exec(copy, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    if (rc)
        rc = flo_store_error(copy, rc, "cannot copy the database", err);
    sqlite3_close(copy);
    return rc;
}

static int sync_path(const char *path, int flags, struct flo_err *err)
{
    int fd = open(path, flags | O_CLOEXEC), rc = 0;
    if (fd < 0 || fsync(fd))
        rc = system_error(err, "cannot sync", path);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int sync_folder_of(const char *path, struct flo_err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? flo_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : flo_strdup(".");
    if (!folder)
        return flo_fail(err, FLO_ENOMEM, "no memory for a backup");
    int rc = sync_path(folder, O_RDONLY | O_DIRECTORY, err);
    flo_free(folder);
    return rc;
}

/* Is the copy good, and all that was acknowledged when look began? Damages are told and counted. */
static int check_copy(const char *path, const struct flo_store_look *look,
                      struct flo_store_report *out, struct flo_err *err)
{
    int rc = flo_store_check(path, look->fn, look->ctx, out, err);
    if (rc)
        return rc;
    out->damages += look->report.damages; /* of the mark */
    if (look->mark > out->commit_seq)
        return flo_fail(err, FLO_EDATA,
                        "the database ends at commit %llu but commit %llu was acknowledged: no "
                        "backup was made of it",
                        (unsigned long long)out->commit_seq, (unsigned long long)look->mark);
    if (out->damages > 0)
        return flo_fail(err, FLO_EDATA, "the database has %llu damages: no backup was made of it",
                        (unsigned long long)out->damages);
    return 0;
}

/* What SQLite and a check leave beside a database. */
static void remove_beside(const char *path)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal", ".mark"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char *name = flo_asprintf("%s%s", path, ends[i]);
        if (name)
            (void)unlink(name);
        flo_free(name);
    }
}

/* Nothing has the backup's name, nor lies where SQLite would take it for a part of it: a log of
 * another database would be written into the copy. */
static int check_free(const char *to, struct flo_err *err)
{
    static const char *const ends[] = {"", "-wal", "-journal"};
    int rc = 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends && !rc; i++) {
        struct stat info;
        char *name = flo_asprintf("%s%s", to, ends[i]);
        if (!name)
            rc = flo_fail(err, FLO_ENOMEM, "no memory for a backup");
        else if (lstat(name, &info) == 0)
            rc = flo_fail(err, FLO_EEXIST, "%s is there already", name);
        flo_free(name);
    }
    return rc;
}

/* The file that the copy grows in: empty, and ours alone until *out_fd is closed, since two backups
 * of one name would else write into one file. flock: SQLite's own locks are of the other kind. */
static int take_partial(const char *partial, int *out_fd, struct flo_err *err)
{
    for (int tries = 0; tries < 2; tries++) {
        struct stat ours, there;
        int fd = open(partial, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return system_error(err, "cannot create", partial);
        if (flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &ours) || lstat(partial, &there) ||
            ours.st_ino != there.st_ino || ours.st_dev != there.st_dev) {
            close(fd);
            break;
        }
        remove_beside(partial);
        if (ours.st_size == 0) {
            *out_fd = fd;
            return 0;
        }
        /* Of an attempt that was killed. It may have another name by now, and be a backup: it is
         * never written to. */
        (void)unlink(partial);
        close(fd);
    }
    return flo_fail(err, FLO_EEXIST, "%s is in use: another backup is being made", partial);
}

/* The copy gets its name, then the mark that tells what it must hold. */
static int publish(const char *partial, const char *to, uint64_t commit_seq, struct flo_err *err)
{
    struct flo_store_files files = {.lock_fd = -1, .mark_fd = -1};
    int rc = sync_path(partial, O_RDONLY, err);
    if (!rc && link(partial, to)) /* as rename, but never over another file */
        rc = errno == EEXIST ? flo_fail(err, FLO_EEXIST, "%s is there already", to)
                             : system_error(err, "cannot name the backup", to);
    if (rc)
        return rc;
    rc = flo_store_files_open(&files, to, err);
    if (!rc)
        rc = flo_store_mark_write(&files, commit_seq, err);
    if (!rc && fsync(files.mark_fd))
        rc = system_error(err, "cannot sync", files.mark_path);
    flo_store_files_close(&files);
    return rc ? rc : sync_folder_of(to, err);
}

int flo_store_backup(const char *from, const char *to, flo_store_damage_fn fn, void *ctx,
                     struct flo_store_report *out, struct flo_err *err)
{
    struct flo_store_look look = {.fn = fn, .ctx = ctx};
    int partial_fd = -1;
    int rc = check_free(to, err);
    if (rc)
        return rc;
    rc = flo_store_look_open(&look, from, err);
    if (rc)
        return rc;
    char *partial = flo_asprintf("%s.partial", to);
    rc = partial ? take_partial(partial, &partial_fd, err)
                 : flo_fail(err, FLO_ENOMEM, "no memory for a backup");
    if (!rc)
        rc = copy_pages(&look, partial, err);
    flo_store_look_close(&look);
    if (!rc)
        rc = check_copy(partial, &look, out, err);
    if (!rc)
        rc = publish(partial, to, out->commit_seq, err);
    if (partial_fd >= 0) {
        remove_beside(partial);
        (void)unlink(partial);
        close(partial_fd); /* SQLite has closed the file: none of its locks are dropped */
    }
    flo_free(partial);
    return rc;
}

static uint64_t size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) ? 0 : (uint64_t)info.st_size;
}

int flo_store_compact(const char *path, uint64_t *out_before, uint64_t *out_after,
                      struct flo_err *err)
{
    const struct flo_store_options options = {.path = path};
    struct flo_store *store = NULL;
    if (access(path, F_OK))
        return flo_fail(err, FLO_ENOENT, "there is no database %s", path);
    int rc = flo_store_open(&options, &store, err);
    if (rc)
        return rc;
    *out_before = size_of(path);
    sqlite3_limit(store->writer.db, SQLITE_LIMIT_ATTACHED, 1); /* the new one, while it is made */
    rc = flo_store_exec(&store->writer, "PRAGMA temp_store = FILE; VACUUM", err);
    if (!rc)
        rc = flo_store_checkpoint(store, true, err);
    *out_after = size_of(path);
    flo_store_close(&store);
    return rc;
}
