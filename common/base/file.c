/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - folders and small files. */
#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

int flo_file_make_folders(const char *path, struct flo_err *err)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part)
        return flo_fail(err, FLO_EINVAL, "cannot make a folder: the path is too long");
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i])
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) && errno != EEXIST)
            return flo_fail(err, errno == EACCES ? FLO_EPERM : FLO_ESYS,
                            "cannot make the folder %s: %s", part, strerror(errno));
    }
    return 0;
}
