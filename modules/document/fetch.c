/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c - the fetch_document activity: a file:// path or an http(s) URL into the blob folder.
 * What will not get better by trying again fails non-retryably.
 */
#include "fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "document.h"

static bool keep_going(void *ctx)
{
    return flo_activity_heartbeat(ctx, NULL) == 0;
}

static enum fetch_outcome say(struct fetched *out, enum fetch_outcome outcome, const char *reason)
{
    snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof out->reason - 1, reason);
    return outcome;
}

/* "file:///a%20b" to "/a b"; false when it is not an absolute local path. */
static bool file_path(const char *uri, char *out, size_t size)
{
    const char *p = uri + strlen("file://");
    if (strncmp(p, "localhost/", 10) == 0)
        p += 9;
    size_t n = 0;
    for (; *p && n + 1 < size; p++) {
        char hex[3] = {p[0], p[0] ? p[1] : '\0', '\0'};
        if (*p == '%' && p[1] && p[2]) {
            memcpy(hex, p + 1, 2);
            char *end;
            long byte = strtol(hex, &end, 16);
            if (*end || byte == 0)
                return false;
            out[n++] = (char)byte;
            p += 2;
        } else {
            out[n++] = *p;
        }
    }
    out[n] = '\0';
    return !*p && out[0] == '/';
}

static enum fetch_outcome read_file(int fd, size_t max_bytes, struct flo_activity_context *ctx,
                                    struct fetched *out)
{
    struct stat st;
    if (fstat(fd, &st))
        return say(out, FETCH_FAILED, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return say(out, FETCH_REFUSED, "it is not a regular file");
    if ((uint64_t)st.st_size > max_bytes)
        return say(out, FETCH_TOO_LARGE, "it is larger than max_bytes");
    out->data = malloc((size_t)st.st_size + 1);
    if (!out->data)
        return say(out, FETCH_FAILED, "out of memory");
    while (out->len < (size_t)st.st_size) {
        size_t left = (size_t)st.st_size - out->len;
        ssize_t n = read(fd, out->data + out->len, left < (1 << 20) ? left : 1 << 20);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return say(out, FETCH_FAILED, strerror(errno));
        if (n == 0)
            break;
        out->len += (size_t)n;
        if (!keep_going(ctx))
            return say(out, FETCH_STOPPED, "cancelled");
    }
    return FETCH_OK;
}

static enum fetch_outcome fetch_file(const char *uri, size_t max_bytes,
                                     struct flo_activity_context *ctx, struct fetched *out)
{
    char path[4096];
    if (!file_path(uri, path, sizeof path))
        return say(out, FETCH_REFUSED, "it is not an absolute path on this machine");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
        return say(out, FETCH_NOT_FOUND, strerror(errno));
    if (fd < 0 && (errno == EACCES || errno == ELOOP))
        return say(out, FETCH_REFUSED, strerror(errno));
    if (fd < 0)
        return say(out, FETCH_FAILED, strerror(errno));
    enum fetch_outcome outcome = read_file(fd, max_bytes, ctx, out);
    close(fd);
    return outcome;
}

static enum fetch_outcome fetch_http(const char *uri, size_t max_bytes,
                                     struct flo_activity_context *ctx, struct fetched *out)
{
    struct flo_err err;
    union {
        void *symbol;
        fetch_http_fn call;
    } http = {plugin_symbol("document-http", "document_fetch_http", &err)};
    if (!http.symbol)
        return say(out, FETCH_FAILED, err.message);
    return http.call(uri, max_bytes, keep_going, ctx, out);
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcasecmp(text + a - b, end) == 0;
}

/* "text/html", "text/markdown" or "text/plain": by the server's word, the name, the first bytes. */
static const char *kind_of(const char *uri, const struct fetched *fetched)
{
    if (strstr(fetched->content_type, "html"))
        return "text/html";
    if (strstr(fetched->content_type, "markdown"))
        return "text/markdown";
    if (ends_with(uri, ".html") || ends_with(uri, ".htm") || ends_with(uri, ".xhtml"))
        return "text/html";
    if (ends_with(uri, ".md") || ends_with(uri, ".markdown"))
        return "text/markdown";
    const char *p = fetched->data;
    while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
        p++;
    if (strncasecmp(p, "<!doctype html", 14) == 0 || strncasecmp(p, "<html", 5) == 0)
        return "text/html";
    return "text/plain";
}

static int refuse(struct flo_activity_context *ctx, const char *uri, enum fetch_outcome outcome,
                  const char *reason)
{
    switch (outcome) {
    case FETCH_NOT_FOUND:
        return flo_activity_fail(ctx, "DocumentNotFound", true, NULL, "no document at %s: %s", uri,
                                 reason);
    case FETCH_REFUSED:
        return flo_activity_fail(ctx, "DocumentRefused", true, NULL, "cannot take %s: %s", uri,
                                 reason);
    case FETCH_TOO_LARGE:
        return flo_activity_fail(ctx, "DocumentTooLarge", true, NULL, "cannot take %s: %s", uri,
                                 reason);
    case FETCH_STOPPED:
        return FLO_ECANCELLED;
    default:
        return flo_activity_fail(ctx, "FetchFailed", false, NULL, "cannot fetch %s: %s", uri,
                                 reason);
    }
}

int fetch_document(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct document_shared *shared = flo_activity_shared(ctx);
    const char *uri = json_text(input, "uri");
    struct fetched fetched = {0};
    enum fetch_outcome outcome;
    char hash[DOCUMENT_HASH_LEN + 1];
    struct flo_err err;

    if (!uri)
        return flo_activity_fail(ctx, "InvalidInput", true, NULL,
                                 "fetch_document takes {\"uri\": \"...\"}");
    if (strncmp(uri, "file://", 7) == 0)
        outcome = fetch_file(uri, shared->max_bytes, ctx, &fetched);
    else if (strncmp(uri, "http://", 7) == 0 || strncmp(uri, "https://", 8) == 0)
        outcome = fetch_http(uri, shared->max_bytes, ctx, &fetched);
    else
        outcome = say(&fetched, FETCH_REFUSED, "only file://, http:// and https:// are known");

    int rc = 0;
    if (outcome != FETCH_OK) {
        rc = refuse(ctx, uri, outcome, fetched.reason);
        goto out;
    }
    fetched.data[fetched.len] = '\0';
    if (memchr(fetched.data, '\0', fetched.len)) {
        rc = flo_activity_fail(ctx, "UnsupportedDocument", true, NULL,
                               "%s is binary: only plain text, Markdown and HTML are read", uri);
        goto out;
    }
    if (blob_put(shared->blob_dir, fetched.data, fetched.len, hash, &err)) {
        rc = flo_activity_fail(ctx, "BlobStore", false, NULL, "%s", err.message);
        goto out;
    }
    *out_result = json_pack("{s:s, s:s, s:I, s:s}", "uri", uri, "blob", hash, "bytes",
                            (json_int_t)fetched.len, "kind", kind_of(uri, &fetched));
    if (!*out_result) /* the URI is not UTF-8 */
        rc = flo_activity_fail(ctx, "InvalidInput", true, NULL, "the uri is not valid UTF-8");
out:
    free(fetched.data);
    return rc;
}
