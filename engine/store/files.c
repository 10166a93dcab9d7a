/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - the files beside the database.
 *
 *   FILE        the database; SQLite's, we never keep it open ourselves (closing any descriptor of
 *               it would drop SQLite's own POSIX locks)
 *   FILE-wal    SQLite's log
 *   FILE.lock   locked (open file description lock) while an engine runs; never removed
 *   FILE.mark   16 bytes: the number of the last commit, little endian, and a check word
 *
 * None of them is made beside a file that is no database of an engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/store/crc32c.h"
#include "engine/store/internal.h"

#define NFS_MAGIC 0x6969
#define OVERLAY_MAGIC 0x794c7630
#define SMB_MAGIC 0x517b
#define CIFS_MAGIC 0xff534d42u
#define SMB2_MAGIC 0xfe534d42u

static int system_error(struct flo_err *err, int number, const char *what, const char *path)
{
    int code = FLO_ESYS;
    if (number == EACCES || number == EPERM || number == EROFS)
        code = FLO_EPERM;
    else if (number == EIO || number == ENOSPC)
        code = FLO_EIO;
    else if (number == ENOMEM)
        code = FLO_ENOMEM;
    return flo_fail(err, code, "%s %s: %s", what, path, strerror(number));
}

static int sync_directory(const char *path, struct flo_err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? flo_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : flo_strdup(".");
    if (!folder)
        return flo_fail(err, FLO_ENOMEM, "no memory to open %s", path);
    int rc = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd))
        rc = system_error(err, errno, "cannot sync directory", folder);
    if (fd >= 0)
        close(fd);
    flo_free(folder);
    return rc;
}

/* ---- the header of an SQLite file, and the one of its first page ---- */

#define HEADER_SIZE 108
#define HEADER_PAGE_SIZE 16 /* u16; 1 is 65536 */
#define HEADER_CHANGES 24
#define HEADER_PAGES 28 /* of the file, if the next says that it is of the last change */
#define HEADER_VERSION 60
#define HEADER_APPLICATION 68
#define HEADER_PAGES_OF 92
#define HEADER_LEAF 100 /* the kind of the first page */
#define HEADER_CELLS 103
#define TABLE_LEAF 13

static uint32_t number_at(const uint8_t *at, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* Through SQLite's VFS, which minds the locks that this process may have on the file. A file that
 * is shorter is filled up with zeros. */
static int read_header(const char *path, uint8_t out[HEADER_SIZE], int64_t *out_size,
                       struct flo_err *err)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    const size_t len = strlen(path);
    sqlite3_int64 size = 0;
    if (!vfs)
        return flo_fail(err, FLO_ESYS, "SQLite has no files");
    sqlite3_file *file = flo_calloc(1, (size_t)vfs->szOsFile);
    char *name = flo_calloc(1, len + 2); /* SQLite's names end with two zeros */
    int rc = SQLITE_NOMEM;
    if (file && name) {
        memcpy(name, path, len + 1);
        rc = vfs->xOpen(vfs, name, file, SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB, NULL);
    }
    if (!rc)
        rc = file->pMethods->xFileSize(file, &size);
    if (!rc)
        rc = file->pMethods->xRead(file, out, HEADER_SIZE, 0);
    if (rc == SQLITE_IOERR_SHORT_READ)
        rc = SQLITE_OK;
    if (file && file->pMethods)
        file->pMethods->xClose(file);
    flo_free(file);
    flo_free(name);
    *out_size = size;
    return rc ? flo_store_error(NULL, rc, "cannot read it", err) : 0;
}

int flo_store_files_look(const char *path, bool alone, struct flo_err *err)
{
    static const char magic[] = "SQLite format 3";
    uint8_t header[HEADER_SIZE] = {0};
    int64_t size = 0;
    int rc = read_header(path, header, &size, err);
    if (rc || size == 0)
        return rc;
    if (memcmp(header, magic, sizeof magic) != 0)
        return flo_fail(err, FLO_EDATA, "it is not a database");
    const uint32_t application = number_at(header + HEADER_APPLICATION, 4);
    /* Of an engine that was killed early all is in the log, and the file as good as empty. */
    const bool empty = application == 0 && number_at(header + HEADER_VERSION, 4) == 0 &&
                       (header[HEADER_LEAF] == TABLE_LEAF || header[HEADER_LEAF] == 0) &&
                       number_at(header + HEADER_CELLS, 2) == 0;
    if (application != FLO_STORE_APPLICATION_ID && !empty)
        return flo_fail(err, FLO_EDATA, "it is an SQLite database of another program");
    const uint32_t page = number_at(header + HEADER_PAGE_SIZE, 2);
    const int64_t whole =
        (int64_t)number_at(header + HEADER_PAGES, 4) * (page == 1 ? 65536 : (int64_t)page);
    if (alone && size < whole &&
        number_at(header + HEADER_PAGES_OF, 4) == number_at(header + HEADER_CHANGES, 4))
        return flo_fail(err, FLO_EDATA, "it was cut off: %lld of its %lld bytes are there",
                        (long long)size, (long long)whole);
    return 0;
}

/* The database is absent or a regular file that is ours to open. A log beside none, or beside an
 * empty one, holds what was acknowledged: SQLite would delete it. */
static int check_database(struct flo_store_files *files, struct flo_err *err)
{
    struct stat info, log_info;
    const bool log = stat(files->log_path, &log_info) == 0 && log_info.st_size > 0;
    if (lstat(files->path, &info)) {
        if (errno != ENOENT)
            return system_error(err, errno, "cannot open database", files->path);
        if (log)
            return flo_fail(err, FLO_EDATA,
                            "database %s is not there but its log %s is: bring the database back, "
                            "or remove the log to begin anew",
                            files->path, files->log_path);
        files->created = true;
        return 0;
    }
    if (!S_ISREG(info.st_mode))
        return flo_fail(err, FLO_EEXIST, "database %s is not a regular file", files->path);
    if (info.st_size == 0 && log)
        return flo_fail(err, FLO_EDATA,
                        "database %s is empty but its log %s is not: the database was cut off",
                        files->path, files->log_path);
    if (access(files->path, R_OK | W_OK))
        return system_error(err, errno, "cannot open database", files->path);
    int rc = flo_store_files_look(files->path, !log, err);
    if (rc == FLO_EDATA)
        flo_err_prefix(err, "database %s", files->path);
    return rc;
}

static int create_database(struct flo_store_files *files, struct flo_err *err)
{
    int fd = open(files->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return system_error(err, errno, "cannot create database", files->path);
    close(fd); /* before SQLite opens it: no lock of its can be lost */
    return sync_directory(files->path, err);
}

static int take_lock(struct flo_store_files *files, const char *lock_path, struct flo_err *err)
{
    files->lock_fd = open(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (files->lock_fd < 0)
        return system_error(err, errno, "cannot create lock file", lock_path);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(files->lock_fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return flo_fail(err, FLO_EEXIST, "database %s is in use by another engine", files->path);
    return system_error(err, errno, "cannot lock", lock_path);
}

int flo_store_files_open(struct flo_store_files *files, const char *path, struct flo_err *err)
{
    int rc;
    char *lock_path = flo_asprintf("%s.lock", path);

    *files = (struct flo_store_files){.lock_fd = -1, .mark_fd = -1};
    files->path = flo_strdup(path);
    files->log_path = flo_asprintf("%s-wal", path);
    files->mark_path = flo_asprintf("%s.mark", path);
    if (!lock_path || !files->path || !files->log_path || !files->mark_path) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory to open %s", path);
        goto out;
    }
    rc = check_database(files, err);
    if (rc)
        goto out;
    rc = take_lock(files, lock_path, err);
    if (rc)
        goto out;
    if (files->created) {
        rc = create_database(files, err);
        if (rc)
            goto out;
    }
    files->mark_fd = open(files->mark_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (files->mark_fd < 0) {
        rc = system_error(err, errno, "cannot open", files->mark_path);
        goto out;
    }
    struct stat info;
    if (stat(files->path, &info)) {
        rc = system_error(err, errno, "cannot open database", files->path);
        goto out;
    }
    files->device = info.st_dev;
    files->inode = info.st_ino;
out:
    flo_free(lock_path);
    if (rc)
        flo_store_files_close(files);
    return rc;
}

void flo_store_files_close(struct flo_store_files *files)
{
    if (files->mark_fd >= 0)
        close(files->mark_fd);
    if (files->lock_fd >= 0)
        close(files->lock_fd);
    flo_free(files->path);
    flo_free(files->log_path);
    flo_free(files->mark_path);
    *files = (struct flo_store_files){.lock_fd = -1, .mark_fd = -1};
}

int flo_store_files_check(const struct flo_store_files *files, struct flo_err *err)
{
    struct stat info;
    if (stat(files->path, &info) || info.st_dev != files->device || info.st_ino != files->inode)
        return flo_fail(err, FLO_EIO, "database %s was deleted or replaced while in use",
                        files->path);
    if (stat(files->log_path, &info))
        return flo_fail(err, FLO_EIO, "log %s was deleted while in use", files->log_path);
    return 0;
}

#define MARK_SIZE 16

static void mark_encode(uint64_t seq, uint8_t out[MARK_SIZE])
{
    memset(out, 0, MARK_SIZE);
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(seq >> (8 * i));
    uint32_t crc = flo_crc32c(0, out, 8);
    for (int i = 0; i < 4; i++)
        out[8 + i] = (uint8_t)(crc >> (8 * i));
}

int flo_store_mark_read(const struct flo_store_files *files, uint64_t *out_seq, struct flo_err *err)
{
    uint8_t bytes[MARK_SIZE], expected[MARK_SIZE];
    ssize_t got = pread(files->mark_fd, bytes, sizeof bytes, 0);
    if (got < 0)
        return system_error(err, errno, "cannot read", files->mark_path);
    if (got == 0) {
        *out_seq = 0;
        return 0;
    }
    uint64_t seq = 0;
    for (int i = 0; i < 8 && got == MARK_SIZE; i++)
        seq |= (uint64_t)bytes[i] << (8 * i);
    mark_encode(seq, expected);
    if (got != MARK_SIZE || memcmp(bytes, expected, sizeof bytes) != 0)
        return flo_fail(err, FLO_EDATA, "%s is damaged: it cannot say what the last commit was",
                        files->mark_path);
    *out_seq = seq;
    return 0;
}

int flo_store_mark_write(const struct flo_store_files *files, uint64_t seq, struct flo_err *err)
{
    uint8_t bytes[MARK_SIZE];
    mark_encode(seq, bytes);
    ssize_t put = pwrite(files->mark_fd, bytes, sizeof bytes, 0);
    if (put < 0 && errno == ENOSPC)
        return 0; /* an older mark only narrows what can be noticed */
    if (put != (ssize_t)sizeof bytes)
        return system_error(err, put < 0 ? errno : EIO, "cannot write", files->mark_path);
    return 0;
}

const char *flo_store_files_unsafe_fs(const struct flo_store_files *files)
{
    struct statfs info;
    if (statfs(files->path, &info))
        return NULL;
    switch ((unsigned)info.f_type) {
    case NFS_MAGIC:
        return "NFS";
    case OVERLAY_MAGIC:
        return "overlayfs";
    case SMB_MAGIC:
    case CIFS_MAGIC:
    case SMB2_MAGIC:
        return "SMB";
    default:
        return NULL;
    }
}
