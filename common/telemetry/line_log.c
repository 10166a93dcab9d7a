/* SPDX-License-Identifier: Apache-2.0 */
/* line_log.c - see line_log.h. */
#include "telemetry/line_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"

#define PENDING_MAX (1u << 20) /* what a flush did not take meanwhile: bounded */
#define STAMP_BYTES 30         /* 2026-11-21T18:52:03.123456789Z */

struct flo_line_log {
    char *path;
    int fd; /* -1 after a rotation that failed: opened by the next flush */
    int64_t size, max_bytes, keep;
    struct flo_buf pending; /* whole lines */
    int64_t second;         /* that stamp holds */
    char stamp[24];         /* "2026-11-21T18:52:03" */
};

/* ---- the file ---- */

static int open_file(struct flo_line_log *log, struct flo_err *err)
{
    struct stat st;
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log->fd < 0 || fstat(log->fd, &st))
        return flo_fail(err, FLO_ESYS, "cannot open %s: %s", log->path, strerror(errno));
    log->size = st.st_size;
    return 0;
}

int flo_line_log_open(const char *path, int64_t max_bytes, int64_t keep, struct flo_line_log **out,
                      struct flo_err *err)
{
    int rc = FLO_ENOMEM;
    struct flo_line_log *log = flo_calloc(1, sizeof *log);
    if (log) {
        *log = (struct flo_line_log){.fd = -1, .max_bytes = max_bytes, .keep = keep, .second = -1};
        flo_buf_init(&log->pending, PENDING_MAX);
        log->path = flo_strdup(path);
    }
    if (!log || !log->path)
        flo_fail(err, rc, "no memory for the log %s", path);
    else
        rc = open_file(log, err);
    if (!rc) {
        *out = log;
        log = NULL;
    }
    flo_line_log_close(&log);
    return rc;
}

void flo_line_log_close(struct flo_line_log **log)
{
    struct flo_line_log *self = *log;
    if (!self)
        return;
    if (self->fd >= 0)
        close(self->fd);
    flo_buf_fini(&self->pending);
    flo_free(self->path);
    flo_free(self);
    *log = NULL;
}

/* FILE.n-1 becomes FILE.n, from the oldest on; FILE itself becomes FILE.1, or goes. */
static int rotate(struct flo_line_log *log, struct flo_err *err)
{
    int rc = 0;
    close(log->fd);
    log->fd = -1;
    for (int64_t n = log->keep; n >= 0; n--) {
        char *from = n ? flo_asprintf("%s.%lld", log->path, (long long)n) : flo_strdup(log->path);
        char *to = flo_asprintf("%s.%lld", log->path, (long long)n + 1);
        const bool gone = from && to && (n == log->keep ? unlink(from) : rename(from, to)) == 0;
        if (n == 0 && !gone) /* an older one that stays, or is not there, is no harm */
            rc = flo_fail(err, FLO_EIO, "cannot put %s aside: %s", log->path, strerror(errno));
        flo_free(from);
        flo_free(to);
    }
    return rc;
}

/* How many of the first bytes fit: whole lines, at least one when the file is empty. */
static size_t fitting(const struct flo_line_log *log)
{
    const char *data = (const char *)log->pending.data;
    const int64_t room = log->max_bytes - log->size;
    if ((int64_t)log->pending.len <= room)
        return log->pending.len;
    size_t len = 0;
    while (len < log->pending.len) {
        const char *end = memchr(data + len, '\n', log->pending.len - len);
        size_t next = end ? (size_t)(end - data) + 1 : log->pending.len;
        if ((int64_t)next > room && !(len == 0 && log->size == 0))
            break;
        len = next;
    }
    return len;
}

/* All of it, or nothing: a line that a full disk tore would be read as two. */
static bool write_whole(struct flo_line_log *log, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(log->fd, log->pending.data + done, len - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            break;
    }
    if (done < len && ftruncate(log->fd, log->size) == 0)
        return false;
    log->size += (int64_t)done;
    return done == len;
}

int flo_line_log_flush(struct flo_line_log *log, struct flo_err *err)
{
    int rc = 0;
    while (log->pending.len && !rc) {
        if (log->fd < 0)
            rc = open_file(log, err);
        size_t len = rc ? 0 : fitting(log);
        if (rc)
            break;
        if (len == 0)
            rc = rotate(log, err);
        else if (!write_whole(log, len))
            rc = flo_fail(err, FLO_EIO, "cannot write %s: %s", log->path, strerror(errno));
        flo_buf_consume(&log->pending, len);
    }
    if (rc)
        flo_buf_clear(&log->pending);
    return rc ? FLO_EIO : 0;
}

/* ---- lines ---- */

void flo_line_log_add(struct flo_line_log *log, int64_t wall_ns, bool is_stderr, const char *text,
                      size_t len)
{
    const time_t second = (time_t)(wall_ns / FLO_NS_PER_S);
    struct tm tm;
    if (log->second != second && gmtime_r(&second, &tm)) {
        strftime(log->stamp, sizeof log->stamp, "%Y-%m-%dT%H:%M:%S", &tm);
        log->second = second;
    }
    size_t before = log->pending.len;
    flo_buf_printf(&log->pending, "%s.%09lldZ %s F ", log->stamp,
                   (long long)(wall_ns % FLO_NS_PER_S), is_stderr ? "stderr" : "stdout");
    flo_buf_append(&log->pending, text, len);
    flo_buf_append(&log->pending, "\n", 1);
    if (log->pending.failed) { /* no half line */
        log->pending.len = before;
        log->pending.failed = false;
    }
}

bool flo_line_log_parse(const char *line, size_t len, struct flo_logged_line *out)
{
    const size_t head = STAMP_BYTES + sizeof " stdout F " - 1;
    if (len < head || line[4] != '-' || line[10] != 'T' || line[STAMP_BYTES - 1] != 'Z')
        return false;
    const char *rest = line + STAMP_BYTES;
    bool is_stderr = memcmp(rest, " stderr F ", 10) == 0;
    if (!is_stderr && memcmp(rest, " stdout F ", 10) != 0)
        return false;
    *out = (struct flo_logged_line){.stamp = line,
                                    .stamp_len = STAMP_BYTES,
                                    .is_stderr = is_stderr,
                                    .text = line + head,
                                    .len = len - head};
    return true;
}

/* ---- cutting ---- */

static void finish_line(struct flo_line_cutter *cutter)
{
    if (cutter->cut) {
        char tail[48];
        int n = snprintf(tail, sizeof tail, "... (%zu bytes cut)", cutter->cut);
        cutter->len -= (size_t)n;
        memcpy(cutter->partial + cutter->len, tail, (size_t)n);
        cutter->len += (size_t)n;
    }
    if (cutter->len && cutter->partial[cutter->len - 1] == '\r')
        cutter->len--;
    for (char *at; (at = memchr(cutter->partial, '\0', cutter->len));)
        *at = '?';
    cutter->partial[cutter->len] = '\0';
    cutter->line(cutter->ctx, cutter->partial, cutter->len);
    cutter->len = cutter->cut = 0;
}

int flo_line_cutter_feed(struct flo_line_cutter *cutter, const char *bytes, size_t count)
{
    if (!cutter->partial && count)
        cutter->partial = flo_malloc(FLO_LINE_MAX + 1);
    if (!cutter->partial && count)
        return FLO_ENOMEM;
    for (const char *end = bytes + count; bytes < end;) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t len = (size_t)((newline ? newline : end) - bytes);
        size_t room = FLO_LINE_MAX - cutter->len;
        size_t kept = len < room ? len : room;
        memcpy(cutter->partial + cutter->len, bytes, kept);
        cutter->len += kept;
        cutter->cut += len - kept;
        if (newline)
            finish_line(cutter);
        bytes += len + (newline != NULL);
    }
    if (cutter->len == 0 && cutter->cut == 0) { /* mostly so: a quiet process holds no memory */
        flo_free(cutter->partial);
        cutter->partial = NULL;
    }
    return 0;
}

void flo_line_cutter_end(struct flo_line_cutter *cutter)
{
    if (cutter->partial && (cutter->len || cutter->cut))
        finish_line(cutter);
    flo_free(cutter->partial);
    cutter->partial = NULL;
}

/* ---- showing ---- */

void flo_line_prefix(const char *name, size_t width, bool colour, char *out, size_t size)
{
    /* Readable on light and dark; red is left to errors. */
    static const char *const colours[] = {"36", "32", "33", "35", "34", "96", "92", "95", "94"};
    unsigned hash = 5381;
    for (const char *at = name; *at; at++)
        hash = hash * 33 + (unsigned char)*at;
    if (colour)
        snprintf(out, size, "\x1b[%sm%-*s |\x1b[0m ",
                 colours[hash % (sizeof colours / sizeof *colours)], (int)width, name);
    else
        snprintf(out, size, "%-*s | ", (int)width, name);
}

bool flo_line_colours(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}
