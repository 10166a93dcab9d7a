/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.c - see output.h.
 *
 * Our own stdout and stderr stay in blocking mode, as they are shared with whoever started us. So
 * poll is asked before each write, and a write is no longer than what a pipe that is writable takes
 * (PIPE_BUF); what does not fit is tried again later. A write ends with the end of a line unless
 * the line alone is longer, so that lines of our own log, which take the same way, come between.
 */
#include "supervisor/processes/output.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/list.h"
#include "telemetry/line_log.h"
#include "telemetry/log.h"

#define RETRY_MS 50

/* Our stdout or stderr. */
struct sink {
    struct flo_buf pending;
    struct event *retry;
    uint64_t dropped; /* lines, since the last one that was taken */
    int fd;
    bool colour;
};

struct flo_output {
    struct sink sinks[2];
    struct flo_list sources;
    char *dir; /* NULL: no files */
    int64_t max_bytes, keep;
    size_t width; /* of the widest name so far */
    bool print;
};

struct flo_output_source {
    struct flo_node node;
    struct flo_output *output;
    struct flo_line_log *log; /* NULL: no file */
    unsigned users;
    bool failing; /* the last flush did not work, and that has been said */
    char name[FLO_LINE_NAME_MAX];
};

/* ---- our own output ---- */

/* How much of what is pending goes into one write. */
static size_t portion(const struct sink *sink)
{
    size_t len = sink->pending.len < PIPE_BUF ? sink->pending.len : PIPE_BUF;
    const char *data = (const char *)sink->pending.data;
    const char *end = memrchr(data, '\n', len);
    return end ? (size_t)(end - data) + 1 : len;
}

static void flush_sink(struct sink *sink)
{
    while (sink->pending.len) {
        struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};
        ssize_t n = -1;
        errno = EAGAIN;
        if (poll(&ready, 1, 0) > 0)
            n = write(sink->fd, sink->pending.data, portion(sink));
        if (n > 0) {
            flo_buf_consume(&sink->pending, (size_t)n);
        } else if (n < 0 && errno == EAGAIN) {
            const struct timeval soon = {.tv_usec = (suseconds_t)RETRY_MS * 1000};
            event_add(sink->retry, &soon);
            return;
        } else if (errno != EINTR) {
            flo_buf_clear(&sink->pending); /* nobody reads us any more */
        }
    }
    flo_buf_fini(&sink->pending);
    flo_buf_init(&sink->pending, FLO_OUTPUT_BACKLOG);
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flush_sink(ctx);
}

static void print_line(struct sink *sink, const char *prefix, const char *text, size_t len)
{
    const size_t before = sink->pending.len;
    if (sink->dropped)
        flo_buf_printf(&sink->pending,
                       "%s(%llu lines left out here: the output is read too "
                       "slowly)\n",
                       prefix, (unsigned long long)sink->dropped);
    flo_buf_append_str(&sink->pending, prefix);
    flo_buf_append(&sink->pending, text, len);
    flo_buf_append(&sink->pending, "\n", 1);
    sink->dropped = sink->pending.failed ? sink->dropped + 1 : 0;
    if (sink->pending.failed)
        sink->pending.len = before;
    sink->pending.failed = false;
}

/* ---- the whole ---- */

int flo_output_new(struct event_base *base, const struct flo_output_options *options,
                   struct flo_output **out, struct flo_err *err)
{
    int rc = 0;
    struct flo_output *output = flo_calloc(1, sizeof *output);
    if (!output)
        return flo_fail(err, FLO_ENOMEM, "no memory for the output of processes");
    flo_list_init(&output->sources);
    flo_output_configure(output, options->max_bytes, options->keep, options->print);
    for (int i = 0; i < 2; i++) {
        struct sink *sink = &output->sinks[i];
        sink->fd = i ? STDERR_FILENO : STDOUT_FILENO;
        sink->colour = flo_line_colours(sink->fd);
        flo_buf_init(&sink->pending, FLO_OUTPUT_BACKLOG);
        sink->retry = event_new(base, -1, 0, on_retry, sink);
        if (!sink->retry)
            rc = FLO_ENOMEM;
    }
    output->dir = options->dir ? flo_strdup(options->dir) : NULL;
    if (rc || (options->dir && !output->dir))
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the output of processes");
    else if (options->dir)
        rc = flo_file_make_folders(options->dir, err);
    if (!rc) {
        *out = output;
        output = NULL;
    }
    flo_output_destroy(&output);
    return rc;
}

void flo_output_configure(struct flo_output *output, int64_t max_bytes, int64_t keep, bool print)
{
    output->max_bytes = max_bytes;
    output->keep = keep;
    output->print = print;
}

void flo_output_destroy(struct flo_output **output)
{
    struct flo_output *self = *output;
    if (!self)
        return;
    for (int i = 0; i < 2; i++) {
        if (self->sinks[i].retry)
            event_free(self->sinks[i].retry);
        flo_buf_fini(&self->sinks[i].pending);
    }
    flo_free(self->dir);
    flo_free(self);
    *output = NULL;
}

/* ---- sources ---- */

static void open_file(struct flo_output_source *source)
{
    const struct flo_output *output = source->output;
    struct flo_err err = {0};
    char *path = flo_asprintf("%s/%s.log", output->dir, source->name);
    if (!path || flo_line_log_open(path, output->max_bytes, output->keep, &source->log, &err))
        flo_log(FLO_LOG_WARN, "logs.open_failed", path ? err.message : "out of memory", "process",
                source->name, NULL);
    flo_free(path);
}

struct flo_output_source *flo_output_source_open(struct flo_output *output, const char *name)
{
    FLO_LIST_FOREACH(node, &output->sources)
    {
        struct flo_output_source *known = flo_container(node, struct flo_output_source, node);
        if (strcmp(known->name, name) == 0) {
            known->users++;
            return known;
        }
    }
    struct flo_output_source *source = flo_calloc(1, sizeof *source);
    if (!source)
        return NULL;
    source->output = output;
    source->users = 1;
    snprintf(source->name, sizeof source->name, "%s", name);
    if (strlen(source->name) > output->width)
        output->width = strlen(source->name);
    if (output->dir && output->max_bytes > 0)
        open_file(source);
    flo_list_push_back(&output->sources, &source->node);
    return source;
}

void flo_output_source_line(struct flo_output_source *source, bool is_stderr, const char *text,
                            size_t len)
{
    struct flo_output *output = source->output;
    struct sink *sink = &output->sinks[is_stderr];
    if (source->log)
        flo_line_log_add(source->log, flo_clock_wall_ns(), is_stderr, text, len);
    if (output->print) {
        char prefix[FLO_LINE_NAME_MAX + 32];
        flo_line_prefix(source->name, output->width, sink->colour, prefix, sizeof prefix);
        print_line(sink, prefix, text, len);
    }
}

void flo_output_source_flush(struct flo_output_source *source)
{
    struct flo_err err = {0};
    bool failed = source->log && flo_line_log_flush(source->log, &err);
    if (failed && !source->failing)
        flo_log(FLO_LOG_WARN, "logs.write_failed", err.message, "process", source->name, NULL);
    source->failing = failed;
    for (int i = 0; i < 2; i++)
        flush_sink(&source->output->sinks[i]);
}

void flo_output_source_close(struct flo_output_source **source)
{
    struct flo_output_source *self = *source;
    *source = NULL;
    if (!self || --self->users)
        return;
    flo_line_log_close(&self->log);
    flo_list_remove(&self->output->sources, &self->node);
    flo_free(self);
}
