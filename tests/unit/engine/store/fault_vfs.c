/* SPDX-License-Identifier: Apache-2.0 */
/* fault_vfs.c - every method hands on to the system's VFS, but for the injected faults. */
#include "fault_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real; /* right behind this struct */
};

static sqlite3_vfs vfs, *system_vfs;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static enum fault_kind kind_now;
static int left_before, left_times, syncs, writes;
static int shm_hidden;

void fault_vfs_set(enum fault_kind kind, int after, int times)
{
    pthread_mutex_lock(&mu);
    kind_now = kind;
    left_before = after;
    left_times = times;
    syncs = writes = 0;
    pthread_mutex_unlock(&mu);
}

void fault_vfs_hide_shm(int hide)
{
    pthread_mutex_lock(&mu);
    shm_hidden = hide;
    pthread_mutex_unlock(&mu);
}

int fault_vfs_syncs(void)
{
    pthread_mutex_lock(&mu);
    int count = syncs;
    pthread_mutex_unlock(&mu);
    return count;
}

int fault_vfs_writes(void)
{
    pthread_mutex_lock(&mu);
    int count = writes;
    pthread_mutex_unlock(&mu);
    return count;
}

static int strikes(enum fault_kind kind)
{
    int strike = 0;
    pthread_mutex_lock(&mu);
    if (kind == FAULT_SYNC)
        syncs++;
    if (kind == FAULT_WRITE)
        writes++;
    if (kind == kind_now && left_times != 0) {
        if (left_before > 0) {
            left_before--;
        } else {
            strike = 1;
            if (left_times > 0)
                left_times--;
        }
    }
    pthread_mutex_unlock(&mu);
    return strike;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct fault_file *)(void *)file)->real;
}

static int file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, len, at);
}

static int file_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    if (strikes(FAULT_WRITE))
        return SQLITE_IOERR_WRITE;
    if (strikes(FAULT_FULL))
        return SQLITE_FULL;
    return real_of(file)->pMethods->xWrite(real_of(file), data, len, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    if (strikes(FAULT_SYNC))
        return SQLITE_IOERR_FSYNC;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), out);
}

static int file_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_reserved(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};
static sqlite3_io_methods methods_without_shm; /* version 1, which ends before xShmMap */

static int open_file(sqlite3_vfs *self, sqlite3_filename name, sqlite3_file *file, int flags,
                     int *out_flags)
{
    struct fault_file *fault = (struct fault_file *)(void *)file;
    (void)self;
    fault->real = (sqlite3_file *)(void *)(fault + 1);
    int rc = system_vfs->xOpen(system_vfs, name, fault->real, flags, out_flags);
    pthread_mutex_lock(&mu);
    const sqlite3_io_methods *ours = shm_hidden ? &methods_without_shm : &methods;
    pthread_mutex_unlock(&mu);
    fault->base.pMethods = fault->real->pMethods ? ours : NULL;
    return rc;
}

void fault_vfs_install(void)
{
    if (system_vfs)
        return;
    methods_without_shm = methods;
    methods_without_shm.iVersion = 1;
    system_vfs = sqlite3_vfs_find(NULL);
    vfs = *system_vfs;
    vfs.pNext = NULL;
    vfs.zName = "fault";
    vfs.szOsFile = (int)sizeof(struct fault_file) + system_vfs->szOsFile;
    vfs.xOpen = open_file;
    sqlite3_vfs_register(&vfs, 1);
}
