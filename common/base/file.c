/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - folders and small files. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* All of fd into out, cut at its first line: its length, or -1 when there is more or nothing. */
static ssize_t read_line(int fd, char *out, size_t size)
{
    size_t len = 0, line;
    ssize_t n = 0;
    while (len < size && (n = read(fd, out + len, size - len)) != 0) {
        if (n < 0 && errno != EINTR)
            return -1;
        len += n > 0 ? (size_t)n : 0;
    }
    if (len == size || memchr(out, '\0', len))
        return -1;
    out[len] = '\0';
    line = strcspn(out, "\r\n");
    if (!line || out[line + strspn(out + line, "\r\n")] != '\0')
        return -1;
    out[line] = '\0';
    return (ssize_t)line;
}

int flo_file_read_secret(const char *path, const char *what, char *out, size_t size,
                         struct flo_err *err)
{
    struct stat st;
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return flo_fail(err, errno == ENOENT ? FLO_ENOENT : FLO_EPERM, "cannot read %s %s: %s",
                        what, path, strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        rc = flo_fail(err, FLO_ECONFIG, "%s %s is no regular file", what, path);
    } else if (st.st_mode & (st.st_uid == 0 ? S_IWGRP | S_IRWXO : S_IRWXG | S_IRWXO)) {
        rc = flo_fail(err, FLO_EPERM, "%s %s can be read by others: chmod 0600 it", what, path);
    } else if (read_line(fd, out, size) < 0) {
        explicit_bzero(out, size);
        rc = flo_fail(err, FLO_ECONFIG, "%s %s is not one line of at most %zu bytes", what, path,
                      size - 2);
    }
    close(fd);
    return rc;
}

int flo_file_write_secret(const char *path, const char *what, const char *text, struct flo_err *err)
{
    const size_t len = strlen(text);
    int rc = 0,
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return flo_fail(err,
                        errno == EEXIST   ? FLO_EEXIST
                        : errno == EACCES ? FLO_EPERM
                                          : FLO_ESYS,
                        "cannot make %s %s: %s", what, path, strerror(errno));
    if (fchmod(fd, S_IRUSR | S_IWUSR) || write(fd, text, len) != (ssize_t)len ||
        write(fd, "\n", 1) != 1 || fsync(fd))
        rc = flo_fail(err, FLO_ESYS, "cannot write %s %s: %s", what, path, strerror(errno));
    close(fd);
    if (rc)
        (void)unlink(path); /* half a secret is none */
    return rc;
}
