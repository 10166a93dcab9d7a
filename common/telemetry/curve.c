/* SPDX-License-Identifier: Apache-2.0 */
/* curve.c - reading, checking and making key files. */
#include "telemetry/curve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "telemetry/zeromq.h"

/* One line of 40 characters of Z85 out of fd, nothing else. */
static int read_text(const struct flo_zeromq *zmq, int fd, char out_text[FLO_CURVE_TEXT])
{
    char text[FLO_CURVE_TEXT + 3] = "";
    uint8_t bytes[FLO_CURVE_BYTES];
    ssize_t n = read(fd, text, sizeof text - 1);
    size_t len = n < 0 ? 0 : strcspn(text, "\r\n");
    int rc = FLO_ECONFIG;
    if (len == FLO_CURVE_TEXT - 1 && text[len + strspn(text + len, "\r\n")] == '\0') {
        text[len] = '\0';
        if (zmq->z85_decode(bytes, text)) {
            memcpy(out_text, text, FLO_CURVE_TEXT);
            rc = 0;
        }
    }
    explicit_bzero(text, sizeof text);
    explicit_bzero(bytes, sizeof bytes);
    return rc;
}

static int open_key(const char *path, int *out_fd, struct stat *st, struct flo_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return flo_fail(err, errno == ENOENT ? FLO_ENOENT : FLO_EPERM, "cannot read the key %s: %s",
                        path, strerror(errno));
    if (fstat(fd, st) || !S_ISREG(st->st_mode)) {
        close(fd);
        return flo_fail(err, FLO_ECONFIG, "the key %s is no regular file", path);
    }
    *out_fd = fd;
    return 0;
}

static int no_key(const char *path, struct flo_err *err)
{
    return flo_fail(err, FLO_ECONFIG, "%s holds no key; flotilla keys generate makes some", path);
}

int flo_curve_read_public(const char *path, char out_text[FLO_CURVE_TEXT], struct flo_err *err)
{
    const struct flo_zeromq *zmq = flo_zeromq(err);
    struct stat st;
    int fd = -1, rc = zmq ? open_key(path, &fd, &st, err) : FLO_ESYS;
    if (rc)
        return rc;
    rc = read_text(zmq, fd, out_text);
    close(fd);
    return rc ? no_key(path, err) : 0;
}

int flo_curve_read_secret(const char *path, char out_secret[FLO_CURVE_TEXT],
                          char out_public[FLO_CURVE_TEXT], struct flo_err *err)
{
    struct stat st;
    char public[FLO_CURVE_TEXT];
    const struct flo_zeromq *zmq = flo_zeromq(err);
    int fd = -1, rc = zmq ? open_key(path, &fd, &st, err) : FLO_ESYS;
    if (rc)
        return rc;
    const mode_t refused = st.st_uid == 0 ? S_IWGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    if (st.st_mode & refused)
        rc = flo_fail(err, FLO_EPERM, "the secret key %s can be read by others: chmod 0400 it",
                      path);
    else if (read_text(zmq, fd, out_secret) || zmq->curve_public(public, out_secret))
        rc = no_key(path, err);
    else if (out_public)
        memcpy(out_public, public, sizeof public);
    close(fd);
    return rc;
}

int flo_curve_parse(const char *text, char out_text[FLO_CURVE_TEXT], struct flo_err *err)
{
    uint8_t bytes[FLO_CURVE_BYTES];
    const struct flo_zeromq *zmq = flo_zeromq(err);
    if (!zmq)
        return FLO_ESYS;
    if (strlen(text) != FLO_CURVE_TEXT - 1 || !zmq->z85_decode(bytes, text))
        return flo_fail(err, FLO_EINVAL, "'%.80s' is no key: %d characters of Z85 are one", text,
                        FLO_CURVE_TEXT - 1);
    memcpy(out_text, text, FLO_CURVE_TEXT);
    return 0;
}

void flo_curve_bytes(const char text[FLO_CURVE_TEXT], uint8_t out[FLO_CURVE_BYTES])
{
    flo_zeromq(NULL)->z85_decode(out, text); /* read_text loaded it, and has seen that it decodes */
}

static int write_key(const char *dir, const char *name, const char *kind, const char *text,
                     mode_t mode, struct flo_err *err)
{
    char path[PATH_MAX], line[FLO_CURVE_TEXT + 1];
    int n = snprintf(path, sizeof path, "%s/%s.%s", dir, name, kind), rc = 0;
    if (n < 0 || (size_t)n >= sizeof path)
        return flo_fail(err, FLO_EINVAL, "the folder's path is too long");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
    if (fd < 0)
        return flo_fail(err,
                        errno == EEXIST   ? FLO_EEXIST
                        : errno == EACCES ? FLO_EPERM
                                          : FLO_ESYS,
                        "cannot make the key %s: %s", path, strerror(errno));
    n = snprintf(line, sizeof line, "%s\n", text);
    if (write(fd, line, (size_t)n) != n || fchmod(fd, mode) || fsync(fd))
        rc = flo_fail(err, FLO_ESYS, "cannot write the key %s: %s", path, strerror(errno));
    close(fd);
    explicit_bzero(line, sizeof line);
    return rc;
}

int flo_curve_make_pair(const char *dir, const char *public_dir, const char *name,
                        struct flo_err *err)
{
    char public[FLO_CURVE_TEXT], secret[FLO_CURVE_TEXT];
    const struct flo_zeromq *zmq = flo_zeromq(err);
    if (!zmq)
        return FLO_ESYS;
    if (zmq->curve_keypair(public, secret))
        return flo_fail(err, FLO_ESYS, "cannot make keys: %s", zmq->strerror(errno));
    int rc = write_key(dir, name, "secret", secret, 0400, err);
    explicit_bzero(secret, sizeof secret);
    return rc ? rc : write_key(public_dir, name, "public", public, 0444, err);
}

int flo_curve_write_public(const char *dir, const char *name, const char *text, struct flo_err *err)
{
    return write_key(dir, name, "public", text, 0444, err);
}

/* FLO_EEXIST when NAME.KIND is there. */
static int check_absent(const char *dir, const char *name, const char *kind, struct flo_err *err)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s.%s", dir, name, kind);
    if (lstat(path, &st) == 0)
        return flo_fail(err, FLO_EEXIST, "%s is there already, and stays: nothing was made", path);
    return 0;
}

static int check_pair_absent(const char *dir, const char *public_dir, const char *name,
                             struct flo_err *err)
{
    int rc = check_absent(dir, name, "secret", err);
    return rc ? rc : check_absent(public_dir, name, "public", err);
}

int flo_curve_make_fleet(const char *dir, const char *const *names, size_t count,
                         struct flo_err *err)
{
    static const char *const roles[] = {"workflow", "io-activity", "cpu-activity"};
    char allowed[PATH_MAX];
    if (!names) {
        names = roles;
        count = sizeof roles / sizeof *roles;
    }
    int len = snprintf(allowed, sizeof allowed, "%s/" FLO_CURVE_ALLOWED, dir);
    if (len < 0 || (size_t)len >= sizeof allowed)
        return flo_fail(err, FLO_EINVAL, "the folder's path is too long");
    int rc = flo_file_make_folders(allowed, err);
    if (!rc)
        rc = check_pair_absent(dir, dir, "supervisor", err);
    for (size_t i = 0; !rc && i < count; i++)
        rc = check_pair_absent(dir, allowed, names[i], err);
    if (!rc)
        rc = flo_curve_make_pair(dir, dir, "supervisor", err);
    for (size_t i = 0; !rc && i < count; i++)
        rc = flo_curve_make_pair(dir, allowed, names[i], err);
    return rc;
}
