/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - the files beside the database.
 *
 *   FILE        the database; SQLite's, we never keep it open ourselves (closing any descriptor of
 *               it would drop SQLite's own POSIX locks)
 *   FILE-wal    SQLite's log
 *   FILE.lock   locked (open file description lock) while an engine runs; never removed
 *   FILE.mark   16 bytes: the number of the last commit, little endian, and a check word
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
    return 0;
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
