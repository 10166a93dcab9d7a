/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fail_sync.c - an LD_PRELOAD library: a disk that fails.
 *
 *   FLO_FAIL_SYNC_AFTER=N      the N-th fsync or fdatasync, and no other, fails with EIO
 *   FLO_FULL_DISK_WHILE=FILE   pwrite fails with ENOSPC while FILE exists
 *   FLO_HUNG_DISK_ONCE=FILE   fsync and fdatasync do not return once FILE exists
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int syncs;

static int sync_fails(void)
{
    const char *text = getenv("FLO_FAIL_SYNC_AFTER");
    return text && atomic_fetch_add(&syncs, 1) + 1 == strtol(text, NULL, 10);
}

static int disk_full(void)
{
    const char *file = getenv("FLO_FULL_DISK_WHILE");
    return file && access(file, F_OK) == 0;
}

static void hang(void)
{
    const char *file = getenv("FLO_HUNG_DISK_ONCE");
    while (file && access(file, F_OK) == 0)
        pause();
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    hang();
    if (sync_fails()) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    hang();
    if (sync_fails()) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

__attribute__((visibility("default"))) ssize_t pwrite64(int fd, const void *data, size_t len,
                                                        off64_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
    if (disk_full()) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, data, len, at);
}
