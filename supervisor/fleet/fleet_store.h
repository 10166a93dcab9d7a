/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_store.h - the metrics of many processes, held small and taken fast.
 *
 * A process reports the same series once a second, and the processes of one role report the same
 * series as each other; only the numbers differ. So a report's metrics are kept in two parts: the
 * shape (names, labels, bounds: everything but the numbers), which is shared by all processes that
 * have it, and one array of numbers a process. A report whose shape is the one of the process's
 * last report is taken by comparing its text with the shape's between the numbers: no tree is
 * built, nothing is allocated. A new shape is looked up by its text, and only one that nobody has
 * yet is parsed and checked in full.
 *
 * Rejected: frames that hold only what changed, or a shape's number in place of its text. They
 * are a few kilobytes smaller, but a lost frame or a new supervisor then needs a conversation.
 */
#ifndef FLO_SUPERVISOR_FLEET_STORE_H
#define FLO_SUPERVISOR_FLEET_STORE_H

#include "base/arena.h"
#include "supervisor/fleet/fleet.h"

/* One family of a shape. */
struct flo_fleet_family {
    const char *name;
    char kind;           /* 'c' counter, 'g' gauge, 'h' histogram */
    bool hidden;         /* past FLO_FLEET_SERIES_MAX: not shown */
    uint8_t label_count; /* names */
    uint8_t bound_count; /* of a histogram */
    uint32_t series_count;
    uint32_t stride; /* numbers of a series: 1, of a histogram 1 + bound_count + 1 */
    uint32_t first;  /* index of its first number in an entry's values */
    const char **labels;
    const double *bounds;
    const char **label_values; /* label_count of each series, one series after the other */
};

/* What series there are; shared, counted. */
struct flo_fleet_shape {
    size_t refs;
    const char *text; /* the metrics' text with PLACE for each number: its key in the store */
    size_t text_len;
    struct flo_fleet_family *families;
    size_t family_count;
    size_t value_count;
    char *kinds; /* of each number: 'c', 'g', 's' a histogram's sum, 'n' a bucket's count */
    uint32_t series_over; /* series of hidden families */
    size_t bytes;         /* what it holds */
    struct flo_arena arena;
};

void flo_fleet_store_destroy(struct flo_fleet_store **store);

/*
 * Take the metrics of a report: text is the JSON list of families. FLO_FRAME_TAKEN: the entry has
 * the shape and the numbers (or, past FLO_FLEET_METRICS_BYTES, none, counted); else the entry is
 * as before.
 */
enum flo_frame_verdict flo_fleet_store_take(struct flo_fleet *fleet, struct flo_fleet_entry *entry,
                                            const char *text, size_t len);
/* Let go of the entry's metrics. */
void flo_fleet_store_release(struct flo_fleet *fleet, struct flo_fleet_entry *entry);
/* What all shapes and numbers take. */
size_t flo_fleet_store_bytes(const struct flo_fleet *fleet);

/* The text of a registry as a shape of its own with its numbers, for showing it beside the
 * others; NULL without memory. Free both with flo_fleet_shape_destroy and flo_free. */
struct flo_fleet_shape *flo_fleet_shape_of(const char *text, size_t len, double **out_values);
void flo_fleet_shape_destroy(struct flo_fleet_shape **shape);

/* ---- fleet_shape.c ---- */
#define FLO_SHAPE_PLACE '\1' /* stands for a number in a shape's text */

/* Numbers of a report, in order; grows. */
struct flo_fleet_numbers {
    double *values;
    char *classes; /* of each: 'n' a whole number >= 0, 'c' another one >= 0, 'g' below 0 */
    size_t count, capacity;
};
void flo_fleet_numbers_fini(struct flo_fleet_numbers *numbers);
/* Read text along the shape. False: it is of another shape, or a number is not what its place
 * wants. */
bool flo_fleet_shape_match(const struct flo_fleet_shape *shape, const char *text, size_t len,
                           struct flo_fleet_numbers *out);
/* Split text into its shape's text and its numbers. False: it is not compact JSON, or no memory. */
bool flo_fleet_shape_split(const char *text, size_t len, struct flo_buf *out_text,
                           struct flo_fleet_numbers *out);
/* Do the numbers fit their places? */
bool flo_fleet_shape_accepts(const struct flo_fleet_shape *shape,
                             const struct flo_fleet_numbers *numbers);
/* Parse and check text in full. FLO_FRAME_METRICS, FLO_FRAME_MEMORY. */
enum flo_frame_verdict flo_fleet_shape_parse(const char *text, size_t len,
                                             struct flo_fleet_shape **out);

#endif
