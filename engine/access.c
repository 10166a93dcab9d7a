/* SPDX-License-Identifier: Apache-2.0 */
/* access.c - the file of API keys. */
#include "engine/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "base/sha256.h"

enum { LINE_MAX_BYTES = 1024 };
#define HASH_PREFIX "sha256:"

struct key {
    char *namespace_name;
    uint8_t hash[FLO_SHA256_BYTES];
    bool matches; /* the key that was identified last */
};

struct flo_access {
    char *path;
    struct stat seen; /* of the file that was read last, or that could not be */
    struct key *keys;
    size_t count;
};

static void free_keys(struct key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        flo_free(keys[i].namespace_name);
    flo_free(keys);
}

static bool parse_hash(const char *text, uint8_t out[FLO_SHA256_BYTES])
{
    size_t prefix = strlen(HASH_PREFIX);
    if (strncmp(text, HASH_PREFIX, prefix) != 0 ||
        strlen(text + prefix) != (size_t)2 * FLO_SHA256_BYTES)
        return false;
    for (size_t i = 0; i < FLO_SHA256_BYTES; i++) {
        int high = flo_hex_digit(text[prefix + 2 * i]),
            low = flo_hex_digit(text[prefix + 2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* One line into *key; its namespace is "" when the line says nothing. */
static int parse_line(const char *path, unsigned number, char *line, struct key *key,
                      struct flo_err *err)
{
    static const char blanks[] = " \t\r\n";
    char *rest = NULL, *namespace_name = strtok_r(line, blanks, &rest);
    key->namespace_name = NULL;
    if (!namespace_name || *namespace_name == '#')
        return 0;
    const char *hash = strtok_r(NULL, blanks, &rest);
    (void)strtok_r(NULL, blanks, &rest); /* the name is for people */
    if (!hash || !parse_hash(hash, key->hash) || strtok_r(NULL, blanks, &rest))
        return flo_fail(err, FLO_ECONFIG,
                        "%s:%u: a line is NAMESPACE " HASH_PREFIX
                        "HASH [NAME], as `flotilla keys api` writes it",
                        path, number);
    key->namespace_name = flo_strdup(namespace_name);
    return key->namespace_name ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for the API keys");
}

static int read_keys(const char *path, FILE *file, struct key **out_keys, size_t *out_count,
                     struct flo_err *err)
{
    struct key *keys = NULL;
    size_t count = 0;
    int rc = 0;
    char line[LINE_MAX_BYTES];
    for (unsigned number = 1; !rc && fgets(line, sizeof line, file); number++) {
        struct key key = {0};
        if (!strchr(line, '\n') && !feof(file)) {
            rc = flo_fail(err, FLO_ECONFIG, "%s:%u: the line is too long", path, number);
            break;
        }
        rc = parse_line(path, number, line, &key, err);
        if (rc || !key.namespace_name)
            continue;
        struct key *more =
            count < FLO_ACCESS_KEYS_MAX ? flo_reallocarray(keys, count + 1, sizeof *keys) : NULL;
        if (!more) {
            flo_free(key.namespace_name);
            rc = count < FLO_ACCESS_KEYS_MAX
                     ? flo_fail(err, FLO_ENOMEM, "no memory for the API keys")
                     : flo_fail(err, FLO_ECONFIG, "%s: more than %d keys", path,
                                FLO_ACCESS_KEYS_MAX);
            break;
        }
        keys = more;
        keys[count++] = key;
    }
    if (!rc && ferror(file))
        rc = flo_fail(err, FLO_EPERM, "%s cannot be read: %s", path, strerror(errno));
    if (!rc && count == 0) /* nobody could call: a mistake, or a file that is being written */
        rc = flo_fail(err, FLO_ECONFIG, "%s has no keys", path);
    if (rc) {
        free_keys(keys, count);
        return rc;
    }
    *out_keys = keys;
    *out_count = count;
    return 0;
}

/* Not what would let us wait for a writer (a named pipe). */
static FILE *open_keys(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file && fd >= 0)
        close(fd);
    return file;
}

int flo_access_reload(struct flo_access *access, struct flo_err *err)
{
    struct key *keys;
    size_t count;
    FILE *file = open_keys(access->path);
    if (!file) {
        const int error = errno;
        (void)stat(access->path, &access->seen); /* said once, not each time it is looked at */
        return flo_fail(err, error == ENOENT ? FLO_ENOENT : FLO_EPERM, "%s cannot be read: %s",
                        access->path, strerror(error));
    }
    int rc = 0;
    if (fstat(fileno(file), &access->seen) || !S_ISREG(access->seen.st_mode))
        rc = flo_fail(err, FLO_ECONFIG, "%s is no file", access->path);
    else if (access->seen.st_mode & S_IWOTH)
        rc = flo_fail(err, FLO_EPERM, "%s may be written by anybody; chmod o-w it", access->path);
    if (!rc)
        rc = read_keys(access->path, file, &keys, &count, err);
    fclose(file);
    if (rc)
        return rc;
    free_keys(access->keys, access->count);
    access->keys = keys;
    access->count = count;
    return 0;
}

bool flo_access_changed(const struct flo_access *access)
{
    struct stat now;
    if (stat(access->path, &now))
        return false; /* being replaced, or gone: the keys stay */
    return now.st_ino != access->seen.st_ino || now.st_dev != access->seen.st_dev ||
           now.st_size != access->seen.st_size ||
           now.st_mtim.tv_sec != access->seen.st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != access->seen.st_mtim.tv_nsec ||
           now.st_ctim.tv_sec != access->seen.st_ctim.tv_sec || /* also who may read it */
           now.st_ctim.tv_nsec != access->seen.st_ctim.tv_nsec;
}

int flo_access_new(const char *path, struct flo_access **out_access, struct flo_err *err)
{
    struct flo_access *access = flo_calloc(1, sizeof *access);
    if (access)
        access->path = flo_strdup(path);
    int rc = access && access->path ? flo_access_reload(access, err)
                                    : flo_fail(err, FLO_ENOMEM, "no memory for the API keys");
    if (rc)
        flo_access_destroy(&access);
    else
        *out_access = access;
    return rc;
}

void flo_access_destroy(struct flo_access **access)
{
    struct flo_access *self = *access;
    *access = NULL;
    if (!self)
        return;
    free_keys(self->keys, self->count);
    flo_free(self->path);
    flo_free(self);
}

size_t flo_access_count(const struct flo_access *access)
{
    return access->count;
}

/* The same time whatever the bytes are. */
static bool same_hash(const uint8_t *a, const uint8_t *b)
{
    unsigned difference = 0;
    for (size_t i = 0; i < FLO_SHA256_BYTES; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

bool flo_access_identify(struct flo_access *access, const char *authorization)
{
    static const char scheme[] = "bearer ";
    const size_t scheme_len = sizeof scheme - 1;
    uint8_t hash[FLO_SHA256_BYTES];
    struct flo_sha256 sha;
    bool known = false;
    const char *key = "";
    bool bearer = authorization && strncasecmp(authorization, scheme, scheme_len) == 0;
    if (bearer)
        key = authorization + scheme_len + strspn(authorization + scheme_len, " ");
    flo_sha256_init(&sha);
    flo_sha256_add(&sha, key, strlen(key));
    flo_sha256_final(&sha, hash);
    for (size_t i = 0; i < access->count; i++) {
        access->keys[i].matches = same_hash(hash, access->keys[i].hash) && bearer;
        known |= access->keys[i].matches;
    }
    return known;
}

bool flo_access_may(const struct flo_access *access, const char *namespace_name)
{
    for (size_t i = 0; i < access->count; i++)
        if (access->keys[i].matches &&
            (strcmp(access->keys[i].namespace_name, FLO_ACCESS_ALL) == 0 ||
             (*namespace_name && strcmp(access->keys[i].namespace_name, namespace_name) == 0)))
            return true;
    return false;
}
