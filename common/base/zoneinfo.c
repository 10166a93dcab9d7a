/* SPDX-License-Identifier: Apache-2.0 */
/* zoneinfo.c - one open, some reads. */
#include "base/zoneinfo.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 4096 };

static int read_all(int fd, struct flo_buf *out)
{
    for (;;) {
        uint8_t *at = flo_buf_reserve(out, CHUNK_BYTES);
        if (!at)
            return out->max && out->len + CHUNK_BYTES > out->max ? FLO_ELIMIT : FLO_ENOMEM;
        const ssize_t got = read(fd, at, CHUNK_BYTES);
        if (got < 0)
            return FLO_EIO;
        if (got == 0)
            return 0;
        out->len += (size_t)got;
    }
}

int flo_zoneinfo_read(void *ctx, const char *name, struct flo_buf *out)
{
    (void)ctx;
    char path[PATH_MAX];
    const char *folder = getenv("ZONEINFO"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    if (!folder || !*folder)
        folder = "/usr/share/zoneinfo";
    const bool local = strcmp(name, "Local") == 0;
    const int len = local ? snprintf(path, sizeof path, "/etc/localtime")
                          : snprintf(path, sizeof path, "%s/%s", folder, name);
    if (len < 0 || (size_t)len >= sizeof path)
        return FLO_ENOENT;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return FLO_ENOENT;
    struct stat info;
    const int rc = fstat(fd, &info) || !S_ISREG(info.st_mode) ? FLO_ENOENT : read_all(fd, out);
    close(fd);
    return rc;
}
