/* SPDX-License-Identifier: Apache-2.0 */
/* power.c - the system's VFS with a memory of what was there at the last sync. */
#include "simulation/power.h"

#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

#define SECTOR 512
#define FILES_MAX 4 /* the database and its log */

/* A sector that was written since the last sync, as it was then. */
struct sector {
    sqlite3_int64 number;
    uint8_t bytes[SECTOR];
};

/* What is known of one path. */
struct disk_file {
    char path[160];
    sqlite3_int64 synced_size;
    struct sector *sectors;
    size_t count, capacity;
};

struct power_file {
    sqlite3_file base;
    sqlite3_file *real;     /* right behind this struct */
    struct disk_file *disk; /* NULL: a file that is not watched */
};

static sqlite3_vfs vfs, *system_vfs;
static struct disk_file files[FILES_MAX];
static unsigned file_count, operations_left;
static bool off, lies;

static struct power_file *power_of(sqlite3_file *file)
{
    return (struct power_file *)(void *)file;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return power_of(file)->real;
}

/* An operation that changes something begins. False: there is no power; *out_last: it goes now, and
 * what this operation does may be there or not. */
static bool powered(bool *out_last)
{
    *out_last = false;
    if (off)
        return false;
    if (operations_left > 0 && --operations_left == 0)
        *out_last = off = true;
    return true;
}

static struct disk_file *disk_of(const char *path)
{
    for (unsigned i = 0; i < file_count; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    if (file_count == FILES_MAX)
        abort();
    struct disk_file *disk = &files[file_count++];
    *disk = (struct disk_file){0};
    snprintf(disk->path, sizeof disk->path, "%s", path);
    return disk;
}

/* Keep what a sector holds, before it is changed for the first time since the last sync. */
static void keep_sector(struct power_file *file, sqlite3_int64 number)
{
    struct disk_file *disk = file->disk;
    for (size_t i = 0; i < disk->count; i++)
        if (disk->sectors[i].number == number)
            return;
    if (disk->count == disk->capacity) {
        disk->capacity = disk->capacity ? 2 * disk->capacity : 64;
        disk->sectors = flo_reallocarray(disk->sectors, disk->capacity, sizeof *disk->sectors);
        if (!disk->sectors)
            abort();
    }
    struct sector *sector = &disk->sectors[disk->count++];
    *sector = (struct sector){.number = number};
    /* What lies behind the end is read as zeros. */
    int rc = file->real->pMethods->xRead(file->real, sector->bytes, SECTOR, number * SECTOR);
    if (rc && rc != SQLITE_IOERR_SHORT_READ)
        abort();
}

static void keep_range(struct power_file *file, sqlite3_int64 from, sqlite3_int64 to)
{
    for (sqlite3_int64 number = from / SECTOR; number * SECTOR < to; number++)
        keep_sector(file, number);
}

static int file_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    bool last;
    if (!power_of(file)->disk)
        return real_of(file)->pMethods->xWrite(real_of(file), data, len, at);
    if (!powered(&last))
        return SQLITE_IOERR_WRITE;
    keep_range(power_of(file), at, at + len);
    int rc = real_of(file)->pMethods->xWrite(real_of(file), data, len, at);
    return last ? SQLITE_IOERR_WRITE : rc;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    bool last;
    sqlite3_int64 old;
    if (!power_of(file)->disk)
        return real_of(file)->pMethods->xTruncate(real_of(file), size);
    if (!powered(&last) || real_of(file)->pMethods->xFileSize(real_of(file), &old))
        return SQLITE_IOERR_TRUNCATE;
    keep_range(power_of(file), size, old);
    int rc = real_of(file)->pMethods->xTruncate(real_of(file), size);
    return last ? SQLITE_IOERR_TRUNCATE : rc;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct disk_file *disk = power_of(file)->disk;
    bool last;
    (void)flags;
    if (!disk || lies)
        return SQLITE_OK;
    if (!powered(&last) || last)
        return SQLITE_IOERR_FSYNC;
    disk->count = 0;
    return real_of(file)->pMethods->xFileSize(real_of(file), &disk->synced_size);
}

static int file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, len, at);
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
    (void)file;
    return SECTOR;
}

/* Nothing is promised: no atomic writes, no safe appending. */
static int file_traits(sqlite3_file *file)
{
    (void)file;
    return 0;
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

static int shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
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

static int open_file(sqlite3_vfs *self, sqlite3_filename path, sqlite3_file *file, int flags,
                     int *out_flags)
{
    struct power_file *power = power_of(file);
    (void)self;
    *power = (struct power_file){.real = (sqlite3_file *)(void *)(power + 1)};
    int rc = system_vfs->xOpen(system_vfs, path, power->real, flags, out_flags);
    if (power->real->pMethods)
        power->base.pMethods = &methods;
    if (!rc && path && flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL))
        power->disk = disk_of(path);
    return rc;
}

static int delete_file(sqlite3_vfs *self, const char *path, int sync)
{
    (void)self;
    return off ? SQLITE_IOERR_DELETE : system_vfs->xDelete(system_vfs, path, sync);
}

void power_install(void)
{
    if (system_vfs)
        return;
    system_vfs = sqlite3_vfs_find(NULL);
    vfs = *system_vfs;
    vfs.pNext = NULL;
    vfs.zName = "power";
    vfs.szOsFile = (int)sizeof(struct power_file) + system_vfs->szOsFile;
    vfs.xOpen = open_file;
    vfs.xDelete = delete_file;
    if (sqlite3_vfs_register(&vfs, 1))
        abort();
}

void power_fails_after(unsigned operations)
{
    operations_left = operations + 1;
}

bool power_is_off(void)
{
    return off;
}

void power_sync_lies(bool now)
{
    lies = now;
}

/* Put back each sector or not, then the size. */
static void restore_file(struct disk_file *disk, struct flo_rng *rng)
{
    int fd = open(disk->path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return; /* it was never made */
    const off_t written = lseek(fd, 0, SEEK_END);
    const bool old_size = flo_rng_below(rng, 2);
    /* Sometimes everything or nothing of it: a disk that had the time, or none. */
    const uint64_t of_ten = flo_rng_below(rng, 3) == 0 ? 5 : flo_rng_below(rng, 2) * 10;
    for (size_t i = 0; i < disk->count; i++)
        if (flo_rng_below(rng, 10) < of_ten &&
            pwrite(fd, disk->sectors[i].bytes, SECTOR, disk->sectors[i].number * SECTOR) != SECTOR)
            abort();
    if (ftruncate(fd, old_size ? disk->synced_size : written))
        abort();
    close(fd);
    disk->count = 0;
    disk->synced_size = old_size ? disk->synced_size : written;
}

void power_restore(struct flo_rng *rng)
{
    for (unsigned i = 0; i < file_count; i++)
        restore_file(&files[i], rng);
    off = false;
    operations_left = 0;
}

void power_forget(void)
{
    for (unsigned i = 0; i < file_count; i++)
        flo_free(files[i].sectors);
    file_count = 0;
    off = lies = false;
    operations_left = 0;
}
