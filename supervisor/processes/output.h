/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h - where the lines of the fleet's processes go: each behind its process's name on our own
 * stdout or stderr, and into STATE_DIR/logs/NAME.log.
 *
 * Nothing here waits: when whoever reads our output is slow, up to FLO_OUTPUT_BACKLOG bytes are
 * kept for it and lines beyond that are left out, with a line that says how many. The files have
 * all of them; where a file cannot be written that is logged, and lines are lost. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_OUTPUT_H
#define FLO_SUPERVISOR_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

struct event_base;
struct flo_output;        /* opaque: one for the fleet */
struct flo_output_source; /* opaque: one name; runs that follow each other, or overlap, share it */

#define FLO_OUTPUT_BACKLOG ((size_t)256 * 1024)

struct flo_output_options {
    const char *dir;   /* of the files, made when it is not there; NULL: no files */
    int64_t max_bytes; /* of a file */
    int64_t keep;      /* older ones */
    bool print;        /* on our own output, too */
};

/* options is not kept. FLO_ESYS: the folder cannot be made; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_output_new(struct event_base *base, const struct flo_output_options *options,
                                  struct flo_output **out, struct flo_err *err);
/* Sizes from now on, of files that are opened later. */
void flo_output_configure(struct flo_output *output, int64_t max_bytes, int64_t keep, bool print);
/* Gives a backlog up. All sources must be closed. NULL is fine. */
void flo_output_destroy(struct flo_output **output);

/* The source of that name, made when nobody has it open; NULL without memory. A file that cannot be
 * opened is logged, and the source goes without. */
struct flo_output_source *flo_output_source_open(struct flo_output *output, const char *name);
/* One line of it, without its end. */
void flo_output_source_line(struct flo_output_source *source, bool is_stderr, const char *text,
                            size_t len);
/* After the lines of one read: they go out. */
void flo_output_source_flush(struct flo_output_source *source);
/* NULL is fine. */
void flo_output_source_close(struct flo_output_source **source);

#endif
