/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line_log.h - what a process says, kept in files of bounded size, and shown with its name.
 *
 * A line of the file says when it came and by which output, in the form that Kubernetes' container
 * runtimes write, so that their collectors read it:
 *
 *   2026-11-21T18:52:03.123456789Z stdout F text
 *
 * When the next line would make FILE longer than its bound, FILE becomes FILE.1, FILE.1 becomes
 * FILE.2, and so on; the oldest is removed. Lines are never divided between two files. One thread
 * at a time.
 */
#ifndef FLO_TELEMETRY_LINE_LOG_H
#define FLO_TELEMETRY_LINE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

#define FLO_LINE_MAX 16384 /* bytes of a line; the rest of a longer one is cut off */
#define FLO_LINE_NAME_MAX 80

struct flo_line_log; /* opaque */

/* Go on with path, or make it (0600, no symbolic link). FLO_ESYS, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_line_log_open(const char *path, int64_t max_bytes, int64_t keep,
                                     struct flo_line_log **out, struct flo_err *err);
/* Add a line (without its end); it is in the file after the next flush. Lines that came at the same
 * time keep their order. Out of memory, the line is dropped. */
void flo_line_log_add(struct flo_line_log *log, int64_t wall_ns, bool is_stderr, const char *text,
                      size_t len);
/* Write what was added. FLO_EIO: it could not be, or the full file could not be put aside; it is
 * dropped whole, the next may be written. */
FLO_MUST_CHECK int flo_line_log_flush(struct flo_line_log *log, struct flo_err *err);
/* Without a flush. NULL is fine. */
void flo_line_log_close(struct flo_line_log **log);

/* One line of such a file; pointers into it. */
struct flo_logged_line {
    const char *stamp; /* not ended by NUL: its bytes compare as time does */
    size_t stamp_len;
    bool is_stderr;
    const char *text;
    size_t len;
};
/* Take a line (without its end) apart. False: it is none of ours. */
bool flo_line_log_parse(const char *line, size_t len, struct flo_logged_line *out);

/* A stream of bytes, cut into lines. */
struct flo_line_cutter {
    char *partial; /* an unfinished line; NULL when there is none */
    size_t len;
    size_t cut;                                            /* bytes of it that are left out */
    void (*line)(void *ctx, const char *text, size_t len); /* text[len] is '\0' */
    void *ctx;
};
/* The next bytes: calls line for each that ends in them. One longer than FLO_LINE_MAX keeps its
 * beginning and ends in "... (N bytes cut)"; NUL bytes become '?'. FLO_ENOMEM: bytes were lost. */
FLO_MUST_CHECK int flo_line_cutter_feed(struct flo_line_cutter *cutter, const char *bytes,
                                        size_t count);
/* The stream has ended: what is unfinished is a line, too. Frees. */
void flo_line_cutter_end(struct flo_line_cutter *cutter);

/* "name   | " with the name padded to width, in a colour of its own when colour. */
void flo_line_prefix(const char *name, size_t width, bool colour, char *out, size_t size);
/* Is fd a terminal that shows colours (NO_COLOR is not set, TERM is not dumb)? */
bool flo_line_colours(int fd);

#endif
