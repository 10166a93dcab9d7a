/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob.c - content-addressed files: DIR/ab/cdef... under the SHA-256 of the content. A blob is
 * written to a temporary name, synced, then renamed, so that a name never shows half a content;
 * activities may run twice, and storing twice is harmless.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "document.h"

#define MAX_PATH_LEN 4096

static int hash_of(const void *data, size_t len, char out[DOCUMENT_HASH_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    if (EVP_Digest(data, len, digest, &digest_len, EVP_sha256(), NULL) != 1)
        return FLO_ENOMEM;
    for (size_t i = 0; i < digest_len; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

static int blob_path(const char *dir, const char *hash, char out[MAX_PATH_LEN], struct flo_err *err)
{
    if (strlen(hash) != DOCUMENT_HASH_LEN || strspn(hash, "0123456789abcdef") != DOCUMENT_HASH_LEN)
        return flo_fail(err, FLO_EINVAL, "'%.80s' is not a blob's hash", hash);
    if (snprintf(out, MAX_PATH_LEN, "%s/%.2s/%s", dir, hash, hash + 2) >= MAX_PATH_LEN)
        return flo_fail(err, FLO_EINVAL, "the blob folder's name is too long");
    return 0;
}

/* mkdir -p for the folder of path. */
static int make_folder(const char *path)
{
    char folder[MAX_PATH_LEN];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0700) && errno != EEXIST)
            return -1;
        *slash = '/';
    }
    return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int blob_put(const char *dir, const void *data, size_t len, char out_hash[DOCUMENT_HASH_LEN + 1],
             struct flo_err *err)
{
    char path[MAX_PATH_LEN], temporary[MAX_PATH_LEN + 16];
    if (hash_of(data, len, out_hash))
        return flo_fail(err, FLO_ENOMEM, "no memory to hash a blob");
    int rc = blob_path(dir, out_hash, path, err);
    if (rc)
        return rc;
    if (access(path, R_OK) == 0)
        return 0;
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int fd = make_folder(path) ? -1 : mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return flo_fail(err, FLO_EIO, "cannot write into the blob folder %s: %s", dir,
                        strerror(errno));
    if (write_all(fd, data, len) || fdatasync(fd) || rename(temporary, path)) {
        rc = flo_fail(err, FLO_EIO, "cannot write blob %s: %s", out_hash, strerror(errno));
        unlink(temporary);
    }
    close(fd);
    return rc;
}

int blob_get(const char *dir, const char *hash, char **out_data, size_t *out_len,
             struct flo_err *err)
{
    char path[MAX_PATH_LEN], found[DOCUMENT_HASH_LEN + 1];
    char *data = NULL;
    size_t len = 0;
    int rc = blob_path(dir, hash, path, err);
    if (rc)
        return rc;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return flo_fail(err, errno == ENOENT ? FLO_ENOENT : FLO_EIO,
                        "cannot read blob %s in %s: %s", hash, dir, strerror(errno));
    if (fstat(fd, &st) || !(data = malloc((size_t)st.st_size + 1))) {
        rc = flo_fail(err, FLO_EIO, "cannot read blob %s: %s", hash, strerror(errno));
        goto out;
    }
    while (len < (size_t)st.st_size) {
        ssize_t n = read(fd, data + len, (size_t)st.st_size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    data[len] = '\0';
    if (hash_of(data, len, found) || strcmp(found, hash) != 0) {
        rc = flo_fail(err, FLO_EDATA, "blob %s in %s is damaged", hash, dir);
        goto out;
    }
    *out_data = data;
    *out_len = len;
    data = NULL; /* handed over */
out:
    free(data);
    close(fd);
    return rc;
}
