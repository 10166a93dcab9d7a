/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_writer.c - SQLite's log, written with one call a transaction.
 *
 * SQLite writes each page of a transaction to its log with two small writes, one behind the other,
 * twenty and more for a commit of ours, then syncs. This VFS hands everything on to the default
 * one, but gathers such neighbours of the log in a buffer and writes them together.
 *
 * What is gathered is written before anything else happens to the file: a sync, a read, a look at
 * its size, a write somewhere else. So the order of all that reaches the file is SQLite's. An error
 * that is met then comes late, but not too late: with synchronous=FULL, of which store.c makes
 * sure, SQLite syncs the log at the end of each transaction, before it shows the transaction to
 * readers or says that it is done. (With NORMAL it would do both with the last pages still gathered
 * here.)
 *
 * Only the log is treated so. A checkpoint's writes to the database are not always followed by a
 * sync before they count.
 */
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/store/internal.h"

/* What is larger goes in several writes. */
#define BUFFER_BYTES ((int)64 << 10)

struct log_file {
    sqlite3_file base;
    sqlite3_file *real; /* right behind this struct */
    uint8_t *buffer;    /* BUFFER_BYTES */
    sqlite3_int64 at;   /* where its first byte goes */
    int len;
};

static sqlite3_vfs vfs, *system_vfs;
static const char *name; /* of vfs, once it can be used */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct log_file *log_of(sqlite3_file *file)
{
    return (struct log_file *)(void *)file;
}

static int write_real(const struct log_file *log, const void *data, int len, sqlite3_int64 at)
{
    return log->real->pMethods->xWrite(log->real, data, len, at);
}

/* Once: what failed is given up, as a failed write is. */
static int flush(struct log_file *log)
{
    const int len = log->len;
    log->len = 0;
    return len ? write_real(log, log->buffer, len, log->at) : SQLITE_OK;
}

static int log_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    struct log_file *log = log_of(file);
    if (log->len && (at != log->at + log->len || len > BUFFER_BYTES - log->len)) {
        int rc = flush(log);
        if (rc)
            return rc;
    }
    if (len > BUFFER_BYTES)
        return write_real(log, data, len, at);
    if (!log->len)
        log->at = at;
    memcpy(log->buffer + log->len, data, (size_t)len);
    log->len += len;
    return SQLITE_OK;
}

static int log_sync(sqlite3_file *file, int flags)
{
    struct log_file *log = log_of(file);
    int rc = flush(log);
    return rc ? rc : log->real->pMethods->xSync(log->real, flags);
}

static int log_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at)
{
    struct log_file *log = log_of(file);
    int rc = flush(log);
    return rc ? rc : log->real->pMethods->xRead(log->real, data, len, at);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct log_file *log = log_of(file);
    int rc = flush(log);
    return rc ? rc : log->real->pMethods->xTruncate(log->real, size);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *out)
{
    struct log_file *log = log_of(file);
    int rc = flush(log);
    return rc ? rc : log->real->pMethods->xFileSize(log->real, out);
}

static int log_close(sqlite3_file *file)
{
    struct log_file *log = log_of(file);
    int flushed = flush(log);
    int rc = log->real->pMethods->xClose(log->real);
    flo_free(log->buffer);
    return flushed ? flushed : rc;
}

static int log_lock(sqlite3_file *file, int level)
{
    return log_of(file)->real->pMethods->xLock(log_of(file)->real, level);
}

static int log_unlock(sqlite3_file *file, int level)
{
    return log_of(file)->real->pMethods->xUnlock(log_of(file)->real, level);
}

static int log_reserved(sqlite3_file *file, int *out)
{
    return log_of(file)->real->pMethods->xCheckReservedLock(log_of(file)->real, out);
}

static int log_control(sqlite3_file *file, int op, void *arg)
{
    return log_of(file)->real->pMethods->xFileControl(log_of(file)->real, op, arg);
}

static int log_sector(sqlite3_file *file)
{
    return log_of(file)->real->pMethods->xSectorSize(log_of(file)->real);
}

static int log_traits(sqlite3_file *file)
{
    return log_of(file)->real->pMethods->xDeviceCharacteristics(log_of(file)->real);
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, /* a log has no shared memory and is not mapped */
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_traits,
};

static int open_file(sqlite3_vfs *self, sqlite3_filename path, sqlite3_file *file, int flags,
                     int *out_flags)
{
    struct log_file *log = log_of(file);
    (void)self;
    if (!(flags & SQLITE_OPEN_WAL))
        return system_vfs->xOpen(system_vfs, path, file, flags, out_flags);
    *log = (struct log_file){.real = (sqlite3_file *)(void *)(log + 1)};
    log->buffer = flo_malloc(BUFFER_BYTES);
    if (!log->buffer)
        return SQLITE_NOMEM;
    int rc = system_vfs->xOpen(system_vfs, path, log->real, flags, out_flags);
    if (log->real->pMethods)
        log->base.pMethods = &methods; /* SQLite closes it then, whatever rc is */
    else
        flo_free(log->buffer);
    return rc;
}

static void set_up(void)
{
    system_vfs = sqlite3_vfs_find(NULL);
    if (!system_vfs)
        return;
    vfs = *system_vfs;
    vfs.pNext = NULL;
    vfs.zName = "flotilla-log";
    vfs.szOsFile = (int)sizeof(struct log_file) + system_vfs->szOsFile;
    vfs.xOpen = open_file;
    if (sqlite3_vfs_register(&vfs, 0) == SQLITE_OK)
        name = vfs.zName;
}

const char *flo_store_log_writer(void)
{
    pthread_once(&once, set_up);
    return name;
}
