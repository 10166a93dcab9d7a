/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.h - what a dying executor process leaves behind, and what is made of it (private to this
 * folder).
 *
 *   executor: signal handler ──► record (shared memory, one slice an executor)
 *   worker:   reads it after the death ──► a short-lived process of the template names the
 *             addresses (symbols.c) ──► struct flo_job_crash (report.c)
 *
 * Shared memory and not a pipe: it needs no descriptor, which the activity may have closed, and no
 * system call in the handler. An executor has only its own slice mapped. What stands in a record
 * was written by a process with a broken memory: readers believe nothing.
 */
#ifndef FLO_EXECUTOR_CRASH_H
#define FLO_EXECUTOR_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "executor/executor.h"

#define FLO_CRASH_FRAMES 64
#define FLO_CRASH_NAMES 3072

enum flo_crash_kind {
    FLO_CRASH_NONE,
    FLO_CRASH_SIGNAL,    /* a signal's handler wrote it */
    FLO_CRASH_EXIT,      /* the activity called exit() */
    FLO_CRASH_SANITIZER, /* a sanitizer's runtime gave up */
};

struct flo_crash_frame {
    uint64_t pc;
    uint64_t bias;  /* where its module is loaded, less the address it was linked for */
    uint32_t name;  /* the module's file in names; 0 = in no module */
    uint32_t exact; /* 1: pc is the instruction itself; 0: the one after a call */
};

struct flo_crash_record {
    uint32_t kind;  /* enum flo_crash_kind; written first */
    int32_t signal; /* SIGNAL, with the rest of siginfo: */
    int32_t code;
    int32_t sender; /* process that sent it, 0 = a fault */
    uint64_t address;
    int32_t error;       /* errno at the time */
    uint32_t frames;     /* written last: an unwinder may fail on a broken stack */
    uint64_t data_bytes; /* data in use, 0 = without a memory limit */
    uint32_t names_len;
    struct flo_crash_frame frame[FLO_CRASH_FRAMES];
    char names[FLO_CRASH_NAMES]; /* NUL after each; the first is empty */
};

/* ---- the area: mapped by the worker before it forks the template ---- */

struct flo_crash_area {
    uint8_t *base;
    size_t slice; /* bytes, whole pages: record and ring; touched by a crash, or a profile */
    unsigned count;
};

/* FLO_ENOMEM. */
FLO_MUST_CHECK int flo_crash_area_init(struct flo_crash_area *area, unsigned count);
void flo_crash_area_fini(struct flo_crash_area *area);
struct flo_crash_record *flo_crash_area_at(const struct flo_crash_area *area, unsigned index);
/* Where the executor's profile goes. */
struct flo_profile_ring *flo_crash_area_ring(const struct flo_crash_area *area, unsigned index);

/* ---- executor side (crash.c) ---- */

/*
 * Install the handlers, on a stack of their own: fatal signals write a record and then end the
 * process as they would have without us; SIGTERM does so too when the template sent it, and is
 * ignored from others. Unmaps the other executors' slices.
 */
void flo_crash_guard(const struct flo_crash_area *area, unsigned index);
/* Load what the first backtrace of a process loads, before the executors are forked. */
void flo_crash_warm_up(void);

/* ---- symbols (symbols.c), in a process of their own ---- */

/* What is known of one frame; NULL or 0 = not known. */
struct flo_crash_symbol {
    const char *function, *file, *module;
    int line;
    uint64_t offset; /* in module; without a module: the address */
};

/* Read a record from fd, write the frames as flo_crash_frames_print does, and exit. */
_Noreturn void flo_symbols_main(int fd);

/* ---- report.c ---- */

/* Add one frame to the two forms: a JSON object (after a comma unless it is the first), and a line
 * of text. */
void flo_crash_symbol_print(const struct flo_crash_symbol *symbol, struct flo_buf *json,
                            struct flo_buf *text);
/* Make record safe to read: bounds within its arrays, names terminated. */
void flo_crash_record_check(struct flo_crash_record *record);
/* The base name of a path, itself when it has no slash. */
const char *flo_crash_base_name(const char *path);

/* What a death is told from. */
struct flo_crash_facts {
    const struct flo_crash_record *record; /* checked; kind NONE = nothing was written */
    const struct flo_executor_limits *limits;
    int status;         /* as from waitpid */
    bool garbled;       /* killed by the worker, for what it sent */
    const char *output; /* the last that it printed, any bytes */
    size_t output_len;
    const char *symbols; /* what flo_symbols_main wrote: JSON, NUL, text, NUL; NULL = nothing */
    size_t symbols_len;
};

struct flo_crash_report {
    struct flo_buf details, stack, message;
};

/* Fill report and crash, which borrows from it. What memory does not allow is left out. */
void flo_crash_report_init(struct flo_crash_report *report, const struct flo_crash_facts *facts,
                           struct flo_job_crash *crash);
void flo_crash_report_fini(struct flo_crash_report *report);

#endif
