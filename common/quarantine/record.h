/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - what is known of one input that killed executors, as a JSON object. Pure: no file, no
 * clock.
 *
 *   counting ──the crash that makes `crashes`──► parked ──lift──► counting, from 0
 *      │ ▲
 *      └─┘ a crash; longer than `window` after the last one it counts from 1 again
 *
 * A record may come from a file that anybody wrote: flo_quarantine_view() is the only way to read
 * one, and it checks every member.
 */
#ifndef FLO_QUARANTINE_RECORD_H
#define FLO_QUARANTINE_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

/* Largest input and largest details of a failure that are kept, in bytes. */
#define FLO_QUARANTINE_INPUT_MAX (64u << 10)
#define FLO_QUARANTINE_DETAILS_MAX (64u << 10)
/* The newest attempts that met the input are kept. */
#define FLO_QUARANTINE_MET_MAX 20

struct flo_quarantine_limits {
    int64_t crashes;   /* so many park an input */
    int64_t window_ms; /* so long after the last crash they are forgotten */
};

/* An attempt that met the input. Texts may be NULL. */
struct flo_quarantine_attempt {
    const char *workflow_id, *run_id, *workflow_type, *activity_id, *identity;
    int32_t attempt;
    int64_t at_ms; /* wall clock, since 1970 */
};

/* A crash. All is borrowed. */
struct flo_quarantine_crash {
    struct flo_quarantine_attempt attempt;
    const char *name_space, *activity_type, *task_queue;
    int signal;      /* 0: it exited */
    int exit_status; /* with signal 0 */
    const char *message;
    const char *stack_trace; /* of the failure; may be NULL */
    json_t *details;         /* of the failure; NULL, or too large: not kept */
    json_t *input;           /* array of values; NULL: not kept */
    size_t input_bytes;      /* of all payloads */
};

/*
 * The record after a crash: a new reference; before (NULL: the first crash) is unchanged. NULL when
 * memory is out.
 */
json_t *flo_quarantine_after_crash(const json_t *before, const char *id,
                                   const struct flo_quarantine_limits *limits,
                                   const struct flo_quarantine_crash *crash);
/* The record after an attempt was refused because of it: a new reference, or NULL when there is
 * nothing new to keep (the attempt is known, the list is full) or no memory. */
json_t *flo_quarantine_after_refusal(const json_t *before,
                                     const struct flo_quarantine_attempt *attempt);
/* The record after it was lifted: counts from 0. A new reference; NULL when memory is out. */
json_t *flo_quarantine_after_lift(const json_t *before, int64_t now_ms);

/* A record read: everything borrowed from it, texts never NULL. */
struct flo_quarantine_view {
    const char *id, *name_space, *activity_type, *task_queue, *message;
    bool parked;
    int64_t crashes;  /* since it was last lifted or forgotten */
    int64_t limit;    /* so many parked it, or would */
    int64_t lifted;   /* how often it was */
    int64_t first_ms; /* first and last crash that count; when it was parked, 0 = not */
    int64_t last_ms;
    int64_t parked_ms;
    int64_t changed_ms; /* when the record was last changed */
    int signal, exit_status;
    int64_t input_bytes;
    json_t *input;           /* array, or NULL: not kept */
    json_t *details;         /* any value, or NULL */
    const char *stack_trace; /* "" when none is known */
    json_t *met;             /* array of attempts, oldest first */
};
/* FLO_EDATA with the member that is wrong. id is the name that the record must carry. */
FLO_MUST_CHECK int flo_quarantine_view(const json_t *record, const char *id,
                                       struct flo_quarantine_view *out, struct flo_err *err);
/* One element of met; texts never NULL, at_ms 0 when unknown. */
void flo_quarantine_met(const json_t *element, struct flo_quarantine_attempt *out,
                        bool *out_crashed);

/* "signal 11 (SIGSEGV)" or "exit status 3". */
void flo_quarantine_cause(int signal, int exit_status, char *out, size_t size);

#endif
