/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h - what an executor process prints, on the worker's side (private to this folder). It
 * goes to the worker's standard error, at most FLO_OUTPUT_BYTES a job; the rest is read and
 * dropped, slowly, so that a process that prints without end costs the worker nothing but waits
 * itself. The last bytes are kept for the report of a crash.
 */
#ifndef FLO_EXECUTOR_OUTPUT_H
#define FLO_EXECUTOR_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

struct event;
struct event_base;

/* What one job may write before the rest is dropped. */
#define FLO_OUTPUT_BYTES (64u << 10)
#define FLO_OUTPUT_TAIL 4096

struct flo_output {
    int fd;           /* -1 = none */
    const char *name; /* of the executor, for the line that says that it was cut */
    unsigned index;
    struct event *readable; /* NULL = not attached */
    struct event *pause;
    size_t left; /* of this job's allowance */
    bool ended;
    char *tail; /* twice FLO_OUTPUT_TAIL; NULL = nothing was printed */
    size_t tail_len;
};

/* Watch fd, which becomes output's. FLO_ENOMEM: close it with flo_output_close. */
int flo_output_attach(struct flo_output *output, struct event_base *base);
/* A job begins: a new allowance, nothing printed. */
void flo_output_job(struct flo_output *output);
/* Take what is there now, a bounded amount. */
void flo_output_drain(struct flo_output *output);
/* The last bytes that the job printed; *out_len at most FLO_OUTPUT_TAIL. Borrowed. */
const char *flo_output_tail(const struct flo_output *output, size_t *out_len);
void flo_output_close(struct flo_output *output);

#endif
